"""Two measurements of a preset: what the loader feeds without a model, what the model eats without a loader.

Both print one JSON line; train.py runs them for --bench-loader and --bench-model. Knows no files but shards.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import torch
from engine import Engine

from anticipation.model.event import count_parameters


def rows_of(batch: dict[str, torch.Tensor], recipe: Any) -> int:
    """All rows (triplets) of a batch: the trunk passes also those whose successor is given, and not counted."""
    return next(iter(batch.values())).shape[:2].numel() // recipe.tokens


def bench_loader(batches: Iterator, recipe: Any, seconds: float, workers: int) -> dict[str, Any]:
    """Rows a second that the loader feeds, and those that are counted. The first batches, which start its processes,
    are left out."""
    for _ in range(1 + 2 * workers):
        next(batches)
    rows, counted, steps, begin = 0, 0, 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        batch = next(batches)
        rows, counted, steps = rows + rows_of(batch, recipe), counted + int(recipe.count(batch)), steps + 1
    spent = time.perf_counter() - begin
    return {"bench": "loader", "workers": workers, "batches": steps, "seconds": round(spent, 2),
            f"{recipe.per}s_per_second": round(rows / spent, 1),
            "counted_per_second": round(counted / spent, 1)}  # fmt: skip


def bench_model(engine: Engine, batch: dict[str, torch.Tensor], config: Any, length: int, seconds: float,
                peak: float | None) -> dict[str, Any]:  # fmt: skip
    """Updates on one and the same batch. Counts floating-point operations as 6 a weight that a row meets, and attention
    (training is three times the forward pass); the share of `peak`, in FLOP/s of all devices, is the utilisation."""
    device, recipe = engine.place.device, engine.recipe

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for step in range(3):
        engine.step(step, batch, 0.0)
    wait()
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        engine.step(3 + steps, batch, 0.0)
        steps += 1
    wait()
    spent = time.perf_counter() - begin
    rows = engine.place.world * rows_of(batch, recipe)
    matrices, attention = (3 * x for x in recipe.flops(config, length))
    rate = steps * rows * (matrices + attention) / spent
    out = {"bench": "model", "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
           "parameters": count_parameters(engine.net), "updates": steps, "seconds": round(spent, 2),
           f"{recipe.per}s_per_second": round(steps * rows / spent, 1),
           "counted_per_second": round(steps * engine.place.world * int(recipe.count(batch)) / spent, 1),
           f"mflop_per_{recipe.per}": {"matrices": round(matrices / 1e6, 2), "attention": round(attention / 1e6, 2)},
           "tflop_per_second": round(rate / 1e12, 4)}  # fmt: skip
    if device.type == "cuda":
        out["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    return out | ({"utilisation": round(rate / peak, 4)} if peak else {})


def show(result: dict[str, Any]) -> None:
    print(json.dumps(result), flush=True)
