"""Decoder: streams of rows and their model's caches made to agree, and the drawing of one legal event at a time.

Rows are read (the trunk runs over them) when something is to be drawn after them, and not before: what was drawn last
waits for nobody, and of several parts only the one that draws next is read.

Knows streams and windows. Knows no encoding (lanes.py does), no MIDI, no seconds and no tasks.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from . import stream as s
from .grammar import Limits
from .lanes import LANES
from .sampling import Sampling

NOTHING = np.zeros((0, len(s.COLUMNS)), dtype=np.int64)


def window_of(rows: np.ndarray, base: int) -> np.ndarray:
    """The start rows, which now say that the stream does not begin with the piece, and rows[base:]. For base 0 all rows
    as they are."""
    if not base:
        return rows
    start = rows[rows[:, s.KIND] == s.START_KIND].copy()
    start[:, s.VELOCITY] = 0
    start[:, s.CLOCK] = start[:, s.AT] = rows[base, s.CLOCK]
    start[:, s.CHART] = rows[base, s.CHART]
    return np.concatenate([start, rows[base:]])


class Decoder:
    """Several streams that share a model."""

    def __init__(self, model, streams: list[s.Stream], sampling: Sampling | None = None) -> None:
        self.model, self.streams, self.sampling = model, streams, sampling or Sampling()
        self.lanes = LANES[model.family](model, len(streams))
        self.base = [0] * len(streams)  # rows given to `sync` that have slid out of the window
        self.unread = [0] * len(streams)  # how many of each stream's last rows the trunk has not run over

    @property
    def fed(self) -> int:
        """What the trunk ran over so far, of all streams: rows, or for AMT tokens."""
        return self.lanes.fed

    def sync(self, several: list[np.ndarray]) -> None:
        """Make each stream end in these rows (the whole stream, start rows first): of what agrees with the cache
        nothing is read again. Nothing of it counts as drawn, but the limits remember its events. Streams that are one
        and the same array are read once, at once."""
        if len(several) > 1 and all(rows is several[0] for rows in several):
            self._share(several[0])
            return
        for i, rows in enumerate(several):
            self._renew(i, rows)

    def _renew(self, i: int, rows: np.ndarray) -> None:
        """Make stream i end in these rows."""
        stream = self.streams[i]
        if self.base[i] >= len(rows) or self.lanes.excess(window_of(rows, self.base[i])):
            self.base[i] = self.lanes.excess(rows)
        wanted = window_of(rows, self.base[i])
        there = stream.rows[: len(stream.rows) - self.unread[i]]
        both = min(len(there), len(wanted))
        differs = np.flatnonzero((there[:both] != wanted[:both]).any(1))
        same = int(differs[0]) if len(differs) else both
        if same < max(len(there), len(wanted)):
            same = min(same, len(wanted) - 1)  # the last row's state is wanted, and only reading it brings it back
        stream.restart(rows)
        stream.rows, self.unread[i] = wanted, len(wanted) - same

    def _share(self, rows: np.ndarray) -> None:
        """Read one stream and copy its cache to the others."""
        one = Decoder(self.model, self.streams[:1], self.sampling)
        one._renew(0, rows)
        one.read([0])
        self.lanes.share(one.lanes)
        there = one.streams[0].rows
        for i, stream in enumerate(self.streams):
            stream.restart(rows)
            stream.rows, self.base[i], self.unread[i] = there, one.base[0], 0

    def _slide(self, i: int, rows: np.ndarray) -> np.ndarray:
        """A stream that outgrows the window keeps its start rows and its newer half, and this is read once more. In the
        long run that is two rows read for each, at constant memory."""
        start = int((rows[:, s.KIND] == s.START_KIND).sum())
        base = max(self.lanes.excess(rows), start)
        self.base[i] += base - (start if self.base[i] else 0)
        return window_of(rows, base)

    @torch.inference_mode()
    def read(self, which: Iterable[int]) -> None:
        """Run the trunk over what it has not run over of these streams: `lanes.state` is that of their last rows."""
        several = [NOTHING] * len(self.streams)
        for i in which:
            stream = self.streams[i]
            several[i] = stream.rows[len(stream.rows) - self.unread[i] :]
            self.unread[i] = 0
        if any(map(len, several)):
            self.lanes.feed(self.streams, several)

    def _append(self, i: int, new: np.ndarray) -> None:
        """Go on with rows that are to be read when the stream draws next."""
        rows = np.concatenate([self.streams[i].rows, new])
        self.unread[i] += len(new)
        if self.lanes.excess(rows):
            rows = self._slide(i, rows)
            self.unread[i] = len(rows)
        self.streams[i].rows = rows

    @torch.inference_mode()
    def next_event(self, limits: list[Limits | None], together: bool = False) -> list[np.ndarray | None]:
        """Draw an event or a rest for every stream that has limits, and append it, with the controls that stand after
        it. Drawn is what comes next, so where an echo comes before it, that is appended in its place.

        together: the streams are parts of one band, and what one has drawn is told at once, as a control, to the others
        that hear it. Returns the rows that were drawn, or appended in their place."""
        active = [i for i, limit in enumerate(limits) if limit is not None]
        drawn: list[np.ndarray | None] = [None] * len(limits)
        own: list[Limits] = [limit for limit in limits if limit is not None]
        self.read(active)
        for i, row in zip(active, self.lanes.draw(self.streams, active, own, self.sampling), strict=True):
            stream = self.streams[i]
            echo = stream.overtaken(row)
            row = row if echo is None else echo
            stream.remember(row)
            drawn[i] = row
            self._append(i, np.concatenate([row[None], stream.due(int(row[s.CLOCK]))]))
        for i, row in enumerate(drawn) if together else ():
            if row is not None and row[s.KIND] == s.EVENT:
                for k in range(len(drawn)):
                    if k != i and row[s.INSTRUMENT] not in self.streams[k].unheard:
                        self._append(k, self._told(k, row))
        return drawn

    def _told(self, i: int, event: np.ndarray) -> np.ndarray:
        """Another stream's event as a control of stream i."""
        clock = self.streams[i].clock
        row = s.control_rows(event[None, [s.AT, s.INSTRUMENT, s.PITCH, s.DURATION, s.VELOCITY]], np.array([clock]))
        row[:, s.CHART] = self.streams[i].columns(clock)
        return row
