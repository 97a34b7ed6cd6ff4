"""Checkpoints: folders of config.json and weights, of both families, and Hugging Face's. Nothing in one can execute.

Knows no training.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import CheckpointError, RequestError, reason
from ..files import digest, put, shipped
from . import gpt2, huggingface, int8
from .around import LINE_SIZE, SOON_SIZE
from .event import INTERVALS, Config, EventModel, Undrawn

Model = EventModel | gpt2.GPT2
WEIGHTS = "model.safetensors"
_FAMILIES: dict[str, tuple[Any, Any, dict[str, tuple[int, int]]]] = {  # config, model, what a config may ask for
    "event": (Config, EventModel, {"depth": (1, 64), "heads": (1, 64), "window": (16, 1 << 20)}),
    "amt": (gpt2.Config, gpt2.GPT2, {"layers": (1, 128), "width": (1, 1 << 14), "heads": (1, 256)}),
}
# Parts of the head that the first event checkpoints lack, which are read as zeros, and the sizes that they do not tell.
AROUND, SIZES = ("soon", "line", "interval", "weigh"), {"soon": SOON_SIZE, "line": LINE_SIZE, "intervals": INTERVALS}


def default_checkpoint() -> Path:
    """The one that ships."""
    return shipped("checkpoints/default")


def find(name: str | Path | None) -> Path:
    """The folder of a checkpoint: a path, the default for None, or a name on the Hugging Face hub ("owner/name"), which
    is fetched. Raises CheckpointError."""
    if name is None:
        return default_checkpoint()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    owner, _, rest = str(name).partition("/")
    if not owner or owner in (".", "..", "~") or not rest or "/" in rest or folder.is_absolute() or "\\" in str(name):
        raise CheckpointError(f"no checkpoint at {name}")
    return huggingface.download(str(name))


def find_device(name: str | torch.device) -> torch.device:
    """A device that is there: cpu, cuda, cuda:1, mps. Raises RequestError."""
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise RequestError(f"no device {str(name)!r}: say cpu, cuda, cuda:1 or mps")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise RequestError(f"no device {str(name)!r}: {count or 'no'} CUDA device{'s' * (count > 1)} here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RequestError(f"no device {str(name)!r}: no Apple GPU here")
    return device


def save(
    model: Model, folder: str | Path, *, dtype: torch.dtype = torch.bfloat16, card: dict | None = None,
    hugging_face: bool = False,
) -> None:  # fmt: skip
    """Write config.json (with `card`, free facts of the model card) and model.safetensors to `folder`, each to a
    temporary file that is renamed, so that what was there stays whole until the new one is. hugging_face: an AMT model
    the way that `transformers` reads it. Raises CheckpointError."""
    folder = Path(folder)
    if hugging_face and model.family != "amt":
        raise CheckpointError("only AMT models have a Hugging Face form; this one is an event transformer")
    config = model.config.to_dict() | {"card": card or {}}
    tensors = model.state_dict()
    if hugging_face:
        config, tensors = huggingface.config_for(model), huggingface.tensors_of(model)  # type: ignore[arg-type]
    tensors = {name: p.detach().to("cpu", dtype).contiguous() for name, p in tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            save_file(tensors, Path(scratch) / WEIGHTS, metadata={"format": "pt"})
            (Path(scratch) / WEIGHTS).chmod(0o644)  # safetensors lets nobody else read what it writes
            (Path(scratch) / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
            for name in (WEIGHTS, "config.json"):
                put(Path(scratch) / name, folder / name)
        (folder / huggingface.SHARD_INDEX).unlink(missing_ok=True)  # of before: it would be read with these
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write the checkpoint {folder}: {error}") from None


def read_config(folder: str | Path) -> dict:
    """config.json of a checkpoint of any family; Hugging Face's have a `model_type`. Raises CheckpointError."""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise CheckpointError(f"{folder} is no checkpoint: there is no readable config.json in it") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is not JSON; the checkpoint is broken") from None
    stated = config.get("family", config.get("model_type")) if isinstance(config, dict) else None
    if stated not in (*_FAMILIES, "gpt2"):
        raise CheckpointError(f"{folder}: a checkpoint of family {stated!r}, which this version does not know")
    if not isinstance(config.get("card", {}), dict):
        raise CheckpointError(f"{folder}: config.json has card {config['card']!r}; the checkpoint is broken")
    return config


def config_of(folder: Path, stored: dict) -> Config | gpt2.Config:
    """What `read_config` has read, as the config of a network. Raises CheckpointError where that is broken, asks for
    too much, or is of another encoding of the stream."""
    if "family" not in stored:
        return huggingface.config_of(stored, folder)
    kind, _, limits = _FAMILIES[stored["family"]]
    stored = {"heads": stored.get("depth")} | stored  # which the first ones did not tell
    stored = (stored if stored.keys() & SIZES else SIZES) | stored
    wanted: dict[str, Any] = {name: stored.get(name) for name in asdict(kind())}
    for name, usual in asdict(kind()).items():
        if not isinstance(wanted[name], type(usual)):
            raise CheckpointError(f"{folder}: config.json has {name} {wanted[name]!r}; the checkpoint is broken")
    odd = [f"{name} {wanted[name]}" for name, (low, high) in limits.items() if not low <= wanted[name] <= high]
    if odd:
        raise CheckpointError(f"{folder}: config.json asks for {', '.join(odd)}")
    config = kind(**wanted)
    if any(stored.get(name) != value for name, value in config.to_dict().items()):
        raise CheckpointError(f"{folder} was made for another encoding of the stream; this version cannot run it")
    return config


def load(name: str | Path | None = None, device: str | torch.device = "cpu", *, weights: str = "float32") -> Model:
    """The model of a checkpoint (default: the shipped one), ready to generate. See `find`. weights: `float32`, or
    `int8`, which is faster for large models on a CPU.

    Raises CheckpointError where it is missing, broken, or made for another encoding of the stream; RequestError where
    there is no such device, or no int8.
    """
    place, folder = find_device(device), find(name)
    stored = read_config(folder)
    model = huggingface.load(folder, stored) if "family" not in stored else _load(folder, stored)
    model.fingerprint = fingerprint(folder)
    model = model.to(place).eval().requires_grad_(False)
    return int8.quantise(model) if weights == "int8" else model


def _load(folder: Path, stored: dict) -> Model:
    """The model of one of our own folders."""
    config, build = config_of(folder, stored), _FAMILIES[stored["family"]][1]
    absent = AROUND if build is EventModel and not stored.keys() & SIZES else ()
    try:
        with torch.device("meta"), Undrawn():
            model = build(config)
        tensors = {name: t.float() for name, t in load_file(folder / WEIGHTS).items()}
        new = {name: p for name, p in model.named_parameters() if name.startswith(absent)}
        tensors |= {name: torch.zeros(p.shape) for name, p in new.items()}
        model.load_state_dict(tensors, assign=True)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder}: {WEIGHTS} is missing or broken ({reason(error)})") from None
    return model


def fingerprint(folder: str | Path | None = None) -> str:
    """The first 12 hex digits of the SHA-256 of the weights' file, or files one after the other."""
    return digest(huggingface.weight_files(find(folder)))
