"""Laws of habits: counted as one would by hand, and notes give way so that none are too many."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation import habits
from anticipation import stream as s
from anticipation.habits import LEGATO, give_way, sounding, usual_voices
from anticipation.notes import Notes

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
