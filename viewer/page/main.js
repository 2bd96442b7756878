/* The page: one state, one clock, one loop. */

const STEPS_A_SECOND = 2;
const SECONDS_A_LINE = 1.8;

class App {
  constructor(run) {
    this.run = run;
    this.state = { t: 0, playing: false, speed: 8, skip: true, who: null, tab: 'now', follow: false, calm: false, rate: 16 };
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
    this.state.calm = calm.matches;
    calm.addEventListener('change', () => { this.state.calm = calm.matches; });
    this.land = new Landscape(run.town);
    this.stage = new Stage(document.getElementById('land'), run, this.land);
    this.panel = this.makePanel(document.getElementById('panel'));
    this.timeline = this.makeTimeline(document.getElementById('bar'));
    this.when = document.getElementById('when');
    this.hush = document.getElementById('hush');
    document.querySelector('#plate h1').textContent = run.title;
    this.corner();
  }

  makePanel(root) { return new Panel(this, root); }

  makeTimeline(root) { return new Timeline(this, root); }

  corner() {
    const { stage } = this;
    fill(document.getElementById('corner'),
      button('Zoom in', 'plus', () => { stage.zoomBy(1.35); this.wake(); }), button('Zoom out', 'minus', () => { stage.zoomBy(0.74); this.wake(); }),
      button('Whole town', 'home', () => { this.follow(false); stage.goal = null; stage.fit(); this.wake(); }),
      button('Light or dark', 'sun', () => this.theme()), button('Help', 'help', () => this.help()));
  }

