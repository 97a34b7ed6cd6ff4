"""The grid of beats: where notes stand on it, whether they keep to it, how they divide it. Knows notes and beats; knows
no ticks."""

from __future__ import annotations

import numpy as np

from .notes import Notes
from .tempo import EARLY, PARTS

NEAR = 1 / 30  # of a beat: what a note may be off its place
FINEST = 24  # parts of a beat: all that notes are typed in by
TYPED = 1 / 240  # of a beat that notes may differ by where nobody played them
SMALL = (9, 12)  # parts of a beat: triplets of sixteenths in six-eight, sextuplets
SMALLEST = 16  # sixty-fourths, to which some programs move all that is played
MOST, ALL = 0.4, 0.95  # of the onsets; the rest are ornaments
FEW = 8  # onsets, whose phases have no mean to speak of
CHANCE = 0.03  # that few onsets are as near to a grid as they are
LATENCY = 0.06  # seconds that all of what is played to a click may be ahead of it or behind it
SURE = 6.0  # nats: how much less likely than that by chance


def nearest(times: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N,) the index of the place (ascending, one at least) that each time is nearest to; half way, of the earlier."""
    return np.searchsorted((places[1:] + places[:-1]) / 2, times)


def position(times: np.ndarray, beats: Notes) -> np.ndarray:
    """Beats since the first one began; before it and behind the last one at their tempo. There is a beat at least."""
    i = np.maximum(np.searchsorted(beats.onset, times, side="right") - 1, 0)
    return i + (times - beats.onset[i]) / beats.duration[i]


def moment(when: np.ndarray, beats: Notes) -> np.ndarray:
    """Seconds of so many beats since the first one began: `position`, the other way round."""
    i = np.clip(np.floor(when).astype(np.int64), 0, len(beats) - 1)
    return beats.onset[i] + (when - i) * beats.duration[i]


def edges_of(beats: Notes) -> np.ndarray:
    """(N + 1,) seconds where beats begin, and the last one ends."""
    return np.append(beats.onset, beats.end)


def lag_of(notes: Notes, beats: Notes) -> float | None:
    """How far onsets are behind the beats they keep to, seconds: negative where they are ahead, 0 where that is little,
    None where they keep to none.

    They keep to sixteenths, or to thirds as swung and triple ones do, if the resultant of their phases is long enough
    and points forward: performances without a click do not, nor do grids that start at the wrong moment. What was typed
    in may be finer, and of several kinds (`_typed`). Drummers are some 30 ms ahead of a click, and recordings come
    late: then all are (`_late`). Few onsets have to be all so near that chance would hardly do it.
    """
    when = position(notes.onset, beats) if len(beats) else np.zeros(0)
    when = when[when >= 0]
    if not len(when):
        return None
    if len(when) < FEW:
        off = [parts * _off(when, (parts,)).max() for parts in (4, 3)]
        return 0.0 if min(off) * 2 < CHANCE ** (1 / len(when)) else None
    several = [(parts, _resultant(when, parts), enough) for parts, enough in ((4, 0.3), (3, 0.5))]
    if any(abs(mean) > enough and abs(np.angle(mean)) < np.pi / 3 for _, mean, enough in several) or _typed(when):
        return 0.0
    beat = float(np.median(beats.duration[np.minimum(when.astype(int), len(beats) - 1)]))
    sure = np.sqrt(SURE / len(when))  # by Rayleigh's test
    late = (_late(when, parts, beat) for parts, mean, enough in several if abs(mean) > max(enough, sure))
    return next((lag for lag in late if lag is not None), None)


def _resultant(when: np.ndarray, parts: int) -> complex:
    """The mean of phases in parts of a beat: as long as they are alike."""
    return complex(np.exp(2j * np.pi * parts * when).mean())


def _typed(when: np.ndarray) -> bool:
    """Whether onsets are right on small parts of beats, as nobody plays them, and not all on the smallest: phases of
    running sixteenths in six-eight cancel. Where beats begin at the wrong moment other places have far more onsets than
    the beat."""
    small, smallest = (_off(when, parts) < TYPED for parts in (SMALL, (SMALLEST,)))
    count = np.bincount(np.rint(when * FINEST).astype(np.int64) % FINEST)
    return bool(np.mean(small) > MOST and np.mean(small | smallest) > ALL and 2 * count[0] > count.max())


def _off(when: np.ndarray, several: tuple[int, ...]) -> np.ndarray:
    """(N,) parts of a beat from each onset to the next place of any of several divisions of it."""
    return np.min([abs((parts * when + 0.5) % 1 - 0.5) / parts for parts in several], axis=0)


def _late(when: np.ndarray, parts: int, beat: float) -> float | None:
    """How far all are behind parts of a beat, seconds, if that is a latency, a third of a part at most, and parts that
    are twice (of thirds, three times) as long have them as far behind: else the beats begin elsewhere."""
    turn = float(np.angle(_resultant(when, parts))) / (2 * np.pi * parts)  # beats
    agree = _resultant(when - turn, parts // 2).real > 0
    return turn * beat if agree and abs(turn) * beat < LATENCY and abs(turn) * parts < 1 / 3 else None


def on_grid(notes: Notes, beats: Notes) -> bool:
    """Whether the onsets keep to the beats, see `lag_of`."""
    return lag_of(notes, beats) is not None


def cut(notes: Notes, beats: Notes, *times: float) -> list[float]:
    """Where music is cut at some times, seconds: at a beat that the notes keep to where that is played (`lag_of`), or
    before those that are a little early for it; else right there."""
    lag, edges = lag_of(notes, beats), edges_of(beats)
    out = list(times)
    for number, at in enumerate(times):
        i = int(np.searchsorted(edges, at - 1e-3))
        if lag is not None and i < len(edges) and edges[i] <= at + 1e-3:
            played, reach = max(0.0, at + lag), EARLY * beats.duration[max(i - 1, 0)]
            early = notes.onset[(notes.onset > played - reach + 1e-6) & (notes.onset < played)]
            out[number] = float(early.min(initial=played))
    return out


def gap_of(notes: Notes, beats: Notes) -> float | None:
    """How far behind the parts of a beat notes end that were typed in, in beats: all alike, be it right there or a tick
    before (negative). None where they were played."""
    if not len(notes) or not len(beats):
        return None
    off = (position(notes.offset, beats) * FINEST + 0.5) % 1 - 0.5
    values, count = np.unique(off.round(3), return_counts=True)
    usual = float(values[count.argmax()])
    apart = abs((off - usual + 0.5) % 1 - 0.5)
    return usual / FINEST if np.mean(apart < TYPED * FINEST) > 0.5 else None


def way_of(notes: Notes, beats: Notes, ways: np.ndarray) -> int:
    """Which of several ways the onsets divide the beats, whichever explains most more of them than chance. ways:
    (len(beats), K) parts of each beat, see TempoMap.ways."""
    when = position(notes.onset, beats)
    when = when[when >= 0]
    if not len(when):
        return 0
    parts = ways[np.minimum(when.astype(int), len(beats) - 1)]
    off = abs(when[:, None] - np.rint(when[:, None] * parts) / parts)
    return int(np.mean((off < NEAR) - 2 * NEAR * parts, axis=0).argmax())


def parts_of(notes: Notes, beats: Notes) -> int:
    """Into how many parts the onsets divide beats that are quarters: 4, 6 or 8."""
    return PARTS[way_of(notes, beats, np.tile(PARTS, (len(beats), 1)))]


def divided(beats: Notes, parts: int | np.ndarray) -> np.ndarray:
    """Seconds where a beat divided by `parts` (of all beats, or of each) has its places, beat by beat."""
    several = np.broadcast_to(parts, len(beats))
    place = np.arange(several.sum()) - np.repeat(np.cumsum(several) - several, several)
    return np.repeat(beats.onset, several) + np.repeat(beats.duration / several, several) * place


def places(notes: Notes, beats: Notes, parts: int | np.ndarray | None = None) -> np.ndarray:
    """Seconds, ascending, where notes that go with `notes` may begin: with one of them, and where a beat divided by
    `parts` (of all beats, or of each; by default `parts_of` the notes) has a place that none of them is nearer to than
    a twelfth of a beat."""
    parts = parts_of(notes, beats) if parts is None else parts
    grid = divided(beats, parts)
    near = np.repeat(beats.duration / 12, parts)
    onset = np.unique(notes.onset)
    if len(onset):
        grid = grid[abs(onset[nearest(grid, onset)] - grid) > near]
    return np.sort(np.append(grid, onset))
