"""Shards: columns of notes and a manifest; several folders of them joined to one, each piece once.

Knows no MIDI, no tokens, no rows and no models.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AnticipationError
from ..music.notes import Notes
from .alike import SKETCH, Groups, copies_of, line_shingles, related, sketch, takes, tune_hash

COLUMNS = {"onset": "<f4", "duration": "<f4", "pitch": "u1", "instrument": "u1", "velocity": "u1"}
SYNTHETIC = "SYNTHETIC:"  # in the licence text of a source: made by a program, so it is never held out
UNDECIDED = ""  # the split of pieces that are still to be joined
LICENCE_LENGTH = 600


@dataclass(frozen=True)
class Piece:
    """One piece of a shard folder: rows [start, start + count) of every column."""

    source: str
    name: str
    split: str  # train, valid, or dev (kept out of every training set)
    start: int
    count: int
    notes: int  # without chords and beats
    seconds: float
    sha256: str  # of the file
    tune: str = ""  # alike.tune_hash
    group: int = -1  # pieces that share a split (takes, versions, editions) have the number of the first of them
    alike: int = 1  # takes of this piece in the folder, itself included: each weighs 1 / alike


def _typed(manifest: dict, pieces: Sequence[Piece]) -> bool:
    """Whether everything that a manifest says has the right type."""
    kinds: dict[Any, Any] = {"str": str, "int": int, "float": (int, float)}
    return (
        all(isinstance(getattr(piece, f.name), kinds[f.type]) for f in fields(Piece) for piece in pieces)
        and all(isinstance(words, str) for words in manifest.get("licences", {}).values())
        and all(isinstance(count, int) for count in manifest.get("outcome", {}).values())
    )


class Shards:
    """A folder written by `write` or `join`. Raises AnticipationError where manifest and columns do not fit."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
            self.pieces = [Piece(**entry) for entry in self.manifest["pieces"]]
            sizes = {name: (self.folder / f"{name}.bin").stat().st_size for name in COLUMNS}
            rows = sum(piece.count for piece in self.pieces)
            if not _typed(self.manifest, self.pieces):
                raise ValueError("what its manifest says is of the wrong kind")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AnticipationError(
                f"{folder} is no folder of shards ({error}); make one with train/prepare.py"
            ) from None
        if any(sizes[name] != rows * np.dtype(kind).itemsize for name, kind in COLUMNS.items()):
            raise AnticipationError(
                f"{folder}: the columns do not have the {rows} rows of the manifest; prepare it again"
            )

    def notes(self, piece: Piece) -> Notes:
        """All rows of a piece, chords and beats among them; velocity 0 is 'unknown'. Raises AnticipationError where a
        file is gone or cut short by now: it is read, not mapped, since to touch a map of a cut file would kill the
        process."""
        columns = {}
        for name, kind in COLUMNS.items():
            path = self.folder / f"{name}.bin"
            try:
                columns[name] = np.fromfile(path, kind, piece.count, offset=piece.start * np.dtype(kind).itemsize)
            except OSError:
                columns[name] = np.zeros(0, kind)
            if len(columns[name]) < piece.count:
                raise AnticipationError(f"{path} vanished or was cut while it was read")
        return Notes(**columns)

    def split(self, name: str) -> list[Piece]:
        return [piece for piece in self.pieces if piece.split == name]

    @property
    def licences(self) -> dict[str, str]:
        """The beginning of what each source says of its licence."""
        return self.manifest.get("licences", {})

    @property
    def outcome(self) -> Counter:
        """How many files were kept, and how many were not, by reason."""
        return Counter(self.manifest.get("outcome", {}))

    @property
    def synthetic(self) -> set[str]:
        """The sources that a program made."""
        return {source for source, words in self.licences.items() if SYNTHETIC in words}

    def prints(self) -> np.ndarray:
        """(pieces, SKETCH) prints of the pieces, see alike.py; computed from the notes for a folder of before there
        were any."""
        try:
            return np.fromfile(self.folder / "prints.bin", "<u4").reshape(len(self.pieces), SKETCH)
        except (OSError, ValueError):
            return np.array([sketch(line_shingles(self.notes(p))) for p in self.pieces], np.uint32).reshape(-1, SKETCH)


