"""Jobs: the tasks of the command, asked for over real sockets, done in a process of their own. Rows of notes,
and of the timeline, as they are understood."""

import http.client
import json
import socket
import time

import pytest

pytest.importorskip("aiohttp", reason="the page needs aiohttp")

from hypothesis import given
from hypothesis import strategies as st

from anticipation.errors import RequestError
from anticipation.music.notes import Notes
from anticipation.score.midi import Score, read
from plugin_bridge import jobs, timeline, work


@pytest.fixture
def finish(ask):
    """finish(path, body) -> the facts of a job that was seen through by asking for it."""

    def run(path: str, body) -> dict:
        status, _, facts = ask("POST", path, body)
        assert status == 202 and facts["state"] in ("waiting", "running"), facts
        until = time.monotonic() + 100
        while facts["state"] in ("waiting", "running") and time.monotonic() < until:
            time.sleep(0.05)
            facts = ask("GET", f"/api/jobs/{facts['id']}")[2]
        return facts

    return run


QUERIES = {
    "accompany": "best_of=2&end=2&instruments=piano,finger+bass",
    "infill": "best_of=2&bars=3-4",
    "continue": "best_of=2&seconds=2",
    "vary": "best_of=2&start=2&end=4&keep=0.2&rhythm=1",
    "harmonize": "",
}


@pytest.mark.parametrize("task", work.TASKS)
def test_a_midi_file_in_and_takes_out_as_the_command_makes_them(ask, finish, anticipate, melody, tmp_path, task):
    facts = finish(f"/api/jobs?task={task}&seed=3&takes=2&{QUERIES[task]}", melody.read_bytes())
    assert facts["state"] == "done" and facts["progress"] == 1 and len(facts["takes"]) == 2 and facts["seed"] == 3
    flags = {"accompany": ["--end", "2", "--instruments", "piano,finger bass"], "infill": ["--bars", "3-4"],
             "continue": ["--seconds", "2"],
             "vary": ["--start", "2", "--end", "4", "--keep", "0.2", "--rhythm"]}  # fmt: skip
    assert anticipate(task, melody, "-o", tmp_path / "a.mid", "--seed", 3, "--takes", 2, *flags.get(task, []))[0] == 0
    for number, take in enumerate(facts["takes"], 1):
        status, headers, data = ask("GET", take["mid"])
        assert status == 200 and f"{task}-{number}.mid" in headers["Content-Disposition"]
        assert data == (tmp_path / f"a-{number}.mid").read_bytes()
        rows = ask("GET", take["json"])[2]
        assert len(rows["written"]) == take["notes"] and rows["unit"] == "seconds"
        assert len(rows["notes"]) == len(Score.from_bytes(data).notes)


def test_rows_of_notes_in_quarters(ask, finish):
    notes = [[float(i), 0.9, 60 + i % 5, 73, 80] for i in range(32)]
    body = {"unit": "quarters", "notes": notes, "tempos": [[0, 90], [16, 180]], "meters": [[0, 3, 4]]}
    facts = finish("/api/jobs?task=infill&seed=1&start=6&end=12", json.dumps(body))
    take = ask("GET", facts["takes"][0]["json"])[2]
    assert take["unit"] == "quarters" and {int(i) for i in take["instruments"]} <= {73}
    assert all(6 - 1e-3 <= on < 12 for on, *_ in take["written"])
    kept = {tuple(row[:3]) for row in take["notes"]}
    assert {(on, length, pitch) for on, length, pitch, *_ in notes if not 6 <= on < 12} <= kept
    score = Score.from_bytes(ask("GET", facts["takes"][0]["mid"])[2])
    assert [round(60e6 / rate) for _, rate in score.tempo.tempos] == [90, 180] and score.tempo.meters[0][1:] == (3, 4)


