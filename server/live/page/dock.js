/* The dock over the stage: walk in, and then talk, listen, take leave. */

const COATS = ['#c4502f', '#d69a3a', '#5a8f4e', '#3f7f8c', '#4a63a8', '#8a5aa3', '#b2507e', '#5c5566'];

class Dock {
  constructor(app, root) {
    this.app = app;
    this.root = root;
    this.key = '';
    this.input = h('input', { type: 'text', class: 'say', 'aria-label': 'Say something', autocomplete: 'off', maxlength: 2000, placeholder: 'Say something…',
      onkeydown: (event) => { if (event.key === 'Escape') event.target.blur(); } });
    this.form = h('form', { class: 'line', onsubmit: (event) => { event.preventDefault(); this.say(); } }, this.input, h('button', { type: 'submit', class: 'send' }, 'Say'));
    this.lines = h('ol', { class: 'lines', 'aria-label': 'Conversation', 'aria-live': 'polite' });
    this.turn = h('p', { class: 'turn', role: 'status', 'aria-live': 'polite' });
    this.chips = h('div', { class: 'chips' });
    this.who = h('div', { class: 'me' });
    this.refresh();
  }

  async say() {
    const text = this.input.value.trim();
    if (!text) return;
    const { walker, state } = this.app;
    // To whoever is chosen, also far away: then you walk there.
    const chosen = state.who && state.who.id !== walker.name ? state.who.id : '';
    const to = !walker.talk && chosen ? { to: chosen } : {};
    this.input.value = '';
    if (!(await walker.act('say', { text, ...to }))) this.input.value = text;
    else { this.saidLast = text; this.refresh(true); }
  }

  near(name) {
    const { view } = this.app.walker;
    return Boolean(view && view.near.some((one) => one.who === name && one.awake));
  }

  refresh(force = false) {
    const { app } = this;
    const { walker, town } = app;
    const key = JSON.stringify([walker.name, walker.waiting, walker.view, town.live, town.state, app.state.live, app.link.lost]);
    if (!force && key === this.key) return;
    const mode = !town.live ? 'closed' : walker.here ? 'here' : 'out';
    if (mode !== this.mode) {
      this.mode = mode;
      this.root.className = mode;
      if (mode === 'here') fill(this.root, this.who, this.lines, this.turn, this.form, this.chips);
      else if (mode === 'out') fill(this.root, h('button', { type: 'button', class: 'walk-in', onclick: () => openGate(app) }, icon('door'), 'Walk in'));
      else fill(this.root);
    }
    this.key = key;
    if (mode === 'here') this.here();
    app.insets();
  }

  here() {
    const { app } = this;
    const { walker } = app;
    const { view, talk, person } = walker;
    const look = person ? app.stage.looks[person.index] : null;
    fill(this.who, look ? h('button', { type: 'button', class: 'find', 'aria-label': 'Find me on the map', title: 'Find me on the map', onclick: () => app.findMe() }, portrait(look, 34)) : null,
      h('div', {}, h('b', {}, walker.name), h('small', {}, view ? last(view.place) : 'on the way in…')),
      h('button', { type: 'button', class: 'small', onclick: () => walker.act('leave') }, 'Leave town'));
    this.showLines(talk, view);
    this.turn.textContent = this.turnText(view, talk);
    this.turn.classList.toggle('yours', Boolean(talk && talk.floor === walker.name));
    const partner = talk ? talk.members.filter((name) => name !== walker.name).map(firstName).join(' and ') : this.hearer(view);
    this.input.placeholder = partner ? `Say something to ${partner}…` : 'Nobody is near…';
    this.input.disabled = !view;
    this.root.classList.toggle('earlier', !app.state.live);
    fill(this.chips, this.actions(view, talk));
  }

  hearer(view) {
    if (!view) return '';
    const { who } = this.app.state;
    if (who && who.id !== this.app.walker.name) return firstName(who.id);
    const next = view.near.find((one) => one.awake);
    return next ? firstName(next.who) : '';
  }

