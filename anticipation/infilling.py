"""Infill: a request for notes, and the notes that answer it. Every task is one of these. Knows no files.

`generate` writes one part after another, `draw` each in so many drafts side by side, of which `ranking.fittest` keeps
one. Between seconds and the model's rows stands `Prompt`: what the model is told (`of`), what it may draw (`limits`),
and its rows as notes again (`notes`), off the 10 ms grid, as loud as what is around them and playable beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from . import stream as s
from .decode import Decoder
from .dynamics import as_loud, balanced
from .errors import RequestError
from .form import counterparts
from .grammar import Limits, Stream, nearest_place, pitch_table
from .groove import places_of
from .habits import (
    give_way,
    highest,
    keys_down,
    let_ring,
    lone_tune,
    on_free_keys,
    sounding,
    usual_density,
    usual_parts,
    usual_range,
    usual_voices,
)
from .keys import moved, shift_to_c
from .notes import CHORD, DRUMS, Notes
from .playable import BASSES, CHORDAL, VOICES
from .ranking import fittest
from .rhythm import STRAY, Rhythm
from .sampling import Sampling
from .snapping import ends_of, snap

INSIST = 3  # times that a silent take is drawn anew
RELUCTANCE = 0.1  # what the odds of a rest are multiplied by each time
# What the odds of a rest are multiplied by where the beats are known, and seconds of silence that halve them: models
# believe too readily that who is silent stays silent (train/LOG.md).
EAGER, PATIENCE = 0.5, 4.0
OFF_ROOT = 0.2  # and the odds that a new bass begins a chord with another tone than its root
RING = 0.5  # seconds that notes may ring beyond the span where no beats are known, else it is a beat: people's do
LEAD = 0.05  # seconds that a stream begins before the first note in the span
BATCH = 32  # streams, each with a cache of its own


@dataclass(frozen=True)
class Infill:
    """What is known, and what is to be written around it.

    known: all notes that stay, with CHORD and BEAT rows where those are known. start, end: seconds; what is written has
    start <= onset < end. instruments: what may be written. pitches: (128,) mask of legal pitches (scale, range), drums
    excepted. polyphony: notes of one instrument at once. density: onsets of one instrument in any second; 0 is free. By
    default what is known of it around the span sets the measure of both, or where that is little what can be played on
    it (habits.py), which so far as it is not `ranged` by the mask is the measure of its pitches. delta: seconds of
    anticipation; negative where known notes reach the model late. places: seconds, ascending, where what is written may
    begin; anywhere by default. tune: under which new chords stay. before: `form.counterparts`, for new parts. rhythm:
    pitched notes of every instrument, each of which is answered by one that begins and ends when it does and is as
    loud, near its pitch where that is not `ranged`; nothing else is written, and polyphony, density and places mean
    nothing. beside: what other hands play at the keyboard of what is written, whose keys that keeps off.
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


