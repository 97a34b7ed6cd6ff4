"""The event transformer: one trunk step per row, a head that draws an event's fields one after another.

Knows bins, weights and its cache's shape. Does not know where rows come from, what may be written, or how to sample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stream as s
from .cache import Cache
from .grammar import REST_CLASS
from .harmony import CHORDS
from .markov import Markov
from .notes import CHORD, INSTRUMENTS

_EXACT = 100  # shifts within a second are told exactly, beyond it in tenths
SHIFTS = 2 * _EXACT + 1 + (s.HORIZON - _EXACT) // 10
# Duration bins: exact to 0.3 s, then 4 % apart to 10 s.
DURATIONS = np.unique(np.rint(np.concatenate([np.arange(1, 31), np.geomspace(31, s.MAX_DURATION, 88)]))).astype(
    np.int64
)
VELOCITIES = 33  # 0: unknown, then 32 levels of 4
FIELD_NAMES = ("shift", "instrument", "pitch", "duration", "velocity")
FIELD_SIZES = (REST_CLASS + 1, INSTRUMENTS, 128, len(DURATIONS), VELOCITIES)

_FEATURES = {  # what a row is embedded by: the sizes of the tables, summed
    "kind": 4, "shift": SHIFTS, "instrument": INSTRUMENTS + 1, "pitch": 129 + len(s.STYLES),
    "duration": len(DURATIONS) + 1, "velocity": VELOCITIES + 2, "beat": s.NO_BEAT + 1, "wait": SHIFTS,
    "period": SHIFTS, "chord": CHORDS + 1, "next": CHORDS + 1, "change": SHIFTS,
}  # fmt: skip
HEARD = 12 * len(s.EARSHOT)
_OFFSETS = np.cumsum([0, *_FEATURES.values()])
_CHART_AT = list(_FEATURES).index("beat")


def shift_bin(steps: np.ndarray) -> np.ndarray:
    """Steps to one of SHIFTS bins; those before the last second, or beyond the horizon, are taken for its edge."""
    steps = np.clip(steps, -_EXACT, s.HORIZON)
    return np.where(steps <= _EXACT, steps + _EXACT, 2 * _EXACT + 1 + (steps - _EXACT - 1) // 10)


def duration_bin(steps: np.ndarray) -> np.ndarray:
    """Steps to the index of the nearest of DURATIONS."""
    right = np.clip(np.searchsorted(DURATIONS, steps), 1, len(DURATIONS) - 1)
    return right - (steps - DURATIONS[right - 1] < DURATIONS[right] - steps)


def velocity_bin(velocity: np.ndarray) -> np.ndarray:
    """Velocities 0-127 to one of VELOCITIES levels."""
    return np.where(velocity > 0, np.clip(velocity, 1, 127) // 4 + 1, 0)


def velocity_of(level):
    """Velocity in the middle of a level; unknown stays 0."""
    return np.where(np.asarray(level) > 0, np.maximum(np.asarray(level) * 4 - 2, 1), 0)


def chart_features(chart: np.ndarray) -> np.ndarray:
    """(..., 6) chart columns to indices of the embedding table."""
    out = chart.copy()
    for column in (1, 2, 5):
        out[..., column] = shift_bin(chart[..., column])
    return out + _OFFSETS[_CHART_AT : _CHART_AT + 6]


def features(rows: np.ndarray) -> np.ndarray:
    """(..., columns) rows to (..., 12) indices of the embedding table."""
    kind = rows[..., s.KIND]
    start, rest = kind == s.START_KIND, kind == s.REST_KIND
    out = np.empty((*rows.shape[:-1], len(_FEATURES)), dtype=np.int64)
    out[..., 0] = kind
    out[..., 1] = shift_bin(rows[..., s.SHIFT])
    out[..., 2] = np.where(rest, INSTRUMENTS, rows[..., s.INSTRUMENT])
    out[..., 3] = np.where(rest, 128, np.where(start, 129, 0) + rows[..., s.PITCH])
    out[..., 4] = np.where(start | rest, len(DURATIONS), duration_bin(rows[..., s.DURATION]))
    out[..., 5] = np.where(start, VELOCITIES + rows[..., s.VELOCITY], velocity_bin(rows[..., s.VELOCITY]))
    out[..., :_CHART_AT] += _OFFSETS[:_CHART_AT]
    out[..., _CHART_AT:] = chart_features(rows[..., s.CHART])
    return out


def targets(rows: np.ndarray) -> np.ndarray:
    """(..., T, columns) rows to (..., T, 5) classes of what follows each row; -100 where a field is given, not drawn:
    all of a control's, all but a rest's shift, a look, an unknown velocity, the velocity of a chord."""
    after = rows[..., 1:, :]
    event = after[..., s.KIND] == s.EVENT
    rest = (after[..., s.KIND] == s.REST_KIND) & (after[..., s.SHIFT] == s.REST)  # a shorter one is a look
    out = np.full((*rows.shape[:-1], 5), -100, dtype=np.int64)
    body = out[..., :-1, :]
    body[..., 0] = np.where(rest, REST_CLASS, np.where(event, after[..., s.SHIFT], -100))
    body[..., 1] = np.where(event, after[..., s.INSTRUMENT], -100)
    body[..., 2] = np.where(event, after[..., s.PITCH], -100)
    body[..., 3] = np.where(event, duration_bin(after[..., s.DURATION]), -100)
    played = event & (after[..., s.INSTRUMENT] != CHORD) & (after[..., s.VELOCITY] > 0)
    body[..., 4] = np.where(played, velocity_bin(after[..., s.VELOCITY]), -100)
    return out


def followed(targets: Tensor) -> Tensor:
    """(M,) flat indices of the rows of (B, T, 5) targets that are followed by something drawn."""
    return (targets[..., 0].reshape(-1) != -100).nonzero()[:, 0]


def target_heard(rows: np.ndarray) -> np.ndarray:
    """(T, heard) what sounds at the time of what follows each row of one stream, as far as the row knows."""
    after = np.minimum(np.arange(len(rows)) + 1, len(rows) - 1)
    out = np.zeros((len(rows), HEARD), dtype=np.float32)
    which = np.flatnonzero(rows[after, s.KIND] == s.EVENT)
    out[which] = s.heard(rows, rows[after[which], s.CLOCK], which)
    return out


def target_chart(rows: np.ndarray) -> np.ndarray:
    """(..., T, 6) chart indices at the time of what follows each row: the head reads the chart there. A chord that is
    still to be drawn is not told: the row's own stands in for it."""
    chart = rows[..., s.CHART].copy()
    after = rows[..., 1:, :]
    chart[..., :-1, :] = after[..., s.CHART]
    drawn = (after[..., s.KIND] == s.EVENT) & (after[..., s.INSTRUMENT] == CHORD)
    chart[..., :-1, 3] = np.where(drawn, rows[..., :-1, s.CHORD_], chart[..., :-1, 3])
    return chart_features(chart)


