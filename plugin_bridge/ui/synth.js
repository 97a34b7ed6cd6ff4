// A small synthesizer to audition takes with: a few oscillators and envelopes per family of instruments. Knows no page.

// Per eight General MIDI programs: wave, attack, decay (time constant, s), sustain level, release, brightness in harmonics.
const FAMILIES = [
  ['triangle', 0.003, 0.7, 0.0, 0.18, 7], // piano
  ['sine', 0.002, 0.5, 0.0, 0.3, 8], // chromatic percussion
  ['square', 0.01, 1, 0.8, 0.06, 4], // organ
  ['sawtooth', 0.003, 0.5, 0.0, 0.1, 5], // guitar
  ['triangle', 0.006, 0.7, 0.3, 0.08, 5], // bass
  ['sawtooth', 0.08, 1, 0.8, 0.25, 4], // strings
  ['sawtooth', 0.1, 1, 0.8, 0.3, 3], // ensemble
  ['sawtooth', 0.03, 1, 0.7, 0.1, 5], // brass
  ['square', 0.02, 1, 0.7, 0.08, 5], // reed
  ['sine', 0.03, 1, 0.8, 0.1, 8], // pipe
  ['square', 0.005, 1, 0.6, 0.06, 6], // lead
  ['triangle', 0.25, 1, 0.8, 0.5, 4], // pad
  ['triangle', 0.05, 1, 0.5, 0.4, 5], // effects
  ['sawtooth', 0.003, 0.4, 0.0, 0.1, 6], // plucked
  ['sine', 0.002, 0.25, 0.0, 0.1, 6], // percussive
  ['triangle', 0.02, 1, 0.4, 0.2, 4], // sounds
];
const AHEAD = 0.6; // seconds of notes that are handed to the audio thread at a time

export class Synth {
  constructor() {
    this.context = null;
    this.stop();
  }

  // Play notes; tick(share) while they sound, over() at the end or when something else begins.
  play(notes, tick, over) {
    this.stop();
    this.context ??= this.open();
    this.context.resume();
    const start = this.context.currentTime + 0.08, bus = this.context.createGain();
    bus.connect(this.master);
    const first = notes.length ? notes[0].onset : 0, end = Math.max(first, ...notes.map((n) => n.onset + n.duration));
    let next = 0;
    const step = () => {
      const now = this.context.currentTime - start + first;
      while (next < notes.length && notes[next].onset < now + AHEAD) this.note(notes[next++], start - first, bus);
      tick(Math.min(1, (now - first) / (end - first || 1)));
      if (now > end + 0.4) this.stop();
    };
    const timer = setInterval(step, 100);
    this.running = () => { clearInterval(timer); bus.gain.setTargetAtTime(0, this.context.currentTime, 0.02); over(); };
    step();
  }

  stop() {
    const running = this.running;
    this.running = null;
    running?.();
  }

  open() {
    const context = new AudioContext();
    const squeeze = context.createDynamicsCompressor();
    this.master = context.createGain();
    this.master.gain.value = 0.5;
    this.level = context.createAnalyser();
    this.master.connect(squeeze).connect(this.level).connect(context.destination);
    const hiss = context.createBuffer(1, context.sampleRate / 2, context.sampleRate), data = hiss.getChannelData(0);
    for (let i = 0; i < data.length; i += 1) data[i] = Math.random() * 2 - 1;
    this.hiss = hiss;
    return context;
  }

  note({ onset, duration, pitch, velocity, instrument }, origin, bus) {
    const at = Math.max(this.context.currentTime, origin + onset), loud = (velocity / 127) ** 1.6;
    if (instrument === 128) this.drum(at, pitch, loud, bus);
    else this.tone(at, duration, pitch, loud, FAMILIES[instrument >> 3], bus);
  }

  tone(at, duration, pitch, loud, [wave, attack, decay, sustain, release, harmonics], bus) {
    const { context } = this, frequency = 440 * 2 ** ((pitch - 69) / 12), off = at + Math.max(duration, attack + 0.02);
    const source = context.createOscillator(), filter = context.createBiquadFilter(), gain = context.createGain();
    source.type = wave;
    source.frequency.value = frequency;
    filter.frequency.value = Math.min(15000, frequency * harmonics * (0.5 + 0.7 * loud));
    const peak = 0.32 * loud * (wave === 'sine' || wave === 'triangle' ? 1.3 : 0.7);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(peak, at + attack);
    gain.gain.setTargetAtTime(peak * sustain, at + attack, decay);
    gain.gain.setTargetAtTime(0, off, release / 3);
    source.connect(filter).connect(gain).connect(bus);
    source.start(at);
    source.stop(off + release * 2);
  }

  drum(at, pitch, loud, bus) {
    const { context } = this, gain = context.createGain(), deep = pitch <= 36 || (pitch >= 41 && pitch <= 50 && pitch % 2);
    const long = pitch === 49 || pitch === 57 || pitch === 51 ? 0.5 : deep ? 0.18 : pitch === 42 || pitch === 44 ? 0.04 : 0.11;
    gain.gain.setValueAtTime(0.6 * loud, at);
    gain.gain.setTargetAtTime(0, at + 0.005, long / 3);
    gain.connect(bus);
    if (deep || pitch === 38 || pitch === 40) {
      const skin = context.createOscillator(), base = deep ? 50 + (pitch - 35) * 5 : 180;
      skin.frequency.setValueAtTime(base * 2.4, at);
      skin.frequency.exponentialRampToValueAtTime(base, at + 0.06);
      skin.connect(gain);
      skin.start(at);
      skin.stop(at + long * 2);
    }
    if (!deep) {
      const noise = context.createBufferSource(), filter = context.createBiquadFilter();
      noise.buffer = this.hiss;
      filter.type = 'highpass';
      filter.frequency.value = pitch === 38 || pitch === 40 ? 1500 : 6500;
      noise.connect(filter).connect(gain);
      noise.start(at);
      noise.stop(at + Math.min(0.5, long * 2));
    }
  }
}
