"""Where what is written begins and ends: laws of a hole's edges, of files off their beats, and of whole parts."""

from collections import Counter

import numpy as np
import pytest

from anticipation.errors import RequestError
from anticipation.infilling import tasks
from anticipation.infilling.conductor import OFF_BEAT
from anticipation.infilling.tasks import Options
from anticipation.music.notes import Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score

TEMPO = TempoMap.constant(120)  # a tick of 480 is a millisecond, a bar two seconds
FLUTE, PIANO = 73, 0
QUICK = Options(seed=1, best_of=1, chords="none")
EARLY = 2 / 960  # two ticks


def played(instrument: int, pitch: int, early: dict[int, float] | None = None, count: int = 32) -> list[tuple]:
    """Half notes' worth of quarters: one a beat, some of them early by so many seconds."""
    return [(0.5 * i - (early or {}).get(i, 0.0), 0.45, pitch + i % 5, instrument, 80) for i in range(count)]


def rows(score: Score, mask) -> Counter:
    return Counter(score.notes[mask])


def theirs(score: Score) -> np.ndarray:
    return np.any([part.mask for part in score.parts if not part.stamp], axis=0)


@pytest.mark.parametrize("task", ["infill", "vary", "continue"])
def test_who_is_early_for_a_bar_line_belongs_to_the_bar(random_model, task):
    """Bars 3 and 4: their first note goes though it came before the bar line, the first of bar 5 stays. All else is as
    it was."""
    score = Score.from_notes(Notes.of(played(PIANO, 60, {8: EARLY, 16: EARLY})), TEMPO)
    span = score.bars(3, 4)
    model, options = random_model(), QUICK
    if task == "infill":
        (take,) = tasks.infill(score, model, *span, options=options)
    elif task == "vary":
        (take,) = tasks.vary(score, model, keep=0.0, start=span[0], end=span[1], options=options)
    else:
        (take,) = tasks.continue_(score, model, span[1] - span[0], start=span[0], options=options)
    inside = np.isin(np.arange(32), range(8, 16))
    assert rows(take.score, theirs(take.score)) == rows(score, ~inside)
    assert len(take.notes) and take.notes.onset.min() >= span[0] and take.notes.onset.max() < span[1] - EARLY


def test_a_thirty_second_before_the_bar_line_is_a_place_of_its_own(random_model):
    score = Score.from_notes(Notes.of([*played(PIANO, 60), (3.9375, 0.05, 72, PIANO, 80)]), TEMPO)
    (take,) = tasks.infill(score, random_model(), *score.bars(3, 4), options=QUICK)
    assert (take.score.notes[theirs(take.score)].pitch == 72).any()


def test_new_notes_go_with_a_player_who_is_early_for_the_first_beat(random_model):
    """Of another part, who stays: else the first beat of the hole would have no place."""
    early = 24 / 960
    band = Score.from_notes(Notes.of([*played(FLUTE, 72, {8: early, 16: early}), *played(PIANO, 60)]), TEMPO)
    start, end = band.bars(3, 4)
    takes = tasks.infill(band, random_model(), start, end, parts=["piano"], options=Options(
        takes=8, seed=1, best_of=1, chords="none", grid="1"))  # fmt: skip
    onsets = np.concatenate([take.notes.onset for take in takes]).round(4)
    assert start - early in onsets and onsets.min() == start - early and onsets.max() < end - early - 1e-6
    assert set(onsets) <= set(band.notes.of_instruments([FLUTE]).onset.round(4))


def test_a_fill_takes_no_key_from_its_part_and_gives_way_behind_its_end(random_model):
    held = [(3.0, 2.5, 60, PIANO, 80), (8.0, 0.5, 64, PIANO, 80)]
    score = Score.from_notes(Notes.of([*played(FLUTE, 72), *held]), TEMPO)
    options = Options(takes=8, seed=1, best_of=1, chords="none", low=60, high=62, polyphony=8)
    for take in tasks.infill(score, random_model(), 4.0, 8.0, parts=["piano"], options=options):
        same = take.notes.pitch == 60
        assert (take.notes.onset[same] >= 5.4).all() and take.notes.end <= 8.0 + 1e-6


# ---- off the beat ----------------------------------------------------------------------------------------------------

RUBATO = Score.from_notes(Notes.of((t, 0.3, 60 + i % 7, FLUTE, 80) for i, t in enumerate(
    np.cumsum(np.random.default_rng(1).uniform(0.1, 0.9, 30)))), TEMPO)  # fmt: skip


