"""Surprise: how unexpected it is to a model of either family what streams draw, in nats. Knows rows and losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from . import amt
from . import stream as s
from .batch import collate
from .event import EventModel
from .features import rests
from .gpt2 import GPT2


def drawn(rows: np.ndarray) -> np.ndarray:
    """Boolean mask: the rows of a stream that a model draws, and the echoes, before which it draws nothing. Controls,
    looks and start rows are given."""
    return s.of_kinds(rows, s.LINE) | rests(rows)


def _event(model: EventModel, several: list[np.ndarray]) -> torch.Tensor:
    columns = collate(several, max(map(len, several)))
    return model.losses(**{name: torch.from_numpy(column).to(model.device) for name, column in columns.items()})[0]


def _amt(model: GPT2, several: list[np.ndarray]) -> torch.Tensor:
    """Nats by AMT at its best: each slot offers its own tokens only, and no time before the clock."""
    sequences = []
    for rows in several:
        triplets = [amt.SEPARATION] * int(rows[0, s.VELOCITY]) + [amt.encode(rows, int(rows[:, s.AT].min()))]
        sequences.append(amt.sequence(np.concatenate(triplets), anticipated=bool((rows[:, s.KIND] == s.CONTROL).any())))
    tokens = torch.from_numpy(np.stack(sequences)).to(model.device)
    clock = torch.where(tokens[:, 3::3] < amt.CONTROL_OFFSET, tokens[:, 1::3], 0).cummax(1).values
    return model.slot_losses(tokens, F.pad(clock[:, :-1], (1, 0)))[0]


_LOSSES: dict[str, Callable[..., torch.Tensor]] = {"event": _event, "amt": _amt}


@torch.no_grad()
def nats(model: EventModel | GPT2, several: list[np.ndarray]) -> list[np.ndarray]:
    """For each of several streams (start rows first, no longer than the model's window) the nats of its `drawn` rows,
    (n, fields): shift, instrument, pitch, duration, velocity of ours, of an echo that nothing comes before it, in place
    of the shift; time, duration, note of AMT's."""
    losses = _LOSSES[model.family](model, several).double().cpu().numpy()
    return np.split(losses, np.cumsum([drawn(rows).sum() for rows in several])[:-1])
