"""Options: what every task takes beside its notes. Knows no models and no files; light enough for `anticipate
--help`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RequestError

if TYPE_CHECKING:
    import numpy as np

SEEDS = 1 << 24  # a seed that is not given is drawn below this
MAX_TAKES = 32  # takes of a request, and drafts of a take
MOST_PLACES = 24  # of a beat


@dataclass(frozen=True)
class Options:
    """What every task takes beside its notes. Text where a person would write text; see the README."""

    takes: int = 1
    best_of: int = 8  # drafts of every part, of which the best one stays: ranking.py
    seed: int = 0
    top_p: float = 0.95
    temperature: float = 0.8  # drafts are nearer to what people play than at 1 (train/LOG.md)
    scale: str | None = None  # "C major"
    low: int | None = None  # lowest and highest MIDI pitch; with neither, what can be played: Infill.ranged
    high: int | None = None
    polyphony: int | None = None  # notes at once, per instrument; see Infill
    density: int | None = None  # onsets in any second, per instrument; see Infill
    grid: str = "auto"  # where notes may begin: so many places a beat, "free", or as the known notes divide it
    chords: str = "auto"  # "| C | Am F |", the name of a part to read them from, "none", or "auto": the model's own
    style: str = "unknown"
    progress: Callable[[float, float], None] | None = None  # seconds of music written, and asked

    def __post_init__(self) -> None:
        """Raises RequestError, in the words of the command's flags."""
        for name, count in (("takes", self.takes), ("best-of", self.best_of)):
            if not 1 <= count <= MAX_TAKES:
                raise RequestError(f"--{name} must be 1 to {MAX_TAKES}")
        if not 0 < self.top_p <= 1 or not self.temperature > 0:
            raise RequestError("--top-p is more than 0 and at most 1, --temperature more than 0")
        if self.seed < 0:
            raise RequestError("--seed is 0 or more")
        if self.grid not in ("auto", "free") and self.grid not in map(str, range(1, MOST_PLACES + 1)):
            raise RequestError(f"--grid is auto, free, or 1 to {MOST_PLACES} places a beat, not {self.grid!r}")

    def changed(self, names: Iterable[str]) -> list[str]:
        """The flags of those of the named options that differ from the default."""
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) != getattr(Options, name)]

    @property
    def ranged(self) -> bool:
        """Whether a range was asked for."""
        return self.low is not None or self.high is not None

    @property
    def range(self) -> tuple[int, int]:
        """The lowest and the highest pitch that may be written."""
        return (0 if self.low is None else self.low), (127 if self.high is None else self.high)

    def pitches(self) -> np.ndarray | None:
        """(128,) legal pitches, or None for all. Raises RequestError."""
        import numpy as np

        from ..music.symbols import parse_scale

        low, high = self.range
        if not 0 <= low <= high <= 127:
            raise RequestError(f"the range {low}-{high} is empty: MIDI pitches are 0-127, low to high")
        if self.scale is None and (low, high) == (0, 127):
            return None
        pitch = np.arange(128)
        mask = (pitch >= low) & (pitch <= high)
        if self.scale is not None:
            mask &= parse_scale(self.scale)[pitch % 12]
        if not mask.any():
            raise RequestError(f"the scale {self.scale!r} has no pitch from {low} to {high}")
        return mask
