"""Lanes: several streams run through a model side by side, one kind for each family of models.

`feed` makes caches agree with the streams' rows, `draw` answers one legal row for each. Knows each family's encoding
of rows; does not know windows, seconds, or tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..music.notes import CHORD, DRUMS
from . import amt, around
from . import stream as s
from .bias import freed, pitch_bias, shift_logits
from .cache import Cache
from .event import EventModel
from .features import (
    DURATION,
    DURATIONS,
    FIELD_NAMES,
    INSTRUMENT,
    PITCH,
    SHIFT,
    VELOCITIES,
    VELOCITY,
    chart_features,
    row_features,
    velocity_of,
)
from .gpt2 import GPT2
from .grammar import REST_CLASS, Limits, ending, legal_shifts, legal_table, legal_values, silence, writable
from .sampling import Sampling, nucleus

# Velocities are drawn so much warmer than all else: people's vary more than the model's, not less (train/LOG.md).
LIVELY = 1.25
# What a pass through the trunk costs beside the rows that it runs over, in rows: on the CPU, and where it is a GPU
# that has to be waited for.
PASS, SLOW = {"cpu": 8}, 4096


class Lanes:
    """What both kinds have in common. cache: keys and values. state: (batch, width), the trunk's output at each
    stream's last row. fed: rows (for AMT tokens) that the trunk has run over so far."""

    def __init__(self, model, batch: int) -> None:
        self.model, self.cache, self.fed = model, model.cache(batch), 0
        self.state = torch.zeros(batch, model.config.width, device=model.device)

    def _states(self, inputs: np.ndarray, cache: Cache) -> Tensor:
        """(streams, T, ...) rows or tokens -> (streams, T, width), what the trunk makes of them."""
        raise NotImplementedError

    def _run(self, several: list[np.ndarray]) -> None:
        """Run the trunk over what each stream is fed, which may be nothing. A stream that is fed much more than the
        others, because its window has slid, goes alone: else the others would be padded to its length."""
        alone = outliers(list(map(len, several)), PASS.get(self.state.device.type, SLOW))
        for i in alone:
            self._run_together([i], self.cache.only(i), [several[i]])
        others = [new[:0] if i in alone else new for i, new in enumerate(several)]
        if any(map(len, others)):
            self._run_together(range(len(others)), self.cache, others)
        self.fed += sum(map(len, several))

    def _run_together(self, streams: Iterable[int], cache: Cache, several: list[np.ndarray]) -> None:
        inputs = np.zeros((len(several), max(map(len, several)), *several[0].shape[1:]), dtype=np.int64)
        for place, new in zip(inputs, several, strict=True):
            place[: len(new)] = new
        states = self._states(inputs, cache)
        for i, state, new in zip(streams, states, several, strict=True):
            self.cache.length[i] += len(new)
            if len(new):
                self.state[i] = state[len(new) - 1]

    def share(self, one) -> None:
        """Take over the only stream of other lanes, for every stream."""
        self.cache.share(one.cache)
        self.fed += one.fed
        self.state = one.state.expand(len(self.state), -1).clone()


class EventLanes(Lanes):
    """Streams of the event transformer: a row is one step of the trunk."""

    def excess(self, rows: np.ndarray) -> int:
        """How many rows to drop from the front: none while they fit, else the older half."""
        return 0 if len(rows) <= self.model.window else len(rows) - self.model.window // 2

    def feed(self, streams: list[s.Stream], several: list[np.ndarray]) -> None:
        """Run the trunk over the rows that each stream has just got."""
        new = [rows.copy() for rows in several]
        for i, (stream, rows) in enumerate(zip(streams, new, strict=True)):
            if len(rows):
                self.cache.length[i] = len(stream.rows) - len(rows)
                # Times stay small however long the stream has run.
                rows[:, [s.CLOCK, s.AT]] -= stream.rows[0, s.CLOCK]
        self._run(new)

    def _states(self, inputs: np.ndarray, cache: Cache) -> Tensor:
        features, clock, at = (
            torch.from_numpy(x).to(self.model.device)
            for x in (row_features(inputs), inputs[..., s.CLOCK], inputs[..., s.AT])
        )
        return self.model.trunk(features, clock, at, cache)

    def draw(
        self, streams: list[s.Stream], active: list[int], limits: list[Limits], sampling: Sampling, later: bool = False
    ) -> np.ndarray:
        """One row for each active stream. later: none at the clock's own tick.

        A note at that tick that is out of order is not forced into it (that would pile up pitches no model asked for):
        it is rejected, and the row is drawn again, later.
        """
        mine = [streams[i] for i in active]
        rows = EventDraw(self.model, self.state[active], mine, limits, sampling).rows(later)
        for j in np.flatnonzero((rows[:, s.KIND] == s.EVENT) & (rows[:, s.SHIFT] == 0)).tolist():
            if not legal_table(mine[j], limits[j], 0)[rows[j, s.INSTRUMENT], rows[j, s.PITCH]]:
                rows[j] = self.draw(streams, [active[j]], [limits[j]], sampling, later=True)[0]
        return rows