def collate(several: list[np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Rows of several streams as a padded batch of what `losses` takes: features, clock, at, chart, targets (int32) and
    heard (float32)."""
    rows = np.zeros((len(several), length, len(s.COLUMNS)), dtype=np.int64)
    drawn = np.full((len(several), length, 5), -100, dtype=np.int64)
    heard = np.zeros((len(several), length, HEARD), dtype=np.float32)
    for i, one in enumerate(several):
        rows[i, : len(one)] = one
        rows[i, len(one) :, s.CLOCK] = rows[i, len(one) :, s.AT] = one[-1, s.CLOCK]
        drawn[i, : len(one)], heard[i, : len(one)] = targets(one), target_heard(one)
    batch = {
        "features": features(rows), "clock": rows[..., s.CLOCK], "at": rows[..., s.AT], "chart": target_chart(rows),
        "targets": drawn,
    }  # fmt: skip
    return {name: column.astype(np.int32) for name, column in batch.items()} | {"heard": heard}


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
        sizes = {"features": dict(_FEATURES), "fields": list(FIELD_SIZES), "heard": HEARD}
        return asdict(self) | {"steps": s.STEPS} | sizes


PRESETS = {  # about 5, 8, 45, 125 and 440 M parameters
    "tiny": Config(4), "mini": Config(8, heads=4), "small": Config(9), "base": Config(13), "large": Config(20),
}  # fmt: skip


def rotation(index: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary angles (Su et al. 2021), half over the row's index, half over its time in steps: (..., 32) cos and sin.
    Relative time reaches attention directly; nothing is absolute, so a stream can slide for ever."""
    pairs = HEAD // 4
    ramp = torch.arange(pairs, device=index.device, dtype=torch.float32) / pairs
    by_index = index[..., None].float() * 1024.0**-ramp
    by_time = time[..., None].float() * (2 * np.pi / 12) * 1000.0**-ramp  # wavelengths of 0.12 s to 2 min
    angle = torch.cat([by_index, by_time], -1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x (B, heads, T, 64) turned by angles (B, T, 32)."""
    cos, sin = (t[:, None].to(x.dtype) for t in turn)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def norm(x: Tensor) -> Tensor:
    """RMSNorm (Zhang, Sennrich 2019) without weights, over the last dimension."""
    return F.rms_norm(x, (x.shape[-1],))


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
        q, k, v = self.qkv(norm(x)).view(batch, length, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4)
        q, k = rotate(norm(q), turns[0]), rotate(norm(k), turns[1])
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
    takes_late = True  # trained on controls that arrive after their onset, as a live player's notes do
    cache_dtype = torch.float32  # of keys and values
    fingerprint = ""  # of the weights' file, where they came from one
    markov: Markov | None = None  # its second opinion on chords

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed = nn.EmbeddingBag(int(_OFFSETS[-1]), width, mode="sum")
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.depth))
        self.state = nn.Linear(width, 5 * width, bias=False)  # the trunk's state, as each field's head wants it
        self.drawn = nn.EmbeddingBag(sum(FIELD_SIZES[:-1]), width, mode="sum")
        self.chart = nn.EmbeddingBag(int(_OFFSETS[-1] - _OFFSETS[_CHART_AT]), width, mode="sum")
        self.heard = nn.Linear(HEARD, width, bias=False)
        self.mix = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in FIELD_SIZES[1:])
        self.logits = nn.ModuleList(nn.Linear(width, size) for size in FIELD_SIZES)
        # Of each field's classes in `drawn`. A buffer, for a tensor made in `field` would make a GPU wait four times a
        # batch; on the CPU even where weights are on no device yet, for it is not among those that are loaded.
        offsets = torch.tensor(np.cumsum([0, *FIELD_SIZES[:-2]]), device="cpu")
        self.register_buffer("offsets", offsets, persistent=False)
        self.offsets: Tensor
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        for name, p in self.named_parameters():
            if p.ndim < 2 or name.endswith(("out.weight", "down.weight")) or name.startswith(("logits", "heard")):
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
        turns = rotation(place, clock), rotation(place, at)
        for i, block in enumerate(self.blocks):
            x = block(x, turns, cache, i)
        return norm(x)

    def heads(self, x: Tensor) -> Tensor:
        """(N, width) states -> (N, 5, width), one for each field."""
        return self.state(x).unflatten(-1, (5, -1))

    def field(self, i: int, state: Tensor, drawn: Tensor, chart: Tensor, heard: Tensor) -> Tensor:
        """Logits (N, size) of field i. state: (N, width) from `heads`. drawn: (N, i) classes of the fields before it.
        chart: (N, 6) indices, heard: (N, 48), both at the event's own time; the shift, which decides it, reads neither.
        """
        if i:
            known = self.drawn(drawn + self.offsets[:i]) + self.chart(chart - int(_OFFSETS[_CHART_AT]))
            state = state + self.mix[i - 1](known + self.heard(heard))
        return self.logits[i](F.relu(state).square()).float()

    def losses(
        self, features: Tensor, clock: Tensor, at: Tensor, chart: Tensor, heard: Tensor, targets: Tensor,
        which: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The cross-entropy of every drawn field, in nats. The arguments are the columns of `collate` as tensors.

        Returns (nats, which). which: (M,) flat indices into (B * T) of the rows that are followed by something drawn,
        as `followed` gives them; passing them in saves waiting for a GPU to compute them. nats: (M, 5), 0 where a field
        is not drawn.
        """
        which = followed(targets) if which is None else which
        x = self.trunk(features, clock, at).flatten(0, 1)[which]
        target, chart, heard = (x.flatten(0, 1)[which] for x in (targets, chart, heard))
        heads = self.heads(x)
        drawn = target.clamp(min=0)
        nats = [
            F.cross_entropy(self.field(i, heads[:, i], drawn[:, :i], chart, heard), target[:, i], reduction="none")
            for i in range(5)
        ]
        return torch.stack(nats, 1), which


def count_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
