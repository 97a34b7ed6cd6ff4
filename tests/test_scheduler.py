"""Hands, in virtual time: whatever is added, and however late the hands are, what is sent is clean."""

import threading
import time
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anticipation.errors import LiveError
from plugin_bridge import ports
from plugin_bridge.ears import NOTE_OFF, NOTE_ON, EchoGuard, parse
from plugin_bridge.hands import Hands, Loop, nap
from plugin_bridge.scheduler import Scheduler


class World:
    """A clock that is moved by hand, and everything that was sent with the time of sending."""

    def __init__(self):
        self.now, self.sent, self.broken = 0.0, [], False
        self.scheduler = Scheduler(lambda: self.now, self.send)

    def send(self, message):
        if self.broken:
            raise OSError("the port is gone")
        self.sent.append((self.now, message))

    def run(self, until, step=0.02):
        while self.now < until:
            due = self.scheduler.tick()
            self.now = min(max(due, self.now + 1e-6) if due is not None else until, self.now + step, until)
        self.scheduler.tick()


def check_clean(sent):
    """Every on has its off, and no pitch of a channel sounds twice at once."""
    sounding = set()
    for _, (status, pitch, velocity) in sent:
        key = status & 0x0F, pitch
        if status & 0xF0 == NOTE_ON and velocity:
            assert key not in sounding
            sounding.add(key)
        elif status & 0xF0 == NOTE_OFF:
            assert key in sounding
            sounding.remove(key)
    assert not sounding


strikes = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda n: n / 8) | st.floats(0, 5),
        st.integers(0, 8).map(lambda n: n / 8) | st.floats(-1, 3),
        st.integers(0, 1),
        st.integers(60, 62),
        st.integers(0, 200),
    ),
    max_size=40,
)


@settings(max_examples=40)
@given(strikes, st.lists(st.floats(0, 1), max_size=60), st.sampled_from([None, 1.0, 2.5]))
def test_clean_whatever_is_asked_and_however_slow(notes, naps, stop):
    """Hands that fall asleep between ticks for up to a second."""
    world, naps = World(), iter(naps)
    for on, length, channel, pitch, velocity in notes:
        world.scheduler.add(on, on + length, channel, pitch, velocity)
    while (due := world.scheduler.tick()) is not None:
        world.now = max(due, world.now) + next(naps, 0.0)
        if stop is not None and world.now >= stop:
            world.scheduler.silence()
            before = len(world.sent)
            world.run(20.0)
            assert len(world.sent) == before  # and not a sound more
    check_clean(world.sent)
    assert not world.scheduler.sounding


def test_one_channel_falls_silent_and_the_others_play_on():
    world = World()
    for channel in (0, 1):
        world.scheduler.add(0.1, 1.0, channel, 60, 80)
        world.scheduler.add(0.5, 1.0, channel, 62, 80)
    world.run(0.3)
    world.scheduler.silence([1])
    world.run(2.0)
    check_clean(world.sent)
    ons = [(m[0] & 15, m[1]) for _, m in world.sent if m[0] & 0xF0 == NOTE_ON]
    assert ons == [(0, 60), (1, 60), (0, 62)] and (world.now, len(world.sent)) == (2.0, 6)


def test_what_is_held_back_begins_after_all_or_never():
    """It goes on; it is too late; or there is silence, which ends the holding too. What sounds ends in its time."""
    world = World()
    for on, pitch in ((0.1, 60), (0.5, 62), (1.0, 64), (2.0, 66), (2.5, 67)):
        world.scheduler.add(on, on + 0.2, 0, pitch, 80)
    for at, verb in ((0.2, "hold"), (0.51, "go"), (0.9, "hold"), (1.1, "go"), (1.9, "hold"), (2.1, "silence")):
        world.run(at)
        getattr(world.scheduler, verb)()
    world.scheduler.add(3.0, 3.1, 0, 69, 80)
    world.run(4.0)
    check_clean(world.sent)
    ons = [(round(t, 2), m[1]) for t, m in world.sent if m[0] & 0xF0 == NOTE_ON]
    assert ons == [(0.1, 60), (0.51, 62), (3.0, 69)] and world.scheduler.dropped == 1


