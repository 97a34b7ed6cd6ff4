"""Laws of habits: counted as one would by hand, and notes give way so that none are too many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation.infilling import habits
from anticipation.infilling.habits import (
    LEGATO,
    at_rest,
    give_way,
    highest,
    keys_down,
    let_ring,
    lone_tune,
    on_free_keys,
    sounding,
    usual_places,
    usual_range,
    usual_voices,
)
from anticipation.model import stream as s
from anticipation.music import playable
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap

spans = st.tuples(st.floats(0, 10), st.floats(0.1, 10))


@given(notes(), spans)
def test_voices_are_counted_as_one_would(known, span):
    known, (start, length) = known.audible, span
    found = usual_voices(known, start, start + length)
    for instrument in known.pitched.instruments:
        own = known.of_instruments([instrument])
        ends = list(zip(own.onset, own.offset - LEGATO, strict=True))
        most = max(sum(on <= t and (off > t or on == t) for on, off in ends) for t in own.onset)
        inside = any(start <= t < start + length for t in own.onset)
        assert found.get(instrument) == (None if len(own) < habits.ENOUGH else 2 * most - 1 if inside else most)


@given(notes(), st.integers(1, 900))
def test_what_is_known_sounds_step_by_step(known, end):
    table = s.quantise(known)
    for instrument in known.pitched.instruments:
        count = np.zeros(end + 1, dtype=int)
        for onset, number, _, duration, _ in table.tolist():
            if number == instrument:
                count[onset : onset + max(duration - round(LEGATO * s.STEPS), 1)] += 1
        assert sounding(table, instrument, end).tolist() == count.tolist()


@given(notes(), notes(), st.integers(1, 3))
def test_notes_give_way_and_nothing_else_changes(written, known, most):
    written, known = written.pitched, known.pitched
    left = give_way(written, known, {i: most for i in written.instruments})
    assert (left.duration >= 0).all() and (left.offset <= written.offset + 1e-9).all()
    for name in ("onset", "pitch", "instrument", "velocity"):
        np.testing.assert_array_equal(getattr(left, name), getattr(written, name))
    for instrument in written.instruments:
        ours, theirs = left.of_instruments([instrument]), known.of_instruments([instrument])
        for now in np.append(ours.onset, theirs.onset):
            old = ((ours.onset < now) & (ours.offset > now + 1e-6)).sum()
            there = ((theirs.onset <= now) & (theirs.offset - LEGATO > now)).sum()
            assert not old or old + (ours.onset == now).sum() + there <= most
    assert give_way(written, known, {}) == written


def test_a_legato_is_no_chord():
    line = Notes.of((0.5 * i, 0.52, 60 + i % 5, 0, 80) for i in range(12))
    assert usual_voices(line, 20.0, 30.0) == usual_voices(line, 2.0, 3.0) == {0: 1}
    assert usual_voices(line + line.transpose(4), 20.0, 30.0) == {0: 2}
    assert usual_voices(line + line.transpose(4), 2.0, 3.0) == {0: 3}


@given(notes(), notes(), st.floats(0, 20))
def test_no_key_is_struck_while_it_is_held_and_nothing_rings_on(written, known, end):
    written, known = written.audible.between(0, end), known.audible
    left = let_ring(on_free_keys(written, known), known, end, end + 0.5)
    assert (left.duration >= 0).all() and (left.offset <= np.maximum(end + 0.5, left.onset) + 1e-9).all()
    rows = set(zip(written.onset, written.pitch, written.instrument, written.velocity, strict=True))
    for onset, length, pitch, instrument, velocity in left:
        assert (onset, pitch, instrument, velocity) in rows
        part = known.of_instruments([instrument])
        own = part[part.pitch == pitch]
        assert not ((own.onset > onset) & (own.onset < onset + length - 1e-9)).any()
        assert instrument == DRUMS or not ((own.onset <= onset) & (own.offset - LEGATO > onset)).any()
        later = part.onset[part.onset >= end]
        assert onset + length <= max(end, min([np.inf, *later])) + 1e-9
    others = known.replace(instrument=known.instrument + 1)
    others = others.without_instruments(written.instruments)
    assert let_ring(on_free_keys(written, others), others, end, np.inf) == written


def test_what_cannot_be_played_is_left_out():
    known = Notes.of([(1.0, 1.0, 60, 0, 80), (4.0, 1.0, 64, 0, 80), (1.0, 1.0, 38, DRUMS, 80)])
    rows = [(0.5, 1.0, 60, 0, 70), (1.5, 0.2, 60, 0, 70), (1.5, 0.2, 61, 0, 70), (1.99, 0.5, 60, 0, 70),
            (0.98, 0.5, 60, 0, 70), (1.5, 0.2, 60, 1, 70), (1.0, 0.1, 38, DRUMS, 70), (1.5, 0.1, 38, DRUMS, 70),
            (2.9, 2.0, 70, 0, 70), (2.9, 2.0, 70, 1, 70)]  # fmt: skip
    left = let_ring(on_free_keys(Notes.of(rows), known), known, 3.0, 4.5)
    assert [(on, round(length, 3), pitch, who) for on, length, pitch, who, _ in left] == [
        (0.5, 0.5, 60, 0), (1.5, 0.2, 61, 0), (1.5, 0.2, 60, 1), (1.5, 0.1, 38, DRUMS), (1.99, 0.5, 60, 0),
        (2.9, 1.1, 70, 0), (2.9, 1.6, 70, 1)]  # fmt: skip


@given(notes(), st.floats(0, 5), st.integers(0, 800))
def test_what_is_not_begun_on_a_key_that_is_down_is_not_left_out(known, origin, step):
    """But for what is off by a step."""
    known = known.pitched.replace(instrument=np.zeros(len(known.pitched)))
    first, last, key = keys_down(known, origin).T
    struck = Notes.of((origin + step / s.STEPS, 0.1, pitch, 0, 80) for pitch in range(128))
    left = set(on_free_keys(struck, known).pitch.tolist())
    assert left <= set(range(128)) - set(key[(first < step) & (step < last - 1)].tolist())
    assert left >= set(range(128)) - set(key[(first <= step + 1) & (step - 1 < last)].tolist())


FLUTE, CELLO, STRINGS = 73, 42, 48


def test_who_is_new_plays_what_can_be_played_and_others_what_they_do():
    """Eight notes tell how thick a part is; one that lies outside of a range tells that the part goes there."""
    low = Notes.of((0.5 * i, 0.4, 50, FLUTE, 80) for i in range(3))
    thick = low + low.transpose(20) + low.transpose(24)
    none = low[:0]
    assert usual_voices(none, 0.0, 9.0, [0, FLUTE, CELLO, STRINGS, DRUMS]) == {0: 8, FLUTE: 1, CELLO: 2, STRINGS: 6}
    assert usual_voices(low, 0.0, 9.0, [FLUTE]) == {FLUTE: 1} and usual_voices(low + low.transpose(7), 0.0, 9.0) == {}
    assert usual_voices(low + low.transpose(7), 0.0, 9.0, [FLUTE]) == {FLUTE: 2}
    assert usual_voices(thick, 5.0, 9.0, [FLUTE, CELLO]) == {FLUTE: 3, CELLO: 2}
    assert usual_range(none, [0, FLUTE, CELLO]) == {FLUTE: (60, 96), CELLO: (36, 76)}
    assert usual_range(thick, [FLUTE, CELLO]) == {FLUTE: (50, 96), CELLO: (36, 76)}


def test_who_plays_on_keeps_near_to_what_he_plays():
    """A choir's alto is no bass; of whom little is known, or who is to be continued after little, goes anywhere in a
    choir's range."""
    alto = Notes.of((0.5 * i, 0.4, 60 + i % 8, 52, 80) for i in range(32))
    assert usual_range(alto, [52], 9.0) == {52: (55, 72)}
    assert (
        usual_range(alto, [52], 16.0) == usual_range(alto[17:], [52], 9.0) == usual_range(alto, [52]) == {52: (40, 84)}
    )
    flute = alto.replace(instrument=np.full(32, FLUTE), pitch=alto.pitch + 30)
    assert usual_range(flute, [FLUTE], 9.0) == {FLUTE: (85, 97)}, "as high as can be played, or is"
    long = alto + alto.shift(16.0)
    assert usual_range(long, [52], 32.0) == {52: (55, 72)} and usual_range(long[1:], [52], 32.0) == {52: (40, 84)}
    assert usual_range(alto, [52], 0.0) == {52: (55, 72)}, "of a variation some stays"


