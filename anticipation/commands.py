"""What the commands that write music do: read files, build one request, write files and messages. The others are in
tools.py and check.py. Knows no music; imports what a command needs when it needs it, so that `anticipate --help`
answers at once."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import FileError, RequestError
from .files import shipped
from .infilling.options import SEEDS, Options

if TYPE_CHECKING:
    from .score.midi import Score

EXAMPLE = "auld-lang-syne.mid"
MIDI = (".mid", ".midi")  # what the name of a file ends in
OWN = {  # what only one task takes, by its name in tasks.py
    "accompany": ("instruments", "melody", "start", "end"),
    "infill": ("parts", "instruments", "rhythm", "start", "end"),
    "continue_": ("seconds", "bars", "start", "instruments"),
    "vary": ("keep", "parts", "rhythm", "start", "end"),
    "harmonize": ("melody", "instruments"),
}


def pitch_range(text: str | None) -> tuple[int, int] | tuple[None, None]:
    """'48-72' or 'C3-C5' (C4 is 60) -> (48, 72). Raises RequestError."""
    import re

    from .music.symbols import pitch_class

    def one(name: str) -> int:
        if name.isdecimal():
            return int(name)
        match = re.fullmatch(r"([A-Ga-g][#b]*)(-?\d)", name)
        if not match:
            raise RequestError(f"unknown range {text!r}: write 48-72 or C3-C5")
        return (int(match[2]) + 1) * 12 + pitch_class(match[1])

    if text is None:
        return None, None
    match = re.fullmatch(r"\s*([^-\s]+-?\d*?)\s*-\s*([^-\s]+)\s*", text)
    if not match:
        raise RequestError(f"unknown range {text!r}: write 48-72 or C3-C5")
    return one(match[1]), one(match[2])


def span(bars: str | None, start: float | None, end: float | None, score: Score) -> tuple[float | None, float | None]:
    """Start and end in seconds of --bars or --start and --end. Raises RequestError."""
    if bars is None:
        return start, end
    if start is not None or end is not None:
        raise RequestError("give --bars or --start and --end, not both")
    first, dash, last = bars.partition("-")
    last = last if dash else first
    if not first.strip().isdecimal() or not last.strip().isdecimal():
        raise RequestError(f"unknown bars {bars!r}: write 9-16")
    return score.bars(int(first), int(last))


def part_names(text: str, score: Score) -> list[str]:
    """'piano, bass' -> ['piano', 'bass'], but 'Flutes 1, 2' stays one where a part has that name."""
    whole = any(part.name.lower() == text.strip().lower() for part in score.parts)
    return [text] if whole else [name.strip() for name in text.split(",")]


def open_model(args: argparse.Namespace):
    """The model that a command asked for, on its device. Raises CheckpointError, RequestError."""
    import torch

    from .model.checkpoint import load

    threads = (os.cpu_count() or 1) if args.threads is None else args.threads
    if threads < 1:
        raise RequestError("--threads must be at least 1")
    torch.set_num_threads(threads)
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"  # for one small stream a CPU beats MPS
    return load(args.model, device, weights=args.weights)


@contextmanager
def progress_bar(quiet: bool):
    """A callback for `Options.progress`, shown on a terminal only."""
    from tqdm import tqdm

    with tqdm(total=1.0, unit=" s of music", disable=quiet or not sys.stderr.isatty(), leave=False,
              bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f}{unit} [{elapsed}]") as bar:  # fmt: skip

        def update(reached: float, total: float) -> None:
            bar.total = round(total, 1)
            bar.n = round(min(reached, bar.total), 1)
            bar.refresh() if bar.n == bar.total else bar.update(0)

        yield update


def outputs(args: argparse.Namespace, source: Path) -> list[Path]:
    """The paths of the takes of one input. Raises FileError, before anything is computed, if they cannot be written."""
    folder = len(args.input) > 1 or args.output.is_dir()
    named = source if source.suffix.lower() in MIDI else source.with_suffix(".mid")  # of karaoke, .kar
    path = args.output / named.name if folder else args.output
    if folder and args.output.suffix.lower() in MIDI and not args.output.is_dir():
        raise RequestError(f"several inputs need a folder: {args.output} would be one file")
    if folder:
        check_folder(args.output)
    if path.suffix.lower() not in MIDI:
        raise RequestError(f"the output {path} must end in .mid, or be a folder that exists")
    paths = [path] if args.takes == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(args.takes)]
    for target in paths:
        if not folder and not target.parent.is_dir():
            raise FileError(f"cannot write {target}: no folder {target.parent}")
        if target.exists() and not args.force:
            raise FileError(f"{target} exists already; --force overwrites it")
    return paths


def check_folder(folder: Path) -> None:
    """Raises FileError where a file is in the way of a folder."""
    above = next((p for p in (folder, *folder.parents) if p.exists()), None)
    if above and not above.is_dir():
        raise FileError(f"cannot make the folder {folder}: {above} is a file")


def make_folder(folder: Path) -> None:
    """Raises FileError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror}") from None


def options_of(given: dict) -> Options:
    """What every task takes, of flags; those that are None were not given. Without a seed one is drawn. Raises
    RequestError."""
    low, high = pitch_range(given.get("range"))
    options = {field.name: given.get(field.name) for field in fields(Options)} | {"low": low, "high": high}
    drawn = {"seed": random.randrange(SEEDS)}
    return Options(**drawn | {name: value for name, value in options.items() if value is not None})


