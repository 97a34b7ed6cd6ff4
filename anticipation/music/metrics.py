"""Rubrics: what can be said of music by counting. Each is a pair: what was counted, and out of how much. Knows notes
and chords; knows no models and no files."""

from __future__ import annotations

import numpy as np

from .dynamics import loudness
from .harmony import CHORD_TONES, NO_CHORD, chord_at
from .notes import TOGETHER, Notes, moments

MET = 0.05  # seconds between two onsets that count as the same
DOUBLED = 0.06  # seconds between two onsets of which one doubles the other
LATER = 0.02  # seconds: a note that begins so shortly before a chord belongs to it
FIFTH = 7  # semitones
SETTLED = 0.08  # seconds after a downbeat at which the bass is looked up
STEP = 0.5  # seconds that stand for a beat where none are known
AROUND = 0.5  # seconds on both sides of an edge
LONGEST = 64  # sixteenths of a bar that are told apart
DISSONANT = (1, 2, 6, 10, 11)  # semitones within an octave: seconds, sevenths and tritones


def harmony_rate(written: Notes, melody: Notes, chords: Notes) -> tuple[int, int]:
    """(in the chord, counted) onsets of `written`. Counted are those where a chord is labelled and whose pitch class is
    not that of the last melody onset, for doubling the melody proves nothing."""
    written = written.pitched
    if not len(written):
        return 0, 0
    last = np.searchsorted(melody.onset, written.onset + 1e-3, side="right")  # 0: none yet
    doubled = np.append(-1, melody.pitch % 12)[last] == written.pitch % 12
    symbol = chord_at(chords, written.onset + LATER)
    counted = ~doubled & (symbol >= 0) & (symbol < NO_CHORD)
    return int(CHORD_TONES[symbol, written.pitch % 12][counted].sum()), int(counted.sum())


def doubling(written: Notes, melody: Notes) -> tuple[int, int]:
    """(doubling, all) onsets of `written`: doubling are those at the same time as a melody onset of their pitch class.
    (0, 0) without a melody."""
    written = written.pitched
    if not len(written) or not len(melody):
        return 0, 0
    near = abs(written.onset[:, None] - melody.onset[None]) <= DOUBLED
    same = written.pitch[:, None] % 12 == melody.pitch[None] % 12
    return int((near & same).any(1).sum()), len(written)


def melody_support(written: Notes, melody: Notes, beats: Notes) -> tuple[int, int]:
    """(supported, all) melody onsets: supported are those whose pitch class sounds in `written` within the same beat
    (half a second where no beats are known)."""
    written = written.pitched
    if len(beats):
        i = np.clip(np.searchsorted(beats.onset, melody.onset + 1e-3, side="right") - 1, 0, len(beats) - 1)
        start, end = beats.onset[i], beats.offset[i]
    else:
        start, end = melody.onset - STEP / 2, melody.onset + STEP / 2
    sounds = (written.onset[None] < end[:, None]) & (written.offset[None] > start[:, None])
    same = written.pitch[None] % 12 == melody.pitch[:, None] % 12
    return int((sounds & same).any(1).sum()), len(melody)


def in_key(written: Notes, reference: Notes) -> tuple[int, int]:
    """(in key, all) onsets: in key are those whose pitch class is among the reference's seven commonest (by time)."""
    written, reference = written.pitched, reference.pitched
    weight = np.bincount(reference.pitch % 12, weights=reference.duration, minlength=12)
    return int(np.isin(written.pitch % 12, np.argsort(-weight)[:7]).sum()), len(written)


def onset_f1(written: Notes, human: Notes) -> tuple[int, int]:
    """(2 x matched, written + human) moments; their ratio is F1. Each moment is matched at most once, with one at most
    MET away."""
    ours, theirs = moments(written).tolist(), moments(human).tolist()
    i = j = matched = 0
    while i < len(ours) and j < len(theirs):  # of points on a line the earliest pairs make the most pairs
        if abs(ours[i] - theirs[j]) <= MET + 1e-9:
            i, j, matched = i + 1, j + 1, matched + 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    return 2 * matched, len(ours) + len(theirs)


def note_f1(written: Notes, human: Notes) -> tuple[int, int]:
    """As `onset_f1`, for each pitch class by itself: whether the same notes begin, in any octave."""
    classes = np.unique(np.append(written.audible.pitch, human.audible.pitch) % 12)
    pairs = [onset_f1(written[written.pitch % 12 == c], human[human.pitch % 12 == c]) for c in classes]
    return sum(matched for matched, _ in pairs), sum(count for _, count in pairs)


