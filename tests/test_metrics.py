"""The rubrics, on cases small enough to count by hand."""

import numpy as np
import pytest

from anticipation import metrics
from anticipation.harmony import chord_notes, parse_chord
from anticipation.notes import DRUMS, Notes
from anticipation.tempo import beat_notes

MELODY = Notes.of([(0.0, 1.0, 72, 53, 64), (1.0, 1.0, 74, 53, 64)])  # C, D
CHORDS = chord_notes([(0.0, 1.0, parse_chord("C")), (1.0, 2.0, parse_chord("G"))])


def piano(*rows: tuple[float, int]) -> Notes:
    return Notes.of((onset, 0.5, pitch, 0, 64) for onset, pitch in rows)


def test_harmony_counts_what_is_not_the_melody():
    assert metrics.harmony_rate(piano((0.0, 48), (0.0, 52), (0.5, 53), (1.0, 55), (1.5, 62)), MELODY, CHORDS) == (2, 3)
    assert metrics.harmony_rate(piano(), MELODY, CHORDS) == (0, 0)
    assert metrics.harmony_rate(piano((5.0, 55)), MELODY, CHORDS) == (0, 0)  # no chord is labelled there


def test_doubling_is_the_same_pitch_class_within_60_ms():
    assert metrics.doubling(piano((0.05, 48), (0.07, 48), (1.0, 55)), MELODY) == (1, 3)


def test_support_looks_within_the_beat():
    assert metrics.melody_support(piano((0.1, 48), (3.0, 50)), MELODY, Notes.of([])) == (1, 2)


def test_in_key():
    scale = Notes.of((i, 1.0, pitch, 0, 64) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71)))
    assert metrics.in_key(piano((0, 60), (0, 61)), scale) == 0.5


BEATS = beat_notes([0.5 * i for i in range(9)], [i % 4 for i in range(9)])  # two bars of 120 bpm, and a downbeat


def test_bass_on_chord_tones_at_downbeats():
    chords = chord_notes([(0.0, 2.0, parse_chord("C")), (2.0, 4.0, parse_chord("G"))])
    bass = Notes.of([(0.0, 1.0, 40, 33, 80), (1.0, 1.0, 41, 33, 80), (2.02, 1.9, 41, 33, 80)])
    assert metrics.bass_on_chord(bass, chords, BEATS) == (1, 2)  # E of C; F is not of G; the third has no chord
    octave = bass + Notes.of([(2.0, 1.0, 31, 33, 80)])
    assert metrics.bass_on_chord(octave, chords, BEATS) == (2, 2)  # the lowest counts
    assert metrics.bass_on_chord(bass[1:2], chords, BEATS) == (0, 0) == metrics.bass_on_chord(bass[:0], chords, BEATS)


def hits(*rows: tuple[float, int]) -> Notes:
    return Notes.of((onset, 0.1, pitch, DRUMS, 127) for onset, pitch in rows)


def test_kick_and_bass_meet():
    drums = hits((0.0, 36), (1.0, 36), (1.5, 38), (2.0, 36))
    bass = Notes.of([(0.04, 0.4, 40, 33, 80), (0.04, 0.4, 52, 33, 80), (1.5, 0.4, 40, 33, 80), (2.06, 0.4, 40, 33, 80)])
    assert metrics.kick_with_bass(drums, bass) == (2, 6)  # one kick and one bass onset, of three kicks and three
    assert metrics.kick_with_bass(drums, bass[:0]) == (0, 3) and metrics.kick_with_bass(hits(), bass) == (0, 3)


def test_a_groove_is_how_hard_what_strikes_where():
    rock = hits(*((2.0 * bar + x, 36) for bar in (0, 1) for x in (0.0, 1.0)), (0.5, 38), (1.5, 38), (0.26, 42))
    profile = metrics.groove_profile(rock, BEATS)
    expected = np.zeros((4, 16))
    expected[0, [0, 8]], expected[1, [4, 12]], expected[2, 2] = 1.0, 0.5, 0.5
    assert np.allclose(profile, expected)
    assert np.allclose(metrics.groove_profile(rock.shift(-0.02), BEATS), expected), "early strokes too"
    assert np.allclose(metrics.groove_profile(hits((1.95, 36)), BEATS)[0, 0], 0.5), "nearer to the next bar"
    waltz = np.zeros((4, 16))
    waltz[0, [0, 4, 8]] = 1.0
    assert metrics.groove_similarity(profile, np.stack([waltz, profile])) == pytest.approx(1.0)
    assert metrics.groove_similarity(profile, waltz[None]) == pytest.approx(2 / np.sqrt(2 + 0.75) / np.sqrt(3))
    assert metrics.groove_similarity(metrics.groove_profile(hits(), BEATS), waltz[None]) == 0.0
