"""MIDI folder to shards: python train/prepare.py FOLDER SHARDS [--annotations DIR] [--workers N].

Sources are the folders right below FOLDER. About 2 % of the pieces, by content, are held out as `valid`. POP909 songs
whose number ends in 5, and their other takes, are `dev`: never trained on.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from functools import partial
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation.data import load_piece, write_shards  # noqa: E402
from anticipation.errors import AnticipationError  # noqa: E402


def song_number(name: str) -> str | None:
    """'005' of POP909's '005__005.mid' and '005__versions__005-v1.mid'."""
    match = re.match(r"(\d{3})__", name)
    return match[1] if match else None


def split_of(source: str, name: str, tune: str) -> str:
    if source.startswith("pop909"):
        return "dev" if (song_number(name) or "").endswith("5") else "train"
    return "valid" if int(tune[:8], 16) % 50 == 0 else "train"


def load(path: Path, annotations: Path | None):
    song = song_number(path.name)
    folder = annotations / song if annotations and song and path.parent.name.startswith("pop909") else None
    try:
        return path, load_piece(path, folder)
    except AnticipationError as error:
        return path, str(error).split(": ")[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--annotations", type=Path, help="POP909's beats and chords: NNN/beat_midi.txt, chord_midi.txt")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if not args.folder.is_dir():
        sys.exit(f"prepare: {args.folder} is no folder")
    begin = time.perf_counter()
    with Pool(args.workers) as pool:
        read = partial(pool.imap, partial(load, annotations=args.annotations), chunksize=32)
        outcome = write_shards(args.folder, args.shards, read, split_of)
    print(f"{time.perf_counter() - begin:.0f} s; " + ", ".join(f"{n} {what}" for what, n in outcome.most_common()))


if __name__ == "__main__":
    main()
