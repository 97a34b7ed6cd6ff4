"""Consensus: chords planned by several opinions: what a network of chords hears in the known notes, and what is played
where the music goes alike. Knows requests; knows no streams, no files, and nothing of live music."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..model import chordist
from ..model.chordist import STEP
from ..model.stream import FUTURE
from ..music.form import ahead_of_rests
from ..music.grid import edges_of, middle
from ..music.harmony import (
    CHORD_TONES,
    NO_CHORD,
    best_path,
    chord_at,
    chord_notes,
    classes_at_once,
    estimate_chords,
)
from ..music.notes import DRUMS, Notes
from ..music.reprise import ALIKE, SONG, elsewhere
from .request import Infill

PLAIN = 0.75  # share of the span's harmony that has to be heard in the known notes for all takes to have it
CHANGE = 0.04  # what a change of chord costs, where having all tones of the right chord is worth 1
ROOT = 0.5  # what the right root is worth beside that: without it, the plan would be chords that lie between two others
# Takes are to choose among. How much less a root is worth that all earlier takes have there; how many times as much a
# change costs then, or the plan would leave their chords and come back within a bar; and what a chord's own odds count
# beside what it is worth in place of others, or the way out would be suspended chords, which lie between two others.
ANOTHER, STEADY, OWN = 0.4, 3.0, 0.3
TASTE = 0.2  # how much of the log odds of chords is a matter of the seed
# The weight of chords heard where the music goes alike, times how alike it is (0-1); and how much more the places that
# are most alike count than the others: if they counted less, the chords of several places would be mixed, and the plan
# would stay on the commonest one (train/LOG.md).
LIKE, PICKY = 1.2, 40.0
RESTED = 8.0  # the weight of the chord that a piece came to rest on, where it does so again
DOUBT = 0.01  # added to the odds of every opinion, so that none can rule out a chord


class Opinion(NamedTuple):
    """odds: (N, NO_CHORD) of each chord between two edges. weight: how much they count, (N, 1) or a number."""

    odds: np.ndarray
    weight: np.ndarray | float


SILENT = Opinion(np.zeros((1, NO_CHORD)), np.zeros((1, 1)))  # anywhere


def settled(symbols: np.ndarray) -> np.ndarray:
    """(N, NO_CHORD) odds of chords that are certain: 1 and else 0; only 0 where there is no chord."""
    return (np.arange(NO_CHORD) == np.asarray(symbols).reshape(-1, 1)).astype(np.float64)


def edges_between(steps: np.ndarray, start: float, end: float) -> np.ndarray:
    """A span (seconds) cut at the steps (ascending, seconds) inside it, or every half second where there are none.
    Start and end are among the edges."""
    steps = steps if len(steps) else np.arange(start, end, STEP)
    return np.unique(np.concatenate([[start], steps[(steps > start) & (steps < end)], [end]]))


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
        there = chord_at(plan[: max(len(plan) - 1, 1)], middle(edges))[:, None]
        worth -= ANOTHER / len(earlier) * ((there >= 0) & (there < NO_CHORD) & (there % 12 == _ROOTS))
    if before is not None:
        worth[0] -= np.broadcast_to(change, len(worth))[0] * (np.arange(NO_CHORD) != before)
    path = best_path(worth, change)
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), path, strict=True))


def taste(seed: int, take: int) -> Opinion:
    """A liking for some chords, and a dislike of others, all through a take."""
    likings = np.random.default_rng((seed, take)).normal(size=(1, NO_CHORD))
    return Opinion(np.exp(likings), TASTE)


def heard(known: Notes, edges: np.ndarray) -> Opinion:
    """The chord that the known notes play themselves between two edges (N + 1, seconds). Its weight is 0 where one
    pitch class sounds at a time, 1 where two or more do."""
    odds = settled(chord_at(estimate_chords(known.audible, known.beats), middle(edges)))
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
        return len(self.request.known.pitched.between(self.request.start, self.request.end + FUTURE)) > 0

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
        at = np.searchsorted(beats.onset, middle(self.edges), side="right") - 1
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
        at_rest = middle(self.edges) > ask.ending.last
        return Opinion(chords, RESTED * sure * at_rest[:, None])

    def plan(self, *, takes: int = 1, seed: int = 0) -> list[Notes]:
        """CHORD notes that harmonise what is known over the span, a plan for each take.

        Opinions are pooled, beat by beat: what the network of chords hears and guesses; what is played where the music
        goes alike; what the piece came to rest on; and the taste of the take. Where the known notes play most of the
        harmony, or where the music only goes on as it has before, all takes have the same plan.
        """
        ask, edges = self.request, self.edges
        hidden = None if len(ask.known.pitched.between(ask.start, ask.end)) else (ask.start, ask.end)
        guessed = Opinion(chordist.default().odds(ask.known, edges, hidden), 1.0)
        opinions, sure = [guessed, self.heard_elsewhere, self.rested()], heard(ask.known, edges).weight
        if np.mean(sure) >= PLAIN or not self.ahead and self.again:
            return [self._decided(opinions)] * takes
        plans: list[Notes] = []
        for take in range(takes):
            plans.append(self._decided([*opinions, taste(seed, take)], plans))
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
