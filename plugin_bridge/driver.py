"""Driver: the MIDI ports in a process of their own. A MIDI system that hangs or crashes does so there, with no lock of
ours; where the program is killed, the driver ends what still sounds. Knows ports and messages; knows no schedule and no
song."""

from __future__ import annotations

import multiprocessing
import selectors
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

from anticipation.errors import LiveError

from . import ports
from .hands import urgent

# What it reports, as tuples: ("heard", wall, bytes), ("port", "in" or "out", its name, "lost" or "back"),
# ("driver", "lost" or "back"). Within: ("open", names), ("error", text), ("alive", names, ways).

LOOK, DOZE, AWAKE = 0.001, 0.005, 2.0  # seconds between looks at the input; where AWAKE seconds brought nothing
BEAT, PATIENCE = 1.0, 8.0  # seconds between signs of life; without one it hangs (JACK's own timeouts are 5 s and less)
WATCH = 4.0  # seconds between looks at who is there
RETRY = 1.0


def ignore_signals() -> None:
    """They are the parent's to handle: we end when it has."""
    for name in ("SIGINT", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def drive(connection, lookout, api: str, in_name: str | None, out_name: str | None) -> None:
    """The process. Sends what it is given, reports what comes in, until None comes, or the parent or the MIDI system is
    gone."""
    ignore_signals()
    with suppress(EOFError, OSError):  # the parent is gone
        try:
            pair = ports.Pair(ports.choose(api), in_name, out_name)
        except LiveError as error:
            connection.send(("error", str(error)))
            return
        connection.send(("open", pair.names()))
        urgent()
        try:
            exchange(connection, lookout, pair)
        finally:
            pair.close()


def waiter(*connections) -> Callable[[float], list]:
    """multiprocessing's `wait`, a hundred times a second: what it makes anew for every call is made once, where it can
    be."""
    if sys.platform == "win32":
        return lambda patience: wait(connections, patience)
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
    return lambda patience: [key.fileobj for key, _ in selector.select(patience)]


def exchange(connection, lookout, pair: ports.Pair) -> None:
    """One thread for all of it, and no callback: that would run in the MIDI system's thread and wait there for Python's
    lock. JACK's whole graph waits with it, and whoever holds the lock may be waiting for the graph."""
    look = waiter(connection, lookout)
    heard, beaten = 0.0, time.perf_counter()
    ways: list[float] = []
    while True:
        now = time.perf_counter()
        ready = look(LOOK if now - heard < AWAKE else DOZE)
        if connection in ready:
            told = connection.recv()
            if told is None:
                return
            if not pair.send(told[1]):
                connection.send(("port", "out", pair.out.name, "lost"))
            ways.append(time.perf_counter() - told[0])
        for data in pair.input.read():
            heard = time.perf_counter()
            connection.send(("heard", heard, data))
        if lookout in ready:
            for port, change in pair.watch(lookout.recv()):
                connection.send(("port", port.side, port.name, change))
        if now - beaten > BEAT:
            beaten = now
            connection.send(("alive", pair.names(), ways))
            ways = []


def look_out(driver, api: str) -> None:
    """Another process: it tells the driver who is there. To look may take the time of several notes. Ends with the
    driver, or with the MIDI system."""
    ignore_signals()
    with suppress(LiveError, OSError):
        number = ports.choose(api)[1]
        while not driver.poll(WATCH):
            driver.send(ports.listing(number))


class Driver:
    """The parent's end. `report` is called from a thread of ours. Opens at once: raises LiveError."""

    def __init__(self, report: Callable[[tuple], None], api: str, in_name: str | None, out_name: str | None) -> None:
        self.report, self.settings = report, (api, in_name, out_name)
        self.names: dict = {}  # of ports.Pair
        self.ways: deque[float] = deque(maxlen=4096)  # seconds that a message took from `send` to the MIDI system
        self._processes: list[Any] = []  # the driver's, and the lookout's
        self._connection: Any = None
        self._closing = threading.Event()
        self._open()
        self._thread = threading.Thread(target=self._run, daemon=True, name="driver")
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, end = context.Pipe()
        ends = context.Pipe()
        for target, args in ((drive, (end, ends[0], *self.settings)), (look_out, (ends[1], self.settings[0]))):
            process = context.Process(target=target, args=args, daemon=True, name=f"anticipate-{target.__name__}")
            process.start()
            self._processes.append(process)
        for connection in (end, *ends):
            connection.close()
        kind, what = self._next(4 * PATIENCE) or ("error", "the MIDI system does not answer")
        if kind == "error":
            self._end()
            raise LiveError(what)
        self.names = what

    def _next(self, patience: float) -> tuple | None:
        """The next report; None where the driver has ended, or says nothing."""
        with suppress(EOFError, OSError, TypeError):  # a connection that is closed while it is read: TypeError
            if self._connection.poll(patience):
                return self._connection.recv()
        return None

    def _run(self) -> None:
        while not self._closing.is_set():
            while message := self._next(PATIENCE):
                if message[0] == "alive":
                    self.names = message[1]
                    self.ways.extend(message[2])
                else:
                    self.report(message)
            if self._closing.is_set():
                return
            self.report(("driver", "lost"))
            self._end()
            while not self._closing.wait(RETRY):
                with suppress(LiveError):
                    self._open()
                    self.report(("driver", "back"))
                    break

    def send(self, message: list[int]) -> None:
        """One message out; one thread at a time. Raises OSError where the driver is gone."""
        try:
            self._connection.send((time.perf_counter(), message))
        except (TypeError, ValueError) as error:  # it is being closed
            raise OSError(str(error)) from None

    def _end(self) -> None:
        """Let them end, or end them."""
        with suppress(OSError, TypeError, ValueError):
            self._connection.send(None)
        processes, self._processes = self._processes, []
        for process in processes:
            process.join(2.0)
            if process.is_alive():
                process.kill()
                process.join(5.0)
        self._connection.close()

    def close(self) -> None:
        self._closing.set()
        self._end()
        self._thread.join(2.0)
