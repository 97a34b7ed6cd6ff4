"""What makes two pieces the same music: prints that survive transposition and a change of tempo, and groups by them.

Knows notes; knows no files and no shards. A print is a bottom-k sketch (Broder 1997) of a piece's shingles, which are
hashes of short runs of notes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from ..music.notes import DRUMS, Notes, strikes

SKETCH = 128  # values of a print
EMPTY = np.uint32(0xFFFFFFFF)  # pads the print of a piece that has fewer shingles
SHINGLE = 8  # steps of a line, each from one onset to the next
FEWEST = 24  # shingles below which a piece is too short to be like another
LEAST = 8  # values that two prints have in common to be compared
# Share of common shingles from which on two pieces are takes of one, or copies of one take. POP909, which knows which
# files are one song, bears out the first (train/LOG.md, "Copies and takes").
ALIKE, COPY = 0.3, 0.9
RARE = 12  # a shingle that more pieces have (in a small corpus more than 2 % of them) is an idiom and says nothing
PASSAGE, QUOTED = 20, 0.1  # common rare shingles, and their share of the smaller piece's, that make two pieces related
SLICES = 16  # of all shingles; one of them is sorted at a time


def tune_hash(notes: Notes) -> str:
    """A hash that is equal for two pieces with the same onsets (relative to the first), pitches and drums."""
    notes = notes.audible
    steps = np.rint((notes.onset - notes.onset.min()) * 100).astype(np.int64)
    table = np.stack([steps, notes.pitch, notes.instrument == DRUMS], 1)
    return hashlib.sha256(table[np.lexsort(table.T[::-1])].tobytes()).hexdigest()


def _shingles(steps: np.ndarray, whole: np.ndarray, length: int) -> np.ndarray:
    """Distinct hashes (uint32, ascending) of `length` neighbouring steps (N,), where all of them are `whole` (N,)."""
    count = len(steps) - length + 1
    if count <= 0:
        return np.zeros(0, np.uint32)
    hashes, good = np.zeros(count, np.uint64), np.ones(count, bool)
    varied = np.zeros(count, bool)  # a repeated note, or a chromatic scale, is in every piece
    for i in range(length):
        hashes = (hashes ^ steps[i : i + count].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
        good &= whole[i : i + count]
        varied |= steps[i : i + count] != steps[:count]
    return np.unique((hashes[good & varied] >> np.uint64(32)).astype(np.uint32))


def _grouped(notes: Notes) -> np.ndarray:
    """True (N,) where a note starts something: it is later than the note before it, or another instrument's."""
    return strikes(notes.onset) | (np.diff(notes.instrument, prepend=-1) != 0)


def line_shingles(notes: Notes) -> np.ndarray:
    """Shingles of the upper line of every part: runs of its intervals. Of drums alone: runs of the drums struck and of
    the ratios of the times between them."""
    notes = notes.audible
    pitched = notes.pitched
    if not len(pitched):
        return _drum_shingles(notes)
    order = np.lexsort((pitched.pitch, pitched.onset, pitched.instrument))
    pitched = pitched[order]
    starts = np.flatnonzero(_grouped(pitched))
    top = np.maximum.reduceat(pitched.pitch, starts)
    part = pitched.instrument[starts]
    return _shingles(np.diff(top) + 128, np.diff(part) == 0, SHINGLE)


def _drum_shingles(drums: Notes) -> np.ndarray:
    starts = np.flatnonzero(_grouped(drums))
    if len(starts) < SHINGLE + 2:
        return np.zeros(0, np.uint32)
    hits = np.bitwise_or.reduceat(np.uint64(1) << (drums.pitch % 64).astype(np.uint64), starts)
    ratio = np.rint(np.diff(np.log2(np.diff(drums.onset[starts])))).astype(np.int64) + 32
    steps = hits[1:-1] * np.uint64(0x9E3779B1) + ratio.astype(np.uint64)
    return _shingles(steps, np.ones(len(steps), bool), SHINGLE)


def texture(notes: Notes) -> np.ndarray:
    """Shingles of all pitched notes, each onset read from its lowest to its highest; for drums alone those of
    `line_shingles`."""
    pitched = notes.pitched
    if not len(pitched):
        return line_shingles(notes)
    onset = np.cumsum(strikes(pitched.onset))
    pitch = pitched.pitch[np.lexsort((pitched.pitch, onset))]
    return _shingles(np.diff(pitch) + 128, np.ones(len(pitch) - 1, bool), SHINGLE)


