"""What one training step costs and where it runs: one process, DDP or FSDP, on CPU or GPU. Knows no music and no files
but the state of a run.

The loss is a mean over the whole batch whatever the number of processes and of micro-batches, and all randomness is a
function of (seed, step, place in the batch): runs of any layout follow one curve, and a resumed run goes on exactly.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from recipes import Amt, Event, Schedule, Settings
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint as recomputed

from anticipation.errors import AnticipationError, reason
from anticipation.files import put
from anticipation.model.checkpoint import find_device

CLIP = 1.0  # the largest norm of a gradient; a larger one is scaled down


@dataclass(frozen=True)
class Place:
    """This process among those of a run: its device, its rank and how many there are, as torchrun's variables say."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @classmethod
    def join(cls, device: str) -> Place:
        """Raises AnticipationError where there is no such device."""
        world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        place = find_device(device)
        if place.type == "cuda":
            local = int(os.environ.get("LOCAL_RANK", 0))
            if local >= torch.cuda.device_count():
                raise AnticipationError(f"process {local} of this machine has no GPU: {torch.cuda.device_count()} here")
            place = place if world == 1 else torch.device("cuda", local)
            torch.cuda.set_device(place.index or 0)
        if "WORLD_SIZE" in os.environ and not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"  # see `agree`
            dist.init_process_group(backend, timeout=timedelta(hours=1))
        return cls(place, rank, world)

    def sum(self, value: Tensor) -> Tensor:
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def agree(self, stop: bool, seconds: float) -> tuple[bool, float]:
        """Whether any process wants to stop, and the mean of their seconds. Exchanged between CPUs, so that no GPU has
        to be waited for."""
        if self.world == 1:
            return stop, seconds
        stops, total = self.sum(torch.tensor([float(stop), seconds], dtype=torch.float64)).tolist()
        return stops > 0, total / self.world

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier()


class Objective(nn.Module):
    """A recipe's loss as a module: DDP and FSDP hook into a module's forward pass."""

    def __init__(self, net: nn.Module, recipe: Event | Amt) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.recipe.losses(self.net, batch)


@dataclass(frozen=True)
class Layout:
    """How a network is run. micro: windows in one forward pass; 0: all of the process's share."""

    fsdp: bool = False
    compile: bool = False
    recompute: bool = False
    half: bool = True  # bfloat16 in the forward pass
    micro: int = 0


@dataclass
class Guard:
    """Decides which updates are made: it refuses those whose loss or gradient is not finite, or whose loss is far above
    the recent ones. mean, square: running means of the loss and of its square. seen: accepted updates. refused: of all
    updates; row: since the last accepted one; patience: how many of these in a row mean that the loss is lost."""

    mean: float = 0.0
    square: float = 0.0
    seen: int = 0
    row: int = 0
    refused: int = 0
    patience: int = field(default=10, repr=False)

    def accepts(self, loss: float, norm: float) -> bool:
        """Six deviations above the mean of about the last 100 losses is a spike."""
        spread = math.sqrt(max(self.square - self.mean**2, 0.0)) + 0.02 * abs(self.mean)
        good = math.isfinite(loss) and math.isfinite(norm)
        good = good and (self.seen < 50 or loss < self.mean + 6 * spread)
        if not good:
            self.row, self.refused = self.row + 1, self.refused + 1
            return False
        keep = min(0.99, self.seen / (self.seen + 1))
        self.mean, self.square = keep * self.mean + (1 - keep) * loss, keep * self.square + (1 - keep) * loss**2
        self.seen, self.row = self.seen + 1, 0
        return True

    @property
    def lost(self) -> bool:
        return self.row >= self.patience


