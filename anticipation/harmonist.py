"""Harmonist: the chords that live music is likely to move through, thought of again and again as more is heard. Knows
scenes and the model; knows no notes that the band plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from . import stream as s
from .decode import Decoder
from .grammar import Limits, Stream, pitch_table
from .harmony import chord_notes
from .infilling import expected_tones, settle
from .notes import BEAT, CHORD, Notes
from .sampling import Sampling
from .scene import Scene, none, rows_of

DELTA = 0.5  # seconds of anticipation that the drafts are told: the shortest that training knew
DRAFTS = 8
AHEAD = 4.0  # seconds that are harmonised at least
FADING = 0.7  # what the drafts of the thought before count, of one of now


class Harmonist:
    """Drafts of chord tracks, all in one batch, and their consensus beat by beat, as `plan_chords` has it offline; here
    over decoders that keep what still agrees. The drafts of earlier thoughts have a vote, too. What has sounded is
    never thought of anew."""

    def __init__(self, model, seed: int = 0, drafts: int = DRAFTS) -> None:
        self.model = model
        self._rngs = [np.random.default_rng((seed, draft)) for draft in range(drafts)]
        self._decoder: Decoder | None = None
        self._place: tuple | None = None  # origin and transposition of what the decoder holds
        self._beats: list[tuple[float, float, int]] = []  # (start, end, symbol), from the first thought on
        self._votes: dict[float, tuple[np.ndarray, float]] = {}  # by beat: (12,) sums of expected tones, their weight
        self.fed = 0

    def chart(self, since: float) -> Notes:
        """CHORD notes of what is thought by now."""
        return chord_notes(beat for beat in self._beats if beat[1] > since)

    def forget(self) -> None:
        self._beats, self._decoder, self._votes = [], None, {}

    def think(self, scene: Scene, origin: float, shift: int, cold: bool) -> Iterator[None]:
        """Harmonise from the scene's start on, a step of all drafts at a time; the chart changes at the end. A thought
        that is not finished leaves everything as it was."""
        past = [beat for beat in self._beats if beat[0] < scene.start]
        beats = scene.chart[scene.chart.instrument == BEAT]
        ahead = scene.late + scene.ahead
        asked = replace(scene, own=chord_notes(past), late=none(), ahead=ahead, chart=beats, instruments=(CHORD,),
                        delta=DELTA, end=max(scene.end, scene.start + AHEAD))  # fmt: skip
        known = rows_of(asked, origin, shift, cold)
        decoder = self._ready(origin, shift)
        for stream in decoder.streams:
            stream.chart, stream.controls, stream.delta = known.chart, known.controls, known.delta
        decoder.sync([known.rows.copy() for _ in decoder.streams])  # each has drafted something else
        begin, end = (round((t - origin) * s.STEPS) for t in (asked.start, asked.end))
        limits = Limits(begin, end, pitch_table([CHORD]))
        drafted: list[list[np.ndarray]] = [[] for _ in decoder.streams]
        yield
        while any(stream.clock < end for stream in decoder.streams):
            rows = decoder.next_event([limits if stream.clock < end else None for stream in decoder.streams])
            for draft, row in zip(drafted, rows, strict=True):
                draft += [row] if row is not None and row[s.KIND] == s.EVENT else []
            yield
        self.fed = decoder.fed
        inside = beats.onset[(beats.onset > asked.start) & (beats.onset < asked.end)]
        edges = np.unique(np.concatenate([[asked.start], inside, [asked.end]]))
        before = chord_notes(past[-1:])
        drafts = [before + self._notes(draft, origin, shift) for draft in drafted]
        thought = settle(self._vote(expected_tones(drafts, edges), edges, beats.onset), edges)
        if past:
            past[-1] = (past[-1][0], min(past[-1][1], asked.start), past[-1][2])
        self._beats = past[-256:] + [(c[0], c[0] + c[1], c[2]) for c in thought]

    def _vote(self, tones: np.ndarray, edges: np.ndarray, beats: np.ndarray) -> np.ndarray:
        """Expected tones, those of the thoughts before among them."""
        if not len(beats):
            return tones
        places = beats[np.maximum(np.searchsorted(beats, (edges[:-1] + edges[1:]) / 2) - 1, 0)].tolist()
        votes = {}
        for place, now in zip(places, tones, strict=True):
            before, weight = self._votes.get(place, (np.zeros(12), 0.0))
            votes[place] = now + FADING * before, 1.0 + FADING * weight
        self._votes = votes
        return np.array([votes[place][0] / votes[place][1] for place in places])

    def _ready(self, origin: float, shift: int) -> Decoder:
        if self._decoder is None or self._place != (origin, shift):
            empty = s.Chart.of(none())
            streams = [Stream(empty, np.zeros((0, 5), dtype=np.int64), 0, rng) for rng in self._rngs]
            self._decoder, self._place = Decoder(self.model, streams, Sampling(1.0, 0.95, 0.8)), (origin, shift)
        return self._decoder

    @staticmethod
    def _notes(rows: list[np.ndarray], origin: float, shift: int) -> Notes:
        return s.to_notes(np.array(rows).reshape(-1, len(s.COLUMNS)), origin).transpose(-shift)
