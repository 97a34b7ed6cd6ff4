"""Casting: which parts of a score a request names, who rests, as whom the others are shown to the model, and of whom
what is written is more. Knows scores; knows no models, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .instruments import instrument_number
from .midi import Score
from .notes import DRUMS, Notes
from .parts import Part

VOICE = 53
STAND_INS = (VOICE, 52, 54)  # as whom a given melody is shown to the model where its own instrument is to be written
# And the other parts of an instrument of which one is written: beside a flute in place of a voice one hand costs 0.24
# nats a note less, a choir's voice 0.07, a violin 0.02.
OTHERS = (73, *STAND_INS)
REST = 3.0  # seconds of silence on both sides of a hole: of who has them, one in twenty plays in it
RESTING = "silent there and around, and still so: {}; --parts names who is to play"


def chosen(score: Score, names: Iterable[str | int] | None) -> tuple[list[Part], str | None]:
    """Parts by their names (default: all), with what we wrote to go with them, and the names for the stamp. Raises
    RequestError."""
    if names is None:
        return score.parts, None
    names = list(names)
    found = [score.part(name) for name in names]
    whose = {(part.name, part.instrument) for part in found if not part.fills}
    fills = [part for part in score.parts if (part.name, part.instrument) in whose and part.fills]
    return list({part.index: part for part in (*found, *fills)}.values()), ",".join(map(str, names))


def followed(score: Score, melody: str | int | None) -> Notes:
    """The notes of the part that is to be followed (default: all). Raises RequestError."""
    return score.notes if melody is None else score.notes[mask(chosen(score, [melody])[0])]


def instruments(names: str | Iterable[str | int]) -> list[int]:
    several = names.split(",") if isinstance(names, str) else list(names)
    return list(dict.fromkeys(instrument_number(name) for name in several))


def mask(parts: list[Part]) -> np.ndarray:
    """Mask of the notes of several parts."""
    return np.any([part.mask for part in parts], axis=0)


def resting(score: Score, start: float, end: float) -> list[Part]:
    """The parts that sound neither in a span (seconds) nor near it; none of them where that would be all."""
    near = (score.notes.offset > start - REST) & (score.notes.onset < end + REST)
    silent = [part for part in score.parts if not near[part.mask].any()]
    return silent if near.any() else []


def origins(score: Score, gone: np.ndarray, parts: list[Part], answered: bool) -> list[tuple[Part, Notes]]:
    """Parts that new notes may be more of, each with what stays of it, or all of it if nothing does; with what is
    answered note by note, if it is. What we wrote to go with one of several of a name is of that which plays nearest.
    """
    masks: dict[int, np.ndarray] = {}
    for part in sorted(parts, key=lambda part: part.fills):
        height = np.median(score.notes.pitch[part.mask])
        alike = [i for i in masks if (score.parts[i].name, score.parts[i].instrument) == (part.name, part.instrument)]
        apart = [abs(np.median(score.notes.pitch[score.parts[i].mask]) - height) for i in alike]
        whose = alike[int(np.argmin(apart))] if alike and part.fills else part.index
        masks[whose] = masks.get(whose, False) | part.mask
    if answered:
        known = {i: own & gone for i, own in masks.items() if (own & gone).any()}
    else:
        known = {i: own & ~gone if (own & ~gone).any() else own for i, own in masks.items()}
    return [(score.parts[i], score.notes[own]) for i, own in known.items()]


def shown_as(notes: Notes, others: np.ndarray, written: list[int], wanted: tuple[int, ...] = OTHERS) -> Notes:
    """Notes of which those of others (mask), if they share an instrument with what is written, are shown to the model
    as played by one that does not: they are not to be taken for its own."""
    shown = others & np.isin(notes.instrument, written) & (notes.instrument < DRUMS)
    return notes.replace(instrument=np.where(shown, stand_in(wanted, written), notes.instrument))


def stand_in(wanted: tuple[int, ...], instruments: list[int]) -> int:
    """The first of the wanted programs that is not among the instruments, or whoever is free."""
    return next((i for i in (*wanted, *range(DRUMS)) if i not in instruments), wanted[0])
