/* You in the town: who you are, the way that you want to go, what you say. */

const KEPT_AS = 'denizens-live-visitor';

class Walker {
  constructor(app) {
    this.app = app;
    this.name = '';
    this.secret = '';
    this.view = null;
    this.goal = null;
    this.missed = 0;
    this.moves = 0;
    this.recall();
  }

  get here() { return Boolean(this.name); }

  get person() { return this.app.run.byName.get(this.name) || null; }

  get talk() { return this.view && this.view.talk; }

  /* Who you were before the page was loaded anew. */
  recall() {
    const [name, secret] = JSON.parse(kept(KEPT_AS) || '["", ""]');
    Object.assign(this, { name, secret });
  }

  keep() { keep(KEPT_AS, this.name ? JSON.stringify([this.name, this.secret]) : ''); }

  async enter(wish) {
    const answer = await this.app.link.post('enter', wish);
    Object.assign(this, { name: answer.name, secret: answer.secret, waiting: !answer.recorded && !answer.back });
    this.keep();
    this.app.entered(answer);
  }

  gone() {
    Object.assign(this, { name: '', secret: '', view: null, goal: null, waiting: false });
    this.keep();
  }

  /* Sends what you do; what is refused is said. */
  async act(path, fields = {}) {
    if (!this.here) return false;
    try {
      await this.app.link.post(path, { name: this.name, ...fields }, this.secret);
      return true;
    } catch (error) {
      this.app.notice(error.message);
      if (error.status === 403) { this.gone(); this.app.dock.refresh(); }
      return false;
    }
  }

  /* What the last step says of you. */
  see(visitors) {
    if (!this.here) return;
    const view = visitors[this.name];
    if (view) { Object.assign(this, { view, waiting: false, missed: 0 }); return; }
    if (this.view) { this.gone(); this.app.notice('You have left the town.'); return; }
    // Kept from another run, or from before the server was started anew.
    if (!this.waiting && ++this.missed > 1) this.gone();
  }

  tile() {
    const { run } = this.app;
    if (!this.person || !this.person.track.length) return null;
    const [, x, y] = this.person.track[this.person.track.length - 1];
    return run.town.links.length ? null : [Math.round(x), Math.round(y)];
  }

  /* Walks to a tile that one can stand on, the nearest to the one that was clicked. */
  walkTo(x, y) {
    const { town } = this.app.run;
    if (town.links.length) {
      const area = town.areaAt(town.sectors, Math.round(x), Math.round(y));
      if (area) this.move({ place: `${this.app.world()}:${area.name}` }, { x: area.x + area.w / 2 - 0.5, y: area.y + area.h / 2 - 0.5 });
      return;
    }
    const spot = freeTile(town, Math.floor(x), Math.floor(y));
    if (spot) this.move({ x: spot[0], y: spot[1] }, { x: spot[0], y: spot[1] });
  }

  /* An arrow key moves the goal by one tile; it is sent when the keys rest. */
  nudge(dx, dy) {
    const from = this.goal || (this.tile() && { x: this.tile()[0], y: this.tile()[1] });
    if (!from) return;
    const { town } = this.app.run;
    const [x, y] = [from.x + dx, from.y + dy];
    if (town.blocked(x, y)) return;
    this.goal = { x, y };
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.move({ x: this.goal.x, y: this.goal.y }, this.goal), 260);
  }

  move(fields, mark) {
    this.goal = mark;
    this.act('move', fields).then((sent) => { if (sent) this.moves += 1; else this.goal = null; });
  }

  /* The mark is taken away on arrival. */
  arrived() {
    const tile = this.tile();
    if (this.goal && tile && tile[0] === this.goal.x && tile[1] === this.goal.y) this.goal = null;
  }
}

function freeTile(town, x, y) {
  for (let far = 0; far < 7; far++) {
    let best = null;
    for (let dy = -far; dy <= far; dy++) {
      for (let dx = -far; dx <= far; dx++) {
        if (Math.max(Math.abs(dx), Math.abs(dy)) !== far || town.blocked(x + dx, y + dy)) continue;
        const length = Math.hypot(dx, dy);
        if (!best || length < best.length) best = { tile: [x + dx, y + dy], length };
      }
    }
    if (best) return best.tile;
  }
  return null;
}

/* The mark of where you go, below all other marks. */
const otherMarks = Stage.prototype.marks;
Object.assign(Stage.prototype, {
  marks(view, state) {
    if (state.goal) this.goalMark(view, state);
    otherMarks.call(this, view, state);
  },

  goalMark(view, { goal, calm }) {
    const { ctx } = this;
    const [x, y] = view(goal.x + 0.5, goal.y + 0.7);
    const s = Math.max(9, view.zoom * 0.5);
    const beat = calm ? 0 : Math.sin(performance.now() / 260) * 0.12;
    ctx.save();
    ctx.lineWidth = Math.max(2, s * 0.16);
    ctx.strokeStyle = '#fffaf0';
    ctx.beginPath();
    ctx.ellipse(x, y, s * (0.8 + beat), s * (0.34 + beat * 0.4), 0, 0, 7);
    ctx.stroke();
    ctx.strokeStyle = '#c4502f';
    ctx.lineWidth = Math.max(1.2, s * 0.08);
    ctx.stroke();
    ctx.restore();
  },
});
