"""Laws of Notes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes, times

from anticipation.music.notes import CHORD, DRUMS, GM_NAMES, Notes, instrument_name


def test_general_midi_has_128_different_names():
    assert len(set(GM_NAMES)) == 128
    assert (instrument_name(0), instrument_name(40), instrument_name(127)) == ("piano", "violin", "gunshot")
    assert instrument_name(DRUMS) == "drums"


@given(notes())
def test_rows_and_columns_say_the_same(music):
    assert Notes.of(music) == music
    assert (np.diff(music.onset) >= 0).all()


@given(notes(), times)
def test_a_cut_loses_and_doubles_nothing(music, cut):
    assert Notes.concat([music.between(0, cut), music.between(cut, np.inf)]) == music
    assert music.of_instruments([0]) + music.without_instruments([0]) == music


@given(notes(), st.integers(-40, 40))
def test_transposing_moves_pitch_classes_and_leaves_drums(music, semitones):
    moved = music.transpose(semitones)
    assert ((moved.pitch >= 0) & (moved.pitch < 128)).all()
    assert ((moved.pitched.pitch - music.pitched.pitch - semitones) % 12 == 0).all()
    assert moved.of_instruments([DRUMS]) == music.of_instruments([DRUMS])


def test_transposing_moves_the_roots_of_chords():
    chords = Notes.of([(0, 1, 11, CHORD, 64), (1, 1, 12 + 11, CHORD, 64), (2, 1, 120, CHORD, 64)])
    assert chords.transpose(1).pitch.tolist() == [0, 12, 120]  # 120: no chord


def test_columns_are_read_only():
    music = Notes.of([(0, 1, 60, 0, 64)])
    with pytest.raises(ValueError):
        music.pitch[0] = 61
    assert music.shift(1).onset.tolist() == [1.0] and music.onset.tolist() == [0.0]
    with pytest.raises(TypeError, match="pich"):
        music.replace(pich=music.pitch)


def test_no_notes_are_notes():
    nothing = Notes.of([])
    assert len(nothing) == 0 and nothing.end == 0 and nothing.instruments == [] and Notes.concat([]) == nothing
    assert nothing + nothing == nothing == nothing.transpose(3) == nothing.between(0, 1)
