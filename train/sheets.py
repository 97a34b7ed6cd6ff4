"""Lead sheets: where the beats of a song fall, its chords, its phrases, and the parts that people wrote for it.

Read from shards (POP909 and OpenEWLD, training pieces only) or from McGill Billboard's chord charts. Knows no patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from anticipation.data.shards import Piece, Shards
from anticipation.errors import AnticipationError
from anticipation.music.harmony import NO_CHORD, chord_notes, estimate_chords
from anticipation.music.notes import Notes
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import beat_notes

PHRASE = 8  # bars, where the source does not say
MOST_BARS = 96
VOICE, LEAD = 53, 73  # what sings the tune in POP909, in OpenEWLD


@dataclass(frozen=True)
class Sheet:
    """A song in 4/4. Positions are beats from the first bar line on, as real numbers."""

    name: str
    times: np.ndarray  # (beats + 1,) seconds of every beat, and of the end
    bars: tuple[int, ...]  # the beat on which each bar begins, and the last beat
    chords: np.ndarray  # (2 * beats,) the symbol on each eighth
    phrases: tuple[int, ...]  # the bar with which each phrase begins, and the number of bars
    given: Notes  # what people wrote, in seconds; no beats and chords
    straight: bool  # performed, so that nobody may swing its eighths

    def seconds(self, positions) -> np.ndarray:
        """Song time of positions in beats; beyond the ends the tempo goes on."""
        x, last = np.asarray(positions, dtype=np.float64), len(self.times) - 1
        inside = np.interp(x, np.arange(last + 1), self.times)
        before = np.minimum(x, 0) * (self.times[1] - self.times[0])
        return inside + before + np.maximum(x - last, 0) * (self.times[-1] - self.times[-2])

    def position(self, seconds) -> np.ndarray:
        """The inverse of `seconds`, within the song."""
        return np.interp(seconds, self.times, np.arange(len(self.times)))

    @property
    def bpm(self) -> float:
        return 60 / float(np.median(np.diff(self.times)))

    @cached_property
    def changes(self) -> list[float]:
        """Positions at which the chord is another one, the first among them."""
        return (np.flatnonzero(np.diff(self.chords, prepend=-1)) / 2).tolist()

    def chord(self, position: float) -> int:
        return int(self.chords[min(max(int(position * 2 + 1e-6), 0), len(self.chords) - 1)])

    def chart(self) -> Notes:
        """Its beats and chords as BEAT and CHORD rows."""
        places = np.concatenate([np.arange(b - a) for a, b in zip(self.bars[:-1], self.bars[1:], strict=True)])
        edges = self.seconds(np.arange(len(self.chords) + 1) / 2)
        changes = zip(edges[:-1].tolist(), edges[1:].tolist(), self.chords.tolist(), strict=True)
        return beat_notes(self.times[:-1], places) + chord_notes(changes)


def sheet_of(piece: Piece, notes: Notes) -> Sheet | None:
    """The sheet of a piece of shards; None where it has no grid of 4/4 (or 2/4, two bars to one), or hardly a chord."""
    beats, chords = notes.beats, notes.chords
    performed = piece.source.startswith("pop909")
    if not performed:  # a lead sheet: its chords are played in it, and where they are not, a tune alone tells none
        backing = notes.without_instruments([LEAD]).audible
        chords = estimate_chords(backing, beats) if len(beats) else chords
    starts = np.flatnonzero(beats.pitch == 0)
    if len(starts) < 9 or len(chords) < 4:
        return None
    length = np.diff(starts)
    if (length == 2).mean() > 0.9:
        starts = starts[: len(starts) // 2 * 2 : 2]
        length = np.diff(starts)
    if (length == 4).mean() < 0.9:
        return None
    starts = starts[: MOST_BARS + 1]
    first, last = int(starts[0]), int(starts[-1])
    times = beats.onset[first : last + 1]
    halves = np.interp(np.arange(2 * (last - first)) / 2, np.arange(last - first + 1), times) + 0.03
    i = np.searchsorted(chords.onset, halves, side="right") - 1
    known = (i >= 0) & (halves < chords.offset[i] + 0.05)
    symbols = np.where(known, chords.pitch[i], NO_CHORD)
    if not performed:
        silent = (backing.onset[None] > halves[:, None]) | (backing.offset[None] < halves[:, None])
        symbols = np.where(silent.all(1), NO_CHORD, symbols)
    if (symbols == NO_CHORD).mean() > 0.3:
        return None
    bars = tuple((starts - first).tolist())
    phrases = (*range(0, len(bars) - 1, PHRASE), len(bars) - 1)
    given = notes.audible.between(float(times[0]) - 0.05, float(times[-1]))
    name = f"{piece.source}-{Path(piece.name).stem[:60]}"
    return Sheet(name, times, bars, symbols, phrases, given, performed)


def shard_sheets(shards: Shards, sources: tuple[str, ...]) -> Iterator[Sheet]:
    """The sheets of training pieces. Held-out songs have none."""
    for piece in shards.split("train"):
        if piece.source in sources:
            sheet = sheet_of(piece, shards.notes(piece))
            if sheet:
                yield sheet


def billboard_sheets(folder: Path) -> Iterator[Sheet]:
    """The sheets of McGill Billboard's charts in 4/4, a phrase a line. Raises AnticipationError for no charts."""
    paths = sorted(path for path in folder.glob("*.txt") if path.stem.isdecimal())
    if not paths:
        raise AnticipationError(f"{folder} has no charts of the Billboard corpus (0003.txt ...)")
    for path in paths:
        text = path.read_text(encoding="utf-8")
        sheet = parse_chart_file(f"billboard-{path.stem}", text) if "# metre: 4/4" in text else None
        if sheet:
            yield sheet