def sketch(shingles: np.ndarray) -> np.ndarray:
    """The print (SKETCH,) of a sorted set of shingles: the smallest ones."""
    out = np.full(SKETCH, EMPTY, np.uint32)
    out[: len(shingles)] = shingles[:SKETCH]
    return out


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Jaccard similarity of two sorted sets of shingles: estimated from two prints, exact for whole sets."""
    one, other = one[one != EMPTY], other[other != EMPTY]
    size = SKETCH if max(len(one), len(other)) == SKETCH else None  # a full print leaves out what is larger
    union = np.union1d(one, other)[:size]
    common = np.intersect1d(one, other, assume_unique=True)
    return float(np.isin(common, union, assume_unique=True).sum() / len(union)) if len(union) else 0.0


def likely_pairs(prints: np.ndarray) -> np.ndarray:
    """(pairs, 2) rows of `prints` (N, SKETCH) worth comparing: in the lists of pieces by shingle they are neighbours at
    least LEAST times. This takes time in proportion to the pieces, not their square, however many copies there are of
    one."""
    piece = np.repeat(np.arange(len(prints)), prints.shape[1])
    value = prints.ravel()
    full = (prints != EMPTY).sum(1) >= FEWEST
    keep = (value != EMPTY) & full[piece]
    piece, value = piece[keep], value[keep]
    order = np.lexsort((piece, value))
    piece, value = piece[order], value[order]
    near = [np.zeros(0, np.int64)]
    for step in (1, 2):
        same = value[step:] == value[:-step]
        near.append(piece[:-step][same] * len(prints) + piece[step:][same])
    keys, count = np.unique(np.concatenate(near), return_counts=True)
    return np.stack(np.divmod(keys[count >= LEAST], len(prints)), 1)


def related(shingles: Sequence[np.ndarray]) -> np.ndarray:
    """(pairs, 2) pieces that have rare passages in common, however much longer one of them is: a movement and its
    quartet, a song and an arrangement of it. shingles: those of `line_shingles`, of every piece.

    Hashes are looked at in slices, so that the memory holds little more than the shingles themselves.
    """
    size = np.array([len(own) for own in shingles], np.int64)
    edges = np.linspace(0, 1 << 32, SLICES + 1).astype(np.int64)
    cuts = [np.searchsorted(own, edges) for own in shingles]
    most = min(RARE, max(3, len(size) // 50))
    found = [np.zeros(0, np.int64)]
    for k in range(SLICES):
        own = [one[cut[k] : cut[k + 1]] for one, cut in zip(shingles, cuts, strict=True)]
        value = np.concatenate([np.zeros(0, np.uint32), *own])
        piece = np.repeat(np.arange(len(size)), [len(values) for values in own])
        order = np.argsort(value, kind="stable")
        value, piece = value[order], piece[order]
        _, count = np.unique(value, return_counts=True)
        rare = np.repeat(count <= most, count)
        for i in range(1, most):
            same = rare[i:] & (value[i:] == value[:-i])
            found.append(piece[:-i][same] * len(size) + piece[i:][same])
    keys, common = np.unique(np.concatenate(found), return_counts=True)
    pairs = np.stack(np.divmod(keys[common >= PASSAGE], max(len(size), 1)), 1)
    return pairs[common[common >= PASSAGE] >= QUOTED * size[pairs].min(1)]


class Groups:
    """Which of N things belong together, by union-find. A group is known by its first member."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def __getitem__(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        first, second = sorted((self[i], self[j]))
        self.parent[second] = first

    def join_equal(self, names: Sequence[str | None]) -> None:
        """Join those that have the same name; None is no name."""
        first: dict[str, int] = {}
        for i, name in enumerate(names):
            if name is not None:
                self.join(first.setdefault(name, i), i)


def takes(prints: np.ndarray) -> tuple[Groups, list[tuple[int, int]]]:
    """Pieces (by their N prints) grouped as takes of one piece, and the pairs among them that may be copies of one
    take."""
    groups, copies = Groups(len(prints)), []
    for i, j in likely_pairs(prints).tolist():
        share = overlap(prints[i], prints[j])
        if share >= ALIKE:
            groups.join(i, j)
        if share >= COPY - 0.15:  # an estimate from SKETCH values errs by 0.03; texture() decides
            copies.append((i, j))
    return groups, copies


def is_copy(one: Notes, other: Notes) -> bool:
    """Whether two pieces are the same take, be it transposed, at another tempo, on other instruments, or with a note
    changed."""
    fewer, more = sorted((len(one.audible), len(other.audible)))
    drums = [bool((notes.instrument == DRUMS).any()) for notes in (one, other)]
    return fewer >= COPY * more and drums[0] == drums[1] and overlap(texture(one), texture(other)) >= COPY


def copies_of(pairs: list[tuple[int, int]], notes: Callable[[int], Notes]) -> dict[int, int]:
    """later piece -> the earlier piece that it is a copy of. pairs: to be compared, ascending."""
    found: dict[int, int] = {}
    for i, j in sorted(pairs):
        if j not in found and i not in found and is_copy(notes(i), notes(j)):
            found[j] = i
    return found


def families(pieces: Sequence[Notes]) -> tuple[dict[int, int], Groups]:
    """Of a few pieces: later piece -> the earlier one that it is a copy of, in any key and at any tempo; and which
    belong together, as takes of one piece or as pieces with music in common."""
    shingles = [line_shingles(notes) for notes in pieces]
    groups, pairs = takes(np.reshape([sketch(own) for own in shingles], (-1, SKETCH)))
    for i, j in related(shingles).tolist():
        groups.join(i, j)
    exact, same = Groups(len(pieces)), Groups(len(pieces))
    exact.join_equal([tune_hash(notes) for notes in pieces])
    same.join_equal([texture(notes).tobytes().hex() or None for notes in pieces])  # also the short ones
    pairs += [(same[i], i) for i in range(len(pieces)) if same[i] != i]
    copies = {i: exact[i] for i in range(len(pieces)) if exact[i] != i}
    copies |= copies_of([pair for pair in pairs if not copies.keys() & pair], pieces.__getitem__)
    for i, j in copies.items():
        groups.join(i, j)
    return copies, groups
