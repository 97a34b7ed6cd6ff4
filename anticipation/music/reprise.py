"""Reprise: where music comes again. What a player is about to play if he repeats himself, and where a piece goes as it
does around a span. Songs do so: verses, choruses, riffs. Knows notes and beats; knows no chords and no network."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .form import PLACES
from .grid import moment, position
from .notes import Notes
from .tempo import EARLY

WINDOW = 8 * PLACES  # places that have to be alike: two bars of four beats
FEW = 8  # with fewer onsets in both passages together, likeness counts for less
ALIKE = 0.4  # likeness of a repetition; 1: no note differs
SHORTEST = 4  # beats between a passage and its repetition, at least
AROUND = 16  # beats on both sides of a span that are compared
SONG = 600.0  # seconds on both sides of a span in which the music may come again: a verse does after minutes
COMES = 0.4  # likeness of the music times that of a part, from which on people's part goes as it goes there


def reprise(melody: Notes, beats: Notes, now: float) -> Notes:
    """What followed the passage that is most like the last beats before `now` (seconds), moved to where it would come
    next; no notes where nothing is alike. Pitch classes and places of the beat are compared, so neither another octave
    nor another tempo matters. Only the past counts: what of the melody begins after `now` is not looked at."""
    if len(beats) < 2:
        return Notes.of([])
    melody = melody.between(beats.onset[0], now)
    when = _inside(melody.onset, beats)
    here = float(_inside(np.array([now]), beats)[0])
    count = int(here * PLACES + 0.5)  # places that are over; those that a note may still be drawn to are not
    places = np.rint(when * PLACES).astype(int)
    roll = np.zeros((WINDOW + count, 12), bool)
    over = places < count
    roll[WINDOW + places[over], melody.pitch[over] % 12] = True
    passages = sliding_window_view(roll, WINDOW, axis=0)[count % PLACES :: PLACES]  # whole beats ago; the last is now
    same = (passages & passages[-1]).sum((1, 2))
    alike = 2 * same / np.maximum(passages.sum((1, 2)) + passages[-1].sum(), FEW)
    alike = alike[: len(alike) - SHORTEST]
    if not len(alike) or alike.max() < ALIKE:
        return Notes.of([])
    ago = len(passages) - 1 - int(np.argmax(alike))  # beats
    when += ago
    comes = (when >= here) & (when < len(beats))
    beat, part = np.divmod(when[comes], 1)
    beat = beat.astype(int)
    return melody[comes].replace(onset=beats.onset[beat] + part * beats.duration[beat])


def elsewhere(notes: Notes, beats: Notes, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Places where the music may go as around a span (seconds), as two columns: how many beats they are away,
    ascending, and how alike they are (0-1), by what is known before and after the span and, if anything is, within
    it."""
    notes = notes.pitched.between(*beats.onset[:1], *beats.onset[-1:]) if len(beats) > 1 else notes[:0]
    if not len(notes):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    places = np.rint(_inside(notes.onset, beats) * PLACES).astype(int)
    first, last = (round(float(place) * PLACES) for place in _inside(np.array([start, end]), beats))
    roll = np.zeros((len(beats) * PLACES + 1, 12), dtype=bool)
    roll[places, notes.pitch % 12] = True
    known = np.zeros(len(roll), dtype=bool)
    lowest, highest = int(places.min()), int(places.max()) + 1
    known[lowest:highest] = True
    known[first:last] = bool(len(notes.between(start, end)))
    around = np.arange(max(first - AROUND * PLACES, 0), min(last + AROUND * PLACES, len(roll)))
    offsets, alike = [], []
    for offset in range(-len(beats), len(beats) + 1):
        step = offset * PLACES
        apart = abs(offset) >= SHORTEST and (last + step <= first or first + step >= last)
        if not apart or first + step < lowest or last + step > highest:
            continue
        here = around[(around + step >= 0) & (around + step < len(roll))]
        here = here[known[here] & known[here + step]]
        if len(here) >= SHORTEST * PLACES:
            one, other = roll[here], roll[here + step]
            offsets.append(offset)
            alike.append(2 * (one & other).sum() / max(one.sum() + other.sum(), 2 * FEW))
    return np.array(offsets, dtype=np.int64), np.array(alike)


def again(notes: Notes, part: Notes, start: float, end: float) -> Notes:
    """What a part plays where the music, and that part, go most as around a span (seconds), moved into the span; none
    where nothing is alike. notes: all that is known, and the beats. part: those of the part among them."""
    notes, part = (some.between(start - SONG, end + SONG) for some in (notes, part))
    beats, one = notes.beats, part.replace(instrument=np.zeros(len(part), dtype=np.int64))  # drums count, too
    (offsets, alike), (own_offsets, own) = (elsewhere(some, beats, start, end) for some in (notes, one))
    both, i, j = np.intersect1d(offsets, own_offsets, return_indices=True)
    alike = alike[i] * own[j] - 1e-6 * abs(both)  # of equals the nearest
    if alike.max(initial=0.0) < COMES:
        return part[:0]
    when = position(part.onset, beats) - both[alike.argmax()]
    first, last = position(np.array([start, end]), beats) - EARLY
    there = (when >= first) & (when < last)
    return part[there].replace(onset=moment(when[there], beats))


def _inside(times: np.ndarray, beats: Notes) -> np.ndarray:
    """Positions of times (seconds) in beats; what is before the first beat or after the last one is moved to its
    edge."""
    return np.clip(position(times, beats), 0, len(beats))
