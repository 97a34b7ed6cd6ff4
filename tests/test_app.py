"""The App in virtual time: whatever happens on a stage, the music goes on."""

import argparse
import queue
import signal
import sys
import threading
from types import SimpleNamespace

import mido
import numpy as np
import pytest
from test_scheduler import check_clean
from test_session import regular_mind
from virtual import Hands, Mind, Rehearsal, key

from anticipation.errors import LiveError, RequestError
from anticipation.live.planner import Step
from anticipation.music.symbols import chord_name
from anticipation.score.midi import read
from plugin_bridge import commands, home, transport
from plugin_bridge.clock import Grid
from plugin_bridge.controls import defaults
from plugin_bridge.known import Setup
from plugin_bridge.meters import Meters
from plugin_bridge.relief import Relief


def test_a_note_that_thru_began_ends_though_thru_went_off(rehearsal):
    made = rehearsal(thru=True)
    made.run(0.5, [(0.1, [0x90, 60, 80])])
    made.app.set("thru", False)
    made.run(0.5, [(0.1, [0x80, 60, 0]), (0.2, [0x90, 62, 80]), (0.3, [0x80, 62, 0])])
    check_clean(made.sent)
    assert [m for _, m in made.sent] == [[0x90, 60, 80], [0x80, 60, 64]]


def test_the_band_leaves_a_player_who_is_passed_on_his_channel(rehearsal):
    """Else his pedal sustains the band. Where thru is off it is where it was told to be."""
    made = rehearsal(thru=True, plan=regular_mind(), listen=0, instruments="piano,bass")
    made.run(2.9)
    assert {m[0] & 15 for _, m in made.sent} == {0}
    made.run(2.0, [(0.1, [0xB0, 64, 127]), *key(1.0, 60)])
    theirs, band = ([m for t, m in made.sent if t > 1003.5 and m[0] & 15 == channel] for channel in (0, 1))
    assert theirs == [[0x90, 60, 80], [0x80, 60, 64]] and len(band) > 10 and {m[1] for m in band} == {40}
    made.app.act("stop")
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])
    assert made.told[-2] == "you play on channel 1, so the band's channels are: piano 2, finger bass 3"
    made.app.set("thru", False)
    assert [member["channel"] for member in made.app.state()["band"]] == [1, 2]
    many = Setup(defaults() | {"thru": True, "instruments": ",".join(map(str, range(15)))}, {3})
    assert len(set(many.channels.values())) == 16 and many.channels[14] == 3  # there is no other left


GESTURES = [[0x90, 60, 80], [0xB0, 64, 127], [0xB0, 1, 40], [0xE0, 0, 100], [0xD0, 9]]


LET_GO = [[0x80, 60, 64], [0xB0, 1, 0], [0xB0, 64, 0], [0xD0, 0], [0xE0, 0, 64]]


@pytest.mark.parametrize("how", ["unplugged", "thru off", "panic"])
def test_what_the_player_held_and_moved_comes_to_rest(rehearsal, how):
    """His keyboard is unplugged, or thru goes off, with a key, the pedal, the wheels where they should not stay."""
    made = rehearsal(thru=True)
    made.run(0.5, [(0.1, message) for message in GESTURES])
    if how == "unplugged":
        made.app.hands.report(("port", "in", "Keys", "lost"))
    else:
        made.app.act("panic") if how == "panic" else made.app.set("thru", False)
    made.run(0.1)
    told = [m for _, m in made.sent]
    if how == "panic":
        told = told[: told.index([0xB0, 123, 0]) - 1]  # what it then tells all channels is another test's
    assert sorted(told) == sorted(GESTURES + LET_GO)
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])


def test_new_hands_end_what_those_that_died_left_sounding(rehearsal):
    made = rehearsal()
    made.app.hands.report(("hands", "back"))
    made.run(0.1)
    for controller in (64, 123):  # they took with them which pedals were down
        assert sum(m[0] & 0xF0 == 0xB0 and m[1] == controller for _, m in made.sent) == 16


def no_link(bpm):
    raise LiveError("Ableton Link needs LinkPython-extern")


