"""Train a model of either family: python train/train.py --preset tiny --data SHARDS --out RUN [--resume].

On one device as it stands; on several by torchrun, with --fsdp where a network is too large for one. Imports no MIDI
library. The batch of a step is a function of (seed, step), so a resumed run goes on exactly where it stopped, and any
number of processes sees the same. `--steps` and `--minutes` may change on resume: the learning rate falls to zero over
the last part of whatever is asked.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

import _script  # noqa: F401  the package of this checkout
import torch
import torch.distributed as dist
from bench import bench_loader, bench_model, show
from engine import Engine, Layout, Place, exact
from evaluate import HELD_OUT, brief, evaluate
from logbook import Run, StopRequest, data_hash
from recipes import MIXES, PRESETS, Amt, Event, Preset, Schedule, Settings, loader_processes, loading

from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError
from anticipation.model import checkpoint
from anticipation.model import event as model


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="shards, from train/prepare.py")
    add("--out", type=Path, required=True, help="run folder: state, metrics.csv, samples, and the checkpoint")
    add("--preset", choices=PRESETS, default="tiny", help="the amt- ones by their paper's recipe")
    add("--steps", type=int, help="updates")
    add("--minutes", type=float, help="end by the clock, resumed time included, and let the rate follow it")
    add("--batch", type=int, help="windows a step, of all processes")
    add("--micro", type=int, help="windows at once on one device; the gradients of the rest are added up")
    add("--length", type=int, help="rows of a window (event presets)")
    add("--optimizer", choices=["muon", "adamw"])
    add("--lr", type=float, help="peak rate of Muon (matrices), or of AdamW")
    add("--lr-rest", type=float, help="peak rate of AdamW beside Muon (embeddings, logits)")
    add("--schedule", choices=["trapezoid", "cosine"])
    add("--warmup", type=int, help="steps")
    add("--cooldown", type=float, default=0.3, help="share of the training over which a trapezoid falls to 0")
    add("--average", type=float, default=0.0, help="the checkpoint is the mean of the weights over this last share")
    add("--seed", type=int, default=0)
    add("--mix", choices=MIXES, default="all", help="all: by notes; shipped: as checkpoints/default was trained")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    feeding = (
        "loader processes, for each that trains (default: none on a CPU; for a GPU its share of the cores, up to 8)"
    )
    add("--workers", type=int, help=feeding)
    precision = "default: bf16 on a GPU; fp32 on a CPU, which is faster unless it has AVX512-BF16 or AMX"
    add("--precision", choices=["bf16", "fp32"], help=precision)
    add("--compile", action="store_true")
    add("--recompute", action=argparse.BooleanOptionalAction, help="activations in the backward pass (default: large)")
    add("--fsdp", action="store_true", help="shard weights and momenta over the processes of torchrun")
    add("--resume", action="store_true", help="go on from the state in --out, if there is one")
    add("--init", type=Path, metavar="CHECKPOINT", help="start from these weights; those of fewer blocks grow")
    add("--init-share", type=float, default=0.0, help="the share that they have in the checkpoint at the end, 0-1")
    add("--save-every", type=int, default=100, metavar="STEPS")
    add("--eval-every", type=int, default=500, metavar="STEPS", help="held-out numbers on the way; 0: never")
    add("--eval-pieces", type=int, default=24, help="held-out excerpts on the way; four times as many at the end")
    hearing = "write accompaniments of held-out melodies; 0: never"
    add("--sample-every", type=int, default=1000, metavar="STEPS", help=hearing)
    add("--log-every", type=int, default=20, metavar="STEPS")
    add("--bench-loader", type=float, metavar="SECONDS", help="only measure what the loader feeds")
    add("--bench-model", type=float, metavar="SECONDS", help="only measure what the network eats")
    add("--peak", type=float, help="FLOP/s of the device, for --bench-model (an H200: 989e12 in bf16)")
    return parser


def chosen(args: argparse.Namespace) -> tuple[Preset, Settings]:
    """The preset, and its settings with what the flags say instead. Raises AnticipationError."""
    preset = PRESETS[args.preset]
    said = {f.name: getattr(args, f.name, None) for f in fields(Settings)}
    settings = replace(preset.settings, **{name: value for name, value in said.items() if value is not None})
    if preset.config.family == "amt" and args.length not in (None, preset.settings.length):
        raise AnticipationError(f"--length: AMT's context is {preset.settings.length} tokens")
    least = dict.fromkeys(("steps", "batch", "length", "save_every", "log_every", "eval_pieces"), 1)
    least |= dict.fromkeys(("micro", "workers", "seed", "eval_every", "sample_every"), 0)
    values = vars(args) | vars(settings)
    for name, low in least.items():
        if values[name] is not None and values[name] < low:
            raise AnticipationError(f"--{name.replace('_', '-')} must be at least {low}")
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise AnticipationError("--minutes must be more than 0")
    if not 0 <= args.average <= 1 or not 0 <= args.init_share < 1:
        raise AnticipationError("--average and --init-share are shares, from 0 to 1")
    if args.init_share and not args.init:
        raise AnticipationError("--init-share: of which weights? say --init")
    return preset, settings


def build(args: argparse.Namespace, preset: Preset, settings: Settings, place: Place) -> Engine:
    """Network, optimizers and layout. Raises AnticipationError where --init does not fit or --fsdp has no torchrun."""
    if args.fsdp and not dist.is_initialized():
        raise AnticipationError("--fsdp shards over the processes of torchrun; start it as torchrun train/train.py ...")
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    net = preset.network(settings.length)
    if args.init and not (args.resume and (args.out / "state.pt").exists()):
        initialise(net, args.init, args.preset)
    precision = args.precision or ("fp32" if place.device.type == "cpu" else "bf16")
    layout = Layout(args.fsdp, args.compile, settings.recompute, precision == "bf16", settings.micro)
    schedule = Schedule(settings.schedule, settings.warmup, args.cooldown, args.average)
    return Engine(net, preset.recipe, place, layout, settings, schedule, args.seed)


def initialise(net: Any, folder: Path, preset: str) -> None:
    """Take over the weights of a checkpoint. Raises CheckpointError, and AnticipationError where they do not fit."""
    other = checkpoint.load(folder)
    if net.family != other.family:
        raise AnticipationError(f"--init {folder} is of family {other.family!r}, --preset {preset} is not")
    try:
        net.take_over(other) if net.family == "event" else net.load_state_dict(other.state_dict())
    except RuntimeError:
        raise AnticipationError(f"--init {folder} is of another size than --preset {preset}") from None


class Training:
    """One run from its first step, or the one it was stopped before, to its last."""

    def __init__(self, args: argparse.Namespace, preset: Preset, settings: Settings, engine: Engine) -> None:
        self.args, self.preset, self.settings, self.engine = args, preset, settings, engine
        self.shards, place = Shards(args.data), engine.place
        self.data = preset.recipe.data(self.shards, settings, args.seed, MIXES[args.mix], place.rank, place.world)
        self.run = Run(args.out, ["loss", *preset.recipe.fields, "norm", "rate"])
        self.held_out = [name for name in HELD_OUT if self.shards.split(name)]
        self.step, self.seconds = 0, 0.0

    def start(self) -> None:
        """Take over the state that is there, if that is wanted. Raises AnticipationError."""
        args, place = self.args, self.engine.place
        config = {name: str(v) if isinstance(v, Path) else v for name, v in vars(args).items()} | vars(self.settings)
        config |= {"family": self.preset.config.family, "world": place.world, "torch": torch.__version__,
                   "data_sha256": data_hash(args.data), "command": " ".join(sys.argv)}  # fmt: skip
        if args.resume and self.run.state.exists():
            self.run.check(config)
            facts = self.engine.load(self.run.state)
            self.step, self.seconds = facts["step"], facts["seconds"]
        elif self.run.state.exists():
            raise AnticipationError(f"{args.out} holds a run: --resume goes on with it, or choose another --out")
        place.wait()  # all have read what the first now overwrites
        if place.rank == 0:
            self.run.begin(config, self.step)

    def complete(self) -> int:
        """All of it. Returns 0, or 128 and the signal that stopped it. Raises AnticipationError."""
        self.start()
        request = StopRequest()
        try:
            if self.go(request):
                self.finish()
                return 0
        finally:
            request.forget()
            self.run.close()
        print(f"train: stopped at step {self.step}, which is saved; --resume goes on", file=sys.stderr)
        return request.code or 143

    def share(self) -> float:
        """How much of the training is over, 0-1."""
        if self.args.minutes:
            return min(1.0, self.seconds / (60 * self.args.minutes))
        return self.step / self.settings.steps

    @property
    def over(self) -> bool:
        by_clock, limit = bool(self.args.minutes), self.args.steps
        return self.share() >= 1.0 or (by_clock and limit is not None and self.step >= limit)

    def save(self) -> None:
        self.engine.save(self.run.state, {"step": self.step, "seconds": self.seconds})

    def go(self, request: StopRequest) -> bool:
        """Update until the end; False where it was asked to stop before. Raises AnticipationError where the data
        vanish or the loss is lost; the state of the last good step is then saved."""
        steps = 10**9 if self.args.minutes else self.settings.steps
        place, gpu = self.engine.place, self.engine.place.device.type == "cuda"
        before, stop = time.perf_counter() - self.seconds, False
        with loading(self.data, self.step, steps, loader_processes(self.args.workers, gpu), gpu) as batches:
            while not self.over and not stop:
                batch = self.fetch(batches)
                values, good = self.engine.step(self.step, batch, self.share())
                if not good:
                    self.refused(values)
                rate = self.engine.schedule.rate(self.step, self.share())
                stop, self.seconds = place.agree(bool(request), time.perf_counter() - before)
                if place.rank == 0 and (self.step % self.args.log_every == 0 or not good):
                    self.run.log(self.step, self.seconds, values | {"rate": rate})
                self.step += 1
                if self.step % self.args.save_every == 0 or self.over or stop:
                    self.save()
                if not stop:
                    self.look()
        return self.over

    def fetch(self, batches: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """The next batch. Raises AnticipationError where any of the processes has lost its data, in all of them: alone
        it would save for ever, waiting for others that wait for its gradients."""
        batch, reason = None, "another process lost its data"
        try:
            batch = next(batches)
        except AnticipationError as error:
            reason = str(error).strip().splitlines()[-1].removeprefix("anticipation.errors.AnticipationError: ")
        if self.engine.place.agree(batch is None, 0.0)[0] or batch is None:
            self.save()
            raise AnticipationError(f"{reason}; step {self.step} is saved in {self.run.state}") from None
        return batch

    def refused(self, values: dict[str, float]) -> None:
        """An update that was not made. Raises AnticipationError after ten in a row."""
        print(f"train: step {self.step} was left out: loss {values['loss']:.4g}, gradient {values['norm']:.4g}",
              file=sys.stderr, flush=True)  # fmt: skip
        if self.engine.guard.lost:
            kept = f"{self.run.state} holds the last saved state" if self.run.state.exists() else "nothing was saved"
            raise AnticipationError(f"the loss is lost: {self.engine.guard.row} bad updates in a row; {kept}")

    def look(self) -> None:
        """Evaluate and sample, where it is time to."""
        wanted = self.args.eval_every and self.step % self.args.eval_every == 0 and self.held_out
        heard = self.args.sample_every and self.step % self.args.sample_every == 0 and self.held_out
        if not wanted and not heard:
            return
        net = self.engine.whole(self.fresh)
        if self.engine.place.rank == 0 and wanted:
            with exact():
                table = evaluate(net, self.shards, self.held_out, self.args.eval_pieces, ("none", "parts"), ())
            self.run.note(self.step, "eval", table)
            for split, parts in table["splits"].items():
                self.run.draw(split, self.step, {kind: row["all"] for kind, row in parts["controls"].items()})
            checkpoint.save(net, self.run.checkpoint, card={"step": self.step})
        if self.engine.place.rank == 0 and heard:
            self.listen(net)
        self.engine.place.wait()

    def listen(self, net: Any) -> None:
        """A sample must never cost a run."""
        try:
            from samples import sample

            sample(net, self.shards, self.held_out[0], self.run.folder / "samples", self.step)
        except Exception as error:  # whatever it is
            print(f"train: no sample at step {self.step}: {error}", file=sys.stderr, flush=True)

    def fresh(self) -> Any:
        return self.preset.network(self.settings.length)

    def finish(self) -> None:
        """The checkpoint with its card: how it was made, and what it costs on held-out pieces."""
        net = self.engine.whole(self.fresh)
        if self.engine.place.rank == 0:
            args, set_ = self.args, self.settings
            if args.init_share:
                first = self.fresh()
                initialise(first, args.init, args.preset)
                net.load_state_dict(model.blended(first, net, args.init_share), assign=True)
            card = {"preset": args.preset, "parameters": model.count_parameters(net), "steps": self.step}
            card |= {"rows": self.step * set_.batch * set_.length, "seconds": round(self.seconds)}
            card |= {"device": args.device, "command": " ".join(sys.argv), "refused_updates": self.engine.guard.refused}
            if self.held_out:
                with exact():
                    table = evaluate(net, self.shards, self.held_out, 4 * args.eval_pieces)
                self.run.note(self.step, "report", table)
                card["held_out"] = brief(table)
            checkpoint.save(net, self.run.checkpoint, card=card)
            print(json.dumps(card), flush=True)
        self.engine.place.wait()


def benchmark(args: argparse.Namespace, preset: Preset, settings: Settings, place: Place) -> None:
    recipe: Event | Amt = preset.recipe
    data = recipe.data(Shards(args.data), settings, args.seed, MIXES[args.mix], place.rank, place.world)
    gpu = place.device.type == "cuda"
    workers = loader_processes(args.workers, gpu)
    with loading(data, 0, 10**9, workers, gpu) as batches:
        if args.bench_loader:
            show(bench_loader(batches, recipe, args.bench_loader, workers))
        if args.bench_model:
            engine = build(args, preset, settings, place)
            shown = bench_model(engine, next(batches), engine.net.config, settings.length, args.bench_model, args.peak)
            show(shown) if place.rank == 0 else None


def train(args: argparse.Namespace) -> int:
    """Returns the exit code, see `Training.complete`. Raises AnticipationError."""
    preset, settings = chosen(args)
    place = Place.join(args.device)
    if args.bench_loader or args.bench_model:
        benchmark(args, preset, settings, place)
        return 0
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnticipationError(f"cannot make the run folder {args.out}: {error.strerror}") from None
    return Training(args, preset, settings, build(args, preset, settings, place)).complete()


def main(argv: list[str] | None = None) -> int:
    """As a command: 2 after one line about what the user can mend."""
    try:
        return train(flags().parse_args(argv))
    except (AnticipationError, OSError) as error:  # a full disk, where a log or an evaluation meets it
        print(f"train: {error}", file=sys.stderr, flush=True)
        return 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End the process. Threads of gloo outlive their group, and one that still lets go of a tensor while Python ends
    aborts (FSDP on a busy machine: one run in 20), so where there was a group that end is left out."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if "WORLD_SIZE" in os.environ:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
