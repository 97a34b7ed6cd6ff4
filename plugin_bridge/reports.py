"""Reports: what becomes of an App when something happens: the hands or the mind have something to tell, or time passes.
Called under its lock with the wall time and what they told; knows no processes, and ports by their names only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .player import heard

if TYPE_CHECKING:
    from .app import App


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
    app.session.level = 0
    app.session.surprised = True
    app.tell(f"ready: {facts['events_per_second']:.0f} events a second")


def step(app: App, now: float, number: int, reached: float, note: tuple | None, fed: int) -> None:
    app.meters.stepped(number, now, fed)
    app.session.take(number, reached, note)
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
    app.session.level = 0  # while it hung it seemed to be slow
    app.session.surprised = True
    app.tell("the mind answers again")


def died(app: App, now: float, how: str) -> None:
    """All notes off, and another one."""
    app.transport.silence(now)
    app.session.drop_plan()
    if app.mind.revive(now):
        app.tell(f"the mind died ({how}); starting another")
    else:
        app.tell("the mind died again and again; it is left alone. Start the program anew")


REPORTS: dict[str, Callable] = {
    "heard": lambda app, now, wall, data: heard(app, wall, data), "time": lambda app, now: app.passes(now),
    "look": lambda app, now: None,  # something changed, and the heart looks
    "caught_up": lambda app, now: app.caught_up.set(),
    "port": port, "hands": hands, "ready": ready, "step": step, "done": done, "error": error, "hung": hung,
    "awake": awake, "died": died,
}  # fmt: skip
