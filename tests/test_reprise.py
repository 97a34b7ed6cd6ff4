"""Laws of what is expected of a player who repeats himself: exactly that, at any tempo and octave, and never from the
future."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anticipation.music.notes import Notes
from anticipation.music.reprise import ALIKE, AROUND, COMES, SHORTEST, WINDOW, again, elsewhere, reprise
from anticipation.music.tempo import TempoMap, beat_notes

BEATS = TempoMap.constant(120.0).beats(60.0)


def tune(seed: int, count: int = 64, start: float = 0.0) -> Notes:
    """An eighth note each, no two passages alike."""
    rng = np.random.default_rng(seed)
    return Notes.of((start + 0.25 * i, 0.2, int(rng.integers(60, 84)), 73, 80) for i in range(count))


def same(a: Notes, b: Notes) -> bool:
    return len(a) == len(b) and np.allclose(a.onset, b.onset) and np.array_equal(a.pitch, b.pitch)


@given(st.integers(0, 1000), st.floats(4.1, 15.0), st.sampled_from([-12, 0, 12]))
def test_a_verse_that_comes_again_is_known(seed, into, octave):
    """16 s of it, then again: from its fifth second on the rest of it is expected, whatever its octave."""
    verse = tune(seed)
    coming = verse.shift(16.0)
    found = reprise(verse + coming.transpose(octave).between(0, 16.0 + into), BEATS, 16.0 + into)
    assert same(found.between(0, 31.9), coming.between(16.0 + into, 31.9))  # and so on, from its beginning


def test_at_another_tempo(seed=3):
    """The verse at 120, and again at 90 bpm."""
    verse, times = tune(seed), [0.5 * i for i in range(33)] + [16 + i / 1.5 for i in range(1, 40)]
    slow = verse.replace(onset=16 + verse.onset * 4 / 3, duration=verse.duration * 4 / 3)
    beats = beat_notes(times, [i % 4 for i in range(len(times))])
    found = reprise(verse + slow.between(0, 24.1), beats, 24.1)
    assert same(found.between(0, 37.0), slow.between(24.1, 37.0))


def test_of_two_passages_the_likelier_goes_on(seed=5):
    """A riff with two endings: what comes is that of the time that began alike."""
    first, second = tune(seed), tune(seed + 1)
    for chosen in (first, second):
        found = reprise(first + second.shift(16.0) + chosen.between(0, 6.0).shift(32.0), BEATS, 38.0)
        assert same(found.between(0, 47.9), chosen.between(6.0, 15.9).shift(32.0))


@given(st.integers(0, 1000), st.floats(0.0, 30.0))
def test_it_does_not_look_ahead(seed, now):
    played = tune(seed, 20) + tune(seed, 100, start=5.0)
    found = reprise(played, BEATS, now)
    assert same(found, reprise(played.between(0, now), BEATS, now))
    assert ((found.onset >= now - 1e-9) & (found.onset < BEATS.end)).all()


def test_something_new_is_not_expected_to_be_something_old():
    """Of 200 moments of music that never comes back, a tenth at most."""
    played = tune(7, 240)
    moments = np.linspace(10.0, 59.0, 200)
    assert np.mean([len(reprise(played, BEATS, float(now))) > 0 for now in moments]) < 0.1
    assert 0 < ALIKE < 1 and SHORTEST * 4 < WINDOW


@pytest.mark.parametrize("now", [0.0, 5.0, 100.0])
def test_nothing_is_known_of_nothing(now):
    nothing = Notes.of([])
    assert not len(reprise(nothing, BEATS, now)) and not len(reprise(nothing, nothing, now))
    assert not len(reprise(tune(1), nothing, now)) and not len(reprise(tune(1), BEATS[:1], now))


@given(st.integers(0, 1000), st.booleans(), st.floats(8.5, 18.0), st.floats(0.5, 5.0))
def test_a_hole_in_a_verse_is_found_in_the_other(seed, second, into, length):
    """Of two verses of 64 beats, and something new between them: ahead or behind, and nowhere else."""
    song = tune(seed, 128) + tune(seed + 1).shift(32.0) + tune(seed, 128).shift(48.0)
    begin = into + 48.0 * second
    known = song.between(0, begin) + song.between(begin + length, 80.0)
    offsets, alike = elsewhere(known, TempoMap.constant(120.0).beats(90.0), begin, begin + length)
    assert offsets[alike > 0.9].tolist() == [-96 if second else 96]
    assert np.sort(alike)[-2] < 0.5 and (np.diff(offsets) > 0).all()


def test_what_is_elsewhere_lies_beside_the_span_and_within_what_is_known():
    known = tune(1).between(0, 6.0) + tune(1).between(8.0, 16.0)
    offsets, _ = elsewhere(known, BEATS, 6.0, 8.0)
    assert offsets.tolist() == [*range(-12, -3), *range(4, 16)]
    for music, beats, end in (
        (known[:0], BEATS, 8.0),
        (known, BEATS[:1], 8.0),
        (known, BEATS, 16.0),
        (known, BEATS, 6.0),
    ):
        offsets, alike = elsewhere(music, beats, 6.0, end)
        assert len(offsets) == len(alike) and (end != 16.0 or not len(offsets))


def test_what_is_known_in_the_span_tells_it_too():
    """A tune goes on through it: elsewhere it has a second part."""
    song, beats = tune(2) + tune(3).shift(16.0) + tune(2).shift(32.0), TempoMap.constant(120.0).beats(60.0)
    other = Notes.of((0.5 * i, 0.4, 36 + i % 12, 33, 80) for i in range(96))
    known = song + other.between(0, 30.0) + other.between(48.0, 60.0)
    offsets, alike = elsewhere(known, beats, 33.0, 45.0)
    assert offsets[alike.argmax()] == -64
    assert AROUND * 0.5 < 15.0  # seconds: what lies around the span is not that verse


@pytest.mark.parametrize("instrument", [33, 128])
@pytest.mark.parametrize("second", [False, True])
def test_a_part_in_a_hole_goes_as_where_the_music_goes_alike(instrument, second):
    """As in the other verse, ahead or behind, and as long."""
    song, beats = tune(2) + tune(3).shift(16.0) + tune(2).shift(32.0), TempoMap.constant(120.0).beats(60.0)
    part = Notes.of((0.5 * i, 0.3, int(p), instrument, 80)
                    for i, p in enumerate(np.random.default_rng(0).integers(36, 48, 32)))  # fmt: skip
    part = part + part.shift(32.0)
    start, end = (36.0, 40.0) if second else (4.0, 8.0)
    known = part[(part.onset < start) | (part.onset >= end)]
    found = again(song + known + beats, known, start, end)
    assert same(found, part.between(start, end)) and (found.duration == 0.3).all()


def test_of_two_places_a_part_goes_as_in_the_nearest():
    beats, loop = TempoMap.constant(120.0).beats(60.0), Notes.of([])
    for i in range(10):
        loop += tune(6, 16).shift(4.0 * i)
    riff = Notes.of((0.5 * i, 0.3, 40 + i % 8, 128, 60 + i // 8) for i in range(80))
    known = riff.between(0, 20.0) + riff.between(24.0, 40.0)
    assert again(loop + known + beats, known, 20.0, 24.0).velocity.tolist() in ([64] * 8, [66] * 8)


def test_a_part_goes_as_nowhere_else_where_it_or_the_music_does_not():
    beats, part = TempoMap.constant(120.0).beats(60.0), tune(4)[::4].replace(instrument=np.full(16, 33))
    for song, own in (
        (tune(2) + tune(2).shift(16.0), part + tune(5)[::4].shift(16.0)),  # the music alone comes again
        (tune(2) + tune(3).shift(16.0), part + part.shift(16.0)),
    ):  # or the part alone
        known = own.between(0, 4.0) + own.between(8.0, 32.0)
        assert not len(again(song + known + beats, known, 4.0, 8.0))
    assert not len(again(part, part, 4.0, 8.0)) and 0 < COMES < 1
