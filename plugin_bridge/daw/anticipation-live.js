// Max for Live, the half in [js]: reads the clip that is shown, and makes tracks with clips of the takes. Knows Live and no HTTP;
// the other half is anticipation-node.js.

autowatch = 1;
outlets = 2; // to node.script, and a line to show

var settings = { task: "accompany", instruments: "piano", takes: "2", scale: "", chords: "", bars: "", rhythm: "0" };
var AHEAD = 32; // quarters that are told of what lies ahead

// "task vary", "instruments piano, finger bass": the settings, from the device's fields.
function anything() {
  var words = arrayfromargs(arguments);
  if (words[0] === "text") words.shift(); // what a textedit says first
  if (messagename in settings) settings[messagename] = words.join(" ");
}

function show(text) { outlet(1, "set", text); }
function problem(text) { show(arrayfromargs(arguments).join(" ")); }
function progress(share) { show("writing: " + Math.round(share * 100) + " %"); }

// The notes of a clip in from <= start < to, moved by `by`: onset, duration, pitch, instrument, velocity, in quarters.
function notesOf(clip, from, to, by) {
  var found = JSON.parse(clip.call("get_notes_extended", 0, 128, from, to - from)).notes, rows = [];
  for (var i = 0; i < found.length; i += 1) {
    var note = found[i];
    if (!note.mute) rows.push([note.start_time + by, note.duration, note.pitch, 0, Math.max(1, Math.round(note.velocity))]);
  }
  return rows;
}

function number(object, name) { return Number(object.get(name)[0]); }

function make() {
  var live = new LiveAPI("live_set"), clip = new LiveAPI("live_set view detail_clip");
  if (Number(clip.id) === 0 || number(clip, "is_midi_clip") !== 1) return show("select a MIDI clip first");
  var start = number(clip, "start_marker"), bpm = number(live, "tempo");
  var top = number(live, "signature_numerator"), bottom = number(live, "signature_denominator"), options = {};
  var rewrites = settings.task === "infill" || settings.task === "vary", kept = rewrites && settings.rhythm === "1";
  for (var name in settings) if (name !== "task" && settings[name]) options[name] = settings[name];
  if (!rewrites) delete options.bars;
  if (!kept) delete options.rhythm;
  if (settings.task === "vary" || kept) delete options.instruments;
  if (settings.task === "continue") options.seconds = String(8 * top * 4 / bottom * 60 / bpm);
  var request = new Dict("anticipation_request");
  request.parse(JSON.stringify({ task: settings.task, options: options, body: { unit: "quarters",
    notes: notesOf(clip, start, number(clip, "end_marker"), -start), tempos: [[0, bpm]], meters: [[0, top, bottom]] } }));
  show("asking");
  outlet(0, "make");
}

function done() {
  var answer = JSON.parse(new Dict("anticipation_answer").stringify()), made = 0, remarks = "";
  answer.takes.forEach(function (take, place) {
    var parts = {};
    (answer.task === "vary" ? take.notes : take.written).forEach(function (note) {
      (parts[note[3]] = parts[note[3]] || []).push({ pitch: note[2], start_time: note[0], duration: note[1], velocity: note[4] });
    });
    for (var instrument in parts) {
      add("take " + (place + 1) + ": " + (take.instruments[instrument] || "given"), parts[instrument]);
      made += 1;
    }
    remarks = take.remarks;
  });
  show(made + " new tracks" + (remarks ? "; " + remarks : ""));
}

function add(name, notes) {
  var live = new LiveAPI("live_set"), index = live.getcount("tracks"), end = 4;
  notes.forEach(function (note) { end = Math.max(end, note.start_time + note.duration); });
  live.call("create_midi_track", -1);
  new LiveAPI("live_set tracks " + index).set("name", name);
  new LiveAPI("live_set tracks " + index + " clip_slots 0").call("create_clip", Math.ceil(end));
  var clip = new LiveAPI("live_set tracks " + index + " clip_slots 0 clip");
  clip.set("name", name);
  clip.call("add_new_notes", { notes: notes });
}

// Once a second while Live plays: what lies ahead in the arrangement, on all tracks but ours.
function timeline() {
  var live = new LiveAPI("live_set");
  if (number(live, "is_playing") !== 1) return;
  var now = number(live, "current_song_time"), rows = [];
  for (var t = 0; t < live.getcount("tracks"); t += 1) {
    var path = "live_set tracks " + t, track = new LiveAPI(path);
    if (/^take \d/.test(String(track.get("name")[0]))) continue;
    for (var c = 0; c < track.getcount("arrangement_clips"); c += 1) {
      var clip = new LiveAPI(path + " arrangement_clips " + c);
      if (number(clip, "is_midi_clip") !== 1) continue;
      var at = number(clip, "start_time"), end = number(clip, "end_time"), by = at - number(clip, "start_marker");
      if (end > now && at < now + AHEAD) rows = rows.concat(notesOf(clip, Math.max(now, at) - by, Math.min(now + AHEAD, end) - by, by));
    }
  }
  new Dict("anticipation_ahead").parse(JSON.stringify({ unit: "quarters", notes: rows, replace_from: now }));
  outlet(0, "timeline");
}
