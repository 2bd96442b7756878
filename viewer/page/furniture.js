/* Things, drawn by what their names say. Each drawer gets the box it may fill. */

const WOOD = '#a9764c';
const CLOTHS = ['#7f9cc0', '#c9826f', '#94ab76', '#b592bd', '#d6b25e', '#6fa5a0'];

function slab(ctx, x, y, w, h, color, T, radius = 0.1) {
  ctx.fillStyle = 'rgba(48,34,44,.28)';
  box(ctx, x + T * 0.05, y + T * 0.09, w, h, T * radius);
  ctx.fill();
  ctx.fillStyle = shade(color, -0.24);
  box(ctx, x, y + T * 0.06, w, h, T * radius);
  ctx.fill();
  ctx.fillStyle = color;
  box(ctx, x, y, w, h, T * radius);
  ctx.fill();
  ctx.fillStyle = 'rgba(255,248,230,.22)';
  box(ctx, x + T * 0.05, y + T * 0.05, w - T * 0.1, Math.min(h * 0.3, T * 0.12), T * 0.05);
  ctx.fill();
}

function inset(ctx, x, y, w, h, color, radius = 3) {
  ctx.fillStyle = color;
  box(ctx, x, y, w, h, radius);
  ctx.fill();
}

const DRAW = [
  [/garden|flower|mint|plant|herb|veget|orchard/, (c, x, y, w, h, T, r, name) => {
    if (/garden/.test(name)) {
      slab(c, x + T * 0.04, y + T * 0.06, w - T * 0.08, h - T * 0.14, '#94714d', T, 0.1);
      for (let i = 0; i < w / T; i++) for (let j = 0; j < h / T; j++) crops(c, x + i * T, y + j * T - T * 0.08, T, r);
      return;
    }
    for (let i = 0; i < (w * h) / (T * T) * 2.2; i++) flower(c, x + r() * w, y + r() * h, T * 0.075, PETALS[Math.floor(r() * PETALS.length)]);
  }],
  [/bed\b|cot|bunk/, (c, x, y, w, h, T, r) => {
    const long = h >= w;
    slab(c, x, y, w, h, WOOD, T, 0.12);
    inset(c, x + T * 0.07, y + T * 0.07, w - T * 0.14, h - T * 0.14, '#f7f1e6', T * 0.1);
    const cloth = CLOTHS[Math.floor(r() * CLOTHS.length)];
    if (long) inset(c, x + T * 0.07, y + h * 0.36, w - T * 0.14, h * 0.6, cloth, T * 0.1);
    else inset(c, x + w * 0.34, y + T * 0.07, w * 0.62, h - T * 0.14, cloth, T * 0.1);
    if (long) inset(c, x + T * 0.07, y + h * 0.36, w - T * 0.14, h * 0.1, shade(cloth, 0.45), T * 0.04);
    inset(c, x + T * 0.15, y + T * 0.12, long ? w - T * 0.3 : w * 0.22, long ? h * 0.2 : h - T * 0.24, '#ffffff', T * 0.08);
  }],
  [/book|library shelf/, (c, x, y, w, h, T, r) => shelf(c, x, y, w, h, T, r, true)],
  [/shelf|closet|wardrobe|cupboard|cabinet|rack|dresser/, (c, x, y, w, h, T, r) => shelf(c, x, y, w, h, T, r, false)],
  [/sofa|couch|settee/, (c, x, y, w, h, T, r) => {
    const cloth = CLOTHS[Math.floor(r() * CLOTHS.length)];
    slab(c, x + T * 0.04, y + T * 0.08, w - T * 0.08, h - T * 0.16, shade(cloth, -0.12), T, 0.2);
    inset(c, x + T * 0.16, y + T * 0.3, w - T * 0.32, Math.max(T * 0.3, h - T * 0.48), cloth, T * 0.12);
  }],
  [/behind/, () => {}],
  [/seating|chair|bench|stool|seat|pew/, (c, x, y, w, h, T) => {
    for (let i = 0; i < Math.max(1, Math.round(w / T)); i++) {
      for (let j = 0; j < Math.max(1, Math.round(h / T)); j++) stool(c, x + i * T, y + j * T, T);
    }
  }],
  [/piano|organ/, (c, x, y, w, h, T) => {
    slab(c, x, y, w, h, '#4b3a3a', T);
    inset(c, x + T * 0.08, y + h * 0.55, w - T * 0.16, h * 0.3, '#fdfaf2', 2);
    for (let k = 0; k < w / (T * 0.14) - 2; k++) inset(c, x + T * (0.16 + k * 0.14), y + h * 0.55, T * 0.05, h * 0.18, '#2c2530', 1);
  }],
  [/computer|laptop|console|television|tv|screen/, (c, x, y, w, h, T) => {
    slab(c, x + T * 0.04, y + T * 0.2, w - T * 0.08, h - T * 0.3, WOOD, T);
    inset(c, x + w / 2 - T * 0.3, y + T * 0.08, T * 0.6, T * 0.4, '#2f3446', T * 0.06);
    inset(c, x + w / 2 - T * 0.25, y + T * 0.13, T * 0.5, T * 0.29, '#8fd0e0', T * 0.03);
  }],
  [/blackboard|notice|board$/, (c, x, y, w, h, T) => {
    slab(c, x, y + T * 0.1, w, Math.min(h, T * 0.75), WOOD, T, 0.06);
    inset(c, x + T * 0.07, y + T * 0.17, w - T * 0.14, Math.min(h, T * 0.75) - T * 0.14, '#39574a', 2);
    c.strokeStyle = 'rgba(240,246,238,.75)';
    c.lineWidth = T * 0.04;
    for (let k = 0; k < 2; k++) { c.beginPath(); c.moveTo(x + T * 0.2, y + T * (0.32 + k * 0.18)); c.lineTo(x + w * 0.7 - k * T * 0.2, y + T * (0.32 + k * 0.18)); c.stroke(); }
  }],
  [/pool table|billiard/, (c, x, y, w, h, T) => {
    slab(c, x, y, w, h, WOOD, T, 0.12);
    inset(c, x + T * 0.12, y + T * 0.12, w - T * 0.24, h - T * 0.24, '#4f8f6c', T * 0.06);
    [['#f4ead4', 0.3, 0.5], ['#d2553f', 0.6, 0.4], ['#e9bd4b', 0.68, 0.58]].forEach(([color, i, j]) => { c.fillStyle = color; blob(c, x + w * i, y + h * j, T * 0.07); });
  }],
  [/refrigerator|fridge|freezer/, (c, x, y, w, h, T) => {
    const tall = Math.min(h, T * 1.3);
    slab(c, x + T * 0.1, y, Math.min(w, T) - T * 0.2, tall - T * 0.12, '#e9eef0', T, 0.1);
    inset(c, x + T * 0.1, y + tall * 0.36, Math.min(w, T) - T * 0.2, T * 0.04, '#b4c0c6', 0);
    inset(c, x + T * 0.18, y + tall * 0.16, T * 0.06, T * 0.16, '#9aa8b0', 2);
  }],
  [/cook|stove|oven|hearth|fire|forge|grill/, (c, x, y, w, h, T, r, name) => {
    slab(c, x, y + T * 0.06, w, h - T * 0.12, /fire|forge|hearth/.test(name) ? '#8d7f78' : '#dcd8d2', T);
    for (let i = 0; i < Math.max(1, Math.round(w / T)); i++) {
      c.fillStyle = '#3d3a44';
      blob(c, x + (i + 0.32) * T, y + h * 0.45, T * 0.15);
      blob(c, x + (i + 0.7) * T, y + h * 0.45, T * 0.12);
      c.fillStyle = '#e88a4e';
      blob(c, x + (i + 0.32) * T, y + h * 0.45, T * 0.07);
    }
  }],
  [/toaster|kettle|coffee|espresso/, (c, x, y, w, h, T) => {
    slab(c, x + T * 0.1, y + T * 0.1, w - T * 0.2, h - T * 0.2, WOOD, T);
    inset(c, x + w / 2 - T * 0.18, y + h / 2 - T * 0.2, T * 0.36, T * 0.3, '#c95f4b', T * 0.08);
  }],
  [/sink|basin|wash/, (c, x, y, w, h, T) => {
    slab(c, x + T * 0.04, y + T * 0.06, w - T * 0.08, h - T * 0.12, '#eef1ef', T, 0.12);
    inset(c, x + w / 2 - T * 0.28, y + h / 2 - T * 0.16, T * 0.56, T * 0.36, '#a9cdd6', T * 0.14);
    inset(c, x + w / 2 - T * 0.04, y + h / 2 - T * 0.28, T * 0.08, T * 0.2, '#8f9aa2', 2);
  }],
  [/shower|bath|tub/, (c, x, y, w, h, T) => {
    slab(c, x + T * 0.04, y + T * 0.04, w - T * 0.08, h - T * 0.08, '#eef3f2', T, 0.16);
    inset(c, x + T * 0.14, y + T * 0.14, w - T * 0.28, h - T * 0.28, '#b4dbe2', T * 0.16);
    c.fillStyle = 'rgba(255,255,255,.8)';
    for (let k = 0; k < 3; k++) blob(c, x + w * (0.3 + k * 0.2), y + h * (0.4 + (k & 1) * 0.2), T * 0.05);
  }],
  [/toilet|privy/, (c, x, y, w, h, T) => {
    slab(c, x + w / 2 - T * 0.26, y + T * 0.08, T * 0.52, T * 0.24, '#f4f5f1', T, 0.06);
    c.fillStyle = '#dfe4e2';
    blob(c, x + w / 2, y + T * 0.58, T * 0.25, T * 0.28);
    c.fillStyle = '#f8f9f5';
    blob(c, x + w / 2, y + T * 0.55, T * 0.23, T * 0.26);
    c.fillStyle = '#b9dbe2';
    blob(c, x + w / 2, y + T * 0.57, T * 0.13, T * 0.16);
  }],
  [/easel|painting|canvas/, (c, x, y, w, h, T) => {
    c.strokeStyle = '#8a5f45';
    c.lineWidth = T * 0.07;
    c.beginPath(); c.moveTo(x + w / 2, y); c.lineTo(x + w / 2 - T * 0.3, y + T * 0.92); c.moveTo(x + w / 2, y); c.lineTo(x + w / 2 + T * 0.3, y + T * 0.92); c.stroke();
    slab(c, x + w / 2 - T * 0.33, y + T * 0.1, T * 0.66, T * 0.55, '#fbf6ea', T, 0.03);
    ['#e58f6f', '#7fb0c4', '#f0c869'].forEach((color, k) => { c.fillStyle = color; blob(c, x + w / 2 + (k - 1) * T * 0.17, y + T * (0.42 - (k & 1) * 0.12), T * 0.12); });
  }],
  [/guitar|harp|violin|lute|cello/, (c, x, y, w, h, T) => {
    c.fillStyle = 'rgba(48,34,44,.25)';
    blob(c, x + w / 2 + T * 0.05, y + T * 0.75, T * 0.3, T * 0.14);
    c.fillStyle = '#b5703f';
    blob(c, x + w / 2, y + T * 0.65, T * 0.24); blob(c, x + w / 2, y + T * 0.42, T * 0.17);
    inset(c, x + w / 2 - T * 0.035, y - T * 0.02, T * 0.07, T * 0.5, '#5f4030', 2);
    c.fillStyle = '#4b3024'; blob(c, x + w / 2, y + T * 0.58, T * 0.08);
  }],
  [/microphone|lectern|podium|pulpit|stage/, (c, x, y, w, h, T) => {
    slab(c, x + w / 2 - T * 0.34, y + T * 0.3, T * 0.68, T * 0.5, '#8c5f43', T, 0.08);
    inset(c, x + w / 2 - T * 0.03, y + T * 0.08, T * 0.06, T * 0.34, '#3c3945', 2);
    c.fillStyle = '#55515f'; blob(c, x + w / 2, y + T * 0.1, T * 0.1);
  }],
  [/weight|gym|dumbbell/, (c, x, y, w, h, T) => {
    inset(c, x + T * 0.1, y + h / 2 - T * 0.05, w - T * 0.2, T * 0.1, '#8d929c', 3);
    for (const k of [0.16, 0.84]) inset(c, x + w * k - T * 0.1, y + h / 2 - T * 0.28, T * 0.2, T * 0.56, '#454a58', 4);
  }],
  [/well|fountain|pump/, (c, x, y, w, h, T) => {
    const radius = Math.min(w, h) * 0.48;
    c.fillStyle = 'rgba(48,34,44,.28)'; blob(c, x + w / 2 + T * 0.06, y + h / 2 + T * 0.12, radius);
    c.fillStyle = '#b9b0a4'; blob(c, x + w / 2, y + h / 2, radius);
    c.fillStyle = '#9a9186'; blob(c, x + w / 2, y + h / 2, radius * 0.8);
    c.fillStyle = '#74b6c8'; blob(c, x + w / 2, y + h / 2, radius * 0.72);
    c.fillStyle = 'rgba(255,255,255,.65)'; blob(c, x + w / 2 - radius * 0.2, y + h / 2 - radius * 0.2, radius * 0.2, radius * 0.1);
  }],
  [/boat|raft/, (c, x, y, w, h, T) => {
    c.fillStyle = '#8a5b3c'; blob(c, x + w / 2, y + h / 2, w * 0.48, h * 0.36);
    c.fillStyle = '#c9a06f'; blob(c, x + w / 2, y + h / 2 - T * 0.04, w * 0.4, h * 0.26);
  }],
  [/letter|post ?box|mailbox|parcel|crate|barrel|box|chest|basket/, (c, x, y, w, h, T) => {
    slab(c, x + T * 0.14, y + T * 0.16, w - T * 0.28, h - T * 0.3, '#b98a58', T, 0.08);
    inset(c, x + T * 0.14, y + h * 0.46, w - T * 0.28, T * 0.06, '#8c6239', 0);
  }],
  [/counter|bar\b|stall|till/, (c, x, y, w, h, T) => {
    slab(c, x, y + T * 0.06, w, h - T * 0.12, '#96663f', T, 0.1);
    inset(c, x + T * 0.07, y + T * 0.13, w - T * 0.14, h - T * 0.3, '#b98457', T * 0.06);
    c.fillStyle = '#f4ead4'; blob(c, x + w * 0.3, y + h * 0.42, T * 0.1);
    c.fillStyle = '#cf6f58'; blob(c, x + w * 0.3, y + h * 0.42, T * 0.05);
  }],
  [/desk|table|workbench|easel/, (c, x, y, w, h, T, r) => table(c, x, y, w, h, T, r)],
];

