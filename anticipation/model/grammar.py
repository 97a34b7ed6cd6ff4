"""What may follow in a stream: the grammar, and the limits of a request. Knows no weights.

What must not follow is masked (`legal_shifts`, `writable`, `legal_table`): it cannot be drawn, whatever the weights
say. What people seldom do is only made less likely: bias.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..music.grid import nearest
from ..music.harmony import CHORDS
from ..music.notes import BEAT, CHORD, DRUMS, INSTRUMENTS
from . import stream as s
from .bias import Bias
from .rhythm import Rhythm

PERCUSSION = range(35, 82)  # General MIDI percussion
BEYOND = s.STEPS // 10  # a note that reaches over the next place for one by no more than these steps is cut off there
REST_CLASS = s.REST + 1  # the shift field's classes: 0..100 steps to an event, then the rest


def pitch_table(
    instruments: Iterable[int], pitches: np.ndarray | None = None, ranges: Mapping[int, tuple[int, int]] | None = None
) -> np.ndarray:
    """(INSTRUMENTS, 128) the pitches that may be written. pitches: (128,) mask for the pitched instruments (scale,
    range). ranges: instrument -> its lowest and highest pitch; where the mask has none of these, the mask alone
    counts."""
    table = np.zeros((INSTRUMENTS, 128), dtype=bool)
    for instrument in instruments:
        if instrument == CHORD:
            table[instrument, :CHORDS] = True
        elif instrument != BEAT:
            legal = np.isin(np.arange(128), PERCUSSION) if instrument == DRUMS else pitches
            table[instrument] = True if legal is None else legal
            low, high = (ranges or {}).get(instrument, (0, 127))
            if table[instrument, max(low, 0) : high + 1].any():
                table[instrument, : max(low, 0)] = table[instrument, high + 1 :] = False
    return table


@dataclass(frozen=True)
class Limits:
    """What a request allows. A rest is always legal, so decoding never reaches a dead end. Times are in steps from the
    stream's origin; keys of the dicts are instruments."""

    start: int  # events lie in start <= onset < end
    end: int
    table: np.ndarray  # (INSTRUMENTS, 128) legal pitches
    polyphony: dict[int, int] = field(default_factory=dict)  # most notes of an instrument that sound at once
    density: dict[int, int] = field(default_factory=dict)  # most onsets of an instrument in any second; 0: any number
    nearest: np.ndarray | None = None  # (end + REST + 1,) for each step the nearest one where an event may begin
    # Most notes that an instrument may sound at once. Those that begin at one time and the given ones that sound then,
    # `sounding` (steps,), count; drawn ones that began before do not, as they are cut short for the new one.
    voices: dict[int, int] = field(default_factory=dict)
    sounding: dict[int, np.ndarray] = field(default_factory=dict)
    rhythm: Rhythm | None = None  # what is answered, note by note; then voices and places are as they were
    bias: Bias = field(default_factory=Bias)  # what it makes less likely
    louder: int = 0  # added to every velocity
    since: int | None = None  # where silence is counted from (default: start)
    rest: float = 1.0  # factor on the odds of a rest, beside the sampling's


def nearest_place(places: np.ndarray, end: int) -> np.ndarray:
    """`Limits.nearest` for places in steps."""
    steps = np.arange(end + s.REST + 1)
    never = np.array([2 * len(steps)])
    places = np.unique(places) if len(places) else never
    return places[nearest(steps, places)]


def free(stream: s.Stream, limits: Limits, clocks: np.ndarray) -> np.ndarray:
    """(INSTRUMENTS, N) whether each instrument has a voice free, and an onset left, at each of N clocks from now on."""
    out = np.ones((INSTRUMENTS, len(clocks)), dtype=bool)
    for limit, several, after in ((limits.polyphony, stream.ends, 0), (limits.density, stream.onsets, s.STEPS)):
        for instrument, own in _by_instrument(several).items() if limit else ():
            if most := limit.get(instrument):
                out[instrument] &= (own[:, None] + after > clocks).sum(0) < most
    begun = _by_instrument(stream.onsets) if limits.voices else {}
    for instrument, most in limits.voices.items():
        known = limits.sounding[instrument]
        count = known[np.minimum(clocks, len(known) - 1)]
        if instrument in begun:
            count = count + (begun[instrument][:, None] == clocks).sum(0)
        out[instrument] &= count < most
    return out


