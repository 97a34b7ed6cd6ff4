"""Laws of chords, as numbers and as symbols, charts and scales."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation.errors import RequestError
from anticipation.music import harmony as h
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.symbols import chord_name, parse_chart, parse_chord, parse_scale, simplified
from anticipation.music.tempo import TempoMap

BARS = TempoMap().bar_seconds(8.0)[:5]  # four bars of two seconds


def symbols(chords: Notes) -> list[tuple[float, float, str]]:
    return [(onset, onset + duration, chord_name(symbol)) for onset, duration, symbol, _, _ in chords]


def triads(roots, lowest=48, length=2.0) -> Notes:
    """Root position triads of (root, quality) pairs, one every two seconds."""
    return Notes.of(
        (i * length, length * 0.9, lowest + root + step, 0, 80)
        for i, (root, quality) in enumerate(roots)
        for step in h.QUALITIES[quality]
    )


def test_every_chord_can_be_named_and_read_again():
    assert [parse_chord(chord_name(symbol)) for symbol in range(h.CHORDS)] == list(range(h.CHORDS))


@pytest.mark.parametrize(
    "text, name",
    [("C", "C"), ("a", "A"), ("Bb", "Bb"), ("A#m", "Bbm"), ("Cb", "B"), ("B♭7", "Bb7"), ("F♯m", "F#m"), ("D/F#", "D"),
     ("Am7/G", "Am7"), ("C:maj/3", "C"), ("G:min7", "Gm7"), ("A:hdim7", "Am7b5"), ("E:7(#9)", "E7"), ("Cmaj9", "Cmaj7"),
     ("C-", "Cm"), ("C-7", "Cm7"), ("Co", "Cdim"), ("C°", "Cdim"), ("C°7", "Cdim"), ("Cø", "Cm7b5"), ("Cø7", "Cm7b5"),
     ("CΔ", "Cmaj7"), ("CΔ7", "Cmaj7"), ("C+", "Caug"), ("C6/9", "C"), ("Cm6", "Cm"), ("C5", "C"), ("Csus", "Csus4"),
     ("C7sus4", "Csus4"), ("C9", "C7"), ("C13", "C7"), ("Cm(maj7)", "Cm"), ("Cadd9", "C"), ("N", "N"), ("N.C.", "N"),
     ("-", "N"), ("X", "N"), ("n.c.", "N"), ("NC", "N"),
     (" Dm ", "Dm"), ("(G7)", "G7"), ("Am7b5b9b13", "Am7b5"), ("Cm7(b5)", "Cm7b5"), ("C-7b5", "Cm7b5"),
     ("Ch7", "Cm7b5"), ("C♯m7♭5", "C#m7b5"), ("CMaj7", "Cmaj7"), ("CMI7", "Cm7"), ("Cma7", "Cmaj7"), ("CmMaj7", "Cm"),
     ("C^7", "Cmaj7"), ("C7alt", "C7"), ("Calt", "C7"), ("C7b5", "C7"), ("C7#9b13", "C7"), ("C13sus4", "Csus4"),
     ("C7+", "Caug"), ("C69", "C"), ("Cm69", "Cm"), ("Cm(add9)", "Cm"), ("Cadd2", "C"), ("C4", "Csus4"),
     ("C2", "Csus2"), ("Cmaj7#11", "Cmaj7"), ("Cmaj7#5", "Caug"), ("C:maj(9)", "C"), ("C:sus4(b7)", "Csus4"),
     ("C:min/b7", "Cm")],
)  # fmt: skip
def test_chords_as_people_write_them(text, name):
    assert chord_name(parse_chord(text)) == name


@pytest.mark.parametrize("text", ["", "H", "Cx", "C major", "7", "/C", "C/H", "C7y", "Am7b5x9", "Kuh"])
def test_what_is_no_chord_is_refused_in_one_line(text):
    with pytest.raises(RequestError, match="^unknown chord .*[^\n]$"):
        parse_chord(text)


@pytest.mark.parametrize(
    "text, name",
    [("C/A", "Am7"), ("C/Bb", "C7"), ("Am/F#", "F#m7b5"), ("Em/D", "Em7"), ("F/G", "Gsus4"), ("Dm7/G", "Gsus4"),
     ("D/F#", "D"), ("C/E", "C")],
)  # fmt: skip
def test_a_chord_over_another_bass_is_the_chord_that_it_makes(text, name):
    assert chord_name(parse_chord(text)) == name


def test_what_a_symbol_is_taken_for_is_told_once():
    chart = "| C6 D/F# | Cmaj9 C6 | Am7 CΔ Gb C- N.C. | C/A | F/G Bdim7 |"
    told = ["C6 is taken for C", "D/F# is taken for D", "Cmaj9 is taken for Cmaj7", "F/G is taken for Gsus4",
            "Bdim7 is taken for Bdim"]  # fmt: skip
    assert simplified(chart) == told


@pytest.mark.parametrize(
    "sharps, roots, minor",
    [(0, "C Db D Eb E F F# G Ab A Bb B", "C#m"), (-3, "C Db D Eb E F Gb G Ab A Bb B", "Dbm"),
     (4, "C C# D D# E F F# G G# A A# B", "C#m"), (6, "C C# D D# E E# F# G G# A A# B", "C#m"),
     (-6, "C Db D Eb E F Gb G Ab A Bb Cb", "Dbm")],
)  # fmt: skip
def test_chords_are_spelled_in_their_key(sharps, roots, minor):
    assert [chord_name(root, sharps) for root in range(12)] == roots.split()
    assert chord_name(13, sharps) == minor
    for symbol in range(h.CHORDS):
        assert parse_chord(chord_name(symbol, sharps)) == symbol


@pytest.mark.parametrize(
    "text, chords",
    [
        ("| C | Am | F | G |", [(0, 2, "C"), (2, 4, "Am"), (4, 6, "F"), (6, 8, "G")]),
        ("C|Am|F|G", [(0, 2, "C"), (2, 4, "Am"), (4, 6, "F"), (6, 8, "G")]),
        ("| C | G |", [(0, 2, "C"), (2, 4, "G"), (4, 6, "C"), (6, 8, "G")]),  # repeated until the end
        ("| Dm G7 | C |", [(0, 1, "Dm"), (1, 2, "G7"), (2, 4, "C"), (4, 5, "Dm"), (5, 6, "G7"), (6, 8, "C")]),
        ("| C | % | % | F |", [(0, 6, "C"), (6, 8, "F")]),
        ("| C |", [(0, 8, "C")]),
        ("|: C | G :|", [(0, 2, "C"), (2, 4, "G"), (4, 6, "C"), (6, 8, "G")]),
        ("|: C :| x3 | F |", [(0, 6, "C"), (6, 8, "F")]),
        ("C | x2 | F | G", [(0, 4, "C"), (4, 6, "F"), (6, 8, "G")]),
        ("[A] |: C |1. G :|2. F ||", [(0, 2, "C"), (2, 4, "G"), (4, 6, "C"), (6, 8, "F")]),
        ("Verse:\n| C | G |\n| F | / |]", [(0, 2, "C"), (2, 4, "G"), (4, 8, "F")]),
        (
            "| C / / G | / . F . |",
            [(0, 1.5, "C"), (1.5, 3, "G"), (3, 4, "F"), (4, 5.5, "C"), (5.5, 7, "G"), (7, 8, "F")],
        ),
        ("| N.C. | C, G |", [(0, 2, "N"), (2, 3, "C"), (3, 4, "G"), (4, 6, "N"), (6, 7, "C"), (7, 8, "G")]),
    ],
)
def test_a_chart_is_read_a_cell_a_bar(text, chords):
    assert symbols(parse_chart(text, BARS)) == chords


@pytest.mark.parametrize(
    "metre, bar, lengths",
    [((7, 8), "C G", (4, 3)), ((7, 8), "C F G", (3, 2, 2)), ((5, 8), "C G", (3, 2)), ((3, 4), "C G", (2, 1)),
     ((9, 8), "C G", (2, 1)), ((6, 8), "C F G", (2 / 3,) * 3), ((4, 4), "C F G", (2, 1, 1)), ((12, 8), "C G", (2, 2))],
)  # fmt: skip
def test_a_bar_is_shared_in_whole_beats(metre, bar, lengths):
    """Also where the tempo changes within it."""
    tempo = TempoMap(480, ((0, 500_000), (480, 700_000)), ((0, *metre),))
    bars, beats = tempo.bar_seconds(4.0), tempo.beats(8.0).onset
    onsets = parse_chart(f"| {bar} |", bars, beats).onset[: len(lengths)]
    at = np.cumsum([0, *lengths])[:-1]
    np.testing.assert_allclose(onsets, np.interp(at, np.arange(len(beats)), beats))


@pytest.mark.parametrize("text", ["", "|", "| |", "| C | | F |", "| C | X7y |", "| % | C |", "| / | C |", "| C x2 |",
                                  "| C % |", "| 3/4 | C |"])  # fmt: skip
def test_what_is_no_chart_is_refused_in_one_line(text):
    with pytest.raises(RequestError, match="^[^\n]*$"):
        parse_chart(text, BARS)


def test_scales_and_their_errors():
    assert np.flatnonzero(parse_scale("A minor")).tolist() == np.flatnonzero(parse_scale("C")).tolist()
    assert np.flatnonzero(parse_scale("Eb  Minor Pentatonic")).tolist() == [1, 3, 6, 8, 10]
    for name, other in (("Am", "C"), ("F#m", "A major"), ("D ionian", "D"), ("e Aeolian", "G"), ("G major pentatonic",
                        "G pentatonic")):  # fmt: skip
        assert (parse_scale(name) == parse_scale(other)).all()
    for text in ("", "H major", "C majorish", "major", "m", "Hm", "Cm blues"):
        with pytest.raises(RequestError):
            parse_scale(text)


@pytest.mark.parametrize("key", range(12))
def test_chords_of_plain_triads(key):
    progression = [(key, ""), (key + 9, "m"), (key + 5, ""), (key + 7, "7"), (key, ""), (key + 2, "m")]
    music = triads(progression)
    names = [chord_name(list(h.QUALITIES).index(quality) * 12 + root % 12) for root, quality in progression]
    for beats in (TempoMap.constant(120).beats(12.0), Notes.of([])):
        found = h.estimate_chords(music + Notes.of([(0, 12, 36, DRUMS, 90)]), beats)
        assert [name for _, _, name in symbols(found)] == names
        np.testing.assert_allclose(found.onset, np.arange(6) * 2.0, atol=0.01)


def test_drums_alone_play_no_chords():
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
