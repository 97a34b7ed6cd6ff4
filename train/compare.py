"""Both families from scratch, for the same minutes on the same pieces: python train/compare.py SHARDS --minutes 10.

Prints one JSON line a family: nats per event on the same held-out notes. Knows both recipes; ships nothing.

What is held equal: the pieces and their mix, width and depth of the trunk, windows a step (of about 200 events in
both), bf16, the wall-clock; and in judging the very rows, and what is told (delta of 5 s, whether a piece begins).
What differs is each family's own: encoding, head, optimizer, and what else it was trained to do (`event` also learns
velocity, chords, beats and live playing; that costs it, and is not taken off).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation import amt, model  # noqa: E402
from anticipation import stream as s  # noqa: E402
from anticipation.data import Shards  # noqa: E402
from anticipation.harmony import estimate_key  # noqa: E402
from anticipation.notes import BEAT, Notes  # noqa: E402
from anticipation.windows import Recipe, Windows, collate, draw, excerpt, to_c  # noqa: E402
from train import MIX, nats, optimizers, rate  # noqa: E402

OURS = Namespace(lr=0.004, lr_rest=0.003, warmup=100, cooldown=0.3, steps=3000)  # train.py's defaults
AMT_LR = 6e-4
AMT_CONTROLS = {"none": 0.1, "span": 0.1, "instrument": 0.4, "random": 0.4}
SPANS = 0.05  # a second: how often a span of controls begins
PLAIN = Recipe.plain()
BEGINNING = replace(PLAIN, beginning=1.0)
HEADS = {"full": "as published", "sliced": "no loss on controls, each slot among its own tokens only"}
MELODY = 53  # POP909's; elsewhere the highest part is the melody
ROWS = amt.TRIPLETS  # a start row and 340 more: what fits into AMT's context behind a separator
# A duration is drawn as a bin; which of the bin's steps it is, is then even odds.
REFINEMENT = np.log(np.bincount(model.duration_bin(np.arange(1, s.MAX_DURATION + 1))))


def amt_controls(notes: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Boolean mask over quantised notes (N, 5): which are controls, by AMT's prior."""
    onset, parts = notes[:, 0], np.unique(notes[:, 1])
    given = np.zeros(len(notes), dtype=bool)
    if kind == "instrument" and len(parts) > 1:
        given = np.isin(notes[:, 1], rng.choice(parts, rng.integers(1, len(parts)), replace=False))
    if kind == "random":
        given = rng.random(len(notes)) < rng.integers(1, 10) / 10
    if kind == "span":
        start = rng.exponential(s.STEPS / SPANS)
        while start <= onset[-1]:
            given |= (onset >= start) & (onset < start + amt.DELTA)
            start += amt.DELTA + rng.exponential(s.STEPS / SPANS)
    return given


class Sequences:
    """AMT's training data, (1024,) tokens for a step and an index, of the pieces that `Windows` would draw.

    No piece is transposed or stretched. Where one ends a separator follows, and another's beginning.
    """

    def __init__(self, source: Windows) -> None:
        self.source = source

    def one(self, step: int, index: int) -> np.ndarray:
        source, flag, count = self.source, "", 0
        parts: list[np.ndarray] = []
        rng = np.random.default_rng((source.seed, source.rank, step, index))
        while count < amt.TRIPLETS:
            piece = source.pieces[rng.choice(len(source.pieces), p=source.chance)]
            window, cold = excerpt(source.shards.notes(piece).audible, rng, amt.TRIPLETS, BEGINNING if parts else PLAIN)
            end = window.end - window.onset[0] if len(window) < amt.TRIPLETS + 32 else 0.0
            notes = s.quantise(window.shift(-window.onset[0]))
            notes = notes[notes[:, 0] < amt.MAX_TIME]
            kind = draw(rng, AMT_CONTROLS)
            given = amt_controls(notes, kind, rng)
            end = min(int(end * s.STEPS), amt.MAX_TIME - 1)
            triplets = amt.encode(amt.arrange(notes[~given], notes[given], end=end))
            flag = flag or kind  # it tells of the first piece
            parts += [amt.SEPARATION] * cold + [triplets]
            count += cold + len(triplets)
        return amt.sequence(np.concatenate(parts), anticipated=flag != "none")


