"""Harmonist: the chords that live music is likely to move through, recalled anew before every plan. Knows scenes and
counted songs; knows no network."""

from __future__ import annotations

from .consensus import MEMORY, consensus, edges_between, recalled
from .harmony import chord_notes
from .markov import Markov
from .notes import Notes
from .scene import Scene, none
from .tempo import divided

CHANGE = 0.03  # what a change costs, in shares of a chord's tones
TURNS = 2  # places in a beat where it may change
SOON = 0.02  # seconds after a half beat in which a plan still begins with it
TOLD = 256  # chords that are remembered


class Harmonist:
    """What was told stays told up to where a plan begins. From the next half beat on it gives way to what is thought
    now: a band holds its chord until then, and need not wait for another beat where the player's was a surprise."""

    def __init__(self, markov: Markov) -> None:
        self._markov = markov
        self._told: list[tuple[float, float, int]] = []  # (start, end, symbol)

    def chords(self, scene: Scene) -> Notes:
        """CHORD notes from the scene's `since` to its end, by all that is known of the player; by the band's own notes
        where he is silent, and none where nobody has played of late. It takes milliseconds."""
        near = (part.between(scene.start - MEMORY, scene.end + MEMORY).pitched for part in (scene.player, scene.own))
        heard = next((part for part in near if len(part)), None)
        if heard is None:
            return none()
        steps = divided(scene.beats, TURNS)
        begun = steps[steps <= scene.start]
        edges = edges_between(steps, float(begun[-1]) if len(begun) else scene.start, scene.end)
        tones = recalled(self._markov, heard + scene.beats, edges)
        thought = ((on, on + length, symbol) for on, length, symbol, _, _ in consensus(tones, edges, CHANGE))
        turn = float(edges[edges > scene.start - SOON][0]) if self._told else scene.start
        told = [(on, min(off, turn), symbol) for on, off, symbol in self._told if on < turn]
        told[-1:] = [(on, turn, symbol) for on, _, symbol in told[-1:]]
        self._told = [*told[-TOLD:], *((max(on, turn), off, symbol) for on, off, symbol in thought if off > turn)]
        return chord_notes(chord for chord in self._told if chord[1] > scene.since)
