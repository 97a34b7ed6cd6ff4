"""Consensus: the chords that many drafts of a piece expect, the test-time compute of harmony. Knows requests and
streams of chords; knows no files, and nothing of live music."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from . import stream as s
from .form import ahead_of_rests
from .grammar import Stream
from .grid import edges_of
from .harmony import (
    CHORD_TONES,
    CHORDS,
    NO_CHORD,
    best_path,
    chord_at,
    chord_notes,
    classes_at_once,
    estimate_chords,
    transposed,
)
from .infilling import draw
from .markov import Markov
from .notes import CHORD, DRUMS, Notes
from .prompt import Infill, Prompt
from .reprise import ALIKE, echoes
from .sampling import Sampling

PIANO = 0
STEP = 0.5  # seconds that stand for a beat where none are known
MEMORY = 30.0  # seconds around a span that songs are recalled by
DRAFTING = Sampling(1.0, 0.95, 0.8)
PASSAGE = 24.0  # seconds that are drafted at once
PLAIN = 0.75  # of the beats' harmony has to be heard for no drafts to be needed
CHANGE = 0.04  # what a change of chord costs, in shares of its tones
ROOT = 0.5  # what the right root is worth, beside all the tones: else what lies between two chords is said for both
SONG = 600.0  # seconds around a span, or of a player, in which music may come again: a verse does after minutes
LIKE, PICKY = 2.0, 20.0  # how sure the likeness of two passages makes; how much more the most alike ones count
DOUBT = 0.01  # the odds of what an opinion holds impossible


@dataclass(frozen=True)
class Draft:
    """A chord track, as it was drawn or as what it was drawn from. onset: (n,) seconds, ascending. odds: (n, NO_CHORD)
    of the chord that begins there.

    What a chord is drawn from tells more than what is drawn (Rao-Blackwell): eight drafts that vote with their odds are
    as steady as many that vote with one chord each.
    """

    onset: np.ndarray
    odds: np.ndarray

    @classmethod
    def of(cls, chords: Notes) -> Draft:
        """Of chords that are settled."""
        return cls(chords.onset, settled(chords.pitch))

    @classmethod
    def drawn(cls, stream: Stream, origin: float, shift: int) -> Draft:
        """What a stream that writes chords alone has drawn from; it begins at `origin` seconds and is moved `shift`
        semitones up."""
        onset = origin + np.array([row[s.AT] for row in stream.written]).reshape(-1) / s.STEPS
        return cls(onset, transposed(np.array(stream.expected).reshape(-1, CHORDS)[:, :NO_CHORD], -shift))

    def at(self, times: np.ndarray) -> np.ndarray:
        """(len(times), NO_CHORD) odds of the chord last begun at each time; none before the first."""
        i = np.searchsorted(self.onset, times + 1e-6, side="right")
        return np.concatenate([np.zeros((1, NO_CHORD)), self.odds])[i]


def settled(symbols: np.ndarray) -> np.ndarray:
    """(N, NO_CHORD) odds of chords that are known; none where there is no chord."""
    return (np.arange(NO_CHORD) == np.asarray(symbols).reshape(-1, 1)).astype(np.float64)


def edges_between(steps: np.ndarray, start: float, end: float) -> np.ndarray:
    """A span (seconds) cut at the steps inside it, or where none are known every half second; its ends included."""
    steps = steps if len(steps) else np.arange(start, end, STEP)
    return np.unique(np.concatenate([[start], steps[(steps > start) & (steps < end)], [end]]))


def _middle(edges: np.ndarray) -> np.ndarray:
    return (edges[:-1] + edges[1:]) / 2


def expected(drafts: list[Draft], edges: np.ndarray) -> np.ndarray:
    """(N, NO_CHORD) how likely each chord is between two edges (N + 1, seconds), by all drafts."""
    return np.mean([draft.at(_middle(edges)) for draft in drafts], axis=0)


def recalled(markov: Markov, known: Notes, edges: np.ndarray) -> np.ndarray:
    """The same by the songs that were counted, from what sounds now, has sounded and will, in steps of the beats where
    those are known."""
    near = known.between(edges[0] - MEMORY, edges[-1] + MEMORY)
    beats, melody = near.beats, near.pitched
    if len(beats):
        before, after = edges[edges < beats.onset[0] - 0.01], edges[edges > beats.end]
        steps = np.concatenate([before, edges_of(beats), after])
    else:
        first, last = min([edges[0], *melody.onset[:1]]), max([edges[-1], *melody.onset[-1:]])
        before, after = np.arange(edges[0], first - STEP, -STEP)[:0:-1], np.arange(edges[-1], last, STEP)[1:]
        steps = np.concatenate([before, edges, after])
    places = np.pad(beats.pitch, (len(before), len(steps) - 1 - len(before) - len(beats)), constant_values=1)
    return markov.odds(melody, steps, places)[np.searchsorted(steps, _middle(edges)) - 1]


def pooled(opinions: list[tuple[np.ndarray, np.ndarray | float]]) -> np.ndarray:
    """(N, NO_CHORD) odds by several opinions: each odds (N, NO_CHORD), and how sure it is (N, 1), of 1. What all find
    likely is likelier than what one is sure of: a product of experts (Hinton 2002), none of whom can rule out a chord.
    """
    logs = np.sum([sure * np.log(odds + DOUBT) for odds, sure in opinions], axis=0)
    odds = np.exp(logs - logs.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def _worth() -> np.ndarray:
    """[is, said] how right a chord is in place of another: the share of its tones that are in it, and its root."""
    tones, roots = CHORD_TONES[:NO_CHORD].astype(np.float64), np.arange(NO_CHORD) % 12
    return tones @ tones.T / tones.sum(1) + ROOT * (roots[:, None] == roots)


_WORTH = _worth()


def consensus(odds: np.ndarray, edges: np.ndarray, change: float) -> Notes:
    """The chords, one decision between two edges (seconds), that are most right by their odds (N, NO_CHORD; minimum
    Bayes risk). change: what a change costs, in shares of a chord's tones."""
    path = best_path(odds @ _WORTH, change)
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), path, strict=True))


