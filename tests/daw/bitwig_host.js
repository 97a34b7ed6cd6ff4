// A stand-in for Bitwig's controller API and the few Java classes our script uses, after their documentation. One clip of sixteen
// quarters; what the script makes is printed. Run: node bitwig_host.js SCRIPT SETTINGS(JSON) SECONDS
const fs = require('fs');
const vm = require('vm');
const { execFileSync } = require('child_process');

const [script, settings, seconds] = [process.argv[2], JSON.parse(process.argv[3]), Number(process.argv[4])];
const tracks = [], popups = [], signals = [];
let selected = null, noteObserver = null;
const value = (get, more = {}) => ({ get, markInterested() {}, ...more });
const setting = (name, initial) => value(() => settings[name] ?? initial, { getRaw: () => settings[name] ?? initial });
const track = () => {
  const made = { title: '', clips: [], name: () => ({ set(text) { made.title = text; } }),
    createNewLauncherClip(slot, length) { made.clips[slot] = { length, notes: [] }; selected = made.clips[slot]; },
    clipLauncherSlotBank: () => ({ select(slot) { selected = made.clips[slot]; } }) };
  return made;
};
const clip = {
  setStepSize(size) { clip.size = size; }, addNoteStepObserver(observer) { noteObserver = observer; }, getLoopLength: () => value(() => 16),
  setStep(channel, x, y, velocity, duration) {
    if (![channel, x, y, velocity].every(Number.isInteger) || !(duration > 0)) throw new Error('setStep: whole numbers');
    selected.notes.push([x * clip.size, duration, y, channel, velocity]);
  },
};
const beats = 8;
const host = {
  defineController() {}, println() {}, showPopupNotification: (text) => popups.push(text), scheduleTask: (task, ms) => setTimeout(task, ms),
  createApplication: () => ({ createInstrumentTrack: () => tracks.push(track()) }),
  createTransport: () => ({ tempo: () => value(null, { value: () => ({ getRaw: () => 120 }) }), isPlaying: () => value(() => true),
    getPosition: () => value(() => beats), timeSignature: () => ({ numerator: () => value(() => 4), denominator: () => value(() => 4) }) }),
  createCursorTrack: () => ({ createLauncherCursorClip: () => clip, selectChannel() {} }),
  createTrackBank: () => ({ itemCount: () => value(() => tracks.length), getItemAt: (i) => tracks[i] }),
  getDocumentState: () => ({
    getEnumSetting: (label, _, options, initial) => setting(label, initial), getStringSetting: (label, _, size, initial) => setting(label, initial),
    getNumberSetting: (label, _, low, high, step, unit, initial) => setting(label, initial),
    getSignalSetting: () => ({ addSignalObserver: (observer) => signals.push(observer) }) }),
};
class Connection {
  constructor(url) { Object.assign(this, { url, method: 'GET', headers: [], body: null }); }
  setRequestMethod(method) { this.method = method; }
  setRequestProperty(name, text) { this.headers.push('-H', `${name}: ${text}`); }
  setConnectTimeout() {} setReadTimeout() {} setDoOutput() {}
  getOutputStream() { return { write: (bytes) => { this.body = bytes; }, close() {} }; }
  getResponseCode() {
    const text = execFileSync('curl', ['-s', '-w', '\n%{http_code}', '-X', this.method, ...this.headers, ...(this.body ? ['--data-binary', '@-'] : []), this.url],
      { input: this.body ?? '' }).toString();
    this.answer = text.slice(0, text.lastIndexOf('\n'));
    return Number(text.slice(text.lastIndexOf('\n') + 1));
  }
  getInputStream() { return this.answer; }
  getErrorStream() { return this.answer; }
}
function JavaString(from) { this.text = Buffer.isBuffer(from) ? from.toString() : String(from); }
JavaString.prototype.toString = function () { return this.text; };
JavaString.prototype.getBytes = function () { return Buffer.from(this.text); };
function Scanner(text) { this.useDelimiter = () => this; this.hasNext = () => text.length > 0; this.next = () => new JavaString(text); }
const java = {
  lang: { String: JavaString, System: { getenv: (name) => process.env[name] ?? null, getProperty: () => process.env.HOME } },
  nio: { file: { Paths: { get: (path) => path }, Files: { exists: fs.existsSync, readAllBytes: (path) => fs.readFileSync(path) } } },
  net: { URL: function URL_(url) { this.openConnection = () => new Connection(url); } }, util: { Scanner },
};
const world = vm.createContext({ loadAPI() {}, host, java, JSON, Math, encodeURIComponent, Object, String, Error });
vm.runInContext(fs.readFileSync(script, 'utf8'), world);
world.init();
const off = process.env.RUBATO ? 5 : 0; // steps: then nobody hears a beat in it
for (let i = 0; i < 16; i += 1) {
  noteObserver({ channel: () => 0, x: () => i * 16 + i * i * off % 14, y: () => 60 + i % 8, state: () => 'NoteOn', duration: () => 0.9, velocity: () => 0.6 });
}
noteObserver({ channel: () => 0, x: () => 0, y: () => 99, state: () => 'NoteOn', duration: () => 1, velocity: () => 1 });
noteObserver({ channel: () => 0, x: () => 0, y: () => 99, state: () => 'Empty' });
if (settings.make) signals[0]();
setTimeout(() => {
  console.log(JSON.stringify({ popups, tracks: tracks.map(({ title, clips }) => ({ title, clips })) }));
  process.exit(0);
}, seconds * 1000);
const poll = setInterval(() => { // done, or told why not: no need to wait on
  if (settings.make && popups.length) { clearInterval(poll); console.log(JSON.stringify({ popups, tracks: tracks.map(({ title, clips }) => ({ title, clips })) })); process.exit(0); }
}, 50);
