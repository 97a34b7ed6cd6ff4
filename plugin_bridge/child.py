"""Child: what a process of ours does for its parent's sake. Knows nothing of what either is for."""

from __future__ import annotations

import selectors
import signal
import sys
from collections.abc import Callable


def ignore_signals() -> None:
    """They are the parent's to handle: a child ends when it has. The one that is meant for it as well (SIGTERM, which
    systemd and `timeout` send to all) ends it in order."""
    for name in ("SIGINT", "SIGHUP", "SIGBREAK", "SIGTSTP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())


def waiter(connection) -> Callable[[float], bool]:
    """The connection's `poll`, to be called hundreds of times a second; what that makes anew for every call is made
    once, where it can be."""
    if sys.platform == "win32":
        return connection.poll
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    return lambda patience: bool(selector.select(patience))