def _by_instrument(several: list[tuple[int, int]]) -> dict[int, np.ndarray]:
    """(instrument, time) pairs as the times of each instrument."""
    times: dict[int, list[int]] = {}
    for instrument, time in several:
        times.setdefault(instrument, []).append(time)
    return {instrument: np.array(own) for instrument, own in times.items()}


def writable(stream: s.Stream, limits: Limits, shift: int) -> np.ndarray:
    """(INSTRUMENTS, 128) what the limits allow `shift` steps from the clock."""
    if limits.rhythm is not None:
        return limits.rhythm.pitches(stream.pitches)
    return limits.table & free(stream, limits, np.array([stream.clock + shift]))


def legal_table(stream: s.Stream, limits: Limits, shift: int) -> np.ndarray:
    """(INSTRUMENTS, 128) what is writable and in order. At one tick chords come first, then instruments and their
    pitches ascend, so no note comes twice and no chord is endless. In a stream that keeps no order, what is there
    already is left out."""
    table = writable(stream, limits, shift)
    if shift or limits.rhythm is not None:  # a rhythm has an order of its own
        return table
    there = stream.at_clock()
    if not stream.ordered:
        table[there[:, s.INSTRUMENT], there[:, s.PITCH]] = False
    elif len(there):
        instrument, pitch = there[-1, [s.INSTRUMENT, s.PITCH]].tolist()
        table[CHORD] = False
        if instrument != CHORD:
            table[:instrument] = False
            table[instrument, : pitch + 1] = False
    return table


def legal_shifts(stream: s.Stream, limits: Limits, later: bool = False) -> np.ndarray:
    """(102,) which shifts may be drawn; `later`: not 0. The last class, the rest, always may, unless a rhythm says what
    comes next."""
    if limits.rhythm is not None:
        return limits.rhythm.shifts(stream.clock, len(stream.written))
    clocks = stream.clock + np.arange(s.REST + 1)
    inside = (clocks >= limits.start) & (clocks < limits.end)
    instruments: np.ndarray = limits.table.any(axis=1)  # type: ignore[assignment]
    if not instruments.any():
        inside[:] = False
    else:
        inside &= free(stream, limits, clocks)[instruments].any(0)
        inside[0] &= not later and bool(legal_table(stream, limits, 0).any())
    if limits.nearest is not None:
        inside[inside] &= limits.nearest[clocks[inside]] == clocks[inside]
    return np.append(inside, True)


def legal_values(stream: s.Stream, limits: Limits, column: int, values: np.ndarray) -> np.ndarray:
    """(n,) which of n values of a column (duration, velocity) may be drawn: all above 0 or, in a rhythm, the nearest to
    that of the note that is answered."""
    if limits.rhythm is None:
        return values > 0
    return np.arange(len(values)) == abs(values - limits.rhythm.row(len(stream.written))[column - s.SHIFT]).argmin()


def ending(limits: Limits, row: np.ndarray) -> int:
    """The duration of a drawn row, in steps. An instrument of one voice has its note cut off where it would reach a
    little over the next place on the grid; else the next note would have to wait for the place after that."""
    clock, duration = int(row[s.CLOCK]), int(row[s.DURATION])
    alone = limits.polyphony.get(int(row[s.INSTRUMENT])) == 1
    if alone and limits.nearest is not None and clock + duration < len(limits.nearest):
        place = int(limits.nearest[clock + duration])
        if clock < place < clock + duration <= place + BEYOND:
            return place - clock
    return duration


def silence(stream: s.Stream, limits: Limits) -> float:
    """Seconds since the last event, or since silence is counted."""
    since = limits.start if limits.since is None else limits.since
    return max(stream.clock - max(stream.last, since), 0) / s.STEPS
