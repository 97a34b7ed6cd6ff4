"""The key of some notes, and the way to C. Knows notes alone."""

from __future__ import annotations

import numpy as np

from .notes import Notes

# Of ten thousand pairs of neighbouring notes in melodies transposed to C major or A minor, how many go from one pitch
# class (row, from C up) to another (column). From `python train/recall.py SHARDS --keys`, counted in POP909.
PAIRS = np.array([
    [333, 6, 427, 4, 209, 50, 1, 176, 7, 307, 8, 271],
    [5, 9, 6, 9, 1, 4, 2, 0, 5, 2, 4, 1],
    [449, 5, 244, 6, 481, 41, 6, 158, 2, 94, 2, 66],
    [3, 11, 6, 7, 5, 12, 1, 1, 4, 0, 2, 1],
    [183, 2, 538, 4, 336, 141, 9, 335, 12, 211, 1, 61],
    [36, 3, 33, 15, 161, 72, 6, 91, 7, 57, 4, 6],
    [0, 1, 4, 1, 10, 6, 6, 7, 6, 6, 1, 2],
    [184, 0, 134, 2, 360, 105, 8, 303, 8, 401, 7, 103],
    [5, 4, 2, 4, 8, 10, 4, 6, 13, 14, 10, 9],
    [364, 3, 100, 1, 200, 39, 3, 406, 8, 320, 3, 175],
    [8, 4, 2, 2, 1, 4, 2, 7, 9, 4, 21, 2],
    [234, 2, 60, 2, 52, 10, 2, 118, 8, 207, 2, 78],
])  # fmt: skip


def moves(pairs: np.ndarray) -> np.ndarray:
    """(12 keys, 12, 12) log probability of one pitch class (row) being followed by another in each major key, from
    counts in C."""
    table = np.log((pairs + 0.5) / (pairs + 0.5).sum(1, keepdims=True))
    return np.stack([np.roll(table, (key, key), (0, 1)) for key in range(12)])


def neighbours(notes: Notes) -> np.ndarray:
    """(12, 12) how often one pitch class (row) is followed by another; drums left out."""
    pitch = notes.pitched.pitch % 12
    return np.bincount(pitch[:-1] * 12 + pitch[1:], minlength=144).reshape(12, 12)


_MOVES = moves(PAIRS)
_FIRST = np.stack([np.roll(np.log(PAIRS.sum(1) / PAIRS.sum()), key) for key in range(12)])


def fits(notes: Notes) -> np.ndarray:
    """(12,) log probability of the notes in each major key."""
    first = notes.pitched.pitch[:1] % 12
    return (_MOVES * neighbours(notes)).sum((1, 2)) + _FIRST[:, first].sum(1)


def estimate_key(notes: Notes) -> int:
    """Tonic (pitch class) of the major key in which the notes are most likely to follow one another; A minor answers 0
    like C major. Silence answers 0."""
    return int(fits(notes).argmax())


def sharps_of(key: int) -> int:
    """Sharps (flats: less than 0; -5..6) in the signature of the major key on a pitch class."""
    return (7 * key + 5) % 12 - 5


def to_c(key: int) -> int:
    """Semitones (-5..6) that transpose a major key to C."""
    return (5 - key) % 12 - 5


def moved(pitches: np.ndarray, shift: int) -> np.ndarray:
    """A (128,) mask of pitches, `shift` semitones up; what leaves MIDI's range is lost."""
    return np.isin(np.arange(128), np.flatnonzero(pitches) + shift)


def shift_to_c(notes: Notes, pitches: np.ndarray | None = None) -> int:
    """Semitones that transpose notes to C major. pitches: (128,) mask of legal pitches; the shift goes the other way
    round the octave if it would take all of these out of MIDI's range."""
    shift = to_c(estimate_key(notes))
    if pitches is not None and not moved(pitches, shift).any():
        shift += -12 if shift > 0 else 12
    return shift


def key_clarity(notes: Notes) -> float:
    """How much likelier the notes are in their key than at random, in nats a note: about 0.8 for a tune, below 0 for
    random pitches. Infinite where there are fewer than three pitch classes to judge by."""
    pitch = notes.pitched.pitch % 12
    if len(np.unique(pitch)) < 3:
        return np.inf
    return float(fits(notes).max() / len(pitch) + np.log(12))
