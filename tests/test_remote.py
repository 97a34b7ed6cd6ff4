"""Controllers: what they mean, and that what was learned is known the next time. OSC: what a message does. Thru:
what goes out as it comes in."""

import json
import socket
import threading
import time

import pytest
from stand_in import StandIn
from virtual import Rehearsal

from anticipation.errors import LiveError, RequestError
from plugin_bridge.remote import Controllers, serve_osc


def test_what_was_learned_is_known_the_next_time(tmp_path):
    file = tmp_path / "new" / "controllers.json"
    first = Controllers(file)
    standard = dict(first.map)
    first.learn("density")
    assert first.meaning(20, 127) == ("density", 20) and first.learning is None
    first.learn("panic")
    assert first.meaning(20, 127) == ("panic", True)  # one controller, one meaning
    first.learn("density")
    first.meaning(77, 0)
    second = Controllers(file)
    assert second.map == first.map and second.map != standard
    assert json.loads(file.read_text()) == {"20": "panic", "77": "density"} and list(file.parent.iterdir()) == [file]


def test_what_a_daw_sends_by_itself_is_not_learned(tmp_path):
    """All notes off at every stop, or a keyboard's bank beside its program."""
    file = tmp_path / "controllers.json"
    file.write_text('{"123": "density"}')
    controllers = Controllers(file)
    controllers.learn("density")
    for number in (123, 121, 0, 32, 101, 100):
        assert controllers.meaning(number, 0) is None and not controllers.takes(number)
    assert controllers.meaning(120, 0) == ("panic", True) and controllers.learning == "density"
    assert controllers.meaning(74, 127) == ("density", 20) and controllers.learning is None


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[1]", '{"x": "density"}', '{"3": ["density"]}', '{"3": "nothing"}', '{"3": "chords"}']
)
def test_a_spoilt_file_is_no_trouble(tmp_path, text):
    file = tmp_path / "controllers.json"
    file.write_text(text)
    assert Controllers(file).map == Controllers().map


def test_a_folder_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    controllers = Controllers(tmp_path / "taken" / "controllers.json")
    controllers.learn("density")
    assert controllers.meaning(77, 0) == ("density", 0)
    assert controllers.notice.startswith("what was learned is known until the end only: cannot write")
    with pytest.raises(RequestError, match="chords is a text"):
        controllers.learn("chords")
    with pytest.raises(RequestError, match="density"):
        controllers.learn("densitty")


@pytest.fixture
def osc():
    """osc(app, address, *values): what a message from there does to the app, and the lines that were told."""
    servers, said = [], []

    def send(app, address, *values):
        message = pytest.importorskip("pythonosc.osc_message_builder").OscMessageBuilder(address)
        for value in values:
            message.add_arg(value)
        servers.append(serve_osc(app, 0, said.append))
        servers[-1].finish_request((message.build().dgram, None), ("127.0.0.1", 1))
        return said

    yield send
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_osc_message_is_obeyed_once(osc):
    app = StandIn()
    assert not osc(app, "/anticipation/do/keep", 4) and app.calls == [("act", "keep", {"bars": 4})]
    assert not osc(app, "/anticipation/density", 4) and app.calls[1:] == [("set", "density", 4)]


def test_a_button_means_its_press_and_a_fader_where_it_stopped(osc):
    """Surfaces send 1 for a press and 0 for the release; the second value of a fader waits for the first."""
    app = StandIn()
    for value in (1.0, 0.0, True, False):
        assert not osc(app, "/anticipation/do/start", value)
    assert app.calls == [("act", "start", {})] * 2

    class Slow(StandIn):
        def set(self, name, value):
            if value == 1:
                second.wait(0.2)  # it comes meanwhile
            super().set(name, value)
            if value == 2:
                second.set()

    app, second = Slow(), threading.Event()
    server = serve_osc(app, 0, str)
    surface = pytest.importorskip("pythonosc.udp_client").SimpleUDPClient(*server.server_address)
    for value in (1, 2):
        surface.send_message("/anticipation/density", value)
    assert second.wait(60)
    assert [value for _, _, value in app.calls] == [1, 2]
    surface._sock.close()
    server.shutdown()
    server.server_close()


