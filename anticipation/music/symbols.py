"""Symbols: chords, charts and scales as people write them, read and written. Knows no models."""

from __future__ import annotations

import re

import numpy as np

from ..errors import RequestError
from .harmony import CHORD_TONES, NO_CHORD, QUALITIES, chord_notes
from .notes import Notes

_WORDS = {"": "", "dom": "", "maj": "maj", "major": "maj", "ma": "maj", "M": "maj", "Δ": "maj", "^": "maj", "min": "m",
          "minor": "m", "mi": "m", "m": "m", "-": "m", "dim": "dim", "o": "dim", "°": "dim", "aug": "aug", "+": "aug",
          "hdim": "ø", "h": "ø", "ø": "ø"}  # fmt: skip
_BASES = {"": (0, 4, 7), "maj": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "ø": (0, 3, 6, 10)}
_UPPER = {"7": (), "9": (2,), "11": (2, 5), "13": (2, 9)}  # tones that a degree adds above its seventh
_FIRST = re.compile(r"(maj(?:or)?|ma(?=\d)|M|Δ|\^|min(?:or)?|mi(?=\d)|m|-|dim|o|°|aug|\+|hdim|h|ø|dom)?"
                    r"(69|11|13|[1245679])?")  # fmt: skip
_MORE = re.compile(r"(sus(?:24|2|4)?|maj7|M7|Δ7?|\^7?|alt|\+(?!\d))|(add|no|omit|\*)?([b#+-]?)(1[013]|[2-79])")
_NAMES = tuple(QUALITIES)
_SUS4 = _NAMES.index("sus4")
_LINE = "FCGDAEB"  # letters in fifths: the sharps come in this order
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_STEPS = dict(zip("CDEFGAB", _MAJOR, strict=True))
SCALES = {
    "major": _MAJOR, "minor": (0, 2, 3, 5, 7, 8, 10), "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11), "dorian": (0, 2, 3, 5, 7, 9, 10), "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10), "locrian": (0, 1, 3, 5, 6, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9), "minor pentatonic": (0, 3, 5, 7, 10), "blues": (0, 3, 5, 6, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10), "chromatic": tuple(range(12)),
}  # fmt: skip

_MODES = {"": "major", "maj": "major", "min": "minor", "ionian": "major", "aeolian": "minor", "natural minor": "minor",
          "major pentatonic": "pentatonic"}  # fmt: skip


def pitch_class(name: str) -> int:
    """'Bb' -> 10. Raises RequestError."""
    match = re.fullmatch(r"([A-Ga-g])([#b♯♭]*)", name.strip())
    if not match:
        raise RequestError(f"unknown note name {name!r}: write C, F#, Bb ...")
    letter, accidentals = match.groups()
    sharps = sum(1 if a in "#♯" else -1 for a in accidentals)
    return (_STEPS[letter.upper()] + sharps) % 12


def parse_chord(text: str) -> int:
    """A chord symbol from 'Am7', 'F#dim', 'Bb/D', 'C:maj/3' (Harte) or 'N.C.'. What our qualities do not tell apart is
    dropped, see `simplified`. Raises RequestError."""
    return _read(text)[0]


def _read(text: str) -> tuple[int, bool]:
    """The symbol of a chord, and whether it says all that is written."""
    name = text.strip(" (),")
    if name.upper().rstrip(".") in ("N", "N.C", "NC", "X", "-"):
        return NO_CHORD, True
    match = re.fullmatch(r"([A-Ga-g][#b♯♭]*):?(.*?)(?:/([A-Ga-g][#b♯♭]*|[b#]*\d+))?", name.replace("6/9", "69"))
    tones = _named(match[2]) if match else None
    if not match or not tones:
        raise RequestError(f"unknown chord {text!r}: write C, Am, F#dim, G7, Dm7, Asus4, C/E, N.C. ...")
    root, quality = pitch_class(match[1]), _nearest(tones)
    symbol = _NAMES.index(quality) * 12 + root
    if not match[3] or match[3][-1].isdigit():  # Harte counts the bass from the root
        return symbol, not match[3] and tones == {*QUALITIES[quality]}
    bass = pitch_class(match[3])
    over = _over(symbol, bass)
    return over, over != symbol and over // 12 != _SUS4


def _named(text: str) -> set[int] | None:
    """The tones, in semitones from the root, of what is written after a root; None if that is no chord."""
    text = re.sub(r"(?i)maj|min|dim|aug|sus|add|alt|m[ai](?=\d)", lambda word: word[0].lower(), text)
    first = _FIRST.match(text := text.replace("♭", "b").replace("♯", "#"))
    assert first  # all of it may be missing
    word, degree = first[1] or "", first[2] or ""
    kind = _WORDS[word]
    tones = {*_BASES[kind]}
    if degree in _UPPER or word in ("Δ", "^"):
        tones |= {{"maj": 11, "dim": 9}.get(kind, 10), *_UPPER.get(degree, ())}
    tones |= {9} if degree in ("6", "69") else set()
    tones |= {2} if degree == "69" else set()
    tones = {0} if degree == "1" else {0, 7} if degree == "5" else tones
    tones = _changed(tones, ("sus" + degree, None, "", "")) if degree in ("2", "4") else tones
    rest = text[first.end() :].lstrip("(),")
    while part := _MORE.match(rest):
        tones, rest = _changed(tones, part.groups()), rest[part.end() :].lstrip("(),")
    return tones if not rest else None


