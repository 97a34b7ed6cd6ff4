"""Meters: what is measured while playing, as the figures a person wants. Knows numbers only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

LATE = 0.01  # seconds after its time at which a note that is sent is late


def quantiles(seconds: Iterable[float], names: dict[str, float]) -> dict[str, float | None]:
    """{"p50": 0.5} -> {"p50": the median in milliseconds}; None where there are no values."""
    ordered = sorted(seconds)
    at = {name: min(int(share * len(ordered)), len(ordered) - 1) for name, share in names.items()}
    return {name: round(ordered[i] * 1000.0, 3) if ordered else None for name, i in at.items()}


def late(errors: Iterable[float]) -> int:
    """How many notes were: errors are seconds from when each was due to its sending."""
    return sum(error > LATE for error in list(errors))


class Meters:
    """Collects reaction times, load and speed; `figures` sums them up. fed: rows that the mind's trunk has run over."""

    def __init__(self) -> None:
        self.reactions: deque[float] = deque(maxlen=2000)  # seconds from a note-on to a plan that knows it
        self.suffixes: deque[int] = deque(maxlen=2000)  # rows read for a note of the player, the first event included
        self.load: float | None = None  # seconds of compute for a second of music
        self.rate: float | None = None  # events a second
        self.fed = 0
        self._asked: dict[int, float] = {}  # question -> when the note came in that it was asked for
        self._cache: tuple[float, dict] = (-1.0, {})

    def asked(self, number: int, stamp: float | None) -> None:
        if stamp is not None:
            self._asked = {n: t for n, t in self._asked.items() if n > number - 8} | {number: stamp}

    def stepped(self, number: int, now: float, fed: int) -> None:
        stamp = self._asked.pop(number, None)
        if stamp is not None:
            self.reactions.append(now - stamp)
            self.suffixes.append(fed - self.fed)
        self.fed = fed

    def done(self, compute: float, music: float) -> None:
        if music > 0.2:
            self.load = compute / music if self.load is None else 0.8 * self.load + 0.2 * compute / music

    def figures(self, errors: Iterable[float], dropped: int) -> dict:
        """As in the contract of App; made anew once a second, for there are many errors."""
        now = time.perf_counter()
        if now - self._cache[0] > 1.0:
            self._cache = now, {
                "reaction_ms": quantiles(self.reactions, {"p50": 0.5, "p95": 0.95}),
                "jitter_ms": quantiles(list(errors)[-3000:], {"p50": 0.5, "p99": 0.99, "max": 1.0}),
                "late": late(errors), "dropped": dropped,
                "load": None if self.load is None else round(self.load, 3),
                "events_per_second": None if self.rate is None else round(self.rate, 1),
            }  # fmt: skip
        return self._cache[1]
