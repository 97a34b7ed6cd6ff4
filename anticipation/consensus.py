"""Consensus: the chords that many drafts of a piece expect, the test-time compute of harmony. Knows requests and
streams of chords; knows no files, and nothing of live music."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from . import stream as s
from .grammar import Stream
from .harmony import CHORD_TONES, NO_CHORD, best_path, chord_at, chord_notes, estimate_chords, together
from .infilling import FUTURE, Asked, Infill, draw
from .markov import Markov, edges_of
from .notes import BEAT, CHORD, DRUMS, Notes
from .sampling import Sampling

PIANO = 0
STEP = 0.5  # seconds that stand for a beat where none are known
MEMORY = 30.0  # seconds around a span that songs are recalled by
DRAFTING = Sampling(1.0, 0.95, 0.8)
PLAIN = 0.75  # of the beats' harmony has to be heard for no drafts to be needed
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


def heard(known: Notes, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tones (N, 12) of the chord that what is known plays itself between two edges (N + 1, seconds), and how surely
    it does (N, 1): not at all where one pitch class sounds at a time, wholly where two do."""
    middle = (edges[:-1] + edges[1:]) / 2
    symbol = chord_at(estimate_chords(known.audible, known[known.instrument == BEAT]), middle)
    sound = (symbol >= 0) & (symbol < NO_CHORD)
    sure = sound * np.clip(together(known, edges) - 1.0, 0.0, 1.0)
    return CHORD_TONES[np.where(sound, symbol, 0)], sure[:, None]


def harmonises(request: Infill) -> bool:
    """Whether there is something to plan towards: pitches are known in the span or behind it, and are to be written."""
    known = request.known.pitched.between(request.start, request.end + FUTURE)
    return len(known) > 0 and any(i < DRUMS for i in request.instruments)


def plan_chords(model, request: Infill, *, takes: int = 1, seed: int = 0, drafts: int | None = None) -> list[Notes]:
    """CHORD notes that harmonise what is known over the span, a plan for each take.

    The plan is the consensus, beat by beat, of what the known notes play themselves, of what the model recalls of
    songs, and of `drafts` (32) chord tracks that the model writes for a take, all in one batch. Where the known notes
    play the harmony for the most part, nothing is drafted, and all takes have one plan.
    """
    beats = request.known[request.known.instrument == BEAT].between(request.start, request.end)
    edges = edges_between(beats.onset, request.start, request.end)
    tones, sure = heard(request.known, edges)
    settled = sure * tones
    if sure.mean() >= PLAIN:
        several = [np.zeros_like(settled)] * takes
    else:
        several = drafted(model, request, edges, takes, seed, drafts)
        sure = sure + 1
    if model.markov:
        settled, sure = settled + recalled(model.markov, request.known, edges), sure + 1
    return [consensus((settled + tones) / np.maximum(sure, 1e-9), edges, CHANGE) for tones in several]


def drafted(model, request: Infill, edges: np.ndarray, takes: int, seed: int, drafts: int | None) -> list[np.ndarray]:
    """For each take the tones (N, 12) that its drafts expect between two edges. A model that knows no chord symbols
    writes piano parts (4), and their chords are estimated."""
    written = CHORD if model.reads_chart else PIANO
    drafts = drafts or (32 if model.reads_chart else 4)
    ask = replace(request, instruments=(written,), pitches=None, polyphony=None, density=None, places=None)
    bounds = np.cumsum([0, drafts] + [max(1, drafts // 2)] * (takes - 1))  # a take has its own, however many are asked
    seeds: list[tuple[int, ...]] = [(seed, draft) for draft in range(int(bounds[-1]))]
    notes, decoder = draw(model, [ask] * len(seeds), seeds, DRAFTING)
    if written == CHORD:
        told = Asked.of(model, ask)
        tracks = [Draft.drawn(stream, told.origin, told.shift) for stream in decoder.streams]
    else:
        around = request.known.between(request.start, request.end)
        beats = around[around.instrument == BEAT]
        tracks = [Draft.of(estimate_chords(draft + around.pitched, beats)) for draft in notes]
    return [expected(tracks[a:b], edges) for a, b in pairwise(bounds)]
