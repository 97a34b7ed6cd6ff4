"""Harmonist: the chords that live music is likely to move through, recalled before every plan from what was played and,
where the player repeats himself, from what will be. Knows scenes and counted songs; knows no network."""

from __future__ import annotations

import numpy as np

from ..infilling.consensus import MEMORY, consensus, edges_between, recalled
from ..music.grid import divided
from ..music.harmony import chord_notes
from ..music.markov import Markov
from ..music.notes import Notes
from ..music.reprise import SONG, reprise
from .scene import Scene, none

CHANGE = 0.03  # what a change costs, see consensus.CHANGE
TOLD = 256  # chords that are remembered


class Harmonist:
    """Chords that were told up to where a plan begins stay. The last of them is held until the next half beat (in 6/8
    the next third), where it gives way to what is thought now: a band that the player surprises need not wait for the
    next beat."""

    def __init__(self, markov: Markov) -> None:
        self._markov = markov
        self._told: list[tuple[float, float, int]] = []  # (start, end, symbol)
        self._played = none()  # the player's notes and their beats, for longer than a scene has them

    def chords(self, scene: Scene) -> Notes:
        """CHORD notes from the scene's `since` to its end, by all that is known of the player, or of the band where he
        is silent; none where nobody has played of late. This takes milliseconds."""
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
        """What the player will do if he is repeating himself; nothing where the future is known anyway."""
        past = self._played.between(scene.start - SONG, scene.since)
        self._played = past + (scene.player.pitched + scene.chart.beats).between(scene.since, np.inf)
        if len(scene.ahead):
            return none()
        beats = self._played.beats
        return reprise(self._played.pitched, beats, scene.start)
