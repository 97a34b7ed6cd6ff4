"""Laws of dynamics: who is told how loud it is plays as loud, and nothing else of the notes changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation.music.dynamics import LEVEL, NEAR, SWELL, as_loud, balanced, swell
from anticipation.music.notes import DRUMS, Notes


def line(velocity, instrument: int = 0, pitch: int = 60) -> Notes:
    """Half a second each, as loud as told: a number for all, or one each."""
    levels = np.broadcast_to(velocity, 40) if np.ndim(velocity) == 0 else velocity
    return Notes.of([(0.5 * i, 0.4, pitch, instrument, int(v)) for i, v in enumerate(levels)])


RISING = np.linspace(40, 110, 40)


@given(notes(), notes())
def test_only_velocities_change_and_they_stay_playable(written, known):
    after = balanced(written.sorted(), known.sorted())
    assert after.replace(velocity=written.sorted().velocity) == written.sorted()
    assert ((after.velocity >= 1) & (after.velocity <= 127)).all()


def test_what_is_known_at_one_loudness_moves_no_velocity_of_a_part_beside_it():
    written = line(RISING, 33, 40)
    assert balanced(written, line(90)) == written and balanced(written, Notes.of([])) == written


def test_a_part_is_as_loud_as_it_is_nearby():
    """In a hole between two loud passages, and among what is known of it."""
    known = line(100)
    hole = Notes.of([(5.1 + 0.5 * i, 0.2, 64, 0, 60) for i in range(4)])
    assert (balanced(hole, known).velocity >= 92).all()
    quiet = balanced(hole, line(30))
    assert (quiet.velocity <= 38).all()


def test_a_long_hole_does_not_run_away():
    """Twelve seconds in, a part is still about as loud as it is elsewhere."""
    known = line(75).between(0.0, 4.0) + line(75).between(16.0, 20.0) + line(110, 73, 84)
    written = line(np.linspace(75, 127, 40)).between(4.0, 16.0)
    assert written.velocity.max() > 110 and balanced(written, known).velocity.max() < 95


def test_a_new_part_keeps_its_level_over_minutes():
    """One that dies away beside an even tune. Accents stay, and so does what is shorter than a verse."""
    long = [Notes.of([(0.5 * i, 0.4, 60, 0, 100 - i // 4 + 10 * (i % 4 == 0)) for i in range(n)]) for n in (240, 48)]
    tune = Notes.of([(0.5 * i, 0.4, 72, 73, 90) for i in range(240)])
    after = balanced(long[0], tune).velocity.astype(float)
    assert long[0].velocity[-40:].mean() < long[0].velocity[:40].mean() - 45
    assert abs(after[-40:].mean() - after[:40].mean()) < 16 and (after[::4] > after[1::4] + 8).all()
    assert balanced(long[1], tune) == long[1]


def test_another_part_takes_on_a_swell():
    """But nothing of the level where it accompanies one tune, and some of it where it joins several parts."""
    written = line(60, 33, 40)
    beside = balanced(written, line(RISING)).velocity
    assert abs(beside.mean() - 60) < 2
    assert np.polyfit(np.arange(30), beside[5:-5], 1)[0] == pytest.approx(
        SWELL * np.polyfit(np.arange(40), RISING, 1)[0], rel=0.35
    )
    joins = balanced(written, line(RISING) + line(RISING, 48, 72)).velocity
    assert joins.mean() - 60 == pytest.approx(LEVEL * (RISING.mean() - 60), abs=2)


def test_drums_alone_tell_other_parts_nothing():
    written = line(60, 33, 40)
    assert balanced(written, line(RISING, DRUMS, 36)) == written


def test_what_has_no_velocity_tells_nothing_and_is_told_nothing():
    unknown = line(0)
    assert balanced(unknown, line(RISING, 5)) == unknown and balanced(line(70), unknown) == line(70)


@given(st.floats(0, 100))
def test_a_swell_is_of_what_is_near(time):
    shift = float(swell(line(RISING), np.array([time]))[0])
    onset = np.arange(40) * 0.5
    near = RISING[(onset >= time - NEAR) & (onset < time + NEAR)]
    assert abs(shift) <= SWELL * abs(near.mean() - RISING.mean()) + 1 if len(near) else shift == 0


def test_a_model_without_dynamics_plays_as_loud_as_what_it_is_written_around():
    known = Notes.of([(0, 1, 60, 0, 30), (2, 1, 60, 0, 90)])
    written = Notes.of([(t, 1, 40, 33, 0) for t in (0, 1.9, 2, 5)])
    assert as_loud(written, known).velocity.tolist() == [30, 30, 90, 90]
