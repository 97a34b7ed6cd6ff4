"""Habits: how busy, how thick and how high a part is around a span, which it is to be within it too, and where it is
new what its instrument can play. Knows notes; draws nothing.

A model that goes on from its own notes can swarm, and a tune of which every other note is known grows chords; of
people's parts 3 % do either (train/LOG.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from . import playable
from . import stream as s
from .grid import FINEST, nearest, position
from .metrics import moments
from .notes import DRUMS, Notes

LOW, ALONE = 52, 0.8  # half of a tune's pitches are no lower; share of its notes that begin when no other sounds
# Seconds that a tune is still heard when it pauses; that it is waited for; that notes may be early.
HELD, SOON, EDGE = 0.5, 2.0, 0.05
BUSIER, FEW = 2, 4  # times its densest second that a part may be dense; onsets a second that any part may have
ENOUGH = 8  # notes that tell how many of them sound at once
# Notes that tell the range of a part that plays on, and of one that is to be continued, and semitones that it may go
# beyond: 0.08 % of people's notes in a hole do, in the next 20 s 0.3 %, but 3 % after fewer notes than that.
SETTLED, BEGUN, BEYOND = 16, 64, 5
LEGATO = 0.03  # seconds that a note may reach into another without sounding with it
# Known moments a beat on its halves, or its quarters ...: with USUAL of them a new note is as likely there as the model
# says, with none SELDOM / USUAL times. People's parts have 0.04 on quarters and 0.11 on halves there, ours 0.3, 0.4.
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
    """Pitched instrument -> notes that it may sound at once: as many as elsewhere. Where some of it is known in the
    span (seconds), others of its chords may be missing: up to twice as many less one, so that one stays one. Of which
    little is known, and which is to be `written`, may sound as many as can be played."""
    out = {i: playable.VOICES[i] for i in written if i in playable.VOICES}
    for instrument in known.pitched.instruments:
        own = known[known.instrument == instrument]
        most = at_once(own)
        if len(own) >= ENOUGH:
            out[instrument] = 2 * most - 1 if len(own.between(start, end)) else most
        elif instrument in out:
            out[instrument] = max(out[instrument], most)
    return out


def at_once(notes: Notes) -> int:
    """How many notes sound at once at most, their legato left out."""
    begun = np.searchsorted(np.sort(notes.onset), notes.onset, side="right")
    over = np.searchsorted(np.sort(np.maximum(notes.offset - LEGATO, notes.onset + 1e-6)), notes.onset, side="right")
    return int((begun - over).max(initial=0))


def usual_range(known: Notes, written: Iterable[int], start: float = np.inf) -> dict[int, tuple[int, int]]:
    """Instrument -> the lowest and the highest pitch that it may have: those that can be played, and what it plays
    elsewhere all the same. Of whom enough is known goes no further than a fourth beyond that; it takes less where some
    of it is at or after `start` (seconds). Drums are a kit. Who can play anything, and of whom little is known, is not
    among them."""
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


def usual_parts(known: Notes, beats: Notes, places: np.ndarray) -> np.ndarray:
    """(N,) what the odds of a note are multiplied by at each place (seconds, ascending), by how often the known ones
    divide the beat so: who plays beside a tune of quarters plays few sixteenths, and stays in step with it. 1 on the
    beat, where a known note begins, and where too few are known to tell."""
    odds = np.ones(len(places))
    when = moments(known)
    if not len(beats) or not len(places) or len(when) < ENOUGH:
        return odds
    parts = FINEST // np.gcd(np.rint(FINEST * position(places, beats)).astype(int), FINEST)  # of the beat
    at = nearest(when, places)
    over = len(beats.between(when[0] - EDGE, when[-1] + EDGE))
    often = np.bincount(parts[at], minlength=FINEST + 1) / max(over, 1)
    odds = np.where(parts == 1, 1.0, np.minimum((often[parts] + SELDOM) / USUAL, 1.0))
    odds[at] = 1.0
    return odds


def sounding(known: np.ndarray, instrument: int, end: int) -> np.ndarray:
    """(end + 1,) how many quantised notes of an instrument sound at each step, their legato left out."""
    own = known[(known[:, 1] == instrument) & (known[:, 0] <= end)]
    stop = own[:, 0] + np.maximum(own[:, 3] - round(LEGATO * s.STEPS), 1)
    change = np.zeros(end + 2, dtype=np.int64)
    np.add.at(change, np.clip(own[:, 0], 0, end + 1), 1)
    np.add.at(change, np.clip(stop, 0, end + 1), -1)
    return change.cumsum()[: end + 1]


def keys_down(known: Notes, origin: float) -> np.ndarray:
    """(N, 3) of each note the steps from `origin` (seconds) from which on its key cannot be struck and at which it can
    be again, its legato left out, and the key."""
    free = np.maximum(known.offset - LEGATO, known.onset + 1 / s.STEPS)
    steps = np.rint((np.stack([known.onset - LEGATO, free]) - origin) * s.STEPS)
    return np.stack([*steps, known.pitch], axis=1).astype(np.int64)


def lone_tune(known: Notes) -> Notes | None:
    """What is known if it is a tune: one line, and no bass. None else."""
    tune = known.pitched
    if len(tune) < ENOUGH or np.median(tune.pitch) < LOW:
        return None
    over = np.searchsorted(np.sort(tune.offset - LEGATO), tune.onset, side="right")
    alone = np.searchsorted(tune.onset, tune.onset, side="right") - over <= 1
    return tune if alone.mean() >= ALONE else None


def highest(known: np.ndarray, end: int) -> np.ndarray:
    """(end + 1,) the highest pitch of quantised notes that sound at each step, or did a moment ago; where none does the
    one that is soon to come, 127 without one."""
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
    """Sorted notes, of which those that still sound where there are too many with the next one, or with a known one of
    their part, end there, the oldest first."""
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
    """Notes without what cannot be played on the keys of sorted known ones of their instrument: on a key that is struck
    or held none begins, and one that still sounds when its key is struck ends there."""
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
    """Notes of which those that ring beyond `end` (seconds) end with the next known one of their part, and at `last`
    whatever comes."""
    stop = notes.offset.copy()
    for instrument in np.intersect1d(notes.instrument, known.instrument).tolist():
        later = known.onset[(known.instrument == instrument) & (known.onset >= end)]
        over = (notes.instrument == instrument) & (stop > end)
        stop[over] = np.minimum(stop[over], later.min(initial=np.inf))
    return _ended(notes, np.where(stop > end, np.maximum(np.minimum(stop, last), end), stop))


def _ended(notes: Notes, stop: np.ndarray) -> Notes:
    """Notes that end at these times at the latest."""
    return notes.replace(duration=np.where(stop < notes.offset, stop - notes.onset, notes.duration))
