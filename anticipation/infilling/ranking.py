"""Ranking: which of several drafts is the best. Knows rows and surprise; draws nothing.

A model's own odds of a draft favour dull ones, and find what people play improbable. The other direction tells them
apart: how well a draft explains what is known. So here the known notes are what is written, and the draft is what is
anticipated (`misfit`; the noisy channel, as in Li et al. 2016, https://arxiv.org/abs/1510.03055). Repetition explains
too easily, so a draft that repeats itself more than is usual is marked down (`dullness`). A slip, such as a bar that is
a sixteenth late and takes the next ones with it, occurs in one draft and not in the others, so what a draft shares with
the others counts for it (`likeness`; minimum Bayes risk, as in Kumar and Byrne 2004,
https://aclanthology.org/N04-1022/). Of drums that is the bass drum alone, so one that strikes little else is marked
down (`lopsided`). Busy drafts explain more, so one is marked down that is busier, or idler, than its part is around
(`unsteadiness`); so is one that plays above the tune which it is to accompany (`overhead`), or does not tell the
harmony (`untold`). Where nothing follows, coming to rest at the end counts (`closing`). Who asks for several takes
means to choose, so what a draft shares with an earlier take counts against it (`sameness`; maximal marginal relevance,
Carbonell and Goldstein 1998, https://doi.org/10.1145/290941.291025).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..model import stream as s
from ..model.decode import window_of
from ..model.surprise import drawn, nats
from ..music import groove
from ..music.grid import middle
from ..music.harmony import CHORD_TONES, NO_CHORD, chord_at, chroma
from ..music.keys import estimate_key, shift_to_c
from ..music.metrics import note_f1, onset_f1, repeats
from ..music.notes import DRUMS, TOGETHER, Notes, moments
from ..music.playable import CHORDAL
from .habits import highest

AROUND = 10.0  # seconds on both sides of the span in which the known notes are asked about
WIDELY = 24.0  # and of those that tell how busy a part is
LONGEST = 90 * s.STEPS  # steps of a window, for AMT tells no more than 100 s
BATCH = 8  # windows
# The weights of what counts beside misfit, in nats per known note:
DULL = 1.0  # repeating oneself all the time where nobody else does
CROWDED = 0.3  # e times the notes of the middle draft, or 1/e
UNSTEADY = 2.0  # e times the moments that the part has around, or 1/e
OVERHEAD = 4.0  # playing above the tune alone
UNTOLD = 4.0  # sounding none of the chords' tones
LOPSIDED = 3.0  # striking none of the drums that are usual
COMMON = 2.0  # beginning whenever the other drafts do, and again beginning the same notes
CLOSED = 0.1  # each nat of being an end
SAME = 3.0  # being an earlier take over again
# Of ten thousand tunes, how many end on each semitone above the tonic of their major key (or of the relative major);
# and the odds that a tune has a beat to rest at its end. Counted in nine sources of the training set.
ENDS = np.array([5664, 46, 397, 12, 711, 326, 35, 805, 46, 1711, 57, 189])
RESTS, BREATH = 3.0, 0.5  # BREATH: seconds that stand for a beat where none are known
RARE = 0.02  # share of time that is added to every pitch class: a tune may end on one that it has not had
ENOUGH = 8  # moments of a part that tell how often it repeats itself, strokes that tell which drums it has
OTHER = 0.3  # what two takes may have in common and are two, by the F1 of notes
IDLE, STEADY = 0.15, 0.35  # moments a second that are added to anybody's; by how much those of anybody vary
HIGH = 0.2  # share of a part's notes that may be above the tune: of people's 2 to 26 % are, by style
# Share of the chords' tones that who accompanies a tune alone may leave out (of people one in ten leaves out more); the
# seconds in which they are to be heard, and for how long.
LEFT, OVER, BRIEF = 0.15, 2.0, 0.05
CRASHES = 0.15  # share of crashes among strokes, in 24 s, that 2 % of drummers and a tenth of bands exceed
APART = 0.4  # in what share of 60 strokes a band or a drummer strikes other drums than all of them do: the median


def fittest(
    model, known: Notes, start: float, end: float, drafts: list[Notes], takes: Sequence[Notes] = (),
    tune: Notes | None = None,
) -> int:  # fmt: skip
    """The index of the draft that goes best with what is known around the span (seconds), and with the other drafts,
    and is not what one of the earlier takes is already. tune: what is accompanied, if that is nothing but a tune."""
    lost = misfit(model, known, start, end, drafts) + DULL * dullness(known, drafts) + CROWDED * oddness(drafts)
    lost += UNSTEADY * unsteadiness(known, start, end, drafts)
    lost += OVERHEAD * overhead(tune, known, drafts) + UNTOLD * untold(tune, known, start, end, drafts)
    lost += LOPSIDED * lopsided(known, drafts) + SAME * sameness(drafts, takes)
    return int(np.argmin(lost - COMMON * likeness(drafts) - CLOSED * closing(known, start, end, drafts)))


def oddness(drafts: list[Notes]) -> np.ndarray:
    """(drafts,) by how much a draft has more or fewer notes than the middle one: the logarithm of their ratio. Many
    notes explain more of what is known, whatever they are."""
    count = np.array([len(draft) + 1 for draft in drafts])
    return abs(np.log(count / np.median(count)))


def unsteadiness(known: Notes, start: float, end: float, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) by how much a draft has more or fewer moments a second than the same parts have WIDELY around the span,
    so far as it is more than STEADY: the logarithm of their ratio. Zeros where those are hardly known there, or are in
    the span, too."""
    own = known[np.isin(known.instrument, [i for draft in drafts for i in draft.instruments])]
    before, after = own.between(start - WIDELY, start), own.between(end, end + WIDELY)
    there = len(moments(before)) + len(moments(after))
    if there < ENOUGH or len(own.between(start, end)):
        return np.zeros(len(drafts))
    music = known.audible.onset
    usual = there / (min(WIDELY, max(start - music.min(), 0.0)) + min(WIDELY, max(music.max() - end, 0.0)))
    busy = np.array([len(moments(draft)) for draft in drafts]) / (end - start)
    return np.maximum(abs(np.log((busy + IDLE) / (usual + IDLE))) - STEADY, 0.0)


