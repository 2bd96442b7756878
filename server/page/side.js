/* Beside the talk: why a reply is as it is, the memory, what waits for an approval. */

import { button, fill, h } from '/page/town.js';
import { whyCards } from '/page/why.js';

const TABS = [['why', 'Why']];

export class Side {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.tab = 'why';
    this.why = null;
  }

  reset() { this.why = null; }

  open(tab) {
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
    this.app.view('talk');
    if (this.app.talk.field) this.app.talk.field.focus();
  }

  showWhy(why) {
    this.why = why;
    this.open('why');
  }

  replied(why) {
    this.why = why;
    if (!this.root.hidden && this.tab === 'why') this.refresh();
  }

  waiting() {}

  watch() {}

  refresh() {
    if (this.root.hidden || !this.app.agent) return;
    const body = h('div', { class: 'body', role: 'tabpanel', id: 'side-body', tabindex: 0, 'aria-labelledby': `tab-${this.tab}` });
    fill(this.root,
      h('header', { class: 'side-head' },
        h('div', { class: 'tabs', role: 'tablist' }, TABS.map(([id, name]) => h('button', {
          type: 'button', role: 'tab', id: `tab-${id}`, 'aria-controls': 'side-body', 'aria-selected': String(id === this.tab), onclick: () => this.open(id),
        }, name))),
        button('Close', 'close', () => this.close(), { class: 'round' })), body);
    if (this.tab === 'why') fill(body, whyCards(this.app, this.why));
  }
}
