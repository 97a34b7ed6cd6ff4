"""The score of bands: on held-out human pieces only, and the same for the same checkpoint and seed."""

import json
import sys
from pathlib import Path

import band_score
import numpy as np
import prepare
import pytest

from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score import midi

pytest.importorskip("symusic")


def song_notes(seed: int, bars: int = 24) -> Notes:
    """A tune, a bridge and a piano over four chords, 120 bpm."""
    rng = np.random.default_rng(seed)
    roots = rng.choice([48, 53, 55, 57], bars)
    rows = [
        (0.5 * i, 0.4, int(roots[i // 4]) + 24 + int(rng.choice([0, 4, 7])), 53, 60 + i % 40) for i in range(4 * bars)
    ]
    rows += [(2.0 * i, 1.9, int(root) + step, 0, 50 + i) for i, root in enumerate(roots) for step in (0, 4, 7)]
    return Notes.of(rows)


def drum_notes(seed: int, bars: int) -> Notes:
    """Kick, snare and hats of Roland's kit, that do not quite repeat themselves."""
    rng = np.random.default_rng(seed)
    rows = [(0.25 * i, 0.1, int(rng.choice([22, 22, 26, 51])), DRUMS, 60 + 30 * (i % 2 == 0)) for i in range(8 * bars)]
    for bar in range(bars):
        rows += [(2.0 * bar + x + rng.normal(0, 0.005) + 0.02, 0.1, 36, DRUMS, 100) for x in (0.0, 0.75, 1.25)]
        rows += [(2.0 * bar + x, 0.1, 38, DRUMS, 110) for x in (0.5, 1.5)]
    return Notes.of(rows)


def prepared(files: dict[str, Notes], folder: Path) -> Shards:
    """Shards of pieces by their names, at 120 bpm."""
    for name, notes in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        midi.write(midi.Score.from_notes(notes, TempoMap.constant(120)), folder / name)
    prepare.prepare([folder], folder / "shards")
    return Shards(folder / "shards")


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Shards:
    folder = tmp_path_factory.mktemp("corpus")
    files = {f"freedoom/{i}.mid": song_notes(i) + drum_notes(i, 24) for i in range(12)}
    files |= {"pop909/005__005.mid": song_notes(5), "groove/a__0_rock_120_beat_4-4.mid": drum_notes(0, 16)}
    return prepared(files, folder)


def test_a_checkpoint_has_one_score(shards, random_checkpoint, monkeypatch, capsys):
    monkeypatch.setattr(band_score, "SECONDS", 3.0)
    line = ["band_score", random_checkpoint, shards.folder, "--pieces", 4, "--songs", 1, "--seed", 2]
    monkeypatch.setattr(sys, "argv", [str(word) for word in line])
    scores = []
    for _ in range(2):
        band_score.main()
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1] and set(scores[0]["nats"]) == {"none", "parts", "random"}
    assert all(row["events"] > 50 and np.isfinite(row["all"]) for row in scores[0]["nats"].values())
    row = scores[0]["rubrics"]["model"]
    assert 0 <= row["bass on chord"] <= 100 and 0 <= row["groove"] <= 1


def test_references_are_the_held_out_takes(shards):
    grooves = band_score.references(shards)
    assert grooves.shape == (1, 4, 16) and (grooves[0, 0, [0, 6, 10]] > 0.7).all() and grooves[0, 1, 4] > 0.8


def test_rubrics_of_what_one_knows(shards):
    """The held-out drummer is as similar to himself as can be."""
    piece = next(p for p in shards.split("valid") if p.source == "groove")
    notes = shards.notes(piece)

    sums = band_score.Rubrics(band_score.references(shards))
    sums.add(notes.audible, Notes.of([]), notes.beats)
    assert sums.row()["groove"] > 0.99 and sums.row()["bass a second"] == 0


def test_without_held_out_bands_there_is_no_score(music_folder, tmp_path, random_model):
    prepare.prepare([music_folder], tmp_path / "shards")
    with pytest.raises(AnticipationError, match="holds out none of freedoom"):
        band_score.nats_of_bands(random_model(), Shards(tmp_path / "shards"), 1)
    with pytest.raises(AnticipationError, match="holds out no takes"):
        band_score.references(Shards(tmp_path / "shards"))
