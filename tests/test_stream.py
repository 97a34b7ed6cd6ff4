"""Laws of the interleaved stream: nothing lost, nothing early, nothing known before its time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import chords, notes, streams, times

from anticipation.model import stream as s
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes
from plugin_bridge.controls import NAMES

NOTHING = s.Chart.of(Notes.of([]))


def streamed(events, controls, chart, header, until, echoes) -> np.ndarray:
    """What `interleave` answers, a row at a time, as a decoder feeds it: what comes after an echo is drawn again."""
    stream = s.Stream(chart, controls, header.delta, np.random.default_rng(0), echoes=echoes)
    start = header.rows(chart)
    stream.rows, left = np.concatenate([start, stream.due(0)]), list(events)
    while left or stream.clock < until or stream.echoed < len(echoes):
        wait = left[0][0] - stream.clock if left else s.MAX_DURATION
        row = s.event_rows(s.quantise(Notes.of([])), until=stream.clock + s.REST)[-1]
        if wait <= s.REST:
            row = s.event_rows(left[0][None] - [stream.clock, 0, 0, 0, 0])[-1]
        row[[s.CLOCK, s.AT]] = stream.clock + row[s.SHIFT]
        row[s.CHART] = stream.columns(int(row[s.CLOCK]))
        echo = stream.overtaken(row)
        row = row if echo is None else echo
        if left and row[s.KIND] in s.LINE and (row[[s.AT, s.INSTRUMENT, s.PITCH]] == left[0][:3]).all():
            left.pop(0)
        stream.remember(row)
        if row[s.INSTRUMENT] == CHORD and row[s.KIND] == s.EVENT:
            row[s.SYMBOL] = row[s.PITCH]
        stream.rows = np.concatenate([stream.rows, row[None], stream.due(int(row[s.CLOCK]))])
    return stream.rows


def kind(rows: np.ndarray, which: int) -> np.ndarray:
    return rows[rows[:, s.KIND] == which]


@given(streams(), st.sets(st.sampled_from([0, 24, 33, 48, 127, DRUMS])))
def test_batch_interleaving_equals_streaming(request, parts):
    events, controls, chart, header, until = request
    echoes = controls[np.isin(controls[:, 1], list(parts))]
    rows = s.interleave(events, controls, chart, header, until=until, echoes=echoes)
    np.testing.assert_array_equal(rows, streamed(*request, echoes))


def test_an_echo_stands_among_the_events_where_its_note_begins():
    events = s.quantise(Notes.of([(0.0, 1, 60, 0, 70), (0.5, 1, 60, 0, 70), (0.5, 1, 67, 0, 70), (2.0, 1, 60, 0, 70)]))
    given_ = s.quantise(Notes.of([(0.5, 1, 64, 0, 90), (1.7, 1, 60, 0, 90), (2.0, 1, 60, 0, 90)]))
    rows = s.interleave(events, given_, NOTHING, s.Header(), echoes=given_)
    line = rows[np.isin(rows[:, s.KIND], s.LINE)]
    # The event that is a given note is not there twice; the others stand in the order of times, then of pitches.
    assert line[:, s.AT].tolist() == [0, 50, 50, 50, 170, 200]
    assert line[:, s.PITCH].tolist() == [60, 60, 64, 67, 60, 60]
    assert (line[:, s.KIND] == s.ECHO).tolist() == [False, False, True, False, True, True]
    assert len(kind(rows, s.CONTROL)) == 3  # an echo does not stand in for what is told ahead


@given(streams())
def test_interleaving_loses_and_invents_nothing(request):
    events, controls, chart, header, until = request
    rows = s.interleave(events, controls, chart, header, until=until)
    for given_, table in ((kind(rows, s.EVENT), events), (kind(rows, s.CONTROL), controls)):
        back = np.concatenate([given_[:, [s.AT]], given_[:, s.INSTRUMENT : s.VELOCITY + 1]], axis=1)
        np.testing.assert_array_equal(back, table[: len(back)])  # controls that no row reaches are still to come
    assert len(kind(rows, s.EVENT)) == len(events)
    assert len(kind(rows, s.CONTROL)) == len(controls) or not until
    assert (rows[:, s.AT] == rows[:, s.CLOCK] + np.where(rows[:, s.KIND] == s.CONTROL, rows[:, s.SHIFT], 0)).all()


@given(streams())
def test_a_control_stands_right_after_the_first_row_that_comes_within_delta_of_it(request):
    events, controls, chart, header, until = request
    rows = s.interleave(events, controls, chart, header, until=until)
    stops = np.flatnonzero(rows[:, s.KIND] != s.CONTROL)
    first = len(kind(rows, s.START_KIND)) - 1  # the start rows are one stop
    for at in np.flatnonzero(rows[:, s.KIND] == s.CONTROL):
        due, before = rows[at, s.AT] - header.delta, stops[stops < at]
        assert rows[at, s.CLOCK] == rows[before[-1], s.CLOCK]
        assert before[-1] == first or rows[before[-1], s.CLOCK] >= due > rows[before[-2], s.CLOCK]


@given(streams())
def test_no_gap_between_events_over_a_second(request):
    events, controls, chart, header, until = request
    rows = s.interleave(events, controls, chart, header, until=until)
    clock = rows[rows[:, s.KIND] != s.CONTROL, s.CLOCK]
    assert ((np.diff(clock) >= 0) & (np.diff(clock) <= s.REST)).all()
    assert clock[-1] >= until
    moving = rows[(rows[:, s.KIND] == s.EVENT) | (rows[:, s.KIND] == s.REST_KIND)]
    assert np.array_equal(moving[:, s.CLOCK], np.cumsum(moving[:, s.SHIFT]))
    after = moving[1:][moving[:-1, s.KIND] == s.REST_KIND]
    assert (after[:, s.SHIFT] > 0).all(), "a rest that is not needed"


@given(streams(), st.lists(st.integers(-5, 3000)))
def test_a_look_moves_the_clock_and_changes_nothing_else(request, looks):
    """It stands ahead of the events at its step; what is told by then stands behind it, and no event is elsewhere."""
    events, controls, chart, header, until = request
    rows = s.interleave(events, controls, chart, header, looks=looks, until=until)
    plain = s.interleave(events, controls, chart, header, until=until)
    assert np.array_equal(kind(rows, s.EVENT)[:, s.AT], kind(plain, s.EVENT)[:, s.AT])
    moving = rows[(rows[:, s.KIND] == s.EVENT) | (rows[:, s.KIND] == s.REST_KIND)]
    assert np.array_equal(moving[:, s.CLOCK], np.cumsum(moving[:, s.SHIFT])) and (moving[:, s.SHIFT] <= s.REST).all()
    stops = rows[rows[:, s.KIND] != s.CONTROL]
    given_ = np.flatnonzero(rows[:, s.KIND] == s.CONTROL)
    for look in {step for step in looks if step > 0}:
        at = np.flatnonzero((rows[:, s.KIND] == s.REST_KIND) & (rows[:, s.CLOCK] == look))[0]
        assert not (kind(rows[:at], s.EVENT)[:, s.CLOCK] >= look).any()
        later = stops[stops[:, s.CLOCK] > look, s.CLOCK].min(initial=1 << 40)
        due = controls[:, 0] - header.delta <= look
        assert (rows[given_, s.CLOCK] < later).sum() == due.sum()


@given(streams(), st.integers(1, 60))
def test_a_limit_cuts_the_stream_and_changes_nothing_else(request, limit):
    *request, until = request
    whole = s.interleave(*request, until=until)
    np.testing.assert_array_equal(s.interleave(*request, until=until, limit=limit), whole[:limit])


@given(notes() | chords(), times)
def test_back_from_the_stream_is_quantisation(music, origin):
    music = music.shift(origin)
    table = s.quantise(music, origin)
    rows = s.interleave(table, s.quantise(Notes.of([])), NOTHING, s.Header())
    back = s.to_notes(rows, origin)
    assert np.array_equal(s.quantise(back, origin), table)
    assert len(table) or not len(music)
    for i, (onset, duration, pitch, instrument, _) in enumerate(back):
        near = music[(music.pitch == pitch) & (music.instrument == instrument)]
        near = near[abs(near.onset - onset) <= 0.5001 / s.STEPS]
        assert len(near), f"note {i} is nobody's"
        assert instrument == DRUMS or abs(near.duration - duration).min() <= 0.5001 / s.STEPS + 0.01 * (
            duration < 0.011
        )


def test_chords_come_first_and_of_doubles_the_longest_stays():
    music = Notes.of([(0, 0.5, 60, 0, 64), (0, 1.0, 60, 0, 90), (0, 0.7, 60, 0, 70), (0, 2.0, 9, CHORD, 64)])
    assert s.quantise(music).tolist() == [[0, CHORD, 9, 200, 64], [0, 0, 60, 100, 90]]


def test_an_unknown_velocity_becomes_a_middling_one():
    rows = s.event_rows(np.array([[0, 0, 60, 10, 0], [5, 0, 61, 10, 99]]))
    assert s.to_notes(rows).velocity.tolist() == [64, 99]


@given(notes(), chords(), st.integers(0, 40))
def test_a_chord_that_is_still_to_be_written_leaves_no_trace(music, chart, count):
    """Cut the future off: what stands before it stays the same."""
    table = s.quantise(music + chart)
    whole, part = (s.interleave(t, s.quantise(Notes.of([])), NOTHING, s.Header()) for t in (table, table[:count]))
    np.testing.assert_array_equal(whole[: len(part)], part)
    heard = s.UNKNOWN_CHORD
    for row in whole:
        heard = row[s.PITCH] if row[s.KIND] == s.EVENT and row[s.INSTRUMENT] == CHORD else heard
        assert row[s.SYMBOL] == heard


@pytest.mark.parametrize(
    "clock, beat, chord",
    [
        (0, (0, 50, 50), (s.UNKNOWN_CHORD, 0, 50)),  # nothing sounds yet; C in half a second
        (50, (0, 0, 50), (0, 9, 200)),  # right on the downbeat, on C; A in two seconds
        (51, (1, 49, 50), (0, 9, 199)),  # a step on, the next beat counts
        (100, (1, 0, 50), (0, 9, 150)),
        (101, (s.NO_BEAT, 0, 0), (0, 9, 149)),  # the grid is over
        (250, (s.NO_BEAT, 0, 0), (9, s.UNKNOWN_CHORD, 0)),
        (351, (s.NO_BEAT, 0, 0), (s.UNKNOWN_CHORD, s.UNKNOWN_CHORD, 0)),  # and A has ended
    ],
)
def test_the_chart_at_a_moment(clock, beat, chord):
    beats = [(0.5, 0.5, 0, BEAT, 64), (1.0, 0.5, 1, BEAT, 64)]
    chart = s.Chart.of(Notes.of([*beats, (0.5, 2.0, 0, CHORD, 64), (2.5, 1.0, 9, CHORD, 64)]))
    assert chart.columns(np.array([clock]))[0].tolist() == [*beat, *chord]


def test_the_chart_looks_no_further_than_its_horizon():
    far = s.Chart.of(Notes.of([(20, 11, 2, BEAT, 64), (20, 1, 5, CHORD, 64)]))
    assert far.columns(np.array([999, 1000])).tolist() == [
        [s.NO_BEAT, 0, 0, s.UNKNOWN_CHORD, s.UNKNOWN_CHORD, 0],
        [2, 1000, 1000, s.UNKNOWN_CHORD, 5, 1000],
    ]


def test_live_offers_every_style():
    """In words of its own, for the command line is to know them without numpy."""
    assert NAMES["style"].choices == s.STYLES