@settings(max_examples=25)
@given(strikes)
def test_in_time(notes):
    world = World()
    for on, length, channel, pitch, velocity in notes:
        assert world.scheduler.add(on, on + length, channel, pitch, velocity)
    world.run(10.0)
    assert max(world.scheduler.errors, default=0) < 1e-5 and world.scheduler.dropped == 0
    wanted = {(round(on, 4), channel, pitch) for on, _, channel, pitch, _ in notes}
    ons = {(round(t, 4), m[0] & 15, m[1]) for t, m in world.sent if m[0] & 0xF0 == NOTE_ON}
    assert ons <= wanted
    for on, channel, pitch in wanted - ons:  # only those that would have doubled another
        assert any(0 <= on - t < 0.0102 and (c, p) == (channel, pitch) for t, c, p in ons)


def test_what_is_late_is_silent_and_no_burst_follows():
    world = World()
    for n in range(50):
        world.scheduler.add(1 + n / 10, 1.05 + n / 10, 0, 60 + n % 12, 80)
    world.run(1.01)
    world.now = 4.0  # the lid was closed
    world.scheduler.tick()
    burst = [message for t, message in world.sent if t == 4.0]
    assert [m[0] for m in burst] == [NOTE_OFF, NOTE_ON]  # what sounded ends; only what is due now begins
    assert world.scheduler.dropped == 29 and not world.scheduler.add(3.9, 5, 0, 60, 80)


def test_offs_come_before_ons():
    world = World()
    world.scheduler.add(0.0, 1.0, 0, 60, 80)
    world.scheduler.add(1.0, 2.0, 0, 60, 81)
    world.scheduler.add(1.0, 2.0, 0, 59, 82)
    world.run(3.0)
    assert [m for t, m in world.sent if t == 1.0] == [[0x80, 60, 64], [0x90, 60, 81], [0x90, 59, 82]]


def test_a_port_that_vanishes_leaves_a_note_that_is_ended_later():
    world = World()
    world.scheduler.add(0.0, 1.0, 3, 60, 80)
    world.run(0.5)
    world.broken = True
    with pytest.raises(OSError):
        world.run(2.0)
    world.broken = False
    world.scheduler.silence()
    assert world.sent[-1][1] == [0x83, 60, 64] and not world.scheduler.sounding


def test_panic_tells_every_channel():
    world = World()
    world.scheduler.add(0.0, 1.0, 0, 60, 80)
    world.run(0.1)
    world.scheduler.panic()
    told = [m for _, m in world.sent]
    assert [0x80, 60, 64] in told
    assert all([0xB0 | channel, controller, 0] in told for channel in range(16) for controller in (64, 120, 123))


@given(st.lists(st.tuples(st.booleans(), st.integers(60, 62), st.booleans()), max_size=60))
def test_thru_and_band_on_one_channel_stay_clean(played):
    world = World()
    for on, pitch, band in played:
        world.now += 0.1
        if band:
            world.scheduler.add(world.now, world.now + 0.25, 0, pitch, 70)
        else:
            world.scheduler.pass_on([0x90 if on else 0x80, pitch, 64], world.now)
        world.scheduler.tick()
    world.scheduler.silence()
    check_clean(world.sent)


@given(st.floats(0, 1e6))
def test_who_is_silent_for_long_is_still_heard_within_a_moment(silence):
    """A thousandth of the silence, while that is between one and twenty milliseconds."""
    assert nap(silence) == pytest.approx(sorted([0.001, silence / 1000, 0.02])[1])


class Wire:
    """The two ports of hands, as their Loop uses them."""

    def __init__(self):
        self.sent = []
        self.out = SimpleNamespace(send=self.sent.append)
        self.input = SimpleNamespace(read=list)

    def names(self):
        return {}

    def close(self):
        self.sent.append("closed")


