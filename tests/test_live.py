"""The co-pilot with real MIDI ports (JACK's dummy backend) and a real client process. Skipped where none is."""

import json
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jackd import SYNCHRONOUS, answers, serve_jack, unused
from test_scheduler import check_clean

rtmidi = pytest.importorskip("rtmidi")
if not shutil.which("jackd"):
    pytest.skip("no jackd here: apt-get install jackd2", allow_module_level=True)

from anticipation.cli import parser  # noqa: E402
from anticipation.errors import LiveError, RequestError  # noqa: E402
from anticipation.score import midi  # noqa: E402
from plugin_bridge import ports  # noqa: E402
from plugin_bridge.app import App  # noqa: E402
from plugin_bridge.commands import play  # noqa: E402
from plugin_bridge.remote import Controllers  # noqa: E402

HERE = Path(__file__).parent
TUNE = [72, 76, 79, 77, 74, 81, 79, 72]


@pytest.fixture(scope="module", autouse=True)
def jack():
    """A server of our own, and how to make sure that it answers."""
    name = f"anticipation{os.getpid()}"
    before = {key: os.environ.get(key) for key in ("JACK_DEFAULT_SERVER", "JACK_NO_AUDIO_RESERVATION")}
    os.environ.update(JACK_DEFAULT_SERVER=name, JACK_NO_AUDIO_RESERVATION="1")
    servers = [serve_jack(name, *SYNCHRONOUS)]

    def ensure():
        if not answers(name):
            servers[-1].kill()
            servers[-1].wait()
            servers.append(serve_jack(name, *SYNCHRONOUS))
        return servers[-1]

    yield ensure
    ensure().terminate()
    servers[-1].wait(10)
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture(autouse=True)
def answering(jack):
    """On a busy machine a process of the test before may have been killed for being slow, and a synchronous server then
    waits for it for ever: such a one is replaced."""
    jack()


