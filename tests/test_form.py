"""Laws of form: a verse that comes again is found, at any tempo and in any octave, and nothing else is; rests lead to
what follows them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anticipation.music.form import VERSE, ahead_of_rests, counterparts, earlier
from anticipation.music.grid import divided
from anticipation.music.notes import Notes
from anticipation.music.tempo import TempoMap, beat_notes

LONG = 40  # beats
BEATS = TempoMap.constant(120.0).beats(60.0)[: 3 * LONG]


def tune(seed: int, beats: int = LONG) -> Notes:
    """Two notes a beat at 120, no two passages alike."""
    rng = np.random.default_rng(seed)
    return Notes.of((0.25 * i, 0.2, int(rng.integers(60, 84)), 73, 80) for i in range(2 * beats))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([-12, 0, 12]), st.integers(0, 2))
def test_a_verse_that_comes_again_is_found(seed, octave, higher):
    """Once more after something else, as it was or a last chorus up to a tone higher."""
    piece = tune(seed) + tune(seed + 1).shift(LONG / 2) + tune(seed).transpose(octave + higher).shift(LONG)
    assert earlier(piece, BEATS).tolist() == [[-1, 0]] * 2 * LONG + [[beat, higher] for beat in range(LONG)]


def test_of_several_the_latest_counts():
    piece = tune(0) + tune(0).shift(LONG / 2) + tune(0).shift(LONG)
    assert earlier(piece, BEATS).tolist() == [[-1, 0]] * LONG + [[beat, 0] for beat in range(2 * LONG)]
    higher = (
        tune(0) + tune(0).transpose(1).shift(LONG / 2) + tune(0).transpose(1).shift(LONG)
    )  # than the first, as high
    again = [[beat, 1] for beat in range(LONG)] + [[beat, 0] for beat in range(LONG, 2 * LONG)]
    assert earlier(higher, BEATS).tolist() == [[-1, 0]] * LONG + again


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_with_some_notes_changed_it_is_the_same_verse_and_with_most_it_is_not(seed):
    rng, verse = np.random.default_rng(seed), tune(seed)
    for changed, found in ((2, True), (6, False)):  # of ten
        pitch = np.where(np.arange(len(verse)) % 10 < changed, verse.pitch + rng.integers(1, 12), verse.pitch)
        assert (earlier(verse + verse.replace(pitch=pitch).shift(LONG / 2), BEATS) is not None) == found


def test_what_never_comes_again_and_what_is_short_has_no_verses():
    assert earlier(tune(0, 3 * LONG), BEATS) is None
    assert earlier(tune(0, 31) + tune(0, 31).shift(15.5), BEATS[: 2 * VERSE - 1]) is None
    assert earlier(Notes.of([]), BEATS) is None and earlier(tune(0), BEATS[:0]) is None


@pytest.mark.parametrize("slower, higher", [(1.0, 0), (1.5, 0), (1.5, 2)])
def test_places_have_counterparts_in_the_verse_before(slower, higher):
    """At another tempo too, and only where that has one."""
    times = np.concatenate([np.arange(LONG) * 0.5, LONG / 2 + np.arange(LONG + 1) * 0.5 * slower])
    beats = beat_notes(times.tolist(), [i % 4 for i in range(2 * LONG + 1)])[: 2 * LONG]
    verse, places = tune(0), divided(beats, 4)
    again = verse.replace(onset=LONG / 2 + verse.onset * slower).transpose(higher)
    first = [[-1, 0]] * 4 * LONG
    second = [[place, higher] for place in range(4 * LONG)]
    assert counterparts(verse + again + beats, places).tolist() == first + second
    odd = np.sort(np.append(places, places[4 * LONG] + 0.05 * slower))  # a place of the second time alone
    assert counterparts(verse + again + beats, odd).tolist() == [*first, second[0], [-1, 0], *second[1:]]
    assert counterparts(verse + tune(1).shift(LONG / 2) + beats, places) is None


@pytest.mark.parametrize("intro", [2, 4, 7])
def test_a_rest_leads_to_the_music_behind_it_in_whole_phrases(intro):
    """An intro of so many bars, music, a bar of rest, music, an interlude of three, music, an ending."""
    bars = [False] * intro + [True] * 8 + [False] + [True] * 8 + [False] * 3 + [True] * 4 + [False] * 2
    beats = TempoMap.constant(120.0).beats(100.0)[: 4 * len(bars)]
    notes = Notes.of(
        (2.0 * bar + 0.5 * i, 0.5, 72, 73, 80) for bar, sounds in enumerate(bars) if sounds for i in range(4)
    )
    there = ahead_of_rests(notes, beats)
    shift = (there - np.arange(len(beats))).reshape(-1, 4)
    assert (shift == shift[:, :1]).all() and (shift % 16 == 0).all()
    moved = shift[:, 0] > 0
    assert moved.tolist() == [True] * intro + [False] * 17 + [True] * 3 + [False] * 6
    assert np.array(bars)[there.reshape(-1, 4)[moved, 0] // 4].all()
    assert ahead_of_rests(notes[:0], beats).tolist() == list(range(len(beats)))
    assert len(ahead_of_rests(notes, beats[:0])) == 0
