"""Recorder: every take as a .mid, both sides and the tempo map, written safely while playing. Knows notes and tempos in
song seconds and files; knows no ports.

While a take runs its notes go line by line into a journal; the .mid is made when the take ends, or at the next start of
the journal if there was no end. A journal is deleted only once its .mid is on the disk.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Thread

from anticipation.errors import AnticipationError, FileError, RequestError
from anticipation.files import replacing, settle
from anticipation.music.notes import DRUMS
from anticipation.score.midi import Score

from .clock import Meter
from .ears import BANKS, CONTROL_CHANGE, MODES, PROGRAM, at_rest, moved_by
from .home import unwritable
from .journal import Journal, claim
from .take import LiveNote, Take

OFF = 0.01  # beats by which the tempos of a take may miss where the clock really was
NO_MOVES = BANKS | MODES  # those are the program's, these the port's


class Recorder:
    """One folder of takes. begin, then notes, tempos and the rest as they come, then end; times are wall times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.take = Take()  # the one that runs, or the last
        self.notice = ""  # the last thing worth telling a person
        self._begin = self._end = 0.0  # wall times; end is infinite while it runs
        self._journal: Journal | None = None
        self._known = (0.0, 0.0)  # (seconds, beat) up to which the tempos are known to be right
        self._moved: dict[tuple[int, ...], Sequence[int]] = {}  # the last message of each pedal, wheel, key's pressure
        self._unsaved: list[tuple[Take, Journal | None]] = []  # over, with their journals
        self._settling: list[Thread] = []  # bring to the disk what was saved
        self._takes: dict[str, dict] = {}
        if reason := unwritable(folder):
            raise FileError(f"cannot keep takes in {folder}: {reason}; choose another folder with --takes")
        try:
            self.rescue()
            for path in sorted(folder.glob("*.mid"), key=lambda path: path.stem):
                self._takes.setdefault(path.name, {"name": path.name, "seconds": None, "notes": None})
        except OSError as error:
            raise FileError(f"cannot keep takes in {folder}: {error.strerror}") from None

    @property
    def runs(self) -> bool:
        return self._end == float("inf")

    def begin(self, wall: float, bpm: float, meter: Meter = (4, 4), beat: float = 0.0) -> None:
        """beat: where the song is, in quarters, as in `beat`."""
        with suppress(AnticipationError):  # a take that cannot be saved is no reason not to play the next
            self.end(wall)
        self._begin, self._end, self.take, self._known = wall, float("inf"), Take(), (0.0, beat)
        self._find()
        try:
            self._journal = Journal(self.folder / f".take-{os.getpid()}-{time.time_ns()}.journal", self._no_journal)
        except OSError as error:  # nor is no journal
            self._no_journal(error)
        self._add("meter", 0.0, *meter)
        self._add("tempo", 0.0, bpm)
        for message in self._moved.values():
            if tuple(message) != at_rest(message):
                self._add("move", 0.0, *message)

    def tempo(self, wall: float, bpm: float) -> None:
        if self.runs:
            self._add("tempo", wall - self._begin, bpm)

    def beat(self, wall: float, beat: float, bpm: float) -> None:
        """The position of an outside clock, in quarters. Its tempo is known only in retrospect: once a beat, the take's
        tempos are checked against it, and corrected since the last check where they lead elsewhere."""
        now, (then, before) = wall - self._begin, self._known
        if not self.runs or 0 <= beat - before < 1 or now <= then:
            return
        old = self.take.tempos[-1][1]
        led, right = before + (now - then) * old / 60, (beat - before) / (now - then) * 60
        self._known = (now, beat)
        if abs(beat - led) < OFF:
            self._known = (now, led)
        elif 0.8 * min(old, bpm) < right < 1.25 * max(old, bpm):  # else it has jumped
            self._add("tempo", then, right)
            self._add("tempo", now, bpm)

    def meter(self, wall: float, meter: Meter) -> None:
        """Another metre from the bar line at `wall` on."""
        if self.runs:
            self._add("meter", wall - self._begin, *meter)

    def note(self, side: str, note: LiveNote) -> None:
        """side: 'heard' or 'played'; 'held': heard, and it has not ended yet."""
        if self.runs and note.instrument <= DRUMS:
            onset, velocity = max(note.onset - self._begin, 0.0), max(note.velocity, 1)
            self._add(side, *note._replace(onset=onset, velocity=velocity))

    def move(self, wall: float, message: Sequence[int]) -> None:
        """The player moved a pedal or a wheel: a message of a channel that is no note. What he moves while no take runs
        is as he left it when one begins."""
        kind = message[0] & 0xF0
        if kind == PROGRAM or kind == CONTROL_CHANGE and message[1] in NO_MOVES:
            return
        self._moved[moved_by(message)] = message
        if self.runs:
            self._add("move", max(wall - self._begin, 0.0), *message)

    def let_go(self, wall: float) -> None:
        """Nobody hears the player any more: what he had moved is at rest."""
        for message in list(self._moved.values()):
            if rest := at_rest(message):
                self.move(wall, rest)

    def join(self, one: int, members: Iterable[int]) -> None:
        """What was taken for several players is one: these channels are `one`."""
        if self.runs:
            self._add("join", one, *members)

    def silence(self, wall: float, instruments: Collection[int] | None = None) -> None:
        """The band, or these instruments of it, fell silent: what it had been given for later never sounded."""
        if self.runs:
            self._add("silence", wall - self._begin, None if instruments is None else sorted(instruments))

    def _add(self, *entry) -> None:
        self.take.add(*entry)
        if self._journal:
            self._journal.add(entry)

    def _no_journal(self, error: OSError) -> None:
        """The disk is full, or gone: play on."""
        self.notice = f"the take is in memory only until it is saved: {error.strerror}"

    def end(self, wall: float) -> str | None:
        """Write the take, if anything sounded, and those that could not be written before. Answers their names: a file
        may not hold a take. Raises FileError; then the next end tries again, and the journal is left for the next
        start."""
        if self.runs:
            for rest in self.take.rests():
                self._add("move", max(wall - self._begin, 0.0), *rest)
            self._end = wall
            self._unsaved.append((self.take, self._journal))
            if self._journal:
                self._journal.end()
                self._journal = None
        names: list[str] = []
        problem = None
        for entry in list(self._unsaved):
            try:
                saved = [self._save(score, "take") for score in entry[0].scores()]
            except AnticipationError as error:
                problem = error
                continue
            names += saved
            self._unsaved.remove(entry)
            self._settle(saved, entry[1])
        if problem:
            raise problem
        return ", ".join(names) or None

    def elsewhere(self, folder: Path) -> str | None:
        """At the end of it all: write what could not be saved to another folder. Answers the names, as `end` does."""
        own, self.folder = self.folder, folder
        try:
            with suppress(AnticipationError):
                scores = [score for take, _ in self._unsaved for score in take.scores()]
                names = [self._save(score, "take") for score in scores]
                self._settle(names)
                return ", ".join(names)
        finally:
            self.folder = own
        return None

    def keep(self, wall: float, bars: int, held: Iterable[LiveNote] = ()) -> str:
        """Save the last bars, or the last of what was played last, as a take of their own, while playing on. held: the
        player's notes that still sound, wall times. Raises RequestError, FileError."""
        end = min(wall, self._end) - self._begin
        heard = self.take.heard + [note._replace(onset=note.onset - self._begin) for note in held]
        cut = replace(self.take, heard=heard).last_bars(bars, end)
        if not len(cut):
            raise RequestError("nothing has sounded that could be kept")
        name = self._save(cut.score(), "kept")
        self._settle([name])
        return name

    def _settle(self, names: Sequence[str], journal: Journal | None = None) -> None:
        """Have takes on the disk, and then no journal of them. In a thread: nobody who plays waits for a disk."""
        paths = [self.folder / name for name in names]

        def run() -> None:
            try:
                for path in paths:
                    with suppress(FileNotFoundError):  # somebody has moved it
                        settle(path)
                if journal:
                    journal.join()
                    journal.path.unlink(missing_ok=True)
            except OSError as error:
                self.notice = f"{', '.join(names)} may be lost if the power fails: {error.strerror}"

        thread = Thread(target=run, daemon=True, name="settling")
        self._settling = [*filter(Thread.is_alive, self._settling), thread]
        thread.start()

    def settled(self, seconds: float) -> None:
        """At the end of it all: wait until what was saved is on the disk, at most so long."""
        end = time.monotonic() + seconds
        joins = [thread.join for thread in self._settling] + [journal.join for _, journal in self._unsaved if journal]
        for join in joins:
            join(max(end - time.monotonic(), 0.0))

    def _find(self) -> None:
        """The folder may have been moved or deleted since: then there is another."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)

    def _save(self, score: Score, kind: str) -> str:
        self._find()
        path = self._new(time.strftime(f"{kind}-%Y%m%d-%H%M%S"))
        try:
            with replacing(path, settled=False) as draft:
                draft.write_bytes(score.data)
        except FileError:
            with suppress(OSError):
                path.unlink()
            raise
        self._takes[path.name] = {"name": path.name, "seconds": round(score.end, 2), "notes": len(score.notes)}
        return path.name

    def _new(self, stem: str) -> Path:
        """A file that was not there and is empty: so nobody else takes its name, as another program does that follows
        the same clock and stops with us. Raises FileError."""
        for number in count(1):
            path = self.folder / (f"{stem}.mid" if number == 1 else f"{stem}-{number}.mid")
            try:
                path.touch(exist_ok=False)
                break
            except FileExistsError:
                continue
            except OSError as error:
                raise FileError(f"cannot write {path}: {error.strerror}") from None
        return path

    def takes(self) -> list[dict]:
        """What there is, the newest last."""
        return list(self._takes.values())

    def read(self, name: str) -> bytes:
        """The bytes of a take. Raises RequestError."""
        if name not in self._takes:
            raise RequestError(f"no take {name!r}")
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise RequestError(f"cannot read {name}: {error.strerror}") from None

    def rescue(self) -> None:
        """Make takes of the journals that a crash left; those of programs that still run are left alone, and what is
        no take is put aside as .bad."""
        for path in self.folder.glob(".take-*.journal"):
            with suppress(FileError, OSError):  # a full disk may have room the next time; one file's rights are its own
                self._rescue(path)

    def _rescue(self, journal: Path) -> None:
        """Raises FileError, OSError."""
        journal.replace(journal)  # which Windows refuses where another program has it open: that one still plays
        take = Take()
        with open(journal, encoding="utf-8", errors="replace") as file:
            if not claim(file):
                return
            lines = file.read().splitlines()
        for line in lines:
            with suppress(ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
                take.add(*json.loads(line))
        try:
            scores = take.released().scores()
        except (AnticipationError, ArithmeticError, LookupError, ValueError):  # no music that we know to write
            journal.replace(journal.with_suffix(".bad"))
            return
        for score in scores:
            settle(self.folder / self._save(score, "rescued"))
        journal.unlink(missing_ok=True)
