"""Song time: wall time to seconds of the song, to beats, to bars; ours, MIDI clock's or Link's. The only file of the
bridge that knows beats. Fed with events and wall times; knows no ports, no threads and no notes.

Song time runs as wall time runs while the song plays, so nothing that is due is ever moved; it jumps only when somebody
relocates. Tempo lives in the grid: the beat `beat` lies at song time `at`, and a beat lasts `period` seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from anticipation.errors import RequestError
from anticipation.music.tempo import compound

from .ears import CONTINUE, POSITION, START, STOP, TICK
from .ticks import TICKS, Ticks

SLOWEST, FASTEST = 20.0, 400.0  # bpm that we follow; as MIDI's and a DAW's, those are quarters a minute
SILENCE = 1.0  # seconds without a tick after which a MIDI clock is taken to have stopped


Meter = tuple[int, int]  # numerator, denominator


def parse_meter(text: str) -> Meter:
    """4/4, 6/8, 7/8. Raises RequestError."""
    upper, _, lower = text.partition("/")
    if upper.strip().isdecimal() and lower.strip() in ("2", "4", "8", "16") and 1 <= int(upper) <= 32:
        return int(upper), int(lower)
    raise RequestError(f"the metre {text!r} is none: say 3/4, 6/8 or 7/8 (1 to 32 of 2, 4, 8 or 16)")


def beats_of(meter: Meter) -> tuple[int, float]:
    """(beats in a bar, quarters in a beat), counted as in files: TempoMap.beat_ticks."""
    beats, unit = meter
    return (beats // 3, 12 / unit) if compound(beats, unit) else (beats, 4 / unit)


@dataclass(frozen=True)
class Grid:
    """Beat number `beat` lies at song time `at`; a beat lasts `period` seconds and is `unit` quarters; `meter` beats
    are a bar."""

    at: float = 0.0
    beat: float = 0.0
    period: float = 0.5
    meter: int = 4
    unit: float = 1.0

    @property
    def quarter(self) -> float:
        """Seconds."""
        return self.period / self.unit

    def quarters_at(self, song: float) -> float:
        """Quarters since the song's beginning."""
        return self.beat_at(song) * self.unit

    def beat_at(self, song: float) -> float:
        return self.beat + (song - self.at) / self.period

    def time_of(self, beat: float) -> float:
        return self.at + (beat - self.beat) * self.period

    def beats(self, start: float, end: float) -> list[tuple[float, int, float]]:
        """(song time, place in the bar, period) of the beats in start <= time < end."""
        first, last = (math.ceil(self.beat_at(t) - 1e-6) for t in (start, end))
        return [(self.time_of(b), b % self.meter, self.period) for b in range(first, last)]

    def bar_after(self, song: float) -> float:
        """Song time of the first bar line at or after a song time."""
        return self.time_of(math.ceil(self.beat_at(song) / self.meter - 1e-6) * self.meter)

    def place(self, song: float) -> tuple[int, float]:
        """(bar, beat), both counted from 1; bars below 1 are the count-in."""
        beat = self.beat_at(song) + 1e-6
        bar = math.floor(beat / self.meter)
        return bar + 1, round(beat - bar * self.meter + 1, 3)


class Clock:
    """What all clocks have: a song that plays or stands, and a grid. The internal clock is one that nobody feeds."""

    def __init__(self, bpm: float = 120.0, meter: Meter = (4, 4)) -> None:
        beats, unit = beats_of(meter)
        self.grid = Grid(period=60 / bpm * unit, meter=beats, unit=unit)
        self.playing = False
        self.notice = ""  # the last thing worth telling a person
        self._offset = 0.0  # wall time of song time 0, while playing
        self._stood = 0.0  # song time, while standing

    @property
    def bpm(self) -> float:
        return 60 / self.grid.quarter

    def song(self, wall: float) -> float:
        return wall - self._offset if self.playing else self._stood

    def wall(self, song: float) -> float:
        return song + self._offset

    def start(self, wall: float, count_in: int = 0) -> None:
        """From the beginning, after `count_in` beats at negative song times."""
        self._stand(0.0, 0.0)
        self._stood = -count_in * self.grid.period
        self.resume(wall)

    def resume(self, wall: float) -> None:
        """Play on from where it stands."""
        if not self.playing:
            self._offset, self.playing = wall - self._stood, True

    def stop(self, wall: float) -> None:
        if self.playing:
            self._stood, self.playing = self.song(wall), False

    def locate(self, wall: float, song: float) -> None:
        """Jump to a song time; the beats are where the tempo of now would have put them."""
        self._stand(song, song / self.grid.period)
        self._offset = wall - song

    def set_tempo(self, wall: float, bpm: float) -> None:
        song = self.song(wall)
        period = 60 / bpm * self.grid.unit
        self.grid = replace(self.grid, at=song, beat=self.grid.beat_at(song), period=period)

    def set_meter(self, meter: Meter) -> None:
        """The quarters stay where they are; beats and bars are counted anew from the song's beginning."""
        (beats, unit), grid = beats_of(meter), self.grid
        beat, period = grid.beat * grid.unit / unit, grid.quarter * unit
        self.grid = replace(grid, beat=beat, period=period, meter=beats, unit=unit)

    def _stand(self, song: float, beat: float) -> None:
        self._stood = song
        self.grid = replace(self.grid, at=song, beat=beat)

    def tick(self, wall: float) -> str | None:
        """Let time pass. Answers 'stop' where the clock stopped by itself."""
        return None