@dataclass(frozen=True)
class Excerpt:
    """Held-out music of at most 100 s that begins at 0. given: mask of the audible notes that are controls. cold: it
    begins where the piece begins."""

    audible: Notes
    beats: Notes
    given: np.ndarray
    cold: bool

    def rows(self, hint: str = "") -> np.ndarray:
        """At most 341 rows, the first a start row that tells nothing but delta and `cold`. What AMT cannot be told is
        hidden, but for a hint: `beats`, or `velocities` (else those of the past would say what comes next)."""
        chart = s.Chart.of(self.beats if hint == "beats" else Notes.of([]))
        events, controls = (s.quantise(self.audible[which]) for which in (~self.given, self.given))
        rows = s.interleave(events, controls, chart, s.Header(delta=amt.DELTA, cold=self.cold), limit=ROWS)
        rows[rows[:, s.KIND] != s.START_KIND, s.VELOCITY] *= hint == "velocities"
        return rows

    def key(self) -> tuple[int, float]:
        """Semitones to C as windows.py finds them, and the nats it takes to tell them: none where the controls do."""
        controls = self.audible[self.given]
        heard = len(controls.pitched) >= 8
        shift = to_c(estimate_key(controls if heard else self.audible))
        pitch = self.audible.pitched.pitch + shift
        inside = ((pitch >= 0) & (pitch < 128)).all()
        return (shift if inside else 0), (0.0 if heard else float(np.log(12)))


def held_out(shards: Shards, split: str, kind: str, most: int) -> list[Excerpt]:
    """One excerpt of each of `most` pieces, always the same ones. kind: `none`, or `parts`: the melody is given."""
    out: list[Excerpt] = []
    rng = np.random.default_rng(99)
    pieces = shards.split(split)
    for i in rng.permutation(len(pieces)):
        window, cold = excerpt(shards.notes(pieces[i]), rng, amt.TRIPLETS, PLAIN)
        if not len(window.audible) or len(out) == most:
            continue
        window = window.shift(-window.audible.onset[0]).between(0.0, (amt.MAX_TIME - 1) / s.STEPS)
        audible = window.audible
        given = np.zeros(len(audible), dtype=bool)
        if kind == "parts" and audible.pitched.instruments:
            parts = audible.pitched.instruments
            top = max(parts, key=lambda p: audible.pitch[audible.instrument == p].mean())  # noqa: B023
            given = audible.instrument == (MELODY if MELODY in parts else top)
        if (~given).sum() >= 16 and given.any() == (kind == "parts"):
            out.append(Excerpt(audible, window[window.instrument == BEAT], given, cold))
    return out


class Event:
    """Ours, by train.py's recipe."""

    hints: tuple[str, ...] = ("", "beats", "velocities")

    def __init__(self, args: argparse.Namespace, shards: Shards) -> None:
        self.device, self.length = torch.device(args.device), 512
        self.net = model.EventModel(model.Config(args.layers, self.length)).to(self.device)
        self.opts, self.peaks = optimizers(self.net, OURS), (OURS.lr, OURS.lr_rest)
        self.data = Windows(shards, "train", batch=args.batch, length=self.length, seed=args.seed, mix=MIX)

    def batch(self, step: int) -> dict[str, Tensor]:
        return {name: torch.from_numpy(column) for name, column in self.data[step].items()}

    def rate(self, share: float) -> float:
        return rate(share * OURS.steps, OURS)  # type: ignore[arg-type]

    def backward(self, batch: dict[str, Tensor]) -> tuple[float, int]:
        loss = nats(self.net.losses, batch, self.device)
        (loss.sum() / len(loss)).backward()
        events = int((batch["targets"][..., 2] >= 0).sum())
        return float(loss[:, :4].detach().sum()) / events, events

    def sums(self, excerpts: list[Excerpt], hint: str) -> dict[str, float]:
        several, refinement, key = [], 0.0, 0.0
        for one in excerpts:
            rows = one.rows(hint)
            shift, cost = one.key()
            event = rows[:, s.KIND] == s.EVENT
            pitched = (event | (rows[:, s.KIND] == s.CONTROL)) & (rows[:, s.INSTRUMENT] < 128)
            rows[pitched, s.PITCH] += shift
            refinement += float(REFINEMENT[model.duration_bin(rows[event, s.DURATION])].sum())
            key += cost
            several.append(rows)
        columns = collate(several, self.length)
        loss = nats(self.net.losses, {n: torch.from_numpy(c) for n, c in columns.items()}, self.device)
        when, instrument, pitch, duration, velocity = loss.double().sum(0).tolist()
        out = {"time": when, "note": instrument + pitch, "duration": duration, "duration refinement": refinement,
               "key": key, "events": int((columns["targets"][..., 2] >= 0).sum())}  # fmt: skip
        return out | ({"velocity": velocity} if hint == "velocities" else {})

    def cost(self) -> dict[str, dict[str, float]]:
        """Parameters, and multiply-adds (times two) of one row forward."""
        width, depth, net = self.net.config.width, self.net.config.depth, self.net
        trunk = sum(model.count_parameters(b) for b in net.blocks)
        embeddings = sum(e.weight.numel() for e in (net.embed, net.drawn, net.chart))
        head = 2 * (5 * width**2 + 4 * width**2 + width * sum(model.FIELD_SIZES))
        return costs(trunk, embeddings, model.count_parameters(net), width, depth, self.length, 1, head)


