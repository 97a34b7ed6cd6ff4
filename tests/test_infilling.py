"""Laws of a request: notes come out inside it, the same for the same seed, whatever the key and the neighbours."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import notes

from anticipation.errors import RequestError
from anticipation.infilling import bounds, drafting, habits, prompt, snapping
from anticipation.infilling.drafting import generate
from anticipation.infilling.habits import LEGATO, at_rest, on_free_keys, usual_density, usual_range, usual_voices
from anticipation.infilling.prompt import LEAD, Prompt
from anticipation.infilling.request import Infill
from anticipation.model import bias, precedent
from anticipation.model import stream as s
from anticipation.model.decode import Sampling
from anticipation.model.grammar import BEYOND, Limits
from anticipation.music import groove
from anticipation.music.form import counterparts
from anticipation.music.grid import places
from anticipation.music.metrics import note_f1
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap

FLUTE = 73
MELODY = Notes.of((0.5 * i, 0.45, 60 + (0, 4, 7, 5, 2, 9, 7, 11)[i % 8], FLUTE, 80) for i in range(40))
EPSILON = 1e-9
GRID = 0.017  # density is counted on the model's grid, which is then undone by up to 8 ms for each onset


def ask(start=0.0, end=10.0, known=MELODY, instruments=(0, 33), **more) -> Infill:
    return Infill(known, start, end, instruments, **more)


@pytest.fixture
def asked(monkeypatch) -> list[Infill]:
    """The requests that are drawn in a test."""
    seen, draw = [], drafting.draw
    monkeypatch.setattr(drafting, "draw", lambda m, several, *rest: seen.extend(several) or draw(m, several, *rest))
    return seen


@st.composite
def requests(draw) -> Infill:
    known = draw(notes(max_size=20))
    if draw(st.booleans()):
        known += TempoMap.constant(draw(st.integers(50, 200))).beats(25)
    mask = draw(st.none() | st.sets(st.integers(0, 127), min_size=1, max_size=20))
    start, length = draw(st.floats(0, 15) | st.just(4.0)), draw(st.floats(0.001, 5) | st.just(2.0))
    instruments = tuple(draw(st.sets(st.sampled_from([0, 24, 33, 40, FLUTE, DRUMS]), min_size=1)))
    beats = known.beats
    return Infill(known, start, start + length, instruments, mask and np.isin(np.arange(128), list(mask)),
                  draw(st.none() | st.integers(1, 3)), draw(st.none() | st.integers(0, 8)),
                  places=places(known.audible, beats) if len(beats) and draw(st.booleans()) else None,
                  ranged=draw(st.booleans()))  # fmt: skip


def check_limits(notes: Notes, request: Infill) -> None:
    assert ((notes.onset >= request.start) & (notes.onset < request.end)).all()
    assert set(notes.instruments) <= set(request.instruments)
    assert request.pitches is None or request.pitches[notes.pitched.pitch].all()
    if request.places is not None and len(notes):
        assert abs(request.places[:, None] - notes.onset).min(0).max() < 0.0051  # the rounding of the model's steps
    assert (notes.duration > 0).all() and ((notes.velocity > 0) & (notes.velocity < 128)).all()
    near = request.known.audible.between(request.start - 30, request.end + 10)
    usual = usual_density(near)
    most = request.polyphony or usual_voices(near, request.start, request.end, request.instruments)
    keys = np.stack([np.rint(near.onset * s.STEPS), near.pitch, near.instrument])
    near = near[np.sort(np.unique(keys, axis=1, return_index=True)[1])]  # a key that is struck twice at once is one
    written = () if request.ranged else request.instruments
    for instrument, (low, high) in usual_range(request.known, written, request.start).items():
        own = notes.pitch[notes.instrument == instrument]
        free = request.pitches is not None and not request.pitches[low : high + 1].any()
        assert free or ((own >= low) & (own <= high)).all()
    for onset, _, _, instrument, _ in notes:
        busiest = usual.get(instrument) if request.density is None else request.density
        own = notes.of_instruments([instrument])
        sounding = (own.onset <= onset) & (onset < own.offset - EPSILON)
        voice = most.get(instrument) if isinstance(most, dict) else most
        there = near.of_instruments([instrument])  # the model's steps are told apart, and a legato is none
        there = (there.onset < onset - 0.011) & (onset < there.offset - LEGATO - 0.011)
        assert not voice or sounding.sum() + there.sum() * (request.polyphony is None) <= voice
        second = (own.onset > onset - 1 + GRID) & (own.onset <= onset)
        assert not busiest or second.sum() <= busiest


@settings(max_examples=40)
@given(requests(), st.integers(0, 99), st.booleans())
def test_what_is_written_keeps_to_the_request(random_model, request, seed, at_once):
    """In seconds, after the grid of the model is undone. Part after part, or all parts at once."""
    model = random_model()
    (written,), _ = drafting.draw(model, [request], [(seed,)]) if at_once else generate(model, request, seed=seed)
    check_limits(written, request)


def test_the_same_seed_writes_the_same_notes_and_takes_differ(random_model):
    (one,), _ = generate(random_model(), ask(), seed=5)
    several, _ = generate(random_model(), ask(), takes=3, seed=5)
    assert several == generate(random_model(), ask(), takes=3, seed=5)[0]
    assert several[0] == one and several[:2] == generate(random_model(), ask(), takes=2, seed=5)[0]
    assert len({take.onset.tobytes() + take.pitch.tobytes() for take in several}) == 3
    assert generate(random_model(), ask(), seed=6)[0] != [one]


def test_a_part_is_twice_as_busy_as_elsewhere_at_most(random_model, monkeypatch):
    """Where the user does not say otherwise. Who is heard nowhere else has no habits."""
    slow = Notes.of([(2.0 * i, 1.9, pitch, 0, 80) for i in range(16) for pitch in (60, 64, 67)])
    fast = Notes.of([(0.1 * i, 0.1, 72, 73, 80) for i in range(300)])
    assert usual_density(slow + fast) == {0: 6, 73: 20} and usual_density(slow[:1]) == {0: 4}
    assert usual_density(slow[:0]) == {}
    monkeypatch.setattr(habits, "FEW", 1)  # a random model is not busy enough for more
    alone = slow[slow.pitch == 60]
    request = Infill(alone.between(0, 8) + alone.between(24, 32) + fast, 8.0, 24.0, (0,))
    several, _ = generate(random_model(), request, takes=4, seed=2)
    free, _ = generate(random_model(), replace(request, density=0), takes=4, seed=2)
    new, _ = generate(random_model(), replace(request, instruments=(42,)), takes=4, seed=2)

    def busiest(takes, instrument) -> int:
        onsets = [take.onset[take.instrument == instrument] for take in takes]
        return max(((own >= at) & (own < at + 1 - GRID)).sum() for own in onsets for at in own)

    assert busiest(several, 0) <= 2 < busiest(free, 0) and busiest(new, 42) > 2


@pytest.mark.parametrize("start, end", [(16.0, 26.0), (0.0, 16.1)], ids=["continued", "varied"])
def test_who_has_played_for_a_while_keeps_to_his_range(random_model, start, end):
    """Also where nothing of his is known behind the span."""
    known = Notes.of((0.25 * i, 0.2, 60 + i % 8, 0, 80) for i in range(64))
    takes, _ = generate(random_model(), ask(start, end, known, (0,)), seed=1, takes=4)
    pitch = np.concatenate([written.pitch for written in takes])
    assert len(pitch) > 5 and (pitch >= 55).all() and (pitch <= 72).all()


@pytest.mark.parametrize("semitones", [1, 5, -6])
def test_a_piece_in_another_key_gets_the_same_part_in_that_key(random_model, semitones):
    (here,), _ = generate(random_model(), ask(ranged=True), seed=1)  # instruments keep theirs in any key
    (there,), _ = generate(random_model(), ask(known=MELODY.transpose(semitones), ranged=True), seed=1)
    assert np.array_equal(here.onset, there.onset) and np.array_equal(here.instrument, there.instrument)
    assert not ((there.pitch - here.pitch - semitones) % 12).any()


@pytest.mark.parametrize("low, high", [(0, 2), (125, 127), (60, 60)])
def test_a_narrow_range_at_the_edge_is_still_played(random_model, low, high):
    """Whatever the transposition that the model works in."""
    pitches = (np.arange(128) >= low) & (np.arange(128) <= high)
    for semitones in (1, 6, 8):
        request = ask(known=MELODY.transpose(semitones), pitches=pitches, instruments=(0,))
        (written,), _ = generate(random_model(), request, seed=1)
        assert len(written) and pitches[written.pitch].all()


def test_late_in_a_piece_only_the_nearby_past_is_read(random_model):
    long = Notes.concat([MELODY.shift(20.0 * i) for i in range(10)])
    history = long.replace(instrument=np.zeros(len(long)))
    for known in (long, history, long + history):
        (written,), fed = generate(random_model(), ask(180.0, 183.0, known), seed=1)
        check_limits(written, ask(180.0, 183.0, known))
        assert len(written) and fed < 300
        assert written == generate(random_model(), ask(180.0, 183.0, known.between(140, 200)), seed=1)[0][0]


def test_work_is_about_a_row_for_each_event(random_model):
    """Events, rests and controls, once each."""
    written, fed = generate(random_model(), ask(instruments=(0,)), takes=2, seed=1)
    known = len(MELODY.between(0, 20))
    assert fed <= sum(map(len, written)) + 2 * (known + 10 + 2)


@pytest.mark.parametrize(
    "more, problem",
    [
        ({"start": 3.0, "end": 3.0}, "span"),
        ({"start": -1.0}, "span"),
        ({"end": float("nan")}, "span"),
        ({"end": float("inf")}, "span"),
        ({"instruments": ()}, "instrument"),
        ({"pitches": np.zeros(128, dtype=bool)}, "pitch"),
        ({"polyphony": 0}, "polyphony"),
        ({"density": -1}, "density"),
    ],
)
def test_a_request_that_cannot_be_met_says_so(more, problem):
    with pytest.raises(RequestError, match=f"^[^\n]*{problem}[^\n]*$"):
        ask(**more)


def test_drums_need_no_pitch(random_model):
    request = ask(instruments=(DRUMS,), pitches=np.zeros(128, dtype=bool))
    (written,), _ = generate(random_model(), request)
    assert len(written) and set(written.instruments) == {DRUMS}


# ---- chords ----------------------------------------------------------------------------------------------------------


def test_chords_that_are_given_are_read(random_model):
    """They change what is written, each take its own, and are not written themselves."""
    charts = [Notes.of([(0, 10, parse_chord(name), CHORD, 64)]) for name in ("C", "F#m", "C")]
    (one, other, _), _ = generate(random_model(), ask(), takes=3, seed=1, charts=charts)
    (given_,), _ = generate(random_model(), ask(known=MELODY + charts[0]), seed=1)
    (plain,), _ = generate(random_model(), ask(), seed=1)
    assert one == given_ != plain and set(one.instruments) <= {0, 33} and len(other)


def test_a_new_bass_begins_its_chords_with_their_roots(random_model, monkeypatch):
    """Always, where nothing else is possible; others do not, nor does one of which notes are known."""
    monkeypatch.setattr(bounds, "OFF_ROOT", 1e-9)
    names = ("C", "F", "Am", "G") * 4
    chart = Notes.of((2.0 * i, 2.0, parse_chord(name), CHORD, 64) for i, name in enumerate(names))

    def share(instrument: int, known: Notes) -> float:
        right = total = 0
        for take in generate(random_model(), ask(0.0, 32.0, known, (instrument,), ranged=True), takes=2, seed=1)[0]:
            under = np.searchsorted(chart.onset, take.onset + 0.03, side="right") - 1
            _, first = np.unique(under, return_index=True)
            right += int((take.pitch[first] % 12 == chart.pitch[under[first]] % 12).sum())
            total += len(first)
        return right / total

    known = MELODY + chart
    assert share(33, known) == share(43, known) == 1  # a contrabass is one, too
    assert share(42, known) < 0.5 and share(33, known + Notes.of([(0.0, 1.0, 40, 33, 80)])) < 0.5


def test_a_new_bass_under_a_tune_plays_no_sixteenths(random_model, monkeypatch):
    """And goes on to another tone, where that is asked for strongly; not where others tell the style."""
    monkeypatch.setattr(bounds, "FINE", 1e-9)
    monkeypatch.setattr(bounds, "STAYS", 1e-9)
    grid = TempoMap.constant(120).beats(40.0)
    runs = Notes.of((0.125 * i, 0.1, 60 + i % 12, 73, 80) for i in range(192))
    guitar = Notes.of((0.5 * i, 0.5, 52, 29, 80) for i in range(48))

    def drawn(known: Notes) -> tuple[bool, bool]:
        """Whether it begins off the halves of a beat, and whether it strikes a pitch twice."""
        request = ask(0.0, 24.0, known + grid, (33,), density=0, places=places(known, grid))
        (take,), _ = generate(random_model(), request, seed=1)
        assert len(take) > 8
        off = abs(take.onset / 0.25 - np.rint(take.onset / 0.25)) > 0.1
        return bool(off.any()), bool((np.diff(take.pitch) == 0).any())

    assert drawn(runs) == (False, False)
    assert drawn(runs + guitar)[0]


def test_new_drums_are_a_kit_that_keeps_to_the_places_of_the_bar(random_model, monkeypatch):
    """Where some are known, they go on as they are, and where a range is asked for they are in that."""
    monkeypatch.setattr(groove, "LIKELY", 1e3 * groove.LIKELY)
    grid = TempoMap.constant(120).beats(40.0)
    conga = Notes.of([(0.0, 0.1, 63, DRUMS, 80)])

    def drawn(known: Notes, **more) -> tuple[int, float]:
        """The highest drum, and how many of the bars that begin with a stroke do with the bass drum."""
        request = ask(0.0, 24.0, known + grid, (DRUMS,), density=0, places=places(known, grid), **more)
        (take,), _ = generate(random_model(), request, seed=1)
        _, first = np.unique(take.onset, return_index=True)
        lowest = take[first[take.onset[first] % 2.0 < 0.01]]
        return int(take.pitch.max()), float(np.isin(lowest.pitch, [35, 36]).mean())

    high, kicks = drawn(MELODY)
    assert high <= 59 and kicks == 1
    high, kicks = drawn(MELODY + conga)
    assert 59 < high <= 63 and kicks < 0.5
    high, kicks = drawn(MELODY, ranged=True)
    assert kicks == 1


def test_drums_are_freer_as_a_phrase_ends(random_model):
    """Also in a bar that leads to the tune, whoever plays there; a bass is not, and drums that are known are not."""
    grid, tune = TempoMap.constant(120).beats(40.0), MELODY.shift(1.5)
    known = tune + grid + Notes.of([(0.0, 1.0, 40, 33, 80)])
    usual = 0.8, 0.95

    def freer(**more) -> list[float]:
        """Seconds, by beats."""
        told = Prompt.of(random_model(), ask(0.0, 20.0, **{"known": known, "instruments": (DRUMS,), **more}))
        begun, steps = told.limits.bias, told.limits.bias.chart.beats[:40, 0]
        return [round(at / 100 + told.origin, 2) for at in steps if bias.freed(begun, int(at), *usual) == (1.6, 0.99)]

    assert freer(tune=tune) == [1.5, 9.5, 17.5] and freer() == [7.5, 15.5]
    assert not freer(instruments=(34,)) and not freer(known=known + Notes.of([(0.0, 0.1, 36, DRUMS, 80)]))


@pytest.mark.parametrize("beats, unit, want", [(3, 4, 3.0), (9, 8, 3.0), (4, 4, 1.0), (2, 4, 1.0), (6, 8, 1.0)])
def test_in_three_the_places_of_the_bar_count_more(random_model, beats, unit, want):
    """Our model has heard few waltzes, and plays four beats over three."""
    known = MELODY + TempoMap(480, ((0, 500_000),), ((0, beats, unit),)).beats(20.0)
    told = Prompt.of(random_model(), ask(0.0, 16.0, known, (DRUMS,))).limits.bias
    plain, stream = replace(told, heed=1.0), s.Stream(told.chart, np.zeros((0, 5), int), 0, np.random.default_rng(0))
    limits = [Limits(0, 1600, np.ones((129, 128), bool), bias=one) for one in (told, plain)]
    odds = [bias.pitch_bias(stream, one, 50, DRUMS) for one in limits]
    np.testing.assert_allclose(odds[0], want * odds[1])
    assert told.groove[50] >= 0


# ---- what a model is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start, first", [(0.0, 0.0), (4.0, 4.0), (0.0, 0.02), (0.0, 0.05), (0.0, 0.4)])
def test_no_stream_opens_with_a_note(random_model, start, first):
    """Training windows hardly do, and where one did the model would not begin with what begins there. At the start of a
    piece it is told that."""
    known = MELODY.shift(first)
    told = Prompt.of(random_model(), ask(start, 20.0, known, (33,)))
    notes = told.rows[np.isin(told.rows[:, s.KIND], s.NOTES)]
    assert notes[0, s.AT] == round(max(LEAD, first - start) * s.STEPS)
    assert bool(told.rows[0, s.VELOCITY]) == (not start) and told.origin <= start


def test_given_notes_of_a_part_that_is_written_are_said_again_in_the_span(random_model):
    """Its past is one line, whoever wrote it. Not the other parts' notes, nor those behind the span."""
    tune = MELODY.replace(instrument=MELODY.instrument * 0 + 33)
    request = ask(4.0, 8.0, MELODY + tune, (33,))
    model = random_model(512)
    _, decoder = drafting.draw(model, [request], [(0,)])
    said = decoder.streams[0].rows
    said = said[said[:, s.KIND] == s.ECHO]
    prompt = Prompt.of(model, request)
    assert len(said) == len(tune.between(4.0, 8.0)) > 0 and set(said[:, s.INSTRUMENT]) == {33}
    assert (said[:, s.PITCH] - prompt.shift).tolist() == tune.between(4.0, 8.0).pitch.tolist()
    model.echoes = False  # as AMT is, which is asked by its own rule
    assert not len(Prompt.of(model, request).echoes)