@pytest.fixture
def mortal(monkeypatch):
    """A second server, for tests that kill: a synchronous one would wait for a killed client for ever."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", unused("anticipation-mortal"))
    servers = []

    def start():
        for server in servers:
            server.kill()
            server.wait()
        servers.append(serve_jack(os.environ["JACK_DEFAULT_SERVER"], "-t", "500"))
        return servers[-1]

    yield start
    for server in servers:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def client(messages, seconds, **job):
    """Start the client process; what it sent and heard comes from `finish`."""
    job = {"to": "Anticipation:in", "from": "Anticipation-01:out", "messages": messages, "seconds": seconds} | job
    process = subprocess.Popen([sys.executable, HERE / "live_client.py"], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)  # fmt: skip
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    return process


def go(player) -> None:
    """The next stage of what it plays, until it is over."""
    player.stdin.write("go\n")
    player.stdin.flush()
    assert player.stdout.readline() == "enough\n"


def finish(process, now=False):
    """What it sent and heard, when its time is over, or now."""
    out, _ = process.communicate("end\n" if now else None, timeout=120)
    return json.loads(out.splitlines()[-1])


def tune(count, start=0.0, every=0.25):
    """Messages of so many notes."""
    out = []
    for i in range(count):
        at = start + i * every
        out += [[at, [0x90, TUNE[i % 8], 80 + i % 8]], [at + every * 0.8, [0x80, TUNE[i % 8], 0]]]
    return out


def test_a_system_that_refuses_once_is_asked_again(monkeypatch):
    found = [{}, {"jack": 3}, {"alsa": 2}, {"jack": 3, "alsa": 2}, {"alsa": 2}, {"alsa": 2}]
    monkeypatch.setattr(ports, "available", lambda: found.pop(0))
    assert ports.choose("auto") == ports.choose("jack") == ("jack", 3)
    with pytest.raises(LiveError, match="no jack: here answer: alsa"):
        ports.choose("jack")
    assert not found


def notes_of(heard):
    return [(t, m) for t, m in heard if m[0] & 0xF0 in (0x80, 0x90)]


@pytest.fixture
def app(random_checkpoint, tmp_path):
    made = App(api="jack", takes=tmp_path / "takes", checkpoint=random_checkpoint,
               settings={"count_in": 0, "bravery": 1.0, "instruments": "piano,bass"})  # fmt: skip
    assert made.wait_ready(120)
    yield made
    made.close()


def until(what, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def test_play_at_once_waits_where_the_page_has_it_follow_the_daw(monkeypatch, random_checkpoint, tmp_path):
    class Followed(App):
        def __init__(self, **given):
            super().__init__(**given)
            self.set("sync", "clock")

    monkeypatch.setattr("plugin_bridge.app.App", Followed)
    line = ["live", "--api", "jack", "--no-page", "--play", "--seconds", "0.1", "--takes", str(tmp_path),
            "--model", str(random_checkpoint)]  # fmt: skip
    said = []
    play(parser().parse_args(line), queue.SimpleQueue(), said.append)
    assert any("the clock comes from outside" in told for told in said) and said[-1] == "all notes off"


def test_a_melody_is_answered_and_the_take_is_kept(app):
    app.act("start")
    process = client(tune(32), 9.0)
    assert until(lambda: app.state()["notes"]["planned"])
    assert app.act("keep", bars=1)["name"] in [take["name"] for take in app.state()["takes"]]
    heard = finish(process)
    state = app.state()
    assert len(state["notes"]["heard"]) == 32 and state["notes"]["played"]
    assert state["meters"]["reaction_ms"]["p50"] is not None and state["playing"]
    app.act("stop")
    assert until(lambda: not app.hands.sounding)
    assert {m[0] & 15 for _, m in notes_of(heard["heard"])} <= {0, 1}
    assert any(m[0] & 0xF0 == 0xC0 for _, m in heard["heard"]) or app.session.setup.band == [0, 33]
    take = midi.Score.from_bytes(app.take(app.state()["takes"][-1]["name"]))
    assert set(TUNE) <= set(take.notes.pitch[take.notes.instrument == 53])
    assert set(take.notes.instruments) >= {53} and len(take.notes) > 32
    assert json.dumps(state)


def test_a_midi_clock_leads(app):
    """Clock in at 140: it starts, follows, and is silent when the DAW stops."""
    app.set("sync", "clock")
    app.set("listen", 0)
    with pytest.raises(RequestError):
        app.act("start")
    every = 60 / 140 / 24
    ticks = [[n * every, [0xF8]] for n in range(24 * 14)]
    messages = [[0.0, [0xF2, 0, 0]], [0.0, [0xFA]], *ticks, [24 * 12.0 * every, [0xFC]]]
    process = client(sorted(messages, key=lambda m: m[0]), 8.0)
    assert until(lambda: app.state()["playing"])
    assert until(lambda: abs(app.state()["bpm"] - 140) < 1.5)
    heard = finish(process)
    assert not app.state()["playing"] and until(lambda: not app.hands.sounding)
    stopped = next(t for t, m in heard["sent"] if m == [0xFC])
    assert [m for t, m in notes_of(heard["heard"]) if m[0] & 0xF0 == 0x90 and m[2] and t > stopped + 0.05] == []
    check_clean(notes_of(heard["heard"]))


def test_another_program_leads_by_link(app):
    """A real peer in the session, at 97 bpm: it starts us, we are where it is, and it stops us."""
    pytest.importorskip("link", reason="needs LinkPython-extern")
    app.set("sync", "link")
    app.set("listen", 0)
    peer = subprocess.Popen([sys.executable, HERE / "link_peer.py", "97"], text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)  # fmt: skip
    try:
        if not select.select([peer.stdout], [], [], 15)[0]:
            pytest.skip("programs do not find each other here: no multicast")
        assert until(lambda: app.state()["playing"])
        assert until(lambda: app.state()["bpm"] == 97)
        assert until(lambda: app.hands.sounding)
        for _ in range(20):  # what it says of a moment, against what we then think of it
            wall, beat = json.loads(peer.stdout.readline())
        assert app.clock.grid.beat_at(app.clock.song(wall)) == pytest.approx(beat, abs=0.03)
        peer.communicate("stop\n", timeout=20)
        assert until(lambda: not app.state()["playing"] and not app.hands.sounding)
    finally:
        peer.kill()
        peer.wait()


def test_what_is_read_late_keeps_its_rhythm():
    """Our process was swapped out, say, and not the MIDI system; its active sensing is nobody's note, and no gap."""
    port, every = ports.Port("in", ports.choose("jack")), 0.1
    try:
        port.read()
        sense = [[0.05 + every * n, [0xFE]] for n in range(12)]
        process = client(sorted(tune(12, every=every) + sense), 1.5, **{"from": None})
        sent = [t for t, m in finish(process)["sent"] if m[0] == 0x90]
        came = [t for t, m in port.read() if m[0] == 0x90]
    finally:
        port.close()
    late = [b - a for a, b in zip(sent, came, strict=True)]
    assert max(late) - min(late) < 3 * every


