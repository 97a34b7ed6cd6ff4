"""Form: where a piece comes again in itself, verse after verse and beat by beat, and what its rests lead to. Where one
span of it does: reprise.py. Knows notes and beats; draws nothing."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .grid import moment, nearest, position
from .notes import Notes

EDGE = 0.05  # seconds that a note may reach into a bar without sounding there
PLACES = 4  # of a beat, at which onsets are compared
VERSE = 32  # beats that are alike, or not
FEW = 8  # onsets of a verse below which likeness counts for less
RESTS, PHRASE = 2, 4  # bars in which nothing sounds that are an interlude; bars that people go round in meanwhile
ALIKE = 0.65  # of 1 (no note differs): verses that are one, come again
# Semitones that a verse may be higher when it comes again: 10 % of POP909's tunes go up by one or two for their last
# chorus, and 0.4 % go anywhere else.
HIGHER = (0, 1, 2)


def earlier(notes: Notes, beats: Notes) -> np.ndarray | None:
    """(N, 2) of each beat the latest earlier one, a verse before at least, around which a verse goes as it goes around
    this, in pitch classes and places of the beat, and how many semitones higher this is; -1 and 0 where that is new.
    None where nothing comes again."""
    count, notes = len(beats), notes.pitched
    if count < 2 * VERSE:
        return None
    beat, part = np.divmod(np.rint(position(notes.onset, beats) * PLACES).astype(int), PLACES)
    inside = (beat >= 0) & (beat < count)
    roll = np.zeros((count, PLACES, 12), dtype=bool)
    roll[beat[inside], part[inside], notes.pitch[inside] % 12] = True
    size, shape = roll.sum((1, 2)), (len(HIGHER), count)
    back, like = np.full(shape, -1), np.zeros(shape)
    for i, higher in enumerate(HIGHER):
        moved = np.roll(roll, higher, axis=2)
        for distance in range(VERSE, count - VERSE + 1):
            same = _verses((moved[:-distance] & roll[distance:]).sum((1, 2)))
            both = _verses(size[:-distance] + size[distance:])
            alike = np.pad(2 * same / np.maximum(both, 2 * FEW), VERSE - 1)
            most = sliding_window_view(alike, VERSE).max(1)
            came = np.flatnonzero((most >= ALIKE) & (back[i, distance:] < 0))
            back[i, distance + came], like[i, distance + came] = came, most[came]
    best = like.argmax(0)  # a verse that comes next, and higher, begins where this one still reaches to
    out = np.stack([back[best, np.arange(count)], np.array(HIGHER)[best]], axis=1)
    return out if (out[:, 0] >= 0).any() else None


def _verses(values: np.ndarray) -> np.ndarray:
    """Their sums over every VERSE neighbours."""
    total = np.concatenate([[0], np.cumsum(values)])
    return total[VERSE:] - total[:-VERSE]


def counterparts(notes: Notes, places: np.ndarray | None) -> np.ndarray | None:
    """(N, 2) of each place (seconds, ascending) which of them it was when the piece last went as it goes there, by its
    notes and beats, and how many semitones higher it is now (see `earlier`); -1 and 0 for none. None where nothing
    comes again, or no places are known."""
    beats = notes.beats
    if places is None or (before := earlier(notes, beats)) is None:
        return None
    when = position(places, beats) + 1e-6
    beat = np.clip(when.astype(int), 0, len(beats) - 1)
    back, higher = before[beat].T
    there = moment(when - beat + back, beats)
    out = nearest(there, places)
    met = abs(places[out] - there) < beats.duration[back] / 12
    met &= (back >= 0) & (when >= 0) & (when < len(beats))
    return np.where(met[:, None], np.stack([out, higher], axis=1), (-1, 0))


def ahead_of_rests(notes: Notes, beats: Notes) -> np.ndarray:
    """(N,) of each beat itself, or in an interlude (an intro, too) that which is so many phrases on that the music is
    there again, if it is: an interlude has the chords of what it leads to, where of itself it would have none."""
    out, lines = np.arange(len(beats)), np.flatnonzero(beats.pitch == 0)
    if not len(lines):
        return out
    begin, end = beats.onset[lines], np.append(beats.onset[lines[1:]], beats.end)
    notes, size = notes.pitched, np.diff(np.append(lines, len(beats)))
    sounds = [
        bool(((notes.onset < b - EDGE) & (notes.offset > a + EDGE)).any()) for a, b in zip(begin, end, strict=True)
    ]
    bar = 0
    while True in sounds[bar:]:
        music = sounds.index(True, bar)
        for rest in range(bar, music if music - bar >= RESTS else bar):
            there = rest + -(-(music - rest) // PHRASE) * PHRASE
            if there < len(lines):
                place = np.arange(size[rest])
                out[lines[rest] + place] = lines[there] + np.minimum(place, size[there] - 1)
        bar = music + 1
    return out
