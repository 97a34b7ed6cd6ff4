"""Rubrics: what can be said of an accompaniment by counting. Knows notes and chords; no models, no files."""

from __future__ import annotations

import numpy as np

from .harmony import CHORD_TONES, NO_CHORD
from .infilling import chord_at
from .notes import Notes


def harmony_rate(written: Notes, melody: Notes, chords: Notes) -> tuple[int, int]:
    """(in the chord, counted) onsets of `written`. Counted are those whose pitch class is not that of the last melody
    onset (doubling the melody proves nothing) and that fall where a chord is labelled."""
    written = written.pitched
    if not len(written) or not len(melody):
        return 0, 0
    last = np.searchsorted(melody.onset, written.onset + 1e-3, side="right") - 1
    doubled = (last >= 0) & (melody.pitch[np.maximum(last, 0)] % 12 == written.pitch % 12)
    symbol = chord_at(chords, written.onset + 0.02)  # an onset a hair before the change belongs to what follows
    counted = ~doubled & (symbol >= 0) & (symbol < NO_CHORD)
    inside = CHORD_TONES[np.where(counted, symbol, 0), written.pitch % 12]
    return int((inside & counted).sum()), int(counted.sum())


def doubling(written: Notes, melody: Notes, within: float = 0.06) -> tuple[int, int]:
    """(doubling, all) onsets of `written` that have a melody onset of their pitch class within 60 ms."""
    written = written.pitched
    if not len(written):
        return 0, 0
    near = abs(written.onset[:, None] - melody.onset[None]) <= within
    same = written.pitch[:, None] % 12 == melody.pitch[None] % 12
    return int((near & same).any(1).sum()), len(written)


def melody_support(written: Notes, melody: Notes, beats: Notes, within: float = 0.5) -> tuple[int, int]:
    """(supported, all) melody onsets whose pitch class sounds in `written` within the same beat (half a second where no
    beats are known)."""
    written = written.pitched
    if len(beats):
        i = np.clip(np.searchsorted(beats.onset, melody.onset + 1e-3, side="right") - 1, 0, len(beats) - 1)
        start, end = beats.onset[i], beats.offset[i]
    else:
        start, end = melody.onset - within / 2, melody.onset + within / 2
    sounds = (written.onset[None] < end[:, None]) & (written.offset[None] > start[:, None])
    same = written.pitch[None] % 12 == melody.pitch[:, None] % 12
    return int((sounds & same).any(1).sum()), len(melody)


def in_key(written: Notes, reference: Notes) -> float:
    """Share of onsets whose pitch class is among the reference's seven commonest (by time)."""
    written, reference = written.pitched, reference.pitched
    weight = np.bincount(reference.pitch % 12, weights=reference.duration, minlength=12)
    return float(np.isin(written.pitch % 12, np.argsort(-weight)[:7]).mean()) if len(written) else 0.0
