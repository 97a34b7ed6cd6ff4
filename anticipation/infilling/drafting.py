"""Infilling: notes that answer a request (request.py). Every task comes here. Knows no files.

`generate` writes one part after another, `draw` each in so many drafts side by side, of which `ranking.fittest` keeps
one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..model import stream as s
from ..model.decode import Decoder
from ..model.sampling import Sampling
from ..music.form import counterparts
from ..music.notes import CHORD, Notes
from ..music.playable import BASSES
from .casting import among_themselves, ways
from .habits import lone_tune
from .prompt import Prompt
from .ranking import fittest
from .request import Infill

INSIST = 3  # times that a silent take is drawn again
RELUCTANCE = 0.1  # factor on the odds of a rest each time
PATIENCE = 4.0  # Sampling.patience: models believe too readily that a silence goes on (train/LOG.md)
BATCH = 32  # streams, each with a cache of its own

Progress = Callable[[float, float], None]


def generate(
    model,
    request: Infill,
    *,
    takes: int = 1,
    seed: int = 0,
    sampling: Sampling | None = None,
    charts: list[Notes] | None = None,
    progress: Progress | None = None,
    best_of: int = 1,
) -> tuple[list[Notes], int]:
    """Notes that answer the request, `takes` times over. One instrument is written after another in the order of the
    request, each told what those before it play (a rhythm section hears itself, `casting.among_themselves`), so that
    none is left out; a model that cannot be told (it does not anticipate) writes all at once. Takes that know the same
    are one batch, which reads its beginning once.

    seed: the same one draws the same notes. charts: CHORD notes for each take, in place of the known ones. progress:
    called with the seconds of music that every take has reached, and those that are asked for. best_of: drafts of every
    part, of which the best one stays that is no earlier take over again (`ranking.fittest`); a model that does not
    anticipate cannot rank them, and draws one.

    Returns the takes, and how many rows were fed to draw them. Raises RequestError where the model cannot be told the
    known notes.
    """
    inside = request.known.between(request.start, request.end)
    tune = lone_tune(inside[~np.isin(inside.instrument, BASSES)])
    request = replace(request, tune=tune, before=counterparts(inside, request.places))
    requests = [request] * takes if charts is None else [_on(request, chart) for chart in charts]
    parts = _turns(request.instruments) if model.anticipates else [request.instruments]
    best_of = best_of if model.anticipates else 1
    written, fed = [request.known[:0]] * takes, 0
    for number, part in enumerate(parts):
        same: dict[tuple[int, int], list[Infill]] = {}  # takes that know the same share their beginning
        asks = [
            same.setdefault((id(ask), id(notes)), _asked(model, ask, ask.known + notes, part))
            for ask, notes in zip(requests, written, strict=True)
        ]
        stage = progress and _stage(progress, number, len(parts))
        drafts = [(take, again) for take in range(takes) for again in range(best_of)]
        seeds = [(seed, take, number, *((0, again) if again else ())) for take, again in drafts]
        in_turn = [asks[take][(take + again) % len(asks[take])] for take, again in drafts]
        drawn, rows = _write(model, in_turn, seeds, sampling, stage)
        if len(part) == 1:  # what was written for another is its own
            drawn = [own.replace(instrument=np.full(len(own), part[0])) for own in drawn]
        new: list[Notes] = []
        for i, (ask, *_) in enumerate(asks):
            new.append(_fittest(model, ask, drawn[i * best_of : (i + 1) * best_of], new))
        written = [before + own for before, own in zip(written, new, strict=True)]
        fed += rows
    return written, fed


def _asked(model, request: Infill, known: Notes, part: tuple[int, ...]) -> list[Infill]:
    """The ways in which the model is asked for a part of a request; drafts take turns."""
    request = replace(request, known=known, instruments=part)
    if not model.reads_chart or request.rhythm is not None:
        return [request]
    one = part[0]
    if request.places is not None and one not in known.instruments:
        if section := among_themselves(one, known.between(request.start, request.end), request.tune):
            style = section.style if request.style == "unknown" else request.style
            request = replace(request, style=style, unheard=section.unheard)
    return ways(request) if len(part) == 1 else [request]


def _fittest(model, ask: Infill, drafts: list[Notes], takes: list[Notes]) -> Notes:
    """The draft that stays, of one or several. takes: those of the same part that are there already."""
    return drafts[fittest(model, ask.known, ask.start, ask.end, drafts, takes, ask.tune) if len(drafts) > 1 else 0]


def _turns(instruments: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The instruments one by one, as they are written in turn; chord symbols are written with the first."""
    first, *others = [i for i in dict.fromkeys(instruments) if i != CHORD] or [CHORD]
    return [(first, CHORD) if CHORD in instruments and first != CHORD else (first,), *((i,) for i in others)]


def _stage(progress: Progress, number: int, count: int) -> Progress:
    """What the work number `number` of `count` alike reports, as the progress of all of them."""
    return lambda reached, asked: progress((number * asked + reached) / count, asked)


def _on(request: Infill, chart: Notes) -> Infill:
    """The request with other chords."""
    return replace(request, known=request.known[request.known.instrument != CHORD] + chart)


def _write(
    model, requests: list[Infill], seeds: list[tuple[int, ...]], sampling: Sampling | None, progress: Progress | None
) -> tuple[list[Notes], int]:
    """Notes that answer each request, BATCH at a time, and how many rows were fed. Nobody asks for silence: what comes
    out without a note is drawn again, INSIST times, each time with rests less likely."""
    sampling = replace(sampling or Sampling(), patience=PATIENCE)
    written: list[Notes] = []
    fed, starts = 0, range(0, len(requests), BATCH)
    for number, i in enumerate(starts):
        stage = progress and _stage(progress, number, len(starts))
        several, decoder = draw(model, requests[i : i + BATCH], seeds[i : i + BATCH], sampling, stage)
        written, fed = written + several, fed + decoder.fed
    for attempt in range(1, INSIST + 1):
        for take in [i for i, notes in enumerate(written) if not len(notes)]:
            own = (*seeds[take], attempt)  # whatever its neighbours do
            livelier = replace(sampling, rest=sampling.rest * RELUCTANCE**attempt)
            (written[take],), decoder = draw(model, [requests[take]], [own], livelier)
            fed += decoder.fed
    return written, fed


def draw(
    model, requests: list[Infill], seeds: list[tuple[int, ...]], sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> tuple[list[Notes], Decoder]:  # fmt: skip
    """Notes that answer each request, all over one span, side by side in one batch. seeds: one for each request, so
    that it does not matter which others are in the batch. Returns the decoder too."""
    same = {id(request): request for request in requests}
    prompt_of = {key: Prompt.of(model, request) for key, request in same.items()}
    prompts = [prompt_of[id(request)] for request in requests]
    streams = [prompt.stream(model, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
    decoder = Decoder(model, streams, sampling)
    decoder.sync([prompt.rows for prompt in prompts])
    limits = [prompt.limits for prompt in prompts]
    start, span = requests[0].start, requests[0].end - requests[0].start
    while any(stream.clock < limit.end for stream, limit in zip(streams, limits, strict=True)):
        decoder.next_event([limit if stream.clock < limit.end else None
                            for stream, limit in zip(streams, limits, strict=True)])  # fmt: skip
        if progress:
            reached = min(stream.clock / s.STEPS + p.origin for stream, p in zip(streams, prompts, strict=True))
            progress(min(max(0.0, reached - start), span), span)
    return [prompt.notes(stream.written) for prompt, stream in zip(prompts, streams, strict=True)], decoder
