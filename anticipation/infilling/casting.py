"""Casting: which parts of a score a request names, which of them rest, as what the other parts are shown to the model,
and which part new notes belong to. Knows scores; knows no models, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..music.instruments import instrument_number
from ..music.notes import CHORD, DRUMS, GM_NAMES, Notes
from ..music.playable import BASSES, CHORDAL, COMPING, GUITARS, PIANO, PIANOS, RANGES, SECTIONS, VOICES
from ..score.midi import Score
from ..score.parts import Part
from .habits import lone_tune
from .request import Infill


class Section(NamedTuple):
    """How a new part of a rhythm section is asked for: the style that it plays in, and whom it does not hear."""

    style: str
    unheard: tuple[int, ...]


VOICE = GM_NAMES.index("voice")  # what sings the tunes of POP909, so what the model knows best as a tune
# Where an instrument is written, its notes in other parts are shown to the model as another instrument's, or it would
# take them for its own: those of a melody as the first of STAND_INS that is free, those of any other part as the first
# of OTHERS. (One hand at the piano costs 0.24 nats a note less if the other is shown as a flute and not as a voice; a
# part of a choir 0.07, a violin 0.02.)
STAND_INS = (VOICE, GM_NAMES.index("choir"), GM_NAMES.index("synth voice"))
OTHERS = (GM_NAMES.index("flute"), *STAND_INS)
# A new rhythm section hears itself: drums nobody but the bass, not even the chords. Our model has heard few of them
# beside a tune, and where it hears one it takes them to be silent, for bars on end (train/LOG.md).
TO_DRUMS = Section("drums", tuple(i for i in (*range(DRUMS), CHORD) if i not in BASSES))
# As whom our model is asked for one that plays the chords under a tune, alone or with a bass: it has heard pianos,
# choirs and pads do that and few others, who would as often write a second tune (train/LOG.md). Drafts take turns.
CHOIR, PAD = GM_NAMES.index("choir"), GM_NAMES.index("warm pad")
AS = dict.fromkeys(COMPING, (PIANO,)) | dict.fromkeys(SECTIONS, (CHOIR, PAD))
REST = 3.0  # seconds before and after a hole: of the parts that are silent in both, one in twenty plays in the hole
RESTING = "silent there and around, and still so: {}; --parts names who is to play"


def chosen(score: Score, names: Iterable[str | int] | None) -> tuple[list[Part], str | None]:
    """The parts of these names (default: all), each with the parts that we wrote to go with it, and the names as the
    stamp has them. Raises RequestError."""
    if names is None:
        return score.parts, None
    names = list(names)
    found = [score.part(name) for name in names]
    whose = {(part.name, part.instrument) for part in found if not part.fills}
    fills = [part for part in score.parts if (part.name, part.instrument) in whose and part.fills]
    return list({part.index: part for part in (*found, *fills)}.values()), ",".join(map(str, names))


def followed(score: Score, melody: str | int | None) -> Notes:
    """The notes of the part that is to be accompanied (default: all notes). Raises RequestError."""
    return score.notes if melody is None else score.notes[mask(chosen(score, [melody])[0])]


def instruments(names: str | Iterable[str | int]) -> list[int]:
    """'piano,bass' or a list of names and programs -> instruments, each once. Raises RequestError."""
    several = names.split(",") if isinstance(names, str) else list(names)
    return list(dict.fromkeys(instrument_number(name) for name in several))


def mask(parts: Sequence[Part]) -> np.ndarray:
    """Mask of the notes of several parts."""
    return np.any([part.mask for part in parts], axis=0)


def resting(score: Score, start: float, end: float) -> list[Part]:
    """The parts that are silent in a span (seconds) and for REST seconds on both sides; none where that would be all
    parts."""
    near = (score.notes.offset > start - REST) & (score.notes.onset < end + REST)
    silent = [part for part in score.parts if not near[part.mask].any()]
    return silent if near.any() else []


def origins(score: Score, gone: np.ndarray, parts: Sequence[Part], answered: bool) -> list[tuple[Part, Notes]]:
    """The parts that new notes may belong to, and for each the notes that tell which new ones are its own: those that
    stay, or all of them where none stays.

    gone: mask of the notes that give way. answered: every one of these is answered by a new note (rhythm), so they are
    what tells. What we wrote to go with one of several parts of the same name counts as the one that plays at about its
    height.
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
    """Notes as a model is shown them: where `others` (a mask) share an instrument with what is written, they are played
    by the first free one of `wanted`, so that the model does not take them for what it has written itself."""
    shown = others & np.isin(notes.instrument, written) & (notes.instrument < DRUMS)
    return notes.replace(instrument=np.where(shown, stand_in(wanted, written), notes.instrument))


def accompanied(notes: Notes, start: float, written: list[int]) -> Notes:
    """Notes of who is accompanied from `start` (seconds) on, as a model is shown them. What is written may have played
    itself before that, unless there is nothing but a tune. To who plays chords a tune on the piano sings, or it would
    be one hand of two, beside which they write a line; to a guitar any does, as the model knows few tunes beside it."""
    whose, lone = set(written), lone_tune(notes) is not None
    if lone and whose & set(GUITARS):
        whose |= set(range(DRUMS))
    elif lone and whose & set(CHORDAL):
        whose |= set(PIANOS)
    sings = np.isin(notes.instrument, [*whose - {DRUMS}]) & (lone | (notes.onset >= start))
    return notes.replace(instrument=np.where(sings, stand_in(STAND_INS, written), notes.instrument))


def among_themselves(one: int, known: Notes, tune: Notes | None) -> Section | None:
    """How a new part is asked for if it is of a rhythm section: see TO_DRUMS. A bass under nothing but a tune hears who
    else goes with that, if anybody does. None for other parts. known: what is known by then in the span."""
    if one == DRUMS:
        return TO_DRUMS
    if one in BASSES and tune is not None and {*known.pitched.instruments} > {*tune.instruments}:
        return Section("band", tuple(tune.instruments))
    return None


def ways(request: Infill) -> list[Infill]:
    """The requests by which our model is asked for an instrument: see AS."""
    (one,), known = request.instruments, request.known.pitched.instruments
    if request.tune is None or one in known:
        return [request]
    beside = set(known) - set(request.tune.instruments)
    others = [other for other in AS.get(one, ()) if other not in known and beside <= set(BASSES)]
    return [_as(request, one, other, tuple(beside)) for other in others] or [request]


def _as(request: Infill, one: int, other: int, basses: tuple[int, ...]) -> Infill:
    """The request for one instrument, asked of another one for what can be played on this. basses: beside the tune, of
    which another one is not told: then it would not play all of the chords."""
    if one == other:
        return request
    pitches, ranged = request.pitches, request.ranged
    fewer = VOICES[one] if VOICES[one] < VOICES[other] else None
    if one in RANGES and not ranged:
        low, high = RANGES[one]
        playable = np.isin(np.arange(128), range(low, high + 1)) & (True if pitches is None else pitches)
        pitches, ranged = playable if playable.any() else pitches, True
    return replace(
        request, instruments=(other,), pitches=pitches, ranged=ranged, polyphony=request.polyphony or fewer,
        unheard=basses,
    )  # fmt: skip


def stand_in(wanted: tuple[int, ...], instruments: list[int]) -> int:
    """The first of the wanted programs that is not among the instruments; else any that is not."""
    return next((i for i in (*wanted, *range(DRUMS)) if i not in instruments), wanted[0])
