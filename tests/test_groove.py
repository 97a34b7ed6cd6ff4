"""Laws of drums: what people strike at a place of the bar is likelier there, in any metre that is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from recall import strokes

from anticipation.music import groove
from anticipation.music.notes import BEAT, DRUMS, Notes
from anticipation.music.tempo import TempoMap

KICK, SNARE, HAT, CRASH, COWBELL = 36, 38, 42, 49, 56
D, A, B, H, E = groove.DOWNBEAT, groove.BACK, groove.BEAT, groove.BETWEEN, groove.ELSEWHERE


def grid(beats: int, unit: int, seconds: float = 12.0) -> np.ndarray:
    """Onsets, numbers in the bar and lengths of beats at 120 quarters a minute."""
    notes = TempoMap(480, ((0, 500_000),), ((0, beats, unit),)).beats(seconds)
    return np.stack([notes.onset, notes.pitch, notes.duration], 1)


@pytest.mark.parametrize(
    "beats, unit, bar",
    [(4, 4, [D, A, B, A]), (2, 4, [D, A]), (6, 8, [D, A]), (3, 4, [D, A, A]), (5, 4, [D, B, B, B, B]),
     (7, 8, [D] + [B] * 6)],
)  # fmt: skip
def test_the_places_of_a_bar(beats, unit, bar):
    """A little early and late, too; what lies beyond the bars that are known is no place."""
    rows = grid(beats, unit)
    onset, length = rows[: len(bar), 0], rows[0, 2]
    for part, kinds in ((0.0, bar), (0.5, [H] * len(bar)), (0.25, [E] * len(bar)), (0.7, [E] * len(bar))):
        for late in (-0.05, 0.0, 0.05):
            at = onset + (part + late) * length + rows[len(bar), 0]  # of the second bar
            assert groove.places_of(at, rows).tolist() == kinds
    assert groove.places_of(np.array([-1.0, 99.0]), rows).tolist() == [-1, -1]


@pytest.mark.parametrize("beats, bar", [(6, [D, A]), (9, [D, A, A]), (12, [D, A, B, A])])
def test_the_eighths_of_a_jig_are_thirds_of_its_beats(beats, bar):
    rows = grid(beats, 8)
    sixths = rows[: len(bar), :1] + rows[len(bar), 0] + np.arange(6) / 6 * rows[0, 2]
    for late in (-0.02, 0.0, 0.02):
        found = groove.places_of(sixths.ravel() + late, rows, in_thirds=True)
        assert found.tolist() == [kind for beat in bar for kind in (beat, E, H, E, H, E)]


@pytest.mark.parametrize("first, phrase", [(0.0, 0), (0.9, 0), (1.4, 1), (np.inf, 0)])
def test_phrases_of_four_bars_begin_near_the_first_note(first, phrase):
    """A pick-up belongs to what it leads to."""
    rows = grid(4, 4, 24.0)
    lines = np.flatnonzero(rows[:, 1] == 0)[:-1]
    want = np.where((np.arange(len(lines)) - phrase) % 4 == 0, groove.OPENING, D)
    np.testing.assert_array_equal(groove.places_of(rows[lines, 0], rows, first), want)
    bar = 2.0 * (phrase + 3) + 0.25 * np.arange(8)
    closing = [groove.LAST_BETWEEN, groove.LAST_BACK, groove.LAST_BETWEEN]
    assert groove.places_of(bar, rows, first).tolist() == [D, H, A, H, B, *closing]
    assert groove.places_of(bar[-1:] + 0.125, rows, first).tolist() == [groove.LAST_ELSEWHERE]
    assert groove.places_of(bar - 2.0, rows, first).tolist() == [D, H, A, H, B, H, A, H]


@pytest.mark.parametrize("rows", [grid(4, 4)[:0], grid(4, 4)[:3], grid(1, 4)])
def test_where_no_bar_is_known_there_is_no_place(rows):
    assert groove.places_of(np.array([0.0, 0.5, 1.0]), rows).tolist() == [-1] * 3


def test_bars_begin_with_the_bass_drum_and_the_snare_answers():
    def better(place: int, one: int, other: int, first: bool = True) -> bool:
        odds = groove.LIKELY[int(not first), place]
        return bool(odds[one] > odds[other] + np.log(2))

    assert better(D, KICK, SNARE) and better(D, KICK, HAT) and better(D, CRASH, COWBELL, first=False)
    assert better(A, SNARE, KICK) and better(A, SNARE, HAT) and better(E, SNARE, CRASH)
    assert better(H, HAT, CRASH, first=False) and np.isfinite(groove.LIKELY).all()


def test_phrases_begin_with_a_crash_and_end_with_toms():
    """By how much likelier a group is at one place than at another."""

    def likelier(group: int, there: int, here: int) -> float:
        odds = groove.STROKES[..., group].sum(0) / groove.STROKES.sum((0, 2))
        return float(odds[there] / odds[here])

    crash, tom, hat = groove.GROUP_OF[[CRASH, 45, HAT]]
    assert likelier(crash, groove.OPENING, D) > 1.5
    for there, here in ((groove.LAST_BACK, A), (groove.LAST_BETWEEN, H), (groove.LAST_ELSEWHERE, E)):
        assert likelier(tom, there, here) > 1.1 > 1 > likelier(hat, there, here)


def test_strokes_are_counted_by_place_and_group():
    """Drums of a bar of rock, a hair late: the lowest of each moment, and the others."""
    rows = grid(4, 4)
    drums = np.array([(0, KICK), (0, HAT), (0.5, HAT), (1, SNARE), (1, HAT), (2, KICK), (3, SNARE), (3.25, COWBELL)])
    drums = drums * (0.5, 1) + (2.01, 0)
    table = groove.count(drums, rows)
    want = np.zeros_like(table)
    want[0, [D, H, A, B, E], [0, 3, 1, 0, 8]] = 1, 1, 2, 1, 1
    want[1, [D, A], 3] = 1
    np.testing.assert_array_equal(table, want)
    assert table.shape == groove.STROKES.shape


def test_all_sources_count_the_same_and_takes_of_a_song_as_one():
    rows = grid(4, 4)
    beats = Notes(rows[:, 0], rows[:, 2], rows[:, 1].astype(int), [BEAT] * len(rows), [64] * len(rows))

    def rock(pitch: int, seconds: float) -> Notes:
        return Notes.of((0.5 * i, 0.1, pitch, DRUMS, 80) for i in range(round(2 * seconds))) + beats

    songs = [("a", 2, KICK), ("a", 2, KICK), ("a", 1, SNARE), ("b", 1, HAT), ("c", 1, CRASH)]
    pieces = [SimpleNamespace(source=name, alike=alike, notes=rock(pitch, 12.0)) for name, alike, pitch in songs]
    shards = SimpleNamespace(split=lambda _: pieces, notes=lambda piece: piece.notes)
    table = strokes(shards, "train", ["a", "b"])
    assert table.sum() == pytest.approx(2)
    np.testing.assert_allclose(table.sum((0, 1)), [0.5, 0.5, 0, 1, 0, 0, 0, 0, 0])
