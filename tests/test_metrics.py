"""The rubrics, on cases small enough to count by hand."""

import numpy as np
import pytest

from anticipation.music import metrics
from anticipation.music.harmony import chord_notes
from anticipation.music.notes import BEAT, DRUMS, Notes, moments
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import beat_notes

MELODY = Notes.of([(0.0, 1.0, 72, 53, 64), (1.0, 1.0, 74, 53, 64)])  # C, D
BEATS = Notes.of((0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(8))  # two bars of 4/4 at 120 bpm
CHORDS = chord_notes([(0.0, 1.0, parse_chord("C")), (1.0, 2.0, parse_chord("G"))])


def piano(*rows: tuple[float, int]) -> Notes:
    return Notes.of((onset, 0.5, pitch, 0, 64) for onset, pitch in rows)


def test_harmony_counts_what_is_not_the_melody():
    assert metrics.harmony_rate(piano((0.0, 48), (0.0, 52), (0.5, 53), (1.0, 55), (1.5, 62)), MELODY, CHORDS) == (2, 3)
    assert metrics.harmony_rate(piano(), MELODY, CHORDS) == (0, 0)
    assert metrics.harmony_rate(piano((5.0, 55)), MELODY, CHORDS) == (0, 0)  # no chord is labelled there
    assert metrics.harmony_rate(piano((0.0, 48), (0.5, 53)), piano(), CHORDS) == (1, 2)  # no melody, nothing doubled


def test_doubling_is_the_same_pitch_class_within_60_ms():
    assert metrics.doubling(piano((0.05, 48), (0.07, 48), (1.0, 55)), MELODY) == (1, 3)
    assert metrics.doubling(piano((0.0, 48)), piano()) == (0, 0)


def test_support_looks_within_the_beat():
    assert metrics.melody_support(piano((0.1, 48), (3.0, 50)), MELODY, Notes.of([])) == (1, 2)


def test_in_key_are_the_seven_commonest_pitch_classes():
    scale = Notes.of((i, 1.0, pitch, 0, 64) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71)))
    assert metrics.in_key(piano((0, 60), (0, 61)), scale) == (1, 2)
    assert metrics.in_key(piano(), scale) == (0, 0)


def test_leaps_are_counted_where_something_written_takes_part():
    known = piano((0, 60), (2, 62), (3, 74))  # a leap of the known ones is theirs
    assert metrics.leaps(piano((1, 69)), known) == (1, 2)  # up a sixth, down a fifth
    assert metrics.leaps(piano((1, 69), (1, 50)), known + piano((1, 71))) == (0, 0)  # the top line is all theirs
    assert metrics.leaps(piano((4, 60)), piano((3.99, 90)).replace(instrument=np.array([73]))) == (0, 0)
    assert metrics.leaps(known[:0], known) == (0, 0)


def test_repeats_are_the_same_pitches_again():
    """Of each part by itself, and of chords as a whole."""
    chords = piano((0, 60), (0.02, 64), (1, 64), (1, 60), (2, 60), (3, 60), (4, 48))
    assert metrics.repeats(chords) == (2, 4)
    bass = Notes.of((i, 0.5, 36, 33, 64) for i in range(4))
    assert metrics.repeats(chords + bass) == (5, 7)
    drums = Notes.of((i, 0.5, 36, DRUMS, 64) for i in range(4))
    assert metrics.repeats(drums) == metrics.repeats(piano()) == metrics.repeats(piano((0, 60))) == (0, 0)


def test_a_chord_begins_once():
    assert moments(piano((1.0, 60), (1.02, 64), (1.2, 67), (0.0, 40))).tolist() == [0.0, 1.0, 1.2]