def test_a_bundle_for_later_and_garbage_hold_up_nobody(capfd):
    """python-osc would sleep for the hour, and the end of the program with it."""
    bundles = pytest.importorskip("pythonosc.osc_bundle_builder")
    message = pytest.importorskip("pythonosc.osc_message_builder").OscMessageBuilder("/anticipation/density")
    message.add_arg(3)
    bundle = bundles.OscBundleBuilder(time.time() + 3600)
    bundle.add_content(message.build())
    app, said = StandIn(), []
    server = serve_osc(app, 0, said.append)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface:
        for datagram in (b"/anticipation/\xff", b"", b"#bundle\0", bundle.build().dgram):
            surface.sendto(datagram, server.server_address)
    deadline = time.monotonic() + 60
    while not app.calls and time.monotonic() < deadline:
        time.sleep(0.01)
    assert app.calls == [("set", "density", 3)] and said and "Traceback" not in capfd.readouterr().err
    server.shutdown()
    server.server_close()


def test_a_port_that_cannot_be_is_told():
    said = []
    assert serve_osc(StandIn(), 99999, said.append) is None and said == ["no OSC: there is no port 99999"]


def test_what_osc_cannot_do_is_told(osc):
    class Alone(StandIn):
        def set(self, name, value):
            raise LiveError("no Ableton Link here")

    assert osc(Alone(), "/anticipation/sync", "link") == ["OSC /anticipation/sync: no Ableton Link here"]


def test_a_bug_in_a_deed_is_no_fault_of_who_asks(served, ask, monkeypatch):
    monkeypatch.setattr(served[0], "_panic", lambda: len(3), raising=False)
    status, _, answer = ask("POST", "/api/act", {"name": "panic"})
    assert status == 500 and answer["error"].startswith("TypeError: ")


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTICIPATION_CONFIG", str(tmp_path / "config"))  # where nobody has taught it anything
    made = Rehearsal(monkeypatch, tmp_path, thru=True)
    yield made
    made.app.close()


def hear(world, *messages):
    """They come in, now. Answers what goes out."""
    before = len(world.sent)
    for message in messages:
        world.app.hear(world.now, message)
    world.beat()
    return [message for _, message in world.sent[before:]]


def test_thru_passes_all_that_a_player_does(world):
    gestures = [[0xB0, 64, 127], [0xB0, 1, 90], [0xE0, 0, 80], [0xD0, 50], [0xA0, 60, 9], [0xC0, 5], [0x90, 60, 80]]
    assert hear(world, *gestures) == gestures
    assert hear(world, [0xB0, 22, 127]) == [] and world.app.session.settings["density"] == 20  # that one steers us
    world.app.hands.silence()
    last = [message for _, message in world.sent[-2:]]
    assert last == [[0x80, 60, 64], [0xB0, 64, 0]]  # the pedal cannot hang either
    world.app.set("thru", False)
    assert hear(world, *gestures) == []


@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off_releases_what_is_held(world, number):
    world.app.act("start")
    hear(world, [0x90, 60, 80], [0x91, 64, 80])
    assert [0x80, 60, 64] in hear(world, [0xB0, number, 0])
    assert list(world.app.session.known.open) == [(1, 64)]
    assert [note[2] for note in world.app.recorder.take.heard] == [60]
    assert hear(world, [0x80, 60, 0]) == []


def test_all_notes_off_ends_what_is_passed_on_while_the_song_stands(world):
    assert hear(world, [0x90, 60, 80], [0xB0, 123, 0]) == [[0x90, 60, 80], [0x80, 60, 64]]
