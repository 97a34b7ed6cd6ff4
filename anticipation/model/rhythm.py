"""Rhythm: notes that give way, each to one of another pitch that begins and ends when it did. Knows steps; draws
nothing.

A stream answers these notes in its own order, one event for each: so the number of pitches that it has drawn says which
note is next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..music.notes import INSTRUMENTS, LEGATO, Notes
from . import stream as s

# What follows was chosen on 24 held-out pieces (train/LOG.md, "A locked rhythm").
# Standard deviations of a new pitch, in semitones: about the old pitch, and (beside the step that the old line took)
# about the last note of its new line. So a part stays in its register, hands stay apart, and a tune goes on in steps.
REACH, GAIT = 4.0, 2.0
# Factors on the odds of: the old pitch; the line's last pitch, where the old line moved; the pitch of the next higher
# note of the old chord and all above it, without which chords would climb.
AGAIN, STAY, CROSS = 0.1, 0.5, 0.1
# Factor on the odds of a pitch outside the chord. Not as low as without a rhythm: most old pitches were chord tones,
# and as these are avoided (AGAIN), a low one would leave too little.
STRAY = 0.5
# Factor on the odds of the pitch that answered the same note of the same figure before; moments of a part that are a
# figure, if they come again; steps by which it may come sooner or later then.
COMES, FIGURE, SLACK = 20.0, 4, 3


@dataclass(frozen=True)
class Rhythm:
    """notes: those that give way, in the order of the stream. rows: (N, 5) the same in the model's steps and key, as
    `stream.quantise` has them. left: (N,) how many notes of its chord are still to come, itself included. table:
    (INSTRUMENTS, 128) what may be written. free: (N, 128) keys that no known note of its part strikes or holds
    meanwhile. near: whether new pitches stay near the old ones. again: (N,) which earlier note was the same one of the
    same figure; -1: none."""

    notes: Notes
    rows: np.ndarray
    left: np.ndarray
    table: np.ndarray
    free: np.ndarray
    near: bool
    again: np.ndarray

    @classmethod
    def of(
        cls, notes: Notes, known: Notes, table: np.ndarray, shift: int, origin: float, span: tuple[int, int], near: bool
    ) -> Rhythm:
        """notes: that give way. known: notes that stay around them. table: what may be written, in the model's key,
        which is `shift` semitones up. span: steps from `origin` (seconds). Of a chord of more notes than there are
        legal pitches the lowest ones are answered."""
        heard = np.arange(128) - shift
        table = table & (heard >= 0) & (heard < 128)
        onset = np.clip(np.rint((notes.onset - origin) * s.STEPS).astype(np.int64), span[0], span[1] - 1)
        order = np.lexsort((notes.pitch, notes.instrument, onset))
        chord = (onset * INSTRUMENTS + notes.instrument)[order]
        place = np.arange(len(chord)) - np.searchsorted(chord, chord)
        stay = place < table.sum(1)[notes.instrument[order]]
        order, chord = order[stay], chord[stay]
        notes, onset = notes[order], onset[order]
        duration = np.clip(np.rint(notes.duration * s.STEPS).astype(np.int64), 1, s.MAX_DURATION)
        rows = np.stack([onset, notes.instrument, notes.pitch + shift, duration, notes.velocity], 1)
        left = np.searchsorted(chord, chord, side="right") - np.arange(len(chord))
        free = np.ones((len(notes), 128), dtype=bool)
        for i, one in enumerate(rows):
            own = known[known.instrument == one[1]]
            keys = own.pitch[_clash(notes.onset[i], notes.offset[i], own)] + shift
            free[i, keys[(keys >= 0) & (keys < 128)]] = False
        return cls(notes, rows, left, table, free, near, recurring(rows))

    def row(self, number: int) -> np.ndarray:
        """The row that comes next once so many are answered; once all are, the last one."""
        return self.rows[min(number, len(self.rows) - 1)]

    def shifts(self, clock: int, number: int) -> np.ndarray:
        """(102,) the only legal shift: the one that leads to the next row; a rest if it is more than a second away or
        all are answered."""
        wait = self.rows[number, 0] - clock if number < len(self.rows) else s.MAX_DURATION
        return np.arange(s.REST + 2) == min(wait, s.REST + 1)

    def pitches(self, drawn: np.ndarray) -> np.ndarray:
        """(INSTRUMENTS, 128) the legal answers to the next row, after these pitches: above the pitches of its chord so
        far, with room above for those still to come, and on keys that are free; on any key where too few are free."""
        number = min(len(drawn), len(self.rows) - 1)
        onset, instrument = self.rows[number, :2]
        left, own = self.left[number], self.notes[:number]
        rest = self.notes[number : number + left]
        chord = drawn[:number][(self.rows[:number, :2] == (onset, instrument)).all(1)]
        above = self.table[instrument] & (np.arange(128) > chord.max(initial=-1))
        held = (own.instrument == instrument) & _clash(rest.onset.min(), rest.offset.max(), own)
        free = above & self.free[number : number + left].all(0)
        free[drawn[:number][held]] = False
        legal = free if free.sum() >= left else above
        out = np.zeros((INSTRUMENTS, 128), dtype=bool)
        out[instrument] = legal & (np.cumsum(legal) <= legal.sum() - left + 1)
        return out

    def taste(self, drawn: np.ndarray) -> np.ndarray:
        """(128,) bias on the logits of the next pitch, after these pitches: near the old pitch but not on it, and near
        the last note of its line. The line goes to that one of the notes struck together last whose old pitch was
        nearest."""
        out, keys = np.zeros(128), np.arange(128)
        number = len(drawn)
        onset, instrument, old = self.rows[number, :3]
        if self.near:
            out = -0.5 * ((keys - old) / REACH) ** 2
            out[keys == old] += np.log(AGAIN)
            if self.left[number] > 1:
                out[keys >= self.rows[number + 1, 2]] += np.log(CROSS)
        if self.again[number] >= 0:
            out[drawn[self.again[number]]] += np.log(COMES)
        begun = self.rows[:number]
        last = np.flatnonzero((begun[:, 1] == instrument) & (begun[:, 0] < onset))
        if len(last):
            last = last[begun[last, 0] == begun[last[-1], 0]]
            leaps = abs(begun[last, 2] - old)
            leap, before = leaps.min(), drawn[last[leaps.argmin()]]
            out -= 0.5 * ((keys - before) / (leap + GAIT)) ** 2
            out[keys == before] += np.log(STAY) if leap else 0.0
        return out


def recurring(rows: np.ndarray) -> np.ndarray:
    """(N,) for each of some rows (in the order of the stream) the same note of the moment that its part's moment
    repeats; -1 for none. A moment repeats the one before it, if that begins the same pitches, or the latest that stands
    at the same place of a figure: of FIGURE moments that came before, with the same pitches as fast. A figure that has
    begun to come again goes on to."""
    out = np.full(len(rows), -1)
    for instrument in np.unique(rows[:, 1]):
        own = np.flatnonzero(rows[:, 1] == instrument)
        onset, first = np.unique(rows[own, 0], return_index=True)
        moments = np.split(own, first[1:])
        pitches = [tuple(rows[moment, 2].tolist()) for moment in moments]
        seen: dict[tuple, list[int]] = {}
        back = np.zeros(len(moments), dtype=np.int64)  # how many moments ago
        for i in range(len(moments) - FIGURE + 1):
            gaps = np.diff(onset[i : i + FIGURE])
            came = seen.setdefault(tuple(pitches[i : i + FIGURE]), [])
            same = [j for j in reversed(came) if (abs(np.diff(onset[j : j + FIGURE]) - gaps) <= SLACK).all()]
            if same:
                last = back[i + FIGURE - 2]
                ago = last if i - last in same else i - same[0]
                there = slice(i, i + FIGURE)
                back[there] = np.where(back[there] > 0, back[there], ago)
            came.append(i)
        for i in range(1, len(moments)):
            ago = back[i] or int(pitches[i] == pitches[i - 1])
            if ago:
                out[moments[i]] = moments[i - ago]
    return out


def _clash(onset: float, offset: float, others: Notes) -> np.ndarray:
    """(N,) whether a note and each of others cannot share a key: they are struck together, or one is held more than a
    legato into the other."""
    later = np.maximum(others.onset, onset)
    end = np.where(others.onset <= onset, others.offset, offset)
    return (abs(others.onset - onset) <= LEGATO) | (end > later + LEGATO)
