"""Laws of chords, charts and keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation import harmony as h
from anticipation.errors import RequestError
from anticipation.notes import CHORD, DRUMS, Notes
from anticipation.tempo import TempoMap

BARS = TempoMap().bar_seconds(8.0)[:5]  # four bars of two seconds


def symbols(chords: Notes) -> list[tuple[float, float, str]]:
    return [(onset, onset + duration, h.chord_name(symbol)) for onset, duration, symbol, _, _ in chords]


def triads(roots, lowest=48, length=2.0) -> Notes:
    """Root position triads of (root, quality) pairs, one every two seconds."""
    return Notes.of(
        (i * length, length * 0.9, lowest + root + step, 0, 80)
        for i, (root, quality) in enumerate(roots)
        for step in h.QUALITIES[quality]
    )


def test_every_chord_can_be_named_and_read_again():
    assert [h.parse_chord(h.chord_name(symbol)) for symbol in range(h.CHORDS)] == list(range(h.CHORDS))


@pytest.mark.parametrize(
    "text, name",
    [("C", "C"), ("a", "A"), ("Bb", "Bb"), ("A#m", "Bbm"), ("Cb", "B"), ("B♭7", "Bb7"), ("F♯m", "F#m"), ("D/F#", "D"),
     ("Am7/G", "Am7"), ("C:maj/3", "C"), ("G:min7", "Gm7"), ("A:hdim7", "Am7b5"), ("E:7(#9)", "E7"), ("Cmaj9", "Cmaj7"),
     ("C-", "Cm"), ("C-7", "Cm7"), ("Co", "Cdim"), ("C°", "Cdim"), ("C°7", "Cdim"), ("Cø", "Cm7b5"), ("Cø7", "Cm7b5"),
     ("CΔ", "Cmaj7"), ("CΔ7", "Cmaj7"), ("C+", "Caug"), ("C6/9", "C"), ("Cm6", "Cm"), ("C5", "C"), ("Csus", "Csus4"),
     ("C7sus4", "Csus4"), ("C9", "C7"), ("C13", "C7"), ("Cm(maj7)", "Cm"), ("Cadd9", "C"), ("N", "N"), ("N.C.", "N"),
     ("-", "N"), ("X", "N"),
     (" Dm ", "Dm")],
)  # fmt: skip
def test_chords_as_people_write_them(text, name):
    assert h.chord_name(h.parse_chord(text)) == name


@pytest.mark.parametrize("text", ["", "H", "Cx", "C major", "7", "/C", "Am7b5b9b13", "Kuh"])
def test_what_is_no_chord(text):
    with pytest.raises(RequestError, match="^unknown chord .*[^\n]$"):
        h.parse_chord(text)


@pytest.mark.parametrize(
    "text, chords",
    [
        ("| C | Am | F | G |", [(0, 2, "C"), (2, 4, "Am"), (4, 6, "F"), (6, 8, "G")]),
        ("C|Am|F|G", [(0, 2, "C"), (2, 4, "Am"), (4, 6, "F"), (6, 8, "G")]),
        ("| C | G |", [(0, 2, "C"), (2, 4, "G"), (4, 6, "C"), (6, 8, "G")]),  # repeated until the end
        ("| Dm G7 | C |", [(0, 1, "Dm"), (1, 2, "G7"), (2, 4, "C"), (4, 5, "Dm"), (5, 6, "G7"), (6, 8, "C")]),
        ("| C | % | % | F |", [(0, 6, "C"), (6, 8, "F")]),
        ("| C |", [(0, 8, "C")]),
    ],
)
def test_charts(text, chords):
    assert symbols(h.parse_chart(text, BARS)) == chords


@pytest.mark.parametrize("text", ["", "|", "| |", "| C | | F |", "| C | X7y |", "| % | C |"])
def test_what_is_no_chart(text):
    with pytest.raises(RequestError):
        h.parse_chart(text, BARS)


def test_scales_and_their_errors():
    assert np.flatnonzero(h.parse_scale("A minor")).tolist() == np.flatnonzero(h.parse_scale("C")).tolist()
    assert np.flatnonzero(h.parse_scale("Eb  Minor Pentatonic")).tolist() == [1, 3, 6, 8, 10]
    for text in ("", "H major", "C majorish", "major"):
        with pytest.raises(RequestError):
            h.parse_scale(text)


@pytest.mark.parametrize("key", range(12))
def test_chords_of_plain_triads(key):
    progression = [(key, ""), (key + 9, "m"), (key + 5, ""), (key + 7, "7"), (key, ""), (key + 2, "m")]
    music = triads(progression)
    names = [h.chord_name(list(h.QUALITIES).index(quality) * 12 + root % 12) for root, quality in progression]
    for beats in (TempoMap.constant(120).beats(12.0), Notes.of([])):
        found = h.estimate_chords(music + Notes.of([(0, 12, 36, DRUMS, 90)]), beats)
        assert [name for _, _, name in symbols(found)] == names
        np.testing.assert_allclose(found.onset, np.arange(6) * 2.0, atol=0.01)


def test_no_notes_no_chords():
    assert len(h.estimate_chords(Notes.of([(0, 1, 36, DRUMS, 90)]), TempoMap().beats(4))) == 0


@given(notes(), st.lists(st.floats(0, 30), min_size=2, max_size=20, unique=True).map(sorted))
def test_chroma_conserves_time(music, edges):
    edges = np.array(edges)
    weight, pitched = h.chroma(music, edges), music.pitched
    ends = pitched.onset + np.minimum(pitched.duration, 10.0)
    inside = np.maximum(np.minimum(ends, edges[-1]) - np.maximum(pitched.onset, edges[0]), 0)
    np.testing.assert_allclose(weight.sum(0), np.bincount(pitched.pitch % 12, inside, 12), atol=1e-9)
    assert (weight >= 0).all()


def test_equal_neighbours_are_one_chord():
    joined = h.chord_notes([(0, 1, 0), (1, 2, 0), (2, 2, 5), (2, 3, 9), (4, 5, 9)])
    assert symbols(joined) == [(0, 2, "C"), (2, 3, "A"), (4, 5, "A")] and set(joined.instrument) == {CHORD}


def test_the_chord_at_a_time():
    chords = Notes.of([(1, 1, 5, CHORD, 64), (2, 1, h.NO_CHORD, CHORD, 64), (4, 1, 9, CHORD, 64)])
    times = np.array([0.5, 1.0, 1.99, 2.0, 3.5, 4.5, 6])
    assert h.chord_at(chords, times).tolist() == [-1, 5, 5, h.NO_CHORD, -1, 9, -1]
    assert h.chord_at(chords[:0], times).tolist() == [-1] * 7


def test_odds_of_chords_are_transposed():
    odds = np.zeros((2, h.NO_CHORD))
    odds[0, h.parse_chord("Am7")] = odds[1, h.parse_chord("Bb")] = 1.0
    assert [h.chord_name(i) for i in h.transposed(odds, 2).argmax(1)] == ["Bm7", "C"]
    np.testing.assert_array_equal(h.transposed(h.transposed(odds, -5), 5), odds)
