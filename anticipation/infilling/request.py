"""Infill: a request for notes; every task is one. Knows no models and no files."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import RequestError
from ..music.notes import DRUMS, Notes
from .ending import Ending


@dataclass(frozen=True)
class Infill:
    """What is known, and what is to be written around it. Raises RequestError where there is nothing to write."""

    known: Notes  # all notes that stay, with CHORD and BEAT rows where those are known
    start: float  # seconds; what is written has start <= onset < end
    end: float
    instruments: tuple[int, ...]  # what may be written
    pitches: np.ndarray | None = None  # (128,) mask of legal pitches (scale, range), drums excepted
    # Notes of one instrument at once, and its onsets in any second (0: free). Where these are None, an instrument has
    # as many as around the span, or where little of it is known as many as can be played on it: habits.py.
    polyphony: int | None = None
    density: int | None = None
    delta: float = 5.0  # seconds of anticipation; negative where known notes reach the model late
    style: str = "unknown"  # one of stream.STYLES
    places: np.ndarray | None = None  # seconds, ascending, where what is written may begin; by default anywhere
    ranged: bool = False  # `pitches` holds a range; else each instrument keeps to what it can play and does elsewhere
    # Pitched notes of every instrument, each of which is answered by one that begins and ends when it does and is as
    # loud, near its pitch unless `ranged`. Nothing else is written; polyphony, density and places mean nothing.
    rhythm: Notes | None = None
    beside: Notes | None = None  # what other hands play on the keyboard that is written for; its keys are left to them
    ending: Ending | None = None  # where the piece comes to rest within the span
    gone: Notes = field(default_factory=lambda: Notes.of([]))  # what gives way there, and is not wanted again
    instead: bool = False  # others come in place of that, in no rests
    # What `drafting.generate` finds out about these.
    tune: Notes | None = None  # a melody under which new chords stay, alone but for basses and drums
    before: np.ndarray | None = None  # where the piece goes as it has gone before (`form.counterparts`), for new parts
    unheard: tuple[int, ...] = ()  # instruments that the model is not told of; what is written keeps to them

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end < np.inf:
            raise RequestError(
                f"nothing to write: the span {self.start:.2f}-{self.end:.2f} s is empty or before the start"
            )
        if not self.instruments:
            raise RequestError("nothing to write: no instrument is left that may be written")
        pitched = [i for i in self.instruments if i < DRUMS]
        if pitched and self.pitches is not None and not self.pitches.any():
            raise RequestError("nothing to write: the scale has no pitch in the range")
        if self.polyphony is not None and self.polyphony < 1 or self.density is not None and self.density < 0:
            raise RequestError("polyphony is at least 1, and density 0 (free) or more")
        if self.rhythm is not None and not set(self.instruments) <= set(self.rhythm.pitched.instruments):
            raise RequestError("nothing to write: an instrument that may be written has no pitched notes in the rhythm")