@pytest.mark.parametrize(
    "ours, theirs, pair",
    [
        ((0.0, 1.0, 2.0), (0.04, 1.06, 2.0), (4, 6)),  # 1.0 and 1.06 are too far apart
        ((0.0, 0.0, 0.01), (0.0,), (2, 2)),  # a chord is one moment
        ((1.0,), (0.96, 1.04), (2, 3)),  # each is matched once
        ((0.00, 0.08), (0.04, 0.12), (4, 4)),  # in order: 0.00-0.04 and 0.08-0.12, not 0.08-0.04 alone
        ((), (0.0,), (0, 1)),
        ((), (), (0, 0)),
    ],
)
def test_onsets_match_once_and_nearby(ours, theirs, pair):
    sides = (piano(*((t, 60) for t in times)) for times in (ours, theirs))
    assert metrics.onset_f1(*sides) == pair


def test_onset_f1_pairs_as_many_as_can_be():
    """Against all pairings, tried out."""
    rng = np.random.default_rng(0)

    def most(ours, theirs) -> int:
        if not ours:
            return 0
        partners = [t for t in theirs if abs(t - ours[0]) <= 0.05 + 1e-9]
        return max([most(ours[1:], theirs), *(1 + most(ours[1:], [u for u in theirs if u != t]) for t in partners)])

    for _ in range(100):
        ours, theirs = (piano(*((t, 60) for t in rng.integers(0, 30, 5) / 50)) for _ in range(2))
        times = (moments(notes).tolist() for notes in (ours, theirs))
        assert metrics.onset_f1(ours, theirs)[0] == 2 * most(*times)


def test_note_f1_is_onset_f1_of_each_pitch_class():
    human = piano((0.0, 60), (0.0, 64), (1.0, 67))
    assert metrics.note_f1(piano((0.04, 72), (0.0, 65), (1.0, 67), (1.0, 79)), human) == (4, 6)  # an octave is one note
    assert metrics.note_f1(human, human) == (6, 6) and metrics.note_f1(piano(), human) == (0, 3)
    assert metrics.note_f1(piano(), piano()) == (0, 0)


def test_sixteenths_are_counted_from_the_first_beat():
    notes = piano((0.0, 60), (0.12, 60), (0.49, 60), (3.99, 60), (4.5, 60))  # the last is on no beat
    assert metrics.sixteenths(notes, BEATS).tolist() == [0, 1, 4, 32]
    assert metrics.sixteenth_f1(notes, piano((0.13, 60), (0.5, 60)), BEATS) == (4, 6)
    assert metrics.sixteenth_f1(notes, notes, piano()) == (0, 0)  # no grid, no rubric


def test_groove_compares_bar_by_bar():
    human = piano((0.0, 60), (1.0, 60), (2.0, 60))  # on one and three; on one
    assert metrics.groove(human, human, BEATS) == (pytest.approx(2.0), 2)
    assert metrics.groove(piano((0.0, 40), (3.0, 40)), human, BEATS) == (pytest.approx(0.5**0.5), 2)
    assert metrics.groove(piano(), human, BEATS) == (0.0, 2)
    assert metrics.groove(human, piano((2.5, 60)), BEATS)[1] == 1, "a bar in which the human rests is not counted"
    assert metrics.groove(piano((3.99, 60)), human, BEATS)[0] == 0, (
        "the downbeat after the last bar is a bar of its own"
    )


def test_pitch_class_overlap_is_of_time():
    assert metrics.pitch_classes(piano((0, 60), (1, 67)), piano((0, 48), (1, 50))) == (pytest.approx(0.5), 1)
    assert metrics.pitch_classes(piano(), piano((0, 48))) == (0.0, 1)
    assert metrics.pitch_classes(piano((0, 48)), Notes.of([(0, 1, 36, DRUMS, 64)])) == (0.0, 0)


def test_dissonance_is_counted_at_the_edges():
    known = piano((0.6, 60), (4.2, 62), (2.0, 61))  # until 1.1, from 4.2; the third is in the midst
    written = piano((1.0, 61), (3.9, 74), (2.0, 60))
    assert metrics.dissonance(written, known, (1.0, 4.0)) == (1, 2)  # C against C#; D against D
    assert metrics.dissonance(written, known, ()) == (0, 0)
    for step, bad in enumerate((0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1)):
        assert metrics.dissonance(piano((1.0, 60 + step)), piano((0.9, 60)), (1.0,)) == (bad, 1)


