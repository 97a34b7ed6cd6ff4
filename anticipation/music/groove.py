"""Groove: which drums people strike at which places of the bar. Knows beats; draws nothing.

A small model of all music knows the sounds of drums better than their places: for a whole song its bars may begin a
beat late (train/LOG.md).
"""

from __future__ import annotations

import numpy as np

from .notes import Notes

# GM percussion: bass drum, snare, rim and clap, closed hat, open hat, toms, crash, ride; the ninth group is all else.
GROUPS = ([35, 36], [38, 40], [37, 39], [42, 44], [46], [41, 43, 45, 47, 48, 50], [49, 52, 55, 57], [51, 53, 59])
CRASH = 6  # which of them
GROUP_OF = np.full(128, len(GROUPS))  # by pitch
for _number, _pitches in enumerate(GROUPS):
    GROUP_OF[_pitches] = _number
PHRASE = 4  # bars: people strike crashes as one begins, and play fills as it ends
# Places; between two beats, in the middle; the downbeat of a phrase; and the same in the latter half of its last bar.
DOWNBEAT, BACK, BEAT, BETWEEN, ELSEWHERE, OPENING, LAST_BACK, LAST_BETWEEN, LAST_ELSEWHERE = range(9)
# Of ten thousand strokes of human drummers and of bands, how many are of each group at each place: those that are the
# lowest of their moment, and the others. The output of `python train/recall.py SHARDS --drums`.
STROKES = np.array([
    [[308, 18, 1, 29, 5, 6, 12, 13, 9],
     [218, 496, 27, 119, 20, 33, 4, 56, 17],
     [216, 99, 7, 128, 23, 19, 1, 40, 11],
     [563, 275, 20, 433, 77, 108, 6, 99, 45],
     [499, 471, 33, 474, 22, 130, 3, 76, 110],
     [128, 12, 1, 9, 2, 8, 5, 3, 3],
     [31, 60, 3, 21, 3, 6, 1, 5, 3],
     [76, 46, 3, 34, 8, 17, 1, 10, 5],
     [92, 77, 5, 43, 4, 31, 1, 6, 14]],
    [[10, 27, 2, 157, 39, 20, 56, 82, 20],
     [5, 122, 16, 361, 93, 60, 97, 171, 52],
     [9, 39, 3, 147, 43, 39, 35, 86, 16],
     [22, 77, 6, 329, 78, 96, 18, 144, 73],
     [21, 127, 6, 258, 24, 33, 9, 64, 101],
     [5, 9, 1, 56, 21, 15, 46, 31, 7],
     [1, 22, 2, 40, 13, 13, 16, 20, 8],
     [4, 16, 0, 43, 17, 20, 4, 14, 10],
     [5, 23, 1, 35, 5, 10, 2, 8, 16]],
])  # fmt: skip
USUAL = STROKES.sum((0, 1)) / STROKES.sum()  # the same anywhere, as shares
OWN = 0.5  # how far people's odds are divided by how often they strike each drum at all, as the model knows that itself
# How much more these odds count in bars of three: our model has heard few, and plays four beats over them.
IN_THREE = 3.0
# What is added to the logits of pitches, by whether something lower is struck at that moment, by place and by pitch:
# the log odds of each drum there, less OWN times its log odds anywhere.
_THERE, _ANYWHERE = STROKES + 1, (STROKES + 1).sum(1, keepdims=True)
_ODDS, _USUAL = (strokes / strokes.sum(2, keepdims=True) for strokes in (_THERE, _ANYWHERE))
LIKELY = (np.log(_ODDS) - OWN * np.log(_USUAL))[..., GROUP_OF]


def shares(pitches: np.ndarray) -> np.ndarray:
    """(9,) the share of each group in some strokes."""
    return np.bincount(GROUP_OF[pitches], minlength=len(USUAL)) / max(len(pitches), 1)


def places_of(
    times: np.ndarray, beats: np.ndarray, first: float | None = None, *, in_thirds: bool = False
) -> np.ndarray:
    """(N,) the kind of place in the bar (DOWNBEAT ...) that each time is nearest to, in quarters of a beat; -1 where no
    bar is known. beats: (B, 3) onset, number in the bar and length, in the unit of the times. Back beats are the second
    and fourth of four (every other beat of an even bar), and the second and third of three; a bar of one beat has no
    places. first: the time at which the music begins, and phrases with the bar that is nearest; None where no phrases
    are known. in_thirds: eighths are thirds of a beat, as in 6/8, and the places lie in sixths of it."""
    bars = np.flatnonzero(beats[:, 1] == 0)
    if len(bars) < 2:
        return np.full(len(times), -1)
    beat = np.searchsorted(beats[:, 0], times, side="right") - 1
    parts = 6 if in_thirds else 4
    later, part = np.divmod(np.rint(parts * (times - beats[beat, 0]) / beats[beat, 2]).astype(int), parts)
    beat += later
    bar = np.searchsorted(bars, beat, side="right") - 1
    inside = (bar >= 0) & (bar < len(bars) - 1)
    bar = np.clip(bar, 0, len(bars) - 2)
    number, size = beat - bars[bar], np.diff(bars)[bar]
    back = np.where(size == 3, number > 0, (size % 2 == 0) & (number % 2 == 1))
    out = np.select([part % 2 > 0, part > 0, number == 0, back], [ELSEWHERE, BETWEEN, DOWNBEAT, BACK], BEAT)
    if first is not None:
        bar = (bar - abs(beats[bars, 0] - first).argmin()) % PHRASE
        out[(bar == 0) & (out == DOWNBEAT)] = OPENING
        last = (bar == PHRASE - 1) & (2 * number >= size)
        for place, in_last in ((BACK, LAST_BACK), (BETWEEN, LAST_BETWEEN), (ELSEWHERE, LAST_ELSEWHERE)):
            out[last & (out == place)] = in_last
    return np.where(inside & (size > 1), out, -1)


def rows_of(beats: Notes) -> np.ndarray:
    """(B, 3) beats as `places_of` takes them, in seconds."""
    return np.stack([beats.onset, beats.pitch, beats.duration], axis=1)


def count(drums: np.ndarray, beats: np.ndarray, first: float | None = None) -> np.ndarray:
    """(2, 9, 9) strokes as in STROKES, of drums (N, 2): onset and pitch. first: see `places_of`."""
    place, out = places_of(drums[:, 0], beats, first), np.zeros(STROKES.shape)
    beat = np.searchsorted(beats[:, 0], drums[:, 0], side="right") - 1
    moment = beat * 4 + np.rint(4 * (drums[:, 0] - beats[beat, 0]) / beats[beat, 2])
    order = np.lexsort((drums[:, 1], moment))
    order = order[place[order] >= 0]
    lowest = np.append(True, np.diff(moment[order]) > 0)[: len(order)]
    np.add.at(out, (1 - lowest, place[order], GROUP_OF[drums[order, 1].astype(int)]), 1)
    return out
