"""The chords of songs, counted: python train/recall.py SHARDS -o checkpoints/default/harmony.safetensors.

What anticipation/markov.py knows, from the training songs of sources whose chords people have named, and how often it
is right on held-out ones. It ships beside the weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation.consensus import CHANGE, consensus, recalled  # noqa: E402
from anticipation.data import Shards  # noqa: E402
from anticipation.errors import AnticipationError  # noqa: E402
from anticipation.harmony import CHORD_TONES, NO_CHORD, chord_at  # noqa: E402
from anticipation.markov import Markov, edges_of  # noqa: E402
from anticipation.notes import BEAT, CHORD, Notes  # noqa: E402
from anticipation.sound import replacing  # noqa: E402
from anticipation.windows import top_part  # noqa: E402

LEAST = 20  # notes of a melody, and beats


def songs(shards: Shards, split: str, sources: list[str]) -> Iterator[tuple[Notes, Notes, float]]:
    """(melody, beats and chords, weight); takes of one song weigh as one."""
    for piece in shards.split(split):
        notes = shards.notes(piece) if piece.source in sources else Notes.of([])
        top = top_part(notes)
        melody, chart = notes[notes.instrument == top], notes[np.isin(notes.instrument, (BEAT, CHORD))]
        if len(melody) >= LEAST and (chart.instrument == BEAT).sum() >= LEAST and (chart.instrument == CHORD).any():
            yield melody, chart, 1 / piece.alike


def right(markov: Markov, melody: Notes, chart: Notes) -> float:
    """The share of the recalled chords' tones that are in the named ones."""
    beats, chords = chart[chart.instrument == BEAT], chart[chart.instrument == CHORD]
    edges = edges_of(beats)
    found = consensus(recalled(markov, melody + beats, edges), edges, CHANGE)
    middle = beats.onset + 0.3 * beats.duration
    said, true = chord_at(found, middle), chord_at(chords, middle)
    both = (said >= 0) & (true >= 0) & (said < NO_CHORD) & (true < NO_CHORD)
    tones = CHORD_TONES[said[both]]
    return float((tones & CHORD_TONES[true[both]]).sum() / max(tones.sum(), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="harmony.safetensors")
    parser.add_argument(
        "--sources", nargs="+", default=["pop909"], help="whose chords people have named (default: pop909)"
    )
    args = parser.parse_args()
    try:
        shards = Shards(args.shards)
        markov = Markov.count(songs(shards, "train", args.sources))
        with replacing(args.output) as temporary:
            save_file(markov.tensors(), temporary)
    except (AnticipationError, SafetensorError) as error:
        print(f"recall: {error}", file=sys.stderr)
        sys.exit(2)
    held_out = [right(markov, melody, chart) for melody, chart, _ in songs(shards, "dev", args.sources)]
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB; on {len(held_out)} held-out songs "
          f"{100 * np.mean(held_out):.1f} % of the tones of its chords are right")  # fmt: skip


if __name__ == "__main__":
    main()
