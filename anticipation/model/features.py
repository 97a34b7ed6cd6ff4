"""Features: rows of a stream as the event transformer takes them, and the classes that it is to draw. Knows bins and
rows; knows no weights and does not sample."""

from __future__ import annotations

import numpy as np

from ..music.harmony import CHORDS
from ..music.notes import CHORD, INSTRUMENTS
from . import stream as s
from .grammar import REST_CLASS

_EXACT = 100  # shifts within a second are told exactly, beyond it in tenths
SHIFTS = 2 * _EXACT + 1 + (s.HORIZON - _EXACT) // 10
# Duration bins: exact to 0.3 s, then 4 % apart to 10 s.
DURATIONS = np.unique(np.rint(np.concatenate([np.arange(1, 31), np.geomspace(31, s.MAX_DURATION, 88)]))).astype(
    np.int64
)
VELOCITIES = 33  # 0: unknown, then 32 levels of 4
FIELD_NAMES = ("shift", "instrument", "pitch", "duration", "velocity")
SHIFT, INSTRUMENT, PITCH, DURATION, VELOCITY = range(len(FIELD_NAMES))  # the columns of a row: s.SHIFT ...
FIELD_SIZES = (REST_CLASS + 1, INSTRUMENTS, 128, len(DURATIONS), VELOCITIES)
GIVEN = -100  # in place of the class of a field that is not drawn: what torch's cross_entropy passes over

FEATURES = {  # what a row is embedded by: the sizes of the tables, summed
    "kind": 4, "shift": SHIFTS, "instrument": INSTRUMENTS + 1, "pitch": 129 + len(s.STYLES),
    "duration": len(DURATIONS) + 1, "velocity": VELOCITIES + 2, "beat": s.NO_BEAT + 1, "wait": SHIFTS,
    "period": SHIFTS, "chord": CHORDS + 1, "next": CHORDS + 1, "change": SHIFTS,
}  # fmt: skip
OFFSETS = np.cumsum([0, *FEATURES.values()])
CHART_AT = list(FEATURES).index("beat")


def shift_bin(steps: np.ndarray) -> np.ndarray:
    """Steps to one of SHIFTS bins; those before the last second, or beyond the horizon, are taken for its edge."""
    steps = np.clip(steps, -_EXACT, s.HORIZON)
    return np.where(steps <= _EXACT, steps + _EXACT, 2 * _EXACT + 1 + (steps - _EXACT - 1) // 10)


def duration_bin(steps: np.ndarray) -> np.ndarray:
    """Steps to the index of the nearest of DURATIONS."""
    right = np.clip(np.searchsorted(DURATIONS, steps), 1, len(DURATIONS) - 1)
    return right - (steps - DURATIONS[right - 1] < DURATIONS[right] - steps)


def velocity_bin(velocity: np.ndarray) -> np.ndarray:
    """Velocities 0-127 to one of VELOCITIES levels."""
    return np.where(velocity > 0, np.clip(velocity, 1, 127) // 4 + 1, 0)


def velocity_of(level):
    """Velocity in the middle of a level; unknown stays 0."""
    return np.where(np.asarray(level) > 0, np.maximum(np.asarray(level) * 4 - 2, 1), 0)


def chart_features(chart: np.ndarray) -> np.ndarray:
    """(..., 6) chart columns to indices of the embedding table."""
    out = chart.copy()
    steps = np.array([s.WAIT, s.PERIOD, s.CHANGE]) - s.PLACE
    out[..., steps] = shift_bin(chart[..., steps])
    return out + OFFSETS[CHART_AT : CHART_AT + 6]


def row_features(rows: np.ndarray) -> np.ndarray:
    """(..., columns) rows to (..., 12) indices of the embedding table."""
    kind = rows[..., s.KIND]
    start, rest = kind == s.START_KIND, kind == s.REST_KIND
    out = np.empty((*rows.shape[:-1], len(FEATURES)), dtype=np.int64)
    out[..., 0] = np.where(kind == s.ECHO, s.EVENT, kind)  # to the trunk both are the past of the parts
    out[..., 1] = shift_bin(rows[..., s.SHIFT])
    out[..., 2] = np.where(rest, INSTRUMENTS, rows[..., s.INSTRUMENT])
    out[..., 3] = np.where(rest, 128, np.where(start, 129, 0) + rows[..., s.PITCH])
    out[..., 4] = np.where(start | rest, len(DURATIONS), duration_bin(rows[..., s.DURATION]))
    out[..., 5] = np.where(start, VELOCITIES + rows[..., s.VELOCITY], velocity_bin(rows[..., s.VELOCITY]))
    out[..., :CHART_AT] += OFFSETS[:CHART_AT]
    out[..., CHART_AT:] = chart_features(rows[..., s.CHART])
    return out


def rests(rows: np.ndarray) -> np.ndarray:
    """(...) which of (..., columns) rows are rests that are drawn: a shorter one is a look, which is given."""
    return (rows[..., s.KIND] == s.REST_KIND) & (rows[..., s.SHIFT] == s.REST)


def targets(rows: np.ndarray) -> np.ndarray:
    """(..., T, columns) rows to (..., T, 5) classes of what follows each row; GIVEN where a field is not drawn: all of
    a control's, all but a rest's shift, a look, an unknown velocity, the velocity of a chord. An echo has those by
    which it is sorted."""
    after = rows[..., 1:, :]
    event, line, rest = after[..., s.KIND] == s.EVENT, s.of_kinds(after, s.LINE), rests(after)
    out = np.full((*rows.shape[:-1], len(FIELD_NAMES)), GIVEN, dtype=np.int64)
    body = out[..., :-1, :]
    body[..., SHIFT] = np.where(rest, REST_CLASS, np.where(line, after[..., s.SHIFT], GIVEN))
    body[..., INSTRUMENT] = np.where(line, after[..., s.INSTRUMENT], GIVEN)
    body[..., PITCH] = np.where(line, after[..., s.PITCH], GIVEN)
    body[..., DURATION] = np.where(event, duration_bin(after[..., s.DURATION]), GIVEN)
    played = event & (after[..., s.INSTRUMENT] != CHORD) & (after[..., s.VELOCITY] > 0)
    body[..., VELOCITY] = np.where(played, velocity_bin(after[..., s.VELOCITY]), GIVEN)
    return out


def target_chart(rows: np.ndarray) -> np.ndarray:
    """(..., T, 6) chart indices at the time of what follows each row: the head reads the chart there. A chord that is
    still to be drawn is not told: the row's own stands in for it."""
    chart = rows[..., s.CHART].copy()
    after = rows[..., 1:, :]
    chart[..., :-1, :] = after[..., s.CHART]
    drawn = (after[..., s.KIND] == s.EVENT) & (after[..., s.INSTRUMENT] == CHORD)
    chord = chart[..., :-1, s.SYMBOL - s.PLACE]
    chord[:] = np.where(drawn, rows[..., :-1, s.SYMBOL], chord)
    return chart_features(chart)
