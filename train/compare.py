"""Both families from scratch on the same pieces, for the same minutes or FLOPs: python train/compare.py SHARDS.

Prints one JSON line a run, then a table with the spread over the seeds: nats per event on the same held-out notes.

What is held equal: the pieces and their mix, width and depth of the trunk, windows a step (of about 200 events in
both), bf16, the wall-clock or the operations; and in judging the very rows, and what is told (delta of 5 s, whether a
piece begins). What differs is each family's own: encoding, head, optimizer, and what else it was trained to do (`event`
also learns velocity, chords, beats and live playing; that costs it, and is not taken off).
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import _script
import torch
from engine import Place
from recipes import PRESETS, Amt, Preset, Settings

from anticipation.errors import AnticipationError
from anticipation.model import checkpoint
from train import Training, build, chosen, flags

HEADS = {"full": "as published", "sliced": "no loss on controls, each slot among its own tokens only"}


def step_flops(preset: Preset, settings: Settings) -> float:
    """Floating-point operations of one update: three times the forward pass of every row."""
    rows = settings.batch * (settings.length // preset.recipe.tokens)
    return 3.0 * rows * sum(preset.recipe.flops(preset.config, settings.length))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--out", type=Path, default=Path("compare"), help="a run folder for each preset and seed")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["tiny", "amt-tiny"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--minutes", type=float, help="of training, a run")
    much.add_argument("--petaflops", type=float, nargs="+", help="10^15 operations of training, a run; several: each")
    parser.add_argument("--batch", type=int, nargs="+", default=[18], help="windows a step; or one number a preset")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--amt-head", choices=HEADS, default="full", help="; ".join(map(": ".join, HEADS.items())))
    parser.add_argument("--excerpts", type=int, default=100, help="held out, at most, of each split and kind")
    parser.add_argument("--mix", default="shipped")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.minutes = None if args.petaflops else args.minutes or 10.0
    if len(args.batch) not in (1, len(args.presets)):
        parser.error("--batch takes one number, or one for each of --presets")
    return args


def run(args: argparse.Namespace, name: str, batch: int, seed: int, petaflops: float | None) -> dict[str, Any]:
    """Train one preset by train.py's own code, and its card."""
    out = args.out / "-".join([name, str(seed), *([f"{petaflops:g}"] if petaflops else [])])
    line = ["--data", str(args.shards), "--out", str(out), "--preset", name, "--seed", str(seed), "--batch", str(batch),
            "--warmup", str(args.warmup), "--mix", args.mix, "--device", args.device, "--eval-every", str(10**9),
            "--sample-every", "0", "--save-every", str(10**9),
            "--eval-pieces", str(max(1, args.excerpts // 4))]  # fmt: skip
    asked = flags().parse_args(line)
    asked.minutes = args.minutes
    preset, settings = chosen(asked)
    if isinstance(preset.recipe, Amt):
        preset = replace(preset, recipe=replace(preset.recipe, sliced=args.amt_head == "sliced"))
    if petaflops:
        settings = replace(settings, steps=max(1, round(1e15 * petaflops / step_flops(preset, settings))))
    out.mkdir(parents=True, exist_ok=True)
    training = Training(asked, preset, settings, build(asked, preset, settings, Place.join(args.device)))
    if training.complete():
        raise AnticipationError(f"stopped; {out} holds what there is")
    card = checkpoint.read_config(training.run.checkpoint)["card"]
    spent = {"flops": training.step * step_flops(preset, settings), "threads": args.threads, "amt_head": args.amt_head}
    return {"preset": name, "seed": seed, "batch": batch} | spent | card


def summary(runs: list[dict[str, Any]]) -> str:
    """A Markdown table: mean of the seeds, and their standard deviation where there are several."""
    names = list(dict.fromkeys(one["preset"] for one in runs))
    cells: dict[tuple[str, str], list[float]] = {}
    for one in runs:
        for label, nats in one["held_out"]["by_request"].items():
            cells.setdefault((label, one["preset"]), []).append(nats)
    labels = dict.fromkeys(label for label, _ in cells)
    rows = ([label, *(spread(cells.get((label, name), [])) for name in names)] for label in labels)
    return _script.markdown(["nats per event", *names], rows)


def spread(values: list[float]) -> str:
    if not values:
        return ""
    more = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{more}"


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    batches = args.batch * (len(args.presets) if len(args.batch) == 1 else 1)
    runs = []
    for petaflops in args.petaflops or [None]:
        for seed, (name, batch) in product(args.seeds, zip(args.presets, batches, strict=True)):
            runs.append(run(args, name, batch, seed, petaflops))
            print(json.dumps(runs[-1]), flush=True)
    print(summary(runs))


if __name__ == "__main__":
    _script.run(main)
