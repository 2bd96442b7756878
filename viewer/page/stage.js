/* The stage: camera, people in the land, bubbles and labels. One call draws one frame. */

const FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const SERIF = 'ui-serif, Georgia, "Iowan Old Style", "Noto Serif", "DejaVu Serif", serif';

class Stage {
  constructor(canvas, run, land) {
    this.canvas = canvas;
    this.ctx = canvas.getContext('2d');
    this.run = run;
    this.land = land;
    this.light = new Light(run, land);
    this.looks = run.people.map((person) => lookOf(person, run.people.length));
    this.faces = run.people.map(() => 'down');
    this.camera = { x: run.town.width / 2, y: run.town.height / 2, zoom: 8 };
    this.goal = null;
    this.figures = [];
    this.wrapped = new Map();
    this.inset = { right: 0, bottom: 0 };
  }

  resize() {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.ratio = ratio;
  }

  /* The part of the canvas that no panel covers. */
  get room() {
    return { w: this.width - this.inset.right, h: this.height - this.inset.bottom };
  }

  get least() {
    const { town } = this.run;
    return Math.min(this.room.w / town.width, this.room.h / town.height) * 0.97;
  }

  /* Shows all places with a margin, or the whole map where there are none. */
  fit() {
    const { town } = this.run;
    const areas = town.sectors.length ? town.sectors : [{ x: 0, y: 0, w: town.width, h: town.height }];
    const left = Math.min(...areas.map((area) => area.x)) - 3;
    const top = Math.min(...areas.map((area) => area.y)) - 4;
    const right = Math.max(...areas.map((area) => area.x + area.w)) + 3;
    const bottom = Math.max(...areas.map((area) => area.y + area.h)) + 3;
    const zoom = Math.min(30, Math.max(this.least, Math.min(this.room.w / (right - left), this.room.h / (bottom - top))));
    Object.assign(this.camera, { x: (left + right) / 2, y: (top + bottom) / 2, zoom });
    this.clamp();
  }

  zoomBy(factor, sx = this.room.w / 2, sy = this.room.h / 2) {
    const [tx, ty] = this.toTile(sx, sy);
    const { camera } = this;
    camera.zoom = Math.min(96, Math.max(this.least, camera.zoom * factor));
    const [x, y] = this.toTile(sx, sy);
    camera.x += tx - x;
    camera.y += ty - y;
    this.goal = null;
    this.clamp();
  }

  /* Keeps the land in the picture: no further than a little beyond its edges. */
  clamp() {
    const { camera, room } = this;
    const { town } = this.run;
    const keep = (value, size, span) => {
      const half = span / 2 / camera.zoom - 1.5;
      return half * 2 >= size ? size / 2 : Math.min(size - half, Math.max(half, value));
    };
    camera.x = keep(camera.x, town.width, room.w);
    camera.y = keep(camera.y, town.height, room.h);
  }

  toTile(sx, sy) {
    const { camera, room } = this;
    return [camera.x + (sx - room.w / 2) / camera.zoom, camera.y + (sy - room.h / 2) / camera.zoom];
  }

  viewer() {
    const { camera, room } = this;
    const view = (tx, ty) => [
      (tx - camera.x) * camera.zoom + room.w / 2, (ty - camera.y) * camera.zoom + room.h / 2,
    ];
    view.zoom = camera.zoom;
    return view;
  }

  goTo(x, y, zoom, now = false) {
    this.goal = { x: x + 0.5, y: y + 0.5, zoom: zoom || this.camera.zoom };
    if (now) { Object.assign(this.camera, this.goal); this.goal = null; }
  }

  glide(seconds, calm) {
    if (!this.goal) return;
    const part = calm ? 1 : 1 - Math.exp(-seconds * 4.5);
    const { camera, goal } = this;
    camera.x += (goal.x - camera.x) * part;
    camera.y += (goal.y - camera.y) * part;
    camera.zoom *= Math.pow(goal.zoom / camera.zoom, part);
    if (Math.hypot(goal.x - camera.x, goal.y - camera.y) < 0.02 && Math.abs(goal.zoom / camera.zoom - 1) < 0.005) {
      this.goal = null;
    }
  }

