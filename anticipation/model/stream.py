"""The interleaved stream: events, rests, controls and the chart they are read against, in 10 ms steps.

A stream is a table of rows (`COLUMNS`), each with the clock at which it stands. *Start* rows say what is wanted. An
*event* is a note, or a chord symbol, of a part that is written; the clock moves to its onset. A *rest* moves it by a
second; a shorter one is a *look*, see `event_rows`. A *control* is a note that is given; the clock stays. An *echo* is
a given note of a part that is written, said again among the events when its time comes: so the past of a part is one
line, whoever wrote it. The *chart*, beats and chords as in a lead sheet, stands in columns beside each row.
`interleave` makes the whole table at once; a `Stream` is one that grows row by row while it is decoded.

The only file that knows the anticipation rule (Thickstun, Hall, Donahue, Liang 2024): a control at time s stands right
after the first event, rest or start row at or after s - delta. Knows no bins, no weights and no files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..music.harmony import CHORDS
from ..music.notes import BEAT, CHORD, DRUMS, INSTRUMENTS, Notes
from ..music.tempo import BAR_BEATS

STEPS = 100  # steps in a second
REST = STEPS  # a rest moves the clock by this much; the clock never stands still for longer
MAX_DURATION = 10 * STEPS
LATENESS = STEPS // 20  # of live music: after so many steps what began is known
MOST_TOLD = 24  # instruments that start rows name
UNTOLD = INSTRUMENTS  # a start row's instrument when the stream does not say what may be written
NO_BEAT, UNKNOWN_CHORD = BAR_BEATS, CHORDS  # chart columns where nothing is known
HORIZON = 10 * STEPS  # how far ahead the chart looks
HISTORY, FUTURE = 30.0, 10.0  # seconds before a span and behind it that a model is shown; its window holds no more

START_KIND, EVENT, CONTROL, REST_KIND, ECHO = range(5)
NOTES = (EVENT, CONTROL)  # kinds of rows that say a note, or a chord symbol, for the first time
LINE = (EVENT, ECHO)  # kinds of rows that are the past of the parts that are written
STYLES = ("unknown", "pop", "classical", "piano", "folk", "band", "drums")

# The columns of a row. An event's shift is its onset minus the clock (>= 0), a control's too (negative when it comes
# late), a rest's is REST, a start row's is delta. The chart columns say what a reader of the lead sheet knows at the
# clock: place in the bar of the next beat, steps until it and from it to the one after; the chord that sounds, the
# next one and the steps until it. `clock` and `at` (the row's own onset) are steps since the origin of the stream.
COLUMNS = KIND, SHIFT, INSTRUMENT, PITCH, DURATION, VELOCITY, PLACE, WAIT, PERIOD, SYMBOL, NEXT, CHANGE, CLOCK, AT = (
    range(14)
)
CHART = slice(PLACE, CHANGE + 1)
_NONE = np.zeros((0, 5), dtype=np.int64)  # quantised notes


def of_kinds(rows: np.ndarray, kinds: tuple[int, ...]) -> np.ndarray:
    """(...) which of (..., columns) rows are of these kinds. It is asked several times for every row that is drawn, and
    np.isin takes eight times as long."""
    return np.logical_or.reduce([rows[..., KIND] == kind for kind in kinds])


def quantise(notes: Notes, origin: float = 0.0, strokes: bool = True) -> np.ndarray:
    """(N, 5) int64 of onset step, instrument, pitch, duration steps, velocity; sorted the way a stream has them (chords
    before notes, then by instrument and pitch), one note per (onset, instrument, pitch). strokes: drums have no length
    of their own."""
    onset = np.rint((notes.onset - origin) * STEPS).astype(np.int64)
    duration = np.clip(np.rint(notes.duration * STEPS), 1, MAX_DURATION).astype(np.int64)
    duration = np.where((notes.instrument == DRUMS) & strokes, 10, duration)
    table = np.stack([onset, notes.instrument, notes.pitch, duration, notes.velocity], axis=1)
    table = table[np.lexsort((-duration, notes.pitch, rank(table), onset))]
    same = np.zeros(len(table), dtype=bool)
    same[1:] = (table[1:, :3] == table[:-1, :3]).all(1)
    return table[~same]


def rank(table: np.ndarray) -> np.ndarray:
    """(N,) what quantised notes of one onset are sorted by, before their pitch: chords first, then by instrument."""
    return np.where(table[:, 1] == CHORD, -1, table[:, 1])


@dataclass(frozen=True)
class Chart:
    """The lead sheet of a stream: beats and chords known from the start, in steps from the stream's origin."""

    beats: np.ndarray  # (n, 3) onset, place in the bar, period
    chords: np.ndarray  # (m, 3) onset, symbol, duration

    @classmethod
    def of(cls, notes: Notes, origin: float = 0.0) -> Chart:
        """From the BEAT and CHORD rows of Notes."""

        def rows(instrument: int) -> np.ndarray:
            n = notes[notes.instrument == instrument]
            return np.rint(np.stack([(n.onset - origin) * STEPS, n.pitch, n.duration * STEPS], 1)).astype(np.int64)

        return cls(rows(BEAT), rows(CHORD))

    def symbols(self, clock: np.ndarray) -> np.ndarray:
        """(N,) the chord that sounds at each clock (N,), in steps; UNKNOWN_CHORD where none does."""
        if not len(self.chords):
            return np.full(len(clock), UNKNOWN_CHORD)
        onset, symbol, duration = self.chords.T
        i = np.searchsorted(onset, clock, side="right") - 1
        return np.where((i >= 0) & (clock < onset[i] + duration[i] + 1), symbol[i], UNKNOWN_CHORD)

    def columns(self, clock: np.ndarray) -> np.ndarray:
        """(N, 6) chart columns (`CHART`) at each clock (N,), in steps."""
        out = np.zeros((len(clock), 6), dtype=np.int64)
        place, wait, period, chord, following, change = out.T  # views: to write to them is to write to `out`
        place[:], chord[:], following[:] = NO_BEAT, self.symbols(clock), UNKNOWN_CHORD
        if len(self.beats):
            onset, places, periods = self.beats.T
            i = np.minimum(np.searchsorted(onset, clock), len(onset) - 1)
            ahead = onset[i] - clock  # a beat right at the clock is the next one
            known = (ahead >= 0) & (ahead <= HORIZON)
            place[known], wait[known] = places[i[known]], ahead[known]
            period[known] = np.minimum(periods[i[known]], HORIZON)
        if len(self.chords):
            onset, symbol, _ = self.chords.T
            i = np.minimum(np.searchsorted(onset, clock, side="right"), len(onset) - 1)
            ahead = onset[i] - clock
            known = (ahead > 0) & (ahead <= HORIZON)
            following[known], change[known] = symbol[i[known]], ahead[known]
        return out


