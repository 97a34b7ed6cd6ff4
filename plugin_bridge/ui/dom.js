// Two small helpers to make elements. Knows nothing of music.

// An element with properties (those with a dash or "aria"/"role"/"for" become attributes) and children.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes('-') && name !== 'role') element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// fill(list, rows, key, create, update): one child per row, kept while its key stays, in the order of the rows.
export function fill(parent, rows, key, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  rows.forEach((row, place) => {
    let child = known.get(String(key(row)));
    if (child) known.delete(String(key(row)));
    else { child = create(row); child.dataset.key = key(row); }
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
    update(child, row);
  });
  for (const child of known.values()) child.remove();
}
