"""`anticipate check`: which passages of a file go like the training set, and how sure that is. Imports late, as
commands.py."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..files import digest, shipped

if TYPE_CHECKING:
    from ..score.midi import Score

# Up to which chance (see Memory.chance) a match is called a copy, and one that may be a copy.
SURE, LIKELY = 0.007, 0.02
WEIGHTS = "model.safetensors"  # whose digest is the fingerprint of a checkpoint of ours


def check(args: argparse.Namespace) -> None:
    """Print the longest and the closest match of a file's notes with the training set. Raises AnticipationError."""
    from ..score.midi import read
    from .memory import DEFAULT, Memory

    score = read(args.input)
    ours = score.ours.any() and not args.all
    notes = score.notes[score.ours] if ours else score.notes
    if not len(notes):
        raise RequestError(f"{args.input} has no notes to check")
    index = args.index or shipped("checkpoints/default")
    index = index / DEFAULT if index.is_dir() else index
    memory = Memory.load(index)
    bars = score.tempo.bar_seconds(score.end)
    matches = [_told(match, bars, memory.chance(match.distinct)) for match in memory.matches(notes)]
    longest = max(matches, key=lambda m: m["distinct"], default=None)
    closest = max(matches, key=lambda m: (m["agrees"], m["distinct"]), default=None)
    facts = {"file": str(args.input), "notes": len(notes), "ours": bool(ours), "pieces": memory.facts["pieces"],
             "others": _others(score, index.parent) if ours else [], "longest": longest, "closest": closest,
             "matches": matches}  # fmt: skip
    print(json.dumps(facts) if args.json else "\n".join(_lines(facts)))


def _others(score: Score, folder: Path) -> list[str]:
    """Fingerprints of the checkpoints that wrote in a score, but for the one in a folder."""
    wrote = {found[1] for part in score.parts if (found := re.search("; checkpoint ([0-9a-f]{12});", part.stamp))}
    return sorted(wrote - {digest([folder / WEIGHTS])}) if (folder / WEIGHTS).is_file() else []


def _told(match, bars, chance: float | None) -> dict:
    """A match as plain values, placed in bars of the file. bars: seconds of the bar lines."""
    import numpy as np

    from ..music.notes import instrument_name

    first, last = np.interp([match.start, match.end], bars, np.arange(1.0, len(bars) + 1))
    return {
        "instrument": instrument_name(match.instrument), "bar": int(first), "bars": round(float(last - first), 1),
        "start": round(match.start, 2), "seconds": round(match.end - match.start, 2), "onsets": match.notes,
        "distinct": match.distinct, "piece": match.piece, "there": round(match.there),
        "agrees": round(match.share, 2), "of": match.kept, "chance": chance, "verdict": verdict(chance),
    }  # fmt: skip


def verdict(chance: float | None) -> str:
    """What a match is called. chance: see Memory.chance."""
    if chance is None:
        return "not calibrated"
    return "a copy" if chance <= SURE else "may be a copy" if chance <= LIKELY else "a common phrase"


def _lines(facts: dict) -> list[str]:
    whose = "of ours" if facts["ours"] else "in all"
    head = f"{facts['file']}: {facts['notes']} notes {whose} against {facts['pieces']} pieces of the training set"
    if facts["others"]:
        head += f"\nwritten by checkpoint {', '.join(facts['others'])}, which may know other music: see --index"
    if facts["longest"] is None:
        return [head, "no passage goes like any of them"]
    told = {name: facts[name] for name in ("longest", "closest")}
    if told["longest"] == told["closest"]:
        told = {"longest and closest": told["longest"]}
    return [head, *(f"{name}: {_line(match)}" for name, match in told.items())]


def _line(m: dict) -> str:
    rare = "" if m["chance"] is None else f"; {100 * m['chance']:.2g} % of other people's minutes match so long"
    long = ("" if m["distinct"] == m["onsets"] else f"{m['distinct']} of ") + f"{m['onsets']} onsets"
    return (
        f"{m['bars']} bars ({m['seconds']:.1f} s, {long}) of {m['instrument']} from bar {m['bar']} "
        f"({m['start']:.1f} s) go like {m['piece']} at {m['there'] // 60}:{m['there'] % 60:02d}, "
        f"{100 * m['agrees']:.0f} % of {m['of']} fingerprints: {m['verdict']}{rare}"
    )
