"""Notes: immutable columns of music in seconds. Knows nothing of files, ticks, models or tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

DRUMS = 128  # instruments 0-127 are General MIDI programs; the drum kit is one instrument of its own
CHORD = 129  # a chord symbol: pitch is the symbol (see harmony.py), duration how long it holds
BEAT = 130  # a beat of the grid: pitch is its place in the bar (0: downbeat), duration the time to the next one
INSTRUMENTS = 131
TOGETHER = 0.03  # seconds within which onsets are one: a chord as people strike it
LEGATO = 0.03  # seconds that a note may reach into another without sounding with it
Note = tuple[float, float, int, int, int]  # onset, duration, pitch, instrument, velocity

_GM_NAMES = """
    piano,bright piano,electric grand,honky-tonk,electric piano,electric piano 2,harpsichord,clavinet,celesta,
    glockenspiel,music box,vibraphone,marimba,xylophone,tubular bells,dulcimer,drawbar organ,percussive organ,
    rock organ,church organ,reed organ,accordion,harmonica,bandoneon,nylon guitar,steel guitar,jazz guitar,
    clean guitar,muted guitar,overdriven guitar,distortion guitar,guitar harmonics,acoustic bass,finger bass,
    picked bass,fretless bass,slap bass,slap bass 2,synth bass,synth bass 2,violin,viola,cello,contrabass,
    tremolo strings,pizzicato strings,harp,timpani,strings,slow strings,synth strings,synth strings 2,choir,voice,
    synth voice,orchestra hit,trumpet,trombone,tuba,muted trumpet,horn,brass,synth brass,synth brass 2,soprano sax,
    alto sax,tenor sax,baritone sax,oboe,english horn,bassoon,clarinet,piccolo,flute,recorder,pan flute,bottle,
    shakuhachi,whistle,ocarina,square lead,saw lead,calliope lead,chiff lead,charang,voice lead,fifths lead,
    bass lead,new age pad,warm pad,polysynth,choir pad,bowed pad,metallic pad,halo pad,sweep pad,rain,soundtrack,
    crystal,atmosphere,brightness,goblins,echoes,sci-fi,sitar,banjo,shamisen,koto,kalimba,bagpipe,fiddle,shanai,
    tinkle bell,agogo,steel drums,woodblock,taiko,melodic tom,synth drum,reverse cymbal,fret noise,breath,seashore,
    bird,telephone,helicopter,applause,gunshot"""
GM_NAMES = tuple(name.strip() for name in _GM_NAMES.split(","))  # by program


def strikes(onset: np.ndarray) -> np.ndarray:
    """(N,) booleans for ascending onsets (N,) in seconds: whether each is further than TOGETHER from the one before, so
    that of a chord only the first note counts."""
    return np.diff(onset, prepend=-np.inf) > TOGETHER


def moments(notes: Notes) -> np.ndarray:
    """(M,) seconds, ascending, at which something audible begins; the notes of a chord are one moment."""
    onset = np.sort(notes.audible.onset)
    return onset[strikes(onset)]


def at_once(notes: Notes) -> int:
    """The most notes that sound at once, a LEGATO left out."""
    begun = np.searchsorted(np.sort(notes.onset), notes.onset, side="right")
    over = np.searchsorted(np.sort(np.maximum(notes.offset - LEGATO, notes.onset + 1e-6)), notes.onset, side="right")
    return int((begun - over).max(initial=0))


def instrument_name(instrument: int) -> str:
    """Short lower-case name of an instrument number (0-128)."""
    return "drums" if instrument == DRUMS else GM_NAMES[instrument]


@dataclass(frozen=True, eq=False)
class Notes:
    """Columns of equal length N, sorted by (onset, instrument, pitch) when made by `Notes.of`.

    onset, duration: seconds (float64). pitch: 0-127. instrument: GM program 0-127, or DRUMS, CHORD, BEAT.
    velocity: 1-127. Every verb returns new Notes; the columns themselves are read-only.
    """

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    instrument: np.ndarray
    velocity: np.ndarray

    def __post_init__(self) -> None:
        for field in fields(self):
            kind = np.float64 if field.name in ("onset", "duration") else np.int64
            column = np.array(getattr(self, field.name), dtype=kind)
            column.flags.writeable = False
            object.__setattr__(self, field.name, column)

    @classmethod
    def of(cls, rows: Iterable[Note]) -> Notes:
        """Sorted Notes from (onset, duration, pitch, instrument, velocity) rows."""
        table = np.array(list(rows), dtype=np.float64).reshape(-1, 5)
        return cls(*table.T).sorted()

    @classmethod
    def concat(cls, several: Iterable[Notes]) -> Notes:
        """All notes of several Notes, sorted."""
        several = list(several)
        if not several:
            return cls.of([])
        return cls(*(np.concatenate([getattr(n, f.name) for n in several]) for f in fields(cls))).sorted()

    def sorted(self) -> Notes:
        """By (onset, instrument, pitch)."""
        return self[np.lexsort((self.pitch, self.instrument, self.onset))]

    def replace(self, **columns) -> Notes:
        """The same notes with some columns changed (not re-sorted). Raises TypeError for a column there is not."""
        return dataclasses.replace(self, **columns)

    def __len__(self) -> int:
        return len(self.onset)

    def __getitem__(self, index) -> Notes:
        return Notes(*(getattr(self, f.name)[index] for f in fields(self)))

    def __add__(self, other: Notes) -> Notes:
        return Notes.concat([self, other])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notes) and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    def __iter__(self) -> Iterator[Note]:
        """Rows as plain Python numbers."""
        return iter(zip(*(getattr(self, f.name).tolist() for f in fields(self)), strict=True))

    @property
    def offset(self) -> np.ndarray:
        """When each note ends, seconds."""
        return self.onset + self.duration

    @property
    def end(self) -> float:
        """When the last note ends, seconds; 0 for no notes."""
        return float(self.offset.max()) if len(self) else 0.0

    @property
    def instruments(self) -> list[int]:
        """The instruments that occur, ascending."""
        return np.unique(self.instrument).tolist()

    @property
    def pitched(self) -> Notes:
        """Without drums, chords and beats."""
        return self[self.instrument < DRUMS]

    @property
    def audible(self) -> Notes:
        """Without chords and beats."""
        return self[self.instrument <= DRUMS]

    @property
    def beats(self) -> Notes:
        """The beats alone."""
        return self[self.instrument == BEAT]

    @property
    def chords(self) -> Notes:
        """The chords alone."""
        return self[self.instrument == CHORD]

    def between(self, start: float, end: float) -> Notes:
        """Notes whose onset lies in start <= onset < end."""
        return self[(self.onset >= start) & (self.onset < end)]

    def of_instruments(self, instruments: Iterable[int]) -> Notes:
        return self[np.isin(self.instrument, list(instruments))]

    def without_instruments(self, instruments: Iterable[int]) -> Notes:
        return self[~np.isin(self.instrument, list(instruments))]

    def shift(self, seconds: float) -> Notes:
        return self.replace(onset=self.onset + seconds)

    def transpose(self, semitones: int) -> Notes:
        """Pitched notes and chord roots moved; drums and beats stay. Pitches are kept within 0-127 by octaves."""
        moved = self.pitch + semitones
        moved = np.where(moved < 0, moved % 12, np.where(moved > 127, 116 + (moved - 116) % 12, moved))
        quality, root = np.divmod(self.pitch, 12)
        chord = np.where(quality < 10, quality * 12 + (root + semitones) % 12, self.pitch)  # 120 is "no chord"
        return self.replace(
            pitch=np.where(self.instrument < DRUMS, moved, np.where(self.instrument == CHORD, chord, self.pitch))
        )
