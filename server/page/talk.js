/* A talk: its lines, the reply as it comes, and the field to say something. */

import { button, fill, h } from '/page/town.js';
import { ApiError, call, get, path, post, stream } from '/page/api.js';
import { face } from '/page/people.js';

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export class Talk {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.answering = null;
    this.lines = [];
    this.record = [];
    this.offRecord = false;
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
    this.list = h('ol', { class: 'lines' });
    this.scroll = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `What ${agent.name} and you said` }, this.list);
    this.form = h('form', { class: 'composer', onsubmit: (event) => { event.preventDefault(); this.say(); } });
    fill(this.root, this.head(agent), this.scroll, this.form);
    this.stay();
    this.compose();
    this.badge(this.app.side.requests.length);
    await this.reload();
    if (this.app.agent === agent && this.app.session === session && window.matchMedia('(hover: hover)').matches) this.field.focus();
  }

  head(agent) {
    const { app } = this;
    const open = (tab) => (event) => app.side.open(tab, event.currentTarget);
    return h('header', { class: 'head' },
      button('Whom to talk to', 'back', () => app.view('people'), { class: 'round only-phone' }),
      face(app, agent, 44),
      h('div', { class: 'words' }, h('h2', {}, agent.name), h('p', { class: 'quiet' }, agent.about)),
      h('div', { class: 'switches' },
        h('button', { type: 'button', class: 'small', onclick: open('why') }, 'Why'),
        h('button', { type: 'button', class: 'small', onclick: open('memory') }, 'Memory'),
        app.caller.may_approve ? h('button', { type: 'button', class: 'small asked', hidden: true, onclick: open('approvals') }, 'Approvals ', h('b', { class: 'badge' })) : null));
  }

  badge(count) {
    const asked = this.root.querySelector('.asked');
    if (!asked) return;
    asked.hidden = !count;
    asked.querySelector('.badge').textContent = count;
  }

  /* -- the field -------------------------------------------------------------------------- */

  compose() {
    const { agent } = this.app;
    this.field = h('textarea', { id: 'say', rows: 1, maxlength: 16000, oninput: () => this.grow(), onkeydown: (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.say(); }
    } });
    this.send = h('button', { class: 'primary send' }, 'Say');
    this.halt = h('button', { type: 'button', class: 'primary halt', hidden: true, onclick: () => this.stop() }, 'Stop');
    this.secret = button('Ask without a trace', 'eye', () => this.toRecord(!this.offRecord), { class: 'round', 'aria-pressed': 'false' });
    fill(this.form, this.secret, this.field, this.send, this.halt);
    this.toRecord(false);
    this.field.setAttribute('aria-label', `Say something to ${agent.name}`);
  }

  /* Off the record: questions that leave no trace, which this page alone keeps. */
  toRecord(off) {
    this.offRecord = off;
    this.secret.setAttribute('aria-pressed', String(off));
    this.form.classList.toggle('secret', off);
    const { name } = this.app.agent;
    const narrow = window.matchMedia('(max-width: 760px)').matches;
    this.field.placeholder = off ? 'Ask without a trace…' : narrow ? 'Say something…' : `Say something to ${name}…`;
    if (off) this.app.announce('What you ask now is not remembered.');
  }

  grow() {
    this.field.style.height = 'auto';
    this.field.style.height = `${Math.min(180, this.field.scrollHeight + 2)}px`;
  }

  busy(on) {
    this.send.hidden = on;
    this.halt.hidden = !on;
    this.root.classList.toggle('answering', on);
    if (on) this.halt.focus(); else this.field.focus();
  }

  /* -- the lines -------------------------------------------------------------------------- */

  async reload() {
    const { app } = this;
    const where = app.sessionPath();
    try {
      const content = await get(where);
      if (where !== app.sessionPath() || this.answering) return;
      this.lines = content.lines;
      this.drawLines(content.waiting);
      app.side.waiting(content.waiting);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(this.list, h('li', { class: 'line wrong', role: 'alert' }, h('div', { class: 'bubble' }, error.message)));
    }
  }

  drawLines(waiting = []) {
    let day = '';
    const rows = [];
    for (const line of this.lines) {
      const label = DAY.format(new Date(line.at));
      if (label !== day) { day = label; rows.push(h('li', { class: 'day' }, h('span', {}, label))); }
      rows.push(this.row(line));
    }
    for (const one of waiting) rows.push(this.waits(one));
    if (!rows.length) rows.push(this.opening());
    fill(this.list, rows);
    this.offerAgain();
    this.toEnd();
    this.app.people.drawSessions();
  }

  opening() {
    const { agent } = this.app;
    return h('li', { class: 'opening' }, face(this.app, agent, 96),
      h('p', { class: 'lead' }, agent.greeting || `${agent.name} is here. Say hello.`));
  }

  waits(request) {
    const may = this.app.caller.may_approve;
    return h('li', { class: 'line' }, face(this.app, this.app.agent, 34), h('div', { class: 'said' },
      h('div', { class: 'bubble pending' }, may ? `Waits for your approval to use ${request.tool}. ` : `Waits until somebody approves the use of ${request.tool}.`,
        may ? h('button', { type: 'button', class: 'link', onclick: (event) => this.app.side.open('approvals', event.currentTarget) }, 'Look at it') : null)));
  }

  row(line) {
    const { app } = this;
    const bubble = h('div', { class: 'bubble' }, line.text);
    const foot = h('div', { class: 'foot' }, h('time', { datetime: line.at }, TIME.format(new Date(line.at))));
    const classes = ['line', line.own && 'mine', line.cut && 'cut', line.secret && 'secret'].filter(Boolean);
    const item = h('li', { class: classes.join(' '), 'data-line': line.number }, line.own ? null : face(app, app.agent, 34),
      h('div', { class: 'said' }, h('span', { class: 'unseen' }, line.own ? 'You: ' : `${line.who}: `), bubble, foot));
    if (line.variants && line.variants.length > 1) this.offerVariants(foot, line);
    if (line.own && line.number) this.offerEdit(item, line);
    if (!line.own && line.why) this.whyButton(foot, line.why);
    return item;
  }

  offerEdit(item, line) {
    item.querySelector('.foot').appendChild(h('button', { type: 'button', class: 'link', onclick: () => this.edit(item, line) }, 'Edit'));
  }

  whyButton(foot, why) {
    const count = why.recalled.length + why.withheld;
    const label = count ? `Why · ${count} ${count === 1 ? 'memory' : 'memories'}` : 'Why';
    foot.appendChild(h('button', { type: 'button', class: 'link', onclick: (event) => this.app.side.showWhy(why, event.currentTarget) }, label));
  }

  offerVariants(foot, line) {
    const at = line.variants.indexOf(line.number);
    const go = (step) => () => this.branch(line.variants[at + step]);
    foot.appendChild(h('span', { class: 'pair variants' },
      button('The version before', 'back', at > 0 && go(-1), { disabled: at <= 0 }),
      h('span', {}, `${at + 1} of ${line.variants.length}`),
      button('The next version', 'next', at < line.variants.length - 1 && go(1), { disabled: at >= line.variants.length - 1 })));
  }

  /* The last reply can be made anew. */
  offerAgain() {
    for (const one of this.list.querySelectorAll('.again')) one.remove();
    const last = this.lines[this.lines.length - 1];
    if (!last || last.own || !this.lines.some((line) => line.own)) return;
    const rows = this.list.querySelectorAll('.line:not(.secret)');
    const foot = rows[rows.length - 1].querySelector('.foot');
    if (foot) foot.appendChild(h('button', { type: 'button', class: 'link again', onclick: () => this.again() }, 'Say it differently'));
  }

  /* Who reads the end goes on reading it when the room for the lines changes. */
  stay() {
    const { scroll } = this;
    let ended = true;
    scroll.addEventListener('scroll', () => { ended = this.atEnd; }, { passive: true });
    new ResizeObserver(() => { if (ended) scroll.scrollTop = scroll.scrollHeight; }).observe(scroll);
  }

  toEnd() { this.scroll.scrollTop = this.scroll.scrollHeight; }

  get atEnd() { return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 80; }

  /* -- talking ---------------------------------------------------------------------------- */

  async say() {
    const text = this.field.value.trim();
    if (!text || this.answering) return;
    const secret = this.offRecord;
    this.field.value = '';
    this.grow();
    const opening = this.list.querySelector('.opening');
    if (opening) opening.remove();
    const mine = { number: 0, who: this.app.caller.person, text, at: new Date().toISOString(), own: true, secret };
    const item = this.row(mine);
    this.list.appendChild(item);
    if (secret) {
      const lines = this.record.slice(-16);
      this.record.push({ own: true, text });
      await this.answer('POST', path`/agents/${this.app.agent.id}/interview`, { text, lines }, { secret });
      return;
    }
    this.lines.push(mine);
    await this.answer('POST', this.app.sessionPath('/messages'), { text }, { mine, said: item });
  }

  async again() {
    if (this.answering) return;
    const rows = this.list.querySelectorAll('.line:not(.mine):not(.secret)');
    rows[rows.length - 1].remove();
    this.lines.pop();
    await this.answer('POST', this.app.sessionPath('/replies'), {}, { anew: true });
  }

  edit(item, line) {
    if (this.answering || item.querySelector('.edit')) return;
    const field = h('textarea', { rows: 3, maxlength: 16000, 'aria-label': 'Say this instead' });
    field.value = line.text;
    const said = item.querySelector('.said');
    const form = h('form', { class: 'edit', onsubmit: async (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (!text || this.answering) return;
      while (item.nextSibling) item.nextSibling.remove();
      form.remove();
      said.hidden = false;
      item.querySelector('.bubble').textContent = text;
      await this.answer('PUT', this.app.sessionPath(path`/lines/${line.number}`), { text }, { anew: true });
    } }, field, h('p', { class: 'quiet' }, 'What came after is kept beside it.'),
    h('div', { class: 'row' }, h('button', { type: 'button', class: 'small', onclick: () => { form.remove(); said.hidden = false; said.querySelector('.foot button').focus(); } }, 'Cancel'),
      h('button', { class: 'primary' }, 'Say this instead')));
    said.hidden = true;
    item.appendChild(form);
    field.focus();
  }

  async branch(line) {
    if (this.answering) return;
    await this.app.tell(async () => {
      await post(this.app.sessionPath('/branch'), { line, to_end: true });
      await this.reload();
    });
  }

  async begin() {
    const { app } = this;
    await app.tell(async () => {
      const session = await post(path`/agents/${app.agent.id}/sessions`);
      app.go(app.agent, session.name);
    });
  }

  async remove(session) {
    const { app } = this;
    await app.tell(async () => {
      await call('DELETE', path`/agents/${app.agent.id}/sessions/${session}`);
      app.announce('The talk is gone.');
      app.side.reset();
      app.side.refresh();
      if (session === app.session && session !== 'main') app.go(app.agent);
      else await this.reload();
    });
  }

  /* -- a reply as it comes ---------------------------------------------------------------- */

  async answer(method, url, body, how) {
    const { app } = this;
    const line = { number: 0, who: app.agent.name, text: '', at: new Date().toISOString(), own: false, secret: how.secret };
    const item = this.row(line);
    const bubble = item.querySelector('.bubble');
    item.classList.add('coming');
    fill(bubble, h('span', { class: 'thinking' }, h('i'), h('i'), h('i'), h('span', { class: 'unseen' }, 'thinking')));
    this.list.appendChild(item);
    for (const one of this.list.querySelectorAll('.again')) one.remove();
    this.toEnd();
    const work = this.answering = { abort: new AbortController() };
    this.busy(true);
    app.announce(`${app.agent.name} is thinking.`);
    const on = (name, data) => {
      if (work !== this.answering) return;
      const follow = this.atEnd;
      if (name === 'text') { line.text += data.text; bubble.textContent = line.text; }
      if (name === 'tool') this.progress(item, data);
      if (name === 'end') this.finish(item, line, data, how);
      if (name === 'error') this.failed(item, data.detail);
      if (follow) this.toEnd();
    };
    try {
      await stream(method, url, body, on, work.abort.signal);
    } catch (error) {
      if (error.name === 'AbortError') item.classList.add('cut');
      else if (!(error instanceof ApiError)) throw error;
      else if (work === this.answering) this.failed(item, error.message);
    } finally {
      item.classList.remove('coming');
      if (work === this.answering) {
        this.answering = null;
        this.busy(false);
      }
    }
    if (how.anew || work.stopped) await this.settle();
  }

  /* After lines have moved: the talk as the server keeps it now. */
  async settle() {
    if (this.answering || !this.app.agent) return;
    await this.reload();
  }

  progress(item, data) {
    let note = item.querySelector('.progress');
    if (!note) { note = h('p', { class: 'progress quiet' }); item.querySelector('.said').insertBefore(note, item.querySelector('.bubble')); }
    const share = typeof data.share === 'number' ? ` ${Math.round(data.share * 100)} %` : '';
    note.textContent = `${data.tool}: ${data.text}${share}`;
  }

  finish(item, line, reply, how) {
    const { app } = this;
    const bubble = item.querySelector('.bubble');
    line.text = reply.text;
    line.why = reply.why;
    if (reply.resolve === 'failed') { this.failed(item, reply.failure ? reply.failure.detail : 'No reply could be made.'); return; }
    if (reply.resolve === 'waiting') {
      item.replaceWith(...reply.waiting.map((one) => this.waits(one)));
      app.announce(`${app.agent.name} waits for an approval.`);
      app.side.waiting(reply.waiting);
      return;
    }
    bubble.textContent = reply.text || '…';
    item.classList.toggle('cut', reply.resolve === 'cancelled');
    this.whyButton(item.querySelector('.foot'), reply.why);
    app.announce(`${app.agent.name}: ${reply.text}`);
    app.side.replied(reply.why);
    if (how.secret) { this.record.push({ own: false, text: reply.text }); return; }
    line.number = reply.line || 0;
    if (how.mine && reply.said) {
      how.mine.number = reply.said;
      this.offerEdit(how.said, how.mine);
    }
    this.lines.push(line);
    this.offerAgain();
    app.people.drawSessions();
  }

  failed(item, text) {
    item.classList.add('wrong');
    fill(item.querySelector('.bubble'), text);
    this.app.announce(`No reply: ${text}`);
  }

  /* The server ends the reply: what was said so far is remembered. */
  async stop() {
    const work = this.answering;
    if (!work || work.stopped) return;
    work.stopped = true;
    this.halt.disabled = true;
    const ended = setTimeout(() => work.abort.abort(), 3000);
    if (this.offRecord) work.abort.abort();
    else await post(this.app.sessionPath('/cancel')).catch((error) => { work.abort.abort(); if (!(error instanceof ApiError)) throw error; });
    clearTimeout(this.timer);
    this.timer = ended;
    this.halt.disabled = false;
  }

  abandon() {
    if (this.answering) this.answering.abort.abort();
    this.answering = null;
    this.lines = [];
    this.record = [];
  }
}
