"""Train an event transformer: python train/train.py --preset tiny --data SHARDS --out DIR [--resume].

Imports no MIDI library. The batch of a step is a function of (seed, step), so a resumed run goes on exactly where it
stopped. `--steps` may change on resume: the learning rate falls to zero over the last part of whatever is asked.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation import checkpoint, model  # noqa: E402
from anticipation.data import Shards  # noqa: E402
from anticipation.windows import CONTROLS, Recipe, Windows  # noqa: E402

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
    parser.add_argument("--mix", choices=["shipped", "all"], default="shipped", help="shipped: MIX; all: by notes")
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


def nats(net, batch: dict, device: torch.device) -> torch.Tensor:
    """(rows, 5) nats of what is drawn."""
    batch = {name: column.to(device, non_blocking=True) for name, column in batch.items()}
    batch = {name: column if column.is_floating_point() else column.long() for name, column in batch.items()}
    with torch.autocast(device.type, torch.bfloat16):
        return net(**batch)[0]


@torch.no_grad()
def evaluate(net: model.EventModel, data: Windows, steps: int, device: torch.device) -> dict[str, float]:
    """Nats per event by field: every shift (a rest's too), instrument, pitch, duration, velocity, over the events."""
    total, events = np.zeros(5), 0
    for step in range(steps):
        batch = {name: torch.from_numpy(column) for name, column in data[step].items()}
        total += nats(net.losses, batch, device).double().sum(0).cpu().numpy()
        events += int((batch["targets"][..., 2] >= 0).sum())
    fields = dict(zip(model.FIELD_NAMES, (total / max(events, 1)).round(4).tolist(), strict=True))
    return fields | {"notes": round(float(total[:4].sum()) / max(events, 1), 4), "events": events}


def report(net: model.EventModel, shards: Shards, args: argparse.Namespace, steps: int) -> dict:
    """Held-out nats per event by split and control type; `notes` leaves the velocity out."""
    out = {}
    for split in ("dev", "valid"):
        for kind in CONTROLS if shards.split(split) else ():
            data = Windows(shards, split, batch=16, length=args.length, seed=99, recipe=Recipe.plain(kind))
            out[f"{split} {kind}"] = evaluate(net, data, steps, torch.device(args.device))
    return out


def save_state(path: Path, net, opts, step: int, seconds: float) -> None:
    state = {"step": step, "seconds": seconds, "model": net.state_dict(), "optimizers": [o.state_dict() for o in opts]}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    device = torch.device(args.device)
    shards = Shards(args.data)
    net = model.EventModel(model.Config(model.PRESETS[args.preset], args.length)).to(device)
    if args.init:
        net.load_state_dict(checkpoint.load(args.init).state_dict())
    opts = optimizers(net, args)
    first, spent, state_path = 0, 0.0, args.out / "state.pt"
    if args.resume and state_path.exists():
        state = torch.load(state_path, weights_only=True, map_location=device)
        net.load_state_dict(state["model"])
        for opt, saved in zip(opts, state["optimizers"], strict=True):
            opt.load_state_dict(saved)
        first, spent = state["step"], state["seconds"]
    if args.compile:
        for block in net.blocks:
            block.compile()
    data = Windows(shards, "train", batch=args.batch, length=args.length, seed=args.seed,
                   mix={k: v for k, v in MIX.items() if args.mix == "shipped"}, steps=args.steps)  # fmt: skip
    loader = DataLoader(data, batch_size=None, sampler=range(first, args.steps), num_workers=args.workers,
                        prefetch_factor=4 if args.workers else None)  # fmt: skip
    probe = Windows(shards, "dev" if shards.split("dev") else "valid", batch=16, length=args.length, seed=99,
                    recipe=Recipe.plain())  # fmt: skip
    log = (args.out / "metrics.csv").open("a", newline="")
    writer = csv.writer(log)
    begin = time.perf_counter() - spent
    for step, batch in zip(range(first, args.steps), loader, strict=False):
        for opt, peak in zip(opts, (args.lr, args.lr_rest), strict=True):
            for group in opt.param_groups:
                group["lr"] = peak * rate(step, args)
        loss = nats(net.losses, batch, device)
        mean = loss.sum() / len(loss)
        if not torch.isfinite(mean):
            sys.exit(f"train: the loss is {mean.item()} at step {step}; {state_path} holds the last good state")
        mean.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - begin
        if step % 20 == 0:
            fields = (loss.detach().sum(0) / len(loss)).tolist()
            writer.writerow([step, round(seconds, 1), round(mean.item(), 4), *(round(f, 4) for f in fields)])
            log.flush()
            print(f"{step} {seconds:.0f} s {mean.item():.3f} " + " ".join(f"{f:.2f}" for f in fields), flush=True)
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            save_state(state_path, net, opts, step + 1, seconds)
        if (step + 1) % args.eval_every == 0:
            print("eval", step + 1, json.dumps(evaluate(net, probe, 6, device)), flush=True)
            checkpoint.save(net, args.out / "checkpoint", card={"step": step + 1})
    rows = args.steps * args.batch * args.length
    card = {"preset": args.preset, "parameters": model.count_parameters(net), "steps": args.steps, "rows": rows,
            "seconds": round(time.perf_counter() - begin), "device": device.type, "command": " ".join(sys.argv),
            "held_out_nats": report(net, shards, args, 8)}  # fmt: skip
    checkpoint.save(net, args.out / "checkpoint", card=card)
    print(json.dumps(card["held_out_nats"]))


if __name__ == "__main__":
    main()
