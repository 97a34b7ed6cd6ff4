"""The DAW scripts against the real server, each in a real interpreter with a small stand-in for its host (tests/daw).
What ran in its real host is said in plugin_bridge/README.md; Ardour's is tests/real/ardour_takes.py."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the server needs aiohttp")

from stand_in import StandIn  # noqa: E402

from plugin_bridge import access, work  # noqa: E402
from plugin_bridge.server import Server  # noqa: E402

HOSTS = Path(__file__).parent / "daw"
LUA = shutil.which("lua5.4") or shutil.which("lua")
MELODY = [60 + i % 8 for i in range(16)]  # the clip of every stand-in: sixteen quarters
CHOICES = {"accompany": "piano,violin", "infill": "", "continue": "", "vary": "", "harmonize": "piano"}


@pytest.fixture(scope="module")
def config(random_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    app = StandIn()
    server = Server(app, checkpoint=random_checkpoint, link=folder / "live.curl")
    yield folder, app
    server.close()
    assert [path.name for path in folder.iterdir()] in ([], ["empty"]), "no draft of a request is left behind"


@pytest.fixture
def run(config):
    """run(program, *arguments, **environment) -> what it wrote."""

    def go(*line, **environment) -> str:
        world = os.environ | {"ANTICIPATION_CONFIG": str(config[0])} | environment
        found = subprocess.run([str(part) for part in line], env=world, capture_output=True, text=True, timeout=110)
        assert found.returncode == 0, found.stderr[-2000:]
        return found.stdout

    return go


@pytest.fixture
def reaper(run):
    """reaper(answers, **environment) -> tracks, and what was told in boxes; the answers are to its questions."""
    return lambda *line, script="reaper.lua", **environment: lua_tracks(
        run(LUA, HOSTS / "reaper_host.lua", access.SCRIPTS / script, *line, **environment)
    )


@pytest.fixture
def bitwig(run):
    """bitwig(settings, seconds, **environment) -> what its host tells after so long."""
    script = access.SCRIPTS / "Anticipation.control.js"
    return lambda settings, seconds, **environment: json.loads(
        run("node", HOSTS / "bitwig_host.js", script, json.dumps(settings), seconds, **environment)
    )


@pytest.fixture
def ableton(run):
    """ableton(settings, **environment) -> what its host tells."""
    return lambda settings, **environment: json.loads(
        run("node", HOSTS / "ableton_host.js", access.SCRIPTS, json.dumps(settings), **environment)
    )


needs_lua = pytest.mark.skipif(not LUA or not shutil.which("curl"), reason="needs a Lua interpreter and curl")
needs_node = pytest.mark.skipif(not shutil.which("node") or not shutil.which("curl"), reason="needs node and curl")


def lua_tracks(told: str) -> tuple[dict[str, list], list[str]]:
    """Notes by track (onset, length, pitch, channel; quarters), and what was told in boxes."""
    tracks: dict[str, list] = {}
    boxes = []
    for kind, name, *rest in (line.split("|") for line in told.splitlines()):
        if kind == "box":
            boxes.append(name)
        elif kind == "item":
            tracks[name] = []
        else:
            tracks[name].append([float(x) for x in rest])
    return tracks, boxes


def check(task: str, tracks: dict[str, list], zero: float, begin: float, end: float, hole: tuple[float, float]) -> None:
    """Two takes, on tracks of their own, where they belong: in quarters of the song."""
    assert {re.match(r"take \d", name)[0] for name in tracks} == {"take 1", "take 2"}
    onsets = [note[0] for notes in tracks.values() for note in notes]
    low, high = {"infill": hole, "continue": (end - 0.1, end + 40)}.get(task, (zero, end))
    assert onsets and min(onsets) >= low - 0.02 and max(onsets) < high + 0.04  # a step of Bitwig
    if task == "vary":
        assert any(pitch in MELODY for notes in tracks.values() for _, _, pitch, *_ in notes)


@needs_lua
@pytest.mark.parametrize("task", CHOICES)
def test_reaper(reaper, task):
    answers = ";".join([task, CHOICES[task], "2", "C major", "", "8", "no"])
    hole = {"HOLE": "1"} if task == "infill" else {}
    tracks, boxes = reaper(answers, **hole)
    assert not boxes
    melody = tracks.pop("Melody")
    assert [int(note[2]) for note in melody] == MELODY, "what is there stays"
    check(task, tracks, 8, 10, 26, (16, 20))
    if task in ("infill", "accompany", "continue"):
        pitches = {int(pitch) % 12 for notes in tracks.values() for _, _, pitch, channel in notes if channel != 9}
        assert pitches <= {0, 2, 4, 5, 7, 9, 11}


def rhythm(notes: list) -> list[float]:
    return sorted(round(onset, 1) for onset, *_ in notes)


@needs_lua
def test_reaper_keeps_a_rhythm(reaper):
    answers = "infill;piano;1;;;8;yes"  # who plays is kept, too: the instruments are not asked for
    tracks, boxes = reaper(answers, HOLE="1")
    assert not boxes and rhythm(tracks["take 1: piano"]) == [16, 17, 18, 19]
    assert [note[2] for note in tracks["take 1: piano"]] != MELODY[6:10]


@needs_node
def test_bitwig_and_live_keep_a_rhythm(bitwig, ableton):
    given = {"Task": "infill", "Takes": 1, "Bars to rewrite (3-4)": "3-4", "Rhythm (infill, vary)": "kept", "make": 1}
    told = bitwig(given, 100)
    assert [rhythm(track["clips"][0]["notes"]) for track in told["tracks"]] == [list(range(8, 16))]
    told = ableton({"task": "infill", "takes": "1", "bars": "3-4", "rhythm": "1"})
    notes = [[note["start_time"], note["pitch"]] for track in told["tracks"] for note in track["notes"]]
    assert rhythm(notes) == list(range(8, 15))  # the last is muted


@needs_lua
def test_reaper_tells_what_lies_ahead(reaper, config):
    app = config[1]
    app.calls.clear()
    reaper("", 4, script="reaper_timeline.lua")
    sent = [call for call in app.calls if call[0] == "timeline"]
    assert len(sent) >= 2
    song = [(5.0 + 0.5 * i, pitch) for i, pitch in enumerate(MELODY) if i != 14]  # one note is muted
    for _, notes, start in sent:  # quarters 10-26 at 120 bpm
        assert [(note[0], note[2]) for note in notes] == [row for row in song if row[0] >= start]
        assert notes[-1][3] == 128, "channel 10 is drums"


@needs_lua
@pytest.mark.parametrize(
    "answers, words",
    [("polka;piano;2;;;8;no", "unknown task 'polka'"), ("accompany;kazoo;2;;;8;no", "unknown instrument 'kazoo'"),
     ("infill;;2;;;8;no", "infill needs a hole"), ("vary;;99;;;8;no", "takes must be 1 to 32")],
)  # fmt: skip
def test_reaper_says_what_is_refused(reaper, answers, words):
    tracks, (box,) = reaper(answers)
    assert words in box and set(tracks) == {"Melody"}


REMARK = "the beats of the file are ignored"


@needs_lua
def test_reaper_shows_how_a_request_was_understood(reaper):
    tracks, (box,) = reaper("harmonize;;1;;;8;no", RUBATO="1")
    assert box.startswith(REMARK) and len(tracks) == 2


@needs_node
def test_bitwig_and_live_show_how_a_request_was_understood(bitwig, ableton):
    (popup,) = bitwig({"Task": "harmonize", "Takes": 1, "make": 1}, 60, RUBATO="1")["popups"]
    shown = ableton({"task": "harmonize", "takes": "1"}, RUBATO="1")["shown"][-1]
    assert "1 new tracks; " + REMARK in popup and "1 new tracks; " + REMARK in shown


COMMAS = """
local format = string.format
function string.format(form, ...)
  local text = format(form, ...)
  return form:find("%.%d+f") and (text:gsub("(%d)%.(%d)", "%1,%2")) or text
