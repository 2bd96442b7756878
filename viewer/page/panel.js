/* The panel of a person: now and why, the day, memories, thoughts, talks, about. */

const TABS = [['now', 'Now'], ['day', 'Day'], ['memories', 'Memories'], ['thoughts', 'Reflections'], ['talks', 'Talks'], ['about', 'About']];
const ALIASES = { why: 'now', plan: 'day', memory: 'memories', reflections: 'thoughts', conversations: 'talks', persona: 'about' };
const KINDS = { observation: 'Seen', utterance: 'Heard', thought: 'Thoughts', plan: 'Plans' };

class Panel {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.key = '';
    this.filter = { kind: '', text: '', shown: 120 };
    this.focus = 0;
    this.measure = '';
  }

  /* Draws anew only when what it shows has changed. */
  refresh(force = false) {
    const { app } = this;
    const key = this.signature();
    if (!force && key === this.key) return;
    const sameView = this.key.split('|').slice(0, 2).join() === key.split('|').slice(0, 2).join();
    const old = this.root.querySelector('.body');
    const scroll = sameView && old ? old.scrollTop : 0;
    this.key = key;
    const person = app.state.who;
    if (!person) fill(this.root, overview(app));
    else if (sameView && old) fill(old, this.body(person));
    else fill(this.root, this.head(person), h('div', { class: 'body', id: 'sheet', role: 'tabpanel', 'aria-label': app.state.tab, tabindex: '0' }, this.body(person)));
    if (person && sameView) this.headline(person);
    const body = this.root.querySelector('.body');
    if (body) body.scrollTop = scroll;
  }

  signature() {
    const { run, state } = this.app;
    const person = state.who;
    const t = Math.floor(state.t);
    if (!person) return `overview|x|${this.measure}|${costColumn(run, t)}|${lastAt(run.headlines, t)}|${run.people.map((p) => lastAt(p.acts, t)).join()}`;
    const parts = {
      now: [lastAt(person.acts, t), lastAt(person.asks, t), run.asked(person, t)?.step === t, run.talkOf(person, t)?.id, lastAt(run.talkOf(person, t)?.lines || [], t)],
      day: [lastAt(person.plans, t), Math.floor(run.minute(t) / 5)],
      memories: [lastMemory(person, t), JSON.stringify(this.filter), this.focus],
      thoughts: [lastMemory(person, t)],
      talks: [person.talks.map((talk) => lastAt(talk.lines, t)).join()],
      about: [this.measure],
    }[state.tab];
    return [person.id, state.tab, lastAt(person.acts, t), state.follow, ...parts].join('|');
  }

  head(person) {
    const { app } = this;
    const look = app.stage.looks[person.index];
    this.line = h('p', { class: 'doing' });
    this.followButton = button('Follow', 'eye', () => app.follow(!app.state.follow), { class: 'round', 'aria-pressed': 'false' });
    this.headline(person);
    return [
      h('header', { class: 'who', style: { '--tint': look.color } }, portrait(look, 64),
        h('div', {}, h('h2', {}, person.id), this.line),
        h('div', { class: 'tools' }, this.followButton, button('Close', 'close', () => app.select(null), { class: 'round' }))),
      h('div', { class: 'tabs', role: 'tablist', style: { '--tint': look.color } }, TABS.map(([id, label]) =>
        h('button', { type: 'button', role: 'tab', 'aria-selected': String(app.state.tab === id), 'aria-controls': 'sheet', onclick: () => app.tab(id) }, label))),
    ];
  }

  headline(person) {
    if (!this.line) return;
    fill(this.line, [person.persona.age, person.persona.traits].filter(Boolean).join(' · '));
    this.followButton.setAttribute('aria-pressed', String(this.app.state.follow));
  }

  body(person) {
    return { now: () => this.now(person), day: () => this.day(person), memories: () => this.memories(person), thoughts: () => this.thoughts(person), talks: () => this.talks(person), about: () => this.about(person) }[this.app.state.tab]();
  }

  now(person) {
    const { app } = this;
    const { run, state } = app;
    const act = run.act(person, state.t);
    const talk = run.talkOf(person, state.t);
    const line = talk && currentRow(talk.lines, state.t);
    return [
      act ? h('section', { class: 'card act' }, h('span', { class: 'big' }, act[5] ? '💤' : act[2] || '·'),
        h('div', {}, h('p', { class: 'lead' }, act[1]), h('p', { class: 'quiet' }, `${last(act[3])}${act[3] ? ' · ' : ''}since ${run.clock(act[0])}`),
          act[4] ? h('p', { class: 'because' }, act[4]) : null)) : h('p', { class: 'quiet' }, 'Nothing yet.'),
      talk ? h('section', { class: 'card talking' }, h('h3', {}, `In conversation with ${talk.members.filter((name) => name !== person.id).join(', ')}`),
        line ? h('blockquote', {}, h('b', {}, `${line[1].split(' ')[0]}: `), line[2]) : null,
        h('button', { type: 'button', class: 'link', onclick: () => app.tab('talks') }, 'Read it all')) : null,
      ...whyCards(app, person),
    ];
  }

  day(person) {
    const { run, state } = this.app;
    const plan = run.plan(person, state.t);
    if (!plan) return h('p', { class: 'quiet' }, 'There is no plan for this day yet.');
    const minute = run.minute(state.t);
    const day = Math.floor(run.minute(plan[0]) / DAY);
    const slot = ([start, minutes, doing, place]) => {
      const here = minute >= start && minute < start + Math.max(1, minutes);
      const done = minute >= start + minutes;
      const time = `${String(Math.floor(start / 60) % 24).padStart(2, '0')}:${String(start % 60).padStart(2, '0')}`;
      return h('li', { class: here ? 'here' : done ? 'done' : '', 'aria-current': here ? 'time' : null },
        h('time', {}, time), h('div', {}, h('p', {}, doing), place ? h('p', { class: 'quiet' }, last(place)) : null,
          here ? h('span', { class: 'meter' }, h('i', { style: { width: `${((minute - start) / Math.max(1, minutes)) * 100}%` } })) : null));
    };
    return [
      h('p', { class: 'quiet' }, `${run.day(state.t)}${day ? '' : ''} · as planned at ${run.clock(plan[0])}`),
      plan[1].length ? h('section', { class: 'card' }, h('h3', {}, 'In broad strokes'), h('ol', { class: 'broad' }, plan[1].map((text) => h('li', {}, text)))) : null,
      plan[2].length ? h('ol', { class: 'slots' }, plan[2].map(slot)) : null,
    ];
  }

  memories(person) {
    const { run, state } = this.app;
    const { filter } = this;
    const t = Math.floor(state.t);
    const known = person.memories.filter((memory) => memory[1] <= t);
    const words = filter.text.toLowerCase();
    const found = known.filter((memory) => (!filter.kind || memory[2] === filter.kind) && (!words || memory[3].toLowerCase().includes(words)));
    const kinds = ['', ...new Set(person.memories.map((memory) => memory[2]))];
    const count = (kind) => (kind ? known.filter((memory) => memory[2] === kind).length : known.length);
    const list = h('ol', { class: 'memories' }, found.slice(-filter.shown).reverse().map((memory) => this.memory(person, memory)));
    const more = found.length > filter.shown
      ? h('button', { type: 'button', class: 'wide', onclick: () => { filter.shown += 200; this.refresh(); } }, `Show ${Math.min(200, found.length - filter.shown)} more of ${found.length}`) : null;
    const search = h('input', { type: 'search', placeholder: 'Search memories', 'aria-label': 'Search memories', value: filter.text,
      oninput: (event) => { filter.text = event.target.value; const at = event.target.selectionStart; this.refresh(); const box2 = this.root.querySelector('input[type=search]'); box2.focus(); box2.setSelectionRange(at, at); } });
    return [
      h('div', { class: 'filters' }, search, h('div', { class: 'chips' }, kinds.map((kind) =>
        h('button', { type: 'button', 'aria-pressed': String(filter.kind === kind), onclick: () => { filter.kind = kind; this.refresh(); } }, `${kind ? KINDS[kind] || kind : 'All'} `, h('small', {}, count(kind)))))),
      found.length ? list : h('p', { class: 'quiet' }, known.length ? 'No memory fits.' : 'Nothing remembered yet.'), more,
    ];
  }

  memory(person, [id, step, kind, text, importance, , who, evidence]) {
    const { app } = this;
    return h('li', { class: `memory ${kind} ${id === this.focus ? 'focus' : ''}`, id: `m${id}` },
      h('div', { class: 'meta' }, h('button', { type: 'button', class: 'link', onclick: () => app.jump(step) }, step < 0 ? 'before' : app.run.clock(step)),
        h('span', {}, (KINDS[kind] || kind).toLowerCase().replace(/s$/, '')), who && who !== person.id ? h('span', {}, `by ${who}`) : null,
        h('span', { class: 'weight', title: `importance ${number(importance)} of 10`, style: { '--w': `${importance * 10}%` } })),
      h('p', {}, text),
      evidence.length ? this.evidence(person, evidence) : null);
  }

  evidence(person, ids) {
    return h('details', {}, h('summary', {}, `Rests on ${ids.length} ${ids.length > 1 ? 'memories' : 'memory'}`),
      h('ul', { class: 'evidence' }, ids.map((id) => {
        const memory = person.record.get(id);
        return h('li', {}, h('button', { type: 'button', class: 'link', onclick: () => this.app.showMemory(person, id) }, memory ? memory[3] : `memory ${id}`));
      })));
  }

  thoughts(person) {
    const { app } = this;
    const t = Math.floor(app.state.t);
    const found = person.memories.filter((memory) => memory[2] === 'thought' && memory[7].length && memory[1] <= t);
    if (!found.length) return h('p', { class: 'quiet' }, `${person.first} has not reflected yet.`);
    return h('ol', { class: 'thoughts' }, found.slice(-100).reverse().map(([, step, , text, , depth, , evidence]) =>
      h('li', { class: 'card' }, h('div', { class: 'meta' }, h('button', { type: 'button', class: 'link', onclick: () => app.jump(step) }, app.run.clock(step)), h('span', {}, `depth ${depth}`)),
        h('p', { class: 'lead' }, text), this.evidence(person, evidence))));
  }

  talks(person) {
    const { app } = this;
    if (!person.talks.length) return h('p', { class: 'quiet' }, `${person.first} talks to nobody in this run.`);
    return person.talks.map((talk) => chat(app, talk, person));
  }

  about(person) {
    const titles = { age: 'Age', traits: 'By nature', background: 'Story', currently: 'Currently', lifestyle: 'Way of life', home: 'Home' };
    return [h('dl', { class: 'about-list' }, Object.entries(person.persona).filter(([, value]) => value).map(([name, value]) =>
      [h('dt', {}, titles[name] || name), h('dd', {}, name === 'home' ? last(value) : value)])), costs(this.app, person)];
  }
}

