"""Chordist: which chords go with the notes that are known, beat by beat: heard where the notes tell them, guessed where
they do not. A small network of its own, the same in every key but for register; it ships beside the weights. Knows
notes and beats; knows no streams and no other network."""

from __future__ import annotations

import math
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import CheckpointError, reason
from ..files import replacing, shipped
from ..music.grid import edges_of, middle, ranges
from ..music.harmony import QUALITIES, chroma
from ..music.notes import Notes

CHANNELS, DEPTH, HEADS = 16, 4, 2  # 16 numbers for each of the twelve pitch classes
REACH = 64  # beats on both sides that a beat attends to
MEMORY = 30.0  # seconds of music on both sides of what is asked about
STEP = 0.5  # seconds that stand for a beat where none are known
PARTS = 4  # of a beat, in which what sounds is told
CLASS_FEATURES = PARTS + 4  # of a pitch class in a beat
PLACES = 6  # in the bar
BEAT_FEATURES = PLACES + 5
KNOWN = PLACES + 1  # which of them tells whether a beat's notes are known
NEAR, SHORT = 0.03, 0.02  # seconds by which a note may be early; that a beat has at least
FILE = "chordist.safetensors"


class Turned(nn.Module):
    """(..., 12 * inputs) -> (..., 12 * outputs), linear, and the same for all pitch classes: what a pitch class gets of
    another depends on the interval between them alone (a circulant matrix of small ones)."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(12, outputs, inputs) * scale / math.sqrt(12 * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *(self.whole() if self.weight.requires_grad else self._kept))

    def whole(self) -> tuple[Tensor, Tensor]:
        """The circulant matrix (12 * outputs, 12 * inputs), and the bias (12 * outputs,)."""
        interval = (torch.arange(12)[:, None] - torch.arange(12)) % 12
        return self.weight[interval].permute(0, 2, 1, 3).flatten(0, 1).flatten(1), self.bias.repeat(12)

    @cached_property
    def _kept(self) -> tuple[Tensor, Tensor]:
        return self.whole()


class Norm(nn.Module):
    """(..., 12 * channels) over their root mean square; a channel's scale is that of all pitch classes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:]) * self.scale.repeat(12)


class Block(nn.Module):
    """Attention to near beats, whatever the key (queries and keys are compared over all pitch classes), and a layer
    between pitch classes. (B, T, 12 * channels) both ways."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = Norm(channels), Norm(channels)
        self.around = nn.Parameter(torch.zeros(5, channels))  # what the two beats before and after add
        self.attend, self.out = Turned(channels, 3 * channels), Turned(channels, channels, 0.3)
        self.up, self.down = Turned(channels, 3 * channels), Turned(3 * channels, channels, 0.3)

    def forward(self, x: Tensor, angles: Tensor, near: Tensor, there: Tensor, dropout: float) -> Tensor:
        y = self.first(x) * there
        beside = F.pad(y, (0, 0, 2, 2)).unfold(1, 5, 1)  # (B, T, 12 * channels, 5)
        y = y + (beside * self.around.T.repeat(12, 1)).sum(-1)
        heads = self.attend(y).unflatten(-1, (12, 3, HEADS, -1)).permute(3, 0, 4, 1, 5, 2)  # (3, B, heads, T, each, 12)
        queries, keys = _turn(heads[:2], angles)
        mixed = F.scaled_dot_product_attention(queries, keys, heads[2].flatten(-2), attn_mask=near)
        mixed = mixed.unflatten(-1, (-1, 12)).permute(0, 2, 4, 1, 3).flatten(2)
        x = x + F.dropout(self.out(mixed), dropout, self.training)
        return x + F.dropout(self.down(F.gelu(self.up(self.second(x)))), dropout, self.training)


def _turn(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021), all pitch classes of a channel by one angle. x: (..., T, each, 12).
    angles: (2, T, each / 2, 1), their cosines and sines."""
    one, two = x.chunk(2, -2)
    cos, sin = angles
    return torch.cat([one * cos - two * sin, one * sin + two * cos], -2).flatten(-2)


