"""What may follow in a stream: the grammar, and the limits of a request. Knows no weights.

What must not follow is masked (`legal_shifts`, `writable`, `legal_table`): it cannot be drawn, whatever the weights
say. What people seldom do is only made less likely: bias.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from . import stream as s
from .grid import nearest
from .harmony import CHORDS
from .notes import BEAT, CHORD, DRUMS, INSTRUMENTS
from .rhythm import Rhythm

DRUM_KIT = range(35, 82)  # General MIDI percussion
_NOTES = (s.EVENT, s.CONTROL)
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
            legal = np.isin(np.arange(128), DRUM_KIT) if instrument == DRUMS else pitches
            table[instrument] = True if legal is None else legal
            low, high = (ranges or {}).get(instrument, (0, 127))
            if table[instrument, max(low, 0) : high + 1].any():
                table[instrument, : max(low, 0)] = table[instrument, high + 1 :] = False
    return table


@dataclass(frozen=True)
class Limits:
    """What a request allows (`start` to `nearest`, `voices`, `rhythm`), and what it makes less likely: the others, see
    bias.py. A rest is always legal, so decoding never reaches a dead end. Times are in steps from the stream's origin;
    keys of the dicts are instruments."""

    start: int  # events lie in start <= onset < end
    end: int
    table: np.ndarray  # (INSTRUMENTS, 128) legal pitches
    polyphony: int | dict[int, int] | None = None  # most notes of an instrument that sound at once
    density: int | dict[int, int] | None = None  # most onsets of an instrument in any second
    nearest: np.ndarray | None = None  # (end + REST + 1,) for each step the nearest one where an event may begin
    since: int | None = None  # where silence is counted from (default: start)
    chart: s.Chart | None = None  # chords that pitches are to agree with
    stray: float = 1.0  # factor on the odds of a pitch outside its chord (0: never, unless nothing else is legal)
    # Most notes that an instrument may sound at once. Those that begin at one time and the given ones that sound then,
    # `sounding` (steps,), count; drawn ones that began before do not, as they are cut short for the new one.
    voices: dict[int, int] = field(default_factory=dict)
    sounding: dict[int, np.ndarray] = field(default_factory=dict)
    louder: int = 0  # added to every velocity
    # Factor on the odds of any pitch but the root, for an instrument's first note under a chord.
    roots: dict[int, float] = field(default_factory=dict)
    groove: np.ndarray | None = None  # (end + 1,) place in the bar of each step, for what is struck there: groove.py
    usual: np.ndarray | None = None  # (end + 1,) added to the logit of an event, for how beats are divided: habits.py
    tune: np.ndarray | None = None  # (end + 1,) highest known pitch, above which notes of `under` seldom go: bias.py
    under: tuple[int, ...] = ()
    # (end + 1, 2) step at which the piece went as at each, -1 for none, and semitones that it is higher now: form.py
    before: np.ndarray | None = None
    # (N, 3) from which step on and until which step another hand is on what key: habits.keys_down, bias.py.
    taken: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    rhythm: Rhythm | None = None  # what is answered, note by note; then voices and places are as they were


def nearest_place(places: np.ndarray, end: int) -> np.ndarray:
    """`Limits.nearest` for places in steps, which may have fractions."""
    steps = np.arange(end + s.REST + 1)
    never = np.array([2 * len(steps)])
    places = np.unique(np.rint(places).astype(np.int64)) if len(places) else never
    return places[nearest(steps, places)]


@dataclass
class Stream:
    """One stream while it is decoded: what it is read against, its rows, and what the grammar remembers of them."""

    chart: s.Chart
    controls: np.ndarray  # quantised; the first `given` of them stand in the stream
    delta: int
    rng: np.random.Generator
    ordered: bool = True  # notes of one tick ascend by instrument and pitch; else they only must not come twice
    rows: np.ndarray = field(default_factory=lambda: np.zeros((0, len(s.COLUMNS)), dtype=np.int64))
    given: int = 0
    written: list[np.ndarray] = field(default_factory=list)  # the rows of drawn events
    belief: np.ndarray = field(default_factory=lambda: np.zeros(CHORDS))  # what the chord drawn last was drawn from
    expected: list[np.ndarray] = field(default_factory=list)  # that of each written chord
    chord: int | None = None  # the last chord that was written as an event
    ends: list[tuple[int, int]] = field(default_factory=list)  # (instrument, end) of events that still sound
    onsets: list[tuple[int, int]] = field(default_factory=list)  # (instrument, onset) of events of the last second
    begun: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # by clock: (instrument, pitch)
    last: int = 0  # clock of the last event, or of the first row

    @property
    def clock(self) -> int:
        return int(self.rows[-1, s.CLOCK])

    @property
    def pitches(self) -> np.ndarray:
        """(N,) pitches of the drawn events."""
        return np.array([row[s.PITCH] for row in self.written], dtype=np.int64)

    def silence(self, limits: Limits) -> float:
        """Seconds since the last event, or since silence is counted."""
        since = limits.start if limits.since is None else limits.since
        return max(self.clock - max(self.last, since), 0) / s.STEPS

    def columns(self, clock: int) -> np.ndarray:
        """(6,) chart columns at a clock, with the written chord where chords are written."""
        out = self.chart.columns(np.array([clock]))[0]
        if self.chord is not None:
            out[s.CHORD_ - s.BEAT_] = self.chord
        return out

    def extend(self, rows: np.ndarray) -> None:
        """Append rows, drawn or given; `remember` is told of those that were drawn."""
        self.rows = np.concatenate([self.rows, rows]) if len(self.rows) else rows
        chords = rows[(rows[:, s.KIND] == s.EVENT) & (rows[:, s.INSTRUMENT] == CHORD)]
        if len(chords):
            self.chord = int(chords[-1, s.PITCH])

    def restart(self, rows: np.ndarray, given: int) -> None:
        """Become a stream whose whole past is these rows, with nothing drawn yet. `rows` itself is left empty, for the
        decoder to fill; the limits remember the events."""
        self.rows, self.given, self.written, self.expected = rows[:0], given, [], []
        self.chord, self.ends, self.onsets, self.begun = None, [], [], {}
        events = rows[rows[:, s.KIND] == s.EVENT]
        chords = events[events[:, s.INSTRUMENT] == CHORD]
        if len(chords):  # it may slide out of the window and still hold
            self.chord = int(chords[-1, s.PITCH])
        if len(rows):
            self.last = int((events if len(events) else rows[:1])[-1, s.CLOCK])
            recent = events[events[:, s.CLOCK] > rows[-1, s.CLOCK] - s.MAX_DURATION]
            for row in recent[recent[:, s.INSTRUMENT] != CHORD]:
                self._count(row)
            self._forget(int(rows[-1, s.CLOCK]))

    def last_at_clock(self) -> tuple[int, int]:
        """(rank, pitch) of the last event at the clock's tick, (-2, -1) if there is none."""
        events = self.at_clock()
        if not len(events):
            return -2, -1
        instrument = int(events[-1, s.INSTRUMENT])
        return (-1 if instrument == CHORD else instrument), int(events[-1, s.PITCH])

    def at_clock(self) -> np.ndarray:
        """The events at the clock's tick."""
        first = len(self.rows)
        while first and self.rows[first - 1, s.CLOCK] == self.clock and self.rows[first - 1, s.KIND] in _NOTES:
            first -= 1
        return self.rows[first:][self.rows[first:, s.KIND] == s.EVENT]

    def remember(self, row: np.ndarray) -> None:
        """Note a drawn row for the limits."""
        self._forget(int(row[s.CLOCK]))
        if row[s.KIND] == s.EVENT:
            self.written.append(row)
            self.last = int(row[s.CLOCK])
            if row[s.INSTRUMENT] != CHORD:
                self._count(row)
                self.begun.setdefault(self.last, []).append((int(row[s.INSTRUMENT]), int(row[s.PITCH])))
            else:
                self.expected.append(self.belief)

    def _count(self, row: np.ndarray) -> None:
        self.ends.append((int(row[s.INSTRUMENT]), int(row[s.CLOCK] + row[s.DURATION])))
        self.onsets.append((int(row[s.INSTRUMENT]), int(row[s.CLOCK])))

    def _forget(self, clock: int) -> None:
        self.ends = [(instrument, end) for instrument, end in self.ends if end > clock]
        self.onsets = [(instrument, t) for instrument, t in self.onsets if t > clock - s.STEPS]

    def due(self, clock: int) -> np.ndarray:
        """Rows of the controls that stand right after a row at `clock`. They count as given from now on."""
        upto = s.due(self.controls, self.given, clock, self.delta)
        rows = s.control_rows(self.controls[self.given : upto], np.full(upto - self.given, clock))
        self.given = upto
        if len(rows):
            rows[:, s.CHART] = self.columns(clock)
        return rows


