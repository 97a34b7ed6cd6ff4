"""Muon against torch's."""

from functools import partial

import pytest
import torch
from muon import Muon, orthogonal  # noqa: E402


@pytest.mark.parametrize("shape", [(64, 64), (32, 128), (128, 32)])
def test_does_what_torch_does(shape, monkeypatch):
    """To the bit, in bfloat16, as on a GPU."""
    monkeypatch.setattr("muon.orthogonal", partial(orthogonal, dtype=torch.bfloat16))
    torch.manual_seed(1)
    ours = torch.nn.Parameter(torch.randn(shape))
    theirs = torch.nn.Parameter(ours.detach().clone())
    mine = Muon([ours], lr=0.1, weight_decay=0.05)
    other = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        mine.step()
        other.step()
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shape", [(48, 48), (32, 96), (96, 32)])
def test_directions_count_alike(shape):
    """The singular vectors stay, and the values are near one, whatever they were; on a CPU in float32."""
    torch.manual_seed(2)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrix = left * torch.linspace(0.1, 3, min(shape)) @ right
    before = matrix.clone()
    out = orthogonal(matrix)
    assert out.dtype == torch.float32 and torch.equal(matrix, before)
    turned = left.T @ out @ right.T
    assert torch.allclose(turned, torch.diag(turned.diag()), atol=1e-4)
    assert 0.6 < turned.diag().min() and turned.diag().max() < 1.3


def test_what_has_no_gradient_stays():
    matrix = torch.nn.Parameter(torch.ones(4, 4))
    Muon([matrix], lr=0.1).step()
    assert torch.equal(matrix.detach(), torch.ones(4, 4))
