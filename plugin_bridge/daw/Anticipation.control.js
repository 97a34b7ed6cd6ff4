// Bitwig: select a launcher clip, choose a task in the Studio I/O panel, press Make: the takes come back as clips on new tracks.
// While it plays, the selected clip is told to the co-pilot as what lies ahead. Needs `anticipate live`. Copy this one file to
// "Bitwig Studio/Controller Scripts/Anticipation/" and add the controller Anticipation in the settings.

loadAPI(17);
host.defineController("Anticipation", "Anticipation", "0.1", "6f0a8c1e-5d1b-4a53-9f0e-2b7f0f3f9a41", "Anticipation");

var STEP = 1 / 16, STEPS = 2048, SCENES = 8, TRACKS = 64; // quarters of a step; steps of the grid: 128 quarters
var TASKS = ["accompany", "infill", "continue", "vary", "harmonize"];
var clip, cursor, transport, application, bank, set, steps = {}, last = "";

function init() {
  application = host.createApplication();
  transport = host.createTransport();
  cursor = host.createCursorTrack("anticipation", "Anticipation", 0, SCENES, true);
  clip = cursor.createLauncherCursorClip(STEPS, 128);
  clip.setStepSize(STEP);
  bank = host.createTrackBank(TRACKS, 0, SCENES, true);
  clip.addNoteStepObserver(function (note) {
    var key = note.channel() + "/" + note.x() + "/" + note.y();
    if (String(note.state()) === "NoteOn") steps[key] = note; else delete steps[key];
  });
  transport.tempo().markInterested();
  transport.isPlaying().markInterested();
  transport.getPosition().markInterested();
  transport.timeSignature().numerator().markInterested();
  transport.timeSignature().denominator().markInterested();
  clip.getLoopLength().markInterested();
  bank.itemCount().markInterested();
  var state = host.getDocumentState();
  set = {
    task: state.getEnumSetting("Task", "Anticipation", TASKS, TASKS[0]),
    instruments: state.getStringSetting("Instruments", "Anticipation", 80, "piano"),
    takes: state.getNumberSetting("Takes", "Anticipation", 1, 8, 1, "", 2),
    scale: state.getStringSetting("Scale", "Anticipation", 40, ""),
    chords: state.getStringSetting("Chords", "Anticipation", 200, ""),
    bars: state.getStringSetting("Bars to rewrite (3-4)", "Anticipation", 20, ""),
    rhythm: state.getEnumSetting("Rhythm (infill, vary)", "Anticipation", ["new", "kept"], "new"),
    timeline: state.getEnumSetting("Tell what lies ahead", "Anticipation", ["off", "on"], "off")
  };
  for (var name in set) set[name].markInterested();
  state.getSignalSetting("Make", "Anticipation", "Make").addSignalObserver(make);
  host.scheduleTask(tellAhead, 1000);
}

function exit() {}

function say(text) {
  host.showPopupNotification("Anticipation: " + text);
  host.println(text);
}