# ---- the grid undone -------------------------------------------------------------------------------------------------


def test_an_onset_next_to_a_known_one_falls_on_it():
    known = Notes.of([(1.0035, 1, 60, FLUTE, 64), (2.0, 0.3339, 0, BEAT, 64)])
    written = Notes.of([(1.0, 0.5, 60, 0, 64), (1.05, 0.5, 60, 0, 64), (2.11, 0.1, 60, 0, 64), (2.12, 0.1, 60, 0, 64)])
    onset = snapping.snap(written, known, 0.0, 3.0).onset
    np.testing.assert_allclose(onset, [1.0035, 1.05, 2.0 + 0.3339 / 3, 2.12])


def test_nothing_is_moved_out_of_the_span():
    known, written = Notes.of([(3.0, 1, 60, FLUTE, 64)]), Notes.of([(1.0, 1, 60, 0, 64), (2.995, 1, 60, 0, 64)])
    assert snapping.snap(written, known, 1.004, 3.0).onset.tolist() == [1.004, 2.995]


@given(notes(), notes(), st.floats(0, 10), st.floats(0.1, 10))
def test_undoing_the_grid_moves_little_and_makes_no_overlap(written, known, start, length):
    """One voice stays one voice; only what is shorter than the grid may vanish."""
    steps = np.unique(written.onset.round(2))
    line = Notes.of((a, b - a, 60, 0, 64) for a, b in zip(steps[:-1], steps[1:], strict=True))
    line = line.between(start, start + length)
    snapped = snapping.snap(line, known, start, start + length)
    assert ((snapped.onset >= start) & (snapped.onset < start + length) & (snapped.duration > 0)).all()
    assert (snapped.offset[:-1] <= snapped.onset[1:] + EPSILON).all()
    long = line[line.duration > 0.017]
    assert all(abs(snapped.onset - onset).min() <= 0.017 for onset in long.onset)