end
local client = dofile(arg[1])
local function run(line)
  local file = io.open(line:match('@(.-)"'))
  print(file:read("a"))
  file:close()
  return '{"id": "1"}'
end
local server = setmetatable({ run = run, path = arg[2], url = "" }, { __index = client })
server:submit("infill", {}, { { 0.5, 1.25, 60, 0, 80 } }, { { 0, 90.5 } }, { { 0, 3, 4 } })
server:timeline({ { 0.5, 1.25, 60, 0, 80 } }, 2.5)
print(client.number(1.5))
"""


@needs_lua
def test_a_host_that_writes_numbers_with_commas_is_understood(run, tmp_path):
    """As Ardour does where its user's language has them: it takes over his locale, and so does its Lua."""
    (tmp_path / "commas.lua").write_text(COMMAS)
    told = run(LUA, tmp_path / "commas.lua", access.SCRIPTS / "client.lua", tmp_path / "link")
    body, timeline, number = told.splitlines()
    score, _ = work.score_of_rows(body.encode())
    assert score.notes.pitch.tolist() == [60] and score.tempo.meters == ((0, 3, 4),)
    assert score.tempo.tempos == ((0, round(60e6 / 90.5)),) and number == "1.500000"
    assert json.loads(timeline) == {"unit": "quarters", "notes": [[0.5, 1.25, 60, 0, 80]], "replace_from": 2.5}


