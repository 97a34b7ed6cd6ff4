"""Live playing in virtual time: Session, Clock and Scheduler around a mind that takes as long as it is told to. An hour
is played in seconds; nothing here has a thread, a port or a process."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

from anticipation.music.notes import Notes
from anticipation.score.midi import read
from plugin_bridge import app, mind
from plugin_bridge.clock import Clock
from plugin_bridge.scheduler import Scheduler
from plugin_bridge.session import Ask, Session


class Stage:
    """plan(scene) -> steps: the mind. pace() -> seconds that its next step takes. heard: (seconds, pitch, velocity) of
    a player on channel 1, or (seconds, callable) for whatever else happens then."""

    LOOK = 0.1

    def __init__(self, plan: Callable, pace: Callable[[], float], settings=None, bpm=120.0) -> None:
        self.session = Session(settings)
        self.clock = Clock(bpm)
        self.plan, self.pace = plan, pace
        self.now = 0.0
        self.sent: list[tuple[float, list[int]]] = []
        self.scheduler = Scheduler(lambda: self.now, lambda message: self.sent.append((self.now, message)))
        self.steps = self.asks = 0
        self._ask = self._newer = None
        self._steps: Iterator | None = None
        self._ready = float("inf")  # when the mind's next step is there
        self._step = None

    def start(self, count_in: int = 0) -> None:
        self.clock.start(self.now, count_in)

    def run(self, heard: list, until: float) -> None:
        """Play up to a wall time."""
        heard = sorted(heard, key=lambda event: event[0])
        look = self.now
        while self.now < until:
            due = self.scheduler.tick()
            times = [until, look + self.LOOK, self._ready, self._commit_at()]
            times += [heard[0][0]] if heard else []
            times += [due] if due is not None else []
            self.now = max(self.now, min(times))
            while heard and heard[0][0] <= self.now:
                self._happen(*heard.pop(0)[1:])
            if self.now >= self._ready:
                self._stepped()
            look = self.now
            self._look()
        self.scheduler.tick()

    def _happen(self, what, velocity: int | None = None) -> None:
        if velocity is None:
            what()
        elif self.clock.playing:
            self.session.hear(self.clock.song(self.now), 0, what, velocity)

    def _commit_at(self) -> float:
        plan = self.session.plan
        if not plan or not self.clock.playing:
            return float("inf")
        song = plan[0][1][0] + self.session.offset - self.session.commit_seconds
        return max(self.clock.wall(song), self.now) + 1e-4

    def _look(self) -> None:
        if not self.clock.playing:
            return
        song = self.clock.song(self.now)
        for play in self.session.commit(song, self.clock.grid):
            on = self.clock.wall(play.onset) - self.session.settings["latency"] / 1000
            self.scheduler.add(on, on + play.duration, play.channel, play.pitch, play.velocity)
        ask = self.session.ask(song, self.clock.grid)
        if ask:
            self.asks += 1
            self._newer = ask
            if self._steps is None:
                self._begin()

    def _begin(self) -> None:
        self._ask, self._newer = self._newer, None
        self._steps = iter(self.plan(self._ask.scene))
        self._draw()

    def _draw(self) -> None:
        self._step = next(self._steps, None)
        self._ready = self.now + self.pace()

    def _stepped(self) -> None:
        step, number = self._step, self._ask.number
        if step is not None:
            self.steps += 1
            self.session.step(number, step.reached, step.note)
        else:
            self.session.done(number)
        if self._newer:
            self._begin()
        elif step is None:
            self._steps, self._ready = None, float("inf")
        else:
            self._draw()

    # What a person does

    def stop(self) -> None:
        self.clock.stop(self.now)
        self.session.release_all(self.clock.song(self.now))
        self.session.drop_plan()
        self.scheduler.silence()

    def resume(self) -> None:
        self.clock.resume(self.now)

    def locate(self, song: float) -> None:
        before = self.clock.song(self.now)
        self.clock.locate(self.now, song)
        self.session.locate(self.clock.song(self.now) - before)
        self.scheduler.silence()

    def die(self) -> None:
        """The mind is gone; another one takes its place."""
        self._steps, self._newer, self._ready = None, None, float("inf")
        self.session.drop_plan()
        self.scheduler.silence()


class Hands:
    """Those of the App without a process and a port: `world.now` is the time, `world.sent` what was sent when."""

    def __init__(self, world, report: Callable) -> None:
        self.world, self.report = world, report
        self.names: dict = {}
        self.errors, self.dropped = [0.0, 0.02], 0
        self.scheduler = Scheduler(lambda: world.now, lambda message: world.sent.append((world.now, message)))
        self.pass_on, self.silence = self.scheduler.pass_on, self.scheduler.silence
        self.release, self.panic = self.scheduler.release, self.scheduler.panic
        self.hold, self.go = self.scheduler.hold, self.scheduler.go

    def add(self, strikes) -> None:
        for strike in strikes:
            self.scheduler.add(*strike)

    def programs(self, channels) -> None:
        pass

    def catch_up(self) -> None:
        self.report(("caught_up",))
        self.world.beat()

    def pause(self) -> None:
        self.silence()
        self.release()

    def wake(self) -> None:
        pass

    def close(self) -> None:
        self.silence()


class Mind(mind.Mind):
    """That of the App without a process: it answers at once, unless it hangs. plan: as Stage's."""

    hangs = False

    def __init__(self, report: Callable, plan: Callable) -> None:
        super().__init__(report)
        self.state, self.plan, self.asked = "ready", plan, deque[Ask]()

    def ask(self, ask) -> None:
        super().ask(ask)
        self.asked.append(ask)
        if not self.hangs:
            self.answer()

    def answer(self) -> None:
        """All that was asked."""
        while self.asked:
            ask = self.asked.popleft()
            self._take(("begun", ask.number))
            for step in self.plan(ask.scene):
                self._take(("step", ask.number, step.reached, step.note, 0))
            self._take(("done", ask.number, 0.0, 1.0))

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def revive(self, now: float) -> bool:
        return True


