/* Whom one can talk to, and the conversations with them. */

import { button, fill, h, lookOf, portrait } from '/page/town.js';
import { download, get, path } from '/page/api.js';

export function lookFor(agent, index, total) {
  return lookOf({ id: agent.name, index, color: '', persona: { age: agent.age || 30 } }, total);
}

/* A face: the agent's own picture if it has one, else one drawn as in the town. */
export function face(app, agent, size) {
  const drawn = portrait(app.look(agent), size);
  if (!agent.portrait) return drawn;
  const picture = h('img', { class: 'portrait', alt: '', width: size, height: size });
  pictureOf(agent).then((url) => { picture.src = url; drawn.replaceWith(picture); }, () => {});
  return drawn;
}

const PICTURES = new Map();

/* The address of a picture in this page; it was fetched once, with the key. */
function pictureOf(agent) {
  if (!PICTURES.has(agent.portrait)) {
    PICTURES.set(agent.portrait, download(agent.portrait.replace(/^\/api/, '')).then((blob) => URL.createObjectURL(blob)));
  }
  return PICTURES.get(agent.portrait);
}

export class People {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.sessions = [];
  }

  draw() {
    const { app } = this;
    fill(this.root,
      h('header', { class: 'brand' }, h('h1', {}, 'Denizens'),
        button('Light or dark', 'sun', () => app.switchTheme(), { class: 'round' })),
      this.you(),
      h('h2', { class: 'label' }, 'Whom to talk to'),
      app.agents.length ? h('ul', { class: 'agents' }, app.agents.map((agent) => this.row(agent)))
        : h('p', { class: 'quiet' }, app.caller ? 'Nobody lives here yet.' : ''),
      h('section', { class: 'sessions', 'aria-label': 'Conversations' }));
    if (app.agent) this.drawSessions();
  }

  you() {
    const { app } = this;
    if (!app.caller) return null;
    const name = h('b', {}, app.caller.person);
    if (!app.caller.names_persons) return h('p', { class: 'you' }, 'You are ', name);
    return h('button', { type: 'button', class: 'you', onclick: () => app.askName(), title: 'Say who you are' },
      h('span', {}, 'You are ', name), h('span', { class: 'link' }, 'change'));
  }

  row(agent) {
    const { app } = this;
    const here = app.agent === agent;
    return h('li', {}, h('button', { type: 'button', class: 'agent', 'aria-current': here ? 'true' : null, onclick: () => app.go(agent) },
      face(app, agent, 46),
      h('span', { class: 'words' }, h('b', {}, agent.name), h('span', { class: 'quiet' }, agent.about || 'Says hello'))));
  }

  async drawSessions() {
    const { app } = this;
    const agent = app.agent;
    const sessions = await get(path`/agents/${agent.id}/sessions`);
    if (agent !== app.agent) return;
    const box = this.root.querySelector('.sessions');
    if (!box) return;
    const rows = sessions.some((one) => one.name === app.session) ? sessions : [{ name: app.session, title: '', lines: 0 }, ...sessions];
    fill(box, h('h2', { class: 'label' }, `Talks with ${agent.name}`),
      h('ul', {}, rows.map((one) => h('li', {}, h('button', {
        type: 'button', class: 'session', 'aria-current': one.name === app.session ? 'true' : null, onclick: () => app.go(agent, one.name),
      }, h('span', { class: 'title' }, one.title || (one.name === 'main' ? 'The first talk' : 'A new talk')),
      h('span', { class: 'quiet' }, one.lines ? `${one.lines} lines` : 'empty')),
      one.lines && one.name === app.session ? button('Delete this talk', 'close', () => this.remove(one), { class: 'round drop' }) : null))),
      h('button', { type: 'button', class: 'small', onclick: () => app.talk.begin() }, 'New talk'));
  }

  remove(session) {
    const { app } = this;
    app.confirm('Delete this talk?', `${app.agent.name} forgets it, with all its versions and what was concluded from it. It cannot be brought back.`,
      'Delete it', () => app.talk.remove(session.name));
  }
}
