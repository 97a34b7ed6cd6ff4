"""Live planning over a random model: whatever scenes come, what is written is legal, the cache agrees with a fresh
reading, and only what changed is read."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import notes

from anticipation.errors import CheckpointError
from anticipation.live import planner
from anticipation.live.planner import HEED, Planner
from anticipation.live.scene import Scene, rows_of
from anticipation.model import stream as s
from anticipation.model.bias import freed
from anticipation.music.groove import BACK, BEAT, BETWEEN, DOWNBEAT, IN_THREE, LAST_BACK, OPENING
from anticipation.music.harmony import CHORD_TONES, NO_CHORD
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.playable import KIT, RANGES
from anticipation.music.tempo import TempoMap

BASS, CELLO, FLUTE = 33, 42, 73
SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
BEATS = TempoMap.constant(120).beats(200.0)
CHART = Notes.of([(0.0, 300.0, 0, CHORD, 64)])  # C for ever


def tune(count, start=0.0):
    return Notes.of([(start + 0.5 * i, 0.45, SCALE[i % 8], 53, 80) for i in range(count)])


def scene(start, late, own=None, **other):
    chart = BEATS.between(-1.0, start + 12) + CHART
    known = {"start": start, "end": start + 2.0, "instruments": (0, 33), "late": late, "own": own or Notes.of([]),
             "chart": chart, "since": -1.0}  # fmt: skip
    return Scene(**known | other)


@settings(max_examples=30)
@given(notes(30), notes(10), notes(10), st.floats(0, 15), st.booleans())
def test_what_is_planned_is_legal(random_model, own, late, ahead, start, lock):
    planner = Planner(random_model(rests=1.0))
    pitches = np.isin(np.arange(128) % 12, [0, 2, 4, 5, 7, 9, 11])
    own, late = own.between(0, start), late.between(0, start)
    asked = Scene(start, start + 2.0, (0, 33, DRUMS), own, late, ahead, CHART, pitches=pitches, chord_lock=lock)
    reached = start
    for step in planner.plan(asked):
        assert step.reached >= reached - 1.5  # the first rest may begin before the start
        reached = step.reached
        if step.note:
            onset, duration, pitch, instrument, velocity = step.note
            assert start - 0.006 <= onset < start + 2.006 and duration > 0 and 0 < velocity < 128
            assert instrument in asked.instruments
            if instrument < DRUMS:
                assert pitches[pitch] and (not lock or CHORD_TONES[0][pitch % 12])
    assert reached >= start + 1.99


@pytest.mark.parametrize("family", ["event", "amt"])
def test_a_band_leans_to_its_chords_and_a_lock_does_not_silence_it(random_model, random_amt, family):
    """Less strays than without any chords; nothing does where the chord is locked, but where its range has no tone of
    the chord the band plays all the same."""

    def strays(chart: Notes, **more) -> tuple[int, int]:
        model = random_model(rests=-2.0) if family == "event" else random_amt(rests=-2.0)
        more = {"end": 24.0, "chart": BEATS.between(-1.0, 30) + chart, "ranged": True} | more
        steps = [step for seed in range(3) for step in Planner(model, seed).plan(scene(4.1, tune(8), **more))]
        played = [step.note[2] for step in steps if step.note]
        return sum(not CHORD_TONES[0][pitch % 12] for pitch in played), len(played)

    silent = CHART.replace(pitch=np.array([NO_CHORD]))  # or the harmonist would tell some
    (free, all_free), (less, all_less) = strays(silent), strays(CHART)
    assert min(all_free, all_less) > 30 and 0 < less / all_less < 0.75 * free / all_free
    locked, count = strays(CHART, chord_lock=True)
    assert not locked and count > 30
    assert strays(CHART, chord_lock=True, pitches=np.arange(128) == 61)[1] > 5


def test_a_bass_begins_a_chord_on_its_root_and_once(random_model, monkeypatch):
    """Where nothing else is left to it: unless it has begun the chord in what is known already."""
    monkeypatch.setattr(planner, "OFF_ROOT", 1e-9)
    chart = BEATS.between(-1.0, 16) + Notes.of([(4.0, 12.0, 0, CHORD, 64)])

    def roots(own: Notes) -> list[bool]:
        asked = scene(4.6, tune(8), own, instruments=(BASS,), end=6.5, chart=chart)
        plans = (Planner(random_model(rests=-2.0), seed).plan(asked) for seed in range(10))
        return [next(step.note[2] for step in steps if step.note) % 12 == 0 for steps in plans]

    assert all(roots(Notes.of([])))
    assert sum(roots(Notes.of([(4.0, 0.4, 43, BASS, 80)]))) < 4


@pytest.mark.parametrize("family", ["event", "amt"])
def test_weights_that_give_no_number_say_so(random_model, random_amt, family):
    model = deepcopy(random_model() if family == "event" else random_amt())
    for weights in model.parameters():
        weights.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="no number"):
        list(Planner(model).plan(scene(4.1, tune(8))))


@settings(max_examples=15)
@given(st.integers(0, 12), st.floats(1, 15), st.sampled_from([None, 1, 6]))
@pytest.mark.parametrize("family", ["event", "amt"])
def test_a_band_plays_what_can_be_played(random_model, random_amt, family, semitones, start, polyphony):
    """On each of its instruments, in any key, unless it is told a range; and no more at once, unless it is free."""
    planner = Planner(random_model(rests=-1.0) if family == "event" else random_amt(rests=-1.0))
    band, most = (FLUTE, BASS, CELLO), {FLUTE: 1, BASS: 1, CELLO: 2}
    asked = scene(start, tune(8).transpose(semitones), instruments=band, polyphony=polyphony)
    played = Notes.of([step.note for step in planner.plan(asked) if step.note])
    for instrument in played.instruments:
        own = played[played.instrument == instrument]
        low, high = RANGES[instrument]
        assert ((own.pitch >= low) & (own.pitch <= high)).all()
        sounding = ((own.onset[:, None] <= own.onset) & (own.onset < own.offset[:, None] - 1e-9)).sum(0)
        assert not polyphony or (sounding <= min(polyphony, most[instrument])).all()


def test_a_range_that_is_told_is_the_range_of_all(random_model):
    planner = Planner(random_model(rests=-2.0))
    low = np.arange(128) < 50
    asked = scene(4.1, tune(8), instruments=(FLUTE,), end=24.0, pitches=low, ranged=True)
    played = [step.note[2] for step in planner.plan(asked) if step.note]
    assert played and max(played) < 50


def test_the_band_is_louder_where_the_player_is(random_model):
    """With him, who played forty notes at 60 and four now at 100, and softer again where he is."""

    def loudness(now: int) -> float:
        played = tune(44)
        velocity = np.where(np.arange(44) < 40, 60, now)
        planner = Planner(random_model(rests=-2.0))
        steps = planner.plan(scene(22.0, played.replace(velocity=velocity), end=40.0))
        return float(np.mean([step.note[4] for step in steps if step.note]))

    even = loudness(60)
    assert loudness(100) > even + 5 and loudness(20) < even - 5  # of 17, for nothing is louder than 127


@given(notes(30), notes(20), notes(20), st.floats(0.5, 10), st.floats(0, 1), st.floats(0, 25))
def test_a_scene_is_told_as_training_tells_it(own, late, ahead, delta, lateness, start):
    """Written music by the rule of anticipation, late notes by the rule of lateness, and a look at the start: what is
    late by then is told with it, all of it."""
    own, late = own.between(0, start), late.between(0, start)
    known = rows_of(Scene(start, start + 1, (0,), own, late, ahead, lateness=lateness, delta=delta), 0.0, 0, True)
    steps, begin = s.quantise(late + ahead), round(start * 100)
    controls = known.rows[known.rows[:, s.KIND] == s.CONTROL]
    assert len(controls) >= len(s.quantise(late))
    for row in controls:
        place = [row[s.AT], row[s.INSTRUMENT], row[s.PITCH]]
        assert (steps[:, :3] == place).all(1).any()
    events = s.quantise(own)
    whole = s.interleave(events, events[:0], s.Chart.of(Notes.of([])), s.Header(0, (0,), 0, True), looks=(begin,),
                         until=begin - s.REST)  # fmt: skip
    plain = known.rows[known.rows[:, s.KIND] != s.CONTROL]
    assert np.array_equal(plain[1:], whole[1:]) and known.rows[-1, s.CLOCK] == max(begin, events[:, 0].max(initial=0))
    pending = known.controls[len(controls) :, 0]
    assert (np.diff(pending) >= 0).all() and (pending - round(delta * 100) > known.rows[-1, s.CLOCK]).all()
    if not len(late) or not len(ahead):
        header = s.Header(round(delta * 100) if len(ahead) else -round(lateness * 100), (0,), 0, True)
        ruled = s.interleave(events, steps, s.Chart.of(Notes.of([])), header, looks=(begin,), until=begin - s.REST)
        just = known.rows[:, s.AT] + round(lateness * 100) > begin if len(late) else np.zeros(len(known.rows), bool)
        just &= known.rows[:, s.KIND] == s.CONTROL  # which no rule would have told yet
        assert np.array_equal(known.rows[~just], ruled)


def test_the_newest_note_is_known_at_once():
    known = rows_of(scene(4.1, tune(9)), 0.0, 0, True)
    assert known.rows[-1, s.KIND] == s.CONTROL and known.rows[-1, s.AT] == 400


def test_only_what_changed_is_read(random_model):
    """A note of the player costs the rows after it, in the stream of each part, and then what is drawn. Where a plan is
    gone on from, its notes are read once more in their places, for the parts were told each other's at once."""
    planner = Planner(random_model(rests=1.0), seed=1)
    own = []
    for i in range(8, 60):
        start = 0.5 * i + 0.1
        before = planner.fed
        steps = list(planner.plan(scene(start, tune(i + 1), Notes.of(own))))
        drawn = len(steps)
        if i > 12:
            behind = sum(n[0] > start - 0.7 for n in own)
            assert steps[-1].fed - before <= 2 * (behind + drawn + 6)  # the look among them
        own += [step.note for step in steps if step.note and step.note[0] < start + 0.5]
    before = planner.fed
    known = scene(start, tune(60), Notes.of(own), end=start + 3)
    plan = [step.note for step in planner.plan(known) if step.note]
    more = scene(start + 3, tune(60), Notes.of(own + plan), end=start + 4)
    before = planner.fed
    steps = list(planner.plan(more))
    assert steps[-1].fed - before <= 2 * (len(plan) + len(steps) + 5)


