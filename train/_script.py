"""What every script of this folder begins and ends with. `import _script` finds the package of this checkout, installed
or not; `run` tells in one line what a user can mend; `markdown` is how tables are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from anticipation.errors import AnticipationError  # noqa: E402


def markdown(head: Sequence, rows: Iterable[Iterable]) -> str:
    """A table."""
    top, *lines = ("| " + " | ".join(map(str, cells)) + " |" for cells in (head, *rows))
    return "\n".join([top, "|---" * len(head) + "|", *lines])


def run(main: Callable[[], object]) -> None:
    """Call `main`. An AnticipationError ends the script with one line on stderr and exit code 2."""
    try:
        main()
    except AnticipationError as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        sys.exit(2)
