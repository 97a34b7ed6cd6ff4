"""A page to listen to: python train/listen.py CHECKPOINT SHARDS -o checkpoints/listen.

Twelve held-out cases of the judge, drawn by the seed and not picked: what was given in grey, what the model wrote in
colour, and the human's own notes beside it, as piano rolls and .mp3, in one folder that needs no network.
"""

from __future__ import annotations

import argparse
import html
import json
import tempfile
import wave
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import _script
import numpy as np
import torch
from cases import TASKS, Case, cases
from judge import Terms, ask
from PIL import Image

from anticipation.data.shards import Shards
from anticipation.errors import FileError, RequestError
from anticipation.model import checkpoint
from anticipation.music.notes import Notes, instrument_name
from anticipation.score import midi
from anticipation.score.render import piano_roll
from anticipation.score.sound import synthesize

RATE, KBPS = 22050, 48  # of the .mp3, mono: 24 s are 144 KB
HEADROOM = 0.75  # an encoder overshoots the peaks of drums
UNKNOWN = 80  # velocity of scores without dynamics
AROUND = 8.0  # seconds before and after a hole that are heard
WIDTH, COLOURS = 1200, 64  # of a picture
ASKED = {
    "accompany": "A melody is given, and nothing else: the model plans chords and writes {parts}.",
    "parts": "All parts are given but one: the model writes {parts}.",
    "hole": "Four seconds of all parts are missing: the model writes {parts} there.",
    "half": "A random half of the notes is given: the model writes the rest, {parts}.",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Anticipation: twelve examples</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1240px; margin: 2rem auto; padding: 0 1rem }}