  start() {
    const resize = () => { this.stage.resize(); this.timeline.paint(); this.wake(); };
    new ResizeObserver(resize).observe(document.getElementById('stage'));
    resize();
    this.stage.fit();
    listen(this, this.stage.canvas);
    window.addEventListener('hashchange', () => { if (!this.writing) this.readHash(); });
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.timeline.paint());
    if (!location.hash) this.state.t = this.opening();
    this.readHash();
    this.before = performance.now();
    this.frames = 0;
    requestAnimationFrame((now) => this.frame(now));
  }

  /* A little before the first thing that happens. */
  opening() {
    const { run } = this;
    const first = Math.min(...run.people.map((person) => (person.track[1] ? person.track[1][0] : run.last)),
      ...run.people.map((person) => (person.acts[1] ? person.acts[1][0] : run.last)));
    return Math.max(0, Math.min(run.last, Math.floor(first) - 2));
  }

  frame(now) {
    const seconds = Math.min(0.1, (now - this.before) / 1000);
    this.before = now;
    this.advance(seconds);
    this.stage.draw(this.state, seconds);
    this.timeline.refresh();
    const when = `${this.run.day(this.state.t)} · ${this.run.clock(this.state.t)}`;
    if (this.when.textContent !== when) this.when.textContent = when;
    const pace = this.state.playing && !this.state.who ? 700 : 200;
    if (now - (this.panelAt || 0) > pace) { this.panelAt = now; this.panel.refresh(); }
    this.frames += 1;
    requestAnimationFrame((next) => this.frame(next));
  }

  advance(seconds) {
    const { state, run } = this;
    if (!state.playing) { this.hush.hidden = true; return; }
    let rate = STEPS_A_SECOND * state.speed;
    const every = state.skip ? run.lineEvery(state.t) : 0;
    // Time to read a line; whoever hurries reads faster.
    if (every) rate = Math.min(rate, (every / SECONDS_A_LINE) * Math.max(1, state.speed / 8));
    state.rate = rate;
    const next = run.nextBusy(Math.floor(state.t));
    const gap = next - state.t;
    const quiet = state.skip && !every && gap > Math.max(4, rate * 0.6);
    if (quiet) rate = Math.max(rate, gap * 2.2, 90);
    state.t = Math.min(run.last, quiet ? Math.min(next - 0.5, state.t + rate * seconds) : state.t + rate * seconds);
    this.hush.hidden = !quiet;
    if (quiet && !this.hush.textContent) this.hush.textContent = 'All is quiet… skipping ahead';
    if (state.t >= run.last) this.play(false);
  }

  seek(step) {
    this.state.t = Math.min(this.run.last, Math.max(0, step));
    this.panelAt = 0;
    this.remember();
  }

  /* Goes to a step; with a talk, also to where it takes place. */
  jump(step, talk) {
    this.seek(Math.max(0, step));
    if (!talk) return;
    this.follow(false);
    this.stage.place(this.state.t, 0);
    const who = this.run.byName.get(talk.members[0]);
    if (who) this.stage.goTo(this.stage.figures[who.index].x, this.stage.figures[who.index].y, this.stage.ample());
  }

  play(on) {
    if (on && this.state.t >= this.run.last) this.state.t = 0;
    this.state.playing = on;
    if (!on) this.remember();
  }

  speed(value) { this.state.speed = value; }

  faster(by) {
    const at = SPEEDS.indexOf(this.state.speed) + by;
    this.state.speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at))];
  }

  skip(on) { this.state.skip = on; }

  select(person) {
    this.state.who = person;
    document.body.classList.toggle('chosen', Boolean(person));
    this.follow(Boolean(person));
    this.panel.filter = { kind: '', text: '', shown: 120 };
    this.panel.focus = 0;
    this.panel.refresh(true);
    this.timeline.paint();
    this.remember();
  }

  tab(name) {
    this.state.tab = ALIASES[name] || (TABS.some(([id]) => id === name) ? name : 'now');
    this.panel.key = '';
    this.panel.refresh(true);
    this.remember();
  }

  follow(on) {
    if (this.state.follow === on) return;
    this.state.follow = on;
    if (!on) this.stage.goal = null;
    if (this.state.who) this.panel.headline(this.state.who);
  }

  /* Opens the memories at one record, at the time it was made when that is still to come. */
  showMemory(person, id) {
    const memory = person.record.get(id);
    if (!memory) return;
    if (this.state.t < memory[1]) this.seek(memory[1]);
    const known = person.memories.filter((row) => row[1] <= this.state.t).length;
    this.panel.filter = { kind: '', text: '', shown: Math.max(120, known - person.memories.indexOf(memory) + 20) };
    this.panel.focus = id;
    this.tab('memories');
    const row = document.getElementById(`m${id}`);
    if (row) row.scrollIntoView({ block: 'center' });
  }

  theme(name) {
    const root = document.documentElement;
    const dark = window.matchMedia('(prefers-color-scheme: dark)').matches;
    const now = root.dataset.theme || (dark ? 'dark' : 'light');
    root.dataset.theme = name || (now === 'dark' ? 'light' : 'dark');
    this.timeline.paint();
  }

  help() {
    const dialog = document.getElementById('help');
    if (dialog.open) { dialog.close(); return; }
    fill(dialog, h('h2', { id: 'help-title' }, 'How to look around'),
      h('p', {}, 'Drag to move, scroll or pinch to zoom, click a person to see what they do and why.'),
      h('dl', { class: 'keys' }, KEYS.map(([key, text]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, text)])),
      h('form', { method: 'dialog' }, h('button', { class: 'wide', autofocus: true }, 'Close')));
    dialog.showModal();
  }

  wake() { this.before = Math.min(this.before || 0, performance.now()); }

  /* #step=3574&who=Name&tab=now&zoom=30&theme=dark&play=8 */
  readHash() {
    const wish = new URLSearchParams(location.hash.slice(1));
    if (wish.has('theme')) this.theme(wish.get('theme') === 'dark' ? 'dark' : 'light');
    if (wish.has('step')) this.state.t = Math.min(this.run.last, Math.max(0, Number(wish.get('step')) || 0));
    const tab = wish.get('tab') || this.state.tab;
    this.state.tab = ALIASES[tab] || (TABS.some(([id]) => id === tab) ? tab : 'now');
    const who = this.run.byName.get(wish.get('who')) || null;
    if (who !== this.state.who) this.select(who);
    this.stage.place(this.state.t, 0);
    if (who) {
      const figure = this.stage.figures[who.index];
      this.stage.goTo(figure.x, figure.y, Number(wish.get('zoom')) || this.stage.ample(), true);
    } else if (wish.has('zoom')) this.stage.camera.zoom = Math.max(this.stage.least, Number(wish.get('zoom')) || 8);
    if (wish.has('play')) { this.state.speed = Number(wish.get('play')) || 8; this.play(true); }
    this.panel.refresh(true);
  }

  remember() {
    if (!this.before) return;
    const { state } = this;
    const parts = new URLSearchParams({ step: String(Math.floor(state.t)) });
    if (state.who) { parts.set('who', state.who.id); parts.set('tab', state.tab); }
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      this.writing = 0;
      try { history.replaceState(null, '', `#${parts}`); } catch (error) { if (error.name !== 'SecurityError') throw error; }
    }, 400);
  }
}

/* Loads a run with `load`, and shows it with what `make` makes of it. */
async function begin(load, make) {
  const veil = document.getElementById('veil');
  const bar = document.getElementById('veil-bar');
  try {
    const run = new Run(await load());
    document.title = run.title;
    const app = make(run);
    await app.land.paint((part) => { bar.style.width = `${part * 100}%`; });
    app.start();
    window.town = app;
    veil.classList.add('gone');
    setTimeout(() => veil.remove(), 700);
  } catch (error) {
    fill(veil, h('p', { class: 'fault' }, `This run cannot be shown. ${error.message}`));
    throw error;
  }
}
