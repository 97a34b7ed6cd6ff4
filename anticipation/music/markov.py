"""Markov: how likely each chord is under a melody, beat by beat, by a hidden Markov model counted from songs whose
chords people have named. A second opinion beside the network of chords; live it is the only one, as it takes no
time. Knows notes and chords; knows no streams and no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..errors import CheckpointError
from .grid import edges_of
from .harmony import NO_CHORD, chord_at, chroma, classes_at_once, transposed
from .keys import key_odds, shift_to_c
from .notes import Notes

PLACES = 4  # places in the bar that have moves of their own; a fifth has the first one's
# Notes that sound together tell more of the chord than a tune does: each pitch class beyond the first, up to MOST at
# a time, adds TELLING times the weight.
TELLING, MOST = 4.0, 3.0
FULL = 0.15  # seconds of sound in a beat; less than that counts for less
# Pseudo-counts, in beats: of each chord's share of all chords, beside the moves that were counted, and of what chords
# of its quality sound like, beside what was heard over the chord itself.
RARE, KIND = 20.0, 60.0
MODULATES = 0.003  # the probability that a beat begins anew, in any key
FILE = "harmony.safetensors"


@dataclass(frozen=True)
class Markov:
    """moves: (PLACES, chords, chords) probability of the next beat's chord, by that beat's place in the bar. heard:
    (chords, 12) probability of each pitch class over a chord. first: (chords,). All in C major or A minor."""

    moves: np.ndarray
    heard: np.ndarray
    first: np.ndarray

    @classmethod
    def count(cls, songs: Iterable[tuple[Notes, Notes, float]]) -> Markov:
        """Counted from songs: each its melody, its BEAT and CHORD notes, and its weight."""
        moves, heard = np.zeros((PLACES, NO_CHORD, NO_CHORD)), np.zeros((NO_CHORD, 12))
        for melody, chart, weight in songs:
            beats, shift = chart.beats, shift_to_c(melody)
            chords = chart.chords.transpose(shift)
            symbols = chord_at(chords, beats.onset + 0.3 * beats.duration)
            named = (symbols >= 0) & (symbols < NO_CHORD)
            both = named[1:] & named[:-1]
            np.add.at(moves, (beats.pitch[1:][both] % PLACES, symbols[:-1][both], symbols[1:][both]), weight)
            np.add.at(heard, symbols[named], weight * _shares(melody.transpose(shift), edges_of(beats))[named])
        first = moves.sum((0, 1)) + 0.5
        first /= first.sum()
        moves += RARE * first + 1e-6
        kinds = np.ones((NO_CHORD // 12, 12))  # what is heard over chords of a quality, from their roots up
        for symbol, tones in enumerate(heard):
            kinds[symbol // 12] += np.roll(tones, -(symbol % 12))
        kinds *= KIND / kinds.sum(1, keepdims=True)
        heard += [np.roll(kinds[symbol // 12], symbol % 12) for symbol in range(NO_CHORD)]
        return cls(moves / moves.sum(2, keepdims=True), heard / heard.sum(1, keepdims=True), first)

    def odds(self, melody: Notes, edges: np.ndarray, places: np.ndarray, first: int = 0) -> np.ndarray:
        """(N - first, chords) probability of each chord between two edges (N + 1, seconds), from the `first` that is
        asked for, by the whole melody, which may modulate. places: (N,) in the bar. The forward-backward algorithm
        (Rabiner 1989) over chords and all twelve keys. Which key it begins in is also told by how the notes follow one
        another: where they are few, that says more than their chords."""
        harmony = np.clip(classes_at_once(melody, edges), 1.0, MOST)[:, None] - 1.0
        shares, places = _shares(melody, edges) * (1.0 + TELLING * harmony), np.asarray(places) % PLACES
        heard = np.stack([np.roll(shares, -key, axis=1) for key in range(12)], axis=1)  # (N, 12 keys, 12)
        likely = heard @ np.log(self.heard).T
        likely = np.exp(likely - likely.max((1, 2), keepdims=True))
        before, after = likely.copy(), np.ones_like(likely)
        before[0] *= key_odds(melody)[:, None] * self.first
        for i in range(1, len(likely)):
            last = before[i - 1] / before[i - 1].sum()
            before[i] *= (1 - MODULATES) * (last @ self.moves[places[i]]) + MODULATES / 12 * self.first
        for i in range(len(likely) - 2, first - 1, -1):
            next_ = likely[i + 1] * after[i + 1]
            next_ /= next_.sum()
            moved = next_ @ self.moves[places[i + 1]].T
            after[i] = (1 - MODULATES) * moved + MODULATES / 12 * (next_ @ self.first).sum()
        odds = before[first:] * after[first:]
        odds /= odds.sum((1, 2), keepdims=True)
        return np.sum([transposed(odds[:, key], key) for key in range(12)], axis=0)

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays that `load` reads, by name."""
        parts = {"moves": self.moves, "heard": self.heard, "first": self.first}
        return {name: part.astype(np.float32) for name, part in parts.items()}

    @classmethod
    def load(cls, path: Path) -> Markov:
        """Raises CheckpointError."""
        try:
            stored = load_file(path)
            parts = [stored[name].astype(np.float64) for name in ("moves", "heard", "first")]
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path} holds no chords of songs, or is broken ({error})") from None
        shapes = [(PLACES, NO_CHORD, NO_CHORD), (NO_CHORD, 12), (NO_CHORD,)]
        if [part.shape for part in parts] != shapes or not all(np.isfinite(p).all() and (p > 0).all() for p in parts):
            raise CheckpointError(f"{path} is broken: it does not hold the odds of {NO_CHORD} chords")
        return cls(*parts)


def _shares(melody: Notes, edges: np.ndarray) -> np.ndarray:
    """(N, 12) how much each pitch class is heard between two edges: together 1 where enough is heard, else less."""
    seconds = chroma(melody, edges)
    return seconds / np.maximum(seconds.sum(1, keepdims=True), FULL)
