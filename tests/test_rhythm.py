"""Laws of a locked rhythm: every note that gives way is answered by one of another pitch, and by nothing else."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import notes, times
from test_tasks import BAND, BASS, FLUTE, PIANO, TEMPO, beats, in_ticks, line, old

from anticipation.errors import RequestError
from anticipation.infilling import drafting, tasks
from anticipation.infilling.brief import SPARE
from anticipation.infilling.drafting import generate
from anticipation.infilling.habits import LEGATO
from anticipation.infilling.request import Infill
from anticipation.infilling.tasks import Options
from anticipation.model import rhythm as rhythm_module
from anticipation.model.event import Config, EventModel
from anticipation.model.rhythm import recurring
from anticipation.music.grid import places
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score, read

A, B = beats(8, 16)
PLAYED = st.sampled_from([0, 24, 33, 48])


def rhythm(notes: Notes) -> Counter:
    """How often (onset, duration, instrument, velocity)."""
    return Counter(zip(notes.onset, notes.duration, notes.instrument, notes.velocity, strict=True))


@st.composite
def requests(draw) -> Infill:
    start = draw(st.sampled_from([0.0, 4.0, 7.77]))
    known, gone = draw(notes(max_size=15)), draw(notes(30, PLAYED, times.map(lambda t: start - 0.1 + t / 2)))
    gone = gone.replace(onset=np.maximum(gone.onset, 0.0)) + Notes.of([(start, 1.0, 40, PIANO, 90)])
    if draw(st.booleans()):
        gone += gone  # two parts in unison
    if draw(st.booleans()):
        known += TempoMap.constant(draw(st.integers(50, 200))).beats(25)
    mask = draw(st.none() | st.sets(st.integers(0, 127), min_size=1, max_size=5))
    grid = places(known.audible, known[known.instrument == 130]) if 130 in known.instruments else None
    return Infill(known, start, start + draw(st.sampled_from([0.001, 2.0, 9.0])), tuple(gone.instruments),
                  mask and np.isin(np.arange(128), list(mask)), places=grid, ranged=draw(st.booleans()),
                  rhythm=gone)  # fmt: skip


@pytest.mark.parametrize("family", ["event", "amt"])
@settings(max_examples=30)
@given(requests(), st.integers(0, 99), st.booleans())
def test_a_rhythm_is_kept_whatever_the_model_likes(random_model, random_amt, family, request, seed, at_once):
    """Where there are too few pitches for a chord, some of its notes are left out; no one else's."""
    model = random_model() if family == "event" else random_amt()
    (written,), _ = drafting.draw(model, [request], [(seed,)]) if at_once else generate(model, request, seed=seed)
    asked = request.rhythm
    assert rhythm(written) <= rhythm(asked) and (request.pitches is not None or rhythm(written) == rhythm(asked))
    for onset, duration, _, instrument, velocity in asked:
        alone = (abs(asked.onset - onset) < 0.02) & (asked.instrument == instrument)
        alone &= (asked.onset > request.start + 0.02) & (asked.onset < request.end - 0.02)
        assert alone.sum() != 1 or rhythm(written)[onset, duration, instrument, velocity]
    assert request.pitches is None or request.pitches[written.pitch].all()
    chords = Counter(zip(written.onset, written.instrument, written.pitch, strict=True))
    assert max(chords.values(), default=1) == 1, "a chord is of different pitches"


@settings(max_examples=20)
@given(requests().map(lambda r: replace(r, pitches=None, ranged=True)), st.integers(0, 9))
def test_no_key_is_struck_while_it_is_held(random_model, request, seed):
    """Neither by what is new nor by what is known, but for a legato."""
    (written,), _ = generate(random_model(), request, seed=seed)
    for i, (onset, duration, pitch, instrument, _) in enumerate(written):
        for other in (written[np.arange(len(written)) != i], request.known):
            same = other[(other.instrument == instrument) & (other.pitch == pitch)]
            struck = (same.onset >= onset) & (same.onset < onset + duration - LEGATO - 1e-6)
            assert not struck.any()


def test_chords_keep_their_order(random_model):
    """The lower of two old notes gives its length and its loudness to the lower of two new ones."""
    gone = Notes.of([(i, 0.3 + 0.1 * k, 48 + 5 * k, PIANO, 40 + 10 * k) for i in range(6) for k in range(4)])
    (written,), _ = generate(random_model(), Infill(Notes.of([]), 0.0, 6.0, (PIANO,), rhythm=gone), seed=1)
    assert rhythm(written) == rhythm(gone) and not np.array_equal(written.pitch, gone.pitch)
    for chord in written.pitch.reshape(6, 4), written.velocity.reshape(6, 4):
        assert (np.diff(chord, axis=1) > 0).all()


