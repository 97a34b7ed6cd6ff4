"""Child: what a process of ours does for its parent's sake. Knows nothing of what either is for."""

from __future__ import annotations

import selectors
import signal
import sys
from collections.abc import Callable


def ignore_signals() -> None:
    """They are the parent's to handle: a child ends when it has."""
    for name in ("SIGINT", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def waiter(connection) -> Callable[[float], bool]:
    """The connection's `poll`, to be called hundreds of times a second; what that makes anew for every call is made
    once, where it can be."""
    if sys.platform == "win32":
        return connection.poll
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    return lambda patience: bool(selector.select(patience))