// Where the co-pilot says where it is (see access.py); null if it does not run.
function link() {
  var home = java.lang.System.getProperty("user.home"), env = function (name) { return java.lang.System.getenv(name); };
  var folders = [env("ANTICIPATION_CONFIG"), env("APPDATA") && env("APPDATA") + "/anticipation",
    (env("XDG_CONFIG_HOME") || home + "/.config") + "/anticipation", home + "/Library/Application Support/anticipation"];
  for (var i = 0; i < folders.length; i += 1) {
    var path = folders[i] && java.nio.file.Paths.get(folders[i] + "/live.curl");
    if (path && java.nio.file.Files.exists(path)) {
      var text = String(new java.lang.String(java.nio.file.Files.readAllBytes(path), "UTF-8"));
      return { url: /# url = (\S+)/.exec(text)[1], token: /Bearer ([^"]+)"/.exec(text)[1] };
    }
  }
  return null;
}

// One request; throws one line.
function ask(method, path, body) {
  var server = link();
  if (!server) throw new Error("start `anticipate live` first");
  var line = new java.net.URL(server.url + path).openConnection();
  line.setRequestMethod(method);
  line.setRequestProperty("Authorization", "Bearer " + server.token);
  line.setConnectTimeout(1000);
  line.setReadTimeout(5000);
  if (body) {
    line.setDoOutput(true);
    var out = line.getOutputStream();
    out.write(new java.lang.String(JSON.stringify(body)).getBytes("UTF-8"));
    out.close();
  }
  var good = line.getResponseCode() < 400;
  var reader = new java.util.Scanner(good ? line.getInputStream() : line.getErrorStream(), "UTF-8").useDelimiter("\\A");
  var answer = JSON.parse(reader.hasNext() ? String(reader.next()) : "{}");
  if (!good) throw new Error(answer.error);
  return answer;
}

// The notes of the selected clip: onset, duration, pitch, instrument, velocity, in quarters.
function clipNotes() {
  var rows = [];
  for (var key in steps) {
    var note = steps[key];
    rows.push([note.x() * STEP, note.duration(), note.y(), note.channel() === 9 ? 128 : 0, Math.max(1, Math.round(note.velocity() * 127))]);
  }
  return rows.sort(function (a, b) { return a[0] - b[0] || a[2] - b[2]; });
}

function make() {
  try {
    var task = String(set.task.get()), query = "?task=" + task + "&takes=" + Math.round(set.takes.getRaw());
    var rewrites = task === "infill" || task === "vary", kept = rewrites && String(set.rhythm.get()) === "kept";
    var wanted = { scale: true, chords: true, instruments: task !== "vary" && !kept, bars: rewrites };
    for (var name in wanted) {
      var value = wanted[name] ? String(set[name].get()) : "";
      if (value) query += "&" + name + "=" + encodeURIComponent(value);
    }
    if (kept) query += "&rhythm=1";
    var bpm = transport.tempo().value().getRaw(), top = transport.timeSignature().numerator().get(), bottom = transport.timeSignature().denominator().get();
    if (task === "continue") query += "&seconds=" + 8 * top * 4 / bottom * 60 / bpm;
    var job = ask("POST", "/api/jobs" + query, { unit: "quarters", notes: clipNotes(), tempos: [[0, bpm]], meters: [[0, top, bottom]] });
    wait(job.id, task);
  } catch (problem) {
    say(problem.message || String(problem));
  }
}

function wait(id, task) {
  try {
    var job = ask("GET", "/api/jobs/" + id);
    if (job.state === "waiting" || job.state === "running") {
      host.scheduleTask(function () { wait(id, task); }, 300);
    } else if (job.state !== "done") {
      say(job.error);
    } else {
      var parts = [], remarks = "";
      job.takes.forEach(function (one, number) {
        var take = ask("GET", one.json);
        parts = parts.concat(partsOf(task, take, number + 1));
        remarks = take.remarks;
      });
      place(parts, 0, remarks);
    }
  } catch (problem) {
    say(problem.message || String(problem));
  }
}

function partsOf(task, take, number) {
  var parts = {};
  (task === "vary" ? take.notes : take.written).forEach(function (note) {
    (parts[note[3]] = parts[note[3]] || { name: "take " + number + ": " + (take.instruments[note[3]] || "given"), drums: note[3] === 128, notes: [] }).notes.push(note);
  });
  return Object.keys(parts).map(function (instrument) { return parts[instrument]; });
}

// One new track after another: Bitwig makes a track, selects it, and only then can it be written to.
function place(parts, index, remarks) {
  if (index >= parts.length) return say(parts.length + " new tracks" + (remarks ? "; " + remarks : ""));
  var part = parts[index], end = part.notes.reduce(function (most, note) { return Math.max(most, note[0] + note[1]); }, 4);
  application.createInstrumentTrack(-1);
  host.scheduleTask(function () {
    var track = bank.getItemAt(bank.itemCount().get() - 1);
    track.name().set(part.name);
    cursor.selectChannel(track);
    track.createNewLauncherClip(0, Math.ceil(end));
    track.clipLauncherSlotBank().select(0);
    host.scheduleTask(function () {
      part.notes.forEach(function (note) {
        var step = Math.round(note[0] / STEP);
        if (step < STEPS) clip.setStep(part.drums ? 9 : 0, step, note[2], note[4], Math.max(STEP, note[1]));
      });
      place(parts, index + 1, remarks);
    }, 200);
  }, 200);
}

// The selected clip goes round from the beginning of the song; what comes in the next 32 quarters is told, once a second.
function tellAhead() {
  host.scheduleTask(tellAhead, 1000);
  if (String(set.timeline.get()) !== "on" || !transport.isPlaying().get()) return;
  try {
    var now = transport.getPosition().get(), length = clip.getLoopLength().get() || 4, rows = [];
    for (var round = Math.floor(now / length); round * length < now + 32; round += 1) {
      clipNotes().forEach(function (note) {
        var onset = note[0] + round * length;
        if (onset >= now && onset < now + 32 && note[0] < length) rows.push([onset].concat(note.slice(1)));
      });
    }
    ask("POST", "/api/timeline", { unit: "quarters", notes: rows, replace_from: now });
    last = "";
  } catch (problem) {
    if (problem.message !== last) say(last = problem.message);
  }
}