@pytest.mark.parametrize("what", [(transport, "open_link"), (Mind, "start")], ids=["link", "mind"])
def test_an_app_that_cannot_begin_leaves_no_process(monkeypatch, tmp_path, what):
    closed = []
    monkeypatch.setattr(Hands, "close", lambda hands: closed.append(hands))
    monkeypatch.setattr(*what, no_link)
    with pytest.raises(LiveError):
        Rehearsal(monkeypatch, tmp_path, sync="link" if what[0] is transport else "internal")
    assert len(closed) == 1


def test_one_event_that_fails_takes_no_other_with_it(rehearsal, monkeypatch):
    """A controller that cannot do what it was taught, and a fault of ours, between two notes."""
    monkeypatch.setattr(transport, "open_link", no_link)
    made = rehearsal()
    made.app.act("learn", name="sync")
    made.run(0.5, [(0.1, [0x90, 60, 80])])
    made.run(0.5, [(0.1, [0xB0, 40, 127]), (0.1, [0x80, 60, 0]), (0.1, [0x90, 62, 80])])
    assert made.told[-1] == "Ableton Link needs LinkPython-extern" and made.app.session.settings["sync"] == "internal"
    made.app.mind.report(("step", "no", "such", "step", "as this", "one"))
    made.run(0.5, [(0.0, [0x80, 62, 0]), (0.0, [0x90, 64, 80])])
    assert made.told[-1].startswith("a fault of ours") and list(made.app.session.known.open) == [(0, 64)]


@pytest.mark.parametrize("error", [BrokenPipeError("stdout"), UnicodeEncodeError("ascii", "é", 0, 1, "no")])
def test_nobody_to_tell_is_no_reason_not_to_play(rehearsal, error):
    def broken(line):
        raise error

    made = rehearsal()
    made.say = broken
    made.app.mind.report(("error", "something to tell"))
    made.run(0.5, key(0.1, 60))
    assert made.app.message == "the mind: something to tell" and len(made.app.session.known.heard) == 1


def test_a_terminal_that_stands_still_holds_up_nobody(rehearsal, monkeypatch):
    """Ctrl-S, or text that is marked in a Windows console: whoever writes there waits."""
    goes_on, said = threading.Event(), []
    stands = SimpleNamespace(write=lambda text: goes_on.wait(60) and said.append(text), flush=lambda: None)
    monkeypatch.setattr("sys.stdout", stands)
    with commands.printing(quiet=False) as say:
        made = rehearsal()
        made.say = say
        made.run(1.0, key(0.1, 60))
        made.app.act("stop")
        made.app.act("start")
        assert not goes_on.is_set() and not said  # else we had waited for it
        goes_on.set()
    assert said[0].startswith("saved take-")


@pytest.fixture
def performed(monkeypatch):
    """performed(close) -> (said, linked): the lines of an `anticipate live` that is ended at once, and whether DAW
    scripts could find its server, which `close` closes."""

    def perform(close, app_closes=lambda: None):
        said, linked, asked = [], [], queue.SimpleQueue()
        made = SimpleNamespace(close=app_closes, mind=SimpleNamespace(broken="", state="ready"), tell=said.append,
                               hands=SimpleNamespace(names={"chosen": {}, "api": "none"}))  # fmt: skip
        server = SimpleNamespace(close=close)
        monkeypatch.setattr("plugin_bridge.app.App", lambda **_: made)
        monkeypatch.setattr(commands, "open_page", lambda *_, link: linked.append(link) or server)
        args = argparse.ArgumentParser()
        commands.live_flags(args)
        asked.put("end")
        given = vars(args.parse_args([])) | {"threads": 1, "model": None, "weights": "float32", "device": "auto"}
        commands.play(SimpleNamespace(**given), asked, said.append)
        return said, linked

    return perform


def test_at_the_end_the_music_stops_first(performed):
    """However long the page's server takes, or if it fails."""
    ended = []

    def server_close():
        ended.append("server")
        raise TimeoutError

    with pytest.raises(TimeoutError):
        performed(server_close, lambda: ended.append("app"))
    assert ended == ["app", "server"]


