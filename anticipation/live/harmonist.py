"""Harmonist: the chords that live music is likely to move through, guessed before every plan from what was played and,
where the player repeats himself, from what will be. Knows scenes and the network of chords; knows no streams."""

from __future__ import annotations

import numpy as np

from ..infilling.consensus import consensus, edges_between, settled
from ..model.chordist import MEMORY, STEP, default
from ..music.grid import divided, middle, moment, position
from ..music.harmony import NO_CHORD, chord_at, chord_notes
from ..music.keys import estimate_key
from ..music.notes import Notes
from ..music.reprise import SONG, reprise
from .scene import Scene, none

# What a change costs, see consensus.CHANGE: on a bar line, halfway through the bar, on another beat, and off the beat;
# and as many times more as a beat is shorter than STEP, for people change no faster in a reel. Who cannot see ahead has
# to mend a wrong chord off the beat at times.
ON_BAR, HALFWAY, ON_BEAT, OFF_BEAT = 0.1, 0.2, 0.3, 0.5
TOLD = 256  # chords that are remembered
PHRASE = 4  # bars that are gone round in while the player is silent, from the second bar of his silence on
MINOR, A_MINOR = 12, 9  # chord symbols of minor triads begin there; A is so far above C


class Harmonist:
    """Chords that were told up to where a plan begins stay. The last of them is held until the next half beat (in 6/8
    the next third), where it gives way to what is thought now, if that is worth it: a band that the player surprises
    need not wait for the next beat."""

    def __init__(self) -> None:
        self._chordist = default()
        self._told: list[tuple[float, float, int]] = []  # (start, end, symbol)
        self._played = none()  # the player's notes and their beats, for longer than a scene has them

    def chords(self, scene: Scene) -> Notes:
        """CHORD notes from the scene's `since` to its end, by all that is known of the player, or of the band where he
        is silent; none where nobody has played of late. This takes milliseconds."""
        near = (part.between(scene.start - MEMORY, scene.end + MEMORY).pitched for part in (scene.player, scene.own))
        heard = next((part for part in near if len(part)), None)
        if heard is None:
            return none()
        beats = scene.chart.beats
        steps = divided(beats, scene.turns)
        begun = steps[steps <= scene.start]
        edges = edges_between(steps, float(begun[-1]) if len(begun) else scene.start, scene.end)
        expected = self._expected(scene)
        odds = self._chordist.odds(heard + expected + beats, edges)
        if not len(expected):
            odds = self._going_round(odds, edges, heard, beats)
        first = int(np.searchsorted(edges, scene.start)) if self._told else 0
        turn = max(float(edges[first]), scene.start)
        told = [(on, min(off, turn), symbol) for on, off, symbol in self._told if on < turn]
        told[-1:] = [(on, turn, symbol) for on, _, symbol in told[-1:]]
        before, new = told[-1][2] if told else None, []
        if first < len(odds):
            thought = consensus(odds[first:], edges[first:], _costs(edges[first:-1], beats), before=before)
            new = [(max(on, turn), on + length, symbol) for on, length, symbol, _, _ in thought]
        if told and new and new[0][2] == before:
            new[0] = (told.pop()[0], *new[0][1:])
        if scene.rest is not None:
            new = [(on, min(off, scene.rest), symbol) for on, off, symbol in new if on < scene.rest]
            new.append((scene.rest, scene.end, self._tonic()))
        self._told = [*told[-TOLD:], *new]
        return chord_notes(chord for chord in self._told if chord[1] > scene.since)

    def _going_round(self, odds: np.ndarray, edges: np.ndarray, heard: Notes, beats: Notes) -> np.ndarray:
        """The odds of each chord between two edges; where the player has been silent for a bar the chords that were
        told a phrase before. Of themselves they would stay on one."""
        if not len(beats) or not self._told:
            return odds
        when, bar = position(middle(edges), beats), int(beats.pitch.max()) + 1
        then = moment(when - PHRASE * bar, beats)
        there = chord_at(chord_notes(self._told), then)
        silent = when > position(np.array([heard.end]), beats) + bar
        again = silent & (there >= 0) & (there < NO_CHORD)
        return np.where(again[:, None], settled(there), odds)

    def _tonic(self) -> int:
        """The chord that the player comes home to: his key's major triad or the minor one, whichever he has ended on
        or, if neither, has been told for longer."""
        major = estimate_key(self._played)
        minor = (major + A_MINOR) % 12
        last = self._played.pitched.pitch[-1:] % 12
        told = [sum(off - on for on, off, symbol in self._told if symbol % 12 == root) for root in (major, minor)]
        home = last == minor if np.isin(last, (major, minor)).any() else told[1] > told[0]
        return MINOR + minor if home else major

    def _expected(self, scene: Scene) -> Notes:
        """What the player will do if he is repeating himself; nothing where the future is known anyway."""
        past = self._played.between(scene.start - SONG, scene.since)
        self._played = past + (scene.player.pitched + scene.chart.beats).between(scene.since, np.inf)
        if len(scene.ahead):
            return none()
        beats = self._played.beats
        return reprise(self._played.pitched, beats, scene.start)


def _costs(edges: np.ndarray, beats: Notes) -> np.ndarray:
    """(N,) what a change costs at each of some edges (seconds)."""
    if not len(beats):
        return np.full(len(edges), HALFWAY)
    when = position(edges, beats)
    nearest = np.rint(when).astype(int)
    beat, bar = nearest.clip(0, len(beats) - 1), int(beats.pitch.max()) + 1
    place = beats.pitch[beat]
    cost = np.where(place == 0, ON_BAR, np.where(2 * place == bar, HALFWAY, ON_BEAT))
    return np.where(abs(when - nearest) > 0.1, OFF_BEAT, cost) * np.maximum(STEP / beats.duration[beat], 1.0)
