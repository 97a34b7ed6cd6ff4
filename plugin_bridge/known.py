"""What a session knows: the player's notes, the grid as it was told, and what the settings say in music's terms. Stream
time; knows no plan and no mind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from anticipation.errors import RequestError
from anticipation.infilling.casting import VOICE
from anticipation.music.grid import moment, position
from anticipation.music.harmony import estimate_chords
from anticipation.music.instruments import instrument_number
from anticipation.music.keys import key_clarity
from anticipation.music.notes import BEAT, CHORD, DRUMS, Note, Notes, instrument_name
from anticipation.music.symbols import parse_chart, parse_scale
from anticipation.music.tempo import TempoMap
from anticipation.score.tracks import DRUM_CHANNEL

from .clock import Grid, parse_meter
from .mpe import Zones
from .scheduler import SHORTEST
from .timeline import Timeline

ZONE = 4  # the instrument as which chords in the left-hand zone are shown: electric piano
HELD, BUSY = 64, 40  # notes held at once, and begun in a second, that are told; a forearm is not music
SAME = 0.12  # seconds by which a note may miss its place in a loop or on the timeline
HOLDS = 60.0  # seconds that a band goes on for a key that is held: its port may be gone
STEADY = 0.008  # seconds that a beat may move before it is told anew


class Setup:
    """The settings, parsed into instruments, channels, pitches and metre. theirs: channels (0-15) on which the player
    plays; zones: those of his that are MPE's. Raises RequestError for a text that cannot be understood."""

    def __init__(self, settings: dict, theirs: Collection[int] = (), zones: Zones | None = None) -> None:
        self.settings, self.theirs, self.zones = settings, theirs, zones or Zones()
        self.band = _instruments(settings["instruments"])
        if not self.band:
            raise RequestError("the band has no instrument: name one, like piano or bass")
        self.muted = set(_instruments(settings["muted"]))
        self.pitches = self._pitches()
        self.ranged = settings["low"] > 0 or settings["high"] < 127
        self.channels = self._channels()
        self.meter = parse_meter(settings["meter"])
        self.divisions = TempoMap(meters=((0, *self.meter),)).divisions(np.zeros(1))
        if settings["chords"]:
            parse_chart(settings["chords"], np.arange(2.0))

    def _pitches(self) -> np.ndarray | None:
        low, high, pitch = self.settings["low"], self.settings["high"], np.arange(128)
        mask = (pitch >= min(low, high)) & (pitch <= max(low, high))
        if self.settings["scale"]:
            mask &= parse_scale(self.settings["scale"])[pitch % 12]
        if not mask.any():
            raise RequestError(f"the scale {self.settings['scale']!r} has no pitch from {low} to {high}")
        return None if mask.all() else mask

    def _channels(self) -> dict[int, int]:
        """One for each instrument, from the first channel on; drums are on 10. Those that are passed on for the player
        come last: his pedal would sustain the band."""
        free = [(self.settings["out_channel"] - 1 + i) % 16 for i in range(16)]
        free.remove(DRUM_CHANNEL)
        if self.settings["thru"]:
            free.sort(key=lambda channel: self.zones.theirs(channel) or 16 * (channel in self.theirs))
        pitched = [i for i in self.band if i < DRUMS]
        return {DRUMS: DRUM_CHANNEL} | {instrument: free[n % 15] for n, instrument in enumerate(pitched)}

    def sounds(self, instrument: int) -> bool:
        return not self.settings["mute"] and instrument not in self.muted and instrument in self.channels

    def voices(self) -> dict[int, int]:
        """The instruments of the band that sound, and on which channel each."""
        return {i: self.channels[i] for i in self.band if self.sounds(i)}

    def role(self, channel: int, pitch: int) -> int | None:
        """The instrument as which a note of the player (channel 0-15) is shown to the model; None: not listened to."""
        channel = self.zones.part(channel)
        if channel + 1 == self.settings["drum_channel"]:
            return DRUMS
        if self.settings["melody_channel"] not in (0, channel + 1):
            return None
        return ZONE if pitch < self.settings["split"] else VOICE

    def chart(self, start: float, end: float, grid: Grid, known: Known) -> Notes:
        """CHORD notes: the chart that goes round from bar 1 on, else the chords of the left hand."""
        if not self.settings["chords"]:
            return known.zone_chords(end) if self.settings["split"] else Notes.of([])
        first = int(np.floor(grid.beat_at(max(start, grid.time_of(0.0) - 100)) / grid.meter))
        last = max(int(np.ceil(grid.beat_at(end) / grid.meter)) + 1, first + 1)
        beats = np.array([grid.time_of(beat) for beat in range(first * grid.meter, last * grid.meter + 1)])
        numbers = known.timeline.bars(np.arange(first, last))
        return parse_chart(self.settings["chords"], beats[:: grid.meter], beats, numbers)

    def members(self) -> list[dict]:
        """The band as `App.state` lists it."""
        return [
            {"name": instrument_name(i), "instrument": i, "channel": self.channels[i] + 1, "on": i not in self.muted}
            for i in self.band
        ]


