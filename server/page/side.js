/* Beside the talk: why a reply is as it is, the memory, what waits for an approval. */

import { button, fill, h } from '/page/town.js';
import { ApiError, get } from '/page/api.js';
import { approvalCards } from '/page/approvals.js';
import { MemoryTab } from '/page/memory.js';
import { whyCards } from '/page/why.js';

const TABS = [['why', 'Why'], ['memory', 'Memory'], ['approvals', 'Approvals']];
const WATCH_SECONDS = 15;

export class Side {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.tab = 'why';
    this.requests = [];
    this.reset();
  }

  reset() {
    this.why = null;
    this.memory = { text: '', mine: true, focus: 0 };
  }

  get tabs() { return TABS.filter(([id]) => id !== 'approvals' || this.app.caller.may_approve); }

  open(tab, opener = document.activeElement) {
    if (this.root.hidden) this.opener = opener;
    this.tab = tab;
    this.root.hidden = false;
    this.app.root.classList.add('sided');
    this.app.view('side');
    this.refresh();
    const chosen = this.root.querySelector('[aria-selected="true"]');
    if (chosen) chosen.focus();
  }

  close() {
    this.root.hidden = true;
    this.app.root.classList.remove('sided');
    this.app.view(this.app.agent ? 'talk' : 'people');
    if (this.opener && this.opener.isConnected) this.opener.focus();
    else if (this.app.talk.field) this.app.talk.field.focus();
  }

  showWhy(why, opener) {
    this.why = why;
    this.open('why', opener);
  }

  showMemory(record) {
    this.memory = { text: '', mine: !this.app.caller.owner, focus: record };
    this.open('memory');
  }

  /* A reply has come: its why is shown, and it is remembered. */
  replied(why) {
    this.why = why;
    if (!this.root.hidden && this.tab === 'why') this.refresh();
    if (!this.root.hidden && this.tab === 'memory' && !this.root.querySelector('.edit')) this.refresh();
  }

  refresh() {
    if (this.root.hidden || !this.app.agent) return;
    const body = h('div', { class: 'body', role: 'tabpanel', id: 'side-body', tabindex: 0, 'aria-labelledby': `tab-${this.tab}` });
    fill(this.root,
      h('header', { class: 'side-head' },
        h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Beside the talk', onkeydown: (event) => this.arrow(event) }, this.tabs.map(([id, name]) => h('button', {
          type: 'button', role: 'tab', id: `tab-${id}`, 'aria-controls': 'side-body', 'aria-selected': String(id === this.tab),
          tabindex: id === this.tab ? 0 : -1, onclick: () => this.open(id),
        }, name, id === 'approvals' && this.requests.length ? h('b', { class: 'badge' }, this.requests.length) : null))),
        button('Close', 'close', () => this.close(), { class: 'round' })), body);
    if (this.tab === 'why') fill(body, whyCards(this.app, this.why));
    if (this.tab === 'memory') new MemoryTab(this.app, body, this.memory);
    if (this.tab === 'approvals') fill(body, approvalCards(this.app, this.requests, (request) => this.answered(request)));
  }

  arrow(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const ids = this.tabs.map(([id]) => id);
    this.open(ids[(ids.indexOf(this.tab) + step + ids.length) % ids.length]);
  }

  /* -- approvals -------------------------------------------------------------------------- */

  watch() {
    if (this.watching || !this.app.caller.may_approve) return;
    this.watching = setInterval(() => { if (!document.hidden) this.look(); }, WATCH_SECONDS * 1000);
    this.look();
  }

  async look() {
    try {
      this.show(await get('/approvals'));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  waiting(requests) {
    if (requests.length && this.app.caller.may_approve) this.look();
  }

  show(requests) {
    const keys = (some) => some.map((one) => one.key).join();
    const before = this.requests;
    this.requests = requests;
    this.app.talk.badge(requests.length);
    if (keys(requests) === keys(before)) return;
    if (requests.length > before.length) this.app.announce(`${requests.length} waiting for approval.`);
    if (this.tab === 'approvals') this.refresh();
  }

  async answered(request) {
    this.show(this.requests.filter((one) => one.key !== request.key));
    await this.app.talk.reload();
    await this.look();
    const next = this.root.querySelector('.approval button, [role="tab"][aria-selected="true"]');
    if (next) next.focus();
  }
}
