"""Notes drawn as a piano roll in a PNG file. Knows nothing of files of music, models or requests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..files import replacing
from ..music.harmony import NO_CHORD
from ..music.notes import DRUMS, Note, Notes, instrument_name
from ..music.symbols import chord_name
from .timbres import DRUM_SOUNDS, drum_name

PALETTE = ("#0072B2", "#E4701E", "#009E73", "#C0408A", "#6A51C9", "#C99700", "#2FA4D7", "#8C5A2B")  # after Okabe-Ito
PAPER, INK, FAINT, EDGE, FILL, SPAN = "#FFFFFF", "#1F2937", "#6B7280", "#4B5563", "#B4BCC8", "#FFB800"
WIDTH, WIDEST, LEFT, RIGHT, AXIS, LANE = 1600, 6000, 84, 28, 38, 17  # pixels; LANE: the height of a drum's
_GAP = 10  # between pitches and drum lanes
_TITLE, _LEGEND, _CHORDS, _BARS = 40, 38, 26, 18  # heights of what stands above the pitches
_FINE = 2  # drawn at twice the size, then reduced: smooth corners without a vector library
_BLACK_KEYS = (1, 3, 6, 8, 10)


@dataclass(frozen=True)
class Roll:
    """Where a song time (seconds), a pitch or a drum stands in the picture (pixels).

    start, end: the song times at its edges. low, high: the pitches drawn; none where high is lower. lanes: the drums,
    see DRUM_SOUNDS. top: upper edge of the pitches. row: the height of one. width: of the picture.
    """

    start: float
    end: float
    low: int
    high: int
    lanes: tuple[str, ...]
    top: int
    row: int
    width: int

    @classmethod
    def of(cls, music: Notes, span: tuple[float, float] | None, head: int) -> Roll:
        pitched, drums = music.pitched, music.of_instruments([DRUMS])
        edges = [edge for edge in span or () if np.isfinite(edge)]  # a span may be open to the end
        first, last = min([*music.onset[:1], *edges], default=0.0), max([music.end, *edges])
        start = 0.0 if 0 <= first < 8 else float(np.floor(first))
        end = max(last, start + 1) + 0.1
        low, high = 60, 60 if not len(drums) else 59  # drums alone: no rows of pitches
        if len(pitched):
            low, high = int(pitched.pitch.min()) - 2, int(pitched.pitch.max()) + 2
        if high >= low:
            spare = max(0, 24 - (high - low))  # two octaves at least
            low, high = max(0, low - spare // 2), min(127, high + (spare + 1) // 2)
        hit = {drum_name(pitch) for pitch in drums.pitch.tolist()}
        lanes = tuple(name for name in DRUM_SOUNDS if name in hit)
        row = max(5, min(18, (870 - head - AXIS - len(lanes) * LANE) // max(1, high - low + 1)))
        width = int(min(max(WIDTH, LEFT + RIGHT + 40 * (end - start)), WIDEST))
        return cls(start, end, low, high, lanes, head, row, width)

    @property
    def bottom(self) -> int:
        """Lower edge of the pitches."""
        return self.top + (self.high - self.low + 1) * self.row

    @property
    def floor(self) -> int:
        """Lower edge of the drum lanes."""
        return self.lane_top(len(self.lanes)) if self.lanes else self.bottom

    @property
    def scale(self) -> float:
        """Pixels per second."""
        return (self.width - LEFT - RIGHT) / (self.end - self.start)

    def pitch_top(self, pitch: int) -> int:
        return self.top + (self.high - pitch) * self.row

    def lane_top(self, lane: int) -> int:
        return self.bottom + _GAP + lane * LANE

    def x(self, seconds: float) -> float:
        return LEFT + (min(max(seconds, self.start), self.end) - self.start) * self.scale

    def box(self, note: Note) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of a note."""
        onset, duration, pitch, instrument, _ = note
        left, right = self.x(onset), self.x(onset + duration)
        if instrument == DRUMS:
            top = self.lane_top(self.lanes.index(drum_name(pitch)))
            return left, top + 3, left + max(4, min(9, 0.14 * self.scale)), top + LANE - 3
        top = self.pitch_top(pitch)
        return left, top + 0.5, max(right - 1, left + 3), top + self.row - 0.5