@given(notes(), st.sampled_from([0.0, -1 / 96]), st.integers(40, 200))
def test_ends_fall_where_those_of_typed_in_notes_do(written, gap, bpm):
    """About as long as they were; where people played, ends stay as they are."""
    grid = TempoMap.constant(bpm).beats(40.0)
    beat = grid.duration[0]
    half = Notes.of((i / 2 * beat, (0.5 + gap) * beat, 60 + i, FLUTE, 80) for i in range(40))
    written = written.audible.between(0.0, 20.0)
    written = written.replace(onset=written.onset.round(2), duration=np.maximum(written.duration.round(2), 0.01))
    snapped = snapping.snap(written, half + grid, 0.0, 20.0, places(half, grid), snapping.ends_of(half, grid))
    late = (snapped.offset / beat - gap) * 24
    at = [abs(late - late.round()) < 1e-3, (abs(snapped.offset[:, None] - snapped.onset) < 1e-6).any(1)]
    assert (at[0] | at[1] | (snapped.duration < beat / 24 + 0.02)).all(), "on a place, with the next note, or short"
    if len(written):
        assert (snapped.sorted().duration <= written.duration.max() * 1.02 + beat / 48 + 0.03).all()
    played = half.replace(duration=np.random.default_rng(0).uniform(0.1, 0.4, len(half)))
    assert snapping.ends_of(played, grid) is None
    left = snapping.snap(written, played + grid, 0.0, 20.0, places(played, grid))
    assert all(abs(written.offset - end).min() <= 0.0081 for end in left.offset)