TWO_BARS = beat_notes([0.5 * i for i in range(9)], [i % 4 for i in range(9)])  # two bars of 120 bpm, and a downbeat


def test_bass_on_chord_tones_at_downbeats():
    chords = chord_notes([(0.0, 2.0, parse_chord("C")), (2.0, 4.0, parse_chord("G"))])
    bass = Notes.of([(0.0, 1.0, 40, 33, 80), (1.0, 1.0, 41, 33, 80), (2.02, 1.9, 41, 33, 80)])
    assert metrics.bass_on_chord(bass, chords, TWO_BARS) == (1, 2)  # E of C; F is not of G; the third has no chord
    octave = bass + Notes.of([(2.0, 1.0, 31, 33, 80)])
    assert metrics.bass_on_chord(octave, chords, TWO_BARS) == (2, 2)  # the lowest counts
    assert (
        metrics.bass_on_chord(bass[1:2], chords, TWO_BARS)
        == (0, 0)
        == metrics.bass_on_chord(bass[:0], chords, TWO_BARS)
    )


def test_loudness_is_off_by_as_much_as_the_velocities_around():
    human = Notes.of([(float(i), 1, 60, 0, 80) for i in range(8)])
    for off in (0, 20, -40):
        written = human.replace(velocity=human.velocity + off, pitch=human.pitch + 7)
        total, count = metrics.loudness_off(written, human)
        assert count == 8 and total / count == pytest.approx(abs(off) / 127)
    assert metrics.loudness_off(human, human.replace(velocity=human.velocity * 0)) == (0.0, 0), "nobody knows"
    assert metrics.loudness_off(human[:1], human)[1] == 3, "only where both play, two seconds away at most"


def hits(*rows: tuple[float, int]) -> Notes:
    return Notes.of((onset, 0.1, pitch, DRUMS, 127) for onset, pitch in rows)


def test_kick_and_bass_meet():
    drums = hits((0.0, 36), (1.0, 36), (1.5, 38), (2.0, 36))
    bass = Notes.of([(0.04, 0.4, 40, 33, 80), (0.04, 0.4, 52, 33, 80), (1.5, 0.4, 40, 33, 80), (2.06, 0.4, 40, 33, 80)])
    assert metrics.kick_with_bass(drums, bass) == (2, 6)  # one kick and one bass onset, of three kicks and three
    assert metrics.kick_with_bass(drums, bass[:0]) == (0, 3) and metrics.kick_with_bass(hits(), bass) == (0, 3)


def test_a_groove_is_how_hard_what_strikes_where():
    rock = hits(*((2.0 * bar + x, 36) for bar in (0, 1) for x in (0.0, 1.0)), (0.5, 38), (1.5, 38), (0.26, 42))
    profile = metrics.groove_profile(rock, TWO_BARS)
    expected = np.zeros((4, 16))
    expected[0, [0, 8]], expected[1, [4, 12]], expected[2, 2] = 1.0, 0.5, 0.5
    assert np.allclose(profile, expected)
    assert np.allclose(metrics.groove_profile(rock.shift(-0.02), TWO_BARS), expected), "early strokes too"
    assert np.allclose(metrics.groove_profile(hits((1.95, 36)), TWO_BARS)[0, 0], 0.5), "nearer to the next bar"
    waltz = np.zeros((4, 16))
    waltz[0, [0, 4, 8]] = 1.0
    assert metrics.groove_similarity(profile, np.stack([waltz, profile])) == pytest.approx(1.0)
    assert metrics.groove_similarity(profile, waltz[None]) == pytest.approx(2 / np.sqrt(2 + 0.75) / np.sqrt(3))
    assert metrics.groove_similarity(metrics.groove_profile(hits(), TWO_BARS), waltz[None]) == 0.0