@dataclass(frozen=True)
class Header:
    """What the start rows say. delta: steps that controls come early (negative: late). instruments: those that may be
    written; None, and more than MOST_TOLD, are untold. style: index into STYLES. cold: the stream begins where the
    piece begins."""

    delta: int = 5 * STEPS
    instruments: tuple[int, ...] | None = None
    style: int = 0
    cold: bool = True

    def rows(self, chart: Chart) -> np.ndarray:
        """(M, columns) start rows at clock 0, one for each told instrument."""
        told = sorted(set(self.instruments or ()))  # two violins are one instrument
        told = told if 0 < len(told) <= MOST_TOLD else [UNTOLD]
        out = np.zeros((len(told), len(COLUMNS)), dtype=np.int64)
        out[:, KIND], out[:, SHIFT], out[:, INSTRUMENT] = START_KIND, self.delta, told
        out[:, PITCH], out[:, VELOCITY] = self.style, int(self.cold)
        out[:, CHART] = chart.columns(out[:, CLOCK])
        return out


def event_rows(
    events: np.ndarray, until: int = 0, looks: np.ndarray | tuple[int, ...] = (), echoes: np.ndarray = _NONE
) -> np.ndarray:
    """Rows of quantised events with the rests between them, and after the last while the clock is before `until`.

    looks: steps to which the clock is moved by a shorter rest, ahead of the events that begin there. It says that there
    is no event before, and that what is known by then has been told. A look is given, as controls are, and not drawn.
    echoes: quantised notes that are given too, each in its place among the events; an event that is one of them is left
    out.
    """
    looks = np.unique(np.asarray(looks, dtype=np.int64))
    looks = looks[looks > 0]
    kinds = np.repeat([REST_KIND, ECHO, EVENT], [len(looks), len(echoes), len(events)])
    events = np.concatenate([np.pad(looks[:, None], ((0, 0), (0, 4))), echoes, events])
    within = (events[:, 2], rank(events), kinds != REST_KIND) if len(echoes) else ()  # else in the order that they have
    order = np.lexsort((*within, events[:, 0]))
    events, kinds = events[order], kinds[order]
    twice = np.zeros(len(events), dtype=bool)
    twice[1:] = (events[1:, :3] == events[:-1, :3]).all(1) & (kinds[:-1] == ECHO)
    events, kinds = events[~twice], kinds[~twice]
    onset = events[:, 0]
    gap = np.diff(onset, prepend=0)
    rests = np.maximum(-(-gap // REST) - 1, 0)  # so that what is left is 1..REST, or the gap itself when short
    tail = max(0, -(-(until - (int(onset[-1]) if len(onset) else 0)) // REST))
    where = np.arange(len(events)) + np.cumsum(rests)
    out = np.zeros((len(events) + int(rests.sum()) + tail, len(COLUMNS)), dtype=np.int64)
    out[:, KIND], out[:, SHIFT] = REST_KIND, REST
    out[where, KIND] = kinds
    out[where, SHIFT] = gap - rests * REST
    out[where, INSTRUMENT : VELOCITY + 1] = events[:, 1:]
    out[:, CLOCK] = np.cumsum(out[:, SHIFT])
    out[:, AT] = out[:, CLOCK]
    return out


def control_rows(controls: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Rows of quantised controls that stand at the given clocks."""
    out = np.zeros((len(controls), len(COLUMNS)), dtype=np.int64)
    out[:, KIND], out[:, SHIFT] = CONTROL, controls[:, 0] - clock
    out[:, INSTRUMENT : VELOCITY + 1] = controls[:, 1:]
    out[:, CLOCK], out[:, AT] = clock, controls[:, 0]
    return out


def echoes_of(controls: np.ndarray, instruments: Iterable[int]) -> np.ndarray:
    """Those of quantised controls (N, 5) that are echoed where these instruments are written."""
    return controls[np.isin(controls[:, 1], list(instruments))]


def interleave(
    events: np.ndarray, controls: np.ndarray, chart: Chart, header: Header, *, told: np.ndarray | None = None,
    looks: np.ndarray | tuple[int, ...] = (), until: int = 0, limit: int | None = None, echoes: np.ndarray = _NONE,
) -> np.ndarray:  # fmt: skip
    """The whole stream at once, (N, len(COLUMNS)): start rows, then events and rests with each control right after the
    first row whose clock reaches the step at which it is told.

    events, controls: from `quantise`, relative to the stream's origin. told: (controls,) steps, by default the onsets
    less delta. looks: as for `event_rows`. until: keep resting until this step. limit: at most this many rows. echoes:
    those of the controls that are said again when their time comes. Decoding does the same a row at a time
    (`Stream.due`, `Stream.overtaken`): a test holds both equal.
    """
    told = controls[:, 0] - header.delta if told is None else told
    body = event_rows(events[:limit], until, looks, echoes[:limit])
    stops = np.concatenate([[0], body[:, CLOCK]])  # the start rows are the first stopping time, at clock 0
    after = np.searchsorted(stops, told, side="left")
    reached = after < len(stops)
    given = control_rows(controls[reached], stops[after[reached]])
    rows = np.concatenate([body, given])
    order = np.argsort(np.concatenate([np.arange(1, len(stops)), after[reached] + 0.5]), kind="stable")
    rows = rows[order]
    rows[:, CHART] = chart.columns(rows[:, CLOCK])
    rows[:, SYMBOL] = written_chords(rows)
    return np.concatenate([header.rows(chart), rows])[:limit]


def written_chords(rows: np.ndarray) -> np.ndarray:
    """The chord column, where chords are events of the stream: the last one at or before each row, in row order (so no
    row knows a chord that is still to be written)."""
    written = (rows[:, KIND] == EVENT) & (rows[:, INSTRUMENT] == CHORD)
    if not written.any():
        return rows[:, SYMBOL]
    last = np.maximum.accumulate(np.where(written, np.arange(len(rows)), -1))
    return np.where(last >= 0, rows[last, PITCH], UNKNOWN_CHORD)


def to_notes(rows: np.ndarray, origin: float = 0.0) -> Notes:
    """The events of a stream as Notes; an unknown velocity becomes 64."""
    rows = rows[rows[:, KIND] == EVENT]
    velocity = np.where(rows[:, VELOCITY] > 0, rows[:, VELOCITY], 64)
    onset = origin + rows[:, AT] / STEPS
    return Notes(onset, rows[:, DURATION] / STEPS, rows[:, PITCH], rows[:, INSTRUMENT], velocity).sorted()


@dataclass
class Stream:
    """One stream while it is decoded: what it is read against, its rows, and what was drawn of them so far."""

    chart: Chart
    controls: np.ndarray  # quantised; the first `given` of them stand in the stream
    delta: int
    rng: np.random.Generator
    unheard: tuple[int, ...] = ()  # instruments of which it is told nothing while it is decoded beside others
    ordered: bool = True  # notes of one tick ascend by instrument and pitch; else they only must not come twice
    echoes: np.ndarray = field(default_factory=lambda: _NONE)  # of the controls; the first `echoed` stand in the stream
    rows: np.ndarray = field(default_factory=lambda: np.zeros((0, len(COLUMNS)), dtype=np.int64))
    given: int = 0
    echoed: int = 0
    written: list[np.ndarray] = field(default_factory=list)  # the rows of drawn events
    chord: int | None = None  # the last chord that was written as an event
    ends: list[tuple[int, int]] = field(default_factory=list)  # (instrument, end) of events that still sound
    onsets: list[tuple[int, int]] = field(default_factory=list)  # (instrument, onset) of events of the last second
    begun: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # by clock: (instrument, pitch)
    last: int = 0  # clock of the last event, or of the first row

    @property
    def clock(self) -> int:
        return int(self.rows[-1, CLOCK])

    @property
    def pitches(self) -> np.ndarray:
        """(N,) pitches of the drawn events."""
        return np.array([row[PITCH] for row in self.written], dtype=np.int64)

    def columns(self, clock: int) -> np.ndarray:
        """(6,) chart columns at a clock, with the written chord where chords are written."""
        out = self.chart.columns(np.array([clock]))[0]
        if self.chord is not None:
            out[SYMBOL - PLACE] = self.chord
        return out

    def at_clock(self) -> np.ndarray:
        """The events and echoes at the clock's tick."""
        first = len(self.rows)
        while first and self.rows[first - 1, CLOCK] == self.clock and self.rows[first - 1, KIND] in (*NOTES, ECHO):
            first -= 1
        return self.rows[first:][of_kinds(self.rows[first:], LINE)]

    @property
    def wait(self) -> int:
        """Steps until the next echo; more than a rest where there is none within it."""
        return int(self.echoes[self.echoed, 0]) - self.clock if self.echoed < len(self.echoes) else MAX_DURATION

    def overtaken(self, row: np.ndarray) -> np.ndarray | None:
        """The row of the next echo, if a drawn row comes after it or is the same note; then it counts as said."""
        if self.wait > row[SHIFT]:
            return None
        note = self.echoes[self.echoed]
        if row[KIND] == EVENT and self.wait == row[SHIFT]:
            own = row[[AT, INSTRUMENT, PITCH]]
            if (rank(own[None])[0], own[2]) < (rank(note[None])[0], note[2]):
                return None
        self.echoed += 1
        out = control_rows(note[None], np.array([self.clock]))[0]
        out[KIND], out[CLOCK], out[CHART] = ECHO, note[0], self.columns(int(note[0]))
        return out

    def due(self, clock: int) -> np.ndarray:
        """Rows of the controls that stand right after a row at `clock`. They count as given from now on."""
        upto = max(self.given, int(np.searchsorted(self.controls[:, 0], clock + self.delta, side="right")))
        rows = control_rows(self.controls[self.given : upto], np.full(upto - self.given, clock))
        self.given = upto
        if len(rows):
            rows[:, CHART] = self.columns(clock)
        return rows

    def restart(self, rows: np.ndarray) -> None:
        """Become a stream whose whole past is these rows, with nothing drawn yet. `rows` itself is left empty, for the
        decoder to fill; their events count for the limits."""
        self.rows, self.written = rows[:0], []
        self.given, self.echoed = (int((rows[:, KIND] == kind).sum()) for kind in (CONTROL, ECHO))
        self.chord, self.ends, self.onsets, self.begun = None, [], [], {}
        events = rows[rows[:, KIND] == EVENT]
        chords = events[events[:, INSTRUMENT] == CHORD]
        if len(chords):  # it may slide out of the window and still hold
            self.chord = int(chords[-1, PITCH])
        if len(rows):
            self.last = int((events if len(events) else rows[:1])[-1, CLOCK])
            recent = events[events[:, CLOCK] > rows[-1, CLOCK] - MAX_DURATION]
            for row in recent[recent[:, INSTRUMENT] != CHORD]:
                self._count(row)
            self._forget(int(rows[-1, CLOCK]))

    def remember(self, row: np.ndarray) -> None:
        """Note a drawn row, or an echo, before it is one of the stream's. For the limits echoes are known notes."""
        self._forget(int(row[CLOCK]))
        if row[KIND] in LINE:
            self.last = int(row[CLOCK])
        if row[KIND] == EVENT:
            self.written.append(row)
            if row[INSTRUMENT] != CHORD:
                self._count(row)
                self.begun.setdefault(self.last, []).append((int(row[INSTRUMENT]), int(row[PITCH])))
            else:
                self.chord = int(row[PITCH])

    def _count(self, row: np.ndarray) -> None:
        """For the limits: a note that has begun."""
        self.ends.append((int(row[INSTRUMENT]), int(row[CLOCK] + row[DURATION])))
        self.onsets.append((int(row[INSTRUMENT]), int(row[CLOCK])))

    def _forget(self, clock: int) -> None:
        """For the limits: what has ended by then, and onsets a second ago."""
        self.ends = [(instrument, end) for instrument, end in self.ends if end > clock]
        self.onsets = [(instrument, t) for instrument, t in self.onsets if t > clock - STEPS]
