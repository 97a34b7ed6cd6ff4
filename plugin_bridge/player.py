"""Player: what becomes of an App when a message of the player comes in. Called under its lock; knows no ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anticipation.errors import AnticipationError

from .controls import ACTIONS
from .ears import CONTROLLER, NOTE, REAL_TIME, Message, parse
from .scheduler import ALL_NOTES_OFF, ALL_SOUND_OFF, NOTE_OFF, at_rest

if TYPE_CHECKING:
    from .app import App


def heard(app: App, wall: float, data: list[int]) -> None:
    """A message as the driver has it, that came in at a wall time."""
    message = parse(data)
    if message is None:
        return
    if message.kind == REAL_TIME:
        app.transport.hear(message.number, message.value, wall)
        begun(app, wall)
        return
    steers = message.kind == CONTROLLER and app.controllers.takes(message.number)
    if app.zones.hear(message):
        _mpe(app)
    if app.session.settings["thru"] and not steers:
        rest = at_rest(data)  # of a pedal or a wheel; a DAW tells all channels their volumes, and that all is off
        if message.kind == NOTE and message.value or rest and tuple(data) != rest:
            _make_room(app, message.channel)
        app.hands.pass_on(data, wall)
    if message.kind == CONTROLLER:
        if message.number in (ALL_NOTES_OFF, ALL_SOUND_OFF):
            of = app.zones.part
            ends = {message.channel, *(c for c in range(16) if of(c) == message.channel)}
            for channel, pitch in [key for key in app.session.known.open if key[0] in ends]:
                heard(app, wall, [NOTE_OFF | channel, pitch, 0])
        _steer(app, message.number, message.value)
    if message.kind != NOTE:
        if not steers and app.zones.part(message.channel) == message.channel:  # a file has one channel for him
            app.recorder.move(wall, data)
    elif app.clock.playing:
        _listen(app, wall, message)
    else:
        app.upbeat.hear(wall, message)


def begun(app: App, wall: float) -> None:
    """Where the song plays, what came just before it did is of it."""
    for message in app.upbeat.taken(wall) if app.clock.playing else ():
        _listen(app, wall, message)


def _listen(app: App, wall: float, message: Message) -> None:
    """A note-on or off of the player, in the song."""
    if app.session.hear(app.clock.song(wall), message.channel, message.number, message.value):
        if message.value:
            app.stamp = wall
        app.revision += 1


def _make_room(app: App, channel: int) -> None:
    """Somebody plays through us on this channel: the band leaves it to him, when what was sent already is over."""
    if app.session.shares(channel):
        app.tell(f"you play on channel {channel + 1}, so {_moved(app)}")
        app.revision += 1


def _mpe(app: App) -> None:
    """The player's controller is an MPE one, or is so no longer."""
    app.transport.zones_changed(app.zones)
    if app.zones.zones:
        moved = f"; {_moved(app)}" if app.session.settings["thru"] else ""
        app.tell(f"an MPE controller on channels {app.zones}: one player{moved}")
    app.revision += 1


def _moved(app: App) -> str:
    """The band plays on other channels: gives each its sound, and says which."""
    app.transport.programs()
    members = app.session.setup.members()
    return "the band's channels are: " + ", ".join(f"{m['name']} {m['channel']}" for m in members)


def _steer(app: App, number: int, value: int) -> None:
    try:
        found = app.controllers.meaning(number, value)
        app.tell(app.controllers.notice)
        app.controllers.notice = ""
        if found and found[0] in ACTIONS:
            app.act(found[0])
        elif found:
            app.set(*found)
    except AnticipationError as error:
        app.tell(str(error))
