"""Ports: MIDI in and out through python-rtmidi, virtual where the system has virtual ports. Knows MIDI systems and
names; knows no process and no music."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

from anticipation.errors import LiveError

from .controls import nearest

CLIENT = "Anticipation"
APIS = {"coremidi": "API_MACOSX_CORE", "winmm": "API_WINDOWS_MM", "alsa": "API_LINUX_ALSA", "jack": "API_UNIX_JACK"}
# What a system puts behind a name: it changes whenever a device comes or goes, or with the device's next client.
NUMBERS = {"winmm": r" \d+$", "alsa": r" \d+:\d+$"}
QUEUE = 32768  # messages: an MPE controller's in ten seconds
VIRTUAL = ("coremidi", "alsa", "jack")
HINTS = {
    "win32": """\
Windows has no virtual ports of its own. Install loopMIDI (tobias-erichsen.de/software/loopmidi) or, on Windows 11, use
Windows MIDI Services, and make two ports there: To band, From band. Then choose them in the DAW, and run
  anticipate live --in "To band" --out "From band\"""",
    "darwin": "macOS: `anticipate live` makes the ports 'in' and 'out' of 'Anticipation' by itself (Core MIDI).",
    "linux": """\
Linux: `anticipate live` makes the ports 'in' and 'out' of the client 'Anticipation' by itself, under ALSA or JACK.
Without a sound card: `jackd -r -d dummy &`, then --api jack.""",
}


def rtmidi():
    """The module. Raises LiveError with the command that installs it."""
    try:
        import rtmidi as module
    except ImportError:
        raise LiveError('live playing needs python-rtmidi: pip install "anticipation-copilot[live]"') from None
    return module


def overheard() -> Callable[[], bool]:
    """Divert the process's file descriptor 2, and return a function that says whether anything was written to it since
    it was last called: that JACK's server has ended, its library says there and nowhere else. Python's own sys.stderr
    still goes where it went before. On Linux only; elsewhere the answer is always False."""
    if sys.platform != "linux":
        return lambda: False
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)  # nobody waits for us to listen
    os.dup2(writer, 2)

    def said() -> bool:
        try:
            return bool(os.read(reader, 1 << 16))
        except BlockingIOError:
            return False

    return said


@contextmanager
def hushed():
    """Discard what C libraries write to stderr meanwhile: drivers complain there, where we have a line of our own."""
    sys.stderr.flush()
    try:
        saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def available() -> dict[str, int]:
    """The MIDI systems that answer here: name -> number in rtmidi."""
    module = rtmidi()
    found: dict[str, int] = {}
    with hushed():
        for name, attribute in APIS.items():
            number = getattr(module, attribute, -1)
            if number in module.get_compiled_api():
                with suppress(module.RtMidiError):
                    probe = module.MidiOut(number, name=f"{CLIENT} probe")
                    found[name] = number
                    probe.delete()
    return found


def choose(api: str = "auto") -> tuple[str, int]:
    """(name, number in rtmidi) of a MIDI system. Raises LiveError."""
    found = available()
    if not found or api not in ("auto", *found):  # JACK refuses whom a busy machine has kept waiting: asked once more
        found = available()
    if api == "auto" and found:
        return next(iter(found.items()))
    if api not in found:
        here = f"here answer: {', '.join(found)}" if found else "no MIDI system answers here"
        wanted = "no MIDI system" if api == "auto" else f"no {api}"
        raise LiveError(f"{wanted}: {here}; see `anticipate ports`")
    return api, found[api]


def listing(number: int) -> dict[str, list[str]]:
    """The names of the ports that others offer: what we can hear ('in') and play into ('out')."""
    module = rtmidi()
    out = {}
    with hushed():
        for side, kind in (("in", module.MidiIn), ("out", module.MidiOut)):
            client = kind(number, name=f"{CLIENT} look")
            out[side] = others(client)
            client.delete()
    return out


def others(client) -> list[str]:
    """The names of the ports that a client could be connected to, without our own."""
    return [name for name in client.get_ports() if not name.startswith(CLIENT)]


