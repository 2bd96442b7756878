/* Day and night: the tint of an hour, lamps, lit windows and rooms where somebody is up. */

const SKY = [
  [0, [84, 104, 184], 1], [4.6, [88, 106, 186], 1], [5.6, [146, 136, 196], 0.75],
  [6.4, [255, 196, 170], 0.3], [7.6, [255, 240, 220], 0.05], [9, [255, 255, 255], 0],
  [16, [255, 252, 244], 0], [17.6, [255, 222, 176], 0.1], [18.7, [244, 172, 142], 0.35],
  [19.7, [140, 128, 200], 0.75], [21, [100, 112, 190], 1], [24, [84, 104, 184], 1],
];

/* {tint: colour to multiply by, dark: 0 by day to 1 by night}. */
function skyAt(minute) {
  const hour = minute / 60;
  let at = 0;
  while (at < SKY.length - 2 && SKY[at + 1][0] <= hour) at++;
  const [from, a, da] = SKY[at];
  const [to, b, db] = SKY[at + 1];
  const t = Math.min(1, Math.max(0, (hour - from) / (to - from)));
  return { tint: mix(a, b, t), dark: da + (db - da) * t };
}

class Light {
  constructor(run, land) {
    this.run = run;
    this.land = land;
    this.map = canvasOf(1, 1);
    this.glow = glowSprite('255,226,160');
    this.open = new Set();
  }

  /* Lays the light of the moment over `ctx`; `view` turns tiles into pixels. */
  draw(ctx, view, width, height, minute, spots) {
    const { tint, dark } = skyAt(minute);
    if (dark <= 0.002 && tint[2] > 252) return;
    const scale = 0.25;
    const w = Math.ceil(width * scale);
    const h = Math.ceil(height * scale);
    if (this.map.width !== w || this.map.height !== h) {
      this.map.width = w;
      this.map.height = h;
    }
    const light = this.map.getContext('2d');
    light.globalCompositeOperation = 'source-over';
    light.fillStyle = css(tint);
    light.fillRect(0, 0, w, h);
    if (dark > 0.2) {
      light.globalCompositeOperation = 'lighter';
      light.globalAlpha = Math.min(1, (dark - 0.2) * 1.4);
      this.rooms(light, view, scale, spots);
      for (const post of this.land.lamps) {
        this.pool(light, view, scale, post.x + 0.5, post.y - 0.2, 4.2, w, h, 0.85);
      }
      for (const spot of spots) this.pool(light, view, scale, spot.x + 0.5, spot.y, 2.2, w, h, 0.35);
      for (const pane of this.lit(minute)) {
        this.pool(light, view, scale, pane.tx + 0.5, pane.ty + 1.2, 2.6, w, h, 0.7);
      }
      light.globalAlpha = 1;
    }
    ctx.globalCompositeOperation = 'multiply';
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(this.map, 0, 0, width, height);
    ctx.globalCompositeOperation = 'source-over';
    ctx.fillStyle = `rgba(38,44,132,${0.13 * dark})`;
    ctx.fillRect(0, 0, width, height);
    if (dark > 0.2) this.glints(ctx, view, minute, Math.min(1, (dark - 0.2) * 1.5));
  }

  rooms(light, view, scale, spots) {
    const { town } = this.run;
    const lit = new Set(spots.map((spot) => town.areaAt(town.arenas, Math.round(spot.x), Math.round(spot.y))));
    lit.delete(null);
    if (!lit.size) return;
    light.fillStyle = 'rgba(255,206,132,.46)';
    const size = view.zoom * scale;
    for (const room of lit) {
      for (let y = room.y - 1; y < room.y + room.h; y++) {
        for (let x = room.x - 1; x <= room.x + room.w; x++) {
          const inside = town.areaAt(town.arenas, x, y) === room && indoors(town, x, y);
          const front = town.kind(x, y) === 'wall' && town.areaAt(town.arenas, x, y + 1) === room;
          if (!inside && !front) continue;
          const [px, py] = view(x, y);
          light.fillRect(Math.floor(px * scale), Math.floor(py * scale), Math.ceil(size + 0.5), Math.ceil(size + 0.5));
        }
      }
    }
  }

  pool(light, view, scale, tx, ty, radius, w, h, strength) {
    const [x, y] = view(tx, ty);
    const r = radius * view.zoom;
    if (x + r < 0 || y + r < 0 || (x - r) * scale > w || (y - r) * scale > h) return;
    const alpha = light.globalAlpha;
    light.globalAlpha = alpha * strength;
    light.drawImage(this.glow, (x - r) * scale, (y - r) * scale, 2 * r * scale, 2 * r * scale);
    light.globalAlpha = alpha;
  }

  /* Windows with light behind them: somebody is up in the house, or it is early evening. */
  lit(minute) {
    const evening = minute > 17 * 60 && minute < 22.5 * 60;
    return this.land.windows.filter((pane) => pane.sector &&
      (this.open.has(pane.sector.name) || (evening && hashOf(pane.tx, pane.ty, 9) < 0.4)));
  }

  glints(ctx, view, minute, strength) {
    const T = this.land.T;
    ctx.globalCompositeOperation = 'screen';
    ctx.globalAlpha = strength;
    ctx.fillStyle = 'rgb(255,208,118)';
    for (const pane of this.lit(minute)) {
      const [x, y] = view(pane.x / T, pane.y / T);
      ctx.fillRect(x, y, (pane.w / T) * view.zoom, (pane.h / T) * view.zoom);
    }
    for (const post of this.land.lamps) {
      const [x, y] = view(post.x + 0.5, post.y - 0.41);
      const r = view.zoom * 0.62;
      ctx.drawImage(this.glow, x - r, y - r, 2 * r, 2 * r);
    }
    ctx.globalAlpha = 1;
    ctx.globalCompositeOperation = 'source-over';
  }
}

function glowSprite(rgb) {
  const canvas = canvasOf(128, 128);
  const ctx = canvas.getContext('2d');
  const fade = ctx.createRadialGradient(64, 64, 0, 64, 64, 64);
  fade.addColorStop(0, `rgba(${rgb},.9)`);
  fade.addColorStop(0.25, `rgba(${rgb},.5)`);
  fade.addColorStop(0.6, `rgba(${rgb},.14)`);
  fade.addColorStop(1, `rgba(${rgb},0)`);
  ctx.fillStyle = fade;
  ctx.fillRect(0, 0, 128, 128);
  return canvas;
}
