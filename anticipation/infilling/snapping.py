"""Snapping: where notes that come off the model's 10 ms grid begin and end. Knows notes and beats; draws nothing."""

from __future__ import annotations

import numpy as np

from ..model import stream as s
from ..music.grid import FINEST, divided, division_of, gap_of, moment, nearest, position
from ..music.notes import Notes

REACH = 0.008  # seconds: half a step of the model's grid, and some for rounding
DOUBT = 0.02  # of a duration: half of what lies between two durations that the model can tell apart


def ends_of(known: Notes, beats: Notes) -> tuple[int, float] | None:
    """How typed notes end: into how many parts they divide beats, and how many beats behind a part of a beat they end.
    None where the notes were played."""
    gap = gap_of(known, beats)
    return None if gap is None else (division_of(known, beats), gap)


def snap(
    notes: Notes, known: Notes, start: float, end: float, places: np.ndarray | None = None,
    ends: tuple[int, float] | None = None,
) -> Notes:  # fmt: skip
    """Notes off the model's 10 ms grid. Where one begins or ends within REACH of a known onset, or of a place where it
    may begin (by default the twelfths of known beats), it does so right there; if `ends` says how typed notes end, the
    new ones all end so (`_ended`). What the model's grid had moved out of the span is brought back, and what gets no
    length is left out."""
    beats = known.beats
    places = divided(beats, 12) if places is None else places

    def onto(times: np.ndarray) -> np.ndarray:
        """Of two times the earlier one stays the earlier: so notes that did not overlap still do not."""
        for targets in (places, known.audible.onset):
            if len(targets):
                targets = np.sort(targets)
                near = targets[nearest(times, targets)]
                times = np.where(abs(near - times) <= REACH, near, times)
        return np.maximum(times, start)

    onset, offset = notes.onset.round(6), notes.offset.round(6)
    near = onto(onset)
    onset = np.where(near < end, near, onset)
    off = onto(offset) if ends is None else _ended(notes, onset, beats, *ends)
    return notes.replace(onset=onset, duration=off - onset)[off > onset].sorted()


def _ended(notes: Notes, onset: np.ndarray, beats: Notes, division: int, gap: float) -> np.ndarray:
    """When notes that begin at `onset` (seconds) end if they all end `gap` beats behind a part of a beat: the coarsest
    part that the drawn duration may stand for. No note is made shorter than half of its duration."""
    offset = notes.offset.round(6)
    i = np.clip(np.searchsorted(beats.onset, offset, side="right") - 1, 0, len(beats) - 1)
    doubt = (0.5 / s.STEPS + DOUBT * notes.duration) / beats.duration[i]
    when = position(offset, beats) - gap
    out = np.rint(when * FINEST) / FINEST
    for coarse in (division, 1):
        place = np.rint(when * coarse) / coarse
        out = np.where(abs(place - when) <= doubt, place, out)
    ends = moment(out + gap, beats)
    ends = np.where(ends - onset < notes.duration / 2, offset, ends)
    order = np.argsort(notes.onset, kind="stable")  # what another note was to begin after, it does
    after = np.searchsorted(notes.onset[order].round(6), offset)
    return np.minimum(ends, np.append(onset[order], np.inf)[after])
