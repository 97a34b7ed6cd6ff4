"""Laws of the conductor: who plays ahead of a click or behind it is followed. Beats that are heard: test_beats.py."""

import numpy as np
import pytest

from anticipation.infilling import tasks
from anticipation.infilling.conductor import LAG, Conductor
from anticipation.infilling.habits import on_free_keys
from anticipation.infilling.options import Options
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score

TEMPO = TempoMap.constant(120)


def drummer(lag: float) -> Score:
    """Sixteen bars of eighths to a click at 120, so many seconds behind it, 5 ms off at random."""
    off = np.random.default_rng(0).normal(0, 0.005, 128)
    return Score.from_notes(Notes.of((0.25 * i + 2.0 + lag + off[i], 0.1, (36, 42, 38, 42)[i % 4], DRUMS, 80)
                                     for i in range(128)), TEMPO)  # fmt: skip


@pytest.mark.parametrize("lag, words", [(-0.035, "ahead of"), (0.035, "behind")])
def test_new_notes_go_with_who_is_ahead_of_a_click_or_behind_it(random_model, lag, words):
    """On his beats, be it where he strikes or between; a bar that is rewritten begins where he begins it."""
    score, options = drummer(lag), Options(seed=1, best_of=1, chords="| C | F |")
    (take,) = tasks.accompany(score, random_model(), "bass", start=4.0, end=12.0, options=options)
    told = Conductor.of(score, 4.0, 12.0, "auto").lag
    assert told == pytest.approx(lag, abs=0.003) and take.remarks == (LAG.format(35, words),)
    places = np.append(score.notes.onset, np.arange(160) / 8 + told)
    assert len(take.notes) and abs(take.notes.onset[:, None] - places).min(1).max() < 1e-3
    assert set((take.chords.onset % 2).round(6)) == {0.0}
    (hole,) = tasks.infill(score, random_model(), 4.0, 8.0, options=options)
    stays = hole.score.notes[hole.score.notes.onset < 4.0 + lag - 0.02]
    assert len(stays) == 8 and hole.notes.onset.min() > 4.0 + lag - 0.02
    assert hole.notes.onset.max() < 8.0 + lag and len(hole.score.notes) == len(hole.notes) + 128 - 16


def test_a_grid_that_is_asked_for_is_that_of_the_file():
    assert Conductor.of(drummer(0.035), 4.0, 12.0, "4") == Conductor(TEMPO)
    assert Conductor.of(drummer(0.0), 4.0, 12.0, "auto") == Conductor(TEMPO)


@pytest.mark.parametrize("over", [-0.3, 0.0, 0.02])  # seconds by which the last note rings into the next bar
def test_a_piece_that_goes_on_for_a_bar_has_beats_there(random_model, over):
    """One that ended right on a bar line had none, so there was no place where a note might begin, and none did."""
    score = Score.from_notes(Notes.of((i, 1 + over * (i == 15), 60 + i % 5, 0, 80) for i in range(16)), TEMPO)

    def beats(end: float) -> Notes:
        return Conductor.of(score, 0.0, end, "auto").on_beat(score.notes, score, end).beats

    end = score.tempo.bars_on(score.end, 1)
    assert beats(score.end).onset[-1] < score.end and beats(end).end >= end == 18.0
    (take,) = tasks.continue_(score, random_model(), bars=1, options=Options(seed=1, best_of=1))
    assert len(take.notes)


def keyboard(doubled: int = 0, program: int = 0) -> Score:
    """A hand of eight low keys and one of eight high ones, the first so many of whose 64 notes are the other's too."""
    low = Notes.of((i, 0.9, 48 + i % 2 + 2 * k, program, 80) for i in range(32) for k in range(8))
    high = Notes.of((0.5 * i + 0.3, 0.4, 48 + i // 2 % 2 if i < doubled else 80, program, 80) for i in range(64))
    return Score.from_notes(low, TEMPO).with_notes(high)


@pytest.mark.parametrize("task", [
    lambda score, model, **more: tasks.infill(score, model, 4.0, 12.0, **more),
    lambda score, model, **more: tasks.infill(score, model, 4.0, 12.0, rhythm=True, **more),
    lambda score, model, **more: tasks.vary(score, model, keep=0.3, end=12.0, **more)])  # fmt: skip
def test_a_hand_that_is_rewritten_keeps_off_the_keys_of_the_other(random_model, task):
    score, options = keyboard(), Options(seed=1, best_of=1, low=40, high=70)
    low, high = (score.notes[part.mask] for part in score.parts)
    (take,) = task(score, random_model(), parts=[1], options=options)
    free = on_free_keys(take.notes, low)
    assert len(take.notes) > 8 and len(free) == len(take.notes)
    assert (take.notes.duration - free.duration).max() < 0.031, "but for a legato"


def test_who_shares_keys_or_plays_no_keyboard_is_no_other_hand():
    """Nor is who is written around, and who is written as well."""
    plain = Conductor(TEMPO)
    score = keyboard()
    low, high = score.parts
    assert plain.beside(score, [high], [0]) == score.notes[low.mask]
    assert plain.beside(score, [low], [0, 33]) == score.notes[high.mask]
    late = Conductor(TEMPO, lag=0.02).beside(score, [high], [0])
    np.testing.assert_allclose(late.onset, np.maximum(score.notes[low.mask].onset - 0.02, 0))
    for chosen, written in ([], [0]), ([low, high], [0]), ([high], [33]):
        assert not len(plain.beside(score, chosen, written))
    for others, hands in ((keyboard(3), 1), (keyboard(4), 0), (keyboard(0, 19), 1), (keyboard(0, 40), 0)):
        assert bool(len(plain.beside(others, others.parts[1:], others.notes.instruments))) == hands
