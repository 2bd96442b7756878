/* The page of a live town: the viewer's page, fed by the server. */

TABS.splice(1, 0, ['speak', 'Ask']);
ICONS.door = 'M6 20V4.8L14 4v16M14 6h4v14M4 20h16M11 12v.3';

class LiveApp extends App {
  constructor(run, link, first) {
    super(run);
    this.link = link;
    this.town = { live: false, state: 'recorded', playing: false, pace: 3, step_seconds: run.step_seconds };
    this.state.live = true;
    this.state.skip = false;
    this.pulse = document.getElementById('pulse');
    this.notices = document.getElementById('notices');
    this.walker = new Walker(this);
    this.dock = new Dock(this, document.getElementById('dock'));
    this.walker.see(first.visitors || {});
    this.escorted = Boolean(this.walker.view);
    this.listenToServer();
  }

  makePanel(root) { return new LivePanel(this, root); }

  makeTimeline(root) { return new LiveTimeline(this, root); }

  /* Begins at now; with a step in the address, there. */
  opening() { return this.run.last; }

  start() {
    const wish = new URLSearchParams(location.hash.slice(1));
    super.start();
    this.state.live = !wish.has('step');
    this.stage.canvas.addEventListener('pointerdown', (event) => { this.pressed = [event.clientX, event.clientY]; });
    this.stage.canvas.addEventListener('click', (event) => this.clicked(event));
    document.addEventListener('keydown', (event) => this.walkByKeys(event), true);
    this.dock.refresh(true);
    this.link.listen();
  }

  listenToServer() {
    const { link } = this;
    link.on('steps', (delta) => this.grow(delta));
    link.on('status', (town) => this.heard(town));
    link.on('notice', ({ who, text }) => {
      if (who && who !== this.walker.name) return;
      this.notice(text);
      if (who && !this.walker.view) { this.walker.gone(); this.dock.refresh(true); }
    });
    link.on('pending', ({ who }) => { if (who === this.walker.name) this.notice('The town is paused: it happens at the next step.'); });
    link.on('link', () => { this.beat(); this.dock.refresh(true); });
    // What was missed is no longer kept by the server: begin anew from the whole run.
    link.on('reset', () => location.reload());
  }

  grow(delta) {
    const before = this.run.steps;
    for (const person of this.run.grow(delta)) {
      this.stage.looks.push(lookOf(person, this.run.people.length));
      this.stage.faces.push('down');
    }
    for (const [name, rows] of Object.entries(delta.rows || {})) {
      const person = this.run.byName.get(name);
      if (rows.look && person) this.stage.looks[person.index] = lookOf(person, this.run.people.length);
    }
    if (delta.visitors) this.walker.see(delta.visitors);
    this.walker.arrived();
    if (!before) { this.state.t = this.run.last; this.panel.refresh(true); }
    this.timeline.grown();
    this.dock.refresh();
  }

  heard(town) {
    this.town = town;
    if (this.state.live) this.state.playing = town.playing;
    this.beat();
    this.dock.refresh();
  }

  /* What the town does, in a few words. */
  beat() {
    const { town, link } = this;
    const words = {
      playing: () => (town.pace ? `${this.paceWords(town.pace)}${town.behind > 0.5 ? ` · minds took ${town.behind} s longer, time waited` : ''}` : 'as fast as the minds think'),
      thinking: () => 'The minds are thinking; time waits',
      paused: () => 'The town is paused',
      waiting: () => town.message,
      ended: () => 'This is the end of the run',
      fault: () => town.message,
      recorded: () => 'A recorded run',
    };
    const text = link.lost ? 'The connection is lost; trying again…' : words[town.state]();
    const requests = town.requests || [];
    const key = [text, town.state, requests.length].join('|');
    if (this.pulse.dataset.key !== key) {
      this.pulse.dataset.key = key;
      // The seconds are for the eye only: a screen reader would say every one of them.
      this.seconds = h('span', { 'aria-hidden': 'true' });
      fill(this.pulse, h('i', { class: `lamp ${link.lost ? 'fault' : town.state}` }), h('span', {}, text), this.seconds,
        town.state === 'ended' && town.live ? h('button', { type: 'button', class: 'small', onclick: () => this.goOn() }, 'Go on for an hour') : null,
        requests.map((request) => this.request(request)));
    }
    this.seconds.textContent = town.thinking ? `${town.thinking} s` : '';
  }

  paceWords(pace) { return pace >= 1 ? `one minute in ${pace} s` : `${Math.round(10 / pace) / 10} minutes a second`; }

  request(request) {
    const answer = (yes) => this.link.post('approval', { key: request.key, yes }).catch((error) => this.notice(error.message));
    return h('span', { class: 'request' }, `${request.agent} wants to use ${request.tool}`,
      h('button', { type: 'button', class: 'small', onclick: () => answer(true) }, 'Allow'), h('button', { type: 'button', class: 'small', onclick: () => answer(false) }, 'Deny'));
  }

  async goOn() {
    await this.control('extend', 60);
    await this.control('play');
  }