class EventDraw:
    """One row for each of N streams, drawn field by field, each told those before it: `classes` (N, 5).

    states: (N, width) of the trunk. A rest has a shift and nothing more.
    """

    def __init__(
        self, model: EventModel, states: Tensor, streams: list[s.Stream], limits: list[Limits], sampling: Sampling
    ) -> None:
        self.model, self.streams, self.limits, self.sampling = model, streams, limits, sampling
        self.heads = model.heads(states)
        self.classes = np.zeros((len(streams), len(FIELD_NAMES)), dtype=np.int64)
        self.chart = np.zeros((len(streams), 6), dtype=np.int64)
        self.heard = np.zeros((len(streams), around.HEARD_SIZE), dtype=np.float32)
        self.soon = np.zeros((len(streams), 2 * around.AHEAD), dtype=np.int64)
        self.line = np.zeros((len(streams), 2 * around.BESIDE + 2), dtype=np.int64)
        self.rest = np.zeros(len(streams), dtype=bool)

    def rows(self, later: bool) -> np.ndarray:
        """(N, columns) rests and events. later: with a shift of more than 0."""
        for j, stream in enumerate(self.streams):
            self.soon[j] = around.soon(stream.rows, stream.rows[-1:, s.CLOCK], np.array([len(stream.rows)]))
        self._field(SHIFT, [legal_shifts(*each, later) for each in zip(self.streams, self.limits, strict=True)])
        self.rest = self.classes[:, SHIFT] == REST_CLASS
        shift = np.where(self.rest, s.REST, self.classes[:, SHIFT])
        rows = drawn_rows(self.streams, self.rest, shift)
        self.chart = chart_features(rows[:, s.CHART])
        for j, stream in enumerate(self.streams):
            self.heard[j] = around.heard(stream.rows, rows[j : j + 1, s.CLOCK], np.array([len(stream.rows)]))
        if not self.rest.all():
            self._notes(rows, shift)
        return rows

    def _notes(self, rows: np.ndarray, shift: np.ndarray) -> None:
        """Draw what follows the shift and write it into the rows that are events."""
        classes, sampling = self.classes, self.sampling
        tables = [writable(*each) for each in zip(self.streams, self.limits, shift.tolist(), strict=True)]
        self._field(INSTRUMENT, [np.any(table, axis=1) for table in tables])
        instrument = classes[:, INSTRUMENT]
        for j in np.flatnonzero(~self.rest).tolist():
            known = self.streams[j].rows
            when, who = rows[j : j + 1, s.CLOCK], instrument[j : j + 1]
            self.line[j] = around.line(known, when, who, np.array([len(known)]))
        heat = [sampling.chord_temperature if i == CHORD else sampling.temperature for i in instrument]
        self._field(PITCH, [table[i] for table, i in zip(tables, instrument, strict=True)], heat)
        levels = velocity_of(np.arange(VELOCITIES))
        for field, column, values in ((DURATION, s.DURATION, DURATIONS), (VELOCITY, s.VELOCITY, levels)):
            told = zip(self.streams, self.limits, strict=True)
            self._field(field, [legal_values(*each, column, values) for each in told])
        rows[:, s.INSTRUMENT], rows[:, s.PITCH] = instrument, classes[:, PITCH]
        rows[:, s.DURATION] = np.where(instrument == DRUMS, 10, DURATIONS[classes[:, DURATION]])
        for j in np.flatnonzero(~self.rest).tolist():
            rows[j, s.DURATION] = ending(self.limits[j], rows[j])
        louder = np.clip(velocity_of(classes[:, VELOCITY]) + [limit.louder for limit in self.limits], 1, 127)
        rows[:, s.VELOCITY] = np.where(instrument == CHORD, 64, louder)
        rows[self.rest, s.INSTRUMENT : s.VELOCITY + 1] = 0
        chord = ~self.rest & (instrument == CHORD)
        rows[chord, s.SYMBOL] = rows[chord, s.PITCH]

    def _field(self, field: int, legal: list[np.ndarray], heat: list[float] | None = None) -> None:
        """Draw a field of every row that is no rest from its legal classes. heat: temperatures, or sampling's."""
        told = (self.classes[:, :field], self.chart, self.heard, self.soon, self.line)
        tensors = (torch.from_numpy(x).to(self.heads.device) for x in told)
        several = self.model.field(field, self.heads[:, field], *tensors).cpu().numpy()
        top_p, usual = self.sampling.top_p, self.sampling.temperature
        if field == VELOCITY:  # an unlikely pitch is a wrong note, an unlikely velocity an accent
            top_p, usual = 1.0, LIVELY * usual
        for j in np.flatnonzero(~self.rest).tolist():
            stream, limits = self.streams[j], self.limits[j]
            clock = stream.clock + (0 if field == SHIFT else int(self.classes[j, SHIFT]))
            temperature, share = heat[j] if heat else usual, top_p
            if field in (SHIFT, PITCH):
                temperature, share = freed(limits.bias, clock, temperature, top_p)
            logits, instrument, exempt, odds = several[j], int(self.classes[j, INSTRUMENT]), None, 1.0
            if field == SHIFT:
                logits, exempt = shift_logits(logits, stream, limits, legal[j]), REST_CLASS
                odds = limits.rest * self.sampling.odds(silence(stream, limits)) if stream.wait > s.REST else 1.0
            elif field == PITCH:
                logits = logits + pitch_bias(stream, limits, clock, instrument)
            self.classes[j, field] = nucleus(logits, legal[j], temperature, share, stream.rng, exempt, odds)