def test_a_new_tune_steps_where_the_old_one_did_and_is_another():
    """Of a model that finds all pitches alike, in both hands of a piano."""
    model = EventModel(Config(depth=1, window=512)).requires_grad_(False)
    gone = Notes.of([(0.25 * i, 0.25, low + i % 3, PIANO, 80) for i in range(150) for low in (40, 72)])
    (written,), _ = generate(model, Infill(Notes.of([]), 0.0, 40.0, (PIANO,), rhythm=gone), seed=1)
    for new, was in zip(written.pitch.reshape(-1, 2).T, gone.pitch.reshape(-1, 2).T, strict=True):
        assert abs(new - was).max() < 25 and 2 < abs(new - was).mean() < 6
        assert abs(np.diff(new)).mean() < 4 and (new == was).mean() < 0.05
    chord = Notes.of([(0.0, 40.0, 0, CHORD, 64)])
    (told,), _ = generate(model, Infill(chord, 0.0, 40.0, (PIANO,), rhythm=gone), seed=1)
    assert np.isin(told.pitch % 12, (0, 4, 7)).mean() > 0.33 > np.isin(written.pitch % 12, (0, 4, 7)).mean()


@pytest.mark.parametrize("family", ["event", "amt"])
def test_new_pitches_are_near_the_old_ones_unless_a_range_is_asked_for(random_model, random_amt, family):
    model = random_model() if family == "event" else random_amt()
    lines = Notes.of([*line(PIANO, 84), *line(PIANO, 36), *line(FLUTE, 72)])
    lines = lines.replace(pitch=lines.pitch + (lines.onset > beats(11.5)))  # no figure comes again in A to B
    both = Score.from_notes(lines, TEMPO)
    (near,) = tasks.infill(both, model, A, B, parts=["piano"], rhythm=True, options=Options(seed=1, best_of=1))
    hands = near.notes.pitch.reshape(-1, 2)
    assert abs(hands - (40, 88)).max() < 30 and len(np.unique(hands)) > 8
    asked = Options(seed=1, best_of=1, low=60, high=65)
    (moved,) = tasks.infill(both, model, A, B, parts=["piano"], rhythm=True, options=asked)
    assert rhythm(moved.notes) == rhythm(near.notes) and set(moved.notes.pitch) <= set(range(60, 66))


def test_a_figure_that_comes_again_is_found():
    """Four moments that have come before, as fast, whatever stands between; a moment that is struck again."""
    figure, steps = [60, 64, 67, 64, 60], np.arange(20) * 25
    pitches = [*figure, 50, 52, *figure, 70, 70, 71, 60, 64, 67, 72, 73]
    rows = np.stack([steps, steps * 0, pitches, steps * 0 + 20, steps * 0 + 80], 1)
    found = dict(zip(range(7, 12), range(5), strict=True)) | {13: 12}
    assert recurring(rows).tolist() == [found.get(i, -1) for i in range(20)]
    slower = rows.copy()
    slower[7:, 0] += np.arange(13) * 10
    assert (recurring(slower) == np.where(np.arange(20) == 13, 12, -1)).all()
    chords = np.concatenate([rows, rows + (0, 0, 12, 0, 0)])
    chords = chords[np.lexsort((chords[:, 2], chords[:, 0]))]
    again = recurring(chords)
    assert (again[14:24] == np.arange(10)).all() and (np.delete(again, [*range(14, 24), 26, 27]) == -1).all()


def test_what_comes_again_is_answered_again(random_model, monkeypatch):
    figure = np.random.default_rng(3).integers(50, 80, 12)
    gone = Notes.of((0.25 * i, 0.25, pitch, PIANO, 80) for i, pitch in enumerate(np.tile(figure, 6).tolist()))

    def share(comes: float) -> float:
        monkeypatch.setattr(rhythm_module, "COMES", comes)
        asked = Infill(Notes.of([]), 0.0, 18.0, (PIANO,), ranged=True, rhythm=gone)
        (written,), _ = generate(random_model(), asked, seed=1)
        return float((written.pitch[12:] == written.pitch[:-12]).mean())

    assert share(1.0) < 0.7 and share(1e9) == 1.0


# ---- tasks -----------------------------------------------------------------------------------------------------------


def heard(score: Score) -> Counter:
    """As `in_ticks`, of whatever track and pitch."""
    return Counter((i, on, off, v) for (_, i, on, off, _, v), many in in_ticks(score).items() for _ in range(many))


@pytest.mark.parametrize("family", ["event", "amt"])
@pytest.mark.parametrize("task", [
    lambda m, o: tasks.infill(BAND, m, A, B, rhythm=True, options=o)[0],
    lambda m, o: tasks.infill(BAND, m, parts=["bass", "drums"], rhythm=True, options=replace(o, scale="C major"))[0],
    lambda m, o: tasks.vary(BAND, m, rhythm=True, options=replace(o, chords="none"))[0],
], ids=["infill", "parts", "vary"])  # fmt: skip
def test_a_file_keeps_its_rhythm_tick_for_tick(random_model, random_amt, family, task):
    model = random_model() if family == "event" else random_amt()
    options = Options(seed=1, best_of=2, chords="| C | G |")
    take = task(model, options)
    assert heard(take.score) == heard(BAND) and len(take.notes) > 15
    assert DRUMS not in take.notes.instruments and not take.remarks
    assert in_ticks(take.score, old(take.score)) <= in_ticks(BAND)
    assert all("; rhythm kept" in part.stamp for part in take.score.parts if part.stamp)
    assert task(model, options).score == take.score != task(model, replace(options, seed=2)).score


