"""Timeline: what the DAW has sent ahead, and how the song goes through it. Knows song time and stream time; knows no
player."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anticipation.errors import RequestError
from anticipation.music.notes import DRUMS, Note, Notes

from .clock import Grid

MAX_NOTES = 50_000
BEFORE, AHEAD = 90.0, 15.0  # seconds around a moment that are looked at
NEAR = 0.05  # seconds by which what is written, or the DAW, may be off the beats between which it goes round


class Timeline:
    """Song time jumps and stream time does not: what the song has gone through stays what it was, and a DAW that has
    gone round once is expected to do so again."""

    def __init__(self) -> None:
        self.notes = Notes.of([])  # in song seconds, as the DAW sent them
        self._past = Notes.of([])  # in stream seconds: what there was before the song last went round
        self._seam = -np.inf  # stream time at which it did
        self._loop: tuple[int, int] | None = None  # the beats between which it goes round, by the clock's count
        self._rounds = 0  # how often it has
        self._song, self._now, self._grid = 0.0, 0.0, Grid()

    def __len__(self) -> int:
        return len(self.notes)

    def send(self, notes: Iterable[Note], replace_from: float) -> None:
        """The future as the DAW has it, in song seconds."""
        late = Notes.of(notes).between(replace_from, np.inf)
        self.notes = self.notes.between(-np.inf, replace_from) + late

    def learn_grid(self, song: float, now: float, grid: Grid) -> None:
        """now: stream time; grid: the song's."""
        self._song, self._now, self._grid = song, now, grid

    def bars(self, numbers: np.ndarray) -> np.ndarray:
        """(N,) which bar of the song each bar by the clock's count was or will be: those of the loop come again."""
        if not self._loop:
            return numbers
        first, end = (beat / self._grid.meter for beat in self._loop)
        length = max(int(end - first), 1)
        rounds = np.floor((numbers - first) / length).astype(int)
        return numbers - length * rounds.clip(-self._rounds, None if self._goes_round(self._song) else 0)

    def _goes_round(self, song: float) -> bool:
        """Whether the song is in a loop at a time."""
        if not self._loop:
            return False
        first, end = map(self._grid.time_of, self._loop)
        return first - NEAR <= song < end + NEAR

    def around(self, time: float, offset: float) -> Notes:
        """What was and will be around a stream time, in stream time. offset: song time less stream time."""
        song = time + offset
        there = self.notes.between(max(song - BEFORE, self._seam + offset), song + AHEAD)
        if self._loop and self._goes_round(song):
            first, end = (self._grid.time_of(beat) - NEAR for beat in self._loop)
            rounds = range(1, int((song + AHEAD - end) / (end - first)) + 2)
            again = (self.notes.between(first, end).shift(n * (end - first)) for n in rounds)
            there = Notes.concat([there.between(-np.inf, end), *again]).between(-np.inf, song + AHEAD)
        return self._past.between(time - BEFORE, np.inf) + there.shift(-offset)

    def go_round(self, offset: float, beats: int) -> None:
        """The song is about to jump by so many beats, which are whole bars; offset: before it does."""
        self._past, self._seam = self.around(self._now, offset).between(-np.inf, self._now), self._now
        end = round(self._grid.beat_at(self._now + offset))
        loop = (end + beats, end) if beats < 0 else None
        self._rounds, self._loop = self._rounds + 1 if loop == self._loop else 1, loop

    def locate(self) -> None:
        """The song is elsewhere, and what is written before that place is its past."""
        self._past, self._seam, self._loop = Notes.of([]), -np.inf, None


def checked_timeline(notes, replace_from) -> tuple[list[Note], float]:
    """What a DAW sent, checked. Raises RequestError."""
    try:
        rows = [(float(a), float(b), int(p), int(i), int(v)) for a, b, p, i, v in notes]
        start = float(replace_from)
    except (TypeError, ValueError, OverflowError):
        raise RequestError("a timeline is [onset, duration, pitch, instrument, velocity] lists") from None
    inside = all(
        0 <= a < 1e5 and 0 < b < 1e5 and 0 <= p < 128 and 0 <= i <= DRUMS and 0 < v < 128 for a, b, p, i, v in rows
    )
    if len(rows) > MAX_NOTES or not inside or not abs(start) < 1e6:
        raise RequestError(f"a note of the timeline is out of range, or there are more than {MAX_NOTES:,}")
    return rows, start
