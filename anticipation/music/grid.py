"""The grid of beats: where notes stand among the beats, whether they keep to them, and how they divide them. Knows
notes and beats; knows no ticks."""

from __future__ import annotations

import numpy as np

from .notes import Notes
from .tempo import DIVISIONS, EARLY

NEAR = 1 / 30  # of a beat that a note may be off its place
FINEST = 24  # parts of a beat: the finest division that notes are typed in by
TYPED = 1 / 240  # of a beat that notes may be off their places if they were typed in and not played
SMALL = (9, 12)  # parts of a beat in typed music: triplets of sixteenths in six-eight, sextuplets
SMALLEST = 16  # parts of a beat: sixty-fourths, to which some programs move everything that is played
MOST, ALL = 0.4, 0.95  # shares of the onsets that have to be on SMALL, and on SMALL or SMALLEST; the rest are ornaments
FEW = 8  # onsets; the mean phase of fewer says little
CHANCE = 0.03  # probability by which fewer onsets may be so near to a grid by chance
LATENCY = 0.06  # seconds by which everything that is played to a click may be ahead of it or behind it
# Share of the onsets on odd sixteenths beyond which the beats begin a sixteenth off: none of 1,409 files has more, but
# of the POP909 files whose notes keep to sixteenths of their beats a quarter (train/LOG.md).
ODD = 5 / 6
SURE = 6.0  # nats: how unlikely by chance the phases of late music have to be (Rayleigh's test)


