"""Journal: lines of a file that outlive our program and the power, while somebody plays who waits for no disk. Knows
files; knows no music."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TextIO

SETTLE = 1.0  # seconds between two times at which what is written is brought to the disk itself


class Journal:
    """A thread writes each line at once: from then on it outlives our program. Another brings what is written to the
    disk itself: from then on it outlives the power. Either may have to wait for long where a disk is slow or busy.

    failed: called by one of them when no more can be written. Raises OSError where it cannot be opened.
    """

    def __init__(self, path: Path, failed: Callable[[OSError], None]) -> None:
        self.path, self.failed = path, failed
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115
        claim(self._file)
        self._works = True
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._written, self._over = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True, name="journal") for run in (self._write, self._sync)]
        for thread in self._threads:
            thread.start()

    def add(self, entry: Sequence) -> None:
        self._lines.put(json.dumps(entry) + "\n")

    def end(self) -> None:
        """No more lines come."""
        self._lines.put(None)

    def join(self, seconds: float | None = None) -> None:
        """Wait until it is closed, which it is when it has ended."""
        self._threads[1].join(seconds)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._do(self._file.write, line)
            self._do(self._file.flush)
            self._written.set()
        self._over.set()
        self._written.set()

    def _sync(self) -> None:
        over = False
        while not over:
            self._written.wait()
            self._written.clear()
            over = self._over.is_set()
            self._do(os.fsync, self._file.fileno())
            self._over.wait(SETTLE)
        with suppress(OSError):  # a full disk, of which we have told
            self._file.close()

    def _do(self, verb: Callable, *args) -> None:
        """Call it, unless such a call has failed before."""
        try:
            if self._works:
                verb(*args)
        except OSError as error:
            self._works = False
            self.failed(error)


def claim(journal: TextIO) -> bool:
    """Have an open journal for ourselves, for as long as it is open or we live. False: somebody else has it. Nobody can
    on Windows, nor on a disk that knows no locks."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True