@dataclass(frozen=True)
class Prompt:
    """A request as a model is told it, and the way back.

    rows: the stream up to the span. chart: what they are read against. controls: known notes that the model does not
    write itself, quantised; those that are not in `rows` yet are told as they come due, `delta` steps before their
    onset. shift: semitones up to C; 0 for a model that reads no chart, which is told nothing but notes, in their own
    key. origin: seconds at which the rows begin.
    """

    request: Infill
    rows: np.ndarray
    chart: s.Chart
    controls: np.ndarray
    delta: int
    shift: int
    origin: float

    @classmethod
    def of(cls, model, request: Infill) -> Prompt:
        """Raises RequestError where the model cannot be told the controls."""
        before = request.known.audible.of_instruments(request.instruments)
        before = before.between(request.start - s.HISTORY, request.start)
        # It begins where what is to be continued begins, or with the span: no training window opens in a long silence,
        # and hardly any with a note.
        first = request.known.audible.between(request.start, request.end).onset[:1] - LEAD
        opening = min([request.start, *first.tolist()])
        origin = max(0.0, float(before.onset[0]) - 1.0) if len(before) else opening
        near = request.known.between(origin, request.end + s.FUTURE)
        reads = model.reads_chart
        shift = shift_to_c(near, request.pitches) if reads else 0
        audible = near.audible
        past = (np.isin(audible.instrument, request.instruments) | (not model.anticipates)) & (
            audible.onset < request.start
        )
        history, rest = audible[past], audible[~past]
        chords = request.known.chords
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
        return cls(request, rows, chart, controls, header.delta, shift, origin)

    def stream(self, model, seed: int | tuple[int, ...]) -> Stream:
        """A stream that is read against this, and has no rows yet."""
        rng = np.random.default_rng(seed)
        return Stream(self.chart, self.controls, self.delta, rng, ordered=model.reads_chart)

    @cached_property
    def limits(self) -> Limits:
        ask = self.request
        begin, end = (round((t - self.origin) * s.STEPS) for t in (ask.start, ask.end))
        pitches = None if ask.pitches is None else moved(ask.pitches, self.shift)
        near = ask.known.audible.between(self.origin, ask.end + s.FUTURE)
        nearest = usual = before = None
        if ask.places is not None and ask.rhythm is None:
            at, inside = np.rint((ask.places - self.origin) * s.STEPS).astype(int), ask.places >= ask.start - 1e-3
            nearest, usual = nearest_place(at[inside], end), np.zeros(end + 1)
            inside &= ask.places < ask.end
            odds = usual_parts(near, ask.known.beats, ask.places)
            usual[at[inside]] = np.log(odds[inside])
            if ask.before is not None and not len(ask.known.of_instruments(ask.instruments)):
                came, before = inside & (ask.before >= 0), np.full(end + 1, -1)
                before[at[came]] = at[ask.before[came]]
        density = usual_density(near) if ask.density is None else ask.density
        own = near.of_instruments(ask.instruments)
        voices = usual_voices(own, ask.start, ask.end, ask.instruments) if ask.polyphony is None else {}
        told = s.quantise(own, self.origin)  # also what began before the span and rings into it
        known = {instrument: sounding(told, instrument, end) for instrument in voices}
        ranges = {} if ask.ranged else usual_range(ask.known, ask.instruments, ask.start)
        table = pitch_table(ask.instruments, pitches, higher(ranges, self.shift))
        new = [i for i in ask.instruments if not (ask.known.instrument == i).any()]
        roots = {i: OFF_ROOT for i in new if i in BASSES}
        groove = places_of(self.chart.beats, np.arange(end + 1)) if DRUMS in new else None
        tune, under = None, tuple(i for i in new if i < DRUMS and VOICES.get(i, CHORDAL) >= CHORDAL)
        if ask.tune is not None:
            tune = highest(s.quantise(ask.tune.transpose(self.shift), self.origin), end)
        rhythm, taken = None, keys_down(self.beside.transpose(self.shift), self.origin)
        if ask.rhythm is not None:
            end, replaced = max(end, begin + 1), ask.rhythm.pitched.of_instruments(ask.instruments)
            around, span = own + self.beside, (begin, end)
            rhythm = Rhythm.of(replaced, around, table, self.shift, self.origin, span, near=not ask.ranged)
        return Limits(begin, end, table, ask.polyphony, density, nearest, before=before,
                      voices=voices, sounding=known, roots=roots, groove=groove, usual=usual, tune=tune, under=under,
                      rhythm=rhythm, taken=taken, chart=self.chart, stray=STRAY if rhythm else 1.0)  # fmt: skip

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
        return let_ring(notes, self.near, ask.end, ask.end + (float(beats.duration[-1]) if len(beats) else RING))


Progress = Callable[[float, float], None]


def generate(
    model,
    request: Infill,
    *,
    takes: int = 1,
    seed: int = 0,
    sampling: Sampling | None = None,
    charts: list[Notes] | None = None,
    progress: Progress | None = None,
    insist: int = INSIST,
    in_turn: bool = False,
    best_of: int = 1,
) -> tuple[list[Notes], int]:
    """Notes that answer the request, `takes` times over, in one batch that shares its beginning.

    charts: CHORD notes for each take, in place of the known ones. progress: called with the seconds of music that every
    take has reached, and those that are asked. insist: how often a take that is silent is drawn anew, each time with
    less liking for rests, for who asks for music has no use for silence. in_turn: one instrument after another in the
    order of the request, each told what those before it play, so that none is left out; a model that cannot be told
    writes them at once all the same. best_of: every part of a take is drawn so many times, and the best one stays
    (`ranking.fittest`); it is drawn once by a model that does not anticipate.
    Returns the takes, and how many rows were fed to draw them.
    """
    inside = request.known.between(request.start, request.end)
    request = replace(request, tune=lone_tune(inside), before=counterparts(inside, request.places))
    requests = [request] * takes if charts is None else [_on(request, chart) for chart in charts]
    parts = _turns(request.instruments) if in_turn and model.anticipates else [request.instruments]
    best_of = best_of if model.anticipates else 1
    written, fed = [request.known[:0]] * takes, 0
    for number, part in enumerate(parts):
        same: dict[tuple[int, int], Infill] = {}  # takes that know the same share their beginning
        asks = [
            same.setdefault((id(ask), id(notes)), replace(ask, known=ask.known + notes, instruments=part))
            for ask, notes in zip(requests, written, strict=True)
        ]
        told = progress and _share(progress, number, len(parts))
        drafts = [(take, again) for take in range(takes) for again in range(best_of)]
        seeds = [(seed, take, number, *((0, again) if again else ())) for take, again in drafts]
        drawn, rows = _write(model, [asks[take] for take, _ in drafts], seeds, sampling, told, insist)
        new = [_fittest(model, ask, drawn[i * best_of : (i + 1) * best_of]) for i, ask in enumerate(asks)]
        written = new if not number else [(one + other).sorted() for one, other in zip(written, new, strict=True)]
        fed += rows
    return written, fed


