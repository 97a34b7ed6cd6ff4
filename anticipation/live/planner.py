"""Planner: live is the same infill again and again, over a decoder that keeps what still agrees. Each part of a band is
a stream of its own, told what the player and the other parts do. Knows scenes and the model; knows no clock, no ports
and no process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import CheckpointError
from ..infilling.bounds import EAGER, OFF_ROOT, STAYS, Places, higher
from ..infilling.casting import PAD, TO_DRUMS
from ..infilling.drafting import PATIENCE
from ..infilling.habits import lone_tune
from ..infilling.prompt import LEAD
from ..model import stream as s
from ..model.bias import Bias
from ..model.decode import Decoder
from ..model.grammar import Limits, nearest_place, pitch_table
from ..model.sampling import Sampling
from ..music.dynamics import swell
from ..music.grid import divided
from ..music.groove import IN_THREE, places_of
from ..music.keys import moved, shift_to_c
from ..music.notes import DRUMS, TOGETHER, Note, Notes
from ..music.playable import BASSES, CHORDAL, KIT, RANGES, SECTIONS, TRIAD, VOICES
from .harmonist import Harmonist
from .scene import Rows, Scene, rows_of

ROOM = 128  # rows of the window that are kept free for a plan
MEMORY = 40.0  # seconds of music that tell the key, and how loud one plays
STRAY = 1 / 3  # factor on the odds of a pitch outside its chord: live, such pitches are right no more than by chance
OF_LATE = 4.0  # seconds of a tune that tell how high it is: who plays chords stays below
HELD = 2.0  # seconds that the last notes last at least
QUICK = 0.4  # of a beat: what follows so soon is a run, see Bias.quick
HEED = 1.5  # see Bias.heed: live there is one draft, in a file the best of several
# Plans in a row that have to hear the same other key before it is believed, unless the player's pitched notes of late
# are fewer than YOUNG; of fewer than FEW the band's own tell the key with them.
STUBBORN, YOUNG, FEW = 3, 24, 8


@dataclass(frozen=True)
class Step:
    """Something was decided: nothing more begins before `reached` (song seconds), and `note` begins there, if any:
    (onset, duration, pitch, instrument, velocity). fed: rows that the trunk has run over since the planner began."""

    reached: float
    note: Note | None
    fed: int


class Planner:
    """One band's mind. The streams begin at `origin` seconds and are moved `shift` semitones to C; both stay as long as
    they can, because to change them is to read everything anew."""

    def __init__(self, model, seed: int = 0) -> None:
        self.model, self.rng = model, np.random.default_rng(seed)
        self.listens = model.takes_late  # if not, the player's notes are told to it as its own past
        self.reads = model.reads_chart  # if not, it is told nothing but notes, in their own key
        self.origin = np.inf  # none yet
        self.shift, self.cold = 0, True
        self.fed = 0
        self._other: list[int] = []  # shifts that the last plans heard in a row, all other than ours
        self._decoder: Decoder | None = None
        self._parts: list[tuple[int, ...]] = []  # the instruments that each stream writes
        self._stands_for: dict[int, int] = {}  # instrument that the streams know -> whose notes they are
        self._harmonist = Harmonist() if self.reads else None

    def plan(self, scene: Scene) -> Iterator[Step]:
        """Write the scene from its start to its end, step by step; to stop early is to stop iterating. Without a given
        chart, chords for pitched instruments are the harmonist's."""
        if not self.listens:
            scene = replace(scene, own=scene.own + scene.late, late=Notes.of([]))
        scene = self._cast(scene)
        self._settle(scene)
        if self._harmonist and not len(scene.chart.chords) and any(i < DRUMS for i in scene.instruments):
            scene = replace(scene, chart=scene.chart + self._harmonist.chords(scene))
        decoder = self._ready(scene)
        for row in self._draw(decoder, self._limits(scene)):
            yield Step(self.origin + int(row[s.CLOCK]) / s.STEPS, self._note(row, scene), self.fed)

    def _cast(self, scene: Scene) -> Scene:
        """The scene in which a section that alone plays the chords to a player is a pad, which holds them; as itself it
        plays a second tune, much of it above the first (train/LOG.md)."""
        chordal = [i for i in dict.fromkeys(scene.instruments) if i in CHORDAL]
        alone = self.reads and len(chordal) == 1 and chordal[0] in SECTIONS
        self._stands_for = {}
        if alone and len(scene.player.pitched) and PAD not in scene.known.instruments:
            (one,) = chordal
            self._stands_for = {PAD: one}
            own = np.where(scene.own.instrument == one, PAD, scene.own.instrument)
            instruments = tuple(PAD if i == one else i for i in scene.instruments)
            scene = replace(scene, own=scene.own.replace(instrument=own), instruments=instruments)
        return scene

    def _settle(self, scene: Scene) -> None:
        """Decide where the stream begins and in which key. The origin moves if the scene knows less than the stream,
        the key if it is clearly another."""
        moves = not scene.since <= self.origin <= scene.start
        if moves:
            self.origin, self.cold = self._beginning(scene)
        parts: list[tuple[int, ...]] = [scene.instruments]
        if self.listens:
            parts = [(i,) for i in dict.fromkeys(scene.instruments)]
        if self._hear_key(scene) or moves or parts != self._parts:
            self._decoder, self._parts = None, parts

    def _beginning(self, scene: Scene) -> tuple[float, bool]:
        """Where a new stream begins: with the first thing that is known, so far as a model is shown it; and whether
        the music begins there."""
        past = scene.known[scene.known.onset < scene.start]
        first = float(past.onset[0]) if len(past) else scene.start
        earliest = scene.start - s.HISTORY
        return max(first - LEAD, earliest, scene.since), scene.cold and first > earliest

    def _hear_key(self, scene: Scene) -> bool:
        """Whether the transposition changed. The player decides the key, or without him the band."""
        theirs = scene.player.between(scene.start - MEMORY, np.inf)
        known = theirs if len(theirs.pitched) >= FEW else theirs + scene.own.between(scene.start - MEMORY, scene.start)
        shift = shift_to_c(known, scene.pitches)
        self._other = [*self._other[1 - STUBBORN :], shift] if shift != self.shift else []
        young = len(theirs.pitched) < YOUNG
        if not self._other or not (young or len(self._other) == STUBBORN and len(set(self._other)) == 1):
            return False
        self.shift, self._other = shift, []
        return True

    def _ready(self, scene: Scene) -> Decoder:
        """The decoder, having read the scene up to its start. Raises CheckpointError."""
        several = self._told(scene)
        decoder = self._decoder
        if decoder is None:
            streams = [s.Stream(k.chart, k.controls, k.delta, self.rng, ordered=self.reads) for k in several]
            decoder = Decoder(self.model, streams)
        for stream, known in zip(decoder.streams, several, strict=True):
            stream.chart, stream.controls, stream.delta = known.chart, known.controls, known.delta
            stream.unheard = known.unheard
        decoder.sampling = Sampling(scene.temperature, scene.top_p, patience=PATIENCE)
        before = decoder.fed
        decoder.sync([known.rows for known in several])
        decoder.read([0])  # the others when they draw
        if not decoder.lanes.state.isfinite().all():
            raise CheckpointError("the weights are broken: what they answer is no number, and they would play nothing")
        for stream in decoder.streams:  # a bass that has begun its chord begins it no more
            stream.written = [row for row in stream.rows if row[s.KIND] == s.EVENT]
        self._decoder, self.fed = decoder, self.fed + decoder.fed - before
        return decoder

    def _told(self, scene: Scene) -> list[Rows]:
        """What each part is told. When a window is nearly full, the origin moves to half a window ago."""
        several = self._rows(scene)
        longest = max((known.rows for known in several), key=len)
        if len(longest) > self.model.window - ROOM:
            recent = longest[-(self.model.window // 2) :]
            recent = recent[recent[:, s.KIND] != s.CONTROL]
            steps = int(recent[0, s.CLOCK]) if len(recent) else round((scene.start - self.origin) * s.STEPS) - s.REST
            self.origin, self.cold, self._decoder = self.origin + max(steps, 0) / s.STEPS, False, None
            several = self._rows(scene)
        return several

    def _rows(self, scene: Scene) -> list[Rows]:
        """The rows of each part: its own notes, and the other parts' like late ones of the player, of which drums hear
        the bass alone. If one stream writes the whole band, all that the band has played is its own."""
        out = []
        for part in self._parts:
            others = scene.own[:0] if len(self._parts) == 1 else scene.own[~np.isin(scene.own.instrument, part)]
            mine = scene.own if not len(others) else scene.own.of_instruments(part)
            told = replace(scene, own=mine, late=scene.late + others, instruments=part)
            if part == (DRUMS,) and self.reads and len(scene.chart.beats) and not _drums(scene.player):
                told = replace(told, style=TO_DRUMS.style, unheard=TO_DRUMS.unheard)
            out.append(rows_of(told, self.origin, self.shift, self.cold, reads_chart=self.reads, looks=self.listens))
        return out

    def _limits(self, scene: Scene) -> list[Limits]:
        """Of each part."""
        pitches = None if scene.pitches is None else moved(scene.pitches, self.shift)
        begin, end = (round((t - self.origin) * s.STEPS) for t in (scene.start, scene.end))
        if scene.rest is not None:
            end = min(end, round((scene.rest - self.origin) * s.STEPS) + 1)
        places = None
        if scene.grid and len(scene.chart.beats):
            seconds = divided(scene.chart.beats, scene.grid)
            steps = np.rint((seconds - self.origin) * s.STEPS).astype(int)
            places = Places(seconds, steps, (steps >= 0) & (steps <= end))
        nearest = None if places is None else nearest_place(places.steps, end)
        real = {told: RANGES[one] for told, one in self._stands_for.items() if one in RANGES}
        ranges = higher({} if scene.ranged else RANGES | real | {DRUMS: KIT}, self.shift)
        tables = [pitch_table(part, pitches, ranges) for part in self._parts]
        chart = s.Chart.of(scene.chart.transpose(self.shift), self.origin)
        player = scene.player.between(scene.start - MEMORY, scene.end)
        louder = round(float(swell(player, np.array([scene.start]))[0])) if len(player) else 0
        limit = scene.polyphony
        most = {i: min(VOICES.get(i, limit), limit) for i in scene.instruments} if limit else {}
        density = dict.fromkeys(scene.instruments, scene.density or 0)
        bias = self._bias(scene, chart, end, places)
        # Who keeps time rests less, as in a file. The others leave room for the player, if he is there.
        free = {DRUMS, *BASSES} if len(scene.player) else {*scene.instruments}
        keeps_time = [len(chart.beats) > 0 and {*part} <= free for part in self._parts]
        return [
            Limits(begin, end, table, most, density, nearest, bias=bias, louder=louder, since=0, rest=rest)
            for table, rest in zip(tables, np.where(keeps_time, EAGER, 1.0).tolist(), strict=True)
        ]

    def _bias(self, scene: Scene, chart: s.Chart, end: int, places: Places | None) -> Bias:
        """What people seldom do, up to a step. chart: in the stream's key. places: where notes may begin."""
        beats, player, groove = scene.chart.beats, scene.player.between(scene.start - MEMORY, scene.start), None
        tune = None
        if DRUMS in scene.instruments and not _drums(scene.player):
            first = None if scene.phrase is None else (scene.phrase - self.origin) * s.STEPS
            groove = places_of(np.arange(end + 1), chart.beats, first, in_thirds=scene.turns == 3)
        if (theirs := lone_tune(player)) is not None:
            of_late = theirs.pitch[theirs.onset > theirs.onset[-1] - OF_LATE]
            tune = np.full(end + 1, int(np.median(of_late)) + self.shift)
        whose = BASSES if set(scene.instruments) & set(BASSES) else (*BASSES, *CHORDAL)  # the root at the end
        return Bias(
            chart,
            0.0 if scene.chord_lock else STRAY,
            roots=dict.fromkeys(whose, OFF_ROOT),
            stays={} if theirs is None else dict.fromkeys(BASSES, STAYS),
            last=None if scene.rest is None else end - 1,
            closes={i: TRIAD if i in CHORDAL else 1 for i in scene.instruments if i < DRUMS},
            groove=groove,
            heed=IN_THREE if beats.pitch.max(initial=0) == 2 else HEED,
            fills=False,  # drums go on from their last bar: after a wild one they did not find back
            usual=None if places is None else places.usual(player, beats, end),
            tune=tune,
            chordal=CHORDAL,
            quick=round(QUICK * float(np.median(beats.duration)) * s.STEPS) if len(beats) else 0,
        )

    def _draw(self, decoder: Decoder, limits: list[Limits]) -> Iterator[np.ndarray]:
        """Events and rests of all parts, by time. The part that is furthest behind draws next, and the others are
        told."""
        streams = decoder.streams
        waiting: list[np.ndarray] = []  # events of parts that are ahead of others
        while any(stream.clock < limits[0].end for stream in streams):
            last, before = min(range(len(streams)), key=lambda i: streams[i].clock), decoder.fed
            asked = [limit if i == last else None for i, limit in enumerate(limits)]
            waiting.append(decoder.next_event(asked, together=True)[last])  # type: ignore[arg-type]
            self.fed += decoder.fed - before
            reached = min(stream.clock for stream in streams)
            ready = sorted((row for row in waiting if row[s.CLOCK] <= reached), key=lambda row: int(row[s.CLOCK]))
            waiting = [row for row in waiting if row[s.CLOCK] > reached]
            yield from ready

    def _note(self, row: np.ndarray, scene: Scene) -> Note | None:
        """What was drawn, as a note. The last ones are held."""
        if row[s.KIND] != s.EVENT:
            return None
        note = s.to_notes(row[None], self.origin).transpose(-self.shift)
        if scene.rest is not None and note.onset[0] > scene.rest - TOGETHER and not _drums(note):
            note = note.replace(duration=np.maximum(note.duration, HELD))
        onset, duration, pitch, instrument, velocity = next(iter(note))
        return onset, duration, pitch, self._stands_for.get(instrument, instrument), velocity


def _drums(notes: Notes) -> bool:
    """Whether somebody drums."""
    return bool((notes.instrument == DRUMS).any())
