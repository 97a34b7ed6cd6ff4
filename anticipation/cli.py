"""The `anticipate` command: its flags. What they set off: commands.py, tools.py, check.py. --help imports nothing
heavy."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, commands, tools
from .data import check
from .errors import AnticipationError
from .infilling.options import Options

# For how many turns an idle thread of torch's (GNU OpenMP's) spins before it sleeps. Its own choice, a hundred times as
# many, wins nothing on a quiet machine, and beside other programs makes six minutes of one (train/LOG.md).
SPINS = "3000"
RHYTHM = "keep the rhythm and the chords: each note gives way to one of another pitch, as long and as loud (drums stay)"


class Parser(argparse.ArgumentParser):
    """One that tells in one line what is wrong with the flags."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> Parser:
    top = Parser(prog="anticipate", description="Music infilling: write the parts that a MIDI file lacks.")
    top.add_argument("--version", action="version", version=f"anticipate {__version__}")
    several = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_, run, *groups in COMMANDS:
        sub = several.add_parser(name, help=help_, description=help_ + ".")
        for flags in groups:
            flags(sub)
        sub.set_defaults(run=run)
    return top


def demo_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("-o", "--output", type=Path, default=Path("anticipate-demo"), metavar="FOLDER")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--soundfont", type=Path, metavar="FILE.sf2", help="render with FluidSynth")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite what the folder holds")


def accompany_flags(sub: argparse.ArgumentParser) -> None:
    instruments = "what may be written: GM names or programs (default: piano)"
    sub.add_argument("--instruments", default="piano", help=instruments)
    sub.add_argument("--melody", metavar="NAME|INDEX", help="the part to follow (default: all that is there)")


def infill_flags(sub: argparse.ArgumentParser) -> None:
    parts = "names or indices of the parts to rewrite (default: all but those that rest there and around; without a "
    parts += "span: everywhere)"
    sub.add_argument("--parts", help=parts)
    sub.add_argument("--instruments", help="what may be written (default: what those parts play)")
    sub.add_argument("--rhythm", action="store_true", help=RHYTHM)


def continue_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--seconds", type=float, help="how much to write (default: 20)")
    sub.add_argument("--bars", type=int, metavar="N", help="write so many bars, in place of seconds")
    sub.add_argument("--start", type=float, help="go on from here: what begins in those seconds is rewritten")
    sub.add_argument("--instruments", help="what may be written (default: what plays in the file)")


def vary_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--keep", type=float, default=0.5, help="share of the notes that stay (default: 0.5)")
    sub.add_argument("--parts", help="names or indices of the parts to vary (default: all)")
    sub.add_argument("--rhythm", action="store_true", help=RHYTHM)


def harmonize_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--melody", metavar="NAME|INDEX", help="the part to harmonize (default: all that is there)")
    sub.add_argument("--instruments", default="piano", help="who plays the chords (default: piano)")


def finetune_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", type=Path, help="where the MIDI files are")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="CHECKPOINT", help="a folder for the result")
    sub.add_argument("--minutes", type=float, default=5.0, help="of training, at most (default: 5)")
    sub.add_argument("--seed", type=int, default=0, help="what is held out, and what is drawn (default: 0)")
    sub.add_argument("--anyway", action="store_true", help="write it even if it got no better on what is held out")
    sub.add_argument("--json", action="store_true", help="one machine-readable line at the end")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite a checkpoint that is there")


def info_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", nargs="?", help="FILE.mid, a checkpoint or shards (default: the shipped one)")
    sub.add_argument("--json", action="store_true")


def check_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", type=Path, metavar="FILE.mid")
    sub.add_argument(
        "--index",
        type=Path,
        metavar="CHECKPOINT",
        help="whose training set, a folder or its memory.npz (default: the shipped one)",
    )
    sub.add_argument("--all", action="store_true", help="every track (default: those written by us, if there are any)")
    sub.add_argument("--json", action="store_true", help="one machine-readable line")


def render_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", type=Path)
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.wav|OUT.png")
    sub.add_argument("--soundfont", type=Path, metavar="FILE.sf2", help="render with FluidSynth")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite the output")


def tokens_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", type=Path)
    sub.add_argument("--melody", metavar="NAME|INDEX", help="show this part as controls, the others as events")
    sub.add_argument("--delta", type=float, default=5.0, help="seconds of anticipation (default: 5)")
    encodings = "whose encoding: ours, or the public AMT's whole-file one"
    sub.add_argument("--model", metavar="amt|event|PATH", help=encodings)
    sub.add_argument("--ids", action="store_true", help="numbers only")


def convert_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", metavar="MODEL", help="a folder, or a name on the Hugging Face hub")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    sub.add_argument("--to", choices=["ours", "huggingface"], default="ours", help="which form (default: ours)")
    sub.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of what is stored")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite what the folder holds")


