"""Bias: what people seldom do is made less likely, and stays possible. Added to the logits of shifts and pitches; what
must not be is the grammar's. Knows no weights."""

from __future__ import annotations

import numpy as np

from . import groove
from . import stream as s
from .grammar import Limits, Stream
from .harmony import CHORD_TONES, NO_CHORD
from .notes import DRUMS

NEVER = -1e6  # a logit
OVER = 0.1  # what the odds of a pitch above the tune are multiplied by, for who plays under it
ROUNDING = 3  # steps by which a note may miss the chord that it begins with
_CLASS = np.arange(128) % 12  # of each pitch


def pitch_bias(stream: Stream, limits: Limits, clock: int, instrument: int | None) -> np.ndarray:
    """(128,) what is added to the logits of an instrument's pitches at a clock. instrument: None where it is drawn with
    its pitch; then what counts for any pitched one."""
    bias = np.zeros(128)
    if limits.chart is not None and limits.stray < 1 and (instrument is None or instrument < DRUMS):
        chord = limits.chart.columns(np.array([clock]))[0, s.CHORD_ - s.BEAT_]
        if chord < NO_CHORD:
            bias[~CHORD_TONES[chord][_CLASS]] = np.log(limits.stray) if limits.stray else NEVER
    if instrument in limits.roots and (root := _new_root(stream, clock, instrument)) is not None:
        bias[root != _CLASS] += np.log(limits.roots[instrument])
    if instrument in limits.under and limits.tune is not None:
        bias[limits.tune[clock] + 1 :] += np.log(OVER)
    if instrument == DRUMS and limits.groove is not None and limits.groove[clock] >= 0:
        first = not stream.written or stream.written[-1][s.CLOCK] < clock
        bias += groove.likely(limits.groove[clock], first)
    if len(limits.taken) and (instrument is None or instrument < DRUMS):
        first, last, key = limits.taken.T
        bias[key[(first <= clock) & (clock < last)]] += NEVER  # no mask: where no key is free the note is dropped later
    if limits.rhythm is not None:
        bias += limits.rhythm.taste(stream.pitches)
    return bias


def _new_root(stream: Stream, clock: int, instrument: int) -> int | None:
    """The root of the chord at a clock, if an instrument has begun no note under it."""
    begun = stream.chart.chords[stream.chart.chords[:, 0] <= clock + ROUNDING]
    if not len(begun) or begun[-1, 1] >= NO_CHORD:
        return None
    own = (row[s.CLOCK] for row in reversed(stream.written) if row[s.INSTRUMENT] == instrument)
    return begun[-1, 1] % 12 if next(own, -np.inf) < begun[-1, 0] - ROUNDING else None


def gathered(logits: np.ndarray, stream: Stream, limits: Limits) -> np.ndarray:
    """Shift logits (the last class is the rest) with the probability of every step moved to the nearest step where an
    event may begin, so that a beat whose probability is spread over neighbouring steps stays as likely as it was. What
    would move to the end, or beyond the last shift, goes to the rest; else everything later would be played at the last
    place."""
    count = len(logits) - 1
    clocks = stream.clock + np.arange(count)
    shift = np.arange(count)
    if limits.nearest is not None:
        inside = (clocks >= limits.start) & (clocks < limits.end)
        shift[inside] = np.minimum(limits.nearest[clocks[inside]] - stream.clock, count)
    shift[stream.clock + shift >= limits.end] = count
    out = np.append(np.full(count, -np.inf), logits[count])
    np.logaddexp.at(out, shift[shift >= 0], logits[:count][shift >= 0])
    if limits.usual is not None:
        inside = (clocks >= limits.start) & (clocks < limits.end)
        begins = np.logaddexp.reduce(out[:count])
        out[:count][inside] += limits.usual[clocks[inside]]
        if np.isfinite(begins):  # elsewhere in place of there, not never
            out[:count] += begins - np.logaddexp.reduce(out[:count])
    return out
