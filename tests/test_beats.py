"""Laws of beats that are heard: against all ways through a few frames, in music that was played, and in none."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anticipation.infilling import tasks
from anticipation.infilling.conductor import HEARD
from anticipation.infilling.options import Options
from anticipation.music import beats
from anticipation.music.notes import Notes
from anticipation.music.tempo import TempoMap, beat_notes
from anticipation.score.midi import Score, read

EXAMPLES = Path(__file__).parent.parent / "examples"


def played(score: Score, seed: int, lead: float = 0.7) -> tuple[Score, Notes]:
    """As it is played without a click: the tempo wanders by some percent, notes are 15 ms off. And its beats."""
    rng = np.random.default_rng(seed)
    wander, seconds = np.zeros(int(score.length) + 8), np.arange(int(score.length) + 8)
    for i in range(1, len(wander)):
        wander[i] = 0.9 * wander[i - 1] + rng.normal(0, 0.01)
    clock = lead + np.append(0, np.cumsum(np.exp(wander)))[:-1] * 1.07
    moved = [np.interp(times, seconds, clock) for times in (score.notes.onset, score.notes.offset, score.beats().onset)]
    onset = moved[0] + rng.normal(0, 0.015, len(moved[0]))
    notes = score.notes.replace(onset=onset, duration=np.maximum(moved[1] - onset, 0.05))
    return Score.from_notes(notes), beat_notes(moved[2], score.beats().pitch)


@pytest.mark.parametrize("song", ["ode-to-joy", "auld-lang-syne"])
@pytest.mark.parametrize("seed", range(3))
def test_the_beats_of_a_song_that_is_played_without_a_click(song, seed):
    score, truth = played(read(EXAMPLES / f"{song}.mid"), seed)
    heard = beats.hear(score.notes)
    inside = truth[(truth.onset >= score.notes.onset[0] - 0.05) & (truth.onset < score.notes.onset[-1])]
    near = abs(heard.onset[:, None] - truth.onset).min(1)
    assert np.mean(near < 0.07) > 0.9 and 0.45 < len(heard) / len(inside) < 1.1  # or every other beat


def test_what_keeps_to_no_beat_has_none():
    for seed in range(6):
        onset = np.cumsum(np.random.default_rng(seed).uniform(0.1, 0.9, 60))
        assert not len(beats.hear(Notes.of((t, 0.1, 60, 0, 80) for t in onset)))
    assert not len(beats.hear(Notes.of([]))) and not len(
        beats.hear(Notes.of((t / 2, 0.4, 60, 0, 80) for t in range(6)))
    )


def test_a_pulse_is_heard_at_its_tempo_from_any_time():
    tune = Notes.of(
        (3.21 + 0.55 * t, 0.5, 60 + t % 5, 0, 80) for t in (0, 1, 2, 3, 3.5, 4, 6, 7, 8, 9, 10, 10.5, 11, 12)
    )
    heard = beats.hear(tune)
    assert np.diff(heard.onset) == pytest.approx(1.1, abs=0.011)  # of two levels the slower one
    later = beats.hear(tune.shift(40.0))
    assert later.onset == pytest.approx(heard.onset + 40.0) and (later.pitch == heard.pitch).all()


@given(st.integers(0, 999))
def test_the_way_is_the_likeliest_of_all(seed):
    """Every row of beats of three to five frames that covers twelve frames, in bars of two."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FRAMES": 100, "FASTEST": 0.03, "SLOWEST": 0.05, "USUAL": 0.04, "JITTER": 0.004}.items():
            patch.setattr(beats, name, value)
        rng = np.random.default_rng(seed)
        table = rng.uniform(0.1, 3, (2, 2, 4))
        frames = np.unique(np.concatenate([[0], rng.integers(0, 12, 5), [11]]))
        mark = rng.integers(0, 4, len(frames))
        way = beats.Pointer(table)
        found, starts, places = beats.follow(frames, mark, way)

        def likely(start: int, first: int, tempos: tuple[int, ...]) -> float:
            """Of beats from frame `start` (0 or before) on, the first of which is at a place of the bar."""
            score = way.usual[tempos[0]] - np.log(way.periods[tempos[0]] * 2)
            score += sum(way.turn[a, b] for a, b in itertools.pairwise(tempos))
            edges = start + np.cumsum([0, *way.periods[list(tempos)]])
            for frame, kind in zip(frames, mark, strict=True):
                i = int(np.searchsorted(edges, frame, side="right")) - 1
                score += way.odds[way.first[(first + i) % 2, tempos[i]] + frame - edges[i], kind]
            return score

        def ways(at: int, tempos: tuple[int, ...]):
            if at > 11:
                yield tempos
            else:
                for tempo, period in enumerate(way.periods):
                    yield from ways(at + period, (*tempos, tempo))

        every = [
            likely(start, first, tempos)
            for tempo, period in enumerate(way.periods)
            for start in range(1 - period, 1)
            for first in range(2)
            for tempos in ways(start + period, (tempo,))
        ]
        assert found == pytest.approx(max(every))
        assert starts[0] <= 0 < starts[1] and (np.diff(places) % 2 == 1).all()


# ---- as a tempo map, and what tasks make of it -----------------------------------------------------------------------


@given(st.lists(st.floats(0.3, 1.1), min_size=6, max_size=30), st.floats(0, 9), st.integers(2, 4), st.integers(0, 3))
def test_a_map_that_follows_beats_has_them(periods, first, bar, place):
    onset = first + np.cumsum([0.0, *periods])
    heard = beat_notes(onset, (place + np.arange(len(onset))) % bar)
    again = TempoMap.following(heard).beats(heard.end - 0.01)
    assert again.onset[0] == 0 and (again.duration > 0.25 * min(periods)).all()
    tail = again[len(again) - len(heard) + 1 :]
    assert tail.onset == pytest.approx(heard.onset[1:], abs=1e-4) and len(tail) == len(heard) - 1
    barred = np.flatnonzero(heard.pitch[1:] == 0)[0] if (heard.pitch[1:] == 0).any() else len(tail)
    assert (tail.pitch[barred:] == heard.pitch[1:][barred:]).all()


def test_new_notes_and_charts_go_by_what_is_heard(random_model):
    score, truth = played(read(EXAMPLES / "auld-lang-syne.mid"), 1)
    options = Options(seed=1, best_of=1, chords="| C | F | G |")
    (take,) = tasks.accompany(score, random_model(), end=12.0, options=options)
    heard = beats.hear(score.notes.between(0, 42.0))
    assert take.remarks == (HEARD.format(60 / np.median(heard.duration)),)
    grid = TempoMap.following(heard).beats(40.0)
    chords = take.chords.chords
    assert abs(chords.onset[1:, None] - grid.onset[grid.pitch == 0]).min(1).max() < 1e-3
    there = np.concatenate([grid.onset + grid.duration * part / 24 for part in range(24)] + [score.notes.onset])
    assert len(take.notes) and abs(take.notes.onset[:, None] - there).min(1).max() < 2e-3
    options = Options(seed=1, best_of=1, chords="none", grid="free")
    (free,) = tasks.accompany(score, random_model(), end=12.0, options=options)
    assert not free.remarks and abs(free.notes.onset[:, None] - there).min(1).max() > 5e-3
