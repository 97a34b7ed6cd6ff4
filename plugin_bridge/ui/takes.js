// The list of takes: listen, drag into the DAW, download. Knows no ports and no controls.

import { takeUrl } from './api.js';
import { fill, make } from './dom.js';
import { readMidi } from './midi.js';
import { Synth } from './synth.js';

export const synth = new Synth();

export function showTakes(list, takes, complain) {
  fill(list, [...takes].reverse(), (take) => take.name, (take) => create(take, complain), (item, take) => {
    item.querySelector('small').textContent = take.seconds === null ? 'of an earlier session' : `${time(take.seconds)} · ${take.notes} notes`;
  });
}

function create(take, complain) {
  const url = takeUrl(take.name), file = `${take.name.replace(/\.mid$/, '')}.mid`;
  const play = make('button', { type: 'button', 'aria-label': `Listen to ${take.name}`, title: 'Listen' }, '▶');
  const progress = make('progress', { max: 1, value: 0, hidden: true, 'aria-label': `Progress of ${take.name}` });
  const link = make('a', { href: url, download: file, draggable: true, 'aria-label': `Download ${file}`, title: 'Drag into the DAW, or download' }, '.mid ↓');
  const item = make('li', { draggable: true }, play, make('div', {}, make('strong', {}, take.name), make('small')), link, progress);
  item.addEventListener('dragstart', (event) => {
    event.dataTransfer.effectAllowed = 'copy';
    event.dataTransfer.setData('DownloadURL', `audio/midi:${file}:${new URL(url, location.href)}`);
    event.dataTransfer.setData('text/uri-list', String(new URL(url, location.href)));
  });
  const sound = (on) => {
    play.textContent = on ? '■' : '▶';
    play.ariaLabel = `${on ? 'Stop' : 'Listen to'} ${take.name}`;
    progress.hidden = !on;
    play.dataset.on = on ? 'yes' : '';
  };
  play.addEventListener('click', async () => {
    if (play.dataset.on) { synth.stop(); return; }
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${take.name} is no longer there`);
      const notes = readMidi(await answer.arrayBuffer());
      synth.play(notes, (share) => { progress.value = share; }, () => sound(false));
      sound(true);
    } catch (error) {
      complain(error.message);
    }
  });
  return item;
}

const time = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