class Amt:
    """AMT by its paper's recipe: AdamW with decay of matrices, cosine to zero, loss on every token."""

    hints: tuple[str, ...] = ("",)

    def __init__(self, args: argparse.Namespace, shards: Shards) -> None:
        self.device, self.micro, self.sliced = torch.device(args.device), args.micro, args.amt_head == "sliced"
        config = amt.Config(args.layers, args.width, args.width // model.HEAD, dropout=0.1)
        self.net = amt.GPT2(config).to(self.device)
        groups = [{"params": [p for p in self.net.parameters() if (p.ndim == 2) == matrix], "weight_decay": decay}
                  for matrix, decay in ((True, 0.1), (False, 0.0))]  # fmt: skip
        self.opts, self.peaks = [torch.optim.AdamW(groups, lr=AMT_LR, betas=(0.9, 0.999))], (AMT_LR,)
        self.data = Sequences(Windows(shards, "train", batch=args.batch, length=512, seed=args.seed, mix=MIX))

    def batch(self, step: int) -> Tensor:
        return torch.from_numpy(np.stack([self.data.one(step, i) for i in range(self.data.source.batch)]))

    def rate(self, share: float) -> float:
        warm = min(1.0, (share * OURS.steps + 1) / OURS.warmup)
        return warm * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, share))))

    def backward(self, batch: Tensor) -> tuple[float, int]:
        notes, total = batch[:, 3::3], 0.0
        counted = 3 * int((notes < amt.CONTROL_OFFSET).sum()) if self.sliced else notes.numel() * 3
        for part in batch.to(self.device).split(self.micro):
            with torch.autocast(self.device.type, torch.bfloat16):
                loss = self.net.slot_losses(part)[0] if self.sliced else self.net.losses(part)
            (loss.sum() / counted).backward()
            total += float(loss.detach().sum())
        return 3 * total / counted, int((notes < amt.REST).sum())

    def sums(self, excerpts: list[Excerpt], hint: str) -> dict[str, float]:
        several = []
        for one in excerpts:
            triplets = [amt.SEPARATION] * one.cold + [amt.encode(one.rows(hint), 0)]
            several.append(amt.sequence(np.concatenate(triplets), anticipated=bool(one.given.any())))
        tokens = torch.from_numpy(np.stack(several)).to(self.device)
        drawn = tokens[:, 3::3] < amt.CONTROL_OFFSET
        clock = torch.where(drawn, tokens[:, 1::3], 0).cummax(1).values
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = self.net.slot_losses(tokens, F.pad(clock[:, :-1], (1, 0)))[0].double()
        rest = tokens[:, 3::3][drawn] == amt.REST
        when, duration, note = loss[~rest].sum(0).tolist()
        return {"time": when + float(loss[rest].sum()), "note": note, "duration": duration,
                "duration refinement": 0.0, "key": 0.0, "events": int((~rest).sum())}  # fmt: skip

    def cost(self) -> dict[str, dict[str, float]]:
        width, depth = self.net.config.width, self.net.config.layers
        trunk = sum(model.count_parameters(b) for b in self.net.h)
        embeddings = self.net.wte.weight.numel() + self.net.wpe.weight.numel()
        offered = sum(map(len, amt.SLOTS)) if self.sliced else 3 * len(amt.VOCABULARY)
        total = model.count_parameters(self.net)
        return costs(trunk, embeddings, total, width, depth, amt.CONTEXT - 1, 3, 2 * width * offered)


def costs(trunk, embeddings, total, width, depth, context, tokens, head) -> dict[str, dict[str, float]]:
    """Parameters, and millions of floating-point operations forward for one event of `tokens` tokens, at the mean of a
    full causal context; training takes about three times as many."""
    matrices, attention = 24 * width**2 * depth * tokens, 2 * width * context * depth * tokens
    work = {"trunk": matrices, "attention": attention, "head": head, "all": matrices + attention + head}
    return {"parameters": {"trunk": trunk, "embeddings": embeddings, "other": total - trunk - embeddings, "all": total},
            "forward_mflops_per_event": {name: round(n / 1e6, 2) for name, n in work.items()}}  # fmt: skip