@pytest.mark.parametrize("drummer", [False, True])
def test_every_part_is_told_what_the_others_play(random_model, drummer):
    """Also those who are not in the band any longer; and what is decided comes in the order of time. Drums hear the
    bass alone, unless the player drums too."""
    planner = Planner(random_model(rests=1.0))
    own = Notes.of([(1.0, 0.5, 60, 0, 70), (1.5, 0.5, 36, 33, 70), (2.0, 0.1, 36, DRUMS, 70), (2.5, 0.5, 67, 48, 70)])
    player = tune(8) + Notes.of([(0.5 * i, 0.1, 38, DRUMS, 80) for i in range(8 * drummer)])
    steps = list(planner.plan(scene(4.1, player, own, instruments=(33, 0, DRUMS))))
    assert {step.note[3] for step in steps if step.note} == {0, 33, DRUMS}
    assert [step.reached for step in steps] == sorted(step.reached for step in steps)
    written = {step.note[3]: step.note[2] for step in steps if step.note}
    for stream, part in zip(planner._decoder.streams, (33, 0, DRUMS), strict=True):
        rows = stream.rows[stream.rows[:, s.KIND] != s.REST_KIND]
        events, controls = (rows[rows[:, s.KIND] == kind] for kind in (s.EVENT, s.CONTROL))
        assert set(events[:, s.INSTRUMENT].tolist()) == {part}
        heard = {0, 33, 48, 53, DRUMS} - {part}
        if part == DRUMS:
            heard = heard | {DRUMS} if drummer else {33}
        assert set(controls[:, s.INSTRUMENT].tolist()) == heard
        drawn = controls[controls[:, s.AT] >= (4.1 - planner.origin) * 100]
        assert set(drawn[:, s.INSTRUMENT].tolist()) == heard & set(written) - {part}


