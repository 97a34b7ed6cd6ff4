"""The parts of a MIDI file: what each is called, which one a name means, and which of them we wrote. Knows what tracks
say; knows no bytes, no seconds and no Scores."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from ..errors import RequestError
from ..music.instruments import find_instrument, plain
from ..music.notes import instrument_name
from .tracks import Track

MAX_LISTED = 20  # parts that an error names
FILLING = ("infill", "continue", "vary")  # tasks whose tracks are more of a part that was there; see options.stamp


@dataclass(frozen=True)
class Part:
    """The notes of one (track, channel, program).

    index: its place in Score.parts. track, channel: from 0. stamp: what the track says of its origin, if we wrote it.
    """

    index: int
    name: str
    instrument: int
    track: int
    channel: int
    stamp: str
    _part_of: np.ndarray = field(repr=False, compare=False)  # of every note of the score, the index of its part

    @property
    def mask(self) -> np.ndarray:
        """Boolean mask over Score.notes: the notes of this part."""
        return self._part_of == self.index

    @property
    def fills(self) -> bool:
        """Whether we wrote it to go with a part that was there."""
        return any(f"; {task} " in self.stamp for task in FILLING)


def parts_of(tracks: list[Track], kind: int, table: dict[str, np.ndarray]) -> list[Part]:
    """The (track, channel, instrument) combinations that have notes, in that order. kind: of the file, type 0 or 1.
    table: from `tracks.note_table`, in the order of Score.notes."""
    code = (table["track"] << 4 | table["channel"]) << 8 | table["instrument"]
    codes, part_of = np.unique(code, return_inverse=True)
    per_track = np.bincount(codes >> 12, minlength=len(tracks))
    parts = []
    for index, value in enumerate(codes.tolist()):
        number, channel, instrument = value >> 12, value >> 8 & 15, value & 0xFF
        name, own = instrument_name(instrument), tracks[number].name
        if own and per_track[number] == 1:
            name = own
        elif own and kind == 1:  # the name of a type 0 file's only track is the title
            name = f"{own} / {name}"
        parts.append(Part(index, name, instrument, number, channel, tracks[number].stamp, part_of))
    return parts


def find_part(parts: list[Part], which: str | int) -> Part:
    """The part that a name or a number means; see Score.part. Raises RequestError."""
    if isinstance(which, str) and not re.fullmatch(r"\s*-?\d{1,9}\s*", which):
        wanted = which.strip().lower()
        tests = (  # the first that any part passes decides
            lambda part: part.name.lower() == wanted,
            lambda part: instrument_name(part.instrument) == wanted,
            lambda part: wanted in part.name.lower(),
            lambda part: part.instrument == find_instrument(wanted),
            lambda part: plain(wanted) and plain(wanted) in plain(part.name),
        )
        found = next((some for test in tests if (some := [part for part in parts if test(part)])), [])
    else:
        found = [part for part in parts if part.index == int(which)]
    theirs = [part for part in found if not part.stamp] or [part for part in found if not part.fills]
    if len(found) == 1 or len(theirs) == 1:
        return (theirs or found)[0]
    problem = f"several parts match {which!r}" if found else f"no part {which!r}"
    choice = found or parts
    listed = [f"{part.index} {part.name[:60]}" for part in choice[:MAX_LISTED]]
    listed += [f"{len(choice) - MAX_LISTED} more"] if len(choice) > MAX_LISTED else []
    raise RequestError(f"{problem}; choose from: {', '.join(listed) or 'none'}")
