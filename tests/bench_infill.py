"""What the main job costs, measured: python tests/bench_infill.py [--model PATH] [--minutes 20]. Not a test."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))


def row(what: str, figure: str) -> None:
    print(f"{what:64s} {figure}", flush=True)


def best(repeats: int, action) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def megabytes() -> float:
    """Resident memory now; where /proc is missing, the peak so far."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def long_continuation(model, known, minutes: float) -> None:
    """Every two minutes of music: milliseconds and rows fed for each event, and the memory held."""

    from anticipation.infilling.prompt import Prompt
    from anticipation.infilling.request import Infill
    from anticipation.model import stream as s
    from anticipation.model.decode import Decoder

    request = Infill(known, known.end, known.end + minutes * 60, tuple(known.instruments), density=12)
    asked = Prompt.of(model, request)
    stream = asked.stream(model, 0)
    decoder, limits = Decoder(model, [stream]), asked.limits
    decoder.sync([asked.rows])
    begin, end = limits.start, limits.end
    mark, events, fed, clock = time.perf_counter(), 0, decoder.fed, begin
    print(f"\n{'minute':>8} {'events':>8} {'ms/event':>9} {'rows/event':>11} {'MB':>7}")
    while stream.clock < end:
        decoder.next_event([limits])
        if stream.clock >= clock + 120 * s.STEPS or stream.clock >= end:
            count, now = len(stream.written) - events, time.perf_counter()
            cost, work = 1e3 * (now - mark) / max(count, 1), (decoder.fed - fed) / max(count, 1)
            print(
                f"{(stream.clock - begin) / 6000:8.1f} {count:8d} {cost:9.2f} {work:11.2f} {megabytes():7.0f}",
                flush=True,
            )
            mark, events, fed, clock = now, len(stream.written), decoder.fed, stream.clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    command = [sys.executable, "-m", "anticipation", "--help"]
    row(
        "anticipate --help",
        f"{best(5, lambda: subprocess.run(command, cwd=HERE, capture_output=True, check=True)):.3f} s",
    )
    begin = time.perf_counter()
    import torch

    row("import torch (once a process)", f"{time.perf_counter() - begin:.2f} s")
    import anticipation
    from anticipation.infilling.tasks import Options

    torch.set_num_threads(args.threads)
    row("load of the checkpoint", f"{best(5, lambda: anticipation.load(args.model)):.3f} s")
    model = anticipation.load(args.model)
    score = anticipation.read(HERE / "examples" / "auld-lang-syne.mid")
    for takes in (1, 4, 8):
        options = Options(takes=takes, seed=1, style="pop")
        seconds = best(3, lambda options=options: anticipation.accompany(score, model, "piano", options=options))
        answers = anticipation.accompany(score, model, "piano", options=options)
        notes = sum(len(take.notes) for take in answers)
        row(
            f"accompany, {takes} take(s) of {score.end:.0f} s: seconds of music a second",
            f"{takes * score.end / seconds:.1f}",
        )
        row(
            "    notes; ms a note; rows fed a note",
            f"{notes}; {1e3 * seconds / notes:.2f}; {answers[0].fed / notes:.2f}",
        )
    long_continuation(model, anticipation.accompany(score, model, "piano")[0].score.notes, args.minutes)


if __name__ == "__main__":
    main()
