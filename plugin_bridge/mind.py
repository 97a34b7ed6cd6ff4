"""The mind: the model in a process of its own, so that hands never wait for it. Knows questions and steps; knows no
session, no ports and no clock."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .child import ignore_signals
from .session import Ask

# What it reports, as tuples: ("ready", facts), ("step", number, reached, note, fed),
# ("done", number, seconds of compute, seconds of music), ("error", text), ("died", exit code); within,
# ("begun", number).

RESTARTS = 5  # deaths in a minute after which a mind is left alone


def think(connection, checkpoint: str | None, threads: int, seed: int, weights: str) -> None:
    """The process. Answers the newest question, step by step; a newer one is looked for after every step."""
    ignore_signals()
    import gc

    import torch

    from anticipation.checkpoint import load
    from anticipation.errors import AnticipationError
    from anticipation.planner import Planner
    from anticipation.scene import Scene

    torch.set_num_threads(threads)
    try:
        model = load(checkpoint, "cpu", weights=weights)
        begin = time.perf_counter()
        steps = sum(1 for _ in Planner(model).plan(Scene(0.0, 8.0, (0,))))  # warm before anybody waits
    except AnticipationError as error:
        with suppress(OSError):
            connection.send(("error", str(error)))
        return
    rate = steps / (time.perf_counter() - begin)
    gc.freeze()
    planner, ask = Planner(model, seed), None
    with suppress(EOFError, OSError):  # the parent is gone
        connection.send(("ready", {"events_per_second": rate, "fingerprint": model.fingerprint}))
        while True:
            ask = ask or connection.recv()
            try:
                ask = answer(connection, planner, ask)
            except (AnticipationError, ValueError, IndexError, RuntimeError) as error:
                connection.send(("error", f"{type(error).__name__}: {error}"))
                planner, ask = Planner(model, seed), None


def answer(connection, planner, ask: Ask) -> Ask | None:
    """Send the steps that answer a question; stop where a newer one is there, and return it."""
    connection.send(("begun", ask.number))
    begin, reached = time.perf_counter(), ask.scene.start
    for step in planner.plan(ask.scene):
        reached = step.reached
        connection.send(("step", ask.number, step.reached, step.note, step.fed))
        if connection.poll():
            return connection.recv()
    connection.send(("done", ask.number, time.perf_counter() - begin, reached - ask.scene.start))
    return None


class Mind:
    """The parent's end: `ask` never blocks for long, `report` is called from a thread of ours."""

    def __init__(
        self,
        report: Callable[[tuple], None],
        checkpoint: str | None = None,
        threads: int = 1,
        seed: int = 0,
        weights: str = "float32",
    ) -> None:
        self.report, self.settings = report, (checkpoint, threads, seed, weights)
        self.state = "dead"  # loading, ready, restarting, dead
        self.broken = ""  # why the model cannot be loaded; another process could not load it either
        self._process: Any = None
        self._connection: Any = None
        self._lock = threading.Lock()
        self._busy = False  # a question was sent that is not begun: the next one waits here
        self._waiting: Ask | None = None
        self._closing = False
        self._deaths: list[float] = []

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin to load; ("ready", facts) is reported later."""
        self.state = "restarting" if self._process else "loading"
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=think, args=(theirs, *self.settings), daemon=True, name="anticipate-mind"
        )
        self._process.start()
        theirs.close()
        with self._lock:
            self._connection, self._busy, self._waiting = ours, False, None
        threading.Thread(target=self._listen, args=(ours, self._process), daemon=True, name="mind").start()

    def revive(self, now: float) -> bool:
        """Start another one, unless minds have died again and again of late."""
        self._deaths = [death for death in self._deaths if now - death < 60] + [now]
        if len(self._deaths) > RESTARTS:
            return False
        self.start()
        return True

    def ask(self, ask: Ask) -> None:
        with self._lock:
            self._waiting = ask
            self._send()

    def _send(self) -> None:
        if self._busy or self._waiting is None or self.state != "ready":
            return
        ask, self._waiting, self._busy = self._waiting, None, True
        with suppress(OSError):  # it died; the listener says so
            self._connection.send(ask)

    def _listen(self, connection, process) -> None:
        hopeless = False  # it could not load, nor could another: that is reported as an error and not as a death
        try:
            while True:
                message = connection.recv()
                hopeless = message[0] == "error" and self.state != "ready"
                if message[0] in ("begun", "ready", "error"):
                    with self._lock:
                        self.state = "ready" if message[0] == "ready" else self.state
                        self._busy = False
                        self._send()
                if hopeless and self.state == "loading":
                    self.broken = message[1]
                elif message[0] != "begun":
                    self.report(message)
        except (EOFError, OSError, TypeError):
            pass  # its end, or ours: a connection that is closed while it is read answers with a TypeError
        process.join(5)
        self.state = "dead"
        if not self._closing and not hopeless:
            self.report(("died", process.exitcode))

    def close(self) -> None:
        self._closing = True
        if self._process:
            if self._connection:
                self._connection.close()
            self._process.join(1.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(5)
