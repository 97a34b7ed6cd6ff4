"""Nats per event of both families on the very same held-out notes: shift or time, instrument and pitch, duration.

Knows which notes are asked about and what each family is told of them: delta, whether a piece begins, the controls.
Velocities, beats, chords, style and instruments are hidden, as AMT cannot be told them. Knows no training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from recipes import amt_controls  # noqa: E402

from anticipation import amt, model  # noqa: E402
from anticipation import stream as s  # noqa: E402
from anticipation.keys import estimate_key, to_c  # noqa: E402
from anticipation.notes import BEAT, Notes  # noqa: E402
from anticipation.surprise import drawn, nats  # noqa: E402
from anticipation.windows import Recipe, excerpt, top_part  # noqa: E402

KINDS = {
    "none": "nothing is given",
    "span": "five seconds at a time, by the paper's prior",
    "parts": "some instruments, by the paper's prior",
    "random": "any notes, by the paper's prior",
    "melody": "one part: the melody, or the highest",
    "live": "one part, a quarter of a second late",
}
DELTAS = (0.5, 1.0, 2.0, 5.0, 8.0)  # seconds that a melody is anticipated
LATE = -0.25
MELODY = 53  # POP909's
ROWS = amt.TRIPLETS  # a start row and 340 more: what fits into AMT's context behind a separator
FEWEST = 16  # events to write
AGAIN = 250  # notes of a piece for every further excerpt of it
_PLAIN = Recipe.plain()
# A duration is drawn as a bin; which of the bin's steps it is, is then even odds.
REFINEMENT = np.log(np.bincount(model.duration_bin(np.arange(1, s.MAX_DURATION + 1))))


@dataclass(frozen=True)
class Excerpt:
    """Held-out music of at most 100 s that begins at 0. given: mask of the audible notes that are controls, `delta`
    seconds ahead. cold: it begins where the piece begins."""

    audible: Notes
    beats: Notes
    given: np.ndarray
    cold: bool
    delta: float = amt.DELTA / s.STEPS

    def rows(self, hint: str = "") -> np.ndarray:
        """At most 341 rows, the first a start row that tells nothing but delta and `cold`. What AMT cannot be told is
        hidden, but for a hint: `beats`, or `velocities` (else those of the past would say what comes next)."""
        chart = s.Chart.of(self.beats if hint == "beats" else Notes.of([]))
        events, controls = (s.quantise(self.audible[which]) for which in (~self.given, self.given))
        header = s.Header(delta=round(self.delta * s.STEPS), cold=self.cold)
        rows = s.interleave(events, controls, chart, header, limit=ROWS)
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


def given(audible: Notes, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Boolean mask over the notes: what is given in a kind of request (KINDS)."""
    parts = audible.pitched.instruments
    if kind == "melody" and parts:
        return audible.instrument == (MELODY if MELODY in parts else top_part(audible))
    if kind == "live" and parts:
        return audible.instrument == rng.choice(parts)
    table = np.stack([np.rint(audible.onset * s.STEPS), audible.instrument], 1).astype(np.int64)
    return amt_controls(table, {"parts": "instrument"}.get(kind, kind), rng)


