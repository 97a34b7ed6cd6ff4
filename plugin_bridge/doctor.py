"""Doctor: how fit this machine is to play live, measured with real ports in half a minute; a report that one can paste.
Knows what to measure; knows no music."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import threading
import time
from pathlib import Path

from . import ports
from .app import App
from .meters import quantiles

TUNE = (72, 76, 79, 77, 74, 81, 79, 72)
CLIENT = "Anticipation doctor"
NOTES = 100  # sent round, each with another velocity


def round_trip(api: tuple[str, int]) -> dict[str, float | None]:
    """Milliseconds of a note from a port of ours to another one: quantiles of NOTES, and how many were `lost`."""
    module, heard, times = ports.rtmidi(), threading.Event(), []
    with ports.hushed():
        source = module.MidiOut(api[1], name=CLIENT)
        source.open_virtual_port("loop")
        target = module.MidiIn(api[1], name=CLIENT)
        names = target.get_ports()
        mine = [i for i, name in enumerate(names) if "loop" in name and CLIENT in name]
        if mine:
            target.open_port(mine[0])
    target.set_callback(lambda event, _: heard.set())
    for n in range(NOTES if mine else 0):
        heard.clear()
        begin = time.perf_counter()
        source.send_message([0x90, 60, 1 + n])
        if heard.wait(0.5):
            times.append(time.perf_counter() - begin)
        time.sleep(0.003)
    target.cancel_callback()
    for client in (source, target):
        client.close_port()
        client.delete()
    return quantiles(times, {"p50": 0.5, "p99": 0.99}) | {"lost": NOTES - len(times)}


def play(app: App, seconds: float) -> None:
    """Play a melody into the band's ears for so long, a note every 0.3 s, as a port would bring it."""
    app.act("start")
    begin = time.perf_counter()
    n = 0
    while (at := n * 0.3) < seconds:
        time.sleep(max(0.0, begin + at - time.perf_counter()))
        app.hear(time.perf_counter(), [0x90, TUNE[n % 8], 80])
        time.sleep(0.2)
        app.hear(time.perf_counter(), [0x80, TUNE[n % 8], 0])
        n += 1


def advise(meters: dict) -> dict[str, float | int]:
    """Commit and horizon for what was measured: final is what the mind may need to react, and the plan is as long as it
    can be made between two notes of a fast player."""
    p95 = meters["reaction_ms"]["p95"] or 200.0
    load = meters["load"] or 1.0
    commit = min(max(round(p95 * 1.5 / 10) * 10, 60), 500)
    return {"commit": commit, "horizon": round(min(max(0.3 / max(load, 0.02), 1.0), 4.0), 1)}


def examine(args: argparse.Namespace) -> None:
    """Print the report. Raises LiveError where there is no MIDI system, or no port."""
    import torch

    from anticipation import __version__

    api = ports.choose(args.api)
    print(f"anticipation {__version__}, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, {os.cpu_count()} cores")  # fmt: skip
    trip = round_trip(api) if api[0] in ports.VIRTUAL else None
    print(f"{api[0]}: a note from port to port in {trip['p50']} ms (p99 {trip['p99']}), {trip['lost']} lost" if trip
          else f"{api[0]}: no virtual ports to measure")  # fmt: skip
    results = {}
    counts = [args.threads] if args.threads else sorted({1, max(1, (os.cpu_count() or 1) // 2)})
    for threads in counts:
        with tempfile.TemporaryDirectory() as folder:
            app = App(api=args.api, in_port=args.in_port, out_port=args.out_port, takes=Path(folder),
                      checkpoint=args.model, weights=args.weights, threads=threads,
                      settings={"count_in": 0, "bravery": 1.0, "instruments": "piano,bass"})  # fmt: skip
            try:
                app.wait_ready(120)
                play(app, args.seconds / len(counts))
                results[threads] = app.state()["meters"]
            finally:
                app.close()
        report(threads, results[threads])
    best = min(results, key=lambda n: results[n]["reaction_ms"]["p95"] or 1e9)
    advice = advise(results[best])
    print(
        f"for this machine: anticipate live --threads {best} --commit {advice['commit']} --horizon {advice['horizon']}"
    )


def report(threads: int, meters: dict) -> None:
    reaction, jitter = meters["reaction_ms"], meters["jitter_ms"]
    lines = (
        f"{threads} thread{'s' * (threads > 1)}: {meters['events_per_second']} events/s, load {meters['load']}",
        f"  reaction p50 {reaction['p50']} ms, p95 {reaction['p95']} (bar: 60, 150)",
        f"  notes out off by p50 {jitter['p50']} ms, p99 {jitter['p99']}, at most {jitter['max']} (bar: p99 2, max 10)",
        f"  late {meters['late']}, dropped {meters['dropped']} (bar: 0)",
    )
    print("\n".join(lines))