class _Columns:
    """The files of a folder while they are written, as a context: what `settle` has not moved into place is gone after
    it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.new, self.rows = folder, folder / "new", 0
        shutil.rmtree(self.new, ignore_errors=True)
        self.new.mkdir(parents=True)
        self.files = {name: (self.new / f"{name}.bin").open("wb") for name in (*COLUMNS, "prints")}

    def __enter__(self) -> _Columns:
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._close()
        finally:
            shutil.rmtree(self.new, ignore_errors=True)

    def _close(self) -> None:
        """Close all files, also after one that fails: closing writes what is left, for which there may be no room."""
        with ExitStack() as files:
            for file in self.files.values():
                files.callback(file.close)

    def add(self, notes: Notes, print_: np.ndarray) -> int:
        """Append the notes and the print of a piece. Returns its first row."""
        for name, kind in COLUMNS.items():
            self.files[name].write(getattr(notes, name).astype(kind).tobytes())
        self.files["prints"].write(print_.astype("<u4").tobytes())
        self.rows += len(notes)
        return self.rows - len(notes)

    def settle(self, pieces: list[Piece], outcome: Counter, licences: dict[str, str]) -> None:
        """Move the files into place, with a manifest. Nothing can be added any more."""
        self._close()
        head = {"format": 1, "outcome": dict(sorted(outcome.items())), "licences": dict(sorted(licences.items()))}
        lines = ",\n".join(json.dumps(vars(piece)) for piece in pieces)
        text = json.dumps(head, indent=0)[:-2] + f',\n"pieces": [\n{lines}\n]}}\n'
        (self.new / "manifest.json").write_text(text, encoding="utf-8", newline="\n")
        for name in (*(f"{name}.bin" for name in self.files), "manifest.json"):
            (self.new / name).replace(self.folder / name)


def write(
    folder: Path, pieces: Iterable[tuple[str, str, str, Notes]], outcome: Counter, licences: dict[str, str]
) -> None:
    """Write (source, name, sha256, notes) of pieces as shards, in the order in which they come, for `join`. If that
    fails, the folder stays as it was."""
    kept: list[Piece] = []
    with _Columns(folder) as columns:
        for source, name, digest, notes in pieces:
            audible = notes.audible
            start = columns.add(notes, sketch(line_shingles(notes)))
            tune, seconds = tune_hash(notes), round(audible.end, 2)
            kept.append(Piece(source, name, UNDECIDED, start, len(notes), len(audible), seconds, digest, tune))
        columns.settle(kept, outcome + Counter(kept=len(kept)), licences)


def join(
    folders: Sequence[Path],
    out: Path,
    split: Callable[[str, str, str], str],
    family: Callable[[str, str], str | None] = lambda source, name: None,
    *,
    decide: bool = True,
) -> Counter:
    """Join folders of shards to one, in the order of (source, name), synthetic pieces last. Returns counts by outcome.

    Exact duplicates and copies (`alike.is_copy`) are dropped. Takes of one piece, pieces with music in common
    (`alike.related`) and pieces of one family share a split. split: (source, name, tune hash) -> the split of a piece
    that has none yet. family: (source, name) -> a name that all of a family have, or None. decide: False leaves all
    this to a later join, so that a corpus can be read on several machines.
    """
    parts = [Shards(folder) for folder in folders]
    outcome = sum((part.outcome for part in parts), Counter())
    del outcome["kept"]
    licences = {source: words for part in reversed(parts) for source, words in part.licences.items()}
    every = [(piece, part) for part in parts for piece in part.pieces]
    prints = np.concatenate([np.zeros((0, SKETCH), np.uint32), *(part.prints() for part in parts)])
    synthetic = set().union(*(part.synthetic for part in parts))
    place = {i: (p.source in synthetic, p.source, p.name, p.sha256, i) for i, (p, _) in enumerate(every)}
    order = sorted(place, key=place.__getitem__)  # of two copies the first one stays, so human pieces come first
    every, prints = [every[i] for i in order], prints[order]
    pieces = [piece for piece, _ in every]

    def notes(i: int) -> Notes:
        return every[i][1].notes(every[i][0])

    dropped: dict[int, str] = {}
    if decide:
        before = {id(part): number for number, part in enumerate(parts)}
        bonds = [
            [family(piece.source, piece.name) for piece in pieces],
            [f"{before[id(part)]} {piece.group}" if piece.group >= 0 else None for piece, part in every],
        ]
        dropped, pieces = _decide(pieces, prints, notes, split, bonds, synthetic)
    kept = [i for i in range(len(pieces)) if i not in dropped]
    outcome.update(dropped.values())
    outcome["kept"] = len(kept)
    with _Columns(out) as columns:
        written = [replace(pieces[i], start=columns.add(notes(i), prints[i])) for i in kept]
        columns.settle(written, outcome, licences)
    return outcome


def _decide(
    pieces: list[Piece], prints: np.ndarray, notes: Callable[[int], Notes], split: Callable[[str, str, str], str],
    bonds: list[list[str | None]], synthetic: set[str],
) -> tuple[dict[int, str], list[Piece]]:  # fmt: skip
    """Why each piece that is dropped is, by its number; and all pieces with their splits and groups. bonds: lists with
    a name or None for each piece; pieces of the same name belong together."""
    groups = Groups(len(pieces))
    groups.join_equal([piece.tune for piece in pieces])
    dropped = dict.fromkeys((i for i in range(len(pieces)) if groups[i] != i), "exact duplicate")
    left = [i for i in range(len(pieces)) if i not in dropped]
    while True:  # a pass compares only neighbours (alike.likely_pairs), and of many copies not all are that at once
        near, pairs = takes(prints[left])
        for k, i in enumerate(left):
            groups.join(i, left[near[k]])
        copies = copies_of([(left[i], left[j]) for i, j in pairs], notes)
        if not copies:
            break
        dropped |= dict.fromkeys(copies, "near duplicate")
        left = [i for i in left if i not in copies]
    for names in bonds:
        groups.join_equal(names)
    human = [i for i in left if pieces[i].source not in synthetic]
    for one, other in related([line_shingles(notes(i)) for i in human]).tolist():
        groups.join(human[one], human[other])
    splits = _splits(pieces, groups, split, synthetic)
    for i, piece in enumerate(pieces):
        if piece.source in synthetic and splits[groups[i]] != "train":
            dropped.setdefault(i, "synthetic, like a held-out piece")
    kept = [i for i in range(len(pieces)) if i not in dropped]
    leader: dict[int, int] = {}
    for k, i in enumerate(kept):
        leader.setdefault(groups[i], k)
    human = [i for i in kept if pieces[i].source not in synthetic]
    near, _ = takes(prints[human])
    size = Counter(near[k] for k in range(len(human)))
    weight = {i: size[near[k]] for k, i in enumerate(human)}
    return dropped, [
        replace(piece, split=splits[groups[i]], group=leader.get(groups[i], -1), alike=weight.get(i, 1))
        for i, piece in enumerate(pieces)
    ]


def _splits(
    pieces: list[Piece], groups: Groups, split: Callable[[str, str, str], str], synthetic: set[str]
) -> dict[int, str]:
    """group -> split: `dev` if any of its pieces is; else the split of the piece with the lowest tune hash; `train` if
    all of its pieces are synthetic."""
    dev: set[int] = set()
    lowest: dict[int, tuple[str, str]] = {}
    for i, piece in enumerate(pieces):
        if piece.source in synthetic:
            continue
        wish = piece.split or split(piece.source, piece.name, piece.tune)
        if wish == "dev":
            dev.add(groups[i])
        lowest[groups[i]] = min(lowest.get(groups[i], (piece.tune, wish)), (piece.tune, wish))
    return {
        groups[i]: "dev" if groups[i] in dev else lowest.get(groups[i], ("", "train"))[1] for i in range(len(pieces))
    }