class Chordist(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.hear, self.place = Turned(CLASS_FEATURES, CHANNELS), nn.Linear(BEAT_FEATURES, CHANNELS)
        self.blocks = nn.ModuleList(Block(CHANNELS) for _ in range(DEPTH))
        self.norm, self.say = Norm(CHANNELS), Turned(CHANNELS, len(QUALITIES), 0.5)

    def forward(self, classes: Tensor, beats: Tensor, there: Tensor | None = None) -> Tensor:
        """(B, T, NO_CHORD) logits. classes: (B, T, 12, CLASS_FEATURES) and beats: (B, T, BEAT_FEATURES), see `told`.
        there: (B, T) bool, False where a batch is padded."""
        length, half = classes.shape[1], CHANNELS // HEADS // 2
        x = self.hear(classes.flatten(2)) + self.place(beats).repeat(1, 1, 12)
        at = torch.arange(length)
        angles = (at[:, None] * 200.0 ** (-torch.arange(half) / half))[:, :, None]
        angles = torch.stack([angles.cos(), angles.sin()])
        there = torch.ones(1, length, dtype=torch.bool) if there is None else there
        near = ((at[:, None] - at).abs() <= REACH) & (there[:, None] | torch.eye(length, dtype=torch.bool))
        for block in self.blocks:
            x = block(x, angles, near[:, None], there[:, :, None], self.dropout)
        return self.say(self.norm(x)).unflatten(-1, (12, -1)).transpose(-1, -2).flatten(-2)

    @torch.inference_mode()
    def odds(self, known: Notes, edges: np.ndarray, hidden: tuple[float, float] | None = None) -> np.ndarray:
        """(N, NO_CHORD) odds of each chord between two edges (N + 1, seconds), by the known notes before, within and
        after them. It goes by the known beats, and by half seconds where there are none. hidden: see `told`."""
        near, steps, places, asked = _steps_near(known, edges)
        classes, beats = (torch.from_numpy(part)[None] for part in told(near.pitched, steps, places, hidden))
        logits = []
        for first in range(0, len(places), 2 * REACH):  # with as much beside it as an excerpt in training had
            before, after = max(first - REACH, 0), first + 3 * REACH
            part = self(classes[:, before:after], beats[:, before:after])[0]
            logits.append(part[first - before : first - before + 2 * REACH])
        odds = torch.cat(logits).double().softmax(-1).numpy()
        return odds[asked]

    def save(self, path: Path) -> None:
        with replacing(path) as temporary:
            save_file({name: part.to(torch.bfloat16) for name, part in self.state_dict().items()}, temporary)
            temporary.chmod(0o644)  # safetensors lets nobody else read what it writes

    @classmethod
    def load(cls, path: Path) -> Chordist:
        """Raises CheckpointError."""
        with torch.device("meta"):  # nothing is drawn
            chordist = cls().eval()
        try:
            chordist.load_state_dict({name: part.float() for name, part in load_file(path).items()}, assign=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{path} knows no chords, or is broken ({reason(error)})") from None
        if not all(part.isfinite().all() for part in chordist.parameters()):
            raise CheckpointError(f"{path} is broken: not all of it are numbers")
        return chordist.requires_grad_(False)


@cache
def default() -> Chordist:
    """The one that ships."""
    return Chordist.load(shipped("checkpoints/default") / FILE)


def _steps_near(known: Notes, edges: np.ndarray) -> tuple[Notes, np.ndarray, np.ndarray, np.ndarray]:
    """The known notes that are near what is asked about (edges, seconds); the beats from the first of both to the
    last, as edges (T + 1, seconds); their places in the bar (T,), -1 where that is not known; and the index of the beat
    that lies between each two of the edges asked about."""
    near = known.between(edges[0] - MEMORY, edges[-1] + MEMORY)
    beats, pitched = near.beats, near.pitched
    if len(beats):
        before, after = edges[edges < beats.onset[0] - 0.01], edges[edges > beats.end]
        steps = np.concatenate([before, edges_of(beats), after])
    else:
        first, last = min([edges[0], *pitched.onset[:1]]), max([edges[-1], *pitched.onset[-1:]])
        before, after = np.arange(edges[0], first - STEP, -STEP)[:0:-1], np.arange(edges[-1], last, STEP)[1:]
        steps = np.concatenate([before, edges, after])
    places = np.pad(beats.pitch, (len(before), len(steps) - 1 - len(before) - len(beats)), constant_values=-1)
    return near, steps, places, np.searchsorted(steps, middle(edges)) - 1


def told(
    notes: Notes, edges: np.ndarray, places: np.ndarray, hidden: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What the network is told of the beats between two edges (T + 1, seconds): of each pitch class (T, 12,
    CLASS_FEATURES) how much it sounds in each quarter of the beat, how often it begins, and whether it is the lowest,
    the lowest in the first quarter, or the highest; of each beat (T, BEAT_FEATURES) its place in the bar, its length,
    whether its notes are known at all, how many pitch classes sound, how many notes begin, and how low the lowest is.

    notes: the known ones, pitched. places: (T,), -1: not known. hidden: seconds between which no notes are known; nor
    are they before the first note and after the last.
    """
    lengths = np.maximum(np.diff(edges), SHORT)
    quarters = np.append((edges[:-1, None] + np.diff(edges)[:, None] * np.arange(PARTS) / PARTS).ravel(), edges[-1])
    sounds = np.clip(chroma(notes, quarters) / np.repeat(lengths / PARTS, PARTS)[:, None], 0.0, 2.0).reshape(
        -1, PARTS, 12
    )
    begins = np.zeros((len(lengths), 12))
    at = np.searchsorted(edges, notes.onset + NEAR, side="right") - 1
    inside = (at >= 0) & (at < len(lengths))
    np.add.at(begins, (at[inside], notes.pitch[inside] % 12), 0.5)
    lowest, floor, highest = _extremes(notes, edges)
    extremes = [(pitch[:, None] % 12 == np.arange(12)) & (pitch >= 0)[:, None] for pitch in (lowest, floor, highest)]
    classes = np.stack([*sounds.transpose(1, 0, 2), np.minimum(begins, 1.5), *extremes], 2)
    known = np.zeros(len(lengths))
    if len(notes):
        known = (edges[1:] > notes.onset[0]) & (edges[:-1] < notes.end)
        known = known & ~((middle(edges) >= hidden[0]) & (middle(edges) < hidden[1])) if hidden else known
    depth = np.where(lowest >= 0, np.clip((60 - lowest) / 24, -1.5, 1.5), 0.0)
    plain = [np.log(lengths / STEP), known, sounds.sum((1, 2)) / (3 * PARTS), begins.sum(1) / 1.5, depth]
    beats = np.concatenate([np.minimum(places, PLACES - 1)[:, None] == np.arange(PLACES), np.stack(plain, 1)], 1)
    return classes.astype(np.float32), beats.astype(np.float32)


def _extremes(notes: Notes, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T,) the lowest pitch that sounds between two edges, the lowest in the first quarter, and the highest; -1 where
    none does."""
    count = len(edges) - 1
    lowest, floor, highest = np.full(count, 128), np.full(count, 128), np.full(count, -1)
    first = np.clip(np.searchsorted(edges, notes.onset + NEAR, side="right") - 1, 0, count)
    last = np.searchsorted(edges, notes.offset - NEAR, side="left") - 1
    beats = np.maximum(np.minimum(last, count - 1) - first + 1, 0)
    note, beat = np.repeat(np.arange(len(notes)), beats), ranges(first, beats)  # every two that meet
    pitch = notes.pitch[note]
    np.minimum.at(lowest, beat, pitch)
    np.maximum.at(highest, beat, pitch)
    early = notes.onset[note] < edges[beat] + (edges[beat + 1] - edges[beat]) / PARTS
    np.minimum.at(floor, beat[early], pitch[early])
    return np.where(lowest < 128, lowest, -1), np.where(floor < 128, floor, -1), highest
