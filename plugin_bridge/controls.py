"""One table of everything that can be steered while playing: it drives the command's flags, the MIDI controllers, the
OSC addresses and the page. Knows names, ranges and words; knows nothing of what they set off."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from anticipation.errors import RequestError

Value = bool | int | float | str
_TRUTHS = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}


@dataclass(frozen=True)
class Control:
    """kind: bool, int, float, choice (one of `choices`) or text. low, high: both included. cc: the MIDI controller that
    steers it unless another is learned, or None. group: under which heading a page shows it."""

    name: str
    kind: str
    default: Value
    label: str
    help: str
    low: float = 0
    high: float = 1
    choices: tuple[str, ...] = ()
    unit: str = ""
    cc: int | None = None
    group: str = "Band"

    def check(self, value: object) -> Value:
        """The value in the control's own type. Raises RequestError for what is not one, or is out of range."""
        text = value.strip() if isinstance(value, str) else value
        if self.kind == "text":
            if isinstance(text, str) and len(text) <= 4000:
                return text
            raise RequestError(f"{self.name} is a text of at most 4,000 characters")
        if self.kind == "choice":
            if text in self.choices:
                return text  # type: ignore[return-value]
            raise RequestError(f"{self.name} is one of {', '.join(self.choices)}, not {value!r}")
        if self.kind == "bool":
            try:
                return truth(value)
            except ValueError:
                raise RequestError(f"{self.name} is on or off, not {value!r}") from None
        try:
            number = float(text)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not self.low <= number <= self.high or isinstance(text, bool):
            unit = f" {self.unit}" if self.unit else ""
            raise RequestError(f"{self.name} is from {self.low:g} to {self.high:g}{unit}, not {value!r}")
        return int(round(number)) if self.kind == "int" else number

    def from_cc(self, value: int) -> Value:
        """The value that a controller at 0-127 means."""
        share = min(max(value, 0), 127) / 127
        if self.kind == "bool":
            return value >= 64
        if self.kind == "choice":
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        return self.check(self.low + share * (self.high - self.low))

    def to_dict(self) -> dict:
        """What a page needs to draw it, and its OSC address."""
        return asdict(self) | {"osc": f"/anticipation/{self.name}"}


MODES = ("band", "answer", "loop", "timeline")
SYNCS = ("internal", "clock", "link")
_STYLES = ("unknown", "pop", "classical", "piano", "folk", "band", "drums")  # stream.STYLES, which would load numpy

