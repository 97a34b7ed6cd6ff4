"""Memory: an index of fingerprints of the music that a model was trained on, and which passages of other music match
it.

Knows fingerprints and their index; knows no models and no MIDI files.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError
from ..files import replacing
from ..music.grid import ranges
from ..music.notes import Notes
from .fingerprint import SHAPE, SPAN, WINDOW, Line, lines, winnowed

COMMON = 8  # a fingerprint that more pieces have is an idiom, and no evidence
KNOT = 64  # the time of every 64th onset of a line is kept
REACH = 64  # onsets that a run may go on without a matching fingerprint
SLACK, DRIFT = 2, 10  # onsets that may be lost or added from one hit to the next: so many, and one more in every ten
MARK = 24  # bits of a fingerprint that are kept
DEFAULT = "memory.npz"  # its name beside a checkpoint
COLUMNS = ("mark", "step", "piece", "count", "onsets", "knot", "names", "facts")


class Hit(NamedTuple):
    """A matching fingerprint. line: number of its line in the index. here, there: the onsets at which it begins in the
    passage's line and in that line. number: its own in the index."""

    line: int
    here: int
    there: int
    number: int


Run = list[Hit]  # hits that follow each other both here and there


@dataclass(frozen=True)
class Match:
    """A passage that goes like one of the training set.

    instrument, start, end: of the passage, in seconds from its first to its last onset. notes: onsets of its line in
    it. piece: source and name; there: where the match begins in that piece, seconds (to about a bar). distinct: of the
    onsets, those in matching fingerprints, and with different onsets of the piece, so that a figure that is played over
    and over counts once. kept: fingerprints that the index has of the matching stretches of the piece; hits: those of
    them that the passage has, in the same order.
    """

    instrument: int
    start: float
    end: float
    notes: int
    piece: str
    there: float
    distinct: int
    kept: int
    hits: int

    @property
    def share(self) -> float:
        """How much of the stretch matches: 1 for an exact copy, less for one with changes."""
        return self.hits / self.kept


