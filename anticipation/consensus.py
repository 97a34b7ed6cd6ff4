"""Consensus: the chords that many drafts of a piece expect, the test-time compute of harmony. Knows requests and
streams of chords; knows no files, and nothing of live music."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from . import stream as s
from .grammar import Stream
from .harmony import CHORD_TONES, NO_CHORD, best_path, chord_notes, estimate_chords
from .infilling import Asked, Infill, draw
from .markov import Markov, edges_of
from .notes import BEAT, CHORD, Notes
from .sampling import Sampling

PIANO = 0
STEP = 0.5  # seconds that stand for a beat where none are known
MEMORY = 30.0  # seconds around a span that songs are recalled by
DRAFTING = Sampling(1.0, 0.95, 0.8)
CHANGE = 0.04  # what a change of chord costs, in shares of its tones


@dataclass(frozen=True)
class Draft:
    """A chord track, as it was drawn or as what it was drawn from. onset: (n,) seconds, ascending. tones: (n, 12) how
    surely each pitch class is in the chord that begins there.

    What a chord is drawn from tells more than what is drawn (Rao-Blackwell): eight drafts that vote with their odds are
    as steady as many that vote with one chord each.
    """

    onset: np.ndarray
    tones: np.ndarray

    @classmethod
    def of(cls, chords: Notes) -> Draft:
        """Of chords that are settled."""
        return cls(chords.onset, CHORD_TONES[chords.pitch].astype(np.float64))

    @classmethod
    def drawn(cls, stream: Stream, origin: float, shift: int) -> Draft:
        """What a stream that writes chords alone has drawn from; it begins at `origin` seconds and is moved `shift`
        semitones up."""
        onset = origin + np.array([row[s.AT] for row in stream.written]).reshape(-1) / s.STEPS
        return cls(onset, np.roll(np.array(stream.expected).reshape(-1, 12), -shift, axis=1))

    def at(self, times: np.ndarray) -> np.ndarray:
        """(len(times), 12) tones of the chord last begun at each time; none before the first."""
        i = np.searchsorted(self.onset, times + 1e-6, side="right")
        return np.concatenate([np.zeros((1, 12)), self.tones])[i]


def edges_between(steps: np.ndarray, start: float, end: float) -> np.ndarray:
    """A span (seconds) cut at the steps inside it, or where none are known every half second; its ends included."""
    steps = steps if len(steps) else np.arange(start, end, STEP)
    return np.unique(np.concatenate([[start], steps[(steps > start) & (steps < end)], [end]]))


def expected(drafts: list[Draft], edges: np.ndarray) -> np.ndarray:
    """(N, 12) how surely each pitch class is in the chord between two edges (N + 1, seconds), by all drafts."""
    middle = (edges[:-1] + edges[1:]) / 2
    return np.mean([draft.at(middle) for draft in drafts], axis=0)


def recalled(markov: Markov, known: Notes, edges: np.ndarray) -> np.ndarray:
    """The same by the songs that were counted, from what sounds now, has sounded and will, in steps of the beats where
    those are known."""
    near = known.between(edges[0] - MEMORY, edges[-1] + MEMORY)
    beats, melody = near[near.instrument == BEAT], near.pitched
    if len(beats):
        before, after = edges[edges < beats.onset[0] - 0.01], edges[edges > beats.end]
        steps = np.concatenate([before, edges_of(beats), after])
    else:
        first, last = min([edges[0], *melody.onset[:1]]), max([edges[-1], *melody.onset[-1:]])
        before, after = np.arange(edges[0], first - STEP, -STEP)[:0:-1], np.arange(edges[-1], last, STEP)[1:]
        steps = np.concatenate([before, edges, after])
    places = np.pad(beats.pitch, (len(before), len(steps) - 1 - len(before) - len(beats)), constant_values=1)
    middle = (edges[:-1] + edges[1:]) / 2
    return markov.tones(melody, steps, places)[np.searchsorted(steps, middle) - 1]


def consensus(tones: np.ndarray, edges: np.ndarray, change: float) -> Notes:
    """The chords, one decision between two edges (seconds), whose tones (N, 12) are most to be expected (minimum Bayes
    risk). change: what a change costs, in shares of a chord's tones."""
    symbols = CHORD_TONES[:NO_CHORD].astype(np.float64)
    score = tones @ (symbols / symbols.sum(1, keepdims=True)).T  # the share of a chord's tones that are expected
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), best_path(score, change), strict=True))


def plan_chords(model, request: Infill, *, takes: int = 1, seed: int = 0, drafts: int | None = None) -> list[Notes]:
    """CHORD notes that harmonise what is known over the span, a different plan for each take.

    The model writes `drafts` (32) chord tracks for a take, all in one batch; the plan is their consensus beat by beat,
    with what the model recalls of songs. One that knows no chord symbols writes piano parts (4), and their chords are
    estimated.
    """
    written = CHORD if model.reads_chart else PIANO
    drafts = drafts or (32 if model.reads_chart else 4)
    ask = replace(request, instruments=(written,), pitches=None, polyphony=None, density=None, places=None)
    bounds = np.cumsum([0, drafts] + [max(1, drafts // 2)] * (takes - 1))  # a take has its own, however many are asked
    seeds: list[tuple[int, ...]] = [(seed, draft) for draft in range(int(bounds[-1]))]
    notes, decoder = draw(model, [ask] * len(seeds), seeds, DRAFTING)
    beats = request.known[request.known.instrument == BEAT].between(request.start, request.end)
    if written == CHORD:
        told = Asked.of(model, ask)
        drafted = [Draft.drawn(stream, told.origin, told.shift) for stream in decoder.streams]
    else:
        heard = request.known.between(request.start, request.end).pitched
        drafted = [Draft.of(estimate_chords(draft + heard, beats)) for draft in notes]
    edges = edges_between(beats.onset, request.start, request.end)
    several = [expected(drafted[a:b], edges) for a, b in pairwise(bounds)]
    if model.markov:
        recall = recalled(model.markov, request.known, edges)
        several = [(tones + recall) / 2 for tones in several]
    return [consensus(tones, edges, CHANGE) for tones in several]
