"""GPT-2 (Radford et al. 2019) over AMT's vocabulary: its weights' shapes, its cache. Does not know music."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .amt import CONTEXT, CONTROL_OFFSET, SLOTS, TRIPLETS, VOCABULARY
from .cache import Cache


@dataclass(frozen=True)
class Config:
    """The public small model's shape (medium: 24 layers, 1024 wide, 16 heads; large: 36, 1280, 20). dropout: of
    embeddings and residuals while training, which AMT's run files set to 0.1 for small and medium. anticipation: it
    was trained on controls, as all public weights were but those with `-ar-` in their name."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    dropout: float = 0.0
    scale_by_layer: bool = True  # Hugging Face's scale_attn_by_inverse_layer_idx
    anticipation: bool = True
    family: str = "amt"

    @property
    def parameters(self) -> int:
        """How many weights the network has."""
        return (len(VOCABULARY) + CONTEXT + 2) * self.width + self.layers * (12 * self.width**2 + 13 * self.width)

    def to_dict(self) -> dict:
        return asdict(self) | {"vocabulary": len(VOCABULARY), "context": CONTEXT}


PRESETS = {  # and the peak learning rates of the paper
    "amt-tiny": (Config(4, 256, 4), 6e-4),
    "amt-small": (Config(12, 768, 12, dropout=0.1), 6e-4),
    "amt-medium": (Config(24, 1024, 16, dropout=0.1), 3e-4),
    "amt-large": (Config(36, 1280, 20), 2e-4),
}


class Attention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (config.width // config.heads) ** -0.5 / (layer + 1 if config.scale_by_layer else 1)
        self.c_attn = nn.Linear(config.width, 3 * config.width)
        self.c_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, cache: Cache | None, layer: int) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.c_attn(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        else:
            y = cache.attend(layer, q, k, v, self.scale)
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
        self.layer = layer

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        x = x + self.drop(self.attn(self.ln_1(x), cache, self.layer))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT2(nn.Module):
    """The public AMT. The head is the embedding. Modules bear Hugging Face's names, whose c_attn, c_proj and c_fc
    weights are the transposes of these."""

    family = "amt"
    reads_chart = False
    echoes = False
    takes_late = False
    window = TRIPLETS - 1  # rows that its context holds, so that there is room for what is drawn next
    cache_dtype = torch.float32  # of keys and values
    fingerprint = ""  # of the weights' files, where they came from some

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

    @property
    def anticipates(self) -> bool:
        return self.config.anticipation

    @property
    def device(self) -> torch.device:
        return self.wte.weight.device

    def cache(self, batch: int) -> Cache:
        """An empty cache for `batch` streams; the last place is for padding."""
        width = self.config.width // self.config.heads
        return Cache.empty(
            self.config.layers, batch, self.config.heads, CONTEXT + 1, width, self.device, self.cache_dtype
        )

    def trunk(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, T) tokens, T <= 1024 -> (B, T, width) states. With a cache, tokens follow the `cache.length` that are
        there; see `EventModel.trunk`."""
        if cache is None:
            places = self.wpe.weight[: tokens.shape[1]]
        else:
            places = self.wpe(cache.begin(tokens.shape[1]).clamp(max=CONTEXT - 1))
        x = self.drop(self.wte(tokens) + places)
        for block in self.h:
            x = block(x, cache)
        return self.ln_f(x)

    def head(self, states: Tensor, within: range = VOCABULARY) -> Tensor:
        """(..., width) states -> (..., len(within)) float32 logits of the tokens `within`. A softmax over them is the
        softmax over everything with the rest masked, for the price of those rows alone."""
        return F.linear(states, self.wte.weight[within.start : within.stop]).float()

    @torch.inference_mode()
    def logits(self, ids) -> Tensor:
        """(T,) tokens, T <= 1024 -> (T, 55,028) float32 logits of what follows each. Raises ValueError."""
        ids = torch.as_tensor(ids, dtype=torch.int64, device=self.device)
        if ids.ndim != 1 or not 1 <= len(ids) <= CONTEXT or ids.min() < 0 or ids.max() >= len(VOCABULARY):
            raise ValueError(f"logits takes one list of 1 to {CONTEXT} tokens below {len(VOCABULARY):,}")
        return self.head(self.trunk(ids[None]))[0]

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
