"""What issue 5 asks of live playing, measured with real JACK ports, a real client process and the shipped checkpoint:

    python tests/bench_live.py --minutes 10 --random 30 --idle 30 --shards SHARDS --songs 20

Prints a table; every part can be left out by giving it 0. Wants a quiet machine with jackd2."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "train"), str(HERE.parent)]
from jackd import SYNCHRONOUS, serve_jack  # noqa: E402
from test_scheduler import check_clean  # noqa: E402
from virtual import Stage, player  # noqa: E402

from anticipation.live.planner import Planner  # noqa: E402
from anticipation.music.notes import Notes  # noqa: E402
from plugin_bridge.app import App  # noqa: E402
from plugin_bridge.clock import Grid, MidiClock  # noqa: E402
from plugin_bridge.meters import late, quantiles  # noqa: E402
from plugin_bridge.ticks import TICKS  # noqa: E402

TUNE = (72, 76, 79, 77, 74, 81, 79, 72)


def row(what: str, measured: str, bar: str) -> None:
    print(f"| {what} | {measured} | {bar} |", flush=True)


@contextmanager
def jack(period: int):
    """A server while it lasts; synchronous, it loses nothing on a busy machine. period: frames at 48 kHz."""
    name = f"bench{os.getpid()}"
    os.environ.update(JACK_DEFAULT_SERVER=name, JACK_NO_AUDIO_RESERVATION="1")
    server = serve_jack(name, *SYNCHRONOUS, period=period)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def client(messages: list, seconds: float) -> subprocess.Popen:
    job = {"to": "Anticipation:in", "from": "Anticipation-01:out", "messages": messages, "seconds": seconds}
    process = subprocess.Popen([sys.executable, HERE / "live_client.py"], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)  # fmt: skip
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    process.stdout.readline()
    time.sleep(0.1)  # after which its time begins
    return process


def finish(process: subprocess.Popen) -> dict:
    return json.loads(process.communicate()[0].splitlines()[-1])


def memory(pid: int) -> float:
    """Resident megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_app(folder: str, checkpoint: str | None, **settings) -> App:
    app = App(api="jack", takes=Path(folder), checkpoint=checkpoint,
              settings={"count_in": 0, "bravery": 1.0, "instruments": "piano,bass"} | settings)  # fmt: skip
    assert app.wait_ready(120), app.state()["message"]
    return app


def melody(seconds: float, rng: random.Random, mess: bool) -> list:
    """A tune in eighths at 120, or a mess: any pitch, any time, chords, notes that are never released."""
    out, at, n = [], 0.5, 0
    while at < seconds - 1:
        pitches = [TUNE[n % 8]] if not mess else [rng.randrange(40, 90) for _ in range(rng.choice([1, 1, 1, 4]))]
        gap = 0.25 if not mess else rng.choice([0.02, 0.1, 0.25, 0.5, 2.0])
        for pitch in pitches:
            out.append([at, [0x90, pitch, rng.randrange(1, 128)]])
            if not mess or rng.random() < 0.9:
                out.append([at + rng.choice([0.05, gap * 0.8]), [0x80, pitch, 0]])
        at, n = at + gap, n + 1
    return sorted(out)


def playing(seconds: float, rng: random.Random, songs: list[Notes]) -> list:
    """Half a minute of a mess and half a minute of a held-out melody by turns."""
    out: list = []
    for at in range(0, int(seconds), 60):
        out += [[at + t, message] for t, message in melody(min(30.0, seconds - at), rng, True)]
        tune = rng.choice(songs) if songs else ()
        for onset, length, pitch, _, velocity in tune.shift(at + 31 - tune.onset[0]) if len(tune) else ():
            if onset < min(at + 59, seconds - 1):
                out += [[onset, [0x90, pitch, velocity]], [min(onset + length, at + 59.5), [0x80, pitch, 0]]]
    return sorted(out)


