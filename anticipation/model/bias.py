"""Bias: what people seldom do is made less likely, and stays possible. Added to the logits of shifts and pitches; what
must not be is the grammar's. Knows no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise, takewhile
from typing import TYPE_CHECKING

import numpy as np

from ..music import groove
from ..music.harmony import CHORD_TONES, NO_CHORD
from ..music.notes import DRUMS
from . import stream as s
from .precedent import ROUNDING, Precedent, last_moment

if TYPE_CHECKING:
    from .grammar import Limits

NEVER = -1e6  # a logit
OVER = 0.1  # what the odds of a pitch above the tune are multiplied by, for who plays under it
# In what share of the cases where the model would end without what it closes with it may: of people's pianos that play
# chords 7 % end on a single note, of ours a quarter did (train/LOG.md).
LONE = 0.1
# What the odds are multiplied by that a part strikes again what it began once, QUICK steps before or less: people do in
# 6 % of such cases, the model after its own notes in 13 (train/LOG.md).
AGAIN, QUICK = 0.45, s.STEPS // 4
# Nats that it costs to begin something quickly after the last moment, for each of the last WHILE moments that came as
# quickly and had the same tones as the one before it. Of people's pianos 7 % of moments do; a model that goes on from
# its own believes in such a row the more the longer it lasts (train/LOG.md).
RUT, WHILE = 2.0, 6
LATELY = 4  # notes of which a bass does not have one tone alone
# How much warmer drums are drawn as a phrase ends, and by what nucleus: people's bars differ most there, ours did not.
FREE, FREE_TOP_P = 2.0, 0.99
_CLASS = np.arange(128) % 12


@dataclass(frozen=True)
class Bias:
    """What a request makes less likely. Times are in steps from the stream's origin; keys of the dict are
    instruments."""

    chart: s.Chart | None = None  # chords that pitches are to agree with
    stray: float = 1.0  # factor on the odds of a pitch outside its chord (0: never, unless nothing else is legal)
    # Factor on the odds of any pitch but the root, for an instrument's first note at `last` and, but for chordal ones,
    # under a chord.
    roots: dict[int, float] = field(default_factory=dict)
    # Factor on the odds of a pitch, for each of an instrument's last LATELY notes under the chord that had its class.
    stays: dict[int, float] = field(default_factory=dict)
    last: int | None = None  # step at which the piece comes to rest
    closes: dict[int, int] = field(default_factory=dict)  # how many notes an instrument begins there
    groove: np.ndarray | None = None  # (end + 1,) place in the bar of each step, for what is struck there: groove.py
    heed: float = 1.0  # what the log odds of drums at these places are multiplied by
    fills: bool = True  # whether drums are drawn more freely as a phrase ends
    usual: np.ndarray | None = None  # (end + 1,) added to the logit of an event, for how beats are divided: habits.py
    tune: np.ndarray | None = None  # (end + 1,) highest known pitch, above which notes of `chordal` seldom go
    chordal: tuple[int, ...] = ()  # new instruments that play chords
    precedent: Precedent | None = None  # how the piece went where it goes alike
    quick: int = 0  # steps: a part that strikes the same tones again sooner than that, and again, is in a rut
    # (N, 3) from which step on and until which step another hand is on what key: habits.keys_down
    taken: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))


def pitch_bias(stream: s.Stream, limits: Limits, clock: int, instrument: int | None) -> np.ndarray:
    """(128,) what is added to the logits of an instrument's pitches at a clock. instrument: None where it is drawn with
    its pitch; then what counts for any pitched one."""
    out, bias = np.zeros(128), limits.bias
    if bias.chart is not None and bias.stray < 1 and (instrument is None or instrument < DRUMS):
        chord = bias.chart.symbols(np.array([clock]))[0]
        if chord < NO_CHORD:
            out[~CHORD_TONES[chord][_CLASS]] = np.log(bias.stray) if bias.stray else NEVER
    if instrument in bias.roots:
        out += _off_root(stream, clock, instrument, bias)
    if instrument in bias.stays:
        out += _of_late(stream, clock, instrument)[_CLASS] * np.log(bias.stays[instrument])
    if instrument in bias.chordal and bias.tune is not None:
        out[bias.tune[clock] + 1 :] += np.log(OVER)
    if instrument == DRUMS and bias.groove is not None and bias.groove[clock] >= 0:
        lower = bool(stream.written) and int(stream.written[-1][s.CLOCK]) >= clock
        out += bias.heed * groove.LIKELY[int(lower), bias.groove[clock]]
    if len(bias.taken) and (instrument is None or instrument < DRUMS):
        first, last, key = bias.taken.T
        out[key[(first <= clock) & (clock < last)]] += NEVER  # no mask: where no key is free the note is dropped later
    if bias.precedent is not None:
        out -= bias.precedent.pitch_costs(stream, limits.table, clock, instrument)
    if limits.rhythm is not None:
        out += limits.rhythm.taste(stream.pitches)
    elif instrument is not None and instrument < DRUMS and (key := _just_begun(stream, clock, instrument)) is not None:
        out[key] += np.log(AGAIN)
    return out


def freed(bias: Bias, clock: int, temperature: float, top_p: float) -> tuple[float, float]:
    """The temperature and nucleus of what begins at a clock: where drummers play fills they are wider."""
    fills = bias.fills and bias.groove is not None and bias.groove[clock] >= groove.LAST_BACK
    return (FREE * temperature, max(FREE_TOP_P, top_p)) if fills else (temperature, top_p)


def _off_root(stream: s.Stream, clock: int, instrument: int, bias: Bias) -> np.ndarray | float:
    """What is added to the logits of pitches for another tone than the root of the chord at a clock, where an
    instrument has begun no note under that chord; twice as much where it ends."""
    begun = _chord_at(stream, clock)
    if begun is None or begun[1] >= NO_CHORD:
        return 0.0
    last = next((row[s.CLOCK] for row in _own(stream, instrument)), -np.inf)
    ends = bias.last is not None and last < bias.last - ROUNDING <= clock
    begins = instrument not in bias.chordal and last < begun[0] - ROUNDING
    return (2.0 if ends else float(begins)) * np.log(bias.roots[instrument]) * (begun[1] % 12 != _CLASS)


def _of_late(stream: s.Stream, clock: int, instrument: int) -> np.ndarray:
    """(12,) how many of an instrument's last LATELY notes had each pitch class, under the chord at a clock. What is not
    in the chord counts as much as any, so that nobody leaves it for that."""
    begun = _chord_at(stream, clock)
    since = -np.inf if begun is None else begun[0] - ROUNDING
    under = takewhile(lambda row: row[s.CLOCK] >= since, _own(stream, instrument))
    counts = np.bincount([row[s.PITCH] % 12 for row in islice(under, LATELY)], minlength=12)
    if begun is not None and begun[1] < NO_CHORD:
        counts[~CHORD_TONES[begun[1]]] = counts.max()
    return counts


def _own(stream: s.Stream, instrument: int) -> Iterator[np.ndarray]:
    """The rows that were written for an instrument, the last one first."""
    return (row for row in reversed(stream.written) if row[s.INSTRUMENT] == instrument)


def _chord_at(stream: s.Stream, clock: int) -> np.ndarray | None:
    """The chord of the chart that is begun by a clock: when, and which."""
    begun = stream.chart.chords[stream.chart.chords[:, 0] <= clock + ROUNDING]
    return begun[-1] if len(begun) else None


def _just_begun(stream: s.Stream, clock: int, instrument: int) -> int | None:
    """The lowest pitch of an instrument's last moment before a clock, if that was QUICK steps before or less and began
    other pitches than the moment before it. A row of repeats that is there may go on."""
    own = stream.rows[s.of_kinds(stream.rows, s.LINE) & (stream.rows[:, s.INSTRUMENT] == instrument)]
    if not len(own) or not ROUNDING < clock - own[-1, s.CLOCK] <= QUICK:
        return None
    last = last_moment(own)
    before = last_moment(own[: len(own) - len(last)])
    return int(last.min()) if set(before) != set(last) else None


def _quick_repeats(stream: s.Stream, quick: int) -> int:
    """How many of the last moments came less than so many steps after the one before, with nothing but tones of that,
    or all of them, in any octave. Drums may."""
    groups = groupby(reversed(stream.written), key=lambda row: int(row[s.CLOCK]))
    moments = (
        (clock, {int(row[s.PITCH]) % 12 for row in rows if row[s.INSTRUMENT] < DRUMS})
        for clock, rows in islice(groups, WHILE + 1)
    )
    return sum(
        bool(tones and before) and (tones <= before or before <= tones) and when - earlier < quick
        for (when, tones), (earlier, before) in pairwise(moments)
    )


def shift_logits(logits: np.ndarray, stream: s.Stream, limits: Limits, legal: np.ndarray) -> np.ndarray:
    """Shift logits (the last class is the rest), gathered at the places where an event may begin, each of which is as
    likely as is usual there beside the others, less what it costs to begin what was not begun before. legal: (102,)
    which may be drawn."""
    out, bias, count = _gathered(logits, stream, limits), limits.bias, len(logits) - 1
    if stream.wait < count:
        out = _ahead(out, stream.wait, bool(legal[stream.wait]))
    clocks = stream.clock + np.arange(count)
    inside = (clocks >= limits.start) & (clocks < limits.end)
    if bias.usual is not None:
        begins = np.logaddexp.reduce(out[:count])
        out[:count][inside] += bias.usual[clocks[inside]]
        if np.isfinite(begins):  # elsewhere in place of there, not never
            out[:count] += begins - np.logaddexp.reduce(out[:count])
    if bias.quick and (rut := _quick_repeats(stream, bias.quick)):
        since = clocks - int(stream.written[-1][s.CLOCK])
        out[:count][(since > ROUNDING) & (since < bias.quick)] -= RUT * rut
    if bias.last is not None and limits.table[list(bias.closes)].any():
        out = _closed(out, stream, bias.last, bias.closes, legal)
    if bias.precedent is not None:
        places = np.flatnonzero(np.isfinite(out[:count]) & inside)
        out[np.append(places, count)] -= bias.precedent.shift_costs(stream, limits.table, places)
    return out


def _gathered(logits: np.ndarray, stream: s.Stream, limits: Limits) -> np.ndarray:
    """Shift logits with the probability of every step moved to the nearest step where an event may begin, so that a
    beat whose probability is spread over neighbouring steps stays as likely as it was. What would move to the end, or
    beyond the last shift, goes to the rest; else everything later would be played at the last place."""
    count = len(logits) - 1
    shift = np.arange(count)
    if limits.nearest is not None:
        clocks = stream.clock + shift
        inside = (clocks >= limits.start) & (clocks < limits.end)
        shift[inside] = np.minimum(limits.nearest[clocks[inside]] - stream.clock, count)
    shift[stream.clock + shift >= limits.end] = count
    out = np.append(np.full(count, -np.inf), logits[count])
    np.logaddexp.at(out, shift[shift >= 0], logits[:count][shift >= 0])
    return out


def _ahead(logits: np.ndarray, wait: int, together: bool) -> np.ndarray:
    """Shift logits where an echo is `wait` steps ahead: what comes after it is all one, and goes to the rest. together:
    an event may begin with it."""
    after = np.arange(len(logits)) >= wait + together
    out = np.where(after, -np.inf, logits)
    out[-1] = np.logaddexp.reduce(logits[after])
    return out


def _closed(logits: np.ndarray, stream: s.Stream, last: int, closes: dict[int, int], legal: np.ndarray) -> np.ndarray:
    """Shift logits where most of what would pass the last moment goes there, until it has what these close with."""
    struck = [one for one, _ in stream.begun.get(stream.clock, []) if one in closes]
    there = np.flatnonzero(legal[:-1] & (stream.clock + np.arange(len(legal) - 1) >= last - ROUNDING))[-1:]
    if stream.clock >= last - ROUNDING and len(struck) >= max(closes.values()) or not len(there):
        return logits
    out = logits.copy()
    out[there] = np.logaddexp(logits[there], logits[-1] + np.log(1 - LONE))
    out[-1] += np.log(LONE)
    return out
