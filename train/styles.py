"""How bands play: a table of styles. Programs are General MIDI's, lines and comps players.py's. Computes nothing."""

from __future__ import annotations

from dataclasses import dataclass

STRINGS = (48, 49, 50, 44, 52)
LEADS = (53, 53, 73, 65, 66, 56, 40, 22, 80, 71, 68, 84)  # what may sing a melody, and plays no chords here
DISTORTED = (29, 30)


@dataclass(frozen=True)
class Style:
    """What a band of one style is drawn from: patterns by name (players.py), and General MIDI programs."""

    drums: tuple[str, ...]  # Groove's names of it begin with one of these
    tempo: tuple[float, float]  # beats per minute
    bass: tuple[str, ...]
    basses: tuple[int, ...]
    guitar: tuple[str, ...]
    guitars: tuple[int, ...]
    keys: tuple[str, ...]
    keyboards: tuple[int, ...]
    strings: float = 0.3  # how often there are any
    push: float = 0.0  # how often a chord on a bar line comes an eighth early


STYLES = {
    "ballad": Style(
        ("rock", "pop", "soul", "hiphop"), (50, 92), ("held", "halves", "pop"), (33, 35, 32),
        ("picking", "strum", "held"), (24, 25, 27), ("rolling", "halves", "quarters"), (0, 4, 1), 0.7, 0.05,
    ),
    "pop": Style(
        ("pop", "rock", "dance"), (80, 140), ("pop", "eighths", "quarters", "halves"), (33, 34, 38),
        ("strum", "pop", "drive"), (25, 27, 28), ("pop", "quarters", "held"), (0, 4, 5, 89), 0.4, 0.3,
    ),
    "rock": Style(
        ("rock",), (85, 170), ("eighths", "quarters", "pop"), (34, 33),
        ("drive", "halves", "stabs"), (29, 30), ("held", "quarters", "pop"), (18, 16, 0), 0.15, 0.25,
    ),
    "punk": Style(
        ("punk", "rock"), (140, 220), ("eighths",), (34,),
        ("drive",), (30, 29), ("held",), (18, 81), 0.05, 0.1,
    ),
    "funk": Style(
        ("funk", "soul", "gospel"), (75, 130), ("funk", "motown", "octaves"), (36, 37, 33),
        ("chops", "sixteenths"), (28, 27), ("stabs", "charleston"), (7, 4, 16), 0.1, 0.35,
    ),
    "soul": Style(
        ("soul", "funk", "blues"), (60, 120), ("motown", "pop"), (33, 35),
        ("two and four", "chops"), (26, 27), ("quarters", "held", "pop"), (16, 4, 0), 0.4, 0.2,
    ),
    "disco": Style(
        ("dance", "funk", "pop"), (100, 135), ("octaves", "eighths"), (38, 33, 39),
        ("sixteenths", "chops"), (28, 27), ("offbeats", "stabs"), (4, 81, 90), 0.6, 0.2,
    ),
    "hiphop": Style(
        ("hiphop", "funk"), (65, 105), ("halves", "pop", "funk"), (38, 33, 35),
        ("picking", "chops"), (27, 26), ("held", "charleston", "offbeats"), (4, 5, 11), 0.3, 0.15,
    ),
    "reggae": Style(
        ("reggae", "hiphop", "soul"), (60, 100), ("reggae",), (33, 35),
        ("skank", "offbeats"), (27, 28), ("offbeats", "skank"), (16, 18), 0.05, 0.0,
    ),
    "bossa": Style(
        ("latin",), (90, 180), ("bossa", "tumbao"), (32, 35),
        ("bossa",), (24, 26), ("charleston", "bossa"), (4, 0, 11), 0.3, 0.3,
    ),
    "salsa": Style(
        ("latin", "afrocuban", "afrobeat", "highlife"), (90, 200), ("tumbao",), (32, 33),
        ("offbeats", "bossa"), (24, 27), ("montuno",), (0, 1), 0.1, 0.45,
    ),
    "swing": Style(
        ("jazz", "blues"), (80, 240), ("walk",), (32,),
        ("quarters", "swing"), (26,), ("swing", "charleston"), (0,), 0.1, 0.1,
    ),
    "country": Style(
        ("country", "rock", "neworleans"), (80, 180), ("two", "boogie", "quarters"), (32, 33),
        ("two and four", "strum"), (25, 105), ("two and four", "pop"), (0, 3), 0.15, 0.05,
    ),
}  # fmt: skip
