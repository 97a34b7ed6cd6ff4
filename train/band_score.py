"""What a checkpoint knows of bands: python train/band_score.py CHECKPOINT SHARDS: one JSON line.

Nats per event on held-out human band pieces, one part given and everything; and, with the tune and the grid of the
development songs given, rubrics of the bass and the drums it writes, with their anchors. Never on synthetic pieces.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import _script
import numpy as np
import torch
import yardstick
from cases import cases
from prepare import BANDS

from anticipation.data.shards import Piece, Shards
from anticipation.errors import AnticipationError
from anticipation.infilling.drafting import generate
from anticipation.infilling.request import Infill
from anticipation.model import checkpoint
from anticipation.music import metrics
from anticipation.music.grid import places
from anticipation.music.notes import DRUMS, Notes

BASS, SECONDS = 33, 24.0


@dataclass(frozen=True)
class Bands:
    """Of shards, the pieces of BANDS alone."""

    shards: Shards

    def split(self, name: str) -> list[Piece]:
        return [piece for piece in self.shards.split(name) if piece.source in BANDS]

    def notes(self, piece: Piece) -> Notes:
        return self.shards.notes(piece)


def nats_of_bands(net, shards: Shards, pieces: int) -> dict[str, dict[str, float]]:
    """control type -> nats per event by field, on the held-out pieces of BANDS."""
    if not Bands(shards).split("valid"):
        raise AnticipationError(f"{shards.folder} holds out none of {', '.join(BANDS)}; prepare it again")
    found = yardstick.tallies(net, Bands(shards), "valid", pieces, ("none", "parts", "random"), ())
    return {kind: tally.row() for kind, tally in found["controls"].items()}


def references(shards: Shards) -> np.ndarray:
    """(N, 4, 16) the grooves of held-out Groove takes in 4/4, whose names tell (fills left out)."""
    takes = [shards.notes(p) for p in shards.split("valid") if p.source == "groove" and "_beat_4-4" in p.name]
    profiles = [metrics.groove_profile(take.audible, take.beats) for take in takes]
    if not any(profile.any() for profile in profiles):
        raise AnticipationError(f"{shards.folder} holds out no takes of groove")
    return np.array([profile for profile in profiles if profile.any()])


class Rubrics:
    """Sums over songs."""

    def __init__(self, grooves: np.ndarray) -> None:
        self.grooves, self.chord, self.kick = grooves, np.zeros(2), np.zeros(2)
        self.similar: list[float] = []
        self.onsets = np.zeros(2)

    def add(self, written: Notes, chords: Notes, beats: Notes) -> None:
        drums, bass = written[written.instrument == DRUMS], written.pitched
        self.chord += metrics.bass_on_chord(bass, chords, beats)
        self.kick += metrics.kick_with_bass(drums, bass)
        self.similar.append(metrics.groove_similarity(metrics.groove_profile(drums, beats), self.grooves))
        self.onsets += len(bass), len(drums)

    def row(self) -> dict[str, float]:
        def share(pair: np.ndarray) -> float:
            return round(float(100 * pair[0] / max(pair[1], 1)), 1)

        bass, drums = (self.onsets / max(len(self.similar), 1) / SECONDS).round(2).tolist()
        return {
            "bass on chord": share(self.chord), "downbeats": int(self.chord[1]), "kick with bass": share(self.kick),
            "groove": round(float(np.mean(self.similar)), 3), "bass a second": bass, "drums a second": drums,
        }  # fmt: skip


def rubrics(model, shards: Shards, songs: int, seed: int) -> dict[str, dict[str, float]]:
    """Of the model's bass and drums for the tune; and of the same with each part of another song (by chance)."""
    grooves = references(shards)
    rows = {"model": Rubrics(grooves), "another song's": Rubrics(grooves)}
    written: list[Notes] = []
    known = list(cases(shards, "accompany", most=songs))
    for case in known:
        request = Infill(case.melody + case.beats, 0.0, SECONDS, (BASS, DRUMS), style="band",
                         places=places(case.melody, case.beats))  # fmt: skip
        written.append(generate(model, request, seed=seed)[0][0].audible)
    for i, case in enumerate(known):
        other = written[i - 1]
        rows["model"].add(written[i], case.chords, case.beats)
        mixed = written[i][written[i].instrument == DRUMS] + other.pitched
        rows["another song's"].add(mixed, case.chords, case.beats)
    return {name: row.row() for name, row in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shards", type=Path, help="the same for both sides of a comparison")
    parser.add_argument("--pieces", type=int, default=60, help="excerpts of the held-out bands")
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    net = checkpoint.load(args.checkpoint, "cuda" if torch.cuda.is_available() else "cpu")
    shards = Shards(args.shards)
    scores = {"nats": nats_of_bands(net, shards, args.pieces)}
    if args.songs:
        scores["rubrics"] = rubrics(net, shards, args.songs, args.seed)
    print(json.dumps(scores))


if __name__ == "__main__":
    _script.run(main)
