"""How each family is trained: its network, optimizers, rate, data and loss. Knows no files but shards, and no devices.

A recipe answers the same questions for the event transformer and for the Anticipatory Music Transformer (AMT), so one
trainer and one comparison serve both.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from muon import Muon
from torch import Tensor, nn
from torch.utils.data import DataLoader

from anticipation.data.windows import Odds, Windows, draw, excerpt
from anticipation.errors import AnticipationError
from anticipation.model import amt, around, features, gpt2
from anticipation.model import event as model
from anticipation.model import stream as s
from anticipation.model.batch import collate

# Share of the windows by source. What musicians will ask for has more than its share of the corpus.
MIX = {
    "pop909": 0.36, "pop909-versions": 0.10, "openscore-lieder": 0.09, "polish-scores": 0.12,
    "openscore-quartets": 0.04, "chopin-first-ed": 0.02, "openscore-orchestra": 0.02, "mutopia-pd-ccby": 0.05,
    "mutopia-ccbysa": 0.02, "freedoom": 0.06, "blasphemer": 0.01, "easyrpg-rtp": 0.01, "groove": 0.02,
    "cre-corpus": 0.01, "openewld-us-pd": 0.05, "openhymnal": 0.01, "kittel": 0.005, "zinck": 0.005,
    "goudimel": 0.0025, "tavern": 0.005, "dmidiplayer": 0.0025,
}  # fmt: skip
MIXES = {"all": None, "shipped": MIX}

# AMT's prior over kinds of controls, and how many spans of controls begin in a second.
AMT_CONTROLS = {"none": 0.1, "span": 0.1, "instrument": 0.4, "random": 0.4}
SPANS = 0.05
_PLAIN = Odds.plain()
_BEGINNING = replace(_PLAIN, beginning=1.0)


def amt_controls(notes: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Boolean mask over quantised notes (N, 5): those that are controls, by AMT's prior. kind: a name in AMT_CONTROLS;
    a span is DELTA long."""
    onset, parts = notes[:, 0], np.unique(notes[:, 1])
    given = np.zeros(len(notes), dtype=bool)
    if kind == "instrument" and len(parts) > 1:
        given = np.isin(notes[:, 1], rng.choice(parts, rng.integers(1, len(parts)), replace=False))
    if kind == "random":
        given = rng.random(len(notes)) < rng.integers(1, 10) / 10
    if kind == "span":
        start = rng.exponential(s.STEPS / SPANS)
        while start <= onset[-1]:
            given |= (onset >= start) & (onset < start + amt.DELTA)
            start += amt.DELTA + rng.exponential(s.STEPS / SPANS)
    return given


class Sequences:
    """AMT's training data: (1024,) tokens for a step and an index, of the pieces that `Windows` would draw.

    No piece is transposed or stretched. Where one ends, a separator and the beginning of another follow.
    """

    def __init__(self, source: Windows) -> None:
        self.source = source

    def one(self, step: int, index: int) -> np.ndarray:
        source, flag, count = self.source, "", 0
        parts: list[np.ndarray] = []
        rng = np.random.default_rng((source.seed, 0, step, index))  # as Windows.rows
        while count < amt.TRIPLETS:
            piece = source.pieces[rng.choice(len(source.pieces), p=source.chance)]
            odds = _BEGINNING if parts else _PLAIN
            window, cold = excerpt(source.shards.notes(piece).audible, rng, amt.TRIPLETS, odds)
            end = window.end - window.onset[0] if len(window) < amt.TRIPLETS + 32 else 0.0
            notes = s.quantise(window.shift(-window.onset[0]))
            notes = notes[notes[:, 0] < amt.MAX_TIME]
            kind = draw(rng, AMT_CONTROLS)
            given = amt_controls(notes, kind, rng)
            end = min(int(end * s.STEPS), amt.MAX_TIME - 1)
            triplets = amt.encode(amt.arrange(notes[~given], notes[given], end=end))
            flag = flag or kind  # the sequence's flag speaks of its first piece
            parts += [amt.SEPARATION] * cold + [triplets]
            count += cold + len(triplets)
        return amt.sequence(np.concatenate(parts), anticipated=flag != "none")


class Batches(torch.utils.data.Dataset):
    """step -> this rank's share of that step's batch, as arrays. Item i of a step does not depend on the rank that asks
    for it, so neither the number of processes nor a restart changes what is trained on."""

    def __init__(self, windows: Windows, one: Callable, pack: Callable, rank: int = 0, world: int = 1) -> None:
        if windows.batch % world:
            raise AnticipationError(f"a batch of {windows.batch} cannot be shared by {world} processes; change --batch")
        self.windows, self.one, self.pack = windows, one, pack
        self.share = range(rank * windows.batch // world, (rank + 1) * windows.batch // world)

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return self.pack([self.one(step, i) for i in self.share])


def loader_processes(asked: int | None, gpu: bool) -> int:
    """How many loader processes each training process starts: as many as asked for; by default none where a CPU
    trains, and for a GPU, which outruns a single loader, its share of the cores, up to 8."""
    if asked is not None or not gpu:
        return asked or 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1))


