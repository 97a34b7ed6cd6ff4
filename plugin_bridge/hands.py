"""Hands: the thread that sends in time. Knows the scheduler, a port and the wall clock; knows no song and no music."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from .ears import EchoGuard
from .scheduler import Scheduler

SPIN = 0.0008  # seconds before a note's time from which on we no longer trust the system's sleep


def urgent() -> None:
    """Nobody goes before this thread, where we may ask for that."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))


class Hands:
    """send: to the port, raises OSError where it is gone; then `lost` is told once, all is silent, and `back` ends what
    may still sound. All verbs may be called from any thread."""

    def __init__(self, send: Callable[[list[int]], None], lost: Callable[[], None], echo: EchoGuard) -> None:
        self.scheduler = Scheduler(time.perf_counter, self._send)
        self.works = True
        self._port, self._lost, self._echo = send, lost, echo
        self._lock, self._wake = threading.RLock(), threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="hands")
        self._thread.start()

    def _send(self, message: list[int]) -> None:
        self._port(message)
        self._echo.sent(time.perf_counter(), message)

    def _run(self) -> None:
        urgent()
        while not self._closing:
            due = self._do(self.scheduler.tick)
            left = 1.0 if due is None else due - time.perf_counter()
            if left > SPIN:
                self._wake.wait(left - SPIN)
                self._wake.clear()
            elif due is not None:
                while time.perf_counter() < due:
                    time.sleep(0)

    def _do(self, verb: Callable, *args):
        """Call the scheduler; a port that is gone makes it rest until `back`."""
        with self._lock:
            if not self.works:
                return None
            try:
                return verb(*args)
            except OSError:
                self.works = False
                self._lost()
                return None

    def add(self, strikes: Iterable[tuple[float, float, int, int, int]]) -> None:
        """(on, off, channel, pitch, velocity), wall times."""
        for strike in strikes:
            self._do(self.scheduler.add, *strike)
        self._wake.set()

    def pass_on(self, message: list[int], wall: float) -> None:
        self._do(self.scheduler.pass_on, message, wall)

    def programs(self, channels: dict[int, int]) -> None:
        """Choose the sound of each channel: channel 0-15 -> program."""
        for channel, program in channels.items():
            self._do(self._port, [0xC0 | channel, program])

    def silence(self) -> None:
        self._do(self.scheduler.silence)

    def panic(self) -> None:
        self._do(self.scheduler.panic)

    def back(self) -> None:
        """The port is there again: what sounded when it went ends now."""
        with self._lock:
            self.works = True
            self.silence()

    def close(self) -> None:
        self.silence()
        self._closing = True
        self._wake.set()
        self._thread.join(2)