def test_how_notes_end_is_asked_once_for_a_request(random_model, monkeypatch):
    """However many drafts there are; and all of them end so."""
    grid, asked, gap_of = TempoMap.constant(120).beats(30.0), [], snapping.gap_of
    known = MELODY.replace(duration=MELODY.duration * 0 + 0.375)
    monkeypatch.setattr(snapping, "gap_of", lambda *a: asked.append(a) or gap_of(*a))
    request = ask(known=known + grid, instruments=(0,), places=places(known, grid))
    several, _ = generate(random_model(), request, takes=2, best_of=4)
    assert len(asked) == 1 and all(len(take) for take in several)


def test_ends_are_not_in_each_other_s_way():
    """Notes that touch do so afterwards, and a length that the model knows roughly is the plain one."""
    grid = TempoMap.constant(130).beats(20.0)
    beat = grid.duration[0]
    known = Notes.of((i * beat, beat, 60, FLUTE, 80) for i in range(30))
    steps = (beat / 4 * np.array([8, 10, 14, 22, 42])).round(2)
    length = np.diff(steps) + (0.0, 0.0, 0.0, 0.04)
    line = Notes(steps[:-1], length, [60, 62, 64, 65], [0] * 4, [64] * 4)
    snapped = snapping.snap(line, known + grid, 0.0, 20.0, places(known, grid, 4), snapping.ends_of(known, grid))
    np.testing.assert_allclose(snapped.offset / beat * 4, [10, 14, 22, 42])
    assert (snapped.offset[:-1] <= snapped.onset[1:] + EPSILON).all()