def _fittest(model, ask: Infill, drafts: list[Notes]) -> Notes:
    """The draft that stays."""
    return drafts[fittest(model, ask.known, ask.start, ask.end, drafts) if len(drafts) > 1 else 0]


def _turns(instruments: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Who writes when: one after another, chord symbols with the first."""
    first, *others = [i for i in dict.fromkeys(instruments) if i != CHORD] or [CHORD]
    return [(first, CHORD) if CHORD in instruments and first != CHORD else (first,), *((i,) for i in others)]


def _share(progress: Progress, number: int, count: int) -> Progress:
    """The progress of one part of several."""
    return lambda reached, asked: progress((number * asked + reached) / count, asked)


def _on(request: Infill, chart: Notes) -> Infill:
    return replace(request, known=request.known[request.known.instrument != CHORD] + chart)


def _write(
    model, requests: list[Infill], seeds: list[tuple[int, ...]], sampling: Sampling | None, progress: Progress | None,
    insist: int,
) -> tuple[list[Notes], int]:  # fmt: skip
    """Notes that answer each request, BATCH at a time, silent takes drawn anew; and how many rows were fed."""
    sampling = replace(sampling or Sampling(), patience=PATIENCE)
    if requests[0].places is not None:
        sampling = replace(sampling, rest=sampling.rest * EAGER)
    written: list[Notes] = []
    fed, starts = 0, range(0, len(requests), BATCH)
    for number, i in enumerate(starts):
        told = progress and _share(progress, number, len(starts))
        several, decoder = draw(model, requests[i : i + BATCH], seeds[i : i + BATCH], sampling, told)
        written, fed = written + several, fed + decoder.fed
    for attempt in range(1, insist + 1):
        for take in [i for i, notes in enumerate(written) if not len(notes)]:
            own = (*seeds[take], attempt)  # whatever its neighbours do
            livelier = replace(sampling, rest=sampling.rest * RELUCTANCE**attempt)
            (written[take],), decoder = draw(model, [requests[take]], [own], livelier)
            fed += decoder.fed
    return written, fed


def draw(
    model, requests: list[Infill], seeds: list[tuple[int, ...]], sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> tuple[list[Notes], Decoder]:  # fmt: skip
    """Notes that answer each request, all of them over one span, side by side in one batch. seeds: of each, whatever
    its neighbours are. Returns the decoder too."""
    same = {id(request): request for request in requests}
    prompt_of = {key: Prompt.of(model, request) for key, request in same.items()}
    prompts = [prompt_of[id(request)] for request in requests]
    streams = [prompt.stream(model, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
    decoder = Decoder(model, streams, sampling)
    decoder.sync([prompt.rows for prompt in prompts])
    limits = [prompt.limits for prompt in prompts]
    start, span = requests[0].start, requests[0].end - requests[0].start
    while any(stream.clock < limit.end for stream, limit in zip(streams, limits, strict=True)):
        decoder.next_event([limit if stream.clock < limit.end else None
                            for stream, limit in zip(streams, limits, strict=True)])  # fmt: skip
        if progress:
            reached = min(stream.clock / s.STEPS + p.origin for stream, p in zip(streams, prompts, strict=True))
            progress(min(max(0.0, reached - start), span), span)
    return [prompt.notes(stream.written) for prompt, stream in zip(prompts, streams, strict=True)], decoder


def higher(ranges: dict[int, tuple[int, int]], shift: int) -> dict[int, tuple[int, int]]:
    """Ranges of instruments, so many semitones up; drums stay."""
    return {i: (low, high) if i == DRUMS else (low + shift, high + shift) for i, (low, high) in ranges.items()}
