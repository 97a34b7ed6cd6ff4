"""Child: what our child processes (mind, hands, jobs) have in common. Knows nothing of what they do."""

from __future__ import annotations

import multiprocessing
import os
import select
import selectors
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import Any

TERMINAL = [getattr(signal, n) for n in ("SIGINT", "SIGHUP", "SIGBREAK", "SIGTSTP") if hasattr(signal, n)]


def start(name: str, run: Callable, *settings) -> tuple[Any, Any]:
    """(process, our end of the connection) of a new child that does run(its end, *settings). What the terminal sends
    while it is not so far yet that it can ignore that, waits. Raises OSError."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(theirs, *settings), daemon=True, name=name)
    if sys.platform == "win32":
        process.start()
    else:
        resource_tracker.ensure_running()  # else it is started within, and lets through again what was blocked
        before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)  # which a child inherits
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


def ignore_signals() -> None:
    """Leave signals from the terminal to the parent, which ends its children in order. SIGTERM, which systemd and
    `timeout` send to every process of a group, still ends a child, by way of its `finally` clauses."""
    for number in TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL)


def ask_for_priority() -> None:
    """Real-time scheduling, where the system grants it."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))


def writable(connection, patience: float) -> bool:
    """Whether a short message can be sent without waiting for its reader, within so many seconds. Windows' pipes cannot
    be asked: there the answer is yes. Raises OSError."""
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLOUT)
    return bool(poll.poll(patience * 1000))


def waiter(connection) -> Callable[[float], bool]:
    """`connection.poll` for a caller that asks hundreds of times a second: the selector, which `poll` makes anew for
    every call, is made once (not on Windows, whose pipes cannot be selected)."""
    if sys.platform == "win32":
        return connection.poll
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    return lambda patience: bool(selector.select(patience))
