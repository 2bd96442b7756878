/* A talk: its lines, the reply as it comes, and the field to say something. */

import { button, fill, h } from '/page/town.js';
import { ApiError, get, post, stream } from '/page/api.js';
import { face } from '/page/people.js';

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export class Talk {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.answering = null;
    this.lines = [];
  }

  blank() { fill(this.root); }

  welcome() {
    this.abandon();
    document.title = 'Denizens';
    const { app } = this;
    const first = app.agents.slice(0, 7);
    fill(this.root, h('div', { class: 'welcome' },
      h('div', { class: 'crowd', 'aria-hidden': 'true' }, first.map((agent) => face(app, agent, 76))),
      h('h2', {}, first.length ? 'Say hello to somebody' : 'Nobody lives here yet'),
      h('p', {}, first.length ? 'They remember you, and can tell you why they say what they say.'
        : 'Start the server with a scenario, a persona or a folder of cards.')));
  }

  async open(agent, session) {
    this.abandon();
    const { app } = this;
    this.list = h('ol', { class: 'lines' });
    this.scroll = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `What ${agent.name} and you said` }, this.list);
    fill(this.root, this.head(agent), this.scroll, this.composer(agent));
    try {
      const content = await get(app.sessionPath());
      if (app.agent !== agent || app.session !== session) return;
      this.lines = content.lines;
      this.drawLines();
      app.side.waiting(content.waiting);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.fault(error.message);
    }
    if (window.matchMedia('(hover: hover)').matches) this.field.focus();
  }

  head(agent) {
    const { app } = this;
    return h('header', { class: 'head' },
      button('Whom to talk to', 'back', () => app.view('people'), { class: 'round only-phone' }),
      face(app, agent, 44),
      h('div', { class: 'words' }, h('h2', {}, agent.name), h('p', { class: 'quiet' }, agent.about)),
      h('div', { class: 'switches' },
        h('button', { type: 'button', class: 'small', onclick: () => app.side.open('why') }, 'Why'),
        h('button', { type: 'button', class: 'small', onclick: () => app.side.open('memory') }, 'Memory'),
        app.caller.may_approve ? h('button', { type: 'button', class: 'small approvals-switch', onclick: () => app.side.open('approvals') }, 'Approvals') : null));
  }

  composer(agent) {
    this.field = h('textarea', { id: 'say', rows: 1, maxlength: 16000, 'aria-label': `Say something to ${agent.name}`,
      placeholder: `Say something to ${agent.name}…`, oninput: () => this.grow(),
      onkeydown: (event) => {
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.say(); }
      } });
    this.send = h('button', { class: 'primary send' }, 'Say');
    this.halt = h('button', { type: 'button', class: 'primary halt', hidden: true, onclick: () => this.stop() }, 'Stop');
    return h('form', { class: 'composer', onsubmit: (event) => { event.preventDefault(); this.say(); } }, this.field, this.send, this.halt);
  }

  grow() {
    this.field.style.height = 'auto';
    this.field.style.height = `${Math.min(180, this.field.scrollHeight + 2)}px`;
  }

  drawLines() {
    const { app } = this;
    let day = '';
    const rows = [];
    for (const line of this.lines) {
      const at = new Date(line.at);
      const label = DAY.format(at);
      if (label !== day) { day = label; rows.push(h('li', { class: 'day' }, h('span', {}, label))); }
      rows.push(this.row(line));
    }
    if (!rows.length) rows.push(this.opening());
    fill(this.list, rows);
    this.last = this.list.lastElementChild;
    this.toEnd();
    app.people.drawSessions();
  }

  opening() {
    const { agent } = this.app;
    return h('li', { class: 'opening' }, face(this.app, agent, 96),
      h('p', { class: 'lead' }, agent.greeting || `${agent.name} is here. Say hello.`));
  }

  row(line) {
    const { app } = this;
    const bubble = h('div', { class: 'bubble' }, line.text);
    const foot = h('div', { class: 'foot' }, h('time', { datetime: line.at }, TIME.format(new Date(line.at))));
    const item = h('li', { class: line.own ? 'line mine' : 'line' }, line.own ? null : face(app, app.agent, 34),
      h('div', { class: 'said' }, h('span', { class: 'unseen' }, line.own ? 'You: ' : `${line.who}: `), bubble, foot));
    if (!line.own && line.why) this.whyButton(foot, line.why);
    return item;
  }

  whyButton(foot, why) {
    const { app } = this;
    const count = why.recalled.length;
    const label = count ? `Why · ${count} ${count === 1 ? 'memory' : 'memories'}` : 'Why';
    foot.appendChild(h('button', { type: 'button', class: 'link', onclick: () => app.side.showWhy(why) }, label));
  }

  toEnd() { this.scroll.scrollTop = this.scroll.scrollHeight; }

  get atEnd() { return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 80; }

  async say() {
    const text = this.field.value.trim();
    if (!text || this.answering) return;
    this.field.value = '';
    this.grow();
    if (!this.lines.length) fill(this.list);
    const now = new Date().toISOString();
    const mine = { number: 0, who: this.app.caller.person, text, at: now, own: true };
    this.lines.push(mine);
    this.list.appendChild(this.row(mine));
    await this.answer('POST', this.app.sessionPath('/messages'), { text });
  }

  /* Shows a reply as it comes. */
  async answer(method, url, body) {
    const { app } = this;
    const line = { number: 0, who: app.agent.name, text: '', at: new Date().toISOString(), own: false };
    const item = this.row(line);
    const bubble = item.querySelector('.bubble');
    const foot = item.querySelector('.foot');
    item.classList.add('coming');
    fill(bubble, h('span', { class: 'thinking' }, h('i'), h('i'), h('i'), h('span', { class: 'unseen' }, 'thinking')));
    this.list.appendChild(item);
    this.toEnd();
    const work = this.answering = { abort: new AbortController(), session: app.sessionPath() };
    this.busy(true);
    app.announce(`${app.agent.name} is thinking.`);
    const on = (name, data) => {
      if (work !== this.answering) return;
      const follow = this.atEnd;
      if (name === 'text') { line.text += data.text; bubble.textContent = line.text; }
      if (name === 'tool') this.progress(item, data);
      if (name === 'end') this.finish(item, line, data);
      if (name === 'error') this.failed(item, data.detail);
      if (follow) this.toEnd();
    };
    try {
      await stream(method, url, body, on, work.abort.signal);
    } catch (error) {
      if (error.name !== 'AbortError') {
        if (!(error instanceof ApiError)) throw error;
        if (work === this.answering) this.failed(item, error.message);
      }
    } finally {
      item.classList.remove('coming');
      if (work === this.answering) { this.answering = null; this.busy(false); }
    }
    foot.querySelector('time').textContent = TIME.format(new Date());
  }

  progress(item, data) {
    let note = item.querySelector('.progress');
    if (!note) { note = h('p', { class: 'progress quiet' }); item.querySelector('.said').insertBefore(note, item.querySelector('.bubble')); }
    const share = typeof data.share === 'number' ? ` ${Math.round(data.share * 100)} %` : '';
    note.textContent = `${data.tool}: ${data.text}${share}`;
  }

  finish(item, line, reply) {
    const { app } = this;
    const bubble = item.querySelector('.bubble');
    line.text = reply.text;
    line.why = reply.why;
    if (reply.resolve === 'failed') { this.failed(item, reply.failure ? reply.failure.detail : 'No reply could be made.'); return; }
    if (reply.resolve === 'waiting') {
      fill(bubble, h('em', {}, app.caller.may_approve ? 'Waits for your approval.' : 'Waits until somebody approves.'));
      app.side.waiting(reply.waiting);
      return;
    }
    bubble.textContent = reply.text || (reply.resolve === 'cancelled' ? '…' : '');
    if (reply.resolve === 'cancelled') item.classList.add('cut');
    this.lines.push(line);
    this.whyButton(item.querySelector('.foot'), reply.why);
    app.announce(`${app.agent.name}: ${reply.text}`);
    app.side.replied(reply.why);
    app.people.drawSessions();
  }

  failed(item, text) {
    item.classList.add('wrong');
    fill(item.querySelector('.bubble'), text);
    this.app.announce(`No reply: ${text}`);
  }

  fault(text) {
    fill(this.list, h('li', { class: 'line wrong', role: 'alert' }, h('div', { class: 'bubble' }, text)));
  }

  busy(on) {
    this.send.hidden = on;
    this.halt.hidden = !on;
    this.root.classList.toggle('answering', on);
    if (on) this.halt.focus(); else this.field.focus();
  }

  stop() {
    if (this.answering) this.answering.abort.abort();
  }

  abandon() {
    this.stop();
    this.answering = null;
    this.lines = [];
  }

  async begin() {
    const { app } = this;
    const session = await post(`/agents/${encodeURIComponent(app.agent.id)}/sessions`);
    app.go(app.agent, session.name);
  }
}