def _instruments(text: str) -> list[int]:
    return list(dict.fromkeys(instrument_number(name) for name in text.split(",") if name.strip()))


@dataclass
class Heard:
    """A note of the player. duration: None while it is held. guess: the length that the model is given until the real
    one is known. place: its onset as the loop or the timeline had announced it, if they had. channel: 0-15."""

    onset: float
    pitch: int
    instrument: int
    velocity: int
    channel: int
    duration: float | None = None
    guess: float = 0.5
    place: float | None = None
    reported: bool = False

    def note(self) -> Note:
        onset = self.onset if self.place is None else self.place
        return onset, self.guess, self.pitch, self.instrument, self.velocity


class Known:
    """The player's notes and the beats of the grid, as the model was given them. They are changed afterwards only where
    they have to be: the model's cache is valid only up to the first change.

    heard: all notes, by onset. open: those that are held, by (channel, pitch). over: those that have ended since
    `Session.ended` was last called. timeline: what the DAW has sent. meter: beats in a bar."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.open: dict[tuple[int, int], Heard] = {}
        self.over: list[Heard] = []
        self._ends: dict[tuple[int, int], float] = {}  # (channel, pitch) -> when its last note ended
        self.timeline = Timeline()
        self.meter = 4
        self._beats: dict[int, tuple[float, int, float]] = {}  # beat number -> time, place, period

    # Notes

    def press(
        self, time: float, channel: int, pitch: int, velocity: int, instrument: int, round_: int | None,
        timeline: Notes,
    ) -> None:  # fmt: skip
        """A note begins. Those of one key that come at once, after the machine stood still, follow each other. round_:
        beats after which the player's bars come round, if they do. timeline: what the DAW wrote around this time."""
        self.release(time, channel, pitch)
        time = max(time, self._ends.get((channel, pitch), time))
        lengths = [h.duration for h in self.heard[-8:] if h.duration is not None]
        heard = Heard(time, pitch, instrument, velocity, channel, guess=float(np.median(lengths)) if lengths else 0.5)
        if round_ is not None:
            due = self._coming([h for h in self.heard if h.pitch == pitch], round_).onset
            heard.place = max(due[abs(due - time) < SAME].tolist(), default=None)
        written = timeline[(timeline.pitch == pitch) & (abs(timeline.onset - time) < SAME)]
        if len(written):
            heard.place = float(written.onset[0])
        self.open[channel, pitch] = heard
        if len(self.open) <= HELD and not (len(self.heard) >= BUSY and time - self.heard[-BUSY].onset < 1.0):
            self.heard.append(heard)

    def release(self, time: float, channel: int, pitch: int) -> bool:
        """A note ends. The length that the model was given is corrected only if it was far off. Answers whether the
        note was held."""
        heard = self.open.pop((channel, pitch), None)
        if heard is None:
            return False
        heard.duration = max(time - heard.onset, SHORTEST)
        if not 0.6 * heard.guess < heard.duration < 1.6 * heard.guess:
            heard.guess = heard.duration
        self.over.append(heard)
        self._ends[channel, pitch] = heard.onset + heard.duration
        return True

    def release_all(self, time: float) -> None:
        for channel, pitch in list(self.open):
            self.release(time, channel, pitch)

    def over_at(self, now: float, default: float) -> float:
        """When the last of the player's notes ended; infinite while one is held, but for no more than HOLDS; `default`
        where none is known."""
        if any(now < h.onset + HOLDS for h in self.open.values()):
            return np.inf
        ends = [h.onset + (HOLDS if h.duration is None else h.duration) for h in self.heard[-16:]]
        return max(ends, default=default)

    def cut(self, since: float) -> None:
        self.heard = [h for h in self.heard if h.onset >= since or h.duration is None]
        self._beats = {n: beat for n, beat in self._beats.items() if beat[0] >= since - beat[2]}

    def late_and_ahead(self, now: float, since: float, round_: int | None, timeline: Notes) -> tuple[Notes, Notes]:
        """What the player did, and what is written: the timeline, or the loop as it will come round."""
        for h in self.open.values():
            while now - h.onset > h.guess:
                h.guess *= 2  # it is longer than was told
        heard = [h for h in self.heard if h.onset >= since]
        late = Notes.of(h.note() for h in heard if h.place is None)
        if round_ is None:
            return late, timeline
        past = Notes.of(h.note() for h in heard if h.place is not None)
        coming = self._coming(heard, round_)
        return late, past + coming[coming.onset > now]

    def _coming(self, heard: list[Heard], round_: int) -> Notes:
        """Notes as they will come round, so many beats later; none while no beat is known."""
        notes, beats = Notes.of(h.note() for h in heard), self.beats(np.inf)
        if not len(beats):
            return beats
        on, off = (moment(position(times, beats) + round_, beats) for times in (notes.onset, notes.offset))
        return notes.replace(onset=on, duration=off - on).sorted()

    def sure(self, bravery: float) -> bool:
        """Whether the player's key is clear enough for this much courage. With 0.5 of a hundred tunes one is not, of a
        hundred messes one is."""
        recent = Notes.of(h.note() for h in self.heard[-32:])
        return bravery >= 1 or key_clarity(recent) >= 0.8 - 1.8 * bravery

    def zone_chords(self, end: float) -> Notes:
        """CHORD notes of what the left hand holds: each until the next, the last for good."""
        zone = Notes.of(h.note() for h in self.heard if h.instrument == ZONE)
        if not len(zone):
            return Notes.of([])
        starts = zone.onset[np.append(True, np.diff(zone.onset) > 0.15)]  # one grip
        edges = np.append(starts, max(end, float(starts[-1]) + 1))
        rows = []
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            grip = zone.between(start, start + 0.15)
            grip = grip.replace(onset=grip.onset * 0, duration=grip.onset * 0 + 0.5)
            chords = estimate_chords(grip, Notes.of([(0.0, 0.5, 0, BEAT, 64)]))
            rows += [(start, stop - start, int(chords.pitch[0]), CHORD, 64)] if len(chords) else []
        return Notes.of(rows)

    # Beats

    def renumber(self, beats: int) -> None:
        """The same beats, by other numbers."""
        self._beats = {n + beats: beat for n, beat in self._beats.items()}

    def grid_moved(self, now: float) -> None:
        """The beats that are still to come are no longer where they were told."""
        self._beats = {n: beat for n, beat in self._beats.items() if beat[0] < now}

    def learn_grid(self, now: float, grid: Grid) -> None:
        """Keep the beats that pass, as they were told, and tell those anew that have moved."""
        self.meter = grid.meter
        last = max(self._beats, default=int(np.floor(grid.beat_at(now))) - 1)
        behind = [n for n, beat in self._beats.items() if beat[0] < now]
        jumped = behind and abs(grid.time_of(max(behind)) - self._beats[max(behind)][0]) > 0.25
        if jumped:  # a relocation: what passed keeps its times and gets numbers that nobody will use
            base = min(self._beats) - len(self._beats) - 1_000_000
            self._beats = {base + i: self._beats[n] for i, n in enumerate(sorted(behind))}
            last = int(np.floor(grid.beat_at(now))) - 1
        end = int(np.ceil(grid.beat_at(now + 14.0)))
        for n in range(min(last, int(grid.beat_at(now))) + 1, end):
            time, beat = grid.time_of(n), self._beats.get(n)
            if time >= now and (beat is None or abs(beat[0] - time) > STEADY or abs(beat[2] - grid.period) > STEADY):
                self._beats[n] = (time, n % grid.meter, grid.period)
        for n in [n for n in self._beats if n >= end]:  # told when the tempo was faster: they would lie between others
            del self._beats[n]

    def beats(self, end: float) -> Notes:
        """BEAT notes as they were told."""
        return Notes.of((time, period, min(place, 15), BEAT, 64) for time, place, period in self._beats.values()
                        if time < end)  # fmt: skip
