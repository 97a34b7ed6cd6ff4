"""What is counted in training songs, for the tables of the library:

    python train/recall.py SHARDS --keys

prints the table by which anticipation/music/keys.py tells a melody's key;

    python train/recall.py SHARDS --beats

those by which anticipation/music/beats.py hears the beats of notes that were played without a click;

    python train/recall.py SHARDS --drums

prints the one of what drummers strike where, for anticipation/music/groove.py."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import _script
import numpy as np
from cases import MELODY

from anticipation.data.shards import Shards
from anticipation.data.windows import top_part
from anticipation.errors import AnticipationError
from anticipation.music.beats import BARS, marks
from anticipation.music.grid import position
from anticipation.music.groove import STROKES, count, rows_of
from anticipation.music.keys import moves, neighbours
from anticipation.music.notes import DRUMS, Notes

TRUE_BEATS = ["pop909", "openewld-us-pd", "openhymnal", "cre-corpus", "freedoom", "openscore-lieder", "mutopia-pd-ccby"]
DRUMMERS = ["groove", "freedoom"]
LEAST = 20  # notes that a melody has to have, and beats
# Counts of pitch classes in C major with which `pairs` begins: any that favour the scale will do.
SCALE = np.where(np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11)), 130.0, 18.0)


def melodies(shards: Shards, split: str, sources: list[str]) -> Iterator[tuple[Notes, float]]:
    """(melody, weight) of the songs of a split that have beats and chords; takes of one song weigh as one."""
    for piece in shards.split(split):
        notes = shards.notes(piece) if piece.source in sources else Notes.of([])
        melody = notes[notes.instrument == top_part(notes)]
        if len(melody) >= LEAST and len(notes.beats) >= LEAST and len(notes.chords):
            yield melody, 1 / piece.alike


def pairs(tunes: Iterable[tuple[Notes, float]]) -> np.ndarray:
    """(12, 12) weighted counts of neighbouring pitch classes in melodies, each transposed to C from its likeliest key:
    hard EM from a major scale on, until no melody changes its key."""
    several, weights = zip(*((neighbours(melody), weight) for melody, weight in tunes), strict=True)
    found, keys = np.tile(SCALE, (12, 1)), np.full(len(several), -1)
    while True:
        fits = np.einsum("nij,kij->nk", np.array(several), moves(found))
        if (fits.argmax(1) == keys).all():
            return found
        keys = fits.argmax(1)
        found = sum(w * np.roll(n, (-k, -k), (0, 1)) for n, w, k in zip(several, weights, keys, strict=True))


def struck(shards: Shards, sources: list[str]) -> dict[int, np.ndarray]:
    """beats in a bar (4, 3; 2 for those of three parts) -> (beats, places, marks) how often an onset is at each place,
    as a multiple of the mean. Counted in whole pieces, and in melodies that are a part by themselves. Takes of one song
    weigh as one."""
    counted = {len(bar): np.zeros((bar.size // 4, 4)) for bar, _ in BARS}
    for piece in shards.split("train"):
        notes = shards.notes(piece) if piece.source in sources else Notes.of([])
        beats = notes.beats
        bars = int((beats.pitch == 0).sum())
        if len(beats) < LEAST or (np.bincount(beats.pitch) < 0.8 * bars).any():
            continue  # bars of several lengths
        for part in (notes.audible, notes[notes.instrument == MELODY]):
            part = part[part.onset >= beats.onset[0] - 1e-6]
            if len(part) < LEAST:
                continue
            onset, mark = marks(part)
            when = position(onset, beats)
            on = {parts: abs(when * parts - np.rint(when * parts)) < 0.1 for parts in (4, 6)}
            parts = 6 if on[6].sum() > on[4].sum() else 4
            bar = int(beats.pitch.max()) + 1
            if bar not in counted or (parts == 6) != (bar == 2):
                continue
            inside = beats.pitch[np.minimum(when.astype(int), len(beats) - 1)] + when % 1
            place = np.rint(inside * parts)
            near = abs(inside * parts - place) < 0.2
            np.add.at(counted[bar], (place[near].astype(int) % (bar * parts), mark[near]), 1 / len(onset) / piece.alike)
    smooth = {bar: table + 2e-3 * table.mean(0) for bar, table in counted.items()}
    return {bar: (table / table.mean(0)).reshape(bar, -1, 4) for bar, table in smooth.items()}


def strokes(shards: Shards, split: str, sources: list[str]) -> np.ndarray:
    """What drummers strike where, see `groove.count`. All sources weigh the same, and so do all songs of a source."""
    total = np.zeros(STROKES.shape)
    for source in sources:
        own = np.zeros(STROKES.shape)
        for piece in shards.split(split):
            notes = shards.notes(piece) if piece.source == source else Notes.of([])
            drums, beats = notes[notes.instrument == DRUMS], notes.beats
            if len(drums) >= LEAST and len(beats):
                struck = np.stack([drums.onset, drums.pitch], 1)
                table = count(struck, rows_of(beats), notes.audible.onset[0])
                own += table / max(table.sum(), 1.0) / piece.alike
        total += own / max(own.sum(), 1e-9)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what songs tell of keys, beats and drums.")
    parser.add_argument("shards", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--keys", action="store_true", help="print the table of anticipation/music/keys.py")
    what.add_argument("--beats", action="store_true", help="print the tables of anticipation/music/beats.py")
    what.add_argument("--drums", action="store_true", help="print the table of anticipation/music/groove.py")
    parser.add_argument("--sources", nargs="+", help="whose melodies are tunes (pop909), whose beats are true, "
                        "or whose drums are people's")  # fmt: skip
    args = parser.parse_args()
    shards = Shards(args.shards)
    sources = args.sources or (TRUE_BEATS if args.beats else DRUMMERS if args.drums else ["pop909"])
    if not any(piece.source in sources for piece in shards.split("train")):
        raise AnticipationError(f"{args.shards} has no training pieces of {', '.join(sources)}; see --sources")
    if args.keys:
        table = pairs(melodies(shards, "train", sources))
        print(np.rint(1e4 * table / table.sum()).astype(int).tolist())
    elif args.drums:
        table = strokes(shards, "train", sources)
        print(np.rint(1e4 * table / table.sum()).astype(int).tolist())
    else:
        for bar, odds in struck(shards, sources).items():
            print(bar, odds.round(2).tolist())


if __name__ == "__main__":
    _script.run(main)
