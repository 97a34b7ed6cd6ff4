"""Voicing: chords as block chords for an instrument. Knows no models."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .harmony import CHORD_TONES, NO_CHORD
from .notes import Notes


def voicing(
    chords: Notes, instrument: int, pitches: np.ndarray | None = None, polyphony: int | None = None,
    density: int | None = None,
) -> Notes:  # fmt: skip
    """Block chords: a root below, and above it the chord's tones, each time as near as possible to where they were,
    within the limits. chords: CHORD notes. pitches: (128,) mask of the legal ones. polyphony: most notes of a chord.
    density: most notes that begin within a second."""
    legal = np.ones(128, dtype=bool) if pitches is None else pitches
    rows: list[tuple] = []
    centre = 62.0

    def tones(classes, low: int, high: int) -> list[int]:
        """The legal pitches of some pitch classes in a register; if it has none, wherever there are any."""
        found = [p for p in range(128) if legal[p] and p % 12 in classes]
        return [p for p in found if low <= p < high] or found

    for onset, duration, symbol, _, _ in chords:
        if symbol == NO_CHORD:
            continue
        bass = sorted(tones([symbol % 12], 40, 52), key=lambda p: abs(p - 46))[:1]
        upper = [p for p in tones(np.flatnonzero(CHORD_TONES[symbol]), 54, 72) if p not in bass]
        upper = sorted(sorted(upper, key=lambda p: abs(p - centre))[:4])
        lately = sum(row[0] > onset - 1.0 for row in rows[-density:]) if density else 0
        room = (polyphony, density - lately if density else None)
        voices = (bass + upper)[: min((n for n in room if n is not None), default=None)]
        centre = float(np.mean(upper)) * 0.5 + 31.0 if upper else centre
        rows += [(onset, duration * 0.98, p, instrument, 70) for p in voices]
    return Notes.of(rows)


def at_bars(chords: Notes, bars: np.ndarray) -> Notes:
    """CHORD notes that begin again at every bar line (seconds) within them."""
    rows = []
    for onset, duration, *rest in chords:
        cuts = bars[(bars > onset + 0.06) & (bars < onset + duration - 0.06)].tolist()
        edges = [onset, *cuts, onset + duration]
        rows += [(start, end - start, *rest) for start, end in pairwise(edges)]
    return Notes.of(rows)
