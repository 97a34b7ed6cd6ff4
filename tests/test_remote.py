"""Controllers: what they mean, and that what was learned is known the next time. OSC: what a message does."""

import json

import pytest
from stand_in import StandIn

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
    first.learn("tempo" if "tempo" in standard.values() else "density")
    first.meaning(77, 0)
    second = Controllers(file)
    assert second.map == first.map and second.map != standard
    assert json.loads(file.read_text()) and not list(file.parent.glob("*.part"))


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '{"x": "density"}', '{"3": ["density"]}', '{"3": "nothing"}'])
def test_a_spoilt_file_is_no_trouble(tmp_path, text):
    file = tmp_path / "controllers.json"
    file.write_text(text)
    assert Controllers(file).map == Controllers().map


def test_a_folder_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    controllers = Controllers(tmp_path / "taken" / "controllers.json")
    controllers.learn("density")
    assert controllers.meaning(77, 0) == ("density", 0)
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


def test_what_osc_cannot_do_is_told(osc):
    class Alone(StandIn):
        def set(self, name, value):
            raise LiveError("no Ableton Link here")

    assert osc(Alone(), "/anticipation/sync", "link") == ["OSC /anticipation/sync: no Ableton Link here"]
