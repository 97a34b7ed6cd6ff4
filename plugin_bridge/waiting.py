"""Waiting for several connections, hundreds of times a second. Knows nothing of what they carry."""

from __future__ import annotations

import selectors
import sys
from collections.abc import Callable
from multiprocessing.connection import wait


def waiter(*connections) -> Callable[[float], list]:
    """multiprocessing's `wait` for these, given only the seconds: what that makes anew for every call is made once,
    where it can be."""
    if sys.platform == "win32":
        return lambda patience: wait(connections, patience)
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
    return lambda patience: [key.fileobj for key, _ in selector.select(patience)]