def own_of(task: str, given: dict, score: Score) -> dict:
    """What only this task takes, of the flags that were given, as its function has it. Raises RequestError."""
    own = {name: given.get(name) for name in OWN[task]}
    if "end" in own:
        own["start"], own["end"] = span(given.get("bars"), own["start"], own["end"], score)
    if (parts := own.get("parts")) is not None:
        own["parts"] = part_names(parts, score)
    if task == "harmonize":
        own["instrument"] = own.pop("instruments")
    return {name: value for name, value in own.items() if value is not None}


def run_task(task: str, args: argparse.Namespace) -> None:
    """Read, generate and write for every input. task: a name in OWN."""
    from .infilling import tasks
    from .music.symbols import simplified
    from .score.midi import read, write

    options = options_of(vars(args))
    jobs = [(source, read(source), outputs(args, source)) for source in args.input]
    twice = [path for path, count in Counter(path for *_, paths in jobs for path in paths).items() if count > 1]
    if twice:
        raise RequestError(f"two inputs would both be written to {twice[0]}; give one output folder to each")
    if "|" in options.chords and (less := simplified(options.chords)):
        say(args, f"chords: {', '.join(less)}")
    for source, score, _ in jobs:  # before anything is computed
        with naming(source, jobs):
            own_of(task, vars(args), score)
    model = open_model(args)
    written: list[str] = []
    facts = {"takes": args.takes, "events": 0, "seconds": 0.0, "compute_seconds": 0.0}
    for source, score, paths in jobs:
        say(args, *(f"{source}: {line}" for line in score.repairs))
        begin = time.perf_counter()
        with naming(source, jobs), progress_bar(args.quiet) as update:
            own = own_of(task, vars(args), score)
            takes = getattr(tasks, task)(score, model, **own, options=replace(options, progress=update))
        facts["compute_seconds"] += time.perf_counter() - begin
        say(args, *(f"{source}: {line}" for line in takes[0].remarks))
        make_folder(paths[0].parent)
        for take, path in zip(takes, paths, strict=True):
            write(take.score, path, force=args.force)
            written.append(str(path))
            facts["events"] += len(take.notes)
            facts["seconds"] += float(take.notes.end - take.notes.onset.min()) if len(take.notes) else 0.0
            chart = f" on {describe(take, score)}" if len(take.chords) else ""
            say(args, f"{path}: {len(take.notes)} notes{chart}")
    say(args, f"seed {options.seed}")
    if args.json:
        rounded = {name: round(value, 3) for name, value in facts.items()}
        print(json.dumps({"output": written, **rounded, "seed": options.seed, "model": model.fingerprint}))


@contextmanager
def naming(source: Path, jobs: list):
    """Where there are several inputs, an error names the one it is about."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{source}: {error}" if len(jobs) > 1 else str(error)) from None


def describe(take, score) -> str:
    """The chords of a take, bar by bar."""
    import numpy as np

    from .music.symbols import chart_text

    lines = score.tempo.bars_within(float(take.chords.onset[0]), take.chords.end)
    chords = take.chords[take.chords.offset > lines[0] + 0.03]
    return chart_text(chords.replace(onset=np.maximum(chords.onset, lines[0])), lines, score.keys())


def say(args: argparse.Namespace, *lines: str) -> None:
    """Tell the user, on stderr, unless --quiet."""
    if not args.quiet:
        for line in lines:
            print(line, file=sys.stderr)


accompany, infill, continue_, vary, harmonize = (partial(run_task, task) for task in OWN)


def demo(args: argparse.Namespace) -> None:
    """Three accompaniments of a bundled melody."""
    from .infilling.tasks import accompany
    from .score.midi import read, write
    from .score.render import piano_roll
    from .score.sound import check_soundfont, synthesize

    source = shipped(f"examples/{EXAMPLE}")
    stems = ("1-piano", "2-strings-and-bass", "3-guitar-and-bass")
    wanted = [args.output / f"{stem}{suffix}" for stem in stems for suffix in (".mid", ".png", ".wav")]
    taken = next((path for path in wanted if path.exists()), None)
    if taken and not args.force:
        raise FileError(f"{taken} exists already; --force overwrites it, --output names another folder")
    if args.soundfont:
        check_soundfont(args.soundfont)
    options = Options(seed=args.seed, style="pop")
    score, model = read(source), open_model(args)
    make_folder(args.output)
    say(args, f"The melody of {source.stem.replace('-', ' ').title()}, {score.end:.0f} s, and three bands for it:")
    for stem, instruments in zip(stems, ("piano", "strings,bass", "nylon guitar,bass"), strict=True):
        take = accompany(score, model, instruments, options=options)[0]
        path = args.output / f"{stem}.mid"
        synthesize(take.score, path.with_suffix(".wav"), soundfont=args.soundfont)  # first: FluidSynth may refuse it
        write(take.score, path, force=args.force)
        piano_roll(
            score.notes, take.notes, path.with_suffix(".png"), title=stem, beats=score.beats(),
            chords=take.chords, sharps=score.keys()[0][1],
        )  # fmt: skip
        say(args, f"  {path}  .png  .wav   {len(take.notes)} notes")
    say(args, f"Listen to {args.output / stems[0]}.wav, look at the .png beside it. Then try your own:",
        "  anticipate accompany YOUR.mid -o OUT.mid --instruments piano,bass --takes 3",
        f'  anticipate accompany {source} -o OUT.mid --chords "| F | C | F | Bb |"',
        "  anticipate infill YOUR.mid -o OUT.mid --bars 9-16")  # fmt: skip


def bridge(name: str, *args):
    """What the live co-pilot's commands.py has by this name: the one place where the library knows of the bridge."""
    from plugin_bridge import commands

    return getattr(commands, name)(*args)


BRIDGE = ("list_ports", "doctor", "doctor_flags", "live", "live_flags")
ports, doctor, doctor_flags, live, live_flags = (partial(bridge, name) for name in BRIDGE)
