"""The transport, of the App in virtual time: a clock starts, stops, jumps, goes round or is silent; metres change."""

import numpy as np
import pytest
from test_scheduler import check_clean
from test_session import regular_mind
from virtual import key

from anticipation.live.planner import Step
from anticipation.music.grid import divided
from anticipation.music.harmony import chord_at
from anticipation.score.midi import read
from plugin_bridge import transport, work


def test_a_clock_that_starts_again_while_playing_ends_the_take_with_what_is_held(rehearsal):
    made = rehearsal(sync="clock")
    ticks = [(0.1 + n / 48, [0xF8]) for n in range(96)]
    made.run(2.1, [(0.05, [0xFA]), *ticks, (1.0, [0x90, 60, 80])])
    made.run(2.1, [(0.01, [0xFA]), *((0.02 + n / 48, [0xF8]) for n in range(96)), *key(1.0, 62)])
    made.app.act("stop")
    first, second = made.taken()
    assert first.pitch.tolist() == [60] and first.duration[0] == pytest.approx(1.1, abs=0.05)
    assert second.pitch.tolist() == [62] and any(line.startswith("saved") for line in made.told[:-1])


def test_a_note_between_start_and_the_first_tick_is_on_the_first_beat(rehearsal):
    """It comes before it from a DAW's other port or an eager hand; what was struck long before, or is over, is not."""
    made = rehearsal(sync="clock")
    ticks = [(0.1 + n / 48, [0xF8]) for n in range(96)]
    early = [(0.01, [0x90, 50, 80]), (0.02, [0x90, 51, 80]), (0.04, [0x80, 51, 0])]
    made.run(0.3, [(0.0, [0x90, 40, 80])])
    made.run(2.1, [*early, (0.05, [0xFA]), (0.09, [0x90, 60, 80]), *ticks, (0.35, [0x80, 60, 0]), (0.6, [0x80, 50, 0])])
    made.app.act("stop")
    (notes,) = made.taken()
    assert notes.pitch.tolist() == [50, 60]
    np.testing.assert_allclose(notes.onset, 0.0, atol=0.01)
    np.testing.assert_allclose(notes.duration, [0.5, 0.25], atol=0.02)


def daw_loop(how, bars=4, rounds=3):
    """(seconds, message) of a DAW at 120 bpm that goes round; `how`: what it says at the seam, as Ardour a stop in one
    audio cycle and the rest in the next."""
    say = {"position": [0xF2, 0, 0], "continue": [0xFB], "stop": [0xFC], "start": [0xFA]}
    at, messages = 0.02, [(0.01, [0xF2, 0, 0]), (0.01, [0xFA])]
    for n in range(rounds * bars * 96):
        seam = how if n and n % (bars * 96) == 0 else ()
        messages += [(at - (0.007 if what == "stop" else 0.002) + k * 0.0005, say[what]) for k, what in enumerate(seam)]
        messages += [(at, [0xF8])]
        at += 1 / 48
    return messages, at


@pytest.mark.parametrize("how", ["position", "position continue", "stop position continue", "stop start"])
@pytest.mark.parametrize("mode", ["band", "loop", "timeline"])
def test_a_daw_that_goes_round_is_no_break_for_the_band(rehearsal, how, mode):
    """Nor for the take, the beats that the mind is told, or the key and the pedal that the player holds."""
    mind = regular_mind(pitch=40)
    made = rehearsal(sync="clock", listen=0, mode=mode, plan=mind, thru=True)
    messages, end = daw_loop(how.split())
    made.run(end, [*messages, (3.0, [0x90, 72, 80]), (3.0, [0xB0, 64, 127])])
    onsets = np.array([t for t, m in made.sent if m[0] & 0xF0 == 0x90 and m[1] == 40])
    beats = [scene.chart.beats for scene in mind.scenes]
    assert np.diff(onsets).max() == pytest.approx(0.25, abs=0.02) and np.diff(onsets).min() > 0.2
    assert sum(m[0] in (0x80, 0xB0) and m[1] in (64, 72) for _, m in made.sent) == 1  # the pedal going down
    for told in beats:
        assert np.diff(told.onset) == pytest.approx(0.5, abs=0.01)
        assert set(np.diff(told.pitch) % 4) <= {1}
    made.app.act("stop")
    assert len(made.taken()) == 1


