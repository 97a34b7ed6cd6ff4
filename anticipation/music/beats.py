"""Beats heard in notes that were played without a click. Knows notes; counts no ticks.

A bar pointer goes through the bar at a tempo that may change from beat to beat, and the way by which the onsets are the
likeliest is found by Viterbi's algorithm (Whiteley, Cemgil and Godsill 2006; with tempo changes at beats alone, as in
Krebs, Böck and Widmer 2015, https://archives.ismir.net/ismir2015/paper/000163.pdf).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .notes import Notes, strikes
from .tempo import beat_notes

FRAMES = 100  # in a second
SLOWEST, FASTEST = 1.12, 0.3  # seconds that a beat may last
USUAL, SPREAD = 0.6, 0.45  # its usual length, seconds, and the standard deviation of its logarithm
STEADY = 60.0  # nats that it would cost to double the length of a beat from one to the next
JITTER = 0.022  # seconds, standard deviation of people's onsets from the places of the beat
STRAY = 0.08  # share of onsets that may be anywhere
LEAST = 12  # onsets; fewer do not tell beats

# How likely an onset is at each place of a bar (beats, places of a beat) as a multiple of the mean over places, for
# onsets that are, by `marks`, short and thin, long, thick, or both. From `python train/recall.py SHARDS --beats`.
FOUR = np.array([
    [[1.24, 3.03, 3.87, 6.11], [0.31, 0.15, 0.09, 0.04], [1.64, 1.21, 0.81, 0.39], [0.5, 0.45, 0.15, 0.05]],
    [[1.62, 1.89, 2.45, 2.63], [0.33, 0.25, 0.1, 0.04], [1.86, 0.96, 0.96, 0.34], [0.51, 0.41, 0.15, 0.03]],
    [[1.43, 2.81, 2.79, 3.65], [0.28, 0.18, 0.11, 0.04], [1.54, 1.08, 0.83, 0.42], [0.44, 0.38, 0.16, 0.04]],
    [[1.65, 1.82, 2.49, 1.91], [0.34, 0.21, 0.11, 0.04], [1.75, 0.93, 0.8, 0.26], [0.55, 0.24, 0.13, 0.01]],
])  # fmt: skip
THREE = np.array([
    [[0.98, 2.53, 3.88, 5.58], [0.35, 0.06, 0.05, 0.06], [1.56, 0.79, 0.79, 0.29], [0.72, 0.07, 0.17, 0.01]],
    [[1.55, 3.25, 2.55, 3.47], [0.31, 0.09, 0.07, 0.06], [1.6, 0.77, 0.79, 0.58], [0.49, 0.04, 0.09, 0.01]],
    [[1.95, 3.38, 2.65, 1.65], [0.3, 0.14, 0.06, 0.04], [1.7, 0.85, 0.82, 0.25], [0.51, 0.04, 0.07, 0.0]],
])  # fmt: skip
SIX = np.array([
    [[1.78, 1.51, 2.73, 3.9], [0.18, 0.02, 0.05, 0.01], [1.78, 2.07, 1.53, 1.89],
     [0.26, 0.24, 0.26, 0.26], [2.05, 0.65, 1.7, 0.43], [0.21, 0.03, 0.06, 0.0]],
    [[1.76, 2.48, 2.31, 3.26], [0.15, 0.02, 0.03, 0.01], [1.58, 3.89, 1.42, 1.58],
     [0.22, 0.28, 0.24, 0.22], [1.85, 0.79, 1.62, 0.44], [0.17, 0.03, 0.05, 0.01]],
])  # fmt: skip
# The kinds of bars; each with the nats per onset by which it has to be likelier than the first kind.
BARS = ((FOUR, 0.0), (THREE, 0.04), (SIX, 0.12))


def marks(notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """The chords and single notes among the notes (at least one), as two columns (M,): their onsets (seconds), and a
    mark: 1 if the next one is further away than usual, plus 2 if it is thick or has a bass note."""
    notes = notes.sorted()
    first = np.flatnonzero(strikes(notes.onset))
    onset = notes.onset[first]
    gap = np.append(np.diff(onset), 1.0)
    count = np.diff(np.append(first, len(notes)))
    low = np.minimum.reduceat(notes.pitch, first)
    thick = (count >= 3) | ((count > 1) & (low <= np.percentile(low, 25)))
    return onset, (gap >= 1.4 * np.median(gap)) + 2 * thick


def hear(notes: Notes) -> Notes:
    """BEAT notes from at most a beat before the first note to the last one. None where there are too few onsets, or
    where they are as likely to be anywhere. Drums are heard like all other instruments."""
    if len(notes) < LEAST:
        return Notes.of([])
    onset, mark = marks(notes)
    if len(onset) < LEAST:
        return Notes.of([])
    frames = np.rint((onset - onset[0]) * FRAMES).astype(np.int64)
    paths = [(follow(frames, mark, pointer), rare * len(onset)) for pointer, rare in _pointers()]
    (odds, at, places), rare = max(paths, key=lambda path: path[0][0] - path[1])
    return beat_notes(onset[0] + at / FRAMES, places) if odds > rare else Notes.of([])


class Pointer:
    """The states of a bar pointer for one kind of bar: beat by beat, for every tempo, frame by frame. table: FOUR,
    THREE ..."""

    def __init__(self, table: np.ndarray) -> None:
        self.bar, self.periods = len(table), np.arange(round(FASTEST * FRAMES), round(SLOWEST * FRAMES) + 1)
        drift = -STEADY * abs(self.periods[None] / self.periods[:, None] - 1)
        turn = drift - np.log(np.exp(drift).sum(1, keepdims=True))
        self.turn = np.ascontiguousarray(turn.T)  # to one tempo (row) from another
        self.usual = -0.5 * (np.log(self.periods / FRAMES / USUAL) / SPREAD) ** 2
        self.first = np.cumsum(np.append(0, np.tile(self.periods, self.bar)))[:-1].reshape(self.bar, -1)
        self.before = np.roll(self.first + self.periods - 1, 1, axis=0)  # the last state of the beat before
        several = [(beat, period) for beat in range(self.bar) for period in self.periods.tolist()]
        self.odds = np.asfortranarray(np.concatenate([self._odds(table, *each) for each in several]))

    def _odds(self, table: np.ndarray, beat: int, period: int) -> np.ndarray:
        """(period, marks) log probability of an onset in each frame of a beat that lasts `period` frames."""
        bar, parts, kinds = table.shape
        off = (beat + np.arange(period) / period)[:, None] - np.arange(bar * parts) / parts
        off = (off + bar / 2) % bar - bar / 2
        blur = JITTER * FRAMES / period
        near = np.exp(-0.5 * (off / blur) ** 2) / (blur * np.sqrt(2 * np.pi)) / parts
        return np.log((1 - STRAY) * near @ table.reshape(-1, kinds) + STRAY)


@cache
def _pointers() -> list[tuple[Pointer, float]]:
    """The pointer of each kind of bar, and the nats that it has to be likelier by."""
    return [(Pointer(table), rare) for table, rare in BARS]


def follow(frames: np.ndarray, mark: np.ndarray, pointer: Pointer) -> tuple[float, np.ndarray, np.ndarray]:
    """Viterbi's algorithm: the log probability of the likeliest path, the frames at which its beats begin, and their
    places in the bar. frames, mark: of the onsets."""
    told = dict(zip(frames.tolist(), mark.tolist(), strict=True))
    came = np.zeros((frames[-1] + 1, *pointer.first.shape), np.int16)  # from which tempo
    room = np.empty(frames[-1] + len(pointer.odds))
    score = room[frames[-1] :]
    score[:] = np.tile(np.repeat(pointer.usual - np.log(pointer.periods * pointer.bar), pointer.periods), pointer.bar)
    turned = np.empty((*pointer.first.shape, len(pointer.periods)))  # made once: so large a table is slow to come by
    rows = np.arange(0, turned.size, len(pointer.periods)).reshape(pointer.first.shape)
    for frame in range(len(came)):
        if frame:
            np.add(score[pointer.before][:, None], pointer.turn, out=turned)
            came[frame] = best = turned.argmax(2)
            score = room[len(came) - 1 - frame :][: len(score)]  # all are a frame on, and stay where they are;
            score[pointer.first] = turned.ravel()[rows + best]  # but the first frames of beats
        if frame in told:
            score += pointer.odds[:, told[frame]]
    end = int(score.argmax())
    last = int(np.searchsorted(pointer.first.ravel(), end, side="right")) - 1
    beat, tempo = np.unravel_index(last, pointer.first.shape)
    begin, beats, places = len(came) - 1 - (end - pointer.first[beat, tempo]), [], []
    while True:
        beats.append(begin)
        places.append(beat)
        if begin <= 0:
            return float(score[end]), np.array(beats[::-1]), np.array(places[::-1])
        tempo, beat = came[begin, beat, tempo], (beat - 1) % pointer.bar
        begin -= pointer.periods[tempo]
