"""Laws of the grid: where notes stand among beats, played or typed in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anticipation.music.grid import cut, division_of, gap_of, lag_of, moment, on_grid, places, position, usual_division
from anticipation.music.notes import Notes
from anticipation.music.tempo import TempoMap

BEATS = TempoMap.constant(100).beats(30)


@given(st.floats(0, 60))
def test_beats_and_seconds_there_and_back(when):
    assert position(moment(np.array([when]), BEATS), BEATS) == pytest.approx(when, abs=1e-9)


def line(phases: list[float], jitter: float = 0.0) -> Notes:
    """A note at each of these places of the beats, by turns, off by so many seconds at random."""
    rng = np.random.default_rng(0)
    return Notes.of((max(0.0, 0.6 * (i + p) + rng.normal(0, jitter or 1e-9)), 0.2, 60, 0, 64)
                    for i in range(40) for p in phases)  # fmt: skip


@pytest.mark.parametrize(
    "phases, parts",
    [([0], 4), ([0, 0.5], 4), ([0, 0.75], 4), ([0, 2 / 3], 6), ([0, 1 / 3, 2 / 3], 6), ([0, 1 / 6, 0.5], 6),
     ([0, 0.125, 0.25, 0.375], 8), ([], 4)],
)  # fmt: skip
def test_notes_tell_how_their_beats_are_divided(phases, parts):
    assert division_of(line(phases), BEATS) == parts
    assert division_of(line(phases, 0.012), BEATS) == parts, "played by hand"


@pytest.mark.parametrize("phases", [[0], [0, 0.5], [0, 1 / 3, 2 / 3], [0, 2 / 3], [0, 1 / 6, 0.5]])
def test_triple_and_swung_beats_are_a_grid_as_straight_ones_are(phases):
    """But not where the grid is a twelfth of a beat off, nor where nobody keeps to it."""
    assert on_grid(line(phases), BEATS) and on_grid(line(phases, 0.012), BEATS)
    rng = np.random.default_rng(1)
    free = Notes.of((t, 0.2, 60, 0, 64) for t in np.cumsum(rng.uniform(0.1, 0.9, 60)))
    assert not on_grid(free, BEATS) and not on_grid(line(phases).shift(0.09), BEATS)


@pytest.mark.parametrize("phases", [[0.25], [0.75], [0.25, 0.75], [0, *[0.25, 0.75] * 5]])
@pytest.mark.parametrize("jitter", [0.0, 0.012])
def test_beats_that_nobody_strikes_nor_their_halves_begin_a_sixteenth_off(phases, jitter):
    """But off-beats alone are music, and so are sixteenths."""
    assert not on_grid(line(phases, jitter), BEATS)
    for played in ([0.5], [0.25, 0.5, 0.75], [0, 0.25, 0.75], [2 / 3]):
        assert on_grid(line(played, jitter), BEATS)


@pytest.mark.parametrize("parts", [6, 8, 9, 12])
def test_small_notes_that_were_typed_in_keep_to_the_beats(parts):
    """As running sixteenths of six-eight do, whose phases on thirds cancel. Not where nobody types so, nor where the
    beats begin at the wrong moment."""
    running = line([i / parts for i in range(parts)])
    assert on_grid(running, BEATS) and not on_grid(line([i / parts for i in range(parts)], 0.02), BEATS)
    assert not on_grid(line([0, 0.5]).shift(0.6 / 12), BEATS)


def test_what_a_program_moved_to_sixty_fourths_was_not_typed_in():
    """Whoever played without a click is on all of them alike."""
    taken = [
        on_grid(line(np.sort(np.random.default_rng(seed).integers(0, 16 * 30, 60)) / 16), BEATS) for seed in range(50)
    ]
    assert sum(taken) <= 5


@pytest.mark.parametrize("phases", [[0, 0.5], [0, 0.25, 0.5, 0.75], [0, 0.5, 0.75], [0, 2 / 3]])
@pytest.mark.parametrize("lag", [-0.045, -0.03, 0.03, 0.045])
def test_who_is_ahead_of_a_click_or_behind_it_all_along_keeps_to_it(phases, lag):
    """As drummers and recordings are. Not where nobody keeps to it, nor where notes are half a part off, nor where they
    would be on the weak parts of the beat."""
    late = line(phases, 0.01).shift(0.6 + lag)
    assert on_grid(late, BEATS) and (lag_of(late, BEATS) or lag) == pytest.approx(lag, abs=0.012)
    assert not on_grid(late.shift(0.075 - lag), BEATS) or 2 / 3 in phases
    free = Notes.of((t, 0.2, 60, 0, 64) for t in np.cumsum(np.random.default_rng(1).uniform(0.1, 0.9, 60)))
    assert not on_grid(free.shift(lag), BEATS) and not on_grid(line([0.25, 0.75], 0.01).shift(0.6 + lag), BEATS)


def test_music_is_cut_where_the_beat_is_played():
    """Else half of a drummer's downbeats would stay when their bar is rewritten."""
    ahead = line([0, 0.25, 0.5], 0.008).shift(-0.04)
    (begin,) = cut(ahead, BEATS, 6.0)
    assert 5.9 < begin <= 6.0 + lag_of(ahead, BEATS) < 5.97
    downbeat = ahead.onset[abs(ahead.onset - 5.96).argmin()]
    assert begin <= downbeat and cut(ahead, BEATS, 5.99) == [5.99] and cut(ahead, BEATS, 0.0) == [0.0]


