"""Prompt: a request as a model is told it, and the way back.

Between seconds and a model's rows stands `Prompt`: the rows that the model reads (`of`), what it may draw after them
(`limits`: bounds.py), and what it drew as notes again (`notes`), off the 10 ms grid, as loud as what is around them and
playable beside it. Knows no weights and no files, and draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import RequestError
from ..model import stream as s
from ..model.grammar import Limits
from ..music.dynamics import as_loud, balanced
from ..music.keys import shift_to_c
from ..music.notes import Notes
from .bounds import Bounds
from .habits import give_way, let_ring, on_free_keys
from .request import Infill
from .snapping import ends_of, snap

RING = 0.5  # seconds that notes may ring beyond the span where no beats are known, else it is a beat: people's do
LEAD = 0.05  # seconds that a stream begins before the first note in the span


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
        heard = told.audible
        own = heard.of_instruments(request.instruments).between(request.start - s.HISTORY, request.start)
        # It begins where what is to be continued begins, or with the span: no training window opens in a long silence,
        # and hardly any with a note.
        first = heard.between(request.start, request.end).onset[:1] - LEAD
        opening = min([request.start, *first.tolist()])
        origin = max(0.0, float(own.onset[0]) - 1.0) if len(own) else opening
        near = request.known.between(origin, request.end + s.FUTURE)
        reads = model.reads_chart
        shift = shift_to_c(near, request.pitches) if reads else 0
        heard = heard.between(origin, request.end + s.FUTURE)
        past = heard.onset < request.start
        if model.anticipates:
            past &= np.isin(heard.instrument, request.instruments)
        parts = (heard[past], heard[~past])
        events, controls = (s.quantise(notes.transpose(shift), origin, strokes=reads) for notes in parts)
        if len(controls) and not model.anticipates:
            raise RequestError(
                "these weights were trained without anticipation: they can continue, but not write around notes"
            )
        sheet = near.beats + told.chords[told.chords.offset > origin]
        chart = s.Chart.of(sheet.transpose(shift) if reads else sheet[:0], origin)
        header = s.Header(
            delta=round(request.delta * s.STEPS),
            instruments=request.instruments if reads else None,
            style=s.STYLES.index(request.style),
            cold=origin <= 0.0,
        )
        until = int((request.start - origin) * s.STEPS) - s.REST
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
    def bounds(self) -> Bounds:
        return Bounds(self.request, self.chart, self.shift, self.origin)

    @cached_property
    def limits(self) -> Limits:
        """What may be drawn and what is less likely, in the stream's steps and key."""
        return self.bounds.limits()

    @cached_property
    def near(self) -> Notes:
        """The audible known notes by which what is written is set right."""
        return self.request.known.audible.between(self.request.start - s.HISTORY, self.request.end + s.FUTURE)

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
        notes = on_free_keys(notes, self.near + self.bounds.beside)
        notes = let_ring(notes, self.near, ask.end, ask.end + (float(beats.duration[-1]) if len(beats) else RING))
        return notes if ask.ending is None else ask.ending.held(notes)
