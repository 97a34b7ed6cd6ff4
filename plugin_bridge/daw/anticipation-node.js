// Max for Live, the half in [node.script]: asks the co-pilot's server. Knows HTTP and nothing of Live; the other half is
// anticipation-live.js. They hand each other requests and answers in the dictionaries anticipation_request and ..._answer.

const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const max = require('max-api');

// Where the co-pilot says where it is (see access.py).
function link() {
  const { ANTICIPATION_CONFIG, APPDATA, XDG_CONFIG_HOME } = process.env, home = os.homedir();
  const folders = [ANTICIPATION_CONFIG, APPDATA && path.join(APPDATA, 'anticipation'),
    path.join(XDG_CONFIG_HOME || path.join(home, '.config'), 'anticipation'), path.join(home, 'Library/Application Support/anticipation')];
  for (const folder of folders.filter(Boolean)) {
    const file = path.join(folder, 'live.curl');
    if (!fs.existsSync(file)) continue;
    const text = fs.readFileSync(file, 'utf8');
    return { url: /# url = (\S+)/.exec(text)[1], token: /Bearer ([^"]+)"/.exec(text)[1] };
  }
  throw new Error('start `anticipate live` first');
}

// One request; rejects with one line.
function ask(method, where, body) {
  const { url, token } = link();
  return new Promise((resolve, reject) => {
    const request = http.request(url + where, { method, timeout: 10000, headers: { Authorization: `Bearer ${token}` } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { text += piece; });
      answer.on('end', () => {
        const found = JSON.parse(text || '{}');
        if (answer.statusCode < 400) resolve(found); else reject(new Error(found.error));
      });
    });
    request.on('timeout', () => request.destroy(new Error('the co-pilot does not answer')));
    request.on('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

async function make() {
  const { task, options, body } = await max.getDict('anticipation_request');
  const query = new URLSearchParams({ task, ...options });
  let job = await ask('POST', `/api/jobs?${query}`, body);
  while (job.state === 'waiting' || job.state === 'running') {
    await max.outlet('progress', job.progress);
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    job = await ask('GET', `/api/jobs/${job.id}`);
  }
  if (job.state !== 'done') throw new Error(job.error);
  const takes = [];
  for (const one of job.takes) takes.push(await ask('GET', one.json));
  await max.setDict('anticipation_answer', { task, takes });
  await max.outlet('done');
}

async function timeline() {
  await ask('POST', '/api/timeline', await max.getDict('anticipation_ahead'));
}

for (const [name, run] of Object.entries({ make, timeline })) {
  max.addHandler(name, () => run().catch((problem) => max.outlet('problem', problem.message)));
}
