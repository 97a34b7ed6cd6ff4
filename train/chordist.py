"""Train the small network that hears and guesses chords, anticipation/model/chordist.py, and say how often it is right:

    python train/chordist.py SHARDS -o checkpoints/default/chordist.safetensors

It is shown some of the notes of a piece (a tune, some parts, a random share, all but a hole) and asked for the chords
of all of it: those that people named, or that are heard in the whole. An hour on one core."""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import _script
import numpy as np
import torch
import torch.nn.functional as F
from recipes import MIX
from torch import Tensor

from anticipation.data.shards import Piece, Shards
from anticipation.data.windows import choose_controls, draw, top_part
from anticipation.errors import AnticipationError
from anticipation.infilling.consensus import CHANGE, consensus
from anticipation.model.chordist import BEAT_FEATURES, CLASS_FEATURES, KNOWN, STEP, Chordist, told
from anticipation.music.grid import edges_of, middle
from anticipation.music.harmony import CHORD_TONES, NO_CHORD, chord_at
from anticipation.music.notes import Notes

BATCH, LENGTH = 16, 128  # excerpts a step, and beats in each
PADDED = -2
LEAST = 16  # beats that a piece has to have
UNHEARD = {"groove", "cre-corpus"}  # drums, and tunes alone: their chords are not known
SHOWN = {"tune": 0.35, "parts": 0.15, "random": 0.2, "none": 0.3}  # none: all notes
HIDDEN = {"nothing": 0.4, "hole": 0.35, "rest": 0.25}  # of which beats no notes are shown at all
LONGEST = 24  # beats that are hidden, at most
DARK = 3.0  # how often a beat counts that is hidden: of an excerpt there are few
NO_BEATS, NO_PLACES = 0.15, 0.03  # how often half seconds stand for beats, and places in the bar are not told
TASKS = {"tune": ("tune", "nothing"), "ahead": ("tune", "rest"), "half": ("half", "nothing"), "hole": ("none", "hole")}


def show(notes: Notes, kind: str, rng: np.random.Generator) -> Notes:
    """The pitched notes that are shown. kind: of SHOWN, or "half" for a random half."""
    if kind == "tune":
        return notes[notes.instrument == top_part(notes)]
    if kind == "half":
        return notes[rng.random(len(notes)) < 0.5]
    given = choose_controls(notes, kind, rng)
    return notes[given] if given.any() else notes


