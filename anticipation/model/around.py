"""Around: what the head is told of the notes around what it draws, as far as they are known by then.

The trunk's state is made before the event's time and instrument are drawn; this spares it the arithmetic of looking up
what lies around a time that it does not know yet. Knows rows and bins; knows no weights.
"""

from __future__ import annotations

import numpy as np

from ..music.grid import ranges
from ..music.notes import DRUMS
from . import stream as s
from .features import DURATIONS, duration_bin

EARSHOT = ((-100, 0), (0, 25), (25, 100), (100, 250))  # steps from an event's time: the windows of `heard`
HEARD_SIZE = 12 * len(EARSHOT)
AHEAD = 4  # moments at which notes begin, and as many at which they end, that the shift is told
BESIDE = 4  # notes of its own part before an event, and as many behind it
_STRUCK = 128  # what is added to the pitch of a note that is struck at the event's own time
# `line` is indices into tables, one behind the other: of each note before, of each to come, and of two gaps. The last
# index of a table stands for none.
_SIZES = np.array([_STRUCK + 128 + 1] * BESIDE + [128 + 1] * BESIDE + [len(DURATIONS) + 1] * 2)
_AT = np.cumsum(_SIZES) - _SIZES
_NONE = _AT + _SIZES - 1
SOON_SIZE, LINE_SIZE = 2 * (s.REST + 1), int(_SIZES.sum())  # indices of `soon` and `line`
# Of each pitch in `line`: where its table begins, and the place in it that stands for none.
PITCHES_AT, NO_PITCH = _AT[: 2 * BESIDE], _SIZES[: 2 * BESIDE] - 1


def heard(rows: np.ndarray, times: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, HEARD_SIZE) float32, 0-1: of what each window around a time (M,) is filled with each pitch class, as far as
    rows[: upto + 1] tell (M,)."""
    where = np.flatnonzero(_notes(rows) & (rows[:, s.INSTRUMENT] < DRUMS))
    notes = rows[where]
    onset = (notes[:, s.AT][None] - times[:, None]).astype(np.float32)
    end = onset + notes[:, s.DURATION].astype(np.float32)
    end[where[None] > upto[:, None]] = -1e6  # not told yet: sounds in no window
    classes = np.eye(12, dtype=np.float32)[notes[:, s.PITCH] % 12]
    out = [
        np.clip(np.minimum(end, b) - np.maximum(onset, a), 0, None) @ classes / np.float32(b - a) for a, b in EARSHOT
    ]
    return np.minimum(np.concatenate(out, 1), 1.0)


def soon(rows: np.ndarray, times: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, 2 * AHEAD) indices below SOON_SIZE: how many steps after each of ascending clocks (M,), at most a second,
    notes begin, and pitched ones end, as far as rows[: upto + 1] tell (M,), ascending too. The nearest moments of each
    first; 0 and REST + 1 for none."""
    where = np.flatnonzero(_notes(rows) & (rows[:, s.INSTRUMENT] <= DRUMS))
    notes, told = rows[where], np.searchsorted(upto, where)
    begin, end = notes[:, s.AT], notes[:, s.AT] + notes[:, s.DURATION]
    end[notes[:, s.INSTRUMENT] == DRUMS] = -1
    moments = np.zeros((2, len(times), s.REST + 1), dtype=bool)
    for side, at in zip(moments, (begin, end), strict=True):
        first = np.maximum(told, np.searchsorted(times, at - s.REST))  # of the clocks that a note is soon for
        count = np.maximum(np.searchsorted(times, at) - first, 0)
        clock = ranges(first, count)
        side[clock, np.repeat(at, count) - times[clock]] = True
    out = np.zeros((2, len(times), AHEAD), dtype=np.int64)
    side, clock, wait = np.nonzero(moments)
    place = moments.cumsum(2)[side, clock, wait] - 1
    near = place < AHEAD
    out[side[near], clock[near], place[near]] = wait[near]
    out[1] += s.REST + 1
    return np.concatenate(list(out), 1)


def line(rows: np.ndarray, times: np.ndarray, instruments: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, 2 * BESIDE + 2) indices below LINE_SIZE for events of these instruments (M,) at these times (M,), as far as
    rows[: upto + 1] tell (M,): the pitches of that instrument's last notes, the latest first and those of the event's
    own time told apart; the pitches of its next ones; the time since the latest, and until the next."""
    where = np.flatnonzero(_notes(rows))
    where = where[np.argsort(rows[where, s.AT], kind="stable")]
    at, pitch = rows[where, s.AT], rows[where, s.PITCH]
    known = (where[None] <= upto[:, None]) & (rows[where, s.INSTRUMENT][None] == instruments[:, None])
    later = at[None] > times[:, None]
    out = np.tile(_NONE, (len(times), 1))
    for side, near in enumerate((known & ~later, known & later)):
        place = near.cumsum(1) if side else near[:, ::-1].cumsum(1)[:, ::-1]
        who, which = np.nonzero(near & (place <= BESIDE))
        nearest = place[who, which] == 1
        table = side * BESIDE + place[who, which] - 1
        out[who, table] = _AT[table] + _STRUCK * (at[which] == times[who]) + pitch[which]
        who, which = who[nearest], which[nearest]
        out[who, side - 2] = _AT[side - 2] + duration_bin(abs(at[which] - times[who]))
    return out


def told(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`heard` (T, HEARD_SIZE), `soon` (T, 2 * AHEAD) and `line` (T, 2 * BESIDE + 2) of what follows each row of one
    stream, as far as the row knows: what the decoder would be told there. Where no event follows, nothing is heard and
    the line is empty."""
    everywhere = np.arange(len(rows))
    before = np.flatnonzero(s.of_kinds(rows[1:], s.LINE))
    event = rows[before + 1]
    sounds = np.zeros((len(rows), HEARD_SIZE), dtype=np.float32)
    sounds[before] = heard(rows, event[:, s.CLOCK], before)
    lines = np.tile(_NONE, (len(rows), 1))
    lines[before] = line(rows, event[:, s.CLOCK], event[:, s.INSTRUMENT], before)
    return sounds, soon(rows, rows[:, s.CLOCK], everywhere), lines


def _notes(rows: np.ndarray) -> np.ndarray:
    """Mask of the rows that are notes, drawn or given, each note once."""
    return s.of_kinds(rows, s.NOTES)
