"""Dynamics: how loud written notes are to be, by the known ones around them. Knows notes; draws nothing.

A model of notes learns loudness last: people's parts take on half of another part's swell, the model's own a fifth
(train/LOG.md).
"""

from __future__ import annotations

import numpy as np

from .notes import Notes

NEAR = 2.0  # seconds before and after a time in which notes tell how loud the music is
SWELL = 0.6  # share of the others' swell that a part takes on, beside what the model does by itself
LEVEL = 0.5  # how far a new part beside several others is moved to their mean loudness
DRIFTS = 24.0  # seconds before and after in which a new part keeps its level: over minutes, some fell to half of it
OWN = 0.7  # how far a part comes back to its own mean where none of its notes are near: long holes grew to 127


def as_loud(notes: Notes, known: Notes) -> Notes:
    """Notes as loud as the last known note before each, or the first one after it: for a model without velocities."""
    if not len(known):
        return notes
    last = np.searchsorted(known.onset, notes.onset + 0.01, side="right") - 1
    return notes.replace(velocity=known.velocity[np.maximum(last, 0)])


def swell(others: Notes, times: np.ndarray) -> np.ndarray:
    """How much louder than its mean a part plays at each time (seconds), because others do. others: sorted, at least
    one."""
    around, count = loudness(others, times)
    return SWELL * (around - others.velocity.mean()) * count / (count + 1)


def balanced(notes: Notes, known: Notes) -> Notes:
    """Notes that are as loud as suits the known ones (sorted). A part takes its level from its own known notes nearby,
    and further from them comes back to its own mean. A new part keeps its level over minutes, swells with the others
    and, if these are several, is moved towards their mean; beside a lone tune it is as soft as the model likes."""
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
    """The mean velocity of the notes that begin within `near` seconds of each time (seconds), 0 where none does; and
    how many do."""
    total = np.concatenate([[0.0], np.cumsum(notes.velocity, dtype=np.float64)])
    first, last = (np.searchsorted(notes.onset, times + reach) for reach in (-near, near))
    count = last - first
    return (total[last] - total[first]) / np.maximum(count, 1), count
