"""Around: what the head is told of the notes around what it draws, as far as they are known by then.

The trunk's state is made before the event's time and instrument are drawn; this spares it the arithmetic of looking up
what lies around a time that it does not know yet. Knows rows and bins; knows no weights.
"""

from __future__ import annotations

import numpy as np

from . import stream as s
from .features import DURATIONS, duration_bin
from .notes import DRUMS

EARSHOT = ((-100, 0), (0, 25), (25, 100), (100, 250))  # steps from an event's time: the windows of `heard`
HEARD = 12 * len(EARSHOT)
AHEAD = 4  # moments at which notes begin, and as many at which they end, that the shift is told
BESIDE = 4  # notes of its own part before an event, and as many behind it
_STRUCK, _NO_KEY = 128, 256  # in a table of keys: those struck at the event's own time, none
_KEYS, _LATER, _GAPS = _NO_KEY + 1, 128 + 1, len(DURATIONS) + 1
_LINE = np.cumsum([0, *[_KEYS] * BESIDE, *[_LATER] * BESIDE, _GAPS, _GAPS])  # where each table of `line` begins
SOON, LINE = 2 * (s.REST + 1), int(_LINE[-1])  # indices of `soon` and `line`


def heard(rows: np.ndarray, times: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, HEARD) float32, 0-1: of what each window around a time (M,) is filled with each pitch class, as far as
    rows[: upto + 1] tell (M,)."""
    pitched = (rows[:, s.KIND] == s.EVENT) | (rows[:, s.KIND] == s.CONTROL)
    where = np.flatnonzero(pitched & (rows[:, s.INSTRUMENT] < DRUMS))
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
    """(M, 2 * AHEAD) indices below SOON: how many steps after a clock (M,), at most a second, notes begin, and pitched
    ones end, as far as rows[: upto + 1] tell (M,). The nearest moments of each first; 0 and REST + 1 for none."""
    note = (rows[:, s.KIND] == s.EVENT) | (rows[:, s.KIND] == s.CONTROL)
    where = np.flatnonzero(note & (rows[:, s.INSTRUMENT] <= DRUMS))
    notes = rows[where]
    known = where[None] <= upto[:, None]
    begin, end = notes[:, s.AT], notes[:, s.AT] + notes[:, s.DURATION]
    ends = known & (notes[:, s.INSTRUMENT] < DRUMS)
    out = np.zeros((len(times), 2, AHEAD), dtype=np.int64)
    for side, (at, told) in enumerate(((begin, known), (end, ends))):
        wait = at[None] - times[:, None]
        who, which = np.nonzero(told & (wait > 0) & (wait <= s.REST))
        moments = np.zeros((len(times), s.REST + 1), dtype=bool)
        moments[who, wait[who, which]] = True
        place = moments.cumsum(1)
        who, step = np.nonzero(moments & (place <= AHEAD))
        out[who, side, place[who, step] - 1] = step
    out[:, 1] += s.REST + 1
    return out.reshape(len(times), -1)


def line(rows: np.ndarray, times: np.ndarray, instruments: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """(M, 2 * BESIDE + 2) indices below LINE for events of these instruments (M,) at these times (M,), as far as
    rows[: upto + 1] tell (M,): the keys of that instrument's last notes, the latest first and those of the event's own
    time told apart; the keys of its next ones; the time since the latest, and until the next."""
    where = np.flatnonzero((rows[:, s.KIND] == s.EVENT) | (rows[:, s.KIND] == s.CONTROL))
    where = where[np.argsort(rows[where, s.AT], kind="stable")]
    at, pitch = rows[where, s.AT], rows[where, s.PITCH]
    known = (where[None] <= upto[:, None]) & (rows[where, s.INSTRUMENT][None] == instruments[:, None])
    later = at[None] > times[:, None]
    out = np.tile(_LINE[1:] - 1, (len(times), 1))  # each table's last index stands for none
    place = (known & ~later)[:, ::-1].cumsum(1)[:, ::-1]
    who, which = np.nonzero(known & ~later & (place <= BESIDE))
    slot = place[who, which] - 1
    out[who, slot] = _LINE[slot] + _STRUCK * (at[which] == times[who]) + pitch[which]
    who, which = who[slot == 0], which[slot == 0]
    out[who, -2] = _LINE[-3] + duration_bin(times[who] - at[which])
    place = (known & later).cumsum(1)
    who, which = np.nonzero(known & later & (place <= BESIDE))
    slot = place[who, which] - 1
    out[who, BESIDE + slot] = _LINE[BESIDE + slot] + pitch[which]
    who, which = who[slot == 0], which[slot == 0]
    out[who, -1] = _LINE[-2] + duration_bin(at[which] - times[who])
    return out


def told(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`heard` (T, HEARD), `soon` (T, 2 * AHEAD) and `line` (T, 2 * BESIDE + 2) of what follows each row of one stream,
    as far as the row knows: what the decoder would be told there. Where no event follows, nothing is heard and the line
    is empty."""
    everywhere = np.arange(len(rows))
    before = np.flatnonzero(rows[1:, s.KIND] == s.EVENT)
    event = rows[before + 1]
    sounds = np.zeros((len(rows), HEARD), dtype=np.float32)
    sounds[before] = heard(rows, event[:, s.CLOCK], before)
    keys = np.tile(_LINE[1:] - 1, (len(rows), 1))
    keys[before] = line(rows, event[:, s.CLOCK], event[:, s.INSTRUMENT], before)
    return sounds, soon(rows, rows[:, s.CLOCK], everywhere), keys
