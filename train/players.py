"""Bass, guitars, keys and strings that play from a lead sheet and listen to the drummer. Patterns are tables.

Knows positions in beats; knows no seconds and no files. A stroke is (position, length, accent); a sounding note is
(position, length, pitch, loudness from 0 to 1).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from sheets import Sheet

from anticipation.music.harmony import NO_CHORD, QUALITIES

Stroke = tuple[float, float, float]
Sound = tuple[float, float, int, float]

TONES = tuple(QUALITIES.values())
BASS, TREBLE = (28, 48), (60, 84)  # E1-C3, C4-C6: the registers of basses and strings


def even(step: float, length: float, accents: tuple[float, ...]) -> tuple[Stroke, ...]:
    """A stroke every `step` beats of a bar, with accents that go round."""
    return tuple((i * step, length, accents[i % len(accents)]) for i in range(round(4 / step)))


def at(*positions: float, length: float = 0.45, accent: float = 0.8) -> tuple[Stroke, ...]:
    return tuple((position, length, accent) for position in positions)


# Bass: position, length, and the step of the chord: R root, 3, 5, 7, 8 octave, A the way to the next chord.
BASS_LINES: dict[str, tuple[tuple[float, float, str], ...]] = {
    "held": ((0, 3.9, "R"),),
    "halves": ((0, 1.9, "R"), (2, 1.4, "R"), (3.5, 0.45, "A")),
    "two": ((0, 0.9, "R"), (2, 0.9, "5")),
    "quarters": ((0, 0.9, "R"), (1, 0.9, "R"), (2, 0.9, "R"), (3, 0.85, "A")),
    "eighths": tuple((i / 2, 0.44, "R") for i in range(7)) + ((3.5, 0.44, "A"),),
    "octaves": tuple((i / 2, 0.35, "R8"[i % 2]) for i in range(8)),
    "pop": ((0, 1.4, "R"), (1.5, 0.45, "R"), (2, 1.4, "R"), (3.5, 0.45, "A")),
    "motown": ((0, 0.7, "R"), (0.75, 0.2, "R"), (1.5, 0.4, "5"), (2, 0.4, "8"), (2.5, 0.4, "7"), (3, 0.4, "5"),
               (3.5, 0.4, "A")),
    "funk": ((0, 0.5, "R"), (0.75, 0.2, "R"), (1.5, 0.2, "8"), (2.25, 0.2, "7"), (2.75, 0.2, "R"), (3.5, 0.3, "A")),
    "bossa": ((0, 1.4, "R"), (1.5, 0.45, "5"), (2, 1.4, "5"), (3.5, 0.45, "R")),
    "tumbao": ((0, 0.9, "R"), (1.5, 1.4, "5"), (3, 0.95, "8")),
    "reggae": ((0, 0.6, "R"), (1.5, 0.4, "R"), (2, 0.7, "5"), (3, 0.4, "3"), (3.5, 0.4, "R")),
    "boogie": tuple((i, 0.85, step) for i, step in enumerate("R356")),
}  # fmt: skip
# Chords: what hands do in a bar.
COMPS: dict[str, tuple[Stroke, ...]] = {
    "held": at(0, length=4, accent=0.7), "halves": at(0, 2, length=1.95, accent=0.75),
    "quarters": even(1, 0.85, (0.85, 0.65, 0.8, 0.65)), "offbeats": at(0.5, 1.5, 2.5, 3.5, length=0.3),
    "pop": ((0, 1.4, 0.9), (1.5, 1.4, 0.75), (3, 0.9, 0.8)), "charleston": ((0, 0.8, 0.8), (1.5, 0.3, 0.9)),
    "swing": ((0.5, 0.3, 0.7), (2, 0.4, 0.8), (3.5, 0.6, 0.85)), "two and four": at(1, 3, length=0.4, accent=0.85),
    "strum": ((0, 0.9, 0.9), (1, 0.45, 0.7), (1.5, 0.9, 0.6), (2.5, 0.45, 0.7), (3, 0.45, 0.75), (3.5, 0.45, 0.6)),
    "sixteenths": even(0.25, 0.18, (0.85, 0.35, 0.55, 0.45)),
    "chops": ((0, 0.15, 0.7), (0.75, 0.12, 0.6), (1, 0.12, 0.9), (1.75, 0.12, 0.6), (2.5, 0.12, 0.7), (3, 0.12, 0.9),
              (3.25, 0.12, 0.5)),
    "drive": even(0.5, 0.42, (0.95, 0.7, 0.8, 0.7)), "stabs": ((0, 0.3, 0.95), (1.5, 0.3, 0.85), (2.5, 0.3, 0.8)),
    "bossa": ((0, 0.4, 0.8), (1, 0.4, 0.6), (1.5, 0.9, 0.8), (3, 0.4, 0.7), (3.5, 0.4, 0.75)),
    "montuno": ((0, 0.4, 0.9), (0.5, 0.4, 0.6), (1.5, 0.4, 0.8), (2.5, 0.4, 0.75), (3.5, 0.4, 0.85)),
    "skank": at(1, 3, length=0.25, accent=0.9), "rolling": even(0.5, 0.6, (0.8, 0.5, 0.6, 0.5)),
    "picking": even(0.5, 0.9, (0.8, 0.5, 0.65, 0.55)),
}  # fmt: skip
BROKEN = ("rolling", "picking")  # a chord note at a time, not all at once
ORDERS = ((0, 1, 2, 3, 2, 1, 2, 1), (0, 2, 1, 3, 1, 2, 1, 2), (0, 1, 2, 1, 3, 1, 2, 1))


@dataclass
class Song:
    """What all players of a band hear: the sheet, the kicks, which changes come an eighth early, the swing."""

    sheet: Sheet
    kicks: np.ndarray  # positions of the bass drum, as it was really played
    rng: np.random.Generator
    swing: float = 0.5
    pushed: frozenset[float] = field(default_factory=frozenset)
    ceiling: np.ndarray | None = None  # (bars,) the lowest melody pitch of each bar; 127 where there is none

    def swung(self, position: float) -> float:
        beat, phase = divmod(position, 1.0)
        late = self.swing
        return beat + (phase * 2 * late if phase < 0.5 else late + (phase - 0.5) * 2 * (1 - late))

    def change_after(self, position: float) -> float:
        """When the next chord begins to be played."""
        changes = self.sheet.changes
        i = bisect_right(changes, position + 0.01)
        later = changes[i] if i < len(changes) else float(self.sheet.bars[-1])
        return later - 0.5 * (later in self.pushed)


def strokes(song: Song, bar: int, pattern: tuple[Stroke, ...]) -> Iterator[tuple[float, float, float, int]]:
    """(position, length, accent, chord) of a pattern in a bar. Every change of chord is struck, an eighth early where
    the band pushes it; nothing sounds on into another chord."""
    sheet = song.sheet
    start, end = sheet.bars[bar], sheet.bars[bar + 1]
    hits = [(start + p, length, accent) for p, length, accent in pattern if start + p < end - 0.01]
    for change in sheet.changes[bisect_right(sheet.changes, start) : bisect_left(sheet.changes, end)]:
        if all(abs(p - change) > 0.26 for p, _, _ in hits):
            hits.append((change, 0.9, 0.8))
    for p, length, accent in sorted(hits):
        ahead = next((c for c in song.pushed if c - 0.51 < p < c - 0.01), None)
        if ahead is not None:
            continue  # the pushed change is struck there instead
        played = p
        if any(abs(p - c) < 0.01 for c in song.pushed) and p >= 0.5:
            played, length = p - 0.5, length + 0.5
        symbol = sheet.chord(p)
        length = min(length, song.change_after(p) - played, sheet.bars[-1] - played)
        if symbol != NO_CHORD and length > 0.05:
            yield played, length, accent, symbol


def near(pitch_class: int, centre: float, low: int, high: int) -> int:
    """The pitch of a class that is nearest to a centre, within low <= pitch <= high (an octave or more apart)."""
    options = [p for p in range(low, high + 1) if p % 12 == pitch_class % 12]
    return min(options, key=lambda p: (abs(p - centre), p))


def bass(song: Song, line: str, phrases: list[bool]) -> list[Sound]:
    """A bass line that keeps to its register, steps to the next root, and strikes with the bass drum."""
    sheet, rng, out, last = song.sheet, song.rng, [], 36.0
    steps = {(p, length, 0.8): step for p, length, step in BASS_LINES[line]}
    table = {p: step for p, _, step in BASS_LINES[line]}
    for k, bar in playing_bars(sheet, phrases):
        start, end = sheet.bars[bar], sheet.bars[bar + 1]
        ending = bar == sheet.phrases[k + 1] - 1 and rng.random() < 0.6
        for position, length, accent, symbol in strokes(song, bar, tuple(steps)):
            if ending and position >= end - 1.9 and line not in ("held", "halves"):
                continue
            step = table.get(round(position - start, 2), "R")
            if abs(song.change_after(position - 0.1) - position) < 0.02:
                step = "R"  # a new chord begins with its root
            pitch = bass_pitch(song, step, symbol, position + length, last)
            last = 0.7 * pitch + 0.3 * 36 if step == "R" else last
            out.append((lock(song, song.swung(position)), length, pitch, accent))
        if ending and line not in ("held", "halves"):
            out += bass_fill(song, end, last)
    return with_kicks(song, sorted(out)) if line in ("pop", "halves", "quarters", "funk") else sorted(out)


def bass_pitch(song: Song, step: str, symbol: int, until: float, last: float) -> int:
    quality, root = divmod(symbol, 12)
    tones = TONES[quality]
    low, high = BASS
    home = near(root, last, low, high - 5)
    if step == "A":  # by a half or whole tone into the next root, or the fifth where the chord stays
        following = song.sheet.chord(until + 0.3)
        if following == NO_CHORD or following % 12 == root:
            return near(root + 7, home, low, high)
        goal = near(following % 12, home, low, high - 5)
        step_in = int(song.rng.choice([-1, -2, 1, 2], p=[0.4, 0.2, 0.15, 0.25]))
        return goal + (step_in if goal + step_in >= low else -step_in)
    above = {"R": 0, "8": 12, "5": tones[2], "3": tones[1], "7": tones[3] if len(tones) > 3 else 12,
             "6": 9 if tones[1] == 4 else 10}[step]  # fmt: skip
    return home + above if home + above <= high + 7 else home + above - 12


def bass_fill(song: Song, end: int, last: float) -> list[Sound]:
    """Two beats of eighths up or down the chord's scale to the next root."""
    symbol, following = song.sheet.chord(end - 1.5), song.sheet.chord(end + 0.1)
    if NO_CHORD in (symbol, following):
        return []
    root = near(symbol % 12, last, *BASS)
    goal = near(following % 12, root, BASS[0], BASS[1] - 5)
    scale = scale_of(symbol)
    side = 1 if song.rng.random() < 0.5 and goal - 7 >= BASS[0] else -1
    path, pitch = list[int](), goal
    while len(path) < 3:
        pitch -= side
        if pitch % 12 in scale:
            path.append(pitch)
    pitches = [root, *path[::-1]]
    return [(lock(song, song.swung(end - 2 + i / 2)), 0.42, int(p), 0.85) for i, p in enumerate(pitches)]