  showLines(talk, view) {
    const { app } = this;
    const unsaid = view ? view.unsaid : [];
    this.lines.hidden = !talk && !unsaid.length;
    const lines = talk ? talk.lines.slice(-5) : [];
    fill(this.lines, lines.map(([who, text]) => {
      const speaker = app.run.byName.get(who);
      const look = speaker ? app.stage.looks[speaker.index] : null;
      return h('li', { class: who === app.walker.name ? 'mine' : '', style: look ? { '--tint': look.color } : {} },
        h('b', {}, who === app.walker.name ? 'You' : firstName(who)), h('span', {}, text));
    }), unsaid.map((text) => h('li', { class: 'mine unsaid' }, h('b', {}, 'You, in a moment'), h('span', {}, text))));
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  turnText(view, talk) {
    const { app } = this;
    if (app.link.lost) return 'The connection is lost; trying again…';
    if (!app.state.live) return 'You are looking at an earlier time.';
    if (!view) return app.town.playing ? 'You are on the way in.' : 'You walk in as soon as the town goes on.';
    const others = talk ? talk.members.filter((name) => name !== app.walker.name) : [];
    if (talk && talk.floor === app.walker.name) {
      const left = view.turn_left;
      return `Your turn${left === undefined ? '' : ` · the word passes on in ${left} ${left === 1 ? 'step' : 'steps'}`}`;
    }
    if (talk) return app.town.state === 'thinking' ? `${firstName(talk.floor)} is thinking…` : `${firstName(talk.floor)} has the word`;
    if (view.partner) return `Walking up to ${firstName(view.partner)}`;
    return others.length || view.near.length ? '' : 'Click the map or use the arrow keys to walk.';
  }

  actions(view, talk) {
    const { walker } = this.app;
    if (!view) return [];
    if (talk) return [h('button', { type: 'button', onclick: () => walker.act('end-talk') }, 'Take leave')];
    return view.near.filter((one) => one.awake).slice(0, 4).map((one) =>
      h('button', { type: 'button', onclick: () => walker.act('talk', { to: one.who }) }, one.talking ? `Join ${firstName(one.who)}` : `Talk to ${firstName(one.who)}`));
  }
}

function firstName(name) { return name.split(' ')[0] || name; }

/* The dialog in which one chooses a name, a look and where to begin. */
function openGate(app) {
  const dialog = document.getElementById('gate');
  const look = { color: COATS[Math.floor(Math.random() * COATS.length)], skin: Math.floor(Math.random() * SKINS.length), hair: Math.floor(Math.random() * 6), style: Math.floor(Math.random() * 5), skirt: Math.random() < 0.4 };
  const picture = h('div', { class: 'mirror' });
  const show = () => fill(picture, paintPortrait(lookOf({ id: 'you', index: 0, color: '', persona: {}, look }, 1), 132));
  const name = h('input', { id: 'gate-name', type: 'text', required: true, maxlength: 60, autocomplete: 'nickname', placeholder: 'How shall they call you?' });
  const where = h('select', { id: 'gate-where' }, h('option', { value: '' }, 'where visitors arrive'), app.run.people.filter((person) => !person.presence).map((person) => h('option', { value: person.id }, `near ${person.id}`)));
  if (app.state.who && !app.state.who.presence) where.value = app.state.who.id;
  const fault = h('p', { class: 'fault-line', role: 'alert' });
  const swatches = (label, part, colors) => h('fieldset', { class: 'swatches' }, h('legend', {}, label), colors.map((color, at) => {
    const value = part === 'color' ? color : at;
    return h('label', { style: { '--swatch': color } }, h('input', { type: 'radio', name: part, 'aria-label': `${label} ${at + 1}`, checked: look[part] === value, onchange: () => { look[part] = value; show(); } }), h('i', {}));
  }));
  const shapes = h('fieldset', { class: 'shapes' }, h('legend', {}, 'Shape'),
    h('button', { type: 'button', class: 'small', onclick: () => { look.style = (look.style + 1) % 5; show(); } }, 'Other hair'),
    h('button', { type: 'button', class: 'small', onclick: () => { look.skirt = !look.skirt; show(); } }, 'Other clothes'));
  const go = async (event) => {
    event.preventDefault();
    fault.textContent = '';
    try {
      await app.walker.enter({ name: name.value.trim(), look, ...app.arrival(where.value) });
      dialog.close();
    } catch (error) { fault.textContent = error.message; }
  };
  show();
  fill(dialog, h('form', { class: 'gate', onsubmit: go }, h('h2', { id: 'gate-title' }, 'Walk into the town'),
    h('div', { class: 'gate-top' }, picture, h('div', {}, h('label', { for: 'gate-name' }, 'Your name'), name, h('label', { for: 'gate-where' }, 'Begin'), where)),
    swatches('Coat', 'color', COATS), swatches('Skin', 'skin', SKINS), swatches('Hair', 'hair', HAIRS), shapes,
    h('p', { class: 'quiet' }, 'What you do becomes part of the run: the people here will see you, hear you and remember you.'), fault,
    h('div', { class: 'gate-end' }, h('button', { type: 'button', class: 'small', onclick: () => dialog.close() }, 'Not now'), h('button', { type: 'submit', class: 'send' }, 'Walk in'))));
  dialog.showModal();
  name.focus();
}
