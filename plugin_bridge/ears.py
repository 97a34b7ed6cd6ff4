"""Ears: what MIDI bytes mean, and whether they are ours come back. Knows bytes; knows no ports and no music."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

NOTE, CONTROLLER, OTHER, REAL_TIME = "note", "controller", "other", "real time"
ECHO = 0.1  # seconds within which a message of ours that comes in is an echo
REPEAT = 0.025  # the same where the player made it (thru): who repeats a note is slower
EARLY = 0.15  # seconds by which a note may come before the beat that it is meant for
# Status bytes: those of a channel's messages, without the channel; then those of all, MIDI clock's.
NOTE_OFF, NOTE_ON, KEY_PRESSURE, CONTROL_CHANGE, PROGRAM, PRESSURE, BEND = range(0x80, 0xF0, 0x10)
TICK, START, CONTINUE, STOP, POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2  # a position is in sixteenths
MODULATION, SUSTAIN, SOSTENUTO, SOFT, ALL_SOUND_OFF, ALL_NOTES_OFF = 1, 64, 66, 67, 120, 123  # controllers
# Controllers that keyboards and DAWs send by themselves: banks, parameter numbers, modes such as all notes off.
BANKS, PARAMETERS, MODES = {0, 32}, {98, 99, 100, 101}, set(range(120, 128))


@dataclass(frozen=True)
class Message:
    """kind: NOTE (number: pitch, value: velocity, 0 for an off), CONTROLLER, OTHER of a channel's (pressure,
    program, bend; number: the status, value: the rest), or REAL_TIME (number: the status, value: the song position in
    sixteenths)."""

    kind: str
    channel: int
    number: int
    value: int


def parse(data: list[int] | bytes) -> Message | None:
    """A message from a driver's bytes; None for what we do not use, and for anything that is no MIDI."""
    if not data:
        return None
    status = data[0]
    if status in (TICK, START, CONTINUE, STOP):
        return Message(REAL_TIME, 0, status, 0)
    if status == POSITION and len(data) == 3 and max(data[1:]) < 128:
        return Message(REAL_TIME, 0, status, data[1] | data[2] << 7)
    kind = status & 0xF0
    length = 2 if kind in (PROGRAM, PRESSURE) else 3
    if not NOTE_OFF <= kind <= BEND or len(data) != length or max(data[1:]) > 127 or min(data[1:]) < 0:
        return None
    if kind == CONTROL_CHANGE:
        return Message(CONTROLLER, status & 15, data[1], data[2])
    if kind > NOTE_ON:
        return Message(OTHER, status & 15, kind, data[1] | (data[2] << 7 if len(data) == 3 else 0))
    return Message(NOTE, status & 15, data[1], data[2] if kind == NOTE_ON else 0)


def at_rest(message: Sequence[int]) -> tuple[int, ...] | None:
    """The message that undoes this one, of what a player lets go of: pedals, modulation, pressure, bend."""
    kind = message[0] & 0xF0
    if kind == CONTROL_CHANGE and message[1] in (MODULATION, SUSTAIN, SOSTENUTO, SOFT):
        return message[0], message[1], 0
    return {BEND: (message[0], 0, 64), PRESSURE: (message[0], 0)}.get(kind)


def moved_by(message: Sequence[int]) -> tuple[int, ...]:
    """Which pedal, wheel or key a message is of."""
    return tuple(message[: 2 if message[0] & 0xF0 in (KEY_PRESSURE, CONTROL_CHANGE) else 1])


class Upbeat:
    """The player's notes that are held as the song begins. Who plays on its first beat is early as often as late, and a
    DAW's note may come before the first tick of its clock."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[float, Message]] = {}

    def hear(self, wall: float, message: Message) -> None:
        """A note-on, or off, while nothing plays."""
        self._held.pop((message.channel, message.number), None)
        if message.value:
            self._held[message.channel, message.number] = wall, message

    def taken(self, wall: float) -> list[Message]:
        """The song begins: those that came just before, which are then its own."""
        held, self._held = self._held, {}
        return [message for at, message in held.values() if wall - at < EARLY]


class EchoGuard:
    """Our own messages, come back through a loop in the DAW, are not the player's. A loop keeps pitch and velocity, and
    is quick; what a player plays has hardly ever both."""

    def __init__(self) -> None:
        self.caught = 0
        # from, until, what, and the channel where that counts
        self._sent: deque[tuple[float, float, tuple[str, int, int], int | None]] = deque(maxlen=256)
        self._echoing: set[tuple[int, int]] = set()  # (channel, pitch) whose off is an echo too

    def sent(self, wall: float, data: list[int], passed: bool = False) -> None:
        """passed: on, for the player. One of many channels (MPE) sets each to the same at once: of what is no note only
        what comes back on its own channel is an echo."""
        message = parse(data)
        if message and (message.kind != NOTE or message.value):
            channel = message.channel if passed and message.kind != NOTE else None
            until = wall + (REPEAT if passed else ECHO)
            self._sent.append((wall, until, (message.kind, message.number, message.value), channel))

    def is_echo(self, wall: float, message: Message) -> bool:
        key = message.channel, message.number
        if message.kind == NOTE and not message.value:
            echo = key in self._echoing
            self._echoing.discard(key)
            return echo
        for entry in list(self._sent):
            same = entry[2] == (message.kind, message.number, message.value) and entry[3] in (None, message.channel)
            if same and entry[0] <= wall < entry[1]:
                self._sent.remove(entry)
                if message.kind == NOTE:
                    self._echoing.add(key)
                self.caught += 1
                return True
        return False
