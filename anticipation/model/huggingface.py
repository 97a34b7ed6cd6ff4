"""Hugging Face folders of the public AMT: read and written. Knows names and shapes of tensors; runs nothing in them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import CheckpointError, reason
from .amt import CONTEXT, VOCABULARY
from .event import Undrawn
from .gpt2 import GPT2, Config

INSTALL = "pip install 'anticipation-copilot[hub]'"
_TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # theirs are (in, out)
SHARD_INDEX = "model.safetensors.index.json"  # where it is there, model.safetensors is not read
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in one file, or in several that NAME.index.json lists
_DEFAULTS = {  # GPT2Config's, and what of it we can run
    "vocab_size": (50257, len(VOCABULARY)), "n_positions": (1024, CONTEXT), "activation_function": ("gelu_new",) * 2,
    "layer_norm_epsilon": (1e-5, 1e-5), "scale_attn_weights": (True, True), "add_cross_attention": (False, False),
    "tie_word_embeddings": (True, True),
}  # fmt: skip


def download(name: str) -> Path:
    """The folder of a model of the Hugging Face hub, like stanford-crfm/music-small-800k, fetched once and kept where
    that library keeps them. Raises CheckpointError."""
    try:
        from huggingface_hub import snapshot_download  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise CheckpointError(f"no folder {name}; to fetch it from the Hugging Face hub: {INSTALL}") from None
    wanted = ["config.json", "model*", "pytorch_model*"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["*.h5", "*.msgpack", "*.onnx"]))
    except Exception as error:  # whatever its network layer raises
        raise CheckpointError(
            f"no folder {name}, and the Hugging Face hub does not give it; is this machine online? ({reason(error)})"
        ) from None


def config_of(stored: dict, folder: Path) -> Config:
    """Our config of a GPT2Config. Raises CheckpointError at what is no AMT, or a GPT-2 that we do not run."""
    for name, (default, ours) in _DEFAULTS.items():
        value = stored.get(name, default)
        if value != ours:
            more = ": an interarrival model, which takes no controls" if value == 34025 else ""
            raise CheckpointError(f"{folder}: {name} is {value}, AMT's is {ours}{more}")
    width, layers, heads = (stored.get(n, d) for n, d in (("n_embd", 768), ("n_layer", 12), ("n_head", 12)))
    if not all(isinstance(n, int) and 0 < n <= 1 << 14 for n in (width, layers, heads)) or width % heads:
        raise CheckpointError(f"{folder}: a GPT-2 of {layers} layers, width {width}, {heads} heads cannot be")
    if stored.get("n_inner") not in (None, 4 * width):
        raise CheckpointError(f"{folder}: n_inner is {stored['n_inner']}, AMT's is four times the width")
    names = (str(folder.resolve()), str(stored.get("_name_or_path", "")))
    return Config(
        layers, width, heads, scale_by_layer=bool(stored.get("scale_attn_by_inverse_layer_idx", False)),
        anticipation=not any("-ar-" in name for name in names),
    )  # fmt: skip


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, ours or Hugging Face's. Raises CheckpointError."""
    for name in _WEIGHTS:
        index = folder / f"{name}.index.json"
        if index.is_file():
            try:
                shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
                files = [folder / Path(shard).name for shard in shards]
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                raise CheckpointError(f"{index} is broken") from None
            missing = [path.name for path in files if not path.is_file()]
            if missing:
                raise CheckpointError(f"{folder}: {missing[0]} is missing")
            return files
        if (folder / name).is_file():
            return [folder / name]
    raise CheckpointError(f"{folder}: {_WEIGHTS[0]} is missing, and so is {_WEIGHTS[1]}")


def read_tensors(files: list[Path]) -> dict[str, Tensor]:
    """All tensors of some weight files; nothing but tensors is unpickled. Raises CheckpointError."""
    tensors: dict[str, Tensor] = {}
    for path in files:
        try:
            if path.suffix == ".safetensors":
                tensors |= load_file(path)
            else:
                tensors |= torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises whatever a broken pickle leads its machine to
            raise CheckpointError(f"{path} is missing or broken ({reason(error)[:120]})") from None
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()):
        raise CheckpointError(f"{files[0].parent}: the weights are not tensors by name")
    return tensors


def load(folder: Path, stored: dict) -> GPT2:
    """The model of a Hugging Face folder, in float32 on the CPU. Raises CheckpointError."""
    config = config_of(stored, folder)
    theirs = {name.removeprefix("transformer."): t for name, t in read_tensors(weight_files(folder)).items()}
    head = theirs.pop("lm_head.weight", None)
    with torch.device("meta"), Undrawn():
        model = GPT2(config)
    ours = {name: t for name, t in theirs.items() if not name.endswith((".attn.bias", ".attn.masked_bias"))}
    try:
        ours = {name: (t.T if name.endswith(_TRANSPOSED) else t).float().contiguous() for name, t in ours.items()}
        if head is not None and not torch.equal(head.float(), ours["wte.weight"]):
            raise CheckpointError(f"{folder}: its head is not its embedding, as AMT's is")
        model.load_state_dict(ours, assign=True)
    except (KeyError, RuntimeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder}: the weights do not fit its config.json ({str(error).split(':')[-1].strip()})"
        ) from None
    return model


def tensors_of(model: GPT2) -> dict[str, Tensor]:
    """The weights under Hugging Face's names and in its shapes."""
    named = model.state_dict().items()
    return {f"transformer.{name}": (p.T if name.endswith(_TRANSPOSED) else p).contiguous() for name, p in named}


def config_for(model: GPT2) -> dict:
    """A GPT2Config that `transformers` loads."""
    config = model.config
    facts = {name: ours for name, (_, ours) in _DEFAULTS.items()}
    return facts | {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": config.width, "n_layer": config.layers,
        "n_head": config.heads, "n_inner": None, "scale_attn_by_inverse_layer_idx": config.scale_by_layer,
        "bos_token_id": None, "eos_token_id": None, "use_cache": True,
    }  # fmt: skip