function table(c, x, y, w, h, T, r) {
  slab(c, x + T * 0.05, y + T * 0.08, w - T * 0.1, h - T * 0.18, '#bd8a5b', T, 0.14);
  for (let i = 0, n = Math.max(1, Math.round((w * h) / (T * T) / 2)); i < n; i++) {
    const px = x + T * 0.3 + r() * Math.max(1, w - T * 0.6);
    const py = y + T * 0.3 + r() * Math.max(1, h - T * 0.7);
    const pick = r();
    if (pick < 0.35) inset(c, px - T * 0.1, py - T * 0.08, T * 0.22, T * 0.16, '#fbf7ec', 1);
    else if (pick < 0.7) { c.fillStyle = '#f7f3ea'; blob(c, px, py, T * 0.11); c.fillStyle = '#d9d2c4'; blob(c, px, py, T * 0.06); }
    else { c.fillStyle = '#7f9f62'; blob(c, px, py, T * 0.12); c.fillStyle = '#9dbd78'; blob(c, px - T * 0.03, py - T * 0.04, T * 0.07); }
  }
}

function shelf(c, x, y, w, h, T, r, books) {
  slab(c, x, y + T * 0.02, w, h - T * 0.1, '#93653f', T, 0.06);
  const rows = Math.max(1, Math.round(h / (T * 0.5)));
  for (let j = 0; j < rows; j++) {
    const py = y + T * 0.08 + (j * (h - T * 0.2)) / rows;
    const high = (h - T * 0.2) / rows - T * 0.06;
    inset(c, x + T * 0.07, py, w - T * 0.14, high, '#6b472e', 1);
    for (let px = x + T * 0.1; px < x + w - T * 0.2; ) {
      const wide = T * (books ? 0.06 + r() * 0.06 : 0.14 + r() * 0.1);
      const tall = high * (0.6 + r() * 0.36);
      inset(c, px, py + high - tall, wide, tall, CLOTHS[Math.floor(r() * CLOTHS.length)], books ? 1 : 3);
      px += wide + T * (books ? 0.012 : 0.06);
    }
  }
}

