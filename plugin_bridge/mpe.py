"""MPE: a player whose controller gives every note a channel of its own, so that it can be bent alone. Knows which
channels are one player's; knows no ports and no music."""

from __future__ import annotations

from .ears import BEND, CONTROLLER, NOTE, OTHER, PRESSURE, Message

PARAMETER_LOW, PARAMETER_HIGH, DATA, TIMBRE = 100, 101, 6, 74
CONFIGURATION = (0, 6)  # the registered parameter that says how many channels a zone has
LOWER, UPPER = 0, 15  # the managers of the two zones: pedals and wheels come there, notes on the channels beside
PROOF = 3  # notes in a row, each on another channel and shaped before it began, that no other player plays


class Zones:
    """zones: manager -> its members, channels 0-15, the one beside it first. They are known by what the controller says
    (MPE's configuration message) or, where it says nothing, by how it plays: then all channels are one zone."""

    def __init__(self) -> None:
        self.zones: dict[int, tuple[int, ...]] = {}
        self._parameter: dict[int, tuple[int, int]] = {}  # by channel: (high, low)
        self._shaped: int | None = None  # the channel of the last message, where that shaped a note to come
        self._proof: list[int] = []  # channels of the last notes, while they look like MPE

    def hear(self, message: Message) -> bool:
        """Answers whether the zones are others now."""
        before, shaped = dict(self.zones), self._shaped
        self._shaped = None
        if message.kind == CONTROLLER:
            self._configure(message)
        if message.kind == OTHER and message.number in (BEND, PRESSURE):
            self._shaped = message.channel
        elif message.kind == CONTROLLER and message.number == TIMBRE:
            self._shaped = message.channel
        elif message.kind == NOTE and message.value and not self.zones:
            new = shaped == message.channel and message.channel not in (LOWER, *self._proof)
            self._proof = [*self._proof, message.channel] if new else []
            if len(self._proof) == PROOF:
                self._set(LOWER, 15)
        return self.zones != before

    def _configure(self, message: Message) -> None:
        high, low = self._parameter.get(message.channel, (127, 127))
        if message.number == PARAMETER_HIGH:
            self._parameter[message.channel] = message.value, low
        elif message.number == PARAMETER_LOW:
            self._parameter[message.channel] = high, message.value
        elif message.number == DATA and (high, low) == CONFIGURATION and message.channel in (LOWER, UPPER):
            self._set(message.channel, min(message.value, 15))

    def _set(self, manager: int, count: int) -> None:
        """A zone takes what it needs of the other one; without members it is none."""
        step = 1 if manager == LOWER else -1
        sizes = {one: len(members) for one, members in self.zones.items()} | {manager: count}
        other = UPPER if manager == LOWER else LOWER
        sizes[other] = max(min(sizes.get(other, 0), 14 - count), 0)
        self.zones = {
            one: tuple(one + (step if one == manager else -step) * n for n in range(1, size + 1))
            for one, size in sizes.items()
            if size
        }

    def part(self, channel: int) -> int:
        """The channel that stands for all of a player's: his manager's."""
        return next((manager for manager, members in self.zones.items() if channel in members), channel)

    def theirs(self, channel: int) -> int:
        """How much a channel is the player's: 0 not at all; his members, the last of which are used least; and most of
        all his manager's, whose pedal holds all of them."""
        for manager, members in self.zones.items():
            if channel in members:
                return len(members) - members.index(channel)
            if channel == manager:
                return 16
        return 0

    def __str__(self) -> str:
        zones = [(manager, *members) for manager, members in self.zones.items()]
        return " and ".join(f"{min(zone) + 1}-{max(zone) + 1}" for zone in zones)