class Engine:
    """A network, its optimizers and its place. `step` is the whole of training; everything else saves and loads it."""

    def __init__(self, net: nn.Module, recipe: Event | Amt, place: Place, layout: Layout, settings: Settings,
                 schedule: Schedule, seed: int) -> None:  # fmt: skip
        self.recipe, self.place, self.layout, self.schedule, self.seed = recipe, place, layout, schedule, seed
        self.net, self.guard = net.to(place.device), Guard()
        blocks = recipe.blocks(net)
        for block in blocks if layout.recompute else ():
            block.forward = functools.partial(recomputed, block.forward, use_reentrant=False)  # type: ignore[method-assign]
        if layout.compile:  # AMT's blocks differ by a constant, so each is compiled; past the limit they would not be
            limit = max(torch._dynamo.config.recompile_limit, 2 * len(blocks) + 8)
            torch._dynamo.config.recompile_limit = limit
        for block in blocks if layout.compile else ():
            block.compile()
        self.objective: Any = Objective(self.net, recipe)
        if layout.fsdp:
            mesh = dist.init_device_mesh(place.device.type, (place.world,))
            for module in (*blocks, self.objective):
                fully_shard(module, mesh=mesh)
        elif place.world > 1:
            ids = [place.device.index] if place.device.type == "cuda" else None
            self.objective = DistributedDataParallel(self.objective, device_ids=ids)
        self.optimizers = recipe.optimizers(self.net, settings.optimizer)
        self.peaks = (settings.lr, settings.lr_rest)[: len(self.optimizers)]
        self.mean: dict[str, Tensor] = {}  # of the weights after the last updates, see Schedule.average
        self.averaged = 0  # updates

    def step(self, step: int, batch: dict[str, Tensor], share: float) -> tuple[dict[str, float], bool]:
        """One update from this process's share of a batch (on the CPU). share: of the training that is over, 0-1.

        Returns what the whole batch cost (`loss` and its fields, in nats per counted row, and `norm` of the gradient),
        and whether the update was made. A GPU is waited for only once, for what the guard needs to know.
        """
        place, fields = self.place, len(self.recipe.fields)
        rows = float(self.recipe.count(batch))
        count = place.sum(torch.full((), rows, dtype=torch.float64, device=place.device))
        total = torch.zeros(fields, device=place.device)
        parts = [self._moved(self.recipe.told(part)) for part in self.parts(batch)]
        size = len(next(iter(parts[0].values())))
        for i, part in enumerate(parts):
            torch.manual_seed(hash((self.seed, step, (place.rank * len(parts) + i) * size)) % 2**63)  # for dropout
            with self._gathering(i + 1 == len(parts)):
                with torch.autocast(place.device.type, torch.bfloat16, enabled=self.layout.half):
                    nats = self.objective(part)
                (nats.sum() * (place.world / (count * self.recipe.tokens)).float()).backward()
            total += nats.detach().sum(0)
        length = torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        length = length.full_tensor() if isinstance(length, DTensor) else length
        *mean, norm = torch.cat([place.sum(total).double() / count, length.double()[None]]).tolist()
        good = self.guard.accepts(sum(mean), norm)
        rate = self.schedule.rate(step, share)
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
            if good:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if good:
            self._average(share)
        return {"loss": sum(mean), **dict(zip(self.recipe.fields, mean, strict=True)), "norm": norm}, good

    @torch.no_grad()
    def _average(self, share: float) -> None:
        """Count the weights in their mean, where it is time to (Izmailov et al. 2018). A training that is made longer
        begins its mean anew."""
        if not self.schedule.averages(share):
            self.mean, self.averaged = {}, 0
            return
        weights = self.net.state_dict()
        self.mean = self.mean or {name: torch.zeros_like(w) for name, w in weights.items()}
        self.averaged += 1
        for name, mean in self.mean.items():
            mean.lerp_(weights[name], 1 / self.averaged)

    def _moved(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch on the device; for a GPU from pinned memory, so that the copy is not waited for."""
        cuda = self.place.device.type == "cuda"
        pinned = {name: column.pin_memory() if cuda else column for name, column in batch.items()}
        return {name: column.to(self.place.device, non_blocking=True) for name, column in pinned.items()}

    def parts(self, batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """A batch as it is run: so many windows at once, see `Layout`."""
        micro = self.layout.micro or len(next(iter(batch.values())))
        split = {name: column.split(micro) for name, column in batch.items()}
        return [dict(zip(split, columns, strict=True)) for columns in zip(*split.values(), strict=True)]

    def _gathering(self, last: bool):
        """The context of a backward pass: gradients are shared among processes only after the last micro-batch."""
        if self.layout.fsdp:
            self.objective.set_requires_gradient_sync(last)
        elif self.place.world > 1 and not last:
            return self.objective.no_sync()
        return nullcontext()

    def whole(self, fresh) -> Any:
        """A network, made by `fresh()`, that one process can evaluate, sample from and save: with the mean of the last
        weights where one is kept, else the very weights, or copies of them where they are sharded; never compiled, as
        that would happen again for each mode and length. All processes have to call this."""
        with torch.device("meta"):
            plain = fresh()
        plain.load_state_dict(_whole(self.mean or self.net.state_dict()), assign=True)
        return plain.to(self.place.device)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """The state of the run, from one process, to a temporary file that is renamed. Raises AnticipationError, and
        then the state before it is still there."""
        state = facts | {"model": _whole(self.net.state_dict()), "guard": vars(self.guard)}
        state |= {"mean": _whole(self.mean), "averaged": self.averaged}
        state["optimizers"] = [_whole(o.state_dict()) for o in self.optimizers]
        if self.place.rank == 0:
            draft = path.with_suffix(".new")
            try:
                torch.save(state, draft)
                put(draft, path)
            except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError on a full disk
                draft.unlink(missing_ok=True)
                kept = f"; {path} still holds the state before" if path.exists() else ""
                why = getattr(error, "strerror", None) or "the disk is full, or is no longer there"
                raise AnticipationError(f"cannot write {path}: {why}{kept}") from None
        self.place.wait()

    def load(self, path: Path) -> dict[str, Any]:
        """Take over a state; the facts that were saved with it. Raises AnticipationError where it does not fit."""
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            own = dict(self.net.named_parameters())
            if {n: p.shape for n, p in own.items()} != {n: p.shape for n, p in state["model"].items()}:
                raise ValueError("weights of another preset")
            self.net.load_state_dict({n: _like(p, own[n]) for n, p in state["model"].items()})
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                _load_optimizer(optimizer, saved)
            self.guard = Guard(**state.pop("guard", {}))
            self.averaged = state.pop("averaged", 0)
            self.mean = {n: _like(w, own[n]).to(own[n].device) for n, w in state.pop("mean", {}).items()}
        except Exception as error:  # torch.load raises whatever a broken pickle leads its machine to
            raise AnticipationError(f"{path} is no state of this run ({reason(error)})") from None
        return {name: value for name, value in state.items() if name not in ("model", "optimizers")}


@contextmanager
def exact() -> Iterator[None]:
    """Float32 arithmetic as evaluate.py has it, where training may round it (TF32 on a GPU): held-out numbers have to
    agree."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _whole(value: Any) -> Any:
    """A state without shards, on the CPU where it had some. All processes have to call this."""
    if isinstance(value, dict):
        return {name: _whole(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(entry) for entry in value]
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor laid out as the parameter is: sharded or not."""
    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict) -> None:
    """Load a state that has no shards. The optimizer's own options stay, for those that were saved are of another
    device or version of torch. Raises ValueError where the state is another optimizer's."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    own, theirs = ({name for group in groups for name in group} & {"betas", "momentum"}  # AdamW's and Muon's
                   for groups in (optimizer.param_groups, saved["param_groups"]))  # fmt: skip
    if own != theirs or len(optimizer.param_groups) != len(saved["param_groups"]):
        raise ValueError("written by another optimizer")
    groups = [group | {"params": old["params"]}
              for group, old in zip(optimizer.param_groups, saved["param_groups"], strict=True)]  # fmt: skip
    state = {
        i: {name: _like(v, parameters[i]) if isinstance(v, Tensor) else v for name, v in entry.items()}
        for i, entry in saved["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})
