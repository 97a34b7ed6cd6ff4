"""Shards: a folder of MIDI as memory-mapped note columns and a manifest. Knows no tokens, no rows and no models."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AnticipationError, MidiError
from .harmony import chord_notes, estimate_chords, parse_chord
from .notes import DRUMS, Notes
from .tempo import TempoMap, beat_notes, on_grid

COLUMNS = {"onset": "<f4", "duration": "<f4", "pitch": "u1", "instrument": "u1", "velocity": "u1"}
MIN_NOTES = 16
MAX_SECONDS = 2 * 3600.0


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


class Shards:
    """A folder written by `write_shards`. Raises AnticipationError where the manifest and the columns do not fit."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
            self.columns = {
                name: np.memmap(self.folder / f"{name}.bin", dtype=kind, mode="r") for name, kind in COLUMNS.items()
            }
            self.pieces = [Piece(**entry) for entry in self.manifest["pieces"]]
            rows = sum(piece.count for piece in self.pieces)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AnticipationError(
                f"{folder} is no folder of shards ({error}); make one with train/prepare.py"
            ) from None
        if any(len(column) != rows for column in self.columns.values()):
            raise AnticipationError(
                f"{folder}: the columns do not have the {rows} rows of the manifest; prepare it again"
            )

    def notes(self, piece: Piece) -> Notes:
        """All rows of a piece, chords and beats among them; velocity 0 is 'unknown'."""
        rows = slice(piece.start, piece.start + piece.count)
        return Notes(*(self.columns[name][rows] for name in COLUMNS))

    def split(self, name: str) -> list[Piece]:
        return [piece for piece in self.pieces if piece.split == name]


def read_fast(path: Path) -> tuple[Notes, TempoMap]:
    """Notes and tempo map by symusic (C++), for reading a corpus; `midi.read` is for a musician's file, and a test
    holds both equal. Raises MidiError."""
    import symusic  # a training dependency only

    try:
        score: Any = symusic.Score(str(path))
    except Exception as error:  # symusic raises whatever its C++ parser throws
        raise MidiError(f"{path.name}: {error}") from None
    tempo = TempoMap(
        score.ticks_per_quarter,
        tuple((t.time, t.mspq) for t in score.tempos if t.mspq > 0),
        tuple((m.time, m.numerator, m.denominator) for m in score.time_signatures if m.numerator and m.denominator),
    )
    tables = []
    for track in score.tracks:
        n = track.notes.numpy()
        onset, end = tempo.seconds(n["time"]), tempo.seconds(n["time"] + n["duration"])
        instrument = np.full(len(onset), DRUMS if track.is_drum else track.program)
        tables.append(Notes(onset, end - onset, n["pitch"], instrument, n["velocity"]))
    return Notes.concat(tables), tempo


def annotate(notes: Notes, tempo: TempoMap, annotation: Path | None) -> Notes:
    """Notes with BEAT rows (annotated, else of the tempo map, where the onsets keep to them) and CHORD rows (annotated
    where the annotated beats fit, else estimated)."""
    if annotation is not None and (annotation / "beat_midi.txt").exists():
        table = np.loadtxt(annotation / "beat_midi.txt", ndmin=2)
        bars = np.flatnonzero(table[:, 2])
        places = np.arange(len(table)) - bars[np.maximum(np.searchsorted(bars, np.arange(len(table)), "right") - 1, 0)]
        beats = beat_notes(table[:, 0], places % 4)
        if on_grid(notes, beats):
            lines = (line.split() for line in (annotation / "chord_midi.txt").read_text().splitlines())
            return notes + beats + chord_notes((float(a), float(b), parse_chord(name)) for a, b, name in lines)
    beats = tempo.beats(notes.end)
    if not on_grid(notes, beats):
        beats = Notes.of([])
    return notes + beats + estimate_chords(notes, beats)


def load_piece(path: Path, annotation: Path | None) -> Notes:
    """A file as it stands in a shard. Raises MidiError with the reason for which it is dropped."""
    notes, tempo = read_fast(path)
    if len(notes) < MIN_NOTES:
        raise MidiError("fewer than 16 notes")
    if notes.end > MAX_SECONDS:
        raise MidiError("longer than two hours")
    notes = notes.shift(-min(0.0, float(notes.onset.min())))
    if len(np.unique(notes.velocity)) <= 2:  # no dynamics: an unknown velocity must not teach flat playing
        notes = notes.replace(velocity=notes.velocity * 0)
    return annotate(notes, tempo, annotation)


def tune_hash(notes: Notes) -> str:
    """Equal for two files with the same onsets (relative to the first), pitches and drums."""
    notes = notes.audible
    steps = np.rint((notes.onset - notes.onset.min()) * 100).astype(np.int64)
    table = np.stack([steps, notes.pitch, notes.instrument == DRUMS], 1)
    return hashlib.sha256(table[np.lexsort(table.T[::-1])].tobytes()).hexdigest()


def write_shards(
    folder: Path,
    out: Path,
    read: Callable[[list[Path]], Iterable[tuple[Path, Notes | str]]],
    split: Callable[[str, str, str], str],
) -> Counter:
    """Write the shards of all .mid below `folder` to `out`. read: yields (path, notes or the reason it was dropped) in
    the order of its sorted input. split: (source, file name, content hash) to a split. Returns counts by outcome."""
    out.mkdir(parents=True, exist_ok=True)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    outcome: Counter = Counter()
    pieces: list[Piece] = []
    seen: set[str] = set()
    start = 0
    files = {name: (out / f"{name}.bin").open("wb") for name in COLUMNS}
    for path, notes in read(paths):
        if isinstance(notes, str):
            outcome[notes] += 1
            continue
        tune = tune_hash(notes)
        if tune in seen:
            outcome["exact duplicate"] += 1
            continue
        seen.add(tune)
        source = path.relative_to(folder).parts[0] if path.parent != folder else folder.name
        for name, kind in COLUMNS.items():
            files[name].write(getattr(notes, name).astype(kind).tobytes())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        audible = notes.audible
        where = split(source, path.name, tune)
        pieces.append(Piece(source, path.name, where, start, len(notes), len(audible), round(audible.end, 2), digest))
        start += len(notes)
        outcome["kept"] += 1
    for file in files.values():
        file.close()
    licences = {p.parent.name: p.read_text(encoding="utf-8")[:600] for p in sorted(folder.glob("*/ATTRIBUTION.txt"))}
    manifest = {"format": 1, "outcome": dict(outcome), "licences": licences, "pieces": [asdict(p) for p in pieces]}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=0), encoding="utf-8")
    return outcome
