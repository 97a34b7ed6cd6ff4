"""Jobs: requests in a queue, done one after another in a process of their own. Knows no HTTP and no music.

A job whose client is gone is cancelled by killing the worker process: that works at any point of the job and leaves
nothing half done. The next job starts another worker.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from anticipation.errors import AnticipationError, MidiError, RequestError

from .child import ignore_signals, start
from .work import parse, perform

LEASE = 20.0  # seconds without a request about a job after which its client is taken to be gone
IDLE = 300.0  # seconds without a job after which the worker is ended, to free its memory
QUEUE = 16  # jobs that may wait
KEPT = 32  # finished jobs that can still be fetched


class Busy(RequestError):
    """Too many jobs wait."""


def work(pipe, checkpoint: str | None) -> None:
    """The worker process: jobs in, progress and takes out, until the pipe closes. It runs at low priority, so that it
    does not disturb the music."""
    ignore_signals()
    if hasattr(os, "nice"):
        os.nice(10)
    import torch

    from anticipation.model.checkpoint import load

    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    model = None
    while True:
        try:
            task, options, body = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            model = model or load(checkpoint)
            takes = perform(model, task, options, body, lambda now, total: pipe.send(("progress", now / total)))
            pipe.send(("done", takes))
        except AnticipationError as error:
            pipe.send(("failed", str(error)))
        except (BrokenPipeError, OSError):
            return
        except Exception as error:  # a bug of ours: told, and the next job has a chance
            pipe.send(("failed", f"{type(error).__name__}: {error}"))


@dataclass
class Job:
    """One request. state: waiting, running, done, failed or cancelled. progress: the share that is written."""

    task: str
    options: dict[str, Any]
    body: bytes = field(repr=False)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: str = "waiting"
    progress: float = 0.0
    error: str = ""
    takes: list[dict] = field(default_factory=list, repr=False)
    touched: float = field(default_factory=time.monotonic)
    over: Future = field(default_factory=Future, repr=False)  # resolved, with nothing, in the last three states

    def facts(self) -> dict:
        """What is told of a job."""
        takes = [
            {"mid": f"/api/jobs/{self.id}/{n}.mid", "json": f"/api/jobs/{self.id}/{n}.json",
             "notes": len(take["facts"]["written"]), "chords": take["facts"]["chords"]}
            for n, take in enumerate(self.takes, 1)
        ]  # fmt: skip
        return {"id": self.id, "task": self.task, "state": self.state, "progress": round(self.progress, 3),
                "error": self.error, "seed": self.options["seed"], "takes": takes}  # fmt: skip


class Jobs:
    """A queue, a thread that serves it, and the process that does the work. Methods may be called from any thread."""

    def __init__(self, checkpoint: str | None = None, *, lease: float = LEASE):
        self._checkpoint, self._lease = checkpoint, lease
        self._jobs: dict[str, Job] = {}
        self._wake = threading.Condition()
        self._closed = False
        self._process: Any = None
        self._pipe: Any = None
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._thread.start()

    def submit(self, task: str, given: dict[str, str], body: bytes) -> Job:
        """Queue a job. Raises RequestError, Busy."""
        options = parse(task, given)
        if not body:
            raise MidiError("the request has no body: it should be the MIDI file")
        with self._wake:
            if self._closed or sum(job.state == "waiting" for job in self._jobs.values()) >= QUEUE:
                raise Busy(f"{QUEUE} jobs wait already; try again later")
            job = Job(task, options, body)
            self._jobs[job.id] = job
            self._wake.notify_all()
        return job

    def get(self, key: str) -> Job | None:
        """A job by its id, or None. Asking renews the client's lease on it."""
        with self._wake:
            job = self._jobs.get(key)
            if job:
                job.touched = time.monotonic()
            return job

    def all(self) -> list[dict]:
        with self._wake:
            return [job.facts() for job in self._jobs.values()]

    def cancel(self, key: str) -> None:
        with self._wake:
            job = self._jobs.get(key)
            if job and job.state in ("waiting", "running"):
                self._end(job, "cancelled", "cancelled")
                self._wake.notify_all()

    def close(self) -> None:
        with self._wake:
            self._closed = True
            for job in self._jobs.values():
                if job.state in ("waiting", "running"):
                    self._end(job, "cancelled", "the server closed")
            self._wake.notify_all()
        self._thread.join(10)

    def _end(self, job: Job, state: str, error: str = "", takes: list[dict] | None = None) -> None:
        """Called with the lock held."""
        job.state, job.error, job.takes, job.body = state, error, takes or [], b""
        job.progress = 1.0 if state == "done" else job.progress
        job.over.set_result(None)
        over = [key for key, one in self._jobs.items() if one.over.done()]
        for key in over[:-KEPT]:
            del self._jobs[key]

    def _expire(self) -> None:
        """Cancel what nobody waits for any more. Called with the lock held."""
        for job in list(self._jobs.values()):
            if not job.over.done() and time.monotonic() - job.touched > self._lease:
                self._end(job, "cancelled", "nobody asked for it any more")

    def _serve(self) -> None:
        idle = time.monotonic()
        while True:
            with self._wake:
                self._expire()
                job = next((job for job in self._jobs.values() if job.state == "waiting"), None)
                if job:
                    job.state = "running"
                elif self._closed:
                    break
                else:
                    if time.monotonic() - idle > IDLE:
                        self._stop()
                    self._wake.wait(1.0 if self._jobs or self._process else None)
                    continue
            self._run(job)
            idle = time.monotonic()
        self._stop()

    def _run(self, job: Job) -> None:
        """See one job through. Only this thread touches the process."""
        try:
            if self._process is None or not self._process.is_alive():
                self._process, self._pipe = start("jobs", work, self._checkpoint)
            self._pipe.send((job.task, job.options, job.body))
            while True:
                with self._wake:
                    self._expire()
                    if job.over.done():
                        break
                if not self._pipe.poll(0.05):
                    continue
                kind, value = self._pipe.recv()
                with self._wake:
                    if job.over.done():
                        break
                    if kind == "progress":
                        job.progress = min(1.0, value)
                        continue
                    self._end(job, kind, *(("", value) if kind == "done" else (value,)))
                    return
        except (EOFError, OSError):
            with self._wake:
                if not job.over.done():
                    self._end(job, "failed", "the worker process died; try again")
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join(5)
            self._process = None
