"""Score: a MIDI file as Notes, parts and a tempo map, kept so that writing it back loses nothing.

Knows ticks, channels and programs; knows nothing of models. A Score is its file's bytes and what they say:
every change makes new bytes and reads them again, so what you see is always what will be written.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, MidiError, RequestError
from ..files import replacing
from ..music.keys import estimate_key, sharps_of
from ..music.notes import DRUMS, Notes, instrument_name
from ..music.tempo import TempoMap
from . import smf
from .parts import Part, find_part, parts_of
from .sharing import share
from .tracks import channels_in_use, key_signatures, merged, note_table, scan, tempo_map
from .written import channel_events, free_channel, head, note_events, said_for, stands, tempo_track, title, voice

MAX_BYTES = 8 << 20  # the largest file we open: at worst it takes about 1 GB and 10 s to read
MAX_HOURS = 4
MAX_QUARTERS = 100_000  # 4 hours at 416 bpm: beyond it the tempos are nonsense, and a beat grid would fill the memory
MAX_PARTS = 4096  # two for every channel and program of one track; what is done for each stays quick

Move = tuple[float, int, bytes]  # what a player does beside notes: second, kind of message (0xB0: controller), its data


@dataclass(frozen=True)
class Score:
    """A MIDI file. Two scores are equal if their bytes are. Made by `read`, `from_bytes`, `from_notes`.

    data: the file. notes: in seconds; instrument is the program in force at the onset, channel 10 is DRUMS.
    tempo: ticks, seconds, beats and bars. parts: see Part. repairs: what was odd in the file and how it was read.
    length: seconds of the last event, as tracks end with a bar and not with a note. key_signatures: those of the file,
    (second, sharps; flats: less than 0).
    """

    data: bytes = field(repr=False)
    notes: Notes = field(repr=False, compare=False)
    tempo: TempoMap = field(repr=False, compare=False)
    parts: list[Part] = field(compare=False)
    repairs: list[str] = field(compare=False)
    length: float = field(repr=False, compare=False)
    key_signatures: list[tuple[float, int]] = field(repr=False, compare=False)
    _file: smf.File = field(repr=False, compare=False)
    _events: np.ndarray = field(repr=False, compare=False)  # (track, number of the on, of the off or -1) per note
    _channels: dict[tuple[int, int], int] = field(repr=False, compare=False)  # see tracks.channels_in_use
    _ports: list[int] = field(repr=False, compare=False)  # of each track

    @classmethod
    def from_bytes(cls, data: bytes) -> Score:
        """The score in the bytes of a MIDI file. Raises MidiError."""
        if len(data) > MAX_BYTES:
            raise MidiError(f"the file is larger than {MAX_BYTES >> 20} MiB")
        file, repairs = smf.decode(data)
        tracks = []
        for number, body in enumerate(file.tracks):
            try:
                tracks.append(scan(body))
            except MidiError as error:
                raise MidiError(f"track {number + 1}: {error}") from None
            if not tracks[-1].ended:
                repairs.append(f"track {number + 1} has no end-of-track event")
        tempo = tempo_map(file.ppqn, tracks, repairs)
        table = note_table(tracks, tempo, repairs)
        on, off = tempo.seconds(table["on"]), tempo.seconds(table["off"])
        order = np.lexsort((table["pitch"], table["instrument"], on))
        table, on, off = {name: column[order] for name, column in table.items()}, on[order], off[order]
        notes = Notes(on, off - on, table["pitch"], table["instrument"], table["velocity"])
        if notes.end > MAX_HOURS * 3600:
            raise MidiError(f"the piece is longer than {MAX_HOURS} hours")
        if len(notes) and table["off"].max() > MAX_QUARTERS * file.ppqn:
            raise MidiError(f"the piece is longer than {MAX_QUARTERS:,} quarter notes")
        parts = parts_of(tracks, file.format, table)
        if len(parts) > MAX_PARTS:
            raise MidiError(f"the file has more than {MAX_PARTS:,} parts")
        last = max(track.end for track in tracks)
        sane = last <= MAX_QUARTERS * file.ppqn and tempo.seconds(last) <= MAX_HOURS * 3600
        return cls(
            data,
            notes,
            tempo,
            parts=parts,
            repairs=repairs,
            length=max(notes.end, float(tempo.seconds(last)) if sane else 0.0),
            key_signatures=[(float(tempo.seconds(tick)), sharps) for tick, sharps in key_signatures(tracks).items()],
            _file=file,
            _events=np.stack([table["track"], table["first"], table["last"]], axis=1),
            _channels=channels_in_use(tracks, table),
            _ports=[track.port for track in tracks],
        )

    @classmethod
    def from_notes(cls, notes: Notes, tempo: TempoMap | None = None) -> Score:
        """A fresh file: a tempo track and one track per instrument. See `with_notes`. Raises MidiError."""
        tempo = tempo or TempoMap()
        file = smf.File(1, tempo.ppqn, chunks=((b"MTrk", tempo_track(tempo)),))
        return cls.from_bytes(file.encode()).with_notes(notes)

    @classmethod
    def from_pretty_midi(cls, midi) -> Score:
        """The file that a pretty_midi.PrettyMIDI writes. Raises MidiError."""
        file = io.BytesIO()
        midi.write(file)
        return cls.from_bytes(file.getvalue())

    @classmethod
    def from_miditoolkit(cls, midi) -> Score:
        """The file that a miditoolkit.MidiFile writes. Raises MidiError."""
        file = io.BytesIO()
        midi.dump(file=file)
        return cls.from_bytes(file.getvalue())

    def to_pretty_midi(self):
        """A pretty_midi.PrettyMIDI of this file; what pretty_midi has no place for is lost. Raises MidiError."""
        from pretty_midi import PrettyMIDI  # type: ignore[import-untyped]

        return self._as("pretty_midi", lambda file, charset: PrettyMIDI(file, charset=charset))

    def to_miditoolkit(self):
        """A miditoolkit.MidiFile of this file; what it has no place for is lost. Raises MidiError.

        Mind that miditoolkit 1.0 changes mido's message table when it is imported.
        """
        from miditoolkit import MidiFile  # type: ignore[import-untyped]

        return self._as("miditoolkit", lambda file, charset: MidiFile(file=file, charset=charset, clip=True))

    def _as(self, library: str, read_file: Callable[[io.BytesIO, str], Any]) -> Any:
        """Another library's object of this file; where the library is too strict for it, of a fresh file with the same
        notes and tempos."""
        error: Exception | None = None
        for data, charset in ((self.data, "utf-8"), (self.data, "latin-1"), (None, "latin-1")):
            try:
                with warnings.catch_warnings(action="ignore"):
                    return read_file(io.BytesIO(data or Score.from_notes(self.notes, self.tempo).data), charset)
            except Exception as problem:  # mido, pretty_midi and miditoolkit raise whatever comes up
                error = problem
        raise MidiError(f"{library} cannot hold this file: {error}")

    @property
    def end(self) -> float:
        """When the last note ends, seconds."""
        return self.notes.end

    @property
    def ours(self) -> np.ndarray:
        """Boolean mask over notes: those on tracks that we wrote."""
        return sum((part.mask for part in self.parts if part.stamp), start=np.zeros(len(self.notes), dtype=bool))

    def part(self, which: str | int) -> Part:
        """The part of this name, instrument or number (from 0). Of a name upper or lower case, a piece or a plural will
        do. Where several match, the only one that we did not write is meant, or the only one that we did not write to
        go with another. Raises RequestError, listing the parts, if there is none or more than one."""
        return find_part(self.parts, which)

    @property
    def bar_count(self) -> int:
        """The number of bars up to the last event of any track."""
        return int(np.searchsorted(self.tempo.bar_seconds(self.length), self.length))

    def bars(self, first: int, last: int) -> tuple[float, float]:
        """Start and end in seconds of bars `first` to `last`, counted from 1, both included. Raises RequestError."""
        lines, count = self.tempo.bar_seconds(self.length), self.bar_count
        if not 1 <= first <= last <= count:
            raise RequestError(f"bars {first}-{last} are not in the piece, which has {count} bars")
        return float(lines[first - 1]), float(lines[last])

    def beats(self) -> Notes:
        """The beat grid of the whole piece as BEAT notes, see TempoMap.beats."""
        return self.tempo.beats(self.length)

    def keys(self) -> list[tuple[float, int]]:
        """`key_signatures`, or where the file has none the signature of the key that its notes most likely are in."""
        return self.key_signatures or [(0.0, sharps_of(estimate_key(self.notes)))]

    def merged(self) -> np.ndarray:
        """The notes as AMT reads the file, see `tracks.merged`."""
        return merged(self._file)

    def without(self, mask) -> Score:
        """The score without some notes (boolean mask over `notes`): exactly their on and off events are gone."""
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (len(self.notes),):
            raise ValueError(f"mask must be {len(self.notes)} booleans, got {mask.shape} of {mask.dtype}")
        if not mask.any():
            return self
        gone = self._events[mask]
        tracks = self._file.tracks
        changed = {}
        for number in np.unique(gone[:, 0]).tolist():
            drop = set(gone[gone[:, 0] == number, 1:].ravel().tolist())
            rows = list(smf.events(tracks[number]))
            kept = smf.track(row[:3] for i, row in enumerate(rows) if i not in drop)
            changed[number] = kept + tracks[number][rows[-1][3] :]
        return Score.from_bytes(self._file.with_tracks(changed).encode())

    def with_notes(
        self, notes: Notes, *, stamp: str = "", like: Sequence[tuple[Part, Notes]] = (), moves: Sequence[Move] = ()
    ) -> Score:
        """The score with new tracks, one for each instrument of `notes`, named after it and on a channel of its own.
        Chords and beats are not written.

        stamp: a text that each new track carries. like: parts that the new notes of their instrument belong to, each
        with what is known of it. If several share an instrument, its new notes are shared out among them
        (`sharing.share`), each on a new track that has the part's name and is set as it is (bank, volume, pan ...).
        moves: pedals, wheels and bends, which each new track has. Of notes of one pitch that overlap the earlier is cut
        short; of those at one tick the longest stays. When the channels run out, a new track joins one of the same
        program, or goes to a further MIDI port.

        Raises MidiError if the piece gets too long to be read again.
        """
        added = []
        taken = dict(self._channels)
        for instrument in notes.audible.instruments:
            own = notes.of_instruments([instrument])
            alike = [(part, known) for part, known in like if part.instrument == instrument]
            whose = share(own, [known for _, known in alike])
            for which in np.unique(whose).tolist():
                origin = alike[which][0] if alike else None
                added.append(self._track(own[whose == which], origin, taken, stamp, moves))
        return Score.from_bytes(self._file.with_tracks({}, added).encode()) if added else self

    def _track(
        self, notes: Notes, origin: Part | None, taken: dict[tuple[int, int], int], stamp: str, moves: Sequence[Move]
    ) -> bytes:
        """The bytes of a new track for one instrument's notes. origin: the part that they belong to. taken: (port,
        channel) -> instrument of the channels in use, to which its own is added."""
        instrument = int(notes.instrument[0])
        home = None if origin is None else (self._ports[origin.track], origin.channel)
        ticks = self.tempo.ticks(np.array([notes.onset.min(), notes.end])).tolist()
        joins = home is not None and stands(self._said_on(*home), instrument, *ticks)
        port, channel = place = free_channel(taken, instrument, home, joins)
        taken.setdefault(place, instrument)
        body = list(note_events(notes, self.tempo, channel))
        moved = [(int(self.tempo.ticks(at)), kind | channel, data) for at, kind, data in moves]
        end = max(row[0] for row in (body[-1], *moved))
        played = [*moved, *body]
        rows = [*self._settings(instrument, place, origin, played[0][0]), *played]
        rows = [row for row in sorted(rows, key=lambda row: row[0]) if row[0] <= end]
        name = title(self._file.tracks[origin.track], origin.name) if origin else instrument_name(instrument).encode()
        return smf.track([*head(name, stamp, port), *rows, smf.meta(end, smf.END_OF_TRACK)])

    def _said_on(self, port: int, channel: int) -> list[smf.Event]:
        """What all tracks of a port say of a channel's sound."""
        bodies = zip(self._ports, self._file.tracks, strict=True)
        return channel_events((body for its, body in bodies if its == port), channel)

    def _settings(self, instrument: int, place: tuple[int, int], origin: Part | None, first: int) -> list[smf.Event]:
        """What makes (port, channel) `place` sound, by tick `first`, like the part that the notes belong to, or else
        like the instrument."""
        channel = place[1]
        if place not in self._channels:
            said = said_for(self._file.tracks, self._ports, origin.track, origin.channel) if origin else []
            return voice(said, instrument % DRUMS, channel, first)
        if instrument < DRUMS:  # which it has already; but some programs read each track by itself
            steady = self._channels[place] == instrument
            return [(0 if steady else first, smf.PROGRAM | channel, bytes([instrument]))]
        return []  # the file's drums keep their kit


def read(path: str | os.PathLike[str]) -> Score:
    """The score in a MIDI file. Raises MidiError, one line that starts with the path."""
    try:
        with open(path, "rb") as file:
            return Score.from_bytes(file.read(MAX_BYTES + 1))
    except MidiError as error:
        raise MidiError(f"{os.fspath(path)}: {error}") from None
    except (OSError, ValueError) as error:
        raise MidiError(f"cannot read {os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from None


def write(score: Score, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a score to a file, wholly or not at all. Overwrites only if `force`. Raises FileError."""
    try:
        with replacing(path) as draft:
            if not force and Path(path).exists():
                raise FileError(f"{path} exists already; not overwritten")
            draft.write_bytes(score.data)
    except ValueError as error:  # a path with a null byte
        raise FileError(f"cannot write {path}: {error}") from None
