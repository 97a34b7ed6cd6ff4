"""Held-out bits of what a checkpoint has to write: python train/evaluate.py CHECKPOINT SHARDS [--json].

By field and by control type, on POP909's development songs (dev) and on the held-out pieces of all other sources
(valid): bits per event, rests counted in with the shift of the event they lead to, velocity apart.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation import checkpoint, model  # noqa: E402
from anticipation.data import Shards  # noqa: E402
from anticipation.windows import CONTROLS, Recipe, Windows  # noqa: E402


def nats(net, batch: dict, device: torch.device) -> torch.Tensor:
    """(rows, 5) nats of what is drawn, for a loss function of a model's."""
    batch = {name: column.to(device, non_blocking=True) for name, column in batch.items()}
    batch = {name: column if column.is_floating_point() else column.long() for name, column in batch.items()}
    with torch.autocast(device.type, torch.bfloat16):
        return net(**batch)[0]


@torch.no_grad()
def evaluate(net: model.EventModel, data: Windows, steps: int, device: torch.device) -> dict[str, float]:
    """Bits per event by field over `steps` batches; `notes` is the sum without the velocity, `events` their number."""
    total, events = np.zeros(5), 0
    for step in range(steps):
        batch = {name: torch.from_numpy(column) for name, column in data[step].items()}
        total += nats(net.losses, batch, device).double().sum(0).cpu().numpy()
        events += int((batch["targets"][..., 2] >= 0).sum())
    bits = total / max(events, 1) / math.log(2)
    fields = dict(zip(model.FIELD_NAMES, bits.round(3).tolist(), strict=True))
    return fields | {"notes": round(float(bits[:4].sum()), 3), "events": events}


def report(net: model.EventModel, shards: Shards, length: int, steps: int = 8) -> dict[str, dict]:
    """`evaluate` for every split and control type, beats known, chords not."""
    out = {}
    for split in ("dev", "valid"):
        for kind in CONTROLS if shards.split(split) else ():
            data = Windows(shards, split, batch=16, length=length, seed=99, recipe=Recipe.plain(kind))
            out[f"{split} {kind}"] = evaluate(net, data, steps, net.device)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--batches", type=int, default=8, help="of 16 windows, for each split and control type")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    net = checkpoint.load(args.checkpoint, "cuda" if torch.cuda.is_available() else "cpu")
    table = report(net, Shards(args.shards), net.config.window, args.batches)
    if args.json:
        print(json.dumps(table))
        return
    print("| held out | " + " | ".join(next(iter(table.values()))) + " |")
    print("|---" * 8 + "|")
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
