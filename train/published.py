"""The evaluation of the AMT paper (Thickstun et al. 2024, Table 1): its windows, and its four perplexities.

Knows what the paper counts and how. Whole pieces in the order of the file, no controls, three separators before each,
one after another, cut into windows of 341 triplets behind a flag; a softmax over the whole vocabulary, separators
and rests among what is predicted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anticipation.model import amt
from anticipation.model import stream as s
from anticipation.music.notes import Notes
from anticipation.score import midi

LEAST_NOTES, LEAST_SECONDS, MOST_SECONDS, MOST_PARTS = 100, 10, 3600, 16


def read(path: Path) -> np.ndarray:
    """The notes of a file as the published code reads them, see `amt.in_steps`. Raises MidiError."""
    return amt.in_steps(midi.read(path).merged())


def steps(notes: Notes) -> np.ndarray:
    """The (N, 5) of `read` for the notes of a shard: sorted within a tick, where a file has an order of its own."""
    columns = [np.rint(notes.onset * s.STEPS), notes.instrument, notes.pitch, np.rint(notes.duration * s.STEPS)]
    return np.stack([*columns, notes.velocity], 1).astype(np.int64)


@dataclass
class Split:
    """A split as the paper counts it: pieces and seconds that passed the filter, windows, and what was dropped."""

    pieces: int = 0
    seconds: float = 0.0
    windows: int = 0
    dropped: Counter = field(default_factory=Counter)

    def why_not(self, notes: np.ndarray) -> str | None:
        """The filter's reason to drop a piece, if there is one."""
        end = int(notes[:, 0].max(initial=0))
        if len(notes) < LEAST_NOTES or end < LEAST_SECONDS * s.STEPS:
            return "short"
        if end > MOST_SECONDS * s.STEPS:
            return "long"
        return "many parts" if len(np.unique(notes[:, 1])) > MOST_PARTS else None

    def cut(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Windows of (1024,) tokens from (N, 5) notes of one piece after another. What is left of the last is lost."""
        waiting = np.zeros((0, 3), dtype=np.int64)
        for notes in pieces:
            reason = self.why_not(notes)
            if reason:
                self.dropped[reason] += 1
                continue
            self.pieces, self.seconds = self.pieces + 1, self.seconds + int(notes[:, 0].max()) / s.STEPS
            waiting = np.concatenate([waiting, amt.SEPARATION, triplets(notes)])
            whole = len(waiting) // amt.TRIPLETS * amt.TRIPLETS
            for window in waiting[:whole].reshape(-1, amt.TRIPLETS, 3):
                near = relative(window)
                if near is None:
                    self.dropped["windows of 100 s"] += 1
                    continue
                self.windows += 1
                yield amt.sequence(near, anticipated=False)
            waiting = waiting[whole:]


def triplets(notes: np.ndarray) -> np.ndarray:
    """(M, 3) tokens of (N, 5) notes and the rests between them, but for the time: steps from the piece's beginning,
    however many."""
    rows = s.event_rows(notes)
    rest = rows[:, s.KIND] == s.REST_KIND
    duration = np.where(rest, 0, np.minimum(rows[:, s.DURATION], amt.MAX_DURATION - 1))
    note = np.where(rest, amt.REST, amt.NOTE.start + rows[:, s.INSTRUMENT] * amt.PITCHES + rows[:, s.PITCH])
    return np.stack([rows[:, s.AT], amt.DURATION.start + duration, note], 1)


def relative(window: np.ndarray) -> np.ndarray | None:
    """A window with the times of its first piece counted from their earliest; a piece that begins within the window
    keeps its own. None where a time does not fit into 100 s."""
    separator = window[:, 2] == amt.SEPARATOR
    first = ~np.logical_or.accumulate(separator)
    out = window.copy()
    out[first, 0] -= window[first, 0].min(initial=amt.MAX_TIME**2)
    return None if (out[~separator, 0] >= amt.MAX_TIME).any() else out


def table(loss: float, by_slot: Iterable[float], tokens: int, seconds: float) -> dict[str, float]:
    """The columns of Table 1 from nats a token (all, and in the slots of onset, duration, note)."""
    onset, duration, note = (math.exp(x) for x in by_slot)
    bits = loss / math.log(2) * tokens / max(seconds, 1e-9)
    return {"loss": loss, "bps": bits, "ppl(e)": math.exp(3 * loss), "ppl(t)": onset, "ppl(d)": duration,
            "ppl(n)": note}  # fmt: skip


@torch.no_grad()
def table_1(net: Any, pieces: Iterable[np.ndarray], *, batch: int = 2, most: int = 10**9) -> dict[str, Any]:
    """Table 1 of a GPT-2 on (N, 5) pieces. most: windows to look at, for a quick answer; `tokens` and `seconds` are the
    whole split's all the same, as bits a second wants them."""
    split, total, seen = Split(), torch.zeros(3, dtype=torch.float64), 0
    device, held = next(net.parameters()).device, list[np.ndarray]()
    for window in split.cut(pieces):
        if seen + len(held) < most:
            held.append(window)
        if len(held) == batch or (held and seen + len(held) == most):
            total, seen, held = total + _by_slot(net, held, device), seen + len(held), []
    if held:
        total, seen = total + _by_slot(net, held, device), seen + len(held)
    by_slot = (total / max(seen * amt.TRIPLETS, 1)).tolist()
    tokens = split.windows * (amt.CONTEXT - 1)
    columns = table(sum(by_slot) / 3, by_slot, tokens, split.seconds) if seen else {}
    out: dict[str, Any] = {name: round(value, 4) for name, value in columns.items()}
    rate = round(tokens / max(split.seconds, 1e-9), 2)
    out |= {"tokens": tokens, "seconds": round(split.seconds, 2), "tokens_per_second": rate}
    out |= {"pieces": split.pieces, "windows": split.windows, "windows_seen": seen}
    return out | {"dropped": dict(split.dropped)}


def _by_slot(net: Any, windows: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """(3,) nats of all tokens in each slot."""
    tokens = torch.from_numpy(np.stack(windows)).to(device)
    return net.losses(tokens).double().view(-1, 3).sum(0).cpu()