def steady(args, folder: str) -> None:
    """Scheduling error and reaction while the model generates all the time."""
    app = open_app(folder, args.model)
    process = client(melody(args.minutes * 60, random.Random(0), False), args.minutes * 60 + 3)
    app.act("start")  # as the client begins: who plays to a click plays on its beats
    sizes, end = [], time.perf_counter() + args.minutes * 60  # the client stays for 3 s more
    while (left := end - time.perf_counter()) > 0:
        time.sleep(min(left, 10.0))
        app.state()
        sizes.append((memory(os.getpid()), memory(app.mind.pid)))
    app.act("stop")
    heard = finish(process)
    meters, errors = app.meters, list(app.hands.errors)
    off = quantiles(np.abs(errors), {"p50": 0.5, "p99": 0.99, "max": 1.0})
    react = quantiles(meters.reactions, {"p50": 0.5, "p95": 0.95})
    grid = app.clock.grid
    onsets = np.array([p.onset for p in app.session.sounded])
    sixteenths = np.array([grid.beat_at(t) * 4 for t in onsets])
    near = np.abs(sixteenths - np.rint(sixteenths)) * grid.period / 4 <= 0.03
    row(
        f"scheduling error, {args.minutes:g} min, {len(errors)} notes out",
        f"p50 {off['p50']} ms, p99 {off['p99']}, max {off['max']}",
        "p99 <= 2 ms, max <= 10 ms",
    )
    row(f"note-on to a plan that knows it, {len(meters.reactions)} notes", f"p50 {react['p50']} ms, p95 {react['p95']}",
        "p50 <= 60 ms, p95 <= 150 ms")  # fmt: skip
    row(
        "rows read for a player's note before its plan's first step",
        f"median {np.median(meters.suffixes):g}, p95 {np.quantile(meters.suffixes, 0.95):g}",
        "the changed suffix only",
    )
    row("notes within 30 ms of a sixteenth (quantise 0.8)", f"{100 * near.mean():.1f} %", ">= 90 %")
    row("late / dropped", f"{late(app.hands.errors)} / {app.dropped}", "0 / 0")
    if len(sizes) > 3:
        first, last = sizes[len(sizes) // 3], sizes[-1]
        row(
            "memory after a third and at the end, MB: app, mind",
            f"{first[0]:.0f}, {first[1]:.0f}; {last[0]:.0f}, {last[1]:.0f}",
            "flat",
        )
    check_clean([(t, m) for t, m in heard["heard"] if m[0] & 0xF0 in (0x80, 0x90)])
    app.close()


def rough(args, folder: str) -> None:
    """Random playing with stops, relocations, tempo changes, a killed mind and a vanished client."""
    app = open_app(folder, args.model, listen=0)
    seconds, rng = args.random * 60, random.Random(1)
    songs = [case.melody for case in held_out(args, 40)] if args.shards else []
    things = [("stop", "continue")] * 20 + [("locate",)] * 20 + [("tempo",)] * 5 + [("kill",), ("vanish",)]
    rng.shuffle(things)
    app.act("start")
    process = client(playing(seconds, rng, songs), seconds)
    heard, begin, vanished = [], time.perf_counter(), None
    for k, names in enumerate(things):
        time.sleep(max(0.0, begin + (k + 1) * seconds / (len(things) + 2) - time.perf_counter()))
        for name in names:
            if name == "tempo":
                app.set("bpm", rng.randrange(60, 200))
            elif name == "kill":
                os.kill(app.mind.pid, signal.SIGKILL)
            elif name == "vanish":
                process.communicate("end\n")
                vanished = time.perf_counter()
                process = client(playing(begin + seconds - vanished, rng, songs), begin + seconds - vanished)
            else:
                app.act(name, **({"seconds": rng.uniform(0, 200)} if name == "locate" else {}))
            time.sleep(0.1)
    time.sleep(max(0.0, begin + seconds - 2 - time.perf_counter()))
    app.act("stop")
    heard = [(t, m) for t, m in finish(process)["heard"] if m[0] & 0xF0 in (0x80, 0x90)]
    on, overlapping = {}, 0  # what had begun before the client came back is ended for it too
    for _, (status, pitch, velocity) in heard:
        key = status & 15, pitch
        overlapping += status & 0xF0 == 0x90 and velocity > 0 and on.get(key, 0) > 0
        on[key] = 1 if status & 0xF0 == 0x90 and velocity else 0
    row(f"late / stuck / overlapping, {args.random:g} min of mess and {len(songs)} "
        f"held-out melodies, 20 stops, 20 relocations, 5 tempos, a "
        f"killed mind, a vanished port; {app.hands.sent} notes out",
        f"{late(app.hands.errors)} / {sum(on.values())} / {overlapping} (too late, silent: {app.dropped})",
        "0 / 0 / 0")  # fmt: skip
    app.close()


def idle(args, folder: str) -> None:
    app = open_app(folder, args.model)
    app.act("start")
    pids = [os.getpid(), app.mind.pid, app.hands.pid]
    before, begin = [cpu(pid) for pid in pids], time.perf_counter()
    time.sleep(args.idle)
    each = [(cpu(pid) - was) / (time.perf_counter() - begin) for pid, was in zip(pids, before, strict=True)]
    row("CPU of a session that plays and hears nothing", f"{100 * sum(each):.1f} % of a core (" + ", ".join(
        f"{name} {100 * share:.1f}" for name, share in zip(("app", "mind", "hands"), each, strict=True))
        + ")", "<= 2 %")  # fmt: skip
    app.close()


def clock() -> None:
    """Phase error at 3 ms of jitter, in virtual time."""
    errors = []
    for seed, bpm in enumerate(np.linspace(60, 200, 29)):
        rng = np.random.default_rng(seed)
        true = 10 + np.arange(24 * 32) * 60 / (bpm * TICKS)
        heard = np.maximum.accumulate(true + rng.normal(0, 0.003, len(true))) + np.arange(len(true)) * 1e-7
        follower = MidiClock()
        follower.hear(0xFA, 9.9)
        for n, wall in enumerate(heard):
            follower.hear(0xF8, wall)
            if n >= 2 * TICKS:
                errors.append(abs(follower.wall(follower.grid.time_of(n / TICKS)) - true[n]))
    off = quantiles(errors, {"p50": 0.5, "p99": 0.99, "max": 1.0})
    row("MIDI clock, 60-200 bpm, 3 ms jitter: phase error after two beats",
        f"p50 {off['p50']} ms, p99 {off['p99']}, max {off['max']}", "<= 5 ms")  # fmt: skip


def held_out(args, most: int) -> list:
    """POP909's development melodies."""
    from cases import cases

    from anticipation.data.shards import Shards

    return list(cases(Shards(args.shards), "accompany", most=most))


def harmony(args) -> None:
    """Live and offline accompaniment of the same development melodies, scored alike."""
    import torch
    from judge import Terms, ask

    from anticipation.model import checkpoint
    from anticipation.music import metrics

    torch.set_num_threads(1)
    model, songs = checkpoint.load(args.model, "cpu"), [c for c in held_out(args, args.songs) if len(c.beats)]
    rates: dict[str, np.ndarray] = {}

    def score(name: str, written: Notes, case) -> None:
        pair = np.array([*metrics.harmony_rate(written, case.melody, case.chords), len(written), len(case.human)])
        rates[name] = rates.get(name, np.zeros(4)) + pair

    for case in songs:
        for mode in ("band", "timeline"):
            planner, beats = Planner(model, 1), case.beats
            made = Stage(
                planner.plan, lambda: 0.008, {"mode": mode, "listen": 0}, 60 / float(np.median(beats.duration))
            )
            made.session.timeline(list(case.melody), 0.0)
            made.start()
            made.clock.grid = Grid(float(beats.onset[0]), int(beats.pitch[0]), made.clock.grid.period)
            made.run(player(case.melody), case.end)
            rows = (note[:5] for note in made.session.sounded)
            score(mode, Notes.of(rows), case)
        for chords in ("planned", "none"):
            (written,) = ask(model, case, Terms("yes", chords))
            score(f"offline, {chords}", written, case)
    row(f"harmony rate, {len(songs)} POP909 development melodies", "; ".join(
        f"{name} {100 * inside / max(counted, 1):.1f} % (density {ours / human:.2f})"
        for name, (inside, counted, ours, human) in rates.items()), "within 10 points of offline")  # fmt: skip


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--minutes", type=float, default=1.0, help="of steady playing")
    args.add_argument("--random", type=float, default=2.0, help="minutes of random playing")
    args.add_argument("--idle", type=float, default=15.0, help="seconds of doing nothing")
    args.add_argument("--period", type=int, default=256, help="of JACK, in frames of 48 kHz: a DAW's usual buffer; "
                      "every one wakes the two ports, so an idle session costs more with shorter ones")  # fmt: skip
    args.add_argument("--shards", type=Path, help="for the harmony rate")
    args.add_argument("--songs", type=int, default=10)
    args.add_argument("--model", type=Path)
    args = args.parse_args()
    print("| what | measured | bar |\n|---|---|---|")
    clock()
    for part, asked in ((steady, args.minutes), (rough, args.random), (idle, args.idle)):
        if asked:
            with tempfile.TemporaryDirectory() as folder, jack(args.period):
                part(args, folder)
    if args.shards and args.songs:
        harmony(args)


if __name__ == "__main__":
    main()
