/* The link to the server: the run so far, the events as they come, what people do. */

const KEY_KEPT_AS = 'denizens-live-key';
const RETRY_MS = 1500;

class Link {
  constructor() {
    this.id = '';
    this.listeners = {};
    this.lost = false;
    this.key = kept(KEY_KEPT_AS);
  }

  on(kind, listener) { this.listeners[kind] = listener; }

  tell(kind, value) { if (this.listeners[kind]) this.listeners[kind](value); }

  /* A request with the API key; asks for one where the server wants it. */
  async send(path, options = {}) {
    for (;;) {
      const headers = { ...options.headers, ...(this.key ? { Authorization: `Bearer ${this.key}` } : {}) };
      const response = await fetch(`live/${path}`, { cache: 'no-store', ...options, headers });
      if (response.status !== 401) return response;
      this.key = await askForKey(Boolean(this.key));
      keep(KEY_KEPT_AS, this.key);
    }
  }

  async fetchRun() {
    const response = await this.send('run');
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    const first = await response.json();
    this.id = first.id;
    return first;
  }

  /* Listens for ever. After a break it goes on with the id of the last event that came. (Not an
     EventSource, which cannot send a key.) */
  async listen() {
    for (;;) {
      try {
        const response = await this.send('events', { headers: { 'Last-Event-ID': this.id } });
        if (!response.ok) throw new TypeError(`The server answered ${response.status}.`);
        this.hold(false);
        await this.read(response.body.pipeThrough(new TextDecoderStream()).getReader());
      } catch (error) {
        if (!(error instanceof TypeError) && error.name !== 'AbortError') throw error;
      }
      this.hold(true);
      await new Promise((done) => { setTimeout(done, RETRY_MS); });
    }
  }

  hold(lost) {
    if (this.lost === lost) return;
    this.lost = lost;
    this.tell('link', !lost);
  }

  async read(reader) {
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) this.hear(block);
    }
  }

  hear(block) {
    const fields = {};
    for (const line of block.split('\n')) {
      const at = line.indexOf(': ');
      if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
    }
    if (fields.id) this.id = fields.id;
    if (fields.event) this.tell(fields.event, JSON.parse(fields.data || 'null'));
  }

  /* Sends a request; the answer, or an Error with the server's words. */
  async post(path, body, secret = '') {
    const headers = { 'Content-Type': 'application/json' };
    if (secret) headers['X-Visitor'] = secret;
    let response;
    try {
      response = await this.send(path, { method: 'POST', headers, body: JSON.stringify(body) });
    } catch (error) {
      throw new Error('The server cannot be reached.');
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const words = typeof answer.detail === 'string' ? answer.detail : `The server answered ${response.status}.`;
    throw Object.assign(new Error(words), { status: response.status });
  }
}

/* What the browser keeps for this page; nothing where it keeps nothing. */
function kept(name) {
  try { return localStorage.getItem(name) || ''; } catch (error) { if (error.name !== 'SecurityError') throw error; return ''; }
}

function keep(name, text) {
  try { if (text) localStorage.setItem(name, text); else localStorage.removeItem(name); } catch (error) { if (error.name !== 'SecurityError') throw error; }
}

/* The dialog that asks for the API key of this server. */
function askForKey(again) {
  const dialog = document.getElementById('lock');
  const field = h('input', { id: 'lock-key', type: 'password', required: true, autocomplete: 'off', maxlength: 300 });
  return new Promise((done) => {
    fill(dialog, h('form', { class: 'gate', onsubmit: (event) => { event.preventDefault(); dialog.close(); done(field.value.trim()); } },
      h('h2', { id: 'lock-title' }, 'This town is locked'), h('label', { for: 'lock-key' }, again ? 'That key is not valid. The API key' : 'The API key'), field,
      h('div', { class: 'gate-end' }, h('button', { type: 'submit', class: 'send' }, 'Open'))));
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.showModal();
    field.focus();
  });
}
