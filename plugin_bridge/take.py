"""Take: what sounded, both sides, as the lines of a journal tell it, and the file that is made of it. Knows notes and
tempos in seconds, and the player's channels; knows no clock and no disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from anticipation.music.notes import Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import MAX_HOURS, Move, Score

from .clock import Meter
from .ears import CONTROLLER, OTHER, at_rest, moved_by, parse
from .scheduler import SHORTEST

PPQN = 480
LONGEST = MAX_HOURS * 3600.0 - 60.0  # seconds that a file may hold
UNKNOWN = 0.5  # seconds of one whose end nobody heard of
TAIL = 0.25  # seconds of a note that are no more than its end
EARLY = 0.06  # seconds by which who plays on a bar line may come before it
T = TypeVar("T", Meter, float)


class LiveNote(NamedTuple):
    """A note of the player or of the band, and its MIDI channel, 0-15. onset: seconds of the song, of a take, or of the
    wall clock, as it is said where it is used."""

    onset: float
    duration: float
    pitch: int
    instrument: int
    velocity: int
    channel: int


@dataclass
class Take:
    """What sounded, both sides. Times are seconds since it began. tempos: (seconds, bpm). meters: (seconds, metre).
    moves: the player's pedals, wheels, pressure and bends: (seconds, status, data). held: the player's notes that have
    not ended yet, by channel and pitch."""

    heard: list[LiveNote] = field(default_factory=list)
    played: list[LiveNote] = field(default_factory=list)
    tempos: list[tuple[float, float]] = field(default_factory=list)
    meters: list[tuple[float, Meter]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    held: dict[tuple[int, int], LiveNote] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.heard) + len(self.played)

    def add(self, what: str, *values) -> None:
        """A line of the journal: tempo, meter, silence, move, join, or a note: held, or of the side `what`."""
        if what == "tempo":
            self.tempos.append((float(values[0]), float(values[1])))
        elif what == "meter":
            *at, beats = values[:2]  # a journal of old has quarters in a bar, and an older one no time
            meter = int(beats), int(values[2]) if len(values) == 3 else 4
            self.meters = [entry for entry in self.meters if entry[0] < float(*at)] + [(float(*at), meter)]
        elif what == "silence":
            self._silence(float(values[0]), values[1])
        elif what == "move":
            at, status, *data = values
            message = parse([status, *data])
            if message is None or message.kind not in (CONTROLLER, OTHER):
                raise ValueError(f"no message: {values}")
            self.moves.append((float(at), status, bytes(data)))
        elif what == "join":
            one, *members = map(int, values)
            self.heard = [row._replace(channel=one) if row.channel in members else row for row in self.heard]
            self.held = {(one if c in members else c, pitch): row for (c, pitch), row in self.held.items()}
            self.moves = [move for move in self.moves if move[1] & 15 not in members]
        else:
            onset, duration, pitch, instrument, velocity, *channel = values  # a journal of old has no channel
            length = max(float(duration), SHORTEST)
            row = LiveNote(float(onset), length, int(pitch), int(instrument), int(velocity), int(*channel))
            if what == "held":
                self.held[row.channel, row.pitch] = row
            else:
                {"heard": self.heard, "played": self.played}[what].append(row)
            if what == "heard":
                self.held.pop((row.channel, row.pitch), None)

    def _silence(self, at: float, instruments: Collection[int] | None) -> None:
        """The band's notes, of these instruments or of all, that were to begin later never sounded; others ended."""
        silent = [instruments is None or row.instrument in instruments for row in self.played]
        self.played = [
            _until(at, row) if ends else row
            for row, ends in zip(self.played, silent, strict=True)
            if row.onset < at or not ends
        ]

    def over(self) -> float:
        """When the last note ended, and the last pedal was moved."""
        ends = [row.onset + row.duration for row in self.heard + self.played]
        return max(ends + [move[0] for move in self.moves], default=0.0)

    def released(self) -> Take:
        """What was held as the journal broke off lasts as long as anything is known, and for UNKNOWN at least."""
        over = self.over()
        ends = [row._replace(duration=max(over - row.onset, UNKNOWN)) for row in self.held.values()]
        return replace(self, heard=self.heard + ends, held={})

    def rests(self) -> list[tuple[int, ...]]:
        """The messages that let go of the player's pedals and wheels, as they were left."""
        last = {moved_by((status, *data)): (status, *data) for _, status, data in self.moves}
        return [rest for message in last.values() if (rest := at_rest(message)) and rest != message]

    def rested(self, at: float) -> Take:
        """The player lets go there: a file that ends with a pedal down leaves its notes ringing."""
        return replace(self, moves=self.moves + [(at, rest[0], bytes(rest[1:])) for rest in self.rests()])

    def between(self, start: float, end: float) -> Take:
        """What sounds in start <= time < end, as a take of its own: what began before begins there, unless it is only
        the end of a note, and what sounds on ends there."""
        heard, played = (
            [_until(end, row)._replace(onset=row.onset - start) for row in _since(start, rows) if row.onset < end]
            for rows in (self.heard, self.played)
        )
        moves = [(max(at - start, 0.0), kind, data) for at, kind, data in _standing(start, self.moves) if at < end]
        tempos = _from(start, [entry for entry in self.tempos if entry[0] < end])
        meters = _from(start, [entry for entry in self.meters if entry[0] < end])
        return Take(heard, played, tempos, meters, moves).rested(end - start)

    def scores(self) -> list[Score]:
        """A file of both sides; several where it is too long for one, none where nothing sounded. Raises MidiError."""
        over = self.over()
        whole = self.rested(over)
        cuts = [whole.between(n * LONGEST, (n + 1) * LONGEST) for n in range(int(over // LONGEST) + 1)]
        return [cut.score() for cut in cuts if len(cut)]

    def tempo(self) -> TempoMap:
        """The tempos and metres, in ticks."""
        ticks, at, rate = 0.0, 0.0, 120.0
        entries = []
        for time_, bpm in sorted(dict(self.tempos).items()) or [(0.0, 120.0)]:  # at one time the last
            ticks += max(0.0, time_ - at) * rate / 60 * PPQN
            at, rate = max(time_, at), bpm
            entries.append((round(ticks), round(60e6 / bpm)))
        tempo = TempoMap(PPQN, tuple(entries))
        return replace(tempo, meters=tuple((int(tempo.ticks(at)), *meter) for at, meter in self.meters))

    def last_bars(self, bars: int, end: float) -> Take:
        """What sounded in so many bars, as a take of its own that begins on a bar line: counted back from that which is
        nearest to `end`. What came a little before the first is on it."""
        lines = self.tempo().bar_seconds(end)
        start = max(float(lines[max(int(abs(lines - end).argmin()) - bars, 0)]), end - LONGEST)
        heard, played = (
            [row._replace(onset=start) if start - EARLY <= row.onset < start else row for row in rows]
            for rows in (self.heard, self.played)
        )
        return replace(self, heard=heard, played=played).between(start, end)

    def score(self) -> Score:
        score = Score.from_notes(Notes.of([]), self.tempo())
        for channel in sorted({row.channel for row in self.heard}):  # two keyboards may hold one key
            notes = Notes.of(row[:5] for row in self.heard if row.channel == channel)
            moves = [(at, status & 0xF0, data) for at, status, data in self.moves if status & 15 == channel]
            score = score.with_notes(notes, stamp="anticipate live; the player", moves=moves)
        return score.with_notes(Notes.of(row[:5] for row in self.played), stamp="anticipate live; the band")


def _from(start: float, entries: Sequence[tuple[float, T]]) -> list[tuple[float, T]]:
    """What holds from `start` on, counted from there."""
    at = [(0.0, value) for time_, value in entries if time_ <= start][-1:]
    return at + [(time_ - start, value) for time_, value in entries if time_ > start]


def _standing(start: float, moves: Sequence[Move]) -> list[Move]:
    """Moves from `start` on, and the last one before it of each pedal and wheel, which stands as it left it."""
    before = {moved_by((status, *data)): (at, status, data) for at, status, data in moves if at < start}
    return [*before.values(), *(move for move in moves if move[0] >= start)]


def _since(start: float, rows: Sequence[LiveNote]) -> list[LiveNote]:
    """What sounds from `start` on: from there, where it began before and is not as good as over."""
    late = ((row, start - row.onset) for row in rows)
    cut = (row if by <= 0 else row._replace(onset=start, duration=row.duration - by) for row, by in late)
    return [new for row, new in zip(rows, cut, strict=True) if new is row or new.duration >= TAIL]


def _until(end: float, row: LiveNote) -> LiveNote:
    return row._replace(duration=max(min(row.duration, end - row.onset), SHORTEST))
