"""What is in a folder of shards, counted: by source, and as distributions. Knows shards; knows no pictures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..music.notes import DRUMS, Notes
from .shards import Piece, Shards

# name -> number of bins: the last one takes what is beyond
BINS = {"velocity": 128, "pitch": 128, "instrument": DRUMS + 1, "polyphony": 33, "tempo": 61, "parts": 17}
TEMPO_BIN = 5  # beats per minute
TOUCH = 1e-3  # seconds: a note that ends as another begins does not sound with it; shards round times late in a piece


@dataclass
class Census:
    """Counts over pieces. histograms: notes by velocity (0: unknown), pitch (no drums) and instrument; onsets by the
    number of notes that sound then; pieces by tempo (5 bpm a bin; 0: no grid) and by number of instruments."""

    pieces: int = 0
    notes: int = 0
    seconds: float = 0.0
    weight: float = 0.0  # pieces, takes of one piece counted as one
    drums: int = 0  # pieces with them
    splits: Counter = field(default_factory=Counter)
    histograms: dict[str, np.ndarray] = field(
        default_factory=lambda: {name: np.zeros(bins, np.int64) for name, bins in BINS.items()}
    )

    def add(self, piece: Piece, notes: Notes) -> None:
        audible, beats = notes.audible, notes.beats.duration
        sounding = np.arange(1, len(audible) + 1) - np.searchsorted(np.sort(audible.offset), audible.onset + TOUCH)
        found: dict[str, Any] = {
            "velocity": audible.velocity, "pitch": audible.pitched.pitch, "instrument": audible.instrument,
            "polyphony": sounding[np.diff(audible.onset, append=np.inf) > 0],
            "tempo": [round(60 / float(np.median(beats)) / TEMPO_BIN) if len(beats) else 0],
            "parts": [len(np.unique(audible.instrument))],
        }  # fmt: skip
        for name, values in found.items():
            self.histograms[name] += np.bincount(np.minimum(values, BINS[name] - 1), minlength=BINS[name])
        self.pieces += 1
        self.notes += piece.notes
        self.seconds += piece.seconds
        self.weight += 1 / piece.alike
        self.drums += bool((audible.instrument == DRUMS).any())
        self.splits[piece.split or "undecided"] += 1

    def __add__(self, other: Census) -> Census:
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__dataclass_fields__
            if name != "histograms"
        }
        return Census(**sums, histograms={n: self.histograms[n] + other.histograms[n] for n in BINS})

    def mean(self, name: str) -> float:
        """The mean of a histogram without its first bin (unknown, none); 0 where there is nothing else."""
        counts = self.histograms[name][1:]
        return float((counts * np.arange(1, len(counts) + 1)).sum() / max(counts.sum(), 1))

    def share(self, name: str) -> float:
        """The share of a histogram that is not in its first bin."""
        counts = self.histograms[name]
        return float(counts[1:].sum() / max(counts.sum(), 1))

    def row(self) -> dict[str, float | int]:
        """The columns of a line in a table, by name."""
        return {
            "pieces": self.pieces, "weight": round(self.weight), "hours": round(self.seconds / 3600, 1),
            "notes": self.notes, "instruments": round(self.mean("parts"), 1),
            "with drums %": round(100 * self.drums / max(self.pieces, 1)),
            "polyphony": round(self.mean("polyphony"), 1), "bpm": round(self.mean("tempo") * TEMPO_BIN),
            "with grid %": round(100 * self.share("tempo")), "velocity": round(self.mean("velocity")),
            "known %": round(100 * self.share("velocity")), "train": self.splits["train"],
            "valid": self.splits["valid"], "dev": self.splits["dev"],
        }  # fmt: skip


def census(shards: Shards) -> dict[str, Census]:
    """source -> what it holds, sources in alphabetical order."""
    out: dict[str, Census] = {}
    for piece in shards.pieces:
        out.setdefault(piece.source, Census()).add(piece, shards.notes(piece))
    return dict(sorted(out.items()))


def licence_of(words: str) -> str:
    """The name of the licence in an attribution text: its LICENCE line, else its first line, else 'unknown'."""
    match = re.search(r"^LICENCE: *(.+)$", words, re.MULTILINE)
    return (match[1] if match else words.strip().partition("\n")[0]).strip() or "unknown"


def shards_facts(folder: str | Path) -> dict:
    """What `anticipate info SHARDS` tells: counts, outcome, and a line for each source. Raises AnticipationError."""
    shards = Shards(folder)
    sources = census(shards)
    total = sum(sources.values(), Census())
    left_out = {reason: count for reason, count in shards.outcome.items() if reason != "kept" and count > 0}
    lines = [
        f"{name}: {one.pieces} pieces, {one.seconds / 3600:.1f} h, {one.notes} notes, "
        f"{licence_of(shards.licences.get(name, ''))}{', synthetic' if name in shards.synthetic else ''}"
        for name, one in sources.items()
    ]
    facts = {"shards": str(folder), "sources": len(sources), **total.row()}
    return facts | {"left out": left_out, "by source": lines}
