"""Anchors: writers without a model that a model is compared with, from silence to the human. Knows cases and shards."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from cases import HOLE, LEAD, MELODY, PIANO, Case

from anticipation.data.shards import Piece, Shards
from anticipation.music.harmony import chroma
from anticipation.music.notes import Notes

Anchor = Callable[[list[Case]], Iterator[Notes]]
BANK = {"accompany": 400}  # training pieces of the case's source that are searched
FEW, STARTS, LONGEST = 80, 150, 20_000  # pieces searched for other tasks; excerpts of a piece; notes of one, at most
FINE, COARSE = 0.05, 10  # seconds of a chroma frame; frames of a segment that is compared
AROUND = 8.0  # seconds on both sides by which the neighbour of a hole is found


def silence(cases: list[Case]) -> Iterator[Notes]:
    yield from (Notes.of([]) for _ in cases)


def another(cases: list[Case]) -> Iterator[Notes]:
    """What the human wrote for the next case."""
    for case, other in zip(cases, cases[1:] + cases[:1], strict=True):
        yield other.human.shift(case.start - other.start).between(case.start, case.end)


def previous_bar(cases: list[Case]) -> Iterator[Notes]:
    """Each bar as the human played the one before it; in a hole, the last bar before the hole again and again."""
    for case in cases:
        bar = float(np.median(np.diff(case.bars))) if len(case.bars) > 1 else 2.0
        if case.start == 0.0:
            yield case.human.shift(bar).between(case.start, case.end)
            continue
        last = case.known.of_instruments(case.instruments).between(case.start - bar, case.start)
        copies = (last.shift(bar * (i + 1)) for i in range(int((case.end - case.start) / bar) + 1))
        yield Notes.concat(copies).between(case.start, case.end)


def melody_pitches(cases: list[Case]) -> Iterator[Notes]:
    """The human's rhythm, on pitches drawn from the melody."""
    rng = np.random.default_rng(0)
    for case in cases:
        pitches, human = case.melody.pitch, case.human
        yield human.replace(pitch=rng.choice(pitches, len(human))) if len(human) and len(pitches) else human


def human(cases: list[Case]) -> Iterator[Notes]:
    yield from (case.human for case in cases)


def anchors(shards: Shards, task: str, seed: int = 0) -> dict[str, Anchor]:
    """The anchors of a task by name, the lowest first."""
    several: dict[str, Anchor] = {"silence": silence, "another song": another}
    if task == "accompany":
        several["melody's pitches"] = melody_pitches
    nearest = Retrieval(shards, seed)
    return several | {"nearest neighbour": nearest, "previous bar": previous_bar, "human": human}


class Retrieval:
    """What was played with the training excerpt whose given notes are most like the case's, by the cosine between
    chromas of half seconds, in the best of twelve transpositions."""

    def __init__(self, shards: Shards, seed: int) -> None:
        self.shards, self.seed = shards, seed
        self.bank = lru_cache(maxsize=3)(self._bank)

    def __call__(self, cases: list[Case]) -> Iterator[Notes]:
        for case in cases:
            yield self.nearest(case)

    def nearest(self, case: Case) -> Notes:
        instrument = case.instruments[0] if case.task == "parts" else -1
        places, table = self.bank(case.task, case.piece.source, instrument)
        if not places:
            return Notes.of([])
        slip = 0.0  # seconds from the last note before a hole to the hole, which begins at any moment
        if case.task == "hole":
            slip = case.start - max(case.known.onset[case.known.onset < case.start], default=case.start) + LEAD
        first = case.start - slip - (AROUND if case.task == "hole" else 0.0)
        near = case.known.between(first, case.end + AROUND)
        asked = _segments(_sums(near.shift(-first)), np.zeros(1), case.task)[0].reshape(-1, 12)
        turned = _unit(np.stack([np.roll(asked, key, axis=1).ravel() for key in range(12)]))
        best, key = np.unravel_index((table @ turned.T).argmax(), (len(table), 12))
        piece, start = places[best][0], places[best][1] + slip
        _, part = split(self.shards.notes(piece).audible, case.task, instrument)
        part = part.between(start, start + case.end - case.start).shift(case.start - start)
        if case.task == "half":
            part = part[np.random.default_rng((self.seed, zlib.crc32(case.name.encode()))).random(len(part)) < 0.5]
        return part.transpose(int((6 - key) % 12 - 6))

    def _bank(self, task: str, source: str, instrument: int) -> tuple[list[tuple[Piece, float]], np.ndarray]:
        """Places (piece, start of what would be written), and for each a row of unit length."""
        pieces = [p for p in self.shards.split("train") if p.source == source and p.notes <= LONGEST]
        order = np.random.default_rng(self.seed).permutation(len(pieces))[: BANK.get(task, FEW)]
        places: list[tuple[Piece, float]] = []
        rows = []
        for i in order:
            given, part = split(self.shards.notes(pieces[i]).audible, task, instrument)
            if not len(given.pitched) or not len(part):
                continue
            starts = np.unique(given.onset.round(2)) - LEAD
            starts = starts[:: -(-len(starts) // STARTS)]
            before = AROUND if task == "hole" else 0.0
            rows.append(_segments(_sums(given), starts - before, task))
            places += [(pieces[i], float(start)) for start in starts]
        table = np.concatenate(rows) if rows else np.zeros((0, 12))
        return places, _unit(table).astype(np.float32)


def split(notes: Notes, task: str, instrument: int) -> tuple[Notes, Notes]:
    """(what a task would give, what it would ask for) of a whole piece."""
    if task == "accompany":
        return notes[notes.instrument == MELODY], notes[notes.instrument == PIANO]
    if task == "parts":
        return notes[notes.instrument != instrument], notes[notes.instrument == instrument]
    return notes, notes


def _sums(notes: Notes) -> np.ndarray:
    """(frames + 1, 12) seconds that each pitch class has sounded up to each frame of 50 ms."""
    edges = np.arange(round(notes.end / FINE) + 2) * FINE
    return np.concatenate([np.zeros((1, 12)), np.cumsum(chroma(notes, edges), axis=0)])


def _segments(sums: np.ndarray, starts: np.ndarray, task: str) -> np.ndarray:
    """(starts, segments x 12) chroma of the half seconds from each start on, those of a hole being 0."""
    seconds = 2 * AROUND + HOLE if task == "hole" else 24.0
    frame = np.rint(starts / FINE).astype(np.int64)[:, None] + COARSE * np.arange(round(seconds / FINE / COARSE) + 1)
    rows = np.diff(sums[np.clip(frame, 0, len(sums) - 1)], axis=1)
    if task == "hole":
        begin = round(AROUND / FINE / COARSE)
        rows[:, begin : begin + round(HOLE / FINE / COARSE)] = 0.0
    return rows.reshape(len(starts), -1)


def _unit(rows: np.ndarray) -> np.ndarray:
    """The rows, scaled to length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
