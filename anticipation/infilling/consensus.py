"""Consensus: chords planned by several opinions: what is heard in the known notes, what songs recall, and what many
drafts of a chord track expect. Knows requests and streams of chords; knows no files, and nothing of live music."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..model import stream as s
from ..model.sampling import Sampling
from ..music.form import ahead_of_rests
from ..music.grid import edges_of
from ..music.harmony import (
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
from ..music.markov import Markov
from ..music.notes import CHORD, DRUMS, Notes
from ..music.playable import PIANO
from ..music.reprise import ALIKE, SONG, elsewhere
from .drafting import draw
from .prompt import Prompt
from .request import Infill

STEP = 0.5  # seconds that stand for a beat where none are known
MEMORY = 30.0  # seconds of music on both sides of a span by which songs are recalled
DRAFTING = Sampling(1.0, 0.95, 0.8)
PASSAGE = 24.0  # seconds that are drafted at once
PLAIN = 0.75  # share of the span's harmony that has to be heard in the known notes for drafts not to be needed
CHANGE = 0.04  # what a change of chord costs, where having all tones of the right chord is worth 1
ROOT = 0.5  # what the right root is worth beside that: without it, the plan would be chords that lie between two others
# Takes are to choose among. How much less a root is worth that all earlier takes have there; how many times as much a
# change costs then, or the plan would leave their chords and come back within a bar; and what a chord's own odds count
# beside what it is worth in place of others, or the way out would be suspended chords, which lie between two others.
ANOTHER, STEADY, OWN = 0.4, 3.0, 0.3
# The weight of chords heard where the music goes alike, times how alike it is (0-1); and how much more the places that
# are most alike count than the others: if they counted less, the chords of several places would be mixed, and the plan
# would stay on the commonest one (train/LOG.md).
LIKE, PICKY = 2.0, 40.0
RESTED = 8.0  # the weight of the chord that a piece came to rest on, where it does so again
DOUBT = 0.01  # added to the odds of every opinion, so that none can rule out a chord


class Opinion(NamedTuple):
    """odds: (N, NO_CHORD) of each chord between two edges. weight: how much they count, (N, 1) or a number."""

    odds: np.ndarray
    weight: np.ndarray | float


SILENT = Opinion(np.zeros((1, NO_CHORD)), np.zeros((1, 1)))  # anywhere


@dataclass(frozen=True)
class Draft:
    """A chord track, as certain chords or as the odds that each was drawn from. onset: (n,) seconds, ascending. odds:
    (n, NO_CHORD) of the chord that begins there.

    The odds that a chord is drawn from say more than the one that is drawn (Rao-Blackwell): eight drafts that vote with
    their odds are as steady as many drafts that vote with one chord each.
    """

    onset: np.ndarray
    odds: np.ndarray

    @classmethod
    def of(cls, chords: Notes) -> Draft:
        """A draft of chords that are certain."""
        return cls(chords.onset, settled(chords.pitch))

    @classmethod
    def drawn(cls, stream: s.Stream, origin: float, shift: int) -> Draft:
        """The draft in a stream that has written only chords. The stream begins at `origin` seconds and is `shift`
        semitones above the music."""
        onset = origin + np.array([row[s.AT] for row in stream.written]).reshape(-1) / s.STEPS
        return cls(onset, transposed(np.array(stream.expected).reshape(-1, CHORDS)[:, :NO_CHORD], -shift))

    def at(self, times: np.ndarray) -> np.ndarray:
        """(len(times), NO_CHORD) odds of the chord that was begun last at each time (seconds); zeros before the
        first."""
        i = np.searchsorted(self.onset, times + 1e-6, side="right")
        return np.concatenate([np.zeros((1, NO_CHORD)), self.odds])[i]


def settled(symbols: np.ndarray) -> np.ndarray:
    """(N, NO_CHORD) odds of chords that are certain: 1 and else 0; only 0 where there is no chord."""
    return (np.arange(NO_CHORD) == np.asarray(symbols).reshape(-1, 1)).astype(np.float64)


def edges_between(steps: np.ndarray, start: float, end: float) -> np.ndarray:
    """A span (seconds) cut at the steps (ascending, seconds) inside it, or every half second where there are none.
    Start and end are among the edges."""
    steps = steps if len(steps) else np.arange(start, end, STEP)
    return np.unique(np.concatenate([[start], steps[(steps > start) & (steps < end)], [end]]))


def _middle(edges: np.ndarray) -> np.ndarray:
    return (edges[:-1] + edges[1:]) / 2


def expected(drafts: list[Draft], edges: np.ndarray) -> np.ndarray:
    """(N, NO_CHORD) odds of each chord between two edges (N + 1, seconds), the mean over all drafts."""
    return np.mean([draft.at(_middle(edges)) for draft in drafts], axis=0)


def recalled(markov: Markov, known: Notes, edges: np.ndarray) -> np.ndarray:
    """(N, NO_CHORD) odds of each chord between two edges (N + 1, seconds) by the songs that were counted, from the
    known notes before, within and after the span. It goes by beats where these are known, else by half seconds."""
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
    asked = np.searchsorted(steps, _middle(edges)) - 1
    return markov.odds(melody, steps, places, asked[0])[asked - asked[0]]


def pooled(opinions: list[Opinion]) -> np.ndarray:
    """(N, NO_CHORD) odds by several opinions. A product of experts (Hinton 2002): a chord that all find likely beats
    one that a single opinion is sure of. None can rule out a chord."""
    logs = sum((weight * np.log(odds + DOUBT) for odds, weight in opinions), np.zeros(NO_CHORD))
    odds = np.exp(logs - logs.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def _worth() -> np.ndarray:
    """[is, said] how right a chord is in place of another: the share of its tones that are in it, and its root."""
    tones = CHORD_TONES[:NO_CHORD].astype(np.float64)
    return tones @ tones.T / tones.sum(1) + ROOT * (_ROOTS[:, None] == _ROOTS)


_ROOTS = np.arange(NO_CHORD) % 12
_WORTH = _worth()


def consensus(
    odds: np.ndarray,
    edges: np.ndarray,
    change: float | np.ndarray,
    earlier: Sequence[Notes] = (),
    before: int | None = None,
) -> Notes:
    """CHORD notes between edges (N + 1, seconds): one decision between two edges, those that can be expected to be most
    right by the odds (N, NO_CHORD), which is minimum Bayes risk. change: what a change costs, see CHANGE; or (N,) what
    one costs at each edge. earlier: plans from which this one is to differ where it is little worse then, see ANOTHER;
    but for how they end. before: the chord before the first edge, if that is known."""
    worth = odds @ _WORTH
    if earlier:
        worth, change = worth + OWN * odds, change * STEADY
    for plan in earlier:
        there = chord_at(plan[: max(len(plan) - 1, 1)], _middle(edges))[:, None]
        worth -= ANOTHER / len(earlier) * ((there >= 0) & (there < NO_CHORD) & (there % 12 == _ROOTS))
    if before is not None:
        worth[0] -= np.broadcast_to(change, len(worth))[0] * (np.arange(NO_CHORD) != before)
    path = best_path(worth, change)
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), path, strict=True))


def heard(known: Notes, edges: np.ndarray) -> Opinion:
    """The chord that the known notes play themselves between two edges (N + 1, seconds). Its weight is 0 where one
    pitch class sounds at a time, 1 where two or more do."""
    odds = settled(chord_at(estimate_chords(known.audible, known.beats), _middle(edges)))
    sure = odds.sum(1) * np.clip(classes_at_once(known, edges) - 1.0, 0.0, 1.0)
    return Opinion(odds, sure[:, None])


@dataclass(frozen=True)
class Outlook:
    """A request, and what its chords can be planned by."""

    request: Infill

    @cached_property
    def edges(self) -> np.ndarray:
        """(N + 1,) seconds between which a chord is decided on."""
        ask = self.request
        beats = ask.known.beats.between(ask.start, ask.end)
        return edges_between(beats.onset, ask.start, ask.end)

    @cached_property
    def near(self) -> Notes:
        """The known notes in which the music of the span may have been, or may come, as well."""
        return self.request.known.between(self.request.start - SONG, self.request.end + SONG)

    @cached_property
    def elsewhere(self) -> tuple[np.ndarray, np.ndarray]:
        """Places where the music goes as around the span: see `reprise.elsewhere`."""
        return elsewhere(self.near, self.near.beats, self.request.start, self.request.end)

    @property
    def ahead(self) -> bool:
        """Whether pitches are known in the span or after it."""
        return len(self.request.known.pitched.between(self.request.start, self.request.end + s.FUTURE)) > 0

    @property
    def again(self) -> bool:
        """Whether the music around the span goes as elsewhere in the piece."""
        return bool((self.elsewhere[1] >= ALIKE).any())

    @property
    def harmonises(self) -> bool:
        """Whether there is something to plan towards, and pitches are to be written."""
        return any(i < DRUMS for i in self.request.instruments) and (self.ahead or self.again)

    @cached_property
    def heard_elsewhere(self) -> Opinion:
        """The chords that are heard where the music goes as it does around the span. What begins like the verse is
        taken to go on like the verse."""
        beats, (offsets, alike) = self.near.beats, self.elsewhere
        if not len(offsets):
            return SILENT
        votes = np.zeros((len(self.edges) - 1, len(beats)))
        at = np.searchsorted(beats.onset, _middle(self.edges), side="right") - 1
        for offset, vote in zip(offsets, np.exp(PICKY * (alike - alike.max())), strict=True):
            there = (at + offset >= 0) & (at + offset < len(beats))
            votes[there, (at + offset)[there]] += vote
        chords, sure = heard(self.near, edges_of(beats))
        odds = votes @ (sure * chords)
        told = odds.sum(1, keepdims=True)
        weight = LIKE * alike.max() * told / np.maximum(votes.sum(1, keepdims=True), 1e-9)
        return Opinion(odds / np.maximum(told, 1e-9), weight)

    def rested(self) -> Opinion:
        """The chord on which the piece came to rest before the span, where it is to do so again."""
        ask = self.request
        before = ask.known.audible.between(-np.inf, ask.start)
        if ask.ending is None or not len(before) or len(ask.known.audible) > len(before):
            return SILENT
        chords, sure = heard(ask.known, np.append(before.onset[-1:], before.end))
        at_rest = _middle(self.edges) > ask.ending.last
        return Opinion(chords, RESTED * sure * at_rest[:, None])

    def plan(self, model, *, takes: int = 1, seed: int = 0, drafts: int | None = None) -> list[Notes]:
        """CHORD notes that harmonise what is known over the span, a plan for each take.

        Opinions are pooled, beat by beat: what the known notes play themselves; what they play where the music goes
        alike; what the piece came to rest on; what the model recalls of songs; and the odds of chord tracks that the
        model drafts, `drafts` for each take (32; 4 where it knows no chord symbols), all in one batch. Nothing is
        drafted where the known notes play most of the harmony, or where the music only goes on as it has before; then
        all takes have the same plan.
        """
        known, edges = self.request.known, self.edges
        opinions = [here := heard(known, edges), self.heard_elsewhere, self.rested()]
        if model.markov:
            opinions.append(Opinion(recalled(model.markov, known, edges), 1.0))
        if np.mean(here.weight) >= PLAIN or not self.ahead and self.again:
            return [self._decided(opinions)] * takes
        drafts = drafts or (32 if model.reads_chart else 4)
        plans: list[Notes] = []
        for odds in drafted(model, self.request, edges, takes, seed, drafts):
            plans.append(self._decided([*opinions, Opinion(odds, 1.0)], plans))
        return plans

    def _decided(self, opinions: list[Opinion], earlier: Sequence[Notes] = ()) -> Notes:
        """The plan by these opinions. earlier: of other takes. Beats of an interlude that is heard nowhere else take
        the odds of the beats that they lead to: where nothing is known, the least risk would be to stay on one
        chord."""
        odds, beats = pooled(opinions), self.request.known.beats.between(self.request.start, self.request.end)
        first = len(odds) - len(beats)  # what lies before the first beat
        there = np.append(np.arange(first), first + ahead_of_rests(self.request.known, beats))
        told = self.heard_elsewhere.weight > 0
        return consensus(np.where(told, odds, odds[there]), self.edges, CHANGE, earlier)


def passages(edges: np.ndarray) -> list[tuple[int, int]]:
    """A span in passages that are drafted by themselves, as (first, last) indices of its edges (seconds): about PASSAGE
    long and overlapping by about half; one passage where the span is not much longer than that."""
    length = edges[-1] - edges[0]
    if length <= 1.5 * PASSAGE:
        return [(0, len(edges) - 1)]
    halves = int(np.ceil(2 * length / PASSAGE - 0.3))  # a little too long is better than a beat in four passages
    starts = np.linspace(edges[0], edges[-1] - PASSAGE, halves - 1)
    first = np.searchsorted(edges, starts + 1e-6, side="right") - 1
    return list(zip(first.tolist(), np.searchsorted(edges, starts + PASSAGE - 1e-6).tolist(), strict=True))


def drafted(model, request: Infill, edges: np.ndarray, takes: int, seed: int, drafts: int) -> list[np.ndarray]:
    """For each take the odds (N, NO_CHORD) by its drafts between two edges. Drafts of minutes lose their way, so each
    passage has its own: half as many, as two overlap."""
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
    """The same for one passage, by its number. A model that knows no chord symbols drafts piano parts, whose chords are
    then estimated."""
    written = CHORD if model.reads_chart else PIANO
    ask = replace(request, instruments=(written,), pitches=None, polyphony=None, density=None, places=None,
                  ending=None)  # fmt: skip
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