def overhead(tune: Notes | None, known: Notes, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) in what share of its notes a new part that plays chords is above the tune, so far as it is more than
    HIGH. Zeros where no tune is accompanied."""
    out = np.zeros(len(drafts))
    if tune is None or not len(tune):
        return out
    origin, new = float(tune.onset[0]), [_chordal(draft, known) for draft in drafts]
    steps = [np.rint(np.maximum(own.onset - origin, 0.0) * s.STEPS).astype(int) for own in new]
    top = highest(s.quantise(tune, origin), max(at.max(initial=0) for at in steps))
    for i, (own, at) in enumerate(zip(new, steps, strict=True)):
        if len(own):
            out[i] = max((own.pitch > top[at]).mean() - HIGH, 0.0)
    return out


def untold(tune: Notes | None, known: Notes, start: float, end: float, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) what share of the tones of the known chords a new part that plays chords does not sound under them, so
    far as it is more than LEFT. Zeros where no tune is accompanied, or another part that plays chords goes with it."""
    out, chords = np.zeros(len(drafts)), known.chords
    beside = np.setdiff1d(known.between(start, end).instrument, () if tune is None else tune.instrument)
    if tune is None or np.isin(beside, CHORDAL).any():
        return out
    turns = chords.onset[(chords.onset > start) & (chords.onset < end)]
    edges = np.unique(np.concatenate([np.arange(start, end, OVER), turns, [end]]))
    symbols = chord_at(chords, middle(edges))
    named = (symbols >= 0) & (symbols < NO_CHORD)
    tones, lengths = CHORD_TONES[symbols[named]], np.diff(edges)[named]
    for i, draft in enumerate(drafts):
        if named.any() and len(own := _chordal(draft, known)):
            left = ((chroma(own, edges)[named] <= BRIEF) & tones).sum(1) / tones.sum(1)
            out[i] = max(float(np.average(left, weights=lengths)) - LEFT, 0.0)
    return out


def _chordal(draft: Notes, known: Notes) -> Notes:
    """What a draft has for instruments that play chords, and of which nothing is known."""
    return draft[np.isin(draft.instrument, CHORDAL) & ~np.isin(draft.instrument, known.instrument)]


