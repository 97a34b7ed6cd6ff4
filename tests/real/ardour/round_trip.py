"""The co-pilot inside a real DAW: Ardour, headless, plays a recorded melody to it and records its answer.

    apt-get install ardour jackd2 && python tests/real/ardour/round_trip.py [--model CHECKPOINT] [--keep FOLDER]

Prints what Ardour recorded, and checks it: every note ends, none overlaps itself, it began after the melody did."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[3]
TUNE = (60, 64, 67, 65, 62, 69, 67, 60, 60, 64, 67, 65, 62, 69, 67, 60)


def player(target: str) -> None:
    """A tune in eighths at 120 bpm into a port of the DAW."""
    import rtmidi

    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="player")
    out.open_virtual_port("out")
    subprocess.run(["jack_connect", "player:out", target], check=True)
    time.sleep(0.2)
    begin = time.perf_counter()
    for k, pitch in enumerate(TUNE):
        time.sleep(max(0.0, begin + 0.25 * k - time.perf_counter()))
        out.send_message([0x90, pitch, 80])
        time.sleep(0.2)
        out.send_message([0x80, pitch, 0])
    time.sleep(0.2)
    out.close_port()
    out.delete()  # or JACK's graph stands still until it has noticed


def start() -> None:
    """Tell the co-pilot to start, by OSC."""
    from pythonosc.udp_client import SimpleUDPClient

    SimpleUDPClient("127.0.0.1", int(os.environ["OSC"])).send_message("/anticipation/do/start", [])


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--model", help="checkpoint (default: the shipped one)")
    flags.add_argument("--keep", type=Path, help="an empty folder for Ardour's session and our take")
    flags.add_argument("--seconds", type=float, default=8.0)
    args = flags.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp())
    name, port = f"ardour{os.getpid()}", str(20000 + os.getpid() % 20000)
    env = os.environ | {
        "JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1", "OSC": port, "FOLDER": str(folder),
        "SECONDS": str(args.seconds), "TOOLS": f"{sys.executable} {HERE}", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    jack = subprocess.Popen(f"jackd -r -S -n {name} -p 512 -t 5000 -d dummy -r 48000 -p 64 -C 2 -P 2".split(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while subprocess.run(["jack_lsp"], env=env, capture_output=True).returncode:
        time.sleep(0.1)
    line = [sys.executable, "-m", "anticipation", "live", "--api", "jack", "--no-page", "--osc", port, "--count-in",
            "0", "--takes", str(folder / "takes"), *(["--model", args.model] if args.model else [])]  # fmt: skip
    ours = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True)
    try:
        while not (said := ours.stdout.readline()).startswith("ready"):
            print("ours:", said.strip() or f"exit code {ours.poll()}")
            if ours.poll() is not None:
                return 1
        daw = subprocess.run(["ardour7-lua", str(HERE.with_suffix(".lua"))], env=env, capture_output=True, text=True,
                             timeout=180)  # fmt: skip
    finally:
        ours.terminate()
        ours.wait(20)
        jack.terminate()
    print(daw.stdout[-4000:], daw.stderr[-1500:])
    return check(daw.stdout, folder)


def check(out: str, folder: Path) -> int:
    rows = [line.split() for line in out.splitlines() if line.startswith(("melody", "band"))]
    melody, band = ([row for row in rows if row[0] == name] for name in ("melody", "band"))
    sys.path.insert(0, str(ROOT))
    from anticipation.score.midi import read

    files = sorted(folder.glob("session/interchange/*/midifiles/*Band*.mid"))
    notes = read(files[-1]).notes if files else None
    print(f"Ardour recorded {len(melody)} notes of the melody and {len(band)} of the band; its file has "
          f"{len(notes) if notes is not None else 'no'} notes; our takes: "
          f"{[p.name for p in folder.glob('takes/*.mid')]}")  # fmt: skip
    if len(melody) != len(TUNE) or not band or notes is None or len(notes) != len(band):
        print("FAILED")
        return 1
    for pitch in set(notes.pitch.tolist()):
        for instrument in set(notes.instrument.tolist()):
            same = notes[(notes.pitch == pitch) & (notes.instrument == instrument)]
            assert (same.offset[:-1] <= same.onset[1:] + 1e-3).all(), "a pitch overlaps itself"
    assert (notes.duration > 0).all() and float(notes.onset.min()) > 0.3, "it played before it had heard anything"
    print("passed")
    return 0


if __name__ == "__main__":
    tools = {"player": player, "start": lambda: start()}
    sys.exit(tools[sys.argv[1]](*sys.argv[2:]) if sys.argv[1:2] and sys.argv[1] in tools else main())
