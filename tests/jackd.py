"""JACK servers for tests and benches: MIDI without a sound card. Synchronous ones (-S) keep bursts in order, and wait
for ever for a client that was killed."""

import os
import subprocess
import time

SYNCHRONOUS = ("-S", "-t", "5000")


def serve_jack(name: str, *how: str, period: int = 64) -> subprocess.Popen:
    """Start a server; it answers. Raises OSError where it does not, or where another has that name."""
    if answers(name):
        raise OSError(f"a JACK server {name} is there already")
    world = _world(name)
    line = f"jackd -r -n {name} -p 512 {' '.join(how)} -d dummy -r 48000 -p {period} -C 2 -P 2"
    server = subprocess.Popen(line.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=world)
    for _ in range(100):
        if answers(name) and server.poll() is None:
            return server
        time.sleep(0.1)
    server.kill()
    server.wait()
    raise OSError("jackd does not start")


def unused(name: str) -> str:
    """That name, or one like it, that no server here has: another run of these tests may be at work, or may have left
    one. Fixed names, for JACK has eight places, and gives a dead server's to its namesake only."""
    return next(n for n in (name, *(f"{name}{k}" for k in range(2, 5))) if not answers(n))


def answers(name: str) -> bool:
    """Whether a server still lets clients in."""
    try:
        return subprocess.run(["jack_lsp"], capture_output=True, env=_world(name), timeout=5.0).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _world(name: str) -> dict[str, str]:
    return os.environ | {"JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1"}
