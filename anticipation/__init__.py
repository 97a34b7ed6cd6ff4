"""Anticipation: music infilling. `read` a Score, `accompany`, `infill` or `continue_` it with a model, `write` it."""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {  # what is offered here, and where it lives; imported when first asked for, so that `import` stays quick
    "Notes": "notes", "Score": "midi", "read": "midi", "write": "midi", "load": "checkpoint", "Options": "tasks",
    "Take": "tasks", "accompany": "tasks", "infill": "tasks", "continue_": "tasks", "vary": "tasks",
    "harmonize": "tasks", "AnticipationError": "errors",
}  # fmt: skip
__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