def ignore_stop_signals(_number: int) -> None:
    """Start-up of a loader process: stop signals are left to the training process, which saves and then ends its
    loaders. Clusters and torchrun signal every process, and a loader's death would end the run unsaved."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def loading(data: Batches, first: int, steps: int, workers: int, gpu: bool) -> Iterator[Iterator[dict[str, Any]]]:
    """The batches of steps `first` to `steps`, in order. The loaders end with the block: left to the garbage collector,
    they may be there when Python ends, which then waits for ever for children that ignore its SIGTERM."""
    batches: Any = iter(DataLoader(
        data, batch_size=None, sampler=range(first, steps), num_workers=workers, worker_init_fn=ignore_stop_signals,
        prefetch_factor=4 if workers else None, pin_memory=gpu,
    ))  # fmt: skip
    try:
        yield batches
    finally:
        if workers:
            batches._shutdown_workers()  # torch has no public name for it


@dataclass(frozen=True)
class Settings:
    """What a preset decides and a flag may change. lr: peak rate of the matrices (Muon) or of everything (AdamW);
    lr_rest: of what Muon leaves to AdamW. micro: windows at once on one device (0: the whole share)."""

    lr: float
    lr_rest: float = 0.0
    warmup: int = 100
    steps: int = 3000
    batch: int = 18
    micro: int = 0
    length: int = 512
    optimizer: str = "muon"
    schedule: str = "trapezoid"
    recompute: bool = False  # activations, in the backward pass


@dataclass(frozen=True)
class Preset:
    """What `--preset` stands for: a family's recipe, its network's size, and the settings that flags may change."""

    recipe: Event | Amt
    config: Any
    settings: Settings

    def network(self, length: int | None = None) -> nn.Module:
        return self.recipe.network(self.config, length or self.settings.length)


def adamw(groups: list, **options) -> torch.optim.AdamW:
    """Fused where there is such a kernel."""
    device = groups[0]["params"][0].device
    return torch.optim.AdamW(groups, fused=True if device.type == "cuda" else None, **options)


@dataclass(frozen=True)
class Event:
    """Ours: one step an event, relative time, Muon for matrices."""

    fields: tuple[str, ...] = features.FIELD_NAMES
    per: str = "row"
    tokens: int = 1  # that a row is in a batch; the loss is the mean over those that count

    def network(self, config: model.Config, length: int) -> model.EventModel:
        return model.EventModel(replace(config, window=length))

    def blocks(self, net: nn.Module) -> list[nn.Module]:
        return list(net.blocks)  # type: ignore[arg-type]

    def optimizers(self, net: nn.Module, name: str) -> list[torch.optim.Optimizer]:
        """`muon`: for the matrices that map states to states, AdamW for embeddings and logits. `adamw`: for all."""
        named = dict(net.named_parameters())
        inner = [n for n, p in named.items() if p.ndim == 2 and n.startswith(("blocks", "state", "mix"))]
        rest = [{"params": [p for n, p in named.items() if n not in inner]}]
        matrices = [named[n] for n in inner]
        if name == "muon":
            muon = Muon(matrices, weight_decay=0.02)
            return [muon, adamw(rest, betas=(0.9, 0.98), weight_decay=0.0)]
        return [adamw([{"params": matrices}], betas=(0.9, 0.95), weight_decay=0.1),
                adamw(rest, betas=(0.9, 0.98), weight_decay=0.0)]  # fmt: skip

    def data(self, shards: Any, settings: Settings, seed: int, mix: dict | None, rank=0, world=1) -> Batches:
        windows = Windows(shards, "train", batch=settings.batch, length=settings.length, seed=seed, mix=mix)
        return Batches(windows, windows.rows, partial(_packed, length=settings.length), rank, world)

    def told(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch on the CPU with `which`, the rows that count: a GPU would have to be asked for them, and waited
        for."""
        return batch | {"which": model.followed(batch["targets"])}

    def losses(self, net: Any, batch: dict[str, Tensor]) -> Tensor:
        """(M, 5) nats of what is drawn."""
        return net.losses(**batch)[0]

    def count(self, batch: dict[str, Tensor]) -> Tensor:
        """How many rows are drawn."""
        return (batch["targets"][..., features.SHIFT] != features.GIVEN).sum()

    def flops(self, config: model.Config, length: int) -> tuple[float, float]:
        """Floating-point operations of the forward pass for one row: of the matrices (twice their weights), and of
        attention over the mean of a full causal context. Training takes three times as many."""
        width, depth = config.width, config.depth
        head = 5 * width**2 + 4 * (width**2 + around.HEARD_SIZE * width) + width * sum(features.FIELD_SIZES)
        head += len(around.NO_PITCH) * model.INTERVALS * (width + 255)
        return 2.0 * (12 * width**2 * depth + head), 2.0 * width * length * depth