def test_a_folder_for_settings_that_cannot_be_written_is_one_line(performed, monkeypatch, tmp_path):
    assert performed(lambda: None)[1] == [True]
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("ANTICIPATION_CONFIG", str(tmp_path / "taken" / "here"))
    said, linked = performed(lambda: None)
    (line,) = [line for line in said if "settings" in line]
    assert line.startswith("settings will not be kept") and "Not a directory" in line and linked == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="where a full disk is a file")
def test_a_full_disk_has_room_for_a_name_and_not_for_settings(monkeypatch, tmp_path):
    assert home.unwritable(tmp_path) == ""
    monkeypatch.setattr(home.tempfile, "TemporaryFile", lambda **more: open("/dev/full", "wb"))
    assert home.unwritable(tmp_path) == "No space left on device"


def test_who_is_switched_off_leaves_the_others_playing(rehearsal):
    def duo(scene):
        for k in range(int(scene.start * 10) + 1, int(scene.end * 10)):
            for instrument in scene.instruments:
                yield Step(k / 10, (k / 10, 0.05, k % 128, instrument, 80), 0)

    made = rehearsal(plan=duo, instruments="piano,finger bass", commit=1000.0)
    made.run(2.93)
    made.app.act("switch", instrument="finger bass", on=False)
    made.run(1.0)
    piano, bass = made.struck(), made.struck(1)
    assert bass == piano[: len(bass)] and 5 <= len(piano) - len(bass) and piano == list(range(21, 21 + len(piano)))
    made.app.set("mute", True)
    made.run(1.0)
    assert made.struck() == piano
    made.app.act("stop")
    notes = made.taken()[0]
    assert [notes.pitch[notes.instrument == i].tolist() for i in (0, 33)] == [piano, bass]


def test_late_notes_are_counted_once_a_second(monkeypatch):
    """It is asked for 20 times a second, of 50,000 notes."""
    now, meters = SimpleNamespace(perf_counter=lambda: 5.0), Meters()
    monkeypatch.setattr("plugin_bridge.meters.time", now)
    assert meters.figures([0.02, 0.009, -0.02], 0)["late"] == 1
    assert meters.figures([0.02, 0.03], 0)["late"] == 1
    now.perf_counter = lambda: 6.1
    assert meters.figures([0.02, 0.03], 0)["late"] == 2


def test_a_chart_goes_round_by_its_bars_and_what_a_symbol_is_taken_for_is_told(rehearsal):
    """Repeats written out: five bars, though there are four strokes between its ends."""
    made = rehearsal()
    made.app.set("chords", "|: C6 | F :| x2 | G |")
    assert made.told[-1] == "C6 is taken for C"
    session = made.app.session
    chart = session.setup.chart(0.0, 40.0, Grid(), session.known)
    names = [chord_name(symbol) for _, _, symbol, _, _ in chart]
    assert names[:8] == ["C", "F", "C", "F", "G", "C", "F", "C"]
    before = made.app.session.settings["chords"]
    with pytest.raises(RequestError, match="x2"):
        made.app.set("chords", "| C x2 |")
    assert made.app.session.settings["chords"] == before


