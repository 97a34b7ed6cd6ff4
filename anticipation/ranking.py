"""Ranking: which of several answers is the best. Knows rows and surprise; draws nothing.

A model's own odds of an answer favour dull ones, and find people's improbable. The other direction tells them apart:
how well an answer explains what is known. So the known notes are what is written here, and the answer is anticipated
(`misfit`: the noisy channel, as in Li et al. 2016, https://arxiv.org/abs/1510.03055). Repetition explains much too
easily, so an answer that repeats itself more than is usual loses by it (`dullness`). A slip, such as a bar that is a
sixteenth late and takes the next ones with it, is made by one draft and not by the others, so what it shares with them
counts for a draft (`likeness`: minimum Bayes risk, as in Kumar and Byrne 2004, https://aclanthology.org/N04-1022/).
Where nothing follows, so does coming to rest at the end (`closing`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import lanes
from . import stream as s
from .decode import window_of
from .keys import estimate_key, shift_to_c
from .metrics import note_f1, onset_f1, repeats
from .notes import TOGETHER, Notes
from .surprise import drawn, nats

AROUND = 10.0  # seconds on both sides of what is answered in which the known notes are asked about
LONGEST = 90 * s.STEPS  # of a window, for AMT tells no more than 100 s
BATCH = 8  # windows
DULL = 0.3  # nats for each known note that it would cost to repeat oneself all the time, where nobody else does
CROWDED = 0.3  # nats for each known note that it would cost to have e times the notes of the middle draft, or 1/e
COMMON = 1.0  # nats for each known note that it is worth to begin, and to begin the same notes, whenever the others do
CLOSED = 0.1  # nats for each known note that a nat of being an end is worth
# Of ten thousand tunes, how many end on each semitone above the tonic of their major key, or of its parallel; and of
# three that have a beat to rest on at their end, one has not. Counted from nine sources of the training set.
ENDS = np.array([5664, 46, 397, 12, 711, 326, 35, 805, 46, 1711, 57, 189])
RESTS, BREATH = 3.0, 0.5  # seconds that are a beat where none are known
RARE = 0.02  # share of the time that a tune's pitch may have that it has not had yet
ENOUGH = 8  # moments of a part that tell how often it repeats itself


def fittest(model, known: Notes, start: float, end: float, takes: list[Notes]) -> int:
    """Which take goes best with what is known around the span (seconds) and with the others."""
    lost = misfit(model, known, start, end, takes) + DULL * dullness(known, takes) + CROWDED * oddness(takes)
    return int(np.argmin(lost - COMMON * likeness(takes) - CLOSED * closing(known, start, end, takes)))


def oddness(takes: list[Notes]) -> np.ndarray:
    """(takes,) how far a take has more notes than the middle one, or fewer: the logarithm of their ratio. Many notes
    explain more of what is known, whatever they are."""
    count = np.array([len(take) + 1 for take in takes])
    return abs(np.log(count / np.median(count)))


def likeness(takes: list[Notes]) -> np.ndarray:
    """(takes,) how far a take begins when the others do (0 to 1), plus how far with the same notes (0 to 1): the means
    of F1."""
    like = np.zeros((len(takes), len(takes)))
    for i, one in enumerate(takes):
        for j, other in enumerate(takes[:i]):
            like[i, j] = like[j, i] = _share(onset_f1(one, other)) + _share(note_f1(one, other))
    return like.sum(1) / max(len(takes) - 1, 1)


def closing(known: Notes, start: float, end: float, takes: list[Notes]) -> np.ndarray:
    """(takes,) nats: how much of an ending a take's last note is, of a chord the highest: whether tunes in the key of
    the known notes end on it, whether those notes have it, and whether there is time to rest behind it. Zeros where
    some known note is still to come, and where none has been."""
    before, beats = known.pitched, known.beats.between(start, end)
    if not len(before) or len(known.audible.between(start, np.inf)):
        return np.zeros(len(takes))
    time = np.bincount(before.pitch % 12, weights=before.duration, minlength=12)
    likely = np.log(np.roll(ENDS / ENDS.sum(), estimate_key(before)) * (time / time.sum() + RARE))
    breath = 0.9 * (float(beats.duration[-1]) if len(beats) else BREATH)
    out = np.zeros(len(takes))
    for i, take in enumerate(takes):
        if len(own := take.pitched):
            last = own[own.onset > own.onset[-1] - TOGETHER]
            out[i] = likely[last.pitch.max() % 12] + np.log(RESTS) * (end - last.onset[0] >= breath)
    return out


def dullness(known: Notes, takes: list[Notes]) -> np.ndarray:
    """(takes,) in what share of moments a take repeats the last one's pitches, beyond that of the same parts elsewhere,
    or of all that is known where they are hardly heard."""
    own = repeats(known[np.isin(known.instrument, [i for take in takes for i in take.instruments])])
    usual = _share(own if own[1] >= ENOUGH else repeats(known))
    return np.array([max(_share(repeats(take)) - usual, 0.0) for take in takes])


def _share(pair: tuple[int, int]) -> float:
    return pair[0] / max(pair[1], 1)


def misfit(model, known: Notes, start: float, end: float, takes: list[Notes]) -> np.ndarray:
    """(takes,) nats for each known note near the span (seconds), when a take is what is anticipated: the lower, the
    better they go together. Zeros where nothing audible is known there."""
    origin = max(0.0, start - AROUND)
    near = known.between(origin, end + AROUND)
    events, beats = near.audible, near.beats
    if not len(events):
        return np.zeros(len(takes))
    told = beats if model.reads_chart else beats[:0]
    shift = shift_to_c(events) if model.reads_chart else 0
    chart = s.Chart.of(told, origin)
    header = s.Header(instruments=tuple(events.instruments) if model.reads_chart else None, cold=not origin)
    written, *answers = (s.quantise(n.transpose(shift), origin, strokes=model.reads_chart) for n in (events, *takes))
    pieces = [(take, *piece) for take, answer in enumerate(answers)
              for piece in windows(s.interleave(written, answer, chart, header), lanes.context_of(model))]  # fmt: skip
    total = np.zeros(len(takes))
    for i in range(0, len(pieces), BATCH):
        few = pieces[i : i + BATCH]
        for (take, rows, context), lost in zip(few, nats(model, [rows for _, rows, _ in few]), strict=True):
            total[take] += lost[np.flatnonzero(drawn(rows)) >= context].sum()
    return total / len(written)


def windows(rows: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, int]]:
    """A stream in pieces of at most so many rows, and of each how many of its first rows are context that an earlier
    piece has counted: half of what fits."""
    start = done = int((rows[:, s.KIND] == s.START_KIND).sum())
    while done < len(rows):
        recent = int(np.searchsorted(rows[:, s.CLOCK], rows[done, s.CLOCK] - LONGEST // 2))
        base = max(done - most // 2, recent)
        base = base if base > start else 0
        piece = window_of(rows, base)[:most]
        piece = piece[: np.searchsorted(piece[:, s.CLOCK], piece[0, s.CLOCK] + LONGEST, side="right")]
        context = done - base + (start if base else 0)
        yield piece, context
        done += len(piece) - context
