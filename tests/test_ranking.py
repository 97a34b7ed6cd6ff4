"""Laws of ranking: a stream is cut into windows that count every row once; what goes with the known notes fits better;
and of several drafts the fittest stays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes
from test_infilling import FLUTE, MELODY, ask

from anticipation.infilling import drafting, ranking
from anticipation.infilling.drafting import generate
from anticipation.infilling.ranking import (
    HIGH,
    IDLE,
    LEFT,
    STEADY,
    closing,
    dullness,
    fittest,
    likeness,
    lopsided,
    misfit,
    oddness,
    overhead,
    unsteadiness,
    untold,
    windows,
)
from anticipation.model import amt, checkpoint
from anticipation.model import stream as s
from anticipation.model.surprise import drawn, nats
from anticipation.music.harmony import chord_notes
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap

CHORDS = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
TUNE = Notes.of(
    (1.0 * bar + 0.25 * i, 0.24, CHORDS[bar % 4][(0, 1, 2, 1)[i]] + 12, FLUTE, 80) for bar in range(8) for i in range(4)
)
PADS = Notes.of((1.0 * bar, 0.98, pitch, 0, 64) for bar in range(8) for pitch in CHORDS[bar % 4])


def rows_of(one: Notes, other: Notes, cold: bool = True) -> np.ndarray:
    header = s.Header(instruments=None, cold=cold)
    return s.interleave(s.quantise(one), s.quantise(other), s.Chart.of(one[:0]), header)


@given(notes(), notes(), st.integers(8, 60), st.booleans())
def test_every_row_is_counted_once_behind_context(one, other, most, cold):
    rows = rows_of(one, other, cold)
    start, counted = int((rows[:, s.KIND] == s.START_KIND).sum()), []
    for number, (piece, context) in enumerate(windows(rows, most)):
        assert start <= context < len(piece) <= most
        assert np.ptp(piece[:, s.CLOCK]) <= 90 * s.STEPS
        assert (piece[:start, s.KIND] == s.START_KIND).all() and not (number and piece[0, s.VELOCITY])
        assert not number or context > start
        counted += piece[context:].tolist()
    assert counted == rows[start:].tolist()


@pytest.mark.parametrize("family", ["event", "amt"])
def test_surprise_of_one_window_is_the_models_loss(random_model, random_amt, family):
    """Of several streams at once, each is what it is alone; and of what is drawn alone."""
    several = [rows_of(MELODY, PADS), rows_of(PADS, MELODY)[:20], rows_of(PADS[:1], PADS[:0])]
    model = random_model() if family == "event" else random_amt()
    together = nats(model, several)
    for rows, lost in zip(several, together, strict=True):
        assert lost.shape == (drawn(rows).sum(), 5 if family == "event" else 3)
        np.testing.assert_allclose(nats(model, [rows])[0], lost, rtol=1e-4, atol=1e-5)
    assert not drawn(several[0])[several[0][:, s.KIND] == s.CONTROL].any()
    if family == "amt":  # by the full softmax, and what is offered of it
        tokens = torch.from_numpy(
            amt.sequence(np.concatenate([amt.SEPARATION, amt.encode(several[2])]), anticipated=False)
        )
        logits = model.logits(tokens[:7]).double()
        note = torch.log_softmax(logits[5, amt.NOTE.start : amt.REST + 1], 0)
        assert together[2][0, 2] == pytest.approx(-float(note[tokens[6] - amt.NOTE.start]), rel=1e-4)


@pytest.mark.parametrize("family", ["event", "amt"])
def test_a_take_fits_as_it_does_alone(random_model, random_amt, family):
    model = random_model() if family == "event" else random_amt()
    takes = [PADS, PADS.transpose(1), PADS[:0], PADS.shift(0.5)]
    together = misfit(model, MELODY, 0.0, 8.0, takes)
    assert len(set(together)) == 4 and (together > 0).all()
    for take, value in zip(takes, together, strict=True):
        assert misfit(model, MELODY, 0.0, 8.0, [take])[0] == pytest.approx(value, rel=1e-4)
    assert not misfit(model, MELODY[:0], 0.0, 8.0, takes).any()
    assert misfit(model, MELODY, 100.0, 108.0, takes).tolist() == [0.0] * 4  # nothing is known there


def test_the_shipped_weights_hear_what_goes_together():
    """A tune's own chords explain it better than those of another key, of another bar, or none."""
    model = checkpoint.load(Path(ROOT / "checkpoints/default"))
    wrong = [PADS.transpose(1), PADS.transpose(6), PADS.shift(1.0), PADS[:0]]
    right, *others = misfit(model, TUNE, 0.0, 8.0, [PADS, *wrong])
    assert right < min(others)


