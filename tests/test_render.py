"""The picture: every note where it belongs, known and written told apart by more than hue."""

import numpy as np
import pytest
from PIL import Image

from anticipation.errors import FileError
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.render import PALETTE, Roll, piano_roll

MELODY = Notes.of([(0.5 * i, 0.4, 72 + i % 5, 73, 127) for i in range(16)])
PIANO = Notes.of([(2.0 * i, 1.8, pitch, 0, 127) for i in range(4) for pitch in (48, 52, 55)])
KIT = Notes.of([(0.5 * i, 0.1, (36, 38)[i % 2], DRUMS, 127) for i in range(16)])
HEAD = 16 + 38  # no title, no chords, no beats


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def middle(picture: np.ndarray, box) -> tuple[int, ...]:
    left, top, right, bottom = box
    return tuple(picture[round((top + bottom) / 2), round((left + right) / 2)].tolist())


def drawn(tmp_path, *args, **options) -> np.ndarray:
    piano_roll(*args, tmp_path / "roll.png", **options)
    with Image.open(tmp_path / "roll.png") as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.asarray(image)


def test_every_note_is_where_and_what_it_should_be(tmp_path):
    picture = drawn(tmp_path, MELODY, PIANO + KIT)
    roll = Roll.of(MELODY + PIANO + KIT, None, HEAD)
    assert picture.shape[1] == roll.width == 1600 and 400 < picture.shape[0] <= 900
    for note in PIANO:
        assert middle(picture, roll.box(note)) == rgb(PALETTE[0])
    for note in KIT:
        assert middle(picture, roll.box(note)) == rgb(PALETTE[1])
        assert roll.bottom < roll.box(note)[1] < roll.floor
    for note in MELODY:
        red, green, blue = middle(picture, roll.box(note))
        assert max(red, green, blue) - min(red, green, blue) < 30, "known notes have no hue"
        left, top, right, bottom = roll.box(note)
        outline = picture[round((top + bottom) / 2), round(left)]
        assert outline.mean() < picture[round((top + bottom) / 2), round((left + right) / 2)].mean() - 50
    silent = picture[roll.top : roll.bottom, round(roll.x(7.95)) : round(roll.x(8.0))]
    assert silent.min() > 140, "nothing but the grid where nothing sounds"


def test_high_is_up_and_late_is_right(tmp_path):
    """By the pixels alone, whatever Roll says. Time begins at 0 where the music nearly does."""
    notes = Notes.of([(1.0, 1.0, 60, 0, 127), (3.0, 1.0, 72, 24, 127), (7.0, 1.0, 66, 40, 127)])
    picture = drawn(tmp_path, Notes.of([]), notes)
    places = [np.argwhere((picture[HEAD:] == rgb(colour)).all(2)).mean(0) for colour in PALETTE[:3]]
    (low, first), (high, second), (between, third) = places
    assert high < between < low and between - high == pytest.approx(low - between, abs=1)
    assert third - second == pytest.approx(2 * (second - first), rel=0.01)
    assert Roll.of(notes, None, HEAD).start == 0 and Roll.of(notes.shift(20.5), None, HEAD).start == 21


def test_a_known_note_under_a_written_one_still_shows_its_outline(tmp_path):
    note = Notes.of([(1, 2, 60, 0, 100)])
    picture, roll = drawn(tmp_path, note, note), Roll.of(note, None, HEAD)
    left, top, right, bottom = roll.box(next(iter(note)))
    row = picture[round((top + bottom) / 2)].astype(int)
    assert row[round((left + right) / 2), 2] > row[round((left + right) / 2), 0] + 60, "blue inside"
    assert np.ptp(row[round(left)]) < 60 and row[round(left)].mean() < 150, "slate at the edge"


def test_loud_is_stronger_than_soft(tmp_path):
    notes = Notes.of([(0, 1, 60, 0, 20), (2, 1, 60, 0, 120)])
    picture, roll = drawn(tmp_path, Notes.of([]), notes), Roll.of(notes, None, HEAD)
    soft, loud = (sum(middle(picture, roll.box(note))) for note in notes)
    assert soft > loud + 150


def test_bars_chords_title_and_span(tmp_path):
    tempo = TempoMap.constant(120)
    chords = Notes.of([(0, 2, 0, CHORD, 64), (2, 6, 12 + 9, CHORD, 64)])
    span = (2.0, float("inf"))
    picture = drawn(tmp_path, MELODY, PIANO, title="A title", beats=tempo.beats(8), chords=chords, span=span)
    roll = Roll.of(MELODY + PIANO, span, 56 + 38 + 26 + 18)
    empty = roll.top + 3  # the row above the highest note
    line, beside = (picture[empty, round(roll.x(4.0)) + shift].astype(int) for shift in (0, 6))
    assert line.sum() < beside.sum() - 60, "a bar line at 4 s"
    outside, inside = (picture[empty, round(roll.x(t))].astype(int) for t in (1.7, 4.3))
    assert inside[0] - inside[2] > outside[0] - outside[2] + 10, "the span is tinted"
    title, strip = picture[10:45, 24:200], picture[roll.top - 44 : roll.top - 20]
    assert title.min() < 60
    for start, end in ((0, 2), (2, 8)):
        assert strip[:, round(roll.x(start)) + 4 : round(roll.x(end)) - 4].min() < 60, "each chord is named"


@pytest.mark.parametrize("music", [Notes.of([]), KIT, KIT + MELODY.shift(3000), MELODY.shift(-2)])
def test_odd_music_is_drawn_within_bounds(tmp_path, music):
    picture = drawn(tmp_path, music, Notes.of([]), beats=TempoMap().beats(4000))
    assert 1600 <= picture.shape[1] <= 6000 and 50 < picture.shape[0] < 1000


def test_a_refused_path_is_one_clear_line_and_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "roll.png", tmp_path / "folder", ""):
        with pytest.raises(FileError, match="^cannot write .*[^\n]$"):
            piano_roll(MELODY, PIANO, path)
    assert [p.name for p in tmp_path.rglob("*")] == ["folder"]