def test_a_timeline_goes_round_with_the_daw(rehearsal):
    """A band that doubles what lies ahead plays what comes, also where the second round begins anew; and what it is
    told of the past is what it was."""
    scenes = []

    def doubles(scene):
        scenes.append(scene)
        for on, length, pitch, *_ in scene.ahead.between(scene.start, scene.end):
            yield Step(on, (on, length, pitch - 20, 0, 80), 0)

    made = rehearsal(sync="clock", listen=0, mode="timeline", plan=doubles)
    made.app.timeline([[0.5 * n, 0.4, 60 + n, 53, 80] for n in range(48)], 0.0)
    messages, end = daw_loop(["position"], rounds=4)
    begin = made.now + 0.02
    made.run(end, messages)
    sent = np.array([(t - begin, m[1]) for t, m in made.sent if m[0] & 0xF0 == 0x90])
    beats = np.rint(sent[:, 0] / 0.5).astype(int)
    right = sent[:, 1] == 40 + beats % 16
    assert beats[right].tolist() == [n for n in range(4, 65) if n != 16], "who has not gone round yet cannot know"
    past = scenes[-1].ahead.between(-np.inf, scenes[-1].start - 0.5)
    assert len(past) > 60 and past.pitch.tolist() == [60 + n % 16 for n in range(len(past))]
    assert np.diff(past.onset) == pytest.approx(0.5, abs=0.02)


def test_a_chart_goes_round_with_the_daw(rehearsal):
    """Eight bars of chords and a loop of four: what is played is on the chords of the bars that come, but where nobody
    can know yet that it goes round, and what the band is told of the past is what was there."""
    scenes = []

    def roots(scene):
        scenes.append(scene)
        for on in divided(scene.chart.beats, 1):
            if scene.start <= on < scene.end:
                root = int(chord_at(scene.chart.chords, np.array([on + 0.2]))[0]) % 12
                yield Step(float(on), (float(on), 0.4, 40 + root, 0, 80), 0)

    made = rehearsal(sync="clock", listen=0, plan=roots, chords="| C | Db | D | Eb | E | F | Gb | G |")
    messages, end = daw_loop(["position"], rounds=4)
    begin = made.now + 0.02
    made.run(end, messages)
    sent = np.array([(t - begin, m[1]) for t, m in made.sent if m[0] & 0xF0 == 0x90])
    beats = np.rint(sent[:, 0] / 0.5).astype(int)
    right = sent[:, 1] == 40 + beats // 4 % 4
    assert beats[~right].tolist() == [16] and len(beats) == 60
    number = np.arange(1, 60)  # of beats since the start
    told = chord_at(scenes[-1].chart.chords, 0.5 * number + 0.25)
    assert (told % 12 == number // 4 % 4).all()


@pytest.mark.parametrize("more", [[], [(0.005, [0xF2, 0, 0])]])
def test_a_stop_by_midi_clock_is_one_after_some_hundredths_of_a_second(rehearsal, more):
    """It might have been a jump; but no note begins any more. A DAW may say next from where it will go on."""
    made = rehearsal(sync="clock", plan=regular_mind(every=0.125, pitch=40))
    made.run(3.986, [*(m for m in daw_loop([])[0] if m[0] < 3.985), (3.985, [0xFC])])
    assert made.app.clock.playing and made.app._patience() < transport.SEAM / 2
    begun = sum(m[0] & 0xF0 == 0x90 for _, m in made.sent)
    made.run(0.05, more)
    assert not made.app.clock.playing and len(made.taken()) == 1
    assert sum(m[0] & 0xF0 == 0x90 for _, m in made.sent) == begun
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])
    song = made.app.clock.song(made.now + 9.0)
    assert made.app.clock.grid.quarters_at(song) == pytest.approx(0 if more else 7.96, abs=0.05)


def test_a_jump_off_the_beat_silences_the_band_and_not_the_player(rehearsal):
    made = rehearsal(listen=0, plan=regular_mind(every=1.0, pitch=40), thru=True)
    made.run(4.5, [(0.1, [0x90, 72, 80])])
    made.app.act("locate", seconds=9.9)
    held = [m for _, m in made.sent if m[0] & 0xF0 == 0x90]
    assert {40, 72} == {m[1] for m in held} and [0x80, 72, 64] not in [m for _, m in made.sent]
    made.run(1.5, [(1.0, [0x80, 72, 0])])
    made.app.act("stop")
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])


