// The server, as the rest of the page sees it: what is asked of it, and its state, kept up to date. Draws nothing.

const TOKEN = takeToken();

// The token comes with the printed address. It leaves the address bar at once, and outlives a reload in this tab only.
function takeToken() {
  const fresh = document.querySelector('meta[name="token"]').content;
  if (fresh) sessionStorage.setItem('token', fresh);
  if (location.search) history.replaceState(null, '', location.pathname);
  return fresh || sessionStorage.getItem('token') || '';
}

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : {
      method: 'POST', body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${TOKEN}` },
    });
  } catch {
    throw new Error('the co-pilot does not answer; is it still running?');
  }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

export const controls = () => ask('/api/controls');
export const set = (name, value) => ask('/api/set', { name, value });
export const act = (name, args = {}) => ask('/api/act', { name, args });
export const takeUrl = (name) => `/api/takes/${encodeURIComponent(name.replace(/\.mid$/, ''))}.mid`;

// What leads from one state to the next, as feed.py sends it.
export function apply(state, change) {
  const next = { ...state, ...change };
  if (change.controls) next.controls = { ...state.controls, ...change.controls };
  if (change.notes) {
    next.notes = { ...state.notes };
    for (const [kind, { gone, new: fresh }] of Object.entries(change.notes)) {
      const left = new Set(gone.map(String));
      next.notes[kind] = state.notes[kind].filter((row) => !left.has(String(row))).concat(fresh);
    }
  }
  return next;
}

// Calls seen(state, names of what changed) for the first state and for every change; away() while nobody answers.
export function follow(seen, away) {
  let state = null;
  const source = new EventSource('/api/stream');
  source.addEventListener('state', (event) => {
    state = JSON.parse(event.data);
    seen(state, Object.keys(state));
  });
  source.addEventListener('change', (event) => {
    const change = JSON.parse(event.data);
    state = apply(state, change);
    seen(state, Object.keys(change));
  });
  source.onerror = () => {
    away();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(seen, away), 2000);
  };
}
