/* What somebody remembers of one: to look at, search, correct and forget. */

import { fill, h } from '/page/town.js';
import { ApiError, call, download, get, path } from '/page/api.js';

const KINDS = {
  observation: 'seen', utterance: 'said', thought: 'thought', plan: 'planned', document: 'read', summary: 'summed up',
};
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const PAGE = 40;

export class MemoryTab {
  constructor(app, body, state) {
    this.app = app;
    this.body = body;
    this.state = state;
    this.url = path`/agents/${app.agent.id}/memory`;
    this.list = h('ol', { class: 'memories', 'aria-label': 'Memories' });
    this.count = h('p', { class: 'quiet', role: 'status' });
    this.more = h('button', { type: 'button', class: 'small', hidden: true, onclick: () => this.load(this.before) }, 'Show more');
    this.draw();
    this.refresh();
  }

  draw() {
    const { app, state } = this;
    this.search = h('input', { type: 'search', value: state.text, maxlength: 2000, placeholder: 'Search by words or meaning',
      'aria-label': `Search what ${app.agent.name} remembers`, oninput: () => this.typed() });
    const chip = (on, label, act) => h('button', { type: 'button', 'aria-pressed': String(on), onclick: act }, label);
    fill(this.body,
      h('div', { class: 'filters' }, this.search,
        app.caller.owner ? h('div', { class: 'chips', role: 'group', 'aria-label': 'Which memories' },
          chip(state.mine, 'Of you and for you', () => { state.mine = true; this.restart(); }),
          chip(!state.mine, `And ${app.agent.name}’s own`, () => { state.mine = false; this.restart(); })) : null),
      this.count, this.list, this.more,
      h('p', { class: 'quiet note' }, `What is only between you and ${app.agent.name} is shown to nobody else.`),
      h('button', { type: 'button', class: 'small export', onclick: () => this.save() }, 'Save a copy of everything'));
  }

  get scope() { return `scope=${this.state.mine ? 'person' : 'all'}`; }

  restart() {
    this.draw();
    this.refresh();
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.state.text = this.search.value.trim(); this.refresh(); }, 250);
  }

  async refresh() {
    fill(this.list);
    await this.load(null);
  }

  async load(before) {
    const { state } = this;
    const ask = this.ask = {};
    try {
      let records;
      if (state.text) {
        records = await get(`${this.url}/search?limit=40&text=${encodeURIComponent(state.text)}&${this.scope}`);
        if (ask !== this.ask) return;
        this.before = null;
        this.count.textContent = records.length ? `${records.length} found, the best first` : 'Nothing found.';
      } else {
        const page = await get(`${this.url}?limit=${PAGE}&${this.scope}${before ? `&before=${before}` : ''}`);
        if (ask !== this.ask) return;
        records = page.records;
        this.before = page.before;
        this.count.textContent = page.total ? `${page.total} ${page.total === 1 ? 'memory' : 'memories'}, the latest first`
          : `${this.app.agent.name} remembers nothing here yet.`;
      }
      this.more.hidden = !this.before;
      for (const record of records) this.list.appendChild(this.row(record));
      const focus = this.state.focus && this.list.querySelector(`[data-id="${this.state.focus}"]`);
      if (focus) { focus.classList.add('focus'); focus.scrollIntoView({ block: 'center' }); }
    } catch (error) {
      this.fault(error);
    }
  }

  row(record) {
    const { app } = this;
    const who = record.who && record.kind !== 'utterance' && record.who !== app.agent.name ? ` · ${record.who}` : '';
    const item = h('li', { class: `memory ${record.kind}`, 'data-id': record.id });
    const actions = record.editable ? h('span', { class: 'actions' },
      h('button', { type: 'button', class: 'link', onclick: () => this.correct(item, record) }, 'Correct', h('span', { class: 'unseen' }, `: ${record.text}`)),
      h('button', { type: 'button', class: 'link', onclick: () => this.forget(item, record) }, 'Forget', h('span', { class: 'unseen' }, `: ${record.text}`))) : null;
    fill(item, h('p', {}, record.text),
      h('div', { class: 'meta' }, h('span', {}, `${KINDS[record.kind] || record.kind}${who}`),
        h('time', { datetime: record.created }, WHEN.format(new Date(record.created))),
        record.private && !this.state.mine ? h('span', { class: 'tag' }, 'only you two') : null, actions));
    return item;
  }

  correct(item, record) {
    const field = h('textarea', { rows: 3, maxlength: 16000, 'aria-label': 'What is right' });
    field.value = record.text;
    const keep = h('input', { type: 'checkbox', checked: true });
    const form = h('form', { class: 'edit', onsubmit: async (event) => {
      event.preventDefault();
      await this.change(item, async () => {
        const made = await call('PATCH', `${this.url}/${record.id}?${this.scope}`, { text: field.value.trim(), keep_history: keep.checked });
        this.app.announce('Corrected.');
        const row = this.row(made);
        item.replaceWith(row);
        row.querySelector('button').focus();
      });
    } }, field, h('label', {}, keep, ' Keep the earlier words in the history'),
    h('div', { class: 'row' }, this.cancel(item, record), h('button', { class: 'primary' }, 'Correct')));
    fill(item, form);
    field.focus();
  }

  forget(item, record) {
    const drop = (keep) => () => this.change(item, async () => {
      const report = await call('DELETE', `${this.url}/${record.id}?keep_history=${keep}&${this.scope}`);
      const left = report.found ? ` ${report.found} of its texts stand elsewhere too.` : '';
      this.app.announce(`Forgotten.${left}`);
      const gone = h('li', { class: 'memory gone', tabindex: -1 }, h('p', { class: 'quiet' }, `Forgotten.${left}`));
      item.replaceWith(gone);
      gone.focus();
    });
    const erase = h('button', { type: 'button', class: 'primary', onclick: drop(false) }, 'Erase for good');
    fill(item, h('p', {}, record.text),
      h('div', { class: 'edit', role: 'group', 'aria-label': 'Forget this' },
        h('p', { class: 'quiet' }, `${this.app.agent.name} forgets it, and what was concluded from it. Erasing removes it from the file as well.`),
        h('div', { class: 'row' }, this.cancel(item, record), h('button', { type: 'button', class: 'small', onclick: drop(true) }, 'Keep in the history'), erase)));
    erase.focus();
  }

  cancel(item, record) {
    return h('button', { type: 'button', class: 'small', onclick: () => {
      const row = this.row(record);
      item.replaceWith(row);
      row.querySelector('button').focus();
    } }, 'Cancel');
  }

  async change(item, work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const note = item.querySelector('[role="alert"]') || item.appendChild(h('p', { class: 'wrong', role: 'alert' }));
      note.textContent = error.message;
    }
  }

  async save() {
    const blob = await download(`${this.url}/export`);
    const link = h('a', { href: URL.createObjectURL(blob), download: `${this.app.agent.id}-${this.app.caller.person}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  fault(error) {
    if (!(error instanceof ApiError)) throw error;
    this.count.textContent = error.message;
  }
}
