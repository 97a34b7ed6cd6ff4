"""What musicians type is understood, or refused with what is near."""

import pytest

from anticipation.errors import RequestError
from anticipation.music import instruments
from anticipation.music.instruments import instrument_number
from anticipation.music.notes import DRUMS, GM_NAMES, Notes, instrument_name
from anticipation.score.midi import Score


@pytest.mark.parametrize(
    "text, name",
    [("upright bass", "acoustic bass"), ("Double Bass", "acoustic bass"), ("double basses", "acoustic bass"),
     ("bass", "finger bass"), ("Electric Bass (finger)", "finger bass"), ("violins", "violin"), ("celli", "cello"),
     ("horns", "brass"), ("horn", "horn"), ("French horns", "horn"), ("rhodes", "electric piano"),
     ("e-piano", "electric piano"), ("E Pianos", "electric piano"), ("drum kit", "drums"), ("Drumkit", "drums"),
     ("synth pad", "warm pad"), ("lead guitar", "overdriven guitar"), ("acoustic guitar", "steel guitar"),
     ("guitars", "steel guitar"), ("choir", "choir"), ("choirs", "choir"), ("pizzicato", "pizzicato strings"),
     ("saxes", "tenor sax"), ("brass", "brass"), ("strings", "strings"), ("string section", "strings"),
     ("Acoustic Grand Piano", "piano"), ("Lead 1 (square)", "square lead"), ("honky tonk", "honky-tonk"),
     ("slap bass 2", "slap bass 2"), ("timpani", "timpani"), ("34", "picked bass"), ("128", "drums")],
)  # fmt: skip
def test_names_as_musicians_write_them(text, name):
    assert instrument_name(instrument_number(text)) == name


def test_every_name_of_ours_and_every_other_one_is_one_instrument():
    assert [instrument_number(name) for name in GM_NAMES] == list(range(128)) and instrument_number("drums") == DRUMS
    for name, number in instruments._BY_NAME.items():
        assert instrument_number(name) == number == instrument_number(name.title())
        assert name == "horns" or instruments._BY_PLAIN[instruments.plain(name)] == number


@pytest.mark.parametrize(
    "text, near",
    [("vilion", "violin"), ("violin 1", "violin"), ("rodes", "rhodes"), ("doubel bass", "double bass"), ("kazoo", ""),
     ("", "General MIDI"), ("²", "General MIDI")],
)  # fmt: skip
def test_what_is_no_instrument_is_refused_with_what_is_near(text, near):
    with pytest.raises(RequestError, match=f"^unknown instrument [^\n]*{near}[^\n]*$"):
        instrument_number(text)


def test_parts_are_called_as_instruments_are():
    score = Score.from_notes(Notes.of((0.0, 1.0, 60, number, 80) for number in (4, 32, 40, 61, DRUMS)))
    wanted = {"rhodes": 4, "upright bass": 32, "bass": 32, "violins": 40, "horns": 61, "drum kit": DRUMS, "piano": 4}
    for name, number in wanted.items():
        assert score.part(name).instrument == number
    for name in ("tuba", "ピアノ", ""):
        with pytest.raises(RequestError):
            score.part(name)
