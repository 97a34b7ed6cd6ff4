"""Laws of the AMT family behind the decoder, with a random model as the fuzzer. Each known defect of the public sampler
has its test here, but for repeated notes that are cut (test_midi.py)."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import notes

from anticipation.errors import RequestError
from anticipation.infilling.drafting import draw, generate
from anticipation.infilling.request import Infill
from anticipation.model import amt
from anticipation.model import stream as s
from anticipation.model.decode import Decoder
from anticipation.model.grammar import Limits, nearest_place, pitch_table
from anticipation.model.lanes import AmtLanes
from anticipation.music.notes import DRUMS, Notes

BAND = pitch_table([0, 33, DRUMS])
NONE = s.quantise(Notes.of([]))


def begin(controls=NONE, events=NONE, cold=True, seed=0) -> tuple[s.Stream, np.ndarray]:
    header, chart = s.Header(amt.DELTA, cold=cold), s.Chart.of(Notes.of([]))
    stream = s.Stream(chart, controls, amt.DELTA, np.random.default_rng(seed), ordered=False)
    return stream, s.interleave(events, controls, chart, header)


def check(decoder: Decoder) -> None:
    """Each cache holds the published encoding of its rows, and the last state is that of a full forward pass."""
    lanes = decoder.lanes
    decoder.read(range(len(decoder.streams)))
    for i, stream in enumerate(decoder.streams):
        rows = stream.rows
        start = int(rows[:, s.AT].min())
        tokens = [amt.ANTICIPATE if len(stream.controls) else amt.AUTOREGRESS]
        tokens += [amt.SEPARATOR] * 3 * int(rows[0, s.VELOCITY])
        tokens += amt.encode(rows, start).reshape(-1).tolist()
        assert lanes.tokens[i] == tokens and len(tokens) <= amt.CONTEXT - 3
        full = decoder.model.trunk(torch.tensor([tokens]))[0, -1]
        torch.testing.assert_close(lanes.state[i], full, atol=2e-4, rtol=1e-4)


pieces = notes(max_size=25).map(lambda n: begin(events=s.quantise(n, strokes=False))[1])


@settings(max_examples=25)
@given(st.lists(st.tuples(pieces, pieces, st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=4))
def test_the_cache_says_what_the_rows_say_after_any_syncs(random_amt, visits):
    (one, first), (two, _) = begin(), begin(seed=1)
    decoder, wanted = Decoder(random_amt(), [one, two]), [first, first]
    for fresh, other, kept, draws in visits:
        wanted = [np.concatenate([wanted[0][: 1 + kept], fresh[1:]]), other]
        decoder.sync(wanted)
        check(decoder)
        for _ in range(draws):
            decoder.next_event([Limits(0, 1 << 30, BAND), None])
            check(decoder)


def test_only_what_differs_is_fed_and_a_note_costs_three_tokens(random_amt):
    rows = begin(events=s.quantise(Notes.of([(i, 1, 60, 0, 64) for i in range(20)])))[1]
    other = rows.copy()
    other[15, s.PITCH] = 61
    decoder = Decoder(random_amt(), [begin()[0]])
    for wanted, fed in ((rows[:10], 4 + 27), (rows, 33), (rows, 0), (other, 16), (other, 0)):
        before = decoder.fed
        decoder.sync([wanted])
        decoder.read([0])
        assert decoder.fed - before == fed
    spent = 0
    for _ in range(10):
        before = decoder.fed
        decoder.next_event([Limits(0, 1 << 30, BAND)])
        decoder.read([0])
        spent += decoder.fed - before
    assert spent == 30
    check(decoder)


@settings(max_examples=30)
@given(st.sets(st.sampled_from([0, 24, 33, DRUMS]), min_size=1), notes(max_size=20), st.integers(0, 99),
       st.none() | st.integers(1, 3), st.none() | st.integers(1, 6), st.none() | st.integers(3, 150),
       st.sampled_from([0.0, 0.5]))  # fmt: skip
def test_what_is_drawn_is_grammatical_and_inside_the_limits(
    random_amt, instruments, known, seed, polyphony, density, period, rests
):
    """No rest in the slot of a time or a duration, no control, no separator, no time before the clock."""
    stream, first = begin(s.quantise(known), seed=seed)
    nearest = None if period is None else nearest_place(np.arange(0, 900, period), 700)
    most = (dict.fromkeys(instruments, limit or 0) for limit in (polyphony, density))
    limits = Limits(100, 700, pitch_table(instruments), *most, nearest)
    decoder = Decoder(random_amt(rests=rests), [stream])
    decoder.sync([first])
    while stream.clock < limits.end:
        before, (row,) = stream.clock, decoder.next_event([limits])
        assert before <= row[s.CLOCK] <= before + s.REST
        rest = row[s.KIND] == s.REST_KIND
        assert rest == (row[s.DURATION] == 0) and (not rest or row[s.CLOCK] == before + s.REST)
    drawn = np.array(stream.written, dtype=np.int64).reshape(-1, len(s.COLUMNS))
    onset, instrument, pitch, duration = drawn[:, [s.AT, s.INSTRUMENT, s.PITCH, s.DURATION]].T
    assert ((onset >= limits.start) & (onset < limits.end)).all() and limits.table[instrument, pitch].all()
    assert period is None or not (onset % period).any()
    assert len({*zip(onset.tolist(), instrument.tolist(), pitch.tolist(), strict=True)}) == len(drawn)
    for at, who in zip(onset, instrument, strict=True):
        sounding = (instrument == who) & (onset <= at) & (at < onset + duration)
        assert polyphony is None or sounding.sum() <= polyphony
        lately = (instrument == who) & (onset > at - s.STEPS) & (onset <= at)
        assert density is None or lately.sum() <= density
    check(decoder)


def test_streams_slide_for_ever_side_by_side(random_amt):
    """By the count of their rows, and by the 100 s that a window can tell: rests outlast them."""
    model = random_amt(rests=0.6)
    busy, sparse = begin(s.quantise(Notes.of([(2.0 * i, 1, 72, 73, 80) for i in range(200)]))), begin(seed=1)
    decoder = Decoder(model, [busy[0], sparse[0]])
    decoder.sync([busy[1], sparse[1]])
    limits = Limits(0, 40_000, BAND), Limits(0, 90_000, BAND, density=dict.fromkeys((0, 33, DRUMS), 1))
    slides = [0, 0]
    while busy[0].clock < 40_000 or sparse[0].clock < 90_000:
        base = list(decoder.base)
        decoder.next_event([told if stream.clock < told.end else None
                            for stream, told in zip(decoder.streams, limits, strict=True)])  # fmt: skip
        slides = [n + (a != b) for n, a, b in zip(slides, base, decoder.base, strict=True)]
        assert all(len(stream.rows) <= 340 for stream in decoder.streams)
        if base != decoder.base:
            check(decoder)
    assert min(slides) >= 4


def test_a_window_of_few_rows_that_spans_too_long_is_halved(random_amt):
    rows = s.event_rows(NONE, until=101 * s.STEPS)
    lanes = AmtLanes(random_amt(), 1)
    assert lanes.excess(rows[:90]) == 0 and np.ptp(rows[lanes.excess(rows) :, s.AT]) <= lanes.ROOM // 2


@pytest.mark.parametrize("takes", [2, 3])
def test_a_take_does_not_depend_on_its_neighbours(random_amt, takes):
    request = Infill(Notes.of([(0.5 * i, 0.45, 72 + i % 5, 73, 80) for i in range(20)]), 0.0, 8.0, (0,))
    several, decoder = draw(random_amt(), [request] * takes, [(5, take) for take in range(takes)])
    check(decoder)
    assert several == generate(random_amt(), request, takes=takes, seed=5)[0]
    assert generate(random_amt(), request, seed=5)[0][0] == several[0] and several[0] != several[1]
    prompt = 1 + 3 * (1 + int((request.known.onset <= 5).sum()))
    assert decoder.fed < prompt + 3 * takes * (
        20 + max(map(len, several)) + 8
    )  # the prompt once, not three times a note


# ---- what the public sampler gets wrong ------------------------------------------------------------------------------


def test_a_control_in_the_first_50_ms_is_heard(random_amt):
    """It was clipped: five seconds were read as five ticks."""
    melody = Notes.of([(0.0, 0.5, 60, 73, 80), (0.03, 0.5, 64, 73, 80), (0.5, 0.5, 67, 73, 80)])
    _, decoder = draw(random_amt(), [Infill(melody, 0.0, 1.0, (0,))], [(0,)])
    heard = [token - amt.CONTROL_NOTE.start for token in decoder.lanes.tokens[0] if token in amt.CONTROL_NOTE]
    assert [note % 128 for note in heard] == [60, 64, 67] and decoder.lanes.tokens[0][0] == amt.ANTICIPATE


@pytest.mark.parametrize("start, end, written", [(0, 1, False), (50, 51, True), (49, 50, False), (20, 51, True)])
def test_the_span_is_half_open(random_amt, start, end, written):
    """A model that wants to write at 0.50 s may do so where the span begins there, and not where it ends there."""
    model = copy.deepcopy(random_amt())
    model.ln_f.bias[:], model.wte.weight[amt.TIME.start + 50] = 3.0, 1.0
    stream, first = begin()
    decoder = Decoder(model, [stream])
    decoder.sync([first])
    while stream.clock < end:
        decoder.next_event([Limits(start, end, pitch_table([0]))])
    assert [int(row[s.AT]) for row in stream.written[:1]] == [50] * written


def test_seventeen_instruments_are_a_band_like_any_other(random_amt):
    known = Notes.of([(0.1 * i, 0.5, 60, i, 80) for i in range(17)] + [(0.2, 0.1, 36, DRUMS, 90)])
    (written,), _ = generate(random_amt(), Infill(known, 1.0, 8.0, tuple(range(20, 50))), seed=1)
    assert len(written.instruments) > 5


def test_a_piece_that_begins_is_told_so_and_needs_no_reference(random_amt):
    melody = Notes.of([(0.5 * i, 0.4, 72, 73, 80) for i in range(8)])
    _, decoder = draw(random_amt(), [Infill(melody, 0.0, 1.0, (0,))], [(0,)])
    assert decoder.lanes.tokens[0][1:4] == [amt.SEPARATOR] * 3
    _, decoder = draw(random_amt(), [Infill(melody.shift(20.0), 20.0, 21.0, (0,))], [(0,)])
    assert amt.SEPARATOR not in decoder.lanes.tokens[0]


def test_velocities_follow_what_is_known(random_amt):
    known = Notes.of([(0.0, 0.5, 60, 73, 30), (2.0, 0.5, 60, 73, 110)])
    (written,), _ = generate(random_amt(), Infill(known, 0.0, 4.0, (0,)), seed=3)
    assert set(written.velocity[written.onset < 1.98].tolist()) == {30}
    assert set(written.velocity[written.onset >= 2.0].tolist()) == {110}
    (alone,), _ = generate(random_amt(), Infill(Notes.of([]), 0.0, 4.0, (0,)), seed=3)
    assert set(alone.velocity.tolist()) == {64}


def test_weights_without_anticipation_refuse_controls_and_continue(random_amt):
    model = random_amt(anticipation=False)
    melody = Notes.of([(0.5 * i, 0.4, 72, 73, 80) for i in range(8)])
    with pytest.raises(RequestError, match="without anticipation"):
        generate(model, Infill(melody, 0.0, 4.0, (0,)))
    (written,), decoder = draw(model, [Infill(melody, 4.0, 8.0, (0,))], [(1,)])
    assert len(written) and decoder.lanes.tokens[0][0] == amt.AUTOREGRESS
    assert sum(token in amt.CONTROL_NOTE for token in decoder.lanes.tokens[0]) == 0
