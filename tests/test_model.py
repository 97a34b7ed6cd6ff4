"""Laws of the event transformer: bins, targets, causality, and a loss that says what the decoder will do."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import streams

from anticipation.model import around, features
from anticipation.model import event as m
from anticipation.model import stream as s
from anticipation.model.batch import collate
from anticipation.model.grammar import REST_CLASS
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes

GRID = Notes.of(
    [(0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(40)] + [(2.0 * i, 2, 9 * i, CHORD, 64) for i in range(9)]
)


def rows_of(max_size: int = 20):
    return streams(max_size).map(lambda parts: s.interleave(*parts[:4], until=parts[4]))


def tensors(rows: np.ndarray) -> tuple[torch.Tensor, ...]:
    """What `trunk` takes, a batch of one."""
    return tuple(torch.from_numpy(x)[None] for x in (features.row_features(rows), rows[:, s.CLOCK], rows[:, s.AT]))


def test_a_duration_falls_into_the_nearest_bin():
    steps = np.arange(1, s.MAX_DURATION + 1)
    off = abs(features.DURATIONS[features.duration_bin(steps)] - steps)
    assert (off == abs(features.DURATIONS[None] - steps[:, None]).min(1)).all()
    assert (off <= 0.02 * steps + 0.5).all() and not off[:30].any()


def test_shift_bins_ascend_and_fill_their_table():
    bins = features.shift_bin(np.arange(-300, 1500))
    assert set(np.diff(bins)) <= {0, 1} and bins[0] == 0 and bins[-1] == features.SHIFTS - 1
    assert len(set(features.shift_bin(np.arange(-100, 101)))) == 201  # within a second each step is told apart


def test_velocity_levels_are_stable_and_near():
    velocity = np.arange(1, 128)
    again = features.velocity_of(features.velocity_bin(velocity))
    assert abs(again - velocity).max() <= 2 and features.velocity_bin(0) == 0 and features.velocity_of(0) == 0
    assert features.velocity_bin(features.velocity_of(np.arange(33))).tolist() == list(range(33))


@given(rows_of())
def test_every_feature_stays_in_its_own_table(rows):
    found, edges = features.row_features(rows), np.cumsum([0, *features.FEATURES.values()])
    assert ((found >= edges[:-1]) & (found < edges[1:])).all()


def test_targets_are_what_follows_and_is_drawn():
    events = np.array([[0, CHORD, 9, 200, 64], [0, 0, 60, 50, 80], [250, DRUMS, 36, 10, 0]])
    rows = s.interleave(events, np.array([[10, 40, 72, 30, 99]]), s.Chart.of(Notes.of([])), s.Header())
    given_ = [-100] * 5
    assert (
        features.targets(rows).tolist()
        == [
            given_,  # the start row is followed by a control, which is given
            [0, CHORD, 9, int(features.duration_bin(200)), -100],  # a chord has no velocity
            [0, 0, 60, int(features.duration_bin(50)), 21],
            [REST_CLASS, *given_[:4]],
            [REST_CLASS, *given_[:4]],
            [50, DRUMS, 36, 9, -100],  # of unknown velocity
            given_,  # nothing follows
        ]
    )


def test_the_head_reads_the_chart_where_the_next_row_stands_but_not_the_chord_it_is_to_draw():
    events = s.quantise(Notes.of([(0, 1, 5, CHORD, 64), (0.25, 1, 60, 0, 64), (0.5, 1, 7, CHORD, 64)]))
    rows = s.interleave(events, events[:0], s.Chart.of(GRID.beats), s.Header())
    read = features.target_chart(rows) - features.OFFSETS[features.CHART_AT : features.CHART_AT + 6]
    assert read[:, 3].tolist() == [s.UNKNOWN_CHORD, 5, 5, 7]  # of the second chord only the first is known
    assert read[:-1, 0].tolist() == rows[1:, s.PLACE].tolist()


def test_an_echo_is_sorted_by_what_it_begins_with_and_never_drawn():
    events, given_ = np.array([[0, 0, 60, 50, 80]]), np.array([[20, 0, 72, 30, 99]])
    rows = s.interleave(events, given_, s.Chart.of(Notes.of([])), s.Header(), echoes=given_)
    assert features.targets(rows)[-2].tolist() == [20, 0, 72, -100, -100]
    kinds = features.row_features(rows)[:, 0].tolist()
    assert kinds == [s.START_KIND, s.CONTROL, s.EVENT, s.EVENT]  # to the trunk it is an event


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(0, 101), st.integers(0, 128), st.integers(0, 127))
def test_nothing_before_an_echo_is_all_that_is_not_before_it(seed, shift, instrument, pitch):
    """Against the sum over all events and the rest, by the order of a stream."""
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(1, size, generator=generator) * 2 for size in features.FIELD_SIZES[:3]]
    when, who, what = (logit[0].double().softmax(0).numpy() for logit in logits)
    rank = np.arange(len(who))
    rank[CHORD:] = -1  # chords come first
    later = when[shift + 1 :].sum()
    later += when[shift] * (who[rank > instrument].sum() + who[instrument] * what[pitch:].sum())
    found = m.nothing_before(logits, torch.tensor([[shift, instrument, pitch, 0, 0]]))
    assert found.item() == pytest.approx(-np.log(later), abs=1e-4)


def test_an_echo_costs_what_nothing_before_it_costs_and_can_be_learned(random_model):
    model = random_model(64)
    events, given_ = np.array([[0, 0, 60, 50, 80], [90, 0, 60, 50, 80]]), np.array([[20, 0, 127, 30, 99]])
    rows = s.interleave(events, given_, s.Chart.of(Notes.of([])), s.Header(), echoes=given_)
    columns = {name: torch.from_numpy(x) for name, x in collate([rows], len(rows)).items()}
    nats, _ = model.losses(**columns)
    assert nats.shape == (3, 5) and nats[1, 0] > 0 and not nats[1, 1:].any()
    assert nats[0].all() and nats[2].all()
    fresh = m.EventModel(m.Config(1, window=64))
    fresh.losses(**columns)[0].sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in fresh.parameters())


@pytest.mark.parametrize("preset, millions", [("tiny", 4.8), ("mini", 7.9), ("small", 45)])
def test_presets_are_as_large_as_they_say(preset, millions):
    with torch.device("meta"):
        size = m.count_parameters(m.EventModel(m.PRESETS[preset]))
    assert 0.8 * millions < size / 1e6 < 1.25 * millions


@pytest.mark.parametrize("shallow, deep", [(2, 2), (2, 3), (2, 5), (3, 4)])
def test_a_model_grows_without_changing_what_it_says(shallow, deep):
    small, large = (m.EventModel(m.Config(depth, window=64, heads=1)) for depth in (shallow, deep))
    for p in small.parameters():
        torch.nn.init.normal_(p, std=0.3)
    large.take_over(small)
    events = s.quantise(GRID.chords)
    rows = s.interleave(events, events[:0], s.Chart.of(GRID.beats), s.Header())
    assert torch.equal(small.trunk(*tensors(rows)), large.trunk(*tensors(rows)))
    loss = large.heads(large.trunk(*tensors(rows))).sum()
    loss.backward()
    assert all(block.down.weight.grad.abs().max() > 0 for block in large.blocks), "what was added can learn"
    with pytest.raises(RuntimeError, match="more blocks"):
        m.EventModel(m.Config(1, window=64, heads=1)).take_over(small)


@settings(max_examples=20)
@given(rows_of(), st.data())
def test_a_state_knows_nothing_of_later_rows(random_model, rows, data):
    cut = data.draw(st.integers(1, len(rows)))
    other = rows.copy()
    other[cut:, s.PITCH] = (other[cut:, s.PITCH] + 1) % 120
    other[cut:, s.AT] += 7
    before, after = (random_model().trunk(*tensors(r))[0, :cut] for r in (rows, other))
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


@settings(max_examples=20)
@given(rows_of(), st.integers(0, 20_000))
def test_a_state_knows_relative_time_only(random_model, rows, later):
    """So that a stream can slide for ever."""
    told, clock, at = tensors(rows)
    before, after = (random_model().trunk(told, clock + t, at + t) for t in (0, later))
    torch.testing.assert_close(before, after, atol=2e-3, rtol=0)  # float32 angles


@settings(max_examples=20)
@given(rows_of())
def test_the_loss_is_the_surprise_of_the_decoder(random_model, rows):
    """`losses`, all rows at once, against `field`, one row and one field after another, as `EventDraw` does."""
    model, targets = random_model(), features.targets(rows)
    around_it = [torch.from_numpy(column) for column in (features.target_chart(rows), *around.told(rows))]
    nats, which = model.losses(*tensors(rows), *(c[None] for c in around_it), torch.from_numpy(targets)[None])
    states = model.trunk(*tensors(rows))[0]
    assert which.tolist() == np.flatnonzero(targets[:, 0] >= 0).tolist()
    for row, several in zip(which.tolist(), nats, strict=True):
        heads, drawn = model.heads(states[row : row + 1]), torch.from_numpy(targets[row : row + 1])
        for i in range(5):
            told = (column[row : row + 1] for column in around_it)
            logits = model.field(i, heads[:, i], drawn[:, :i].clamp(min=0), *told)
            wanted = -logits.log_softmax(-1)[0, drawn[0, i]] if drawn[0, i] >= 0 else torch.tensor(0.0)
            assert abs(float(wanted - several[i])) < 1e-4


@settings(max_examples=20)
@given(st.lists(rows_of(), min_size=2, max_size=3))
def test_rows_fed_in_pieces_have_the_states_of_rows_fed_at_once(random_model, several):
    """A cache over streams of unequal length, the shorter ones padded, fed ten rows at a time."""
    model = random_model()
    cache, states = model.cache(len(several)), [[] for _ in several]
    for at in range(0, max(map(len, several)), 10):
        chunks = [rows[at : at + 10] for rows in several]
        padded = np.stack([np.pad(chunk, ((0, 10 - len(chunk)), (0, 0))) for chunk in chunks])
        inputs = (features.row_features(padded), padded[..., s.CLOCK], padded[..., s.AT])
        out = model.trunk(*map(torch.from_numpy, inputs), cache)
        for i, chunk in enumerate(chunks):
            states[i].append(out[i, : len(chunk)])
            cache.length[i] += len(chunk)
    for rows, pieces in zip(several, states, strict=True):
        torch.testing.assert_close(torch.cat(pieces), model.trunk(*tensors(rows))[0], atol=1e-4, rtol=0)


@settings(max_examples=30)
@given(streams(20))
def test_training_tells_the_head_of_the_lead_sheet_what_the_decoder_will_tell_it(parts):
    events, controls, chart, header, until = parts
    rows = s.interleave(events, controls, chart, header, until=until)
    read = features.target_chart(rows)
    for i in np.flatnonzero(rows[1:, s.KIND] == s.EVENT).tolist():
        clock = int(rows[i + 1, s.CLOCK])
        stream = s.Stream(chart, controls, header.delta, np.random.default_rng(0))
        stream.restart(rows[: i + 1])
        assert np.array_equal(features.chart_features(stream.columns(clock)), read[i])


def test_an_interval_is_worth_the_same_from_every_key(random_model):
    """What is added to the logits of pitches moves with the keys of the line, and nothing is where there are none."""
    model, state = random_model(), torch.randn(1, 64)
    last, following = np.array([60, 64, 188, 256]), np.array([67, 72, 128, 128])  # one struck at once, one and two none

    def added(up: int) -> torch.Tensor:
        keys = np.concatenate([last + up * (last < 256), following + up * (following < 128)])
        line = np.concatenate([keys + around.PITCHES_AT, [around.LINE_SIZE - 200, around.LINE_SIZE - 1]])
        return model.intervals(state, torch.from_numpy(line)[None])[0]

    torch.testing.assert_close(added(5)[5:], added(0)[:-5])
    last, following = np.full(4, 256), np.full(4, 128)
    assert not added(0).any()


def test_where_classes_begin_is_no_weight_and_lies_where_weights_do_not_yet():
    """A checkpoint is read into a network that is on no device, and holds what it held."""
    with torch.device("meta"):
        net = m.EventModel(m.Config(1, window=64))
    assert net.offsets.tolist() == np.cumsum([0, *features.FIELD_SIZES[:3]]).tolist()
    assert "offsets" not in net.state_dict() and "offsets" not in dict(net.named_parameters())