@pytest.mark.parametrize("count", range(1, 8))
def test_few_notes_are_on_the_grid_if_that_is_hardly_chance(count):
    """A DAW's clip of three typed notes has its beats; three notes anywhere rarely have."""
    rng = np.random.default_rng(count)
    typed = line([0, 0.5, 0.75])[rng.permutation(12)[:count]]
    assert on_grid(typed, BEATS) and not on_grid(typed.shift(0.05), BEATS)
    anywhere = (Notes.of((t, 0.2, 60, 0, 64) for t in rng.uniform(0, 5, count)) for _ in range(1000))
    assert sum(on_grid(notes, BEATS) for notes in anywhere) < 90


def test_new_notes_go_with_known_ones_or_on_the_grid_between_them():
    """Where a known note is near a place, that note is the place: the band follows whom it plays with."""
    known = Notes.of([(0.62, 0.2, 60, 0, 64), (1.0, 0.2, 60, 0, 64)])  # a fiftieth late; on no sixteenth
    found = places(known, BEATS, 4)
    assert found[:9].round(3).tolist() == [0, 0.15, 0.3, 0.45, 0.62, 0.75, 0.9, 1.0, 1.2]
    assert len(places(Notes.of([]), BEATS)) == 4 * len(BEATS)


@pytest.mark.parametrize(
    "metre, step, seconds",
    [((7, 8), 240, 0.125), ((5, 8), 120, 0.125), ((3, 8), 240, 0.125), ((6, 8), 240, 0.125), ((9, 8), 240, 0.125),
     ((12, 8), 120, 0.125), ((6, 8), 360, 0.1875), ((7, 8), 80, 0.25 / 3), ((7, 8), 60, 0.0625), ((9, 16), 120, 0.125),
     ((5, 4), 240, 0.125), ((3, 4), 160, 0.5 / 6), ((2, 2), 480, 0.25)],
)  # fmt: skip
def test_beats_are_divided_as_their_metre_is(metre, step, seconds):
    """An eighth that is a beat is not divided into what a quarter would be, nor a dotted one into quarters of it."""
    tempo = TempoMap(480, (), ((0, *metre),))
    beats = tempo.beats(20.0)
    at = tempo.seconds(np.arange(0, 19_000, step))
    tune = Notes.of((float(t), 0.1, 60, 0, 64) for t in at)
    divisions = tempo.divisions(beats.onset)
    assert beats.duration[0] / divisions[0, usual_division(tune, beats, divisions)] == pytest.approx(seconds)


def test_where_the_metre_changes_so_does_what_a_beat_is_divided_into():
    tempo = TempoMap(480, (), ((0, 7, 8), (1680, 4, 4)))
    beats = tempo.beats(3.75)
    divisions = tempo.divisions(beats.onset)
    tune = Notes.of((0.25 * i, 0.2, 60, 0, 64) for i in range(15))
    found = places(Notes.of([]), beats, divisions[:, usual_division(tune, beats, divisions)])
    np.testing.assert_allclose(np.diff(found), 0.125)
    assert divisions[0].tolist() == [2, 3, 4] and divisions[-1].tolist() == [4, 6, 8]


def test_who_is_early_for_a_beat_begins_with_it():
    """By less than a sixteenth of it. On the grid, off the beat and where nobody keeps to it nothing changes."""
    on = line([0, 0.5])
    for early, begin in ((0.004, 5.996), (0.03, 5.97), (0.6 / 16, 6.0), (0.6 / 8, 6.0)):
        assert cut(on + Notes.of([(6.0 - early, 0.2, 60, 0, 64)]), BEATS, 6.0) == pytest.approx([begin])
    two = on + Notes.of([(5.98, 0.2, 60, 0, 64), (5.97, 0.2, 60, 0, 64), (6.02, 0.2, 60, 0, 64)])
    assert cut(two, BEATS, 6.0) == [5.97] and cut(two, BEATS, 5.99) == [5.99] and cut(two, BEATS, 0.0) == [0.0]
    assert (
        cut(on, BEATS, 6.0) == pytest.approx([6.0])
        and cut(two, BEATS[:0], 6.0) == [6.0]
        and cut(two[:0], BEATS, 6.0) == [6.0]
    )
    free = Notes.of((t, 0.2, 60, 0, 64) for t in np.cumsum(np.random.default_rng(1).uniform(0.1, 0.9, 60)))
    assert cut(free + Notes.of([(5.98, 0.2, 60, 0, 64)]), BEATS, 6.0) == [6.0]
    end = float(BEATS.offset[-1])
    assert cut(on + Notes.of([(end - 0.01, 0.2, 60, 0, 64)]), BEATS, end) == pytest.approx([end - 0.01])


def test_typed_in_notes_tell_where_they_end():
    on = line([0, 0.5])
    assert gap_of(on.replace(duration=on.duration * 0 + 0.3), BEATS) == pytest.approx(0)
    assert gap_of(on.replace(duration=on.duration * 0 + 0.3 - 0.6 / 96), BEATS) == pytest.approx(-1 / 96, abs=1e-4)
    assert gap_of(on.replace(duration=np.random.default_rng(0).uniform(0.1, 0.5, len(on))), BEATS) is None
    assert gap_of(on[:0], BEATS) is None and gap_of(on, BEATS[:0]) is None