@needs_lua
def test_scripts_say_when_nobody_is_there(reaper, tmp_path):
    def told() -> str:
        return reaper("vary;;2;;;8;no", ANTICIPATION_CONFIG=str(tmp_path))[1][0]

    assert "anticipate live" in told()
    access.write_link(tmp_path / "live.curl", "http://127.0.0.1:9", "x")  # it was killed, and left its link
    assert "does not answer" in told()


@needs_node
@pytest.mark.parametrize("task", CHOICES)
def test_bitwig(bitwig, task):
    settings = {"Task": task, "Instruments": CHOICES[task], "Takes": 2, "Scale": "C major", "make": 1}
    told = bitwig(settings | {"Bars to rewrite (3-4)": "3-4"}, 100)
    tracks = {track["title"]: track["clips"][0]["notes"] for track in told["tracks"]}
    assert told["popups"] == [f"Anticipation: {len(tracks)} new tracks"]
    check(task, tracks, 0, 0, 16, (8, 16))


@needs_node
def test_bitwig_tells_what_lies_ahead(bitwig, config):
    app = config[1]
    app.calls.clear()
    bitwig({"Tell what lies ahead": "on"}, 2.6)
    _, notes, start = next(call for call in app.calls if call[0] == "timeline")
    assert start == 4.0 and [note[2] for note in notes][:8] == MELODY[8:] and len(notes) == 32  # two rounds of the clip


@needs_node
def test_bitwig_says_what_is_refused(bitwig):
    assert "unknown instrument 'kazoo'" in bitwig({"Instruments": "kazoo", "make": 1}, 60)["popups"][0]


@needs_node
@pytest.mark.parametrize("task", CHOICES)
def test_ableton_live(ableton, task):
    settings = {"task": task, "instruments": CHOICES[task], "takes": "2", "scale": "C major", "bars": "3-4"}
    told = ableton(settings)
    tracks = {
        track["name"]: [[n["start_time"], n["duration"], n["pitch"]] for n in track["notes"]]
        for track in told["tracks"]
    }
    assert told["shown"][-1] == f"{len(tracks)} new tracks"
    check(task, tracks, 0, 0, 15 if task == "continue" else 16, (8, 16))


@needs_node
def test_ableton_live_tells_what_lies_ahead(ableton, config):
    app = config[1]
    app.calls.clear()
    ableton({"timeline": "1"})
    ((_, notes, start),) = [call for call in app.calls if call[0] == "timeline"]
    assert start == 5.0 and notes[0][:3] == [5.0, 0.45, MELODY[2]] and len(notes) == 13  # from quarter 10; one is muted


@needs_node
def test_ableton_live_says_what_is_refused(ableton):
    assert "unknown instrument 'kazoo'" in ableton({"instruments": "kazoo"})["shown"][-1]


def test_the_max_device_is_wired():
    """Every object that a line goes to is there; both scripts are in it; they lie beside it."""
    patcher = json.loads((access.SCRIPTS / "Anticipation.maxpat").read_text(encoding="utf-8"))["patcher"]
    boxes = {entry["box"]["id"]: entry["box"] for entry in patcher["boxes"]}
    for entry in patcher["lines"]:
        (source, outlet), (target, inlet) = entry["patchline"]["source"], entry["patchline"]["destination"]
        assert outlet < boxes[source]["numoutlets"] and inlet < boxes[target]["numinlets"]
    texts = " ".join(str(box.get("text")) for box in boxes.values())
    for name in ("anticipation-live.js", "anticipation-node.js"):
        assert name in texts and (access.SCRIPTS / name).is_file()


@needs_lua
@pytest.mark.parametrize("script", sorted(access.SCRIPTS.glob("*.lua")), ids=lambda path: path.name)
def test_lua_that_parses(run, script):
    assert run(LUA, "-e", f"assert(loadfile({json.dumps(str(script))}))") == ""
