"""The four tasks and their rubrics, one table: python train/judge.py CHECKPOINT SHARDS [CHECKPOINT2] [--model FOLDER].

Held-out pieces only. The anchors (silence, another song's part, the nearest neighbour in the training set, the bar
before, the human) are scored by the same functions. In brackets 95 % of bootstrap samples over pieces. A second model
is compared with the first piece by piece. The same seed makes the same table (but for the speeds).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import _script
import numpy as np
import torch
from anchors import anchors
from cases import TASKS, Case, cases

from anticipation.data.memory import Memory
from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError, RequestError
from anticipation.infilling.consensus import Outlook
from anticipation.infilling.drafting import generate
from anticipation.infilling.options import Options
from anticipation.infilling.request import Infill
from anticipation.model import checkpoint
from anticipation.model.sampling import Sampling
from anticipation.model.stream import FUTURE
from anticipation.music import metrics
from anticipation.music.beats import hear
from anticipation.music.grid import places
from anticipation.music.notes import CHORD, Notes
from anticipation.music.tempo import TempoMap

SAMPLES = 1000  # of the bootstrap
BEST_OF = Options.best_of
LEAST = {"songs": 1, "takes": 1, "best_of": 1, "threads": 1, "seed": 0}
COPIES = (4, 8)  # bars of a match that are called a copy
Pair = tuple[float, float]

RUBRICS: dict[str, Callable[[Notes, Case], Pair]] = {  # name -> (counted, out of) for what was written
    "harmony %": lambda w, c: metrics.harmony_rate(w, c.melody, c.chords),
    "doubling %": lambda w, c: metrics.doubling(w, c.melody),
    "support %": lambda w, c: metrics.melody_support(w, c.melody, c.beats),
    "in key %": lambda w, c: metrics.in_key(w, c.known + c.human),
    "density": lambda w, c: (len(w), max(len(c.human), 1)),
    "onset F1 50 ms %": lambda w, c: metrics.onset_f1(w, c.human),
    "onset F1 1/16 %": lambda w, c: metrics.sixteenth_f1(w, c.human, c.beats),
    "groove %": lambda w, c: metrics.groove(w, c.human, c.grid),
    "pitch classes %": lambda w, c: metrics.pitch_classes(w, c.human),
    "note F1 %": lambda w, c: metrics.note_f1(w, c.human),
    "leaps %": lambda w, c: metrics.leaps(w, c.known),
    "repeats %": lambda w, c: metrics.repeats(w),
    "loudness off %": lambda w, c: metrics.loudness_off(w, c.human),
    "clash at edges %": lambda w, c: metrics.dissonance(w, c.known, _edges(c)),
    "empty %": lambda w, c: (len(w) / (c.end - c.start) < 0.5, 1),
}


def _edges(case: Case) -> tuple[float, ...]:
    return (case.start, case.end) if case.task == "hole" else ()


def copies(memory: Memory) -> dict[str, Callable[[Notes, Case], Pair]]:
    """Rubrics of what goes like the training set: takes with a match of so many bars, and bars in the longest match."""

    def longest(written: Notes, case: Case) -> float:
        lines, count = case.bars, np.arange(len(case.bars))
        # Of a figure that is played over and over only the distinct onsets count, as in `anticipate check`.
        return max((m.distinct / m.notes * float(np.diff(np.interp((m.start, m.end), lines, count))[0])
                    for m in memory.matches(written)), default=0.0)  # fmt: skip

    def span(case: Case) -> float:
        return max(float(((case.bars >= case.start) & (case.bars < case.end)).sum()), 1.0)

    def copied(bars: int) -> Callable[[Notes, Case], Pair]:
        return lambda w, c: (round(longest(w, c)) >= bars, 1)

    rubrics = {f"copies of {bars} bars %": copied(bars) for bars in COPIES}
    return rubrics | {"longest match, % of bars": lambda w, c: (longest(w, c), span(c))}


@dataclass
class Row:
    """What one writer got in one task: rubric -> (cases, 2) sums of pairs over its takes."""

    task: str
    name: str
    pairs: dict[str, np.ndarray]
    speed: float | None = None  # seconds of music a second

    def value(self, rubric: str, index: np.ndarray) -> np.ndarray:
        """The rubric over the cases of each row of `index`: the pooled pairs in percent, or for the density the median
        ratio. NaN where nothing counts."""
        counted, out_of = self.pairs[rubric][index].transpose(2, 0, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            if rubric == "density":
                return np.median(counted / out_of, axis=1)
            return 100 * counted.sum(1) / out_of.sum(1)

    def interval(self, rubric: str, seed: int, minus: Row | None = None) -> tuple[float, float, float]:
        """(value, low, high): the bounds hold 95 % of the bootstrap samples. minus: another row on the same cases; then
        all three are of the difference."""
        count = len(self.pairs[rubric])
        index = np.random.default_rng(seed).integers(0, count, (SAMPLES, count)) if count else np.zeros((1, 0), int)
        index = np.concatenate([np.arange(count)[None], index])
        values = self.value(rubric, index) - (minus.value(rubric, index) if minus else 0.0)
        known = values[1:][np.isfinite(values[1:])]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
        return float(values[0]), float(low), float(high)


@dataclass
class Judge:
    """Cases and rubrics, and the rows so far."""

    shards: Shards
    seed: int = 0
    most: int | None = None
    rubrics: dict[str, Callable[[Notes, Case], Pair]] = field(default_factory=lambda: dict(RUBRICS))
    rows: list[Row] = field(default_factory=list)

    def cases(self, task: str) -> list[Case]:
        return list(cases(self.shards, task, self.seed, self.most))

    def score(self, task: str, name: str, questions: list[Case], answers: list[list[Notes]]) -> Row:
        """A row of answers, some takes for each case."""
        pairs = {
            rubric: np.array([np.sum([rule(w, case) for w in takes], axis=0) for case, takes in
                              zip(questions, answers, strict=True)], float).reshape(-1, 2)
            for rubric, rule in self.rubrics.items()
        }  # fmt: skip
        self.rows.append(Row(task, name, pairs))
        return self.rows[-1]


@dataclass(frozen=True)
class Terms:
    """On what terms a model is asked. beats: it is told `yes` (the piece's), `heard` (those heard in what is known) or
    `no`. chords: `given` (the labels), `planned` (the model harmonises first), `written` (with the notes) or `none`.
    style: it is told the piece's. The others are as for `generate`."""

    beats: str
    chords: str
    takes: int = 1
    seed: int = 0
    best_of: int = BEST_OF
    sampling: Sampling = Sampling(Options.temperature, Options.top_p)
    style: bool = False

    def __str__(self) -> str:
        return f"chords {self.chords}, beats {self.beats}"


def ask(model, case: Case, terms: Terms) -> list[Notes]:
    """What a model writes for a case, so many takes. Raises RequestError where the model cannot."""
    nothing = Notes.of([])
    told = case.beats if terms.beats == "yes" else heard_beats(case) if terms.beats == "heard" else nothing
    known = case.known + told + (case.chords if terms.chords == "given" else nothing)
    instruments = (*case.instruments, CHORD) if terms.chords == "written" else case.instruments
    request = Infill(known, case.start, case.end, instruments, style=case.style if terms.style else "unknown",
                     places=places(case.known, told) if len(told) else None)  # fmt: skip
    outlook = Outlook(request)
    plan = terms.chords == "planned" and outlook.harmonises
    charts = outlook.plan(takes=terms.takes, seed=terms.seed) if plan else None
    written, _ = generate(model, request, takes=terms.takes, seed=terms.seed, sampling=terms.sampling, charts=charts,
                          best_of=terms.best_of)  # fmt: skip
    return [notes.audible for notes in written]


def heard_beats(case: Case) -> Notes:
    """The beats that are heard in what is known of a case, going on past its end; none where none fit."""
    beats = hear(case.known)
    return TempoMap.following(beats).beats(case.end + FUTURE) if len(beats) else beats


def judge(model, jury: Judge, name: str, task: str, terms: Terms) -> Row | None:
    """A new row, of a model's answers; None (and a line on stderr) where the model cannot be asked this."""
    questions, begin = jury.cases(task), time.perf_counter()
    label = f"{name}: {terms}"
    try:
        answers = [ask(model, case, terms) for case in questions]
    except RequestError as error:
        print(f"{task}, {label}: left out, {error}", file=sys.stderr)
        return None
    seconds = time.perf_counter() - begin
    print(f"{task}, {label}: {len(questions)} cases, {seconds:.0f} s", file=sys.stderr, flush=True)
    row = jury.score(task, label, questions, answers)
    row.speed = terms.takes * sum(case.end - case.start for case in questions) / max(seconds, 1e-9)
    return row


def table(jury: Judge) -> str:
    """All rows in Markdown."""
    rows = []
    for row in jury.rows:
        cells = [_cell(row.interval(rubric, jury.seed), rubric) for rubric in jury.rubrics]
        rows.append([row.task, row.name, *cells, "" if row.speed is None else f"{row.speed:.1f}"])
    return _script.markdown(["task", "writer", *jury.rubrics, "x real time"], rows)


def differences(jury: Judge, pairs: list[tuple[Row, Row]]) -> str:
    """The second row of each pair less the first, case by case; * where the interval does not hold 0."""
    rows = []
    for one, two in pairs:
        found = {rubric: two.interval(rubric, jury.seed, one) for rubric in jury.rubrics}
        cells = [_cell(d, rubric, "+") + ("*" if d[1] > 0 or d[2] < 0 else "") for rubric, d in found.items()]
        rows.append([one.task, f"{two.name} less {one.name}", *cells])
    return _script.markdown(["task", "difference", *jury.rubrics], rows)


def _cell(interval: tuple[float, float, float], rubric: str, sign: str = "") -> str:
    if not np.isfinite(interval[0]):
        return "-"
    digits = 2 if rubric == "density" else 1
    value, low, high = (f"{x:{sign}.{digits}f}" for x in interval)
    return f"{value} ({low} to {high})"


def as_json(jury: Judge) -> str:
    rows = []
    for row in jury.rows:
        found = {rubric: row.interval(rubric, jury.seed) for rubric in jury.rubrics}
        known = {name: [round(x, 3) for x in v] for name, v in found.items() if np.isfinite(v[0])}
        rows.append({"task": row.task, "writer": row.name, "cases": len(row.pairs["empty %"]), **known})
    return json.dumps({"seed": jury.seed, "rows": rows})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("second", type=Path, nargs="?", help="another checkpoint, compared with the first")
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="FOLDER", help="one more, say AMT's")
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--songs", type=int, metavar="N", help="only N pieces of each task: a quick look")
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--best-of", type=int, default=BEST_OF, metavar="N", help="as the commands have it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--top-p", type=float, default=Options.top_p)
    parser.add_argument("--temperature", type=float, default=Options.temperature)
    accompany = "for the melody's accompaniment: none, written, planned or given"
    parser.add_argument("--chords", nargs="*", default=["none", "written", "planned", "given"], help=accompany)
    parser.add_argument("--beats", choices=["no", "heard", "yes"], nargs="*", default=["no", "heard", "yes"])
    parser.add_argument("--memory", type=Path, metavar="memory.npz", help="count copies too (train/memorise.py)")
    parser.add_argument("--json", action="store_true", help="one machine-readable line at the end")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    for name, least in LEAST.items():
        if getattr(args, name) is not None and getattr(args, name) < least:
            raise RequestError(f"--{name.replace('_', '-')} is at least {least}")
    torch.set_num_threads(args.threads)
    jury = Judge(Shards(args.shards), args.seed, args.songs)
    folders = [args.checkpoint, *([args.second] if args.second else []), *args.model]
    models = {str(folder): checkpoint.load(folder, args.device) for folder in folders}
    if args.memory:
        jury.rubrics |= copies(Memory.load(args.memory))
    pairs: list[tuple[Row, Row]] = []
    for task in args.tasks:
        if not (questions := jury.cases(task)):
            print(f"{task}: left out, {args.shards} holds out nothing to ask", file=sys.stderr)
            continue
        for name, anchor in anchors(jury.shards, task, args.seed).items():
            jury.score(task, name, questions, [[notes] for notes in anchor(questions)])
        for chords in args.chords if task == "accompany" else ["planned"]:
            for beats in args.beats:
                sampling = Sampling(args.temperature, args.top_p)
                terms = Terms(beats, chords, args.takes, args.seed, args.best_of, sampling)
                rows = [judge(model, jury, name, task, terms) for name, model in models.items()]
                pairs += [(rows[0], row) for row in rows[1:] if rows[0] and row]
    if not jury.rows:
        raise AnticipationError(f"{args.shards} holds out no pieces for {', '.join(args.tasks)}")
    print(table(jury))
    if pairs:
        print("\n" + differences(jury, pairs))
    if args.json:
        print(as_json(jury))


if __name__ == "__main__":
    _script.run(main)
