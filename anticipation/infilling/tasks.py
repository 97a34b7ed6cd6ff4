"""The tasks: what a musician asks of a Score, each a few lines that make one Brief. Knows no flags and no ticks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import RequestError
from ..music.grid import cut
from ..music.instruments import instrument_number
from ..music.notes import DRUMS, Notes
from ..music.voicing import at_bars, voicing
from ..score.midi import MAX_HOURS, Score
from . import casting
from .brief import Brief, Take, answer
from .options import Options

if TYPE_CHECKING:
    from ..model.checkpoint import Model

MOST_BARS = 1000  # that a piece may be continued by
TIMING = ("grid", "polyphony", "density")  # options that say when notes begin and how many
UNDRAWN = ("grid", "best_of", "top_p", "temperature")  # options on the drawing of notes, of which harmonize does none
ALL_STAY = "no note there gives way: the output is the file as it was"
INTRO = 16  # a longer rest before the first note, in bars, is left empty: 95 % of people's songs have a shorter one
EMPTY = "the {} bars before the first note stay empty: it is part of something longer"


def accompany(
    score: Score,
    model: Model,
    instruments: str | Iterable[str | int] = "piano",
    *,
    melody: str | int | None = None,
    start: float | None = None,
    end: float | None = None,
    options: Options | None = None,
) -> list[Take]:
    """Write parts around the notes that are there. melody: the part to follow (default: all notes). start, end:
    seconds; by default the whole piece, but without its beginning if that is empty for more than INTRO bars. Raises
    RequestError."""
    options = options or Options()
    written = casting.instruments(instruments)
    begin, remarks = _opening(score) if start is None and end is None else (start or 0.0, ())
    start, end = begin, _inside(score, begin, end)
    known = casting.accompanied(casting.followed(score, melody), start, written)
    none, asked = np.zeros(len(score.notes), bool), {"melody": melody}
    brief = Brief("accompany", options, score, start, end, known, written, none, asked=asked, remarks=remarks)
    return answer(brief, model)


def infill(
    score: Score,
    model: Model,
    start: float = 0.0,
    end: float | None = None,
    *,
    parts: Iterable[str | int] | None = None,
    instruments: str | Iterable[str | int] | None = None,
    rhythm: bool = False,
    options: Options | None = None,
) -> list[Take]:
    """Rewrite a hole: the notes of `parts` (default: all) with start <= onset < end, seconds, give way to new ones;
    everything else stays. A note that is a little early for a beat counts with the beat (`grid.cut`).

    end: by default that of the piece, if parts are named. instruments: what is written there; by default what those
    parts play, or if none are named, what all parts play but those that rest there and around. rhythm: each note gives
    way to one of another pitch, on the chords that are there, and nothing else is written; drums have no pitch, and
    stay. Raises RequestError.
    """
    if rhythm and instruments is not None:
        raise RequestError("--rhythm keeps who plays: leave --instruments out")
    if parts is None and end is None:
        raise RequestError("infill needs a hole: --bars A-B, --start S --end S, or --parts for all of a part")
    end = _inside(score, start, end)
    chosen, named = casting.chosen(score, parts)
    silent = casting.resting(score, start, end) if parts is None and instruments is None else []
    chosen = [part for part in chosen if part not in silent]
    gone = _begins(score, start, end) & casting.mask(chosen)
    options = options or Options()
    gone = _answerable(score.notes, gone, options) if rhythm else gone
    written = [part.instrument for part in chosen] if instruments is None else casting.instruments(instruments)
    known = casting.shown_as(score.notes, ~casting.mask(chosen), written)[~gone]
    remarks = (casting.RESTING.format(", ".join(part.name for part in silent)),) if silent else ()
    asked = {"parts": named, "rhythm": "kept" if rhythm else None}
    brief = Brief("infill", options, score, start, end, known, written, gone, chosen, keeps_rhythm=rhythm,
                  varies=rhythm, asked=asked, remarks=remarks)  # fmt: skip
    return answer(brief, model)


def continue_(
    score: Score,
    model: Model,
    seconds: float | None = None,
    *,
    bars: int | None = None,
    start: float | None = None,
    instruments: str | Iterable[str | int] | None = None,
    options: Options | None = None,
) -> list[Take]:
    """Go on for `seconds` (20), or for so many bars after the one that is begun, from the end of the piece or from
    `start` (seconds). What begins in that time is then rewritten without a look at it or at what follows, and the rest
    of the file stays. Where the piece has come to rest at its end, it does so again. Raises RequestError."""
    if not len(score.notes):
        raise RequestError("the piece has no notes to continue")
    if seconds is not None and bars is not None:
        raise RequestError("give --seconds or --bars, not both")
    begin = score.end if start is None else start
    if not 0 <= begin <= score.end:
        raise RequestError(f"{begin:.2f} s is outside the piece, which ends at {score.end:.2f} s")
    if bars is not None and not 1 <= bars <= MOST_BARS:
        raise RequestError(f"--bars is how many to write: 1 to {MOST_BARS}")
    seconds = (20.0 if seconds is None else seconds) if bars is None else score.tempo.bars_on(begin, bars) - begin
    if not seconds > 0:
        raise RequestError("nothing to write: --seconds must be more than 0")
    end = begin + seconds
    if end > MAX_HOURS * 3600:
        raise RequestError(f"the piece would be longer than {MAX_HOURS} hours")
    gone, known = _begins(score, begin, end), score.notes[~_begins(score, begin, np.inf)]
    written = known.instruments or score.notes.instruments if instruments is None else casting.instruments(instruments)
    return answer(Brief("continue", options or Options(), score, begin, end, known, written, gone, score.parts), model)


def vary(
    score: Score,
    model: Model,
    *,
    keep: float = 0.5,
    parts: Iterable[str | int] | None = None,
    start: float = 0.0,
    end: float | None = None,
    rhythm: bool = False,
    options: Options | None = None,
) -> list[Take]:
    """A variation: a share `keep` of the notes of `parts` stays, drawn at random, and new notes are written around
    these in place of the others: on the chords of the piece, about as many and about when those were, and none where a
    part rests. A part of which all notes stay gets no new ones. rhythm: as for `infill`. Raises RequestError."""
    options = options or Options()
    if not 0 <= keep < 1:
        raise RequestError("--keep is a share from 0 to less than 1")
    end = _inside(score, start, end)
    chosen, named = casting.chosen(score, parts)
    gone = np.random.default_rng((options.seed, 7)).random(len(score.notes)) >= keep
    gone &= _begins(score, start, end) & casting.mask(chosen)
    if not gone.any():
        return [Take(score, score.notes[gone], score.notes[gone], remarks=(ALL_STAY,))] * options.takes
    gone = _answerable(score.notes, gone, options) if rhythm else gone
    written = [part.instrument for part in chosen if gone[part.mask].any()]
    known = casting.shown_as(score.notes, ~casting.mask(chosen), written)[~gone]
    asked = {"keep": keep, "parts": named, "rhythm": "kept" if rhythm else None}
    brief = Brief("vary", options, score, start, end, known, written, gone, chosen, keeps_rhythm=rhythm, varies=True,
                  asked=asked)  # fmt: skip
    return answer(brief, model)


def harmonize(
    score: Score,
    model: Model,
    *,
    melody: str | int | None = None,
    instrument: str | int = "piano",
    options: Options | None = None,
) -> list[Take]:
    """Chords for a melody, as block chords in close position under it: the model's choice of harmony without its
    playing, or the chords that are given, the same in every take. A beginning that is empty for more than INTRO bars
    gets none. Raises RequestError."""
    from .consensus import Outlook

    options = options or Options()
    if odd := options.changed(UNDRAWN):
        raise RequestError(f"harmonize draws no notes: leave {odd[0]} out")
    if options.chords == "none":
        raise RequestError("harmonize writes chords: --chords is auto, a chart or a part, not none")
    start, remarks = _opening(score)
    end = _inside(score, start, None)
    known = casting.followed(score, melody)
    number = instrument_number(instrument)
    if number == DRUMS:
        raise RequestError("drums play no chords: choose another instrument")
    voice = known.replace(instrument=np.where(known.instrument < DRUMS, casting.VOICE, known.instrument))
    none, asked = np.zeros(len(score.notes), bool), {"melody": melody}
    brief = Brief("harmonize", options, score, start, end, voice, [number], none, asked=asked, remarks=remarks)
    request, given = brief.request(), brief.chords()
    if given is not None:
        plans, bars = [given] * options.takes, (brief.conductor.tempo or score.tempo).bar_seconds(end)
    elif len(request.known.pitched):
        plans = Outlook(request).plan(takes=options.takes, seed=options.seed)
        bars = request.known.beats.onset[request.known.beats.pitch == 0]
    else:
        raise RequestError("nothing there has a pitch that chords could go with: say which with --chords")
    played = (voicing(at_bars(plan, bars), number, request.pitches, options.polyphony, options.density)
              for plan in plans)  # fmt: skip
    return [brief.take(model, i, notes, plan) for i, (notes, plan) in enumerate(zip(played, plans, strict=True))]


def _answerable(notes: Notes, gone: np.ndarray, options: Options) -> np.ndarray:
    """The notes (of a mask) that others of the same rhythm can answer: the pitched ones. Raises RequestError where
    there are none, and where an option asks for another rhythm."""
    if odd := options.changed(TIMING):
        raise RequestError(f"--rhythm keeps when notes begin and how many: leave {odd[0]} out")
    gone = gone & (notes.instrument < DRUMS)
    if not gone.any():
        raise RequestError("--rhythm gives notes other pitches, and no note there has one")
    return gone


def _begins(score: Score, start: float, end: float) -> np.ndarray:
    """Mask of the notes that begin in a span (seconds); one that is a little early for a beat counts with the beat."""
    first, last = cut(score.notes, score.beats(), start, end)
    return (score.notes.onset >= first) & (score.notes.onset < last)


def _opening(score: Score) -> tuple[float, tuple[str, ...]]:
    """Where to begin (seconds) if the user does not say, and remarks on that."""
    lines = score.tempo.bar_seconds(score.length)
    empty = int(np.searchsorted(lines, score.notes.onset.min(initial=np.inf), side="right")) - 1
    if empty <= INTRO or not len(score.notes):
        return 0.0, ()
    return float(lines[empty]), (EMPTY.format(empty),)


def _inside(score: Score, start: float, end: float | None) -> float:
    """The end of a span (seconds); by default that of the last note. Raises RequestError if the span is not in the
    piece."""
    if not len(score.notes):
        raise RequestError("the piece has no notes")
    last = float(score.tempo.bar_seconds(score.length)[-1])
    end = score.end if end is None else end
    if not 0 <= start < end or start >= score.length or end > last + 1e-6:
        raise RequestError(
            f"the span {start:.2f}-{end:.2f} s is not inside the piece, which goes from 0 to {score.length:.2f} s"
        )
    return end
