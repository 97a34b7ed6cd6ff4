"""Home: where this user's settings live. Knows systems' habits; knows no settings."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def config_folder() -> Path:
    """$ANTICIPATION_CONFIG, or `anticipation` in the folder that the system has for settings. It need not exist."""
    if own := os.environ.get("ANTICIPATION_CONFIG"):
        return Path(own)
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "anticipation"


def unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, which is made if need be; empty where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=".try-") as file:
            file.write(b".")  # a full disk takes the name of a file, and none of its bytes
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
