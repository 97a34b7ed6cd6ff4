"""The public Anticipatory Music Transformer (Thickstun, Hall, Donahue, Liang 2024): its tokens and its GPT-2 trunk.

Knows its vocabulary and its weights' shapes. Does not know the anticipation rule (stream.py), nor how to sample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stream as s
from .notes import DRUMS, Notes

DELTA = 5 * s.STEPS  # steps that controls come early: the one value the public weights were trained with
TRIPLETS = 341  # events, rests and controls in a context
CONTEXT = 1 + 3 * TRIPLETS  # a flag that says whether controls are anticipated, then the triplets
MAX_TIME, MAX_DURATION, PITCHES = 100 * s.STEPS, 10 * s.STEPS, 128

# The vocabulary, as the public code's vocab.py and config.py lay it out: events, then the same again for controls (who
# never rest), then three tokens that are no notes.
TIME = range(0, MAX_TIME)
DURATION = range(TIME.stop, TIME.stop + MAX_DURATION)
NOTE = range(DURATION.stop, DURATION.stop + PITCHES * (DRUMS + 1))  # instrument * 128 + pitch
REST = NOTE.stop
CONTROL_OFFSET = REST + 1  # a control's token is the event's plus this
CONTROL_TIME, CONTROL_DURATION, CONTROL_NOTE = (
    range(slot.start + CONTROL_OFFSET, slot.stop + CONTROL_OFFSET) for slot in (TIME, DURATION, NOTE)
)
SEPARATOR = CONTROL_NOTE.stop  # three of them stand before a piece
AUTOREGRESS, ANTICIPATE = SEPARATOR + 1, SEPARATOR + 2
VOCABULARY = range(0, ANTICIPATE + 1)  # 55,028
SLOTS = (TIME, DURATION, range(NOTE.start, REST + 1))  # what each token of an event or a rest may be
SLOT_NAMES = ("time", "duration", "note")
SEPARATION = np.full((1, 3), SEPARATOR, dtype=np.int64)


def arrange(events: np.ndarray, controls: np.ndarray | None = None, *, end: int = 0) -> np.ndarray:
    """The stream as AMT was trained on it: rows of quantised (N, 5) `events`, and of `controls` 5 s ahead of them.

    end: step at which the piece ends; it rests until less than a second is left, where `stream.interleave` would rest
    until nothing is.
    """
    controls = np.zeros((0, 5), dtype=np.int64) if controls is None else controls
    header = s.Header(delta=DELTA)
    return s.interleave(events, controls, s.Chart.of(Notes.of([])), header, until=end - s.STEPS)


def encode(rows: np.ndarray, start: int | None = None) -> np.ndarray:
    """(N, columns) rows of a stream -> (M, 3) triplets of time, duration and note tokens; start rows have none.

    Times count from step `start`, by default from the earliest row, as in AMT's own windows. Durations are kept below
    10 s; velocities are lost. Raises ValueError where a time does not fit into 100 s, and at chords and beats.
    """
    rows = rows[rows[:, s.KIND] != s.START_KIND]
    rest, control = rows[:, s.KIND] == s.REST_KIND, rows[:, s.KIND] == s.CONTROL
    time = rows[:, s.AT] - (rows[:, s.AT].min(initial=MAX_TIME**2) if start is None else start)
    if ((time < 0) | (time >= MAX_TIME)).any():
        raise ValueError(f"AMT tells times of 0 to {MAX_TIME - 1} steps, not {time.min()} to {time.max()}")
    if (rows[:, s.INSTRUMENT] > DRUMS).any():
        raise ValueError("AMT has no chords and no beats")
    duration = np.where(rest, 0, np.minimum(rows[:, s.DURATION], MAX_DURATION - 1))
    note = np.where(rest, REST, NOTE.start + rows[:, s.INSTRUMENT] * PITCHES + rows[:, s.PITCH])
    return np.stack([TIME.start + time, DURATION.start + duration, note], 1) + CONTROL_OFFSET * control[:, None]


def decode(triplets: np.ndarray, start: int = 0) -> np.ndarray:
    """(N, 3) triplets -> (N, columns) rows without a chart, times counted from step `start`; separators are dropped.

    The inverse of `encode(rows, start)` but for durations of 10 s (9.99 s) and velocities (0, unknown). Raises
    ValueError where a token stands in a slot that it does not belong to.
    """
    triplets = triplets[(triplets != SEPARATOR).any(1)]
    control = triplets[:, 2] >= CONTROL_OFFSET
    tokens = triplets - CONTROL_OFFSET * control[:, None]
    low, high = np.array([[slot.start, slot.stop] for slot in SLOTS]).T
    rest = tokens[:, 2] == REST
    if ((tokens < low) | (tokens >= high)).any() or (rest & control).any():
        raise ValueError("not AMT's triplets of time, duration and note")
    time, duration, note = (tokens - low).T
    out = np.zeros((len(tokens), len(s.COLUMNS)), dtype=np.int64)
    out[:, s.KIND] = np.where(control, s.CONTROL, np.where(rest, s.REST_KIND, s.EVENT))
    out[:, s.AT] = start + time
    out[:, s.CLOCK] = np.maximum.accumulate(np.where(control, start, out[:, s.AT]))
    before = np.concatenate([[start], out[:, s.CLOCK]])[:-1]
    out[:, s.SHIFT] = out[:, s.AT] - before  # of a control too: it does not move the clock
    instrument, pitch = np.divmod(note, PITCHES)
    for column, value in ((s.INSTRUMENT, instrument), (s.PITCH, pitch), (s.DURATION, duration)):
        out[:, column] = np.where(rest, 0, value)
    return out


def sequence(triplets: np.ndarray, *, anticipated: bool) -> np.ndarray:
    """(CONTEXT,) tokens: the flag, then at most 341 (N, 3) triplets, filled up with separators."""
    short = max(0, TRIPLETS - len(triplets))
    body = np.concatenate([triplets[:TRIPLETS], np.repeat(SEPARATION, short, 0)])
    return np.concatenate([[ANTICIPATE if anticipated else AUTOREGRESS], body.reshape(-1)])


@dataclass(frozen=True)
class Config:
    """The public small model's shape (medium: 24 layers, 1024 wide, 16 heads; large: 36, 1280, 20). dropout: of
    embeddings and residuals while training, which AMT's run files set to 0.1 for small and medium."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    dropout: float = 0.0
    scale_by_layer: bool = True  # Hugging Face's scale_attn_by_inverse_layer_idx
    family: str = "amt"

    def to_dict(self) -> dict:
        return asdict(self) | {"vocabulary": len(VOCABULARY), "context": CONTEXT}


