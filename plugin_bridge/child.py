"""Child: what our child processes (mind, hands, jobs) have in common. Knows nothing of what they do."""

from __future__ import annotations

import selectors
import signal
import sys
from collections.abc import Callable


def ignore_signals() -> None:
    """Leave signals from the terminal to the parent, which ends its children in order. SIGTERM, which systemd and
    `timeout` send to every process of a group, still ends a child, by way of its `finally` clauses."""
    for name in ("SIGINT", "SIGHUP", "SIGBREAK", "SIGTSTP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())


def waiter(connection) -> Callable[[float], bool]:
    """`connection.poll` for a caller that asks hundreds of times a second: the selector, which `poll` makes anew for
    every call, is made once (not on Windows, whose pipes cannot be selected)."""
    if sys.platform == "win32":
        return connection.poll
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    return lambda patience: bool(selector.select(patience))