def piano_roll(
    known: Notes,
    generated: Notes,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    beats: Notes | None = None,
    chords: Notes | None = None,
    sharps: int = 0,
    span: tuple[float, float] | None = None,
) -> None:
    """Draw known notes (grey, outlined) and generated notes (a colour per instrument) as a PNG, about 1600 x 900.

    Pieces longer than 37 s are wider, up to 6000 pixels. beats: BEAT notes, for bar lines. chords: CHORD notes, named
    above in a key of so many sharps. span: start and end in seconds of what was written, shaded. Raises FileError where
    `path` cannot be written.
    """
    known, generated = known.audible, generated.audible
    legend = 16 + (_TITLE if title else 0)
    bars = _BARS if beats is not None else 0
    head = legend + _LEGEND + (_CHORDS if chords is not None else 0) + bars
    roll = Roll.of(Notes.concat([known, generated]), span, head)
    image = Image.new("RGB", (roll.width * _FINE, (roll.floor + AXIS) * _FINE), PAPER)
    colours = {instrument: PALETTE[i % len(PALETTE)] for i, instrument in enumerate(generated.instruments)}
    shapes = ImageDraw.Draw(image)
    _draw_ground(shapes, roll, span)
    if beats is not None:
        _draw_bars(shapes, roll, beats)
    _draw_keyboard(shapes, roll)
    _draw_notes(shapes, roll, known, generated, colours)
    image = image.reduce(_FINE)
    words = ImageDraw.Draw(image)
    _label_axes(words, roll)
    if title:
        _text(words, (24, 26), _fitted(title, 24, roll.width - 48), 24)
    _draw_legend(words, legend, roll.width - 24, known, colours, span)
    if chords is not None:
        _label_chords(words, roll, chords, sharps, head - bars - 14)
    if beats is not None:
        _label_bars(words, roll, beats)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", optimize=False)


def _mix(colour: str, ground: str, share: float) -> tuple[int, int, int]:
    """`share` of a #RRGGBB colour over the rest of another."""
    parts = [int(c[i : i + 2], 16) for c in (colour, ground) for i in (1, 3, 5)]
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(parts[:3], parts[3:], strict=True))
    return red, green, blue


def _fill(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Any, **options: Any) -> None:
    """A rectangle in picture pixels, right and bottom edge not included."""
    left, top, right, bottom = (round(side * _FINE) for side in box)
    if right > left and bottom > top:
        draw.rounded_rectangle((left, top, right - 1, bottom - 1), options.pop("radius", 0), colour, **options)


def _draw_ground(draw: ImageDraw.ImageDraw, roll: Roll, span: tuple[float, float] | None) -> None:
    """Rows of white and black keys, drum lanes, and the written span shaded."""
    zones = [(LEFT, roll.width - RIGHT, 0.0)]
    if span is not None:
        zones.append((round(roll.x(span[0])), round(roll.x(span[1])), 0.10))
    for left, right, shade in zones:
        for pitch in range(roll.low, roll.high + 1):
            top = roll.pitch_top(pitch)
            ground = "#F1F3F6" if pitch % 12 in _BLACK_KEYS else "#FBFCFD"
            _fill(draw, (left, top, right, top + roll.row), _mix(SPAN, ground, shade))
            if pitch % 12 in (0, 5) and pitch > roll.low:  # where two white keys meet: C and F
                line = _mix("#9AA3B0", ground, 0.9 if pitch % 12 == 0 else 0.3)
                _fill(draw, (left, top + roll.row - 0.5, right, top + roll.row), line)
        for i in range(len(roll.lanes)):
            top = roll.lane_top(i)
            _fill(draw, (left, top + 0.5, right, top + LANE - 0.5), _mix(SPAN, "#F4F5F8", shade))
    for left, right, _ in zones[1:]:
        _fill(draw, (left, roll.top - 4, right, roll.top), SPAN)


def _draw_bars(draw: ImageDraw.ImageDraw, roll: Roll, beats: Notes) -> None:
    inside = beats.between(roll.start, roll.end)
    close = len(inside) and float(np.median(inside.duration)) * roll.scale < 12  # too many beats to draw each
    drawn = 0
    for onset, _, place, _, _ in inside:
        x = round(roll.x(onset))
        if place == 0 and x > drawn + 3:  # of hours of music, not every bar
            _fill(draw, (x, roll.top, x + 1, roll.floor), "#B3BAC5")
            drawn = x
        elif not close:
            _fill(draw, (x, roll.top, x + 0.5, roll.floor), "#E1E5EA")


def _draw_keyboard(draw: ImageDraw.ImageDraw, roll: Roll) -> None:
    if roll.bottom == roll.top:
        return  # drums alone
    left, right = LEFT - 34, LEFT - 3
    _fill(draw, (left, roll.top, right, roll.bottom), "#FFFFFF")
    for pitch in range(roll.low, roll.high + 1):
        top = roll.pitch_top(pitch)
        if pitch % 12 in _BLACK_KEYS:
            _fill(draw, (left, top, left + 19, top + roll.row), "#374151", radius=2)
            _fill(draw, (left + 19, top + roll.row / 2 - 0.5, right, top + roll.row / 2), "#C3C9D2")
        elif pitch % 12 in (0, 5):
            _fill(draw, (left, top + roll.row - 0.5, right, top + roll.row), "#C3C9D2")
    draw.rectangle(tuple(v * _FINE for v in (left, roll.top, right, roll.bottom)), outline="#9AA3B0", width=1)


