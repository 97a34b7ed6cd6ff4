"""What can be done with an App, beside what can be set: pages, OSC (/anticipation/do/NAME) and MIDI controllers offer
these. Knows no names' spelling and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from anticipation.errors import RequestError
from anticipation.music.instruments import instrument_number
from anticipation.music.notes import instrument_name

from .controls import nearest, truth

if TYPE_CHECKING:
    from .app import App


def panic(app: App, now: float) -> None:
    app.transport.silence(now)  # in the take, too
    app.hands.panic()
    app.session.drop_plan()


def keep(app: App, now: float, bars: int = 0) -> dict:
    bars = bars or app.session.settings["keep_bars"]
    if not 1 <= bars <= 10_000:
        raise RequestError("keep saves 1 to 10,000 bars")
    name = app.transport.keep(now, bars)
    app.tell(f"kept {name}")
    return {"name": name}


def switch(app: App, now: float, instrument: str = "", on: bool = True) -> None:
    """Raises RequestError."""
    number, muted = instrument_number(instrument), app.session.setup.muted
    if number not in app.session.setup.band:
        raise RequestError(f"{instrument_name(number)} is not in the band")
    muted = muted - {number} if on else muted | {number}
    app.set("muted", ",".join(instrument_name(i) for i in sorted(muted)))


class Action(NamedTuple):
    """help: one line. do: called under the App's lock with it, the wall time and the arguments, of these types."""

    help: str
    do: Callable
    arguments: dict[str, type] = {}


ACTIONS = {
    "start": Action("play from the beginning", lambda app, now: app.transport.start(now)),
    "stop": Action("stop: silence at once, and the take is saved", lambda app, now: app.transport.stop(now)),
    "continue": Action("play on from where it stopped", lambda app, now: app.transport.resume(now)),
    "locate": Action("go to a place in the song", lambda app, now, seconds=0.0: app.transport.locate(now, seconds),
                     {"seconds": float}),
    "panic": Action("all notes off, on every channel", panic),
    "again": Action("throw the plan away and make another", lambda app, now: app.session.drop_plan()),
    "keep": Action("save the last bars as a take", keep, {"bars": int}),
    "learn": Action("the next controller that moves steers this control; an action's name works too",
                    lambda app, now, name="": app.controllers.learn(name), {"name": str}),
    "switch": Action("an instrument of the band on or off", switch, {"instrument": str, "on": bool}),
    "forget": Action("forget what was heard: a cold start", lambda app, now: app.transport.forget(now)),
}  # fmt: skip
ACTION_CCS = {"again": 102, "keep": 103, "panic": 120}


def check_action(name: str, args: dict) -> dict:
    """The arguments of a named action in their own types. Raises RequestError, with the nearest names."""
    if name not in ACTIONS:
        raise RequestError(f"no action {name!r}{nearest(name, ACTIONS)}")
    wanted = ACTIONS[name].arguments
    if unknown := set(args) - set(wanted):
        raise RequestError(f"{name} takes no {', '.join(sorted(unknown))}")
    try:
        return {key: (truth if wanted[key] is bool else wanted[key])(value) for key, value in args.items()}
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"{name} takes {', '.join(f'{k}: {t.__name__}' for k, t in wanted.items())}") from None