def held_out(shards: Any, split: str, kind: str, most: int, delta: float | None = None) -> list[Excerpt]:
    """`most` excerpts, always the same ones: one of each piece, then more of the longer ones. The passages are the same
    for every kind, as far as a kind is possible in them."""
    out: list[Excerpt] = []
    pieces = shards.split(split)
    order = np.random.default_rng(99).permutation(len(pieces))
    delta = (LATE if kind == "live" else amt.DELTA / s.STEPS) if delta is None else delta
    for again in range(1 + max((p.notes for p in pieces), default=0) // AGAIN):
        for i in order:
            if len(out) == most:
                return out
            if again > pieces[i].notes // AGAIN:
                continue
            window, cold = excerpt(shards.notes(pieces[i]), np.random.default_rng((99, i, again)), ROWS, _PLAIN)
            if not len(window.audible):
                continue
            window = window.shift(-window.audible.onset[0]).between(0.0, (amt.MAX_TIME - 1) / s.STEPS)
            audible = window.audible
            mask = given(audible, kind, np.random.default_rng((98, i, again)))
            if (~mask).sum() >= FEWEST and mask.any() == (kind != "none"):
                out.append(Excerpt(audible, window[window.instrument == BEAT], mask, cold, delta))
    return out


def event_sums(net: Any, excerpts: list[Excerpt], hint: str) -> dict[str, float]:
    """Nats by field, and the events, by the event transformer."""
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
    when, instrument, pitch, duration, velocity = np.concatenate(nats(net, several)).sum(0).tolist()
    events = sum(int((rows[:, s.KIND] == s.EVENT).sum()) for rows in several)
    out = {"time": when, "note": instrument + pitch, "duration": duration, "duration refinement": refinement,
           "key": key, "events": events}  # fmt: skip
    return out | ({"velocity": velocity} if hint == "velocities" else {})


def amt_sums(net: Any, excerpts: list[Excerpt], hint: str) -> dict[str, float]:
    """The same by AMT. A rest costs nats of all its slots, and they count with the time."""
    several = [one.rows(hint) for one in excerpts]
    loss = np.concatenate(nats(net, several))
    rest = np.concatenate([rows[drawn(rows), s.KIND] == s.REST_KIND for rows in several])
    when, duration, note = loss[~rest].sum(0).tolist()
    return {"time": when + float(loss[rest].sum()), "note": note, "duration": duration,
            "duration refinement": 0.0, "key": 0.0, "events": int((~rest).sum())}  # fmt: skip


SUMS: dict[str, Callable[[Any, list[Excerpt], str], dict[str, float]]] = {"event": event_sums, "amt": amt_sums}
HINTS = {"event": ("beats", "velocities"), "amt": ()}


@torch.no_grad()
def score(net: Any, excerpts: list[Excerpt], hint: str = "", together: int = 8) -> dict[str, float]:
    """Nats per event by field. `all` codes the events to 10 ms: time (rests too), note, duration and its refinement,
    key; without the velocity. Earlier names are its parts. Leaves the network in the mode it was in."""
    training = net.training
    net.eval()
    total: dict[str, float] = {}
    for i in range(0, len(excerpts), together):
        for name, value in SUMS[net.family](net, excerpts[i : i + together], hint).items():
            total[name] = total.get(name, 0.0) + value
    net.train(training)
    return mean(total)


def mean(total: dict[str, float]) -> dict[str, float]:
    """Sums of nats to nats per event, with their sum `all`."""
    total = dict(total)
    events = int(total.pop("events", 0))
    velocity = {"velocity": total.pop("velocity")} if "velocity" in total else {}
    out = total | {"all": sum(total.values())} | velocity
    return {name: round(value / max(1, events), 4) for name, value in out.items()} | {"events": events}


def report(net: Any, shards: Any, split: str, most: int, kinds: Iterable[str] = KINDS,
           deltas: Iterable[float] = DELTAS) -> dict[str, Any]:  # fmt: skip
    """`score` of a split: `controls` by kind, `delta` by seconds (a melody is given), `known` by hint (nothing is
    given but that). A kind that no passage has is left out."""
    family = net.family

    def scored(kind: str, delta: float | None = None, hint: str = "") -> dict[str, float]:
        return score(net, held_out(shards, split, kind, most, delta), hint)

    table = {
        "controls": {kind: scored(kind) for kind in kinds},
        "delta": {f"{delta:g}": scored("melody", delta) for delta in deltas},
        "known": {hint: scored("none", None, hint) for hint in HINTS[family]} if "none" in kinds else {},
    }
    return {part: {name: row for name, row in rows.items() if row["events"]} for part, rows in table.items()}