class MidiClock(Clock):
    """Follows ticks, start, stop, continue and song position."""

    def __init__(self, bpm: float = 120.0, meter: Meter = (4, 4)) -> None:
        super().__init__(bpm, meter)
        self._armed: str | None = None  # start or continue was heard: the next tick begins
        self._located = False  # whether a song position was heard since the last tick
        self._silent = False  # whether it fell silent, and was told to have
        self._lost = False  # whether ticks were missed that nobody can count
        self._ticks = Ticks()
        self._refused = 0  # ticks at a tempo that cannot be followed

    def hear(self, status: int, wall: float, position: int = 0) -> str | None:
        """A real-time message: TICK, START, CONTINUE, STOP or POSITION. Answers what happened to the song: 'start',
        'continue', 'stop', 'locate', 'tempo', or None."""
        if status == TICK:
            return self._hear_tick(wall)
        if status == CONTINUE and self.playing and not self._located:
            return None  # it goes on as it is
        if status in (START, CONTINUE):
            self._armed = "start" if status == START else "continue"
        if status == STOP:
            self._armed, self._lost = None, False
            was = self.playing
            self.stop(wall)
            return "stop" if was else None
        if status == POSITION:
            self._armed = "continue" if self._lost else self._armed
            self._stand(position / 4 * self.grid.quarter, position / 4 / self.grid.unit)
            self._offset = wall - self._stood
            self._ticks.number(position * (TICKS // 4))
            self._located = True
            return "locate"
        return None

    def tick(self, wall: float) -> str | None:
        last = self._ticks.last
        if self.playing and last is not None and wall - last > SILENCE:
            self.notice = "the MIDI clock fell silent: stopped until it comes back"
            self.stop(last + self.grid.quarter / TICKS)  # where the next tick will be
            self._armed, self._silent = "continue", True
            self._ticks.forget()
            return "stop"
        return None

    def lose(self, wall: float) -> None:
        """Nothing was heard for a while, or will be: the song stands until a start, a continue or a song position tells
        where it is."""
        self._lost = self.playing or self._armed is not None
        self._armed = None
        self._ticks.forget()
        self.stop(wall)

    def _hear_tick(self, wall: float) -> str | None:
        last = self._ticks.last
        if last is not None and wall <= last:
            return None
        if last is not None and wall - last > SILENCE:
            self._ticks.forget()
        if self._lost and not self._armed and self._ticks.last is None:
            self.notice = "MIDI clock was missed: the band waits for the next start, continue or song position"
        happened = self._begin(wall) if self._armed and self._refused <= TICKS else None
        self._ticks.hear(wall)
        self._located = False
        return self._follow() or happened

    def _begin(self, wall: float) -> str | None:
        """The first tick after start or continue is the one that the song stands at."""
        happened, self._armed = self._armed, None
        if self._silent:
            self.notice, self._silent = "the MIDI clock is back: the song goes on where it stopped", False
        self._lost = False
        if happened == "start":
            self._stand(0.0, 0.0)
        self._ticks.number(round(self.grid.quarters_at(self._stood) * TICKS))
        self._offset, self.playing = wall - self._stood, True
        self._ticks.forget()  # a transport that begins sets its clock anew; its tempo is the one it had
        return happened

    def _follow(self) -> str | None:
        """Move the grid onto the line of the ticks, if that has a tempo that can be followed. Answers 'tempo' where it
        is new."""
        number, end, period = self._ticks.fit(self.grid.quarter / TICKS)
        bpm = 60 / max(period * TICKS, 1e-6)
        if not SLOWEST <= bpm <= FASTEST:
            self._refused += 1
            if self._refused > TICKS:
                self.notice = (
                    f"a MIDI clock at {bpm:,.0f} bpm cannot be followed (from {SLOWEST:g} to {FASTEST:g}): "
                    f"the tempo stays at {self.bpm:.0f}"
                )
            return None
        self._refused = 0
        old, ticks = self.grid, TICKS * self.grid.unit  # in a beat
        at, beat = (self.song(end), number / ticks) if self.playing else (old.at, old.beat)
        self.grid = replace(old, at=at, beat=beat, period=period * ticks)
        return "tempo" if abs(self.grid.period / old.period - 1) > 0.02 else None


class LinkClock(Clock):
    """Follows an Ableton Link session: `hear` is told its beat and tempo as often as one likes."""

    _theirs: bool | None = None  # the session's transport, when we last heard of it

    def hear(self, wall: float, beat: float, bpm: float, playing: bool | None = None) -> str | None:
        """beat: in quarters. playing: the session's transport, or None where nobody is there. Answers as
        MidiClock.hear does. Peers that do not share their transport seem to stand for ever: only its changes start and
        stop the song."""
        if not SLOWEST <= bpm <= FASTEST or not math.isfinite(beat):
            self.notice = f"a Link session at {bpm:,.0f} bpm cannot be followed (from {SLOWEST:g} to {FASTEST:g})"
            return None
        unit = self.grid.unit
        happened = "tempo" if abs(self.grid.quarter * bpm / 60 - 1) > 0.02 else None
        changed, before, self._theirs = playing != self._theirs, self._theirs, playing
        if playing and changed and not self.playing:
            self._stand(beat * 60 / bpm, beat / unit)
            self.resume(wall)
            happened = "continue"
        elif playing is False and before and self.playing:
            self.stop(wall)
            happened = "stop"
        self.grid = replace(self.grid, at=self.song(wall), beat=beat / unit, period=60 / bpm * unit)
        return happened