def test_the_band_comes_to_rest_where_it_is_told_and_holds_it(random_model):
    """All of it, at once, and nothing after that. Drums are struck, and not held."""
    for seed in range(4):
        planner = Planner(random_model(rests=0.0), seed)
        asked = scene(4.1, tune(8), instruments=(0, 33, DRUMS), end=6.5, rest=6.0, grid=4)
        played = Notes.of([step.note for step in planner.plan(asked) if step.note])
        last = played[played.onset > 5.9]
        assert {0, 33} <= set(last.instruments) and (last.onset < 6.02).all() and last.pitched.duration.min() >= 2.0
        assert played[played.onset < 5.9].duration.min() < 2.0


def test_beats_are_divided_as_the_player_divides_them(random_model):
    """Who plays eighths hears few sixteenths; who plays these hears them."""

    def usual(player: Notes) -> list[float]:
        planner = Planner(random_model())
        asked = scene(8.1, player, grid=4)
        next(planner.plan(asked))
        steps = np.rint((9.0 + 0.125 * np.arange(4) - planner.origin) * s.STEPS).astype(int)
        return np.exp(planner._limits(asked)[0].bias.usual[steps]).round(2).tolist()

    halves = tune(16).shift(0.25)
    assert usual(tune(16) + halves) == [1.0, 0.2, 1.0, 0.2]
    assert usual(tune(16) + halves + tune(16).shift(0.125)) == [1.0, 1.0, 1.0, 1.0]