def test_garbage_and_floods_are_survived(app):
    app.act("start")
    odd = [
        [1.2, [0xF6]],
        [1.2, [0xB0, 7, 100]],
        [1.3, [0xE0, 0, 64]],
        [1.3, [0xD0, 5]],
        [1.3, [0xFE]],
        [1.4, [0xF1, 9]],
    ]
    held = [[1.5 + 0.001 * n, [0x90 | n // 100, n % 100, 60]] for n in range(200)]
    process = client(odd + held + tune(8, 4.0), 6.2)
    assert until(lambda: len(app.session.known.open) == 200)
    finish(process)
    assert until(lambda: len(app.state()["notes"]["heard"]) > 8)
    assert app.state()["mind"] == "ready" and app.state()["playing"]
    for _ in range(20_000):
        app.hear(time.perf_counter(), [0xF0, *range(100), 0xF7])
    for data in ([], [0x90], [0x90, 200, 300], [0x3C, 64], [0xF0] * 4000, [0x80, 60], [0x90, -1, 5]):
        app.hear(time.perf_counter(), data)
    app.act("stop")
    assert until(lambda: not app.session.known.open)


def test_a_flood_of_sysex_is_survived(app):
    app.act("start")
    finish(client([[0.001 * n, [0xF0, *range(100), 0xF7]] for n in range(1000)] + tune(8, 1.5), 3.7))
    assert until(lambda: len(app.state()["notes"]["heard"]) == 8) and app.state()["mind"] == "ready"


def test_a_killed_mind_is_replaced(app):
    app.act("start")
    process = client(tune(60), 16.0)
    assert until(lambda: app.state()["notes"]["planned"])
    pid = app.mind.pid
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: "died" in app.state()["message"] or app.mind.pid != pid)
    assert until(lambda: app.mind.state == "ready" and app.mind.pid != pid, 60)
    assert until(lambda: app.state()["notes"]["planned"])
    app.act("stop")
    assert until(lambda: not app.hands.sounding)
    check_clean(notes_of(finish(process, now=True)["heard"]))


def test_a_mind_that_hangs_is_waited_for(app):
    """One that is stopped, say: nothing else hangs meanwhile, and it goes on afterwards."""
    app.set("listen", 0)
    app.act("start")
    process = client(tune(60, every=0.25), 20.0)
    assert until(lambda: app.hands.sounding)
    pid = app.mind.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert until(lambda: app.state()["mind"] == "hung")
        assert until(lambda: not app.hands.sounding) and "does not answer" in app.state()["message"]
        heard = len(app.session.known.heard)
        assert until(lambda: len(app.session.known.heard) > heard + 8)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert until(lambda: "answers again" in app.state()["message"]) and app.mind.pid == pid
    assert until(lambda: app.hands.sounding)
    app.act("stop")
    check_clean(notes_of(finish(process, now=True)["heard"]))


def test_hands_and_midi_systems_may_die(mortal, random_checkpoint, tmp_path):
    """The hands are killed, then they hang, then the MIDI system dies: nobody waits for them, and the band plays on
    with the next."""
    server = mortal()
    made = App(api="jack", takes=tmp_path, checkpoint=random_checkpoint,
               settings={"listen": 0, "count_in": 0, "instruments": "piano"})  # fmt: skip
    try:
        assert made.wait_ready(120)
        made.act("start")
        assert until(lambda: made.hands.sounding)
        for blow in (signal.SIGKILL, signal.SIGSTOP):
            before = made.hands.pid
            os.kill(before, blow)
            assert until(lambda before=before: made.hands.pid != before, 60)
            assert until(lambda: made.hands.works and made.hands.sounding)
            assert until(lambda: made.state()["message"] == "the MIDI system is back") and made.state()["playing"]
        server.kill()
        server.wait()
        assert until(lambda: not made.hands.works, 60)
        assert made.state()["playing"] and made.act("keep", bars=1)["name"]
        mortal()
        assert until(lambda: made.hands.works, 60)
        process = client(tune(8, 1.0), 5.0)
        assert until(lambda: made.session.known.heard)
        assert any(m[0] & 0xF0 == 0x90 for _, m in finish(process)["heard"])
    finally:
        made.close()


def test_hands_that_only_hung_have_what_was_played_meanwhile(app, monkeypatch):
    monkeypatch.setattr("plugin_bridge.hands.PATIENCE", 2.0)
    app.act("start")
    player, pid = client([[None, 0], *tune(8, every=0.05), [None, 0]], 200.0), app.hands.pid
    assert player.stdout.readline() == "enough\n"
    os.kill(pid, signal.SIGSTOP)
    try:
        go(player)
        assert until(lambda: not app.hands.works)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert until(lambda: app.hands.works) and app.hands.pid == pid
    assert until(lambda: len(app.session.known.heard) == 8)
    finish(player, now=True)


def test_it_does_not_hear_itself(app):
    subprocess.run(["jack_connect", "Anticipation-01:out", "Anticipation:in"], check=True)
    app.set("listen", 0)
    app.act("start")
    assert until(lambda: app.hands.caught >= 3)
    app.act("stop")
    assert not app.session.known.heard


def test_controllers_are_learned_and_panic_tells_all(app, config_folder):
    app.act("learn", name="density")
    process = client([[0.1, [0xB0, 77, 127]], [1.0, [0xB0, 26, 0]]], 3.0)
    assert until(lambda: app.state()["controls"]["density"] == 20 and app.state()["controls"]["temperature"] < 0.2)
    assert Controllers(config_folder / "controllers.json").meaning(77, 127) == ("density", 20)
    app.act("panic")
    heard = finish(process)["heard"]
    assert sum(m[0] & 0xF0 == 0xB0 and m[1] == 123 for _, m in heard) == 16


def test_osc_steers_and_a_busy_port_is_told(app, random_checkpoint, tmp_path):
    from pythonosc.udp_client import SimpleUDPClient

    from plugin_bridge.remote import serve_osc

    said = []
    server = serve_osc(app, 0, said.append)
    port = server.server_address[1]
    osc = SimpleUDPClient("127.0.0.1", port)
    osc.send_message("/anticipation/bpm", 90.0)
    osc.send_message("/anticipation/do/start", [])
    assert until(lambda: app.state()["playing"] and app.state()["bpm"] == 90)
    osc.send_message("/anticipation/bpm", 9000.0)
    assert until(lambda: said)
    assert serve_osc(app, port, said.append) is None and "taken" in said[-1]
    osc._sock.close()
    server.shutdown()
    server.server_close()


def test_named_ports_come_and_go(random_checkpoint, tmp_path):
    keyboard, synth = client([], 200.0, to=None, **{"from": None}), None
    with pytest.raises(LiveError, match="daw-in"):
        ports.Port("out", ports.choose("jack"), "daw-inn")
    made = App(api="jack", in_port="daw-out:out", out_port="daw-in:in", takes=tmp_path, checkpoint=random_checkpoint,
               settings={"listen": 0, "count_in": 0, "instruments": "piano"})  # fmt: skip
    try:
        assert made.wait_ready(120)
        made.act("start")
        assert until(lambda: made.hands.sounding)
        finish(keyboard, now=True)  # the device is unplugged, perhaps while notes sound
        assert until(lambda: not made.hands.works)
        assert until(lambda: "gone" in made.state()["message"])
        synth = client([[1.0 + k, [0x90, 60 + k, 99]] for k in range(6)], 8.0, to=None, **{"from": None})
        assert until(lambda: made.hands.works)
        assert until(lambda: made.session.known.heard)
        assert until(lambda: made.hands.sounding)
        made.act("stop")
        heard = notes_of(finish(synth, now=True)["heard"])
        assert any(m[0] & 0xF0 == 0x90 for _, m in heard)
        balance = {}
        for _, (status, pitch, _v) in heard:
            balance[pitch] = balance.get(pitch, 0) + (1 if status & 0xF0 == 0x90 else -1)
        assert max(balance.values()) <= 0  # what sounded before it went may get one more off, and nothing hangs
    finally:
        made.close()


def command(checkpoint, takes, *flags, **how) -> subprocess.Popen:
    """`anticipate live` that plays at once; its ports are open."""
    line = [sys.executable, "-m", "anticipation", "live", "--api", "jack", "--no-page", "--play", "--takes",
            str(takes), "--model", str(checkpoint), "--count-in", "0", "--listen", "0", *flags]  # fmt: skip
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)
    read_until(process, "ports: Anticipation in")
    return process


def read_until(process, words) -> None:
    while words not in (line := process.stdout.readline()):
        assert line, process.wait()


def test_ctrl_z_leaves_nothing_sounding_and_fg_goes_on(random_checkpoint, tmp_path):
    """A key and a pedal of the player's are passed on when it comes, and what he plays meanwhile is heard by nobody."""
    process = command(random_checkpoint, tmp_path / "takes", "--thru", process_group=0)
    held = [[0.0, [0x9F, 72, 80]], [0.0, [0xBF, 64, 127]]]
    while_halted = [[n / 100, [0x9F, 30 + n % 40, 80]] for n in range(200)]
    stages = [*held, [None, 3], *while_halted, [None, 0], [None, 2], [0.0, [0x9F, 74, 80]]]
    try:
        read_until(process, "ready")
        player = client(stages, 200.0, notes=8)
        assert player.stdout.readline() == "enough\n"  # of the key and the band
        os.killpg(process.pid, signal.SIGTSTP)
        assert os.waitpid(process.pid, os.WUNTRACED)[1] & 0xFF == 0x7F  # it is stopped, and not over
        halted = time.perf_counter()
        go(player)
        time.sleep(0.5)  # what it has sent arrives
        os.killpg(process.pid, signal.SIGCONT)
        go(player)  # the band is back
        go(player)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    heard = finish(player, now=True)["heard"]
    before = [m for t, m in heard if t < halted]
    assert process.returncode == 0 and out.count("saved take-") == 2 and "gone" not in out
    assert [0x9F, 72, 80] in before and [0xBF, 64, 0] in before
    check_clean(notes_of([entry for entry in heard if entry[0] < halted]))
    after = [m[1] for t, m in heard if t > halted and m[0] == 0x9F]
    assert after == [74] and any(m[0] & 0xF0 == 0x90 and m[0] != 0x9F for t, m in heard if t > halted)
    check_clean(notes_of(heard))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_what_was_played_while_all_of_us_stood_still_is_in_the_take(random_checkpoint, tmp_path, end):
    """Also where the player has had enough of it: his Ctrl-C waits together with his notes; or a system that goes down,
    which asks all our processes."""
    process = command(random_checkpoint, tmp_path / "takes", process_group=0)
    try:
        read_until(process, "ready")
        player = client([*tune(4), [None, 0], *tune(8, every=0.05), [None, 0]], 200.0)
        assert player.stdout.readline() == "enough\n"
        os.killpg(process.pid, signal.SIGSTOP)
        go(player)
        os.killpg(process.pid, end)
        os.killpg(process.pid, signal.SIGCONT)
        process.communicate(timeout=20)
    finally:
        process.kill()
    finish(player, now=True)
    (take,) = (tmp_path / "takes").glob("take-*.mid")
    notes = midi.read(take).notes
    assert sorted(notes.pitch[notes.instrument == 53].tolist()) == sorted(TUNE[:4] + TUNE)


@pytest.mark.parametrize("end, whom", [("SIGTERM", "it"), ("SIGTERM", "all"), ("SIGINT", "all"), ("SIGKILL", "it")])
def test_the_command_ends_clean(random_checkpoint, tmp_path, end, whom):
    """SIGTERM and Ctrl-C: all notes off, the take saved, exit code 0; also where they are sent to the processes of ours
    as well. SIGKILL: the hands end what still sounds."""
    process = command(random_checkpoint, tmp_path / "takes", start_new_session=True)
    listener = client([], 200.0, to=None, notes=8)
    read_until(process, "ready")
    assert listener.stdout.readline() == "enough\n"
    (os.killpg if whom == "all" else os.kill)(process.pid, getattr(signal, end))
    out, _ = process.communicate(timeout=20)
    if end != "SIGKILL":
        assert process.returncode == 0 and "all notes off" in out and "Traceback" not in out
    heard = notes_of(finish(listener, now=True)["heard"])
    assert heard
    check_clean(heard)
    if end != "SIGKILL":
        assert list((tmp_path / "takes").glob("take-*.mid")) and not list((tmp_path / "takes").glob(".take*"))


def test_a_second_instance_is_no_trouble(app, random_checkpoint, tmp_path):
    other = App(api="jack", takes=tmp_path / "takes", checkpoint=random_checkpoint, settings={"listen": 0})
    try:
        assert other.wait_ready(120)
        names = subprocess.run(["jack_lsp"], capture_output=True, text=True).stdout.split()
        assert sum(name.startswith("Anticipation") for name in names) == 4
    finally:
        other.close()


@pytest.mark.parametrize("line", [["live", "--no-page", "--play"], ["doctor"]])
def test_weights_that_are_broken_are_one_line(random_checkpoint, tmp_path, capfd, line):
    from anticipation import cli

    broken = tmp_path / "broken"
    shutil.copytree(random_checkpoint, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    takes = ["--takes", str(tmp_path / "takes")] if line[0] == "live" else []
    assert cli.main([*line, "--api", "jack", "--model", str(broken), *takes]) == 2
    out, err = capfd.readouterr()
    assert err.startswith(f"anticipate: {broken}: model.safetensors is missing or broken") and err.count("\n") == 1
    assert "model.safetensors" not in out


def test_no_midi_system_is_one_line(capfd):
    server = os.environ["JACK_DEFAULT_SERVER"]
    os.environ["JACK_DEFAULT_SERVER"] = "nobody"
    try:
        from anticipation import cli

        assert cli.main(["live", "--no-page"]) == 2
        assert cli.main(["ports"]) == 0
    finally:
        os.environ["JACK_DEFAULT_SERVER"] = server
    out, err = capfd.readouterr()
    assert err == "anticipate: no MIDI system: no MIDI system answers here; see `anticipate ports`\n"
    assert "virtual" in out or "by itself" in out
