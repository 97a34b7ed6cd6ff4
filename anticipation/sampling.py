"""Sampling: one class drawn from the legal ones. Knows logits; does not know what the classes mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FEW = 512  # candidates that hold the nucleus nearly always; sorting the others would be for nothing


@dataclass(frozen=True)
class Sampling:
    """temperature and top_p (nucleus) of every field; chord symbols, the boldest choice, have their own."""

    temperature: float = 1.0
    top_p: float = 0.95
    chord_temperature: float = 0.7


def nucleus(logits: np.ndarray, legal: np.ndarray, temperature: float, top_p: float, rng: np.random.Generator) -> int:
    """A class drawn from the legal ones: the fewest that hold top_p of their probability (Holtzman et al. 2020). Each
    stream has a generator of its own, so a take does not depend on its neighbours."""
    classes = np.flatnonzero(legal)
    heat = (logits[classes].astype(np.float64)) / max(temperature, 1e-4)
    mass = np.exp(heat - heat.max())
    goal = top_p * mass.sum()
    if len(heat) > 2 * _FEW:
        few = np.argpartition(-heat, _FEW)[:_FEW]
        if mass[few].sum() >= goal:
            classes, heat, mass = classes[few], heat[few], mass[few]
    order = np.lexsort((classes, -heat))
    p = np.cumsum(mass[order])
    kept = int(np.searchsorted(p, goal)) + 1
    point = rng.random() * p[min(kept, len(p)) - 1]
    return int(classes[order[min(int(np.searchsorted(p, point, side="right")), kept - 1)]])