def test_of_several_drafts_the_fittest_stays(random_model, monkeypatch):
    """What is drawn once is what it always was; of more, each is another draft, and its neighbours do not matter."""
    model, request = random_model(), ask(instruments=(0,))
    once, fed = generate(model, request, takes=2, seed=5)
    assert generate(model, request, takes=2, seed=5, best_of=1)[0] == once
    seen: list[list[Notes]] = []
    earlier: list[int] = []

    def last(model, known, start, end, drafts, takes, tune):
        seen.append(drafts)
        earlier.append(len(takes))
        return len(drafts) - 1

    monkeypatch.setattr(drafting, "fittest", last)
    best, more = generate(model, request, takes=2, seed=5, best_of=3)
    assert [group[0] for group in seen] == once and [group[2] for group in seen] == best and earlier == [0, 1]
    assert len({len(take) for group in seen for take in group}) > 1 and more > 2 * fed
    assert generate(model, request, takes=1, seed=5, best_of=3)[0] == best[:1]


def test_each_part_in_turn_is_the_fittest_for_those_before_it(random_model, monkeypatch):
    asked: list[set[int]] = []
    monkeypatch.setattr(drafting, "fittest", lambda model, known, *rest: asked.append(set(known.instruments)) or 0)
    generate(random_model(rests=2.0), ask(instruments=(33, 0), end=4.0), seed=3, best_of=2)
    assert asked == [{FLUTE}, {FLUTE, 33}]


def test_who_does_not_anticipate_draws_once(random_amt):
    """It could not be told the drafts."""
    model, alone = random_amt(anticipation=False), ask(10.0, 12.0, known=MELODY.between(0, 10), instruments=(FLUTE,))
    assert generate(model, alone, seed=3, best_of=3) == generate(model, alone, seed=3)


