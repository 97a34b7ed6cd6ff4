"""Laws of keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recall import pairs
from strategies import notes

from anticipation.music import keys
from anticipation.music.notes import DRUMS, Notes

SCALE = [0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2, 0]
CADENCE = [9, 12, 16, 2, 5, 9, 4, 8, 11, 14, 9, 12, 16]  # Am Dm E7 Am


def line(pitches) -> Notes:
    return Notes.of((0.5 * i, 0.45, int(pitch), 53, 80) for i, pitch in enumerate(pitches))


@pytest.mark.parametrize("key", range(12))
def test_the_key_of_a_scale(key):
    assert keys.estimate_key(line(60 + key + np.array(SCALE))) == key
    assert keys.estimate_key(line(48 + key + np.array(CADENCE))) == key  # the relative major


def test_the_signature_of_a_key():
    """C has none, G one sharp, F one flat; F sharp rather than G flat."""
    assert [keys.sharps_of(key) for key in (0, 7, 5, 3, 4, 6, 1)] == [0, 1, -1, -3, 4, 6, -5]


@given(notes(), st.integers(-11, 11))
def test_the_key_moves_with_the_music(music, semitones):
    music = music.replace(pitch=np.clip(music.pitch, 12, 115))
    before, after = keys.estimate_key(music), keys.estimate_key(music.transpose(semitones))
    assert not len(music.pitched) or after == (before + semitones) % 12 or tied(music)


def tied(music: Notes) -> bool:
    """Whether two keys fit equally well, as they do for twelve pitch classes in a row."""
    fits = np.sort(keys.fits(music))
    return fits[-2] > fits[-1] - 1e-6


def test_silence_and_drums_have_no_key():
    for music in (Notes.of([]), Notes.of([(0.1 * i, 0.1, 36 + i, DRUMS, 90) for i in range(9)])):
        assert keys.estimate_key(music) == 0 and keys.key_clarity(music) == np.inf


@pytest.mark.parametrize("pitches, clear", [(SCALE, True), (range(12), False), ([0, 4], True)])
def test_a_scale_has_a_clear_key_and_all_pitches_have_none(pitches, clear):
    assert (keys.key_clarity(line(60 + p for p in pitches)) > 0.6) == clear


def test_a_mess_has_no_key():
    rng = np.random.default_rng(0)
    assert np.mean([keys.key_clarity(line(rng.integers(40, 90, 32))) for _ in range(50)]) < -0.3


def test_the_table_is_found_whatever_keys_the_melodies_are_in():
    """Melodies drawn from the table, moved anywhere: counting brings them to one key again, and so to the table."""
    rng = np.random.default_rng(1)
    odds = keys.PAIRS / keys.PAIRS.sum(1, keepdims=True)
    melodies = []
    for _ in range(120):
        melody = [int(rng.choice([0, 4, 7, 9]))]
        while len(melody) < 150:
            melody.append(int(rng.choice(12, p=odds[melody[-1]])))
        melodies.append((line(60 + np.array(melody) + rng.integers(-6, 6)), 1.0))
    found = pairs(melodies)
    assert abs(found / found.sum() - keys.PAIRS / keys.PAIRS.sum()).sum() < 0.2
