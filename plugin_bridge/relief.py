"""Relief: a mind that keeps falling behind is asked for less. Knows stream time only."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = ((1.0, 1.0), (0.5, 1.0), (0.5, 0.5), (0.25, 0.25))  # shares of the horizon and of the instruments
STARVED = 0.5  # seconds
CALM = 20.0  # seconds for which it has to keep up before it is asked for more again


@dataclass
class Relief:
    """level: index into STEPS. starved: seconds in which nothing was decided, less a fifth of the others: some late
    answers are no falling behind, it is where more than a sixth of the time nothing is decided."""

    level: int = 0
    starved: float = 0.0
    starves: bool = False
    calm: float = 0.0  # stream time since when the mind has kept up
    looked: float = 0.0  # when that was looked at

    def look(self, now: float, starves: bool) -> None:
        """starves: whether nothing is decided, from now on until this is called again."""
        passed, self.looked = min(max(now - self.looked, 0.0), 0.2), now
        self.starved = max(self.starved + (passed if self.starves else -passed / 5), 0.0)
        self.starves = starves
        if self.starved > STARVED / 2:
            self.calm = now
        if self.starved > STARVED:
            self.level, self.starved = min(self.level + 1, len(STEPS) - 1), 0.0
        elif self.level and now - self.calm > CALM:
            self.level, self.calm = self.level - 1, now

    def horizon(self, seconds: float) -> float:
        """What is left of it."""
        return seconds * STEPS[self.level][0]

    def band(self, instruments: list[int]) -> list[int]:
        """Who is left of it: at least one."""
        return instruments[: max(1, round(len(instruments) * STEPS[self.level][1]))]