function stool(c, x, y, T) {
  c.fillStyle = 'rgba(48,34,44,.25)';
  blob(c, x + T * 0.53, y + T * 0.6, T * 0.26, T * 0.2);
  c.fillStyle = '#8b5e3f';
  blob(c, x + T * 0.5, y + T * 0.54, T * 0.25);
  c.fillStyle = '#d9a97a';
  blob(c, x + T * 0.5, y + T * 0.5, T * 0.23);
  c.fillStyle = 'rgba(255,255,255,.25)';
  blob(c, x + T * 0.45, y + T * 0.44, T * 0.1);
}

function drawThing(ctx, town, thing, T) {
  const [[left, top] = [0, 0]] = thing.rects;
  const open = !indoors(town, left, top) && !town.links.length;
  // A bed in the open is one of plants.
  const name = thing.name.toLowerCase().replace(/\bbeds?\b/, open ? 'garden' : 'bed');
  const found = DRAW.find(([pattern]) => pattern.test(name));
  for (const [x, y, w, h] of thing.rects) {
    const roll = dice(hashOf(x, y, 31) * 4294967296);
    if (found) found[1](ctx, x * T, y * T, w * T, h * T, T, roll, name);
    else table(ctx, x * T, y * T, w * T, h * T, T, roll);
  }
}

