// The controls, drawn from the server's table: a kind of control is a row of MAKE; and the actions, each with the pedal or
// pad that sets it off. Knows no single control by name, save that the mode goes beside the transport.

import { make } from './dom.js';

const QUIET = 400; // ms after a change by hand in which the server's echo does not move the control

export class Panel {
  // send(name, value) and learn(name) tell the server. actions: name -> what it does, of those that a pedal may do.
  constructor(table, actions, { groups, modes, send, learn }) {
    this.rows = new Map();
    this.send = send;
    this.touched = new Map();
    this.later = new Map();
    const fieldsets = new Map();
    for (const control of table) {
      const row = this.row(control, learn);
      this.rows.set(control.name, row);
      if (control.name === 'mode') {
        modes.append(row.field);
        continue;
      }
      if (!fieldsets.has(control.group)) {
        fieldsets.set(control.group, make('fieldset', {}, make('legend', {}, control.group)));
        groups.append(fieldsets.get(control.group));
      }
      fieldsets.get(control.group).append(row.element);
    }
    const pedals = make('fieldset', {}, make('legend', {}, 'Footswitches and pads'));
    for (const [name, { help }] of Object.entries(actions)) {
      const label = name[0].toUpperCase() + name.slice(1), cc = this.ccButton(name, learn);
      pedals.append(make('div', { className: 'row wide action', id: `row-${name}`, 'data-help': help },
        make('span', { className: 'name' }, label), make('div', { className: 'field' }, help), cc));
      this.rows.set(name, { control: { label }, cc });
    }
    groups.append(pedals);
  }

  ccButton(name, learn) {
    return make('button', { type: 'button', className: 'cc', onclick: () => learn(name) });
  }

  row(control, learn) {
    const { name, label, unit } = control;
    const parts = MAKE[control.kind](control, (value, now) => this.change(name, value, now));
    const cc = this.ccButton(name, learn);
    const title = make(parts.group ? 'span' : 'label', { className: 'name', title: control.help, htmlFor: `c-${name}` }, label);
    if (unit && !label.toLowerCase().endsWith(unit)) title.append(make('span', { className: 'unit' }, unit));
    const field = make('div', { className: 'field' }, parts.field);
    const element = make('div', { className: `row ${parts.exact ? '' : 'wide'}`, id: `row-${name}`, 'data-help': control.help }, title, field);
    if (parts.exact) element.append(parts.exact);
    if (control.kind !== 'text') element.append(cc); // no controller can say a text
    return { control, element, field: parts.field, show: parts.show, refuse: parts.refuse, cc };
  }

  change(name, value, now = true) {
    this.touched.set(name, performance.now());
    clearTimeout(this.later.get(name));
    if (now) this.send(name, value);
    else this.later.set(name, setTimeout(() => this.send(name, value), 60)); // while it is dragged
  }

  show(state) {
    for (const [name, value] of Object.entries(state.controls)) {
      const row = this.rows.get(name);
      if (row && performance.now() - (this.touched.get(name) ?? -1e9) > QUIET) row.show(value);
    }
    for (const [name, row] of this.rows) {
      const cc = state.ccs[name], learning = state.learning === name;
      const text = learning ? 'move…' : cc === undefined ? 'CC' : `CC ${cc}`;
      if (row.cc.textContent === text && row.cc.ariaPressed === String(learning)) continue;
      row.cc.textContent = text;
      row.cc.ariaPressed = String(learning);
      row.cc.ariaLabel = `${text}, ${row.control.label}: ${learning ? 'move a controller now' : cc === undefined ? 'learn a controller' : 'learn another controller'}`;
      row.cc.title = row.cc.ariaLabel;
    }
  }

  // Undo what the server refused.
  restore(name, state) {
    this.touched.delete(name);
    this.rows.get(name)?.show(state.controls[name]);
    this.rows.get(name)?.refuse?.();
  }
}

function common({ name, help }) {
  return { id: `c-${name}`, title: help, 'aria-description': help };
}

function number(control, changed) {
  const { low, high, kind, label, unit } = control;
  const step = kind === 'int' ? 1 : high - low <= 2 ? 0.01 : high - low <= 20 ? 0.1 : 1;
  const range = make('input', { type: 'range', min: low, max: high, step, ...common(control) });
  const exact = make('input', { type: 'number', min: low, max: high, step: 'any', 'aria-label': `${label}, exact value` });
  const say = (value) => { range.setAttribute('aria-valuetext', `${value} ${unit}`.trim()); };
  const shown = (value) => (kind === 'int' ? value : Math.round(value * 1000) / 1000);
  range.addEventListener('input', () => { exact.value = range.value; say(range.value); changed(Number(range.value), false); });
  range.addEventListener('change', () => changed(Number(range.value)));
  exact.addEventListener('change', () => { if (exact.value !== '') { range.value = exact.value; changed(Number(exact.value)); } });
  return { field: range, exact, show(value) {
    range.value = value;
    if (document.activeElement !== exact) exact.value = shown(value);
    say(shown(value));
  } };
}

function text(control, changed) {
  const field = make('input', { type: 'text', ...common(control), autocomplete: 'off', spellcheck: false, placeholder: '–' });
  const invalid = (is) => field.setAttribute('aria-invalid', is);
  let known = '';
  field.addEventListener('change', () => { invalid(false); changed(field.value); });
  field.addEventListener('blur', () => { if (field.ariaInvalid === 'true') { field.value = known; invalid(false); } });
  return { field, show(value) {
    known = value;
    if (document.activeElement !== field) field.value = value;
  }, refuse() { invalid(document.activeElement === field); } }; // what was typed stays while it is mended
}

function bool(control, changed) {
  const field = make('input', { type: 'checkbox', role: 'switch', ...common(control) });
  field.addEventListener('change', () => changed(field.checked));
  return { field, show(value) { field.checked = value; } };
}

function choice(control, changed) {
  if (control.choices.length > 4) {
    const field = make('select', common(control), ...control.choices.map((one) => make('option', { value: one }, one)));
    field.addEventListener('change', () => changed(field.value));
    return { field, show(value) { field.value = value; } };
  }
  const inputs = control.choices.map((one) => make('input', { type: 'radio', name: control.name, value: one, onchange: () => changed(one) }));
  const labels = inputs.map((input) => make('label', {}, input, input.value));
  const field = make('div', { className: 'choices', role: 'radiogroup', 'aria-label': control.label, title: control.help, 'aria-description': control.help }, ...labels);
  return { field, group: true, show(value) { for (const input of inputs) input.checked = input.value === value; } };
}

const MAKE = { bool, int: number, float: number, choice, text };
