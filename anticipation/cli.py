"""The `anticipate` command: flags, files and messages. Knows no music; imports what a command needs when it needs it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from . import __version__
from .errors import AnticipationError, CheckpointError, MidiError, RequestError

EXAMPLE = "auld-lang-syne.mid"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="anticipate", description="Music infilling: write the parts that a MIDI file lacks.")
    top.add_argument("--version", action="version", version=f"anticipate {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help_: str, run, *groups) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_, description=help_ + ".")
        for group in groups:
            group(sub)
        sub.set_defaults(run=run)
        return sub

    sub = command("demo", "three accompaniments of a bundled melody, as .mid, .png and .wav", demo, model_flags)
    sub.add_argument("-o", "--output", type=Path, default=Path("anticipate-demo"), metavar="FOLDER")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--soundfont", type=Path, metavar="FILE.sf2", help="render with FluidSynth")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite what the folder holds")

    sub = command("accompany", "write parts around the notes that are there", accompany, task_flags, span_flags)
    sub.add_argument("--instruments", default="piano", help="what may be written: GM names or programs (default: piano)")
    sub.add_argument("--melody", metavar="NAME|INDEX", help="the part to follow (default: all that is there)")

    sub = command("infill", "rewrite a hole; everything outside stays", infill, task_flags, span_flags)
    sub.add_argument("--parts", help="names or indices of the parts to rewrite (default: all)")
    sub.add_argument("--instruments", help="what may be written (default: what those parts play)")

    sub = command("continue", "go on from the end, or from --start", continue_, task_flags)
    sub.add_argument("--seconds", type=float, default=20.0, help="how much to write (default: 20)")
    sub.add_argument("--start", type=float, help="go on from here: what begins in those seconds is rewritten")
    sub.add_argument("--instruments", help="what may be written (default: what plays in the file)")

    sub = command("vary", "keep a random share of the notes, and write the rest anew", vary, task_flags, span_flags)
    sub.add_argument("--keep", type=float, default=0.5, help="share of the notes that stay (default: 0.5)")
    sub.add_argument("--parts", help="names or indices of the parts to vary (default: all)")

    sub = command("harmonize", "chord symbols for a melody, played as block chords", harmonize, task_flags)
    sub.add_argument("--melody", metavar="NAME|INDEX", help="the part to harmonize (default: all that is there)")
    sub.add_argument("--instruments", default="piano", help="who plays the chords (default: piano)")

    sub = command("info", "what is in a MIDI file or a checkpoint", info)
    sub.add_argument("input", type=Path, nargs="?", help="FILE.mid or a checkpoint folder (default: the shipped one)")
    sub.add_argument("--json", action="store_true")

    sub = command("render", "make a .wav to listen to or a .png piano roll to look at", render)
    sub.add_argument("input", type=Path)
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.wav|OUT.png")
    sub.add_argument("--soundfont", type=Path, metavar="FILE.sf2", help="render with FluidSynth")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite the output")

    sub = command("tokens", "the stream as the model sees it, one row per line", tokens)
    sub.add_argument("input", type=Path)
    sub.add_argument("--melody", metavar="NAME|INDEX", help="show this part as controls, the others as events")
    sub.add_argument("--delta", type=float, default=5.0, help="seconds of anticipation (default: 5)")
    sub.add_argument("--ids", action="store_true", help="numbers only")
    return top


def model_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--model", type=Path, metavar="PATH", help="checkpoint folder (default: the shipped one)")
    sub.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    sub.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    sub.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def task_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", type=Path, nargs="+", metavar="IN.mid")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a file; a folder for several inputs")
    model_flags(sub)
    sub.add_argument("--seed", type=int, help="the same seed writes the same notes (default: drawn, and printed)")
    sub.add_argument("--takes", type=int, default=1, metavar="N", help="N results: OUT-1.mid, OUT-2.mid ...")
    sub.add_argument("--top-p", type=float, default=0.95, help="nucleus of every choice, 0-1 (default: 0.95)")
    sub.add_argument("--temperature", type=float, default=1.0, help="below 1 tamer, above 1 wilder (default: 1)")
    sub.add_argument("--scale", metavar='"C major"', help="write only pitches of this scale")
    sub.add_argument("--range", metavar="LOW-HIGH", help="write only these pitches: 48-72 or C3-C5")
    sub.add_argument("--polyphony", type=int, metavar="N", help="at most N notes at once in each part")
    sub.add_argument("--density", type=int, metavar="N", help="at most N onsets in any second")
    sub.add_argument("--chords", default="auto", metavar='"| C | Am |"',
                     help="chords to write on, one cell a bar; or the name of a part that plays them; or 'none'")  # fmt: skip
    sub.add_argument("--style", default="unknown", help="pop, classical, piano, folk, band or drums")
    sub.add_argument("--json", action="store_true", help="one machine-readable line at the end")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite files that exist")


def span_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--start", type=float, metavar="S", help="seconds")
    sub.add_argument("--end", type=float, metavar="S", help="seconds")
    sub.add_argument("--bars", metavar="A-B", help="bars, counted from 1, both included")


def pitch_range(text: str | None) -> tuple[int, int]:
    """'48-72' or 'C3-C5' (C4 is 60) -> (48, 72). Raises RequestError."""
    import re

    from .harmony import pitch_class

    def one(name: str) -> int:
        if name.isdigit():
            return int(name)
        match = re.fullmatch(r"([A-Ga-g][#b]*)(-?\d)", name)
        if not match:
            raise RequestError(f"unknown range {text!r}: write 48-72 or C3-C5")
        return (int(match[2]) + 1) * 12 + pitch_class(match[1])

    if text is None:
        return 0, 127
    match = re.fullmatch(r"\s*([^-\s]+-?\d*?)\s*-\s*([^-\s]+)\s*", text)
    if not match:
        raise RequestError(f"unknown range {text!r}: write 48-72 or C3-C5")
    return one(match[1]), one(match[2])


def span(args: argparse.Namespace, score) -> tuple[float | None, float | None]:
    """Start and end in seconds of --bars or --start and --end. Raises RequestError."""
    if args.bars is None:
        return args.start, args.end
    if args.start is not None or args.end is not None:
        raise RequestError("give --bars or --start and --end, not both")
    first, _, last = args.bars.partition("-")
    if not first.strip().isdigit() or (last and not last.strip().isdigit()):
        raise RequestError(f"unknown bars {args.bars!r}: write 9-16")
    return score.bars(int(first), int(last or first))


def names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def open_model(args: argparse.Namespace):
    """The model that a command asked for, on its device. Raises CheckpointError, RequestError."""
    import torch

    from .checkpoint import load

    threads = args.threads or os.cpu_count() or 1
    if threads < 1:
        raise RequestError("--threads must be at least 1")
    torch.set_num_threads(threads)
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"  # for one small stream a CPU beats MPS
    elif device == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda: no CUDA device here; use --device cpu")
    elif device == "mps" and not torch.backends.mps.is_available():
        raise RequestError("--device mps: no Apple GPU here; use --device cpu")
    return load(args.model, device)


@contextmanager
def progress_bar(total: float, quiet: bool):
    """A callback that takes seconds of music; shown on a terminal only."""
    from tqdm import tqdm

    with tqdm(total=round(total, 1), unit=" s of music", disable=quiet or not sys.stderr.isatty(), leave=False,
              bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f}{unit} [{elapsed}]") as bar:  # fmt: skip

        def update(reached: float) -> None:
            bar.n = round(min(reached, bar.total), 1)
            bar.refresh() if bar.n == bar.total else bar.update(0)

        yield update


def outputs(args: argparse.Namespace, source: Path) -> list[Path]:
    """Where the takes of one input go. Raises MidiError before anything is computed if they cannot be written."""
    folder = len(args.input) > 1 or args.output.is_dir()
    path = args.output / source.name if folder else args.output
    if folder:
        try:
            args.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MidiError(f"cannot make the folder {args.output}: {error.strerror}") from None
    if path.suffix.lower() not in (".mid", ".midi"):
        raise RequestError(f"the output {path} must end in .mid" + ("" if folder else ", or be a folder that exists"))
    paths = [path] if args.takes == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(args.takes)]
    for target in paths:
        if not target.parent.is_dir():
            raise MidiError(f"cannot write {target}: no folder {target.parent}")
        if target.exists() and not args.force:
            raise MidiError(f"{target} exists already; --force overwrites it")
    return paths


def run_task(args: argparse.Namespace, make) -> None:
    """Read, generate and write for every input. make(score, model, options) -> takes."""
    from dataclasses import replace

    from .midi import read, write
    from .tasks import Options

    if args.takes < 1:
        raise RequestError("--takes must be at least 1")
    if not 0 < args.top_p <= 1 or args.temperature <= 0:
        raise RequestError("--top-p is more than 0 and at most 1, --temperature more than 0")
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(3), "big")
    if seed < 0:
        raise RequestError("--seed is 0 or more")
    low, high = pitch_range(args.range)
    options = Options(
        takes=args.takes, seed=seed, top_p=args.top_p, temperature=args.temperature, scale=args.scale, low=low,
        high=high, polyphony=args.polyphony, density=args.density, chords=args.chords, style=args.style,
    )  # fmt: skip
    jobs = [(source, read(source), outputs(args, source)) for source in args.input]
    model = open_model(args)
    written: list[str] = []
    facts = {"takes": args.takes, "events": 0, "seconds": 0.0, "compute_seconds": 0.0}
    for source, score, paths in jobs:
        say(args, *(f"{source}: {line}" for line in score.repairs))
        begin = time.perf_counter()
        with progress_bar(score.end, args.quiet) as update:
            takes = make(score, model, replace(options, progress=update))
        facts["compute_seconds"] += time.perf_counter() - begin
        for take, path in zip(takes, paths, strict=True):
            write(take.score, path, force=args.force)
            written.append(str(path))
            facts["events"] += len(take.notes)
            facts["seconds"] += float(take.notes.end - take.notes.onset.min()) if len(take.notes) else 0.0
            chart = f" on {describe(take, score)}" if len(take.chords) else ""
            say(args, f"{path}: {len(take.notes)} notes{chart}")
    say(args, f"seed {seed}")
    if args.json:
        rounded = {name: round(value, 3) for name, value in facts.items()}
        print(json.dumps({"output": written, **rounded, "seed": seed, "model": model.fingerprint}))


def describe(take, score) -> str:
    from .tasks import chart_text

    return chart_text(take.chords, score.tempo.bar_seconds(float(take.chords.onset[-1]) + 0.1))


def say(args: argparse.Namespace, *lines: str) -> None:
    if not args.quiet:
        for line in lines:
            print(line, file=sys.stderr)


def accompany(args: argparse.Namespace) -> None:
    from . import tasks

    def make(score, model, options):
        start, end = span(args, score)
        return tasks.accompany(score, model, args.instruments, melody=args.melody, start=start or 0.0, end=end, options=options)

    run_task(args, make)


def infill(args: argparse.Namespace) -> None:
    from . import tasks

    def make(score, model, options):
        start, end = span(args, score)
        if start is None or end is None:
            raise RequestError("infill needs a hole: --bars A-B, or --start S --end S")
        return tasks.infill(score, model, start, end, parts=names(args.parts), instruments=args.instruments, options=options)

    run_task(args, make)


def continue_(args: argparse.Namespace) -> None:
    from . import tasks

    run_task(args, lambda score, model, options: tasks.continue_(
        score, model, args.seconds, start=args.start, instruments=args.instruments, options=options))  # fmt: skip


def vary(args: argparse.Namespace) -> None:
    from . import tasks

    def make(score, model, options):
        start, end = span(args, score)
        return tasks.vary(score, model, keep=args.keep, parts=names(args.parts), start=start or 0.0, end=end, options=options)

    run_task(args, make)


def harmonize(args: argparse.Namespace) -> None:
    from . import tasks

    run_task(args, lambda score, model, options: tasks.harmonize(
        score, model, melody=args.melody, instrument=args.instruments, options=options))  # fmt: skip


def demo(args: argparse.Namespace) -> None:
    """Three accompaniments of a bundled melody."""
    from .midi import read, write
    from .render import piano_roll, synthesize
    from .tasks import Options, accompany

    inside = Path(__file__).parent / "examples" / EXAMPLE
    source = inside if inside.exists() else Path(__file__).parent.parent / "examples" / EXAMPLE
    stems = ("1-piano", "2-strings-and-bass", "3-guitar-and-bass")
    wanted = [args.output / f"{stem}{suffix}" for stem in stems for suffix in (".mid", ".png", ".wav")]
    taken = next((path for path in wanted if path.exists()), None)
    if taken and not args.force:
        raise MidiError(f"{taken} exists already; --force overwrites it, --output names another folder")
    score, model = read(source), open_model(args)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MidiError(f"cannot make the folder {args.output}: {error.strerror}") from None
    say(args, f"The melody of {source.stem.replace('-', ' ').title()}, {score.end:.0f} s, and three bands for it:")
    for stem, instruments in zip(stems, ("piano", "strings,bass", "nylon guitar,bass"), strict=True):
        take = accompany(score, model, instruments, options=Options(seed=args.seed, style="pop"))[0]
        path = args.output / f"{stem}.mid"
        write(take.score, path, force=args.force)
        piano_roll(score.notes, take.notes, path.with_suffix(".png"), title=stem, beats=score.beats(), chords=take.chords)
        synthesize(take.score, path.with_suffix(".wav"), soundfont=args.soundfont)
        say(args, f"  {path}  .png  .wav   {len(take.notes)} notes")
    say(args, f"Listen to {args.output / stems[0]}.wav, look at the .png beside it. Then try your own:",
        "  anticipate accompany YOUR.mid -o OUT.mid --instruments piano,bass --takes 3",
        f'  anticipate accompany {source} -o OUT.mid --chords "| F | C | F | Bb |"',
        "  anticipate infill YOUR.mid -o OUT.mid --bars 9-16")  # fmt: skip


def info(args: argparse.Namespace) -> None:
    from . import checkpoint

    path = args.input or checkpoint.default_checkpoint()
    facts = checkpoint_facts(path) if path.is_dir() or args.input is None else score_facts(path)
    print(json.dumps(facts) if args.json else "\n".join(table(facts)))


def table(facts: dict, indent: str = "") -> list[str]:
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *table(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{indent}{name}:", *(f"{indent}  {item}" for item in value)]
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def score_facts(path: Path) -> dict:
    from .harmony import chord_name, estimate_key
    from .midi import read

    score = read(path)
    tempos = [round(60e6 / rate, 1) for _, rate in score.tempo.tempos]
    bars = len(score.tempo.bar_seconds(score.end)) - 1
    parts = [
        f"{p.index} {p.name}: {int(p.mask.sum())} notes, pitch {score.notes.pitch[p.mask].min()}-{score.notes.pitch[p.mask].max()}"
        for p in score.parts
    ]
    tempo = f"{tempos[0]} bpm" if len(set(tempos)) == 1 else f"{min(tempos)}-{max(tempos)} bpm, {len(tempos)} changes"
    facts = {"file": str(path), "seconds": round(score.end, 2), "bars": bars, "tempo": tempo,
             "metre": ", ".join(f"{n}/{d}" for _, n, d in score.tempo.meters[:8]), "notes": len(score.notes),
             "key signature of": chord_name(estimate_key(score.notes)), "parts": parts}  # fmt: skip
    return facts | ({"repaired": score.repairs} if score.repairs else {})


def checkpoint_facts(path: Path) -> dict:
    from . import checkpoint

    config = checkpoint.read_config(path)
    size = (path / "model.safetensors").stat().st_size if (path / "model.safetensors").exists() else 0
    if not size:
        raise CheckpointError(f"{path}: model.safetensors is missing")
    return {"checkpoint": str(path), "fingerprint": checkpoint.fingerprint(path), "megabytes": round(size / 1e6, 1),
            "family": config["family"], "depth": config["depth"], "window": config["window"], **config["card"]}  # fmt: skip


def render(args: argparse.Namespace) -> None:
    from .midi import read
    from .notes import Notes
    from .render import piano_roll, synthesize

    kind = args.output.suffix.lower()
    if kind not in (".wav", ".png"):
        raise RequestError(f"cannot render {args.output}: it must end in .wav or .png")
    if args.output.exists() and not args.force:
        raise MidiError(f"{args.output} exists already; --force overwrites it")
    score = read(args.input)
    if not len(score.notes):
        raise RequestError(f"{args.input} has no notes to render")
    if kind == ".wav":
        synthesize(score, args.output, soundfont=args.soundfont)
    else:
        ours = [part for part in score.parts if score.stamped(part)]
        written = score.notes[sum((part.mask for part in ours), start=score.notes.onset < 0)]
        known = score.notes[~sum((part.mask for part in ours), start=score.notes.onset < 0)]
        piano_roll(known, written if len(ours) else Notes.of([]), args.output, title=args.input.stem, beats=score.beats())


def tokens(args: argparse.Namespace) -> None:
    from . import stream as s
    from .midi import read
    from .notes import Notes

    score = read(args.input)
    controls = score.notes[score.part(args.melody).mask] if args.melody else Notes.of([])
    events = score.notes[~score.part(args.melody).mask] if args.melody else score.notes
    header = s.Header(round(args.delta * s.STEPS), tuple(events.instruments[:24]) or None)
    rows = s.interleave(s.quantise(events), s.quantise(controls), s.Chart.of(score.beats()), header)
    kinds = ("start", "event", "control", "rest")
    if not args.ids:
        print("kind     shift instr pitch   dur   vel  beat  wait period chord  next change  clock")
    for row in rows[:, : s.AT].tolist():
        print(*row) if args.ids else print(f"{kinds[row[0]]:8s}" + " ".join(f"{x:5d}" for x in row[1:]))


def main(argv: list[str] | None = None) -> int:
    """Run the command. Returns 0, or 2 after one line about what the user can mend."""
    args = parser().parse_args(argv)
    try:
        args.run(args)
        return 0
    except AnticipationError as error:
        print(f"anticipate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("anticipate: interrupted; nothing was half written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
