/* The tab of a person in which one interviews them beside the run, and whispers to them. */

class Speak {
  constructor(app, person) {
    this.app = app;
    this.person = person;
    this.id = '';
    this.log = h('ol', { class: 'interview', 'aria-live': 'polite', 'aria-label': `Interview of ${person.id}` });
    this.question = h('input', { type: 'text', maxlength: 2000, 'aria-label': `Ask ${person.first} a question`, placeholder: `Ask ${person.first} anything…`, autocomplete: 'off' });
    this.ask = h('button', { type: 'submit', class: 'send' }, 'Ask');
    this.whisper = h('input', { type: 'text', maxlength: 2000, 'aria-label': `Whisper to ${person.first}`, placeholder: 'The bakery is on fire…', autocomplete: 'off' });
    this.node = h('div', { class: 'speak' }, this.interview(), this.whispers());
  }

  interview() {
    const { person } = this;
    return h('section', { class: 'card' }, h('h3', {}, 'Interview'),
      h('p', { class: 'quiet' }, `${person.first} as of the last step. Nothing of it reaches the town, and ${person.first} will not remember it.`),
      this.log, h('form', { class: 'line', onsubmit: (event) => { event.preventDefault(); this.put(); } }, this.question, this.ask));
  }

  whispers() {
    const { person, app } = this;
    if (person.presence || !app.town.live) return null;
    return h('section', { class: 'card' }, h('h3', {}, 'Whisper'),
      h('p', { class: 'quiet' }, `${person.first} hears it, wherever they are, and nobody else does. It becomes part of the run: from you by name if you walked in, else as a thought of their own.`),
      h('form', { class: 'line', onsubmit: (event) => { event.preventDefault(); this.breathe(); } }, this.whisper, h('button', { type: 'submit', class: 'send' }, 'Whisper')));
  }

  async put() {
    const question = this.question.value.trim();
    if (!question || this.ask.disabled) return;
    this.question.value = '';
    this.add('mine', 'You', question);
    const waiting = this.add('', this.person.first, '…');
    this.ask.disabled = true;
    try {
      const answer = await this.app.link.post('interview', { agent: this.person.id, question, id: this.id });
      this.id = answer.id;
      waiting.lastChild.textContent = answer.answer || '(says nothing)';
    } catch (error) {
      waiting.lastChild.textContent = error.message;
      waiting.classList.add('fault-line');
    }
    this.ask.disabled = false;
    waiting.scrollIntoView({ block: 'nearest' });
  }

  add(kind, who, text) {
    const line = h('li', { class: kind }, h('b', {}, who), h('span', {}, text));
    this.log.appendChild(line);
    return line;
  }

  async breathe() {
    const text = this.whisper.value.trim();
    if (!text) return;
    const { walker, link } = this.app;
    try {
      await link.post('whisper', { to: this.person.id, text, name: walker.name }, walker.secret);
      this.whisper.value = '';
      this.app.notice(`${this.person.first} hears it at the next step.`);
    } catch (error) { this.app.notice(error.message); }
  }
}

class LivePanel extends Panel {
  constructor(app, root) {
    super(app, root);
    this.spoken = new Map();
  }

  /* What is being typed must not be drawn anew. */
  refresh(force = false) {
    const person = this.app.state.who;
    const open = person && this.app.state.tab === 'speak' && this.speak(person).node.isConnected;
    if (open && !force) { this.headline(person); return; }
    super.refresh(force);
  }

  speak(person) {
    if (!this.spoken.has(person.id)) this.spoken.set(person.id, new Speak(this.app, person));
    return this.spoken.get(person.id);
  }

  signature() {
    const { state, run } = this.app;
    if (state.who && state.tab === 'speak') return `${state.who.id}|speak`;
    const base = super.signature();
    return state.who ? base : `${base}|${run.people.map((person) => run.present(person, state.t)).join()}`;
  }

  body(person) {
    return this.app.state.tab === 'speak' ? this.speak(person).node : super.body(person);
  }
}
