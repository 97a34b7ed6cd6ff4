"""MIDI to shards: python train/prepare.py FOLDER_OR_ARCHIVE SHARDS [--shard I/N], or --merge SHARDS_A SHARDS_B SHARDS.

Sources are the folders right below FOLDER; archives count as folders. Stopped, it goes on where it was when it is asked
again. Copies are dropped; takes of one piece and pieces with music in common share a split. POP909 songs whose number
ends in 5, and what goes with them, are `dev`: never trained on. By content, about 2 % of the other pieces are held out
as `valid`, 15 % of the bands.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import _script
import numpy as np

from anticipation.data.corpus import LICENCES, Member, load_piece, members
from anticipation.data.shards import LICENCE_LENGTH, join, write
from anticipation.errors import AnticipationError, FileError, MidiError
from anticipation.music.notes import DRUMS, Notes

BLOCK = 256  # files that one process reads at a time
RULES = 3  # raise it when reading changes, so that parts of an unfinished run are read again
FULL = (errno.ENOSPC, errno.EDQUOT)
BANDS = ("freedoom", "easyrpg-rtp", "blasphemer")  # 160 pieces: 2 % would be too few to measure anything by
FAMILIES = {  # by source, the part of a file's name that names the work; takes of it may have little in common
    "pop909": r"(\d{3})__", "pop909-versions": r"(\d{3})__", "chopin-first-ed": r"kern__(\d+-\d+)",
    "tavern": r"\w+?__([BK]\d+)__", "kittel": r"musicXML__\d+_Chorale_(\d+)",
}  # fmt: skip

# Groove was played on Roland's kit, some of whose keys are other instruments in General MIDI: hats, rims and edges.
DRUM_KEYS = {"groove": {22: 42, 26: 46, 40: 38, 58: 43, 55: 49, 52: 57}}


def song_number(name: str) -> str | None:
    """'005' of POP909's '005__005.mid' and '005__versions__005-v1.mid'."""
    match = re.match(FAMILIES["pop909"], name)
    return match[1] if match else None


def family_of(source: str, name: str) -> str | None:
    match = re.match(FAMILIES.get(source, "$^"), name)
    return f"{source.removesuffix('-versions')} {match[1]}" if match else None


def split_of(source: str, name: str, tune: str) -> str:
    if source.startswith("pop909"):
        return "dev" if (song_number(name) or "").endswith("5") else "train"
    chance = int(tune[:8], 16) % 10_000
    return "valid" if chance % 50 == 0 or (source in BANDS and chance < 1300) else "train"


def rekeyed(notes: Notes, keys: dict[int, int]) -> Notes:
    """Notes with the drums moved to other keys."""
    if not keys:
        return notes
    table = np.arange(128)
    table[list(keys)] = list(keys.values())
    return notes.replace(pitch=np.where(notes.instrument == DRUMS, table[notes.pitch], notes.pitch)).sorted()


def load(member: Member, annotations: Path | None):
    """The sha256 and the notes of a member, or the reason why it is left out."""
    song = song_number(member.name) if member.source.startswith("pop909") else None
    try:
        data = member.read()
        notes = load_piece(data, annotations / song if annotations and song else None)
        return hashlib.sha256(data).hexdigest(), rekeyed(notes, DRUM_KEYS.get(member.source, {}))
    except AnticipationError as error:
        return str(error)
    except Exception as error:  # whatever a file can do to a reader is that file's loss alone
        return f"unreadable ({type(error).__name__})"


def load_block(block: list[Member], out: Path, annotations: Path | None) -> None:
    """Write the pieces of a block to the folder `out`, whole or not at all."""
    outcome: Counter = Counter()
    texts = [member for member in block if member.licence]
    licences = {}
    for member in sorted(texts, key=lambda member: -LICENCES.index(member.name.lower())):  # the best comes last: stays
        try:
            licences[member.source] = member.read().decode("utf-8", "replace")[:LICENCE_LENGTH]
        except MidiError:
            outcome["unreadable licence"] += 1

    def pieces():
        for member in block:
            if member.licence:
                continue
            loaded = load(member, annotations)
            if isinstance(loaded, str):
                outcome[loaded] += 1
            else:
                yield member.source, member.name, *loaded

    new = out.with_name(out.name + ".new")
    write(new, pieces(), outcome, licences)
    new.replace(out)


def blocks(found: Iterable[Member], share: tuple[int, int], annotations: Path | None) -> Iterator[tuple[str, list]]:
    """(name, members) of every block of this share. The name is a hash of what is in it, by which a block that was read
    before is known."""
    found = iter(found)
    for number, block in enumerate(iter(lambda: list(islice(found, BLOCK)), [])):
        if number % share[1] != share[0] - 1:
            continue
        state = hashlib.sha256(f"{RULES} {annotations is not None}".encode())
        for member in block:
            stamp = hashlib.sha256(member.data).hexdigest() if member.path is None and member.data else ""
            if member.path is not None:
                stat = member.path.stat()
                stamp = f"{stat.st_size} {stat.st_mtime_ns}"
            state.update(f"{member.source}/{member.name} {stamp} {member.reason}\n".encode())
        yield f"{number:06d}-{state.hexdigest()[:16]}", block


def survives(action: Callable[[], object]) -> bool:
    """Whether a process survives an action."""
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(action).result()
        except BrokenProcessPool:
            return False
        return True


def load_all(some: list[Member], annotations: Path | None) -> None:
    for member in some:
        load(member, annotations)


