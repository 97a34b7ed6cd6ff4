"""App: the co-pilot as one object. Wires ears, mind, hands and recorder together; knows no music and no HTTP."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anticipation.errors import LiveError, RequestError
from anticipation.music.symbols import simplified

from .actions import ACTIONS, check_action
from .clock import Clock
from .controls import check
from .ears import Upbeat
from .hands import ARRIVES, Hands
from .home import config_folder
from .meters import Meters
from .mind import Mind
from .mpe import Zones
from .recorder import Recorder
from .remote import Controllers, serve_osc
from .reports import REPORTS, begun
from .session import Session
from .timeline import checked_timeline
from .transport import Transport

IDLE, STANDING = 0.1, 0.25  # seconds between looks: while playing, while not
SETTLED = 3.0  # seconds that the exit waits at most for a disk
CAUGHT_UP = 1.0  # seconds that the end of a take waits at most for what was played before it


class App:
    """The contract that pages, DAW scripts, OSC and the command hold on to. Every method may be called from any thread.

    state() -> dict, JSON-able and cheap (poll it 20 times a second):
        {"playing": bool, "mode": str, "sync": str, "bpm": float, "meter": [4, 4],
         "position": {"seconds", "bar", "beat"},       bar and beat counted from 1; bar <= 0 is the count-in;
                                                       a beat of 6/8 is a dotted quarter, but bpm counts quarters
         "controls": {name: value},                    every name of controls.TABLE
         "ports": {"in": [...], "out": [...], "chosen": {"in": str, "out": str}, "api": str},
         "meters": {"reaction_ms": {"p50", "p95"}, "jitter_ms": {"p50", "p99", "max"}, "late": n, "dropped": n,
                    "load": share of real time, "events_per_second": float},     a figure not known yet is None
         "mind": "ready" | "loading" | "hung" | "restarting" | "dead",
         "band": [{"name": "piano", "instrument": 0, "channel": 1, "on": bool}],
         "notes": {"heard": [[onset, duration | None, pitch, instrument, velocity]...], "played": [...],
                   "planned": [...]},                  the last 16 s and the plan, song seconds; None: still held
         "beats": [[seconds, place in the bar]...],    the grid over the same span, 0 is a downbeat
         "takes": [{"name", "seconds", "notes"}],      the newest last; None: not known
         "learning": name | None, "ccs": {name: number},   the MIDI controller of each control and action that has one
         "message": the last line worth telling, "revision": grows with every change}
    set(name, value) -> None             a control of controls.TABLE. RequestError: unknown name, value out of range
    act(name, **args) -> dict | None     one of actions.ACTIONS. RequestError likewise. keep answers {"name": take}
    timeline(notes, replace_from)        the DAW's future: [onset, duration, pitch, instrument, velocity] lists, song
                                         seconds; replaces what was sent from `replace_from` on. RequestError
    take(name) -> bytes                  a take as a .mid file. RequestError: no such take
    halt(stand)                          the program is stopped by its terminal while stand() lasts
    close()                              all notes off, takes saved, processes ended
    """

    def __init__(
        self, *, api: str = "auto", in_port: str | None = None, out_port: str | None = None, takes: Path,
        checkpoint: str | None = None, weights: str = "float32", threads: int = 1,
        settings: dict | None = None, osc: int | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        """Opens the ports, starts the mind. Raises LiveError, RequestError, FileError."""
        self._lock = threading.RLock()
        self._say, self.message, self.revision = say, "", 0
        self.session = Session({name: check(name, value) for name, value in (settings or {}).items()})
        self.recorder = Recorder(takes)
        self.meters = Meters()
        self.zones, self.upbeat = Zones(), Upbeat()
        self.controllers = Controllers(config_folder() / "controllers.json")
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self.hands = Hands(self._inbox.put, api, in_port, out_port)
        self.mind = Mind(self._inbox.put, checkpoint, threads, weights=weights)
        self.stamp: float | None = None  # of the player's note that the next question is about
        self.caught_up = threading.Event()  # all that was played until somebody asked has come to us
        self._closing = False
        try:
            self.transport = Transport(self.session, self.hands, self.recorder, self.tell)
            self.transport.programs()
            self.mind.start()
        except BaseException:  # no Ableton Link: a process would be left, and our ports with it
            self.hands.close()
            raise
        self._osc = serve_osc(self, osc, self.tell) if osc else None
        self._heart = threading.Thread(target=self._run, daemon=True, name="heart")
        self._heart.start()

    # The contract

    def state(self) -> dict:
        with self._lock:
            now = time.perf_counter()
            song, settings = self.clock.song(now), self.session.settings
            bar, beat = self.clock.grid.place(song)
            return {
                "playing": self.clock.playing, "mode": settings["mode"], "sync": settings["sync"],
                "bpm": round(self.clock.bpm, 2), "meter": [*self.session.setup.meter],
                "position": {"seconds": round(song, 3), "bar": bar, "beat": beat},
                "controls": dict(settings),
                "ports": self.hands.names,
                "meters": self.meters.figures(self.hands.errors, self.dropped),
                "mind": self.mind.state, "band": self.session.setup.members(), "notes": self.session.seen(song),
                "beats": [[round(t, 4), place] for t, place, _ in self.clock.grid.beats(song - 16, song + 8)],
                "takes": self.recorder.takes(), "learning": self.controllers.learning,
                "ccs": self.controllers.numbers, "message": self.message,
                "revision": self.revision,
            }  # fmt: skip

    @property
    def clock(self) -> Clock:
        return self.transport.clock

    @property
    def dropped(self) -> int:
        """Notes that were silent because they were decided, or came to the hands, too late."""
        return self.session.dropped + self.hands.dropped

    def set(self, name: str, value) -> None:
        value = check(name, value)
        with self._lock:
            before, voices = self.session.settings[name], self.session.setup.voices()
            now = time.perf_counter()
            if name == "sync" and value != before:
                self.transport.follow(now, str(value))
            self.session.change(name, value)
            if name == "bpm":
                self.transport.tempo(now, float(value))
            elif name == "meter" and value != before:
                self.transport.meter(now, self.session.setup.meter)
            elif name == "thru" and not value:
                self.hands.release()
            elif name == "chords" and value:
                self.tell(", ".join(simplified(str(value))))
            if name in ("instruments", "out_channel", "mute", "muted", "thru"):
                self.transport.voices_changed(now, voices)
            self.revision += 1
        self._inbox.put(("look",))

    def act(self, name: str, /, **args) -> dict | None:
        given = check_action(name, args)
        if self._closing:
            raise RequestError("the co-pilot has ended")
        now = time.perf_counter()
        if name in ("start", "stop", "keep"):
            self._catch_up(name == "stop")
        with self._lock:
            self.revision += 1
            answer = ACTIONS[name].do(self, now if name == "stop" else time.perf_counter(), **given)
        self._inbox.put(("look",))
        return answer

    def timeline(self, notes: list, replace_from: float) -> None:
        rows, start = checked_timeline(notes, replace_from)
        with self._lock:
            self.session.timeline(rows, start)
            self.revision += 1

    def take(self, name: str) -> bytes:
        return self.recorder.read(name)

    def halt(self, stand: Callable[[], None]) -> None:
        """Ctrl-Z: the song stops where it is, and all comes to rest. `stand` returns when the program goes on; so does
        the song then, unless it follows a MIDI clock: that has to say where it is."""
        self._catch_up(stops=True)
        with self._lock:
            playing = self.clock.playing and not self.transport.missed(time.perf_counter())
            self.transport.stop(time.perf_counter())
            self.hands.pause()
            stand()
            self.hands.wake()
            if playing:
                self.transport.go_on(time.perf_counter())

    def close(self) -> None:
        if self._closing:
            return
        now = time.perf_counter()
        self._catch_up(stops=True)
        with self._lock:
            self.transport.stop(now)
            self._closing = True
        self._inbox.put(("look",))
        self._heart.join(2)
        if name := self.recorder.elsewhere(Path(tempfile.gettempdir())):
            self.tell(f"saved in {tempfile.gettempdir()}: {name}")
        if self._osc:
            self._osc.shutdown()
            self._osc.server_close()
        self.hands.close()
        self.mind.close()
        self.recorder.settled(SETTLED)

    def _catch_up(self, stops: bool) -> None:
        """Before a take ends, what was played until now goes into it: after a machine stood still it is on its way.
        stops: the band is silent at once."""
        if threading.current_thread() is self._heart:  # who it comes to
            return
        self.caught_up.clear()
        if stops and self.clock.playing:
            self.hands.silence()
            self.hands.hold()
            self.caught_up.wait(ARRIVES)
        self.hands.catch_up()
        self.caught_up.wait(CAUGHT_UP)

    def hear(self, wall: float, data: list[int]) -> None:
        """A message has come at that time (of perf_counter)."""
        self._inbox.put(("heard", wall, data))

    def wait_ready(self, seconds: float) -> bool:
        """Wait until the mind has loaded, or died. Raises LiveError where it cannot be loaded."""
        end = time.monotonic() + seconds
        while self.mind.state in ("loading", "restarting") and time.monotonic() < end:
            time.sleep(0.05)
        if self.mind.broken:
            raise LiveError(self.mind.broken)
        return self.mind.state == "ready"

    def tell(self, line: str) -> None:
        """A line for whoever watches."""
        if line and line != self.message:
            self.message, self.revision = line, self.revision + 1
            with suppress(OSError, ValueError):  # whoever watched has gone, or cannot read it; the music goes on
                self._say(line)

    # The heart: one thread that everything comes to

    def _run(self) -> None:
        while not self._closing:
            try:
                events = [self._inbox.get(timeout=self._patience())]
            except queue.Empty:
                events = []
            while not self._inbox.empty() and len(events) < 256:
                events.append(self._inbox.get())
            with self._lock:
                self._beat(events)

    def _beat(self, events: list[tuple]) -> None:
        """All that has happened, and all that follows from it. One that fails takes no other with it."""
        for kind, *args in [*events, ("time",)]:
            try:
                REPORTS[kind](self, time.perf_counter(), *args)
            except Exception as error:  # our fault; but on a stage the music goes on
                self.session.drop_plan()
                self.tell(f"a fault of ours, please report it: {type(error).__name__}: {error}")

    def _patience(self) -> float:
        if not self.clock.playing:
            return STANDING
        plan, most = self.session.plan, min(IDLE, self.transport.patience)
        if not plan:
            return most
        song = self.clock.song(time.perf_counter()) - self.session.offset
        return min(max(plan[0][1][0] - self.session.commit_seconds - song, 0.001), most)

    def passes(self, now: float) -> None:
        """Time has passed."""
        self.transport.tick(now)
        begun(self, now)
        self.mind.watch(now)
        if not self.clock.playing:
            return
        song, session = self.clock.song(now), self.session
        asked = session.asked
        plays = session.commit(song, self.clock.grid)
        if session.asked != asked and self.mind.state == "ready":
            names = ", ".join(m["name"] for m in session.setup.members() if m["instrument"] in session.asked)
            slow = len(session.asked) < len(asked)
            self.tell(f"the mind {'is too slow for all' if slow else 'keeps up again'}: {names}")
        if plays:
            early = session.settings["latency"] / 1000
            strikes = []
            for note in plays:
                on = self.clock.wall(note.onset)
                strikes.append((on - early, on + note.duration - early, note.channel, note.pitch, note.velocity))
                self.recorder.note("played", note._replace(onset=on))
            self.hands.add(strikes)
            self.revision += 1
        ask = session.ask(song, self.clock.grid)
        if ask and self.mind.state == "ready":
            self.meters.asked(ask.number, self.stamp)
            self.stamp = None
            self.mind.ask(ask)
