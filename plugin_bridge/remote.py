"""Remotes: MIDI controllers and OSC that steer the table of controls, and Ableton Link. Knows the table and an app's
verbs; knows no music."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, UDPServer
from typing import Any

from anticipation.errors import AnticipationError, FileError, LiveError, RequestError
from anticipation.files import replacing

from .actions import ACTION_CCS, ACTIONS
from .controls import NAMES, TABLE, Value, nearest
from .ears import BANKS, MODES, PARAMETERS

STEERED = (*(control.name for control in TABLE if control.kind != "text"), *ACTIONS)  # what a controller may steer
UNTOUCHED = BANKS | PARAMETERS | MODES  # controllers that nobody turns
INSTALL = 'pip install "anticipation-copilot[live]"'


class Controllers:
    """Which MIDI controller steers what. One that is learned forgets what it steered before, and is known the next
    time: what was learned is kept in `file`, controller numbers and names as JSON."""

    def __init__(self, file: Path | None = None) -> None:
        self.map: dict[int, str] = {c.cc: c.name for c in TABLE if c.cc is not None}
        self.map |= {number: name for name, number in ACTION_CCS.items()}
        self.learning: str | None = None
        self.notice = ""  # the last thing worth telling a person
        self._file = file
        self._learned: dict[int, str] = {}
        with suppress(OSError, ValueError, AttributeError, TypeError):  # none yet, or spoilt
            for number, name in json.loads(file.read_text(encoding="utf-8")).items() if file else ():
                if name in STEERED and int(number) not in UNTOUCHED:
                    self._teach(int(number), name)

    def learn(self, name: str) -> None:
        """The next controller that moves will steer this; an empty name: none will. Raises RequestError."""
        if name in NAMES and name not in STEERED:
            raise RequestError(f"{name} is a text, which no controller can say")
        if name and name not in STEERED:
            raise RequestError(f"no control {name!r}{nearest(name, STEERED)}")
        self.learning = name or None

    def _teach(self, number: int, name: str) -> None:
        for known in (self.map, self._learned):
            for other in [n for n, what in known.items() if what == name]:
                del known[other]
            known[number] = name

    def _save(self) -> None:
        """What cannot be kept is known until the end."""
        if self._file is None:
            return
        try:
            with replacing(self._file, settled=False) as draft:
                draft.parent.mkdir(parents=True, exist_ok=True)
                draft.write_text(json.dumps(self._learned), encoding="utf-8")
        except FileError as error:
            self.notice = f"what was learned is known until the end only: {error}"

    @property
    def numbers(self) -> dict[str, int]:
        """The controller that steers each control and action that has one."""
        return {name: number for number, name in self.map.items()}

    def takes(self, number: int) -> bool:
        """Whether a controller's next movement means anything here."""
        return number in self.map or self.learning is not None and number not in UNTOUCHED

    def meaning(self, number: int, value: int) -> tuple[str, Value] | None:
        """(name, value) of what a controller's movement means; an action is meant by a press, not by its release."""
        if self.learning and number not in UNTOUCHED:
            self._teach(number, self.learning)
            self.learning = None
            self._save()
        name = self.map.get(number)
        if name is None:
            return None
        if name in ACTIONS:
            return (name, True) if value >= 64 or number == ACTION_CCS["panic"] else None
        return name, NAMES[name].from_cc(value)


def serve_osc(app: Any, port: int, tell: Callable[[str], None]) -> Any | None:
    """Listen on loopback: /anticipation/NAME value, /anticipation/do/ACTION. A busy port is told, and we go without."""
    try:
        from pythonosc.osc_packet import OscPacket
    except ImportError:
        tell(f"OSC needs python-osc: {INSTALL}")
        return None

    def heard(address: str, *values) -> None:
        try:
            name = address.removeprefix("/anticipation/")
            if name.startswith("do/"):
                action = name.removeprefix("do/")
                wanted = ACTIONS[action].arguments if action in ACTIONS else {}
                if wanted or not values or values[0]:  # else a button is let go, whose press was meant
                    app.act(action, **dict(zip(wanted, values, strict=False)))
            elif values:
                app.set(name, values[0])
        except AnticipationError as error:
            tell(f"OSC {address}: {error}")

    class Datagram(BaseRequestHandler):
        """Obeyed at once: python-osc's own server sleeps until a bundle's time tag, and hears nobody meanwhile."""

        def handle(self) -> None:
            for _, message in OscPacket(self.request[0]).messages:
                if message.address.startswith("/anticipation/"):
                    heard(message.address, *message.params)

    class Server(UDPServer):
        def handle_error(self, request, client_address) -> None:
            """One line, where socketserver prints a traceback."""
            error = sys.exc_info()[1]
            tell(f"OSC that nobody understands ({type(error).__name__}: {error})")

    try:
        server = Server(("127.0.0.1", port), Datagram)  # with threads a fader's last value may come first
    except OverflowError:
        tell(f"no OSC: there is no port {port}")
        return None
    except OSError as error:
        tell(f"no OSC: port {port} is taken ({error.strerror})")
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="osc").start()
    return server


def open_link(bpm: float) -> Callable[[float], tuple]:
    """Join the Ableton Link session; what is returned answers (wall time, beat, bpm, playing) at a wall time. Raises
    LiveError."""
    try:
        import link
    except ImportError:
        raise LiveError(f"Ableton Link needs LinkPython-extern: {INSTALL}") from None
    session = link.Link(bpm)
    session.startStopSyncEnabled = True
    session.enabled = True

    def look(now: float) -> tuple:
        micros = session.clock().micros()
        wall = time.perf_counter()
        state = session.captureSessionState()
        return wall, state.beatAtTime(micros, 4), state.tempo(), state.isPlaying() if session.numPeers() else None

    return look