def _draw_notes(draw: ImageDraw.ImageDraw, roll: Roll, known: Notes, generated: Notes, colours: dict[int, str]) -> None:
    """Known fills, generated notes, known outlines: where both sound one pitch, both can be seen."""
    radius = max(1, round(roll.row * 0.22 * _FINE))
    for note in known:
        _fill(draw, roll.box(note), _mix(FILL, PAPER, 0.25 + 0.75 * note[4] / 127), radius=radius)
    for note in generated:
        colour = colours[note[3]]
        shade = _mix(colour, PAPER, 0.3 + 0.7 * min(1.0, note[4] / 110))
        _fill(draw, roll.box(note), shade, outline=_mix(colour, "#000000", 0.8), width=1, radius=radius)
    for note in known:
        _fill(draw, roll.box(note), None, outline=EDGE, width=3 if roll.row > 6 else 2, radius=radius)


# ---- words in the picture ------------------------------------------------------------------------------------------


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def _text(draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str, size: int, colour: Any = INK, anchor="lm"):
    words = words.replace("♭", "b").replace("♯", "#")  # the built-in font has no music signs
    draw.text(at, words, fill=colour, font=_font(size), anchor=anchor)


def _fitted(words: str, size: int, width: float) -> str:
    while words and _font(size).getlength(words) > width:
        words = words[:-4].rstrip() + "..." if len(words) > 4 else ""
    return words


def _label_axes(draw: ImageDraw.ImageDraw, roll: Roll) -> None:
    for pitch in range(roll.low, roll.high + 1):
        if pitch % 12 == 0:
            _text(draw, (LEFT - 42, roll.pitch_top(pitch) + 0.5 * roll.row), f"C{pitch // 12 - 1}", 13, FAINT, "rm")
    for i, name in enumerate(roll.lanes):
        _text(draw, (LEFT - 8, roll.lane_top(i) + 0.5 * LANE), name, 12, FAINT, "rm")
    step = next((s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300) if s * roll.scale >= 70), 600)
    for second in np.arange(np.ceil(roll.start / step) * step, roll.end, step).astype(int).tolist():
        x = round(roll.x(second))
        draw.line((x, roll.floor, x, roll.floor + 5), fill="#9AA3B0")
        label = f"{second} s" if roll.end < 60 else f"{second // 60}:{second % 60:02d}"
        _text(draw, (x, roll.floor + 18), label, 13, FAINT, "mm")


def _label_bars(draw: ImageDraw.ImageDraw, roll: Roll, beats: Notes) -> None:
    """Numbers above the bar lines, counted from the first downbeat, as many as there is room for."""
    bars = beats.onset[beats.pitch == 0]
    narrow = float(np.median(np.diff(bars))) * roll.scale if len(bars) > 1 else roll.width
    every = next((k for k in (1, 2, 4, 8, 16, 32) if k * narrow >= 36), 64)
    for number, onset in list(enumerate(bars.tolist(), 1))[::every]:  # 1, 5, 9 ...: where phrases start
        if roll.start <= onset < roll.end:
            _text(draw, (roll.x(onset) + 1, roll.top - 12), str(number), 12, "#8A93A1", "lm")


def _label_chords(draw: ImageDraw.ImageDraw, roll: Roll, chords: Notes, sharps: int, y: int) -> None:
    for onset, duration, symbol, _, _ in chords:
        left, right = roll.x(onset), roll.x(onset + duration)
        if symbol == NO_CHORD or right <= left + 3:
            continue
        draw.rounded_rectangle((left + 1, y - 10, right - 1, y + 10), 4, fill="#EEF1F5")
        name = chord_name(symbol, sharps)
        for size in (14, 12, 10):  # a symbol that does not fit its own chord is left out
            if _font(size).getlength(name) + 8 <= right - left:
                _text(draw, (left + 5, y), name, size)
                break


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    y: int,
    right: int,
    known: Notes,
    colours: dict[int, str],
    span: tuple[float, float] | None,
) -> None:
    """One line: what is known, a swatch per written instrument, the span. What does not fit is counted."""
    names = [instrument_name(instrument) for instrument in known.instruments]
    listed = ", ".join(names[:3]) + (f" + {len(names) - 3} more" if len(names) > 3 else "")
    items: list[tuple[str, Any, Any]] = [(f"known: {listed}", FILL, EDGE)] if names else []
    items += [(instrument_name(i), colour, colour) for i, colour in colours.items()]
    items += [("written span", _mix(SPAN, PAPER, 0.18), SPAN)] if span is not None else []
    x, y = 24, y + 14
    for i, (name, fill, edge) in enumerate(items):
        wide = 20 + 7 + _font(15).getlength(name) + 24
        if x + wide > right - 80:
            _text(draw, (x, y), f"+ {len(items) - i} more", 15, FAINT)
            break
        draw.rounded_rectangle((x, y - 7, x + 20, y + 7), 3, fill=fill, outline=edge, width=2)
        _text(draw, (x + 27, y), name, 15)
        x += round(wide)