def test_unknown_things_are_refused_with_the_nearest(rehearsal):
    app = rehearsal().app
    for call, words in (
        (lambda: app.set("temprature", 1), "temperature"), (lambda: app.set("bpm", 1000), "300"),
        (lambda: app.act("pause"), "there are"), (lambda: app.act("keep", bars=1), "nothing has sounded"),
        (lambda: app.act("switch", instrument="flute", on=True), "not in the band"), (lambda: app.take("../x"), "no t"),
        (lambda: app.timeline([[1, 2]], 0), "timeline"), (lambda: app.timeline([[0, 1, 200, 0, 1]], 0), "out of range"),
        (lambda: app.act("start", now=1), "takes no"), (lambda: app.act("learn", name="?"), "no control"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=words):
            call()


def test_a_mind_that_hangs_is_noticed_and_asked_again_when_it_answers(rehearsal):
    """Two seconds after it owes an answer: the band ends what it plays."""
    made = rehearsal(plan=regular_mind(), horizon=4.0)
    mind = made.app.mind
    made.run(2.0)
    mind.hangs = True
    made.run(1.8, key(0.1, 60))
    assert mind.state == "ready" and made.app.session.plan
    made.run(0.5)
    assert made.app.state()["mind"] == "hung" and not made.app.hands.scheduler.sounding
    assert made.told == ["the mind does not answer: the band is silent until it does"] and not made.app.session.plan
    silent = len(made.sent)
    made.run(6.0, key(4.0, 62))
    assert len(made.sent) == silent and len(mind.asked) < 5
    mind.hangs = False
    mind.answer()
    made.run(2.0)
    assert made.told[-1] == "the mind answers again" and mind.state == "ready" and len(made.sent) > silent
    made.app.act("stop")
    check_clean(made.sent)
    assert made.taken()[0].pitch[made.taken()[0].instrument == 53].tolist() == [60, 62]


def test_a_machine_that_slept_has_asked_nobody(rehearsal):
    """For an hour, while a mind owed an answer; nor does one owe any that was not asked."""
    made = rehearsal(plan=regular_mind())
    made.app.mind.hangs = True
    made.run(1.0, key(0.1, 60))
    made.now += 3600.0
    made.run(0.5)
    made.app.mind.hangs = False
    made.app.mind.answer()
    made.run(1.0)
    made.app.act("stop")
    made.run(10.0)
    assert made.app.mind.state == "ready" and all(line.startswith("saved") for line in made.told)


def test_a_mind_that_hangs_for_good_is_ended_as_a_dead_one_is_replaced(rehearsal):
    made, ended = rehearsal(plan=regular_mind()), []
    made.app.mind._process = SimpleNamespace(kill=lambda: ended.append(made.now))
    made.app.mind.hangs = True
    made.run(25.0, key(0.1, 60))
    assert made.app.mind.state == "hung" and not ended
    made.run(10.0)
    assert ended
    made.app.mind.report(("died", "it hung"))
    made.run(0.1)
    assert made.told[-1] == "the mind died (it hung); starting another"


def test_a_program_that_its_terminal_stops_leaves_nothing_sounding_and_goes_on(rehearsal):
    """Ctrl-Z, a minute, and fg: a key and a pedal of the player's are passed on, and the band plays."""
    made = rehearsal(plan=regular_mind(), thru=True)
    made.run(4.0, [(3.0, [0x90, 72, 80]), (3.0, [0xB0, 64, 127])])
    before, place = len(made.sent), made.app.clock.song(made.now)
    assert made.app.hands.scheduler.sounding.keys() == {(0, 72), (1, 40)}

    def stand():
        assert not made.app.hands.scheduler.sounding and made.sent[-1][1] == [0xB0, 64, 0]
        made.now += 60.0

    made.app.halt(stand)
    silent = len(made.sent)
    made.run(0.3)
    assert made.app.clock.song(made.now) == pytest.approx(place + 0.3, abs=0.05) and silent - before == 3
    made.run(4.0)
    onsets = [at for at, message in made.sent[silent:] if message[0] == 0x91]
    assert len(onsets) > 8 and np.diff(onsets).min() > 0.2
    made.app.act("stop")
    check_clean([(at, m) for at, m in made.sent if m[0] < 0xA0])
    assert len(made.taken()) == 2 and 72 in made.taken()[0].pitch


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="there is no Ctrl-Z")
def test_what_the_terminal_asks_for_is_done_in_order_and_what_it_ignores_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with commands.signals() as asked:
            for number in (signal.SIGHUP, signal.SIGTSTP, signal.SIGINT):
                signal.raise_signal(number)
            assert [commands.within(asked, 0.01) for _ in range(3)] == ["halt", "end", None]
        assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_doctor_measures_by_named_ports_where_there_are_no_virtual_ones(monkeypatch, anticipate):
    """As on Windows, where it could not open any."""
    meters, given = Meters().figures([], 0), {}
    made = SimpleNamespace(wait_ready=lambda seconds: True, act=lambda name: None, hear=lambda wall, data: None,
                           state=lambda: {"meters": meters}, close=lambda: None)  # fmt: skip
    monkeypatch.setattr("plugin_bridge.ports.choose", lambda api: ("winmm", 0))
    monkeypatch.setattr("plugin_bridge.doctor.App", lambda **options: given.update(options) or made)
    flags = ["--in", "To band", "--out", "From band", "--threads", 1, "--seconds", "0.01"]
    code, told, _ = anticipate("doctor", *flags)
    assert code == 0 and "winmm: no virtual ports to measure" in told and "anticipate live --threads 1" in told
    assert (given["in_port"], given["out_port"]) == ("To band", "From band")


