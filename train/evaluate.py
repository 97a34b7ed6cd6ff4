"""Held-out nats of what a checkpoint has to write: python train/evaluate.py CHECKPOINT SHARDS_OR_MIDI_FOLDER [SECOND].

By field, by control type and by delta, on the same notes for both families; for an AMT checkpoint also the numbers of
its paper's Table 1. Of shards the held-out splits are taken (POP909's development songs, `dev`, and the held-out
pieces of all other sources, `valid`); of a folder of MIDI files every piece. In brackets 95 % of bootstrap samples over
pieces. A second checkpoint is compared with the first piece by piece.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _script
import numpy as np
import published
import torch
import yardstick

from anticipation.data.folder import Folder, midi_files
from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError, MidiError
from anticipation.model import checkpoint

HELD_OUT = ("dev", "valid")
FIELDS = ("time", "note", "duration", "duration refinement", "key", "all", "velocity", "events")


def open_data(path: Path, splits: list[str] | None) -> tuple[Any, list[str]]:
    """Shards or a folder of MIDI files, and the splits to look at. Raises AnticipationError where there are none."""
    data: Any = Shards(path) if (path / "manifest.json").exists() else Folder.read(path)
    for line in getattr(data, "skipped", ()):
        print(f"evaluate: left out {line}", file=sys.stderr)
    names = [name for name in splits or HELD_OUT if data.split(name)]
    if not names:
        raise AnticipationError(f"{path} has no pieces in the splits {', '.join(splits or HELD_OUT)}")
    return data, names


Found = dict[str, yardstick.Tallies]


def measure(
    net: Any, data: Any, splits: list[str], pieces: int, kinds=yardstick.KINDS, deltas=yardstick.DELTAS
) -> Found:
    """`yardstick.tallies` of every split."""
    return {name: yardstick.tallies(net, data, name, pieces, kinds, deltas) for name in splits}


def tabled(found: Found) -> dict[str, Any]:
    """Of every split the rows, each with its `pieces` and `interval` (None with one piece). Of all splits together,
    with nothing given: `nats_per_event`, its `interval`, its parts `by_field` and the `notes` counted."""

    def row(tally: yardstick.Tally) -> dict[str, Any]:
        pieces = len(np.unique(tally.pieces))
        return tally.row() | {"pieces": pieces, "interval": yardstick.interval([tally])[1:] if pieces > 1 else None}

    splits = {split: {part: {name: row(tally) for name, tally in tallies.items()} for part, tallies in parts.items()}
              for split, parts in found.items()}  # fmt: skip
    rows = [parts["controls"]["none"] for parts in splits.values() if "none" in parts["controls"]]
    totals = {name: sum(one[name] * one["events"] for one in rows) for name in FIELDS[:5]}
    fields = yardstick.mean(totals | {"events": sum(one["events"] for one in rows)})
    unasked = [parts["controls"]["none"] for parts in found.values() if "none" in parts["controls"]]
    head = {"nats_per_event": fields.pop("all"), "interval": yardstick.interval(unasked)[1:]}
    return head | {"notes": fields.pop("events"), "by_field": fields, "splits": splits}


def evaluate(
    net: Any, data: Any, splits: list[str], pieces: int, kinds=yardstick.KINDS, deltas=yardstick.DELTAS
) -> dict:
    """`tabled` of what is measured."""
    return tabled(measure(net, data, splits, pieces, kinds, deltas))


def differences(first: Found, second: Found) -> dict[str, Any]:
    """(value, low, high) by split, part and name: nats per event of the second checkpoint less the first's, on the same
    pieces."""
    return {split: {part: {name: yardstick.interval([second[split][part][name]], [tally])
                           for name, tally in tallies.items() if name in second[split][part]}
                    for part, tallies in parts.items()} for split, parts in first.items()}  # fmt: skip


def brief(table: dict[str, Any]) -> dict[str, Any]:
    """What a model card says of a report: nats per event, all fields together, by split and control type."""
    rows = {
        f"{split} {name}" + (" known" if part == "known" else " s" if part == "delta" else ""): row["all"]
        for split, parts in table["splits"].items()
        for part, several in parts.items()
        for name, row in several.items()
    }
    return {name: table[name] for name in ("nats_per_event", "notes", "by_field")} | {"by_request": rows}


def published_pieces(data: Any, splits: list[str], path: Path) -> Iterator[np.ndarray]:
    """The notes that Table 1 is about: of MIDI files in the order of their bytes, of shards sorted within a tick."""
    if isinstance(data, Shards):
        yield from (published.steps(data.notes(piece).audible) for name in splits for piece in data.split(name))
        return
    for file in midi_files(path):
        try:
            yield published.read(file)
        except MidiError as error:
            print(f"evaluate: left out {error}", file=sys.stderr)


def labelled(splits: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(label, row) of every row."""
    for split, parts in splits.items():
        for part, rows in parts.items():
            for name, row in rows.items():
                words = {"controls": name, "delta": f"melody {name} s ahead", "known": f"none, {name} known"}[part]
                yield f"{split} {words}", row


def show(table: dict[str, Any]) -> None:
    """The report as a reader wants it."""
    lines = []
    for label, row in labelled(table["splits"]):
        cells = {f: "" if row.get(f) is None else f"{row[f]:,}" for f in (*FIELDS, "pieces")}
        cells["all"] += " ({} to {})".format(*row["interval"]) if row["interval"] else ""
        lines.append([label, *cells.values()])
    print(_script.markdown(["held out", *FIELDS, "pieces"], lines))
    if "difference" in table:
        print("\nThe second checkpoint less the first, nats per event (* where the interval does not hold 0):")
        for label, (value, low, high) in labelled(table["difference"]):
            print(f"{label} {value:+} ({low:+} to {high:+})" + ("*" if low > 0 or high < 0 else ""))
    if "table_1" in table:
        print("\nAs in Table 1 of Thickstun et al. 2024 (whole vocabulary, no controls):")
        print(", ".join(f"{name} {value}" for name, value in table["table_1"].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, metavar="SHARDS_OR_MIDI_FOLDER")
    parser.add_argument("second", type=Path, nargs="?", help="another checkpoint, compared with the first")
    parser.add_argument("--split", nargs="+", help="of shards: dev, valid or train (default: dev and valid)")
    parser.add_argument("--pieces", type=int, default=100, help="excerpts, at most, of each split and control type")
    parser.add_argument("--kinds", nargs="+", choices=yardstick.KINDS, default=list(yardstick.KINDS),
                        help="; ".join(map(": ".join, yardstick.KINDS.items())))  # fmt: skip
    parser.add_argument("--deltas", nargs="*", type=float, default=list(yardstick.DELTAS), help="seconds")
    parser.add_argument("--windows", type=int, default=10**9, help="AMT: of Table 1, at most (0: leave it out)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true", help="end with one JSON line, and print no table")
    args = parser.parse_args()
    if args.pieces < 1:
        raise AnticipationError("--pieces is at least 1")
    net = checkpoint.load(args.checkpoint, args.device)
    other = checkpoint.load(args.second, args.device) if args.second else None
    data, splits = open_data(args.data, args.split)
    asked = (data, splits, args.pieces, args.kinds, args.deltas)
    table = tabled(found := measure(net, *asked))
    if other:
        table |= {"second": tabled(also := measure(other, *asked)), "difference": differences(found, also)}
    if net.family == "amt" and args.windows:
        table["table_1"] = published.table_1(net, published_pieces(data, splits, args.data), most=args.windows)
    print(json.dumps(table)) if args.json else show(table)


if __name__ == "__main__":
    _script.run(main)
