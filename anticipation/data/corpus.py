"""A corpus: folders and archives of MIDI, read file by file into Notes with beats and chords. Knows no shards."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import AnticipationError, MidiError, reason
from ..music.grid import on_grid
from ..music.harmony import chord_notes, estimate_chords
from ..music.notes import DRUMS, Notes
from ..music.symbols import parse_chord
from ..music.tempo import TempoMap, beat_notes
from ..score.midi import MAX_BYTES

MIN_NOTES = 16
MAX_SECONDS = 2 * 3600.0
MIDI = (".mid", ".midi", ".kar")
TARS = {".tar": open, ".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.xz": lzma.open, ".txz": lzma.open,
        ".tar.bz2": bz2.open, ".tbz2": bz2.open}  # fmt: skip
ARCHIVES = (".zip", *TARS)
TOO_LARGE, NESTED = f"larger than {MAX_BYTES >> 20} MiB", "an archive within an archive"
LICENCES = (
    "attribution.txt",
    "license",
    "license.txt",
    "license.md",
    "licence",
    "licence.txt",
    "copying",
)  # best first
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, RuntimeError,
          NotImplementedError, ValueError)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file of a corpus. source: the folder right below the corpus; name: its path from there. Its bytes are at `path`
    on the disk or here as `data`; if they cannot be had, `reason` says why."""

    source: str
    name: str
    path: Path | None = None
    data: bytes | None = None
    reason: str = ""

    @property
    def licence(self) -> bool:
        """Whether it is the text of its source's licence."""
        return self.name.lower() in LICENCES

    def read(self) -> bytes:
        """Its bytes. Raises MidiError, with the reason, where they cannot be had."""
        try:
            data = self.data if self.path is None else self.path.read_bytes()
        except OSError as error:
            raise MidiError(f"unreadable ({error.strerror})") from None
        if self.reason or data is None:
            raise MidiError(self.reason)
        return data


def suffix(name: str) -> str:
    """The ending of a file's name, in lower case, `.tar.gz` and its like in one."""
    parts = PurePosixPath(name.lower()).suffixes
    return "".join(parts[-2:]) if "".join(parts[-2:]) in TARS else "".join(parts[-1:])


def members(root: Path, source: str | None = None) -> Iterator[Member]:
    """All MIDI files and licences in a folder and in its archives, or in one archive, always in the same order.
    Archives are streamed. Links to folders are not followed. Archives within archives, and what cannot be read, come as
    members with a reason. source: a name for everything, in place of the folders below the root.

    Raises AnticipationError where the root is neither a folder nor an archive.
    """
    if root.is_file() and suffix(root.name) in ARCHIVES:
        stem = root.name[: -len(suffix(root.name))]
        yield from _in_archive(root, (), stem, source)
        return
    if not root.is_dir():
        raise AnticipationError(f"{root} is neither a folder nor one of {', '.join(ARCHIVES)}")
    shut: list[OSError] = []
    files = sorted(Path(top, name) for top, _, names in os.walk(root, onerror=shut.append) for name in names)
    for error in sorted(shut, key=lambda error: error.filename):
        parts = Path(error.filename).relative_to(root).parts
        yield _lost(source or (*parts, root.name)[0], "/".join(parts), f"unreadable folder ({error.strerror})")
    for path in files:
        parts = path.relative_to(root).parts
        if not _wanted(path.name):
            continue
        try:
            state = path.stat()
        except OSError as error:
            yield from _member(parts, root.name, source, reason=f"unreadable ({error.strerror})")
            continue
        if not stat.S_ISREG(state.st_mode):
            continue
        if suffix(path.name) in ARCHIVES:
            stem = path.name[: -len(suffix(path.name))]
            yield from _in_archive(path, parts[:-1] or (stem,), stem, source)
        elif state.st_size > MAX_BYTES:
            yield from _member(parts, root.name, source, reason=TOO_LARGE)
        else:
            yield from _member(parts, root.name, source, path=path)


def _wanted(name: str) -> bool:
    return suffix(name) in (*MIDI, *ARCHIVES) or name.lower() in LICENCES


def _member(parts: tuple[str, ...], root: str, source: str | None, **content: Any) -> Iterator[Member]:
    """The member at a place, as a sequence of one or none: a licence further down, of a part of its source, is left
    out."""
    if source is None:
        source, parts = (parts[0], parts[1:]) if len(parts) > 1 else (root, parts)
    member = Member(readable(source), readable("/".join(parts)), **content)
    if member.licence or suffix(member.name) in (*MIDI, *ARCHIVES):
        yield member


def readable(name: str) -> str:
    """A name as UTF-8 in one line: file names in a corpus may hold any bytes."""
    name = re.sub(r"[\x00-\x1f\x7f]", lambda c: f"\\x{ord(c[0]):02x}", name)
    return name.encode("utf-8", "backslashreplace").decode()


def _in_archive(path: Path, above: tuple[str, ...], stem: str, source: str | None) -> Iterator[Member]:
    """The members of an archive as if it were unpacked where it is, without a top folder that bears the archive's own
    name. If the archive is damaged, a last member says so."""
    try:
        yield from (
            _zipped(path, above, stem, source) if suffix(path.name) == ".zip" else _tarred(path, above, stem, source)
        )
    except DAMAGE as error:
        where = "/".join((*above, path.name))
        why = (getattr(error, "strerror", None) or reason(error))[:80]  # the text of an OSError names the path
        yield _lost(source or (above or (stem,))[0], where, f"damaged archive ({why})")


