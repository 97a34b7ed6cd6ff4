"""Precedent: a part goes as it went where the piece goes alike. What is otherwise costs nats, which bias.py takes off
the logits. Knows no weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

import numpy as np

from ..music.harmony import NO_CHORD
from ..music.notes import DRUMS
from . import stream as s

# Nats that it costs, where the piece goes as it has gone before, to begin something where nothing was begun then, or
# nothing where something was; to give a chord a note more or less; or another note under the same chord symbol. People
# repeat themselves as much. Less would not leave the more to chance: the model then irons out what was odd at first.
ANEW = 8.0
# The same in a hole, where the piece goes elsewhere as it goes around that: there it is not for sure (train/LOG.md).
OTHERWISE = 2.0
# Where others come in place of notes that gave way: nats that it costs to begin one of these again.
SAME = 1.0
ROUNDING = 3  # steps by which a note may miss the chord that it begins with
_PITCHES = np.arange(128)

Begun = list[tuple[int, int]]  # (instrument, pitch) of what begins together


class Precedent(ABC):
    """What is known of how a piece went. Times are in steps from the stream's origin."""

    @property
    @abstractmethod
    def price(self) -> float:
        """Nats for each thing that is otherwise."""

    @abstractmethod
    def came(self, stream: s.Stream, clock: int) -> Begun | None:
        """What was begun where the piece goes as it does at a clock; None where that is new."""

    @abstractmethod
    def comes(self, stream: s.Stream, table: np.ndarray, clock: int) -> Begun:
        """The same as it can be begun at the clock. table: (INSTRUMENTS, 128) what is legal."""

    @abstractmethod
    def lacks(self, stream: s.Stream, here: Begun, notes: Begun) -> bool:
        """Whether a chord of which `here` is begun is to have more of `notes`, what comes."""

    def begun(self, stream: s.Stream) -> Begun:
        """What counts as begun already at the stream's clock."""
        return stream.begun.get(stream.clock, [])

    def surplus(self, stream: s.Stream, clock: int) -> float:
        """Nats for what is begun where nothing was."""
        return self.price

    def pitch_costs(self, stream: s.Stream, table: np.ndarray, clock: int, instrument: int | None) -> np.ndarray:
        """(128,) nats that an instrument's next pitch costs at a clock: one price if it was not begun there, and for
        each one that was and is passed over, or chords would climb. instrument: None for any."""
        pitches = [pitch for one, pitch in self.comes(stream, table, clock) if instrument in (None, one)]
        if not pitches:
            return np.zeros(128)
        last = max((pitch for one, pitch in stream.begun.get(clock, []) if one == instrument), default=-1)
        left = sorted(pitch for pitch in pitches if pitch > last and stream.ordered)
        return self.price * (np.isin(_PITCHES, pitches, invert=True) + np.searchsorted(left, _PITCHES))

    def shift_costs(self, stream: s.Stream, table: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(N + 1,) nats that it costs to begin the next note so many steps from the clock (N, ascending), and to begin
        none within a second: for each place up to there where something was begun and now is not, or the other way
        round, and for a chord that has a note more or less."""
        out, passed = np.zeros(len(places) + 1), 0.0
        for i, shift in enumerate(places.tolist()):
            out[i] = passed
            came = self.came(stream, stream.clock + shift)
            here = [] if shift or came is None else self.begun(stream)
            if here:
                if self.lacks(stream, here, self.comes(stream, table, stream.clock)):
                    passed += self.price
                elif len(here) >= len(came or []):
                    out[i] += self.price
            elif came:
                passed += self.price
            elif came is not None:
                out[i] += self.surplus(stream, stream.clock + shift)
        out[-1] = passed
        return out


@dataclass(frozen=True)
class Verse(Precedent):
    """A new part, where the tune has gone so before (music/form.py): as the stream itself went then.

    there: (end + 1, 2) step at which the piece went as at each, -1 for none, and semitones that it is higher now."""

    there: np.ndarray

    @property
    def price(self) -> float:
        return ANEW

    def came(self, stream: s.Stream, clock: int) -> Begun | None:
        there = int(self.there[clock, 0])
        return None if there < 0 else stream.begun.get(there, [])

    def comes(self, stream: s.Stream, table: np.ndarray, clock: int) -> Begun:
        """As much higher as the piece goes now. Under another chord drums alone begin it again."""
        came = self.came(stream, clock) or []
        if not came:
            return []
        there, higher = self.there[clock].tolist()
        was, now = stream.chart.symbols(np.array([there, clock]) + ROUNDING).tolist()
        same = now == (was // 12 * 12 + (was + higher) % 12 if was < NO_CHORD else was)
        return _legal([(one, pitch + higher * (one < DRUMS)) for one, pitch in came if same or one == DRUMS], table)

    def lacks(self, stream: s.Stream, here: Begun, notes: Begun) -> bool:
        return any(note not in here and (note > here[-1] or not stream.ordered) for note in notes)


@dataclass(frozen=True)
class Elsewhere(Precedent):
    """A part with a hole: as it goes where the piece goes like around that (music/reprise.py).

    notes: step -> all that begins there."""

    notes: dict[int, Begun]

    @property
    def price(self) -> float:
        return OTHERWISE

    def came(self, stream: s.Stream, clock: int) -> Begun:
        return self.notes.get(clock, [])

    def comes(self, stream: s.Stream, table: np.ndarray, clock: int) -> Begun:
        return _legal(self.came(stream, clock), table)

    def lacks(self, stream: s.Stream, here: Begun, notes: Begun) -> bool:
        return len(here) < len(notes)  # whichever they are: it may have other ones


@dataclass(frozen=True)
class Displaced(Elsewhere):
    """A part of which some notes gave way: others come in their place. notes: step -> those."""

    @cached_property
    def steps(self) -> np.ndarray:
        """(N,) the steps of `notes`, ascending."""
        return np.array(sorted(self.notes), dtype=np.int64)

    def came(self, stream: s.Stream, clock: int) -> Begun:
        return _between_echoes(super().came(stream, clock), stream, clock)

    def begun(self, stream: s.Stream) -> Begun:
        return _between_echoes(super().begun(stream), stream, stream.clock)

    def surplus(self, stream: s.Stream, clock: int) -> float:
        """One more since the last old note costs more each time, or one that was held would become a row of short
        ones."""
        last = -1
        for old in (self.steps, stream.echoes[: stream.echoed, 0]):
            last = max([last, *old[: np.searchsorted(old, clock, side="right")][-1:].tolist()])
        since = takewhile(lambda when: when > last, reversed(stream.begun))
        return self.price * (1 + sum(when < clock for when in since))

    def pitch_costs(self, stream: s.Stream, table: np.ndarray, clock: int, instrument: int | None) -> np.ndarray:
        """The old pitches are not wanted again, but strokes, and what goes on from the moment before: people repeat
        notes."""
        pitches = [pitch for one, pitch in self.came(stream, clock) if instrument in (None, one) and one != DRUMS]
        line = stream.rows[s.of_kinds(stream.rows, s.LINE) & (stream.rows[:, s.CLOCK] < clock)]
        return SAME * np.isin(_PITCHES, np.setdiff1d(pitches, last_moment(line)))


def _between_echoes(begun: Begun, stream: s.Stream, clock: int) -> Begun:
    """What comes after the echo at a clock that was said last, and before the next one: so new notes lie among those
    that stay as the old ones did."""
    low, high = (-1, -1), (s.UNTOLD, 0)
    if clock == stream.clock and len(said := stream.at_clock()):
        said = said[said[:, s.KIND] == s.ECHO]
        low = max((tuple(row) for row in said[:, [s.INSTRUMENT, s.PITCH]].tolist()), default=low)
    if clock == stream.clock + stream.wait:
        high = tuple(stream.echoes[stream.echoed, 1:3].tolist())
    return [note for note in begun if low < note < high]


def last_moment(rows: np.ndarray) -> np.ndarray:
    """The pitches that begin together with the last of some rows."""
    return rows[rows[:, s.CLOCK] >= rows[-1:, s.CLOCK] - ROUNDING, s.PITCH]


def _legal(begun: Begun, table: np.ndarray) -> Begun:
    return [(one, pitch) for one, pitch in begun if pitch < 128 and table[one, pitch]]
