"""The tokens of the public Anticipatory Music Transformer (AMT; Thickstun, Hall, Donahue, Liang 2024).

Knows its vocabulary, and rows as triplets of it. Does not know the anticipation rule (stream.py), files, or weights.
"""

from __future__ import annotations

import numpy as np

from ..music.notes import DRUMS, Notes
from . import stream as s

DELTA = 5 * s.STEPS  # steps that controls come early: the one value the public weights were trained with
TRIPLETS = 341  # events, rests and controls in a context
CONTEXT = 1 + 3 * TRIPLETS  # a flag that says whether controls are anticipated, then the triplets
MAX_TIME, MAX_DURATION, PITCHES = 100 * s.STEPS, 10 * s.STEPS, 128

# The vocabulary, as the public code's vocab.py and config.py lay it out: events, then the same again for controls
# (without the rest), then three tokens that are no notes.
TIME = range(0, MAX_TIME)
DURATION = range(TIME.stop, TIME.stop + MAX_DURATION)
NOTE = range(DURATION.stop, DURATION.stop + PITCHES * (DRUMS + 1))  # instrument * 128 + pitch
REST = NOTE.stop
CONTROL_OFFSET = REST + 1  # a control's token is the event's plus this
CONTROL_TIME, CONTROL_DURATION, CONTROL_NOTE = (
    range(slot.start + CONTROL_OFFSET, slot.stop + CONTROL_OFFSET) for slot in (TIME, DURATION, NOTE)
)
SEPARATOR = CONTROL_NOTE.stop  # three of them stand before a piece
AUTOREGRESS, ANTICIPATE = SEPARATOR + 1, SEPARATOR + 2
VOCABULARY = range(0, ANTICIPATE + 1)  # 55,028
SLOTS = (TIME, DURATION, range(NOTE.start, REST + 1))  # what each token of an event or a rest may be
SLOT_NAMES = ("time", "duration", "note")
SEPARATION = np.full((1, 3), SEPARATOR, dtype=np.int64)


def arrange(events: np.ndarray, controls: np.ndarray | None = None, *, end: int = 0) -> np.ndarray:
    """The stream as AMT was trained on it: rows of quantised (N, 5) `events`, and of `controls` 5 s ahead of them.

    end: step at which the piece ends; it rests until less than a second is left, where `stream.interleave` would rest
    until nothing is.
    """
    controls = np.zeros((0, 5), dtype=np.int64) if controls is None else controls
    header = s.Header(delta=DELTA)
    return s.interleave(events, controls, s.Chart.of(Notes.of([])), header, until=end - s.STEPS)


def encode(rows: np.ndarray, start: int | None = None) -> np.ndarray:
    """(N, columns) rows of a stream -> (M, 3) triplets of time, duration and note tokens; start rows have none.

    Times count from step `start`, by default from the earliest row, as in AMT's own windows. Durations are kept below
    10 s; velocities are lost. Raises ValueError where a time does not fit into 100 s, and at chords and beats.
    """
    rows = rows[rows[:, s.KIND] != s.START_KIND]
    rest, control = rows[:, s.KIND] == s.REST_KIND, rows[:, s.KIND] == s.CONTROL
    time = rows[:, s.AT] - (rows[:, s.AT].min(initial=MAX_TIME**2) if start is None else start)
    if ((time < 0) | (time >= MAX_TIME)).any():
        raise ValueError(f"AMT tells times of 0 to {MAX_TIME - 1} steps, not {time.min()} to {time.max()}")
    if (rows[:, s.INSTRUMENT] > DRUMS).any():
        raise ValueError("AMT has no chords and no beats")
    duration = np.where(rest, 0, np.minimum(rows[:, s.DURATION], MAX_DURATION - 1))
    note = np.where(rest, REST, NOTE.start + rows[:, s.INSTRUMENT] * PITCHES + rows[:, s.PITCH])
    return np.stack([TIME.start + time, DURATION.start + duration, note], 1) + CONTROL_OFFSET * control[:, None]


def decode(triplets: np.ndarray, start: int = 0) -> np.ndarray:
    """(N, 3) triplets -> (N, columns) rows without a chart, times counted from step `start`; separators are dropped.

    The inverse of `encode(rows, start)` but for durations of 10 s (9.99 s) and velocities (0, unknown). Raises
    ValueError where a token stands in a slot that it does not belong to.
    """
    triplets = triplets[(triplets != SEPARATOR).any(1)]
    control = triplets[:, 2] >= CONTROL_OFFSET
    tokens = triplets - CONTROL_OFFSET * control[:, None]
    low, high = np.array([[slot.start, slot.stop] for slot in SLOTS]).T
    rest = tokens[:, 2] == REST
    if ((tokens < low) | (tokens >= high)).any() or (rest & control).any():
        raise ValueError("not AMT's triplets of time, duration and note")
    time, duration, note = (tokens - low).T
    out = np.zeros((len(tokens), len(s.COLUMNS)), dtype=np.int64)
    out[:, s.KIND] = np.where(control, s.CONTROL, np.where(rest, s.REST_KIND, s.EVENT))
    out[:, s.AT] = start + time
    out[:, s.CLOCK] = np.maximum.accumulate(np.where(control, start, out[:, s.AT]))
    before = np.concatenate([[start], out[:, s.CLOCK]])[:-1]
    out[:, s.SHIFT] = out[:, s.AT] - before  # of a control too: it does not move the clock
    instrument, pitch = np.divmod(note, PITCHES)
    for column, value in ((s.INSTRUMENT, instrument), (s.PITCH, pitch), (s.DURATION, duration)):
        out[:, column] = np.where(rest, 0, value)
    return out


def in_steps(merged: np.ndarray) -> np.ndarray:
    """(N, 5) onset, instrument, pitch, duration and velocity (0: not asked), as `stream.quantise` has them, of a whole
    file as the public code reads it: in the order of its messages. merged: (N, 4) from `tracks.merged`. A note that
    nothing ends lasts 250 ms."""
    onset, duration, pitch, instrument = merged.T
    steps = np.where(np.isnan(duration), s.STEPS // 4, np.rint(s.STEPS * duration))
    return np.stack([np.rint(s.STEPS * onset), instrument, pitch, steps, 0 * pitch], 1).astype(np.int64)


def published(merged: np.ndarray) -> np.ndarray:
    """(N, 3) triplets of a whole file as the public code encodes it: events alone, no rests, no window, so times may
    be of more than 100 s. merged: (N, 4) from `tracks.merged`."""
    onset, instrument, pitch, duration, _ = in_steps(merged).T
    note = NOTE.start + instrument * PITCHES + pitch
    return np.stack([TIME.start + onset, DURATION.start + np.minimum(duration, MAX_DURATION - 1), note], 1)


def sequence(triplets: np.ndarray, *, anticipated: bool) -> np.ndarray:
    """(CONTEXT,) tokens: the flag, then at most 341 (N, 3) triplets, filled up with separators."""
    short = max(0, TRIPLETS - len(triplets))
    body = np.concatenate([triplets[:TRIPLETS], np.repeat(SEPARATION, short, 0)])
    return np.concatenate([[ANTICIPATE if anticipated else AUTOREGRESS], body.reshape(-1)])