def _lost(source: str, name: str, reason: str) -> Member:
    return Member(readable(source), readable(name), reason=reason)


def _place(name: str, above: tuple[str, ...], stem: str) -> tuple[str, ...]:
    parts = tuple(part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".", ".."))
    return above + (parts[1:] if len(parts) > 1 and parts[0] == stem else parts)


def _zipped(path: Path, above: tuple[str, ...], stem: str, source: str | None) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
            if entry.is_dir() or not _wanted(PurePosixPath(entry.filename).name):
                continue
            content: dict[str, Any] = {"reason": TOO_LARGE}
            if suffix(entry.filename) in ARCHIVES:
                content = {"reason": NESTED}
            elif entry.file_size <= MAX_BYTES:
                try:
                    content = {"data": archive.read(entry)}
                except DAMAGE as error:
                    content = {"reason": f"damaged in its archive ({type(error).__name__})"}
            yield from _member(_place(entry.filename, above, stem), stem, source, **content)


def _tarred(path: Path, above: tuple[str, ...], stem: str, source: str | None) -> Iterator[Member]:
    opened: Any = TARS[suffix(path.name)]
    with opened(path, "rb") as raw, tarfile.open(fileobj=raw, mode="r|") as archive:
        for entry in archive:
            if not entry.isfile() or not _wanted(PurePosixPath(entry.name).name):
                continue
            content: dict[str, Any] = {"reason": TOO_LARGE}
            if suffix(entry.name) in ARCHIVES:
                content = {"reason": NESTED}
            elif entry.size <= MAX_BYTES:
                file = archive.extractfile(entry)
                content = {"data": file.read() if file else b""}
            yield from _member(_place(entry.name, above, stem), stem, source, **content)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""


def read_fast(file: Path | bytes) -> tuple[Notes, TempoMap]:
    """Notes and tempo map of a file by symusic (C++), for reading a corpus. A musician's file is read by `midi.read`; a
    test holds the two equal. Raises MidiError."""
    import symusic  # a training dependency only

    try:
        score: Any = symusic.Score.from_midi(file) if isinstance(file, bytes) else symusic.Score(str(file))
    except Exception:  # symusic raises whatever its C++ parser throws
        start = file[:4] if isinstance(file, bytes) else _head(file)
        name = "" if isinstance(file, bytes) else f"{file.name}: "
        raise MidiError(name + ("broken MIDI" if start == b"MThd" else "no MIDI")) from None
    if score.ticks_per_quarter <= 0:
        raise MidiError("no ticks per beat")
    tempo = TempoMap(
        score.ticks_per_quarter,
        tuple((t.time, t.mspq) for t in score.tempos if t.mspq > 0),
        tuple((m.time, m.numerator, m.denominator) for m in score.time_signatures if m.numerator and m.denominator),
    )
    tracks = [(track.notes.numpy(), DRUMS if track.is_drum else track.program) for track in score.tracks]
    if not tracks:
        return Notes.of([]), tempo
    time, length, pitch, velocity = (
        np.concatenate([notes[name] for notes, _ in tracks]) for name in ("time", "duration", "pitch", "velocity")
    )
    instrument = np.repeat([instrument for _, instrument in tracks], [len(notes["time"]) for notes, _ in tracks])
    onset = tempo.seconds(time)
    order = np.lexsort((pitch, instrument, onset))
    end = tempo.seconds(time + length)
    return Notes(*(column[order] for column in (onset, end - onset, pitch, instrument, velocity))), tempo


def annotate(notes: Notes, tempo: TempoMap, annotation: Path | None) -> Notes:
    """Notes with BEAT and CHORD rows. Beats are those annotated, else the tempo map's, as long as the onsets keep to
    them. Chords are those annotated, if the annotated beats fit, else estimated."""
    if annotation is not None and (annotation / "beat_midi.txt").exists():
        table = np.loadtxt(annotation / "beat_midi.txt", ndmin=2)
        bars = np.flatnonzero(table[:, 2])
        places = np.arange(len(table)) - bars[np.maximum(np.searchsorted(bars, np.arange(len(table)), "right") - 1, 0)]
        beats = beat_notes(table[:, 0], places % 4)
        if on_grid(notes, beats):
            lines = (line.split() for line in (annotation / "chord_midi.txt").read_text().splitlines())
            return notes + beats + chord_notes((float(a), float(b), parse_chord(name)) for a, b, name in lines)
    beats = tempo.beats(notes.end) if tempo.sane(notes.end) else Notes.of([])
    if not on_grid(notes, beats):
        beats = Notes.of([])
    return Notes.concat([notes, beats, estimate_chords(notes, beats)])


def load_piece(file: Path | bytes, annotation: Path | None = None) -> Notes:
    """A file's notes as a shard holds them. Raises MidiError with the reason why it is left out."""
    return prepared(*read_fast(file), annotation)


def prepared(notes: Notes, tempo: TempoMap, annotation: Path | None = None) -> Notes:
    """Notes as a shard holds them, see `annotate`. Raises MidiError with the reason why they are left out."""
    if len(notes) < MIN_NOTES:
        raise MidiError(f"fewer than {MIN_NOTES} notes")
    if notes.end > MAX_SECONDS:
        raise MidiError("longer than two hours")
    notes = notes.shift(-min(0.0, float(notes.onset.min())))
    if len(np.unique(notes.velocity)) <= 2:  # a score without dynamics, which must not teach flat playing
        notes = notes.replace(velocity=notes.velocity * 0)
    return annotate(notes, tempo, annotation)
