"""What `anticipate ports`, `doctor` and `live` do. Knows flags and messages; wires nothing itself."""

from __future__ import annotations

import argparse
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anticipation.errors import LiveError, RequestError

from . import ports
from .controls import TABLE
from .home import config_folder, unwritable


def control_flags(sub: argparse.ArgumentParser) -> None:
    """One for every control: the table drives the command line too."""
    for control in TABLE:
        kind = {"choice": ", ".join(control.choices), "bool": "on or off"}.get(control.kind, "")
        bounds = f"{control.low:g}-{control.high:g} {control.unit}" if control.kind in ("int", "float") else kind
        default = control.default if control.default != "" else "none"
        help_ = f"{control.help} ({'; '.join(x for x in (bounds.strip(), f'default: {default}') if x)})"
        flag = f"--{control.name.replace('_', '-')}"
        if control.kind == "bool":
            sub.add_argument(flag, nargs="?", const="on", dest=f"control_{control.name}", metavar="on|off", help=help_)
        else:
            sub.add_argument(flag, dest=f"control_{control.name}", metavar=control.kind.upper(), help=help_)


def settings_of(args: argparse.Namespace) -> dict:
    """The controls that were given as flags."""
    given = {control.name: getattr(args, f"control_{control.name}", None) for control in TABLE}
    return {name: value for name, value in given.items() if value is not None}


def list_ports(args: argparse.Namespace) -> None:
    found = ports.available()
    for name, number in found.items():
        virtual = "makes virtual ports" if name in ports.VIRTUAL else "has no virtual ports"
        print(f"{name} ({virtual})")
        for side, names in ports.listing(number).items():
            print(f"  {side}:  " + (f"\n  {' ' * len(side)}   ".join(names) or "none"))
    if not found:
        print("no MIDI system answers here")
    print(ports.HINTS.get(sys.platform, ports.HINTS["linux"]))


def doctor(args: argparse.Namespace) -> None:
    from .doctor import examine

    check_model(args)
    examine(args)


SIGNALS = {"SIGINT": "end", "SIGTERM": "end", "SIGHUP": "end", "SIGBREAK": "end", "SIGTSTP": "halt"}


