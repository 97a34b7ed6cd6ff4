"""TempoMap: ticks, seconds, beats and bars of one piece. Knows no files, and no notes but beats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .notes import BEAT, Notes

DIVISIONS = (4, 6, 8)  # into how many parts music may divide a quarter: sixteenths, triplets of them, thirty-seconds
EARLY = 1 / 16  # of a beat, half of the finest part: a note that comes before a beat by less is early for it
DEFAULT_TEMPO = 500_000  # microseconds per quarter note where a file does not say: 120 bpm
BAR_BEATS = 16  # beats of a bar that are told apart; where it has more, they count as the last of these


@dataclass(frozen=True)
class TempoMap:
    """Piecewise constant tempo and metre.

    ppqn: ticks per quarter note. tempos: (tick, microseconds per quarter). meters: (tick, numerator, denominator).
    Both are made to start at tick 0; of several entries at one tick the last one counts.
    """

    ppqn: int = 480
    tempos: tuple[tuple[int, int], ...] = ()
    meters: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        tempos = dict([(0, DEFAULT_TEMPO), *sorted(self.tempos, key=lambda entry: entry[0])])
        meters = {0: (4, 4)} | {tick: (n, d) for tick, n, d in sorted(self.meters, key=lambda entry: entry[0])}
        ticks = np.array(list(tempos), dtype=np.int64)
        rates = np.array(list(tempos.values()), dtype=np.float64) * 1e-6 / self.ppqn  # seconds per tick
        starts = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * rates[:-1])])
        object.__setattr__(self, "tempos", tuple(tempos.items()))
        object.__setattr__(self, "meters", tuple((tick, *meter) for tick, meter in meters.items()))
        object.__setattr__(self, "_segments", (ticks, rates, starts))

    def seconds(self, ticks) -> np.ndarray:
        """Song time in seconds of ticks (a number or an array)."""
        at, rates, starts = self._segments  # type: ignore[attr-defined]
        ticks = np.asarray(ticks, dtype=np.float64)
        i = np.maximum(np.searchsorted(at, ticks, side="right") - 1, 0)
        return starts[i] + (ticks - at[i]) * rates[i]

    def ticks(self, seconds) -> np.ndarray:
        """The nearest tick (int64) to each song time in seconds."""
        at, rates, starts = self._segments  # type: ignore[attr-defined]
        seconds = np.asarray(seconds, dtype=np.float64)
        i = np.maximum(np.searchsorted(starts, seconds, side="right") - 1, 0)
        return np.rint(at[i] + (seconds - starts[i]) / rates[i]).astype(np.int64)

    def beat_ticks(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Ticks of the beats in 0 <= tick < end and their places in the bar. A beat is the metre's denominator;
        6/8, 9/8 and 12/8 are counted in dotted quarters. A new metre starts a new bar."""
        ticks: list[np.ndarray] = [np.zeros(0)]
        places: list[np.ndarray] = [np.zeros(0, np.int64)]
        for i, (start, beats, unit) in enumerate(self.meters):
            stop = min(end, self.meters[i + 1][0]) if i + 1 < len(self.meters) else end
            step = self.ppqn * 4 / unit
            if compound(beats, unit):
                beats, step = beats // 3, step * 3
            count = max(0, int(np.ceil((stop - start) / step)))
            ticks.append(start + np.arange(count) * step)
            places.append(np.arange(count) % beats)
        return np.rint(np.concatenate(ticks)).astype(np.int64), np.concatenate(places)

    def beats(self, end: float) -> Notes:
        """The beat grid up to `end` seconds, as BEAT notes (pitch: place in the bar, duration: to the next beat)."""
        last = int(self.ticks(end))
        ticks, places = self.beat_ticks(last + 8 * self.ppqn)  # one beat more than asked, for the last duration
        ticks, first = np.unique(ticks, return_index=True)  # where a beat is shorter than a tick, two fall on one
        places = np.minimum.reduceat(places, first)
        onset = self.seconds(ticks)
        return _beats(onset[:-1], np.diff(onset), places[:-1])[onset[:-1] < end]

    def divisions(self, times: np.ndarray) -> np.ndarray:
        """(N, 3) the numbers of parts into which the beat at each time (seconds) may be divided: into sixteenths, into
        triplets of them (in 6/8 and its like into four), into thirty-seconds."""
        at = np.searchsorted([tick for tick, *_ in self.meters], self.ticks(times), side="right") - 1
        several = [
            [n // unit for n in (48, 32, 96)] if compound(beats, unit) else [n * 4 // max(unit, 4) for n in DIVISIONS]
            for _, beats, unit in self.meters
        ]
        return np.maximum(several, 1)[np.maximum(at, 0)]

    def sane(self, end: float) -> bool:
        """Whether there are at most about twenty beats a second up to `end` (seconds): broken files have tempos whose
        beats would fill the memory."""
        finest = max(unit for _, _, unit in self.meters)
        return int(self.ticks(end)) * finest <= 4 * self.ppqn * (20 * end + 64)

    @property
    def longest_bar(self) -> int:
        """Ticks, rounded up."""
        return max(-(-4 * self.ppqn * beats // unit) for _, beats, unit in self.meters)

    def bar_seconds(self, end: float) -> np.ndarray:
        """Song times of the bar lines in 0 <= time <= end, and one beyond."""
        ticks, places = self.beat_ticks(int(self.ticks(end)) + self.longest_bar + 1)
        bars = self.seconds(ticks[places == 0])
        return bars[: np.searchsorted(bars, end, side="right") + 1]

    def bars_within(self, start: float, end: float) -> np.ndarray:
        """Song times of the bar lines around a span (seconds). Only bars of which it has more than an eighth count, for
        a piece often ends a little before its last bar line; if there is none, the bar in which the span begins."""
        lines = self.bar_seconds(end)
        least = np.diff(lines) / 8
        bars = np.flatnonzero((lines[1:] - start > least) & (end - lines[:-1] > least))
        first, last = (bars[0], bars[-1]) if len(bars) else [np.searchsorted(lines, start, side="right") - 1] * 2
        return lines[first : last + 2]

    def bars_on(self, at: float, count: int) -> float:
        """The end, in seconds, of `count` whole bars that begin at the bar line at `at` (seconds) or, if there is none,
        the next."""
        tick = int(self.ticks(at))
        ticks, places = self.beat_ticks(tick + (count + 2) * self.longest_bar)
        lines = ticks[places == 0]
        return float(self.seconds(lines[np.searchsorted(lines, tick - EARLY * self.ppqn) + count]))

    @staticmethod
    def following(beats: Notes) -> TempoMap:
        """A tempo map whose quarters are these BEAT notes (at least one), continued back to time 0. What lies before
        the first bar line becomes a bar of its own."""
        later = beats[beats.onset > beats.duration[0] / 2]  # a beat at about 0 is the map's own first
        lead = max(1, round(float(later.onset[0] / beats.duration[0])))
        times = np.concatenate([later.onset[0] / lead * np.arange(lead), later.onset, later.offset[-1:]])
        tempos = tuple((480 * i, round(1e6 * period)) for i, period in enumerate(np.diff(times)))
        upbeat = lead + int(np.argmax(later.pitch == 0))
        return TempoMap(480, tempos, ((0, upbeat, 4), (480 * upbeat, int(beats.pitch.max()) + 1, 4)))

    @staticmethod
    def constant(bpm: float) -> TempoMap:
        return TempoMap(480, ((0, round(60e6 / bpm)),))


def compound(beats: int, unit: int) -> bool:
    """Whether three units of a metre are one beat, as in 6/8, 9/8 and 12/8."""
    return unit >= 8 and beats > 3 and beats % 3 == 0


def beat_notes(times: Iterable[float], places: Iterable[int]) -> Notes:
    """BEAT notes from beat times (seconds) and places in the bar, eg of an annotation or a live clock."""
    onset, places = np.asarray(list(times), dtype=np.float64), np.asarray(list(places), dtype=np.int64)
    if len(onset) < 2:
        return Notes.of([])
    return _beats(onset, np.append(np.diff(onset), onset[-1] - onset[-2]), places)


def _beats(onset: np.ndarray, period: np.ndarray, places: np.ndarray) -> Notes:
    """BEAT notes of beats (N,): when each begins and how long it lasts (seconds), and its place in the bar."""
    return Notes(onset, period, np.minimum(places, BAR_BEATS - 1), np.full(len(onset), BEAT), np.full(len(onset), 64))