def test_chords_stay_below_the_tune(random_model):
    def above(player: Notes) -> float:
        planner = Planner(random_model(rests=-1.0))
        steps = planner.plan(scene(8.1, player, instruments=(0,), end=30.0))
        return float(np.mean([step.note[2] > 70 for step in steps if step.note]))

    free = above(tune(16).transpose(48))  # above what a piano plays
    assert free > 0.2 and above(tune(16)) < 0.4 * free
    assert above(tune(16) + tune(16).transpose(-4) + tune(16).transpose(-9)) > 0.6 * free  # chords are no tune


@pytest.mark.parametrize("instrument", [33, DRUMS])
def test_a_live_rhythm_section_rests_less(random_model, monkeypatch, instrument):
    """Where it knows the beats, and others as they like."""
    made = Planner(random_model(rests=5.0))
    asked = scene(4.1, tune(8), instruments=(instrument, 0), end=24.0)
    list(made.plan(asked))
    assert [limit.rest for limit in made._limits(asked)] == [0.5, 1.0]
    assert [limit.rest for limit in made._limits(replace(asked, chart=CHART))] == [1.0, 1.0]
    alone = replace(asked, late=Notes.of([]), own=tune(8))
    assert [limit.rest for limit in made._limits(alone)] == [0.5, 0.5], "nobody is there to leave room for"
    many = []
    for eager in (0.02, 1.0):
        monkeypatch.setattr(planner, "EAGER", eager)
        plan = [step.note for step in Planner(made.model).plan(asked) if step.note]
        many.append(sum(note[3] == instrument for note in plan))
    assert many[0] > 1.5 * many[1]


