"""Around: what the head is told of the notes around what it draws, as far as they are known by then.

The trunk's state is made before the event's time and instrument are drawn; this spares it the arithmetic of looking up
what lies around a time that it does not know yet. Knows rows and bins; knows no weights.
"""

from __future__ import annotations

import numpy as np

from ..music.notes import DRUMS
from . import stream as s
from .features import DURATIONS, duration_bin

EARSHOT = ((-100, 0), (0, 25), (25, 100), (100, 250))  # steps from an event's time: the windows of `heard`
HEARD = 12 * len(EARSHOT)
AHEAD = 4  # moments at which notes begin, and as many at which they end, that the shift is told
BESIDE = 4  # notes of its own part before an event, and as many behind it
_STRUCK, _NO_KEY = 128, 256  # in a table of keys: those struck at the event's own time, none
_KEYS, _LATER, _GAPS = _NO_KEY + 1, 128 + 1, len(DURATIONS) + 1
_LINE = np.cumsum([0, *[_KEYS] * BESIDE, *[_LATER] * BESIDE, _GAPS, _GAPS])  # where each table of `line` begins
SOON, LINE = 2 * (s.REST + 1), int(_LINE[-1])  # indices of `soon` and `line`
# Of each key in `line`: where its table begins, and the place in it that stands for none.
KEYS_AT, NO_KEY = _LINE[: 2 * BESIDE], np.array([_KEYS - 1] * BESIDE + [_LATER - 1] * BESIDE)


def heard(rows: np.ndarray, times: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, HEARD) float32, 0-1: of what each window around a time (M,) is filled with each pitch class, as far as
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
    """(M, 2 * AHEAD) indices below SOON: how many steps after each of ascending clocks (M,), at most a second, notes
    begin, and pitched ones end, as far as rows[: upto + 1] tell (M,), ascending too. The nearest moments of each first;
    0 and REST + 1 for none."""
    where = np.flatnonzero(_notes(rows) & (rows[:, s.INSTRUMENT] <= DRUMS))
    notes, told = rows[where], np.searchsorted(upto, where)
    begin, end = notes[:, s.AT], notes[:, s.AT] + notes[:, s.DURATION]
    end[notes[:, s.INSTRUMENT] == DRUMS] = -1
    moments = np.zeros((2, len(times), s.REST + 1), dtype=bool)
    for side, at in zip(moments, (begin, end), strict=True):
        first = np.maximum(told, np.searchsorted(times, at - s.REST))  # of the clocks that a note is soon for
        count = np.maximum(np.searchsorted(times, at) - first, 0)
        clock = np.repeat(first - np.append(0, count.cumsum()[:-1]), count) + np.arange(count.sum())
        side[clock, np.repeat(at, count) - times[clock]] = True
    out = np.zeros((2, len(times), AHEAD), dtype=np.int64)
    side, clock, wait = np.nonzero(moments)
    place = moments.cumsum(2)[side, clock, wait] - 1
    near = place < AHEAD
    out[side[near], clock[near], place[near]] = wait[near]
    out[1] += s.REST + 1
    return np.concatenate(list(out), 1)


def line(rows: np.ndarray, times: np.ndarray, instruments: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, 2 * BESIDE + 2) indices below LINE for events of these instruments (M,) at these times (M,), as far as
    rows[: upto + 1] tell (M,): the keys of that instrument's last notes, the latest first and those of the event's own
    time told apart; the keys of its next ones; the time since the latest, and until the next."""
    where = np.flatnonzero(_notes(rows))
    where = where[np.argsort(rows[where, s.AT], kind="stable")]
    at, pitch = rows[where, s.AT], rows[where, s.PITCH]
    known = (where[None] <= upto[:, None]) & (rows[where, s.INSTRUMENT][None] == instruments[:, None])
    later = at[None] > times[:, None]
    out = np.tile(_LINE[1:] - 1, (len(times), 1))  # each table's last index stands for none
    for side, near in enumerate((known & ~later, known & later)):
        place = near.cumsum(1) if side else near[:, ::-1].cumsum(1)[:, ::-1]
        who, which = np.nonzero(near & (place <= BESIDE))
        nearest = place[who, which] == 1
        table = side * BESIDE + place[who, which] - 1
        out[who, table] = _LINE[table] + _STRUCK * (at[which] == times[who]) + pitch[which]
        who, which = who[nearest], which[nearest]
        out[who, side - 2] = _LINE[side - 3] + duration_bin(abs(at[which] - times[who]))
    return out


def told(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`heard` (T, HEARD), `soon` (T, 2 * AHEAD) and `line` (T, 2 * BESIDE + 2) of what follows each row of one stream,
    as far as the row knows: what the decoder would be told there. Where no event follows, nothing is heard and the line
    is empty."""
    everywhere = np.arange(len(rows))
    before = np.flatnonzero(s.of_kinds(rows[1:], s.LINE))
    event = rows[before + 1]
    sounds = np.zeros((len(rows), HEARD), dtype=np.float32)
    sounds[before] = heard(rows, event[:, s.CLOCK], before)
    keys = np.tile(_LINE[1:] - 1, (len(rows), 1))
    keys[before] = line(rows, event[:, s.CLOCK], event[:, s.INSTRUMENT], before)
    return sounds, soon(rows, rows[:, s.CLOCK], everywhere), keys


def _notes(rows: np.ndarray) -> np.ndarray:
    """Mask of the rows that are notes, drawn or given, each note once."""
    return s.of_kinds(rows, s.NOTES)
