"""The mind: the model in a process of its own, so that hands never wait for it. Knows questions and steps; knows no
session, no ports and no clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anticipation.errors import LiveError

from .child import ignore_signals, start
from .session import Ask

# What it reports, as tuples: ("ready", facts), ("step", number, reached, note, fed),
# ("done", number, seconds of compute, seconds of music), ("error", text), ("hung",) and ("awake",), ("died", how);
# within, ("begun", number).

RESTARTS = 5  # deaths in a minute after which a mind is left alone
HUNG, HOPELESS = 2.0, 30.0  # seconds without a word of an answer that is owed: after those it counts as hung, is ended
LOOK = 0.5  # seconds between two looks that count at most: a machine that slept in between has asked nobody


def think(connection, checkpoint: str | None, threads: int, weights: str) -> None:
    """The process. Answers the newest question, step by step; a newer one is looked for after every step."""
    ignore_signals()
    import gc

    import torch

    from anticipation.errors import AnticipationError
    from anticipation.live.planner import Planner
    from anticipation.live.scene import Scene
    from anticipation.model.checkpoint import load

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
    planner, ask = Planner(model), None
    with suppress(EOFError, OSError):  # the parent is gone
        connection.send(("ready", {"events_per_second": rate, "fingerprint": model.fingerprint}))
        while True:
            ask = ask or connection.recv()
            try:
                ask = answer(connection, planner, ask)
            except (AnticipationError, ValueError, IndexError, RuntimeError) as error:
                connection.send(("error", f"{type(error).__name__}: {error}"))
                planner, ask = Planner(model), None


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
    """The parent's end: `ask` never blocks, `report` is called from threads of ours."""

    def __init__(
        self, report: Callable[[tuple], None], checkpoint: str | None = None, threads: int = 1, weights: str = "float32"
    ) -> None:
        self.report, self.settings = report, (checkpoint, threads, weights)
        self.state = "dead"  # loading, ready, hung, restarting, dead
        self.broken = ""  # why the model cannot be loaded; another process could not load it either
        self._process: Any = None
        self._connection: Any = None
        self._changed = threading.Condition()
        self._busy = False  # a question was sent that is not begun: the next one waits here
        self._waiting: Ask | None = None
        self._owed: int | None = None  # the last question, while it is not answered to its end
        self._silence = self._looked = 0.0  # seconds since a word of it; when `watch` was called last
        self._closing = False
        self._deaths: list[float] = []

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin to load; ("ready", facts) is reported later. Raises LiveError."""
        state = "restarting" if self._process else "loading"
        try:
            self._process, ours = start("anticipate-mind", think, *self.settings)
        except OSError as error:  # no memory, or no more files
            raise LiveError(f"no process to think: {error.strerror}") from None
        self.state = state
        with self._changed:
            self._connection, self._busy, self._waiting, self._owed = ours, False, None, None
            self._changed.notify_all()
        threading.Thread(target=self._listen, args=(ours, self._process), daemon=True, name="mind").start()
        threading.Thread(target=self._speak, args=(ours,), daemon=True, name="to the mind").start()

    def revive(self, now: float) -> bool:
        """Start another one, unless minds have died again and again of late, or there is no room for it."""
        self._deaths = [death for death in self._deaths if now - death < 60] + [now]
        if len(self._deaths) > RESTARTS:
            return False
        with suppress(LiveError):
            self.start()
        return self.state != "dead"

    def ask(self, ask: Ask) -> None:
        with self._changed:
            if self._owed is None:
                self._silence = 0.0
            self._waiting, self._owed = ask, ask.number
            self._changed.notify_all()

    def watch(self, now: float) -> None:
        """To be called all the time: whether it hangs can only be told by its silence."""
        with self._changed:
            passed, self._looked = min(now - self._looked, LOOK), now
            if self._owed is None or self.state not in ("ready", "hung"):
                return
            self._silence += passed
            hangs = self.state == "ready" and self._silence > HUNG
            if hangs:
                self.state = "hung"
            elif self._silence > HOPELESS and self._process:
                self._process.kill()  # the listener says so
        if hangs:
            self.report(("hung",))

    def _speak(self, connection) -> None:
        """Send the newest question as soon as the last one is begun. In a thread of its own: to a mind that hangs, a
        long one is never sent to its end."""
        with suppress(OSError):  # it died; the listener says so
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._connection is not connection or self._may_ask)
                    if self._connection is not connection:
                        return
                    ask, self._waiting, self._busy = self._waiting, None, True
                connection.send(ask)

    @property
    def _may_ask(self) -> bool:
        return self._waiting is not None and not self._busy and self.state == "ready"

    def _listen(self, connection, process) -> None:
        hopeless = False  # it could not load, nor could another: that is reported as an error and not as a death
        try:
            while True:
                message = connection.recv()
                hopeless = message[0] == "error" and self.state in ("loading", "restarting")
                if hopeless and self.state == "loading":
                    self.broken = message[1]
                else:
                    self._take(message)
        except (EOFError, OSError, TypeError):
            pass  # its end, or ours: a connection that is closed while it is read answers with a TypeError
        process.join(5)
        how = "it hung" if self.state == "hung" else f"exit code {process.exitcode}"
        self.state = "dead"
        if not self._closing and not hopeless:
            self.report(("died", how))

    def _take(self, message: tuple) -> None:
        """A word of the mind."""
        kind = message[0]
        with self._changed:
            woke, self._silence = self.state == "hung", 0.0
            if kind == "ready" or woke:
                self.state = "ready"
            if kind in ("begun", "ready", "error"):
                self._busy = False
            if kind == "error" or message[:2] == ("done", self._owed):
                self._owed = None
            self._changed.notify_all()
        if woke:
            self.report(("awake",))
        if kind != "begun":
            self.report(message)

    def close(self) -> None:
        """It has nothing to save, so it is ended wherever it is."""
        self._closing = True
        with self._changed:
            self._connection = None
            self._changed.notify_all()
        if self._process:
            self._process.kill()
            self._process.join(5.0)
