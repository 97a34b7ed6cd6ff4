"""A stand-in for the live App that keeps to its contract: a band that plays by rote, in real time, without ports. For
tests of the server, the page and the DAW scripts. Run it to look at the page: python tests/stand_in.py"""

from __future__ import annotations

import threading
import time

from anticipation.errors import RequestError
from anticipation.music.instruments import instrument_number
from anticipation.music.notes import Notes, instrument_name
from anticipation.score.midi import Score
from plugin_bridge import controls
from plugin_bridge.actions import check_action

MELODY = (72, 76, 79, 77, 74, 81, 79, 76, 74, 72)
CHORDS = ((48, 64, 67, 72), (45, 60, 64, 69), (41, 57, 60, 65), (43, 59, 62, 67))


class StandIn:
    def __init__(self) -> None:
        self.controls = controls.defaults() | {"instruments": "piano,finger bass,drums"}
        self.calls: list[tuple] = []  # everything that was asked, for tests to look at
        self.takes = {"take-1": self._song(8), "take 2 \u00e9": self._song(4)}
        self.muted: set[str] = set()
        self.learning: str | None = None
        self.ccs = {control.name: control.cc for control in controls.TABLE if control.cc is not None}
        self.future: list = []
        self.message = "ready when you are"
        self.revision = 0
        self.mind = "ready"
        self._since: float | None = None
        self._stood = 0.0
        self._lock = threading.Lock()

    def _song(self, bars: int) -> bytes:
        rows = [row for row in self._all(0.0, bars * 2.0)[0] + self._all(0.0, bars * 2.0)[1]]
        return Score.from_notes(Notes.of(tuple(row) for row in rows)).data

    def _now(self) -> float:
        return self._stood if self._since is None else self._stood + time.monotonic() - self._since

    def _band(self) -> list[int]:
        return [instrument_number(name) for name in self.controls["instruments"].split(",") if name.strip()]

    def _all(self, start: float, end: float) -> tuple[list, list]:
        """Melody and band in start <= onset < end, at 120 bpm."""
        heard, band = [], []
        for beat in range(max(0, int(start * 2) - 1), int(end * 2) + 1):
            at, chord = beat * 0.5, CHORDS[beat // 4 % 4]
            if beat % 8 != 7:
                heard.append([at, 0.45, MELODY[beat % len(MELODY)], 73, 80 + beat % 4 * 12])
            if beat % 4 in (0, 2):
                band += [[at, 0.9, pitch, 0, 70 + beat % 3 * 10] for pitch in chord[1:]]
            band.append([at, 0.4, chord[0] - beat % 2 * 12, 33, 90])
            band += [[at, 0.1, 42, 128, 70], [at + 0.25, 0.1, 42, 128, 50], [at, 0.1, 36 + beat % 2 * 2, 128, 100]]
        inside = [[row for row in rows if start <= row[0] < end] for rows in (heard, band)]
        return inside[0], inside[1]

    def state(self) -> dict:
        with self._lock:
            now, playing = self._now(), self._since is not None
            heard, _ = self._all(max(0.0, now - 16), now)
            heard = [[row[0], None if row[0] + row[1] > now else row[1], *row[2:]] for row in heard]
            on = [i for i in self._band() if instrument_name(i) not in self.muted]
            _, played = self._all(max(0.0, now - 16), now)
            _, planned = self._all(now, now + 3)
            mine = [[row for row in rows if row[3] in on] for rows in (played, planned)]
            beat = now * 2
            first = max(0, int((now - 16) * 2))
            band = [{"name": instrument_name(i), "instrument": i, "channel": 10 if i == 128 else n + 1, "on": i in on}
                    for n, i in enumerate(self._band())]  # fmt: skip
            figures = {"reaction_ms": {"p50": 41.2, "p95": 97.0}, "jitter_ms": {"p50": 0.1, "p99": 0.9, "max": 3.2},
                       "late": 0, "dropped": 0, "load": 0.38, "events_per_second": 61.5}  # fmt: skip
            return {
                "playing": playing, "mode": self.controls["mode"], "sync": self.controls["sync"],
                "bpm": self.controls["bpm"], "meter": [4, 4],
                "position": {"seconds": now, "bar": int(beat // 4) + 1, "beat": round(beat % 4 + 1, 3)},
                "controls": dict(self.controls),
                "ports": {"in": ["Anticipation:in", "Keystation 49"], "out": ["Anticipation:out"], "api": "jack",
                          "chosen": {"in": "Anticipation:in", "out": "Anticipation:out"}},
                "meters": figures, "mind": self.mind, "band": band,
                "notes": {"heard": heard, "played": mine[0], "planned": mine[1]},
                "beats": [[b * 0.5, b % 4] for b in range(first, int((now + 6) * 2))],
                "takes": [{"name": name, "seconds": data and 8.0, "notes": data and 40}
                          for name, data in self.takes.items()],
                "learning": self.learning, "ccs": dict(self.ccs), "message": self.message, "revision": self.revision,
            }  # fmt: skip

    def set(self, name: str, value) -> None:
        checked = controls.check(name, value)
        with self._lock:
            self.calls.append(("set", name, checked))
            self.controls[name] = checked
            self.revision += 1

    def act(self, name: str, /, **args) -> dict | None:
        args = check_action(name, args)
        with self._lock:
            self.calls.append(("act", name, args))
            self.revision += 1
            self.message = f"{name}: done"
            return getattr(self, f"_{name}", lambda: None)(**args)

    def _start(self) -> None:
        self._since, self._stood = time.monotonic(), 0.0

    def _continue(self) -> None:
        self._since = time.monotonic()

    def _stop(self) -> None:
        self._stood, self._since = self._now(), None

    def _keep(self, bars: int = 8) -> dict:
        name = f"take-{len(self.takes) + 1}"
        self.takes[name] = self._song(bars)
        return {"name": name}

    def _learn(self, name: str) -> None:
        self.learning = name or None

    def _switch(self, instrument: str, on: bool) -> None:
        (self.muted.discard if on else self.muted.add)(instrument)

    def _locate(self, seconds: float) -> None:
        self._stood = seconds

    def timeline(self, notes: list, replace_from: float) -> None:
        self.calls.append(("timeline", notes, replace_from))
        self.future = notes

    def take(self, name: str) -> bytes:
        if name not in self.takes:
            raise RequestError(f"no take {name!r}")
        return self.takes[name]


if __name__ == "__main__":
    from plugin_bridge.server import Server

    print(Server(StandIn(), 8765).url, flush=True)
    threading.Event().wait()
