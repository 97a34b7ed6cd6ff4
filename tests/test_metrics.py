"""The rubrics, on cases small enough to count by hand."""

from anticipation import metrics
from anticipation.harmony import chord_notes, parse_chord
from anticipation.notes import Notes

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