class Memory:
    """The index. columns: see `build`. Made by `build` or `load`, written by `save`."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self.columns = columns
        self.facts: dict = json.loads(columns["facts"].tobytes())
        self.names = columns["names"].tobytes().decode().split("\n")
        count = columns["count"].astype(np.int64)
        self.first = np.cumsum(count) - count  # of each line's fingerprints
        self.line = np.repeat(np.arange(len(count)), count)  # of each fingerprint
        total = np.cumsum(columns["step"].astype(np.int64))
        self.place = total - np.repeat((total - columns["step"])[self.first], count)  # onset of the line it begins at
        mark = columns["mark"].astype(np.int64) @ (1, 1 << 8, 1 << 16)
        self.order = np.argsort(mark, kind="stable")
        self.mark = mark[self.order]
        knots = -(-columns["onsets"].astype(np.int64) // KNOT)
        self.first_knot = np.cumsum(knots) - knots
        self.knot = np.cumsum(columns["knot"].astype(np.int64))
        self.knot -= np.repeat((self.knot - columns["knot"])[self.first_knot], knots)

    def __len__(self) -> int:
        return len(self.mark)

    @classmethod
    def build(cls, pieces: Iterable[tuple[str, Notes]], window: int = WINDOW) -> Memory:
        """The index of pieces (name, notes); the same pieces make the same index. window: see `winnowed`.

        Columns, per fingerprint: `mark` its lowest 24 bits, `step` onsets since the line's one before. Per line:
        `piece`, `count` of its fingerprints, `onsets`; `knot` the seconds of every 64th onset, as differences.
        """
        names: list[str] = []
        rows: list[np.ndarray] = []
        parts: list[tuple[int, int]] = []
        knots: list[np.ndarray] = []
        for number, (name, notes) in enumerate(pieces):
            names.append(name)
            for _, line in lines(notes):
                marks = line.marks()
                places = winnowed(marks, window)
                _, once = np.unique(marks[places], return_index=True)
                places = places[np.sort(once)]
                rows.append(np.stack([marks[places], places.astype(np.uint64), np.full(len(places), len(parts), "u8")]))
                parts.append((number, len(line.onset)))
                knots.append(np.diff(np.rint(line.onset[::KNOT]).astype(np.int64), prepend=0))
        mark, place, part = np.concatenate([np.zeros((3, 0), "u8"), *rows], axis=1)
        table = np.array(parts, np.int64).reshape(-1, 2)
        keep = _first_of_few(mark, table[part.astype(np.int64), 0])
        mark, place, part = mark[keep], place[keep].astype(np.int64), part[keep].astype(np.int64)
        count = np.bincount(part, minlength=len(table))
        used = count > 0
        step, first = np.diff(place, prepend=0), (np.cumsum(count) - count)[used]
        step[first] = place[first]
        facts = {"format": 2, "shape": SHAPE, "window": window, "pieces": len(names)}
        columns = {
            "mark": (mark[:, None] >> np.array([0, 8, 16], "u8")).astype("u1"),
            "step": step.astype("<u4" if len(step) and step.max() >= 1 << 16 else "<u2"),
            "piece": table[used, 0].astype("<u4"),
            "count": count[used].astype("<u4"),
            "onsets": table[used, 1].astype("<u4"),
            "knot": np.concatenate([np.zeros(0), *(k for k, u in zip(knots, used, strict=True) if u)]).astype("<u2"),
            "names": np.frombuffer("\n".join(names).encode(), "u1"),
            "facts": np.frombuffer(json.dumps(facts).encode(), "u1"),
        }
        return cls(columns)

    def with_facts(self, **facts) -> Memory:
        """The same index with more facts."""
        return Memory(self.columns | {"facts": np.frombuffer(json.dumps(self.facts | facts).encode(), "u1")})

    def joined(self, other: Memory) -> Memory:
        """This index with the pieces of another one after its own. How sure a match is stays as it was: `other` should
        be small."""
        names = "\n".join(self.names + other.names)
        more = other.columns | {"piece": other.columns["piece"] + len(self.names)}
        both = {name: np.concatenate([column, more[name]]) for name, column in self.columns.items()}
        both |= {"names": np.frombuffer(names.encode(), "u1"), "facts": self.columns["facts"]}
        return Memory(both).with_facts(pieces=len(self.names) + len(other.names))

    def save(self, path: str | Path) -> None:
        """Write the index as a compressed .npz without pickles; the same index makes the same bytes. Raises FileError
        where it cannot."""
        columns: dict[str, Any] = self.columns
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **columns)

    @classmethod
    def load(cls, path: str | Path) -> Memory:
        """Raises CheckpointError where there is no index, or none of this version."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                memory = cls(_sound({name: stored[name] for name in COLUMNS}))
            version = memory.facts["format"], memory.facts["shape"]
        except FileNotFoundError:
            raise CheckpointError(f"no index of the training set at {path}; train/memorise.py makes one") from None
        except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, AttributeError,
                zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
            raise CheckpointError(f"{path} is no index of a training set, or broken ({error})") from None
        if version != (2, SHAPE):
            raise CheckpointError(f"{path} was made by another version; make it anew with train/memorise.py")
        return memory

    def matches(self, notes: Notes) -> list[Match]:
        """Every passage with at least two fingerprints in common with a stretch of a training piece, those with the
        most distinct onsets first."""
        found = [match for instrument, line in lines(notes) for match in self._of_line(instrument, line)]
        return sorted(found, key=lambda m: (-m.distinct, -m.notes, -m.share, m.start, m.piece))

    def chance(self, distinct: int) -> float | None:
        """The share of one-minute passages by people, of music outside the training set, that have a match of so many
        distinct onsets or more; None if that was not measured."""
        curve = self.facts.get("chance") or []
        return min((share for length, share in curve if length <= distinct), default=1.0) if curve else None

    def _of_line(self, instrument: int, line: Line) -> Iterator[Match]:
        marks = line.marks()
        low = (marks & np.uint64((1 << MARK) - 1)).astype(np.int64)
        begin, end = np.searchsorted(self.mark, low, "left"), np.searchsorted(self.mark, low, "right")
        count = np.where(marks > 0, end - begin, 0)
        here = np.repeat(np.arange(len(marks)), count)
        number = self.order[ranges(begin, count)]
        theirs = self.line[number]
        several = np.isin(theirs, np.flatnonzero(np.bincount(theirs, minlength=len(self.first)) > 1))
        table = np.stack([theirs, here, self.place[number], number], 1)[several]
        hits = [Hit(*row) for row in table[np.lexsort(table.T[::-1])].tolist()]
        runs = [run for _, own in groupby(hits, key=attrgetter("line")) for run in _runs(own)]
        for passage in _joined(runs, self.columns["piece"]):
            yield self._match(instrument, line, passage)

    def _match(self, instrument: int, line: Line, runs: list[Run]) -> Match:
        first = runs[0][0]
        last = max(run[-1].here for run in runs) + SPAN - 1
        kept = sum(run[-1].number - run[0].number + 1 for run in runs)
        hits = [hit for run in runs for hit in run]
        ours = {onset for hit in hits for onset in range(hit.here, hit.here + SPAN)}
        theirs = {(hit.line, onset) for hit in hits for onset in range(hit.there, hit.there + SPAN)}
        return Match(
            instrument, float(line.onset[first.here]), float(line.onset[last]), last + 1 - first.here,
            self.names[self.columns["piece"][first.line]], self._seconds(first.line, first.there),
            min(len(ours), len(theirs)), kept, len(hits),
        )  # fmt: skip

    def _seconds(self, line: int, onset: int) -> float:
        """About when the onset of this number falls in a line."""
        known = self.knot[self.first_knot[line] :][: -(-int(self.columns["onsets"][line]) // KNOT)]
        rate = float(np.diff(known).mean()) / KNOT if len(known) > 1 else 0.0  # beyond the last knot
        at, into = min(onset // KNOT, len(known) - 1), onset - min(onset // KNOT, len(known) - 1) * KNOT
        slope = (known[at + 1] - known[at]) / KNOT if at + 1 < len(known) else rate
        return float(known[at] + into * slope)


def _sound(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns, if they fit each other. Raises ValueError."""
    piece, count, onsets = (columns[name].astype(np.int64) for name in ("piece", "count", "onsets"))
    names = columns["names"].tobytes().count(b"\n") + 1
    if not (
        columns["mark"].shape == (count.sum(), 3)
        and columns["step"].shape == (count.sum(),)
        and len(piece) == len(count) == len(onsets)
        and columns["knot"].shape == ((-(-onsets // KNOT)).sum(),)
        and (count > 0).all()
        and (piece < names).all()
    ):
        raise ValueError("its columns do not fit each other")
    return columns


def _first_of_few(mark: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Mask of the places that are kept: the first one of every mark that at most COMMON pieces have."""
    order = np.lexsort((np.arange(len(mark)), mark))
    new = np.append(True, np.diff(mark[order]) != 0)[: len(mark)]
    other = new | np.append(True, np.diff(piece[order]) != 0)[: len(mark)]  # pieces come in order
    pieces = np.add.reduceat(other.astype(np.int64), np.flatnonzero(new)) if len(mark) else np.zeros(0)
    keep = np.zeros(len(mark), dtype=bool)
    keep[order[new]] = pieces <= COMMON
    return keep


def _runs(hits: Iterable[Hit]) -> list[Run]:
    """Chains of two or more hits in one line that follow each other here and there."""
    chains: list[Run] = []
    live: list[Run] = []
    for hit in hits:
        live = [chain for chain in live if hit.here - chain[-1].here <= REACH]
        off = [_off(chain[-1], hit) for chain in live]
        if min(off, default=np.inf) < np.inf:
            live[off.index(min(off))].append(hit)
        else:
            live.append([hit])
            chains.append(live[-1])
    return [chain for chain in chains if len(chain) > 1]


def _off(one: Hit, other: Hit) -> float:
    """By how many onsets the distance between two hits differs here and there; infinite if the second cannot continue
    the first."""
    here, there = other.here - one.here, other.there - one.there
    off = abs(there - here)
    return off if here > 0 < there and off <= SLACK + here // DRIFT else np.inf


def _joined(runs: list[Run], piece: np.ndarray) -> Iterator[list[Run]]:
    """Runs in one piece that follow each other here, wherever they are there, joined to passages. (The index keeps a
    repeat once, so a copy of both times jumps back.) A run that lies mostly within one with more hits is left out."""
    order = sorted((int(piece[run[0].line]), -len(run), run[0].here, run[-1].here, i) for i, run in enumerate(runs))
    for _, own in groupby(order, key=itemgetter(0)):
        spans: list[tuple[int, int, int]] = []
        for _, _, first, last, i in own:
            if not any(2 * (min(last, end) - max(first, begin)) > last - first for begin, end, _ in spans):
                spans.append((first, last, i))
        passage: list[Run] = []
        reached = 0
        for first, last, i in sorted(spans):
            if passage and first - reached > REACH:
                yield passage
                passage, reached = [], 0
            passage.append(runs[i])
            reached = max(reached, last)
        yield passage