def killers(some: list[Member], annotations: Path | None) -> list[Member]:
    """The members whose reading kills the process: by a fault in the C++ parser, or by taking all memory. Found by
    halving."""
    if survives(partial(load_all, some, annotations)):
        return []
    half = len(some) // 2
    return some if not half else killers(some[:half], annotations) + killers(some[half:], annotations)


def load_carefully(block: list[Member], out: Path, annotations: Path | None) -> None:
    """`load_block` for a block in which a reader died."""
    bad = killers(block, annotations)
    safe = [replace(m, path=None, data=None, reason="crashes the reader") if m in bad else m for m in block]
    load_block(safe, out, annotations)


def read_parts(todo: Iterable[tuple[str, list]], parts: Path, annotations: Path | None, workers: int) -> list[Path]:
    """Read all blocks that have not been read yet. Returns the folder of each block, in order.

    Only a few blocks are in memory at a time, however large the archive that they come from.
    """
    from tqdm import tqdm

    folders: list[Path] = []
    pending: dict[Future, tuple[list[Member], Path]] = {}
    pool = ProcessPoolExecutor(workers) if workers else None

    def settle(most: int) -> None:
        """Wait until no more than `most` blocks are under way."""
        nonlocal pool
        while len(pending) > most:
            future = next(iter(pending))
            try:
                future.result()
                del pending[future]
            except BrokenProcessPool:
                for unread, folder in [pending.pop(f) for f in list(pending)]:
                    if not folder.exists():
                        load_carefully(unread, folder, annotations)
                pool = ProcessPoolExecutor(workers)

    try:
        for name, block in tqdm(todo, desc="reading", unit=" blocks", leave=False, disable=None):
            folders.append(parts / name)
            if folders[-1].exists():
                continue
            if pool is None:
                load_block(block, folders[-1], annotations)
                continue
            settle(2 * workers - 1)
            pending[pool.submit(load_block, block, folders[-1], annotations)] = (block, folders[-1])
        settle(0)
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    return folders


def prepare(
    roots: Iterable[Path], out: Path, *, annotations: Path | None = None, workers: int = 0, source: str | None = None,
    share: tuple[int, int] = (1, 1),
) -> Counter:  # fmt: skip
    """Shards of everything in folders and archives, or of one share of it, to be merged later. workers: 0 reads in
    this process. Returns counts by outcome. Raises AnticipationError where there is no MIDI."""
    if annotations is not None and not annotations.is_dir():
        raise AnticipationError(f"no folder of annotations {annotations}")
    parts = out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    roots = list(roots)
    found = (member for root in roots for member in members(root, source))
    folders = read_parts(blocks(found, share, annotations), parts, annotations, workers)
    outcome = join(folders, out, split_of, family_of, decide=share == (1, 1))
    if share == (1, 1) and not outcome["kept"]:
        reasons = ", ".join(f"{n} {what}" for what, n in outcome.most_common() if n)
        raise AnticipationError(f"{', '.join(map(str, roots))}: no music to train on ({reasons or 'no MIDI files'})")
    shutil.rmtree(parts)
    return outcome


def share_of(text: str) -> tuple[int, int]:
    """'2/8' -> (2, 8)."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 1/8 ... 8/8")
    return int(number), int(count)


def report(out: Path, outcome: Counter, seconds: float) -> None:
    from anticipation.data.shards import Shards

    shards = Shards(out)
    splits = Counter(piece.split or "undecided" for piece in shards.pieces)
    print(f"{seconds:.0f} s; " + ", ".join(f"{n} {what}" for what, n in outcome.most_common() if n))
    print(", ".join(f"{name}: {n}" for name, n in sorted(splits.items())))
    if unknown := sorted({piece.source for piece in shards.pieces} - set(shards.licences)):
        print(f"no licence is known of: {', '.join(unknown)} (put an ATTRIBUTION.txt into the folder)", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", type=Path, nargs="+", help="folders and archives of MIDI; with --merge, of shards")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--annotations", type=Path, help="POP909's beats and chords: NNN/beat_midi.txt, chord_midi.txt")
    parser.add_argument("--workers", type=int, default=2, help="processes that read; 0: only this one")
    parser.add_argument("--source", help="one name for all of it, in place of the names of the folders")
    parser.add_argument(
        "--shard",
        type=share_of,
        default=(1, 1),
        metavar="I/N",
        help="only this share of the same files everywhere, to be merged",
    )
    parser.add_argument("--merge", action="store_true", help="join folders of shards, eg the shares of --shard")
    args = parser.parse_args()
    begin = time.perf_counter()
    if args.merge and len(args.inputs) == 1 and (args.shards / "manifest.json").exists():
        raise AnticipationError(f"{args.shards} would be lost: with --merge, the folder to write comes last")
    if args.merge:
        outcome = join(args.inputs, args.shards, split_of, family_of)
    else:
        options = {name: getattr(args, name) for name in ("annotations", "workers", "source")}
        outcome = prepare(args.inputs, args.shards, share=args.shard, **options)
    report(args.shards, outcome, time.perf_counter() - begin)


def command() -> None:
    """`main`, told in one line of a full disk, a folder that cannot be written, and Ctrl-C."""
    try:
        main()
    except KeyboardInterrupt:
        print("prepare: stopped; ask again to go on from here", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (*FULL, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        where = f" ({error.filename})" if error.filename else ""
        hint = "; what was read is kept, ask again to go on" if error.errno in FULL else ""
        raise FileError(f"{error.strerror}{where}{hint}") from None


if __name__ == "__main__":
    _script.run(command)
