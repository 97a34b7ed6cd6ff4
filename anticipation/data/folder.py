"""A folder of MIDI files as pieces in memory, with the methods of `Shards`. Knows no shards on disk and no models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import AnticipationError, MidiError
from ..music.notes import Notes
from ..score.midi import read as read_midi
from .corpus import load_piece, prepared
from .shards import Piece


def midi_files(folder: str | Path) -> list[Path]:
    """The .mid and .midi files at and below a folder, sorted."""
    return sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".mid", ".midi") and p.is_file())


def load_plain(path: Path) -> Notes:
    """A file's notes as a shard holds them, by our own reader, for an installation without symusic. Raises
    MidiError."""
    score = read_midi(path)
    try:
        return prepared(score.notes, score.tempo)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from None


def load_fast(path: Path) -> Notes:
    """The same, by symusic where that is installed."""
    try:
        return load_piece(path)
    except ImportError:
        return load_plain(path)


@dataclass(frozen=True)
class Folder:
    """Pieces and their notes. `start` of a piece is its index in `notes_of`, as there are no rows of shards here.
    skipped: one line for each file that could not be used."""

    folder: Path
    pieces: tuple[Piece, ...]
    notes_of: tuple[Notes, ...]
    skipped: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: str | Path, load: Callable[[Path], Notes] = load_fast) -> Folder:
        """Every usable file, as split `valid`. Raises AnticipationError where there is none."""
        folder = Path(folder)
        if not folder.is_dir():
            raise AnticipationError(f"no folder {folder}")
        pieces: list[Piece] = []
        columns: list[Notes] = []
        skipped: list[str] = []
        for path in midi_files(folder):
            try:
                notes = load(path)
            except MidiError as error:
                skipped.append(str(error))
                continue
            audible, start = notes.audible, len(columns)
            name = str(path.relative_to(folder))
            pieces.append(Piece("", name, "valid", start, len(notes), len(audible), round(audible.end, 2), ""))
            columns.append(notes)
        if not pieces:
            found = f"; the first file: {skipped[0]}" if skipped else ""
            raise AnticipationError(f"{folder} has no MIDI file to learn from{found}")
        return cls(folder, tuple(pieces), tuple(columns), tuple(skipped))

    def notes(self, piece: Piece) -> Notes:
        return self.notes_of[piece.start]

    def split(self, name: str) -> list[Piece]:
        return [piece for piece in self.pieces if piece.split == name]

    def divided(self, which: dict[str, str]) -> Folder:
        """The same pieces with the split that each name is given."""
        return replace(self, pieces=tuple(replace(p, split=which.get(p.name, p.split)) for p in self.pieces))