def test_however_hands_end_no_note_no_pedal_and_no_bend_is_left():
    """A program that is killed hangs up, and they are all that can still lift the player's pedal."""
    loop = Loop(None, Wire())
    for gesture in ([0x90, 60, 80], [0xB0, 64, 127], [0xB0, 1, 40], [0xE0, 0, 100]):
        loop._obey("pass_on", gesture, time.perf_counter())
    before = len(loop.pair.sent)
    loop.end()
    left = loop.pair.sent[before:]
    assert sorted(left[:-1]) == [[0x80, 60, 64], [0xB0, 1, 0], [0xB0, 64, 0], [0xE0, 0, 64]] and left[-1] == "closed"


def test_hands_that_end_tell_what_was_played_last():
    """It is on its way from the MIDI system while they are asked to end; a parent that reads slowly is waited for."""
    (ours, theirs), played = Pipe(), [(n / 1000, [0xE0, n % 128, n // 128]) for n in range(5000)]
    loop = Loop(ours, Wire())
    loop.pair.input = SimpleNamespace(read=lambda: [played.pop(0) for _ in list(played)])
    ends = threading.Thread(target=loop.end, daemon=True)
    ends.start()
    assert [theirs.recv()[1] for _ in range(5000)] == [n / 1000 for n in range(5000)]
    ends.join(60.0)
    assert not ends.is_alive() and loop.pair.sent == ["closed"]


def test_a_parent_that_stands_still_holds_up_no_hands_and_loses_no_note():
    """More than a pipe holds is played meanwhile; afterwards it is told all of it, in order."""
    (ours, theirs), flood = Pipe(), [(n / 1000, [0xE0, n % 128, n // 128]) for n in range(5000)]
    loop = Loop(ours, Wire())
    loop.pair.input = SimpleNamespace(read=lambda: [flood.pop(0) for _ in flood[:50]])
    looks = threading.Thread(target=lambda: [loop._hear() for _ in range(100)], daemon=True)
    looks.start()
    looks.join(60.0)
    assert not looks.is_alive() and not flood
    told = []
    while loop._unreported or theirs.poll():
        told.append(theirs.recv())
        loop._hear()
    assert told == [("heard", n / 1000, [0xE0, n % 128, n // 128]) for n in range(5000)]


def test_no_process_for_hands_is_one_line(monkeypatch):
    """And the thread that opens them anew tries again, as where there is no port."""

    def start(process):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", start)
    with pytest.raises(LiveError, match="no process to play: Resource temporarily unavailable"):
        Hands(print, "auto", None, None)


def test_fast_repeats_that_are_passed_on_are_no_echoes():
    """32nds on a hi-hat at 120 bpm, all at one velocity."""
    loop, hit = Loop(None, Wire()), parse([0x99, 42, 100])
    for _ in range(8):
        loop._obey("pass_on", [0x99, 42, 100], time.perf_counter())
        assert not loop.echo.is_echo(time.perf_counter() + 0.0625, hit)
        loop._obey("pass_on", [0x89, 42, 0], time.perf_counter())
    assert loop.pair.sent == [[0x99, 42, 100], [0x89, 42, 64]] * 8


def test_what_comes_back_at_once_is_an_echo_whoever_made_it():
    guard = EchoGuard()
    for data in ([0x90, 60, 80], [0xB0, 1, 9], [0xE0, 0, 80], [0xC0, 5]):
        guard.sent(1.0, data, passed=True)
        assert guard.is_echo(1.01, parse(data)) and not guard.is_echo(1.01, parse(data))
        guard.sent(2.0, data)
        assert not guard.is_echo(2.2, parse(data)) and guard.is_echo(2.09, parse(data))
    assert guard.is_echo(3.0, parse([0x80, 60, 0])) and not guard.is_echo(3.0, parse([0x80, 60, 0]))


def test_what_an_mpe_player_tells_one_channel_after_another_is_no_echo():
    loop = Loop(None, Wire())
    for channel in range(1, 5):
        for gesture in ([0xE0 | channel, 0, 64], [0xB0 | channel, 74, 64], [0xD0 | channel, 0]):
            assert not loop.echo.is_echo(time.perf_counter(), parse(gesture))
            loop._obey("pass_on", gesture, time.perf_counter())
    assert len(loop.pair.sent) == 12


class Midi:
    """A MIDI system whose devices come and go: rtmidi's MidiOut."""

    there: list[str] = []

    def __init__(self, api, name):
        self.opened = None

    def get_ports(self):
        return list(self.there)

    def open_port(self, index, name):
        self.opened = self.there[index]

    def close_port(self):
        pass

    delete = close_port


@pytest.mark.parametrize("api", ["alsa", "winmm"])
def test_a_port_is_known_by_all_of_its_name(monkeypatch, api):
    """We are told a part of it, and a second device comes whose name has that part, too."""
    monkeypatch.setattr(ports, "rtmidi", lambda: SimpleNamespace(MidiOut=Midi, RtMidiError=OSError))
    monkeypatch.setattr(Midi, "there", first := ["Keystation 49 0"])
    port = ports.Port("out", (api, 0), "keystation")
    seen = []
    both = ["Keystation 61 0", "Keystation 49 1"] if api == "winmm" else ["Keystation 61 0", *first]
    for Midi.there in (first, both, ["Keystation 61 0"], [], both[:1] + first, first):
        seen.append((port.watch(), port._client.opened))
    lost, back = ("lost", "Keystation 49 0"), ("back", "Keystation 49 0")
    here = (None, "Keystation 49 0")
    assert seen == [here, here, lost, here, back, here]


def test_an_alsa_port_is_found_again_whatever_its_client_is_called_now(monkeypatch):
    monkeypatch.setattr(ports, "rtmidi", lambda: SimpleNamespace(MidiOut=Midi, RtMidiError=OSError))
    monkeypatch.setattr(Midi, "there", ["Keys:Keys MIDI 1 28:0", "Keys:Keys MIDI 2 28:1"])
    port = ports.Port("out", ("alsa", 0), "Keys:Keys MIDI 2 24:1")  # as it was called yesterday
    seen = [port._client.opened]
    replugged, alone = ["Keys:Keys MIDI 1 32:0", "Keys:Keys MIDI 2 32:1"], ["Keys:Keys MIDI 2 36:1"]
    for Midi.there in ([], replugged, alone, alone):
        seen.append(f"{port.watch()} {port._client.opened[-4:]}")
    assert seen == ["Keys:Keys MIDI 2 28:1", "lost 28:1", "back 32:1", "lost 32:1", "back 36:1"]


def test_hands_that_slept_with_the_machine_are_no_hands_that_hang(monkeypatch):
    """Of the seconds for which they were waited for, the machine was awake for one."""
    hands, polls = handless(monkeypatch), iter([False, True, *[False] * 100])
    hands._connection = SimpleNamespace(poll=lambda seconds: next(polls), recv=lambda: ("figures", {}))
    assert hands._next(8.0) == ("figures", {}) and hands._next(8.0) is None


def handless(monkeypatch) -> Hands:
    """The parent's end, whose process a test plays."""
    monkeypatch.setattr(Hands, "__init__", lambda hands: None)
    hands = Hands()
    hands._lock, hands._closing, hands._unsaid = threading.Lock(), threading.Event(), False
    return hands


def test_hands_that_hang_hold_up_neither_the_music_nor_the_end(monkeypatch):
    """What they are told is dropped while they do not read; if they read again, they let go of everything first."""
    monkeypatch.setattr("plugin_bridge.hands.HELD_UP", 0.01)
    hands, (ours, theirs) = handless(monkeypatch), Pipe()
    hands._connection = ours
    speaker = threading.Thread(target=lambda: [hands.pass_on([0xB0, 1, n % 128], n) for n in range(5000)], daemon=True)
    speaker.start()
    speaker.join(60.0)
    assert not speaker.is_alive()
    told = [theirs.recv()[2] for _ in iter(theirs.poll, False)]
    assert told == list(range(len(told))) and 10 < len(told) < 5000
    hands.panic()
    assert [theirs.recv() for _ in iter(theirs.poll, False)] == [("silence", None), ("release",), ("panic",)]
    hands._closing.set()
    polls = iter([False])
    hands._connection = SimpleNamespace(poll=lambda seconds: next(polls))
    assert hands._next(8.0) is None and next(polls, None) is None