class Port:
    """One side, 'in' or 'out'; virtual unless it is named. Opened at once: raises LiveError."""

    def __init__(self, side: str, api: tuple[str, int], name: str | None = None) -> None:
        self.side, self.api, self.name = side, api, name
        self.open = False
        self._full = ""  # all of the name, of which we may have been told a part
        self._client = None
        self._read = 0.0  # when it was read last
        self.connect()

    def connect(self) -> None:
        """Open, or open again. Raises LiveError."""
        module = rtmidi()
        self.close()
        if self.name is None and self.api[0] not in VIRTUAL:
            raise LiveError(f"{self.api[0]} has no virtual ports: name one with --{self.side}; see `anticipate ports`")
        kind, more = (module.MidiIn, {"queue_size_limit": QUEUE}) if self.side == "in" else (module.MidiOut, {})
        client = None
        try:
            with hushed():
                client = kind(self.api[1], name=CLIENT, **more)
                if self.name is None:
                    client.open_virtual_port(self.side)
                else:
                    names = client.get_ports()
                    index = self._find(names)
                    client.open_port(index, name=self.side)
                    self._full = names[index]
        except (LiveError, module.RtMidiError) as error:
            if client is not None:
                client.delete()  # at once: while it lives, it has our name
            if isinstance(error, LiveError):
                raise
            raise LiveError(f"cannot open the port {self.name or self.side!r}: {error}") from None
        if self.side == "in":  # JACK's client does not count the time before a message that is ignored
            client.ignore_types(sysex=True, timing=False, active_sense=False)
        self._client, self.open, self._read = client, True, time.perf_counter()

    def read(self) -> list[tuple[float, list[int]]]:
        """The messages that have come since the last time, with their wall times; they wait in rtmidi's queue, which
        holds QUEUE. The last came just now; those before it as much earlier as their driver says."""
        events: list[tuple[list[int], float]] = list(iter(self._client.get_message, None)) if self._client else []
        before, wall = self._read, time.perf_counter()
        self._read = wall
        out = []
        for message, passed in reversed(events):
            out.append((wall, message))
            wall = max(wall - passed, before)
        return out[::-1]

    def send(self, message: list[int]) -> None:
        """Raises OSError where the port is gone."""
        if self._client is None:
            raise OSError("the port is closed")
        try:
            self._client.send_message(message)
        except (rtmidi().RtMidiError, RuntimeError) as error:
            raise OSError(str(error)) from None

    def others(self) -> list[str]:
        """The names of the ports that it could be connected to."""
        return others(self._client) if self._client else []

    def watch(self) -> str | None:
        """Compare a named port with what is there. Answers 'lost' or 'back' when that changed."""
        if self.name is None:
            return None
        if self.open:
            self.open = self._is_there()
            return None if self.open else "lost"
        with suppress(LiveError):
            if self._client:
                self._find(self.others())
            self.connect()
            return "back"
        return None

    def _is_there(self) -> bool:
        """Whether the very port that was opened is: another may come whose name fits as well. An ALSA port with another
        number is another client's, to which we are not connected."""
        if self.api[0] == "alsa":
            return self._full in self.others()
        return self._plain(self._full) in map(self._plain, self.others())

    def _plain(self, name: str) -> str:
        return re.sub(NUMBERS.get(self.api[0], "$^"), "", name)

    def _find(self, names: list[str]) -> int:
        """The index of the port that was open, or else of the one that is meant: by whatever number, or by a part of
        its name that no other has. Raises LiveError, with the nearest."""
        for name in (self._full, str(self.name)):
            if name in names:
                return names.index(name)
            same = [i for i, other in enumerate(names) if self._plain(other) == self._plain(name)]
            if len(same) == 1:
                return same[0]
        part = str(self.name)
        close = [i for i, other in enumerate(names) if part.lower() in other.lower()]
        if len(close) == 1:
            return close[0]
        if close:
            raise LiveError(f"{len(close)} ports have {part!r} in their names: {', '.join(names[i] for i in close)}")
        raise LiveError(f"no port {part!r}{nearest(part, names)}")

    def close(self) -> None:
        client, self._client, self.open = self._client, None, False
        if client is not None:
            with suppress(Exception), hushed():
                client.close_port()
                client.delete()


class Pair:
    """The two ports of a session, and the names of all others. Raises LiveError."""

    def __init__(self, api: tuple[str, int], in_name: str | None, out_name: str | None) -> None:
        self.api = api
        self.input = Port("in", api, in_name)
        self.out = Port("out", api, out_name)

    def names(self) -> dict:
        """What is there, and what was chosen."""
        chosen = {"in": self.input.name or f"{CLIENT} in", "out": self.out.name or f"{CLIENT} out"}
        return {"in": self.input.others(), "out": self.out.others(), "api": self.api[0], "chosen": chosen}

    def watch(self) -> list[tuple[Port, str]]:
        """(port, 'lost' or 'back') for each named port that has gone or come back since the last call."""
        changes = [(port, port.watch()) for port in (self.input, self.out)]
        return [(port, change) for port, change in changes if change]

    def alive(self) -> bool:
        """Whether the MIDI system still takes clients; to ask may take the time of several notes."""
        return self.api[0] in available()

    def close(self) -> None:
        self.input.close()
        self.out.close()