@pytest.mark.parametrize("task", [tasks.accompany, tasks.continue_])
def test_a_grid_that_is_asked_for_holds_also_off_the_beat(random_model, task):
    few = Score.from_notes(RUBATO.notes[:3], TEMPO)
    for score in (RUBATO, few):
        (take,) = task(score, random_model(), options=Options(seed=1, best_of=1, chords="none", grid="2"))
        there = np.append(np.arange(0, 60, 0.25), score.notes.onset)
        assert len(take.notes) and abs(there[:, None] - take.notes.onset).min(0).max() < 1e-5 and not take.remarks


def test_beats_that_are_ignored_are_told(random_model, anticipate, tmp_path):
    for task in (tasks.accompany, tasks.continue_, tasks.vary):
        assert task(RUBATO, random_model(), options=QUICK)[0].remarks == (OFF_BEAT,)
    assert tasks.harmonize(RUBATO, random_model(), options=Options(chords="| C |"))[0].remarks == (OFF_BEAT,)
    steady = Score.from_notes(Notes.of(played(FLUTE, 72)), TEMPO)
    assert tasks.accompany(steady, random_model(), end=2.0, options=QUICK)[0].remarks == ()
    for seed in range(3):
        few = Options(seed=seed, best_of=1, chords="none")
        assert tasks.vary(steady, random_model(), keep=0.1, options=few)[0].remarks == (), "what gives way kept to them"
    path = tmp_path / "rubato.mid"
    path.write_bytes(RUBATO.data)
    _, _, stderr = anticipate("accompany", path, "-o", tmp_path / "a.mid", "--takes", 2, "--end", 2)
    assert stderr.count(f"{path}: {OFF_BEAT}\n") == 1
    for flags in (["--grid", "4"], ["--grid", "free"], ["-q"]):
        assert OFF_BEAT not in anticipate("accompany", path, "-o", tmp_path / "a.mid", "--end", 2, "-f", *flags)[2]


# ---- how much is written ---------------------------------------------------------------------------------------------


def test_without_a_span_a_named_part_is_rewritten_everywhere(random_model, anticipate, tmp_path):
    band = Score.from_notes(Notes.of([*played(FLUTE, 72), *played(PIANO, 60)]), TEMPO)
    (take,) = tasks.infill(band, random_model(), parts=["piano"], options=QUICK)
    assert [part.name for part in take.score.parts] == ["flute", "piano"] and take.score.parts[1].stamp
    assert rows(take.score, take.score.parts[0].mask) == rows(band, band.notes.instrument == FLUTE)
    (rest,) = tasks.infill(band, random_model(), 8.0, parts=["piano"], options=QUICK)
    assert rows(rest.score, theirs(rest.score)) == rows(band, (band.notes.instrument == FLUTE) | (band.notes.onset < 8))
    for wrong in ({}, {"start": 3.0}):
        with pytest.raises(RequestError, match="infill needs a hole"):
            tasks.infill(band, random_model(), **wrong)
    (tmp_path / "band.mid").write_bytes(band.data)
    assert (
        anticipate("infill", tmp_path / "band.mid", "-o", tmp_path / "a.mid", "--parts", "piano", "--seed", 1)[0] == 0
    )


def test_a_piece_goes_on_for_so_many_bars(random_model, anticipate, tmp_path):
    """From the bar line, though the last note ended before it, or rang beyond; else after the rest of its bar."""
    for last, bars, end in ((0.45, 2, 20.0), (0.5, 2, 20.0), (0.51, 1, 18.0), (1.0, 1, 20.0)):
        notes = [*played(FLUTE, 72, count=31), (15.5, last, 72, FLUTE, 80)]
        score = Score.from_notes(Notes.of(notes), TEMPO)
        (take,) = tasks.continue_(score, random_model(), bars=bars, options=QUICK)
        assert f"-{end} s; " in take.score.parts[1].stamp and take.notes.onset.max() < end
    (take,) = tasks.continue_(score, random_model(), bars=1, start=4.0, options=QUICK)
    assert rows(take.score, theirs(take.score)) == rows(score, (score.notes.onset < 4) | (score.notes.onset >= 6))
    for wrong, words in (
        ({"bars": 0}, "1 to 1000"),
        ({"bars": 9999999}, "1 to"),
        ({"bars": 1, "seconds": 2.0}, "both"),
    ):
        with pytest.raises(RequestError, match=words):
            tasks.continue_(score, random_model(), **wrong)
    (tmp_path / "m.mid").write_bytes(score.data)
    assert anticipate("continue", tmp_path / "m.mid", "-o", tmp_path / "a.mid", "--bars", 1)[0] == 0
