/* The whole land on one canvas, painted once, and a half-size copy for far views. */

const LAND_PIXELS = 15e6;

class Landscape {
  constructor(town) {
    this.town = town;
    this.T = Math.max(10, Math.min(48, Math.floor(Math.sqrt(LAND_PIXELS / (town.width * town.height)))));
    this.lamps = [];
    this.windows = [];
    this.tall = [];
  }

  /* Paints in steps, so that the page can show how far it is. */
  async paint(progress) {
    const { town, T } = this;
    const pause = () => new Promise((done) => { setTimeout(done, 0); });
    progress(0.1);
    await pause();
    const ground = paintGround(town, Math.min(14, T));
    this.meadow(T);
    progress(0.5);
    await pause();
    this.canvas = canvasOf(town.width * T, town.height * T);
    const ctx = this.canvas.getContext('2d');
    ctx.imageSmoothingQuality = 'high';
    ctx.drawImage(ground, 0, 0, this.canvas.width, this.canvas.height);
    if (town.links.length) bridges(ctx, town, T);
    scatter(ctx, town, T);
    hedges(ctx, town, T);
    progress(0.65);
    await pause();
    drawBuildings(ctx, town, T);
    this.windows = drawWalls(ctx, town, T);
    for (const thing of town.objects) drawThing(ctx, town, thing, T);
    drawRest(ctx, town, T);
    progress(0.8);
    await pause();
    this.lamps = lampPosts(town);
    this.tall = plant(town, T);
    for (const post of this.lamps) lamp(ctx, post.x, post.y, T);
    for (const t of this.tall) ctx.drawImage(t.sprite, t.x, t.y, t.w, t.h);
    fadeEdges(ctx, this.canvas, T);
    this.far = canvasOf(this.canvas.width / 2, this.canvas.height / 2);
    const small = this.far.getContext('2d');
    small.imageSmoothingQuality = 'high';
    small.drawImage(this.canvas, 0, 0, this.far.width, this.far.height);
    this.water = [];
    town.ground.forEach((kind, at) => {
      if (surfaceOf(kind) === 'water') this.water.push([at % town.width, Math.floor(at / town.width)]);
    });
    progress(1);
  }

  /* A patch whose edges fit, of meadow or of water, for what lies beyond the map. */
  meadow(T) {
    const side = 24;
    const size = Math.min(T, 20);
    const { town } = this;
    const rim = town.ground.filter((_, at) => at < town.width || at % town.width === 0);
    const kind = rim.filter((name) => surfaceOf(name) === 'water').length > rim.length / 2 ? 'water' : 'grass';
    const wild = { width: side, height: side, ground: [], kind: (x, y) => (x < 0 || y < 0 || x >= side || y >= side ? '' : kind) };
    wild.ground = Array(side * side).fill(kind);
    const half = paintGround(wild, size / 2);
    this.wild = canvasOf(side * size, side * size);
    this.wildSize = size;
    const ctx = this.wild.getContext('2d');
    for (const [sx, sy] of [[1, 1], [-1, 1], [1, -1], [-1, -1]]) {
      ctx.setTransform(sx, 0, 0, sy, sx < 0 ? side * size : 0, sy < 0 ? side * size : 0);
      ctx.drawImage(half, 0, 0, (side * size) / 2 + 0.5, (side * size) / 2 + 0.5);
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.save();
    scatter(ctx, wild, size);
    ctx.restore();
  }

  /* Tall things that may stand in front of somebody at (x, y) tiles. */
  before(x, y) {
    const { T, tall } = this;
    const px = (x + 0.5) * T;
    const foot = (y + 0.9) * T;
    let low = 0;
    let high = tall.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tall[middle].foot <= foot) low = middle + 1; else high = middle;
    }
    const found = [];
    for (let i = low; i < tall.length && tall[i].foot < foot + T * 4; i++) {
      const t = tall[i];
      if (px > t.x - T && px < t.x + t.w + T && t.y < foot) found.push(t);
    }
    return found;
  }
}

/* The border melts into the meadow beyond. */
function fadeEdges(ctx, canvas, T) {
  const { width, height } = canvas;
  ctx.globalCompositeOperation = 'destination-out';
  for (const [x0, y0, x1, y1] of [[0, 0, T * 1.3, 0], [width, 0, width - T * 1.3, 0], [0, 0, 0, T * 1.3], [0, height, 0, height - T * 1.3]]) {
    const fade = ctx.createLinearGradient(x0, y0, x1, y1);
    fade.addColorStop(0, 'rgba(0,0,0,1)');
    fade.addColorStop(1, 'rgba(0,0,0,0)');
    ctx.fillStyle = fade;
    ctx.fillRect(0, 0, width, height);
  }
  ctx.globalCompositeOperation = 'source-over';
}

function bridges(ctx, town, T) {
  ctx.lineCap = 'round';
  for (const [ax, ay, bx, by] of town.links) {
    for (const [color, width] of [['rgba(60,50,46,.25)', 1.1], ['#a67c50', 0.9], ['#d3ac7c', 0.7]]) {
      ctx.strokeStyle = color;
      ctx.lineWidth = T * width;
      ctx.beginPath();
      ctx.moveTo((ax + 0.5) * T, (ay + 0.5) * T);
      ctx.lineTo((bx + 0.5) * T, (by + 0.5) * T);
      ctx.stroke();
    }
  }
}
