"""Laws of the decoder, with a random model as the fuzzer: what it draws is grammatical and inside the limits, the cache
says what the rows say, a stream slides for ever, and no row is fed that need not be."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import notes

from anticipation.model import bias, features
from anticipation.model import stream as s
from anticipation.model.decode import Decoder, window_of
from anticipation.model.event import Config, EventModel
from anticipation.model.grammar import PERCUSSION, Limits, nearest_place, pitch_table, silence
from anticipation.model.lanes import outliers
from anticipation.model.sampling import Sampling, nucleus
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes

EMPTY = s.quantise(Notes.of([]))
GRID = s.Chart.of(Notes.of([(0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(80)]))


def begin(controls=EMPTY, chart=GRID, header=None, seed=0, events=EMPTY, echoes=EMPTY) -> tuple[s.Stream, np.ndarray]:
    header = header or s.Header()
    stream = s.Stream(chart, controls, header.delta, np.random.default_rng(seed), echoes=echoes)
    return stream, s.interleave(events, controls, chart, header)


def run(model, streams: list[s.Stream], first: list[np.ndarray], limits: Limits, sampling=None) -> Decoder:
    """Draw until every stream has reached the end."""
    decoder = Decoder(model, streams, sampling)
    decoder.sync(first)
    while any(stream.clock < limits.end for stream in streams):
        decoder.next_event([limits if stream.clock < limits.end else None for stream in streams])
    return decoder


def full_state(model: EventModel, rows: np.ndarray) -> torch.Tensor:
    """The state of the last row, without a cache."""
    time = (torch.from_numpy(rows[:, column] - rows[0, s.CLOCK])[None] for column in (s.CLOCK, s.AT))
    return model.trunk(torch.from_numpy(features.row_features(rows))[None], *time)[0, -1]


def check_states(decoder: Decoder) -> None:
    decoder.read(range(len(decoder.streams)))
    for stream, state in zip(decoder.streams, decoder.lanes.state, strict=True):
        torch.testing.assert_close(state, full_state(decoder.model, stream.rows), atol=1e-4, rtol=0)


@st.composite
def limits(draw) -> Limits:
    instruments = draw(st.sets(st.sampled_from([0, 24, 33, DRUMS, CHORD]), min_size=1))
    pitches = np.isin(np.arange(128), draw(st.none() | st.sets(st.integers(0, 127), max_size=12)) or np.arange(128))
    start, length = draw(st.integers(0, 500)), draw(st.integers(1, 800))
    polyphony, density = (dict.fromkeys(instruments, draw(st.integers(0, 4))) for _ in range(2))  # 0: any number
    places = draw(st.none() | st.sets(st.integers(0, 1500), max_size=60))
    nearest = None if places is None else nearest_place(np.array(sorted(places), dtype=np.int64), start + length)
    return Limits(start, start + length, pitch_table(instruments, pitches), polyphony, density, nearest)


# ---- what is drawn ---------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(limits(), notes(max_size=20), st.integers(0, 99), st.sampled_from([0.2, 1.0, 5.0]), st.integers(-50, 500))
def test_what_a_random_model_draws_is_inside_the_limits(random_model, limits, known, seed, heat, delta):
    stream, first = begin(s.quantise(known), header=s.Header(delta), seed=seed)
    run(random_model(64), [stream], [first], limits, Sampling(heat))
    drawn = np.array(stream.written, dtype=np.int64).reshape(-1, len(s.COLUMNS))
    onset, instrument, pitch, duration = drawn[:, [s.AT, s.INSTRUMENT, s.PITCH, s.DURATION]].T
    assert ((onset >= limits.start) & (onset < limits.end)).all()
    assert limits.table[instrument, pitch].all()
    assert limits.nearest is None or (limits.nearest[onset] == onset).all()
    assert np.isin(pitch[instrument == DRUMS], PERCUSSION).all()
    cut = np.zeros(len(drawn), dtype=bool)  # one voice ends at the next place
    if limits.nearest is not None:
        alone = [limits.polyphony[i] == 1 for i in instrument.tolist()]
        cut[alone] = np.isin(onset + duration, np.unique(limits.nearest))[alone]
    assert (np.isin(duration, features.DURATIONS) | cut).all()
    assert ((drawn[:, s.VELOCITY] > 0) & (drawn[:, s.VELOCITY] < 128)).all()
    note = instrument != CHORD
    for at, who in zip(onset[note], instrument[note], strict=True):
        sounding = note & (instrument == who) & (onset <= at) & (at < onset + duration)
        assert sounding.sum() <= (limits.polyphony[int(who)] or np.inf)
        last_second = note & (instrument == who) & (onset > at - s.STEPS) & (onset <= at)
        assert last_second.sum() <= (limits.density[int(who)] or np.inf)


@settings(max_examples=40)
@given(
    limits(),
    notes(max_size=20, instruments=st.sampled_from([0, 24, 33])),
    st.integers(0, 99),
    st.sampled_from([0, 300]),
)
def test_given_notes_of_a_part_are_said_in_their_places_whatever_is_drawn(random_model, limits, known, seed, delta):
    table = s.quantise(known)
    echoes = table[(table[:, 0] < limits.end) & (table[:, 1] < 30)]
    stream, first = begin(table, header=s.Header(delta), seed=seed, echoes=echoes)
    run(random_model(512), [stream], [first], limits)
    said = stream.rows[stream.rows[:, s.KIND] == s.ECHO][:, [s.AT, s.INSTRUMENT, s.PITCH, s.DURATION, s.VELOCITY]]
    np.testing.assert_array_equal(said, echoes)
    written = np.array(stream.written, dtype=np.int64).reshape(-1, len(s.COLUMNS))
    events = written[:, [s.AT, s.INSTRUMENT, s.PITCH, s.DURATION, s.VELOCITY]]
    # What is drawn soon after a rest may be moved to a place at the rest's very end; written out, that is one shift.
    assume(not np.isin(events[:, 0], stream.rows[stream.rows[:, s.KIND] == s.REST_KIND, s.CLOCK]).any())
    whole = s.interleave(events, table, GRID, s.Header(delta), echoes=echoes, until=stream.clock)
    np.testing.assert_array_equal(stream.rows, whole)


def test_what_lies_behind_an_echo_only_says_that_the_echo_is_next():
    """A model that wants a note at 40 steps and no other, and a given note after 20: the note comes after it."""
    model = EventModel(Config(depth=1, window=64)).requires_grad_(False)
    model.logits[0].bias[40] = 50.0
    known = s.quantise(Notes.of([(0.2, 0.1, 60, 0, 64)]))
    stream, first = begin(known, echoes=known)
    decoder = Decoder(model, [stream])
    decoder.sync([first])
    rows = [decoder.next_event([Limits(0, 200, pitch_table([0]))])[0] for _ in range(2)]
    assert [(row[s.KIND], row[s.CLOCK]) for row in rows] == [(s.ECHO, 20), (s.EVENT, 60)]
    assert len(stream.written) == 1


@settings(max_examples=40)
@given(limits(), st.integers(0, 99))
def test_every_draw_moves_on(random_model, limits, seed):
    """A rest moves the clock by a second; an event moves it, or is above the last event of its tick (chords below all):
    so no set of limits hangs."""
    stream, first = begin(seed=seed)
    decoder = Decoder(random_model(64), [stream], Sampling())
    decoder.sync([first])
    before = (0, -2, -1)
    while stream.clock < limits.end:
        (row,) = decoder.next_event([limits])
        rank = -2 if row[s.KIND] == s.REST_KIND else -1 if row[s.INSTRUMENT] == CHORD else row[s.INSTRUMENT]
        after = (row[s.CLOCK], rank, row[s.PITCH])
        assert after > before
        before = after


def test_a_model_that_wants_all_notes_at_once_still_comes_to_an_end():
    model = EventModel(Config(depth=1, window=64))  # every field but the shift is drawn evenly
    with torch.no_grad():
        model.logits[0].bias[0] = 50.0
    limits = Limits(0, 20, pitch_table([0, CHORD], np.isin(np.arange(128), [60, 64, 67])))
    stream, first = begin()
    run(model.requires_grad_(False), [stream], [first], limits)
    assert stream.written


def test_a_nucleus_makes_no_dynamics_flat(monkeypatch):
    """Of a model that finds all alike, a narrow nucleus leaves few pitches, and every velocity."""
    monkeypatch.setattr(bias, "AGAIN", 1.0)  # else the last pitch is not like the others
    stream, first = begin()
    model = EventModel(Config(depth=1, window=64)).requires_grad_(False)
    run(model, [stream], [first], Limits(0, 6000, pitch_table([0])), Sampling(top_p=0.2))
    rows = np.array(stream.written)
    assert len(rows) > 300 and len(np.unique(rows[:, s.PITCH])) <= 26
    assert set(features.velocity_of(np.arange(1, features.VELOCITIES))) == set(rows[:, s.VELOCITY])


def test_velocities_are_drawn_warmer_than_all_else():
    """Of two velocities and two pitches with the same odds of 1 to 6 at a temperature of 1."""

    class Opinionated(EventModel):
        def field(self, i, *told):
            logits = super().field(i, *told)
            if i in (2, 4):
                first = 60 if i == 2 else 10
                logits[:], logits[:, first], logits[:, first + 1] = -1e9, 0.0, np.log(6.0)
            return logits

    stream, first = begin()
    model = Opinionated(Config(depth=1, window=64)).requires_grad_(False)
    run(model, [stream], [first], Limits(0, 40000, pitch_table([DRUMS])), Sampling(0.8, 1.0))
    rows = np.array(stream.written)
    soft, low = rows[:, s.VELOCITY] == features.velocity_of(np.array([10])), rows[:, s.PITCH] == 60
    assert len(rows) > 600 and abs(soft.mean() - 1 / 7) < 0.03 and abs(low.mean() - 1 / (1 + 6**1.25)) < 0.03


@settings(max_examples=30)
@given(st.data())
def test_the_nucleus_holds_legal_classes_that_are_likely(data):
    logits = np.array(data.draw(st.lists(st.integers(-20, 20), min_size=3, max_size=12)), dtype=np.float32)
    legal = np.array(data.draw(st.lists(st.booleans(), min_size=len(logits), max_size=len(logits))))
    legal[data.draw(st.integers(0, len(logits) - 1))] = True
    top_p, rng = data.draw(st.floats(0.01, 1.0)), np.random.default_rng(data.draw(st.integers(0, 99)))
    p = np.where(legal, np.exp(logits.astype(np.float64)), 0)
    p /= p.sum()
    for _ in range(20):
        drawn = nucleus(logits, legal, 1.0, top_p, rng)
        assert legal[drawn] and p[p > p[drawn]].sum() < top_p + 1e-9
    assert logits[nucleus(logits, legal, 0.0, 1.0, rng)] == logits[legal].max()  # frozen: the likeliest


def test_sampling_follows_the_probabilities():
    logits, rng = np.log(np.array([0.5, 0.3, 0.2])), np.random.default_rng(1)
    drawn = [nucleus(logits, np.ones(3, dtype=bool), 1.0, 1.0, rng) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.5, 0.3, 0.2], atol=0.03)


def test_the_longer_the_silence_the_likelier_an_event(random_model):
    """Where a model rests nearly always and patience is short, no rest follows a second of silence; silence counts from
    the last event, or from where the limits say."""
    model, limits = random_model(rests=6.0), Limits(100, 3000, pitch_table([0]))
    counts = {}
    for patience in (np.inf, 0.02):
        stream, rows = begin()
        run(model, [stream], [rows], limits, Sampling(patience=patience))
        counts[patience] = len(stream.written)
        gaps = np.diff([100, *(int(row[s.CLOCK]) for row in stream.written), 3000])
        assert gaps.max() <= 2 * s.REST + 1 if patience < 1 else gaps.max() > 4 * s.REST
    assert counts[np.inf] < counts[0.02]
    assert silence(stream, limits) == (stream.clock - stream.last) / s.STEPS
    stream.restart(rows)
    stream.rows = rows[:1].copy()
    stream.rows[0, s.CLOCK] = 300
    assert silence(stream, limits) == 2.0 and silence(stream, Limits(100, 3000, limits.table, since=50)) == 2.5
    assert [Sampling(rest=0.5, patience=4.0).odds(silence) for silence in (0.0, 4.0, 8.0)] == [0.5, 0.25, 1 / 32]
    assert Sampling().odds(1e6) == 1.0


@pytest.mark.parametrize("rest", [0.97, 0.03])
def test_a_rest_is_as_likely_as_the_model_says(rest):
    """Whatever the nucleus cuts: it neither silences a part that seldom begins nor drops the pauses of a busy one."""
    p = np.append(np.array([0.6, 0.3, 0.06, 0.04]) * (1 - rest), rest)
    rng, everything = np.random.default_rng(1), np.ones(5, dtype=bool)
    drawn = [nucleus(np.log(p), everything, 1.0, 0.85, rng, exempt=4) for _ in range(8000)]
    share = np.bincount(drawn, minlength=5) / 8000
    assert share[4] == pytest.approx(rest, abs=0.01) and not share[2:4].any()
    assert share[0] == pytest.approx(2 * share[1], rel=0.2)
    drawn = [nucleus(np.log(p), everything, 1.0, 0.85, rng, exempt=4, odds=0.2) for _ in range(8000)]
    assert np.mean(np.array(drawn) == 4) == pytest.approx(0.2 * rest / (0.2 * rest + 1 - rest), abs=0.015)
    assert nucleus(np.log(p), np.arange(5) == 4, 1.0, 0.85, rng, exempt=4) == 4
    frozen = {nucleus(np.log(p), everything, 0.0, top_p, rng, exempt=4) for top_p in (0.0, 0.5, 1.0) for _ in range(9)}
    assert frozen == {int(p.argmax())}


# ---- rows and cache agree --------------------------------------------------------------------------------------------

pieces = notes(max_size=25).map(lambda n: s.interleave(s.quantise(n), EMPTY, GRID, s.Header()))


@settings(max_examples=25)
@given(st.lists(st.tuples(pieces, pieces, st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=5))
def test_the_cache_says_what_the_rows_say_after_any_syncs(random_model, visits):
    """Streams jump to other rows, are cut back, go on, grow over the window and back under it, draw, and stay."""
    model = random_model(64)
    (one, first), (two, _) = begin(), begin(seed=1)
    decoder, wanted = Decoder(model, [one, two]), [first, first]
    everything = Limits(0, 1 << 30, pitch_table([0, DRUMS]))
    for fresh, other, kept, draws in visits:
        body = [rows[len(first) :] for rows in (fresh, other)]
        wanted = [np.concatenate([wanted[0][: len(first) + kept], body[0]]), np.concatenate([first, body[1]])]
        decoder.sync(wanted)
        check_states(decoder)
        for stream, rows, base in zip(decoder.streams, wanted, decoder.base, strict=True):
            np.testing.assert_array_equal(stream.rows, window_of(rows, base))
        for _ in range(draws):
            decoder.next_event([everything, None])
            check_states(decoder)


def test_a_sync_feeds_only_what_differs(random_model):
    rows = s.interleave(s.quantise(Notes.of([(i, 1, 60, 0, 64) for i in range(20)])), EMPTY, GRID, s.Header())
    other = rows.copy()
    other[15, s.PITCH] = 61
    decoder = Decoder(random_model(), [begin()[0]])
    for wanted, fed in ((rows[:10], 10), (rows, 11), (rows, 0), (other, 6), (other[:12], 1), (other, 9)):
        before = decoder.fed
        decoder.sync([wanted])
        decoder.read([0])
        assert decoder.fed - before == fed
        check_states(decoder)


# ---- work and memory -------------------------------------------------------------------------------------------------

BAND = Limits(0, 3000, pitch_table([0, 33, DRUMS]))


def test_without_sliding_every_row_is_fed_once(random_model):
    stream, first = begin(s.quantise(Notes.of([(i, 1, 72, 73, 80) for i in range(30)])))
    decoder = run(random_model(), [stream], [first], BAND)
    check_states(decoder)
    assert decoder.fed == len(stream.rows) < decoder.model.config.window


def test_what_was_drawn_is_read_when_its_stream_draws_next(random_model):
    """Nobody waits for it before; and of two parts, which are told of each other, only the one that draws."""
    decoder, (_, first) = Decoder(random_model(rests=-9.0), [begin()[0], begin(seed=1)[0]]), begin()
    decoder.sync([first.copy(), first.copy()])
    fed = []
    for limits in ([BAND, None], [None, BAND], [None, BAND], [BAND, None]):
        before, decoder.lanes.state[:] = decoder.fed, torch.nan
        rows = decoder.next_event(limits, together=True)
        read = [bool(state.isfinite().all()) for state in decoder.lanes.state]
        assert read == [row is not None for row in rows] == [limit is not None for limit in limits]
        fed.append(decoder.fed - before)
    assert fed == [1, 2, 1, 3]
    check_states(decoder)


def test_what_takes_share_is_fed_once(random_model):
    known = s.quantise(Notes.of([(i / 2, 1, 40 + i, 0, 80) for i in range(60)]))
    first = s.interleave(known, EMPTY, GRID, s.Header())
    streams = [begin(seed=seed)[0] for seed in range(3)]
    limits = Limits(3000, 3500, BAND.table)
    decoder = run(random_model(), streams, [first] * 3, limits)
    check_states(decoder)
    assert decoder.fed == len(first) + sum(len(stream.rows) - len(first) for stream in streams)
    assert len({len(stream.written) for stream in streams} | {0}) > 1


def test_a_stream_slides_for_ever_at_constant_cost(random_model):
    """Twenty windows of music: the cache keeps its size, the rows their bound, and two rows are fed for each."""
    known = s.quantise(Notes.of([(2.0 * i, 1, 72, 73, 80) for i in range(250)]))
    stream, first = begin(known)
    decoder, size, written, fed = Decoder(random_model(64), [stream]), None, 0, []
    decoder.sync([first])
    while stream.clock < 50_000:
        decoder.next_event([Limits(0, 50_000, BAND.table)])
        assert len(stream.rows) <= 64 and stream.rows[0, s.KIND] == s.START_KIND
        assert decoder.lanes.cache.kv.numel() == (size := size or decoder.lanes.cache.kv.numel())
        if len(stream.written) % 100 == 0 and len(stream.written) > written:
            written = len(stream.written)
            fed.append(decoder.fed / (written + stream.given))
            check_states(decoder)
    assert written >= 600 and stream.given == 250
    assert max(fed) < 2.6 and abs(fed[-1] - fed[len(fed) // 2]) < 0.1


def test_streams_slide_one_by_one(random_model):
    """They outgrow the window at different moments, while a neighbour is full to the last place, or at its end."""
    known = [s.quantise(Notes.of([(0.3 * i * (k + 1), 1, 72, 73, 80) for i in range(20)])) for k in range(5)]
    streams, first = zip(*(begin(controls, seed=seed) for seed, controls in enumerate(known)), strict=True)
    decoder = Decoder(random_model(64), list(streams))
    decoder.sync(list(first))
    ends = [Limits(0, end, BAND.table) for end in (2500, 4000, 4000, 6000, 8000)]
    while any(stream.clock < limits.end for stream, limits in zip(streams, ends, strict=True)):
        limits = [limits if stream.clock < limits.end else None for stream, limits in zip(streams, ends, strict=True)]
        decoder.next_event(limits)
        check_states(decoder)


def test_who_slides_is_fed_by_himself(random_model, monkeypatch):
    """No neighbour is padded to the rows of a window: they were most of the work, with eight drafts."""
    model, positions = random_model(64), []
    trunk = model.trunk

    def counted(rows, *rest):
        positions.append(rows.shape[0] * rows.shape[1])
        return trunk(rows, *rest)

    monkeypatch.setattr(model, "trunk", counted)
    known = [s.quantise(Notes.of([(0.3 * i * (k + 1), 1, 72, 73, 80) for i in range(60)])) for k in range(8)]
    streams, first = zip(*(begin(controls, seed=seed) for seed, controls in enumerate(known)), strict=True)
    decoder = run(model, list(streams), list(first), Limits(0, 9000, BAND.table))
    assert min(len(stream.written) for stream in streams) > 150
    assert sum(positions) < 1.6 * decoder.fed


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 30))
def test_streams_go_alone_where_that_is_less_work(counts, cost):
    def work(alone) -> int:
        others = max([count for i, count in enumerate(counts) if i not in alone], default=0)
        return sum(counts[i] + cost for i in alone) + (len(counts) * others + cost if others else 0)

    least = min(work(some) for n in range(len(counts) + 1) for some in combinations(range(len(counts)), n))
    assert work(outliers(counts, cost)) == least


def test_a_stream_fills_its_window_beside_one_that_is_fed_more(random_model):
    """The padding of its rows has no place left, and takes none."""
    rows = s.interleave(s.quantise(Notes.of([(i / 4, 1, 60, 0, 64) for i in range(63)])), EMPTY, GRID, s.Header())
    decoder = Decoder(random_model(64), [begin()[0], begin()[0]])
    for one, other in ((63, 10), (64, 50), (64, 64)):
        decoder.sync([rows[:one], rows[:other]])
        check_states(decoder)


def test_a_stream_that_has_slid_still_knows_where_it_is(random_model):
    """Given all its rows from the start, nothing is fed; given one more, one row; and it no longer claims to begin."""
    stream, rows = begin()
    decoder = Decoder(random_model(64), [stream])
    decoder.sync([rows])
    for _ in range(200):
        rows = np.concatenate([rows, decoder.next_event([Limits(0, 1 << 30, BAND.table)])])
    decoder.read([0])
    assert decoder.base[0] > 64 and stream.rows[0, s.VELOCITY] == 0 < rows[0, s.VELOCITY]
    for wanted, fed in ((rows, 0), (rows[:-3], 1), (rows, 3)):
        before = decoder.fed
        decoder.sync([wanted])
        decoder.read([0])
        assert decoder.fed - before == fed
        check_states(decoder)


def test_hours_do_not_matter(random_model):
    """Times are told from the first row of the window, so that float32 can tell them."""
    rows = s.interleave(s.quantise(Notes.of([(i / 3, 1, 60, 0, 64) for i in range(20)])), EMPTY, GRID, s.Header())
    late = rows.copy()
    late[:, [s.CLOCK, s.AT]] += 24 * 3600 * s.STEPS
    decoder = Decoder(random_model(64), [begin()[0], begin()[0]])
    decoder.sync([rows, late])
    decoder.read([0, 1])
    torch.testing.assert_close(decoder.lanes.state[0], decoder.lanes.state[1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("takes", [2, 5])
def test_a_take_does_not_depend_on_its_neighbours(random_model, takes):
    """Though they rest, slide and end at other times."""
    model, first = random_model(64, rests=3.0), begin()[1]
    together = [begin(seed=seed)[0] for seed in range(takes)]
    run(model, together, [first] * takes, BAND)
    for seed, one in enumerate(together):
        alone, _ = begin(seed=seed)
        run(model, [alone], [first], BAND)
        np.testing.assert_array_equal(alone.written, one.written)
