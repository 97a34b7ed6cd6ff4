"""Session: what was heard, what was played, what is planned, and what to ask of the mind next. Knows song time and
music; knows no wall time, no ports, no process and no weights.

Inside, time is the stream's: it never jumps, so that the mind may keep what it has read; `offset` leads to song time,
and a relocation changes nothing else. Nothing that was committed is ever taken back; what is planned beyond gives way,
note by note, to the next plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from anticipation.live.scene import Scene
from anticipation.music.grid import usual_division
from anticipation.music.notes import DRUMS, Note, Notes

from .clock import Grid
from .controls import defaults
from .known import Heard, Known, Setup
from .mpe import Zones
from .relief import Relief
from .take import LiveNote
from .turns import Turns

LEAD = 0.02  # seconds after `commit` at which a new plan begins: what becomes final while it is computed lies before
SETTLE = 0.25  # seconds that a question is given where the next ones would come too fast for any to be answered
AMPLE = 0.2  # seconds of music that is decided, by whichever plan; with less, the mind is not taken off its question
# What the plan does not depend on: how, where and whether it sounds.
SOUND = {"dynamics", "latency", "mute", "muted", "out_channel", "thru", "count_in", "keep_bars"}
SAME = 0.006  # seconds within which notes begin at once
ENOUGH = 12  # notes of the player from which on the division of the beat is estimated
KEPT, CUT = 90.0, 30.0  # when the past is longer than KEPT seconds it is cut to CUT seconds


@dataclass(frozen=True)
class Ask:
    """A question to the mind. Answers carry its number; those to an older one are stale."""

    number: int
    scene: Scene


class Session:
    """hear what is played, ask the mind, take its steps, commit what is near. All times that come in or go out are song
    seconds. The grid is the clock's, given with each call that needs it."""

    def __init__(self, settings: dict | None = None) -> None:
        self.settings = defaults() | (settings or {})
        self.offset = 0.0  # song time less stream time
        self.number = 0  # of the last question
        self.relief = Relief()
        self.dropped = 0  # notes that were decided too late to sound
        self.setup = Setup(self.settings)
        self.known = Known()
        self.forget()

    def forget(self) -> None:
        """A cold start: nothing was heard, nothing played. The timeline is no memory: it is what comes."""
        before, self.known = self.known, Known()
        self.known.timeline, self.known.over = before.timeline, before.over
        self.turns = Turns()
        self.played: list[Note] = []  # as they were drawn: the model's own history
        self.sounded: list[LiveNote] = []  # as they were sent
        self.since, self.cold = -np.inf, True
        self.division = int(self.setup.divisions[0, 0])  # places a beat, as the player divides it
        self.drop_plan()

    def drop_plan(self) -> None:
        self.plan: list[tuple[int, Note]] = []  # (question, note), by onset
        self.number += 1  # what is still on its way is stale
        self.frontier = self._end = -np.inf  # stream time up to which all is decided; up to which it was asked
        self._final = -np.inf  # onset of the last note that was committed though a newer plan was asked for
        self.surprised = True  # there is to be a new plan
        self.changed = False  # and for a control that was moved, when the last one has had SETTLE
        self._asked_at = self._decided = -np.inf  # stream time of the last question; up to which some plan is decided

    def change(self, name: str, value) -> None:
        """A control was set: a plan that depends on it is made anew. Raises RequestError, and nothing has changed."""
        changed = self.settings | {name: value}
        self.setup, self.settings = Setup(changed, self.setup.theirs, self.setup.zones), changed
        self.changed = self.changed or name not in SOUND

    def shares(self, channel: int) -> bool:
        """The player plays on this channel (0-15). Answers whether he is new there, and the band has other channels."""
        before, channel = self.setup, self.setup.zones.part(channel)
        if channel not in before.theirs:
            self.setup = Setup(self.settings, {*before.theirs, channel}, before.zones)
        return self.setup.channels != before.channels

    def zones_changed(self, zones: Zones) -> None:
        """The player's channels are one part: MPE. What was taken for others' before is his."""
        self.setup = Setup(self.settings, {zones.part(channel) for channel in self.setup.theirs}, zones)

    def go_round(self, jump: float, beats: int) -> None:
        """The song time has jumped by so many beats, which are whole bars: the stream goes on, and so does the plan,
        until there is another."""
        self.known.timeline.go_round(self.offset, beats)
        self.offset += jump
        self.known.renumber(beats)
        self.surprised = True
        if self.settings["mode"] == "answer":  # whose bars these are may have changed
            self.drop_plan()

    def locate(self, jump: float) -> None:
        """The song time has jumped: the plan is dropped, and what was heard stays as far back as it was."""
        self.offset += jump
        self.known.grid_moved(-np.inf)
        self.known.timeline.locate()
        self.turns.located()
        self.drop_plan()

    def meter_changed(self, song: float) -> None:
        """The beats that are still to come are others; what passed keeps those that it had."""
        self.known.grid_moved(song - self.offset)
        self.surprised = True

    # What comes in

    def hear(self, song: float, channel: int, pitch: int, velocity: int) -> bool:
        """A note-on of the player, or (velocity 0) a note-off. Answers whether it was listened to."""
        time = song - self.offset
        if not velocity:
            return self.known.release(time, channel, pitch)
        role = self.setup.role(channel, pitch)
        if role is None:
            return False
        self.turns.heard(time, self.known.over_at(time, -np.inf))
        self.known.press(time, channel, pitch, velocity, role, self._round(), self.timeline_at(time))
        self.surprised = True
        return True

    def release_all(self, song: float) -> None:
        """The player's port is gone, or the song stopped: nothing is held any longer."""
        self.known.release_all(song - self.offset)

    def ended(self) -> list[LiveNote]:
        """The player's notes that have ended since this was asked last, however they did."""
        over, self.known.over = self.known.over, []
        return [self._live(h, h.duration or 0.0) for h in over]

    def opened(self) -> list[LiveNote]:
        """The player's notes that have begun since this was asked last, and sound."""
        new = [h for h in self.known.open.values() if not h.reported]
        for h in new:
            h.reported = True
        return [self._live(h, 0.0) for h in new]

    def held(self, song: float) -> list[LiveNote]:
        """The player's notes that sound, as long as they have."""
        return [self._live(h, song - self.offset - h.onset) for h in self.known.open.values()]

    def _live(self, h: Heard, duration: float) -> LiveNote:
        channel = self.setup.zones.part(h.channel)
        return LiveNote(h.onset + self.offset, duration, h.pitch, h.instrument, h.velocity, channel)

    def timeline(self, notes: Iterable[Note], replace_from: float) -> None:
        """The future as the DAW has it, in song seconds."""
        self.known.timeline.send(notes, replace_from)
        self.surprised = True

    def timeline_at(self, time: float) -> Notes:
        """What the DAW wrote around a stream time, in stream time; nothing in other modes."""
        if self.settings["mode"] != "timeline":
            return Notes.of([])
        return self.known.timeline.around(time, self.offset)

    def _round(self) -> int | None:
        """Beats after which the player's bars come round, in loop mode."""
        return self.known.meter * self.settings["loop_bars"] if self.settings["mode"] == "loop" else None

    # The mind

    def ask(self, song: float, grid: Grid) -> Ask | None:
        """What to ask now, if anything: after a surprise a new plan from `commit` on; else more of the one there is."""
        now = song - self.offset
        self.known.timeline.learn_grid(song, now, grid)
        grid = replace(grid, at=grid.at - self.offset)
        self.known.learn_grid(now, grid)
        self._trim(now)
        span = self.turns.span(now, self.commit_seconds, grid, self.settings, self.known)
        if span is None:
            self.plan = [entry for entry in self.plan if entry[1][0] < now + self.commit_seconds]
            self.frontier = self._end = self._decided = -np.inf
            return None
        settled = now - self._asked_at >= SETTLE
        self.surprised = self.surprised or self.changed and settled
        horizon = max(self.relief.horizon(self.settings["horizon"]), 2 * self.commit_seconds)
        start = max(now + self.commit_seconds + LEAD, span[0])
        own = self.played + [note for _, note in self.plan if note[0] < start]
        at_work = self._end > max(start, self.frontier)
        if self.surprised:
            if at_work and not settled and self._decided <= start + AMPLE:
                return None  # as soon as it can be taken off its question
        elif at_work:
            return None
        elif self._end > start:  # all that was asked is decided
            if self._end >= min(now + self.commit_seconds + horizon / 2, span[1]):
                return None
            start, own = self._end, self.played + [note for _, note in self.plan]
        if start >= min(start + horizon, span[1]) or start > now + 10.0:
            return None
        self.surprised = self.changed = False
        self.number, self._asked_at = self.number + 1, now
        self.frontier, self._end = start, min(start + horizon, span[1])
        return Ask(self.number, self._scene(now, start, own, grid))

    def _scene(self, now: float, start: float, own: list[Note], grid: Grid) -> Scene:
        setup, settings = self.setup, self.settings
        late, ahead = self.known.late_and_ahead(now, self.since, self._round(), self.timeline_at(now))
        chords = setup.chart(self.since, start + 20.0, grid, self.known)
        instruments, beats = tuple(self.asked), self.known.beats(start + 12.0)
        heard = (late + ahead).between(now - CUT, start + 12.0)
        divisions = np.repeat(setup.divisions, len(beats), axis=0)
        which = usual_division(heard, beats, divisions) if len(heard) >= ENOUGH and len(beats) else 0
        self.division = int(setup.divisions[0, which])
        if settings["mode"] == "answer":  # who answers goes on from the question as if it were his
            own, late = own + list(self._as_own(late)), late[late.instrument == DRUMS]
        return Scene(
            start, self._end, instruments, Notes.of(own), late, ahead, beats + chords,
            since=self.since, cold=self.cold, pitches=setup.pitches, ranged=setup.ranged,
            polyphony=settings["polyphony"] or None, density=settings["density"] or None,
            grid=self.division if settings["quantise"] >= 0.5 else None, turns=2 if self.division % 3 else 3,
            phrase=self.turns.phrase(start, grid),
            rest=self.turns.rest if self.turns.rest is not None and start <= self.turns.rest < self._end else None,
            chord_lock=settings["chord_lock"], delta=settings["delta"],
            style=settings["style"], temperature=settings["temperature"], top_p=settings["top_p"],
        )  # fmt: skip

    def _as_own(self, late: Notes) -> Notes:
        """The player's pitched notes as the first part's, which plays them again in other words."""
        lead = next((one for one in self.asked if one < DRUMS), None)
        return late[:0] if lead is None else late.pitched.replace(instrument=np.full(len(late.pitched), lead))

    def step(self, number: int, reached: float, note: Note | None) -> None:
        """A step of the mind: nothing more begins before `reached`, where `note` does. What an older plan had there
        gives way; unless it was committed while the new one was thought of, for that knows nothing of it."""
        if number != self.number:
            return
        self.plan = [entry for entry in self.plan if entry[0] == number or not self.frontier <= entry[1][0] <= reached]
        self.frontier = max(self.frontier, reached)
        self._decided = max(self._decided, reached)
        if note is not None and note[0] > self._final + SAME:
            self.plan.append((number, note))
            self.plan.sort(key=lambda entry: entry[1])

    def done(self, number: int) -> None:
        """The mind has answered all that was asked."""
        if number == self.number:
            self.step(number, self._end, None)
            self.frontier = self._end

    @property
    def early(self) -> float:
        """Seconds before its time that a note must be with the hands."""
        return max(self.settings["latency"], 0.0) / 1000

    @property
    def commit_seconds(self) -> float:
        """What begins nearer than this is final: `commit`, before the hands' own time."""
        return self.settings["commit"] / 1000 + self.early

    def commit(self, song: float, grid: Grid) -> list[LiveNote]:
        """What is final now: the planned notes that begin within `commit`. What was decided too late is silent."""
        now, grid = song - self.offset, replace(grid, at=grid.at - self.offset)
        out = []
        while self.plan and self.plan[0][1][0] < now + self.commit_seconds:
            number, note = self.plan.pop(0)
            if number != self.number:
                self._final = note[0]
            onset = self._quantised(note[0], now, grid)
            if onset < now + self.early:
                self.dropped += 1
                continue
            self.played.append(note)
            if self.setup.sounds(note[3]):
                velocity = int(min(max(round(note[4] * self.settings["dynamics"]), 1), 127))
                channel = self.setup.channels[note[3]]
                out.append(LiveNote(onset + self.offset, note[1], note[2], note[3], velocity, channel))
        self.sounded += out
        self.relief.look(now, starves=self._end > now + self.early > self.frontier)
        return out

    def _quantised(self, onset: float, now: float, grid: Grid) -> float:
        """Drawn to the nearest place of the beat; never to where it is too late."""
        nearest = grid.time_of(round(grid.beat_at(onset) * self.division) / self.division)
        moved = onset + (nearest - onset) * self.settings["quantise"]
        return moved if moved >= now + self.early + 0.002 else onset

    @property
    def asked(self) -> list[int]:
        """The instruments of the band that the mind is asked for."""
        return self.relief.band(self.setup.band)

    def _trim(self, now: float) -> None:
        """Forget what is too old for the model's window; rarely and much at once, so that the stream's beginning, and
        the cache with it, stays as it is for long."""
        if self.since == -np.inf:
            self.since = now - 0.2  # what was heard a moment ago counts
        if now - self.since > KEPT:
            self.since, self.cold = now - CUT, False
            self.played = [note for note in self.played if note[0] >= self.since]
            self.sounded = [note for note in self.sounded if note.onset >= self.since + self.offset]
            self.known.cut(self.since)

    # What there is to see

    def seen(self, song: float) -> dict[str, list]:
        """What was heard, played and is planned, as lists in song seconds: what sounded in the last 16 seconds."""
        start, move = song - self.offset - 16.0, self.offset
        heard = [h for h in self.known.heard if h.duration is None or h.onset + h.duration >= start]
        return {
            "heard": [[h.onset + move, h.duration, h.pitch, h.instrument, h.velocity] for h in heard],
            "played": [[*p[:5]] for p in self.sounded if p.onset + p.duration >= start + move],
            "planned": [[n[0] + move, *n[1:]] for _, n in self.plan if n[3] <= DRUMS],
        }  # fmt: skip