def excerpt(
    notes: Notes, kind: str, hidden: str, rng: np.random.Generator, beats_told: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Edges (T + 1, seconds) somewhere in a piece, what is told between them, see `chordist.told`, and the chords
    (T,) there, -1 where there is none. kind: of `show`; hidden: of HIDDEN. None where the piece has too little."""
    beats = notes.beats
    first = int(rng.integers(0, max(1, len(beats) - LENGTH + 1)))
    beats = beats[first : first + LENGTH]
    if len(beats) < LEAST or len(notes.chords) < 2:
        return None
    edges = edges_of(beats)
    places = beats.pitch if rng.random() >= NO_PLACES else np.full(len(beats), -1)
    if not beats_told:
        edges = np.arange(edges[0] + rng.random() * STEP, edges[-1], STEP)[: LENGTH + 1]
        places = np.full(max(len(edges) - 1, 0), -1)
    shown = notes.pitched.between(edges[0] - 2.0, edges[-1])
    if len(edges) <= LEAST or (np.diff(edges) < 0.05).any() or not len(shown):
        return None
    shown, hole = show(shown, kind, rng), None
    if hidden != "nothing":
        count = int(rng.integers(1, min(LONGEST, len(edges) - 8) + 1))
        at = int(rng.integers(4, len(edges) - count))
        edges, places = (edges[: at + count + 1], places[: at + count]) if hidden == "rest" else (edges, places)
        hole = (float(edges[at]), float(edges[at + count]))
        shown = shown[(shown.onset < hole[0] - 0.05) | (shown.onset >= hole[1] - 0.05)].between(-np.inf, edges[-1])
    chords = chord_at(notes.chords, 0.7 * edges[:-1] + 0.3 * edges[1:])
    return edges, *told(shown, edges, places, hole), np.where(chords < NO_CHORD, chords, -1)


def examples(shards: Shards, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Excerpts of training pieces without end: what is told of pitch classes and beats, and the chords. Sources by
    MIX; takes of a song weigh as one. Raises AnticipationError where no piece will do."""
    pieces: dict[str, list[Piece]] = defaultdict(list)
    for piece in shards.split("train"):
        if MIX.get(piece.source) and piece.source not in UNHEARD:
            pieces[piece.source].append(piece)
    if not pieces:
        raise AnticipationError(f"{shards.folder} has no training pieces of the sources of the mix")
    weights = {source: np.array([1 / piece.alike for piece in several]) for source, several in pieces.items()}
    odds = {source: weight / weight.sum() for source, weight in weights.items()}
    shares = {source: MIX[source] for source in pieces}
    while True:
        source = draw(rng, shares)
        piece = pieces[source][rng.choice(len(pieces[source]), p=odds[source])]
        found = excerpt(shards.notes(piece), draw(rng, SHOWN), draw(rng, HIDDEN), rng, rng.random() >= NO_BEATS)
        if found:
            yield found[1:]


def batch(found: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor, Tensor]:
    """The next BATCH excerpts, padded; chords are PADDED there."""
    classes = torch.zeros(BATCH, LENGTH, 12, CLASS_FEATURES)
    beats, chords = torch.zeros(BATCH, LENGTH, BEAT_FEATURES), torch.full((BATCH, LENGTH), PADDED)
    for i in range(BATCH):
        for table, part in zip((classes, beats, chords), next(found), strict=True):
            table[i, : len(part)] = torch.from_numpy(part)
    return classes, beats, chords


def right(chordist: Chordist, notes: Notes, task: str, rng: np.random.Generator) -> float:
    """The share of the tones of its chords that are in the true ones, only where notes are hidden if any are. NaN for
    none."""
    kind, hidden = TASKS[task]
    found = excerpt(notes, kind, hidden, rng)
    if found is None:
        return np.nan
    edges, classes, beats, true = found
    with torch.inference_mode():
        odds = chordist(torch.from_numpy(classes)[None], torch.from_numpy(beats)[None])[0].softmax(-1).double().numpy()
    said = chord_at(consensus(odds, edges, CHANGE), middle(edges))
    asked = (said >= 0) & (true >= 0) & ((hidden == "nothing") | (beats[:, KNOWN] == 0))
    tones = CHORD_TONES[said[asked]]
    return (tones & CHORD_TONES[true[asked]]).sum() / tones.sum() if asked.any() else np.nan


def judged(chordist: Chordist, shards: Shards) -> str:
    """How often it is right in held-out pieces, by split and task, in percent."""
    chordist.eval()
    rows = []
    for split in ("dev", "valid"):
        pieces = [piece for piece in shards.split(split) if piece.source not in UNHEARD]
        pieces = pieces[:: max(1, len(pieces) // 60)]
        for task in TASKS if pieces else ():
            rng = np.random.default_rng(0)
            rows.append((split, task, [right(chordist, shards.notes(piece), task, rng) for piece in pieces]))
    chordist.train()
    return ", ".join(f"{split} {task} {100 * np.nanmean(shares):.1f}" for split, task, shares in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="chordist.safetensors")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    shards, chordist = Shards(args.shards), Chordist(dropout=0.1)
    found, began = examples(shards, np.random.default_rng(args.seed)), time.monotonic()
    optimizer = torch.optim.AdamW(chordist.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.02)
    for step in range(1, args.steps + 1):
        rate = min(1.0, step / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / args.steps)))
        optimizer.param_groups[0]["lr"] = args.lr * rate
        classes, beats, chords = batch(found)
        logits = chordist(classes, beats, chords > PADDED)
        counts = (chords >= 0) * (1.0 + (DARK - 1.0) * (beats[:, :, KNOWN] == 0))
        lost = F.cross_entropy(
            logits.flatten(0, 1), chords.flatten().clamp(min=0), reduction="none", label_smoothing=0.02
        )
        loss = (lost * counts.flatten()).sum() / counts.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chordist.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == args.steps:
            print(f"{step} {time.monotonic() - began:.0f} s loss {loss:.3f}", flush=True)
        if step % 500 == 0 or step == args.steps:
            chordist.save(args.output)
            print(f"{step} tones right: {judged(chordist, shards)} %", flush=True)


if __name__ == "__main__":
    _script.run(main)
