// Reads a Standard MIDI File as far as one needs to hear it: notes in seconds, with program and channel.

export function readMidi(buffer) {
  const view = new DataView(buffer);
  if (view.getUint32(0) !== 0x4d546864) throw new Error('not a MIDI file');
  const ppqn = view.getUint16(12), events = [];
  let at = 8 + view.getUint32(4);
  while (at + 8 <= view.byteLength) {
    const end = Math.min(view.byteLength, at + 8 + view.getUint32(at + 4));
    if (view.getUint32(at) === 0x4d54726b) readTrack(view, at + 8, end, events);
    at = end;
  }
  events.sort((a, b) => a.tick - b.tick || a.rank - b.rank);
  return notesOf(events, ppqn);
}

function readTrack(view, at, end, events) {
  let tick = 0, running = 0;
  const length = () => {
    let value = 0, byte;
    do { byte = view.getUint8(at++); value = value << 7 | byte & 127; } while (byte & 128);
    return value;
  };
  while (at < end) {
    tick += length();
    let status = view.getUint8(at);
    if (status & 128) at += 1; else status = running;
    if (status === 0xff) {
      const kind = view.getUint8(at++), size = length();
      if (kind === 0x51) events.push({ tick, rank: 0, tempo: view.getUint32(at - 1) & 0xffffff });
      at += size;
    } else if (status >= 0xf0) {
      at += length();
    } else {
      running = status;
      const kind = status >> 4, one = view.getUint8(at), two = kind === 12 || kind === 13 ? 0 : view.getUint8(at + 1);
      at += kind === 12 || kind === 13 ? 1 : 2;
      if (kind === 12) events.push({ tick, rank: 1, channel: status & 15, program: one });
      if (kind === 8 || kind === 9) {
        events.push({ tick, rank: kind === 9 && two ? 3 : 2, channel: status & 15, pitch: one, velocity: kind === 9 ? two : 0 });
      }
    }
  }
}

function notesOf(events, ppqn) {
  let seconds = 0, tick = 0, rate = 0.5 / ppqn;
  const programs = new Array(16).fill(0), open = new Map(), notes = [];
  for (const event of events) {
    seconds += (event.tick - tick) * rate;
    tick = event.tick;
    if (event.tempo) rate = event.tempo / 1e6 / ppqn;
    else if (event.rank === 1) programs[event.channel] = event.program;
    else {
      const key = event.channel * 128 + event.pitch, note = open.get(key);
      if (note) { note.duration = seconds - note.onset; open.delete(key); }
      if (event.velocity) {
        const fresh = { onset: seconds, duration: 0.1, pitch: event.pitch, velocity: event.velocity,
          instrument: event.channel === 9 ? 128 : programs[event.channel] };
        open.set(key, fresh);
        notes.push(fresh);
      }
    }
  }
  return notes;
}