  draw(state, seconds) {
    const { ctx, run } = this;
    const t = state.t;
    this.place(t, seconds);
    if (state.follow && state.who) {
      const figure = this.figures[state.who.index];
      const zoom = this.goal ? this.goal.zoom : Math.max(this.camera.zoom, this.ample());
      this.goTo(figure.x, figure.y, zoom);
    }
    this.glide(seconds, state.calm);
    this.clamp();
    const view = this.viewer();
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.beyond(view);
    this.ground(view, state);
    this.crowd(view, state);
    const minute = run.minute(t);
    const awake = this.figures.filter((figure) => !figure.asleep && !figure.absent);
    this.light.open = new Set(awake.filter((f) => f.sector).map((f) => f.sector.name));
    this.light.draw(ctx, view, this.width, this.height, minute, awake);
    this.labels(view, minute);
    this.marks(view, state);
  }

  /* Meadow without end around the land. */
  beyond(view) {
    const { ctx, land, run } = this;
    const [x0, y0] = this.toTile(0, 0);
    const [x1, y1] = this.toTile(this.width, this.height);
    // The land itself is see-through only along its border.
    if (x0 > 2 && y0 > 2 && x1 < run.town.width - 2 && y1 < run.town.height - 2) return;
    this.meadow = this.meadow || ctx.createPattern(land.wild, 'repeat');
    const [x, y] = view(0, 0);
    const scale = view.zoom / land.wildSize;
    this.meadow.setTransform(new DOMMatrix([scale, 0, 0, scale, x, y]));
    ctx.fillStyle = this.meadow;
    ctx.fillRect(0, 0, this.width, this.height);
  }

  ample() {
    return Math.min(44, Math.max(22, this.width / 26));
  }

  /* Where everybody is; several on one tile stand around its middle. */
  place(t, seconds) {
    const { run } = this;
    const tiles = new Map();
    this.figures = run.people.map((person) => {
      const at = run.position(person, t);
      if (!run.present(person, t)) return { ...at, person, act: null, asleep: false, absent: true, moving: false, mates: [], sx: -999, sy: -999, size: 0 };
      const act = run.act(person, t);
      const key = `${Math.round(at.x)},${Math.round(at.y)}`;
      const mates = tiles.get(key) || [];
      tiles.set(key, mates);
      const figure = { ...at, person, act, asleep: Boolean(act && act[5]) && !at.moving, mates };
      mates.push(figure);
      if (at.moving) {
        this.faces[person.index] = Math.abs(at.dx) >= Math.abs(at.dy)
          ? (at.dx < 0 ? 'left' : 'right') : (at.dy < 0 ? 'up' : 'down');
      } else if (act && !act[5]) this.faces[person.index] = this.faces[person.index] === 'up' ? 'up' : this.faces[person.index];
      return figure;
    });
    for (const figure of this.figures) {
      const count = figure.mates.length;
      if (count > 1 && !figure.moving) {
        const angle = (figure.mates.indexOf(figure) / count) * Math.PI * 2;
        figure.x += Math.cos(angle) * 0.42;
        figure.y += Math.sin(angle) * 0.26;
      }
      figure.sector = run.town.areaAt(run.town.sectors, Math.round(figure.x), Math.round(figure.y));
    }
    this.beat = (this.beat || 0) + seconds * 9;
  }

