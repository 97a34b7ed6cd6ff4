"""Bounds: what may be drawn for a request and what is less likely, in the steps and the key of the stream that is told
it. Knows no weights, and draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..model import stream as s
from ..model.bias import Bias
from ..model.grammar import Limits, nearest_place, pitch_table
from ..model.precedent import Displaced, Elsewhere, Precedent, Verse
from ..model.rhythm import STRAY, Rhythm
from ..music.grid import nearest
from ..music.groove import IN_THREE, places_of, rows_of
from ..music.keys import moved
from ..music.notes import DRUMS, Notes
from ..music.playable import BASSES, CHORDAL, TRIAD
from ..music.reprise import again
from .habits import at_rest, highest, keys_down, sounding, usual_density, usual_places, usual_range, usual_voices
from .request import Infill

OFF_ROOT = 0.2  # what the odds are multiplied by that a new bass begins a chord with another tone than its root
# A bass under nothing but a tune, which does not tell its style, played as the metal bands do that it knows: what the
# odds are multiplied by of what is finer than halves and thirds of a beat, and of a tone, by each of its last notes
# that had it (`Bias.stays`). People's basses repeat half of their moments, ours repeated 72 % (train/LOG.md).
FINE, STAYS = 0.1, 0.75
# Factor on the odds of a rest where the beats are known: models believe too readily in it. Not for a new part beside
# others that play the chords: people's second leads are silent half of the time (train/LOG.md).
EAGER = 0.5


class Places(NamedTuple):
    """Where what is written may begin: (N,) seconds, ascending; the stream's steps; and which lie in the span."""

    seconds: np.ndarray
    steps: np.ndarray
    inside: np.ndarray

    def usual(self, known: Notes, beats: Notes, end: int, fine: float = 1.0) -> np.ndarray:
        """(end + 1,) `Bias.usual`: the log of `usual_places` at those in the span, 0 elsewhere."""
        usual = np.zeros(end + 1)
        usual[self.steps[self.inside]] = np.log(usual_places(known, beats, self.seconds, fine)[self.inside])
        return usual


