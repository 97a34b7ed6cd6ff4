"""Chords and scales as numbers, names and pitch classes; chords estimated from notes. Knows no files and no models.

A chord symbol is `quality * 12 + root` (0-119), or NO_CHORD. Chords in time are Notes of instrument CHORD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from .errors import RequestError
from .notes import CHORD, Notes

QUALITIES = {
    "": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "7": (0, 4, 7, 10), "m7b5": (0, 3, 6, 10),
}  # fmt: skip
_SPELLINGS = {
    "maj": "", "M": "", "major": "", "min": "m", "minor": "m", "-": "m", "o": "dim", "dim7": "dim", "+": "aug",
    "sus": "sus4", "M7": "maj7", "min7": "m7", "-7": "m7", "hdim7": "m7b5", "hdim": "m7b5", "min7b5": "m7b5",
    "5": "", "6": "", "maj6": "", "add9": "", "m6": "m", "min6": "m", "minmaj7": "m", "mmaj7": "m", "9": "7",
    "11": "7", "13": "7", "7sus4": "sus4", "9sus4": "sus4", "maj9": "maj7", "m9": "m7", "min9": "m7", "m11": "m7",
    "7b9": "7", "7#9": "7", "7#5": "aug", "aug7": "aug", "dom7": "7", "1": "",
}  # fmt: skip
NO_CHORD = 12 * len(QUALITIES)
CHORDS = NO_CHORD + 1
_NAMES = "C Db D Eb E F F# G Ab A Bb B".split()
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11), "dorian": (0, 2, 3, 5, 7, 9, 10), "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10), "locrian": (0, 1, 3, 5, 6, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9), "minor pentatonic": (0, 3, 5, 7, 10), "blues": (0, 3, 5, 6, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10), "chromatic": tuple(range(12)),
}  # fmt: skip

CHORD_TONES = np.zeros((CHORDS, 12), dtype=bool)  # [symbol, pitch class]; NO_CHORD has none
for _q, _tones in enumerate(QUALITIES.values()):
    for _root in range(12):
        CHORD_TONES[_q * 12 + _root, [(_root + tone) % 12 for tone in _tones]] = True


def pitch_class(name: str) -> int:
    """'Bb' -> 10. Raises RequestError."""
    match = re.fullmatch(r"([A-Ga-g])([#b♯♭]*)", name.strip())
    if not match:
        raise RequestError(f"unknown note name {name!r}: write C, F#, Bb ...")
    letter, accidentals = match.groups()
    sharps = sum(1 if a in "#♯" else -1 for a in accidentals)
    return (_STEPS[letter.upper()] + sharps) % 12


def parse_chord(text: str) -> int:
    """A chord symbol from 'Am7', 'F#dim', 'Bb/D', 'C:maj/3' (Harte) or 'N'. Inversions and tensions that our qualities
    do not tell apart are dropped. Raises RequestError."""
    name = text.strip()
    if name in ("N", "N.C.", "NC", "X", "-"):
        return NO_CHORD
    match = re.fullmatch(r"([A-Ga-g][#b♯♭]*):?([^/]*)(/.*)?", name)
    if match:
        quality = re.sub(r"\(.*?\)", "", match[2]).replace("°", "dim")
        quality = re.sub("ø7?", "m7b5", re.sub("Δ7?", "maj7", quality))
        quality = _SPELLINGS.get(quality, quality)
        if quality in QUALITIES:
            return list(QUALITIES).index(quality) * 12 + pitch_class(match[1])
    raise RequestError(f"unknown chord {text!r}: write C, Am, F#dim, G7, Dm7, Asus4, N ...")


def chord_name(symbol: int) -> str:
    """'Am7' of a symbol."""
    quality, root = divmod(symbol, 12)
    return "N" if symbol == NO_CHORD else _NAMES[root] + list(QUALITIES)[quality]


def parse_scale(text: str) -> np.ndarray:
    """Boolean mask of 12 pitch classes from 'C major', 'f# minor', 'Eb dorian'. Raises RequestError."""
    tonic, _, mode = text.strip().partition(" ")
    mode = {"": "major", "maj": "major", "min": "minor"}.get(mode.strip().lower(), mode.strip().lower())
    if mode not in SCALES:
        raise RequestError(f"unknown scale {text!r}: a note name and one of {', '.join(SCALES)}")
    mask = np.zeros(12, dtype=bool)
    mask[[(pitch_class(tonic) + step) % 12 for step in SCALES[mode]]] = True
    return mask


def chord_notes(changes: Iterable[tuple[float, float, int]]) -> Notes:
    """CHORD notes from (onset, end, symbol); equal neighbours are joined."""
    rows: list[list[float]] = []
    for onset, end, symbol in changes:
        if rows and rows[-1][2] == symbol and abs(rows[-1][1] - onset) < 0.02:
            rows[-1][1] = end
        elif end > onset:
            rows.append([onset, end, symbol])
    return Notes.of((onset, end - onset, int(symbol), CHORD, 64) for onset, end, symbol in rows)


def chord_at(chords: Notes, times: np.ndarray) -> np.ndarray:
    """The chord symbol that sounds at each time, -1 for none: the last one begun that has not ended."""
    if not len(chords):
        return np.full(len(times), -1)
    i = np.searchsorted(chords.onset, times + 1e-6, side="right") - 1
    return np.where((i >= 0) & (times < chords.offset[i] + 1e-3), chords.pitch[i], -1)


def parse_chart(text: str, bars: np.ndarray) -> Notes:
    """CHORD notes of '| C | Am F | G7 |': one bar between two strokes, shared evenly by its chords; '%' repeats the bar
    before. bars: bar lines in seconds; the chart is repeated until they end. Raises RequestError."""
    cells = [cell.split() for cell in text.strip().strip("|").split("|")]
    for i, cell in enumerate(cells):
        if cell == ["%"] and i:
            cells[i] = cells[i - 1]
    if not any(cells) or any(not cell for cell in cells):
        raise RequestError(f"no chords between the bar lines of {text!r}: write '| C | Am | F G |'")
    symbols = [[parse_chord(name) for name in cell] for cell in cells]
    changes = []
    for i, (start, end) in enumerate(zip(bars[:-1], bars[1:], strict=True)):
        bar = symbols[i % len(symbols)]
        edges = np.linspace(start, end, len(bar) + 1)
        changes += list(zip(edges[:-1], edges[1:], bar, strict=True))
    return chord_notes(changes)


def transposed(odds: np.ndarray, semitones: int) -> np.ndarray:
    """(..., NO_CHORD) odds of chords, for the same music so many semitones higher."""
    by_root = odds.reshape(*odds.shape[:-1], len(QUALITIES), 12)
    return np.roll(by_root, semitones, axis=-1).reshape(odds.shape)


def chroma(notes: Notes, edges: np.ndarray) -> np.ndarray:
    """(len(edges) - 1, 12) seconds that each pitch class sounds between two edges; drums, chords and beats left out."""
    notes = notes.pitched
    out = np.zeros((len(edges) - 1, 12))
    if not len(notes) or not len(out):
        return out
    ends = notes.onset + np.minimum(notes.duration, 10.0)
    first = np.clip(np.searchsorted(edges, notes.onset, side="right") - 1, 0, len(out) - 1)
    last = np.clip(np.searchsorted(edges, ends, side="left") - 1, 0, len(out) - 1)
    count = np.maximum(last - first + 1, 0)
    note = np.repeat(np.arange(len(notes)), count)  # one row for every (note, segment) that meet
    segment = np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count) + first[note]
    shared = np.minimum(ends[note], edges[segment + 1]) - np.maximum(notes.onset[note], edges[segment])
    np.add.at(out, (segment, notes.pitch[note] % 12), np.maximum(shared, 0.0))
    return out


def together(notes: Notes, edges: np.ndarray) -> np.ndarray:
    """(len(edges) - 1,) how many pitch classes sound at a time between two edges, in the mean."""
    return chroma(notes, edges).sum(1) / np.maximum(np.diff(edges), 1e-9)


_TEMPLATES = CHORD_TONES[:NO_CHORD].astype(np.float64)
# In favour of plain triads: a seventh has to be heard, not guessed.
_PRIOR = np.repeat([0.0, 0.0, -0.10, -0.12, -0.14, -0.12, -0.06, -0.06, -0.06, -0.10], 12)


def estimate_chords(notes: Notes, beats: Notes, change: float = 0.35) -> Notes:
    """CHORD notes estimated from the sounding notes, one decision a beat: chroma templates smoothed by the Viterbi
    algorithm with a constant price for a change. Without beats, half seconds stand in for them."""
    pitched = notes.pitched
    if not len(pitched):
        return Notes.of([])
    edges = np.append(beats.onset, beats.end) if len(beats) else np.arange(0.0, notes.end + 0.5, 0.5)
    weight = chroma(pitched, edges)
    bass = np.full(len(weight), -1)  # pitch class of the lowest onset of each segment
    segment = np.searchsorted(edges, pitched.onset, side="right") - 1
    order = np.argsort(-pitched.pitch, kind="stable")
    inside = order[(segment[order] >= 0) & (segment[order] < len(bass))]
    bass[segment[inside]] = pitched.pitch[inside] % 12
    total = weight.sum(1, keepdims=True)
    share = weight / np.maximum(total, 1e-9)
    size = _TEMPLATES.sum(1)
    score = share @ (_TEMPLATES * 2 - 1).T - 0.04 * (size - 3) + _PRIOR  # heard inside less heard outside
    score += 0.15 * (bass[:, None] == np.arange(NO_CHORD)[None] % 12)
    score[total[:, 0] <= 0] = 0.0
    return chord_notes(zip(edges[:-1].tolist(), edges[1:].tolist(), best_path(score, change), strict=True))


def best_path(score: np.ndarray, change: float) -> list[int]:
    """The states (N,) of the highest total score (N, states), each change costing `change` (Viterbi)."""
    best = score.copy()  # of all paths that end in a state
    least = []  # what it takes to stay: below it, coming from the best state pays
    add, at_least = np.add, np.maximum  # the loop runs for every beat of a corpus
    last = best[0]
    for now in best[1:]:
        floor = last[last.argmax()] - change
        add(now, at_least(last, floor), now)
        least.append(floor)
        last = now
    top = best.argmax(1)
    path = [int(top[-1])]
    for i in range(len(score) - 2, -1, -1):
        path.append(path[-1] if best[i, path[-1]] >= least[i] else int(top[i]))
    return path[::-1]
