"""Turns: when the band may play. It listens first, comes in on a bar line, takes turns in answer mode, and stays silent
while the key is unclear. Knows when notes were heard, not which ones. All times are stream time."""

from __future__ import annotations

import math

from anticipation.music.groove import PHRASE

from .clock import Grid

Span = tuple[float, float]
GAP = 1.5  # beats of silence that end a phrase, or quarters where those are longer


class Turns:
    """entry: where the band's first note may fall, once that is known; long ago once it is in. rest: where its last
    notes begin, if the end is near. opening: the bar, by the clock's count from 0, from which on phrases are counted:
    the one with which the player began."""

    def __init__(self) -> None:
        self.count = 0  # notes heard since the cold start
        self.last = -math.inf  # onset of the player's last note
        self.first = -math.inf  # and of the first of the phrase
        self.began: float | None = None  # onset of his first note since the band last had nothing to play to
        self.opening = 0
        self.entry: float | None = None
        self.rest: float | None = None
        self.gap = 1.0  # seconds of silence that end a phrase

    def heard(self, time: float, over: float) -> None:
        """A note begins. over: when the last one ended, infinite where one is held."""
        if time - over > self.gap:
            self.first = time
        self.count, self.last = self.count + 1, time
        self.began = time if self.began is None else self.began

    def located(self) -> None:
        """The bar lines have moved: an entry that was still to come is computed anew."""
        if self.entry != -math.inf:
            self.entry = None

    def span(self, now: float, commit: float, grid: Grid, settings: dict, known) -> Span | None:
        """Where the band may play next, start <= onset < end; None: it listens."""
        self.rest, self.gap = None, GAP * max(grid.period, grid.quarter)
        has_more = bool(settings["chords"]) or (settings["mode"] == "timeline" and len(known.timeline) > 0)
        if not has_more and (self.count < settings["listen"] or not known.sure(settings["bravery"])):
            return None
        soonest = now + commit
        if self.entry != -math.inf and self.began is not None and not has_more:
            self.opening = round(grid.beat_at(self.began) / grid.meter)
        if self.entry is None:
            self.entry = grid.bar_after(max(soonest, grid.time_of(0.0)))
        self.entry = self.entry if soonest < self.entry else -math.inf
        soonest = max(soonest, self.entry)
        if settings["mode"] == "band" and not has_more:
            return self._until_the_end(now, soonest, grid, settings["end_bars"], known)
        if settings["mode"] != "answer":
            return soonest, math.inf
        if settings["answer_bars"]:
            return self._by_bars(soonest, grid, settings["answer_bars"])
        return self._by_phrase(now, soonest, grid, known)

    def phrase(self, near: float, grid: Grid) -> float:
        """The bar line nearest to a time at which a phrase begins."""
        bars = grid.beat_at(near) / grid.meter - self.opening
        return grid.time_of((self.opening + round(bars / PHRASE) * PHRASE) * grid.meter)

    def _until_the_end(self, now: float, soonest: float, grid: Grid, bars: int, known) -> Span | None:
        """Up to the first beat of a bar, so many bars after the player fell silent; it comes in anew when he does."""
        over = known.over_at(now, self.last)
        if not bars or not math.isfinite(over):
            return soonest, math.inf
        self.rest = grid.bar_after(over) + bars * grid.meter * grid.period
        end = self.rest + 0.5 * grid.period
        if soonest < end:
            return soonest, end
        self.entry = self.began = None
        return None

    @staticmethod
    def _by_bars(soonest: float, grid: Grid, bars: int) -> Span:
        """So many bars are the player's, so many the band's, from bar 1 on."""
        beats = bars * grid.meter
        block = math.floor(grid.beat_at(soonest) / beats + 1e-6)
        mine = block if block % 2 else block + 1
        return max(soonest, grid.time_of(mine * beats)), grid.time_of((mine + 1) * beats)

    def _by_phrase(self, now: float, soonest: float, grid: Grid, known) -> Span | None:
        """When the player has fallen silent, from the next beat on, for as long as the phrase was, in whole beats."""
        over = known.over_at(now, math.inf)
        if now < over + self.gap:
            return None
        start = grid.time_of(math.ceil(grid.beat_at(over + self.gap) - 1e-6))
        length = max(math.ceil((over - self.first) / grid.period), grid.meter) * grid.period
        end = start + length
        return (max(soonest, start), end) if max(soonest, start) < end else None
