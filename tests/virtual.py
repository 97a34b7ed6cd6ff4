"""Live playing in virtual time: Session, Clock and Scheduler around a mind that takes as long as it is told to. An hour
is played in seconds; nothing here has a thread, a port or a process."""

from collections.abc import Callable, Iterator

from plugin_bridge.clock import Clock
from plugin_bridge.scheduler import Scheduler
from plugin_bridge.session import Session


class Stage:
    """plan(scene) -> steps: the mind. pace() -> seconds that a step of it takes. heard: (seconds, pitch, velocity) of a
    player on channel 1, or (seconds, callable) for whatever else happens then."""

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
            on = self.clock.wall(play.onset)
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
            self.session.take(number, step.reached, step.note)
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


def player(notes) -> list[tuple[float, int, int]]:
    """What a player does with the keys for some Notes."""
    events = [(float(on), int(p), int(v)) for on, _, p, _, v in notes]
    return sorted(events + [(float(on + d * 0.98), int(p), 0) for on, d, p, _, _ in notes], key=lambda e: (e[0], e[2]))
