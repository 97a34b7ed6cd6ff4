"""TempoMap: ticks, seconds, beats and bars of one piece. Knows no files and no notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .notes import BEAT, Notes

PARTS, NEAR = (4, 6, 8), 1 / 30  # places a quarter may have; the share of a beat that a note may be off its place
EARLY = 1 / 16  # of a beat, half of the finest place: who comes before a beat by less is early for it
FINEST = 24  # parts of a beat: all that notes are typed in by
TYPED = 1 / 240  # of a beat that ends may differ by where nobody played them
FEW = 8  # onsets, whose phases have no mean to speak of
CHANCE = 0.03  # that few onsets are as near to a grid as they are
LATENCY = 0.06  # seconds that all of what is played to a click may be ahead of it or behind it
SURE = 6.0  # nats: how much less likely than that by chance
DEFAULT_TEMPO = 500_000  # microseconds per quarter note where a file does not say: 120 bpm


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
        keep = onset[:-1] < end
        column = np.full(int(keep.sum()), BEAT)
        return Notes(onset[:-1][keep], np.diff(onset)[keep], np.minimum(places[:-1][keep], 15), column, column * 0 + 64)

    def ways(self, times: np.ndarray) -> np.ndarray:
        """(N, 3) into how many places the beat at each time (seconds) may be divided: in sixteenths, in triplets (where
        it has three parts, in four), in thirty-seconds."""
        at = np.searchsorted([tick for tick, *_ in self.meters], self.ticks(times), side="right") - 1
        several = [
            [n // unit for n in (48, 32, 96)] if compound(beats, unit) else [n * 4 // max(unit, 4) for n in PARTS]
            for _, beats, unit in self.meters
        ]
        return np.maximum(several, 1)[np.maximum(at, 0)]

    def sane(self, end: float) -> bool:
        """Whether there are at most about twenty beats a second: broken files have tempos to fill the memory."""
        finest = max(unit for _, _, unit in self.meters)
        return int(self.ticks(end)) * finest <= 4 * self.ppqn * (20 * end + 64)

    def bar_seconds(self, end: float) -> np.ndarray:
        """Song times of the bar lines in 0 <= time <= end, and one beyond."""
        longest = max(-(-4 * self.ppqn * beats // unit) for _, beats, unit in self.meters)
        ticks, places = self.beat_ticks(int(self.ticks(end)) + longest + 1)
        bars = self.seconds(ticks[places == 0])
        return bars[: np.searchsorted(bars, end, side="right") + 1]

    def bars_on(self, at: float, count: int) -> float:
        """When `count` whole bars are over, seconds, from the bar line at `at` or the next one on."""
        tick, longest = int(self.ticks(at)), max(-(-4 * self.ppqn * beats // unit) for _, beats, unit in self.meters)
        ticks, places = self.beat_ticks(tick + (count + 2) * longest)
        lines = ticks[places == 0]
        return float(self.seconds(lines[np.searchsorted(lines, tick - EARLY * self.ppqn) + count]))

    @staticmethod
    def following(beats: Notes) -> TempoMap:
        """A map whose quarters are BEAT notes (one at least), and as many before as there is time for; what is before
        the first bar line is a bar of its own."""
        later = beats[beats.onset > beats.duration[0] / 2]  # than time 0
        lead = max(1, round(float(later.onset[0] / beats.duration[0])))
        times = np.concatenate([later.onset[0] / lead * np.arange(lead), later.onset, later.offset[-1:]])
        tempos = tuple((480 * i, round(1e6 * period)) for i, period in enumerate(np.diff(times)))
        upbeat = lead + int(np.argmax(later.pitch == 0))
        return TempoMap(480, tempos, ((0, upbeat, 4), (480 * upbeat, int(beats.pitch.max()) + 1, 4)))

    @staticmethod
    def constant(bpm: float) -> TempoMap:
        return TempoMap(480, ((0, round(60e6 / bpm)),))


def compound(beats: int, unit: int) -> bool:
    """Whether three of a metre's units are a beat."""
    return unit >= 8 and beats > 3 and beats % 3 == 0


def beat_notes(times: Iterable[float], places: Iterable[int]) -> Notes:
    """BEAT notes from beat times (seconds) and places in the bar, eg of an annotation or a live clock."""
    onset, places = np.asarray(list(times), dtype=np.float64), np.asarray(list(places), dtype=np.int64)
    if len(onset) < 2:
        return Notes.of([])
    period = np.append(np.diff(onset), onset[-1] - onset[-2])
    column = np.full(len(onset), BEAT)
    return Notes(onset, period, np.minimum(places, 15), column, column * 0 + 64)


def position(times: np.ndarray, beats: Notes) -> np.ndarray:
    """Beats since the first one began; before it and behind the last one at their tempo. There is a beat at least."""
    i = np.maximum(np.searchsorted(beats.onset, times, side="right") - 1, 0)
    return i + (times - beats.onset[i]) / beats.duration[i]


def moment(when: np.ndarray, beats: Notes) -> np.ndarray:
    """Seconds of so many beats since the first one began: `position`, the other way round."""
    i = np.clip(np.floor(when).astype(np.int64), 0, len(beats) - 1)
    return beats.onset[i] + (when - i) * beats.duration[i]