def lopsided(known: Notes, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) in what share of its strokes a draft strikes other drums than are usual: in the same part elsewhere or,
    if that is hardly known, to people; so far as it is more than APART. And in what share it strikes crashes, so far as
    it is more than there and than CRASHES. Zeros where there are no drums."""
    drums = [draft.pitch[draft.instrument == DRUMS] for draft in drafts]
    own = known.pitch[known.instrument == DRUMS]
    usual = groove.shares(own) if len(own) >= ENOUGH else groove.USUAL
    struck = np.array([groove.shares(some) if len(some) else usual for some in drums])
    crashes = struck[:, groove.CRASH] - max(usual[groove.CRASH], CRASHES)
    return np.maximum(abs(struck - usual).sum(1) / 2 - APART, 0.0) + np.maximum(crashes, 0.0)


def likeness(drafts: list[Notes]) -> np.ndarray:
    """(drafts,) how much a draft begins when the others do (0 to 1), plus how much with the same notes (0 to 1): means
    of F1."""
    like = np.zeros((len(drafts), len(drafts)))
    for i, one in enumerate(drafts):
        for j, other in enumerate(drafts[:i]):
            like[i, j] = like[j, i] = _ratio(onset_f1(one, other)) + _ratio(note_f1(one, other))
    return like.sum(1) / max(len(drafts) - 1, 1)


def sameness(drafts: list[Notes], takes: Sequence[Notes]) -> np.ndarray:
    """(drafts,) how much a draft begins the same notes as that of the takes which is most like it: F1 (0 to 1), so far
    as it is more than OTHER."""
    most = [max((_ratio(note_f1(draft, take)) for take in takes), default=0.0) for draft in drafts]
    return np.maximum(np.array(most) - OTHER, 0.0)


def closing(known: Notes, start: float, end: float, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) how much of an ending a draft's last note is (the highest, of a chord), in nats: whether tunes in the
    key of the known notes end on it, whether the known notes have its pitch class, and whether there is time to rest
    after it. Zeros where a known note is still to come, or none has been."""
    before, beats = known.pitched, known.beats.between(start, end)
    if not len(before) or len(known.audible.between(start, np.inf)):
        return np.zeros(len(drafts))
    time = np.bincount(before.pitch % 12, weights=before.duration, minlength=12)
    likely = np.log(np.roll(ENDS / ENDS.sum(), estimate_key(before)) * (time / time.sum() + RARE))
    breath = 0.9 * (float(beats.duration[-1]) if len(beats) else BREATH)
    out = np.zeros(len(drafts))
    for i, draft in enumerate(drafts):
        if len(own := draft.pitched):
            last = own[own.onset > own.onset[-1] - TOGETHER]
            out[i] = likely[last.pitch.max() % 12] + np.log(RESTS) * (end - last.onset[0] >= breath)
    return out


def dullness(known: Notes, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) in what share of its moments a draft repeats the pitches of the moment before, beyond the share in the
    same parts elsewhere, or in all known music if those parts are hardly known."""
    own = repeats(known[np.isin(known.instrument, [i for draft in drafts for i in draft.instruments])])
    usual = _ratio(own if own[1] >= ENOUGH else repeats(known))
    return np.array([max(_ratio(repeats(draft)) - usual, 0.0) for draft in drafts])


def _ratio(pair: tuple[int, int]) -> float:
    return pair[0] / max(pair[1], 1)


def misfit(model, known: Notes, start: float, end: float, drafts: list[Notes]) -> np.ndarray:
    """(drafts,) nats per known note near the span (seconds) if a draft is what is anticipated: the lower, the better
    they go together. Zeros where nothing audible is known there."""
    origin = max(0.0, start - AROUND)
    near = known.between(origin, end + AROUND)
    events, beats = near.audible, near.beats
    if not len(events):
        return np.zeros(len(drafts))
    told = beats if model.reads_chart else beats[:0]
    shift = shift_to_c(events) if model.reads_chart else 0
    chart = s.Chart.of(told, origin)
    header = s.Header(instruments=tuple(events.instruments) if model.reads_chart else None, cold=not origin)
    written, *answers = (s.quantise(n.transpose(shift), origin, strokes=model.reads_chart) for n in (events, *drafts))
    pieces = []
    for draft, answer in enumerate(answers):
        echoes = s.echoes_of(answer, events.instruments if model.echoes else ())
        rows = s.interleave(written, answer, chart, header, echoes=echoes)
        pieces += [(draft, *piece) for piece in windows(rows, model.window)]
    total = np.zeros(len(drafts))
    for i in range(0, len(pieces), BATCH):
        few = pieces[i : i + BATCH]
        for (draft, rows, context), lost in zip(few, nats(model, [rows for _, rows, _ in few]), strict=True):
            total[draft] += lost[np.flatnonzero(drawn(rows)) >= context].sum()
    return total / len(written)


def windows(rows: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, int]]:
    """A stream in pieces of at most so many rows. Each comes with the number of its first rows that are only context,
    up to half a piece, since the piece before it has counted them."""
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