def test_early_late_long_and_doubled_notes(random_model):
    """A pick-up before the bar line, notes that outlast what a model can tell, unisons of two parts, a player who is
    30 ms behind the click."""
    rows = [(0.5 * i - 0.04 * (i % 8 == 0 < i), 0.4, 60 + i % 5, PIANO, 50 + i) for i in range(32)]
    rows += [(4.0, 11.5, 43, PIANO, 70), (6.0, 14.0, 43, BASS, 60)]
    rows += [(8.0, 1.0, 70, PIANO, 71), (8.0, 1.0, 70, PIANO, 72)]
    rows += [(0.5 * i + 0.03, 0.2, 72, FLUTE, 90) for i in range(40)]
    for score in (Score.from_notes(Notes.of(rows)), Score.from_notes(Notes.of(rows).replace(onset=[
            row[0] + 0.03 for row in Notes.of(rows)]))):  # fmt: skip
        start, end = score.bars(3, 6)
        options = Options(takes=3, seed=1, best_of=1, chords="none")
        for take in tasks.infill(score, random_model(), start, end, rhythm=True, options=options):
            assert heard(take.score) == heard(score)


def test_a_chord_has_no_more_notes_than_there_are_pitches(random_model):
    chords = Score.from_notes(Notes.of([(i, 0.9, 60 + 4 * k, PIANO, 80) for i in range(12) for k in range(3)]))
    (take,) = tasks.infill(chords, random_model(), 4.0, 8.0, rhythm=True, options=Options(seed=1, low=60, high=61))
    assert len(take.notes) == 8 and take.remarks == (SPARE.format(4),)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--polyphony", "2"], "leave --polyphony out"),
        (["--density", "0"], "leave --density out"),
        (["--grid", "4"], "leave --grid out"),
        (["--instruments", "piano"], "leave --instruments out"),
        (["--parts", "drums"], "no note there has one"),
    ],
)
def test_what_contradicts_a_rhythm_is_refused_in_one_line(anticipate, tmp_path, options, words):
    (tmp_path / "band.mid").write_bytes(BAND.data)
    code, out, err = anticipate("infill", tmp_path / "band.mid", "-o", tmp_path / "x.mid", "--bars", "3-4", "--rhythm",
                                *options)  # fmt: skip
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1 and not (tmp_path / "x.mid").exists()


@pytest.mark.parametrize("task", ["infill", "vary"])
def test_the_flag(anticipate, tmp_path, task):
    (tmp_path / "band.mid").write_bytes(BAND.data)
    flags = ("-o", tmp_path / "x.mid", "--bars", "3-6", "--parts", "bass", "--rhythm", "--seed", "3", "--best-of", "2")
    assert anticipate(task, tmp_path / "band.mid", *flags)[0] == 0
    assert heard(read(tmp_path / "x.mid")) == heard(BAND) and in_ticks(read(tmp_path / "x.mid")) != in_ticks(BAND)


def test_nothing_to_answer_is_no_request():
    with pytest.raises(RequestError, match="no pitched notes in the rhythm"):
        Infill(Notes.of([]), 0.0, 1.0, (BASS,), rhythm=Notes.of([(0.0, 1.0, 38, DRUMS, 80)]))


def test_each_of_two_hands_keeps_its_own_rhythm(tmp_path, random_model):
    """Also where they cross, and whatever pitches answer."""
    import pretty_midi

    song = pretty_midi.PrettyMIDI(initial_tempo=120)
    for name, first, every, base in (("right", 0.0, 0.5, 62), ("left", 0.25, 0.5, 62)):
        hand = pretty_midi.Instrument(0, name=name)
        hand.notes += [pretty_midi.Note(60 + i % 40, base + i * 5 % 9, first + i * every, first + (i + 0.4) * every)
                       for i in range(int(24 / every))]  # fmt: skip
        song.instruments.append(hand)
    song.write(str(tmp_path / "hands.mid"))
    score = read(tmp_path / "hands.mid")
    start, end = score.bars(3, 6)
    (take,) = tasks.infill(score, random_model(), start, end, rhythm=True, options=Options(seed=1))
    for name in ("right", "left"):
        (old,), (new,) = ([part.mask for part in s.parts if part.name == name and bool(part.stamp) == (s is take.score)]
                          for s in (score, take.score))  # fmt: skip
        assert rhythm(take.score.notes[new]) == rhythm(score.notes[old].between(start, end))
