"""Train an event transformer: python train/train.py --preset tiny --data SHARDS --out DIR [--resume].

Imports no MIDI library. The batch of a step is a function of (seed, step), so a resumed run goes on exactly where it
stopped. `--steps` may change on resume: the learning rate falls to zero over the last part of whatever is asked.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from evaluate import evaluate, nats, report  # noqa: E402

from anticipation import checkpoint, model  # noqa: E402
from anticipation.data import Shards  # noqa: E402
from anticipation.errors import AnticipationError  # noqa: E402
from anticipation.windows import Recipe, Windows  # noqa: E402

# Share of the windows by source: what a musician will ask for more often than the corpus has it.
MIX = {
    "pop909": 0.36, "pop909-versions": 0.10, "openscore-lieder": 0.09, "polish-scores": 0.12,
    "openscore-quartets": 0.04, "chopin-first-ed": 0.02, "openscore-orchestra": 0.02, "mutopia-pd-ccby": 0.05,
    "mutopia-ccbysa": 0.02, "freedoom": 0.06, "blasphemer": 0.01, "easyrpg-rtp": 0.01, "groove": 0.02,
    "cre-corpus": 0.01, "openewld-us-pd": 0.05, "openhymnal": 0.01, "kittel": 0.005, "zinck": 0.005,
    "goudimel": 0.0025, "tavern": 0.005, "dmidiplayer": 0.0025,
}  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="shards, from train/prepare.py")
    parser.add_argument("--out", type=Path, required=True, help="run folder: state, metrics.csv, and the checkpoint")
    parser.add_argument("--preset", choices=model.PRESETS, default="tiny")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=18, help="windows a step")
    parser.add_argument("--length", type=int, default=512, help="rows of a window")
    parser.add_argument("--lr", type=float, default=0.004, help="peak rate of Muon (matrices)")
    parser.add_argument("--lr-rest", type=float, default=0.003, help="peak rate of AdamW (embeddings, logits)")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--cooldown", type=float, default=0.3, help="share of the steps over which the rate falls to 0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mix", choices=["all", "shipped"], default="all", help="all: by notes; shipped: MIX")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=0, help="loader processes")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --out, if there is one")
    parser.add_argument("--init", type=Path, help="start from the weights of this checkpoint")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--eval-every", type=int, default=500)
    return parser.parse_args()


def optimizers(net: model.EventModel, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Muon for the matrices that map states to states, AdamW for embeddings and logits."""
    named = dict(net.named_parameters())
    inner = [n for n, p in named.items() if p.ndim == 2 and n.startswith(("blocks", "state", "mix"))]
    rest = [p for n, p in named.items() if n not in inner]
    return [
        torch.optim.Muon([named[n] for n in inner], lr=args.lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=args.lr_rest, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(step: int, args: argparse.Namespace) -> float:
    """Share of the peak rate: up, flat, down to zero."""
    left = (args.steps - step) / max(1.0, args.cooldown * args.steps)
    return max(0.0, min(1.0, (step + 1) / args.warmup, left))


def save_state(path: Path, net, opts, step: int, seconds: float) -> None:
    state = {"step": step, "seconds": seconds, "model": net.state_dict(), "optimizers": [o.state_dict() for o in opts]}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load_state(path: Path, net, opts) -> tuple[int, float]:
    """The step and the seconds that a run has behind it; (0, 0) where there is no state."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True, map_location=net.device)
    net.load_state_dict(state["model"])
    for opt, saved in zip(opts, state["optimizers"], strict=True):
        opt.load_state_dict(saved)
    return state["step"], state["seconds"]


def update(net, opts, batch: dict, share: float, args: argparse.Namespace) -> torch.Tensor:
    """One step of all optimizers at a share of their peak rates. Returns (rows, 5) nats, finite or not: then nothing
    was changed."""
    for opt, peak in zip(opts, (args.lr, args.lr_rest), strict=True):
        for group in opt.param_groups:
            group["lr"] = peak * share
    loss = nats(net.losses, batch, net.device)
    mean = loss.sum() / len(loss)
    if torch.isfinite(mean):
        mean.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
    return loss.detach()


def train(net: model.EventModel, opts, shards: Shards, args: argparse.Namespace) -> float:
    """Train from the state in the run folder, if there is one and it is wanted, to the last step. Returns seconds."""
    state = args.out / "state.pt"
    first, spent = load_state(state, net, opts) if args.resume else (0, 0.0)
    mix = MIX if args.mix == "shipped" else None
    data = Windows(shards, "train", batch=args.batch, length=args.length, seed=args.seed, mix=mix, steps=args.steps)
    ahead = 4 if args.workers else None
    loader = DataLoader(
        data, batch_size=None, sampler=range(first, args.steps), num_workers=args.workers, prefetch_factor=ahead
    )
    split = next((name for name in ("dev", "valid", "train") if shards.split(name)), "train")
    probe = Windows(shards, split, batch=16, length=args.length, seed=99, recipe=Recipe.plain())
    begin = time.perf_counter() - spent
    with (args.out / "metrics.csv").open("a", newline="") as log:
        writer = csv.writer(log)
        if not log.tell():
            writer.writerow(["step", "seconds", "nats per row", *model.FIELD_NAMES])
        for step, batch in zip(range(first, args.steps), loader, strict=True):
            loss = update(net, opts, batch, rate(step, args), args)
            total, seconds = loss.sum().item() / len(loss), time.perf_counter() - begin
            if not math.isfinite(total):
                sys.exit(f"train: the loss is {total} at step {step}; {state} holds the last good state")
            if step % 20 == 0:
                fields = [round(f, 4) for f in (loss.sum(0) / len(loss)).tolist()]
                writer.writerow([step, round(seconds, 1), round(total, 4), *fields])
                log.flush()
                print(f"{step} {seconds:.0f} s {total:.3f} " + " ".join(f"{f:.2f}" for f in fields), flush=True)
            if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
                save_state(state, net, opts, step + 1, seconds)
            if (step + 1) % args.eval_every == 0:
                print("eval", step + 1, json.dumps(evaluate(net, probe, 6, net.device)), flush=True)
                checkpoint.save(net, args.out / "checkpoint", card={"step": step + 1})
    return time.perf_counter() - begin


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    shards = Shards(args.data)
    net = model.EventModel(model.Config(model.PRESETS[args.preset], args.length)).to(args.device)
    if args.init:
        net.load_state_dict(checkpoint.load(args.init).state_dict())
    if args.compile:
        for block in net.blocks:
            block.compile()
    seconds = train(net, optimizers(net, args), shards, args)
    card = {"preset": args.preset, "parameters": model.count_parameters(net), "steps": args.steps}
    card |= {"rows": args.steps * args.batch * args.length, "seconds": round(seconds), "device": args.device}
    card |= {"command": " ".join(sys.argv), "held_out_bits": report(net, shards, args.length)}
    checkpoint.save(net, args.out / "checkpoint", card=card)
    print(json.dumps(card["held_out_bits"]))


if __name__ == "__main__":
    try:
        main()
    except AnticipationError as error:
        print(f"train: {error}", file=sys.stderr)
        sys.exit(2)