def lag_of(notes: Notes, beats: Notes) -> float | None:
    """How far onsets are behind the beats they keep to, seconds: negative where they are ahead, 0 where that is little,
    None where they keep to none.

    They keep to sixteenths, or to thirds as swung and triple ones do, if the resultant of their phases is long enough
    and points forward: performances without a click do not, nor do grids that start at the wrong moment. Drummers are
    some 30 ms ahead of a click, and recordings come late: then all are (`_late`). Few onsets have to be all so near
    that chance would hardly do it.
    """
    when = position(notes.onset, beats) if len(beats) else np.zeros(0)
    when = when[when >= 0]
    if not len(when):
        return None
    if len(when) < FEW:
        off = [abs((parts * when + 0.5) % 1 - 0.5).max() for parts in (4, 3)]
        return 0.0 if min(off) * 2 < CHANCE ** (1 / len(when)) else None
    several = [(parts, _resultant(when, parts), enough) for parts, enough in ((4, 0.3), (3, 0.5))]
    if any(abs(mean) > enough and abs(np.angle(mean)) < np.pi / 3 for _, mean, enough in several):
        return 0.0
    beat = float(np.median(beats.duration[np.minimum(when.astype(int), len(beats) - 1)]))
    sure = np.sqrt(SURE / len(when))  # by Rayleigh's test
    late = (_late(when, parts, beat) for parts, mean, enough in several if abs(mean) > max(enough, sure))
    return next((lag for lag in late if lag is not None), None)


def _resultant(when: np.ndarray, parts: int) -> complex:
    """The mean of phases in parts of a beat: as long as they are alike."""
    return complex(np.exp(2j * np.pi * parts * when).mean())


def _late(when: np.ndarray, parts: int, beat: float) -> float | None:
    """How far all are behind parts of a beat, seconds, if that is a latency, a third of a part at most, and parts that
    are twice (of thirds, three times) as long have them as far behind: else the beats begin elsewhere."""
    turn = float(np.angle(_resultant(when, parts))) / (2 * np.pi * parts)  # beats
    agree = _resultant(when - turn, parts // 2).real > 0
    return turn * beat if agree and abs(turn) * beat < LATENCY and abs(turn) * parts < 1 / 3 else None


def on_grid(notes: Notes, beats: Notes) -> bool:
    """Whether the onsets keep to the beats, see `lag_of`."""
    return lag_of(notes, beats) is not None


def cut(notes: Notes, beats: Notes, at: float) -> float:
    """Where music is cut at a time, seconds: if that is a beat that the notes keep to, where that is played (`lag_of`),
    or before those that are a little early for it. Else right there."""
    edges = np.append(beats.onset, beats.offset[-1:])
    i = int(np.searchsorted(edges, at - 1e-3))
    lag = lag_of(notes, beats) if i < len(edges) and edges[i] <= at + 1e-3 else None
    if lag is None:
        return at
    at, reach = max(0.0, at + lag), EARLY * beats.duration[max(i - 1, 0)]
    early = notes.onset[(notes.onset > at - reach + 1e-6) & (notes.onset < at)]
    return float(early.min()) if len(early) else at


def gap_of(notes: Notes, beats: Notes) -> float | None:
    """How far behind the parts of a beat notes end that were typed in, in beats: all alike, be it right there or a tick
    before (negative). None where they were played."""
    if not len(notes) or not len(beats):
        return None
    off = (position(notes.offset, beats) * FINEST + 0.5) % 1 - 0.5
    values, count = np.unique(off.round(3), return_counts=True)
    usual = float(values[count.argmax()])
    apart = abs((off - usual + 0.5) % 1 - 0.5)
    return usual / FINEST if np.mean(apart < TYPED * FINEST) > 0.5 else None


def way_of(notes: Notes, beats: Notes, ways: np.ndarray) -> int:
    """Which of several ways the onsets divide the beats, whichever explains most more of them than chance. ways:
    (len(beats), K) parts of each beat, see TempoMap.ways."""
    when = position(notes.onset, beats)
    when = when[when >= 0]
    if not len(when):
        return 0
    parts = ways[np.minimum(when.astype(int), len(beats) - 1)]
    off = abs(when[:, None] - np.rint(when[:, None] * parts) / parts)
    return int(np.mean((off < NEAR) - 2 * NEAR * parts, axis=0).argmax())


def parts_of(notes: Notes, beats: Notes) -> int:
    """Into how many parts the onsets divide beats that are quarters: 4, 6 or 8."""
    return PARTS[way_of(notes, beats, np.tile(PARTS, (len(beats), 1)))]


def divided(beats: Notes, parts: int | np.ndarray) -> np.ndarray:
    """Seconds where a beat divided by `parts` (of all beats, or of each) has its places, beat by beat."""
    several = np.broadcast_to(parts, len(beats))
    place = np.arange(several.sum()) - np.repeat(np.cumsum(several) - several, several)
    return np.repeat(beats.onset, several) + np.repeat(beats.duration / several, several) * place


def places(notes: Notes, beats: Notes, parts: int | np.ndarray | None = None) -> np.ndarray:
    """Seconds, ascending, where notes that go with `notes` may begin: with one of them, and where a beat divided by
    `parts` (of all beats, or of each; by default `parts_of` the notes) has a place that none of them is nearer to than
    a twelfth of a beat."""
    parts = parts_of(notes, beats) if parts is None else parts
    grid = divided(beats, parts)
    near = np.repeat(beats.duration / 12, parts)
    onset = np.unique(notes.onset)
    if len(onset):
        i = np.searchsorted((onset[1:] + onset[:-1]) / 2, grid)
        grid = grid[abs(onset[i] - grid) > near]
    return np.sort(np.append(grid, onset))