def nearest(times: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N,) the index of the place (ascending, at least one) that is nearest to each time; of two equally near the
    earlier."""
    return np.searchsorted((places[1:] + places[:-1]) / 2, times)


def ranges(first: np.ndarray | int, count: np.ndarray) -> np.ndarray:
    """(sum of count,) first[i], first[i] + 1, ...: for each i in turn so many numbers as count[i] (N,) says."""
    return np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)


def position(times: np.ndarray, beats: Notes) -> np.ndarray:
    """Beats since the first beat, fractions included, of times in seconds. Before the first beat and after the last one
    time goes on at their tempo. Needs at least one beat."""
    i = np.maximum(np.searchsorted(beats.onset, times, side="right") - 1, 0)
    return i + (times - beats.onset[i]) / beats.duration[i]


def moment(when: np.ndarray, beats: Notes) -> np.ndarray:
    """Seconds of positions in beats: the inverse of `position`."""
    i = np.clip(np.floor(when).astype(np.int64), 0, len(beats) - 1)
    return beats.onset[i] + (when - i) * beats.duration[i]


def edges_of(beats: Notes) -> np.ndarray:
    """(N + 1,) seconds at which N beats begin, and the last one ends."""
    return np.append(beats.onset, beats.end)


def middle(edges: np.ndarray) -> np.ndarray:
    """(N,) halfway between each two of N + 1 edges (seconds)."""
    return (edges[:-1] + edges[1:]) / 2


def lag_of(notes: Notes, beats: Notes) -> float | None:
    """By how many seconds the onsets are behind the beats that they keep to: negative where they are ahead, 0 where it
    is too little to matter, None where they do not keep to the beats.

    They keep to sixteenths, or to thirds as swung and triple music does, if the mean of their phases (a complex number)
    is long enough and points forward. Music that was played without a click fails this, and so does a grid that begins
    at the wrong moment; one that begins a sixteenth off is told by notes on odd sixteenths alone (ODD). Typed music may
    use finer and mixed divisions (`_typed`). Drummers are some 30 ms ahead of a click and recordings come late, but
    then every onset is so by the same time (`_late`). Fewer than FEW onsets all have to lie nearer to the grid than
    they would by chance.
    """
    when = position(notes.onset, beats) if len(beats) else np.zeros(0)
    when = when[when >= 0]
    if not len(when):
        return None
    if len(when) < FEW:
        off = [division * _off(when, (division,)).max() for division in (4, 3)]
        return 0.0 if min(off) * 2 < CHANCE ** (1 / len(when)) else None
    if _resultant(when, 2).real < 1 - 2 * ODD:
        return None
    several = [(division, _resultant(when, division), enough) for division, enough in ((4, 0.3), (3, 0.5))]
    if any(abs(mean) > enough and abs(np.angle(mean)) < np.pi / 3 for _, mean, enough in several) or _typed(when):
        return 0.0
    beat = float(np.median(beats.duration[np.minimum(when.astype(int), len(beats) - 1)]))
    sure = np.sqrt(SURE / len(when))  # by Rayleigh's test
    late = (_late(when, division, beat) for division, mean, enough in several if abs(mean) > max(enough, sure))
    return next((lag for lag in late if lag is not None), None)


def _resultant(when: np.ndarray, division: int) -> complex:
    """The mean phase of onsets within the parts of a beat, as a complex number whose length says how alike they are."""
    return complex(np.exp(2j * np.pi * division * when).mean())


def _typed(when: np.ndarray) -> bool:
    """Whether the onsets are exactly on small parts of beats, as nobody plays them, and not just on the smallest ones.
    (The phases of running sixteenths in six-eight cancel in `_resultant`.) No place may have twice as many onsets as
    the beat itself: then the beats begin at the wrong moment."""
    small, smallest = (_off(when, several) < TYPED for several in (SMALL, (SMALLEST,)))
    count = np.bincount(np.rint(when * FINEST).astype(np.int64) % FINEST)
    return bool(np.mean(small) > MOST and np.mean(small | smallest) > ALL and 2 * count[0] > count.max())


def _off(when: np.ndarray, several: tuple[int, ...]) -> np.ndarray:
    """(N,) distance in beats from each onset to the nearest place of any of several divisions of the beat."""
    return np.min([abs((division * when + 0.5) % 1 - 0.5) / division for division in several], axis=0)


def _late(when: np.ndarray, division: int, beat: float) -> float | None:
    """By how many seconds all onsets are behind the parts of a beat, if that is a latency: below LATENCY and a third of
    a part, and the same for parts twice as long (or three times, of thirds); if not, the beats begin elsewhere."""
    turn = float(np.angle(_resultant(when, division))) / (2 * np.pi * division)  # beats
    agree = _resultant(when - turn, division // 2).real > 0
    return turn * beat if agree and abs(turn) * beat < LATENCY and abs(turn) * division < 1 / 3 else None


def on_grid(notes: Notes, beats: Notes) -> bool:
    """Whether the onsets keep to the beats, see `lag_of`."""
    return lag_of(notes, beats) is not None


def cut(notes: Notes, beats: Notes, *times: float) -> list[float]:
    """Where music is to be cut for some times (seconds). A time that is a beat is moved to where that beat is played
    (`lag_of`), and on to the first of the notes that are a little early for it. Other times stay."""
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
    """How far behind a part of a beat typed notes end, in beats: the same for most of them, be it right on it (0) or a
    few ticks before (negative). None where the notes were played."""
    if not len(notes) or not len(beats):
        return None
    off = (position(notes.offset, beats) * FINEST + 0.5) % 1 - 0.5
    values, count = np.unique(off.round(3), return_counts=True)
    usual = float(values[count.argmax()])
    apart = abs((off - usual + 0.5) % 1 - 0.5)
    return usual / FINEST if np.mean(apart < TYPED * FINEST) > 0.5 else None


def usual_division(notes: Notes, beats: Notes, divisions: np.ndarray) -> int:
    """The column of `divisions` by which the onsets divide the beats: the one that explains the most onsets beyond
    chance. divisions: (len(beats), K) into how many parts each beat may be divided, see TempoMap.divisions."""
    when = position(notes.onset, beats)
    when = when[when >= 0]
    if not len(when):
        return 0
    division = divisions[np.minimum(when.astype(int), len(beats) - 1)]
    off = abs(when[:, None] - np.rint(when[:, None] * division) / division)
    return int(np.mean((off < NEAR) - 2 * NEAR * division, axis=0).argmax())


def division_of(notes: Notes, beats: Notes) -> int:
    """Into how many parts (4, 6 or 8) the onsets divide beats that are quarters."""
    return DIVISIONS[usual_division(notes, beats, np.tile(DIVISIONS, (len(beats), 1)))]


def divided(beats: Notes, division: int | np.ndarray) -> np.ndarray:
    """Seconds of the places of every beat. division: into how many parts a beat is divided, or each of the beats is."""
    several = np.broadcast_to(division, len(beats))
    return np.repeat(beats.onset, several) + np.repeat(beats.duration / several, several) * ranges(0, several)


def places(notes: Notes, beats: Notes, division: int | np.ndarray | None = None) -> np.ndarray:
    """Seconds, ascending, where new notes may begin so that they go with `notes`: wherever one of those begins, and at
    the places of the beats' division (a number of parts, or one for each beat; by default `division_of` the notes), but
    for places within a twelfth of a beat of a note."""
    division = division_of(notes, beats) if division is None else division
    grid = divided(beats, division)
    near = np.repeat(beats.duration / 12, division)
    onset = np.unique(notes.onset)
    if len(onset):
        grid = grid[abs(onset[nearest(grid, onset)] - grid) > near]
    return np.sort(np.append(grid, onset))
