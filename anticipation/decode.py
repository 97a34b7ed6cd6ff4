"""Decoder: streams of rows and a key-value cache made to agree, and the drawing of one legal event at a time.

Knows the model and the grammar. Knows no MIDI, no seconds and no tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from . import stream as s
from .grammar import REST_CLASS, Limits, Stream, legal_shifts, legal_table, writable
from .model import DURATIONS, HEARD, VELOCITIES, EventModel, chart_features, features, velocity_of
from .notes import CHORD, DRUMS

NOTHING = np.zeros((0, len(s.COLUMNS)), dtype=np.int64)


@dataclass(frozen=True)
class Sampling:
    """temperature and top_p (nucleus) of every field; chord symbols, the boldest choice, have their own."""

    temperature: float = 1.0
    top_p: float = 0.95
    chord_temperature: float = 0.7


def window_of(rows: np.ndarray, base: int) -> np.ndarray:
    """The start rows, told that they are no longer at the beginning, and rows[base:]; all rows for base 0."""
    if not base:
        return rows
    start = rows[rows[:, s.KIND] == s.START_KIND].copy()
    start[:, s.VELOCITY] = 0
    start[:, s.CLOCK] = start[:, s.AT] = rows[base, s.CLOCK]
    start[:, s.CHART] = rows[base, s.CHART]
    return np.concatenate([start, rows[base:]])


class Decoder:
    """Several streams that share a model and a cache. `fed` counts the rows that the trunk ran over."""

    def __init__(self, model: EventModel, streams: list[Stream], sampling: Sampling | None = None) -> None:
        self.model, self.streams, self.sampling = model, streams, sampling or Sampling()
        self.cache = model.cache(len(streams), model.config.window + 1)  # the last place is for padding alone
        self.state = torch.zeros(len(streams), model.config.width, device=model.device)
        self.base = [0] * len(streams)  # rows given to `sync` that have slid out of the window
        self.fed = 0

    @torch.inference_mode()
    def sync(self, several: list[np.ndarray]) -> None:
        """Make the streams end in these rows (whole streams, start rows first): what agrees with the cache stays, the
        rest is fed. Streams that are one and the same array are fed once."""
        if len(several) > 1 and all(rows is several[0] for rows in several):
            self._share(several[0])
            return
        self._feed([self._differing(i, rows) for i, rows in enumerate(several)])

    def _differing(self, i: int, rows: np.ndarray) -> np.ndarray:
        """Cut a stream back to what it shares with `rows`; answer the rows that are to be fed."""
        stream = self.streams[i]
        stream.given = int((rows[:, s.KIND] == s.CONTROL).sum())
        if len(rows) - self.base[i] > self.model.config.window or self.base[i] >= len(rows):
            self.base[i] = max(0, len(rows) - self.model.config.window // 2)
        wanted = window_of(rows, self.base[i])
        both = min(len(stream.rows), len(wanted))
        differs = np.flatnonzero((stream.rows[:both] != wanted[:both]).any(1))
        same = int(differs[0]) if len(differs) else both
        if same == len(stream.rows) == len(wanted):
            return NOTHING
        same = min(same, len(wanted) - 1)  # the last row's state is wanted, and only feeding it brings it back
        stream.rows, stream.chord = NOTHING, None
        stream.extend(wanted[:same])
        return wanted[same:]

    def _share(self, rows: np.ndarray) -> None:
        """Feed one stream and copy its cache to the others."""
        one = Decoder(self.model, self.streams[:1], self.sampling)
        one._feed([one._differing(0, rows)])
        self.cache.kv.copy_(one.cache.kv.expand_as(self.cache.kv))
        self.state = one.state.expand(len(self.streams), -1).clone()
        self.fed += one.fed
        for i, stream in enumerate(self.streams):
            stream.rows, stream.chord, stream.given = one.streams[0].rows, one.streams[0].chord, one.streams[0].given
            self.base[i] = one.base[0]

    def _slide(self, i: int, new: np.ndarray) -> np.ndarray:
        """A stream that outgrows the window keeps its start rows and its newer half, which is fed once more: two rows
        for each in the long run, at constant memory."""
        stream = self.streams[i]
        rows = np.concatenate([stream.rows, new])
        start = int((rows[:, s.KIND] == s.START_KIND).sum())
        base = max(len(rows) - self.model.config.window // 2, start)
        self.base[i] += base - (start if self.base[i] else 0)
        stream.rows = NOTHING
        return window_of(rows, base)

    def _feed(self, several: list[np.ndarray]) -> None:
        """Append rows (any number for each stream, also none) and run the trunk over them."""
        window = self.model.config.window
        several = [
            self._slide(i, new) if len(stream.rows) + len(new) > window else new
            for i, (stream, new) in enumerate(zip(self.streams, several, strict=True))
        ]
        longest = max(len(new) for new in several)
        if not longest:
            return
        rows = np.zeros((len(several), longest, len(s.COLUMNS)), dtype=np.int64)
        origin = np.zeros((len(several), 1), dtype=np.int64)
        self.cache.length = torch.tensor([len(stream.rows) for stream in self.streams], device=self.model.device)
        for i, (stream, new) in enumerate(zip(self.streams, several, strict=True)):
            rows[i, : len(new)] = new
            if len(new):
                stream.extend(new)
                origin[i] = stream.rows[0, s.CLOCK]  # times stay small however long the stream has run
        clock, at, features_ = (
            torch.from_numpy(x).to(self.model.device)
            for x in (rows[..., s.CLOCK] - origin, rows[..., s.AT] - origin, features(rows))
        )
        states = self.model.trunk(features_, clock, at, self.cache)
        for i, new in enumerate(several):
            if len(new):
                self.state[i] = states[i, len(new) - 1]
                self.fed += len(new)

    @torch.inference_mode()
    def next_event(self, limits: list[Limits | None]) -> list[np.ndarray | None]:
        """Draw an event or a rest for every stream that has limits; feed it, and the controls that stand after it.
        Returns the drawn rows."""
        active = [i for i, limit in enumerate(limits) if limit is not None]
        drawn: list[np.ndarray | None] = [None] * len(limits)
        several = [NOTHING] * len(limits)
        for i, row in zip(active, self._draw(active, [limits[i] for i in active]), strict=True):  # type: ignore[misc]
            stream = self.streams[i]
            stream.remember(row)
            if row[s.KIND] == s.EVENT and row[s.INSTRUMENT] == CHORD:
                stream.chord = int(row[s.PITCH])
            drawn[i] = row
            several[i] = np.concatenate([row[None], stream.due(int(row[s.CLOCK]))])
        self._feed(several)
        return drawn

    def _draw(self, active: list[int], limits: list[Limits], later: bool = False) -> np.ndarray:
        """One row for each active stream: shift, instrument, pitch, duration, velocity, each from its legal classes.

        A note at the clock's own tick that is out of order is not forced into it (that would pile up pitches no model
        asked for): it is rejected, and the row is drawn again with a shift of more than 0.
        """
        streams = [self.streams[i] for i in active]
        count = len(active)
        heads = self.model.heads(self.state[active])
        classes = np.zeros((count, 5), dtype=np.int64)
        chart = np.zeros((count, 6), dtype=np.int64)
        heard = np.zeros((count, HEARD), dtype=np.float32)

        def sample(field: int, legal: list[np.ndarray], temperature: list[float] | None = None) -> None:
            told = (classes[:, :field], chart_features(chart), heard)
            logits = self.model.field(field, heads[:, field], *(torch.from_numpy(x).to(heads.device) for x in told))
            for j, (row, mask, stream) in enumerate(zip(logits.cpu().numpy(), legal, streams, strict=True)):
                if field and rest[j]:
                    continue  # a rest draws nothing more, whatever the neighbours do
                heat = temperature[j] if temperature else self.sampling.temperature
                classes[j, field] = nucleus(row, mask, heat, self.sampling.top_p, stream.rng)

        sample(0, [legal_shifts(stream, limit, later) for stream, limit in zip(streams, limits, strict=True)])
        rest = classes[:, 0] == REST_CLASS
        shift = np.where(rest, s.REST, classes[:, 0])
        clock = np.array([stream.clock for stream in streams]) + shift
        chart[:] = [stream.columns(int(at)) for stream, at in zip(streams, clock, strict=True)]
        for j, stream in enumerate(streams):
            heard[j] = s.heard(stream.rows, clock[j : j + 1], np.array([len(stream.rows)]))
        rows = np.zeros((count, len(s.COLUMNS)), dtype=np.int64)
        if not rest.all():
            tables = [writable(stream, limits[j], int(shift[j])) for j, stream in enumerate(streams)]
            sample(1, [np.any(table, axis=1) for table in tables])
            heat = [self.sampling.chord_temperature if i == CHORD else self.sampling.temperature for i in classes[:, 1]]
            sample(2, [table[i] for table, i in zip(tables, classes[:, 1], strict=True)], heat)
            sample(3, [np.ones(len(DURATIONS), dtype=bool)] * count)
            sample(4, [np.arange(VELOCITIES) > 0] * count)
            rows[:, s.INSTRUMENT], rows[:, s.PITCH] = classes[:, 1], classes[:, 2]
            rows[:, s.DURATION] = np.where(classes[:, 1] == DRUMS, 10, DURATIONS[classes[:, 3]])
            rows[:, s.VELOCITY] = np.where(classes[:, 1] == CHORD, 64, velocity_of(classes[:, 4]))
            rows[rest] = 0
        rows[:, s.KIND], rows[:, s.SHIFT] = np.where(rest, s.REST_KIND, s.EVENT), shift
        rows[:, s.CLOCK] = rows[:, s.AT] = clock
        rows[:, s.CHART] = chart
        chord = ~rest & (rows[:, s.INSTRUMENT] == CHORD)
        rows[chord, s.CHORD_] = rows[chord, s.PITCH]
        for j in np.flatnonzero(~rest & (shift == 0)).tolist():
            if not legal_table(streams[j], limits[j], 0)[rows[j, s.INSTRUMENT], rows[j, s.PITCH]]:
                rows[j] = self._draw([active[j]], [limits[j]], later=True)[0]
        return rows


def nucleus(logits: np.ndarray, legal: np.ndarray, temperature: float, top_p: float, rng: np.random.Generator) -> int:
    """A class drawn from the legal ones: the fewest that hold top_p of their probability (Holtzman et al. 2020). Each
    stream has a generator of its own, so a take does not depend on its neighbours."""
    classes = np.flatnonzero(legal)
    heat = (logits[classes].astype(np.float64)) / max(temperature, 1e-4)
    order = np.argsort(-heat, kind="stable")
    p = np.cumsum(np.exp(heat[order] - heat[order[0]]))
    kept = int(np.searchsorted(p, top_p * p[-1])) + 1
    point = rng.random() * p[min(kept, len(p)) - 1]
    return int(classes[order[min(int(np.searchsorted(p, point, side="right")), kept - 1)]])