@pytest.mark.parametrize(
    "who, others, late, told",
    [(48, (33,), tune(8), 89), (52, (DRUMS,), tune(8), 89), (48, (0,), tune(8), 48), (61, (33,), tune(8), 61),
     (48, (33,), Notes.of([]), 48), (48, (33,), tune(8).replace(instrument=np.full(8, 89)), 48)],
)  # fmt: skip
def test_a_live_section_that_alone_plays_the_chords_is_a_pad(random_model, who, others, late, told):
    """To the model, of its past too. What it plays is its own, in its own range."""
    made = Planner(random_model(rests=-1.0))
    past = Notes.of((0.5 * i, 0.4, 62, who, 80) for i in range(8))
    asked = scene(4.1, late, own=past, instruments=(who, *others), end=12.0)
    notes = [step.note for step in made.plan(asked) if step.note]
    known = made._decoder.streams[0].rows
    assert set(known[(known[:, s.KIND] == s.EVENT), s.INSTRUMENT]) == {told}
    assert {note[3] for note in notes} == {who, *others}
    low, high = RANGES.get(who, (0, 127))
    assert all(low <= pitch <= high for _, _, pitch, one, _ in notes if one == who)


def test_live_drums_are_a_kit_that_keeps_to_what_people_strike_where(random_model):
    """Told where in the bar each step is; not where the player drums."""
    planner = Planner(random_model(rests=1.0))
    asked = scene(8.1, tune(16), instruments=(DRUMS, 33), end=14.0)
    struck = [step.note[2] for step in planner.plan(asked) if step.note and step.note[3] == DRUMS]
    assert len(struck) > 5 and KIT[0] <= min(struck) and max(struck) <= KIT[1]
    steps = np.rint((8.5 + 0.25 * np.arange(8) - planner.origin) * s.STEPS).astype(int)
    places = planner._limits(asked)[0].bias.groove[steps]
    assert places.tolist() == [BACK, BETWEEN, BEAT, BETWEEN, BACK, BETWEEN, DOWNBEAT, BETWEEN]
    theirs = Notes.of([(4.0, 0.1, 36, DRUMS, 80)])
    assert planner._limits(scene(8.1, tune(16) + theirs, instruments=(DRUMS, 33)))[0].bias.groove is None


def test_live_drums_know_phrases_and_waltzes(random_model):
    """Where a phrase begins, wherever the scene's mark of one lies; and bars of three count for more."""
    planner = Planner(random_model(rests=1.0))
    for phrase in (4.0, 12.0):
        asked = scene(10.1, tune(16), instruments=(DRUMS,), end=16.0, phrase=phrase)
        list(planner.plan(asked))
        bias = planner._limits(asked)[0].bias
        at = np.rint((np.array([10.0, 11.0, 11.5, 12.0, 13.5, 14.0]) - planner.origin) * s.STEPS).astype(int)
        assert bias.groove[at].tolist() == [DOWNBEAT, BEAT, LAST_BACK, OPENING, BACK, DOWNBEAT]
        assert bias.heed == HEED > 1 and freed(bias, int(at[2]), 1.0, 0.9) == (1.0, 0.9)
    thirds = np.rint((12.0 + np.arange(3) / 6 - planner.origin) * s.STEPS).astype(int)
    assert planner._limits(replace(asked, turns=3))[0].bias.groove[thirds].tolist() == [OPENING, BETWEEN, BETWEEN]
    three = BEATS.between(-1.0, 30.0)
    three = three.replace(pitch=np.arange(len(three)) % 3)
    assert planner._limits(replace(asked, chart=three + CHART))[0].bias.heed == IN_THREE


@pytest.mark.parametrize("grid", [4, 6])
def test_what_is_planned_begins_on_the_grid(random_model, grid):
    planner = Planner(random_model(rests=-1.0))

    def off(**more) -> float:
        onsets = [step.note[0] for step in planner.plan(scene(4.1, tune(8), end=10.1, **more)) if step.note]
        assert len(onsets) > 12
        return max(abs(t * 2 * grid - round(t * 2 * grid)) / 2 / grid for t in onsets)

    assert off(grid=grid) < 0.0101 and off() > 0.02