@dataclass(frozen=True)
class Bounds:
    """chart: what the stream is read against. shift: semitones that it is above the request. origin: seconds at which
    its steps begin."""

    request: Infill
    chart: s.Chart
    shift: int
    origin: float

    @cached_property
    def span(self) -> tuple[int, int]:
        """The steps between which events lie."""
        ask = self.request
        begin, end = (round((t - self.origin) * s.STEPS) for t in (ask.start, ask.end))
        if ask.ending is not None:
            end = min(end, round((ask.ending.last - self.origin) * s.STEPS) + 1)
        return begin, end if ask.rhythm is None else max(end, begin + 1)

    @cached_property
    def beside(self) -> Notes:
        """What others play meanwhile on the keyboard of what is written."""
        ask = self.request
        beside = ask.known[:0] if ask.beside is None else ask.beside.of_instruments(ask.instruments)
        return beside.between(ask.start - s.HISTORY, ask.end + s.FUTURE)

    @cached_property
    def shown(self) -> Notes:
        """The audible known notes that a stream is shown."""
        return self.request.known.audible.between(self.origin, self.request.end + s.FUTURE)

    def limits(self) -> Limits:
        """What may be drawn, and what is less likely."""
        ask, own = self.request, self.shown.of_instruments(self.request.instruments)
        told = s.quantise(own, self.origin)  # also what began before the span and rings into it
        voices = usual_voices(own, ask.start, ask.end, ask.instruments) if ask.polyphony is None else {}
        pitches = None if ask.pitches is None else moved(ask.pitches, self.shift)
        ranges = {} if ask.ranged else usual_range(ask.known, ask.instruments, ask.start)
        table = pitch_table(ask.instruments, pitches, higher(ranges, self.shift))
        reach, usual = self._in_place()
        return Limits(
            *self.span,
            table=table,
            polyphony={} if ask.polyphony is None else dict.fromkeys(ask.instruments, ask.polyphony),
            density=usual_density(self.shown) if ask.density is None else dict.fromkeys(ask.instruments, ask.density),
            nearest=reach,
            voices=voices,
            sounding={i: sounding(told, i, self.span[1]) for i in voices},
            rhythm=self._rhythm(own, table),
            bias=self._bias(usual),
            rest=1.0 if ask.places is None or self._second else EAGER,
        )

    def _bias(self, usual: np.ndarray | None) -> Bias:
        ask, end = self.request, self.span[1]
        chordal = [i for i in self.new if i in CHORDAL]
        bass = np.isin(ask.known.instrument, BASSES).any()
        times = self.origin + np.arange(end + 1) / s.STEPS
        first = (ask.tune or ask.known.audible).onset.min(initial=np.inf)
        tune = None if ask.tune is None else s.quantise(ask.tune.transpose(self.shift), self.origin)
        return Bias(
            chart=self.chart,
            stray=1.0 if ask.rhythm is None else STRAY,
            roots={i: OFF_ROOT for i in self.new if i in (BASSES if bass else (*BASSES, *chordal))},
            stays=dict.fromkeys(self.under_tune, STAYS),
            last=None if ask.ending is None else end - 1,
            closes=dict.fromkeys(chordal, TRIAD) | ({} if ask.ending is None else ask.ending.closes),
            groove=places_of(times, rows_of(ask.known.beats), first) if DRUMS in self.new else None,
            heed=IN_THREE if ask.known.beats.pitch.max(initial=0) == 2 else 1.0,
            usual=usual,
            tune=None if tune is None else highest(tune, end),
            chordal=tuple(chordal),
            precedent=self._precedent(),
            taken=keys_down(self.beside.transpose(self.shift), self.origin),
        )

    @cached_property
    def new(self) -> tuple[int, ...]:
        """The instruments of which nothing is known."""
        known = self.request.known.instrument
        return tuple(i for i in self.request.instruments if not (known == i).any())

    @cached_property
    def under_tune(self) -> tuple[int, ...]:
        """New basses under nothing but a tune."""
        return () if self.request.tune is None else tuple(i for i in self.new if i in BASSES)

    @property
    def _second(self) -> bool:
        """Whether others play the chords beside a new part that keeps no time."""
        ask = self.request
        tune = () if ask.tune is None else ask.tune.instruments
        others = np.setdiff1d(ask.known.between(ask.start, ask.end).instrument, tune)
        leads = set(self.new) == set(ask.instruments) and not set(self.new) & {DRUMS, *BASSES}
        return leads and bool(np.isin(others, CHORDAL).any())

    @cached_property
    def places(self) -> Places | None:
        """None where notes may begin anywhere, or begin as a rhythm does."""
        ask = self.request
        if ask.places is None or ask.rhythm is not None:
            return None
        steps = np.rint((ask.places - self.origin) * s.STEPS).astype(int)
        inside = (ask.places >= ask.start - 1e-3) & (ask.places < ask.end) & (steps <= self.span[1])
        return Places(ask.places, steps, inside)

    def _in_place(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """`Limits.nearest` and `Bias.usual`."""
        if self.places is None:
            return None, None
        ask, end, (seconds, steps, _) = self.request, self.span[1], self.places
        music, reach = self.shown, nearest_place(steps[seconds >= ask.start - 1e-3], end)
        if ask.instead:
            music, when = music + ask.gone, self.origin + np.arange(len(reach)) / s.STEPS
            rests = at_rest(music.of_instruments(ask.instruments), ask.known.beats, when)
            reach = np.where(rests[reach.clip(max=len(rests) - 1)], 2 * len(reach), reach)  # not here, but later
        fine = FINE if len(self.under_tune) == len(ask.instruments) else 1.0
        return reach, self.places.usual(music, ask.known.beats, end, fine)

    def _precedent(self) -> Precedent | None:
        """`Bias.precedent`."""
        if self.places is None:
            return None
        if self.request.instead:
            return Displaced(self._by_step(self.request.gone, self.places))
        if len(self.request.known.of_instruments(self.request.instruments)):
            return self._elsewhere(self.places)
        return None if self.request.before is None else self._verse(self.places, self.request.before)

    def _verse(self, places: Places, before: np.ndarray) -> Verse:
        """For a new part. before: of the request."""
        end = self.span[1]
        came = places.inside & (before[:, 0] >= 0)
        came &= places.steps < (end if self.request.ending is None else end - 1)  # it does not end as it went on
        there = np.tile([-1, 0], (end + 1, 1))
        there[places.steps[came]] = np.stack([places.steps[before[came, 0]], before[came, 1]], axis=1)
        return Verse(there)

    def _elsewhere(self, places: Places) -> Elsewhere | None:
        """For a part that plays on both sides of the span, of which nothing is known within nor gives way."""
        ask = self.request
        own = ask.known.audible.of_instruments(ask.instruments)
        first, last = np.searchsorted(np.sort(own.onset), (ask.start, ask.end))
        if len(ask.gone.of_instruments(ask.instruments)) or not 0 < first == last < len(own):
            return None
        notes = self._by_step(again(ask.known, own, ask.start, ask.end), places)
        return Elsewhere(notes) if notes else None

    def _by_step(self, notes: Notes, places: Places) -> dict[int, list[tuple[int, int]]]:
        """(instrument, pitch) of those that are written, by the nearest place in the span, in the stream's steps."""
        notes = notes.of_instruments(self.request.instruments)
        out: dict[int, list[tuple[int, int]]] = {}
        if places.inside.any():
            steps = places.steps[places.inside][nearest(notes.onset, places.seconds[places.inside])]
            for step, (_, _, pitch, one, _) in zip(steps.tolist(), notes.transpose(self.shift), strict=True):
                out.setdefault(step, []).append((one, pitch))
        return out

    def _rhythm(self, own: Notes, table: np.ndarray) -> Rhythm | None:
        """`Limits.rhythm`. own: known notes of the instruments that are written. table: what may be written."""
        ask = self.request
        if ask.rhythm is None:
            return None
        replaced = ask.rhythm.pitched.of_instruments(ask.instruments)
        around = own + self.beside
        return Rhythm.of(replaced, around, table, self.shift, self.origin, self.span, near=not ask.ranged)


def higher(ranges: dict[int, tuple[int, int]], shift: int) -> dict[int, tuple[int, int]]:
    """Ranges of instruments, so many semitones up; drums stay."""
    return {i: (low, high) if i == DRUMS else (low + shift, high + shift) for i, (low, high) in ranges.items()}
