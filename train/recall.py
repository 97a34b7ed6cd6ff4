"""What is counted from the training songs of sources whose chords people have named:

    python train/recall.py SHARDS -o checkpoints/default/harmony.safetensors

is what anticipation/music/markov.py knows (it ships beside the weights), and how often it is right on held-out songs;

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
from safetensors.numpy import save

from anticipation.data.shards import Shards
from anticipation.data.windows import top_part
from anticipation.errors import AnticipationError
from anticipation.files import replacing
from anticipation.infilling.consensus import CHANGE, consensus, recalled
from anticipation.music.beats import BARS, marks
from anticipation.music.grid import edges_of, position
from anticipation.music.groove import STROKES, count, rows_of
from anticipation.music.harmony import CHORD_TONES, NO_CHORD, chord_at
from anticipation.music.keys import moves, neighbours
from anticipation.music.markov import Markov
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes

TRUE_BEATS = ["pop909", "openewld-us-pd", "openhymnal", "cre-corpus", "freedoom", "openscore-lieder", "mutopia-pd-ccby"]
DRUMMERS = ["groove", "freedoom"]
LEAST = 20  # notes that a melody has to have, and beats
# Counts of pitch classes in C major with which `pairs` begins: any that favour the scale will do.
SCALE = np.where(np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11)), 130.0, 18.0)


def songs(shards: Shards, split: str, sources: list[str]) -> Iterator[tuple[Notes, Notes, float]]:
    """(melody, beats and chords, weight) of the songs of a split; takes of one song weigh as one."""
    for piece in shards.split(split):
        notes = shards.notes(piece) if piece.source in sources else Notes.of([])
        top = top_part(notes)
        melody, chart = notes[notes.instrument == top], notes[np.isin(notes.instrument, (BEAT, CHORD))]
        if len(melody) >= LEAST and (chart.instrument == BEAT).sum() >= LEAST and (chart.instrument == CHORD).any():
            yield melody, chart, 1 / piece.alike


def right(markov: Markov, melody: Notes, chart: Notes) -> float:
    """The share of the tones of the recalled chords that are in the chords people named."""
    beats, chords = chart.beats, chart.chords
    edges = edges_of(beats)
    found = consensus(recalled(markov, melody + beats, edges), edges, CHANGE)
    middle = beats.onset + 0.3 * beats.duration
    said, true = chord_at(found, middle), chord_at(chords, middle)
    both = (said >= 0) & (true >= 0) & (said < NO_CHORD) & (true < NO_CHORD)
    tones = CHORD_TONES[said[both]]
    return float((tones & CHORD_TONES[true[both]]).sum() / max(tones.sum(), 1))


def pairs(melodies: Iterable[tuple[Notes, float]]) -> np.ndarray:
    """(12, 12) weighted counts of neighbouring pitch classes in melodies, each transposed to C from its likeliest key:
    hard EM from a major scale on, until no melody changes its key."""
    several, weights = zip(*((neighbours(melody), weight) for melody, weight in melodies), strict=True)
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
    parser = argparse.ArgumentParser(description="Count what songs tell of chords and keys.")
    parser.add_argument("shards", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--output", type=Path, metavar="harmony.safetensors")
    what.add_argument("--keys", action="store_true", help="print the table of anticipation/music/keys.py")
    what.add_argument("--beats", action="store_true", help="print the tables of anticipation/music/beats.py")
    what.add_argument("--drums", action="store_true", help="print the table of anticipation/music/groove.py")
    parser.add_argument("--sources", nargs="+", help="whose chords people have named (pop909), whose beats are true, "
                        "or whose drums are people's")  # fmt: skip
    args = parser.parse_args()
    shards = Shards(args.shards)
    sources = args.sources or (TRUE_BEATS if args.beats else DRUMMERS if args.drums else ["pop909"])
    if not any(piece.source in sources for piece in shards.split("train")):
        raise AnticipationError(f"{args.shards} has no training pieces of {', '.join(sources)}; see --sources")
    if args.keys:
        table = pairs((melody, weight) for melody, _, weight in songs(shards, "train", sources))
        print(np.rint(1e4 * table / table.sum()).astype(int).tolist())
    elif args.drums:
        table = strokes(shards, "train", sources)
        print(np.rint(1e4 * table / table.sum()).astype(int).tolist())
    elif args.beats:
        for bar, odds in struck(shards, sources).items():
            print(bar, odds.round(2).tolist())
    if not args.output:
        return
    markov = Markov.count(songs(shards, "train", sources))
    with replacing(args.output) as temporary:
        temporary.write_bytes(save(markov.tensors()))
    held_out = [right(markov, melody, chart) for melody, chart, _ in songs(shards, "dev", sources)]
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB; on {len(held_out)} held-out songs "
          f"{100 * np.mean(held_out):.1f} % of the tones of its chords are right")  # fmt: skip


if __name__ == "__main__":
    _script.run(main)