class Attention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (config.width // config.heads) ** -0.5 / (layer + 1 if config.scale_by_layer else 1)
        self.c_attn = nn.Linear(config.width, 3 * config.width)
        self.c_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.c_attn(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        return self.c_proj(y.transpose(1, 2).reshape(batch, length, width))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attn, self.mlp = Attention(config, layer), MLP(config.width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.attn(self.ln_1(x)))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT2(nn.Module):
    """GPT-2 (Radford et al. 2019) over AMT's vocabulary; the head is the embedding. Modules bear Hugging Face's names,
    whose c_attn, c_proj and c_fc weights are the transposes of these."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"a width of {config.width} does not divide into {config.heads} heads")
        self.config = config
        self.wte = nn.Embedding(len(VOCABULARY), config.width)
        self.wpe = nn.Embedding(CONTEXT, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.ln_f = nn.LayerNorm(config.width)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """GPT-2's: normal by 0.02, less for what is added to the residual; LayerNorms are the identity."""
        for name, p in self.named_parameters():
            if p.ndim == 2:
                p.normal_(0, 0.02 / (2 * self.config.layers) ** 0.5 if name.endswith("c_proj.weight") else 0.02)
            elif name.endswith("bias"):
                p.zero_()

    def trunk(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens, T <= 1024 -> (B, T, width) states."""
        x = self.drop(self.wte(tokens) + self.wpe.weight[: tokens.shape[1]])
        for block in self.h:
            x = block(x)
        return self.ln_f(x)

    def head(self, states: Tensor, within: range = VOCABULARY) -> Tensor:
        """(..., width) states -> (..., len(within)) float32 logits of the tokens `within`. A softmax over them is the
        softmax over everything with the rest masked, for the price of those rows alone."""
        return F.linear(states, self.wte.weight[within.start : within.stop]).float()

    def losses(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens -> (B, T - 1) nats of every token but the first, controls and separators too: what AMT is
        trained on."""
        logits = self.head(self.trunk(tokens[:, :-1]))
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view(len(tokens), -1)

    def slot_losses(self, tokens: Tensor, clock: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Nats of what is drawn, events and rests, when each slot offers its own tokens only.

        tokens: (B, 1 + 3 N). clock: (B, N) where the stream's clock stands before each triplet, in steps from the
        window's start; earlier times are then not offered either, as in AMT's sampler. Returns nats (M, 3) by slot
        and `which` (B, N), true for the M triplets that are events or rests.
        """
        triplets = tokens[:, 1:].unflatten(1, (-1, 3))
        which = triplets[..., 2] < CONTROL_OFFSET
        states, target = self.trunk(tokens[:, :-1]).unflatten(1, (-1, 3))[which], triplets[which]
        nats = []
        for i, slot in enumerate(SLOTS):
            logits = self.head(states[:, i], slot)
            if i == 0 and clock is not None:
                past = torch.arange(len(slot), device=logits.device) < clock[which][:, None]
                logits = logits.masked_fill(past, -torch.inf)
            nats.append(F.cross_entropy(logits, target[:, i] - slot.start, reduction="none"))
        return torch.stack(nats, 1), which