def scale_of(symbol: int) -> set[int]:
    """A scale in which a chord is at home: mixolydian, dorian, ionian, or what its tones ask for."""
    quality, root = divmod(symbol, 12)
    minor = 3 in TONES[quality]
    steps = (0, 2, 3, 5, 7, 9, 10) if minor else (0, 2, 4, 5, 7, 9, 10 if 10 in TONES[quality] else 11)
    return {(root + s) % 12 for s in (*steps, *TONES[quality])}


def lock(song: Song, position: float) -> float:
    """The position of the nearest bass drum stroke, where one is 0.14 beats away or less; else the one given."""
    i = int(np.searchsorted(song.kicks, position))
    around = song.kicks[max(0, i - 1) : i + 1]
    best = min(around.tolist(), key=lambda kick: abs(kick - position), default=position)
    return best if abs(best - position) <= 0.14 else position


def with_kicks(song: Song, line: list[Sound]) -> list[Sound]:
    """A line with a short note on bass drum strokes that it had left alone, of the pitch before."""
    onsets = np.array([p for p, *_ in line])
    out = list(line)
    for kick in song.kicks.tolist():
        i = int(np.searchsorted(onsets, kick)) - 1
        if i < 0 or np.abs(onsets - kick).min() < 0.2 or song.rng.random() < 0.35:
            continue
        position, length, pitch, loud = line[i]
        room = song.change_after(kick - 0.02) - kick
        if kick - position < 2.5 and song.sheet.chord(kick) == song.sheet.chord(position + 0.02) and room > 0.2:
            after = onsets[i + 1] - kick if i + 1 < len(onsets) else 1.0
            out[i] = (position, min(length, kick - position), pitch, loud)
            out.append((kick, min(0.4, after, room), pitch, loud * 0.85))
    return sorted(out)