def free(stream: Stream, limits: Limits, clocks: np.ndarray) -> np.ndarray:
    """(INSTRUMENTS, N) whether each instrument has a voice free, and an onset left, at each of N clocks from now on."""
    out = np.ones((INSTRUMENTS, len(clocks)), dtype=bool)
    for most, several, after in ((limits.polyphony, stream.ends, 0), (limits.density, stream.onsets, s.STEPS)):
        for instrument, own in _by_instrument(several).items() if most is not None else ():
            limit = most.get(instrument) if isinstance(most, dict) else most
            if limit:
                out[instrument] &= (own[:, None] + after > clocks).sum(0) < limit
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


def writable(stream: Stream, limits: Limits, shift: int) -> np.ndarray:
    """(INSTRUMENTS, 128) what the limits allow `shift` steps from the clock."""
    if limits.rhythm is not None:
        return limits.rhythm.pitches(stream.pitches)
    return limits.table & free(stream, limits, np.array([stream.clock + shift]))


def legal_table(stream: Stream, limits: Limits, shift: int) -> np.ndarray:
    """(INSTRUMENTS, 128) what is writable and in order. At one tick chords come first, then instruments and their
    pitches ascend, so no note comes twice and no chord is endless. In a stream that keeps no order, what is there
    already is left out."""
    table = writable(stream, limits, shift)
    if limits.rhythm is not None:  # it has an order of its own
        return table
    if shift == 0 and not stream.ordered:
        there = stream.at_clock()
        table[there[:, s.INSTRUMENT], there[:, s.PITCH]] = False
    elif shift == 0:
        rank, pitch = stream.last_at_clock()
        if rank >= -1:
            table[CHORD] = False
        if rank >= 0:
            table[:rank] = False
            table[rank, : pitch + 1] = False
    return table


def legal_shifts(stream: Stream, limits: Limits, later: bool = False) -> np.ndarray:
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


def legal_values(stream: Stream, limits: Limits, column: int, values: np.ndarray) -> np.ndarray:
    """(n,) which of n values of a column (duration, velocity) may be drawn: all above 0 or, in a rhythm, the nearest to
    that of the note that is answered."""
    if limits.rhythm is None:
        return values > 0
    return np.arange(len(values)) == abs(values - limits.rhythm.row(len(stream.written))[column - s.SHIFT]).argmin()


def ending(limits: Limits, row: np.ndarray) -> int:
    """The duration of a drawn row, in steps. An instrument of one voice has its note cut off where it would reach a
    little over the next place on the grid; else the next note would have to wait for the place after that."""
    clock, duration = int(row[s.CLOCK]), int(row[s.DURATION])
    alone = isinstance(limits.polyphony, dict) and limits.polyphony.get(int(row[s.INSTRUMENT])) == 1
    if alone and limits.nearest is not None and clock + duration < len(limits.nearest):
        place = int(limits.nearest[clock + duration])
        if clock < place < clock + duration <= place + BEYOND:
            return place - clock
    return duration