def sixteenths(notes: Notes, beats: Notes) -> np.ndarray:
    """The sixteenth, counted from the first beat, that each note begins nearest to; notes outside the beats are left
    out."""
    onset = notes.audible.onset
    if not len(beats):
        return np.zeros(0, np.int64)
    i = np.searchsorted(beats.onset, onset + 1e-6, side="right") - 1
    onset, i = onset[i >= 0], i[i >= 0]
    inside = onset < beats.offset[i] + 1e-6
    onset, i = onset[inside], i[inside]
    return 4 * i + np.rint(4 * (onset - beats.onset[i]) / beats.duration[i]).astype(np.int64)


def sixteenth_f1(written: Notes, human: Notes, beats: Notes) -> tuple[int, int]:
    """(2 x shared, written + human) sixteenths on which something begins."""
    ours, theirs = (np.unique(sixteenths(notes, beats)) for notes in (written, human))
    return 2 * len(np.intersect1d(ours, theirs)), len(ours) + len(theirs)


def groove(written: Notes, human: Notes, beats: Notes) -> tuple[float, int]:
    """(sum of similarities, bars in which the human plays): the cosine between the two's onsets on the sixteenths of
    each bar."""
    bar = np.cumsum(beats.pitch == 0) if len(beats) else np.zeros(1, np.int64)
    bar = np.append(bar, bar[-1] + 1)  # an onset nearest to the end of the last beat
    first = np.searchsorted(bar, np.arange(bar[-1] + 1))  # beat that each bar begins with
    tables = []
    for notes in (written, human):
        sixteenth = sixteenths(notes, beats)
        number = bar[sixteenth // 4]
        place = np.minimum(sixteenth - 4 * first[number], LONGEST - 1)
        tables.append(np.bincount(number * LONGEST + place, minlength=LONGEST * len(first)).reshape(-1, LONGEST))
    ours, theirs = tables
    size = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(1)[size > 0] / size[size > 0]).sum()), int(theirs.any(1).sum())


def pitch_classes(written: Notes, human: Notes) -> tuple[float, int]:
    """(overlap, 1): how much the shares of time of the pitch classes have in common, 0-1. (0, 0) where the human plays
    no pitches."""
    shares = []
    for notes in (written.pitched, human.pitched):
        time = np.bincount(notes.pitch % 12, weights=notes.duration, minlength=12)
        shares.append(time / max(time.sum(), 1e-9))
    return float(np.minimum(*shares).sum()), int(len(human.pitched) > 0)


def repeats(written: Notes) -> tuple[int, int]:
    """(again, all but the first) moments of the pitched parts: again are those that begin the same pitches as the one
    before."""
    again = total = 0
    for instrument in written.pitched.instruments:
        own = written[written.instrument == instrument]
        begin = moments(own)
        begun = np.zeros((len(begin), 128), dtype=bool)
        begun[np.searchsorted(begin, own.onset, side="right") - 1, own.pitch] = True
        again += int((begun[1:] == begun[:-1]).all(1).sum())
        total += len(begin) - 1
    return again, total


def leaps(written: Notes, known: Notes) -> tuple[int, int]:
    """(more than a fifth, all) moves of the pitched parts' top lines from one moment to the next, of which one at least
    is written: whether what is written makes a line with what is known."""
    wide = total = 0
    for instrument in written.pitched.instruments:
        part = known + written
        begin = moments(part[part.instrument == instrument])
        top = np.full((2, len(begin)), -1)
        for line, notes in zip(top, (known, written), strict=True):
            own = notes.audible[notes.audible.instrument == instrument]
            np.maximum.at(line, np.searchsorted(begin, own.onset, side="right") - 1, own.pitch)
        ours, highest = top[1] > top[0], top.max(0)
        move = ours[1:] | ours[:-1]
        wide += int((abs(np.diff(highest))[move] > FIFTH).sum())
        total += int(move.sum())
    return wide, total


def loudness_off(written: Notes, human: Notes) -> tuple[float, int]:
    """(sum of differences, moments): how far apart the two are in loudness (1: the whole range of velocities) at
    moments where the human begins something, his velocities are known, and both play."""
    human, written = human.audible[human.audible.velocity > 0], written.audible
    when = moments(human)
    (theirs, there), (ours, here) = loudness(human, when), loudness(written, when)
    both = (there > 0) & (here > 0)
    return float(abs(theirs - ours)[both].sum() / 127), int(both.sum())