def test_what_can_be_played_is_playable():
    """The ranges leave an octave at least, so every scale has its notes there in any key."""
    assert playable.VOICES.keys() == set(range(DRUMS)) and {*playable.VOICES.values()} == {1, 2, 3, 4, 6, 8}
    assert all(12 <= low + 12 <= high <= 108 for low, high in playable.RANGES.values())


def test_beats_are_divided_as_elsewhere():
    """What nobody else does is unlikely, but where a known note begins; what few notes tell counts for nothing."""
    grid = TempoMap.constant(120).beats(20.0)
    quarters = Notes.of((0.5 * i, 0.4, 60 + i % 5, 0, 80) for i in range(4, 36) if i != 20)
    at = np.arange(0, 20, 0.125)  # beats, quarters of one, halves, quarters
    rare = habits.SELDOM / habits.USUAL
    np.testing.assert_allclose(usual_places(quarters, grid, at).reshape(-1, 4), [[1.0, rare, rare, rare]] * 40)
    once = quarters + Notes.of([(10.26, 0.2, 62, 0, 80)])
    odds = usual_places(once, grid, at).reshape(-1, 4)
    assert odds[20].tolist() == pytest.approx([1.0, rare, 1.0, rare]) and rare < odds[0, 2] < 2 * rare
    eighths = quarters + quarters.shift(0.25)
    np.testing.assert_allclose(usual_places(eighths, grid, at).reshape(-1, 4), [[1.0, rare, 1.0, rare]] * 40)
    half = usual_places(eighths, grid, at, 0.5).reshape(-1, 4)
    np.testing.assert_allclose(half, [[1.0, rare / 2, 1.0, rare / 2]] * 40)
    thirds = np.arange(0, 20, 0.5 / 3)
    np.testing.assert_allclose(usual_places(eighths, grid, thirds, 0.5), usual_places(eighths, grid, thirds))
    assert (usual_places(quarters[:7], grid, at) == 1).all() and (usual_places(quarters, grid[:0], at) == 1).all()
    assert not len(usual_places(quarters, grid, at[:0]))


