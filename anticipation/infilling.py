"""Infill: a request for notes, and the notes that answer it. Every task is one of these. Knows no files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from . import stream as s
from .decode import Decoder
from .errors import RequestError
from .grammar import Limits, Stream, pitch_table
from .harmony import CHORD_TONES, NO_CHORD, best_path, chord_notes, estimate_chords, estimate_key
from .notes import BEAT, CHORD, DRUMS, Notes
from .sampling import Sampling
from .windows import to_c

PIANO = 0
INSIST = 3  # times that a silent take is drawn anew
HISTORY = 30.0  # seconds before the span that the model is shown; its window holds no more


@dataclass(frozen=True)
class Infill:
    """What is known, and what is to be written around it.

    known: all notes that stay, with CHORD and BEAT rows where those are known. start, end: seconds; what is written has
    start <= onset < end. instruments: what may be written. pitches: (128,) mask of legal pitches (scale, range), drums
    excepted. polyphony: notes of one instrument at once. density: onsets a second. delta: seconds of anticipation;
    negative where known notes reach the model late.
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
        if self.polyphony is not None and self.polyphony < 1 or self.density is not None and self.density < 1:
            raise RequestError("polyphony and density are at least 1")


def prepare(
    model, request: Infill, takes: int, seed: int, charts: list[Notes] | None
) -> tuple[list[Stream], list, int, float]:
    """Streams and their first rows, the transposition to C, and the origin in seconds. A model that reads no chart is
    told nothing but notes, in their own key."""
    before = request.known.audible.of_instruments(request.instruments).between(request.start - HISTORY, request.start)
    # It begins where what is to be continued begins, or with the span: no training window opens in a long silence.
    origin = max(0.0, float(before.onset[0]) - 1.0) if len(before) else request.start
    near = request.known.between(origin, request.end + 10.0)
    reads = model.reads_chart
    shift = to_c(estimate_key(near)) if reads else 0
    if request.pitches is not None and not moved(request.pitches, shift).any():  # a range at the very edge
        shift += -12 if shift > 0 else 12
    audible = near.audible
    past = (np.isin(audible.instrument, request.instruments) | (not model.anticipates)) & (
        audible.onset < request.start
    )
    history, rest = audible[past], audible[~past]
    beats = near[(near.instrument == BEAT) & reads]
    sounding = request.known[(request.known.instrument == CHORD) & (request.known.offset > origin) & reads]
    told = tuple(sorted(set(request.instruments)))  # two violins are one instrument
    header = s.Header(
        delta=round(request.delta * s.STEPS),
        instruments=told if reads and len(told) <= 24 else None,
        style=s.STYLES.index(request.style),
        cold=origin == 0.0,
    )
    events, controls = (s.quantise(notes.transpose(shift), origin, strokes=reads) for notes in (history, rest))
    if len(controls) and not model.anticipates:
        raise RequestError(
            "these weights were trained without anticipation: they can continue, but not write around notes"
        )
    until = int((request.start - origin) * s.STEPS) - s.REST
    first, streams = [], []
    for take in range(takes):
        chords = sounding if charts is None else charts[take]
        if take == 0 or charts is not None:
            chart = s.Chart.of((beats + chords).transpose(shift), origin)
            rows = s.interleave(events, controls, chart, header, until=until)
        first.append(rows)
        streams.append(Stream(chart, controls, header.delta, np.random.default_rng((seed, take)), ordered=reads))
    return streams, first, shift, origin


def generate(
    model,
    request: Infill,
    *,
    takes: int = 1,
    seed: int = 0,
    sampling: Sampling | None = None,
    charts: list[Notes] | None = None,
    progress: Callable[[float, float], None] | None = None,
    insist: int = INSIST,
) -> tuple[list[Notes], Decoder]:
    """Notes that answer the request, `takes` times over, in one batch that shares its beginning.

    charts: CHORD notes for each take, in place of the known ones. progress: called with the seconds of music that every
    take has reached, and those that are asked. insist: how often a take that is silent is drawn anew, for who asks for
    music has no use for silence. Returns the takes and the decoder (for its count of rows fed).
    """
    written, decoder = _draw(model, request, takes, seed, sampling, charts, progress)
    for attempt in range(1, insist + 1):
        for take in [i for i, notes in enumerate(written) if not len(notes)]:
            own = seed + 10_007 * (take + 1) + 1_000_003 * attempt  # whatever its neighbours do
            chart = [charts[take]] if charts else None
            (written[take],), again = _draw(model, request, 1, own, sampling, chart)
            decoder.lanes.fed += again.fed
    return written, decoder


def _draw(
    model,
    request: Infill,
    takes: int,
    seed: int,
    sampling: Sampling | None,
    charts: list[Notes] | None,
    progress: Callable[[float, float], None] | None = None,
) -> tuple[list[Notes], Decoder]:
    streams, first, shift, origin = prepare(model, request, takes, seed, charts)
    decoder = Decoder(model, streams, sampling)
    decoder.sync(first)
    pitches = None if request.pitches is None else moved(request.pitches, shift)
    begin, end = (round((t - origin) * s.STEPS) for t in (request.start, request.end))
    limits = Limits(begin, end, pitch_table(request.instruments, pitches), request.polyphony, request.density)
    while any(stream.clock < end for stream in streams):
        decoder.next_event([limits if stream.clock < end else None for stream in streams])
        if progress:
            reached = min(min(stream.clock for stream in streams), end) / s.STEPS + origin - request.start
            progress(max(0.0, reached), request.end - request.start)
    results = []
    for stream in streams:
        rows = np.array(stream.written).reshape(-1, len(s.COLUMNS))
        notes = s.to_notes(rows, origin).transpose(-shift)
        if not rows[:, s.VELOCITY].any():  # a model that knows no dynamics
            notes = with_dynamics(notes, request.known.audible)
        results.append(snap(notes, request.known, request.start, request.end))
    return results, decoder