def model_flags(sub: argparse.ArgumentParser) -> None:
    models = "a checkpoint folder, ours or Hugging Face's, or a name on its hub (default: the shipped one)"
    sub.add_argument("--model", metavar="PATH|NAME", help=models)
    sub.add_argument("--weights", choices=["float32", "int8"], default="float32", help="int8: faster for large models")
    sub.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    sub.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    sub.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def task_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", type=Path, nargs="+", metavar="IN.mid")
    sub.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="a file; a folder for several inputs"
    )
    model_flags(sub)
    sub.add_argument("--seed", type=int, help="the same seed writes the same notes (default: drawn, and printed)")
    sub.add_argument("--takes", type=int, default=1, metavar="N", help="N results: OUT-1.mid, OUT-2.mid ...")
    drafts = "draw every part N times and keep the one that goes best with your notes and is most like the others"
    drafts += " (default: %(default)s)"
    sub.add_argument("--best-of", type=int, default=Options.best_of, metavar="N", help=drafts)
    top_p = "nucleus of every choice but rests and velocities (default: %(default)s)"
    sub.add_argument("--top-p", type=float, default=Options.top_p, help=top_p)
    temperature = "lower is tamer, higher wilder, and takes differ more (default: %(default)s)"
    sub.add_argument("--temperature", type=float, default=Options.temperature, help=temperature)
    sub.add_argument("--scale", metavar='"C major"', help="write only pitches of this scale")
    sub.add_argument("--range", metavar="LOW-HIGH", help="write only these pitches: 48-72 or C3-C5 "
                     "(default: what each instrument can play, and does elsewhere in the piece)")  # fmt: skip
    sub.add_argument("--polyphony", type=int, metavar="N", help="at most N notes of a part at once "
                     "(default: as many as it has elsewhere in the piece, else as can be played)")  # fmt: skip
    sub.add_argument("--density", type=int, metavar="N", help="at most N onsets of a part in any second "
                     "(default: twice what it has elsewhere in the piece; 0: free)")  # fmt: skip
    grids = ("where notes may begin: N places a beat (in 6/8 a dotted quarter, in 7/8 an eighth), free, or auto: as "
             "the piece divides its beats (default: auto)")  # fmt: skip
    sub.add_argument("--grid", default="auto", metavar="auto|free|N", help=grids)
    charts = "chords to write on, one cell a bar; or the name of a part that plays them; or 'none'"
    sub.add_argument("--chords", default="auto", metavar='"| C | Am |"', help=charts)
    sub.add_argument("--style", default="unknown", help="pop, classical, piano, folk, band or drums")
    sub.add_argument("--json", action="store_true", help="one machine-readable line at the end")
    sub.add_argument("-f", "--force", action="store_true", help="overwrite files that exist")


def span_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--start", type=float, metavar="S", help="seconds; of accompany 0: an intro, however long")
    sub.add_argument("--end", type=float, metavar="S", help="seconds")
    sub.add_argument("--bars", metavar="A-B", help="bars, counted from 1, both included")


# Name, help, what it sets off, and what adds its flags.
COMMANDS: tuple[tuple[Any, ...], ...] = (
    ("demo", "three accompaniments of a bundled melody, as .mid, .png and .wav", commands.demo,
     model_flags, demo_flags),
    ("accompany", "write parts around the notes that are there", commands.accompany,
     task_flags, span_flags, accompany_flags),
    ("infill", "rewrite a hole; everything outside stays", commands.infill, task_flags, span_flags, infill_flags),
    ("continue", "go on from the end, or from --start", commands.continue_, task_flags, continue_flags),
    ("vary", "keep a random share of the notes, and write the rest anew", commands.vary,
     task_flags, span_flags, vary_flags),
    ("harmonize", "chord symbols for a melody, played as block chords", commands.harmonize,
     task_flags, harmonize_flags),
    ("finetune", "teach a checkpoint the style of your own MIDI files, 5 to 50 of them", tools.finetune,
     model_flags, finetune_flags),
    ("info", "what is in a MIDI file, a checkpoint, or a folder of shards", tools.info, info_flags),
    ("check", "passages of a file that go like the training set", check.check, check_flags),
    ("render", "make a .wav to listen to or a .png piano roll to look at", tools.render, render_flags),
    ("tokens", "the stream as the model sees it, one row per line", tools.tokens, tokens_flags),
    ("convert", "a checkpoint in another form: ours, or Hugging Face's (AMT models)", tools.convert, convert_flags),
    ("ports", "the MIDI ports that are there, and how to make virtual ones", commands.ports),
    ("doctor", "measure this machine for live playing: ports, timing, speed", commands.doctor,
     model_flags, commands.doctor_flags),
    ("live", "play with it: MIDI in from a DAW or a keyboard, a band out", commands.live, model_flags,
     commands.live_flags),
)  # fmt: skip


def forget_output() -> None:
    """Whoever read it has gone, or the disk is full: what is still to be printed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: list[str] | None = None) -> int:
    """Run the command. Returns 0, or 2 after one line about what the user can mend."""
    args = parser().parse_args(argv)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is imported, hence before any command
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a track may be named in letters that the terminal lacks
    try:
        args.run(args)
        print(end="", flush=True)  # else Python does so at its end, and complains there
        return 0
    except BrokenPipeError:
        forget_output()
        return 0
    except AnticipationError as error:
        print(f"anticipate: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a name that no file can have, wherever it was first looked at
            print(f"anticipate: the name is too long: {error.filename}", file=sys.stderr)
        elif error.errno == errno.ENOSPC:  # what we print goes to a file
            forget_output()
            print(f"anticipate: cannot write: {error.strerror}", file=sys.stderr)
        else:
            raise
        return 2
    except KeyboardInterrupt:
        print("anticipate: interrupted; nothing was half written", file=sys.stderr)
        return 130
