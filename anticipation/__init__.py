"""Anticipation: music infilling. `read` a Score, `accompany`, `infill` or `continue_` it with a model, `write` it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time __getattr__ does it
    from .errors import AnticipationError as AnticipationError
    from .infilling.brief import Take as Take
    from .infilling.options import Options as Options
    from .infilling.tasks import accompany as accompany
    from .infilling.tasks import continue_ as continue_
    from .infilling.tasks import harmonize as harmonize
    from .infilling.tasks import infill as infill
    from .infilling.tasks import vary as vary
    from .model.checkpoint import load as load
    from .music.notes import Notes as Notes
    from .score.midi import Score as Score
    from .score.midi import read as read
    from .score.midi import write as write

__version__ = "0.1.0"

_HOME = {  # where that lives which is offered here; imported when first asked for, so that `import` stays quick
    "errors": ["AnticipationError"],
    "music.notes": ["Notes"],
    "score.midi": ["Score", "read", "write"],
    "model.checkpoint": ["load"],
    "infilling.options": ["Options"],
    "infilling.brief": ["Take"],
    "infilling.tasks": ["accompany", "infill", "continue_", "vary", "harmonize"],
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = list(_MODULE)


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
