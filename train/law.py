"""Loss against compute, from the JSON lines of compare.py: python train/law.py RUNS.jsonl [--at PETAFLOPS].

Of every budget of operations a parabola over the logarithm of the size gives the best size and its loss (the second
approach of Hoffmann et al. 2022); over the budgets both are lines in logarithms. Knows numbers only.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import _script
import numpy as np

from anticipation.errors import AnticipationError


def read(lines: list[str]) -> list[dict[str, Any]]:
    """The runs among the lines of a log."""
    return [json.loads(line) for line in lines if line.startswith('{"preset"') and '"flops"' in line]


def optimum(sizes: np.ndarray, losses: np.ndarray) -> tuple[float, float, bool]:
    """The best size, its loss, and whether it lies between the sizes tried: the lowest point of a parabola over the
    logarithm of the size or, if that is outside of them, the best of the sizes tried."""
    best = float(sizes[losses.argmin()]), float(losses.min()), False
    if len(sizes) < 3:
        return best
    a, b, c = np.polyfit(np.log(sizes), losses, 2)
    place = -b / (2 * a) if a > 0 else -np.inf
    if not np.log(sizes.min()) < place < np.log(sizes.max()):
        return best
    return float(np.exp(place)), float(np.polyval([a, b, c], place)), True


def law(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """budgets: [(FLOP, best size, its loss, whether it lies between the sizes tried)]. size, loss: (factor, exponent)
    of factor * FLOP ** exponent; no `size` where a best one lies at the edge."""
    budgets = []
    for flops in sorted({budget(run) for run in runs}):
        own = [run for run in runs if budget(run) == flops]
        sizes, losses = (np.array(column, float) for column in zip(*map(point, own), strict=True))
        budgets.append((flops, *optimum(sizes, losses)))
    columns = {"flops": 0, "size": 1, "loss": 2}
    logs = {name: np.log([row[i] for row in budgets]) for name, i in columns.items()}
    found: dict[str, Any] = {"budgets": budgets}
    for name in ("size", "loss") if all(row[3] for row in budgets) else ("loss",):
        exponent, offset = np.polyfit(logs["flops"], logs[name], 1)
        found[name] = float(np.exp(offset)), float(exponent)
    return found


def budget(run: dict[str, Any]) -> float:
    """Its operations to two digits: whole steps do not come out even."""
    return float(f"{run['flops']:.1e}")


def point(run: dict[str, Any]) -> tuple[float, float]:
    return run["parameters"], run["held_out"]["nats_per_event"]


def table(runs: list[dict[str, Any]], found: dict[str, Any]) -> str:
    names = list(dict.fromkeys(run["preset"] for run in runs))
    rows = []
    for flops, size, loss, inside in found["budgets"]:
        cells = {run["preset"]: f"{point(run)[1]:.3f}" for run in runs if budget(run) == flops}
        best = f"{size / 1e6:.1f} M{'' if inside else ' (edge)'}"
        rows.append([f"{flops:.1e}", *(cells.get(name, "") for name in names), best, f"{loss:.3f}"])
    return _script.markdown(["FLOP", *names, "best size", "its loss"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="what compare.py printed, with several --presets and --petaflops")
    parser.add_argument("--at", type=float, nargs="*", default=[], help="petaflops at which to read the lines")
    args = parser.parse_args()
    try:
        runs = read(args.runs.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError as error:
        raise AnticipationError(f"{args.runs}: {error.strerror}") from None
    if len({budget(run) for run in runs}) < 2:
        raise AnticipationError("a line needs runs of two budgets at least; see compare.py --petaflops")
    found = law(runs)
    print(table(runs, found))
    for name, unit in (("size", "parameters"), ("loss", "nats per event")):
        if name not in found:
            print("best size: at the edge of those that were tried; no line")
            continue
        factor, exponent = found[name]
        print(f"best {name}: {factor:.3g} * FLOP ** {exponent:.3f} {unit}", end="")
        print("".join(f"; {factor * (1e15 * at) ** exponent:.4g} at {at:g} PFLOP" for at in args.at))


if __name__ == "__main__":
    _script.run(main)
