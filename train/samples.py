"""What a network writes while it is trained: a held-out melody and its accompaniment, as .mid and .png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from cases import LEAD

SECONDS, PARTS = 16.0, (0,)  # how much, and who plays


@torch.no_grad()
def sample(net: Any, shards: Any, split: str, folder: Path, step: int) -> list[Path]:
    """Accompany the beginning of the first two held-out pieces with a melody, always by the same seed. Returns the
    .mid files. Imports the MIDI libraries and pillow only now: machines that train may lack them."""
    from anticipation.data.windows import top_part
    from anticipation.infilling.drafting import generate
    from anticipation.infilling.request import Infill
    from anticipation.music.notes import Notes
    from anticipation.score.midi import Score, write
    from anticipation.score.render import piano_roll

    training = net.training
    net.eval()
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for piece in shards.split(split):
        notes = shards.notes(piece)
        part = top_part(notes)
        if len(written) == 2 or part is None:
            continue
        melody = notes[notes.instrument == part]
        start = float(melody.onset[0]) - LEAD
        known = (melody + notes.beats).between(start, start + SECONDS).shift(-start)
        take = generate(net, Infill(known, 0.0, SECONDS, PARTS), seed=0)[0][0].audible
        melody = known.audible.replace(velocity=known.audible.velocity.clip(1))
        path = folder / f"{step:07d}-{len(written) + 1}.mid"
        write(Score.from_notes(Notes.concat([melody, take])), path, force=True)
        piano_roll(melody, take, path.with_suffix(".png"), title=f"step {step}: {piece.name}")
        written.append(path)
    net.train(training)
    return written