def test_a_cache_that_was_kept_answers_as_a_fresh_one(random_model):
    kept, own = Planner(random_model(rests=1.0), seed=3), []
    for i in range(8, 40):
        start = 0.5 * i + 0.1
        asked = scene(start, tune(i + 1), Notes.of(own))
        fresh = Planner(kept.model)
        fresh.origin, fresh.shift, fresh.cold = kept.origin, kept.shift, kept.cold
        fresh.rng.bit_generator.state = kept.rng.bit_generator.state
        steps = list(kept.plan(asked))
        if fresh.origin == kept.origin:
            assert [step.note for step in fresh.plan(asked)] == [step.note for step in steps]
        own += [step.note for step in steps if step.note and step.note[0] < start + 0.5]


def test_ten_minutes_cost_what_one_costs(random_model):
    """The stream's beginning moves on; rows and times stay small."""
    planner, own, since, most = Planner(random_model(window=256, rests=2.0)), [], 0.0, 0
    for i in range(0, 700, 7):
        start = i + 0.1
        since = start - 30 if start - since > 90 else since
        own = [n for n in own if n[0] >= since]
        late = Notes.of([(i + 0.5 * k - 8, 0.4, SCALE[k % 8], 53, 80) for k in range(16) if i + 0.5 * k - 8 >= since])
        asked = Scene(start, start + 7, (0,), Notes.of(own), late, chart=CHART, since=since, cold=False, density=4)
        own += [step.note for step in planner.plan(asked) if step.note]
        most = max(most, len(planner._decoder.streams[0].rows))
        assert start - planner.origin < 130
    assert most <= 256


def test_the_key_stays_until_it_is_clearly_another(random_model):
    planner = Planner(random_model(rests=3.0))
    for i in range(30, 34):
        list(planner.plan(scene(0.5 * i, tune(i))))
    home = planner.shift
    decoder = planner._decoder
    odd = tune(34) + Notes.of([(16.6, 2.0, 61, 53, 80), (16.6, 2.0, 66, 53, 80), (16.6, 2.0, 68, 53, 80)])
    list(planner.plan(scene(17.2, odd)))
    assert planner.shift == home and planner._decoder is decoder
    for i in range(8):
        list(planner.plan(scene(60.0 + i, tune(80, 20.0).transpose(6))))
    assert planner.shift != home


def test_chords_are_the_harmonists_where_nobody_gives_them(random_model):
    """And somebody writes pitches, by a model that reads chords."""
    model = random_model(rests=1.0)
    chart = BEATS.between(0, 20)

    def told(model, **more) -> np.ndarray:
        planner = Planner(model)
        next(planner.plan(scene(8.1, tune(16), chart=chart, **more)))
        return np.unique(planner._decoder.streams[0].chart.chords[:, 1])

    assert len(told(model)) and told(model).max() < NO_CHORD
    assert not len(told(model, instruments=(DRUMS,)))
    chart = chart + CHART.replace(pitch=np.array([7]))
    assert told(model).tolist() == [7]


def test_the_public_amt_hears_the_player_as_history_and_anticipates_what_is_written(random_amt):
    """In its own key, without a chart; and of what it has read it reads nothing twice."""
    planner, ahead = Planner(random_amt()), Notes.of([(6.0, 0.5, 72, 73, 80)])
    steps = list(planner.plan(scene(4.1, tune(8), ahead=ahead)))
    rows = planner._decoder.streams[0].rows
    assert rows[rows[:, s.KIND] == s.CONTROL][:, s.INSTRUMENT].tolist() == [73] and planner.shift == 0
    assert (rows[rows[:, s.KIND] == s.EVENT][:, s.INSTRUMENT] == 53).sum() == 8
    assert all(4.1 <= step.note[0] < step.reached + 0.01 for step in steps if step.note)
    own = Notes.of([step.note for step in steps if step.note and step.note[0] < 4.5])
    before = planner.fed
    next(planner.plan(scene(4.6, tune(9), own=own, ahead=ahead)))
    assert planner.fed - before <= 3 * (len(own) + 4)
