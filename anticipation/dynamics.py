"""Dynamics: how loud what was written is to be, by what is known around it. Knows notes; draws nothing.

A model of notes hears loudness last: in people's parts half of another's swell shows, and in its own a fifth
(train/LOG.md).
"""

from __future__ import annotations

import numpy as np

from .notes import Notes

NEAR = 2.0  # seconds, before and behind, in which notes tell how loud it is
SWELL = 0.6  # share of the others' swell that a part takes on, beside what the model does by itself
LEVEL = 0.5  # of the way that a part that joins several others comes to be as loud as they are
DRIFTS = 24.0  # seconds, before and behind, in which a new part has one level: of minutes, some end at half of it
OWN = 0.7  # of the way that a part comes back to its own level where nothing of it is near: long holes grew to 127


def as_loud(notes: Notes, known: Notes) -> Notes:
    """Notes as loud as the known one that begins last before each, or first after it: for a model that knows no
    dynamics."""
    if not len(known):
        return notes
    last = np.searchsorted(known.onset, notes.onset + 0.01, side="right") - 1
    return notes.replace(velocity=known.velocity[np.maximum(last, 0)])


def swell(others: Notes, times: np.ndarray) -> np.ndarray:
    """How much louder a part plays at each time (seconds) for others do. others: sorted, one at least."""
    around, count = loudness(others, times)
    return SWELL * (around - others.velocity.mean()) * count / (count + 1)


def balanced(notes: Notes, known: Notes) -> Notes:
    """Notes that swell with the known ones, which are sorted. A part of which something is known nearby is as loud as
    that, and further in it comes back to the level that it has elsewhere; a new one keeps its level over minutes, goes
    with the others and, where those are several, comes near to their level: beside a lone tune it is as much softer as
    the model likes."""
    known = known[known.velocity > 0]
    others = known.pitched
    if not len(notes) or not len(known):
        return notes
    shift = np.zeros(len(notes))
    for instrument in notes.audible.instruments:
        mine = np.flatnonzero(notes.instrument == instrument)
        part, own = notes[mine], known.of_instruments((instrument,))
        near, count = loudness(own, part.onset)
        surely = count / (count + 1)
        mean = loudness(part, part.onset)[0]
        goes = np.zeros(len(part))
        if len(others):
            goes += swell(others, part.onset)
            if not len(own) and len(others.instruments) > 1:
                goes += LEVEL * (others.velocity.mean() - part.velocity.mean())
        if len(own):
            goes += OWN * (own.velocity.mean() - mean)
        else:
            goes += part.velocity.mean() - loudness(part, part.onset, DRIFTS)[0]
        shift[mine] = surely * (near - mean) + (1 - surely) * goes
    louder = np.clip(np.rint(notes.velocity + shift), 1, 127).astype(notes.velocity.dtype)
    return notes.replace(velocity=np.where(notes.velocity > 0, louder, notes.velocity))


def loudness(notes: Notes, times: np.ndarray, near: float = NEAR) -> tuple[np.ndarray, np.ndarray]:
    """The mean velocity of the notes that begin near each time (both seconds), 0 where none does, and how many do."""
    total = np.concatenate([[0.0], np.cumsum(notes.velocity, dtype=np.float64)])
    first, last = (np.searchsorted(notes.onset, times + reach) for reach in (-near, near))
    count = last - first
    return (total[last] - total[first]) / np.maximum(count, 1), count
