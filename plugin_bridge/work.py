"""What a job asks for, and the doing of it: options as text, a MIDI file or rows of notes, a task, takes. Knows no
HTTP, no queue and no process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anticipation.commands import describe, options_of, own_of
from anticipation.errors import RequestError
from anticipation.infilling import tasks
from anticipation.music.notes import DRUMS, Notes, instrument_name
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score

from .clock import beats_of
from .timeline import MAX_NOTES

ROWS = "notes: [[onset, duration, pitch, instrument, velocity] ...], in the unit quarters or seconds"
PPQN = 960  # of the scores that are made from rows of notes

COMMON = {"takes": int, "best_of": int, "seed": int, "top_p": float, "temperature": float, "scale": str, "range": str,
          "polyphony": int, "density": int, "grid": str, "chords": str, "style": str}  # fmt: skip
SPAN = {"start": float, "end": float, "bars": str}
TASKS: dict[str, dict[str, type]] = {
    "accompany": COMMON | SPAN | {"instruments": str, "melody": str},
    "infill": COMMON | SPAN | {"instruments": str, "parts": str, "rhythm": int},
    "continue": COMMON | {"seconds": float, "bars": int, "start": float, "instruments": str},
    "vary": COMMON | SPAN | {"keep": float, "parts": str, "rhythm": int},
    "harmonize": COMMON | {"melody": str, "instruments": str},
}


def parse(task: str, given: dict[str, str]) -> dict[str, Any]:
    """The options of a task from text, by the names of the command's flags. Raises RequestError."""
    if task not in TASKS:
        raise RequestError(f"unknown task {task!r}: one of {', '.join(TASKS)}")
    options = {}
    for name, text in given.items():
        kind = TASKS[task].get(name.replace("-", "_"))
        if kind is None:
            raise RequestError(f"{task} has no option {name!r}; it has {', '.join(TASKS[task])}")
        try:
            options[name.replace("-", "_")] = kind(text)
        except ValueError:
            raise RequestError(f"{name} {text!r} is not a number") from None
    return options | {"seed": options_of(options).seed}


def parse_json(body: bytes) -> Any:
    """What is in it, without NaN and infinities, which are no JSON. Raises ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError from error


def rows_in(given: dict) -> tuple[list[list[Any]], str]:
    """The rows of notes in a JSON object, and their unit. Raises ValueError, TypeError, KeyError."""
    rows, unit = given["notes"], given.get("unit", "seconds")
    if unit not in ("quarters", "seconds") or not isinstance(rows, list) or len(rows) > MAX_NOTES:
        raise ValueError
    for on, length, pitch, instrument, velocity in rows:
        if not (0 <= on < 1e6 and 0 < length < 1e6 and 0 <= pitch < 128 and 1 <= velocity < 128):
            raise ValueError
        if not 0 <= instrument <= DRUMS:
            raise ValueError
    return [[float(on), float(length), *map(int, rest)] for on, length, *rest in rows], unit


def timeline_from_json(given: dict, state: dict) -> tuple[list[list], float]:
    """The DAW's notes, and from where on they replace what it said before, in song seconds. In quarters they are laid
    out from where the song is now, at its present tempo; state: the app's. Raises RequestError."""
    try:
        rows, unit = rows_in(given)
        start = float(given.get("replace_from", 0.0))
        if not abs(start) < 1e6:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        raise RequestError(f"a timeline is {ROWS} (at most {MAX_NOTES:,}), and replace_from") from None
    period, origin = 1.0, 0.0
    if unit == "quarters":
        now, period, (beats, quarters) = state["position"], 60 / state["bpm"], beats_of(state["meter"])
        origin = now["seconds"] - ((now["bar"] - 1) * beats + now["beat"] - 1) * quarters * period
    placed = [[origin + on * period, length * period, *rest] for on, length, *rest in rows]
    # After a slower tempo the first notes would lie before the song's beginning: they are long over.
    placed = [[max(on, 0.0), length, *rest] for on, length, *rest in placed if on + length > 0]
    return placed, origin + start * period


