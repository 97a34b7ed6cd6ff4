"""The errors that are the user's to mend. Each is one clear line; the command prints it and exits with 2."""


class AnticipationError(Exception):
    """Base of every error that we raise on purpose."""


def reason(error: Exception) -> str:
    """The first line of an error's message, or its type where it has none: what another library's error comes to in a
    line of ours."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class MidiError(AnticipationError):
    """Music that a MIDI file does not hold, or cannot."""


class FileError(AnticipationError):
    """A file or folder that cannot be written, or that is there already and was not to be."""


class RequestError(AnticipationError):
    """A request that cannot be met: an unknown instrument, a span outside the piece, an empty set of pitches."""


class CheckpointError(AnticipationError):
    """A checkpoint that is missing, foreign or broken."""


class LiveError(AnticipationError):
    """Something that live playing needs and that is not there: a MIDI system, a port, an extra package."""
