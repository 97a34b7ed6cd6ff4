"""Hands: the process that sends and receives MIDI, and the parent's end of it. A process of its own for three reasons:
its timing does not depend on the Python lock that page, session and model share; a MIDI system that hangs or crashes
takes only this process with it; and if the program is killed, it lives on for long enough to end what still sounds.
Knows the wall clock, ports and messages; knows no song and no music."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partialmethod
from typing import Any

from anticipation.errors import LiveError

from . import ports
from .child import ask_for_priority, ignore_signals, start, waiter, writable
from .ears import PROGRAM, EchoGuard, parse
from .scheduler import Scheduler

# What it reports, as tuples: ("heard", wall, bytes), ("port", "in" or "out", its name, "lost" or "back"),
# ("hands", "lost" or "back"), ("caught_up",). Within: ("open", names), ("error", text), ("figures", dict), ("paused",).

SPIN = 0.0008  # the last seconds before a note's time are spent in a busy loop: sleeping is not precise enough
LOOK, DOZE = 0.001, 0.02  # shortest and longest time between two readings of the input, seconds
TELL, HEARTBEAT = 0.05, 1.0  # seconds between reports of figures: when they have changed, and when they have not
PATIENCE = 8.0  # seconds without a report after which the process counts as hung (JACK's own timeouts are 5 s and less)
WATCH = 1.0  # seconds between two looks at which ports exist
ARRIVES = 0.05  # seconds that a MIDI system takes to hand on what it holds: JACK, two of its periods
HELD_UP = 1.0  # seconds that a command waits at most for hands that do not read
LEAVE = 3.0  # seconds in which they are to end; to close the ports of a JACK that hangs takes longer, and is left out
RETRY = 1.0  # seconds between two attempts to start another process


def nap(silence: float) -> float:
    """Seconds to wait before the input is read again, when it has been silent for so many."""
    return min(max(silence / 1000, LOOK), DOZE)


def play(connection, api: str, in_name: str | None, out_name: str | None) -> None:
    """The process. Ends when the parent or the MIDI system is gone."""
    ignore_signals()
    with suppress(EOFError, OSError):  # the parent is gone
        try:
            pair = ports.Pair(ports.choose(api), in_name, out_name)
        except LiveError as error:
            connection.send(("error", str(error)))
            return
        connection.send(("open", pair.names()))
        ask_for_priority()
        loop = Loop(connection, pair)
        try:
            loop.run()
        finally:
            loop.end()


class Loop:
    """What the process does: one thread, which polls its input. No callback, because rtmidi would call it in the MIDI
    system's thread, where it waits for Python's lock; JACK's whole graph waits with it, and the holder of the lock may
    in turn be waiting for the graph."""

    def __init__(self, connection, pair: ports.Pair) -> None:
        self.connection, self.pair = connection, pair
        self.scheduler, self.echo = Scheduler(time.perf_counter, self._send), EchoGuard()
        self.works = True
        self._look: Callable[[float], bool]  # whether there is a command
        self._passing = False
        self._names = pair.names()
        self._reported, self._reported_at = (0, 0, 0), 0.0
        self._unreported: deque[tuple] = deque()  # what was heard, while the parent does not read

    def _send(self, message: list[int]) -> None:
        self.pair.out.send(message)
        self.echo.sent(time.perf_counter(), message, self._passing)

    def _pass_on(self, message: list[int], wall: float) -> None:
        """Send on what the player plays (thru). A player may soon repeat a note, so only a very quick return counts as
        an echo of it."""
        self._passing = True
        try:
            self.scheduler.pass_on(message, wall)
        finally:
            self._passing = False

    def run(self) -> None:
        self._look, complained = waiter(self.connection), ports.overheard()
        heard = watched = 0.0
        while True:
            due = self._do(self.scheduler.tick)
            now = time.perf_counter()
            left = due - now - SPIN if due is not None else DOZE
            if left <= 0:
                while time.perf_counter() < (due or 0.0):
                    pass
                continue
            asked = self._look(min(left, nap(now - heard)))
            heard = self._hear() or heard
            if asked:
                self._obey(*self.connection.recv())
            if now - watched > WATCH:
                watched = now
                self._watch()
                if complained() and not self.pair.alive():
                    return
            self._tell()

    def _hear(self, patience: float = 0.0) -> float | None:
        """Report what has come in. Answers when the last of it came. A parent that stands still has time for it later;
        who waited for him would end no note meanwhile."""
        heard = None
        for wall, data in self.pair.input.read():
            message = parse(data)
            if message is not None:
                heard = wall
                if not self.echo.is_echo(wall, message):
                    self._unreported.append(("heard", wall, data))
        while self._unreported and writable(self.connection, patience):
            self.connection.send(self._unreported.popleft())
        return heard

    def end(self) -> None:
        """However it came to an end: no note, pedal or bend of ours is left behind, and what was played is told."""
        with suppress(OSError):
            self.scheduler.silence()
            self.scheduler.release()
        with suppress(OSError):
            time.sleep(ARRIVES)
            self._hear(HELD_UP)
        self.pair.close()

    def _do(self, verb: Callable, *args) -> Any:
        """Call the scheduler, unless the output is gone; note when it goes."""
        if not self.works:
            return None
        try:
            return verb(*args)
        except OSError:
            if self.pair.out.name is None:
                raise  # nobody will plug it in again: other hands are to open another
            self.works = False
            self.connection.send(("port", "out", self.pair.out.name, "lost"))
            return None

    def _obey(self, verb: str, *args) -> None:
        """add, hold, go, pass_on, silence, release, panic: the scheduler's; send: a message as it is; tell: figures,
        now; catch_up: what was heard, too; pause, and wake, which ends it."""
        if verb == "tell":
            self._reported_at = 0.0
        elif verb == "catch_up":
            self._hear()
            self._unreported.append(("caught_up",))
            self._hear()
        elif verb == "pause":
            self._pause()
        elif verb != "wake":
            own: dict[str, Callable] = {"send": self._send, "pass_on": self._pass_on}
            self._do(own.get(verb) or getattr(self.scheduler, verb), *args)

    def _pause(self) -> None:
        """All comes to rest; and what is played until the next command is heard by nobody."""
        self._do(self.scheduler.silence)
        self._do(self.scheduler.release)
        self.connection.send(("paused",))
        while not self._look(DOZE):
            self.pair.input.read()

    def _watch(self) -> None:
        self._names = self.pair.names()
        for port, change in self.pair.watch():
            if port is self.pair.out:
                self.works = change == "back"
                self._do(self.scheduler.silence)  # what sounded when it went
            self.connection.send(("port", port.side, port.name, change))

    def _tell(self) -> None:
        """Report the figures when they have changed, and once in a while as a sign of life."""
        scheduler, now = self.scheduler, time.perf_counter()
        state = scheduler.sent, scheduler.dropped, len(scheduler.sounding)
        rest = TELL if state != self._reported else HEARTBEAT
        if now - self._reported_at > rest and writable(self.connection, 0.0):
            self._reported, self._reported_at = state, now
            errors = list(scheduler.errors)
            scheduler.errors.clear()
            figures = {"names": self._names, "errors": errors, "caught": self.echo.caught}
            self.connection.send(("figures", figures | dict(zip(("sent", "dropped", "sounding"), state, strict=True))))


class Hands:
    """The parent's end. All verbs may be called from any thread, and none waits for the music. `report` is called from
    a thread of ours. Opens at once: raises LiveError.

    works: whether there is an output. names: of ports.Pair. sent, dropped, sounding: notes, up to some 50 ms ago.
    errors: seconds between due time and sending, of the last note-ons. caught: echoes of ours that came in.
    """

    def __init__(self, report: Callable[[tuple], None], api: str, in_name: str | None, out_name: str | None) -> None:
        self.report, self.settings = report, (api, in_name, out_name)
        self.works = True
        self.names: dict = {}
        self.errors: deque[float] = deque(maxlen=50_000)
        self.sent = self.dropped = self.sounding = self.caught = 0
        self._before = (0, 0)  # sent and dropped by hands that have died
        self._process: Any = None
        self._connection: Any = None
        self._unsaid = False  # whether a command was dropped
        self._lock, self._closing, self._paused = threading.Lock(), threading.Event(), threading.Event()
        self._open()
        self._thread = threading.Thread(target=self._run, daemon=True, name="hands")
        self._thread.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    # Verbs

    def add(self, strikes: Iterable[tuple[float, float, int, int, int]]) -> None:
        """(on, off, channel, pitch, velocity), wall times."""
        for strike in strikes:
            self._say("add", *strike)

    def pass_on(self, message: list[int], wall: float) -> None:
        self._say("pass_on", message, wall)

    def programs(self, channels: dict[int, int]) -> None:
        """Choose the sound of each channel: channel 0-15 -> program."""
        for channel, program in channels.items():
            self._say("send", [PROGRAM | channel, program])

    def silence(self, channels: Iterable[int] | None = None) -> None:
        self._say("silence", channels)

    def catch_up(self) -> None:
        """Report all that has come in so far, and then "caught_up"."""
        if self._connection.closed:
            self.report(("caught_up",))
        else:
            self._say("catch_up")

    def pause(self) -> None:
        """Rest, until we `wake`: all is off when this returns, unless the hands hang."""
        self._paused.clear()
        self._say("pause")
        self._paused.wait(1.0)

    def _say(self, *command) -> None:
        """Send a command. Where the process is gone or hangs it is dropped. It may have been the end of a note: should
        these hands move again, they first let go of everything."""
        if not self._lock.acquire(timeout=HELD_UP):
            self._unsaid = True
            return
        try:
            with suppress(OSError, TypeError, ValueError):
                if not writable(self._connection, 0.0 if self._unsaid else HELD_UP):
                    self._unsaid = True
                    return
                rest, self._unsaid = [("silence", None), ("release",)] if self._unsaid else [], False
                for one in (*rest, command):
                    self._connection.send(one)
        finally:
            self._lock.release()

    hold, go = partialmethod(_say, "hold"), partialmethod(_say, "go")
    release, panic, wake = partialmethod(_say, "release"), partialmethod(_say, "panic"), partialmethod(_say, "wake")

    def close(self) -> None:
        """All notes off, and the end. Where the hands hang, they are ended."""
        self.silence()
        self._closing.set()
        self._say("tell")
        self._thread.join(2 * LEAVE)

    # The thread

    def _open(self) -> None:
        try:
            self._process, self._connection = start("anticipate-hands", play, *self.settings)
        except OSError as error:  # no memory, or no more files
            raise LiveError(f"no process to play: {error.strerror}") from None
        self._unsaid = False
        kind, what = self._next(4 * PATIENCE) or ("error", "the MIDI system does not answer")
        if kind == "error":
            self._end()
            raise LiveError(what)
        self.names, self.works = what, True

    def _next(self, patience: float) -> tuple | None:
        """The next report; None where the hands have ended, or say nothing, or we do not want them any more. Waited for
        a second at a time: a machine that slept for an hour has waited for one of them."""
        with suppress(EOFError, OSError):
            for _ in range(round(patience)):
                if self._connection.poll(1.0):
                    return self._connection.recv()
                if self._closing.is_set():
                    break
        return None

    def _run(self) -> None:
        while not self._closing.is_set():
            while (message := self._next(PATIENCE)) and not self._closing.is_set():
                self._take(message)
            if not self._closing.is_set():
                self.works, self.sounding = False, 0
                self.report(("hands", "lost"))
                if message := self._next(LEAVE):  # they only hung, and have what was played meanwhile
                    self.works = True
                    self.report(("hands", "back"))
                    self._take(message)
                    continue
                self._before = (self.sent, self.dropped)
                self.report(("caught_up",))  # whoever waits for more waits in vain
            self._end()
            while not self._closing.wait(RETRY):
                with suppress(LiveError):
                    self._open()
                    self.report(("hands", "back"))
                    break

    def _take(self, message: tuple) -> None:
        kind, *what = message
        if kind == "figures":
            now = what[0]
            self.names, self.sounding, self.caught = now["names"], now["sounding"], now["caught"]
            self.sent, self.dropped = self._before[0] + now["sent"], self._before[1] + now["dropped"]
            self.errors.extend(now["errors"])
            return
        if kind == "paused":
            self._paused.set()
            return
        if kind == "port" and what[0] == "out":
            self.works = what[2] == "back"
        self.report(message)

    def _end(self) -> None:
        """Close the connection, upon which the process ends; kill it if it does not."""
        idle = self._lock.acquire(timeout=1.0)  # else somebody waits for hands that hang
        self._connection.close()
        if idle:
            self._lock.release()
        self._process.join(LEAVE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(LEAVE)
