"""Teach a checkpoint the style of a few MIDI files, and prove on held-out ones that it learned. Knows the event
transformer and folders of MIDI; knows no shards on disk and no clusters.

What is kept lies half way between the base and what was trained: on files that neither has seen it is better than
both (Wortsman et al. 2022; train/LOG.md). Held-out files are never trained on, and the weights that cost the fewest
bits on them are kept. But the lowest of a dozen evaluations is an optimistic estimate. So where there are enough files,
half of the held-out ones have no say in that choice: they are the split `proof`, evaluated once, with the weights that
the other half chose.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import RequestError
from ..model.event import EventModel, blended
from ..model.features import GIVEN, PITCH
from ..music.notes import Notes
from .alike import families
from .folder import Folder
from .shards import Piece
from .windows import Odds, Windows

HELD_OUT = 0.2  # share of the files; with fewer than FEWEST_FILES, of the time of each file
FEWEST_FILES = 5
ROWS, BATCH = 256, 8  # of a window, windows a step
LOOKS = 12  # evaluations, spread evenly over the time given
PATIENCE = 2  # evaluations without a new best after which training returns to the best weights, at a third of the rate
RETURNS = 3  # such returns after which it stops
WARMUP = 10  # steps
LR = 5e-4
STAYS = 0.5  # the share of the base in the weights that are evaluated and kept


@dataclass(frozen=True)
class Outcome:
    """The result of fine-tuning. before, after: bits per held-out event of the base weights and of those that were
    kept. step: after which these were taken; steps: how many were made. held_out: what was held out, in words. proof:
    before and after on the held-out files that had no say in the choice; None without such files."""

    before: float
    after: float
    step: int
    steps: int
    held_out: str
    proof: tuple[float, float] | None = None

    @property
    def better(self) -> bool:
        """By the files that chose: the one or two others are reported, but too few to forbid anything."""
        return self.after < self.before

    def __str__(self) -> str:
        best = f"{self.before:.3f} -> {self.after:.3f} bits per held-out event"
        if self.proof is None:
            return f"{best}, which chose the weights: somewhat optimistic"
        no = "" if self.proof[1] < self.proof[0] else ": no better there"
        return f"{best}; {self.proof[0]:.3f} -> {self.proof[1]:.3f} in files that chose nothing{no}"


def divide(pieces: Folder, seed: int) -> tuple[Folder, str]:
    """The pieces, without copies, in splits `train`, `valid` and, where two or more files are held out, `proof`; and in
    words what is held out. Takes of a piece, and pieces with music in common, are in one split, or what is held out
    would be known. Raises RequestError where there is too little music."""
    named = sorted(pieces.pieces, key=lambda piece: piece.name)
    copies, groups = families([pieces.notes(piece) for piece in named])
    left = tuple(f"{named[i].name}: the same music as {named[j].name}" for i, j in sorted(copies.items()))
    own = [piece for i, piece in enumerate(named) if i not in copies]
    kin: dict[int, list[str]] = {}
    for i, piece in enumerate(named):
        if i not in copies:
            kin.setdefault(groups[i], []).append(piece.name)
    room = max(1, round(HELD_OUT * len(own)))
    held: list[list[str]] = []
    for names in (list(kin.values())[i] for i in np.random.default_rng(seed).permutation(len(kin))):
        if len(names) <= room - sum(map(len, held)):
            held.append(names)
    pieces = replace(pieces, pieces=tuple(own), skipped=pieces.skipped + left)
    if len(kin) >= FEWEST_FILES and held:
        which = {piece.name: "train" for piece in own}
        for number, names in enumerate(held):
            which |= dict.fromkeys(names, "valid" if number < (len(held) + 1) // 2 else "proof")
        return pieces.divided(which), f"{sum(map(len, held))} of {len(own)} files"
    parts: list[Piece] = []
    columns: list[Notes] = []
    for piece in own:
        notes = pieces.notes(piece)
        cut = (1 - HELD_OUT) * notes.audible.end
        for split, part in (("train", notes.between(0.0, cut)), ("valid", notes.between(cut, math.inf).shift(-cut))):
            if len(part.audible) >= 2 * BATCH:
                parts.append(replace(piece, split=split, start=len(columns), count=len(part), notes=len(part.audible)))
                columns.append(part)
    if {p.split for p in parts} != {"train", "valid"}:
        raise RequestError(f"{pieces.folder}: too little music to learn from and to hold something out")
    words = f"the last {HELD_OUT:.0%} of each file, as there are fewer than {FEWEST_FILES} that differ"
    return replace(pieces, pieces=tuple(parts), notes_of=tuple(columns)), words


def tensors(batch: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """A batch of `collate` as tensors on a device."""
    return {name: torch.from_numpy(column).to(device) for name, column in batch.items()}


def probes(data: Folder, split: str, device: torch.device) -> list[dict[str, torch.Tensor]]:
    """Six batches of a split, always the same: three with nothing given, three with parts."""
    several = [Windows(data, split, batch=BATCH, length=ROWS, seed=99, odds=Odds.plain(kind))
               for kind in ("none", "parts")]  # fmt: skip
    return [tensors(windows[i], device) for windows in several for i in range(3)]


@torch.no_grad()
def bits(net: EventModel, held: list[dict[str, torch.Tensor]]) -> float:
    """Bits per event, all fields together."""
    total = sum(float(net.losses(**batch)[0].double().sum()) for batch in held)
    events = sum(int((batch["targets"][..., PITCH] != GIVEN).sum()) for batch in held)
    return total / max(events, 1) / math.log(2)


def copy_of(net: EventModel) -> dict[str, torch.Tensor]:
    return {name: p.clone() for name, p in net.state_dict().items()}


def fresh(net: EventModel) -> torch.optim.Optimizer:
    """A new optimizer of all weights. (Adapters of rank 8 gave no more; see train/LOG.md.)"""
    return torch.optim.AdamW(net.parameters(), lr=LR, betas=(0.9, 0.98), weight_decay=0.01)


def finetune(
    base: EventModel, pieces: Folder, *, minutes: float = 5.0, steps: int | None = None, seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[EventModel, Outcome]:  # fmt: skip
    """The weights that are best on what is held out, or the last ones where none beat `base`, which itself is not
    changed; and the outcome. steps: end after so many, in place of `minutes`. say: called with a line at each
    evaluation. Raises RequestError, AnticipationError where there is too little music."""
    data, held_out = divide(pieces, seed)
    for line in data.skipped[len(pieces.skipped) :]:
        say(f"left out: {line}")
    net, answer = copy.deepcopy(base).requires_grad_(True), copy.deepcopy(base)
    train = Windows(data, "train", batch=BATCH, length=ROWS, seed=seed)
    held = probes(data, "valid", net.device)
    weights, peak, warm, optimizer = list(net.parameters()), LR, 0, fresh(net)
    before = best = now = bits(net, held)
    say(f"before: {before:.3f} bits per held-out event ({held_out})")
    kept, where, looks, since, returns, step, begin = copy_of(net), 0, 0, 0, 0, 0, time.perf_counter()
    while returns < RETURNS:
        share = step / steps if steps else (time.perf_counter() - begin) / (60 * minutes)
        if share * LOOKS >= looks + 1:
            answer.load_state_dict(blended(base, net, STAYS))
            looks, since, now = looks + 1, since + 1, bits(answer, held)
            say(f"step {step}: {now:.3f}" + (", the best so far" if now < best else ""))
            if now < best:
                best, where, since, kept = now, step, 0, copy_of(net)
            if share >= 1:
                break
            if since == PATIENCE:
                returns, since, peak, warm = returns + 1, 0, peak / 3, step
                net.load_state_dict(kept)
                optimizer = fresh(net)
        optimizer.param_groups[0]["lr"] = peak * min(1.0, (step - warm + 1) / WARMUP) * max(0.05, 1.0 - share)
        loss = net.losses(**tensors(train[step], net.device))[0]
        (loss.sum() / len(loss)).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
    if where:
        net.load_state_dict(kept)
    answer.load_state_dict(blended(base, net, STAYS))
    last = probes(data, "proof", net.device) if data.split("proof") else []
    proof = (bits(base, last), bits(answer, last)) if last else None
    after = best if where else now
    return answer.eval().requires_grad_(False), Outcome(before, after, where or step, step, held_out, proof)
