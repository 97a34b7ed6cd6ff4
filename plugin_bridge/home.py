"""Home: where this user's settings live. Knows systems' habits; knows no settings."""

from __future__ import annotations

import os
import sys
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
