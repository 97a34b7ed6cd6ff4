"""Writes the example melodies as MIDI files beside this script: python examples/make.py

The melodies are the text below, typed from the traditional tunes: note name and octave (C4 is middle C), colon, length
in quarter notes; `r` is a rest; `~` ties a note to the next; `|` is a bar line, and every bar is checked against the
metre. This script knows nothing of the anticipation package.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import mido

TICKS = 480  # per quarter note
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class Melody:
    """bpm: quarter notes per minute. meter: quarters in a bar. program: General MIDI, from 0. phrase: bars."""

    file: str
    key: str
    meter: int
    bpm: int
    program: int
    text: str
    phrase: int = 4


GREENSLEEVES = Melody("greensleeves.mid", "Am", 3, 138, 73, """
    r:2 A4:1
    | C5:2 D5:1 | E5:1.5 F5:.5 E5:1 | D5:2 B4:1 | G4:1.5 A4:.5 B4:1
    | C5:2 A4:1 | A4:1.5 G#4:.5 A4:1 | B4:2 G#4:1 | E4:2 A4:1
    | C5:2 D5:1 | E5:1.5 F5:.5 E5:1 | D5:2 B4:1 | G4:1.5 A4:.5 B4:1
    | C5:1.5 B4:.5 A4:1 | G#4:1.5 F#4:.5 G#4:1 | A4:3 | A4:3
    | G5:3 | G5:1.5 F#5:.5 E5:1 | D5:2 B4:1 | G4:1.5 A4:.5 B4:1
    | C5:2 A4:1 | A4:1.5 G#4:.5 A4:1 | B4:2 G#4:1 | E4:3
    | G5:3 | G5:1.5 F#5:.5 E5:1 | D5:2 B4:1 | G4:1.5 A4:.5 B4:1
    | C5:1.5 B4:.5 A4:1 | G#4:1.5 F#4:.5 G#4:1 | A4:3 | A4:3
""")  # fmt: skip

ODE_TO_JOY = Melody("ode-to-joy.mid", "D", 4, 116, 40, """
    F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | F#4:1.5 E4:.5 E4:2
    | F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:1.5 D4:.5 D4:2
    | E4:1 E4:1 F#4:1 D4:1 | E4:1 F#4:.5 G4:.5 F#4:1 D4:1 | E4:1 F#4:.5 G4:.5 F#4:1 E4:1 | D4:1 E4:1 A3:1 F#4:1~
    | F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:1.5 D4:.5 D4:2
    | E4:1 E4:1 F#4:1 D4:1 | E4:1 F#4:.5 G4:.5 F#4:1 D4:1 | E4:1 F#4:.5 G4:.5 F#4:1 E4:1 | D4:1 E4:1 A3:1 F#4:1~
    | F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:1.5 D4:.5 D4:2
""")  # fmt: skip

AULD_LANG_SYNE = Melody("auld-lang-syne.mid", "F", 4, 96, 53, """
    r:3 C4:1
    | F4:1.5 E4:.5 F4:1 A4:1 | G4:1.5 F4:.5 G4:1 A4:1 | F4:1.5 F4:.5 A4:1 C5:1 | D5:3 D5:1
    | C5:1.5 A4:.5 A4:1 F4:1 | G4:1.5 F4:.5 G4:1 A4:1 | F4:1.5 D4:.5 D4:1 C4:1 | F4:3 D5:1
    | C5:1.5 A4:.5 A4:1 F4:1 | G4:1.5 F4:.5 G4:1 D5:1 | C5:1.5 A4:.5 A4:1 C5:1 | D5:3 D5:1
    | C5:1.5 A4:.5 A4:1 F4:1 | G4:1.5 F4:.5 G4:1 A4:1 | F4:1.5 D4:.5 D4:1 C4:1 | F4:4
""")  # fmt: skip

MELODIES = (GREENSLEEVES, ODE_TO_JOY, AULD_LANG_SYNE)


def notes(melody: Melody) -> list[tuple[float, float, int, int]]:
    """(onset, length, pitch, velocity) in quarters. Raises ValueError for a bar that does not fill the metre."""
    found: list[tuple[float, float, int]] = []
    now, tied = 0.0, False
    for number, bar in enumerate(melody.text.split("|"), 1):
        for token in bar.split():
            name, length = token.rstrip("~").split(":")
            if tied:
                onset, held, pitch = found.pop()
                found.append((onset, held + float(length), pitch))
            elif name != "r":
                pitch = STEPS[name[0]] + name.count("#") - name.count("b") + 12 * (int(name[-1]) + 1)
                found.append((now, float(length), pitch))
            tied = token.endswith("~")
            now += float(length)
        if now != number * melody.meter:
            raise ValueError(f"{melody.file}, bar {number}: ends at beat {now}, not {number * melody.meter}")
    start = found[0][0]  # phrases are counted from the upbeat
    return [(onset, length, pitch, velocity(onset, start, melody)) for onset, length, pitch in found]


def velocity(onset: float, start: float, melody: Melody) -> int:
    """Each phrase swells and sinks back a little, and the bar has its accents: how one would sing it."""
    beat = onset % melody.meter
    swell = math.sin(math.pi * ((onset - start) / melody.meter % melody.phrase) / melody.phrase)
    accent = 8 if beat == 0 else 3 if melody.meter == 4 and beat == 2 else 0 if beat % 1 == 0 else -4
    return round(74 + 12 * swell + accent)


def midi(melody: Melody) -> mido.MidiFile:
    """Two tracks: tempo, metre and key; the melody, each note held for 95 % of its length."""
    head = mido.MidiTrack([
        mido.MetaMessage("track_name", name=melody.file.removesuffix(".mid").replace("-", " ").title()),
        mido.MetaMessage("time_signature", numerator=melody.meter, denominator=4),
        mido.MetaMessage("key_signature", key=melody.key),
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(melody.bpm)),
    ])  # fmt: skip
    events = []
    for onset, length, pitch, strength in notes(melody):
        first, last = round(onset * TICKS), round((onset + 0.95 * length) * TICKS)
        events.append((first, mido.Message("note_on", note=pitch, velocity=strength)))
        events.append((last, mido.Message("note_off", note=pitch, velocity=0)))
    track = mido.MidiTrack([
        mido.MetaMessage("track_name", name="Melody"), mido.Message("program_change", program=melody.program)
    ])  # fmt: skip
    now = 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    end = len(melody.text.split("|")) * melody.meter * TICKS
    for part in (head, track):
        part.append(mido.MetaMessage("end_of_track", time=end - sum(message.time for message in part)))
    return mido.MidiFile(type=1, ticks_per_beat=TICKS, tracks=[head, track])


if __name__ == "__main__":
    for melody in MELODIES:
        midi(melody).save(Path(__file__).with_name(melody.file))
