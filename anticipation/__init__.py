"""Anticipation: music infilling. `read` a Score, `accompany`, `infill` or `continue_` it with a model, `write` it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time __getattr__ does it
    from .checkpoint import load as load
    from .errors import AnticipationError as AnticipationError
    from .midi import Score as Score
    from .midi import read as read
    from .midi import write as write
    from .notes import Notes as Notes
    from .options import Options as Options
    from .tasks import Take as Take
    from .tasks import accompany as accompany
    from .tasks import continue_ as continue_
    from .tasks import harmonize as harmonize
    from .tasks import infill as infill
    from .tasks import vary as vary

__version__ = "0.1.0"

_HOME = {  # what is offered here, and where it lives; imported when first asked for, so that `import` stays quick
    "Notes": "notes", "Score": "midi", "read": "midi", "write": "midi", "load": "checkpoint", "Options": "options",
    "Take": "tasks", "accompany": "tasks", "infill": "tasks", "continue_": "tasks", "vary": "tasks",
    "harmonize": "tasks", "AnticipationError": "errors",
}  # fmt: skip
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
