"""The drummer of the band teacher: human Groove takes, cut by bars and laid under a song. Knows no chords.

Groove's file names tell everything that is needed: drummer1__session1__101_dance-disco_120_beat_4-4.mid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sheets import Sheet

from anticipation.data.shards import Shards
from anticipation.music.notes import DRUMS, Notes

KICK, SNARES, HATS, CRASH, RIDES = 36, (38, 37), (42, 46, 44), 49, (51, 59, 53)
EARLY = 0.13  # beats: a stroke so much before a bar line belongs to the bar after it


@dataclass(frozen=True)
class Take:
    """One drum take. Positions in beats from its first bar line on."""

    name: str
    style: str
    bpm: float
    fill: bool
    position: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray

    @property
    def bars(self) -> int:
        """Whole bars."""
        return int((self.position.max() + 0.5) // 4) if len(self.position) else 0

    def bar(self, number: int, beats: float = 4.0) -> list[tuple[float, int, int]]:
        """(position in the bar, pitch, velocity) of a bar's strokes, early ones among them (position below 0)."""
        start = 4 * number
        rows = (self.position >= start - EARLY) & (self.position < start + beats - EARLY)
        columns = (self.position[rows] - start, self.pitch[rows], self.velocity[rows])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @property
    def swing(self) -> float:
        """Where in the beat the second eighth falls: 0.5 straight, 0.67 swung."""
        time = self.position[np.isin(self.pitch, (*HATS, *RIDES, *SNARES))] % 1
        late, even = time[abs(time - 0.66) < 0.06], time[abs(time - 0.5) < 0.06]
        return float(np.median(late)) if len(late) > 1.5 * len(even) and len(late) > 8 else 0.5

    @property
    def upright(self) -> bool:
        """Whether its bar lines are where it says (no other beat has more kicks, and the second and fourth have more
        snare than the first and third), and hats or rides keep its time, not the floor tom."""
        if np.isin(self.pitch, (*HATS, *RIDES)).mean() < 0.2:
            return False
        kick = self.position[self.pitch == KICK]
        snare = self.position[np.isin(self.pitch, SNARES) & (self.velocity > 50)]
        kicks, snares = (np.bincount((np.rint(x[abs(x - np.rint(x)) < 0.17]) % 4).astype(int), minlength=4)
                         for x in (kick, snare))  # fmt: skip
        return bool(kicks[0] > 0 and kicks[0] >= kicks.max() * 0.9 and snares[[1, 3]].sum() >= snares[[0, 2]].sum())


def take_of(name: str, notes: Notes) -> Take | None:
    """None where the name is no Groove take in 4/4."""
    match = re.search(r"_([a-z0-9-]+)_(\d+)_(beat|fill)_4-4", name)
    if not match:
        return None
    drums = notes[notes.instrument == DRUMS]
    style, bpm = match[1], float(match[2])
    return Take(
        name, style, bpm, match[3] == "fill", drums.onset * bpm / 60, drums.pitch, np.maximum(drums.velocity, 1)
    )


@dataclass(frozen=True)
class Kit:
    """All takes that one may learn from."""

    beats: tuple[Take, ...]
    fills: tuple[Take, ...]

    @classmethod
    def of(cls, shards: Shards) -> Kit:
        """The training takes of shards: held-out ones stay held out."""
        found = (take_of(p.name, shards.notes(p)) for p in shards.split("train") if p.source == "groove")
        takes = [take for take in found if take]
        beats = [take for take in takes if not take.fill and take.bars >= 4 and take.upright]
        fills = [take for take in takes if take.fill and 2.0 <= take.position.max() < 4.3 and len(take.pitch) >= 6]
        return cls(tuple(beats), tuple(fills))

    def choose(self, styles: Iterable[str], bpm: float, straight: bool, rng: np.random.Generator) -> Take | None:
        """A take of one of the styles near a tempo; None where none is near enough to sound natural there."""
        wanted = re.compile("|".join(styles))
        near = [t for t in self.beats if wanted.match(t.style) and 0.72 < t.bpm / bpm < 1.4]
        near = [t for t in near if not straight or t.swing == 0.5]
        if not near:
            return None
        chance = np.array([np.exp(-((np.log2(t.bpm / bpm) / 0.2) ** 2)) for t in near]) + 1e-3
        return near[rng.choice(len(near), p=chance / chance.sum())]

    def fills_for(self, take: Take, bpm: float) -> list[Take]:
        """Fills that fit a take: of its own style if there are any, of its tempo, swung or straight as it is."""
        near = [t for t in self.fills if 0.65 < t.bpm / bpm < 1.5]
        family = take.style.partition("-")[0]
        return (
            [t for t in near if t.style.startswith(family)] or [t for t in near if t.style.startswith("rock")] or near
        )


def play(
    sheet: Sheet, take: Take, fills: list[Take], playing: list[bool], rng: np.random.Generator
) -> list[tuple[float, int, int]]:
    """(position, pitch, velocity) of the drums in the phrases in which they play. Four or more bars of the take are
    kept together; a fill ends a phrase, and a crash begins the next one."""
    out: list[tuple[float, int, int]] = []
    after_fill = True
    for k, (first, end) in enumerate(zip(sheet.phrases[:-1], sheet.phrases[1:], strict=True)):
        if not playing[k]:
            after_fill = True
            continue
        start = 4 * int(rng.integers(0, max(1, (take.bars - (end - first)) // 4 + 1)))
        filled = bool(fills) and end - first >= 2 and rng.random() < 0.85
        for bar in range(first, end):
            at, beats = sheet.bars[bar], sheet.bars[bar + 1] - sheet.bars[bar]
            strokes = take.bar((start + bar - first) % take.bars, beats)
            if filled and bar == end - 1 and beats == 4:
                fill = fills[int(rng.integers(len(fills)))]
                begin = 4 - min(4.0, 2.0 * np.ceil((fill.position.max() - fill.position.min()) / 2))
                strokes = [s for s in strokes if s[0] < begin - EARLY]
                strokes += [s for s in fill.bar(0, 4.3) if s[0] >= begin - EARLY and s[0] < 3.98]
            if bar == first and after_fill and not any(p == CRASH and abs(x) < 0.2 for x, p, _ in strokes):
                strokes = [s for s in strokes if s[0] > 0.2 or s[1] not in HATS]
                strokes.append((0.0, CRASH, int(rng.integers(85, 115))))
            out += [(at + x, pitch, velocity) for x, pitch, velocity in strokes]
        after_fill = filled
    return sorted(out)
