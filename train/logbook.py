"""The folder of a run: what was asked for, what it cost step by step, what it wrote on the way. Knows no networks.

config.json, metrics.csv, evals.jsonl, tensorboard/ (where tensorboard is installed), samples/, state.pt, checkpoint/.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anticipation.errors import AnticipationError

KEPT = ("preset", "optimizer", "length", "batch", "seed", "mix", "data_sha256")  # what a resumed run may not change


def data_hash(shards: Path) -> str:
    """Hex digits that are equal for the same pieces in the same order: of the manifest's SHA-256."""
    return hashlib.sha256((shards / "manifest.json").read_bytes()).hexdigest()[:16]


class Run:
    """A run's folder, for the process that writes it. first: the step that training goes on from."""

    def __init__(self, folder: Path, columns: Iterable[str]) -> None:
        self.folder, self.columns = folder, ["step", "seconds", *columns]
        self.state, self.checkpoint = folder / "state.pt", folder / "checkpoint"
        self._log: Any = None
        self._board: Any = None

    def check(self, config: dict[str, Any]) -> None:
        """Raises AnticipationError where the run was begun with something that cannot change on the way."""
        path = self.folder / "config.json"
        try:
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except (OSError, ValueError):
            raise AnticipationError(f"{path} is broken; move it away to resume without it") from None
        for name in KEPT:
            if name in before and before[name] != config[name]:
                what = "other shards" if name == "data_sha256" else f"--{name} {before[name]}, not {config[name]}"
                anew = f"start a new run with --init {self.checkpoint}"
                raise AnticipationError(f"the run in {self.folder} was begun with {what}; {anew}")

    def begin(self, config: dict[str, Any], first: int) -> None:
        """Write config.json, drop what metrics.csv says of steps that will be made again, and open the logs. Raises
        AnticipationError."""
        try:
            replace_text(self.folder / "config.json", json.dumps(config, indent=1) + "\n")
            path = self.folder / "metrics.csv"
            rows = self._rows(path, first)
            replace_text(path, "".join(",".join(row) + "\n" for row in rows))
            self._log = path.open("a", newline="")
        except OSError as error:
            raise AnticipationError(f"cannot write to {self.folder}: {error.strerror}") from None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=first)
        except ImportError:  # an extra: metrics.csv has the same numbers
            self._board = None

    def _rows(self, path: Path, first: int) -> list[list[str]]:
        """The header, and the rows of an earlier start that stay."""
        if first and path.exists():
            with path.open(newline="") as file:
                rows = list(csv.reader(file))
            if rows and rows[0] == self.columns:
                return rows[:1] + [row for row in rows[1:] if len(row) == len(rows[0]) and int(row[0]) < first]
            path.replace(path.with_suffix(".old.csv"))  # of another version, with other columns
        return [self.columns]

    def log(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """A row of metrics.csv, a line on the screen, and TensorBoard."""
        row = [step, round(seconds, 1), *(round(values[name], 4) for name in self.columns[2:])]
        csv.writer(self._log, lineterminator="\n").writerow(row)
        self._log.flush()
        shown = " ".join(f"{name} {values[name]:.3g}" for name in self.columns[2:])
        print(f"{step} {seconds:.0f} s {shown}", flush=True)
        self.draw("train", step, values)

    def note(self, step: int, kind: str, values: dict[str, Any]) -> None:
        """A line of evals.jsonl, once a step and kind."""
        path = self.folder / "evals.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        earlier = [(line, json.loads(line)) for line in lines]
        lines = [line for line, one in earlier if one["step"] < step or (one["step"], one["kind"]) < (step, kind)]
        lines.append(json.dumps({"step": step, "kind": kind} | values))
        replace_text(path, "\n".join(lines) + "\n")
        print(kind, lines[-1], flush=True)

    def draw(self, group: str, step: int, values: dict[str, float]) -> None:
        for name, value in values.items() if self._board else ():
            self._board.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        for log in (self._log, self._board):
            if log is not None:
                log.close()


def replace_text(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


class StopRequest:
    """True once SIGTERM or SIGINT has asked the run to stop. A second SIGINT (Ctrl-C) ends it at once, unsaved.
    `forget` restores the handlers that were there before."""

    def __init__(self) -> None:
        self.code = 0
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}

    def _ask(self, number: int, _frame: Any) -> None:
        self.code = 128 + number
        if number == signal.SIGINT:  # torchrun hands on the SIGTERM that a cluster sends to all: that makes two
            signal.signal(number, signal.SIG_DFL)

    def __bool__(self) -> bool:
        return bool(self.code)

    def forget(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