def parse_chart_file(name: str, text: str) -> Sheet | None:
    """A chart of the Billboard corpus: seconds, a tab, and a phrase of bars. Its beats are even within a phrase. None
    where less than 16 bars, or 1.2 to 4 beats a second, come out."""
    lines = [line.split("\t", 1) for line in text.splitlines() if "\t" in line and not line.startswith("#")]
    times, bars, phrases, chords, beat, started = [], list[int](), [], [], 0, False
    for (at, words), (until, _) in zip(lines[:-1], lines[1:], strict=True):
        found = bars_of(words)
        beats = sum(len(bar) for bar in found) // 2
        if not found:
            if started:  # silence or talk in the middle: the song ends there
                break
            continue
        started = True
        if not 1.2 <= beats / max(float(until) - float(at), 0.1) <= 4:
            break
        phrases.append(len(bars))
        times += np.linspace(float(at), float(until), beats, endpoint=False).tolist()
        end = float(until)
        for bar in found:
            bars.append(beat)
            beat += len(bar) // 2
            chords += bar
    if len(bars) < 16:
        return None
    shift = times[0]
    edges = np.array([*times, end]) - shift
    cut = next((i for i in phrases if i >= MOST_BARS), len(bars))
    bars.append(beat)
    last = bars[cut]
    sheet_phrases = (*(i for i in phrases if i < cut), cut)
    return Sheet(name, edges[: last + 1], tuple(bars[: cut + 1]), np.array(chords[: 2 * last]), sheet_phrases,
                 Notes.of([]), False)  # fmt: skip


def bars_of(words: str) -> list[list[int]]:
    """The bars of a line, each as the symbols on its eighths. '.' holds a chord, '(2/4)' is a shorter bar."""
    inside = re.search(r"\|(.*)\|", words)
    if not inside:
        return []
    times = re.search(r"\|\s*x(\d+)", words)
    out: list[list[int]] = []
    symbol = NO_CHORD
    for cell in inside[1].split("|"):
        metre = re.search(r"\((\d+)/(\d+)\)", cell)
        beats = int(metre[1]) * 4 // int(metre[2]) if metre else 4
        names = re.sub(r"\(\d+/\d+\)", "", cell).split()
        if not names or not beats:
            continue
        bar: list[int] = []
        for i, name in enumerate(names):
            symbol = symbol if name == "." else symbol_of(name, symbol)
            bar += [symbol] * (2 * beats * (i + 1) // len(names) - len(bar))
        out.append(bar)
    return out * (int(times[1]) if times and int(times[1]) <= 8 else 1)


def symbol_of(name: str, before: int) -> int:
    """A chord of the corpus ('Ab:sus4(b7,9)/5') as a symbol of ours; what has no name here holds the one before."""
    plain = re.sub(r"\(.*?\)", "", name.partition("/")[0])
    plain = plain.replace(":maj13", ":maj7").replace(":min13", ":min7").replace(":5", ":maj").replace(":1", ":maj")
    plain = re.sub(r":maj(?=9|11)\d+", ":maj7", plain)
    if name.startswith(("N", "*", "&", "X")):
        return NO_CHORD if name.startswith(("N", "X")) else before
    try:
        symbol = parse_chord(plain.rstrip(":"))
    except AnticipationError:
        return before
    seventh = {0: 8, 1: 7}.get(symbol // 12) if "b7" in name else None
    return symbol if seventh is None else seventh * 12 + symbol % 12


def melody_of(sheet: Sheet) -> Notes:
    """The part of a sheet that lies highest and is no accompaniment: the tune; empty where it has none."""
    parts = [sheet.given[sheet.given.instrument == i] for i in (VOICE, LEAD)]
    return next((part for part in parts if len(part)), sheet.given[:0])
