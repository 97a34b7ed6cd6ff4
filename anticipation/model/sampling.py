"""Sampling: one class drawn from the legal ones. Knows logits; does not know what the classes mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_FEW = 512  # the likeliest candidates, which nearly always hold the nucleus: sorting all of them would be a waste


@dataclass(frozen=True)
class Sampling:
    """temperature and top_p (nucleus) of every field. Velocities are drawn warmer and without a nucleus; chord symbols,
    the boldest choice, have a temperature of their own. rest: factor on the odds of a rest. patience: seconds of
    silence after which that factor is halved (after twice as many it is a sixteenth): the longer a silence lasts, the
    surer a model is that it goes on."""

    temperature: float = 1.0
    top_p: float = 0.95
    chord_temperature: float = 0.7
    rest: float = 1.0
    patience: float = math.inf

    def odds(self, silence: float) -> float:
        """The factor on the odds of a rest after so many seconds without an event."""
        return self.rest * 0.5 ** min((silence / self.patience) ** 2, 100.0)


def _weights(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(n,) logits -> (n,) weights in proportion to their probabilities, the largest 1."""
    scaled = logits.astype(np.float64) / max(temperature, 1e-4)
    return np.exp(scaled - scaled.max())


def _fewest(weight: np.ndarray, among: np.ndarray, goal: float) -> np.ndarray:
    """The fewest indices of `among`, the heaviest first, whose weights sum to `goal`."""
    if len(weight) > 2 * _FEW:
        heaviest = among[np.argpartition(-weight[among], _FEW)[:_FEW]]
        among = heaviest if weight[heaviest].sum() >= goal else among
    among = among[np.argsort(-weight[among], kind="stable")]
    return among[: int(np.searchsorted(np.cumsum(weight[among]), goal)) + 1]


def nucleus(
    logits: np.ndarray,
    legal: np.ndarray,
    temperature: float,
    top_p: float,
    rng: np.random.Generator,
    exempt: int | None = None,
    odds: float = 1.0,
) -> int:
    """A class drawn from the nucleus of the legal ones: the fewest that hold top_p of their probability (Holtzman et
    al. 2020). Each stream has a generator of its own, so a take does not depend on its neighbours.

    logits: (classes,). legal: (classes,) booleans, at least one true. exempt: a class that keeps its own probability,
    however the others are cut: the rest. It stands for every time beyond the next second, so if it were cut like the
    others, nothing would ever begin again once it had more than top_p. odds: factor on the odds of `exempt`.
    """
    classes = np.flatnonzero(legal)
    weight = _weights(logits[classes], temperature)
    alone, others = np.flatnonzero(classes == exempt), np.flatnonzero(classes != exempt)
    if len(others):
        total = weight[others].sum()
        kept = _fewest(weight, others, top_p * total)
        if len(alone):
            weight[kept] *= total / max(weight[kept].sum(), 1e-300) / odds
            kept = np.append(kept, alone)
    else:
        kept = alone
    # Drawn in the order of the classes, not of their weights: so rounding, which depends on how many streams share a
    # batch, does not shuffle near-equals.
    kept = np.sort(kept)
    sums = np.cumsum(weight[kept])
    return int(classes[kept[min(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")), len(kept) - 1)]])
