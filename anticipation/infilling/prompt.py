"""Infill: a request for notes; every task is one. Prompt: the same as a model is told it, and the way back.

Between seconds and a model's rows stands `Prompt`: the rows that the model reads (`of`), what it may draw after them
(`limits`), and what it drew as notes again (`notes`), off the 10 ms grid, as loud as what is around them and playable
beside it. Knows no weights and no files, and draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import RequestError
from ..model import stream as s
from ..model.bias import Bias
from ..model.grammar import Limits, nearest_place, pitch_table
from ..model.precedent import Displaced, Elsewhere, Precedent, Verse
from ..model.rhythm import STRAY, Rhythm
from ..music.dynamics import as_loud, balanced
from ..music.grid import nearest
from ..music.groove import places_of
from ..music.keys import moved, shift_to_c
from ..music.notes import DRUMS, Notes
from ..music.playable import BASSES, CHORDAL, TRIAD
from ..music.reprise import again
from .ending import Ending
from .habits import (
    at_rest,
    give_way,
    highest,
    keys_down,
    let_ring,
    on_free_keys,
    sounding,
    usual_density,
    usual_places,
    usual_range,
    usual_voices,
)
from .snapping import ends_of, snap

OFF_ROOT = 0.2  # what the odds are multiplied by that a new bass begins a chord with another tone than its root
RING = 0.5  # seconds that notes may ring beyond the span where no beats are known, else it is a beat: people's do
LEAD = 0.05  # seconds that a stream begins before the first note in the span


@dataclass(frozen=True)
class Infill:
    """What is known, and what is to be written around it.

    known: all notes that stay, with CHORD and BEAT rows where those are known. start, end: seconds; what is written has
    start <= onset < end. instruments: what may be written. pitches: (128,) mask of legal pitches (scale, range), drums
    excepted. ranged: the mask holds a range; if not, each instrument keeps to what it can play and to what it plays
    elsewhere. polyphony: notes of one instrument at once. density: onsets of one instrument in any second; 0 is free.
    Where these two are None, an instrument has as many as around the span, or where little of it is known as many as
    can be played on it (habits.py). delta: seconds of anticipation; negative where known notes reach the model late.
    style: one of stream.STYLES. places: seconds, ascending, where what is written may begin; anywhere by default. tune:
    a melody under which new chords stay. before: where the piece goes as it has gone before (`form.counterparts`), for
    new parts. rhythm: pitched notes of every instrument, each of which is answered by one that begins and ends when it
    does and is as loud, near its pitch unless `ranged`; nothing else is written, and polyphony, density and places mean
    nothing. beside: what other hands play on the keyboard that is written for; its keys are left to them. ending: where
    the piece comes to rest within the span. gone: what gives way there, and is not wanted again. instead: others come
    in place of that, in no rests. unheard: instruments that the model is not told of; what is written keeps to them.

    Raises RequestError where there is nothing to write.
    """

    known: Notes
    start: float
    end: float
    instruments: tuple[int, ...]
    pitches: np.ndarray | None = None
    polyphony: int | None = None
    density: int | None = None
    delta: float = 5.0
    style: str = "unknown"
    places: np.ndarray | None = None
    ranged: bool = False
    tune: Notes | None = None
    before: np.ndarray | None = None
    rhythm: Notes | None = None
    beside: Notes | None = None
    ending: Ending | None = None
    gone: Notes = field(default_factory=lambda: Notes.of([]))
    instead: bool = False
    unheard: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end < np.inf:
            raise RequestError(
                f"nothing to write: the span {self.start:.2f}-{self.end:.2f} s is empty or before the start"
            )
        if not self.instruments:
            raise RequestError("nothing to write: no instrument is left that may be written")
        pitched = [i for i in self.instruments if i < DRUMS]
        if pitched and self.pitches is not None and not self.pitches.any():
            raise RequestError("nothing to write: the scale has no pitch in the range")
        if self.polyphony is not None and self.polyphony < 1 or self.density is not None and self.density < 0:
            raise RequestError("polyphony is at least 1, and density 0 (free) or more")
        if self.rhythm is not None and not set(self.instruments) <= set(self.rhythm.pitched.instruments):
            raise RequestError("nothing to write: an instrument that may be written has no pitched notes in the rhythm")


class Places(NamedTuple):
    """Where what is written may begin: (N,) seconds, ascending; the stream's steps; and which lie in the span."""

    seconds: np.ndarray
    steps: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True)