function lastMemory(person, t) {
  let low = 0;
  let high = person.memories.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (person.memories[middle][1] <= t) low = middle + 1; else high = middle;
  }
  return low;
}

/* A conversation as a chat; lines still to come are pale. */
function chat(app, talk, person) {
  const { run, state } = app;
  const future = talk.start > state.t;
  return h('section', { class: `chat ${future ? 'later' : ''}` },
    h('header', {}, h('h3', {}, talk.members.filter((name) => !person || name !== person.id).join(', ')),
      h('p', { class: 'quiet' }, `${run.clock(talk.start)} to ${run.clock(talk.end)}${talk.place ? ` · ${last(talk.place)}` : ''}`),
      h('button', { type: 'button', class: 'small', onclick: () => app.jump(talk.start, talk) }, future ? 'Go there' : 'Replay')),
    h('ol', {}, talk.lines.map(([step, who, text]) => {
      const speaker = run.byName.get(who);
      const mine = person ? who === person.id : talk.members[0] === who;
      const look = speaker ? app.stage.looks[speaker.index] : null;
      return h('li', { class: `${mine ? 'mine' : ''} ${step > state.t ? 'later' : ''}`, style: look ? { '--tint': look.color } : {} },
        h('span', { class: 'name' }, who.split(' ')[0], ' ', h('button', { type: 'button', class: 'link', onclick: () => app.jump(step, talk) }, run.clock(step))),
        h('p', {}, text));
    })));
}
