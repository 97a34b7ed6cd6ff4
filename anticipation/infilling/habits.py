"""Habits: how busy, thick and high a part is around a span, as it is to be within it (`usual_...`); a new part has what
its instrument can play. And drawn notes that are cut short or left out so that a part keeps to that, and to keys that
are free. Knows notes; draws nothing.

A model that goes on from its own notes can swarm, and a tune of which every other note is known grows chords; of
people's parts 3 % do either (train/LOG.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..model import stream as s
from ..music import playable
from ..music.grid import FINEST, nearest, position
from ..music.notes import DRUMS, LEGATO, Notes, at_once, moments

LOW, ALONE = 52, 0.8  # a tune's median pitch is no lower, and this share of its notes begin when no other sounds
# Seconds for which a tune still counts when it pauses; before its next note; by which new notes may be early.
HELD, SOON, EDGE = 0.5, 2.0, 0.05
NEXT = 1 / 12  # of a beat by which a note may be early, and a rest shorter than a beat
BUSIER, FEW = 2, 4  # times that a part may be as dense as in its densest second; onsets a second that any may have
ENOUGH = 8  # notes of a part that tell how many of them sound at once
# Notes that tell the range of a part that plays on after the span, and of one that does not; and the semitones that it
# may go beyond that range. People's notes do in 0.08 % of cases in a hole and 0.3 % in a continuation, but in 3 % after
# fewer notes.
SETTLED, BEGUN, BEYOND = 16, 64, 5
# By how many known moments there are in a beat on its halves (or quarters ...): with USUAL of them a new note is as
# likely there as the model says, with none SELDOM / USUAL times. Beside music that has none, people's parts have 0.04
# on quarters and 0.11 on halves, ours had 0.3 and 0.4.
SELDOM, USUAL = 0.05, 0.25


def usual_density(known: Notes) -> dict[int, int]:
    """Instrument -> onsets that it may have in any second."""
    out = {}
    for instrument in known.instruments:
        onset = np.sort(known.onset[known.instrument == instrument])
        densest = (np.searchsorted(onset, onset + 1.0 - 1e-6) - np.arange(len(onset))).max()
        out[instrument] = max(BUSIER * int(densest), FEW)
    return out


def usual_voices(known: Notes, start: float, end: float, written: Iterable[int] = ()) -> dict[int, int]:
    """Pitched instrument -> notes that it may sound at once: as many as it does elsewhere. If some of it is known in
    the span (seconds), other notes of its chords may be missing, so it may have up to twice as many less one (one stays
    one). An instrument that is to be `written` and of which little is known may have as many as can be played on it."""
    out = {i: playable.VOICES[i] for i in written if i < DRUMS}
    for instrument in known.pitched.instruments:
        own = known[known.instrument == instrument]
        most = at_once(own)
        if len(own) >= ENOUGH:
            out[instrument] = 2 * most - 1 if len(own.between(start, end)) else most
        elif instrument in out:
            out[instrument] = max(out[instrument], most)
    return out


def usual_range(known: Notes, written: Iterable[int], start: float = np.inf) -> dict[int, tuple[int, int]]:
    """Instrument -> the lowest and the highest pitch that it may have: what can be played on it, and what it plays
    elsewhere in any case. If enough of it is known, it goes no further than BEYOND from that; less is enough if some of
    it is at or after `start` (seconds). Drums have the range of a kit. Instruments that can play everything, and of
    which little is known, are left out."""
    out = {}
    ranges = playable.RANGES | {DRUMS: playable.KIT}
    for instrument in written:
        own = known[known.instrument == instrument]
        low, high = ranges.get(instrument, (0, 127))
        enough = SETTLED if own.onset.max(initial=-np.inf) >= start else BEGUN
        if instrument < DRUMS and len(own) >= enough:
            low, high = max(low, own.pitch.min() - BEYOND), min(high, own.pitch.max() + BEYOND)
        if instrument in ranges or (low, high) != (0, 127):
            out[instrument] = int(own.pitch.min(initial=low)), int(own.pitch.max(initial=high))
    return out


def usual_places(known: Notes, beats: Notes, places: np.ndarray, fine: float = 1.0) -> np.ndarray:
    """(N,) factors on the odds of a note at each place (seconds, ascending), by how often known notes divide the beat
    in the same way: beside a tune of quarters people play few sixteenths. 1 on the beat, where a known note begins, and
    everywhere if too few notes are known. fine: a factor beside that for what is finer than halves and thirds."""
    odds = np.ones(len(places))
    when = moments(known)
    if not len(beats) or not len(places) or len(when) < ENOUGH:
        return odds
    division = FINEST // np.gcd(np.rint(FINEST * position(places, beats)).astype(int), FINEST)
    at = nearest(when, places)
    over = len(beats.between(when[0] - EDGE, when[-1] + EDGE))
    often = np.bincount(division[at], minlength=FINEST + 1) / max(over, 1)
    odds = np.where(division == 1, 1.0, np.minimum((often[division] + SELDOM) / USUAL, 1.0))
    odds[at] = 1.0
    return np.where(division > 3, fine, 1.0) * odds


def at_rest(part: Notes, beats: Notes, times: np.ndarray) -> np.ndarray:
    """(N,) whether a part rests at these times (seconds): for a beat or longer nothing of it sounds. A stroke sounds
    for a beat."""
    part = part.sorted()
    begin, end = position(part.onset, beats), position(part.offset, beats)
    least = np.where(part.instrument == DRUMS, 1.0, 0.25)
    end = np.maximum.accumulate(np.maximum(end, begin + least))
    when = position(times, beats)
    last = np.searchsorted(begin, when + NEXT, side="right")
    until, after = np.append(-np.inf, end)[last], np.append(begin, np.inf)[last]
    return (when + NEXT > until) & (after - until > 1 - NEXT)


def sounding(known: np.ndarray, instrument: int, end: int) -> np.ndarray:
    """(end + 1,) how many quantised notes of an instrument sound at each step, a LEGATO left out."""
    own = known[(known[:, 1] == instrument) & (known[:, 0] <= end)]
    stop = own[:, 0] + np.maximum(own[:, 3] - round(LEGATO * s.STEPS), 1)
    change = np.zeros(end + 2, dtype=np.int64)
    np.add.at(change, np.clip(own[:, 0], 0, end + 1), 1)
    np.add.at(change, np.clip(stop, 0, end + 1), -1)
    return change.cumsum()[: end + 1]


def keys_down(known: Notes, origin: float) -> np.ndarray:
    """(N, 3) for each note: the steps from `origin` (seconds) between which its key is taken (from a LEGATO before its
    onset to a LEGATO before its end), and the key."""
    free = np.maximum(known.offset - LEGATO, known.onset + 1 / s.STEPS)
    steps = np.rint((np.stack([known.onset - LEGATO, free]) - origin) * s.STEPS)
    return np.stack([*steps, known.pitch], axis=1).astype(np.int64)


def lone_tune(known: Notes) -> Notes | None:
    """The known notes if they are nothing but a tune: one line, and not a bass. Else None."""
    tune = known.pitched
    if len(tune) < ENOUGH or np.median(tune.pitch) < LOW:
        return None
    over = np.searchsorted(np.sort(tune.offset - LEGATO), tune.onset, side="right")
    alone = np.searchsorted(tune.onset, tune.onset, side="right") - over <= 1
    return tune if alone.mean() >= ALONE else None


def highest(known: np.ndarray, end: int) -> np.ndarray:
    """(end + 1,) at each step the highest pitch of quantised notes that sound, or did a moment ago; where none does,
    the pitch of the next one if that is soon, else 127."""
    out = np.full(end + 1, -1)
    pitched = known[known[:, 1] < DRUMS].tolist()
    for onset, _, pitch, duration, _ in pitched:
        sounds = out[max(onset - round(EDGE * s.STEPS), 0) : onset + duration + round(HELD * s.STEPS)]
        np.maximum(sounds, pitch, out=sounds)
    for onset, _, pitch, _, _ in pitched:
        before = out[max(onset - round(SOON * s.STEPS), 0) : onset]
        before[before < 0] = pitch
    return np.where(out < 0, 127, out)


def give_way(notes: Notes, known: Notes, voices: dict[int, int]) -> Notes:
    """Sorted notes that end early where a part would have too many at once: when the next one begins, or a known one of
    their part, the oldest end there."""
    end = notes.offset.copy()
    for instrument, most in voices.items():
        own = known[known.instrument == instrument]
        waiting = np.flatnonzero(notes.instrument == instrument).tolist()[::-1]
        sound: list[int] = []
        for now in np.unique(np.append(notes.onset[waiting], own.onset)).tolist():
            sound = [i for i in sound if end[i] > now + 1e-6]
            there = int(((own.onset <= now) & (np.maximum(own.offset - LEGATO, own.onset + 1e-6) > now)).sum())
            begun = []
            while waiting and notes.onset[waiting[-1]] <= now:
                begun.append(waiting.pop())
            for i in sound[: max(0, len(sound) + len(begun) + there - most)]:
                end[i] = now
            sound += begun
    return notes.replace(duration=np.where(end < notes.offset, end - notes.onset, notes.duration))


def on_free_keys(notes: Notes, known: Notes) -> Notes:
    """Notes that can be played on the same keys as sorted known ones of their instrument: none begins on a key that is
    struck or held, and one that still sounds when its key is struck ends there."""
    stop, free = notes.offset.copy(), np.ones(len(notes), dtype=bool)
    for instrument in np.intersect1d(notes.instrument, known.instrument).tolist():
        own = known[known.instrument == instrument]
        held = np.maximum(own.offset - LEGATO if instrument < DRUMS else own.onset, own.onset + 1e-6)
        for pitch in np.intersect1d(notes.pitch[notes.instrument == instrument], own.pitch).tolist():
            mine = np.flatnonzero((notes.instrument == instrument) & (notes.pitch == pitch))
            on, off = own.onset[own.pitch == pitch], held[own.pitch == pitch]
            begin = notes.onset[mine]
            until = np.append(-np.inf, np.maximum.accumulate(off))[np.searchsorted(on - LEGATO, begin)]
            free[mine] = until <= begin
            stop[mine] = np.minimum(stop[mine], np.append(on, np.inf)[np.searchsorted(on, begin)])
    return _ended(notes, stop)[free]


def let_ring(notes: Notes, known: Notes, end: float, last: float) -> Notes:
    """Notes of which those that ring beyond `end` (seconds) end with the next known note of their part, and at `last`
    at the latest."""
    stop = notes.offset.copy()
    for instrument in np.intersect1d(notes.instrument, known.instrument).tolist():
        later = known.onset[(known.instrument == instrument) & (known.onset >= end)]
        over = (notes.instrument == instrument) & (stop > end)
        stop[over] = np.minimum(stop[over], later.min(initial=np.inf))
    return _ended(notes, np.where(stop > end, np.maximum(np.minimum(stop, last), end), stop))


def _ended(notes: Notes, stop: np.ndarray) -> Notes:
    """Notes that end at these times (seconds) or earlier."""
    return notes.replace(duration=np.where(stop < notes.offset, stop - notes.onset, notes.duration))
