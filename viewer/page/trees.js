/* Trees, bushes, hedges, fences and lamps. Tall things are kept so that they can be drawn
   again over somebody who walks behind them. */

const LEAVES = [
  ['#5f8f4e', '#78a95b', '#9ac573'], ['#557f4a', '#6d9b57', '#8fbb6c'],
  ['#6f9150', '#8cae5d', '#b3cc78'], ['#4d7d5c', '#649a6f', '#88b988'],
];
const BLOSSOM = ['#b98794', '#dba5b1', '#f2ccd2'];
const AUTUMN = ['#b5783f', '#d39a4e', '#ecc373'];

function treeSprite(T, variant) {
  const roll = dice(900 + variant * 77);
  const conifer = variant % 5 === 3;
  const size = T * 3;
  const canvas = canvasOf(size, size * 1.25);
  const ctx = canvas.getContext('2d');
  const cx = size / 2;
  const foot = size * 1.12;
  ctx.fillStyle = 'rgba(46,62,52,.26)';
  blob(ctx, cx + size * 0.08, foot - size * 0.02, size * 0.34, size * 0.12);
  const trunk = ctx.createLinearGradient(cx - size * 0.06, 0, cx + size * 0.06, 0);
  trunk.addColorStop(0, '#9a7656');
  trunk.addColorStop(1, '#6b4f3c');
  ctx.fillStyle = trunk;
  box(ctx, cx - size * 0.05, foot - size * 0.34, size * 0.1, size * 0.36, size * 0.04);
  ctx.fill();
  const tones = variant === 7 ? BLOSSOM : variant === 8 ? AUTUMN : LEAVES[variant % LEAVES.length];
  if (conifer) needles(ctx, cx, foot, size, tones); else crown(ctx, cx, foot, size, tones, roll);
  return canvas;
}

function crown(ctx, cx, foot, size, tones, roll) {
  const middle = foot - size * 0.6;
  const puffs = [];
  for (let i = 0; i < 13; i++) {
    const angle = i * 2.4;
    const far = Math.sqrt(i / 13) * size * 0.28;
    puffs.push([cx + Math.cos(angle) * far, middle + Math.sin(angle) * far * 0.88,
      size * (0.13 + roll() * 0.05)]);
  }
  const layer = (color, dx, dy, scale) => {
    ctx.fillStyle = color;
    for (const [x, y, r] of puffs) blob(ctx, x + dx * size, y + dy * size, r * scale);
  };
  layer(shade(tones[0], -0.22), 0.015, 0.05, 1.06);
  layer(tones[0], 0, 0, 1);
  layer(tones[1], -0.03, -0.045, 0.78);
  ctx.globalAlpha = 0.85;
  layer(tones[2], -0.06, -0.085, 0.42);
  ctx.globalAlpha = 0.5;
  ctx.fillStyle = tones[2];
  for (let i = 0; i < 26; i++) {
    const angle = roll() * 7;
    const far = Math.sqrt(roll()) * size * 0.34;
    blob(ctx, cx - size * 0.03 + Math.cos(angle) * far, middle - size * 0.03 + Math.sin(angle) * far * 0.9,
      size * (0.012 + roll() * 0.014));
  }
  ctx.globalAlpha = 1;
}

function needles(ctx, cx, foot, size, tones) {
  for (let k = 0; k < 4; k++) {
    const y = foot - size * (0.16 + k * 0.2);
    const half = size * (0.32 - k * 0.06);
    for (const [color, dx, scale] of [[shade(tones[0], -0.2), 0.012, 1.05], [tones[0], 0, 1], [tones[1], -0.03, 0.72]]) {
      ctx.fillStyle = color;
      ctx.beginPath();
      ctx.moveTo(cx + dx * size, y - size * 0.33 * scale);
      ctx.quadraticCurveTo(cx + half * scale * 0.5 + dx * size, y - size * 0.08, cx + half * scale + dx * size, y);
      ctx.quadraticCurveTo(cx + dx * size, y + size * 0.08 * scale, cx - half * scale + dx * size, y);
      ctx.quadraticCurveTo(cx - half * scale * 0.5 + dx * size, y - size * 0.08, cx + dx * size, y - size * 0.33 * scale);
      ctx.fill();
    }
  }
}

function bushSprite(T, variant) {
  const roll = dice(4000 + variant);
  const size = T * 1.5;
  const canvas = canvasOf(size, size);
  const ctx = canvas.getContext('2d');
  const tones = LEAVES[(variant + 1) % LEAVES.length];
  ctx.fillStyle = 'rgba(46,62,52,.25)';
  blob(ctx, size * 0.54, size * 0.74, size * 0.36, size * 0.14);
  for (const [color, dx, dy, scale] of [[shade(tones[0], -0.15), 0.01, 0.03, 1.05], [tones[0], 0, 0, 1], [tones[1], -0.03, -0.04, 0.72], [tones[2], -0.05, -0.08, 0.34]]) {
    ctx.fillStyle = color;
    for (const [x, y] of [[0.34, 0.6], [0.64, 0.6], [0.5, 0.47], [0.5, 0.64]]) {
      blob(ctx, (x + dx) * size, (y + dy) * size, size * 0.19 * scale);
    }
  }
  if (variant % 3 === 0) {
    const color = PETALS[variant % PETALS.length];
    for (let i = 0; i < 7; i++) flower(ctx, size * (0.28 + roll() * 0.44), size * (0.4 + roll() * 0.26), size * 0.022, color);
  }
  return canvas;
}