@given(notes(), st.integers(1, 900))
def test_the_highest_is_found_step_by_step(known, end):
    table, tops = s.quantise(known), np.full(end + 1, -1)
    for onset, instrument, pitch, duration, _ in table.tolist():
        for step in range(max(onset - 5, 0), min(onset + duration + 50, end + 1)):
            tops[step] = max(tops[step], pitch if instrument < DRUMS else -1)
    coming = [(onset, pitch) for onset, instrument, pitch, _, _ in table.tolist() if instrument < DRUMS]
    for step in np.flatnonzero(tops < 0).tolist():
        tops[step] = next((pitch for onset, pitch in coming if step < onset <= step + 200), 127)
    assert highest(table, end).tolist() == tops.tolist()


def test_a_tune_is_one_line_and_no_bass():
    line = Notes.of((0.5 * i, 0.52, 60 + i % 5, 0, 80) for i in range(12))
    drums = Notes.of((0.25 * i, 0.1, 42, DRUMS, 80) for i in range(24))
    assert lone_tune(line) == lone_tune(line + drums) == line
    assert lone_tune(line + line.transpose(4)) is lone_tune(line.transpose(-24)) is lone_tune(line[:7]) is None


def test_who_is_silent_for_a_beat_rests():
    """From the end of a note to the next; a shorter gap is no rest, and a stroke lasts a beat."""
    beats, when = TempoMap.constant(120.0).beats(6.0), np.arange(0.0, 5.0, 0.25)
    line = Notes.of([(0.0, 0.5, 60, 0, 80), (0.75, 0.25, 60, 0, 80), (2.0, 1.0, 60, 0, 80), (3.45, 0.5, 62, 0, 80)])
    rests = at_rest(line, beats, when)
    assert when[rests].tolist() == [1.0, 1.25, 1.5, 1.75, 4.0, 4.25, 4.5, 4.75]
    drums = Notes.of((at, 0.1, 36, DRUMS, 80) for at in (0.0, 0.5, 1.0, 2.5))
    assert when[at_rest(drums, beats, when)].tolist() == [1.5, 1.75, 2.0, 2.25, *when[when >= 3.0]]
    assert at_rest(line[:0], beats, when).all()
