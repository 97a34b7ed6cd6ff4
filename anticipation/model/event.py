"""The event transformer: one trunk step per row, a head that draws an event's fields one after another.

Knows weights and its cache's shape. Does not know what features stand for, what may be written, or how to sample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..music.notes import CHORD
from . import stream as s
from .around import HEARD_SIZE, LINE_SIZE, NO_PITCH, PITCHES_AT, SOON_SIZE
from .cache import Cache
from .features import CHART_AT, DURATION, FEATURES, FIELD_SIZES, GIVEN, INSTRUMENT, OFFSETS, PITCH, SHIFT

NEVER = -1e9  # a logit whose gradient is no NaN
INTERVALS = 4  # worths that each interval has, which the state weighs
# What the tables of notes around, and the worths of intervals, are multiplied by. So they learn faster: they begin at
# zero, and Adam moves all weights alike.
TOLD, WORTH = 4.0, 16.0
HEAD = 64  # dimensions of an attention head: half turn with the row's index, half with its time


@dataclass(frozen=True)
class Config:
    """One dial: `depth` blocks of width 64 * depth, or 64 * `heads` where those are told. window: rows of context."""

    depth: int = 4
    window: int = 512
    heads: int = 0
    family: str = "event"

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", self.heads or self.depth)

    @property
    def width(self) -> int:
        return HEAD * self.heads

    def to_dict(self) -> dict:
        """With the constants of the stream, so that weights never meet another encoding."""
        around = {"heard": HEARD_SIZE, "soon": SOON_SIZE, "line": LINE_SIZE, "intervals": INTERVALS}
        return asdict(self) | {"steps": s.STEPS, "features": dict(FEATURES), "fields": list(FIELD_SIZES)} | around


PRESETS = {  # about 5, 8, 45, 125 and 440 M parameters
    "tiny": Config(4), "mini": Config(8, heads=4), "small": Config(9), "base": Config(13), "large": Config(20),
}  # fmt: skip


def rotation(index: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary angles (Su et al. 2021), half over the row's index, half over its time in steps, for `rotate`: (..., 64)
    cos and sin, of which each angle is there twice, and the first sine negative. Relative time reaches attention
    directly; nothing is absolute, so a stream can slide for ever."""
    pairs = HEAD // 4
    ramp = torch.arange(pairs, device=index.device, dtype=torch.float32) / pairs
    by_index = index[..., None].float() * 1024.0**-ramp
    by_time = time[..., None].float() * (2 * np.pi / 12) * 1000.0**-ramp  # wavelengths of 0.12 s to 2 min
    angle = torch.cat([by_index, by_time], -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x (..., 64), whose pairs are half of it apart, turned by angles of the same shape."""
    cos, sin = (t.to(x.dtype) for t in turn)
    return x * cos + x.roll(HEAD // 2, -1) * sin


def norm(x: Tensor) -> Tensor:
    """RMSNorm (Zhang, Sennrich 2019) without weights, over the last dimension."""
    return F.rms_norm(x, (x.shape[-1],))


def followed(targets: Tensor) -> Tensor:
    """(M,) flat indices of the rows of (B, T, 5) targets that are followed by something drawn."""
    return (targets[..., SHIFT].reshape(-1) != GIVEN).nonzero()[:, 0]


class Block(nn.Module):
    """Attention with normed queries and keys (Henry et al. 2020); a perceptron with squared ReLU (So et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, turns, cache: Cache | None, layer: int) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(norm(x)).view(batch, length, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4)
        (q, k), v = rotate(norm(qkv[:2]), turns), qkv[2]
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = cache.attend(layer, q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.relu(self.up(norm(x))).square())


class EventModel(nn.Module):
    """The native model. `trunk` turns rows into states, `field` a state into the logits of one field."""

    family = "event"
    reads_chart = True  # takes beats, chords and instruments as input, and music transposed to C
    anticipates = True  # trained on controls
    echoes = True  # is told given notes of the parts that it writes a second time, when they begin
    takes_late = True  # trained on controls that arrive after their onset, as a live player's notes do
    cache_dtype = torch.float32  # of keys and values
    fingerprint = ""  # of the weights' file, where they came from one

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed = nn.EmbeddingBag(int(OFFSETS[-1]), width, mode="sum")
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.depth))
        self.state = nn.Linear(width, 5 * width, bias=False)  # the trunk's state, as each field's head wants it
        self.drawn = nn.EmbeddingBag(sum(FIELD_SIZES[:-1]), width, mode="sum")
        self.chart = nn.EmbeddingBag(int(OFFSETS[-1] - OFFSETS[CHART_AT]), width, mode="sum")
        self.heard = nn.Linear(HEARD_SIZE, width, bias=False)
        self.mix = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in FIELD_SIZES[1:])
        self.logits = nn.ModuleList(nn.Linear(width, size) for size in FIELD_SIZES)
        self.soon = nn.EmbeddingBag(SOON_SIZE, width, mode="sum")
        self.line = nn.EmbeddingBag(LINE_SIZE, width, mode="sum")
        # What each interval from a pitch of the line is worth, and how much of that counts, by the state.
        self.interval = nn.Parameter(torch.zeros(len(PITCHES_AT), INTERVALS, 255))
        self.weigh = nn.Linear(width, len(PITCHES_AT) * INTERVALS)
        # Of each field's classes in `drawn`. A buffer, for a tensor made in `field` would make a GPU wait four times a
        # batch; on the CPU even where weights are on no device yet, for it is not among those that are loaded.
        offsets = torch.tensor(np.cumsum([0, *FIELD_SIZES[:-2]]), device="cpu")
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("pitches_at", torch.tensor(PITCHES_AT, device="cpu"), persistent=False)
        self.register_buffer("no_pitch", torch.tensor(NO_PITCH, device="cpu"), persistent=False)
        self.offsets: Tensor
        self.pitches_at: Tensor
        self.no_pitch: Tensor
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        for name, p in self.named_parameters():
            silent = name.startswith(("logits", "heard", "soon", "line", "interval"))
            if p.ndim < 2 or silent or name.endswith(("out.weight", "down.weight")):
                p.zero_()
            elif name.startswith(("embed", "drawn", "chart")):
                p.normal_(0, 0.3)
            else:
                p.normal_(0, p.shape[1] ** -0.5)

    @torch.no_grad()
    def take_over(self, other: EventModel) -> None:
        """The weights of a model of as many blocks, or of fewer: each of those that are more is a copy of the one
        before it that adds nothing yet, so the logits are the same (after Net2Net, Chen et al. 2016). Raises
        RuntimeError where the models do not fit."""
        if other.config.depth > self.config.depth:
            raise RuntimeError("it has more blocks")
        state = other.state_dict()
        grown = {name: weight for name, weight in state.items() if not name.startswith("blocks.")}
        sources = [i * other.config.depth // self.config.depth for i in range(self.config.depth)]
        for i, source in enumerate(sources):
            copy = i > 0 and source == sources[i - 1]
            for name in self.blocks[i].state_dict():
                weight = state[f"blocks.{source}.{name}"]
                idle = copy and name in ("out.weight", "down.weight")
                grown[f"blocks.{i}.{name}"] = torch.zeros_like(weight) if idle else weight
        self.load_state_dict(grown)

    @property
    def window(self) -> int:
        """How many rows its context holds."""
        return self.config.window

    @property
    def device(self) -> torch.device:
        return self.embed.weight.device

    def cache(self, batch: int) -> Cache:
        """An empty cache for `batch` streams; the last place is for padding."""
        c = self.config
        return Cache.empty(c.depth, batch, c.heads, c.window + 1, HEAD, self.device, self.cache_dtype)

    def trunk(self, features: Tensor, clock: Tensor, at: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, T, 12) features, (B, T) clocks and onsets in steps -> (B, T, width) states.

        A query stands at its row's clock, a key at its own onset (they differ for controls). With a cache, rows
        follow the `cache.length` rows that are there, which the caller then moves on by as many as were real (padding
        is simply not counted).
        """
        batch, length, _ = features.shape
        x = norm(self.embed(features.reshape(batch * length, -1)).view(batch, length, -1))
        place = torch.arange(length, device=x.device).expand(batch, -1) if cache is None else cache.begin(length)
        times = torch.stack([clock, at])  # of queries, of keys
        cos, sin = rotation(place.expand_as(times), times)
        turns = cos[:, :, None], sin[:, :, None]  # for all heads
        for i, block in enumerate(self.blocks):
            x = block(x, turns, cache, i)
        return norm(x)

    def heads(self, x: Tensor) -> Tensor:
        """(N, width) states -> (N, 5, width), one for each field."""
        return self.state(x).unflatten(-1, (5, -1))

    def field(
        self, i: int, state: Tensor, drawn: Tensor, chart: Tensor, heard: Tensor, soon: Tensor, line: Tensor
    ) -> Tensor:
        """Logits (N, size) of field i. state: (N, width) from `heads`. drawn: (N, i) classes of the fields before it.
        What lies around (around.py): soon, (N, 8) indices, is for the shift alone; chart, (N, 6) indices, and heard,
        (N, 48), both at the event's own time, for the fields after it; line, (N, 10) indices, of the event's own time
        and instrument, for those after the instrument.
        """
        if i:
            known = self.drawn(drawn + self.offsets[:i]) + self.chart(chart - int(OFFSETS[CHART_AT]))
            known = known + self.heard(heard)
            state = state + self.mix[i - 1](known if i == 1 else known + TOLD * self.line(line))
        else:
            state = state + TOLD * self.soon(soon)
        logits = self.logits[i](F.relu(state).square()).float()
        return logits + self.intervals(state, line) if i == PITCH else logits

    def intervals(self, state: Tensor, line: Tensor) -> Tensor:
        """(N, 128) what is added to the logits of pitches for their intervals from those of the line (N, 10)."""
        place = line[:, : len(NO_PITCH)] - self.pitches_at
        weigh = 1.0 + self.weigh(norm(state)).view(len(state), len(NO_PITCH), INTERVALS)
        weigh = weigh.masked_fill((place == self.no_pitch)[..., None], 0.0)
        worth = WORTH * torch.einsum("nki,kij->nkj", weigh.float(), self.interval.float())
        pitches = torch.arange(128, device=line.device) + 127
        return worth.gather(2, pitches - (place % 128)[..., None]).sum(1)

    def losses(
        self, features: Tensor, clock: Tensor, at: Tensor, chart: Tensor, heard: Tensor, soon: Tensor, line: Tensor,
        targets: Tensor, which: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The cross-entropy of every drawn field, in nats. The arguments are the columns of `collate` as tensors.

        Returns (nats, which). which: (M,) flat indices into (B * T) of the rows that are followed by something drawn,
        as `followed` gives them; passing them in saves waiting for a GPU to compute them. nats: (M, 5), 0 where a field
        is not drawn. An echo (a target without duration) costs in place of a shift that nothing is drawn before it.
        """
        numbers = (features, clock, at, chart, soon, line, targets)  # of 32 bits in a batch, to travel light
        features, clock, at, chart, soon, line, targets = (x.long() for x in numbers)
        which = followed(targets) if which is None else which
        x = self.trunk(features, clock, at).flatten(0, 1)[which]
        target, *told = (x.flatten(0, 1)[which] for x in (targets, chart, heard, soon, line))
        heads = self.heads(x)
        drawn = target.clamp(min=0)
        logits = [self.field(i, heads[:, i], drawn[:, :i], *told) for i in range(5)]
        nats = torch.stack([F.cross_entropy(logits[i], target[:, i], reduction="none") for i in range(5)], 1)
        echo = (target[:, PITCH] != GIVEN) & (target[:, DURATION] == GIVEN)
        passed = F.pad(nothing_before(logits[: PITCH + 1], drawn)[:, None], (0, 4))
        return torch.where(echo[:, None], passed, nats), which


def nothing_before(logits: list[Tensor], echo: Tensor) -> Tensor:
    """(M,) nats that what is drawn next is the echo, or comes after it in the order of a stream: later, or with it and
    of a later instrument, or of that instrument and not lower. logits: of shift, instrument and pitch. echo: (M, 5) its
    classes."""
    out = torch.zeros(len(echo), device=echo.device)
    for field in reversed(range(len(logits))):  # from P(pitch not lower) to P(shift longer) + P(same) * the rest of it
        log = logits[field].log_softmax(-1)
        classes = torch.arange(log.shape[-1], device=echo.device)
        later = classes > echo[:, field, None]
        if field == INSTRUMENT:  # chords come before the notes of their time
            later &= classes < CHORD
        later = log.masked_fill(~later, NEVER).logsumexp(-1)
        same = log.gather(1, echo[:, field, None])[:, 0]
        out = torch.logaddexp(later, same + out)
    return -out


def blended(first: nn.Module, last: nn.Module, share: float) -> dict[str, Tensor]:
    """The last weights, with such a share of those that they began as (Wortsman et al. 2022)."""
    old = first.state_dict()
    return {name: weight.lerp(old[name].to(weight), share) for name, weight in last.state_dict().items()}


def count_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


class Undrawn(TorchFunctionMode):
    """Where modules are made without random weights, as others are to be loaded into them. Drawing any on the device
    "meta" would cost no time itself, but torch imports its compiler for it, which takes about as long as all the rest
    of torch."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.__name__ == "normal_":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
