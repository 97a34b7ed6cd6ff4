// Puts the page together: what the server says goes to the roll, the panel and the lists; what hands do goes to the server.

import * as api from './api.js';
import { fill, make } from './dom.js';
import { Panel } from './panel.js';
import { Roll } from './roll.js';
import { showTakes, synth } from './takes.js';

const $ = (id) => document.getElementById(id);
const KEYS = { ' ': 'play', a: 'again', k: 'keep', c: 'continue', f: 'forget', Escape: 'panic' }; // action -> key, below
const OWN_PLACE = new Set(['start', 'stop', 'locate', 'learn', 'switch']); // these are not plain buttons
const MINDS = { ready: 'mind ready', loading: 'mind loading', hung: 'mind silent', restarting: 'mind restarting', dead: 'mind dead' };

let state = null, panel = null, actions = {};
const roll = new Roll($('roll'));
window.anticipation = { roll, synth, get state() { return state; } }; // for the curious, and for tests

async function tell(promise, restore) {
  try {
    await promise;
    $('alert').hidden = true;
  } catch (error) {
    $('alert').textContent = error.message;
    $('alert').hidden = false;
    restore?.();
  }
}

const perform = (name, args) => tell(api.act(name, args));
const play = () => perform(state?.playing ? 'stop' : 'start');
const send = (name, value) => tell(api.set(name, value), () => panel.restore(name, state));
const learn = (name) => perform('learn', { name: state.learning === name ? '' : name });
const locate = (bar) => perform('locate', { seconds: Math.max(0, bar - 1) * state.meter[0] * 4 / state.meter[1] * 60 / state.bpm });
const cycleMode = () => {
  const modes = panel.rows.get('mode').control.choices;
  send('mode', modes[(modes.indexOf(state.controls.mode) + 1) % modes.length]);
};

function drawTransport() {
  const shortcut = Object.fromEntries(Object.entries(KEYS).map(([key, action]) => [action, key === ' ' ? 'Space' : key === 'Escape' ? 'Esc' : key.toUpperCase()]));
  const button = (name, label, className, run, help) => make('button', { type: 'button', id: `do-${name}`, className, title: help, onclick: run,
    'aria-keyshortcuts': shortcut[name]?.replace('Esc', 'Escape') }, make('span', {}, label), ...(shortcut[name] ? [make('kbd', { 'aria-hidden': 'true' }, shortcut[name])] : []));
  $('transport').append(button('play', 'Play', 'main', play, actions.start?.help));
  for (const [name, { help }] of Object.entries(actions)) {
    if (OWN_PLACE.has(name) || name === 'panic') continue;
    $('transport').append(button(name, name[0].toUpperCase() + name.slice(1), '', () => perform(name), help));
  }
  $('transport').append(button('panic', 'Panic', 'panic', () => perform('panic'), actions.panic?.help));
  const keys = [['Space', 'play, stop'], ...Object.entries(shortcut).filter(([name]) => actions[name]).map(([name, key]) => [key, actions[name].help]),
    ['M', 'next mode'], ['1–9', 'an instrument on or off'], ['?', 'this list'], ['Tab', 'from one control to the next; arrows move it']];
  $('keys').append(...keys.flatMap(([key, help]) => [make('dt', {}, make('kbd', {}, key)), make('dd', {}, help)]));
}

function drawLocate() {
  const bar = make('input', { type: 'number', id: 'go', min: 1, value: 1, 'aria-label': 'Go to bar' });
  $('locate').append('bar', bar, make('button', {}, 'Go'));
  $('locate').addEventListener('submit', (event) => { event.preventDefault(); locate(Number(bar.value)); });
}

function drawBand() {
  fill($('band'), state.band, (one) => `${one.instrument}/${one.name}`, (one) => make('button', { type: 'button', role: 'switch' },
    make('i', { 'aria-hidden': 'true' }), make('span', {}, one.name), make('small', {})), (button, one) => {
    const place = state.band.indexOf(one);
    button.style.setProperty('--voice', `var(--v${place % 8})`);
    button.ariaChecked = String(one.on);
    button.title = `${one.name}, channel ${one.channel}: ${one.on ? 'plays' : 'is silent'}`;
    button.querySelector('small').textContent = `ch ${one.channel}`;
    button.onclick = () => perform('switch', { instrument: one.name, on: !one.on });
  });
}

function drawHead() {
  const { bar, beat } = state.position;
  $('bar').textContent = bar > 0 ? bar : `−${1 - bar}`;
  $('beat').textContent = Math.floor(beat);
  $('bpm').textContent = Math.round(state.bpm * 10) / 10;
  $('meter').textContent = state.meter.join('/');
  $('sync').textContent = state.sync;
  const main = $('do-play');
  const label = state.playing ? 'Stop' : 'Play';
  if (main && main.firstChild.textContent !== label) {
    main.firstChild.textContent = label;
    main.title = actions[state.playing ? 'stop' : 'start']?.help ?? '';
  }
  if ($('mind').dataset.mind !== state.mind) {
    $('mind').dataset.mind = state.mind;
    $('mind').lastChild.textContent = MINDS[state.mind] ?? state.mind;
  }
}

