"""Deeds: what each action of controls.ACTIONS does to an App. Called under its lock with the wall time and the action's
arguments; knows no names' spelling and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from anticipation.errors import RequestError
from anticipation.music.instruments import instrument_number
from anticipation.music.notes import instrument_name

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


DEEDS: dict[str, Callable] = {
    "start": lambda app, now: app.transport.start(now),
    "stop": lambda app, now: app.transport.stop(now),
    "continue": lambda app, now: app.transport.resume(now),
    "locate": lambda app, now, seconds=0.0: app.transport.locate(now, seconds),
    "panic": panic,
    "again": lambda app, now: app.session.drop_plan(),
    "keep": keep,
    "learn": lambda app, now, name="": app.controllers.learn(name),
    "switch": switch,
    "forget": lambda app, now: app.transport.forget(now),
}
