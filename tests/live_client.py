"""A DAW's stand-in: a process of its own with real MIDI ports. Reads a job as JSON from stdin, {"api", "to", "from",
"messages": [[seconds, [bytes]]...], "seconds", "name"}; plays, listens, and prints {"sent", "heard"} with times of
perf_counter, which all processes of a Linux machine share. A line "ready" comes first, and "enough" when it has heard
so many notes begin as "notes" asks for; a line from stdin ends it before its time. In place of a message, [null, notes]
waits for so many, says "enough", and goes on at the line "go", from which times count then."""

import json
import signal
import subprocess
import sys
import threading
import time

import rtmidi


def connect(source: str, target: str) -> None:
    for _ in range(100):
        if subprocess.run(["jack_connect", source, target], capture_output=True).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit(f"cannot connect {source} to {target}")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    job = json.loads(sys.stdin.readline())
    name = job.get("name", "daw")
    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=f"{name}-out")
    inp = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=f"{name}-in")
    try:
        play(job, name, out, inp)
    finally:
        inp.cancel_callback()
        for side in (out, inp):  # a client that goes without a word holds up JACK's whole graph for its timeout
            side.close_port()
            side.delete()


def play(job, name, out, inp) -> None:
    out.open_virtual_port("out")
    inp.open_virtual_port("in")
    inp.ignore_types(sysex=False, timing=False, active_sense=True)
    heard, sent = [], []
    inp.set_callback(lambda event, _: heard.append((time.perf_counter(), event[0])))
    if job.get("to"):
        connect(f"{name}-out:out", job["to"])
    if job.get("from"):
        connect(job["from"], f"{name}-in:in")
    over, going = threading.Event(), threading.Semaphore(0)
    begun, seen = (lambda: sum(m[0] & 0xF0 == 0x90 for _, m in list(heard))), 0

    def listen() -> None:
        for line in sys.stdin:
            if line != "go\n":
                over.set()
            going.release()

    def enough(notes: int) -> None:
        while begun() < seen + notes and not over.wait(0.02):
            pass
        print("enough", flush=True)

    threading.Thread(target=listen, daemon=True).start()
    print("ready", flush=True)
    begin = time.perf_counter() + 0.1
    for at, message in job["messages"]:
        if over.is_set():
            break
        if at is None:
            enough(message)
            going.acquire()
            begin, seen = time.perf_counter(), begun()
            continue
        wait = begin + at - time.perf_counter()
        if wait > 0.001:
            time.sleep(wait - 0.0008)
        while time.perf_counter() < begin + at:
            pass
        sent.append((time.perf_counter(), message))
        out.send_message(message)
    if "notes" in job:
        enough(job["notes"])
    over.wait(max(0.0, begin + job["seconds"] - time.perf_counter()))
    print(json.dumps({"begin": begin, "sent": sent, "heard": heard}), flush=True)


if __name__ == "__main__":
    main()
