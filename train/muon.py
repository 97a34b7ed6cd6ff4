"""Muon: momentum whose direction is orthogonal, for matrices that map states to states (K. Jordan 2024; the size of its
steps by Liu et al. 2025, arXiv 2502.16982). Does what torch.optim.Muon does, but in float32 on a CPU: torch multiplies
bfloat16 there, too, which takes 25 times as long on one that has no instructions for that."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

QUINTIC = 3.4445, -4.775, 2.0315  # coefficients whose slope at zero is steepest
ROUNDS, TINY = 5, 1e-7


class Muon(torch.optim.Optimizer):
    """Its steps are as long as AdamW's usually are, so rates are alike."""

    def __init__(self, matrices: Iterable[Tensor], lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                moving = state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
                ahead = matrix.grad.lerp(moving, momentum)  # Nesterov's
                matrix.mul_(1 - lr * group["weight_decay"])
                matrix.add_(orthogonal(ahead), alpha=-0.2 * lr * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """(M, N) the matrix with singular values of 0.7 to 1.2 in place of its own, by Newton and Schulz's iteration in
    `dtype`: by default bfloat16 on a GPU, float32 on a CPU."""
    out = matrix.to(dtype or (torch.float32 if matrix.device.type == "cpu" else torch.bfloat16), copy=True)
    tall = out.size(0) > out.size(1)
    out = out.T if tall else out
    out = out.div_(out.norm().clamp(min=TINY))
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = out @ out.T
        out = torch.addmm(out, torch.addmm(gram, gram, gram, beta=b, alpha=c), out, beta=a)
    return out.T if tall else out
