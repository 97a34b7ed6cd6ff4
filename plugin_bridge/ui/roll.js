// The live piano roll on a canvas: what was heard and played, the plan as ghosts, bar lines, the playhead. Knows seconds
// and pitches; asks nobody anything.

const WIDE = [9, 5], NARROW = [5, 3]; // seconds to both sides of the playhead
const GUTTER = 46, HEAD = 20, DRUM_LANE = 46, DRUMS = 128;
const BLACK = new Set([1, 3, 6, 8, 10]);

export class Roll {
  constructor(canvas) {
    this.canvas = canvas;
    this.draws = 0;
    this.state = null;
    this.low = 48;
    this.high = 84;
    this.calm = matchMedia('(prefers-reduced-motion: reduce)');
    this.readColours();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { this.readColours(); this.ask(); });
    new ResizeObserver(() => { this.measure(); this.ask(); }).observe(canvas);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    this.ink = (name) => style.getPropertyValue(`--${name}`).trim();
  }

  // How far to the right the top of the roll is free: the legend lies on it where there is room beside the canvas.
  measure() {
    const legend = this.canvas.parentElement.querySelector('.legend');
    this.free = getComputedStyle(legend).position === 'absolute' ? legend.offsetLeft : this.canvas.clientWidth;
  }

  // The colour of an instrument: its place in the band.
  voice(instrument) {
    const place = this.state.band.findIndex((one) => one.instrument === instrument);
    return this.ink(`v${(place < 0 ? 7 : place) % 8}`);
  }

  show(state) {
    const at = state.position.seconds;
    if (!this.state || !state.playing || Math.abs(this.now() - at) > 0.08) this.origin = performance.now() / 1000 - at;
    this.state = state;
    this.fitPitches();
    this.ask();
  }

  // The song time to draw: the server tells it twenty times a second, in between it goes on by itself.
  now() {
    return this.state.playing ? performance.now() / 1000 - this.origin : this.state.position.seconds;
  }

  ask() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      if (!this.state) return;
      this.draw();
      if (this.state.playing) this.ask();
    });
  }

  // All pitches in sight fit; the window moves by octaves, so that it moves seldom.
  fitPitches() {
    const pitches = Object.values(this.state.notes).flat().filter((row) => row[3] < DRUMS).map((row) => row[2]);
    if (!pitches.length) return;
    const least = Math.min(...pitches), most = Math.max(...pitches);
    if (least >= this.low && most < this.high && this.high - this.low - (most - least) < 30) return;
    this.low = Math.max(0, Math.floor((least - 3) / 12) * 12);
    this.high = Math.min(128, Math.max(this.low + 24, Math.ceil((most + 3) / 12) * 12));
  }

  draw() {
    const { canvas } = this, scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const g = canvas.getContext('2d');
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, height);
    const now = this.now(), [past, ahead] = width < 600 ? NARROW : WIDE;
    const start = this.calm.matches ? Math.floor(now / (past - 1)) * (past - 1) - 1 : now - past; // pages, or a scroll
    const perSecond = (width - GUTTER) / (past + ahead);
    const kit = new Set(Object.values(this.state.notes).flat().filter((row) => row[3] === DRUMS).map((row) => row[2]));
    const drums = [...kit].sort((a, b) => a - b); // a line each, the lowest at the bottom
    const floor = height - (drums.length ? DRUM_LANE : 0);
    const key = (floor - HEAD) / (this.high - this.low);
    const view = {
      g, width, height, now, floor, key, drums, right: start + past + ahead, start,
      x: (seconds) => GUTTER + (seconds - start) * perSecond,
      y: (pitch) => floor - (pitch - this.low + 1) * key,
    };
    this.drawKeys(view);
    this.drawGrid(view);
    for (const kind of ['planned', 'played', 'heard']) this.drawNotes(view, kind);
    this.drawHead(view);
    this.draws += 1;
  }

  drawKeys({ g, width, height, floor, key, y }) {
    g.fillStyle = this.ink('black-key');
    for (let pitch = this.low; pitch < this.high; pitch += 1) {
      if (BLACK.has(pitch % 12)) g.fillRect(GUTTER, y(pitch), width - GUTTER, key);
    }
    g.strokeStyle = this.ink('line');
    g.lineWidth = 1;
    g.fillStyle = this.ink('soft');
    g.font = '11px system-ui, sans-serif';
    g.textBaseline = 'middle';
    g.textAlign = 'right';
    for (let pitch = this.low; pitch < this.high; pitch += 12) {
      const at = Math.round(y(pitch) + key) - 0.5;
      g.beginPath(); g.moveTo(GUTTER, at); g.lineTo(width, at); g.stroke();
      g.fillText(`C${pitch / 12 - 1}`, GUTTER - 6, at - Math.max(6, key / 2));
    }
    if (floor < height) g.fillText('drums', GUTTER - 6, (floor + height) / 2);
  }

  drawGrid({ g, width, height, x, start, right, now }) {
    const beats = this.state.beats ?? [];
    const before = beats.filter(([at, place]) => !place && at <= now + 1e-3).length;
    let bar = this.state.position.bar - before;
    g.textAlign = 'left';
    for (const [at, place] of beats) {
      if (!place) bar += 1;
      if (at < start || at > right) continue;
      const line = Math.round(x(at)) + 0.5;
      g.strokeStyle = this.ink(place ? 'beat' : 'bar');
      g.beginPath(); g.moveTo(line, place ? HEAD : 0); g.lineTo(line, height); g.stroke();
      if (!place && line + 8 + g.measureText(bar).width < this.free) g.fillText(String(bar), line + 4, HEAD / 2);
    }
  }

  drawNotes({ g, width, height, x, y, key, floor, drums, now }, kind) {
    for (const [onset, duration, pitch, instrument, velocity] of this.state.notes[kind] ?? []) {
      const left = Math.max(GUTTER, x(onset)), end = duration === null ? Math.max(now, onset + 0.05) : onset + duration;
      const drum = instrument === DRUMS;
      const long = drum ? 6 : Math.max(3, x(end) - left - 1);
      if (left > width || (!drum && x(end) < GUTTER) || (drum && x(onset) < GUTTER)) continue;
      const tall = drum ? 6 : Math.max(5, key - 1);
      const top = drum ? height - 8 - (drums.indexOf(pitch) + 0.5) * (height - floor - 12) / drums.length : y(pitch) + (key - tall) / 2;
      const colour = kind === 'heard' ? this.ink('you') : this.voice(instrument);
      g.fillStyle = g.strokeStyle = colour;
      g.beginPath();
      g.roundRect(left, top, long, tall, Math.min(3, tall / 2));
      if (kind === 'planned') {
        g.globalAlpha = 0.16; g.fill();
        g.globalAlpha = 0.9; g.lineWidth = 1.25; g.setLineDash([3, 2]); g.stroke(); g.setLineDash([]);
      } else {
        g.globalAlpha = 0.5 + 0.5 * Math.min(1, velocity / 110); g.fill();
      }
      g.globalAlpha = 1;
    }
  }

  drawHead({ g, height, x, now }) {
    const at = Math.round(x(now)) + 0.5;
    g.strokeStyle = this.ink('head');
    g.fillStyle = this.ink('head');
    g.lineWidth = 2;
    g.beginPath(); g.moveTo(at, 0); g.lineTo(at, height); g.stroke();
    g.beginPath(); g.moveTo(at - 6, 0); g.lineTo(at + 6, 0); g.lineTo(at, 8); g.fill();
    g.lineWidth = 1;
  }
}
