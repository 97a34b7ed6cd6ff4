"""The local HTTP API, documented in README.md beside this file, and the page. Knows the App by its methods only (state,
set, act, timeline, take); knows no music. One thread of its own with aiohttp's loop; whatever may block runs beside it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anticipation.errors import AnticipationError, RequestError
from anticipation.score.midi import MAX_BYTES

from . import access
from .actions import ACTIONS
from .controls import TABLE
from .feed import Feed, event
from .jobs import Busy, Jobs
from .work import TASKS, parse_json, timeline_from_json

try:
    from aiohttp import web
except ImportError:
    raise RequestError("the page needs aiohttp: python -m pip install 'anticipation-copilot[live]'") from None

UI = Path(__file__).parent / "ui"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LIMITS = {"/api/jobs": MAX_BYTES, "/api/timeline": 4 << 20}  # bytes of a request body
LIMIT = 64 << 10  # of any other
PATIENCE = 20.0  # seconds in which a body has to arrive
HEARTBEAT = 5.0  # seconds of silence after which a stream says that it is alive
LISTENERS = 32
LEAVE = 10.0  # seconds in which connections are closed at the end, at most
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def refuse(status: int, line: str) -> web.Response:
    response = web.json_response({"error": line}, status=status)
    if status in (408, 413):
        response.force_close()  # what is still to come of the body is not waited for
    return response


class Site:
    """The routes. `app` is asked in a thread, so that a slow answer holds up nobody else's."""

    def __init__(self, app: Any, jobs: Jobs, token: str):
        self.app, self.jobs, self.token, self.port = app, jobs, token, 0
        self.feed = Feed(app.state)
        self.files = {path.name: path.read_bytes() for path in UI.iterdir() if path.suffix in TYPES}

    def application(self) -> web.Application:
        made = web.Application(middlewares=[self.guard], client_max_size=MAX_BYTES)
        routes: list[tuple[str, str, Callable]] = [
            ("GET", "/", self.page),
            ("GET", "/ui/{name}", self.file),
            ("GET", "/api/state", self.state),
            ("GET", "/api/stream", self.stream),
            ("GET", "/api/controls", self.controls),
            ("POST", "/api/set", self.set),
            ("POST", "/api/act", self.act),
            ("POST", "/api/timeline", self.timeline),
            ("GET", "/api/takes", self.takes),
            ("GET", "/api/takes/{name}", self.take),
            ("POST", "/api/jobs", self.submit),
            ("GET", "/api/jobs", self.all_jobs),
            ("GET", "/api/jobs/{id}", self.job),
            ("DELETE", "/api/jobs/{id}", self.cancel),
            ("GET", "/api/jobs/{id}/{file}", self.result),
        ]
        for method, path, handler in routes:
            made.router.add_route(method, path, handler, expect_handler=self.expect)
        return made

    def refusal(self, request: web.Request) -> web.Response | None:
        found = access.refusal(request.method, request.path, request.headers, self.port, self.token)
        if found is None and (request.content_length or 0) > LIMITS.get(request.path, LIMIT):
            found = 413, f"the body is larger than the {LIMITS.get(request.path, LIMIT)} bytes that fit here"
        return refuse(*found) if found else None

    async def expect(self, request: web.Request) -> web.StreamResponse | None:
        """A client that asks before it sends a body is told at once."""
        refused = self.refusal(request)
        if refused is None and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return refused

    @web.middleware
    async def guard(self, request: web.Request, handler: Callable) -> web.StreamResponse:
        response = self.refusal(request)
        try:
            response = response or await handler(request)
        except Busy as error:
            response = refuse(503, str(error))
        except AnticipationError as error:
            response = refuse(400, str(error))
        except web.HTTPException as error:
            response = refuse(error.status, error.reason)
        except Exception as error:  # a bug: told to the page and to the log, and the others are served on
            logging.getLogger(__name__).exception("%s %s", request.method, request.path)
            response = refuse(500, f"{type(error).__name__}: {error}")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def body(self, request: web.Request) -> bytes:
        """The body, if it comes in time and is no larger than it may be."""
        limit, chunks = LIMITS.get(request.path, LIMIT), bytearray()
        try:
            async with asyncio.timeout(PATIENCE):
                async for chunk in request.content.iter_chunked(1 << 16):  # a chunked body does not say its length
                    chunks += chunk
                    if len(chunks) > limit:
                        raise web.HTTPRequestEntityTooLarge(limit, len(chunks))
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        return bytes(chunks)

    async def fields(self, request: web.Request) -> dict:
        """The JSON object in the body. Raises RequestError."""
        try:
            found = parse_json(await self.body(request))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RequestError("the body must be a JSON object")
        return found

    async def page(self, request: web.Request) -> web.Response:
        """The page; with the token in it only for whoever has it from the printed address."""
        known = access.same(request.query.get("token", ""), self.token)
        text = self.files["index.html"].decode().replace("{{token}}", self.token if known else "")
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.files or name == "index.html":  # only what was there at the start: no path is ever built
            raise web.HTTPNotFound
        return web.Response(body=self.files[name], content_type=TYPES[Path(name).suffix], charset="utf-8")

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(self.app.state))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if len(self.feed) >= LISTENERS:
            return refuse(503, f"{LISTENERS} pages listen already")
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue = self.feed.join()
        try:
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if message is None:
                    break
                await response.write(event(message))
        except ConnectionError:
            pass
        finally:
            self.feed.leave(queue)
        return response

    async def controls(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "controls": [control.to_dict() for control in TABLE],
                "actions": {name: {"help": a.help, "arguments": list(a.arguments)} for name, a in ACTIONS.items()},
            }
        )

    async def set(self, request: web.Request) -> web.Response:
        given = await self.fields(request)
        if not isinstance(given.get("name"), str) or "value" not in given:
            raise RequestError("set takes a name and a value")
        await asyncio.to_thread(self.app.set, given["name"], given["value"])
        return web.json_response({"ok": True})

    async def act(self, request: web.Request) -> web.Response:
        given = await self.fields(request)
        name, args = given.get("name"), given.get("args", {})
        if not isinstance(name, str) or not isinstance(args, dict):
            raise RequestError("act takes the name of what to do, and args, an object")
        answer = await asyncio.to_thread(lambda: self.app.act(name, **args))
        return web.json_response(answer or {"ok": True})

    async def timeline(self, request: web.Request) -> web.Response:
        rows, start = timeline_from_json(await self.fields(request), await asyncio.to_thread(self.app.state))
        await asyncio.to_thread(self.app.timeline, rows, start)
        return web.json_response({"ok": True, "notes": len(rows)})

    async def takes(self, request: web.Request) -> web.Response:
        return web.json_response((await asyncio.to_thread(self.app.state))["takes"])

    async def take(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        listed = {take["name"] for take in (await asyncio.to_thread(self.app.state))["takes"]}
        found = name if name in listed else name.removesuffix(".mid")
        if found not in listed:
            raise web.HTTPNotFound
        return midi_file(await asyncio.to_thread(self.app.take, found), name)

    async def submit(self, request: web.Request) -> web.Response:
        options = dict(request.query)
        task, wait = options.pop("task", ""), options.pop("wait", "") not in ("", "0", "no")
        job = self.jobs.submit(task, options, await self.body(request))
        if not wait:
            return web.json_response(job.facts(), status=202)
        try:
            over = asyncio.wrap_future(job.over)
            while not over.done():
                self.jobs.get(job.id)  # we are its client as long as ours is there
                await asyncio.wait({over}, timeout=1.0)
        except asyncio.CancelledError:  # hung up
            self.jobs.cancel(job.id)
            raise
        if job.state != "done":
            return refuse(400, job.error)
        return web.json_response(job.facts() | {"results": [take["facts"] for take in job.takes]})

    async def all_jobs(self, request: web.Request) -> web.Response:
        return web.json_response({"tasks": {task: list(options) for task, options in TASKS.items()},
                                  "jobs": self.jobs.all()})  # fmt: skip

    async def job(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            raise web.HTTPNotFound
        return web.json_response(job.facts())

    async def cancel(self, request: web.Request) -> web.Response:
        if self.jobs.get(request.match_info["id"]) is None:
            raise web.HTTPNotFound
        self.jobs.cancel(request.match_info["id"])
        return web.json_response({"ok": True})

    async def result(self, request: web.Request) -> web.Response:
        job, (stem, _, kind) = self.jobs.get(request.match_info["id"]), request.match_info["file"].partition(".")
        if job is None or kind not in ("mid", "json") or stem not in map(str, range(1, len(job.takes) + 1)):
            raise web.HTTPNotFound
        take = job.takes[int(stem) - 1]
        return midi_file(take["mid"], f"{job.task}-{stem}.mid") if kind == "mid" else web.json_response(take["facts"])


def midi_file(data: bytes, name: str) -> web.Response:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name.removesuffix(".mid"))
    headers = {"Content-Disposition": f'attachment; filename="{plain}.mid"'}
    return web.Response(body=data, content_type="audio/midi", headers=headers)


class Server:
    """The page and the API for an App, served from now on. checkpoint: what jobs are done with (default: the shipped
    one). link: the file by which DAW scripts find us. url: what to open, token included; origin: without it. `close`
    may be called twice. Raises RequestError, FileError."""

    def __init__(self, app: Any, port: int = 0, *, checkpoint: str | None = None, link: Path | None = None) -> None:
        self.token, self.port = secrets.token_urlsafe(24), 0
        self._link, self._link_before = link, ""
        self._jobs = Jobs(checkpoint)
        self._site: Site | None = None
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="server", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(app, port), self._loop).result()
            if link:
                self._link_before = access.write_link(link, self.origin, self.token)
        except BaseException:
            self.close()
            raise

    def _live(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    @property
    def origin(self) -> str:
        return f"http://{access.HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/?token={self.token}"

    async def _open(self, app: Any, port: int) -> None:
        self._site = Site(app, self._jobs, self.token)
        self._runner = web.AppRunner(self._site.application(), access_log=None, handler_cancellation=True,
                                     shutdown_timeout=2.0, keepalive_timeout=30.0, lingering_time=0.5)  # fmt: skip
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, access.HOST, port).start()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestError(f"cannot serve the page at {access.HOST}:{port}: {reason}") from None
        self._site.port = self.port = self._runner.addresses[0][1]

    async def _shut(self) -> None:
        if self._site:
            self._site.feed.close()
        if self._runner:
            await self._runner.cleanup()

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        if self._link:
            access.remove_link(self._link, self.token, self._link_before)
        self._jobs.close()
        shut = asyncio.run_coroutine_threadsafe(self._shut(), self._loop)
        try:
            shut.result(LEAVE)
        except TimeoutError:  # no reason to end with an error
            shut.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LEAVE)