def _changed(tones: set[int], part: tuple[str | None, ...]) -> set[int]:
    """The tones after one more item of what follows a seventh, by the groups of _MORE: a word, or a degree that is
    added, altered or left out."""
    word, verb, sign, degree = part
    if word is not None and word.startswith("sus"):
        return tones - {3, 4} | {"sus2": {2}, "sus24": {2, 5}}.get(word, {5})
    if word is not None:
        return {"alt": tones | {1, 10}, "+": tones - {7} | {8}}.get(word, tones - {9, 10} | {11})
    step = _MAJOR[(int(degree or 1) - 1) % 7] + {"b": -1, "-": -1, "#": 1, "+": 1}.get(sign or "", 0)
    if verb in ("no", "omit", "*"):
        return tones - {step, step - 1} if degree == "3" else tones - {step}
    if degree == "7":
        return tones | {10}
    return (tones - {7} if degree == "5" else tones) | {step % 12}


def _nearest(tones: set[int]) -> str:
    """Our quality that has most of what matters in some tones: the third, then the fifth, then the seventh."""
    if not tones & {3, 4}:
        return "sus4" if 5 in tones else "sus2" if 2 in tones else ""
    if 4 not in tones:
        if 6 in tones and 7 not in tones:
            return "m7b5" if 10 in tones else "dim"
        return "m7" if 10 in tones else "m"
    if 8 in tones and 7 not in tones:
        return "aug"
    return "maj7" if 11 in tones else "7" if 10 in tones else ""