@given(
    tempos=st.lists(
        st.tuples(st.integers(0, 20), st.integers(60, 200)), min_size=1, max_size=4, unique_by=lambda t: t[0]
    )
)
def test_tempos_in_seconds_and_in_quarters_are_the_same_map(tempos):
    tempos = sorted([(0, 100), *[t for t in tempos if t[0]]])
    quarters, at = [], 0.0
    for (second, bpm), after in zip(tempos, [*tempos[1:], (99, 0)], strict=True):
        quarters.append([at, bpm])
        at += (after[0] - second) * bpm / 60
    one, _ = work.score_of_rows(json.dumps({"notes": [[0.0, 1.0, 60, 0, 64]], "tempos": tempos}).encode())
    two = work._tempo_map(quarters, [[0, 4, 4]], "quarters")
    assert one.tempo.seconds(9600) == pytest.approx(two.seconds(9600), abs=1e-3)


@pytest.mark.parametrize(
    "body",
    ["not music", b"MThd", "[]", "{}", '{"notes": [[0, 1, 60, 0]]}', '{"notes": [[0, 1, 60, 0, 200]]}',
     '{"notes": [[-1, 1, 60, 0, 64]]}', '{"notes": [], "tempos": [[0, 0]]}', '{"notes": [], "meters": [[0, 4, 3]]}',
     '{"notes": [[1e999, 1, 60, 0, 64]]}', '{"notes": [], "unit": "bars"}', "[" * 100_000],
)  # fmt: skip
def test_a_body_that_is_no_music_is_one_line(ask, finish, body):
    facts = finish("/api/jobs?task=harmonize", body)
    assert (
        facts["state"] == "failed" and facts["error"] and "\n" not in facts["error"] and "Error:" not in facts["error"]
    )


def test_what_the_task_refuses_is_one_line(ask, finish, melody):
    assert "infill needs a hole" in finish("/api/jobs?task=infill", melody.read_bytes())["error"]
    assert "bars 9-12 are not" in finish("/api/jobs?task=infill&bars=9-12", melody.read_bytes())["error"]
    status, _, answer = ask("POST", "/api/jobs?task=infill&wait=1", melody.read_bytes())
    assert status == 400 and "infill needs a hole" in answer["error"]


def test_waiting_gives_all_in_one_answer(ask, melody):
    status, _, answer = ask("POST", "/api/jobs?task=continue&seconds=1&takes=2&wait=1", melody.read_bytes())
    assert status == 200 and len(answer["results"]) == 2 and answer["state"] == "done"


LONG = "/api/jobs?task=continue&seconds=600&takes=8&polyphony=1"  # more than a test would wait for


def test_hanging_up_cancels_and_the_next_is_served(served, ask, finish, melody):
    _, server = served
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", f"{LONG}&wait=1", melody.read_bytes(), {"Authorization": f"Bearer {server.token}"})
    until = time.monotonic() + 60
    while not any(job["state"] == "running" for job in ask("GET", "/api/jobs")[2]["jobs"]) and time.monotonic() < until:
        time.sleep(0.05)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert finish("/api/jobs?task=continue&seconds=1", melody.read_bytes())["state"] == "done"
    assert any(job["state"] == "cancelled" for job in ask("GET", "/api/jobs")[2]["jobs"])


def test_cancelling_waiting_and_running_jobs(ask, finish, melody):
    running, waiting = (ask("POST", LONG, melody.read_bytes())[2]["id"] for _ in range(2))
    assert ask("DELETE", f"/api/jobs/{waiting}")[0] == 200 and ask("DELETE", f"/api/jobs/{running}")[0] == 200
    assert {ask("GET", f"/api/jobs/{key}")[2]["state"] for key in (running, waiting)} == {"cancelled"}
    assert finish("/api/jobs?task=continue&seconds=1", melody.read_bytes())["state"] == "done"


def test_a_client_that_asks_no_more_has_gone(random_checkpoint, melody):
    queue = jobs.Jobs(random_checkpoint, lease=0.2)
    job = queue.submit("continue", {"seconds": "600", "takes": "8"}, melody.read_bytes())
    job.over.result(30)
    assert job.state == "cancelled" and "nobody asked" in job.error and job.body == b""
    queue.close()