/* Where the tall things stand: {sprite, x, y, w, h, foot}, in pixels of the map, by foot. */
function plant(town, T) {
  const trees = Array.from({ length: 9 }, (_, k) => treeSprite(T, k));
  const bushes = Array.from({ length: 6 }, (_, k) => bushSprite(T, k));
  const tall = [];
  const put = (sprite, cx, foot, scale, base) => {
    const w = sprite.width * scale;
    const h = sprite.height * scale;
    tall.push({ sprite, x: cx - w / 2, y: foot - h * base, w, h, foot });
  };
  for (let y = 0; y < town.height; y++) {
    for (let x = 0; x < town.width; x++) {
      const kind = town.kind(x, y);
      const a = hashOf(x, y, 1);
      const b = hashOf(x, y, 2);
      if (kind === 'tree') {
        const sprite = trees[a < 0.08 ? 7 : a < 0.11 ? 8 : Math.floor(a * 50) % 7];
        put(sprite, (x + 0.5) * T, (y + 0.9) * T, 0.86 + b * 0.3, 0.9);
      } else if (kind === 'forest' && a < 0.4) {
        put(trees[Math.floor(b * 7)], (x + b) * T, (y + 0.5 + a) * T, 0.58 + a * 0.7, 0.9);
      } else if (kind === 'bush') {
        put(bushes[Math.floor(a * 6)], (x + 0.5) * T, (y + 0.9) * T, 0.85 + b * 0.25, 0.86);
      } else if (kind === 'meadow' && a < 0.03) {
        put(bushes[Math.floor(b * 6)], (x + 0.5) * T, (y + 0.9) * T, 0.6 + b * 0.3, 0.86);
      }
    }
  }
  return tall.sort((p, q) => p.foot - q.foot);
}

function hedges(ctx, town, T) {
  for (let y = 0; y < town.height; y++) {
    for (let x = 0; x < town.width; x++) {
      const kind = town.kind(x, y);
      if (kind === 'hedge') hedge(ctx, town, x, y, T);
      if (kind === 'fence') fence(ctx, town, x, y, T);
    }
  }
}

function hedge(ctx, town, x, y, T) {
  const px = x * T;
  const py = y * T;
  const roll = dice(hashOf(x, y, 8) * 4294967296);
  ctx.fillStyle = 'rgba(46,62,52,.22)';
  box(ctx, px + T * 0.06, py + T * 0.3, T * 1.02, T * 0.72, T * 0.3);
  ctx.fill();
  for (const [color, lift, scale] of [['#4f7a4a', 0.05, 1], ['#5f8d54', -0.05, 0.86], ['#7fae66', -0.14, 0.5]]) {
    ctx.fillStyle = color;
    for (let k = 0; k < 5; k++) {
      blob(ctx, px + T * (0.12 + k * 0.19), py + T * (0.55 + lift + (roll() - 0.5) * 0.1), T * 0.24 * scale);
    }
  }
}

function fence(ctx, town, x, y, T) {
  const px = x * T;
  const py = y * T;
  const upright = town.kind(x, y - 1) === 'fence' || town.kind(x, y + 1) === 'fence';
  const level = town.kind(x - 1, y) === 'fence' || town.kind(x + 1, y) === 'fence' || !upright;
  ctx.fillStyle = '#c9aa80';
  if (level) {
    ctx.fillRect(px, py + T * 0.36, T, T * 0.08);
    ctx.fillRect(px, py + T * 0.58, T, T * 0.08);
  }
  if (upright) ctx.fillRect(px + T * 0.46, py, T * 0.08, T);
  for (const k of level ? [0.15, 0.65] : [0.4]) {
    ctx.fillStyle = 'rgba(60,50,46,.22)';
    blob(ctx, px + T * (k + 0.13), py + T * 0.84, T * 0.14, T * 0.05);
    ctx.fillStyle = '#e2c79d';
    box(ctx, px + T * k, py + T * 0.2, T * 0.16, T * 0.62, T * 0.06);
    ctx.fill();
  }
}

/* Lamps stand where paths meet green, some way apart. */
function lampPosts(town) {
  const posts = [];
  for (let y = 1; y < town.height - 1; y++) {
    for (let x = 1; x < town.width - 1; x++) {
      if (surfaceOf(town.kind(x, y)) !== 'green' || LUSH[town.kind(x, y)] > 0.3) continue;
      const beside = [[1, 0], [-1, 0], [0, 1], [0, -1]].some(([dx, dy]) =>
        ['path', 'plaza', 'road'].includes(surfaceOf(town.kind(x + dx, y + dy))));
      if (!beside || hashOf(x, y, 3) > 0.3) continue;
      if (posts.every((post) => Math.hypot(post.x - x, post.y - y) > 7.5)) posts.push({ x, y });
    }
  }
  return posts;
}

function lamp(ctx, x, y, T) {
  const cx = (x + 0.5) * T;
  const foot = (y + 0.85) * T;
  ctx.fillStyle = 'rgba(40,50,50,.25)';
  blob(ctx, cx + T * 0.08, foot, T * 0.2, T * 0.07);
  ctx.fillStyle = '#4d4a57';
  box(ctx, cx - T * 0.045, foot - T * 1.15, T * 0.09, T * 1.15, T * 0.04);
  ctx.fill();
  ctx.fillStyle = '#fff0bf';
  box(ctx, cx - T * 0.12, foot - T * 1.4, T * 0.24, T * 0.28, T * 0.07);
  ctx.fill();
  ctx.fillStyle = '#3d3a48';
  box(ctx, cx - T * 0.17, foot - T * 1.48, T * 0.34, T * 0.1, T * 0.05);
  ctx.fill();
}