def test_who_repeats_himself_more_than_is_usual_there_loses_by_it(random_model):
    """Than his part elsewhere, or, where that is hardly heard, than all that is known."""
    same, other = (Notes.of((0.5 * i, 0.4, 48 + step * i, 33, 80) for i in range(10)) for step in (0, 1))
    half = same[:5] + other[5:]
    assert dullness(TUNE, [same, other, half, same[:1]]).tolist() == [1.0, 0.0, pytest.approx(4 / 9), 0.0]
    assert dullness(TUNE + half.shift(20.0), [same, other]).tolist() == [pytest.approx(5 / 9), 0.0]
    assert dullness(TUNE + same[:4], [same]).tolist() == [pytest.approx(1 - 3 / 34)]
    assert not dullness(same.shift(20.0), [same]).any()
    assert fittest(random_model(), TUNE[:0], 0.0, 8.0, [same, other]) == 1
    pairs = other.replace(pitch=other.pitch // 2 * 2)  # half of the notes of the other, and each twice
    assert fittest(random_model(), TUNE[:0], 0.0, 8.0, [pairs, pairs, other]) == 2, "nor do two help each other"


def test_a_slip_that_one_draft_makes_is_not_what_they_have_in_common(random_model):
    """Each is compared with the others, when it begins and with which notes; a draft alone is like nothing."""
    late, up, octave = PADS.shift(0.125), PADS.transpose(1), PADS.transpose(12)
    assert likeness([PADS, octave, late]).tolist() == [1.0, 1.0, 0.0]
    assert likeness([PADS, up]).tolist() == [1.0, 1.0]
    assert likeness([PADS, up, octave, late]).tolist() == pytest.approx([1.0, 2 / 3, 1.0, 0.0])
    assert likeness([PADS]).tolist() == [0.0] and likeness([PADS[:0], PADS[:0]]).tolist() == [0.0, 0.0]
    assert fittest(random_model(), TUNE[:0], 0.0, 8.0, [late, up, PADS, octave]) == 2


def test_a_take_is_not_what_an_earlier_one_is(random_model):
    """Where another draft is about as good; and whatever it was that the earlier one was preferred for."""
    high, low, late = PADS.transpose(12), PADS.transpose(5), PADS.shift(0.13)
    drafts = [PADS, high, low, late]
    first = fittest(random_model(), TUNE[:0], 0.0, 8.0, drafts)
    assert drafts[first] in (PADS, high), "the same notes, in any octave"
    assert drafts[fittest(random_model(), TUNE[:0], 0.0, 8.0, drafts, [drafts[first]])] is low
    assert ranking.sameness(drafts, [low, late])[2:] == pytest.approx([1 - ranking.OTHER] * 2)
    assert not ranking.sameness(drafts, []).any() and not ranking.sameness([PADS.shift(0.3)], drafts).any()


def test_who_has_more_or_fewer_notes_than_the_middle_draft_loses_by_it():
    takes = [PADS[:n] for n in (0, 3, 5, 5, 11)]
    assert oddness(takes).tolist() == pytest.approx(np.log([6, 6 / 4, 1, 1, 2]).tolist())
    assert oddness(takes[:1]).tolist() == [0.0]


def test_who_goes_on_more_busily_than_before_loses_by_it():
    """By moments, before the span and after it; not if nobody knows the part, or some of it is known in the span."""

    def line(every: float, start: float, end: float, instrument: int = FLUTE) -> Notes:
        return Notes.of((t, every, 60, instrument, 80) for t in np.arange(start, end, every))

    known, drafts = line(0.5, 0.0, 16.0), [line(each, 16.0, 20.0) for each in (0.5, 0.45, 0.125, 2.0)]
    drafts.append(drafts[0] + drafts[0].transpose(7))  # a chord is one moment
    busier, idler = np.log((8 + IDLE) / (2 + IDLE)) - STEADY, np.log((2 + IDLE) / (0.5 + IDLE)) - STEADY
    for there in (known, known + line(0.5, 20.0, 28.0)):
        np.testing.assert_allclose(unsteadiness(there, 16.0, 20.0, drafts), [0, 0, busier, idler, 0], atol=0.03)
    assert not unsteadiness(known, 16.0, 20.0, [line(0.125, 16.0, 20.0, 0)]).any()
    assert not unsteadiness(known + line(0.5, 17.0, 17.4), 16.0, 20.0, drafts).any()
    rested = line(0.5, 20.0, 28.0) + line(0.5, 0.0, 28.0, 0)  # 16 moments, the last after 23.5 s
    usual = 16 / 23.5 + IDLE
    assert unsteadiness(rested, 16.0, 20.0, drafts)[0] == pytest.approx(np.log((2 + IDLE) / usual) - STEADY)


def test_who_plays_above_the_tune_loses_by_it(random_model):
    """A new part of chords, not a bass or a descant; HIGH of its notes may; where the tune rests, no note is above."""
    high = PADS.transpose(36)
    some = PADS + high[:12]
    shares = overhead(TUNE, TUNE, [PADS, high, high[:0], some, high.shift(12.0)]).tolist()
    assert shares == [0.0, 1 - HIGH, 0.0, pytest.approx(1 / 3 - HIGH), 0.0]
    assert not overhead(None, TUNE, [high]).any() and not overhead(TUNE, TUNE + PADS.shift(20.0), [high]).any()
    assert not overhead(TUNE, TUNE, [high.replace(instrument=np.full(len(high), FLUTE + 1))]).any()
    model = random_model()
    assert [fittest(model, TUNE[:0], 0.0, 8.0, [high, PADS], tune=tune) for tune in (TUNE, None)] == [1, 0]


def test_who_accompanies_a_tune_alone_tells_its_harmony(random_model):
    """All tones of its chords but LEFT, in any octave and at any time of them; not a bass, nor beside other chords."""
    chart = chord_notes((2.0 * i, 2.0 * i + 2.0, (0, 5, 7, 0)[i]) for i in range(4))
    held = Notes.of((2.0 * i, 1.9, pitch, 0, 64) for i in range(4) for pitch in CHORDS[i])
    broken = Notes.of((2.0 * i + 0.5 * j, 0.4, 12 + CHORDS[i][j], 0, 64) for i in range(4) for j in range(3))
    roots = Notes.of((2.0 * i, 1.9, CHORDS[i][0], 0, 64) for i in range(4))

    def left(tune, known, *drafts):
        return untold(tune, known, 0.0, 8.0, list(drafts)).tolist()

    assert left(TUNE, TUNE + chart, held, broken, roots, held[:6]) == [
        0,
        0,
        *[pytest.approx(x - LEFT) for x in (2 / 3, 0.5)],
    ]
    assert left(None, TUNE + chart, roots) == left(TUNE, TUNE, roots) == [0]
    assert left(TUNE, TUNE + chart + held.replace(instrument=np.full(12, 48)), roots) == [0]
    assert left(TUNE, TUNE + chart + roots.shift(20.0), roots) == [0], "a part that is known elsewhere"
    assert left(TUNE, TUNE + chart, roots.replace(instrument=np.full(4, 33))) == [0]
    drafts = [roots, roots, broken]
    assert [fittest(random_model(), chart, 0.0, 8.0, drafts, tune=tune) for tune in (TUNE, None)] == [2, 0]


def test_a_drummer_plays_more_than_the_bass_drum(random_model):
    """But where his part has nothing else elsewhere, that is right; others have no drums to strike."""
    beat, kick = (
        Notes.of((0.125 * i, 0.1, pitches[i % 8], DRUMS, 80) for i in range(64))
        for pitches in ([36, 42, 38, 42, 36, 36, 38, 42], [36] * 8)
    )
    off = lopsided(TUNE, [beat, kick, TUNE])
    assert off[0] == off[2] == 0.0 and off[1] > 0.3
    assert lopsided(TUNE + kick.shift(20.0), [beat, kick]).tolist() == pytest.approx([0.225, 0.0])
    assert fittest(random_model(), TUNE[:0], 0.0, 8.0, [kick, beat]) == 1


def test_who_crashes_at_every_stroke_loses_by_it(random_model):
    """Though the rest of his kit is what is usual; but where he does so elsewhere, he may."""
    loud, some = (
        Notes.of((0.25 * i, 0.1, pitch, DRUMS, 80) for i in range(32) for pitch in ((36, 42, 38, 42)[i % 4], *more(i)))
        for more in (lambda i: [49], lambda i: [49] * (i % 8 == 0))
    )
    assert lopsided(TUNE, [some, loud]).tolist() == [0.0, pytest.approx(0.5 - ranking.CRASHES, abs=0.1)]
    assert not lopsided(loud.shift(20.0), [loud]).any()
    assert fittest(random_model(), TUNE[:0], 0.0, 8.0, [loud, some, loud]) == 1


def test_a_kit_is_better_than_what_the_others_agree_on(random_model):
    """If that is the bass drum alone: of drums it is what all drafts have in common."""
    beats = [[36, 42, 38, 42, 36, 36, 38, 42], [36, 42, 42, 42, 38, 42, 42, 42]]
    kicks = [[36] * 8] * 6
    drafts = [Notes.of((0.25 * i, 0.1, bar[i % 8], DRUMS, 80) for i in range(32)) for bar in beats + kicks]
    assert ranking.likeness(drafts).argmax() >= 2
    assert fittest(random_model(), TUNE[:0], 0.0, 8.0, drafts) < 2


def test_what_comes_to_rest_on_the_tonic_is_an_end(random_model):
    """Where nothing follows: not in a hole, nor beside a tune. In every key; and the fittest of equal drafts does."""
    grid = TempoMap.constant(120).beats(20.0)
    going = TUNE[:12].shift(8.0)
    finals = [(11.0, 76), (11.0, 74), (11.0, 72), (11.9, 72)]  # third, second, tonic, tonic that cannot be heard
    takes = [going + Notes.of([(when, 0.1, pitch, FLUTE, 80)]) for when, pitch in finals]
    third, second, tonic, late = closing(TUNE + grid, 8.0, 12.0, takes).tolist()
    assert tonic > third > second and tonic - late == pytest.approx(np.log(3.0))
    for key in (2, 9):
        moved = closing(TUNE.transpose(key) + grid, 8.0, 12.0, [take.transpose(key) for take in takes])
        assert moved.tolist() == pytest.approx([third, second, tonic, late])
    assert fittest(random_model(), TUNE + grid, 8.0, 12.0, takes[1:3] + takes[3:]) == 1
    assert closing(TUNE + grid, 8.0, 12.0, [going[:0], takes[2]]).tolist() == [0.0, tonic]
    assert not closing(TUNE + TUNE.shift(12.0), 8.0, 12.0, takes).any()
    assert not closing(TUNE, 0.0, 8.0, takes).any() and not closing(TUNE[:0], 8.0, 12.0, takes).any()
