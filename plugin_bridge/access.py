"""Who may ask: loopback only, our own page only, and a token for whatever changes something. Knows no routes, no music.

The token lives in two places: in the address that is printed (and so in the page that is opened there), and in the
link file, which only this user may read: that is how the scripts inside a DAW find the server.
"""

from __future__ import annotations

import hmac
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from anticipation.errors import FileError
from anticipation.files import replacing

from .home import config_folder

HOST = "127.0.0.1"  # where we are served: on this machine only
SCRIPTS = Path(__file__).parent / "daw"
LINK = """\
# Written by `anticipate live` while it runs; only you may read it. A config file of curl: curl -K FILE URL/api/state
# url = {url}
# scripts = {scripts}
header = "Authorization: Bearer {token}"
"""


def same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, without telling by the time it takes how much of them is."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def link_file() -> Path:
    """Where scripts look for the server."""
    return config_folder() / "live.curl"


def write_link(path: Path, url: str, token: str) -> str:
    """Say where the server is, to this user only; wholly or not at all. Answers what was there before: another
    instance's link, or nothing. Raises FileError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        _put(path, LINK.format(url=url, scripts=SCRIPTS.as_posix(), token=token))
    except OSError as error:
        raise FileError(f"cannot write {path}, which DAW scripts need: {error.strerror}") from None
    return before


def _put(path: Path, text: str) -> None:
    """Raises FileError."""
    with replacing(path, settled=False) as draft:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


def remove_link(path: Path, token: str, before: str) -> None:
    """Take our link away; that of another instance stays, and the one that was there `before` ours comes back if it
    still answers."""
    with suppress(OSError, FileError):
        if token in path.read_text(encoding="utf-8"):
            path.unlink()
            if found := re.search(rf"^# url = http://{HOST}:(\d+)$", before, re.MULTILINE):
                socket.create_connection((HOST, int(found[1])), 0.5).close()
                _put(path, before)


def refusal(method: str, path: str, headers: Mapping[str, str], port: int, token: str) -> tuple[int, str] | None:
    """The HTTP status and one line for a request that is not to be served, or None.

    A name that resolves to 127.0.0.1 is not enough (DNS rebinding), so the Host must be ours; a page of another origin
    says so by Origin or Sec-Fetch-Site, whatever it asks for; only opening the page itself may come from a link.
    """
    hosts = {f"{name}:{port}" for name in (HOST, "localhost", "[::1]")}
    if headers.get("Host", "").lower() not in hosts:
        return 403, "this server answers on its own address only"
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return 403, "pages of another origin are not served"
    opened = path == "/" and headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not opened:
        return 403, "pages of another origin are not served"
    if method not in ("GET", "HEAD") and not same(headers.get("Authorization", ""), f"Bearer {token}"):
        return 401, "this needs the token: open the page at the address that `anticipate live` printed"
    return None