def test_a_timeline_that_was_sent_before_the_start_is_there(rehearsal):
    made = rehearsal(mode="timeline")
    made.app.act("stop")
    made.app.timeline([[0.5 * n, 0.4, 60, 0, 80] for n in range(20)], 0.0)
    made.app.act("start")
    made.app.act("forget")
    assert len(made.app.session.known.timeline) == 20


def test_a_metre_that_changes_is_in_the_take_from_its_first_bar_on(rehearsal):
    made = rehearsal()
    made.run(2.6, key(0.1, 60))  # at beat 5.4
    made.app.set("meter", "7/4")
    made.app.set("meter", "3/4")
    made.run(2.0)
    made.app.act("stop")
    tempo = read(next(made.app.recorder.folder.glob("take-*.mid"))).tempo
    assert tempo.meters == ((0, 4, 4), (6 * 480, 3, 4))


@pytest.mark.parametrize(
    ("meter", "bar", "place"), [("6/8", 1.5, (2, 1.667)), ("7/8", 1.75, (2, 2.0)), ("2/2", 2.0, (2, 1.0))]
)
def test_a_song_has_the_metre_that_it_was_told(rehearsal, meter, bar, place):
    """Quarters a minute whatever the metre: its bars are as long as a DAW's, the band enters on one of them, and so do
    the take and whoever asks where the song is."""
    made = rehearsal(plan=regular_mind(), meter=meter, listen=1, bravery=1.0)
    made.run(1.9, key(0.1, 60))
    assert min(on for on, data in made.sent if data[0] & 0xF0 == 0x90) == pytest.approx(1000 + bar, abs=0.002)
    made.run(2.0 - (made.now - 1000.0))
    state = made.app.state()
    assert state["meter"] == [int(n) for n in meter.split("/")] and state["bpm"] == pytest.approx(120)
    assert (state["position"]["bar"], state["position"]["beat"]) == pytest.approx(place, abs=0.03)
    _, start = work.timeline_from_json({"unit": "quarters", "notes": [], "replace_from": 4}, state)
    assert start == pytest.approx(2.0, abs=0.02)
    made.app.act("stop")
    assert read(next(made.app.recorder.folder.glob("take-*.mid"))).tempo.meters == ((0, *state["meter"]),)


@pytest.mark.parametrize("how", ["halted", "unplugged", "crashed"])
@pytest.mark.parametrize("says", [[0xFA], [0xF2, 16, 0], [0xFB]], ids=["start", "position", "continue"])
def test_a_clock_that_was_missed_is_waited_for_until_it_says_where_the_song_is(rehearsal, how, says):
    """The DAW went on meanwhile: its downbeats are no longer ours. One line tells, and the band is silent."""
    made = rehearsal(plan=regular_mind(), sync="clock")
    ticks = [(n / 48, [0xF8]) for n in range(200)]
    made.run(4.17, [(0.0, [0xFA]), *ticks])
    place = made.app.clock.song(made.now)
    assert made.app.hands.scheduler.sounding

    def stand():
        made.now += 60.3

    if how == "halted":
        made.app.halt(stand)
    else:
        made.app.hands.report(("port", "in", "Keys", "lost") if how == "unplugged" else ("hands", "lost"))
        made.run(0.1)
        stand()
    silent = len(made.sent)
    made.run(4.17, [*ticks, *key(1.0, 72)])
    assert len(made.sent) == silent and not made.app.clock.playing and not made.app.hands.scheduler.sounding
    (line,) = [line for line in made.told if "missed" in line]
    assert line == "MIDI clock was missed: the band waits for the next start, continue or song position"
    made.run(4.1, [(0.01, says), *((at + 0.02, tick) for at, tick in ticks[:195])])
    begins = {0xFA: 0.0, 0xF2: 2.0, 0xFB: place}[says[0]]
    assert made.app.clock.song(made.now) == pytest.approx(begins + 4.08, abs=0.02) and len(made.sent) > silent
    made.app.act("stop")
    check_clean(made.sent)
