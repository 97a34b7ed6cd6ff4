// A stand-in for Max for Live: the objects [js] and [node.script] with our two scripts in them, wired as in Anticipation.maxpat, the
// dictionaries that they share, and as much of the Live object model as they use. Run: node ableton_host.js FOLDER SETTINGS(JSON)
const fs = require('fs');
const path = require('path');
const vm = require('vm');
const Module = require('module');

const [folder, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const dictionaries = {}, shown = [], handlers = {};
const off = process.env.RUBATO ? 0.37 : 0; // quarters: then nobody hears a beat in it
const notes = Array.from({ length: 16 }, (_, i) => ({ note_id: i, pitch: 60 + i % 8, start_time: 2 + i + i * i * off % 0.9, duration: 0.9, velocity: 80, mute: i === 15 ? 1 : 0 }));
const melody = { is_midi_clip: 1, start_marker: 2, end_marker: 18, start_time: 8, end_time: 24, notes };
const set = { tempo: 120, signature_numerator: 4, signature_denominator: 4, is_playing: 1, current_song_time: 10,
  tracks: [{ name: 'Melody', arrangement_clips: [melody], clip_slots: [] }], view: { detail_clip: melody } };

function find(where) {
  return where.split(' ').slice(1).reduce((at, step) => (at === undefined ? undefined : at[/^\d+$/.test(step) ? Number(step) : step]), set);
}
class LiveAPI {
  constructor(where) { this.object = find(where); this.id = this.object ? '1' : '0'; }
  get(name) { if (!(name in this.object)) throw new Error(`no property ${name}`); return [this.object[name]]; }
  set(name, value) { this.object[name] = value; }
  getcount(name) { return this.object[name].length; }
  call(name, ...args) {
    if (name === 'create_midi_track') set.tracks.push({ name: '', arrangement_clips: [], clip_slots: [{}] });
    else if (name === 'create_clip') this.object.clip = { length: args[0], notes: [] };
    else if (name === 'add_new_notes') this.object.notes.push(...args[0].notes);
    else if (name === 'get_notes_extended') {
      const [low, span, from, time] = args;
      return JSON.stringify({ notes: this.object.notes.filter((n) => n.pitch >= low && n.pitch < low + span && n.start_time >= from && n.start_time < from + time) });
    } else throw new Error(`no function ${name}`);
    return undefined;
  }
}
class Dict {
  constructor(name) { this.name = name; }
  parse(text) { dictionaries[this.name] = JSON.parse(text); }
  stringify() { return JSON.stringify(dictionaries[this.name]); }
}
const world = vm.createContext({ LiveAPI, Dict, JSON, Math, Number, String, arrayfromargs: (args) => Array.from(args),
  outlet(which, name, ...rest) { if (which === 0) setImmediate(() => handlers[name](...rest)); else shown.push(rest.join(' ')); } });
vm.runInContext(fs.readFileSync(path.join(folder, 'anticipation-live.js'), 'utf8'), world);
const max = { addHandler(name, run) { handlers[name] = run; }, getDict: async (name) => dictionaries[name],
  setDict: async (name, data) => { dictionaries[name] = data; }, outlet: async (name, ...rest) => { world[name](...rest); if (name === 'done' || name === 'problem') finish(); } };
const load = Module._load;
Module._load = (name, ...rest) => (name === 'max-api' ? max : load(name, ...rest));
require(path.join(folder, 'anticipation-node.js'));
function finish() {
  console.log(JSON.stringify({ shown, tracks: set.tracks.slice(1).map(({ name, clip_slots: [{ clip }] }) => ({ name, length: clip.length, notes: clip.notes })) }));
  process.exit(0);
}
for (const [name, text] of Object.entries(settings)) {
  if (name === 'timeline') continue;
  world.messagename = name;
  world.anything('text', ...text.split(' '));
}
if (settings.timeline) { world.timeline(); setTimeout(finish, 1500); } else world.make();
if (!settings.timeline && shown.length && !dictionaries.anticipation_request) finish();