def test_whom_a_slow_mind_leaves_out_is_told(rehearsal):
    made = rehearsal(plan=regular_mind(), instruments="piano,finger bass")
    made.app.session.relief = Relief(level=1, starved=9.0)
    made.run(0.2)
    assert made.told == ["the mind is too slow for all: piano"]
    made.run(25.0)
    assert made.told[1:] == ["the mind keeps up again: piano, finger bass"]


def test_a_mind_that_does_not_answer_at_all_is_not_called_slow(rehearsal):
    made = rehearsal(plan=regular_mind(), instruments="piano,finger bass")
    made.app.mind.state = "hung"
    made.app.session.relief = Relief(level=1, starved=9.0)
    made.run(0.2)
    assert not made.told and made.app.session.relief.level == 2


def finger(at, channel, pitch):
    """A note as an MPE controller plays it, on a channel of its own (0-15)."""
    shape = [[0xE0 | channel, 0, 64], [0xB0 | channel, 74, 64], [0xD0 | channel, 0]]
    return [*((at, m) for m in shape), (at, [0x90 | channel, pitch, 80]), (at + 0.2, [0x80 | channel, pitch, 0])]


@pytest.mark.parametrize("members", [7, 15, None], ids=["seven", "all", "says nothing"])
def test_an_mpe_player_is_one_player(rehearsal, members):
    """Told by its configuration message or by how it plays: channel 10 is no drums of his, one line says what was done,
    the band keeps away from his channels where it can, and bends of single notes do not bend a whole take."""
    made = rehearsal(thru=True, plan=regular_mind(), instruments="piano,bass")
    said = [[0xB0, 101, 0], [0xB0, 100, 6], [0xB0, 6, members]] if members else []
    count = members or 15
    notes = [e for n in range(40) for e in finger(0.1 + n * 0.25, 1 + n % count, 60 + n % 12)]
    made.run(12.0, [*((0.0, message) for message in said), *notes, (5.0, [0xE3, 9, 99]), (5.0, [0xB0, 64, 127])])
    lines = [line for line in made.told if "MPE" in line]
    channels = [member["channel"] for member in made.app.state()["band"]]
    assert len(lines) == 1 and lines[0].startswith(f"an MPE controller on channels 1-{count + 1}: one player; the")
    assert channels == ([9, 11] if members == 7 else [16, 15])
    assert sum("you play on" in line for line in made.told) <= (0 if members else 2)
    made.app.act("stop")
    (file,) = made.app.recorder.folder.glob("take-*.mid")
    score = read(file)
    assert len(score.notes) > 40 and (score.notes.instrument != 128).all()
    assert [part.name for part in score.parts].count("voice") == 1
    moved = [m for track in mido.MidiFile(file).tracks for m in track if m.type in ("pitchwheel", "control_change")]
    assert 64 in {m.control for m in moved if m.type == "control_change"}
    assert not any(m.pitch for m in moved if m.type == "pitchwheel")


def test_a_daw_that_tells_all_channels_plays_on_none(rehearsal):
    """All notes off, volumes and programs come on all sixteen; the band stays where it is."""
    made = rehearsal(thru=True, instruments="piano,bass")
    made.run(0.5, [(0.1, [0xB0 | channel, number, 0]) for number in (123, 7, 121) for channel in range(16)])
    assert [member["channel"] for member in made.app.state()["band"]] == [1, 2] and not made.told
