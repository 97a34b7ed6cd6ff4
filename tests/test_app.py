"""The App in virtual time: whatever happens on a stage, what sounded is in the take, and the music goes on."""

import os

import pytest
from test_scheduler import check_clean
from test_session import regular_mind
from virtual import Rehearsal

from anticipation.errors import LiveError, RequestError
from anticipation.midi import read
from anticipation.notes import Notes
from anticipation.planner import Step
from plugin_bridge import transport
from plugin_bridge.meters import Meters
from plugin_bridge.recorder import Recorder


@pytest.fixture
def rehearsal(monkeypatch, tmp_path):
    """rehearsal(plan=..., **settings) -> a Rehearsal that plays."""
    made = []

    def make(**settings) -> Rehearsal:
        made.append(Rehearsal(monkeypatch, tmp_path / "takes", **settings))
        if settings.get("sync") != "clock":
            made[-1].app.act("start")
        made[-1].run(0.1)
        return made[-1]

    yield make
    for rehearsal in made:
        rehearsal.app.close()


def key(at, pitch, length=0.2):
    return [(at, [0x90, pitch, 80]), (at + length, [0x80, pitch, 0])]


def taken(rehearsal, kind="take") -> list[Notes]:
    return [
        read(path).notes for path in sorted(rehearsal.app.recorder.folder.glob(f"{kind}-*.mid"), key=lambda p: p.stem)
    ]


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_a_note_that_thru_began_ends_though_thru_went_off(rehearsal):
    made = rehearsal(thru=True)
    made.run(0.5, [(0.1, [0x90, 60, 80])])
    made.app.set("thru", False)
    made.run(0.5, [(0.1, [0x80, 60, 0]), (0.2, [0x90, 62, 80]), (0.3, [0x80, 62, 0])])
    check_clean(made.sent)
    assert [m for _, m in made.sent] == [[0x90, 60, 80], [0x80, 60, 64]]


def test_one_event_that_fails_takes_no_other_with_it(rehearsal, monkeypatch):
    """A controller that cannot do what it was taught, and a fault of ours, between two notes."""

    def no_link(bpm):
        raise LiveError("Ableton Link needs LinkPython-extern")

    monkeypatch.setattr(transport, "open_link", no_link)
    made = rehearsal()
    made.app.act("learn", name="sync")
    made.run(0.5, [(0.1, [0x90, 60, 80])])
    made.run(0.5, [(0.1, [0xB0, 40, 127]), (0.1, [0x80, 60, 0]), (0.1, [0x90, 62, 80])])
    assert made.told[-1] == "Ableton Link needs LinkPython-extern" and made.app.session.settings["sync"] == "internal"
    made.app._inbox.put(("step", "no", "such", "step", "as this", "one"))
    made.run(0.5, [(0.0, [0x80, 62, 0]), (0.0, [0x90, 64, 80])])
    assert made.told[-1].startswith("a fault of ours") and list(made.app.session.known.open) == [(0, 64)]


@pytest.mark.parametrize("error", [BrokenPipeError("stdout"), UnicodeEncodeError("ascii", "é", 0, 1, "no")])
def test_nobody_to_tell_is_no_reason_not_to_play(rehearsal, error):
    def broken(line):
        raise error

    made = rehearsal()
    made.app._say = broken
    made.app._inbox.put(("error", "something to tell"))
    made.run(0.5, key(0.1, 60))
    assert made.app.message == "the mind: something to tell" and len(made.app.session.known.heard) == 1


def test_late_notes_are_counted_when_they_are_asked_for():
    meters, asked = Meters(), []
    for _ in range(5):
        figures = meters.figures([0.02], lambda: asked.append(1) or len(asked), 0)
    assert figures["late"] == 1 and len(asked) == 1