def with_dynamics(notes: Notes, known: Notes) -> Notes:
    """Notes as loud as the known one that begins last before each, or first after it."""
    if not len(known):
        return notes
    last = np.searchsorted(known.onset, notes.onset + 1.0 / s.STEPS, side="right") - 1
    return notes.replace(velocity=known.velocity[np.maximum(last, 0)])


def moved(pitches: np.ndarray, shift: int) -> np.ndarray:
    """A mask of pitches, so many semitones up."""
    legal = np.flatnonzero(pitches) + shift
    return np.isin(np.arange(128), legal)


def snap(notes: Notes, known: Notes, start: float, end: float, reach: float = 0.008) -> Notes:
    """Undo the 10 ms grid: where notes begin or end within `reach` seconds of a known onset, or of a twelfth of a known
    beat, they fall on it. What the grid moved out of the span is brought back; what shrinks to nothing goes."""
    beats = known[known.instrument == BEAT]
    twelfths = (beats.onset[:, None] + beats.duration[:, None] * np.arange(12) / 12).ravel()

    def onto(times: np.ndarray) -> np.ndarray:
        """Of two times the earlier one stays the earlier: so notes that did not overlap still do not."""
        for targets in (twelfths, known.audible.onset):
            if len(targets):
                targets = np.sort(targets)
                i = np.searchsorted((targets[1:] + targets[:-1]) / 2, times)  # the nearest
                times = np.where(abs(targets[i] - times) <= reach, targets[i], times)
        return np.maximum(times, start)

    onset, offset = notes.onset.round(6), notes.offset.round(6)
    onset = np.where(onto(onset) < end, onto(onset), onset)
    duration = onto(offset) - onset
    return notes.replace(onset=onset, duration=duration)[duration > 0].sorted()


def plan_chords(model, request: Infill, *, takes: int = 1, seed: int = 0, drafts: int | None = None) -> list[Notes]:
    """CHORD notes that harmonise what is known over the span, a different plan for each take.

    The model writes `drafts` (32) chord tracks for a take, all in one batch; the plan is their consensus (minimum Bayes
    risk beat by beat, smoothed): the test-time compute of harmony. One that knows no chord symbols writes piano parts
    (4), and their chords are estimated.
    """
    written = CHORD if model.reads_chart else PIANO
    drafts = drafts or (32 if model.reads_chart else 4)
    ask = replace(request, instruments=(written,), pitches=None, polyphony=None, density=None)
    bounds = np.cumsum([0, drafts] + [max(1, drafts // 2)] * (takes - 1))  # a take has its own, however many are asked
    drafted, _ = generate(model, ask, takes=int(bounds[-1]), seed=seed, sampling=Sampling(1.0, 0.95, 0.8), insist=0)
    beats = request.known[request.known.instrument == BEAT].between(request.start, request.end)
    if written != CHORD:
        heard = request.known.between(request.start, request.end).pitched
        drafted = [estimate_chords(draft + heard, beats) for draft in drafted]
    edges = beats.onset if len(beats) else np.arange(request.start, request.end, 0.5)
    edges = np.unique(np.concatenate([[request.start], edges, [request.end]]))
    return [consensus(drafted[a:b], edges) for a, b in pairwise(bounds)]


def consensus(drafts: list[Notes], edges: np.ndarray, change: float = 0.04) -> Notes:
    """The chords, one decision between two edges, whose tones are most to be expected in the drafts."""
    middle = (edges[:-1] + edges[1:]) / 2
    tones = np.mean([chord_tones_at(draft, middle) for draft in drafts], axis=0)  # (segments, 12)
    symbols = CHORD_TONES[:NO_CHORD].astype(np.float64)
    score = tones @ (symbols / symbols.sum(1, keepdims=True)).T  # the share of a chord's tones that are expected
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), best_path(score, change), strict=True))


def chord_at(chords: Notes, times: np.ndarray) -> np.ndarray:
    """The chord symbol that sounds at each time, -1 for none: the last one begun that has not ended."""
    if not len(chords):
        return np.full(len(times), -1)
    i = np.searchsorted(chords.onset, times + 1e-6, side="right") - 1
    return np.where((i >= 0) & (times < chords.offset[i] + 1e-3), chords.pitch[i], -1)


def chord_tones_at(chords: Notes, times: np.ndarray) -> np.ndarray:
    """(len(times), 12) pitch classes of the chord last begun at each time; none before the first."""
    if not len(chords):
        return np.zeros((len(times), 12), dtype=bool)
    i = np.searchsorted(chords.onset, times + 1e-6, side="right") - 1
    return np.where((i >= 0)[:, None], CHORD_TONES[chords.pitch[np.maximum(i, 0)]], False)
