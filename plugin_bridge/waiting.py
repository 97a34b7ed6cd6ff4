"""Waiting for a connection, hundreds of times a second. Knows nothing of what it carries."""

from __future__ import annotations

import selectors
import sys
from collections.abc import Callable


def waiter(connection) -> Callable[[float], bool]:
    """The connection's `poll`; what that makes anew for every call is made once, where it can be."""
    if sys.platform == "win32":
        return connection.poll
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    return lambda patience: bool(selector.select(patience))
