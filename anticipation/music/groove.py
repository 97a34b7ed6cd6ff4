"""Groove: which drums people strike at which places of the bar. Knows beats; draws nothing.

A small model of all music knows the sounds of drums better than their places: for a whole song its bars may begin a
beat late (train/LOG.md).
"""

from __future__ import annotations

import numpy as np

# GM percussion: bass drum, snare, rim and clap, closed hat, open hat, toms, crash, ride; the ninth group is all else.
GROUPS = ([35, 36], [38, 40], [37, 39], [42, 44], [46], [41, 43, 45, 47, 48, 50], [49, 52, 55, 57], [51, 53, 59])
GROUP_OF = np.full(128, len(GROUPS))  # by pitch
for _number, _pitches in enumerate(GROUPS):
    GROUP_OF[_pitches] = _number
DOWNBEAT, BACK, BEAT, BETWEEN, ELSEWHERE = range(5)  # places; between two beats, in the middle
# Of ten thousand strokes of human drummers and of bands, how many are of each group at each place: those that are the
# lowest of their moment, and the others. The output of `python train/recall.py SHARDS --drums`.
STROKES = np.array([
    [[445, 30, 2, 36, 7, 12, 16, 16, 12],
     [250, 566, 30, 140, 23, 32, 5, 61, 20],
     [217, 96, 8, 131, 23, 17, 1, 40, 11],
     [639, 310, 21, 484, 85, 116, 6, 109, 49],
     [588, 543, 38, 530, 28, 151, 4, 85, 124]],
    [[15, 35, 3, 221, 63, 34, 102, 113, 27],
     [7, 145, 18, 406, 106, 69, 112, 188, 60],
     [9, 37, 3, 148, 44, 36, 35, 84, 16],
     [25, 93, 6, 380, 97, 104, 19, 156, 83],
     [25, 149, 7, 296, 30, 39, 11, 71, 117]],
])  # fmt: skip
USUAL = STROKES.sum((0, 1)) / STROKES.sum()  # the same anywhere, as shares
OWN = 0.5  # how far people's odds are divided by how often they strike each drum at all, as the model knows that itself
# What is added to the logits of pitches, by whether something lower is struck at that moment, by place and by pitch:
# the log odds of each drum there, less OWN times its log odds anywhere.
_THERE, _ANYWHERE = STROKES + 1, (STROKES + 1).sum(1, keepdims=True)
_ODDS, _USUAL = (strokes / strokes.sum(2, keepdims=True) for strokes in (_THERE, _ANYWHERE))
LIKELY = (np.log(_ODDS) - OWN * np.log(_USUAL))[..., GROUP_OF]


def shares(pitches: np.ndarray) -> np.ndarray:
    """(9,) the share of each group in some strokes."""
    return np.bincount(GROUP_OF[pitches], minlength=len(USUAL)) / max(len(pitches), 1)


def places_of(times: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """(N,) the kind of place in the bar (DOWNBEAT ...) that each time is nearest to, in quarters of a beat; -1 where no
    bar is known. beats: (B, 3) onset, number in the bar and length, in the unit of the times. Back beats are the second
    and fourth of four (every other beat of an even bar), and the second and third of three; a bar of one beat has no
    places."""
    bars = np.flatnonzero(beats[:, 1] == 0)
    if len(bars) < 2:
        return np.full(len(times), -1)
    beat = np.searchsorted(beats[:, 0], times, side="right") - 1
    later, part = np.divmod(np.rint(4 * (times - beats[beat, 0]) / beats[beat, 2]).astype(int), 4)
    beat += later
    bar = np.searchsorted(bars, beat, side="right") - 1
    inside = (bar >= 0) & (bar < len(bars) - 1)
    bar = np.clip(bar, 0, len(bars) - 2)
    number, size = beat - bars[bar], np.diff(bars)[bar]
    back = np.where(size == 3, number > 0, (size % 2 == 0) & (number % 2 == 1))
    out = np.select([part == 2, part > 0, number == 0, back], [BETWEEN, ELSEWHERE, DOWNBEAT, BACK], BEAT)
    return np.where(inside & (size > 1), out, -1)


def count(drums: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """(2, 5, 9) strokes as in STROKES, of drums (N, 2): onset and pitch."""
    place, out = places_of(drums[:, 0], beats), np.zeros(STROKES.shape)
    beat = np.searchsorted(beats[:, 0], drums[:, 0], side="right") - 1
    moment = beat * 4 + np.rint(4 * (drums[:, 0] - beats[beat, 0]) / beats[beat, 2])
    order = np.lexsort((drums[:, 1], moment))
    order = order[place[order] >= 0]
    lowest = np.append(True, np.diff(moment[order]) > 0)[: len(order)]
    np.add.at(out, (1 - lowest, place[order], GROUP_OF[drums[order, 1].astype(int)]), 1)
    return out