class Rehearsal:
    """The App itself in virtual time, transport, session, recorder and all; its heart beats when it is told to."""

    def __init__(self, monkeypatch, takes: Path, plan: Callable = lambda scene: (), **settings) -> None:
        self.now, self.sent, self.told = 1000.0, [], []
        self.say = self.told.append
        monkeypatch.setattr(app, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(app, "ARRIVES", 0.0)
        monkeypatch.setattr(app, "Hands", lambda report, *_: Hands(self, report))
        monkeypatch.setattr(app, "Mind", lambda report, *_, **__: Mind(report, plan))
        monkeypatch.setattr(app.App, "_run", lambda _: None)
        manners = {"count_in": 0, "listen": 0, "bravery": 1.0, "quantise": 0.0}
        self.app = app.App(takes=takes, settings=manners | settings, say=lambda line: self.say(line))

    def run(self, seconds: float, heard=()) -> None:
        """Let time pass. heard: (seconds from now, message); those of one time come to the heart in one batch."""
        heard, begin, end = sorted(heard, key=lambda event: event[0]), self.now, self.now + seconds
        while True:
            while heard and begin + heard[0][0] <= self.now:
                self.app.hear(self.now, heard.pop(0)[1])
            self.beat()
            due = self.app.hands.scheduler.tick()
            if self.now >= end:
                return
            times = [begin + heard[0][0]] if heard else []
            self.now = max(min([end, self.now + 0.01, *times, *([due] if due is not None else [])]), self.now)

    def beat(self) -> None:
        """The heart does all that has come to it."""
        inbox = self.app._inbox
        while True:
            self.app._beat([inbox.get() for _ in range(inbox.qsize())])
            if inbox.empty():
                return

    def taken(self, kind: str = "take") -> list[Notes]:
        """The notes of every take of a kind."""
        paths = sorted(self.app.recorder.folder.glob(f"{kind}-*.mid"), key=lambda path: path.stem)
        return [read(path).notes for path in paths]

    def struck(self, channel: int = 0) -> list[int]:
        """The pitches that were sent on a channel."""
        return [m[1] for _, m in self.sent if m[0] == 0x90 | channel]


def key(at, pitch, length=0.2):
    """What is heard of one, for a Rehearsal."""
    return [(at, [0x90, pitch, 80]), (at + length, [0x80, pitch, 0])]


def player(notes) -> list[tuple[float, int, int]]:
    """What a player does with the keys for some Notes."""
    events = [(float(on), int(p), int(v)) for on, _, p, _, v in notes]
    return sorted(events + [(float(on + d * 0.98), int(p), 0) for on, d, p, _, _ in notes], key=lambda e: (e[0], e[2]))