def walk(song: Song, phrases: list[bool]) -> list[Sound]:
    """A walking bass: roots on changes, chord tones and scale steps between, half a tone into the next root."""
    sheet, rng, out, last = song.sheet, song.rng, [], 38
    for _, bar in playing_bars(sheet, phrases):
        for beat in range(sheet.bars[bar], sheet.bars[bar + 1]):
            symbol, following = sheet.chord(beat), sheet.chord(beat + 1)
            if symbol == NO_CHORD:
                continue
            fresh = beat in sheet.changes or beat == sheet.bars[bar]
            if fresh:
                pitch = near(symbol % 12, last, 29, 50)
            elif following != symbol and following != NO_CHORD:
                goal = near(following % 12, last, 29, 50)
                pitch = goal + (1 if last > goal else -1) * int(rng.choice([1, 1, 2]))
            else:
                tones = [p for p in range(28, 53) if (p - symbol) % 12 in {t % 12 for t in TONES[symbol // 12]}]
                tones = [p for p in tones if 0 < abs(p - last) <= 7] or tones
                pitch = int(rng.choice(tones))
            out.append((lock(song, float(beat)), 0.92, int(pitch), 0.8 + 0.1 * (beat % 2)))
            if rng.random() < 0.1:
                out.append((song.swung(beat + 0.5), 0.3, int(pitch), 0.5))
            last = pitch
    return out


def voicing(symbol: int, before: tuple[int, ...], size: int, low: int, high: int) -> tuple[int, ...]:
    """The chord's `size` notes between low and high that lie closest to those before (voices move little, and none is
    doubled before all tones are there)."""
    quality, root = divmod(symbol, 12)
    tones = [(root + t) % 12 for t in TONES[quality]]
    if len(tones) > size:
        tones = [tones[1], tones[3], *tones[:1], tones[2]][:size]  # third and seventh say what chord it is
    options = []
    for bottom in range(low, high - 4):
        if bottom % 12 in tones:
            notes, pitch = [bottom], bottom
            while len(notes) < size:
                pitch = min(p for p in range(pitch + 1, pitch + 13) if p % 12 in tones)
                notes.append(pitch)
            if notes[-1] <= high:
                options.append(tuple(notes))
    if not options:
        return ()
    centre = (low + high) / 2

    def cost(notes: tuple[int, ...]) -> float:
        home = 0.3 * abs(sum(notes) / len(notes) - centre)
        moved = sum(abs(a - b) for a, b in zip(notes, before, strict=True)) if len(before) == len(notes) else 0
        return moved + home

    return min(options, key=cost)


def chords(
    song: Song, comp: str, phrases: list[bool], home: tuple[int, int], size: int = 4, under: bool = True
) -> list[Sound]:
    """A part that plays a comp in voice-led chords, below the melody where there is one."""
    sheet, out, before = song.sheet, [], tuple[int, ...]()
    order = ORDERS[int(song.rng.integers(len(ORDERS)))]
    for _, bar in playing_bars(sheet, phrases):
        low, high = home
        if under and song.ceiling is not None and song.ceiling[bar] < 127:
            high = int(min(high, max(low + 10, song.ceiling[bar] + 2)))
        for i, (position, length, accent, symbol) in enumerate(strokes(song, bar, COMPS[comp])):
            voices = voicing(symbol, before, size, low, high)
            before = voices or before
            if comp in BROKEN and voices:
                voices = (voices[order[i % 8] % len(voices)],)
            out += [(song.swung(position), length, pitch, accent) for pitch in voices]
    return out


def power(song: Song, comp: str, phrases: list[bool]) -> list[Sound]:
    """Root, fifth and octave of a distorted guitar; low, and never where they would blur into a third."""
    out, last = [], 43.0
    for _, bar in playing_bars(song.sheet, phrases):
        for position, length, accent, symbol in strokes(song, bar, COMPS[comp]):
            root = near(symbol % 12, last, 40, 52)
            last = 0.5 * root + 0.5 * 45
            fifth = 6 if symbol // 12 in (2, 9) else 7
            struck = (root, root + fifth, root + 12)
            out += [(song.swung(position), length, pitch, accent) for pitch in struck]
    return out


def pads(song: Song, phrases: list[bool], home: tuple[int, int] = TREBLE) -> list[Sound]:
    """Strings: three held voices that move as little as they can; a common tone is not struck again."""
    held: dict[int, tuple[float, float, float]] = {}
    out: list[Sound] = []
    for position, length, pitch, loud in chords(song, "held", phrases, home, size=3, under=False):
        if pitch in held and abs(held[pitch][0] + held[pitch][1] - position) < 0.05 and held[pitch][1] < 12:
            held[pitch] = (held[pitch][0], held[pitch][1] + length, loud)
            continue
        if pitch in held:
            out.append((held[pitch][0], held[pitch][1], pitch, held[pitch][2]))
        held[pitch] = (position, length, loud)
    return sorted(out + [(p, length, pitch, loud) for pitch, (p, length, loud) in held.items()])


def playing_bars(sheet: Sheet, phrases: list[bool]) -> Iterator[tuple[int, int]]:
    """(phrase, bar) of the bars of the phrases in which a part plays."""
    for k, (first, end) in enumerate(zip(sheet.phrases[:-1], sheet.phrases[1:], strict=True)):
        if phrases[k]:
            yield from ((k, bar) for bar in range(first, end))
