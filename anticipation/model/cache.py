"""Cache: keys and values of several streams, and the attention that reads them. Knows neither rows nor tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Cache:
    """Keys and values of up to `size` places for each of `batch` streams. length: how many of them count, by stream.

    A forward pass calls `begin` once and `attend` once a layer. What it adds counts when the caller moves `length` on:
    so a stream can be padded, and cut back, at no cost. The last place is scratch for padding. kv: (layers, 2, batch,
    heads, size, width of a head).
    """

    def __init__(self, kv: Tensor) -> None:
        self.kv = kv
        self.length = [0] * kv.shape[2]
        # Of the forward pass that `begin` began:
        self._level = True  # all streams are equally long: what is added is a slice of the cache
        self._alone = False  # one place for each of unequal streams: each by itself is less work than a mask for all
        self._place = torch.zeros(0)  # (batch or 1, count) of what is added
        self._seen = 0  # places up to the longest stream's end
        self._mask: Tensor | None = None
        self._causal = False

    @classmethod
    def empty(
        cls, layers: int, batch: int, heads: int, size: int, width: int, device: torch.device, dtype: torch.dtype
    ) -> Cache:
        return cls(torch.zeros((layers, 2, batch, heads, size, width), device=device, dtype=dtype))

    def only(self, i: int) -> Cache:
        """Stream i by itself, in the same places: what is added to it is added here, but for its length."""
        one = Cache(self.kv[:, :, i : i + 1])
        one.length = [self.length[i]]
        return one

    @property
    def size(self) -> int:
        return self.kv.shape[4]

    def begin(self, count: int) -> Tensor:
        """(batch, count) places of what is about to be added."""
        first, device = self.length[0], self.kv.device
        self._level = all(n == first for n in self.length) and first + count <= self.size
        if self._level:
            self._place = torch.arange(first, first + count, device=device)[None]
            self._seen = first + count
        else:
            start = torch.tensor(self.length, device=device)
            self._place = (torch.arange(count, device=device) + start[:, None]).clamp(max=self.size - 1)
            self._seen = min(max(self.length) + count, self.size)
        self._mask = None
        self._alone = count == 1 and not self._level
        if not self._alone and (not self._level or (count > 1 and first)):
            self._mask = (torch.arange(self._seen, device=device) <= self._place[:, :, None])[:, None]
        self._causal = self._level and count > 1 and not first
        return self._place.expand(len(self.length), -1)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None = None) -> Tensor:
        """(batch, heads, count, width) queries, keys, values -> what the queries find among all that is there."""
        keys, values = self.kv[layer]
        if self._level:
            keys[:, :, self._seen - k.shape[2] : self._seen] = k
            values[:, :, self._seen - k.shape[2] : self._seen] = v
        else:
            place = self._place[:, None, :, None].expand_as(k)
            keys.scatter_(2, place, k.to(keys.dtype))
            values.scatter_(2, place, v.to(values.dtype))
        asked = q.to(keys.dtype)
        if self._alone:
            ends = [min(n, self.size - 1) + 1 for n in self.length]
            y = torch.cat([
                F.scaled_dot_product_attention(
                    asked[i : i + 1], keys[i : i + 1, :, :end], values[i : i + 1, :, :end], scale=scale
                )
                for i, end in enumerate(ends)
            ])  # fmt: skip
        else:
            keys, values = keys[:, :, : self._seen], values[:, :, : self._seen]
            y = F.scaled_dot_product_attention(
                asked, keys, values, attn_mask=self._mask, is_causal=self._causal, scale=scale
            )
        return y.to(q.dtype)

    def share(self, one: Cache) -> None:
        """Take over the only stream of another cache, for every stream of this one."""
        seen = one.length[0]
        self.kv[..., :seen, :] = one.kv[..., :seen, :]
        self.length = [seen] * len(self.length)