  async control(action, value = null) {
    // The answer may be older than what the events have said by now: they alone are heard.
    try { await this.link.post('control', value === null ? { action } : { action, value }); } catch (error) { this.notice(error.message); }
  }

  /* At now, time runs from the step before the last one to the last, for as long as a step takes. */
  advance(seconds) {
    const { state, run, town } = this;
    state.goal = state.live ? this.walker.goal : null;
    state.me = this.walker.person;
    this.escort();
    if (!state.live) { super.advance(seconds); return; }
    this.hush.hidden = true;
    const lag = run.last - state.t;
    if (lag <= 0) { state.t = run.last; return; }
    const step = Math.max(0.25, (town.pace || 0.25) * run.step_seconds / 60);
    const rate = Math.max(1 / Math.min(step, 4), lag > 2 ? lag / 1.2 : 0);
    state.rate = rate;
    state.t = state.calm ? run.last : Math.min(run.last, state.t + rate * seconds);
  }

  /* The camera goes with you until you look elsewhere. */
  escort() {
    const { state, walker, stage } = this;
    const figure = walker.view && walker.person && stage.figures[walker.person.index];
    if (!this.escorted || !figure || figure.absent || state.who) return;
    const zoom = stage.goal ? stage.goal.zoom : Math.max(stage.camera.zoom, stage.ample());
    stage.goTo(figure.x, figure.y, zoom);
  }

  findMe() {
    if (this.state.who) this.select(null);
    this.toNow();
    this.escorted = true;
  }

  follow(on) {
    this.escorted = false;
    super.follow(on);
  }

  select(person) {
    super.select(person);
    if (!person && this.walker.here) this.escorted = true;
  }

  play(on) {
    if (!this.state.live || !this.town.live) { super.play(on); return; }
    this.state.playing = on;
    this.control(on ? 'play' : 'pause');
  }

  seek(step) {
    this.state.live = step >= this.run.last;
    if (!this.state.live && this.town.live) this.state.playing = false;
    super.seek(step);
    this.dock.refresh();
  }

  toNow() {
    this.state.live = true;
    this.state.t = Math.max(this.state.t, this.run.last - 1);
    this.state.playing = this.town.playing;
    history.replaceState(null, '', location.pathname);
    this.dock.refresh();
  }

  remember() { if (!this.state.live) super.remember(); }

  /* The name with which all addresses begin. */
  world() {
    const act = this.run.people.map((person) => person.acts[person.acts.length - 1]).find((row) => row && row[3]);
    return act ? act[3].split(':')[0] : '';
  }

  /* Where a visitor begins: beside somebody, or where the world lets visitors arrive. */
  arrival(near) {
    const person = this.run.byName.get(near);
    if (!person) return {};
    const { town } = this.run;
    if (town.links.length) {
      const act = person.acts[person.acts.length - 1];
      return act ? { place: act[3].split(':').slice(0, 2).join(':') } : {};
    }
    const [, x, y] = person.track[person.track.length - 1];
    const spot = freeTile(town, Math.round(x), Math.round(y) + 1) || [x, y];
    return { x: spot[0], y: spot[1] };
  }

  entered(answer) {
    this.notice(answer.back ? `Welcome back, ${answer.name}.` : `Welcome, ${answer.name}.`);
    this.toNow();
    if (this.state.who) this.select(null);
    if (answer.visitors) this.walker.see(answer.visitors);
    this.escorted = true;
    this.dock.refresh(true);
  }

  /* A click on free ground is a way to go, one on a person a look at them. */
  clicked(event) {
    const { walker, stage } = this;
    const [px, py] = this.pressed || [event.clientX, event.clientY];
    if (!walker.here || !this.state.live || Math.hypot(event.clientX - px, event.clientY - py) > 5) return;
    const bounds = stage.canvas.getBoundingClientRect();
    const [sx, sy] = [event.clientX - bounds.left, event.clientY - bounds.top];
    if (stage.hit(sx, sy)) return;
    const [x, y] = stage.toTile(sx, sy);
    walker.walkTo(x, y);
  }

  walkByKeys(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    const busy = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.target.closest('.body, dialog');
    if (!way || !this.walker.here || !this.state.live || busy || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.walker.nudge(...way);
  }

  notice(text) {
    if ([...this.notices.children].some((note) => note.textContent === text)) return;
    const note = h('p', {}, text);
    this.notices.appendChild(note);
    while (this.notices.children.length > 3) this.notices.firstChild.remove();
    setTimeout(() => note.remove(), 7000);
  }

  /* The dock covers the lower part of the stage: people are followed above it. */
  insets() {
    const dock = document.getElementById('dock');
    document.body.classList.toggle('walking', this.walker.here && this.town.live);
    this.stage.inset.bottom = this.walker.here && this.town.live ? Math.min(dock.offsetHeight, this.stage.height * 0.5) : 0;
  }
}

(async () => {
  const link = new Link();
  let first = null;
  await begin(async () => { first = await link.fetchRun(); return first.run; }, (run) => new LiveApp(run, link, first));
})();