class AmtLanes(Lanes):
    """Streams of the public AMT. A row is three tokens, drawn one after another: time, duration, note. Before the rows
    stands a flag that says whether controls are anticipated, and a separator where the piece begins."""

    ROOM = amt.MAX_TIME - s.REST - 1  # steps that a window's rows may span: one more second has to be tellable

    def __init__(self, model: GPT2, batch: int) -> None:
        super().__init__(model, batch)
        self.tokens: list[list[int]] = [[] for _ in range(batch)]  # those in the cache
        self.start = [0] * batch  # the step that times count from

    def excess(self, rows: np.ndarray) -> int:
        """How many rows to drop from the front: none while they fit and span less than 100 s, else all but the newer
        half of what fits."""
        times = rows[rows[:, s.KIND] != s.START_KIND, s.AT]
        if len(rows) <= self.model.window and (not len(times) or np.ptp(times) < self.ROOM):
            return 0
        recent = int(np.searchsorted(rows[:, s.CLOCK], rows[-1, s.CLOCK] - self.ROOM // 2))
        return max(len(rows) - self.model.window // 2, recent)

    def feed(self, streams: list[s.Stream], several: list[np.ndarray]) -> None:
        """Make the caches hold the streams' tokens, running the trunk over those that are not there."""
        new = [
            np.array(self._missing(i, stream, rows) if len(rows) else [], dtype=np.int64)
            for i, (stream, rows) in enumerate(zip(streams, several, strict=True))
        ]
        self._run(new)

    def _missing(self, i: int, stream: s.Stream, rows: np.ndarray) -> list[int]:
        """Cut lane i back to the tokens that agree with the stream, whose last rows are `rows`; return those that are
        to be fed."""
        kept = len(stream.rows) - len(rows)
        head = [amt.ANTICIPATE if len(stream.controls) else amt.AUTOREGRESS]
        if stream.rows[0, s.VELOCITY]:  # the piece begins here
            head += [amt.SEPARATOR] * 3
        if not kept:
            self.start[i] = int(stream.rows[:, s.AT].min())
        else:
            head = self.tokens[i][: len(head) + 3 * (kept - 1)]
        wanted = head + amt.encode(rows, self.start[i]).reshape(-1).tolist()
        same = len(head) if kept else 0
        while same < min(len(wanted), len(self.tokens[i])) and wanted[same] == self.tokens[i][same]:
            same += 1
        same = min(same, len(wanted) - 1)  # the last token's state is wanted
        self.tokens[i] = wanted[:same]
        return wanted[same:]

    def _states(self, inputs: np.ndarray, cache: Cache) -> Tensor:
        return self.model.trunk(torch.from_numpy(inputs).to(self.model.device), cache)

    def _run(self, several: list[np.ndarray]) -> None:
        self.cache.length = [len(there) for there in self.tokens]
        super()._run(several)
        for there, new in zip(self.tokens, several, strict=True):
            there.extend(new.tolist())

    def share(self, one: AmtLanes) -> None:
        super().share(one)
        self.tokens = [list(one.tokens[0]) for _ in self.tokens]
        self.start = one.start * len(self.start)

    @staticmethod
    def _choose(logits: Tensor, legal: np.ndarray, sampling: Sampling, rng: np.random.Generator) -> int:
        return nucleus(logits.cpu().numpy(), legal, sampling.temperature, sampling.top_p, rng)

    def _feed_one(self, active: list[int], tokens: np.ndarray) -> None:
        several = [np.zeros(0, dtype=np.int64)] * len(self.tokens)
        for i, token in zip(active, tokens, strict=True):
            several[i] = np.array([token])
        self._run(several)

    def draw(self, streams: list[s.Stream], active: list[int], limits: list[Limits], sampling: Sampling) -> np.ndarray:
        """One row for each active stream. The logits of a slot are computed for its legal tokens alone, which is the
        same as masking the others. A rest is a second of time, no duration, and the note REST."""
        mine = [streams[i] for i in active]
        shifts = [legal_shifts(stream, limit) for stream, limit in zip(mine, limits, strict=True)]
        now = np.array([stream.clock - self.start[i] for stream, i in zip(mine, active, strict=True)])
        shift, duration, note = (np.zeros(len(active), dtype=np.int64) for _ in range(3))
        for j, i in enumerate(active):
            legal = np.append(shifts[j][: s.REST], shifts[j][s.REST :].any())  # after a second an event or a rest
            logits = self.model.head(self.state[i], after(amt.TIME, range(now[j], now[j] + s.REST + 1)))
            onto = shift_logits(logits.cpu().numpy(), mine[j], limits[j], legal)
            odds = limits[j].rest * sampling.odds(silence(mine[j], limits[j]))
            shift[j] = nucleus(onto, legal, sampling.temperature, sampling.top_p, mine[j].rng, s.REST, odds)
        self._feed_one(active, amt.TIME.start + now + shift)
        for j, i in enumerate(active):
            legal = legal_values(mine[j], limits[j], s.DURATION, np.arange(len(amt.DURATION)))
            if shift[j] == s.REST:
                legal &= shifts[j][s.REST]
                legal[0] = shifts[j][-1]
            duration[j] = self._choose(self.model.head(self.state[i], amt.DURATION), legal, sampling, mine[j].rng)
        self._feed_one(active, amt.DURATION.start + duration)
        rest = duration == 0
        for j in np.flatnonzero(~rest).tolist():
            table = legal_table(mine[j], limits[j], int(shift[j]))
            bias = pitch_bias(mine[j], limits[j], mine[j].clock + int(shift[j]), None)
            note[j] = self._note(active[j], table, bias, sampling, mine[j].rng)
        rows = drawn_rows(mine, rest, shift)
        rows[:, s.INSTRUMENT], rows[:, s.PITCH] = np.divmod(note, amt.PITCHES)
        rows[:, s.DURATION] = duration
        return rows

    def _note(self, i: int, table: np.ndarray, bias: np.ndarray, sampling: Sampling, rng: np.random.Generator) -> int:
        """An instrument and a pitch, as one number, of those in the table. bias: (128,) for pitched instruments."""
        instruments = np.flatnonzero(table[: DRUMS + 1].any(1))
        runs = np.split(instruments, np.flatnonzero(np.diff(instruments) > 1) + 1)  # neighbours in the vocabulary
        slots = [range(amt.PITCHES * int(run[0]), amt.PITCHES * (int(run[-1]) + 1)) for run in runs]
        notes = np.concatenate(slots)
        logits = torch.cat([self.model.head(self.state[i], after(amt.NOTE, slot)) for slot in slots])
        pitched = notes < amt.PITCHES * DRUMS
        logits = logits + torch.from_numpy(np.where(pitched, bias[notes % amt.PITCHES], 0.0)).to(logits)
        return int(notes[self._choose(logits, table.reshape(-1)[notes], sampling, rng)])


def outliers(counts: list[int], cost: int) -> list[int]:
    """Which streams go through the trunk alone, so that rows and passes cost the least; the others are padded to the
    longest of them. counts: rows of each stream. cost: of a pass, in rows."""
    fed = sorted(np.flatnonzero(counts).tolist(), key=lambda i: -counts[i])
    alone = np.cumsum([0, *(counts[i] + cost for i in fed)])
    others = [*(len(counts) * counts[i] + cost for i in fed), 0]
    return fed[: int(np.argmin(alone + others))]


def after(slot: range, within: range) -> range:
    """The tokens at some places of a slot."""
    return range(slot.start + within.start, slot.start + within.stop)


def drawn_rows(streams: list[s.Stream], rest: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Rows that are rests or events `shift` steps from the streams' clocks: with charts, but no notes yet."""
    clock = np.array([stream.clock for stream in streams]) + shift
    rows = np.zeros((len(streams), len(s.COLUMNS)), dtype=np.int64)
    rows[:, s.KIND], rows[:, s.SHIFT] = np.where(rest, s.REST_KIND, s.EVENT), shift
    rows[:, s.CLOCK] = rows[:, s.AT] = clock
    rows[:, s.CHART] = [stream.columns(int(at)) for stream, at in zip(streams, clock, strict=True)]
    return rows


LANES: dict[str, Any] = {"event": EventLanes, "amt": AmtLanes}
