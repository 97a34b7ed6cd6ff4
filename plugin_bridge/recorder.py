"""Recorder: every take as a .mid, both sides and the tempo map, written safely while playing. Knows notes and tempos in
song seconds and files; knows no ports.

While a take runs its notes go line by line into a journal, which is flushed at once; the .mid is made of it when the
take ends, or at the next start if there was no end.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from anticipation.errors import AnticipationError, MidiError, RequestError
from anticipation.midi import Score
from anticipation.notes import DRUMS, Notes
from anticipation.tempo import TempoMap

PPQN = 480
OFF = 0.01  # beats that the tempos of a take may miss
Row = tuple[float, float, int, int, int]


def take_score(heard: list[Row], played: list[Row], tempos: list[tuple[float, float]], meter: int, stamp: str) -> Score:
    """A file of both sides. Times are seconds since the take began. tempos: (seconds, bpm), at one time the last."""
    ticks, at, rate = 0.0, 0.0, 120.0
    entries = []
    for time_, bpm in sorted(dict(tempos).items()) or [(0.0, 120.0)]:
        ticks += max(0.0, time_ - at) * rate / 60 * PPQN
        at, rate = max(time_, at), bpm
        entries.append((round(ticks), round(60e6 / bpm)))
    tempo = TempoMap(PPQN, tuple(entries), ((0, meter, 4),))
    score = Score.from_notes(Notes.of(heard), tempo, stamp=f"{stamp}; the player") if heard else None
    if score is None:
        return Score.from_notes(Notes.of(played), tempo, stamp=f"{stamp}; the band")
    return score.with_notes(Notes.of(played), stamp=f"{stamp}; the band") if played else score


class Recorder:
    """One folder of takes. begin, then note and tempo as they come, then end; times are wall times."""

    def __init__(self, folder: Path, stamp: str = "anticipate live") -> None:
        self.folder, self.stamp = folder, stamp
        self.rows: dict[str, list[Row]] = {"heard": [], "played": []}
        self.tempos: list[tuple[float, float]] = []
        self.meter = 4
        self._journal: TextIO | None = None
        self._begin = 0.0
        self._known = (0.0, 0.0)  # (seconds, beat) up to which the tempos are known to be right
        self._takes: dict[str, dict] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.rescue()
            for path in sorted(folder.glob("*.mid")):
                self._takes[path.name] = {"name": path.name, "seconds": None, "notes": None}
        except OSError as error:
            raise MidiError(f"cannot keep takes in {folder}: {error.strerror}") from None

    def begin(self, wall: float, bpm: float, meter: int, beat: float = 0.0) -> None:
        self.end()
        self._known = (0.0, beat)
        self._begin, self.meter = wall, meter
        self.rows, self.tempos = {"heard": [], "played": []}, [(0.0, bpm)]
        with suppress(OSError):  # no journal is no reason not to play
            self._journal = open(self.folder / f".take-{os.getpid()}.journal", "w", encoding="utf-8")  # noqa: SIM115
            self._log(["meter", meter])
            self._log(["tempo", 0.0, bpm])

    def tempo(self, wall: float, bpm: float) -> None:
        self._note_tempo(wall - self._begin, bpm)

    def _note_tempo(self, seconds: float, bpm: float) -> None:
        self.tempos.append((seconds, bpm))
        self._log(["tempo", seconds, bpm])

    def beat(self, wall: float, beat: float, bpm: float) -> None:
        """Where a clock that is not ours has come to. What its tempo was is known afterwards: once in a beat we look
        whether the take's tempos lead there, and correct them from where we last looked."""
        now, (then, before) = wall - self._begin, self._known
        if not self._begin or 0 <= beat - before < 1 or now <= then:
            return
        old = self.tempos[-1][1]
        led, right = before + (now - then) * old / 60, (beat - before) / (now - then) * 60
        self._known = (now, beat)
        if abs(beat - led) < OFF:
            self._known = (now, led)
        elif 0.8 * min(old, bpm) < right < 1.25 * max(old, bpm):  # else it has jumped
            self._note_tempo(then, right)
            self._note_tempo(now, bpm)

    def note(self, side: str, wall: float, duration: float, pitch: int, instrument: int, velocity: int) -> None:
        """side: 'heard' or 'played'."""
        if self._begin and instrument <= DRUMS:
            row = (max(wall - self._begin, 0.0), max(duration, 0.01), pitch, instrument, max(velocity, 1))
            self.rows[side].append(row)
            self._log([side, *row])

    def _log(self, entry: list) -> None:
        if self._journal:
            try:
                self._journal.write(json.dumps(entry) + "\n")
                self._journal.flush()
            except (OSError, ValueError):
                self._journal = None  # the disk is full: play on

    def end(self) -> str | None:
        """Write the take, if anything sounded. Answers its name."""
        name = None
        if any(self.rows.values()):
            score = take_score(self.rows["heard"], self.rows["played"], self.tempos, self.meter, self.stamp)
            name = self._save(score, "take", len(self.rows["heard"]) + len(self.rows["played"]))
        if self._journal:
            path = Path(self._journal.name)
            with suppress(OSError):
                self._journal.close()
                path.unlink()
        self._journal, self._begin = None, 0.0
        self.rows = {"heard": [], "played": []}
        return name

    def keep(self, wall: float, seconds: float) -> str:
        """Save the last seconds as a take of their own, while playing on. Raises RequestError."""
        start = max(wall - seconds - self._begin, 0.0)
        cut = {side: [(r[0] - start, *r[1:]) for r in rows if r[0] >= start] for side, rows in self.rows.items()}
        if not any(cut.values()):
            raise RequestError("nothing has sounded that could be kept")
        before = [t for t in self.tempos if t[0] <= start][-1:]
        tempos = [(0.0, bpm) for _, bpm in before] + [(t - start, bpm) for t, bpm in self.tempos if t > start]
        score = take_score(cut["heard"], cut["played"], tempos, self.meter, self.stamp)
        return self._save(score, "kept", len(cut["heard"]) + len(cut["played"]))

    def _save(self, score: Score, kind: str, notes: int) -> str:
        from anticipation.midi import write

        stem = time.strftime(f"{kind}-%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            name = f"{stem}.mid" if number == 1 else f"{stem}-{number}.mid"
            with suppress(MidiError):
                if not (self.folder / name).exists():
                    write(score, self.folder / name)
                    break
        self._takes[name] = {"name": name, "seconds": round(score.end, 2), "notes": notes}
        return name

    def takes(self) -> list[dict]:
        """What there is, the newest last."""
        return [take | {"url": f"/takes/{take['name']}"} for take in list(self._takes.values())]

    def read(self, name: str) -> bytes:
        """The bytes of a take. Raises RequestError."""
        if name not in self._takes:
            raise RequestError(f"no take {name!r}")
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise RequestError(f"cannot read {name}: {error.strerror}") from None

    def rescue(self) -> None:
        """Make takes of the journals that a crash left; those of programs that still run are left alone."""
        for path in self.folder.glob(".take-*.journal"):
            pid = path.name.removeprefix(".take-").removesuffix(".journal")
            if pid.isdecimal() and int(pid) != os.getpid() and _runs(int(pid)):
                continue
            rows: dict[str, list[Row]] = {"heard": [], "played": []}
            tempos, meter = [], 4
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, KeyError, IndexError, TypeError):
                    entry = json.loads(line)
                    if entry[0] == "tempo":
                        tempos.append((float(entry[1]), float(entry[2])))
                    elif entry[0] == "meter":
                        meter = int(entry[1])
                    else:
                        onset, duration, pitch, instrument, velocity = entry[1:]
                        row = (float(onset), float(duration), int(pitch), int(instrument), int(velocity))
                        rows[entry[0]].append(row)
            with suppress(AnticipationError):
                if any(rows.values()):
                    score = take_score(rows["heard"], rows["played"], tempos, meter, self.stamp)
                    self._save(score, "rescued", sum(map(len, rows.values())))
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    if os.name == "nt":
        return False  # a signal would end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
