"""Another program in the Ableton Link session, a process of its own: python link_peer.py BPM. Starts to play when it
has company, and prints [perf_counter, beat] until a line comes from stdin; then it stops, and prints the last."""

import json
import sys
import threading
import time

import link


def main() -> None:
    session = link.Link(float(sys.argv[1]))
    session.startStopSyncEnabled = session.enabled = True
    while not session.numPeers():
        time.sleep(0.05)
    over = threading.Event()
    threading.Thread(target=lambda: sys.stdin.readline() and over.set(), daemon=True).start()

    def play(on: bool) -> None:
        state, now = session.captureSessionState(), session.clock().micros()
        state.setTempo(float(sys.argv[1]), now)
        state.setIsPlaying(on, now)
        session.commitSessionState(state)

    play(True)
    while not over.wait(0.1):
        now, micros = time.perf_counter(), session.clock().micros()
        print(json.dumps([now, session.captureSessionState().beatAtTime(micros, 4)]), flush=True)
    play(False)
    time.sleep(1)


if __name__ == "__main__":
    main()