FAMILIES: dict[str, type[Event] | type[Amt]] = {"event": Event, "amt": Amt}


def fit(family: Event | Amt, args: argparse.Namespace) -> dict[str, float]:
    """Train until the minutes, or the steps, are over. The loader's time counts."""
    begin, cpu, shown, loading, step, events, loss = time.perf_counter(), time.process_time(), 0.0, 0.0, 0, 0, 0.0
    spent, first = 0.0, None
    while spent < 60 * args.minutes and step < args.max_steps:
        share = max(spent / (60 * args.minutes), step / args.max_steps)
        for opt, peak in zip(family.opts, family.peaks, strict=True):
            for group in opt.param_groups:
                group["lr"] = peak * family.rate(share)
        before = time.perf_counter()
        batch = family.batch(step)
        loading += time.perf_counter() - before
        loss, count = family.backward(batch)  # type: ignore[arg-type]
        first = loss if first is None else first
        torch.nn.utils.clip_grad_norm_(family.net.parameters(), 1.0)
        for opt in family.opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, events, spent = step + 1, events + count, time.perf_counter() - begin
        if spent - shown > 15 or step == 1:
            shown = spent
            print(f"{type(family).__name__.lower()} {step} {spent:.0f} s {loss:.3f}", file=sys.stderr, flush=True)
    return {"steps": step, "seconds": round(spent, 1), "cpu_seconds": round(time.process_time() - cpu, 1),
            "loading_seconds": round(loading, 1), "events_trained": events,
            "first_loss": round(first or 0.0, 3), "last_loss": round(loss, 3)}  # fmt: skip


@torch.no_grad()
def score(family: Event | Amt, excerpts: list[Excerpt], hint: str) -> dict[str, float]:
    """Nats per event by field. `all` codes the events to 10 ms: time (rests too), note, duration and its refinement,
    key; without the velocity. Earlier names are its parts."""
    family.net.eval()
    total: dict[str, float] = {}
    for i in range(0, len(excerpts), 8):
        for name, value in family.sums(excerpts[i : i + 8], hint).items():
            total[name] = total.get(name, 0.0) + value
    events = max(1, int(total.pop("events", 0)))
    velocity = {"velocity": total.pop("velocity")} if "velocity" in total else {}
    out = total | {"all": sum(total.values())} | velocity
    return {name: round(value / events, 4) for name, value in out.items()} | {"events": events}


def passages(shards: Shards, most: int) -> Iterator[tuple[str, list[Excerpt]]]:
    for split in ("dev", "valid"):
        for kind in ("none", "parts"):
            excerpts = held_out(shards, split, kind, most)
            if excerpts:
                yield f"{split} {kind}", excerpts


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--family", choices=FAMILIES, help="one of them; default: one after the other")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, a family")
    parser.add_argument("--max-steps", type=int, default=10**9, help="an earlier end, for a smoke test")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=18, help="windows a step: about 200 events each in both families")
    parser.add_argument("--micro", type=int, default=1, help="AMT: windows at once (55,028 logits a token are many)")
    parser.add_argument("--amt-head", choices=HEADS, default="full", help="; ".join(map(": ".join, HEADS.items())))
    parser.add_argument("--excerpts", type=int, default=100, help="held out, at most, of each split and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    if args.width != model.Config(args.layers).width:
        parser.error(f"the event family of {args.layers} layers is {model.Config(args.layers).width} wide")
    return args


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    shards = Shards(args.shards)
    for name in [args.family] if args.family else FAMILIES:
        torch.manual_seed(args.seed)
        family = FAMILIES[name](args, shards)
        trained = fit(family, args)
        held = {}
        for what, excerpts in passages(shards, args.excerpts):
            for hint in family.hints:
                held[f"{what}, {hint} known" if hint else what] = score(family, excerpts, hint)
        line = {"family": name, "layers": args.layers, "width": args.width, "batch": args.batch, "seed": args.seed,
                "minutes": args.minutes, "device": args.device, "threads": args.threads}  # fmt: skip
        line |= {"amt_head": args.amt_head} if name == "amt" else {}
        print(json.dumps(line | trained | family.cost() | {"held_out_nats": held}), flush=True)


if __name__ == "__main__":
    main()
