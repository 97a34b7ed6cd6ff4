"""What the commands that write no music do: info, render, tokens, convert, finetune. Imports late, as commands.py."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import MIDI, check_folder, open_model, say
from .errors import FileError, RequestError
from .files import replacing

if TYPE_CHECKING:
    from .score.midi import Score

MAX_DELTA = 3600  # seconds
MOST_METERS = 8  # that `info` tells


def info(args: argparse.Namespace) -> None:
    """What is in a MIDI file, a folder of shards, or a checkpoint."""
    path = Path(args.input or ".")
    is_file = path.is_file() or path.suffix.lower() in MIDI
    if args.input and (path / "manifest.json").is_file():  # not any folder that one happens to stand in
        from .data.census import shards_facts

        facts = shards_facts(path)
    else:
        facts = score_facts(path) if is_file else checkpoint_facts(args.input)
    print(json.dumps(facts) if args.json else "\n".join(table(facts)))


def table(facts: dict, indent: str = "") -> list[str]:
    """Facts as lines, those of dicts and lists indented below their names."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *table(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{indent}{name}:", *(f"{indent}  {_plain(item)}" for item in value)]
        else:
            lines.append(f"{indent}{name}: {_plain(value)}")
    return lines


def _plain(value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def score_facts(path: Path) -> dict:
    """What `info` tells of a MIDI file. Raises MidiError."""
    from .music.notes import DRUMS
    from .music.symbols import note_name
    from .score.midi import read

    score = read(path)
    tempos = [tempo for tempo, _ in groupby(round(60e6 / rate, 1) for _, rate in score.tempo.tempos)]
    changes = f"-{max(tempos)} bpm, changes: {len(tempos) - 1}" if len(tempos) > 1 else " bpm"
    meters = [meter for meter, _ in groupby(f"{beats}/{unit}" for _, beats, unit in score.tempo.meters)]
    more = [f"{len(meters) - MOST_METERS} more"] if len(meters) > MOST_METERS else []
    key = "key signature of" if score.key_signatures else "likely key signature of"
    parts = []
    for part in score.parts:
        pitch = score.notes.pitch[part.mask]
        ours = ", ours" if part.stamp else ""
        parts.append(f"{part.index} {part.name}: {len(pitch)} notes, pitch {pitch.min()}-{pitch.max()}{ours}")
    facts = {
        "file": str(path),
        "seconds": round(score.end, 2),
        "bars": score.bar_count,
        "tempo": f"{min(tempos)}{changes}",
        "metre": ", ".join([*meters[:MOST_METERS], *more]),
        "notes": len(score.notes),
        key: ", ".join(dict.fromkeys(note_name(7 * n % 12, n) for _, n in score.keys())),
        "parts": parts,
    }
    if not score.key_signatures and not (score.notes.instrument < DRUMS).any():
        del facts[key]  # nothing there has a key
    return facts | ({"repaired": score.repairs} if score.repairs else {})


def checkpoint_facts(name: str | None) -> dict:
    """What `info` tells of a checkpoint, of either family. Raises CheckpointError."""
    from .model import checkpoint, gpt2, huggingface

    folder = checkpoint.find(name)
    stored, files = checkpoint.read_config(folder), huggingface.weight_files(folder)
    config = checkpoint.config_of(folder, stored)
    facts: dict = {"checkpoint": str(folder), "fingerprint": checkpoint.fingerprint(folder)}
    facts |= {"megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1)}
    if isinstance(config, gpt2.Config):
        facts |= {"parameters": config.parameters}
    told = config.to_dict() | ({} if "family" in stored else {"format": "Hugging Face"})
    shown = ("family", "format", "depth", "window", "layers", "width", "heads", "vocabulary", "context", "anticipation")
    return facts | {key: told[key] for key in shown if key in told} | stored.get("card", {})


def render(args: argparse.Namespace) -> None:
    """A file as a .wav or a .png, what we wrote in it in colour."""
    from .score.midi import read
    from .score.render import piano_roll
    from .score.sound import synthesize

    kind = args.output.suffix.lower()
    if kind not in (".wav", ".png"):
        raise RequestError(f"cannot render {args.output}: it must end in .wav or .png")
    if args.output.exists() and not args.force:
        raise FileError(f"{args.output} exists already; --force overwrites it")
    score = read(args.input)
    if not len(score.notes):
        raise RequestError(f"{args.input} has no notes to render")
    if kind == ".wav":
        synthesize(score, args.output, soundfont=args.soundfont)
    else:
        ours = score.ours
        piano_roll(score.notes[~ours], score.notes[ours], args.output, title=args.input.stem, beats=score.beats())


def tokens(args: argparse.Namespace) -> None:
    """The stream of a file as one family of models sees it."""
    from .score.midi import read

    score = read(args.input)
    family = "event" if args.model is None else args.model
    if family not in ("event", "amt"):
        from .model import checkpoint

        family = checkpoint.read_config(checkpoint.find(args.model)).get("family", "amt")
    (amt_tokens if family == "amt" else event_tokens)(args, score)


def event_tokens(args: argparse.Namespace, score: Score) -> None:
    """The event transformer's stream: a row a line."""
    from .model import stream as s
    from .music.notes import Notes

    if not 0 <= args.delta <= MAX_DELTA:
        raise RequestError(f"--delta is 0 to {MAX_DELTA} seconds")
    controls = score.notes[score.part(args.melody).mask] if args.melody else Notes.of([])
    events = score.notes[~score.part(args.melody).mask] if args.melody else score.notes
    header = s.Header(round(args.delta * s.STEPS), tuple(events.instruments))
    given = s.quantise(controls)
    echoes = s.echoes_of(given, events.instruments)
    rows = s.interleave(s.quantise(events), given, s.Chart.of(score.beats()), header, echoes=echoes)
    kinds = ("start", "event", "control", "rest", "echo")
    if not args.ids:
        print("kind     shift instr pitch   dur   vel  beat  wait period chord  next change  clock")
    for row in rows[:, : s.AT].tolist():
        print(*row) if args.ids else print(f"{kinds[row[0]]:8s}" + " ".join(f"{x:5d}" for x in row[1:]))


def amt_tokens(args: argparse.Namespace, score: Score) -> None:
    """The published encoding of a whole file: a triplet a line."""
    from .model import amt
    from .music.notes import instrument_name

    if args.melody:
        raise RequestError("AMT's encoding of a whole file has events only; leave --melody out")
    triplets = amt.published(score.merged())
    if not args.ids:
        print("   time    dur  pitch  instrument")
    for line in triplets.tolist():
        if args.ids:
            print(*line)
            continue
        instrument, pitch = divmod(line[2] - amt.NOTE.start, amt.PITCHES)
        print(f"{line[0]:7d}{line[1] - amt.DURATION.start:7d}{pitch:7d}  {instrument_name(instrument)}")


def make_way(folder: Path, force: bool) -> None:
    """Raises FileError where a checkpoint cannot be written, be it that a file is in the way, that nothing may be
    written there, or that there is another one, which may not be overwritten."""
    check_folder(folder)
    if (folder / "config.json").exists() and not force:
        raise FileError(f"{folder} holds a checkpoint already; --force overwrites it")
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        tempfile.TemporaryDirectory(dir=above).cleanup()
    except OSError as error:
        raise FileError(f"cannot write in {above}: {error.strerror}") from None


def convert(args: argparse.Namespace) -> None:
    """A checkpoint in another form: ours, or an AMT model as the folder that `transformers` reads. By what comes with
    it `check` knows its training set."""
    import torch

    from .data.memory import DEFAULT
    from .model import checkpoint

    make_way(args.output, args.force)
    source = checkpoint.find(args.input)
    if args.output.resolve() == source.resolve():
        raise RequestError(f"{args.output} is the input; name another folder")
    card = checkpoint.read_config(source).get("card", {})
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[args.dtype]
    hugging_face = args.to == "huggingface"
    checkpoint.save(checkpoint.load(source), args.output, dtype=dtype, card=card, hugging_face=hugging_face)
    if (source / DEFAULT).is_file():
        with replacing(args.output / DEFAULT) as memory:
            shutil.copyfile(source / DEFAULT, memory)


def finetune(args: argparse.Namespace) -> None:
    """Write a checkpoint whose card says where it comes from, or say why not. Raises AnticipationError."""
    from dataclasses import asdict

    from .data.corpus import readable
    from .data.finetune import finetune as teach
    from .data.folder import Folder, load_plain
    from .data.memory import DEFAULT, Memory
    from .model import checkpoint
    from .model.event import EventModel

    make_way(args.output, args.force)
    if args.seed < 0:
        raise RequestError("--seed is 0 or more")
    if not 0 < args.minutes < float("inf"):
        raise RequestError("--minutes must be more than 0")
    if args.weights != "float32":
        raise RequestError("finetune trains float32 weights; leave --weights out")
    base = open_model(args)
    if not isinstance(base, EventModel):
        raise RequestError("finetune is for event transformers; an AMT model is fine-tuned by train/train.py --init")
    pieces = Folder.read(args.folder, load_plain)
    known, own = checkpoint.find(args.model) / DEFAULT, args.folder.resolve().name
    memory = Memory.build((readable(f"{own}/{piece.name}"), pieces.notes(piece)) for piece in pieces.pieces)
    memory = Memory.load(known).joined(memory) if known.is_file() else memory

    say(args, *(f"left out: {line}" for line in pieces.skipped))
    net, outcome = teach(base, pieces, minutes=args.minutes, seed=args.seed, say=partial(say, args))
    facts = asdict(outcome) | {"better": outcome.better}
    if not outcome.better and not args.anyway:
        raise RequestError(
            f"nothing was written: {outcome.steps} steps made {outcome.held_out} no cheaper ({outcome}); more files "
            "may help, --anyway writes the weights all the same"
        )
    card = {"finetuned_from": base.fingerprint, "files": len(pieces.pieces), "seed": args.seed} | facts
    checkpoint.save(net, args.output, card=card)
    memory.save(args.output / DEFAULT)
    judged = "the best" if outcome.better else "no better, but written"
    say(args, f"{args.output}: step {outcome.step} of {outcome.steps}, {judged}: {outcome}")
    if args.json:
        print(json.dumps(facts | {"checkpoint": str(args.output)}))