def _over(symbol: int, bass: int) -> int:
    """The symbol of a chord over another bass: C over A is Am7, F over G a suspended G; the chord itself where that has
    no name of ours."""
    tones = CHORD_TONES[symbol].copy()
    tones[bass] = True
    same = np.flatnonzero((CHORD_TONES[:NO_CHORD] == tones).all(1)).tolist()
    if len(same):
        return symbol if symbol in same else max(same, key=lambda other: other % 12 == bass)
    late = {"": 10, "maj7": 10, "m": 7, "m7": 7}.get(_NAMES[symbol // 12])
    return _SUS4 * 12 + bass if (symbol - bass) % 12 == late else symbol


def note_name(pitch_class: int, sharps: int = 0, lowest: int = -5) -> str:
    """3 -> 'Eb', as one writes it in a key of so many sharps (flats: below 0). lowest: of the twelve names in use,
    which are neighbours in the circle of fifths, how many fifths the first lies from the key's tonic."""
    place = sharps + lowest + (7 * pitch_class - sharps - lowest) % 12  # in fifths from C
    if not (-6 <= place <= 10 or sharps - 1 <= place <= sharps + 5):  # E#, B#, Cb, Fb: only where the key has them
        place -= 12 if place > 0 else -12
    accidentals = (place + 1) // 7
    return _LINE[(place + 1) % 7] + ("#" * accidentals if accidentals > 0 else "b" * -accidentals)


def chord_name(symbol: int, sharps: int = 0) -> str:
    """A symbol -> 'Am7', spelled in a key of so many sharps (flats: below 0)."""
    if symbol == NO_CHORD:
        return "N"
    quality, root = _NAMES[symbol // 12], symbol % 12
    minor = 3 in QUALITIES[quality]  # minor chords stand on the sharp side: C# minor and G# diminished, but Ab major
    return note_name(root, sharps, -3 if minor else -5) + quality


def parse_scale(text: str) -> np.ndarray:
    """Boolean mask of 12 pitch classes from 'C major', 'f# minor', 'Eb dorian', 'Am'. Raises RequestError."""
    tonic, _, mode = text.strip().partition(" ")
    mode = mode.strip().lower()
    if not mode and tonic[1:].endswith("m"):
        tonic, mode = tonic[:-1], "minor"
    mode = _MODES.get(mode, mode)
    if mode not in SCALES:
        raise RequestError(f"unknown scale {text!r}: a note name and one of {', '.join(SCALES)}")
    mask = np.zeros(12, dtype=bool)
    mask[[(pitch_class(tonic) + step) % 12 for step in SCALES[mode]]] = True
    return mask


_STROKE = re.compile(r"([:|\]]*\|[:|\]]*)")
_TIMES = re.compile(r"\(?(?:[x×](\d{1,2})|(\d{1,2})[x×])\)?")
_LABEL = re.compile(r"\[[^]|]*\]|\b[A-Za-z]{3,}[\w ]*:(?=\s)")  # of a section: '[A]', 'Verse 2:'


def chart_bars(text: str) -> list[list[str]]:
    """The names of the chords in each bar of '|: C | Am / / F | % :| x3', with repeats written out. A bar stands
    between two strokes; '%' repeats the bar before, '/' or '.' the chord before; '1.' and '2.' are endings; '[A]' and
    'Verse:' are labels. Raises RequestError."""
    lines = re.sub(r"\|\s*\n\s*([:|]*\|)", r"|\1", _LABEL.sub(" ", text.replace("‖", "||")).strip())
    pieces = _STROKE.split(lines)
    out: list[list[str]] = []
    start, ending = 0, None  # the bars between which a repeat sign repeats; None: up to the sign
    for i, (stroke, cell) in enumerate(zip(["", *pieces[1::2]], pieces[::2], strict=True)):
        names = cell.split()
        times = _TIMES.fullmatch(names[0]) if names else None
        names = names[1:] if times else names
        if times or stroke.startswith(":"):
            out += out[start:ending] * (int(times[1] or times[2]) - 1 if times else 1)
            start, ending = len(out), None
        start = len(out) if stroke.endswith(":") else start
        if names[:1] in (["1."], ["2."]):
            ending = len(out) if names[0] == "1." else ending
            names = names[1:]
        if names:
            out.append(_bar(names, out[-1] if out else []))
        elif not times and 0 < i < len(pieces) // 2:
            raise RequestError(f"a bar of {text!r} is empty: write '%' for the bar before, N.C. for no chord")
    if not out:
        raise RequestError(f"no chords between the bar lines of {text!r}: write '| C | Am | F G |'")
    return out


def _bar(names: list[str], before: list[str]) -> list[str]:
    """The chords of a bar, after those of the bar before. Raises RequestError."""
    late = next((name for name in names if _TIMES.fullmatch(name)), None)
    if late:
        raise RequestError(f"{late!r} stands behind a bar line: write '|: C | G :| {late}'")
    if names[0] in ("%", "/", ".") and not before:
        raise RequestError(f"nothing stands before {names[0]!r}: begin with a chord")
    if names == ["%"]:
        return before
    bar = before[-1:]
    for name in names:
        bar.append(bar[-1] if name in ("/", ".") else name)
    return bar[len(before[-1:]) :]


def parse_chart(
    text: str, bars: np.ndarray, beats: np.ndarray | None = None, numbers: np.ndarray | None = None
) -> Notes:
    """CHORD notes of a chart, see `chart_bars`, repeated until the bars end. The chords of a bar share it in whole
    beats, earlier ones getting more; evenly if it has fewer beats than chords. bars: bar lines in seconds; beats:
    seconds of the beats; numbers: of each bar, where the chart begins with bar 0 (default: 0, 1, 2 ...). Raises
    RequestError."""
    symbols = [[parse_chord(name) for name in names] for names in chart_bars(text)]
    beats = np.zeros(0) if beats is None else beats
    changes: list[tuple[float, float, int]] = []
    for i, (start, end) in enumerate(zip(bars[:-1], bars[1:], strict=True)):
        bar = symbols[(i if numbers is None else numbers[i]) % len(symbols)]
        lines = np.array([start, *beats[(beats > start + 1e-3) & (beats < end - 1e-3)], end])
        at = np.arange(len(bar) + 1) * (len(lines) - 1) / len(bar)
        at = np.ceil(at - 1e-9) if len(bar) < len(lines) else at
        edges = np.interp(at, np.arange(len(lines)), lines).tolist()
        changes += zip(edges[:-1], edges[1:], bar, strict=True)
    return chord_notes(changes)


def simplified(text: str) -> list[str]:
    """'C6 is taken for C', for every symbol of a chart that says more than our chords do. Raises RequestError."""
    read = {name: _read(name) for bar in chart_bars(text) for name in bar}
    return [f"{name} is taken for {chord_name(symbol)}" for name, (symbol, exact) in read.items() if not exact]


def _spelled(chords: Notes, keys: list[tuple[float, int]]) -> list[str]:
    """The name of each chord in the key it stands in. keys: see Score.keys."""
    at = np.searchsorted([second for second, _ in keys], chords.onset + 0.03, side="right") - 1
    return [chord_name(int(p), keys[max(i, 0)][1]) for p, i in zip(chords.pitch, at.tolist(), strict=True)]


def chart_text(chords: Notes, bars: np.ndarray, keys: list[tuple[float, int]] | None = None) -> str:
    """'| C | Am F | G |' of CHORD notes and bar lines (seconds), spelled in the keys (see Score.keys; default: C)."""
    spellings = np.array(_spelled(chords, keys or [(0.0, 0)]), dtype=object)
    cells, sounding = [], "N"
    for start, end in zip(bars[:-1], bars[1:], strict=True):
        inside = (chords.onset >= start - 0.03) & (chords.onset < end - 0.03)
        names = spellings[inside].tolist()
        if not names or chords.onset[inside][0] > start + 0.06:
            names = [sounding, *names]
        sounding = names[-1]
        cells.append(" ".join(names))
    return "| " + " | ".join(cells) + " |"
