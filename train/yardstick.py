"""Nats per event of both families on the very same held-out notes: shift or time, instrument and pitch, duration.

Knows which notes are asked about and what each family is told of them: delta, whether a piece begins, the controls.
Velocities, beats, chords, style and instruments are hidden, as AMT cannot be told them. Knows no training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from cases import MELODY
from recipes import amt_controls

from anticipation.data.windows import Odds, excerpt, top_part
from anticipation.model import amt, features
from anticipation.model import stream as s
from anticipation.model.surprise import drawn, nats
from anticipation.music.keys import shift_to_c
from anticipation.music.notes import Notes

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
ROWS = amt.TRIPLETS  # a start row and 340 more: what fits into AMT's context behind a separator
FEWEST = 16  # events to write
BATCH = 8  # excerpts in one forward pass
AGAIN = 250  # notes of a piece for every further excerpt of it
SAMPLES = 1000  # of the bootstrap
_PLAIN = Odds.plain()
# A duration is drawn as a bin. To tell which of the bin's steps it is costs as if all were equally likely.
REFINEMENT = np.log(np.bincount(features.duration_bin(np.arange(1, s.MAX_DURATION + 1))))


@dataclass(frozen=True)
class Excerpt:
    """Held-out music of at most 100 s that begins at 0. given: mask of the audible notes that are controls, `delta`
    seconds ahead. cold: it begins where the piece begins. piece: its number in the split."""

    audible: Notes
    beats: Notes
    given: np.ndarray
    cold: bool
    delta: float = amt.DELTA / s.STEPS
    piece: int = 0

    def rows(self, hint: str = "", echoes: bool = False) -> np.ndarray:
        """At most 341 rows, the first a start row that tells nothing but delta and `cold`. What AMT cannot be told is
        hidden, unless it is the hint: `beats`, or `velocities` (if not hidden, those of past notes would hint at the
        next ones). echoes: with those that ours is told; without, the events are the same."""
        chart = s.Chart.of(self.beats if hint == "beats" else Notes.of([]))
        events, controls = (s.quantise(self.audible[which]) for which in (~self.given, self.given))
        header = s.Header(delta=round(self.delta * s.STEPS), cold=self.cold)
        own = s.echoes_of(controls, events[:, 1] if self.delta >= 0 else ())
        rows = s.interleave(events, controls, chart, header, limit=ROWS, echoes=own)
        if not echoes:
            events = events[: (rows[:, s.KIND] == s.EVENT).sum()]
            rows = s.interleave(events, controls, chart, header, limit=ROWS)
        rows[rows[:, s.KIND] != s.START_KIND, s.VELOCITY] *= hint == "velocities"
        return rows

    def key(self) -> tuple[int, float]:
        """Semitones to C as windows.py finds them, and the nats it takes to tell them: 0 where the controls do."""
        controls = self.audible[self.given]
        heard = len(controls.pitched) >= 8
        shift = shift_to_c(controls if heard else self.audible)
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
    """`most` excerpts, always the same ones: one of each piece, then more of the longer pieces. Every kind has the same
    passages, as far as it is possible in them."""
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
                out.append(Excerpt(audible, window.beats, mask, cold, delta, int(i)))
    return out


def event_sums(net: Any, excerpts: list[Excerpt], hint: str) -> list[dict[str, float]]:
    """Nats by field, and the events, of each excerpt by the event transformer. That nothing is drawn before an echo
    costs, too, and counts with the time."""
    several, told, out = [], [], []
    for one in excerpts:
        rows = one.rows(hint, net.echoes)
        shift, cost = one.key()
        event = rows[:, s.KIND] == s.EVENT
        pitched = np.isin(rows[:, s.KIND], (*s.NOTES, s.ECHO)) & (rows[:, s.INSTRUMENT] < 128)
        rows[pitched, s.PITCH] += shift
        refinement = float(REFINEMENT[features.duration_bin(rows[event, s.DURATION])].sum())
        told.append({"duration refinement": refinement, "key": cost, "events": int(event.sum())})
        several.append(rows)
    for rest, loss in zip(told, nats(net, several), strict=True):
        when, instrument, pitch, duration, velocity = loss.sum(0).tolist()
        sums = {"time": when, "note": instrument + pitch, "duration": duration} | rest
        out.append(sums | ({"velocity": velocity} if hint == "velocities" else {}))
    return out


def amt_sums(net: Any, excerpts: list[Excerpt], hint: str) -> list[dict[str, float]]:
    """The same by AMT. A rest costs nats of all its slots, and they count with the time."""
    several, out = [one.rows(hint) for one in excerpts], []
    for rows, loss in zip(several, nats(net, several), strict=True):
        rest = rows[drawn(rows), s.KIND] == s.REST_KIND
        when, duration, note = loss[~rest].sum(0).tolist()
        out.append({"time": when + float(loss[rest].sum()), "note": note, "duration": duration,
                    "duration refinement": 0.0, "key": 0.0, "events": int((~rest).sum())})  # fmt: skip
    return out


SUMS: dict[str, Callable[[Any, list[Excerpt], str], list[dict[str, float]]]] = {"event": event_sums, "amt": amt_sums}
HINTS = {"event": ("beats", "velocities"), "amt": ()}


@dataclass(frozen=True)
class Tally:
    """What some excerpts cost. sums: nats (excerpts,) by field, and `events`. pieces: (excerpts,) the number of the
    piece that each is cut from; for the same excerpts these are the same whoever was asked, and so are the bootstrap
    samples."""

    sums: dict[str, np.ndarray]
    pieces: np.ndarray

    def row(self) -> dict[str, float]:
        """Nats per event by field. `all` is what it costs to code the events to 10 ms: the sum of the fields before it
        (time with its rests, note, duration and its refinement, key), without the velocity."""
        return mean({name: float(column.sum()) for name, column in self.sums.items()})

    def drawn(self) -> np.ndarray:
        """(1 + SAMPLES, 2) nats and events: of all pieces, then of as many drawn with replacement each time."""
        nats = np.sum([column for name, column in self.sums.items() if name not in ("velocity", "events")], axis=0)
        table = np.stack([nats, self.sums["events"]], 1)
        _, which = np.unique(self.pieces, return_inverse=True)
        whole = np.zeros((which.max(initial=-1) + 1, 2))
        np.add.at(whole, which, table)
        index = np.random.default_rng(0).integers(0, max(len(whole), 1), (SAMPLES, len(whole)))
        return np.concatenate([whole.sum(0)[None], whole[index].sum(1)])


def interval(tallies: Iterable[Tally], others: Iterable[Tally] = ()) -> tuple[float, float, float]:
    """(nats per event, low, high): the bounds hold 95 % of bootstrap samples over pieces, drawn within each tally;
    excerpts of one piece stay together. others: tallies of the same excerpts; then all three are of the difference."""

    def ratio(several: Iterable[Tally]) -> np.ndarray:
        total = sum((tally.drawn() for tally in several), np.zeros((1 + SAMPLES, 2)))
        return total[:, 0] / np.maximum(total[:, 1], 1)

    value = ratio(tallies) - ratio(others)
    low, high = np.percentile(value[1:], [2.5, 97.5])
    return round(float(value[0]), 4), round(float(low), 4), round(float(high), 4)


@torch.no_grad()
def tally(net: Any, excerpts: list[Excerpt], hint: str = "") -> Tally:
    """What excerpts cost a network. Leaves it in the mode it was in."""
    training = net.training
    net.eval()
    rows = [row for i in range(0, len(excerpts), BATCH)
            for row in SUMS[net.family](net, excerpts[i : i + BATCH], hint)]  # fmt: skip
    net.train(training)
    sums = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ["events"])}
    return Tally(sums, np.array([one.piece for one in excerpts], np.int64))


def mean(total: dict[str, float]) -> dict[str, float]:
    """Sums of nats to nats per event, with their sum `all`."""
    total = dict(total)
    events = int(total.pop("events", 0))
    velocity = {"velocity": total.pop("velocity")} if "velocity" in total else {}
    out = total | {"all": sum(total.values())} | velocity
    return {name: round(value / max(1, events), 4) for name, value in out.items()} | {"events": events}


Tallies = dict[str, dict[str, Tally]]


def tallies(net: Any, shards: Any, split: str, most: int, kinds: Iterable[str] = KINDS,
            deltas: Iterable[float] = DELTAS) -> Tallies:  # fmt: skip
    """What a split costs: `controls` by kind, `delta` by seconds (a melody is given), `known` by hint (nothing is
    given but that). A kind that no passage has is left out."""

    def asked(kind: str, delta: float | None = None, hint: str = "") -> Tally:
        return tally(net, held_out(shards, split, kind, most, delta), hint)

    table = {
        "controls": {kind: asked(kind) for kind in kinds},
        "delta": {f"{delta:g}": asked("melody", delta) for delta in deltas},
        "known": {hint: asked("none", None, hint) for hint in HINTS[net.family]} if "none" in kinds else {},
    }
    return {part: {name: t for name, t in rows.items() if len(t.pieces)} for part, rows in table.items()}
