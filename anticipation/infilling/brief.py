"""Brief: what a task asks for, in the score's own time, and the takes that answer it. Knows scores; knows no flags and
no ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import RequestError
from ..model.sampling import Sampling
from ..model.stream import STYLES
from ..music.grid import cut
from ..music.notes import GM_NAMES, Notes, instrument_name
from ..music.voicing import voicing
from ..score.midi import Score
from ..score.parts import Part
from . import casting
from .conductor import Conductor, within
from .ending import ending_of
from .options import Options
from .request import Infill

GUIDES = (GM_NAMES.index("slow strings"),)  # plays chords to a model that reads no symbols; nobody else hears it
SPARE = "{} notes of chords have gone: the pitches asked for are fewer than the notes of those"


@dataclass(frozen=True)
class Take:
    """One answer. score: the piece with the new tracks. notes: what was written. chords: the CHORD notes that it was
    written on. remarks: what to tell the user of how the request was understood, one line each."""

    score: Score
    notes: Notes
    chords: Notes
    fed: int = field(default=0, compare=False)  # rows that the model ran over for all takes of this request
    remarks: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Brief:
    """What a task asks for. task: its name. start, end: seconds. known: notes that the model is told. instruments: what
    may be written. gone: mask of the score's notes that give way. chosen: parts that new notes may belong to.
    keeps_rhythm: see `tasks.infill`. varies: what gives way tells what comes: its chords and, where no rhythm is kept,
    about when and how many notes. asked: what only this task takes, for the stamp. remarks: as a take's."""

    task: str
    options: Options
    score: Score
    start: float
    end: float
    known: Notes
    instruments: list[int]
    gone: np.ndarray
    chosen: Sequence[Part] = ()
    keeps_rhythm: bool = False
    varies: bool = False
    asked: Mapping[str, object] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @cached_property
    def rest(self) -> Score:
        """The score without the notes that give way."""
        return self.score.without(self.gone)

    @cached_property
    def conductor(self) -> Conductor:
        """Whose beats new notes go by."""
        return Conductor.of(self.score, self.start, self.end, self.options.grid)

    @cached_property
    def displaced(self) -> Notes:
        """The notes that give way, on the conductor's beats."""
        return self.score.notes[self.gone].shift(-self.conductor.lag)

    @cached_property
    def written(self) -> list[int]:
        """The instruments that are written: where a rhythm is kept, those that have notes in it."""
        return [i for i in self.instruments if not self.keeps_rhythm or i in self.displaced.instruments]

    @cached_property
    def origins(self) -> list[tuple[Part, Notes]]:
        """See `casting.origins`."""
        return casting.origins(self.score, self.gone, self.chosen, self.keeps_rhythm)

    def request(self) -> Infill:
        """On the conductor's beats; no chords or ending are told yet. Raises RequestError."""
        options = self.options
        if options.style not in STYLES:
            raise RequestError(f"unknown style {options.style!r}: one of {', '.join(STYLES)}")
        known = self.conductor.on_beat(self.known, self.rest, self.end)
        places = self.conductor.places(known, self.start, self.end, options.grid)
        return Infill(known, self.start, self.end, tuple(self.written), options.pitches(), options.polyphony,
                      options.density, style=options.style, places=places, ranged=options.ranged)  # fmt: skip

    def chords(self) -> Notes | None:
        """Those that are given, see `Conductor.chords`. Raises RequestError."""
        return self.conductor.chords(self.rest, self.options.chords, self.start, self.end)

    def take(
        self, model, number: int, notes: Notes, chords: Notes, fed: int = 0, remarks: tuple[str, ...] = ()
    ) -> Take:
        """The take of a number (from 0), by what was written for it on the conductor's beats."""
        notes = self.conductor.as_played(notes)
        score = self.rest.with_notes(notes, stamp=self.stamp(model, number), like=self.origins)
        return Take(score, notes, chords, fed, self.conductor.remarks + remarks + self.remarks)

    def stamp(self, model, take: int) -> str:
        """What a new track says of its origin: all that it takes to write it again. take: from 0. `tracks.STAMP` and
        `Part.fills` go by its words."""
        from .. import __version__

        options = self.options
        limits = {name: getattr(options, name) for name in ("scale", "polyphony", "density")}
        limits["range"] = "{}-{}".format(*options.range) if options.ranged else None
        limits["style"] = None if options.style == Options.style else options.style
        names = ",".join(instrument_name(i) for i in self.written)
        facts = [
            f"anticipation {__version__}", f"checkpoint {model.fingerprint or 'unsaved'}", f"seed {options.seed}",
            f"take {take + 1}", f"best of {options.best_of}",
            f"{self.task} {names} {float(self.start)}-{float(self.end)} s", f"top-p {options.top_p}",
            f"temperature {options.temperature}", f"grid {options.grid}", f"chords {options.chords}",
            *(f"{name} {value}" for name, value in {**limits, **self.asked}.items() if value is not None),
        ]  # fmt: skip
        return "; ".join(facts)


def answer(brief: Brief, model) -> list[Take]:
    """Generate, and put what was written into the score. Raises RequestError."""
    from .drafting import generate

    options = brief.options
    request, chords, charts = _planned(brief, model)
    written, fed = generate(
        model, request, takes=options.takes, seed=options.seed, sampling=Sampling(options.temperature, options.top_p),
        charts=charts, progress=options.progress, best_of=options.best_of,
    )  # fmt: skip
    takes = []
    for number, notes in enumerate(written):
        spare = len(request.rhythm) - len(notes) if request.rhythm is not None else 0
        remarks = (SPARE.format(spare),) if spare else ()
        takes.append(brief.take(model, number, notes, charts[number] if charts else chords, fed, remarks))
    return takes


def _planned(brief: Brief, model) -> tuple[Infill, Notes, list[Notes] | None]:
    """The request, the chords that are given with it, and a plan of chords for each take where they are to be
    planned."""
    from .consensus import Outlook

    options, conductor, gone = brief.options, brief.conductor, brief.displaced
    request = brief.request()
    known, rhythm = request.known, gone if brief.keeps_rhythm else None
    first, last = cut(known.audible, known.beats, brief.start, brief.end)
    last = last if last > first else brief.end
    ending = ending_of(known, first, last, brief.score.end - conductor.lag) if rhythm is None else None
    request = replace(request, ending=ending)
    chords = brief.chords()
    outlook, charts = Outlook(replace(request, known=known + gone) if brief.varies else request), None
    if chords is not None:
        told = chords if model.reads_chart else voicing(chords, casting.stand_in(GUIDES, brief.written))
        request = replace(request, known=known + told)
    elif model.reads_chart and options.chords == "auto" and outlook.harmonises:
        charts = outlook.plan(takes=options.takes, seed=options.seed)
    beside = conductor.beside(brief.score, brief.chosen, brief.written)
    request = replace(request, start=first, end=last, rhythm=rhythm, beside=beside, gone=gone,
                      instead=brief.varies and rhythm is None)  # fmt: skip
    given = Notes.of([]) if chords is None else within(chords, brief.score.tempo, brief.start, brief.end)
    return request, given, charts
