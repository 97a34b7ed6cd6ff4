"""Options: what every task takes beside its notes. Knows no models and no files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import RequestError
from .harmony import parse_scale


@dataclass(frozen=True)
class Options:
    """What every task takes beside its notes. Text where a person would write text; see the README."""

    takes: int = 1
    best_of: int = 4  # drafts of every part, of which the one stays that what is known goes best with
    seed: int = 0
    top_p: float = 0.95
    temperature: float = 1.0
    scale: str | None = None  # "C major"
    low: int = 0  # MIDI pitches, both included
    high: int = 127
    polyphony: int | None = None  # notes at once, per instrument; see Infill
    density: int | None = None  # onsets in any second, per instrument; see Infill
    grid: str = "auto"  # where notes may begin: so many places a beat, "free", or as the known notes divide it
    chords: str = "auto"  # "| C | Am F |", the name of a part to read them from, "none", or "auto": the model's own
    style: str = "unknown"
    progress: Callable[[float, float], None] | None = None  # seconds of music written, and asked


def pitches(options: Options) -> np.ndarray | None:
    """(128,) legal pitches, or None for all. Raises RequestError."""
    if not 0 <= options.low <= options.high <= 127:
        raise RequestError(f"the range {options.low}-{options.high} is empty: MIDI pitches are 0-127, low to high")
    if options.scale is None and (options.low, options.high) == (0, 127):
        return None
    pitch = np.arange(128)
    mask = (pitch >= options.low) & (pitch <= options.high)
    if options.scale is not None:
        mask &= parse_scale(options.scale)[pitch % 12]
    if not mask.any():
        raise RequestError(f"the scale {options.scale!r} has no pitch from {options.low} to {options.high}")
    return mask
