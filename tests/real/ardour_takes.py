"""Ardour itself asks for takes: plugin_bridge/daw/ardour.lua in a real, headless Ardour 7, against the real server
and the shipped checkpoint. By hand: apt-get install ardour; python tests/real/ardour_takes.py OUT_FOLDER [TASK]
(with RHYTHM=1 the rhythm is kept)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import mido

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
MELODY = [60, 62, 64, 65, 67, 69, 71, 72] * 2  # quarters, from the third bar on
REGION = """<Region name="melody{n}" muted="0" opaque="1" locked="0" video-locked="0" automatic="0"
 whole-file="{whole}" import="0" external="0" sync-marked="0" left-of-split="0" right-of-split="0" hidden="0"
 position-locked="0" valid-transients="0" start="b0" length="b30720@b{at}" sync-position="b0" ancestral-start="b0"
 ancestral-length="b0@b0" stretch="1" shift="1" layering-index="0" tags="" contents="0" id="{id}" type="midi"
 first-edit="nothing" source-0="9001" master-source-0="9001"/>"""


def with_melody(session: Path) -> None:
    """Put a region with a melody on the session's only track, as a recording would have."""
    track = mido.MidiTrack()
    for number, pitch in enumerate(MELODY):
        track.append(mido.Message("note_on", note=pitch, velocity=80 + number, time=96 if number else 0))
        track.append(mido.Message("note_off", note=pitch, time=384))
    file = mido.MidiFile(type=0, ticks_per_beat=480, tracks=[track])
    file.save(session / "interchange/session/midifiles/melody.mid")
    path = session / "session.ardour"
    text = path.read_text()
    source = (
        '<Source name="melody.mid" type="midi" flags="Writable,CanRename" id="9001" captured-for="Melody" origin=""/>'
    )
    text = re.sub(
        r"<Sources/>|</Sources>", lambda m: f"{'<Sources>' * (m[0] == '<Sources/>')}{source}</Sources>", text, count=1
    )
    whole = REGION.format(n="", whole=1, at=0, id=9002)
    text = re.sub(
        r"<Regions/>|</Regions>", lambda m: f"{'<Regions>' * (m[0] == '<Regions/>')}{whole}</Regions>", text, count=1
    )
    placed = REGION.format(n=".1", whole=0, at=15360, id=9003)
    text, found = re.subn(r'(<Playlist [^>]*name="Melody"[^>]*?)/>', rf"\1>{placed}</Playlist>", text, count=1)
    assert found, "the track has a playlist"
    path.write_text(re.sub(r'id-counter="\d+"', 'id-counter="9100"', text))


def main(out: Path, task: str = "accompany") -> None:
    from stand_in import StandIn

    from plugin_bridge.server import Server

    out.mkdir(parents=True)
    environment = os.environ | {
        "OUT": str(out), "ANTICIPATION_CONFIG": str(out), "TASK": task,
        "SCRIPT": str(HERE.parents[1] / "plugin_bridge/daw/ardour.lua"),
        "TIMELINE": str(HERE.parents[1] / "plugin_bridge/daw/ardour_timeline.lua"),
    }  # fmt: skip

    def ardour(**more) -> str:
        run = subprocess.run(["ardour7-lua", HERE / "ardour_takes.lua"], env=environment | more, text=True, timeout=280,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        return run.stdout

    ardour(MAKE="1")
    with_melody(out / "session")
    app = StandIn()
    server = Server(app, link=out / "live.curl")
    try:
        told = ardour()
    finally:
        server.close()
    tracks: dict[str, list] = {}
    for kind, name, *rest in (line.split("|") for line in told.splitlines() if "|" in line):
        if kind == "region":
            tracks[name] = []
            print(f"{name!r}: a region at quarter {rest[0]}, {rest[1]} long")
        elif kind == "note":
            tracks[name].append([float(x) for x in rest])
        elif kind == "told":
            print("told:", name)
    for name, notes in tracks.items():
        print(f"{name}: {len(notes)} notes", [f"{int(pitch)}@{at:.2f}" for pitch, _, _, at, _ in notes[:8]])
    assert [note[0] for note in tracks.get("Melody", [])] == MELODY, told[-3000:]
    made = {name: notes for name, notes in tracks.items() if name.startswith("take")}
    assert {name.split(":")[0] for name in made} == {"take 1", "take 2"} and all(made.values()), told[-3000:]
    assert all(int(pitch) % 12 in (0, 2, 4, 5, 7, 9, 11) for notes in made.values() for pitch, *_ in notes), "C major"
    sent = [call for call in app.calls if call[0] == "timeline"]
    assert len(sent) == 2 and all([note[2] for note in notes] == MELODY for _, notes, _ in sent), (sent, told[-3000:])
    assert sent[0][1][0][0] == 4.0 and 0 < sent[0][2] < sent[1][2], "from quarter 8 at 120 bpm; and it rolls"
    print("as it should be: the melody untouched, two takes in C major on tracks of their own; the timeline told ahead")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:3])
