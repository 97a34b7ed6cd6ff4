"""Reprise: what a player is about to play, should he be repeating himself. Songs do: verses, choruses, riffs. Knows
notes and beats; knows no chords and no network."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .notes import Notes

PARTS = 4  # places a beat at which onsets are compared
WINDOW = 8 * PARTS  # places that have to be alike
FEW = 8  # onsets, of both passages together, below which likeness counts for less
ALIKE = 0.4  # of 1: no note differs
SHORTEST = 4  # beats after which a repetition is one


def reprise(melody: Notes, beats: Notes, now: float) -> Notes:
    """What followed the passage that is most like the last beats before `now` (seconds), moved to where it would come
    again; none where nothing is alike. Pitch classes and places of the beat are compared, so that neither an octave nor
    another tempo matters. It is of the past alone: what of the melody begins later is not looked at."""
    if len(beats) < 2:
        return Notes.of([])
    melody = melody.between(beats.onset[0], now)
    when = _position(melody.onset, beats)
    here = float(_position(np.array([now]), beats)[0])
    count = int(here * PARTS + 0.5)  # places that are over; those that a note may still be drawn to are not
    places = np.rint(when * PARTS).astype(int)
    roll = np.zeros((WINDOW + count, 12), bool)
    over = places < count
    roll[WINDOW + places[over], melody.pitch[over] % 12] = True
    passages = sliding_window_view(roll, WINDOW, axis=0)[count % PARTS :: PARTS]  # whole beats ago; the last is now
    same = (passages & passages[-1]).sum((1, 2))
    alike = 2 * same / np.maximum(passages.sum((1, 2)) + passages[-1].sum(), FEW)
    alike = alike[: len(alike) - SHORTEST]
    if not len(alike) or alike.max() < ALIKE:
        return Notes.of([])
    ago = len(passages) - 1 - int(np.argmax(alike))  # beats
    when += ago
    comes = (when >= here) & (when < len(beats))
    beat, part = np.divmod(when[comes], 1)
    beat = beat.astype(int)
    return melody[comes].replace(onset=beats.onset[beat] + part * beats.duration[beat])


def _position(times: np.ndarray, beats: Notes) -> np.ndarray:
    """Beats since the first one."""
    i = np.maximum(np.searchsorted(beats.onset, times, side="right") - 1, 0)
    return i + np.clip((times - beats.onset[i]) / beats.duration[i], 0.0, 1.0)
