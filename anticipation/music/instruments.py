"""What musicians call instruments, as numbers. Knows General MIDI's names and many others; knows no files."""

from __future__ import annotations

import difflib
import re

from ..errors import RequestError
from .notes import DRUMS, GM_NAMES

# By program: General MIDI's own words where ours are shorter, and what people write.
_SYNONYMS = {
    0: "acoustic grand piano, acoustic piano, grand piano, grand, upright piano", 1: "bright acoustic piano",
    2: "electric grand piano", 3: "honky-tonk piano, saloon piano",
    4: "electric piano 1, e-piano, ep, rhodes, fender rhodes, rhodes piano, wurlitzer, wurli, keys, keyboard",
    5: "fm piano, dx7, dx piano", 6: "cembalo", 7: "clavi, clav", 8: "celeste", 9: "glock", 11: "vibes",
    14: "bells, chimes, church bells", 15: "hammered dulcimer, cimbalom, santur",
    16: "organ, hammond, hammond organ, b3, electric organ", 19: "pipe organ", 20: "harmonium", 21: "accordeon",
    22: "blues harp, mouth organ", 23: "tango accordion",
    24: "acoustic guitar (nylon), classical guitar, spanish guitar, flamenco guitar, ukulele, lute",
    25: "acoustic guitar (steel), acoustic guitar, guitar, folk guitar, western guitar, 12-string guitar, mandolin",
    26: "electric guitar (jazz)", 27: "electric guitar (clean), electric guitar, e-guitar, rhythm guitar",
    28: "electric guitar (muted), palm muted guitar", 29: "lead guitar, overdrive guitar, crunch guitar",
    30: "distorted guitar, heavy guitar, rock guitar, power chords",
    32: "upright bass, double bass, string bass, stand-up bass, jazz bass, walking bass",
    33: "electric bass (finger), bass, bass guitar, electric bass, e-bass, fingered bass",
    34: "electric bass (pick), pick bass", 36: "slap bass 1", 38: "synth bass 1, bass synth, synthesizer bass",
    42: "violoncello, celli", 43: "bowed bass, orchestral bass", 45: "pizzicato, pizz, pizz strings, plucked strings",
    46: "orchestral harp", 47: "kettledrums, timps",
    48: "string ensemble 1, strings, string ensemble, string section, string orchestra, orchestra, violin section",
    49: "string ensemble 2", 50: "synth strings 1", 52: "choir aahs, chorus, aahs",
    53: "voice oohs, oohs, vocals, vocal, vox, singer, lead vocal", 56: "cornet, flugelhorn",
    58: "euphonium, sousaphone", 60: "french horn", 61: "brass section, brass ensemble, horns, horn section",
    62: "synth brass 1", 64: "soprano saxophone", 65: "alto saxophone",
    66: "tenor saxophone, sax, saxophone, saxophones", 67: "baritone saxophone, bari sax", 69: "cor anglais",
    71: "bass clarinet", 75: "panpipes, pan pipes", 76: "blown bottle", 80: "lead 1 (square), square wave",
    81: "lead 2 (sawtooth), lead, synth lead, lead synth, sawtooth lead", 82: "lead 3 (calliope)",
    83: "lead 4 (chiff)", 84: "lead 5 (charang)", 85: "lead 6 (voice)", 86: "lead 7 (fifths)",
    87: "lead 8 (bass + lead)", 88: "pad 1 (new age)", 89: "pad 2 (warm), pad, synth pad, pads, synth pads",
    90: "pad 3 (polysynth), synth, synthesizer", 91: "pad 4 (choir)", 92: "pad 5 (bowed)", 93: "pad 6 (metallic)",
    94: "pad 7 (halo)", 95: "pad 8 (sweep)", 96: "fx 1 (rain)", 97: "fx 2 (soundtrack)", 98: "fx 3 (crystal)",
    99: "fx 4 (atmosphere)", 100: "fx 5 (brightness)", 101: "fx 6 (goblins)", 102: "fx 7 (echoes)",
    103: "fx 8 (sci-fi)", 108: "thumb piano, mbira", 111: "shehnai", 114: "steel pans, steelpan", 116: "taiko drum",
    120: "guitar fret noise", 121: "breath noise", 122: "sea shore", 123: "bird tweet", 124: "telephone ring",
    DRUMS: "drums, drum kit, drum set, kit, percussion, drummer",
}  # fmt: skip


def plain(text: str) -> str:
    """A name in the form in which names are compared: lower case, no spaces or signs, each word in the singular.
    'E-Pianos' is 'epiano'."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "".join(re.sub(r"(?<=ss)es$|(?<=x)es$|(?<=[^s])s$", "", word) if len(word) > 3 else word for word in words)


_BY_NAME = {name.strip(): number for number, names in _SYNONYMS.items() for name in names.split(",")}
_BY_NAME |= {name: number for number, name in enumerate(GM_NAMES)}
_BY_PLAIN = {plain(name): number for name, number in _BY_NAME.items()}  # "horns" are brass, "horn" is one


def find_instrument(text: str) -> int | None:
    """The instrument of a name, or None."""
    text = text.strip().lower()
    return _BY_NAME.get(text, _BY_PLAIN.get(plain(text)))


def instrument_number(name: str | int) -> int:
    """'piano', 'upright bass', 'Violins', 'drums', '34' -> instrument. Raises RequestError, with the nearest names."""
    text = str(name).strip().lower()
    if text.isdecimal():
        if int(text) <= DRUMS:
            return int(text)
        raise RequestError(f"no instrument {text}: programs are 0-127, drums 128")
    number = find_instrument(text)
    if number is not None:
        return number
    near = difflib.get_close_matches(text, _BY_NAME, 3)
    hint = f"; did you mean {', '.join(near)}?" if near else "; use a General MIDI name, a program number or 'drums'"
    raise RequestError(f"unknown instrument {name!r}{hint}")
