"""Files: those that ship with us, and others written wholly or not at all, also where the power fails. Knows nothing of
what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import FileError


def shipped(name: str) -> Path:
    """A file or folder that ships with us: inside the installed package, else beside it in a source tree."""
    home = Path(__file__).parent
    return home / name if (home / name).exists() else home.parent / name


def digest(paths: Iterable[Path]) -> str:
    """The first 12 hex digits of the SHA-256 of files, one after the other. Raises OSError."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()[:12]


def settle(path: Path) -> None:
    """Have a file on the disk itself, with its name: what the system has only in its memory is gone where the power
    fails. May take long. Raises OSError."""
    _sync(path)
    with contextlib.suppress(OSError):  # Windows does so itself
        _sync(path.parent)


def put(draft: Path, target: Path) -> None:
    """A finished draft takes the place of `target`; also where the power fails meanwhile, there is one or the other,
    whole. Raises OSError."""
    _sync(draft)  # else many a disk has the name first, and as yet an empty file
    os.replace(draft, target)
    settle(target)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], settled: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place on success, so that a failure leaves no half a file. Not
    `settled`: nor does it wait for the disk; see `settle`.

    Raises FileError for what the system refuses.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name[:60]}.{os.getpid()}.tmp"
    try:
        yield temporary
        (put if settled else os.replace)(temporary, target)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