def test_what_is_written_does_not_ring_on(random_model):
    """Longer than a beat, half a second where none is known, or into the next note of its part."""
    beats = TempoMap.constant(100).beats(60)
    later = Notes.of([(10.2, 1.0, 60, 0, 80)])
    for known, most in ((MELODY, 10.5), (MELODY + beats, 10.8), (MELODY + later, 10.2)):
        several, _ = generate(random_model(), ask(known=known, instruments=(0,)), takes=8, seed=1)
        assert 10.0 < max(take.end for take in several) <= most + 1e-6


def test_a_silent_take_is_drawn_anew(random_model, monkeypatch):
    """Where the model rests nearly always, who asks for music gets some in more takes; and a take is still the same
    whatever it shares a batch with."""
    model, request = random_model(rests=8.0), ask(end=2.0, instruments=(0,))
    again, _ = generate(model, request, takes=8, seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(drafting, "INSIST", 0)
        first, _ = generate(model, request, takes=8, seed=3)
    silent = [i for i, take in enumerate(first) if not len(take)]
    assert silent and all(len(take) for take in again)
    assert all(again[i] == take for i, take in enumerate(first) if len(take))
    assert again[:3] == generate(model, request, takes=3, seed=3)[0]


def test_who_is_silent_rests_less_each_time(random_model, monkeypatch):
    """And the longer the less. Nothing is written here: the model rests."""
    seen, draw = [], drafting.draw
    monkeypatch.setattr(drafting, "draw", lambda *a: seen.append(a[3]) or draw(*a))
    monkeypatch.setattr(drafting, "INSIST", 2)
    generate(random_model(rests=60.0), ask(end=1.0, instruments=(0,)))
    assert [one.rest for one in seen] == pytest.approx([1.0, 0.1, 0.01])
    assert {one.patience for one in seen} == {drafting.PATIENCE}


@pytest.mark.parametrize(
    "who, beside, on_grid, odds",
    [(48, None, True, 0.5), (48, 33, True, 0.5), (48, 0, True, 1.0), (33, 0, True, 0.5), (DRUMS, 0, True, 0.5),
     (0, 0, True, 0.5), (48, None, False, 1.0)],
)  # fmt: skip
def test_who_knows_the_beats_rests_less_but_beside_chords(random_model, who, beside, on_grid, odds):
    """A second lead leaves room. Who keeps time does not, nor who goes on."""
    grid = TempoMap.constant(120).beats(30.0)
    known = MELODY.replace(instrument=np.full(len(MELODY), 53)) + grid
    known += Notes.of((i / 2, 0.4, 60, beside, 80) for i in range(40) if beside is not None)
    at = places(MELODY, grid, 4) if on_grid else None
    request = ask(known=known, instruments=(who,), places=at, tune=habits.lone_tune(MELODY))
    assert Prompt.of(random_model(), request).limits.rest == odds


def test_each_part_in_turn_is_told_the_others_and_none_is_left_out(random_model):
    """A take still is what it is alone, the first part whoever follows it; chord symbols come with the first."""
    model = random_model(rests=2.0)
    several, fed = generate(model, ask(instruments=(33, 0, DRUMS)), takes=3, seed=3)
    assert all(set(take.instruments) == {0, 33, DRUMS} for take in several) and several[0] != several[1]
    assert generate(model, ask(instruments=(33, 0, DRUMS)), seed=3)[0] == several[:1]
    for take in several:
        check_limits(take, ask(instruments=(0, 33, DRUMS)))
    (bass,), alone = generate(model, ask(instruments=(33,)), seed=3)
    assert several[0].of_instruments([33]) == bass and fed > 3 * alone
    piano = several[0].of_instruments([0])
    told, _ = drafting.draw(
        model, [ask(known=MELODY + bass, instruments=(0,), tune=MELODY.between(0.0, 10.0))], [(3, 0, 1)]
    )
    assert told == [piano]
    (chords,), _ = generate(model, ask(instruments=(33, CHORD, 0)), seed=3)
    assert set(chords.instruments) == {0, 33, CHORD}


@pytest.mark.parametrize(
    "more, instruments, heard",
    [
        ({}, (0, 33, DRUMS), [{FLUTE}, {0}, {33}]),
        ({}, (33, 0, DRUMS), [{FLUTE}, {FLUTE, 33}, {33}]),  # a bass without company hears the tune
        ({}, (DRUMS, 0), [set(), {FLUTE, DRUMS}]),
        ({"places": None}, (0, 33, DRUMS), [{FLUTE}, {FLUTE, 0}, {FLUTE, 0, 33}]),  # without beats
        ({"known": [(25.0, 0.1, 36, DRUMS, 80)]}, (DRUMS,), [{FLUTE, DRUMS}]),  # who is not new
        (
            {"known": [(1.0, 0.5, 52, FLUTE, 80), (25.0, 0.9, 60, 0, 80)]},
            (33, DRUMS),
            [{FLUTE, 0}, {33}],
        ),  # no lone tune
    ],
)
def test_a_new_rhythm_section_hears_itself(random_model, asked, more, instruments, heard):
    """Beside a tune, which the model takes for music without them, drums and basses were silent for bars on end."""
    grid, model = TempoMap.constant(120).beats(30.0), random_model(rests=-1.0)
    chords = Notes.of([(0.0, 30.0, 0, CHORD, 64)])
    known = MELODY + Notes.of(more.get("known", [])) + grid + chords
    at = places(MELODY, grid, 4) if "places" not in more else None
    generate(model, ask(known=known, end=20.0, instruments=instruments, places=at), seed=3)
    assert [set(Prompt.of(model, one).controls[:, 1].tolist()) for one in asked] == heard
    assert [one.style for one in asked][-1] == ("drums" if heard[-1] in (set(), {33}) else "unknown")
    for one in asked:
        assert {*MELODY.instruments, CHORD, BEAT} <= set(one.known.instruments)  # by which the rest still goes
        assert len(Prompt.of(model, one).chart.beats) and bool(len(Prompt.of(model, one).chart.chords)) == (
            one.style != "drums"
        )


@pytest.mark.parametrize("style, want", [("unknown", ["unknown", "band", "drums"]), ("folk", ["folk"] * 3)])
def test_a_style_that_is_asked_for_is_everybodys(random_model, monkeypatch, style, want):
    asked, draw = [], drafting.draw
    monkeypatch.setattr(drafting, "draw", lambda m, several, *rest: asked.extend(several) or draw(m, several, *rest))
    grid = TempoMap.constant(120).beats(30.0)
    more = {"instruments": (0, 33, DRUMS), "places": places(MELODY, grid, 4), "style": style}
    generate(random_model(rests=-1.0), ask(known=MELODY + grid, end=20.0, **more), seed=3)
    assert [one.style for one in asked] == want
    assert [bool(one.unheard) for one in asked] == [False, True, True]


def test_new_parts_divide_beats_as_the_known_ones_do(random_model, monkeypatch):
    """Beside a tune of quarters, where a model that knows nothing would begin anywhere."""
    grid = TempoMap.constant(120).beats(30.0)
    at = places(MELODY, grid, 4)
    request = ask(known=MELODY + grid, end=20.0, instruments=(0,), places=at)
    on_beat = []
    for seldom in (habits.SELDOM, habits.USUAL):
        monkeypatch.setattr(habits, "SELDOM", seldom)
        (written,), _ = generate(random_model(), request)
        on_beat.append((abs(written.onset * 2 - (written.onset * 2).round()) < 0.02).mean())
    assert on_beat[0] > 1.5 * on_beat[1]


def test_chords_stay_under_a_lone_tune(random_model, monkeypatch):
    """Of who plays chords and is new, also in a later turn. Another line may be over it, and chords over chords."""
    tune, brass = MELODY.transpose(-12), 61
    asked = [(tune, (brass,)), (tune, (40, brass)), (tune, (40,)), (tune + tune.transpose(4), (brass,))]

    def above(known, instruments) -> float:
        (written,), _ = generate(random_model(), ask(known=known, instruments=instruments), seed=1)
        return float((written.of_instruments(instruments[-1:]).pitch > 59).mean())

    under = [above(*each) for each in asked]
    monkeypatch.setattr(bias, "OVER", 1.0)
    free = [above(*each) for each in asked]
    assert max(under[:2]) < 0.3 < min(free[:2]) and under[2:] == free[2:]


@pytest.mark.parametrize(
    "tune, bass, who, written",
    [(53, False, 24, {0}), (53, False, 33, {33}), (53, True, 24, {0}), (0, False, 24, {24}), (53, False, 30, {30}),
     (53, False, 19, {0}), (53, False, 52, {52, 89}), (53, False, 48, {52, 89}), (52, False, 48, {89}),
     (48, False, 48, {48}), (53, True, 48, {52, 89}), (53, False, 61, {61})],
)  # fmt: skip
def test_under_nothing_but_a_tune_chords_are_written_as_another_s(random_model, asked, tune, bass, who, written):
    """A pianist's, or a choir's and a pad's in turn. They are its own in the end: in the range of a guitar, on its six
    strings; in that of a choir."""
    known = MELODY.replace(instrument=np.full(len(MELODY), tune))
    known += Notes.of((float(i), 0.9, 36, 33, 80) for i in range(20 * bass))
    (take,), _ = generate(random_model(), ask(known=known, instruments=(who,)), seed=3, best_of=2)
    assert {one for each in asked for one in each.instruments} == written
    assert set(take.instruments) == {who}
    if who == 24:
        assert 40 <= take.pitch.min() and take.pitch.max() <= 83
        assert habits.at_once(take) <= 6
    elif written == {0}:
        assert habits.at_once(take) <= 8
    if who == 52:
        assert 40 <= take.pitch.min() and take.pitch.max() <= 84


def test_public_weights_write_guitars_as_such(random_amt, asked):
    generate(random_amt(), ask(end=2.0, instruments=(24,)), seed=3)
    assert {one.instruments for one in asked} == {(24,)}


@pytest.mark.parametrize("family", ["event", "amt"])
def test_one_hand_keeps_off_the_keys_of_the_other(random_model, random_amt, monkeypatch, family):
    """As it is drawn: none has to be left out. Who plays another instrument is in nobody's way."""
    model, drawn = random_model() if family == "event" else random_amt(), []
    monkeypatch.setattr(prompt, "on_free_keys", lambda *told: drawn.append(told) or on_free_keys(*told))
    tune = MELODY.transpose(3)  # in E flat; the model is told it in C
    keys = [pitch for pitch in range(40, 80) if pitch % 12 in tune.pitch % 12]
    hand = Notes.of((0.5 * i, 0.5, pitch, 0, 80) for i in range(40) for pitch in keys[i % 2 :: 2])
    known = tune + hand.replace(instrument=hand.instrument + FLUTE)
    request = ask(known=known, instruments=(0,), pitches=np.isin(np.arange(128), keys))
    (new,), _ = generate(model, replace(request, beside=hand), seed=1)
    assert len(drawn) == 1 and len(drawn[0][0]) == len(new) > 0 and on_free_keys(new, hand) == new
    (free,), _ = generate(model, request, seed=1)
    assert len(on_free_keys(free, hand)) < len(free)
    assert generate(model, replace(request, beside=known), seed=1)[0] == [free]


def test_one_voice_that_is_asked_for_makes_room_for_the_next_note(random_model):
    """A note that reached a little over the next place would have the next one wait for the place after that."""
    request = ask(instruments=(0,), places=np.arange(0.0, 10.0, 0.125), polyphony=1)
    model = random_model()
    _, decoder = drafting.draw(model, [request] * 16, [(0, n) for n in range(16)])
    nearest = Prompt.of(model, request).limits.nearest
    rows = np.concatenate([stream.written for stream in decoder.streams])
    end = rows[:, s.CLOCK] + rows[:, s.DURATION]
    rows, end = rows[end < len(nearest)], end[end < len(nearest)]
    over = (nearest[end] > rows[:, s.CLOCK]) & (end > nearest[end]) & (end <= nearest[end] + BEYOND)
    assert len(rows) > 40 and not over.sum()


def test_a_verse_that_comes_again_is_accompanied_as_it_was(random_model, monkeypatch):
    """Note for note where another one is dear; not by a part of which something is known already."""
    rng, beats = np.random.default_rng(0), TempoMap.constant(150.0).beats(48.0)[:120]
    verse, other = (Notes.of((0.4 * i, 0.4, int(rng.integers(60, 84)), FLUTE, 80) for i in range(40)) for _ in range(2))
    melody = verse + other.shift(16.0) + verse.shift(32.0)
    piece = melody + beats + Notes.of([(0.0, 48.0, 0, CHORD, 64)])
    request = ask(0.0, 48.0, piece, (0,), places=places(melody, beats), density=4)
    model = random_model()

    def likeness(price: float) -> float:
        monkeypatch.setattr(precedent, "ANEW", price)
        (written,), _ = generate(model, request, seed=1)
        matched, count = note_f1(written.between(0, 15.9), written.between(32.0, 47.9).shift(-32.0))
        return matched / count

    assert likeness(0.0) < 0.3 and likeness(20.0) > 0.9
    mine = replace(request, before=counterparts(melody + beats, request.places))
    known = piece + Notes.of([(1.0, 1.0, 50, 0, 80)])
    assert Prompt.of(model, mine).limits.bias.precedent is not None
    assert Prompt.of(model, replace(mine, known=known)).limits.bias.precedent is None


def test_a_hole_is_filled_as_the_piece_goes_elsewhere(random_model, monkeypatch):
    """Note for note where another one is dear. Not where notes of the part give way, where something of it is known
    within, where it does not play on both sides, or where notes may begin anywhere."""
    beats = TempoMap.constant(120.0).beats(32.0)
    riff = Notes.of((0.5 * i, 0.4, 36 + (0, 3, 7, 5, 10)[i % 16 % 5], 33, 80) for i in range(64))
    known = riff.between(0, 16.0) + riff.between(24.0, 32.0)
    music = MELODY.between(0, 8.0)
    music = music + music.shift(8.0) + music.shift(16.0) + music.shift(24.0) + beats
    request, model = ask(16.0, 24.0, music + known, (33,), places=places(music.audible, beats)), random_model()

    def likeness(price: float) -> float:
        monkeypatch.setattr(precedent, "OTHERWISE", price)
        matched, count = note_f1(generate(model, request, seed=1)[0][0], riff.between(16.0, 24.0))
        return matched / count

    assert likeness(0.0) < 0.4 and likeness(20.0) > 0.9
    for told in (
        {"gone": riff.between(16.0, 24.0)},
        {"known": request.known + riff.between(16.0, 17.0)},
        {"known": music + riff.between(0, 16.0)},
        {"known": music},
        {"places": None},
    ):
        assert Prompt.of(model, replace(request, **told)).limits.bias.precedent is None
    other = replace(request, gone=MELODY.between(16.0, 20.0))
    assert Prompt.of(model, other).limits.bias.precedent == Prompt.of(model, request).limits.bias.precedent


def test_what_comes_in_place_of_something_comes_where_it_was(random_model, monkeypatch):
    """At no other time where that is dear, and never in a rest; no more notes of a chord, among those that stay as the
    old ones lay (a model that knows nothing draws many a note out of order, which goes); not the same pitches."""
    beats, rng = TempoMap.constant(120.0).beats(32.0), np.random.default_rng(1)
    chords = [(0.5 * i, 0.4, pitch + i % 2, 0, 80) for i in range(64) if i % 16 < 10 for pitch in (48, 55, 60, 64)]
    piece = Notes.of(chords)
    stays = rng.random(len(piece)) < 0.5
    known, gone = piece[stays] + beats, piece[~stays]
    request = ask(0.0, 32.0, known, (0,), places=places(known.audible, beats), gone=gone, instead=True, density=0)
    model = random_model()

    def written(price: float, same: float, **told) -> Notes:
        monkeypatch.setattr(precedent, "OTHERWISE", price)
        monkeypatch.setattr(precedent, "SAME", same)
        return generate(model, replace(request, **told), seed=1)[0][0]

    free, near, other = written(0.0, 0.0), written(30.0, 0.0), written(30.0, 30.0)
    assert not at_rest(piece, beats, free.onset + 0.01).any()
    assert at_rest(piece, beats, written(0.0, 0.0, instead=False).onset + 0.01).any()
    assert np.isin(near.onset.round(2), gone.onset).all() and not np.isin(free.onset.round(2), gone.onset).all()
    for when in np.unique(near.onset.round(2)):
        new, old, given = (some.pitch[abs(some.onset - when) < 0.01] for some in (near, gone, known.audible))
        new, old = (np.bincount(np.searchsorted(given, some), minlength=len(given) + 1) for some in (new, old))
        assert (new <= old).all()
    assert len(near) > 20
    assert len(other) and not (set(zip(other.onset.round(2), other.pitch, strict=True))
                               & set(zip(gone.onset.round(2), gone.pitch, strict=True)))  # fmt: skip


def test_progress_goes_on_over_all_parts(random_model):
    seen: list[tuple[float, float]] = []
    generate(random_model(), ask(end=4.0), progress=lambda *now: seen.append(now))
    shares = [reached / asked for reached, asked in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0 and any(0.3 < share <= 0.5 for share in shares)


@pytest.mark.parametrize("top_p, temperature", [(0.9, 1e-6), (1.0, 1e-6)])
def test_cold_sampling_has_one_answer(random_model, top_p, temperature):
    """Whatever the seed."""
    takes, _ = generate(random_model(), ask(end=3.0), takes=2, sampling=Sampling(temperature, top_p))
    assert takes[0] == takes[1]


def test_a_note_that_rings_into_the_span_takes_up_a_voice(random_model):
    held = Notes.of([(0.0, 0.5, 36, 33, 80), (3.0, 3.0, 40, 33, 80)])
    several, _ = generate(random_model(), ask(4.0, 8.0, MELODY + held, (33,)), takes=6, seed=1)
    assert all(len(take) and take.onset.min() > 5.9 for take in several)


def test_one_voice_stays_one(random_model):
    """Of a tune of which every other note is known; a note gives way to the next known one. Who plays chords elsewhere
    may play them here, but no thicker in a hole, and `polyphony` says otherwise."""
    tune = MELODY.replace(instrument=MELODY.instrument * 0)
    (written,), _ = generate(random_model(), ask(known=tune[::2], instruments=(0,)), seed=1)
    both = (written + tune[::2].between(0.0, 10.0)).sorted()
    assert len(written) > 4 and (np.diff(both.onset) > 0).all()
    assert (both.offset[:-1] <= both.onset[1:] + LEGATO + 0.011).all()
    across = (written.onset[:, None] < tune[::2].onset) & (written.offset[:, None] > tune[::2].onset + EPSILON)
    assert not across.any()
    (free,), _ = generate(random_model(), ask(known=tune[::2], instruments=(0,), polyphony=8), seed=1)
    assert (free.offset[:-1] > free.onset[1:] + LEGATO + 0.011).any(), "else the law above says nothing"
