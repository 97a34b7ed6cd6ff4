"""Transport: the song starts, stops, goes on and jumps, whoever's clock it is, and session, hands and recorder follow.
Knows clocks; knows no ports, no process and no controls' names but those of time."""

from __future__ import annotations

import math
from collections.abc import Callable

from anticipation.errors import AnticipationError, RequestError
from anticipation.music.notes import DRUMS

from .clock import Clock, LinkClock, Meter, MidiClock
from .ears import CONTINUE, POSITION, START, STOP
from .hands import Hands
from .mpe import Zones
from .recorder import Recorder
from .remote import open_link
from .session import Session
from .take import LiveNote

LOOSE = 0.1  # beats by which a jump may differ from whole bars: DAWs send it a little before or after the clock tick
SEAM = 0.03  # seconds within which what follows a stop makes a jump of it: Ardour that loops stops for an audio cycle


class Transport:
    """All wall times are perf_counter's. The caller holds the app's lock."""

    def __init__(self, session: Session, hands: Hands, recorder: Recorder, tell: Callable[[str], None]) -> None:
        self.session, self.hands, self.recorder, self.tell = session, hands, recorder, tell
        self._link: Callable[[float], tuple] | None = None
        self._stopped: float | None = None  # when the MIDI clock said stop, while that may yet be a jump
        self.clock = self._open(str(session.settings["sync"]))

    def _open(self, sync: str) -> Clock:
        settings = self.session.settings
        link = open_link(settings["bpm"]) if sync == "link" else None
        kind = {"internal": Clock, "clock": MidiClock, "link": LinkClock}[sync]
        self._link = link
        return kind(settings["bpm"], self.session.setup.meter)

    def follow(self, now: float, sync: str) -> None:
        """Follow another clock. Raises LiveError, and nothing has changed."""
        clock = self._open(sync)
        self.stop(now)
        self.clock = clock

    # What a person does

    def start(self, now: float) -> None:
        self._ours("start")
        self.stop(now)
        before = self._place(now)
        self.clock.start(now, self.session.settings["count_in"] * self.clock.grid.meter)
        self._happened("start", now, before)

    def resume(self, now: float) -> None:
        self._ours("continue")
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """From where the song stands, whoever's clock it is."""
        if not self.clock.playing:
            self.clock.resume(now)
            self._happened("continue", now)

    def missed(self, now: float) -> bool:
        """Nothing can be heard of the clock that is followed. Answers whether it is one whose place is lost then."""
        if not isinstance(self.clock, MidiClock):
            return False
        playing = self.clock.playing
        self.clock.lose(now)
        self._happened("stop" if playing else None, now)
        return True

    def stop(self, now: float) -> None:
        self._stopped = None
        self.clock.stop(now)
        self._happened("stop", now)

    def locate(self, now: float, seconds: float) -> None:
        self._ours("locate")
        if not -1e5 < seconds < 1e5:
            raise RequestError("no such place in the song")
        before = self._place(now)
        self.clock.locate(now, seconds)
        self._happened("locate", now, before)

    def tempo(self, now: float, bpm: float) -> None:
        """The internal clock's."""
        if self.session.settings["sync"] == "internal":
            self.clock.set_tempo(now, bpm)
            self._happened("tempo", now)

    def meter(self, now: float, meter: Meter) -> None:
        """Bars are counted from the beginning: the first of the new ones begins where that says."""
        self.clock.set_meter(meter)
        song = self.clock.song(now)
        self.session.meter_changed(song)
        self.recorder.meter(self.clock.wall(self.clock.grid.bar_after(song)), meter)

    def silence(self, now: float, voices: dict[int, int] | None = None) -> None:
        """All fall silent at once, or these voices of the band (instrument -> channel); in the take as well."""
        self.hands.silence(None if voices is None else sorted(voices.values()))
        self.recorder.silence(now + self.session.settings["latency"] / 1000, voices)  # what was sent is yet to sound

    def keep(self, now: float, bars: int) -> str:
        """Save the last bars as a take. Raises RequestError, FileError."""
        self._write_down()
        return self.recorder.keep(now, bars, map(self._by_wall, self.session.held(self.clock.song(now))))

    def forget(self, now: float) -> None:
        """A cold start, while playing on."""
        self.session.release_all(self.clock.song(now))
        self.session.forget()

    def _ours(self, what: str) -> None:
        if self.session.settings["sync"] == "clock":
            raise RequestError(f"the clock comes from outside: {what} there, or set sync to internal")

    def _place(self, wall: float) -> tuple[float, float]:
        """Where the song is: (seconds, beats)."""
        song = self.clock.song(wall)
        return song, self.clock.grid.beat_at(song)

    # What a clock does

    def hear(self, status: int, value: int, wall: float) -> None:
        """A real-time message came in. After a stop nothing more begins; once it is clear that it was one, all ends."""
        if not isinstance(self.clock, MidiClock):
            return
        if status == STOP and self.clock.playing:
            self._stopped = self._stopped or wall
            self.hands.hold()
            return
        jumps = self._stopped is not None and status in (START, CONTINUE, POSITION)
        before = self._place(wall)
        what = self.clock.hear(POSITION if jumps and status == START else status, wall, value)
        self._followed(what, wall, before)
        if jumps:
            self._stopped = wall if status == POSITION else None
            if status != POSITION:
                self.hands.go()

    @property
    def patience(self) -> float:
        """Seconds until a `tick` is due, at most."""
        return math.inf if self._stopped is None else SEAM / 4

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._write_down()
        if self._link and isinstance(self.clock, LinkClock):
            wall, *state = self._link(now)
            before = self._place(wall)
            what = self.clock.hear(wall, *state)
            self._followed(what, wall, before)
        if self._stopped is not None and now - self._stopped >= SEAM and isinstance(self.clock, MidiClock):
            wall, self._stopped = self._stopped, None
            self._happened(self.clock.hear(STOP, wall), wall)
        self._happened(self.clock.tick(now), now)
        for source in (self.clock, self.recorder):
            if source.notice:
                self.tell(source.notice)
                source.notice = ""

    def _followed(self, what: str | None, wall: float, before: tuple[float, float]) -> None:
        """The clock heard somebody else's; before: the place that the song had."""
        self._happened(what, wall, before)
        if self.clock.playing:
            self.recorder.beat(wall, self.clock.grid.quarters_at(self.clock.song(wall)), self.clock.bpm)

    def _happened(self, what: str | None, now: float, before: tuple[float, float] | None = None) -> None:
        """The song started, stopped, went on, jumped (from `before`) or changed its tempo."""
        session = self.session
        if before and what in ("start", "continue", "locate"):
            self._jumped(now, before, what)
        if what == "stop":
            self.silence(now)
        if what in ("stop", "start"):
            session.release_all(self.clock.song(now))
            self._end_take(now)
        if what == "start" or what == "continue" and not self.recorder.runs:
            grid = self.clock.grid
            beat = grid.beat_at(self.clock.song(now)) // grid.meter * grid.meter  # bars in the file, too
            begin = self.clock.wall(grid.time_of(beat))
            self.recorder.begin(begin, self.clock.bpm, session.setup.meter, beat * grid.unit)
            self.programs()
        if what == "start":
            session.forget()
        if what == "stop":
            session.drop_plan()
        if what == "tempo":
            if session.settings["sync"] == "internal":
                self.recorder.tempo(now, self.clock.bpm)
            session.changed = True

    def _jumped(self, now: float, before: tuple[float, float], what: str) -> None:
        """The song is elsewhere. Where it played and the beat goes on, whole bars away (a DAW's loop), so does the
        band; else it falls silent. What the player holds sounds on."""
        song, beat = self._place(now)
        meter = self.clock.grid.meter
        beats = round((beat - before[1]) / meter) * meter
        if what != "start" and self.recorder.runs and abs(beat - before[1] - beats) < LOOSE:
            self.session.go_round(song - before[0], beats)
        else:
            self.session.locate(song - before[0])
            self.silence(now, self.session.setup.voices())

    def _write_down(self) -> None:
        """The player's notes that have ended go into the take: the only place where they do; and those that have begun
        into its journal."""
        for side, notes in (("heard", self.session.ended()), ("held", self.session.opened())):
            for note in notes:
                self.recorder.note(side, self._by_wall(note))

    def _by_wall(self, note: LiveNote) -> LiveNote:
        return note._replace(onset=self.clock.wall(note.onset))

    def _end_take(self, now: float) -> None:
        self._write_down()
        try:
            name = self.recorder.end(now)
        except AnticipationError as error:
            self.tell(f"the take could not be saved: {error}; stop tries again")
        else:
            self.tell(f"saved {name}" if name else "")

    def zones_changed(self, zones: Zones) -> None:
        """The player's channels are one part, in the take as well: MPE."""
        self._write_down()
        self.session.zones_changed(zones)
        for manager, members in zones.zones.items():
            self.recorder.join(manager, members)

    def voices_changed(self, now: float, before: dict[int, int]) -> None:
        """The band's voices were others: those that are gone fall silent, the rest play on."""
        voices = self.session.setup.voices()
        if gone := dict(before.items() - voices.items()):
            self.silence(now, gone)
        if voices.keys() - before.keys() or gone:
            self.programs()

    def programs(self) -> None:
        """Each channel of the band gets its sound."""
        setup = self.session.setup
        self.hands.programs({setup.channels[i]: i for i in setup.band if i < DRUMS})