def score_of_rows(body: bytes) -> tuple[Score, str]:
    """The score of {"notes": [[onset, duration, pitch, instrument, velocity] ...], "unit": "quarters" or "seconds",
    "tempos": [[at, bpm] ...], "meters": [[at, numerator, denominator] ...]}, and its unit. Raises RequestError."""
    try:
        given = parse_json(body)
        rows, unit = rows_in(given)
        tempos, meters = given.get("tempos") or [[0, 120]], given.get("meters") or [[0, 4, 4]]
        if len(tempos) + len(meters) > 10_000:
            raise ValueError
        if not all(1 <= bpm <= 1000 and 0 <= at < 1e6 for at, bpm in tempos) or not all(
            0 <= at < 1e6 and 1 <= n < 256 and d in (1, 2, 4, 8, 16, 32, 64) for at, n, d in meters
        ):
            raise ValueError
        tempo, notes = _tempo_map(tempos, meters, unit), Notes.of(tuple(row) for row in rows)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        raise RequestError(f"the body is no MIDI file and no {ROWS}, tempos, meters; see the README") from None
    if unit == "quarters":
        on, off = (tempo.seconds(column * PPQN) for column in (notes.onset, notes.offset))
        notes = notes.replace(onset=on, duration=off - on)
    return Score.from_notes(notes, tempo), unit


def _tempo_map(tempos: list, meters: list, unit: str) -> TempoMap:
    """From positions in quarters, or in seconds: those are laid out one tempo after another."""
    if unit == "seconds":
        at, quarters = 0.0, [0.0]
        ordered = sorted(tempos)
        for (a, bpm), (b, _) in zip(ordered, ordered[1:], strict=False):
            quarters.append(quarters[-1] + (b - max(a, at)) * bpm / 60)
        tempos = [[q, bpm] for q, (_, bpm) in zip(quarters, ordered, strict=True)]
        plain = TempoMap(PPQN, tuple((round(q * PPQN), round(60e6 / bpm)) for q, bpm in tempos))
        meters = [[float(plain.ticks(at)) / PPQN, n, d] for at, n, d in meters]
    return TempoMap(
        PPQN,
        tuple((round(q * PPQN), round(60e6 / bpm)) for q, bpm in tempos),
        tuple((round(q * PPQN), int(n), int(d)) for q, n, d in meters),
    )


def perform(model, task: str, o: dict[str, Any], body: bytes, progress: Callable[[float, float], None]) -> list[dict]:
    """Do a task. Returns for every take {"mid": bytes, "facts": ...}, see README.md. Raises AnticipationError."""
    score, unit = (Score.from_bytes(body), "seconds") if body[:4] == b"MThd" else score_of_rows(body)
    if unit == "quarters":
        o = o | {name: float(score.tempo.seconds(o[name] * PPQN)) for name in ("start", "end") if name in o}
    if not o.get("instruments"):  # scripts send fields that are left empty
        o = o | {"instruments": None}
    name = "continue_" if task == "continue" else task
    options = replace(options_of(o), progress=progress)
    takes = getattr(tasks, name)(score, model, **own_of(name, o, score), options=options)
    return [{"mid": take.score.data, "facts": _facts(take, score, unit, options.seed)} for take in takes]


def _facts(take, score: Score, unit: str, seed: int) -> dict:
    """What is told of a take: its notes in the client's unit, what was written of them, on which chords, and how the
    request was understood, where that is no matter of course."""

    def rows(notes: Notes) -> list[list]:
        notes = notes.audible
        if unit == "quarters":
            tempo = take.score.tempo
            on, off = (tempo.ticks(column) / tempo.ppqn for column in (notes.onset, notes.offset))
            notes = notes.replace(onset=on, duration=off - on)
        return [[round(on, 6), round(max(length, 1e-3), 6), *rest] for on, length, *rest in notes]

    return {"unit": unit, "seed": seed, "chords": describe(take, score) if len(take.chords) else "",
            "remarks": "; ".join(take.remarks),
            "instruments": {str(i): instrument_name(i) for i in take.notes.audible.instruments},
            "written": rows(take.notes), "notes": rows(take.score.notes)}  # fmt: skip
