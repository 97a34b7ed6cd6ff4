"""AMT's tokens against cases worked out by hand, and its trunk against Hugging Face's GPT-2."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation import amt
from anticipation import stream as s
from anticipation.notes import BEAT, CHORD, DRUMS, Notes

TINY = amt.Config(layers=2, width=32, heads=4)


@pytest.fixture(scope="module")
def net() -> amt.GPT2:
    torch.manual_seed(0)
    return amt.GPT2(TINY).eval()


def triplets(events: Notes, controls: Notes | None = None, end: int = 0) -> list[list[int]]:
    given = None if controls is None else s.quantise(controls)
    return amt.encode(amt.arrange(s.quantise(events), given, end=end)).tolist()


def test_the_vocabulary_is_the_public_one():
    assert (amt.TIME.start, amt.DURATION.start, amt.NOTE.start, amt.REST) == (0, 10000, 11000, 27512)
    assert amt.CONTROL_OFFSET == amt.CONTROL_TIME.start == 27513
    assert (amt.CONTROL_DURATION.start, amt.CONTROL_NOTE.start) == (37513, 38513)
    assert (amt.SEPARATOR, amt.AUTOREGRESS, amt.ANTICIPATE, len(amt.VOCABULARY)) == (55025, 55026, 55027, 55028)
    assert [len(slot) for slot in amt.SLOTS] == [10000, 1000, 16513] and amt.CONTEXT == 1024


def test_a_tiny_piece_by_hand():
    piece = Notes.of([(0.5, 0.25, 60, 0, 90), (0.5, 1.0, 38, DRUMS, 90), (1.004, 10.0, 127, 127, 90)])
    assert triplets(piece) == [
        [0, 10025, 11060],  # times count from the first; piano is instrument 0
        [0, 10010, 11000 + 128 * 128 + 38],  # a drum stroke lasts 0.1 s
        [50, 10999, 11000 + 127 * 128 + 127],  # 10 s do not fit
    ]


def test_rests_fill_gaps_of_more_than_a_second():
    piece = Notes.of([(0.0, 0.1, 60, 0, 90), (1.0, 0.1, 60, 0, 90), (3.01, 0.1, 60, 0, 90)])
    rest = [10000, 27512]
    gap = [[0, 10010, 11060], [100, 10010, 11060], [200, *rest], [300, *rest], [301, 10010, 11060]]
    assert triplets(piece) == gap
    assert triplets(piece, end=401) == gap  # a second of silence at the end needs no rest
    assert triplets(piece, end=602) == [*gap, [401, *rest], [501, *rest], [601, *rest]]


def test_controls_come_five_seconds_early():
    events = Notes.of([(float(t), 0.5, 60, 0, 90) for t in range(3)])
    controls = Notes.of([(5.0, 0.5, 72, 53, 90), (5.01, 0.5, 74, 53, 90), (6.5, 0.5, 76, 53, 90)])
    lead = 38513 + 53 * 128
    assert triplets(events, controls) == [
        [27513 + 500, 37513 + 50, lead + 72],  # within 5 s of the beginning
        [0, 10050, 11060],
        [100, 10050, 11060],
        [27513 + 501, 37513 + 50, lead + 74],  # after the first event at or after 0.01 s
        [200, 10050, 11060],
        [27513 + 650, 37513 + 50, lead + 76],
    ]


@given(notes(), st.data())
def test_every_control_stands_after_the_first_stop_that_is_late_enough(music, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(music), max_size=len(music))), dtype=bool)
    events, controls = s.quantise(music[~mask]), s.quantise(music[mask])
    rows = amt.arrange(events, controls, end=int(music.end * s.STEPS))
    tokens = amt.encode(rows, 0)
    clock, late = 0, []
    for time, _, note in tokens.tolist():
        if note < amt.CONTROL_OFFSET:
            assert all(start - amt.DELTA > clock for start in late)  # who was due has been given
            assert 0 <= time - clock <= s.STEPS
            clock = time
            late = [int(t) for t in controls[:, 0] if t - amt.DELTA > clock]
        else:
            assert time - amt.CONTROL_OFFSET not in late
    given = tokens[tokens[:, 2] >= amt.CONTROL_OFFSET] - amt.CONTROL_OFFSET
    order = rows[rows[:, s.KIND] == s.CONTROL]
    assert given[:, 0].tolist() == order[:, s.AT].tolist() == controls[:, 0].tolist()
    assert (given[:, 2] - amt.NOTE.start).tolist() == (order[:, s.INSTRUMENT] * 128 + order[:, s.PITCH]).tolist()


@given(notes(), st.data())
def test_decoding_inverts_encoding(music, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(music), max_size=len(music))), dtype=bool)
    rows = amt.arrange(s.quantise(music[~mask]), s.quantise(music[mask]), end=2500)
    back = amt.decode(amt.encode(rows, 0))
    told = [s.KIND, s.SHIFT, s.INSTRUMENT, s.PITCH, s.DURATION, s.CLOCK, s.AT]
    assert (back[:, told] == rows[1:, told]).all()
    later = data.draw(st.integers(0, 1000))
    assert (amt.decode(amt.encode(rows, -later), -later)[:, s.AT] == rows[1:, s.AT]).all()


def test_what_amt_cannot_say_is_an_error():
    far = s.event_rows(np.array([[0, 0, 60, 10, 64], [10000, 0, 60, 10, 64]]))
    with pytest.raises(ValueError, match="10000"):
        amt.encode(far)
    for instrument in (CHORD, BEAT):
        with pytest.raises(ValueError, match="no chords and no beats"):
            amt.encode(s.event_rows(np.array([[0, instrument, 0, 10, 64]])))
    for broken in ([10000, 10000, 11000], [0, 0, 11000], [0, 10000, 10999], [27513, 37513, 27512 + 27513]):
        with pytest.raises(ValueError, match="triplets"):
            amt.decode(np.array([broken]))
    assert len(amt.encode(amt.arrange(s.quantise(Notes.of([]))))) == len(amt.decode(amt.SEPARATION)) == 0


def test_a_sequence_fills_the_context():
    one = np.array([[5, 10001, 11060]])
    tokens = amt.sequence(one, anticipated=True)
    assert tokens.shape == (1024,) and tokens[:4].tolist() == [55027, 5, 10001, 11060] and set(tokens[4:]) == {55025}
    many = amt.sequence(np.repeat(one, 400, 0), anticipated=False)
    assert many.shape == (1024,) and many[0] == 55026 and many[-1] == 11060


def test_no_loss_sees_what_comes_later(net):
    tokens = torch.randint(0, len(amt.VOCABULARY), (2, 40))
    changed = tokens.clone()
    changed[:, 25:] = 7
    before, after = net.losses(tokens), net.losses(changed)
    assert torch.allclose(before[:, :24], after[:, :24], atol=1e-5) and not torch.allclose(before, after, atol=1e-2)
    assert abs(before.mean().item() - np.log(len(amt.VOCABULARY))) < 0.5  # untrained: near uniform


def test_the_sliced_head_is_the_masked_softmax(net):
    rows = amt.arrange(np.array([[0, 0, 60, 10, 64], [250, 128, 38, 10, 64]]), np.array([[300, 53, 72, 50, 64]]))
    tokens = torch.from_numpy(amt.sequence(amt.encode(rows), anticipated=True))[None, : 1 + 3 * 6]
    sliced, which = net.slot_losses(tokens)
    assert which[0].tolist() == [False, True, True, True, True, False]  # control, event, rests, event, separator
    logits, targets = net.head(net.trunk(tokens[:, :-1]))[0].view(6, 3, -1), tokens[0, 1:].view(6, 3)
    for i, slot in enumerate(amt.SLOTS):
        outside = torch.tensor([token not in slot for token in amt.VOCABULARY])
        masked = logits[:, i].masked_fill(outside, -torch.inf).log_softmax(-1)
        whole = -masked.gather(1, targets[:, i : i + 1].clamp(max=slot.stop - 1))[:, 0]
        assert torch.allclose(sliced[:, i], whole[which[0]], atol=1e-5)
    clock = torch.tensor([[0, 0, 0, 100, 200, 250]])
    timed = net.slot_losses(tokens, clock)[0]
    assert (timed[:, 0] <= sliced[:, 0] + 1e-6).all() and torch.equal(timed[:, 1:], sliced[:, 1:])


def test_it_learns_a_sequence_by_heart():
    torch.manual_seed(0)
    net = amt.GPT2(amt.Config(layers=2, width=32, heads=4, dropout=0.1))
    piece = s.quantise(Notes.of([(t / 4, 0.25, 60 + t % 5, 0, 64) for t in range(8)]))
    tokens = torch.from_numpy(amt.sequence(amt.encode(amt.arrange(piece)), anticipated=False))[None, : 1 + 3 * 8]
    opt = torch.optim.AdamW(net.parameters(), lr=0.02)
    first = float(net.slot_losses(tokens)[0].detach().mean())
    for _ in range(30):
        opt.zero_grad()
        net.slot_losses(tokens)[0].mean().backward()
        opt.step()
    assert float(net.eval().slot_losses(tokens)[0].detach().mean()) < first / 4


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="3 heads"):
        amt.GPT2(amt.Config(layers=1, width=32, heads=3))


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("by_layer", [True, False])
def test_logits_are_those_of_transformers(by_layer):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=55028, n_positions=1024, n_embd=32, n_layer=3, n_head=4, scale_attn_by_inverse_layer_idx=by_layer
        )
    ).eval()
    for p in theirs.parameters():  # biases too, and large enough that every term shows
        torch.nn.init.normal_(p, 0, 0.2)
    ours = amt.GPT2(amt.Config(layers=3, width=32, heads=4, scale_by_layer=by_layer)).eval()
    weights = {name.removeprefix("transformer."): p for name, p in theirs.state_dict().items() if "lm_head" not in name}
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    ours.load_state_dict({name: p.T if name.endswith(turned) else p for name, p in weights.items()})
    tokens = torch.randint(0, 55028, (2, 64))
    with torch.no_grad():
        logits = theirs(tokens).logits
        assert (ours.head(ours.trunk(tokens)) - logits).abs().max() < 1e-4
        assert (ours.head(ours.trunk(tokens), amt.NOTE) - logits[..., 11000:27512]).abs().max() < 1e-4