  ground(view, state) {
    const { ctx, land, run } = this;
    const far = view.zoom * this.ratio < land.T * 0.55;
    const image = far ? land.far : land.canvas;
    const scale = far ? land.T / 2 : land.T;
    const [x0, y0] = this.toTile(0, 0);
    const [x1, y1] = this.toTile(this.width, this.height);
    const sx = Math.max(0, x0 * scale);
    const sy = Math.max(0, y0 * scale);
    const sw = Math.min(image.width, x1 * scale) - sx;
    const sh = Math.min(image.height, y1 * scale) - sy;
    if (sw <= 0 || sh <= 0) return;
    const [dx, dy] = view(sx / scale, sy / scale);
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(image, sx, sy, sw, sh, dx, dy, (sw / scale) * view.zoom, (sh / scale) * view.zoom);
    if (!land.water.length || view.zoom < 5) return;
    ctx.strokeStyle = 'rgba(255,255,255,.5)';
    ctx.lineWidth = Math.max(1, view.zoom * 0.05);
    ctx.lineCap = 'round';
    const clock = state.calm ? 0 : performance.now() / 1000;
    for (const [x, y] of land.water) {
      if (x < x0 - 1 || y < y0 - 1 || x > x1 || y > y1) continue;
      const phase = hashOf(x, y, 6) * 6.3;
      const shine = Math.sin(clock * 0.9 + phase);
      if (shine < 0.15 || run.town.kind(x, y - 1) !== run.town.kind(x, y)) continue;
      const [px, py] = view(x + 0.2 + hashOf(x, y, 7) * 0.4 + shine * 0.1, y + 0.3 + hashOf(x, y, 8) * 0.5);
      ctx.globalAlpha = shine * 0.6;
      ctx.beginPath();
      ctx.moveTo(px, py);
      ctx.quadraticCurveTo(px + view.zoom * 0.15, py - view.zoom * 0.08, px + view.zoom * 0.3, py);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }

  size(view) {
    return Math.max(this.width < 600 ? 21 : 24, view.zoom * 1.45);
  }

  crowd(view, state) {
    const { ctx, land } = this;
    const s = this.size(view);
    const order = this.figures.filter((figure) => !figure.absent).sort((a, b) => a.y - b.y);
    for (const figure of order) {
      const [x, y] = view(figure.x + 0.5, figure.y + 0.86);
      figure.sx = x;
      figure.sy = y;
      figure.size = s;
      if (x < -60 || y < -60 || x > this.width + 60 || y > this.height + 90) continue;
      const { index } = figure.person;
      const look = this.looks[index];
      if (state.who === figure.person || state.me === figure.person) this.ring(x, y, s, look, state);
      if (figure.asleep) drawSleeper(ctx, look, x, y, s, state.calm ? 0 : performance.now() / 1000);
      else {
        drawPerson(ctx, look, x, y, s, {
          moving: figure.moving && !state.calm,
          beat: this.beat + index * 1.7,
          face: this.faces[index],
          blink: !state.calm && Math.sin(performance.now() / 700 + index * 5) > 0.985,
        });
      }
      if (view.zoom < 9) continue;
      for (const t of land.before(figure.x, figure.y)) {
        const [tx, ty] = view(t.x / land.T, t.y / land.T);
        const k = view.zoom / land.T;
        ctx.globalAlpha = state.who === figure.person ? 0.3 : 0.5;
        ctx.drawImage(t.sprite, tx, ty, t.w * k, t.h * k);
        ctx.globalAlpha = 1;
      }
    }
  }

  ring(x, y, s, look, state) {
    const { ctx } = this;
    const pulse = state.calm ? 0 : Math.sin(performance.now() / 380) * 0.03;
    ctx.strokeStyle = '#fffaf0';
    ctx.lineWidth = s * 0.09;
    ctx.beginPath();
    ctx.ellipse(x, y, s * (0.4 + pulse), s * (0.16 + pulse * 0.4), 0, 0, 7);
    ctx.stroke();
    ctx.strokeStyle = look.color;
    ctx.lineWidth = s * 0.045;
    ctx.stroke();
  }

  /* Who stands at a point of the screen. */
  hit(sx, sy) {
    let best = null;
    let least = 30;
    for (const figure of this.figures) {
      if (figure.absent) continue;
      const far = Math.hypot(figure.sx - sx, figure.sy - figure.size * 0.45 - sy);
      if (far < Math.max(least, 0) && far < Math.max(20, figure.size * 0.6)) { best = figure.person; least = far; }
    }
    return best;
  }
}