TABLE: tuple[Control, ...] = (
    Control("mode", "choice", "band", "Mode", "band plays along; answer takes turns; loop knows the last bars; "
            "timeline knows what the DAW sent ahead", choices=MODES),
    Control("instruments", "text", "piano", "Instruments", "who plays: GM names or programs, with commas between"),
    Control("muted", "text", "", "Muted", "instruments of the band that are silent, with commas between"),
    Control("mute", "bool", False, "Mute", "the whole band is silent", cc=21),
    Control("thru", "bool", False, "Thru", "what comes in goes out as well"),
    Control("density", "int", 0, "Density", "at most so many onsets of a part in any second; 0: free", 0, 20, cc=22),
    Control("polyphony", "int", 6, "Polyphony", "at most so many notes at once in each instrument that "
            "has as many; 0: free", 0, 8),
    Control("dynamics", "float", 1.0, "Dynamics", "how loud the band plays, times the velocity it meant", 0, 2, cc=23),
    Control("low", "int", 0, "Lowest", "the lowest pitch the band writes (60 is middle C); 0, and 127 above: each "
            "keeps to its instrument's range", 0, 127, cc=24),
    Control("high", "int", 127, "Highest", "the highest pitch the band writes", 0, 127, cc=25),
    Control("temperature", "float", 1.0, "Temperature", "below 1 tamer, above 1 wilder", 0.1, 2, cc=26),
    Control("top_p", "float", 0.95, "Top-p", "the nucleus of every choice but velocities", 0.05, 1),
    Control("scale", "text", "", "Scale", "the band writes only these pitches: C major, D dorian; empty: all",
            group="Harmony"),
    Control("chords", "text", "", "Chords", "a chart that goes round, a cell a bar: | C | Am F |; empty: its own",
            group="Harmony"),
    Control("chord_lock", "bool", False, "Chord lock", "only tones of the chords, the chart's or its own", cc=27,
            group="Harmony"),
    Control("style", "choice", "unknown", "Style", "the kind of music the model is told", choices=_STYLES,
            group="Harmony"),
    Control("bravery", "float", 0.5, "Bravery", "0: only when sure of the key; 1: always", cc=28, group="Manners"),
    Control("listen", "int", 4, "Listen first", "notes of yours it wants to hear before its first", 0, 64,
            group="Manners"),
    Control("end_bars", "int", 4, "End after", "bars of your silence after which the band ends, in band mode without a "
            "chart; 0: it plays on", 0, 32, unit="bars", group="Manners"),
    Control("answer_bars", "int", 0, "Answer bars", "bars you play, then bars it answers; 0: phrase by phrase", 0, 16,
            unit="bars", group="Manners"),
    Control("loop_bars", "int", 4, "Loop bars", "how many bars go round in loop mode", 1, 32, unit="bars",
            group="Manners"),
    Control("delta", "float", 5.0, "Look-ahead", "how far ahead written music is shown to the model", 0.5, 10, unit="s",
            group="Manners"),
    Control("sync", "choice", "internal", "Sync", "whose clock counts: ours, MIDI clock in, or Ableton Link",
            choices=SYNCS, group="Time"),
    Control("bpm", "float", 120.0, "Tempo", "quarters a minute of the internal clock", 20, 300, unit="bpm", cc=29,
            group="Time"),
    Control("meter", "text", "4/4", "Metre", "3/4, 7/8; of 6/8, 9/8 and 12/8 a dotted quarter is the beat. No clock "
            "from outside tells it", group="Time"),
    Control("count_in", "int", 1, "Count-in", "bars counted before the first, internal clock only", 0, 4, unit="bars",
            group="Time"),
    Control("quantise", "float", 0.8, "Quantise", "how far notes are drawn to the grid; from a half on they are "
            "thought of on it", cc=30, group="Time"),
    Control("commit", "float", 100.0, "Commit", "notes nearer than this are final", 20, 1000, unit="ms", group="Time"),
    Control("horizon", "float", 3.0, "Horizon", "how far ahead the band plans", 0.5, 10, unit="s", group="Time"),
    Control("latency", "float", 0.0, "Latency", "send this much early (or, below 0, late)", -200, 200, unit="ms",
            group="Time"),
    Control("melody_channel", "int", 0, "Melody channel", "hear this channel only; 0: all", 0, 16, group="Routing"),
    Control("split", "int", 0, "Split key", "notes below it are your chords, not your melody; 0: no split", 0, 127,
            group="Routing"),
    Control("drum_channel", "int", 10, "Drum channel", "what comes in here is drums; 0: none", 0, 16, group="Routing"),
    Control("out_channel", "int", 1, "First channel", "the band's channels begin here (drums are on 10)", 1, 16,
            group="Routing"),
    Control("keep_bars", "int", 8, "Keep bars", "how many bars 'keep' saves", 1, 64, unit="bars", group="Takes"),
)  # fmt: skip
NAMES = {control.name: control for control in TABLE}


def truth(value: object) -> bool:
    """What a person, JSON or OSC says instead of True or False. Raises ValueError."""
    found = _TRUTHS.get(str(value).strip().lower().removesuffix(".0"))
    if found is None:
        raise ValueError
    return found


def defaults() -> dict[str, Value]:
    """Of every control of the TABLE."""
    return {control.name: control.default for control in TABLE}


def check(name: str, value: object) -> Value:
    """The checked value of a named control. Raises RequestError, with the nearest names."""
    if name not in NAMES:
        raise RequestError(f"no control {name!r}{nearest(name, NAMES)}")
    return NAMES[name].check(value)


def nearest(name: str, names) -> str:
    """'; did you mean X?' for a name that is close to others, else a list of them."""
    import difflib

    close = difflib.get_close_matches(str(name), [str(n) for n in names], 3, 0.5)
    return f"; did you mean {', '.join(close)}?" if close else f": there are {', '.join(map(str, names)) or 'none'}"
