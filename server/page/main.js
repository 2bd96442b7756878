/* The page: who is there, whom one talks to, what is beside the talk. */

import { fill, h } from '/page/town.js';
import { ApiError, get, identity, path } from '/page/api.js';
import { lookFor, People } from '/page/people.js';
import { Side } from '/page/side.js';
import { Talk } from '/page/talk.js';

const THEME = 'denizens.theme';

class App {
  constructor() {
    this.root = document.getElementById('chat-app');
    this.caller = null;
    this.agents = [];
    this.agent = null;
    this.session = 'main';
    this.people = new People(this, document.getElementById('people'));
    this.talk = new Talk(this, document.getElementById('talk'));
    this.side = new Side(this, document.getElementById('side'));
    window.addEventListener('hashchange', () => this.readHash());
    window.addEventListener('keydown', (event) => this.key(event));
  }

  async start() {
    this.theme(localStorage.getItem(THEME));
    try {
      this.caller = await get('/caller');
      this.agents = await get('/agents');
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401 || error.status === 403) { this.askKey(error); return; }
      fill(this.talk.root, h('p', { class: 'fault', role: 'alert' }, error.message));
      return;
    }
    this.looks = new Map(this.agents.map((agent, index) => [agent.id, lookFor(agent, index, this.agents.length)]));
    await this.readHash();
    this.side.watch();
  }

  look(agent) {
    return { ...this.looks.get(agent.id), portraits: {} };
  }

  /* #agent/session */
  async readHash() {
    const [id, session] = location.hash.slice(1).split('/').map(decodePart);
    const wanted = this.agents.find((agent) => agent.id === id);
    if (!wanted) {
      this.agent = null;
      this.people.draw();
      this.talk.welcome();
      this.view('people');
      return;
    }
    await this.open(wanted, session || 'main');
  }

  go(agent, session = 'main') {
    const next = `#${encodeURIComponent(agent.id)}/${encodeURIComponent(session)}`;
    if (location.hash === next) this.view('talk');
    else location.hash = next;
  }

  async open(agent, session) {
    const other = this.agent !== agent;
    this.agent = agent;
    this.session = session;
    document.title = `${agent.name} · Denizens`;
    this.people.draw();
    this.view('talk');
    await this.talk.open(agent, session);
    if (other) this.side.reset();
    this.side.refresh();
  }

  /* On a phone one of: people, talk, side. */
  view(name) {
    this.root.dataset.view = name;
  }

  /* Does something; what the server refuses is said. */
  async tell(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.notice(error.message);
    }
  }

  notice(text) {
    const box = document.getElementById('notice');
    fill(box, text);
    box.hidden = false;
    clearTimeout(this.noticed);
    this.noticed = setTimeout(() => { box.hidden = true; }, 8000);
  }

  /* For those who listen to the page. */
  announce(text) {
    document.getElementById('announce').textContent = text;
  }

  sessionPath(rest = '') {
    return path`/agents/${this.agent.id}/sessions/${this.session}` + rest;
  }

  theme(name) {
    const root = document.documentElement;
    if (name === 'dark' || name === 'light') root.dataset.theme = name;
    else delete root.dataset.theme;
  }

  switchTheme() {
    const dark = window.matchMedia('(prefers-color-scheme: dark)').matches;
    const now = document.documentElement.dataset.theme || (dark ? 'dark' : 'light');
    const next = now === 'dark' ? 'light' : 'dark';
    localStorage.setItem(THEME, next);
    this.theme(next);
  }

  key(event) {
    if (event.key !== 'Escape' || document.querySelector('dialog[open]')) return;
    if (this.talk.answering) this.talk.stop();
    else if (!this.side.root.hidden) this.side.close();
  }

  /* The dialogs: a key, a name. */
  dialog(title, text, field, action, { note = '', optional = false } = {}) {
    const box = document.getElementById('ask');
    const fault = h('p', { class: 'wrong', role: 'alert' }, note);
    const form = h('form', { onsubmit: async (event) => {
      event.preventDefault();
      box.close();
      await action(field.value.trim());
    } },
    h('h2', { id: 'ask-title' }, title), h('p', {}, text), field, fault,
    h('div', { class: 'row' },
      optional ? h('button', { type: 'button', class: 'small', onclick: () => box.close() }, 'Cancel') : null,
      h('button', { class: 'primary' }, 'Continue')));
    fill(box, form);
    box.oncancel = (event) => { if (!optional) event.preventDefault(); };
    if (!box.open) box.showModal();
    field.focus();
  }

  confirm(title, text, label, action) {
    const box = document.getElementById('ask');
    box.oncancel = null;
    fill(box, h('form', { onsubmit: (event) => { event.preventDefault(); box.close(); action(); } },
      h('h2', { id: 'ask-title' }, title), h('p', {}, text),
      h('div', { class: 'row' }, h('button', { type: 'button', class: 'small', onclick: () => box.close() }, 'Cancel'), h('button', { class: 'primary' }, label))));
    box.showModal();
  }

  askKey(error) {
    const known = Boolean(identity.key);
    const field = h('input', { type: 'password', autocomplete: 'off', required: true, 'aria-label': 'Key', placeholder: 'Your key' });
    this.people.draw();
    this.talk.blank();
    this.dialog('This server asks for a key', 'Whoever runs it made one for you. It is forgotten when this tab closes.', field,
      async (value) => { identity.key = value; await this.start(); }, { note: known ? error.message : '' });
    identity.key = '';
  }

  askName() {
    const field = h('input', { type: 'text', maxlength: 80, autocomplete: 'name', 'aria-label': 'Your name', value: identity.person || '' });
    this.dialog('Who are you?', 'Everybody you talk with remembers you by this name, apart from all others.', field,
      async (value) => { identity.person = value; this.agent = null; await this.start(); }, { optional: true });
  }
}

function decodePart(part) {
  try {
    return decodeURIComponent(part || '');
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return '';
  }
}

new App().start();
