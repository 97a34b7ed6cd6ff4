"""Ticks: the last ticks of a MIDI clock and their tempo, however they jitter and whichever are lost. Knows wall times
and numbers; knows no song."""

from __future__ import annotations

import numpy as np

TICKS = 24  # MIDI clock's, in a quarter
UNLIKELY = 12.0  # cost of believing that ticks were lost or the tempo changed: odds of 1 in 400, twice their log


def line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """(wall time at the last point, seconds a tick): least squares through (tick, wall time) points, at least two."""
    ticks, walls = np.array([tick for tick, _ in points], dtype=np.float64), np.array([wall for _, wall in points])
    x, y = ticks - ticks.mean(), walls - walls.mean()
    period = float(x @ y / (x @ x))
    return float(walls.mean() + period * (ticks[-1] - ticks.mean())), period


def lost_before(late: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
    """How many ticks were lost before each tick, given that the ticks arrived `late` periods after their time, and what
    that explanation costs: the likeliest non-decreasing sequence of counts (Viterbi), with Gaussian jitter of `noise`
    periods. Negative counts mean that too many ticks were counted before."""
    numbers = np.array(sorted({0, *np.rint(late).astype(int).tolist()}))
    change = np.where(numbers[:, None] == numbers, 0, np.where(numbers[:, None] < numbers, UNLIKELY, np.inf))
    cost, back = UNLIKELY * (numbers != 0), []
    for tick in late:
        ways = cost[:, None] + change
        back.append(ways.argmin(0))
        cost = ways.min(0) + ((tick - numbers) / noise) ** 2
    path = [int(cost.argmin())]
    for before in back[:0:-1]:
        path.append(int(before[path[-1]]))
    return numbers[path[::-1]], float(cost.min())


def bent(late: np.ndarray, noise: float) -> float:
    """What the other explanation of `late` ticks costs: that the tempo changed, at whichever of them fits best."""
    steps = np.arange(1, len(late) + 1)
    ramps = np.maximum(steps[None] - np.arange(len(late) - 2)[:, None], 0)
    slopes = (ramps @ late) / (ramps**2).sum(1)
    return float(((late - slopes[:, None] * ramps) ** 2).sum(1).min() / noise**2 + UNLIKELY)


class Ticks:
    """Ticks by their numbers since the song's beginning. A straight line through them averages their jitter. Where the
    newest ticks leave the line that the older ones make, either ticks were lost between them (they lie whole periods
    late: they are numbered anew) or the tempo is another (the older ones are forgotten): whichever is likelier, once it
    is clearly so."""

    MEMORY, NEW = 96, 7  # ticks on the line; ticks that may leave it (twice as many while it is open what they tell)

    def __init__(self) -> None:
        self._points: list[tuple[int, float]] = []  # (number, wall time)
        self._next = 0  # the number of the next tick
        self._open = self.NEW  # so many ticks may have left the line

    @property
    def last(self) -> float | None:
        """When the last one came, if any is known."""
        return self._points[-1][1] if self._points else None

    def hear(self, wall: float) -> None:
        """The next one comes."""
        self._points = [*self._points[1 - self.MEMORY :], (self._next, wall)]
        self._next += 1

    def number(self, tick: int) -> None:
        """The next tick is number `tick`; those that are known are counted back from it."""
        moved = tick - self._next
        self._points = [(number + moved, wall) for number, wall in self._points]
        self._next = tick

    def forget(self) -> None:
        """Those that come next have a tempo of their own."""
        self._points = []

    def fit(self, period: float) -> tuple[int, float, float]:
        """The number of the last tick on the line, its wall time there, and the seconds a tick: `period`, where there
        are too few to tell a tempo by."""
        # A line through fewer leaves by itself: at 200 bpm and 3 ms of jitter, ticks were taken for lost that were not.
        points = self._points if len(self._points) <= 2 * TICKS else self._on_the_line()
        number = points[-1][0]
        if len(points) < self.NEW:
            return number, float(np.mean([wall + period * (number - tick) for tick, wall in points])), period
        return number, *line(points)

    def _on_the_line(self) -> list[tuple[int, float]]:
        """Ask whether the newest ticks are still on the line of the older ones. Answers the points to fit a line to,
        without those that left it while it is undecided why they did."""
        old, new = self._points[: -self._open], self._points[-self._open :]
        end, period = line(old)
        late = np.array([wall - end - period * (tick - old[-1][0]) for tick, wall in new])
        noise = float(np.std([wall - end - period * (tick - old[-1][0]) for tick, wall in old]))
        near = old + [point for point, error in zip(new, late, strict=True) if abs(error) < 0.5 * period]
        if abs(np.median(late[-self.NEW :])) < max(0.005, 0.1 * period, 2.2 * noise):
            self._open = self.NEW
            return near
        late, jitter = late / period, max(noise / period, 0.01)
        (lost, cost), other = lost_before(late, jitter), bent(late, jitter)
        if abs(cost - other) < UNLIKELY and self._open < 2 * self.NEW:
            self._open += 1
            return near
        self._open = self.NEW
        if np.any(lost) and cost < other:
            new = [(tick + int(k), wall) for (tick, wall), k in zip(new, lost, strict=True)]
            self._points, self._next = old + new, new[-1][0] + 1
        else:
            self._points = new[-4:]
        return self._points
