"""Rubrics of melody-to-accompaniment on POP909's development songs: python train/judge.py CHECKPOINT SHARDS.

Only the melody goes in: 24 seconds from its first onset, no history, the grid or not, chords or not. The human piano
part and its anchors are scored by the same functions.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation import checkpoint, metrics  # noqa: E402
from anticipation.data import Shards  # noqa: E402
from anticipation.decode import Sampling  # noqa: E402
from anticipation.infilling import Infill, generate, plan_chords  # noqa: E402
from anticipation.notes import BEAT, CHORD, Notes  # noqa: E402

MELODY, PIANO = 53, 0
SECONDS = 24.0


def excerpts(shards: Shards, most: int | None = None):
    """(name, melody, human piano, beats, chords) of every development song: 24 s from the first melody onset."""
    songs = [p for p in shards.split("dev") if p.source == "pop909"]
    for piece in songs[:most]:
        notes = shards.notes(piece)
        start = float(notes[notes.instrument == MELODY].onset[0]) - 0.05
        chords = notes[notes.instrument == CHORD]
        chords = chords[(chords.offset > start) & (chords.onset < start + SECONDS)].shift(-start)
        late = np.maximum(-chords.onset, 0.0)
        chords = chords.replace(onset=chords.onset + late, duration=chords.duration - late)
        window = notes.between(start, start + SECONDS).shift(-start)
        parts = (window[window.instrument == i] for i in (MELODY, PIANO, BEAT))
        yield piece.name, *parts, chords


class Score:
    """Sums of the rubrics over songs."""

    def __init__(self) -> None:
        self.sums: dict[str, np.ndarray] = {}
        self.density: list[float] = []
        self.empty = 0

    def add(self, written: Notes, melody: Notes, human: Notes, beats: Notes, chords: Notes) -> None:
        pairs = {
            "harmony": metrics.harmony_rate(written, melody, chords),
            "doubling": metrics.doubling(written, melody),
            "support": metrics.melody_support(written, melody, beats),
        }
        for name, pair in pairs.items():
            self.sums[name] = self.sums.get(name, np.zeros(2)) + pair
        self.density.append(len(written) / max(len(human), 1))
        self.empty += len(written) / SECONDS < 0.5

    def row(self) -> dict[str, float]:
        out = {name: round(float(100 * a / max(b, 1)), 1) for name, (a, b) in self.sums.items()}
        return out | {"density": round(float(np.median(self.density)), 2), "empty": self.empty}


def judge(model, shards: Shards, *, beats: bool, chords: str, takes: int, seed: int, sampling: Sampling, most=None,
          drafts: int = 32, delta: float = 5.0, style: str = "unknown") -> dict:  # fmt: skip
    """chords: `given` (the labels), `planned` (the model harmonises first), `written` (with the notes), or `none`."""
    score, music, begin = Score(), 0.0, time.perf_counter()
    for _, melody, human, grid, labels in excerpts(shards, most):
        known = melody + (grid if beats else Notes.of([])) + (labels if chords == "given" else Notes.of([]))
        instruments = (PIANO, CHORD) if chords == "written" else (PIANO,)
        request = Infill(known, 0.0, SECONDS, instruments, delta=delta, style=style)
        charts = plan_chords(model, request, takes=takes, seed=seed, drafts=drafts) if chords == "planned" else None
        for written in generate(model, request, takes=takes, seed=seed, sampling=sampling, charts=charts)[0]:
            score.add(written.audible, melody, human, grid, labels)
            music += SECONDS
    return score.row() | {"x real time": round(music / (time.perf_counter() - begin), 1)}


def anchors(shards: Shards) -> dict[str, dict]:
    rows = {name: Score() for name in ("human", "another song", "melody's pitches")}
    songs = list(excerpts(shards))
    rng = np.random.default_rng(0)
    for i, (_, melody, human, grid, labels) in enumerate(songs):
        other = songs[(i + 1) % len(songs)][2]
        own = human.replace(pitch=rng.choice(melody.pitch, len(human))) if len(human) else human
        for name, notes in zip(rows, (human, other, own), strict=True):
            rows[name].add(notes, melody, human, grid, labels)
    return {name: score.row() for name, score in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--songs", type=int, help="only the first N songs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--top-p", type=float, default=Sampling.top_p)
    parser.add_argument("--temperature", type=float, default=Sampling.temperature)
    parser.add_argument("--chords", nargs="*", default=["none", "written", "planned", "given"])
    parser.add_argument("--beats", choices=["no", "yes"], nargs="*", default=["no", "yes"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shards, model = Shards(args.shards), checkpoint.load(args.checkpoint)
    for name, row in anchors(shards).items():
        print(f"{name:28s}", json.dumps(row), flush=True)
    for chords in args.chords:
        for beats in args.beats:
            row = judge(model, shards, beats=beats == "yes", chords=chords, takes=args.takes, seed=args.seed,
                        sampling=Sampling(args.temperature, args.top_p), most=args.songs)  # fmt: skip
            print(f"chords {chords:8s} beats {beats:3s}     ", json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
