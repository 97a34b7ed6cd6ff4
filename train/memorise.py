"""The index of what a checkpoint was trained on: python train/memorise.py SHARDS -o checkpoints/default/memory.npz.

It ships beside the checkpoint; `anticipate check` reads it. How often people who never heard the training set match it
by chance is measured on the held-out pieces and kept in the index; how many planted copies are found is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import _script
import numpy as np

from anticipation.data.memory import SPAN, WINDOW, Line, Memory
from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError
from anticipation.music.notes import Notes

SECONDS = 60.0  # of a passage by people: longer than any chance match, so that none is cut short
PLANTINGS = 300  # passages of which copies are planted
PLANTED = 16.0  # seconds of a planted copy: eight bars at 120 bpm
LENGTHS = (SPAN + 1, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)  # distinct onsets of a match
SEMITONES, OCTAVES = 6, 0.5  # by how much a planted copy may be transposed, and its tempo changed (octaves: a factor 2)
PLANTS = {  # shares of the notes that are changed and left out; whether the copy is transposed, at another tempo
    "as it is": (0.0, 0.0, False),
    "transposed, another tempo": (0.0, 0.0, True),
    "and 5 % of the pitches changed": (0.05, 0.0, True),
    "and 10 % changed": (0.10, 0.0, True),
    "and 10 % left out": (0.0, 0.10, True),
}


def passages(notes: Notes, seconds: float) -> Iterator[Notes]:
    """Passages of so many seconds, one after the other, of each pitched instrument, if they have at least SPAN
    notes."""
    for instrument in notes.pitched.instruments:
        own = notes[notes.instrument == instrument]
        for start in np.arange(own.onset[0], own.end - seconds / 2, seconds):
            passage = own.between(start, start + seconds)
            if len(passage) >= SPAN:
                yield passage


def chances(memory: Memory, shards: Shards, split: str) -> dict[str, np.ndarray]:
    """source -> distinct onsets of the longest match of each of its passages; 0 for none. Of takes of one piece only
    the first counts: either all of them match, or none."""
    found: dict[str, list[int]] = {}
    pieces = shards.split(split)
    first = {piece.group: piece for piece in reversed(pieces) if piece.group >= 0}
    for piece in pieces:
        if first.get(piece.group, piece) is not piece:
            continue
        for passage in passages(shards.notes(piece), SECONDS):
            matches = memory.matches(passage)
            found.setdefault(piece.source, []).append(matches[0].distinct if matches else 0)
    return {source: np.array(lengths) for source, lengths in found.items()}


def curve(lengths: np.ndarray) -> list[tuple[int, float]]:
    """(onsets, share of passages with a match at least so long); never 0, for what was not seen may still happen."""
    return [(n, round(float(((lengths >= n).sum() + 1) / (len(lengths) + 1)), 6)) for n in LENGTHS]


def planted(passage: Notes, kind: str, rng: np.random.Generator) -> Notes:
    """A copy of a passage as a model would write it: on a 10 ms grid, and changed as PLANTS says."""
    changed, lost, moved = PLANTS[kind]
    factor = 2.0 ** rng.uniform(-OCTAVES, OCTAVES) if moved else 1.0
    onset = ((passage.onset - passage.onset[0]) * factor * 100).round() / 100
    copy = passage.replace(onset=onset, duration=passage.duration * factor)
    copy = copy.transpose(int(rng.integers(-SEMITONES, SEMITONES + 1)) if moved else 0)
    off = np.where(rng.random(len(copy)) < changed, rng.choice([-3, -2, -1, 1, 2, 3], len(copy)), 0)
    return copy.replace(pitch=np.clip(copy.pitch + off, 0, 127))[rng.random(len(copy)) >= lost].sorted()


def recall(memory: Memory, shards: Shards, seed: int, least: int) -> dict[str, dict]:
    """For copies of training passages of at least `least` onsets, changed in each way: what share is found (by a match
    as long as one human passage in a hundred has), and how much of those the longest match covers."""
    rng = np.random.default_rng(seed)
    pieces = shards.split("train")
    rare = min((n for n, share in memory.facts["chance"] if share <= 0.01), default=16)
    table: dict[str, list[float]] = {kind: [] for kind in PLANTS}
    while pieces and len(table["as it is"]) < PLANTINGS:
        several = [
            p
            for p in passages(shards.notes(pieces[rng.integers(len(pieces))]), PLANTED)
            if len(Line.of(p).onset) >= least
        ]
        if not several:
            continue
        passage = several[rng.integers(len(several))]
        for kind, covered in table.items():
            matches = memory.matches(planted(passage, kind, rng))
            found = bool(matches) and matches[0].distinct >= rare
            covered.append(matches[0].notes / len(Line.of(passage).onset) if found else 0.0)
    return {
        kind: {"found %": round(100 * float(np.mean(np.array(covered) > 0)), 1), "covered %": _percent(covered)}
        for kind, covered in table.items()
    }


def _percent(values: list[float]) -> float:
    found = [value for value in values if value > 0]
    return round(100 * float(np.mean(found)), 1) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="memory.npz")
    parser.add_argument("--window", type=int, default=WINDOW, help=f"larger: a smaller index (default: {WINDOW})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one machine-readable line at the end")
    args = parser.parse_args()
    shards = Shards(args.shards)
    train = shards.split("train")
    if not train:
        raise AnticipationError(f"{args.shards} has no training pieces (shares are joined by prepare.py --merge)")
    begin = time.perf_counter()
    memory = Memory.build(((f"{p.source}/{p.name}", shards.notes(p)) for p in train), args.window)
    print(f"{len(train)} pieces, {len(memory)} fingerprints, {time.perf_counter() - begin:.0f} s")
    found = {split: chances(memory, shards, split) for split in ("dev", "valid")}
    # Of the held-out songs (dev) no other take is trained on; `valid` may hold another edition of what is.
    base = found["dev"] or found["valid"]
    memory = memory.with_facts(chance=curve(np.concatenate([*base.values(), np.zeros(0)])) if base else None)
    memory.save(args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB\n\n" + chance_table(found))
    planted_found = {f"of {least} onsets": recall(memory, shards, args.seed, least) for least in (24, 48)}
    lines = ([f"{length} or more, {kind}", *row.values()]
             for length, rows in planted_found.items() for kind, row in rows.items())  # fmt: skip
    print("\n" + _script.markdown(["planted copies", "found %", "covered %"], lines))
    if args.json:
        print(json.dumps({"fingerprints": len(memory), "bytes": args.output.stat().st_size,
                          "chance": memory.facts["chance"], "recall": planted_found}))  # fmt: skip


def chance_table(found: dict[str, dict[str, np.ndarray]]) -> str:
    """Percent of the held-out passages whose longest match has so many onsets."""
    rows = (
        [f"{split} {source}", len(lengths), *(f"{100 * float((lengths >= n).mean()):.1f}" for n in LENGTHS)]
        for split, sources in found.items()
        for source, lengths in sources.items()
    )
    head = f"Percent of passages of {SECONDS:.0f} s with a match of so many distinct onsets\n\n"
    return head + _script.markdown(["held out", "passages", *(f">= {n}" for n in LENGTHS)], rows)


if __name__ == "__main__":
    _script.run(main)
