"""The four tasks that a model is judged by, cut out of held-out pieces: what is given, and what the human wrote. Knows
shards; knows no models and no rubrics."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from anticipation.data.shards import Piece, Shards
from anticipation.data.windows import STYLE_OF, top_part
from anticipation.model.stream import FUTURE, HISTORY
from anticipation.music.notes import BEAT, Notes

MELODY, PIANO = 53, 0  # instruments of POP909's tune and of its accompaniment
SECONDS, HOLE = 24.0, 4.0
LEAD = 0.05  # seconds from the start of an excerpt to its first note
PIECES = 64  # of all sources, for the tasks that any piece can be asked
LEAST = 8  # notes that have to be given, and notes that have to be hidden


@dataclass(frozen=True)
class Case:
    """One test case. known: the notes that are given. human: the hidden notes, which begin in start <= onset < end
    (seconds). instruments: those that may be written. melody: the part that what is written should not double. beats,
    chords: the piece's, as far as they are known."""

    task: str
    piece: Piece
    known: Notes
    human: Notes
    start: float
    end: float
    instruments: tuple[int, ...]
    melody: Notes
    beats: Notes
    chords: Notes

    @property
    def name(self) -> str:
        return f"{self.piece.source}/{self.piece.name}"

    @property
    def style(self) -> str:
        return STYLE_OF.get(self.piece.source, "unknown")

    @property
    def grid(self) -> Notes:
        """The beats, or where none are known half seconds in bars of four."""
        if len(self.beats):
            return self.beats
        return Notes.of((0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(round(2 * self.end) + 1))

    @property
    def bars(self) -> np.ndarray:
        """Seconds of the bar lines."""
        return self.grid.onset[self.grid.pitch == 0]


def cut(notes: Notes, start: float, end: float) -> tuple[Notes, Notes, Notes]:
    """Audible notes, beats and chords of a span (seconds), moved to 0. A chord that sounds at its start begins with
    it."""
    chords = notes.chords
    chords = chords[(chords.offset > start) & (chords.onset < end)].shift(-start)
    late = np.maximum(-chords.onset, 0.0)
    chords = chords.replace(onset=chords.onset + late, duration=chords.duration - late)
    window = notes.between(start, end).shift(-start)
    return window.audible, window.beats, chords


def accompany(piece: Piece, notes: Notes, rng: np.random.Generator) -> Case | None:
    """The melody is given from its first note on; the piano is asked for. POP909 only."""
    melody = notes[notes.instrument == MELODY]
    if not len(melody):
        return None
    start = float(melody.onset[0]) - LEAD
    window, beats, chords = cut(notes, start, start + SECONDS)
    melody, human = (window[window.instrument == i] for i in (MELODY, PIANO))
    return Case("accompany", piece, melody, human, 0.0, SECONDS, (PIANO,), melody, beats, chords)


def parts(piece: Piece, notes: Notes, rng: np.random.Generator) -> Case | None:
    """All parts are given but one."""
    window, beats, chords = _excerpt(notes, rng)
    enough = [i for i in window.instruments if LEAST <= (window.instrument == i).sum() <= len(window) - LEAST]
    if not enough:
        return None
    hidden = int(rng.choice(enough))
    known, human = window[window.instrument != hidden], window[window.instrument == hidden]
    return Case("parts", piece, known, human, 0.0, SECONDS, (hidden,), _top(known), beats, chords)


def hole(piece: Piece, notes: Notes, rng: np.random.Generator) -> Case | None:
    """Four seconds of all parts are missing in the middle of a piece. Where the hole begins and which parts are named
    tell nothing of what is hidden: it begins at any moment, and parts that play around it may be silent in it."""
    audible = notes.audible
    first, last = float(audible.onset[0]) + 4.0, audible.end - HOLE - 4.0
    if first >= last:
        return None
    at = float(rng.uniform(first, last))
    origin = max(0.0, at - HISTORY)
    window, beats, chords = cut(notes, origin, at + HOLE + FUTURE)
    start = at - origin
    gone = (window.onset >= start) & (window.onset < start + HOLE)
    known, human = window[~gone], window[gone]
    if len(human) < LEAST or len(known) < LEAST:
        return None
    instruments = tuple(window.instruments)
    return Case("hole", piece, known, human, start, start + HOLE, instruments, Notes.of([]), beats, chords)


def half(piece: Piece, notes: Notes, rng: np.random.Generator) -> Case | None:
    """A random half of the notes is given."""
    window, beats, chords = _excerpt(notes, rng)
    given = rng.random(len(window)) < 0.5
    known, human = window[given], window[~given]
    if len(human) < LEAST or len(known) < LEAST:
        return None
    return Case("half", piece, known, human, 0.0, SECONDS, tuple(window.instruments), _top(known), beats, chords)


TASKS: dict[str, Callable[[Piece, Notes, np.random.Generator], Case | None]] = {
    "accompany": accompany, "parts": parts, "hole": hole, "half": half,
}  # fmt: skip


def _excerpt(notes: Notes, rng: np.random.Generator) -> tuple[Notes, Notes, Notes]:
    onset = notes.audible.onset
    starts = onset[onset <= max(onset[0], onset[-1] - SECONDS)]
    start = float(rng.choice(starts)) - LEAD
    return cut(notes, start, start + SECONDS)


def _top(notes: Notes) -> Notes:
    part = top_part(notes)
    return Notes.of([]) if part is None else notes[notes.instrument == part]


def cases(shards: Shards, task: str, seed: int = 0, most: int | None = None) -> Iterator[Case]:
    """The cases of a task; the same seed gives the same ones. accompany: POP909's development songs in their order. The
    others: held-out pieces, each once, from the sources in turn."""
    songs = [piece for piece in shards.split("dev") if piece.source == "pop909"]
    pieces = songs if task == "accompany" else list(_by_turns(songs + shards.split("valid"), seed))
    left = most or (len(pieces) if task == "accompany" else PIECES)
    for piece in pieces:
        if not left:
            return
        rng = np.random.default_rng((seed, zlib.crc32(f"{task} {piece.source} {piece.name}".encode())))
        case = TASKS[task](piece, shards.notes(piece), rng)
        if case is not None:
            left -= 1
            yield case


def _by_turns(pieces: list[Piece], seed: int) -> Iterator[Piece]:
    """Pieces of the sources in turn, in random order within a source, until all are used."""
    order = np.random.default_rng(seed).permutation(len(pieces))
    waiting: dict[str, list[Piece]] = {source: [] for source in sorted({piece.source for piece in pieces})}
    for i in order:
        waiting[pieces[i].source].append(pieces[i])
    while any(waiting.values()):
        yield from (several.pop() for several in waiting.values() if several)
