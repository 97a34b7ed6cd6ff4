"""Sampling: one class drawn from the legal ones. Knows logits; does not know what the classes mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_FEW = 512  # candidates that hold the nucleus nearly always; sorting the others would be for nothing


@dataclass(frozen=True)
class Sampling:
    """temperature and top_p (nucleus) of every field; velocities are drawn from all there are, and chord symbols, the
    boldest choice, have a temperature of their own. rest: what the odds of a rest are multiplied by. patience: seconds
    of silence after which they are half of that, after twice as many a sixteenth: the longer silence lasts, the surer
    is a model that it will."""

    temperature: float = 1.0
    top_p: float = 0.95
    chord_temperature: float = 0.7
    rest: float = 1.0
    patience: float = math.inf

    def odds(self, silence: float) -> float:
        """Of a rest after so many seconds without an event."""
        return self.rest * 0.5 ** min((silence / self.patience) ** 2, 100.0)


def shares(logits: np.ndarray, legal: np.ndarray, temperature: float) -> np.ndarray:
    """(legal classes,) their probabilities, nothing cut off."""
    heat = logits[legal].astype(np.float64) / max(temperature, 1e-4)
    mass = np.exp(heat - heat.max())
    return mass / mass.sum()


def nucleus(
    logits: np.ndarray,
    legal: np.ndarray,
    temperature: float,
    top_p: float,
    rng: np.random.Generator,
    apart: int | None = None,
    odds: float = 1.0,
) -> int:
    """A class drawn from the legal ones: the fewest that hold top_p of their probability (Holtzman et al. 2020). Each
    stream has a generator of its own, so a take does not depend on its neighbours.

    apart: a class that keeps its own probability, whatever is cut from the others. So it is with the rest: it stands
    for every time beyond the next second, and were it one of the candidates, nothing would ever begin again where it
    has more than top_p. odds: what its odds are multiplied by.
    """
    classes = np.flatnonzero(legal)
    heat = (logits[classes].astype(np.float64)) / max(temperature, 1e-4)
    mass = np.exp(heat - heat.max())
    alone = np.flatnonzero(classes == apart)
    rivals = np.delete(np.arange(len(mass)), alone) if len(mass) > len(alone) else alone
    whole = mass[rivals].sum()
    goal = top_p * whole
    if len(mass) > 2 * _FEW:
        few = rivals[np.argpartition(-mass[rivals], _FEW)[:_FEW]]
        rivals = few if mass[few].sum() >= goal else rivals
    rivals = rivals[np.argsort(-mass[rivals], kind="stable")]
    kept = rivals[: int(np.searchsorted(np.cumsum(mass[rivals]), goal)) + 1]
    if len(alone) and kept[0] != alone[0]:
        mass[kept] *= whole / max(mass[kept].sum(), 1e-300) / odds
        kept = np.append(kept, alone)
    # Drawn in the order of the classes, not of their masses: so rounding, which depends on how many streams share a
    # batch, does not shuffle near-equals.
    kept = np.sort(kept)
    p = np.cumsum(mass[kept])
    return int(classes[kept[min(int(np.searchsorted(p, rng.random() * p[-1], side="right")), len(kept) - 1)]])
