"""Harmonist: the chords that live music is likely to move through, recalled anew before every plan, by what was played
and by what will be where the player repeats himself. Knows scenes and counted songs; knows no network."""

from __future__ import annotations

import numpy as np

from .consensus import MEMORY, SONG, consensus, edges_between, recalled
from .grid import divided
from .harmony import chord_notes
from .markov import Markov
from .notes import Notes
from .reprise import reprise
from .scene import Scene, none

CHANGE = 0.03  # what a change costs, in shares of a chord's tones
TOLD = 256  # chords that are remembered


class Harmonist:
    """What was told stays told up to where a plan begins. From the next half beat on (in 6/8 the next third) it gives
    way to what is thought now: a band holds its chord until then, and need not wait for another beat where the player's
    was a surprise."""

    def __init__(self, markov: Markov) -> None:
        self._markov = markov
        self._told: list[tuple[float, float, int]] = []  # (start, end, symbol)
        self._played = none()  # the player's notes and their beats, for longer than a scene has them

    def chords(self, scene: Scene) -> Notes:
        """CHORD notes from the scene's `since` to its end, by all that is known of the player; by the band's own notes
        where he is silent, and none where nobody has played of late. It takes milliseconds."""
        near = (part.between(scene.start - MEMORY, scene.end + MEMORY).pitched for part in (scene.player, scene.own))
        heard = next((part for part in near if len(part)), None)
        if heard is None:
            return none()
        steps = divided(scene.chart.beats, scene.turns)
        begun = steps[steps <= scene.start]
        edges = edges_between(steps, float(begun[-1]) if len(begun) else scene.start, scene.end)
        odds = recalled(self._markov, heard + self._expected(scene) + scene.chart.beats, edges)
        thought = ((on, on + length, symbol) for on, length, symbol, _, _ in consensus(odds, edges, CHANGE))
        turn = float(edges[edges >= scene.start][0]) if self._told else scene.start
        told = [(on, min(off, turn), symbol) for on, off, symbol in self._told if on < turn]
        told[-1:] = [(on, turn, symbol) for on, _, symbol in told[-1:]]
        self._told = [*told[-TOLD:], *((max(on, turn), off, symbol) for on, off, symbol in thought if off > turn)]
        return chord_notes(chord for chord in self._told if chord[1] > scene.since)

    def _expected(self, scene: Scene) -> Notes:
        """What the player does next if this is a repetition; nothing where what comes is written."""
        past = self._played.between(scene.start - SONG, scene.since)
        self._played = past + (scene.player.pitched + scene.chart.beats).between(scene.since, np.inf)
        if len(scene.ahead):
            return none()
        beats = self._played.beats
        return reprise(self._played.pitched, beats, scene.start)
