"""What changed: the difference of two states of the app, and who is told. Knows no HTTP and no music.

A change names only what is different: top-level values as they are; of the controls those that moved; of each list of
notes the rows that are gone and the rows that are new.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

RATE = 0.05  # seconds between two looks at the app while something moves
REST = 0.2  # and while nothing does
AWAKE = 20  # looks without a change before it rests
BACKLOG = 40  # updates that a slow listener may owe us before it is given the whole state again

Update = tuple[str, dict]  # "state" and all of it, or "change" and what differs


def change(old: dict, new: dict) -> dict:
    """What leads from `old` to `new`; empty if nothing does."""
    found: dict = {}
    for name, value in new.items():
        before = old.get(name)
        if value == before:
            continue
        if name == "controls" and isinstance(before, dict):
            found[name] = {key: one for key, one in value.items() if key not in before or before[key] != one}
        elif name == "notes" and isinstance(before, dict):
            found[name] = {key: rows_changed(before.get(key, []), rows) for key, rows in value.items()}
            found[name] = {key: rows for key, rows in found[name].items() if rows["gone"] or rows["new"]}
        else:
            found[name] = value
    return found


def rows_changed(old: list, new: list) -> dict[str, list]:
    before, after = {tuple(row) for row in old}, {tuple(row) for row in new}
    return {"gone": sorted(before - after, key=str), "new": sorted(after - before, key=str)}


def event(update: Update) -> bytes:
    """As a server-sent event."""
    kind, data = update
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'), allow_nan=False)}\n\n".encode()


class Feed:
    """Looks at the app while anybody listens, and tells all listeners the same. Lives on one event loop."""

    def __init__(self, state: Callable[[], dict]):
        self._state = state
        self._last: dict = {}
        self._listeners: set[asyncio.Queue[Update | None]] = set()
        self._task: asyncio.Task | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self) -> asyncio.Queue[Update | None]:
        """A queue that begins with the whole state. None: there is no more."""
        queue: asyncio.Queue[Update | None] = asyncio.Queue(BACKLOG)
        self._listeners.add(queue)
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())
        elif self._last:  # else the first look is still to come
            queue.put_nowait(("state", self._last))
        return queue

    def leave(self, queue: asyncio.Queue[Update | None]) -> None:
        self._listeners.discard(queue)
        if not self._listeners and self._task:
            self._task.cancel()
            self._task, self._last = None, {}

    def close(self) -> None:
        """Send all listeners away, now: a server that shuts waits for them."""
        for queue in self._listeners:
            self._replace(queue, None)

    @staticmethod
    def _replace(queue: asyncio.Queue[Update | None], update: Update | None) -> None:
        """What waits there is stale."""
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(update)

    async def _watch(self) -> None:
        still = 0
        while True:
            try:
                now = await asyncio.to_thread(self._state)  # which may be busy: nobody else waits for it
            except Exception:  # a bug: to the log, and the pages are not left with a picture that stands for ever
                logging.getLogger(__name__).exception("no state")
            else:
                first, news = not self._last, change(self._last, now)
                self._last, still = now, 0 if news else still + 1
                for queue in self._listeners if news else ():
                    if first or queue.full():  # or it would get a stale picture, bit by bit
                        self._replace(queue, ("state", now))
                    else:
                        queue.put_nowait(("change", news))
            await asyncio.sleep(RATE if still < AWAKE else REST)
