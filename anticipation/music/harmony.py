"""Chords as numbers and pitch classes, and estimated from notes. Knows no files and no models.

A chord is `quality * 12 + root` (0-119), or NO_CHORD. Chords in time are Notes of instrument CHORD.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .grid import edges_of, ranges
from .notes import CHORD, Notes

QUALITIES = {
    "": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "7": (0, 4, 7, 10), "m7b5": (0, 3, 6, 10),
}  # fmt: skip
NO_CHORD = 12 * len(QUALITIES)
CHORDS = NO_CHORD + 1
CHORD_TONES = np.zeros((CHORDS, 12), dtype=bool)  # [symbol, pitch class]; NO_CHORD has none
for _q, _tones in enumerate(QUALITIES.values()):
    for _root in range(12):
        CHORD_TONES[_q * 12 + _root, [(_root + tone) % 12 for tone in _tones]] = True


def chord_notes(changes: Iterable[tuple[float, float, int]]) -> Notes:
    """CHORD notes from (onset, end, symbol); equal neighbours are joined."""
    rows: list[list[float]] = []
    for onset, end, symbol in changes:
        if rows and rows[-1][2] == symbol and abs(rows[-1][1] - onset) < 0.02:
            rows[-1][1] = end
        elif end > onset:
            rows.append([onset, end, symbol])
    return Notes.of((onset, end - onset, int(symbol), CHORD, 64) for onset, end, symbol in rows)


def chord_at(chords: Notes, times: np.ndarray) -> np.ndarray:
    """(N,) the chord symbol that sounds at each time (seconds), the last one begun; -1 where none does."""
    if not len(chords):
        return np.full(len(times), -1)
    i = np.searchsorted(chords.onset, times + 1e-6, side="right") - 1
    return np.where((i >= 0) & (times < chords.offset[i] + 1e-3), chords.pitch[i], -1)


def chroma(notes: Notes, edges: np.ndarray) -> np.ndarray:
    """(len(edges) - 1, 12) seconds that each pitch class sounds between two edges; drums, chords and beats left out."""
    notes = notes.pitched
    out = np.zeros((len(edges) - 1, 12))
    if not len(notes) or not len(out):
        return out
    ends = notes.onset + np.minimum(notes.duration, 10.0)
    first = np.clip(np.searchsorted(edges, notes.onset, side="right") - 1, 0, len(out) - 1)
    last = np.clip(np.searchsorted(edges, ends, side="left") - 1, 0, len(out) - 1)
    count = np.maximum(last - first + 1, 0)
    note, segment = np.repeat(np.arange(len(notes)), count), ranges(first, count)  # every two that meet
    shared = np.minimum(ends[note], edges[segment + 1]) - np.maximum(notes.onset[note], edges[segment])
    np.add.at(out, (segment, notes.pitch[note] % 12), np.maximum(shared, 0.0))
    return out


def classes_at_once(notes: Notes, edges: np.ndarray) -> np.ndarray:
    """(len(edges) - 1,) how many pitch classes sound at once between two edges, on average."""
    return chroma(notes, edges).sum(1) / np.maximum(np.diff(edges), 1e-9)


_TEMPLATES = CHORD_TONES[:NO_CHORD].astype(np.float64)
# A handicap for all but plain triads: a seventh has to be heard, not guessed.
_PRIOR = np.repeat([0.0, 0.0, -0.10, -0.12, -0.14, -0.12, -0.06, -0.06, -0.06, -0.10], 12)
# Against the score of a beat, which is 1 where only tones of the chord sound: the cost of a tone more than three, the
# gain of a root in the bass, and the cost of a change of chord.
LARGER, IN_BASS, CHANGE = 0.04, 0.15, 0.35


def estimate_chords(notes: Notes, beats: Notes) -> Notes:
    """CHORD notes estimated from the notes that sound, one decision a beat (half seconds without beats): chroma
    templates, smoothed by Viterbi's algorithm with a constant cost of a change."""
    pitched = notes.pitched
    if not len(pitched):
        return Notes.of([])
    edges = edges_of(beats) if len(beats) else np.arange(0.0, notes.end + 0.5, 0.5)
    weight = chroma(pitched, edges)
    bass = np.full(len(weight), -1)  # pitch class of the lowest onset of each segment
    segment = np.searchsorted(edges, pitched.onset, side="right") - 1
    order = np.argsort(-pitched.pitch, kind="stable")
    inside = order[(segment[order] >= 0) & (segment[order] < len(bass))]
    bass[segment[inside]] = pitched.pitch[inside] % 12
    total = weight.sum(1, keepdims=True)
    share = weight / np.maximum(total, 1e-9)
    size = _TEMPLATES.sum(1)
    score = share @ (_TEMPLATES * 2 - 1).T - LARGER * (size - 3) + _PRIOR  # sound in the chord less sound outside of it
    score += IN_BASS * (bass[:, None] == np.arange(NO_CHORD)[None] % 12)
    score[total[:, 0] <= 0] = 0.0
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), best_path(score, CHANGE), strict=True))


def best_path(score: np.ndarray, change: float | np.ndarray) -> list[int]:
    """The states (N,) of the highest total score (N, states), each change costing `change` (Viterbi): a number, or one
    for each step (N,), of which the first is not needed."""
    best = score.copy()  # of all paths that end in a state
    least = []  # what it takes to stay: below it, coming from the best state pays
    add, at_least = np.add, np.maximum  # the loop runs for every beat of a corpus
    last = best[0]
    for now, cost in zip(best[1:], np.broadcast_to(change, len(best))[1:].tolist(), strict=True):
        floor = last[last.argmax()] - cost
        add(now, at_least(last, floor), now)
        least.append(floor)
        last = now
    top = best.argmax(1)
    path = [int(top[-1])]
    for i in range(len(score) - 2, -1, -1):
        path.append(path[-1] if best[i, path[-1]] >= least[i] else int(top[i]))
    return path[::-1]
