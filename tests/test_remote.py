"""Controllers: what they mean, and that what was learned is known the next time. OSC: what a message does. Thru:
what goes out as it comes in."""

import json
import time

import pytest
from stand_in import StandIn

from anticipation.errors import LiveError, RequestError
from plugin_bridge import app as app_module
from plugin_bridge.remote import Controllers, serve_osc
from plugin_bridge.scheduler import Scheduler


def test_what_was_learned_is_known_the_next_time(tmp_path):
    file = tmp_path / "new" / "controllers.json"
    first = Controllers(file)
    standard = dict(first.map)
    first.learn("density")
    assert first.meaning(20, 127) == ("density", 20) and first.learning is None
    first.learn("panic")
    assert first.meaning(20, 127) == ("panic", True)  # one controller, one meaning
    first.learn("tempo" if "tempo" in standard.values() else "density")
    first.meaning(77, 0)
    second = Controllers(file)
    assert second.map == first.map and second.map != standard
    assert json.loads(file.read_text()) and not list(file.parent.glob("*.part"))


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
        servers[-1].dispatcher.call_handlers_for_packet(message.build().dgram, ("127.0.0.1", 1))
        return said

    yield send
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_osc_message_is_obeyed_once(osc):
    app = StandIn()
    assert not osc(app, "/anticipation/do/keep", 4) and app.calls == [("act", "keep", {"bars": 4})]
    assert not osc(app, "/anticipation/density", 4) and app.calls[1:] == [("set", "density", 4)]


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


class Hands:
    """Hands that need no port: their scheduler is the real one."""

    def __init__(self, report, api, in_port, out_port):
        self.sent, self.names, self.errors, self.dropped = [], {}, [], 0
        self.scheduler = Scheduler(time.perf_counter, self.sent.append)
        self.pass_on, self.silence, self.panic = (
            self.scheduler.pass_on, self.scheduler.silence, self.scheduler.panic,
        )  # fmt: skip

    def programs(self, channels):
        pass

    def add(self, strikes):
        pass

    def close(self):
        self.silence()


class NoMind:
    state = "dead"

    def __init__(self, *args, **options):
        pass

    def start(self):
        pass

    close = start


@pytest.fixture
def app(monkeypatch, tmp_path):
    monkeypatch.setattr(app_module, "Hands", Hands)
    monkeypatch.setattr(app_module, "Mind", NoMind)
    monkeypatch.setenv("ANTICIPATION_CONFIG", str(tmp_path / "config"))  # where nobody has taught it anything
    made = app_module.App(takes=tmp_path, settings={"thru": True, "count_in": 0})
    yield made
    made.close()


def hear(app, *messages):
    """They come in, now. Answers what goes out."""
    with app._lock:
        before = len(app.hands.sent)
        for message in messages:
            app._on_heard(time.perf_counter(), message)
        return app.hands.sent[before:]


def test_thru_passes_all_that_a_player_does(app):
    gestures = [[0xB0, 64, 127], [0xB0, 1, 90], [0xE0, 0, 80], [0xD0, 50], [0xA0, 60, 9], [0xC0, 5], [0x90, 60, 80]]
    assert hear(app, *gestures) == gestures
    assert hear(app, [0xB0, 22, 127]) == [] and app.session.settings["density"] == 20  # that one steers us
    app.hands.silence()
    assert app.hands.sent[-2:] == [[0x80, 60, 64], [0xB0, 64, 0]]  # the pedal cannot hang either
    app.set("thru", False)
    assert hear(app, *gestures) == []


@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off_releases_what_is_held(app, number):
    app.act("start")
    hear(app, [0x90, 60, 80], [0x91, 64, 80])
    assert [0x80, 60, 64] in hear(app, [0xB0, number, 0])
    assert list(app.session.known.open) == [(1, 64)] and [note[2] for note in app.session.ended()] == [60]
    assert hear(app, [0x80, 60, 0]) == []


def test_all_notes_off_ends_what_is_passed_on_while_the_song_stands(app):
    assert hear(app, [0x90, 60, 80], [0xB0, 123, 0]) == [[0x90, 60, 80], [0x80, 60, 64]]
