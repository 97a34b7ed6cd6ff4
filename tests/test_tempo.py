"""Laws of TempoMap: ticks, seconds, beats and bars agree with each other and with pretty_midi."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pretty_midi import PrettyMIDI
from strategies import tempo_maps

from anticipation.music.notes import Notes
from anticipation.music.tempo import EARLY, TempoMap, beat_notes
from anticipation.score.midi import Score

ticks = st.lists(st.integers(0, 1_000_000), min_size=1).map(sorted)


@given(tempo_maps(), ticks)
def test_ticks_to_seconds_and_back_is_exact(tempo, ticks):
    assert tempo.ticks(tempo.seconds(ticks)).tolist() == ticks
    assert (np.diff(tempo.seconds(ticks)) >= 0).all()


@given(tempo_maps(), ticks)
def test_seconds_equal_those_of_pretty_midi(tempo, ticks):
    theirs = PrettyMIDI(io.BytesIO(Score.from_notes(Notes.of([]), tempo).data))
    np.testing.assert_allclose(tempo.seconds(ticks), [theirs.tick_to_time(tick) for tick in ticks], atol=1e-6)


@given(tempo_maps(), st.floats(0, 60))
def test_bar_lines_are_the_first_beats(tempo, end):
    beats, lines = tempo.beats(end), tempo.bar_seconds(end)
    assert (beats.onset < end).all() and (beats.duration > 0).all()
    assert lines[-1] > end >= lines[-2] if end else lines[0] == 0
    assert set(beats.onset[beats.pitch == 0]) == set(lines[lines < end])
    np.testing.assert_allclose(beats.offset[:-1], beats.onset[1:])  # each beat lasts until the next


def test_a_new_metre_starts_a_new_bar():
    tempo = TempoMap(480, meters=((0, 4, 4), (4 * 480, 6, 8), (7 * 480, 3, 4)))  # a bar of each, then more of the last
    assert tempo.beats(7).pitch.tolist() == [0, 1, 2, 3, 0, 1, 0, 1, 2, 0, 1, 2, 0]
    assert tempo.bar_seconds(4.9).tolist() == [0, 2, 3.5, 5]


@pytest.mark.parametrize("ppqn, meter", [(1, (7, 8)), (2, (7, 8)), (3, (5, 16)), (1, (4, 32))])
def test_of_beats_shorter_than_a_tick_none_is_empty(ppqn, meter):
    tempo = TempoMap(ppqn, meters=((0, *meter),))
    beats = tempo.beats(20)
    assert (beats.duration > 0).all() and np.allclose(beats.offset[:-1], beats.onset[1:])
    lines = tempo.bar_seconds(20)
    assert set(beats.onset[beats.pitch == 0]) == set(lines[lines < 20])


def test_bars_longer_than_the_piece():
    assert TempoMap(meters=((0, 200, 4),)).bar_seconds(1.0).tolist() == [0, 100]


def test_of_several_tempos_at_one_tick_the_last_counts():
    assert TempoMap(480, ((0, 1_000_000), (0, 250_000))).seconds(480) == 0.25
    assert TempoMap.constant(60).seconds([480, 960]).tolist() == [1, 2]


def test_beats_from_times_last_until_the_next():
    beats = beat_notes([0, 0.5, 1.1], [0, 1, 2])
    assert beats.pitch.tolist() == [0, 1, 2] and np.allclose(beats.duration, [0.5, 0.6, 0.6])


@given(tempo_maps(), st.integers(0, 1_000_000), st.integers(1, 20))
def test_bars_are_counted_from_the_bar_line_that_is_there_or_comes(tempo, tick, count):
    at = float(tempo.seconds(tick))
    end = tempo.bars_on(at, count)
    lines = tempo.ticks(tempo.bar_seconds(end + 1e-6)).tolist()
    bars = [line for line in lines[: lines.index(tempo.ticks(end)) + 1] if line >= tick - EARLY * tempo.ppqn]
    assert len(bars) == count + 1, "the first line, and one for each bar"
