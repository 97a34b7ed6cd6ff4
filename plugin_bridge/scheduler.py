"""Scheduler: committed notes to note-ons and note-offs in time. Knows wall time, channels and pitches; knows no song,
no ports and no threads: `clock()` and `send(message)` are passed in.

What is late becomes silence: a note whose time has passed by more than PATIENCE is never sent, so a machine that
stood still for a while answers with no burst. A note that sounds always ends: an off is always sent, however late.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count

from .ears import ALL_NOTES_OFF, ALL_SOUND_OFF, CONTROL_CHANGE, NOTE_OFF, NOTE_ON, SUSTAIN, at_rest

OFF_FIRST, THEN_ON = 0, 1
PATIENCE = 0.02  # seconds by which a note may be late
SHORTEST = 0.01  # seconds that a note sounds at least


@dataclass(frozen=True)
class Strike:
    """A note as hands play it. on, off: wall times. channel: 0-15."""

    on: float
    off: float
    channel: int
    pitch: int
    velocity: int

    @property
    def key(self) -> tuple[int, int]:
        return self.channel, self.pitch

    @property
    def held(self) -> bool:
        """Whether it is the player's (thru), who alone knows when it ends."""
        return self.off == float("inf")


class Scheduler:
    """add what is to sound, call `tick` whenever it asks for it; `silence` ends everything at once.

    errors: seconds between due time and sending, of the last note-ons. dropped: notes that came too late to sound.
    """

    def __init__(self, clock: Callable[[], float], send: Callable[[list[int]], None]) -> None:
        self.clock, self.send = clock, send
        self.sounding: dict[tuple[int, int], Strike] = {}
        self.errors: deque[float] = deque(maxlen=50_000)
        self.dropped = self.sent = 0
        self._moved: set[tuple[int, ...]] = set()  # what brings to rest that which the player has moved
        self._queue: list[tuple[float, int, int, Strike]] = []
        self._holds, self._kept = False, self._queue[:0]  # whether nothing may begin; what would have meanwhile
        self._order = count()

    def add(self, on: float, off: float, channel: int, pitch: int, velocity: int) -> bool:
        """Schedule a note. False: it is too late for it."""
        if on < self.clock() - PATIENCE:
            self.dropped += 1
            return False
        strike = Strike(on, max(off, on + SHORTEST), channel, pitch, min(max(velocity, 1), 127))
        heapq.heappush(self._queue, (on, THEN_ON, next(self._order), strike))
        return True

    def tick(self) -> float | None:
        """Send what is due. Answers when something is due next, or None."""
        while self._queue and self._queue[0][0] <= self.clock():
            entry = heapq.heappop(self._queue)
            _, kind, _, strike = entry
            if kind == OFF_FIRST:
                self._end(strike)
            elif self._holds:
                self._kept.append(entry)
            else:
                self._begin(strike)
        return self._queue[0][0] if self._queue else None

    def hold(self) -> None:
        """Nothing scheduled begins until `go`, if that comes before there is silence."""
        self._holds = True

    def go(self) -> None:
        """What was held back begins now, unless it is too late for it."""
        self._holds, kept, self._kept = False, self._kept, []
        for entry in kept:
            heapq.heappush(self._queue, entry)

    def pass_on(self, message: list[int], wall: float) -> None:
        """Send a channel message that somebody plays right now (thru); its notes cannot hang or overlap either."""
        if message[0] & 0xE0 != NOTE_OFF:
            self._pass_other(message)
            return
        channel, pitch, velocity = message[0] & 0x0F, message[1], message[2]
        held = Strike(wall, float("inf"), channel, pitch, velocity)
        if message[0] & 0xF0 == NOTE_ON and velocity:
            self._strike(held)
        elif self.sounding.get(held.key, held).held:  # not where a note of the band took its place
            self._end(self.sounding.get(held.key, held))

    def _pass_other(self, message: list[int]) -> None:
        channel = message[0] & 0x0F
        if message[0] & 0xF0 == CONTROL_CHANGE and message[1] in (ALL_SOUND_OFF, ALL_NOTES_OFF):
            for strike in [s for s in self.sounding.values() if s.channel == channel and s.held]:
                self._end(strike)  # the band's own, on the same channel, sound on
            return
        if rest := at_rest(message):
            (self._moved.discard if tuple(message) == rest else self._moved.add)(rest)
        self.send(message)

    def silence(self, channels: Collection[int] | None = None) -> None:
        """All that sounds ends now, and nothing that was to come will. On channels that are named only the band is
        silent: what the player holds sounds on."""
        silent = range(16) if channels is None else channels
        self._kept = [entry for entry in self._kept if entry[3].channel not in silent]
        self._holds = self._holds and channels is not None
        self._queue = [entry for entry in self._queue if entry[3].channel not in silent]
        heapq.heapify(self._queue)
        for strike in list(self.sounding.values()):
            if strike.channel in silent and (channels is None or not strike.held):
                self._end(strike)
        if channels is None:
            self._rest({message for message in self._moved if message[1] == SUSTAIN})

    def release(self) -> None:
        """The player has let go, or nobody hears him any more: what he holds ends, what he moved is at rest."""
        for strike in [strike for strike in self.sounding.values() if strike.held]:
            self._end(strike)
        self._rest(self._moved)

    def _rest(self, messages: Collection[tuple[int, ...]]) -> None:
        for message in sorted(messages):
            self.send(list(message))
            self._moved.remove(message)

    def panic(self) -> None:
        """Silence, and on every channel the pedal up and all notes off, for what we know nothing of."""
        self.silence()
        self.release()
        for channel in range(16):
            for controller in (SUSTAIN, ALL_NOTES_OFF, ALL_SOUND_OFF):
                self.send([CONTROL_CHANGE | channel, controller, 0])

    def _begin(self, strike: Strike) -> None:
        if self.clock() - strike.on > PATIENCE:
            self.dropped += 1
            return
        same = self.sounding.get(strike.key)
        if same is None or strike.on - same.on >= SHORTEST:  # the same note twice at once is one note
            self._strike(strike)
            self.errors.append(self.clock() - strike.on)
            heapq.heappush(self._queue, (strike.off, OFF_FIRST, next(self._order), strike))

    def _strike(self, strike: Strike) -> None:
        if strike.key in self.sounding:
            self._end(self.sounding[strike.key])
        self.sounding[strike.key] = strike  # first: whoever is ended in between knows what to end
        self.send([NOTE_ON | strike.channel, strike.pitch, strike.velocity])
        self.sent += 1

    def _end(self, strike: Strike) -> None:
        """An off, if this very note still sounds. It is forgotten only once the off is sent."""
        if self.sounding.get(strike.key) is strike:
            self.send([NOTE_OFF | strike.channel, strike.pitch, 64])
            del self.sounding[strike.key]