def test_a_worker_that_dies_is_told_and_replaced(random_checkpoint, melody):
    queue = jobs.Jobs(random_checkpoint, lease=300)  # nobody asks meanwhile, however busy the machine
    job = queue.submit("continue", {"seconds": "600", "takes": "8"}, melody.read_bytes())
    while not queue._process or job.state == "waiting":
        time.sleep(0.01)
    queue._process.kill()
    job.over.result(30)
    assert job.state == "failed" and "died" in job.error
    again = queue.submit("continue", {"seconds": "1"}, melody.read_bytes())
    again.over.result(120)
    assert again.state == "done"
    queue.close()


def test_a_worker_that_takes_long_to_die_holds_up_no_other_job(random_checkpoint, melody, monkeypatch):
    """On a machine that swaps, say: it is killed, and has not ended yet when it was waited for."""
    queue = jobs.Jobs(random_checkpoint, lease=300)
    job = queue.submit("continue", {"seconds": "600", "takes": "8"}, melody.read_bytes())
    while not queue._process or job.state == "waiting":
        time.sleep(0.01)
    worker = queue._process
    with monkeypatch.context() as slow:
        slow.setattr("multiprocessing.process.BaseProcess.kill", lambda process: None)
        slow.setattr("multiprocessing.process.BaseProcess.join", lambda process, seconds=None: None)
        queue.cancel(job.id)
        again = queue.submit("harmonize", {}, melody.read_bytes())
        again.over.result(100)
    queue.close()
    worker.kill()
    worker.join(30)
    assert again.state == "done" and not queue._thread.is_alive()


def test_the_queue_has_an_end(monkeypatch, melody):
    monkeypatch.setattr(jobs, "QUEUE", 2)
    monkeypatch.setattr(jobs.Jobs, "_serve", lambda self: None)
    queue = jobs.Jobs()
    for _ in range(2):
        queue.submit("harmonize", {}, melody.read_bytes())
    with pytest.raises(jobs.Busy, match="2 jobs wait already"):
        queue.submit("harmonize", {}, melody.read_bytes())


def test_the_written_notes_fit_the_take(melody):
    from types import SimpleNamespace

    score = read(melody)
    new = Notes.of([(1.0, 0.5, 60, 0, 64)])
    take = SimpleNamespace(score=score.with_notes(new), notes=new, chords=Notes.of([]), remarks=())
    facts = work._facts(take, score, "quarters", 5)
    assert facts["written"] == [[2.0, 1.0, 60, 0, 64]] and facts["instruments"] == {"0": "piano"} and facts["seed"] == 5


def test_a_timeline_of_the_whole_song_is_taken_after_it_slowed_down():
    """A minute at 120 bpm, then half as fast: bar 31 is laid out from here at the tempo of now."""
    state = {"position": {"seconds": 60.0, "bar": 31, "beat": 1.0}, "bpm": 60.0, "meter": [4, 4]}
    given = {"unit": "quarters", "notes": [[quarter, 1, 60, 0, 80] for quarter in range(200)]}
    rows, start = timeline.checked_timeline(*work.timeline_from_json(given, state))
    assert [row[0] for row in rows] == list(range(140)) and start == -60.0


def test_as_many_notes_are_taken_as_is_said():
    state = {"position": {"seconds": 0.0, "bar": 1, "beat": 1.0}, "bpm": 120.0, "meter": [4, 4]}
    rows = [[n / 100, 0.01, 60, 0, 80] for n in range(timeline.MAX_NOTES)]
    assert len(timeline.checked_timeline(*work.timeline_from_json({"notes": rows}, state))[0]) == timeline.MAX_NOTES
    with pytest.raises(RequestError, match="at most 50,000"):
        work.timeline_from_json({"notes": [*rows, rows[0]]}, state)
    with pytest.raises(RequestError, match="more than 50,000"):
        timeline.checked_timeline([*rows, rows[0]], 0.0)