def _packed(several: list, length: int) -> dict[str, np.ndarray]:
    """`collate` of what `Windows.rows` answers."""
    return collate([rows for rows, _ in several], length)


def _stacked(several: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {"tokens": np.stack(several).astype(np.int32)}


@dataclass(frozen=True)
class Amt:
    """AMT by its paper's recipe: AdamW with decay of matrices, cosine to zero, music as it is, loss on every token."""

    fields: tuple[str, ...] = amt.SLOT_NAMES
    per: str = "triplet"
    tokens: int = 3
    sliced: bool = False  # no loss on controls, each slot among its own tokens only: not the paper's, but cheaper

    def network(self, config: gpt2.Config, length: int) -> gpt2.GPT2:
        return gpt2.GPT2(config)

    def blocks(self, net: nn.Module) -> list[nn.Module]:
        return list(net.h)  # type: ignore[arg-type]

    def optimizers(self, net: nn.Module, name: str) -> list[torch.optim.Optimizer]:
        """`muon` is for comparison: for the blocks' matrices, AdamW for the rest."""
        named = dict(net.named_parameters())
        inner = [n for n, p in named.items() if name == "muon" and p.ndim == 2 and n.startswith("h.")]
        rest = [p for n, p in named.items() if n not in inner]
        groups = [{"params": [p for p in rest if (p.ndim == 2) == matrix], "weight_decay": decay}
                  for matrix, decay in ((True, 0.1), (False, 0.0))]  # fmt: skip
        plain = adamw(groups, betas=(0.9, 0.999))
        matrices = [named[n] for n in inner]
        muon = [Muon(matrices, weight_decay=0.1)] if inner else []
        return [*muon, plain]

    def data(self, shards: Any, settings: Settings, seed: int, mix: dict | None, rank=0, world=1) -> Batches:
        windows = Windows(shards, "train", batch=settings.batch, length=512, seed=seed, mix=mix)
        return Batches(windows, Sequences(windows).one, _stacked, rank, world)

    def told(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return batch

    def losses(self, net: Any, batch: dict[str, Tensor]) -> Tensor:
        """(M, 3) nats of time, duration and note; M: all triplets, or those that are drawn."""
        tokens = batch["tokens"].long()
        return net.slot_losses(tokens)[0] if self.sliced else net.losses(tokens).view(-1, 3)

    def count(self, batch: dict[str, Tensor]) -> Tensor:
        notes = batch["tokens"][:, 3::3]
        return (notes < amt.CONTROL_OFFSET).sum() if self.sliced else torch.tensor(notes.numel(), device=notes.device)

    def flops(self, config: gpt2.Config, length: int) -> tuple[float, float]:
        """As `Event.flops`, of one triplet: three tokens."""
        offered = sum(map(len, amt.SLOTS)) if self.sliced else 3 * len(amt.VOCABULARY)
        matrices = 2.0 * (36 * config.width**2 * config.layers + config.width * offered)
        return matrices, 6.0 * config.width * (amt.CONTEXT - 1) * config.layers


def _amt(name: str, **settings: Any) -> Preset:
    config, lr = gpt2.PRESETS[name]
    common: dict[str, Any] = {"lr": lr, "lr_rest": lr, "warmup": 1000, "steps": 100_000, "batch": 512, "micro": 4}
    common |= {"length": amt.CONTEXT, "optimizer": "adamw", "schedule": "cosine"}
    return Preset(Amt(), config, Settings(**(common | settings)))


OURS = Settings(lr=0.004, lr_rest=0.003)
LADDER = {f"depth-{n}": model.Config(n) for n in (1, 2, 3, 6)}  # beside `tiny`, 4: what size does a compute want?
PRESETS = {
    **{name: Preset(Event(), config, OURS) for name, config in (LADDER | model.PRESETS).items()},
    # By the paper, but for `amt-tiny`, which is for a laptop.
    "amt-tiny": _amt("amt-tiny", batch=18, micro=1, steps=3000, warmup=100),
    "amt-small": _amt("amt-small"),
    "amt-medium": _amt("amt-medium"),
    "amt-large": _amt("amt-large", recompute=True),
}
PRESETS["large"] = replace(PRESETS["large"], settings=replace(OURS, recompute=True))


@dataclass(frozen=True)
class Schedule:
    """Share of the peak rate. `trapezoid`: up, flat, down to zero over the last `cooldown`; `cosine`: up, and along a
    cosine to zero. average: over the last so much of the training the weights are averaged."""

    name: str
    warmup: int
    cooldown: float = 0.3
    average: float = 0.0

    def rate(self, step: int, share: float) -> float:
        """step: of the warm-up. share: of the whole training that is over, 0-1."""
        left = max(0.0, 1.0 - share)
        up = min(1.0, (step + 1) / max(1, self.warmup))
        if self.name == "cosine":
            return up * 0.5 * (1.0 - math.cos(math.pi * left))
        return min(up, left / max(self.cooldown, 1e-9))

    def averages(self, share: float) -> bool:
        return 1.0 - share <= self.average
