"""Sharing: which of several parts of one instrument plays each new note: of two hands at a piano, first and second
violin, the voices of a choir. Knows notes; draws nothing."""

from __future__ import annotations

import numpy as np

from ..music.notes import DRUMS, LEGATO, TOGETHER, Notes, at_once

# Chosen on two thirds of the held-out files, proved on the others (train/LOG.md, "Whose notes are they").
AROUND, FEW = 30.0, 4  # a part is known by its notes within so many seconds, or by all if those are fewer than so many
NEAR, CLOSE = 4.0, 3.0  # seconds and semitones over which the likeness of two notes decays (`_unlike`)
FAINT = 1e-3  # likeness of a note to a part that plays nothing of the kind; a note of its pitch and time adds 1
SPAN = 14  # semitones that one hand can hold
# What it costs, in nats, that a part moves by a semitone (an octave at most is counted), stretches by a semitone more
# than SPAN, sounds one note more than it ever does, or sounds below a part that is higher.
STEP, STRETCH, THICKER, CROSSED = 0.15, 0.5, 6.0, 1.0
BEAM = 32  # partial solutions that the search keeps


def share(notes: Notes, parts: list[Notes]) -> np.ndarray:
    """(N,) the index of the part that plays each of N notes of one instrument. parts: what is known of each of K parts.

    A note costs a part the less, the more its known notes are like it in time and pitch; leaps, stretches, thick chords
    and crossed parts cost extra, beside the known notes too. A beam search from note to note finds the cheapest way to
    share them out. But where the parts' own notes begin at just the same times as the new ones (a rhythm that is kept),
    each part gets the answers to its own, chords in order of pitch.
    """
    if not len(notes) or len(parts) < 2:
        return np.zeros(len(notes), np.int64)
    if (answers := _answers(notes, parts)) is not None:
        return answers
    start, end = notes.onset.min(), notes.onset.max()
    near = [part.between(start - AROUND, end + AROUND) for part in parts]
    near = [some if len(some) >= FEW else part for some, part in zip(near, parts, strict=True)]
    unlike = np.stack([_unlike(notes, part) for part in near], axis=1)
    if notes.instrument[0] == DRUMS:
        return unlike.argmin(1)
    beside = [part[(part.offset - LEGATO > start) & (part.onset <= end)] for part in near]
    surely = np.where(np.eye(len(parts), dtype=bool), 0.0, np.inf)
    cost = np.concatenate([unlike, *(np.tile(row, (len(own), 1)) for row, own in zip(surely, beside, strict=True))])
    pitch, onset, offset = (
        np.concatenate([getattr(some, column) for some in (notes, *beside)]) for column in ("pitch", "onset", "offset")
    )
    order = np.lexsort((pitch, onset))
    out = np.zeros(len(order), np.int64)
    out[order] = _best(pitch[order], onset[order], offset[order] - LEGATO, cost[order], near)
    return out[: len(notes)]


def _answers(notes: Notes, parts: list[Notes]) -> np.ndarray | None:
    """(N,) the part whose note each new one answers, if the new notes begin when the parts' notes do; else None."""
    whose = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    onset, pitch = (np.concatenate([getattr(part, column) for part in parts]) for column in ("onset", "pitch"))
    old, new = np.lexsort((pitch, onset.round(6))), np.lexsort((notes.pitch, notes.onset.round(6)))
    if len(old) != len(new) or not np.allclose(onset[old], notes.onset[new], rtol=0, atol=1e-5):
        return None
    out = np.zeros(len(notes), np.int64)
    out[new] = whose[old]
    return out


def _best(pitch: np.ndarray, onset: np.ndarray, end: np.ndarray, cost: np.ndarray, parts: list[Notes]) -> np.ndarray:
    """(N,) the parts of notes in order of time at the lowest total cost, by beam search. end: when each note ends,
    seconds. cost: (N, K) nats of each note by itself. parts: their known notes."""
    most = np.array([max(1, at_once(part)) for part in parts])
    height = np.array([np.median(part.pitch) if len(part) else np.nan for part in parts])
    above = (height[:, None] > height).astype(float)
    lowest, highest, when = _last(parts, onset[0])
    total, pick = np.zeros(1), np.zeros((1, len(pitch)), np.int16)
    for i, (key, now) in enumerate(zip(pitch.tolist(), onset.tolist(), strict=True)):
        held = np.flatnonzero(end[:i] > now)
        whose = pick[:, held, None] == np.arange(len(parts))
        step = pitch[held, None] - key
        leap = np.clip(np.fmax(lowest - key, key - highest), 0, 12)
        stretch = (whose * abs(step)).max(1, initial=0) - SPAN
        crossed = (whose & (step < 0)).sum(1) @ above + (whose & (step > 0)).sum(1) @ above.T
        more = STEP * leap + STRETCH * np.maximum(stretch, 0) + CROSSED * crossed
        more += cost[i] + THICKER * np.maximum(whose.sum(1) + 1 - most, 0)
        every = (total[:, None] + more).ravel()
        best = np.argsort(every, kind="stable")[: min(BEAM, np.isfinite(every).sum())]
        way, part = np.divmod(best, len(parts))
        total, pick, rows = every[best], pick[way], np.arange(len(best))
        lowest, highest, when = lowest[way], highest[way], when[way]
        chord = when[rows, part] >= now - TOGETHER
        lowest[rows, part] = np.where(chord, np.minimum(lowest[rows, part], key), key)
        highest[rows, part] = np.where(chord, np.maximum(highest[rows, part], key), key)
        pick[:, i], when[rows, part] = part, now
    return pick[0]


def _unlike(notes: Notes, part: Notes) -> np.ndarray:
    """(N,) nats that each note costs a part: minus the logarithm of how like it is to the part's own notes."""
    close = 0.1 if len(notes) and notes.instrument[0] == DRUMS else CLOSE
    like = np.full(len(notes), FAINT)
    for at in range(0, len(notes), 512):  # or a long piece would fill the memory
        some = slice(at, at + 512)
        away = abs(notes.onset[some, None] - part.onset) / NEAR
        like[some] += np.exp(-away - ((notes.pitch[some, None] - part.pitch) / close) ** 2 / 2).sum(1)
    return -np.log(like)


def _last(parts: list[Notes], start: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(1, K) the lowest and the highest pitch of what each part plays last before a time (seconds), and when that is.
    For a part that plays nothing before it no pitch is a leap."""
    lowest, highest, when = (np.full((1, len(parts)), value) for value in (127.0, 0.0, -np.inf))
    for k, part in enumerate(parts):
        before = part.onset[part.onset < start]
        if len(before):
            last = part.pitch[: len(before)][before >= before[-1] - TOGETHER]
            lowest[0, k], highest[0, k], when[0, k] = last.min(), last.max(), before[-1]
    return lowest, highest, when
