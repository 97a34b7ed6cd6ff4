"""GPT-2 against Hugging Face's, its losses, and int8 against float32."""

import sys

import numpy as np
import pytest
import torch

from anticipation.errors import RequestError
from anticipation.model import amt, gpt2, int8
from anticipation.model import stream as s
from anticipation.model.event import Config, EventModel
from anticipation.music.notes import Notes

TINY = gpt2.Config(layers=2, width=32, heads=4)


@pytest.fixture(scope="module")
def net() -> gpt2.GPT2:
    torch.manual_seed(0)
    return gpt2.GPT2(TINY).eval()


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
    net = gpt2.GPT2(gpt2.Config(layers=2, width=32, heads=4, dropout=0.1))
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
        gpt2.GPT2(gpt2.Config(layers=1, width=32, heads=3))


def test_logits_takes_a_list_of_tokens(net):
    assert net.logits([0]).shape == (1, 55028)
    for wrong in ([], [55028], [-1], [[0]], [0] * 1025):
        with pytest.raises(ValueError, match="one list of 1 to 1024 tokens"):
            net.logits(wrong)


# ---- eight bits ------------------------------------------------------------------------------------------------------


def test_int8_weights_are_within_half_a_step():
    weight = np.random.default_rng(0).normal(size=(7, 256)).astype(np.float32)
    weight[3, :128] = 0
    packed, scale = int8.pack(weight, 128)
    back = (packed.astype(np.float32) - 128) * scale[..., None]
    assert packed.shape == (7, 2, 128) and (abs(back.reshape(7, 256) - weight) <= scale.repeat(128, 1) / 2 + 1e-7).all()


@pytest.mark.parametrize("make", [lambda: gpt2.GPT2(gpt2.Config(2, 256, 4)), lambda: EventModel(Config(4, 64))])
def test_int8_says_nearly_the_same(make):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model = make().eval().requires_grad_(False)
    for p in model.parameters():
        p.add_(torch.randn(p.shape) * 0.02)
    told = (torch.randint(0, 1000, (2, 30)),)
    if model.family == "event":
        told = (torch.randint(0, 100, (2, 30, 12)), torch.arange(30).expand(2, -1), torch.arange(30).expand(2, -1))
    before = model.trunk(*told)
    after = int8.quantise(model).trunk(*told)
    assert sum(isinstance(module, int8.Int8Linear) for module in model.modules()) >= 8
    assert 0 < (after - before).norm() / before.norm() < 0.03
    cache, halves = model.cache(2), [[x[:, :20] for x in told], [x[:, 20:] for x in told]]
    parts = [model.trunk(*halves[0], cache)]
    cache.length = [20, 20]
    parts.append(model.trunk(*halves[1], cache))
    assert (torch.cat(parts, 1) - before).norm() / before.norm() < 0.03


def test_int8_without_its_engine_says_what_to_install(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RequestError, match="pip install 'anticipation-copilot"):
        int8.quantise(net)