def heard(known: Notes, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chord (N, NO_CHORD) that what is known plays itself between two edges (N + 1, seconds), and how surely it
    does (N, 1): not at all where one pitch class sounds at a time, wholly where two do."""
    odds = settled(chord_at(estimate_chords(known.audible, known.beats), _middle(edges)))
    sure = odds.sum(1) * np.clip(classes_at_once(known, edges) - 1.0, 0.0, 1.0)
    return odds, sure[:, None]


@dataclass(frozen=True)
class Outlook:
    """What the chords of a request can be planned by."""

    request: Infill

    @cached_property
    def edges(self) -> np.ndarray:
        """(N + 1,) seconds between which a chord is decided on."""
        ask = self.request
        beats = ask.known.beats.between(ask.start, ask.end)
        return edges_between(beats.onset, ask.start, ask.end)

    @cached_property
    def near(self) -> Notes:
        """The known notes among which the music may come again."""
        return self.request.known.between(self.request.start - SONG, self.request.end + SONG)

    @cached_property
    def echoes(self) -> tuple[np.ndarray, np.ndarray]:
        """Beats from the span to what may be its like, and how alike that is."""
        return echoes(self.near, self.near.beats, self.request.start, self.request.end)

    @property
    def ahead(self) -> bool:
        """Whether pitches are known in the span or behind it."""
        return len(self.request.known.pitched.between(self.request.start, self.request.end + s.FUTURE)) > 0

    @property
    def again(self) -> bool:
        """Whether the music goes as it has gone before."""
        return bool((self.echoes[1] >= ALIKE).any())

    @property
    def harmonises(self) -> bool:
        """Whether there is something to plan towards, and pitches are to be written."""
        return any(i < DRUMS for i in self.request.instruments) and (self.ahead or self.again)

    def echoed(self) -> tuple[np.ndarray, np.ndarray]:
        """The chords (N, NO_CHORD) that are heard where the music goes as it does around the span, and how sure that
        makes of them (N, 1): what begins like the verse goes on like the verse."""
        beats, count = self.near.beats, len(self.edges) - 1
        offsets, alike = self.echoes
        if not len(offsets):
            return np.zeros((count, NO_CHORD)), np.zeros((count, 1))
        votes = np.zeros((count, len(beats)))
        at = np.searchsorted(beats.onset, _middle(self.edges), side="right") - 1
        for offset, vote in zip(offsets, np.exp(PICKY * (alike - alike.max())), strict=True):
            there = (at + offset >= 0) & (at + offset < len(beats))
            votes[there, (at + offset)[there]] += vote
        chords, sure = heard(self.near, edges_of(beats))
        odds = votes @ (sure * chords)
        told = odds.sum(1, keepdims=True)
        return odds / np.maximum(told, 1e-9), LIKE * alike.max() * told / np.maximum(votes.sum(1, keepdims=True), 1e-9)

    def plan(self, model, *, takes: int = 1, seed: int = 0, drafts: int | None = None) -> list[Notes]:
        """CHORD notes that harmonise what is known over the span, a plan for each take.

        The plan is the consensus, beat by beat, of what the known notes play themselves, here and where the piece goes
        like this, of what the model recalls of songs, and of chord tracks that it writes for a take, all in one batch:
        `drafts` (32; 4 where it knows no chord symbols). Where the known notes play most of the harmony, or it is only
        to go on as it has before, nothing is drafted, and all takes have one plan.
        """
        known, edges = self.request.known, self.edges
        chords, sure = heard(known, edges)
        opinions: list[tuple[np.ndarray, np.ndarray | float]] = [(chords, sure), self.echoed()]
        if model.markov:
            opinions.append((recalled(model.markov, known, edges), 1.0))
        if sure.mean() >= PLAIN or not self.ahead and self.again:
            return [self._decided(opinions)] * takes
        drafts = drafts or (32 if model.reads_chart else 4)
        several = drafted(model, self.request, edges, takes, seed, drafts)
        return [self._decided([*opinions, (odds, 1.0)]) for odds in several]

    def _decided(self, opinions: list[tuple[np.ndarray, np.ndarray | float]]) -> Notes:
        """The plan by these opinions, what is heard and what is echoed first. Interludes that are no echo go by what is
        thought of the music that they lead to: who decides where nothing is known stays on one chord."""
        odds, beats = pooled(opinions), self.request.known.beats.between(self.request.start, self.request.end)
        first = len(odds) - len(beats)  # what lies before the first beat
        there = np.append(np.arange(first), first + ahead_of_rests(self.request.known, beats))
        return consensus(np.where(opinions[1][1] > 0, odds, odds[there]), self.edges, CHANGE)


def passages(edges: np.ndarray) -> list[tuple[int, int]]:
    """Which edges (seconds) begin and end the passages of a span that are drafted by themselves: about PASSAGE long,
    and overlapping by half; the whole span, where it is not much longer."""
    length = edges[-1] - edges[0]
    if length <= 1.5 * PASSAGE:
        return [(0, len(edges) - 1)]
    starts = np.linspace(edges[0], edges[-1] - PASSAGE, int(np.ceil(2 * length / PASSAGE)) - 1)
    first = np.searchsorted(edges, starts + 1e-6, side="right") - 1
    return list(zip(first.tolist(), np.searchsorted(edges, starts + PASSAGE - 1e-6).tolist(), strict=True))


def drafted(model, request: Infill, edges: np.ndarray, takes: int, seed: int, drafts: int) -> list[np.ndarray]:
    """For each take the odds (N, NO_CHORD) that its drafts see between two edges. A draft of minutes loses its way: so
    each passage has drafts of its own, half as many where two overlap."""
    spans = passages(edges)
    each = drafts if len(spans) == 1 else max(1, drafts // 2)
    odds, count = np.zeros((takes, len(edges) - 1, NO_CHORD)), np.zeros((len(edges) - 1, 1))
    for number, (first, last) in enumerate(spans):
        passage = replace(request, start=float(edges[first]), end=float(edges[last]))
        odds[:, first:last] += _drafted(model, passage, edges[first : last + 1], takes, seed, each, number)
        count[first:last] += 1
    return list(odds / count)


def _drafted(
    model, request: Infill, edges: np.ndarray, takes: int, seed: int, drafts: int, number: int
) -> list[np.ndarray]:
    """The same of one passage, by its number. A model that knows no chord symbols writes piano parts, and their chords
    are estimated."""
    written = CHORD if model.reads_chart else PIANO
    ask = replace(request, instruments=(written,), pitches=None, polyphony=None, density=None, places=None)
    bounds = np.cumsum([0, drafts] + [max(1, drafts // 2)] * (takes - 1))  # a take has its own, however many are asked
    seeds: list[tuple[int, ...]] = [(seed, draft, *[number] * (number > 0)) for draft in range(int(bounds[-1]))]
    notes, decoder = draw(model, [ask] * len(seeds), seeds, DRAFTING)
    if written == CHORD:
        prompt = Prompt.of(model, ask)
        tracks = [Draft.drawn(stream, prompt.origin, prompt.shift) for stream in decoder.streams]
    else:
        around = request.known.between(request.start, request.end)
        tracks = [Draft.of(estimate_chords(draft + around.pitched, around.beats)) for draft in notes]
    return [expected(tracks[a:b], edges) for a, b in pairwise(bounds)]
