"""Checkpoints: a folder of config.json and model.safetensors. Nothing in it can execute. Knows no training."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .errors import CheckpointError
from .model import Config, EventModel


def default_checkpoint() -> Path:
    """The one that ships: inside the installed package, else beside it in a source tree."""
    inside = Path(__file__).parent / "checkpoints" / "default"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "checkpoints" / "default"


def save(
    model: EventModel, folder: str | Path, *, dtype: torch.dtype = torch.bfloat16, card: dict | None = None
) -> None:
    """Write config.json (with `card`, free facts of the model card) and model.safetensors to `folder`, each to a
    temporary file that is renamed, so that what was there stays whole until the new one is. Raises CheckpointError."""
    folder = Path(folder)
    tensors = {name: p.detach().to("cpu", dtype).contiguous() for name, p in model.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            save_file(tensors, Path(scratch) / "model.safetensors")
            config = json.dumps(model.config.to_dict() | {"card": card or {}}, indent=1)
            (Path(scratch) / "config.json").write_text(config + "\n", encoding="utf-8")
            for name in ("model.safetensors", "config.json"):
                os.replace(Path(scratch) / name, folder / name)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write the checkpoint {folder}: {error}") from None


def read_config(folder: str | Path) -> dict:
    """config.json of a checkpoint. Raises CheckpointError."""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise CheckpointError(f"{folder} is no checkpoint: there is no readable config.json in it") from None
    except ValueError:
        raise CheckpointError(f"{path} is not JSON; the checkpoint is broken") from None
    if not isinstance(config, dict) or config.get("family") != "event":
        family = config.get("family", config.get("model_type")) if isinstance(config, dict) else None
        raise CheckpointError(f"{folder}: a checkpoint of family {family!r}, which this version does not know")
    return config


def load(folder: str | Path | None = None, device: str | torch.device = "cpu") -> EventModel:
    """The model of a checkpoint folder (default: the shipped one), in float32, ready to generate.

    Raises CheckpointError where it is missing, broken, or made for another encoding of the stream.
    """
    folder = Path(folder) if folder is not None else default_checkpoint()
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint at {folder}")
    stored = read_config(folder)
    try:
        config = Config(depth=int(stored["depth"]), window=int(stored["window"]))
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{folder}: config.json has no depth and window; the checkpoint is broken") from None
    if not 1 <= config.depth <= 64 or not 16 <= config.window <= 1 << 20:
        raise CheckpointError(f"{folder}: config.json asks for depth {config.depth}, window {config.window}")
    if any(stored.get(name) != value for name, value in config.to_dict().items()):
        raise CheckpointError(f"{folder} was made for another encoding of the stream; this version cannot run it")
    with torch.device("meta"):
        model = EventModel(config)
    try:
        tensors = {name: t.float() for name, t in load_file(folder / "model.safetensors").items()}
        model.load_state_dict(tensors, assign=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{folder}: model.safetensors is missing or broken ({reason})") from None
    model.fingerprint = fingerprint(folder)
    return model.to(device).eval().requires_grad_(False)


def fingerprint(folder: str | Path | None = None) -> str:
    """The first 12 hex digits of the SHA-256 of model.safetensors."""
    folder = Path(folder) if folder is not None else default_checkpoint()
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
