"""Harmonist: the chords that live music is likely to move through, thought of again and again as more is heard. Knows
scenes and the model; knows no notes that the band plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from . import stream as s
from .consensus import DRAFTING, Draft, consensus, edges_between, expected, recalled
from .decode import Decoder
from .grammar import Limits, Stream, pitch_table
from .harmony import chord_notes
from .notes import CHORD, Notes
from .scene import Scene, none, rows_of

DELTA = 5.0  # seconds of anticipation that drafts are told: all that was heard over a chord, for hindsight
DRAFTS = 8
AHEAD, SOON = 4.0, 1.0  # seconds that are harmonised at least; and where there is no time
BACK = 4.0  # seconds of what has sounded that are thought of anew: hindsight tells where the music is
CHANGE = 0.06  # what a change costs, in shares of a chord's tones: fewer drafts, more doubt


def ended(chords: list[tuple[float, float, int]], end: float) -> list[tuple[float, float, int]]:
    """What of them lies before `end`."""
    return [(start, min(stop, end), symbol) for start, stop, symbol in chords if start < end]


def last_heard(scene: Scene) -> float:
    """Onset of the player's last note, in seconds."""
    return float(scene.late.onset.max(initial=-np.inf))


class Harmonist:
    """Drafts of chord tracks, all in one batch, and their consensus beat by beat, as `plan_chords` has it offline; here
    over decoders that keep what still agrees. The chords of the last seconds are thought of anew each time, with the
    melody that was heard over them, for a better idea of what follows; what was told of them stays told."""

    def __init__(self, model, seed: int = 0, drafts: int = DRAFTS) -> None:
        self.model = model
        self._rngs = [np.random.default_rng((seed, draft)) for draft in range(drafts)]
        self._decoder: Decoder | None = None
        self._place: tuple | None = None  # origin and transposition of what the decoder holds
        self._told: list[tuple[float, float, int]] = []  # (start, end, symbol), from the first thought on
        self._thought: list[tuple[float, float, int]] = []  # the same in hindsight
        self._drafted = Draft.of(none())  # what drafts expect, beat by beat
        self._reach = -np.inf  # seconds: until when
        self.reached = 0.0  # seconds: what begins before has been written by what was told
        self.heard = -np.inf  # seconds: the last note of the player that was thought of
        self._turn = 0  # thoughts share the decoder: one that is begun ends the one before

    def chart(self, since: float, until: float = -np.inf) -> Notes:
        """CHORD notes of what is thought by now. until: seconds, to where the last one holds at least."""
        told = [chord for chord in self._told if chord[1] > since]
        return chord_notes([*told[:-1], *((on, max(off, until), symbol) for on, off, symbol in told[-1:])])

    def think(self, scene: Scene, origin: float, shift: int, cold: bool, soon: bool = False) -> Iterator[None]:
        """Harmonise around the scene's start, a step of all drafts at a time; at the end the chart changes, from where
        the plan has come to meanwhile. soon: no further than SOON, where all else stays as it was. A thought that is
        not finished, because nobody went on with it or another was begun, leaves everything as it was."""
        self._turn = turn = self._turn + 1
        beats = scene.beats
        start = max(beats.onset[beats.onset <= scene.start - BACK].max(initial=origin), origin)
        end = scene.start + SOON if soon else max(scene.end, scene.start + AHEAD)
        past = ended(self._thought, start)
        asked = replace(scene, start=start, end=end, own=chord_notes(past), late=none(), ahead=scene.late + scene.ahead,
                        chart=beats, instruments=(CHORD,), delta=DELTA)  # fmt: skip
        decoder = self._ready(origin, shift)
        for _ in self._draft(decoder, asked, origin, shift, cold):
            yield
            if turn != self._turn:
                return
        settled = Draft.of(chord_notes(past[-1:]))
        drafts = [settled + Draft.drawn(stream, origin, shift) for stream in decoder.streams]
        edges = edges_between(beats.onset, start, end)
        self._drafted, self._reach = Draft(edges[:-1], expected(drafts, edges)), end
        thought = self._decide(scene, edges)
        self._thought = past[-256:] + thought
        self._tell(scene, thought)
        self.heard = max(last_heard(scene), self.heard)

    def listen(self, scene: Scene) -> None:
        """Think again of what was drafted, by what was heard since: it takes no time."""
        if self._told and self.model.markov:
            beats = scene.beats.onset
            begun = beats[beats <= scene.start]
            start = begun[-1] if len(begun) else scene.start
            self._tell(scene, self._decide(scene, edges_between(beats, start, scene.end)))

    def _decide(self, scene: Scene, edges: np.ndarray) -> list[tuple[float, float, int]]:
        """(start, end, symbol) of the chords between edges, by what was drafted and what is recalled."""
        tones = expected([self._drafted], edges)
        if self.model.markov:
            recall = recalled(self.model.markov, scene.late + scene.ahead + scene.chart, edges)
            fresh = (edges[1:] <= self._reach + 0.01)[:, None]
            tones = np.where(fresh, (tones + recall) / 2, recall)
        return [(on, on + length, symbol) for on, length, symbol, _, _ in consensus(tones, edges, CHANGE)]

    def _tell(self, scene: Scene, thought: list[tuple[float, float, int]]) -> None:
        """The chart changes, from where the plan has come to meanwhile. A band moves on the beat, and holds its chord
        until then."""
        beats, end = scene.beats.onset, thought[-1][1]
        since = max(scene.start, self.reached)
        if self._told:
            since = float(beats[beats > since - 0.02].min(initial=end))
        kept = ended(self._told, since)[-256:]
        kept[-1:] = [(on, since, symbol) for on, _, symbol in kept[-1:]]
        coming = [(max(c[0], since), c[1], c[2]) for c in thought if c[1] > since]
        later = [(max(c[0], end), c[1], c[2]) for c in self._told if c[1] > end]
        self._told = kept + coming + later

    def _draft(self, decoder: Decoder, asked: Scene, origin: float, shift: int, cold: bool) -> Iterator[None]:
        """All drafts, a step longer each time."""
        known = rows_of(asked, origin, shift, cold)
        for stream in decoder.streams:
            stream.chart, stream.controls, stream.delta = known.chart, known.controls, known.delta
        decoder.sync([known.rows.copy() for _ in decoder.streams])  # each has drafted something else
        begin, end = (round((t - origin) * s.STEPS) for t in (asked.start, asked.end))
        limits = Limits(begin, end, pitch_table([CHORD]))
        yield
        while any(stream.clock < end for stream in decoder.streams):
            decoder.next_event([limits if stream.clock < end else None for stream in decoder.streams])
            yield

    def _ready(self, origin: float, shift: int) -> Decoder:
        if self._decoder is None or self._place != (origin, shift):
            empty = s.Chart.of(none())
            streams = [Stream(empty, np.zeros((0, 5), dtype=np.int64), 0, rng) for rng in self._rngs]
            self._decoder, self._place = Decoder(self.model, streams, DRAFTING), (origin, shift)
        return self._decoder