/* Blocked tiles inside that no thing covers: low furniture, joined along rows. */
function drawRest(ctx, town, T) {
  const taken = new Set();
  for (const thing of town.objects) {
    for (const [x, y, w, h] of thing.rects) {
      for (let i = 0; i < w; i++) for (let j = 0; j < h; j++) taken.add((y + j) * town.width + x + i);
    }
  }
  const loose = (x, y) => town.blocked(x, y) && town.kind(x, y) !== 'wall' &&
    indoors(town, x, y) && !taken.has(y * town.width + x);
  for (let y = 0; y < town.height; y++) {
    for (let x = 0; x < town.width; x++) {
      if (!loose(x, y)) continue;
      let run = 1;
      while (loose(x + run, y)) run++;
      let deep = 1;
      while (Array.from({ length: run }, (_, i) => loose(x + i, y + deep)).every(Boolean)) deep++;
      for (let j = 0; j < deep; j++) for (let i = 0; i < run; i++) taken.add((y + j) * town.width + x + i);
      const roll = dice(hashOf(x, y, 41) * 4294967296);
      const againstWall = town.kind(x, y - 1) === 'wall';
      if (againstWall && deep === 1) shelf(ctx, x * T, y * T, run * T, T, T, roll, roll() < 0.5);
      else table(ctx, x * T, y * T, run * T, deep * T, T, roll);
    }
  }
}