@contextmanager
def signals() -> Iterator[queue.SimpleQueue[str]]:
    """What Ctrl-C, Ctrl-Z and the system ask for, as it comes; afterwards their signals do what they did before. In a
    SimpleQueue, for a handler may interrupt anything, even whoever waits for it."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    before = {}
    for name, what in SIGNALS.items():
        number = getattr(signal, name, None)
        if number is None or name in ("SIGHUP", "SIGTSTP") and signal.getsignal(number) == signal.SIG_IGN:
            continue  # nohup
        before[number] = signal.signal(number, lambda *_, what=what: asked.put(what))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stand() -> None:
    """Stop as Ctrl-Z stops any program, until `fg`."""
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, ours)


@contextmanager
def printing(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function that prints a line, from a thread of its own: a terminal that is halted (Ctrl-S; on Windows, text
    being selected) then holds up nobody who makes music."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def speak() -> None:
        while (line := lines.get()) is not None:
            with suppress(OSError, ValueError):  # whoever watched has gone, or cannot read it
                print(line, flush=True)

    speaker = threading.Thread(target=speak, daemon=True, name="printing")
    speaker.start()
    try:
        yield (lambda line: None) if quiet else lines.put
    finally:
        lines.put(None)
        speaker.join(2.0)


def live(args: argparse.Namespace) -> None:
    """Play until Ctrl-C or SIGTERM; then all notes off, and the take is saved. Raises LiveError where the model cannot
    be loaded."""
    with signals() as asked, printing(args.quiet) as say:
        try:
            play(args, asked, say)
        except LiveError:
            if within(asked, 0.0) != "end":  # else it was ended before it began, and our processes with it
                raise


def check_flags(args: argparse.Namespace) -> None:
    """Before a port is opened or a process started: those would fail later, and elsewhere. Raises AnticipationError."""
    check_model(args)
    if args.play and settings_of(args).get("sync") == "clock":
        raise RequestError("--sync clock waits for the DAW to start; leave --play out")
    for flag, port in (("--port", args.port), ("--osc", args.osc)):
        if not 0 <= port < 1 << 16:
            raise RequestError(f"{flag} is a port from 0 to 65535, not {port}")


def check_model(args: argparse.Namespace) -> None:
    """The flags that say what the mind thinks with. Raises AnticipationError."""
    if args.device not in ("auto", "cpu"):
        raise RequestError(f"--device {args.device}: live playing is on the CPU; leave it out")
    if args.threads is not None and args.threads < 1:
        raise RequestError("--threads must be at least 1")
    if args.model:
        from anticipation.model.checkpoint import find, read_config

        read_config(find(args.model))


def play(args: argparse.Namespace, asked: queue.SimpleQueue[str], say) -> None:
    from .app import App

    check_flags(args)
    app = App(api=args.api, in_port=args.in_port, out_port=args.out_port, takes=args.takes,
              checkpoint=args.model, weights=args.weights, threads=args.threads or 1, settings=settings_of(args),
              osc=args.osc, say=say)  # fmt: skip
    server = None
    try:
        names = app.hands.names
        say(f"ports: {', '.join(names['chosen'].values())} ({names['api']}); takes go to {args.takes}")
        if reason := unwritable(folder := config_folder()):
            app.tell(f"settings will not be kept, and no DAW script will find us: cannot write in {folder}: {reason}")
        server = open_page(args, app, say, link=not reason)
        begin, waits = time.monotonic(), args.play
        while (what := within(asked, 0.05 if waits else 0.5)) != "end":
            if what == "halt":
                app.halt(stand)
            if app.mind.broken:
                raise LiveError(app.mind.broken)
            if waits and app.mind.state not in ("loading", "restarting"):
                try:
                    app.act("start")
                except RequestError as error:  # by now the page has it follow the DAW
                    app.tell(str(error))
                begin, waits = time.monotonic(), False
            if args.seconds and not waits and time.monotonic() - begin > args.seconds:
                break
    finally:
        app.close()  # the music first: a page may keep its server waiting
        say("all notes off")
        if server:
            server.close()


def within(asked: queue.SimpleQueue[str], seconds: float) -> str | None:
    """What is asked for, if anything is in so many seconds."""
    try:
        return asked.get(timeout=seconds)
    except queue.Empty:
        return None


def open_page(args: argparse.Namespace, app, say, link: bool):
    """The server of the page, or None with --no-page. link: whether DAW scripts shall find it. Raises LiveError where
    its packages are missing, RequestError where the port is taken."""
    if not args.page:
        return None
    try:
        from .access import link_file
        from .server import Server

        server = Server(app, args.port, checkpoint=args.model, link=link_file() if link else None)
    except ImportError:
        raise LiveError('the page needs an extra: pip install "anticipation-copilot[live]"; or --no-page') from None
    say(f"page: {server.url}")
    return server


def port_flags(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--api", choices=["auto", *ports.APIS], default="auto")
    sub.add_argument("--in", dest="in_port", metavar="PORT", help="listen to this port (default: a virtual one)")
    sub.add_argument("--out", dest="out_port", metavar="PORT", help="play into this port (default: a virtual one)")


def doctor_flags(sub: argparse.ArgumentParser) -> None:
    port_flags(sub)
    sub.add_argument("--seconds", type=float, default=20.0, help="how long to play (default: 20)")


def live_flags(sub: argparse.ArgumentParser) -> None:
    port_flags(sub)
    sub.add_argument("--takes", type=Path, default=Path("anticipation-takes"), metavar="FOLDER",
                     help="where takes are saved (default: anticipation-takes)")  # fmt: skip
    sub.add_argument("--page", action=argparse.BooleanOptionalAction, default=True, help="serve the page")
    sub.add_argument("--port", type=int, default=0, help="of the page (default: a free one)")
    sub.add_argument("--osc", type=int, default=0, metavar="PORT", help="listen for OSC on this port (default: no)")
    sub.add_argument("--play", action="store_true", help="start at once (default: wait for start)")
    sub.add_argument("--seconds", type=float, metavar="S", help="end after so long")
    control_flags(sub)
