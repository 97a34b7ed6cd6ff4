"""App: the co-pilot as one object. Wires ears, mind, hands and recorder together; knows no music and no HTTP."""

from __future__ import annotations


class App:
    """The contract that pages, DAW scripts, OSC and the command hold on to. Every method may be called from any thread.

    state() -> dict, JSON-able and cheap (poll it 20 times a second):
        {"playing": bool, "mode": str, "sync": str, "bpm": float, "meter": [4, 4],
         "position": {"seconds", "bar", "beat"},       bar and beat counted from 1; bar <= 0 is the count-in
         "controls": {name: value},                    every name of controls.TABLE
         "ports": {"in": [...], "out": [...], "chosen": {"in": str, "out": str}, "api": str},
         "meters": {"reaction_ms": {"p50", "p95"}, "jitter_ms": {"p50", "p99", "max"}, "late": n, "dropped": n,
                    "load": share of real time, "events_per_second": float},     a figure not known yet is None
         "mind": "ready" | "loading" | "restarting" | "dead",
         "band": [{"name": "piano", "instrument": 0, "channel": 1, "on": bool}],
         "notes": {"heard": [[onset, duration | None, pitch, instrument, velocity]...], "played": [...],
                   "planned": [...]},                  the last 16 s and the plan, song seconds; None: still held
         "beats": [[seconds, place in the bar]...],    the grid over the same span, 0 is a downbeat
         "takes": [{"name", "seconds", "notes", "url"}], url is "/takes/NAME"
         "learning": name | None, "message": the last line worth telling, "revision": grows with every change}
    set(name, value) -> None             a control of controls.TABLE. RequestError: unknown name, value out of range
    act(name, **args) -> dict | None     one of controls.ACTIONS. RequestError likewise. keep answers {"name": take}
    timeline(notes, replace_from)        the DAW's future: [onset, duration, pitch, instrument, velocity] lists, song
                                         seconds; replaces what was sent from `replace_from` on. RequestError
    take(name) -> bytes                  a take as a .mid file. RequestError: no such take
    close()                              all notes off, takes saved, processes ended
    """
