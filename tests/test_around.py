"""Laws of what the head is told of the notes around an event: what is known by then, and nothing of what is to come."""

import numpy as np
from hypothesis import given, settings
from strategies import streams

from anticipation.model import around
from anticipation.model import stream as s
from anticipation.model.features import DURATIONS, duration_bin
from anticipation.music.notes import DRUMS, Notes


def test_what_is_heard_around_a_moment():
    """C for a second, then E for two, seen from the end of the C: shares of the windows of EARSHOT."""
    notes, nothing = Notes.of([(0, 1, 60, 0, 64), (1, 2, 64, 0, 64)]), Notes.of([])
    rows = s.interleave(s.quantise(notes), s.quantise(nothing), s.Chart.of(nothing), s.Header())
    windows = around.heard(rows, np.array([100, 150, 100]), np.array([2, 2, 1])).reshape(3, len(around.EARSHOT), 12)
    assert around.EARSHOT == ((-100, 0), (0, 25), (25, 100), (100, 250))
    np.testing.assert_allclose(windows[:, :, 0], [[1, 0, 0, 0], [0.5, 0, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_allclose(windows[:, :, 4], [[0, 1, 1, 2 / 3], [0.5, 1, 1, 1 / 3], [0, 0, 0, 0]])  # not told yet
    assert windows.sum() == windows[:, :, [0, 4]].sum()


def moments(notes: np.ndarray, clock: int) -> list[list[int]]:
    """`soon`, the slow way: the waits for the next onsets and ends."""
    on = {int(note[s.AT]) - clock for note in notes if note[s.INSTRUMENT] <= DRUMS}
    off = {int(note[s.AT] + note[s.DURATION]) - clock for note in notes if note[s.INSTRUMENT] < DRUMS}
    near = [sorted(wait for wait in waits if 0 < wait <= s.REST)[: around.AHEAD] for waits in (on, off)]
    return [waits + [0] * (around.AHEAD - len(waits)) for waits in near]


def neighbours(notes: np.ndarray, clock: int, instrument: int) -> tuple[list, list]:
    """`line`, the slow way: (pitch, wait) of an instrument's last notes and of its next ones, the nearest first."""
    own = sorted((note for note in notes if note[s.INSTRUMENT] == instrument), key=lambda note: note[s.AT])
    told = [(int(note[s.PITCH]), int(note[s.AT]) - clock) for note in own]
    before = [one for one in reversed(told) if one[1] <= 0]
    return before[: around.BESIDE], [one for one in told if one[1] > 0][: around.BESIDE]


def read(line: np.ndarray) -> tuple[list, list, list]:
    """The tables of a `line`: (key, whether it is struck at the event's own time), keys to come, and the two gaps."""
    sizes = [257] * around.BESIDE + [129] * around.BESIDE + [len(DURATIONS) + 1] * 2
    first = np.cumsum([0, *sizes])
    places = [int(index) - int(base) for index, base in zip(line, first[:-1], strict=True)]
    assert all(0 <= place < size for place, size in zip(places, sizes, strict=True)) and first[-1] == around.LINE_SIZE
    before = [(place % 128, place >= 128) for place in places[: around.BESIDE] if place < 256]
    later = [place for place in places[around.BESIDE : 2 * around.BESIDE] if place < 128]
    return before, later, places[-2:]


@settings(max_examples=50)
@given(streams(20))
def test_the_neighbours_of_an_event_are_those_that_are_known(parts):
    events, controls, chart, header, until = parts
    rows = s.interleave(events, controls, chart, header, until=until)
    soon, line = around.told(rows)[1:]
    for i, row in enumerate(rows[:-1]):
        known = rows[: i + 1]
        known = known[np.isin(known[:, s.KIND], s.NOTES)]
        begin, end = moments(known, int(row[s.CLOCK]))
        assert soon[i].tolist() == begin + [wait + s.REST + 1 for wait in end] and soon[i].max() < around.SOON_SIZE
        event = rows[i + 1]
        before, later, gaps = read(line[i])
        if event[s.KIND] != s.EVENT:
            assert not before and not later
            continue
        past, coming = neighbours(known, int(event[s.CLOCK]), int(event[s.INSTRUMENT]))
        assert before == [(pitch, wait == 0) for pitch, wait in past] and later == [pitch for pitch, _ in coming]
        nearest = [abs(side[0][1]) if side else None for side in (past, coming)]
        assert gaps == [len(DURATIONS) if wait is None else int(duration_bin(np.array(wait))) for wait in nearest]


@settings(max_examples=30)
@given(streams(20))
def test_training_tells_the_head_what_the_decoder_will_tell_it(parts):
    events, controls, chart, header, until = parts
    rows = s.interleave(events, controls, chart, header, until=until)
    heard, soon, line = around.told(rows)
    for i in np.flatnonzero(rows[1:, s.KIND] == s.EVENT).tolist():
        known = rows[: i + 1]
        clock, instrument, everything = rows[i + 1, s.CLOCK][None], rows[i + 1, s.INSTRUMENT][None], np.array([i + 1])
        np.testing.assert_allclose(around.heard(known, clock, everything)[0], heard[i], atol=1e-6)
        assert np.array_equal(around.soon(known, rows[i, s.CLOCK][None], everything)[0], soon[i])
        assert np.array_equal(around.line(known, clock, instrument, everything)[0], line[i])