def dissonance(written: Notes, known: Notes, edges: tuple[float, ...]) -> tuple[int, int]:
    """(dissonant, all) pairs of a written and a known note that both sound around one of the edges (seconds) of what
    was written."""
    written, known = written.pitched, known.pitched
    bad = total = 0
    for edge in edges:
        ours, theirs = (n.pitch[(n.onset < edge + AROUND) & (n.offset > edge - AROUND)] for n in (written, known))
        steps = abs(ours[:, None] - theirs[None]) % 12
        bad, total = bad + int(np.isin(steps, DISSONANT).sum()), total + steps.size
    return bad, total


# A band: bass and drums that play together.

KICK, SNARES = 36, (37, 38, 39, 40)
TIMEKEEPERS = (42, 44, 46, 51, 53, 59)  # hats and rides
SIXTEENTHS = 16  # of a bar in 4/4


def bass_on_chord(bass: Notes, chords: Notes, beats: Notes) -> tuple[int, int]:
    """(on a chord tone, counted) downbeats at which the bass sounds and a chord is labelled, by the lowest note that
    sounds just after."""
    downbeats = beats.onset[beats.pitch == 0] + SETTLED
    bass = bass.pitched
    if not len(bass) or not len(downbeats):
        return 0, 0
    sounds = (bass.onset[None] <= downbeats[:, None]) & (bass.offset[None] > downbeats[:, None])
    lowest = np.where(sounds, bass.pitch[None], 128).min(1)
    symbol = chord_at(chords, downbeats)
    counted = (lowest < 128) & (symbol >= 0) & (symbol < NO_CHORD)
    return int(CHORD_TONES[symbol, lowest % 12][counted].sum()), int(counted.sum())


def kick_with_bass(drums: Notes, bass: Notes) -> tuple[int, int]:
    """(met, all) onsets of the bass drum and of the bass: met are those with one of the other. Their ratio is the F1 of
    one as a guess at the other."""
    kick, low = drums.onset[drums.pitch == KICK], np.unique(bass.pitched.onset)
    if not len(kick) or not len(low):
        return 0, len(kick) + len(low)
    near = abs(kick[:, None] - low[None]) <= MET
    return int(near.any(0).sum() + near.any(1).sum()), len(kick) + len(low)


def groove_profile(drums: Notes, beats: Notes) -> np.ndarray:
    """(4, 16) how hard kick, snares, timekeepers (hats and rides) and all others strike on each sixteenth, on average
    over the bars in 4/4; zeros without such bars."""
    starts = np.flatnonzero(beats.pitch == 0)
    whole = starts[:-1][np.diff(starts) == 4]
    profile = np.zeros((4, SIXTEENTHS))
    if not len(whole) or not len(drums):
        return profile
    beat = np.searchsorted(beats.onset, drums.onset + TOGETHER, side="right") - 1
    drums, beat = drums[beat >= 0], beat[beat >= 0]
    sixteenth = np.rint((drums.onset - beats.onset[beat]) / beats.duration[beat] * 4).astype(int)
    beat, sixteenth = np.divmod(beat * 4 + np.maximum(sixteenth, 0), 4)  # of 4, the next beat
    bar = np.searchsorted(starts, beat, side="right") - 1
    inside = (bar >= 0) & np.isin(starts[np.maximum(bar, 0)], whole)
    drums, place = drums[inside], (beat - starts[np.maximum(bar, 0)])[inside] * 4 + sixteenth[inside]
    groups = [drums.pitch == KICK, np.isin(drums.pitch, SNARES), np.isin(drums.pitch, TIMEKEEPERS)]
    np.add.at(profile, (np.select(groups, [0, 1, 2], 3), place), np.maximum(drums.velocity, 1) / 127)
    return profile / len(whole)


def groove_similarity(profile: np.ndarray, references: np.ndarray) -> float:
    """The cosine of a profile with the most similar one of references (N, 4, 16); 0 for silence."""
    size = np.linalg.norm(references.reshape(len(references), -1), axis=1) * np.linalg.norm(profile)
    shared = (references * profile).sum((1, 2))
    return float(np.where(size > 0, shared / np.maximum(size, 1e-9), 0.0).max(initial=0.0))
