"""Reports: what becomes of an App when the player plays, the hands or the mind have something to tell, or time passes.
Called under its lock with the wall time and what they report; knows no processes, and ports by their names only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from anticipation.errors import AnticipationError

from .actions import ACTIONS
from .ears import ALL_NOTES_OFF, ALL_SOUND_OFF, CONTROLLER, NOTE, NOTE_OFF, REAL_TIME, Message, at_rest, parse
from .relief import Relief

if TYPE_CHECKING:
    from .app import App


# The player


def heard(app: App, now: float, wall: float, data: list[int]) -> None:
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
                heard(app, now, wall, [NOTE_OFF | channel, pitch, 0])
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


# The hands and the mind


def port(app: App, now: float, side: str, name: str, change: str) -> None:
    """A port that was named has gone, or is there again."""
    hands(app, now, change, side, f"the port {name}")


def hands(app: App, now: float, change: str, side: str = "both", what: str = "the MIDI system") -> None:
    """The MIDI system hangs, crashed or ended, and our hands with it; or there are others."""
    if change == "back" and side == "both":
        app.hands.panic()  # hands that died may have left notes behind, and took it with them which
    if change == "back" and side != "in":
        app.transport.programs()
    elif change == "lost" and side != "out":
        app.transport.missed(now)
        app.session.release_all(app.clock.song(now))
        app.hands.release()
        app.recorder.let_go(now)
    app.tell(f"{what} is {'gone; I go on when it is back' if change == 'lost' else 'back'}")


def ready(app: App, now: float, facts: dict) -> None:
    app.meters.rate = facts["events_per_second"]
    app.session.relief = Relief()
    app.session.surprised = True
    app.tell(f"ready: {facts['events_per_second']:.0f} events a second")


def step(app: App, now: float, number: int, reached: float, note: tuple | None, fed: int) -> None:
    app.meters.stepped(number, now, fed)
    app.session.step(number, reached, note)
    app.revision += 1


def done(app: App, now: float, number: int, compute: float, music: float) -> None:
    app.meters.done(compute, music)
    app.session.done(number)


def error(app: App, now: float, text: str) -> None:
    app.session.drop_plan()
    app.tell(f"the mind: {text}")


def hung(app: App, now: float) -> None:
    """What it had planned is for a player of a while ago."""
    app.transport.silence(now)
    app.session.drop_plan()
    app.tell("the mind does not answer: the band is silent until it does")


def awake(app: App, now: float) -> None:
    app.session.relief = Relief()  # while it hung it seemed to be slow
    app.session.surprised = True
    app.tell("the mind answers again")


def died(app: App, now: float, how: str) -> None:
    """All notes off, and another one."""
    app.transport.silence(now)
    app.session.drop_plan()
    if app.mind.revive(now):
        app.tell(f"the mind died ({how}); starting another")
    else:
        app.tell(f"the mind died ({how}) again and again, or none can be started. Start the program anew")


REPORTS: dict[str, Callable] = {
    "heard": heard, "time": lambda app, now: app.passes(now),
    "look": lambda app, now: None,  # something changed, and the heart looks
    "caught_up": lambda app, now: app.caught_up.set(),
    "port": port, "hands": hands, "ready": ready, "step": step, "done": done, "error": error, "hung": hung,
    "awake": awake, "died": died,
}  # fmt: skip
