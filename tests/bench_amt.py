"""What the public AMT's architecture costs, ours against `transformers`, on the same random weights, in one process:
python tests/bench_amt.py [--layers 12 --width 768 --heads 12] [--device cpu|cuda]. Not a test.

The plain loop is the paper's sampler as its authors released it: three forward passes over the whole context for every
event, with no cache. Where the weights are random, music is too; they are only bent to write ten events a second.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation.model import (
    amt,  # noqa: E402
    checkpoint,  # noqa: E402
    gpt2,  # noqa: E402
    int8,  # noqa: E402
)
from anticipation.model import stream as s  # noqa: E402
from anticipation.model.decode import Decoder  # noqa: E402
from anticipation.model.grammar import Limits, pitch_table  # noqa: E402
from anticipation.music.notes import DRUMS, Notes  # noqa: E402

BAND = Limits(0, 1 << 30, pitch_table([0, 33, 48, DRUMS]))


def row(what: str, figure: str) -> None:
    print(f"{what:100s} {figure}", flush=True)


def clock(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def best(repeats: int, device: str, action) -> float:
    times = []
    for _ in range(repeats + 1):
        begin = clock(device)
        action()
        times.append(clock(device) - begin)
    return min(times[1:])


def weights(args: argparse.Namespace) -> gpt2.GPT2:
    """Random weights that like to move on by some ten steps."""
    torch.manual_seed(0)
    model = gpt2.GPT2(gpt2.Config(args.layers, args.width, args.heads))
    with torch.no_grad():
        model.ln_f.bias += args.width**-0.5
        model.wte.weight[: amt.MAX_TIME] -= torch.arange(amt.MAX_TIME)[:, None] * 0.1 * model.ln_f.bias
    return model


def prompt(rows: int) -> np.ndarray:
    """A stream of so many rows, ten notes a second."""
    known = s.quantise(Notes.of((0.1 * i, 0.2, 48 + i * 7 % 24, 0, 80) for i in range(rows - 1)))
    return s.interleave(known, known[:0], s.Chart.of(Notes.of([])), s.Header(amt.DELTA))


def decoder(model, takes: int = 1) -> Decoder:
    chart, nothing = s.Chart.of(Notes.of([])), s.quantise(Notes.of([]))
    streams = [s.Stream(chart, nothing, amt.DELTA, np.random.default_rng(i), ordered=False) for i in range(takes)]
    return Decoder(model, streams)


def ours(model, rows: int, events: int, takes: int = 1) -> tuple[float, int]:
    """Seconds to draw so many events in each take behind a prompt that is there already, and the tokens fed."""
    several = decoder(model, takes)
    first = prompt(rows)
    several.sync([first] * takes)
    several.next_event([BAND] * takes)
    begin, fed = clock(model.device.type), several.fed
    while min(len(stream.written) for stream in several.streams) < events:
        several.next_event([BAND] * takes)
    return clock(model.device.type) - begin, several.fed - fed


@torch.inference_mode()
def plain_loop(theirs, events: int, device: str) -> float:
    """Seconds for some events of the loop without a cache, its window full."""
    tokens = torch.randint(0, amt.REST, (1, 1021), device=device)
    begin = clock(device)
    for _ in range(events):
        for _ in range(3):
            logits = theirs(tokens, use_cache=False).logits[0, -1]
            logits[amt.CONTROL_OFFSET :] = -torch.inf
            drawn = torch.multinomial(logits.softmax(-1), 1)
            tokens = torch.cat([tokens, drawn[None]], 1)
        tokens = tokens[:, 3:]
    return clock(device) - begin


@torch.inference_mode()
def their_cache(theirs, length: int, events: int, device: str) -> float:
    """Seconds for some events with the cache of `transformers`, in a window that does not slide."""
    out = theirs(torch.randint(0, amt.REST, (1, length), device=device), use_cache=True)
    begin = clock(device)
    for _ in range(3 * events):
        logits = out.logits[0, -1]
        logits[amt.CONTROL_OFFSET :] = -torch.inf
        drawn = torch.multinomial(logits.softmax(-1), 1)
        out = theirs(drawn[None], past_key_values=out.past_key_values, use_cache=True)
    return clock(device) - begin


def bandwidth(model, device: str) -> None:
    """What a batch-1 decode step reaches of what a large copy and a large matrix-vector product reach."""
    big = torch.randn(30_000, 4_000, device=device)
    target, vector = torch.empty_like(big), torch.randn(4_000, device=device)
    copy = 2 * big.numel() * 4 / best(5, device, lambda: target.copy_(big)) / 1e9
    product = big.numel() * 4 / best(5, device, lambda: big @ vector) / 1e9
    row("memory: a copy of 480 MB (read and written); a matrix-vector product", f"{copy:.1f}; {product:.1f} GB/s")
    touched = sum(p.numel() for p in model.h.parameters()) * 4
    token = torch.zeros(1, 1, dtype=torch.int64, device=device)
    for there in (16, 512, 1000):
        cache = model.cache(1)
        cache.length = [there]
        with torch.inference_mode():
            seconds = best(20, device, lambda cache=cache: model.trunk(token, cache))
        kv = cache.kv[..., :there, :].numel() * 4
        rates = [n / seconds / 1e9 for n in (touched, touched + kv)]
        shares = ", ".join(f"{100 * rate / copy:.0f} % ({100 * rate / product:.0f} %)" for rate in rates)
        row(f"a step behind {there} tokens: ms; GB/s of weights; % of the copy (of the product); keys and values too",
            f"{1e3 * seconds:.2f}; {rates[0]:.1f}; {shares}")  # fmt: skip


def profile(model) -> None:
    """Where the time of a step goes."""
    cache, token = model.cache(1), torch.zeros(1, 1, dtype=torch.int64, device=model.device)
    cache.length = [512]
    with torch.inference_mode(), torch.profiler.profile() as seen:
        for _ in range(5):
            model.trunk(token, cache)
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=8, max_name_column_width=44))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--events", type=int, default=200, help="of ours; the plain loop draws 3")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(weights(args), folder, dtype=torch.float32, hugging_face=True)
        theirs = transformers.GPT2LMHeadModel.from_pretrained(folder).eval().to(args.device)
        model = checkpoint.load(folder, args.device)
        source = checkpoint.load(folder) if args.device == "cpu" else None
    bandwidth(model, args.device)
    plain = 3 / plain_loop(theirs, 3, args.device)
    row("the plain loop, full window: events a second", f"{plain:.3f}")
    cached = 30 / their_cache(theirs, 511, 30, args.device)
    row("transformers with its cache, 512 to 600 tokens: events a second", f"{cached:.2f}")
    del theirs
    for name in ("float32", "int8") if source else ("float32",):
        one = model if name == "float32" else int8.quantise(source)  # which takes torch's threads: so it comes last
        seconds, fed = ours(one, 340, args.events)
        rate = args.events / seconds
        row(f"ours, {name}, full window, sliding: events a second; tokens fed an event; over the plain loop",
            f"{rate:.2f}; {fed / args.events:.2f}; {rate / plain:.0f} x")  # fmt: skip
        rate = 30 / ours(one, 170, 30)[0]
        row(f"ours, {name}, 512 to 600 tokens: events a second; over transformers with its cache",
            f"{rate:.2f}; {rate / cached:.2f} x")  # fmt: skip
        times = [ours(one, 100, 60, takes)[0] for takes in (1, 8)]
        row(f"ours, {name}, 60 events behind 300 tokens: seconds of 1 take; of 8; cost of 8 over 1",
            f"{times[0]:.2f}; {times[1]:.2f}; {times[1] / times[0]:.2f} x")  # fmt: skip
        if args.profile:
            profile(one)


if __name__ == "__main__":
    main()