h2 {{ font-size: 1.1rem; margin: 2.5rem 0 0 }} p {{ margin: .2rem 0 .6rem }}
div {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 1rem }}
h1, h2, p {{ overflow-wrap: anywhere }} figure {{ margin: 0 }}
img, audio {{ width: 100%; display: block }} figcaption {{ color: #4b5563 }}
</style></head><body><h1>Twelve examples</h1>
<p>{intro}</p>
{body}
</body></html>
"""
ITEM = """<h2>{number}. {title}</h2><p>{asked}</p><div>{figures}</div>"""
FIGURE = """<figure><figcaption>{caption}</figcaption><a href="{name}.png"><img src="{name}.png" alt="{alt}"
loading="lazy"></a>
<audio controls preload="none" src="{name}.mp3"></audio></figure>"""


def drawn(shards: Shards, seed: int, count: int) -> Iterator[Case]:
    """Cases of the four tasks in turn, each time from a source that was heard least so far."""
    rng = np.random.default_rng(seed)
    waiting = {task: list(cases(shards, task, seed)) for task in TASKS}
    songs = waiting["accompany"]
    waiting["accompany"] = [songs[i] for i in rng.permutation(len(songs))]
    heard: Counter = Counter()
    for task in islice(cycle(TASKS), count):
        if waiting[task]:
            case = min(waiting[task], key=lambda c: heard[c.piece.source])  # the first of the least
            waiting[task].remove(case)
            heard[case.piece.source] += 1
            yield case


def audience(case: Case, written: Notes) -> tuple[Case, Notes]:
    """The case and what was written as one hears and sees them: a hole with eight seconds around it, times from 0 on,
    a velocity for every note."""
    begin, end = max(0.0, case.start - AROUND), case.end + AROUND

    def heard(notes: Notes) -> Notes:
        notes = notes.replace(velocity=np.where(notes.velocity == 0, UNKNOWN, notes.velocity))
        return notes.between(begin, end).shift(-begin)

    known, human, beats = (heard(notes) for notes in (case.known, case.human, case.beats))
    inside = replace(case, known=known, human=human, beats=beats, start=case.start - begin, end=case.end - begin)
    return inside, heard(written)


def mp3(notes: Notes, path: Path) -> None:
    """The notes as sound. Raises RequestError where the encoder is missing."""
    try:
        import lameenc
    except ImportError:
        raise RequestError("the sound is encoded by lameenc: python -m pip install lameenc") from None
    with tempfile.TemporaryDirectory() as scratch:
        sound = Path(scratch) / "sound.wav"
        synthesize(midi.Score.from_notes(notes), sound, sample_rate=RATE)
        with wave.open(str(sound)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(RATE)
    encoder.set_bit_rate(KBPS)
    mono = (samples.mean(axis=1) * HEADROOM).astype("<i2")
    path.write_bytes(encoder.encode(mono.tobytes()) + encoder.flush())


def picture(case: Case, notes: Notes, path: Path) -> None:
    """The piano roll, small: few colours, no wider than a page."""
    span = (case.start, case.end) if case.task == "hole" else None
    piano_roll(case.known, notes, path, beats=case.beats if len(case.beats) else None, span=span)
    with Image.open(path) as image:
        size = (WIDTH, round(image.height * WIDTH / image.width))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def example(model, case: Case, number: int, seed: int, folder: Path) -> tuple[str, dict]:
    """One item of the page, its files written to folder, and its facts."""
    (written,) = ask(model, case, Terms("yes", "planned", seed=seed, style=True))
    case, written = audience(case, written)
    figures = []
    for who, notes in (("model", written), ("human", case.human)):
        name = f"{number:02d}-{who}"
        mp3(case.known + notes, folder / f"{name}.mp3")
        picture(case, notes, folder / f"{name}.png")
        caption = f"{'Written by the model' if who == 'model' else 'The human original'}: {len(notes)} notes"
        alt = f"piano roll: {len(case.known)} notes given in grey, {len(notes)} in colour"
        figures.append(FIGURE.format(caption=caption, name=name, alt=alt))
    title = html.escape(f"{case.style}: {case.name}")
    parts = ", ".join(instrument_name(i) for i in case.instruments)
    item = ITEM.format(number=number, title=title, asked=ASKED[case.task].format(parts=parts), figures="".join(figures))
    facts = {"task": case.task, "piece": case.name, "known": len(case.known), "written": len(written)}
    return item, facts | {"human": len(case.human)}


def page(model, shards: Shards, folder: Path, *, seed: int, count: int = 12) -> list[dict]:
    """Write the page to folder, whole or not at all. Returns the facts of its examples. Raises AnticipationError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            made = Path(scratch) / "page"
            made.mkdir()
            drawn_cases = enumerate(drawn(shards, seed, count), 1)
            items = [example(model, case, number, seed, made) for number, case in drawn_cases]
            if not items:
                raise RequestError(f"{shards.folder} holds out nothing to ask")
            intro = (
                f"Held-out music, drawn by seed {seed} and not picked; one take each, by checkpoint "
                f"{html.escape(str(model.fingerprint or 'unsaved'))}. Grey: what was given. Colour: what was written. "
                "The beats are known where the piece has a grid. Sound: the built-in synthesizer."
            )
            text = PAGE.format(intro=intro, body="\n".join(item for item, _ in items))
            (made / "index.html").write_text(text, encoding="utf-8")
            if folder.exists():
                folder.rename(Path(scratch) / "old")
            made.rename(folder)
    except OSError as error:
        raise FileError(f"cannot write {folder}: {error.strerror or error}") from None
    return [facts for _, facts in items]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-f", "--force", action="store_true", help="replace the folder if it is a page of ours")
    args = parser.parse_args()
    if args.count < 1 or args.threads < 1 or args.seed < 0:
        raise RequestError("--count and --threads are at least 1, --seed 0")
    torch.set_num_threads(args.threads)
    if args.output.exists() and not (args.force and (args.output / "index.html").exists()):
        raise FileError(f"{args.output} exists already; --force replaces a page that lies there")
    model = checkpoint.load(args.checkpoint)
    facts = page(model, Shards(args.shards), args.output, seed=args.seed, count=args.count)
    size = sum(path.stat().st_size for path in args.output.iterdir())
    print(json.dumps({"seed": args.seed, "megabytes": round(size / 1e6, 2), "examples": facts}))


if __name__ == "__main__":
    _script.run(main)
