"""Controllers: what they mean, and that what was learned is known the next time."""

import json

import pytest

from anticipation.errors import RequestError
from plugin_bridge.remote import Controllers


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
