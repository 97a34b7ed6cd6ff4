"""Files: those that ship with us, and others written wholly or not at all. Knows nothing of what is in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import FileError


def shipped(name: str) -> Path:
    """A file or folder that ships with us: inside the installed package, else beside it in a source tree."""
    home = Path(__file__).parent
    return home / name if (home / name).exists() else home.parent / name


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place on success, so that a failure leaves no half a file.

    Raises FileError for what the system refuses.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name[:60]}.{os.getpid()}.tmp"
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