class Prompt:
    """A request as a model is told it, and the way back.

    rows: the stream up to the span. chart: what they are read against. controls: known notes that the model does not
    write itself, quantised; those that are not in `rows` yet are told as they come due, `delta` steps before their
    onset. echoes: those of them that are in the span, and in a part that is written. shift: semitones up to C; 0 for a
    model that reads no chart, which is told nothing but notes, in their own key. origin: seconds at which the rows
    begin.
    """

    request: Infill
    rows: np.ndarray
    chart: s.Chart
    controls: np.ndarray
    echoes: np.ndarray
    delta: int
    shift: int
    origin: float

    @classmethod
    def of(cls, model, request: Infill) -> Prompt:
        """Raises RequestError where the model cannot be told the controls."""
        told = request.known.without_instruments(request.unheard)
        before = told.audible.of_instruments(request.instruments)
        before = before.between(request.start - s.HISTORY, request.start)
        # It begins where what is to be continued begins, or with the span: no training window opens in a long silence,
        # and hardly any with a note.
        first = told.audible.between(request.start, request.end).onset[:1] - LEAD
        opening = min([request.start, *first.tolist()])
        origin = max(0.0, float(before.onset[0]) - 1.0) if len(before) else opening
        near = request.known.between(origin, request.end + s.FUTURE)
        reads = model.reads_chart
        shift = shift_to_c(near, request.pitches) if reads else 0
        audible = near.audible.without_instruments(request.unheard)
        past = (np.isin(audible.instrument, request.instruments) | (not model.anticipates)) & (
            audible.onset < request.start
        )
        history, rest = audible[past], audible[~past]
        chords = told.chords
        sheet = near.beats + chords[chords.offset > origin]
        header = s.Header(
            delta=round(request.delta * s.STEPS),
            instruments=request.instruments if reads else None,
            style=s.STYLES.index(request.style),
            cold=origin <= 0.0,
        )
        events, controls = (s.quantise(notes.transpose(shift), origin, strokes=reads) for notes in (history, rest))
        if len(controls) and not model.anticipates:
            raise RequestError(
                "these weights were trained without anticipation: they can continue, but not write around notes"
            )
        until = int((request.start - origin) * s.STEPS) - s.REST
        chart = s.Chart.of(sheet.transpose(shift) if reads else sheet[:0], origin)
        rows = s.interleave(events, controls, chart, header, until=until)
        echoed = model.echoes and request.rhythm is None  # a rhythm has an order of its own
        echoes = s.echoes_of(controls, request.instruments if echoed else ())
        echoes = echoes[echoes[:, 0] < round((request.end - origin) * s.STEPS)]
        return cls(request, rows, chart, controls, echoes, header.delta, shift, origin)

    def stream(self, model, seed: int | tuple[int, ...]) -> s.Stream:
        """A stream that is read against this, and has no rows yet."""
        rng = np.random.default_rng(seed)
        return s.Stream(self.chart, self.controls, self.delta, rng, ordered=model.reads_chart, echoes=self.echoes)

    @cached_property
    def span(self) -> tuple[int, int]:
        """The steps between which events lie."""
        ask = self.request
        begin, end = (round((t - self.origin) * s.STEPS) for t in (ask.start, ask.end))
        if ask.ending is not None:
            end = min(end, round((ask.ending.last - self.origin) * s.STEPS) + 1)
        return begin, end if ask.rhythm is None else max(end, begin + 1)

    @cached_property
    def limits(self) -> Limits:
        """What may be drawn and what is less likely, in the stream's steps and key."""
        ask, end = self.request, self.span[1]
        near = ask.known.audible.between(self.origin, ask.end + s.FUTURE)
        own = near.of_instruments(ask.instruments)
        told = s.quantise(own, self.origin)  # also what began before the span and rings into it
        voices = usual_voices(own, ask.start, ask.end, ask.instruments) if ask.polyphony is None else {}
        table = self._table()
        reach, usual = self._in_place(near)
        return Limits(
            *self.span,
            table,
            {} if ask.polyphony is None else dict.fromkeys(ask.instruments, ask.polyphony),
            usual_density(near) if ask.density is None else dict.fromkeys(ask.instruments, ask.density),
            reach,
            voices=voices,
            sounding={i: sounding(told, i, end) for i in voices},
            rhythm=self._rhythm(own, table),
            bias=self._bias(usual),
        )

    def _bias(self, usual: np.ndarray | None) -> Bias:
        ask, end = self.request, self.span[1]
        new = [i for i in ask.instruments if not (ask.known.instrument == i).any()]
        chordal = [i for i in new if i in CHORDAL]
        bass = np.isin(ask.known.instrument, BASSES).any()
        return Bias(
            chart=self.chart,
            stray=1.0 if ask.rhythm is None else STRAY,
            roots={i: OFF_ROOT for i in new if i in (BASSES if bass else (*BASSES, *chordal))},
            last=None if ask.ending is None else end - 1,
            closes=dict.fromkeys(chordal, TRIAD) | ({} if ask.ending is None else ask.ending.closes),
            groove=places_of(np.arange(end + 1), self.chart.beats) if DRUMS in new else None,
            usual=usual,
            tune=self._highest(ask.tune),
            chordal=tuple(chordal),
            precedent=self._precedent(),
            taken=keys_down(self.beside.transpose(self.shift), self.origin),
        )

    def _table(self) -> np.ndarray:
        """(INSTRUMENTS, 128) legal pitches in the key of the stream."""
        ask = self.request
        pitches = None if ask.pitches is None else moved(ask.pitches, self.shift)
        ranges = {} if ask.ranged else usual_range(ask.known, ask.instruments, ask.start)
        return pitch_table(ask.instruments, pitches, higher(ranges, self.shift))

    def _highest(self, tune: Notes | None) -> np.ndarray | None:
        """`Bias.tune`."""
        if tune is None:
            return None
        return highest(s.quantise(tune.transpose(self.shift), self.origin), self.span[1])

    @cached_property
    def places(self) -> Places | None:
        """None where notes may begin anywhere, or begin as a rhythm does."""
        ask = self.request
        if ask.places is None or ask.rhythm is not None:
            return None
        steps = np.rint((ask.places - self.origin) * s.STEPS).astype(int)
        inside = (ask.places >= ask.start - 1e-3) & (ask.places < ask.end) & (steps <= self.span[1])
        return Places(ask.places, steps, inside)

    def _in_place(self, near: Notes) -> tuple[np.ndarray | None, np.ndarray | None]:
        """`Limits.nearest` and `Bias.usual`. near: known notes."""
        if self.places is None:
            return None, None
        ask, end, (seconds, steps, inside) = self.request, self.span[1], self.places
        reach, usual = nearest_place(steps[seconds >= ask.start - 1e-3], end), np.zeros(end + 1)
        if ask.instead:
            near, when = near + ask.gone, self.origin + np.arange(len(reach)) / s.STEPS
            rests = at_rest(near.of_instruments(ask.instruments), ask.known.beats, when)
            reach = np.where(rests[reach.clip(max=len(rests) - 1)], 2 * len(reach), reach)  # not here, but later
        usual[steps[inside]] = np.log(usual_places(near, ask.known.beats, seconds)[inside])
        return reach, usual

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
        around, near = own + self.beside, not ask.ranged
        return Rhythm.of(replaced, around, table, self.shift, self.origin, self.span, near)

    @cached_property
    def near(self) -> Notes:
        """The audible known notes by which what is written is set right."""
        return self.request.known.audible.between(self.request.start - s.HISTORY, self.request.end + s.FUTURE)

    @cached_property
    def beside(self) -> Notes:
        """What others play meanwhile on the keyboard of what is written."""
        ask = self.request
        beside = ask.known[:0] if ask.beside is None else ask.beside.of_instruments(ask.instruments)
        return beside.between(ask.start - s.HISTORY, ask.end + s.FUTURE)

    @cached_property
    def ends(self) -> tuple[int, float] | None:
        """How the known notes end, see `ends_of`; None where notes may begin anywhere."""
        known = self.request.known
        return None if self.request.places is None else ends_of(self.near, known.beats)

    def notes(self, written: list[np.ndarray]) -> Notes:
        """The rows of written events as notes of the request."""
        rows = np.array(written).reshape(-1, len(s.COLUMNS))
        if self.limits.rhythm is not None:
            return self.limits.rhythm.notes.replace(pitch=rows[:, s.PITCH] - self.shift).sorted()
        notes = s.to_notes(rows, self.origin).transpose(-self.shift)
        ask, knows_dynamics = self.request, rows[:, s.VELOCITY].any()
        notes = snap(notes, ask.known, ask.start, ask.end, ask.places, self.ends)
        notes = balanced(notes, self.near) if knows_dynamics else as_loud(notes, ask.known.audible)
        notes = give_way(notes, ask.known.audible, self.limits.voices)
        beats = ask.known.beats.between(-np.inf, ask.end)
        notes = on_free_keys(notes, self.near + self.beside)
        notes = let_ring(notes, self.near, ask.end, ask.end + (float(beats.duration[-1]) if len(beats) else RING))
        return notes if ask.ending is None else ask.ending.held(notes)


def higher(ranges: dict[int, tuple[int, int]], shift: int) -> dict[int, tuple[int, int]]:
    """Ranges of instruments, so many semitones up; drums stay."""
    return {i: (low, high) if i == DRUMS else (low + shift, high + shift) for i, (low, high) in ranges.items()}