const some = (value, unit = '') => (value === null || value === undefined ? '–' : `${Math.round(value * 10) / 10}${unit}`);

function drawMeters() {
  const { reaction_ms: reaction = {}, jitter_ms: jitter = {}, load, late, dropped, events_per_second: events } = state.meters;
  const rows = [
    ['Reaction', `${some(reaction?.p50)} / ${some(reaction?.p95, ' ms')}`, reaction?.p95 > 150, 'from your note to a plan that knows it: half are quicker than the first figure, 95 % than the second'],
    ['Jitter', `${some(jitter?.p99)} / ${some(jitter?.max, ' ms')}`, jitter?.max > 10, 'how far notes went out from their time: 99 %, and the worst'],
    ['Load', load === null || load === undefined ? '–' : `${Math.round(load * 100)} %`, load > 0.9, 'share of real time that the mind needs'],
    ['Events', some(events, ' / s'), false, 'what the mind writes in a second'],
    ['Late', some(late), late > 0, 'notes that went out more than 10 ms after their time'],
    ['Dropped', some(dropped), dropped > 0, 'notes that were decided too late, and left out'],
  ];
  if (!$('meters').children.length) {
    $('meters').append(...rows.flatMap(([name, , , help]) => [make('dt', { title: help }, name), make('dd', {})]));
    $('meters').children[5].append(make('meter', { min: 0, max: 1.2, low: 0.7, high: 0.9, optimum: 0, 'aria-hidden': 'true' }), make('span'));
  }
  rows.forEach(([, text, bad], i) => {
    const place = $('meters').children[2 * i + 1];
    place.className = bad ? 'bad' : '';
    (place.querySelector('span') ?? place).textContent = text;
  });
  $('meters').querySelector('meter').value = load ?? 0;
}

function drawPorts() {
  const { chosen = {}, api: kind } = state.ports;
  const rows = [['in', 'In'], ['out', 'Out']].flatMap(([way, title]) => {
    const others = (state.ports[way] ?? []).filter((name) => name !== chosen[way]);
    return [make('dt', {}, title), make('dd', {}, chosen[way] || 'none', ...others.map((name) => make('span', { className: 'other' }, name)))];
  });
  $('ports').replaceChildren(...rows, ...(kind ? [make('dt', {}, 'Through'), make('dd', {}, kind)] : []));
}

const DRAW = {
  playing: drawHead, position: drawHead, bpm: drawHead, meter: drawHead, sync: drawHead, mind: drawHead, band: drawBand,
  meters: drawMeters, ports: drawPorts, controls: () => panel.show(state), learning: () => panel.show(state), ccs: () => panel.show(state),
  takes: () => showTakes($('takes'), state.takes, (line) => tell(Promise.reject(new Error(line)))),
  message: () => { $('message').textContent = state.message; },
};

function seen(next, changed) {
  const back = $('mind').dataset.mind === 'away';
  state = next;
  for (const draw of new Set(changed.map((name) => DRAW[name]).filter(Boolean))) draw();
  if (back) drawHead();
  roll.show(state);
}

function away() {
  $('mind').dataset.mind = 'away';
  $('mind').lastChild.textContent = 'no connection';
}

function describeRoll() {
  if (!state) return;
  const { heard, played, planned } = state.notes;
  $('roll').ariaLabel = `Piano roll: ${heard.length} notes heard and ${played.length} played of late, ${planned.length} planned`;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !$('shortcuts').checked || $('help').open || !state) return;
  const { target, key } = event;
  if (target.matches('input[type="text"], input[type="number"], select, textarea')) return;
  if (key === ' ' && target.matches('button, a, input, summary')) return; // there, space is theirs
  const action = KEYS[key.length === 1 ? key.toLowerCase() : key];
  const instrument = /^[1-9]$/.test(key) && state.band[Number(key) - 1];
  if (action === 'play') play();
  else if (action && actions[action]) perform(action);
  else if (key.toLowerCase() === 'm') cycleMode();
  else if (instrument) perform('switch', { instrument: instrument.name, on: !instrument.on });
  else if (key === '?') $('help').showModal();
  else return;
  event.preventDefault();
}

const { controls, actions: offered } = await api.controls();
actions = offered;
const pedals = Object.fromEntries(Object.entries(actions).filter(([name, { arguments: takes }]) => name === 'keep' || !takes.length));
panel = new Panel(controls, pedals, { groups: $('controls'), modes: $('modes'), send, learn });
drawTransport();
drawLocate();
$('help-button').addEventListener('click', () => $('help').showModal());
$('shortcuts').checked = localStorage.getItem('shortcuts') !== 'off';
$('shortcuts').addEventListener('change', () => localStorage.setItem('shortcuts', $('shortcuts').checked ? 'on' : 'off'));
document.addEventListener('keydown', onKey);
for (const kind of ['focusin', 'mouseover']) {
  document.addEventListener(kind, ({ target }) => { $('hint').textContent = target.closest?.('[data-help]')?.dataset.help ?? ''; });
}
setInterval(describeRoll, 3000);
api.follow(seen, away);
