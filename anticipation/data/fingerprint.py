"""Fingerprints of music: eight intervals in a row, in the upper or the lower line of a part. A copy has the same ones
in any key, tempo and rhythm, and in its bass if only the melody is changed. Knows notes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..music.notes import Notes, strikes

SHAPE = 8  # intervals of a fingerprint
SPAN = SHAPE + 1  # onsets that a fingerprint covers
WINDOW = 11  # the least of so many neighbouring fingerprints is kept: two of every twelve, and the same ones in a copy
BEFORE = 16  # notes before a note that are looked at for one that covers it


@dataclass(frozen=True)
class Line:
    """The upper or lower line of one instrument: onset (seconds) and pitch."""

    onset: np.ndarray
    pitch: np.ndarray

    @classmethod
    def of(cls, notes: Notes, side: int = 1) -> Line:
        """The upper line of an instrument's notes: those that no higher note covers, of a chord the top one. side -1:
        the lower line, likewise. So a melody is the same whatever is played under it, and a bass whatever is over
        it."""
        notes = notes[~_covered(notes, side)]
        new = strikes(notes.onset)
        edge = np.maximum.reduceat(side * notes.pitch, np.flatnonzero(new)) if len(notes) else notes.pitch
        return cls(notes.onset[new], side * edge)

    def marks(self) -> np.ndarray:
        """(onsets - SPAN + 1,) uint64: the fingerprint that begins at each onset; 0 for a run of equal steps, which is
        everywhere."""
        if len(self.onset) < SPAN:
            return np.zeros(0, np.uint64)
        steps = np.lib.stride_tricks.sliding_window_view(np.diff(self.pitch), SHAPE)
        code = np.zeros(len(steps), np.uint64)
        for column in steps.T:
            code = _mixed(code + column.astype(np.uint64) + np.uint64(1))  # a negative one wraps
        one = (steps[:, 1:] == steps[:, 1:2]).all(1)
        return np.where(one, np.uint64(0), np.maximum(code, np.uint64(1)))


def _covered(notes: Notes, side: int) -> np.ndarray:
    """Mask (N,): notes over whose first half a higher note (side -1: a lower one) sounds that began before."""
    pitch, end, middle = side * notes.pitch, notes.onset + notes.duration, notes.onset + notes.duration / 2
    covered = np.zeros(len(notes), dtype=bool)
    for k in range(1, min(BEFORE, len(notes) - 1) + 1):
        covered[k:] |= (pitch[:-k] > pitch[k:]) & (end[:-k] > middle[k:])
    return covered


def _mixed(code: np.ndarray) -> np.ndarray:
    """Each 64-bit number scattered over all of them (the finaliser of SplitMix64)."""
    code = (code ^ code >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ code >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return code ^ code >> np.uint64(31)


def winnowed(marks: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Places of the least mark of every `window` neighbours (winnowing; Schleimer et al. 2003). A copy keeps the same
    ones, wherever it begins."""
    if not len(marks):
        return np.zeros(0, np.int64)
    order = np.where(marks == 0, np.iinfo(np.uint64).max, marks)
    windows = np.lib.stride_tricks.sliding_window_view(order, min(window, len(order)))
    places = np.unique(windows.argmin(1) + np.arange(len(windows)))
    return places[marks[places] > 0]


def lines(notes: Notes) -> Iterator[tuple[int, Line]]:
    """(instrument, line) of the upper line of every pitched instrument, and of its lower one where that differs."""
    pitched = notes.pitched
    for instrument in pitched.instruments:
        own = pitched[pitched.instrument == instrument]
        upper, lower = Line.of(own), Line.of(own, -1)
        yield instrument, upper
        if not np.array_equal(upper.pitch, lower.pitch):
            yield instrument, lower
