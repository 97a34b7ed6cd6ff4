"""The server: a real one, asked over real sockets. What it serves, what it refuses, and that it does not fall over."""

import asyncio
import http.client
import io
import json
import os
import re
import socket
import stat
import sys
import threading

import mido
import pytest

pytest.importorskip("aiohttp", reason="the page needs aiohttp")

from hypothesis import given
from hypothesis import strategies as st
from stand_in import StandIn

from anticipation.errors import FileError, RequestError
from plugin_bridge import access, controls, feed
from plugin_bridge.actions import ACTIONS
from plugin_bridge.server import UI, Server


def raw(port: int, text: bytes, wait: float = 5.0) -> bytes:
    """What a socket answers to these bytes, up to the end or to the first pause."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as line:
        line.sendall(text)
        return line.recv(65536)


# What it serves


def test_the_page_and_all_that_it_asks_for_come_from_here(served, ask):
    status, headers, page = ask("GET", "/", Authorization=None)
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"] and "frame-ancestors 'none'" in str(headers)
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert b"//" not in page.replace(b"<!doctype", b""), "no address but our own"
    for path in UI.iterdir():
        if path.name != "index.html":
            assert ask("GET", f"/ui/{path.name}", Authorization=None)[2] == path.read_bytes()
            for scheme in (b"https:", b"http:", b"@import"):
                assert scheme not in path.read_bytes().replace(b"http://www.w3.org/2000/svg", b"")


def test_only_the_printed_address_opens_a_page_with_the_token(served, ask):
    _, server = served
    assert server.url == f"{server.origin}/?token={server.token}" and len(server.token) >= 32
    assert server.token.encode() in ask("GET", f"/?token={server.token}", Authorization=None)[2]
    for path in ("/", "/?token=", "/?token=x", "/ui/main.js", "/api/state"):
        assert server.token not in str(ask("GET", path, Authorization=None)[2])


def test_state_and_the_table_of_controls(served, ask):
    status, _, state = ask("GET", "/api/state", Authorization=None)
    assert status == 200 and state["mind"] == "ready" and set(state["controls"]) == set(controls.NAMES)
    _, _, table = ask("GET", "/api/controls", Authorization=None)
    assert [row["name"] for row in table["controls"]] == [control.name for control in controls.TABLE]
    assert set(table["actions"]) == set(ACTIONS) and table["actions"]["keep"]["arguments"] == ["bars"]


def test_what_is_set_and_done_reaches_the_app(served, ask):
    app, _ = served
    assert ask("POST", "/api/set", {"name": "density", "value": 7})[0] == 200 and app.controls["density"] == 7
    assert ask("POST", "/api/act", {"name": "switch", "args": {"instrument": "drums", "on": False}})[0] == 200
    assert app.calls[-1] == ("act", "switch", {"instrument": "drums", "on": False})
    assert ask("POST", "/api/act", {"name": "keep", "args": {"bars": 2}})[2]["name"] in app.takes
    assert ask("POST", "/api/act", {"name": "switch", "args": {"instrument": "drums", "on": True}})[0] == 200


@pytest.mark.parametrize(
    "path, body, words",
    [
        ("/api/set", {"name": "densty", "value": 1}, "did you mean density"),
        ("/api/set", {"name": "density", "value": 99}, "density is from 0 to 20"),
        ("/api/set", {"name": "density"}, "a name and a value"),
        ("/api/set", {"name": "density", "value": 10**400}, "density is from 0 to 20"),
        ("/api/set", {"name": ["density"], "value": 1}, "a name and a value"),
        ("/api/set", "[1]", "must be a JSON object"),
        ("/api/set", "{", "must be a JSON object"),
        ("/api/set", '{"name": "density", "value": NaN}', "must be a JSON object"),
        ("/api/set", "[" * 60_000, "must be a JSON object"),
        ("/api/set", b"\xff\xfe", "must be a JSON object"),
        ("/api/act", {}, "the name of what to do"),
        ("/api/act", {"name": "keep", "args": [2]}, "args, an object"),
        ("/api/act", {"name": "dance"}, "no action 'dance'"),
        ("/api/act", {"name": "keep", "args": {"beers": 2}}, "keep takes no beers"),
        ("/api/timeline", {"notes": [[0, 1, 60, 0]]}, "a timeline is notes"),
        ("/api/timeline", {"notes": [[0, 1, 160, 0, 80]]}, "a timeline is notes"),
        ("/api/timeline", {"notes": 3}, "a timeline is notes"),
        ("/api/timeline", {"notes": [], "unit": "bars"}, "a timeline is notes"),
        ("/api/timeline", {"notes": [], "replace_from": "soon"}, "a timeline is notes"),
        ("/api/timeline", {"notes": [], "replace_from": 10**400}, "a timeline is notes"),
        ("/api/jobs?task=polka", "x", "unknown task 'polka'"),
        ("/api/jobs?task=infill&bras=1-2", "x", "infill has no option 'bras'"),
        ("/api/jobs?task=infill&takes=0", "x", "takes must be 1 to 32"),
        ("/api/jobs?task=infill&takes=two", "x", "takes 'two' is not a number"),
        ("/api/jobs?task=infill&range=H2", "x", "unknown range"),
        ("/api/jobs?task=infill", None, "no body"),
    ],
)
def test_what_makes_no_sense_is_one_line(ask, path, body, words):
    status, _, answer = ask("POST", path, body)
    assert status == 400 and words in answer["error"] and "\n" not in answer["error"]


def test_the_timeline_in_seconds_and_in_quarters(served, ask):
    app, _ = served
    rows = [[1.0, 0.5, 60, 0, 80], [2.0, 0.5, 62, 33, 90]]
    assert ask("POST", "/api/timeline", {"notes": rows, "replace_from": 1.0})[2]["notes"] == 2
    assert app.calls[-1] == ("timeline", rows, 1.0)
    assert ask("POST", "/api/timeline", {"notes": rows, "replace_from": 4.0, "unit": "quarters"})[0] == 200
    _, sent, start = app.calls[-1]  # at 120 bpm, standing at the beginning
    assert sent == [[0.5, 0.25, 60, 0, 80], [1.0, 0.25, 62, 33, 90]] and start == 2.0


def test_takes_are_listed_and_fetched_by_name_only(served, ask):
    app, _ = served
    listed = [take["name"] for take in ask("GET", "/api/takes")[2]]
    assert listed == list(app.takes)
    status, headers, data = ask("GET", "/api/takes/take-1.mid")
    assert status == 200 and data == app.takes["take-1"] and headers["Content-Type"] == "audio/midi"
    assert headers["Content-Disposition"] == 'attachment; filename="take-1.mid"'
    assert sum(message.type == "note_on" for message in mido.MidiFile(file=io.BytesIO(data))) > 30
    status, headers, data = ask("GET", "/api/takes/take%202%20%C3%A9.mid")
    assert status == 200 and data == app.takes["take 2 é"] and 'filename="take 2 _.mid"' in str(headers)


@pytest.mark.parametrize(
    "path",
    ["/api/takes/nothing.mid", "/api/takes/..%2f..%2fREADME.md", "/api/takes/%2e%2e/x", "/ui/../server.py", "/nothing",
     "/ui/..%2fserver.py", "/ui/%2e%2e%2f%2e%2e%2fpyproject.toml", "/ui/index.html", "/ui//etc/passwd",
     "/ui/style.css%00", "/api/jobs/x", "/api/jobs/x/1.mid", "//etc/passwd"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(served, path):
    answer = raw(served[1].port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served[1].port}\r\n\r\n".encode())
    assert answer.split()[1] in (b"404", b"400") and b"import" not in answer and b"root:" not in answer


# What it refuses


@pytest.mark.parametrize(
    "method, path", [("GET", "/api/state"), ("GET", "/"), ("GET", "/api/stream"), ("POST", "/api/set")]
)
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"}, {"Origin": "http://["},
     {"Origin": "https://127.0.0.1:PORT"}, {"Origin": "http://127.0.0.1:PORT.evil.example"},
     {"Host": "evil.example:PORT"}, {"Host": "127.0.0.1"}, {"Host": ""}, {"Host": "127.0.0.1:PORT@evil.example"},
     {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"},
     {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}],
)  # fmt: skip
def test_another_origin_gets_403_even_with_the_token(served, ask, method, path, headers):
    headers = {name: text.replace("PORT", str(served[1].port)) for name, text in headers.items()}
    before = len(served[0].calls)
    status, _, answer = ask(method, path, {"name": "density", "value": 3} if method == "POST" else None, **headers)
    assert status == 403 and "error" in answer and len(served[0].calls) == before


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_our_own_origin_is_served(served, ask, name):
    here = f"{name}:{served[1].port}"
    body = {"name": "density", "value": 4}
    assert ask("POST", "/api/set", body, Host=here, Origin=f"http://{here}", Sec_Fetch_Site="same-origin")[0] == 200


def test_a_link_from_elsewhere_may_open_the_page_but_nothing_else(ask):
    linked = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask("GET", "/", **linked)[0] == 200 and ask("GET", "/api/state", **linked)[0] == 403
    assert ask("GET", "/", **linked | {"Sec_Fetch_Dest": "iframe"})[0] == 403


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer x", "Basic x", "Bearer \u00e9"])
@pytest.mark.parametrize("path", ["/api/set", "/api/act", "/api/timeline", "/api/jobs?task=vary"])
def test_nothing_changes_without_the_token(served, ask, path, token):
    before = len(served[0].calls)
    status, _, answer = ask("POST", path, {"name": "stop"}, Authorization=token)
    assert status == 401 and "token" in answer["error"] and len(served[0].calls) == before
    assert ask("DELETE", "/api/jobs/x", Authorization=token)[0] == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_do_nothing(served, ask, method):
    assert ask(method, "/api/set", "{}")[0] in (404, 405, 501)


@pytest.mark.parametrize(
    "path, size", [("/api/jobs?task=vary", 1 << 30), ("/api/set", 1 << 17), ("/api/timeline", 5 << 20)]
)
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(served, path, size):
    _, server = served
    head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            f"Content-Length: {size}\r\n")  # fmt: skip
    assert raw(server.port, f"{head}\r\n".encode()).split()[1] == b"413"
    assert raw(server.port, f"{head}Expect: 100-continue\r\n\r\n".encode()).split()[1] == b"413"
    small = head.replace(str(size), "20")
    assert raw(server.port, f"{small}Expect: 100-continue\r\n\r\n".encode()).split()[1] == b"100"


def test_a_body_that_does_not_say_its_size_is_cut_off(served):
    _, server = served
    head = (f"POST /api/set HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()  # fmt: skip
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    assert raw(server.port, head + chunk * 5).split()[1] == b"413"


def test_a_body_that_never_comes_is_not_waited_for(served, monkeypatch):
    monkeypatch.setattr("plugin_bridge.server.PATIENCE", 0.1)
    _, server = served
    head = (f"POST /api/set HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Length: 20\r\n\r\n{")  # fmt: skip
    assert raw(server.port, head.encode()).split()[1] == b"408"


@given(garbage=st.binary(min_size=1, max_size=300))
def test_garbage_is_answered_or_dropped_and_the_server_lives(served, garbage):
    with socket.create_connection(("127.0.0.1", served[1].port), timeout=5) as line:
        line.sendall(garbage)
    connection = http.client.HTTPConnection("127.0.0.1", served[1].port, timeout=5)
    connection.request("GET", "/api/controls")
    assert connection.getresponse().read().startswith(b"{")
    connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="where 127.0.0.2 is this machine, too")
def test_it_binds_to_one_address_only(served):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", served[1].port), timeout=5)


def test_a_port_that_is_taken_or_cannot_be_is_one_line(served):
    for port in (served[1].port, 99999):
        with pytest.raises(RequestError, match=f"cannot serve the page at 127.0.0.1:{port}: "):
            Server(StandIn(), port)


# The link file


def test_the_link_file_is_for_this_user_only_and_goes_with_the_server(tmp_path):
    path = tmp_path / "live.curl"
    first = Server(StandIn(), link=path)
    text = path.read_text()
    assert f"# url = {first.origin}\n" in text and f'header = "Authorization: Bearer {first.token}"' in text
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = Server(StandIn(), link=path)
    first.close()
    assert second.token in path.read_text(), "the first takes only its own away"
    second.close()
    second.close()
    assert not path.exists() and not list(tmp_path.iterdir())


def test_where_two_run_the_first_is_found_again_when_the_second_has_ended(tmp_path):
    """Unless it was killed meanwhile."""
    path = tmp_path / "live.curl"
    first = Server(StandIn(), link=path)
    Server(StandIn(), link=path).close()
    assert first.token in path.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = Server(StandIn(), link=path)
    first.close()
    second.close()
    assert not list(tmp_path.iterdir())


def test_a_link_that_cannot_be_written_leaves_no_token_behind(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileError, match="live.curl.*No space left"):
        Server(StandIn(), link=tmp_path / "live.curl")
    assert not list(tmp_path.iterdir())


def test_a_server_that_cannot_shut_in_time_is_left(monkeypatch):
    server = Server(StandIn())
    monkeypatch.setattr("plugin_bridge.server.LEAVE", 0.2)
    shut = server._shut

    async def hangs():
        await shut()
        await asyncio.sleep(600)

    monkeypatch.setattr(server, "_shut", hangs)
    server.close()


def test_where_the_link_file_is(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTICIPATION_CONFIG", str(tmp_path))
    assert access.link_file() == tmp_path / "live.curl"
    monkeypatch.delenv("ANTICIPATION_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert access.link_file() == tmp_path / "anticipation" / "live.curl"


# The stream


def events(line, count: int):
    """The first `count` server-sent events of an open response."""
    found = []
    while len(found) < count:
        block = b""
        while not block.endswith(b"\n\n"):
            block += line.readline()
        if block.startswith(b"event"):
            kind, data = block.decode().strip().split("\n")
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_the_stream_tells_all_once_and_then_what_changed(served, ask):
    app, server = served
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/api/stream")
    line = connection.getresponse()
    assert line.getheader("Content-Type").startswith("text/event-stream")
    ((kind, state),) = events(line, 1)
    assert kind == "state" and set(state) == set(app.state())
    app.set("temperature", 1.5)
    ((kind, news),) = events(line, 1)
    assert kind == "change" and news == {"controls": {"temperature": 1.5}, "revision": app.revision}
    app.act("start")
    news = [data for _, data in events(line, 30)]
    assert sum(len(one["notes"]["played"]["new"]) for one in news if "played" in one.get("notes", {})) > 3
    assert all("controls" not in one and "ports" not in one for one in news)
    app.act("stop")
    app.act("locate", seconds=0.0)
    connection.close()


def test_an_app_that_is_busy_holds_up_only_those_who_ask_for_its_state():
    """It saves a take on a slow disk, say; meanwhile whoever listens is the cause that it is asked."""
    asked, goes_on = threading.Event(), threading.Event()

    class Busy(StandIn):
        def state(self):
            asked.set()
            goes_on.wait(60)
            return super().state()

    server = Server(Busy())
    listener, other = (http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(2))
    try:
        listener.request("GET", "/api/stream")
        assert asked.wait(10)
        other.request("GET", "/api/controls")
        assert other.getresponse().status == 200 and not goes_on.is_set()
        goes_on.set()
        assert events(listener.getresponse(), 1)[0][0] == "state"
    finally:
        goes_on.set()
        listener.close()
        other.close()
        server.close()


def test_a_state_that_fails_once_does_not_end_the_stream():
    states = iter([{"n": 0}, RuntimeError("a bug"), {"n": 1}])

    def state() -> dict:
        found = next(states)
        if isinstance(found, Exception):
            raise found
        return found

    async def listen() -> list:
        one = feed.Feed(state)
        queue = one.join()
        heard = [await asyncio.wait_for(queue.get(), 2) for _ in range(2)]
        one.leave(queue)
        return heard

    assert asyncio.run(listen()) == [("state", {"n": 0}), ("change", {"n": 1})]


rows = st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(1, 3)), st.integers(60, 63)), max_size=8)
states = st.fixed_dictionaries(
    {"playing": st.booleans(), "controls": st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.integers(0, 2)}),
     "notes": st.fixed_dictionaries({"heard": rows, "played": rows}), "takes": st.lists(st.integers(0, 2), max_size=2)}
)  # fmt: skip


@given(old=states, new=states)
def test_changes_add_up(old, new):
    """What the page does with a change (api.js: apply), told again in Python."""
    news = feed.change(old, new)
    after = old | {name: value for name, value in news.items() if name not in ("controls", "notes")}
    after["controls"] = old["controls"] | news.get("controls", {})
    after["notes"] = {
        kind: (set(old["notes"][kind]) - set(news.get("notes", {}).get(kind, {"gone": []})["gone"]))
        | set(news.get("notes", {}).get(kind, {"new": []})["new"])
        for kind in old["notes"]
    }
    assert after == new | {"notes": {kind: set(found) for kind, found in new["notes"].items()}}
    assert not feed.change(new, new)


def test_no_thread_or_process_is_left(melody):
    before = threading.active_count()
    server = Server(StandIn())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/api/stream")
    events(answer := connection.getresponse(), 1)
    server.close()  # with a listener on the line, who is told that there is no more: nobody waits for him
    answer.read()
    connection.close()
    assert threading.active_count() <= before


def test_the_api_is_documented_and_the_document_is_true(served):
    """Every route is in the README; every path and every script that the README names is there."""
    text = (UI.parent / "README.md").read_text(encoding="utf-8")
    site = served[1]._site
    routes = {(route.method, route.resource.canonical) for route in site.application().router.routes()}
    for method, path in routes:
        plain = path.replace("{id}", "ID").replace("{name}", "NAME").replace("{file}", "N.mid")
        if method != "HEAD" and path.startswith("/api") and plain != "/api/jobs" and "NAME" not in plain:
            assert f"`{method} {plain}" in text, (method, path)
    for name in re.findall(r"`([\w.-]+\.(?:lua|js|maxpat))`", text):
        assert (access.SCRIPTS / name).is_file(), name
    for code in (400, 401, 403, 404, 408, 413, 503):
        assert str(code) in text
