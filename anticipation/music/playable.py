"""What can be played on each instrument. Usual ranges as they sound, and notes at once, of General MIDI programs,
as books on orchestration have them. Knows nothing of what is played."""

from __future__ import annotations

from .notes import DRUMS, GM_NAMES

# Lowest and highest pitch, notes at once. Those that are not here play anything: keyboards, ensembles, synthesizers.
_CAN = {
    "glockenspiel": (72, 108, 4), "vibraphone": (53, 89, 4), "marimba": (45, 96, 4), "xylophone": (65, 108, 4),
    "tubular bells": (60, 77, 2), "timpani": (38, 57, 2), "harp": (24, 103, 8), "harmonica": (60, 96, 3),
    "nylon guitar": (40, 83, 6), "steel guitar": (40, 83, 6), "jazz guitar": (40, 88, 6), "clean guitar": (40, 88, 6),
    "muted guitar": (40, 88, 6), "overdriven guitar": (40, 88, 6), "distortion guitar": (40, 88, 6),
    "acoustic bass": (28, 55, 1), "finger bass": (28, 55, 1), "picked bass": (28, 55, 1), "fretless bass": (28, 55, 1),
    "slap bass": (28, 55, 1), "slap bass 2": (28, 55, 1), "synth bass": (24, 55, 1), "synth bass 2": (24, 55, 1),
    "violin": (55, 100, 2), "fiddle": (55, 100, 2), "viola": (48, 88, 2), "cello": (36, 76, 2),
    "contrabass": (28, 67, 2), "voice": (48, 84, 1), "trumpet": (52, 84, 1), "muted trumpet": (52, 84, 1),
    "trombone": (40, 72, 1), "tuba": (28, 62, 1), "horn": (41, 77, 1), "soprano sax": (56, 88, 1),
    "alto sax": (49, 81, 1), "tenor sax": (44, 76, 1), "baritone sax": (36, 69, 1), "oboe": (58, 91, 1),
    "english horn": (52, 81, 1), "bassoon": (34, 75, 1), "clarinet": (50, 91, 1), "piccolo": (74, 108, 1),
    "flute": (60, 96, 1), "recorder": (65, 98, 1), "pan flute": (60, 96, 1), "bottle": (60, 96, 1),
    "choir": (40, 84, 6), "shakuhachi": (62, 94, 1), "whistle": (72, 98, 1), "ocarina": (60, 89, 1),
}  # fmt: skip
RANGES = {GM_NAMES.index(name): (low, high) for name, (low, high, _) in _CAN.items()}
PIANO, PIANOS = 0, range(4)
GUITARS = range(24, 28)  # those that play chords: nylon to clean
KEYBOARDS = (*range(9), *range(16, 21))  # pianos to celesta, organs
COMPING = (*KEYBOARDS, 21, 23, *GUITARS, 46)  # who plays chords as a pianist does: also accordions and the harp
SECTIONS = (44, *range(48, 53), 54)  # who holds them as a choir does: string ensembles, choirs
# Notes at once of two hands, and of a section: people's pianos and strings begin more at one moment in a thousand.
HANDS, SECTION = 8, 6
VOICES = {i: HANDS if i in COMPING else SECTION for i in range(DRUMS)}
VOICES |= {GM_NAMES.index(name): most for name, (_, _, most) in _CAN.items()}
BASSES = (*range(32, 40), GM_NAMES.index("contrabass"))
TRIAD = 3  # notes at once that make a chord
CHORDAL = tuple(i for i, most in VOICES.items() if most >= TRIAD)
KIT = 35, 59  # General MIDI percussion of a drum kit; above are congas, shakers ...
