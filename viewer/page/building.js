/* Houses seen from above with the roof taken off: shadow, floors, walls, windows. */

const TRIMS = ['#b5654a', '#5c7d91', '#7d8a52', '#c08a3e', '#8d6384', '#5e8a7f', '#a8574f', '#6b74a0'];
const PLASTER = ['#f3e7d3', '#efe3dc', '#e9ead8', '#f4e4c8', '#ebe2ea', '#e3ebe6'];
const PLANKS = ['#d3a877', '#c99c6c', '#dbb587', '#c4936a'];
const RUGS = ['#c98b7b', '#8aa6b5', '#a5b08a', '#c2a3b8', '#d1b078'];

function indoors(town, x, y) {
  return INDOORS.has(town.kind(x, y));
}

function tintOf(town, x, y, colors, salt) {
  const area = salt === 'rug' ? town.areaAt(town.arenas, x, y) : town.houseAt(x, y);
  return colors[hashText((area ? area.name : '') + salt) % colors.length];
}

function drawBuildings(ctx, town, T) {
  const { width, height } = town;
  const footprint = new Path2D();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!indoors(town, x, y)) continue;
      let run = 1;
      while (indoors(town, x + run, y)) run++;
      footprint.rect(x * T, y * T, run * T, T);
      x += run;
    }
  }
  ctx.save();
  ctx.shadowColor = 'rgba(38,40,62,.5)';
  ctx.shadowBlur = T * 0.7;
  ctx.shadowOffsetX = T * 0.35;
  ctx.shadowOffsetY = T * 0.4;
  ctx.fillStyle = '#8f7d6c';
  ctx.fill(footprint);
  ctx.restore();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const kind = town.kind(x, y);
      if (INDOORS.has(kind) && kind !== 'wall') drawFloor(ctx, town, kind, x, y, T);
    }
  }
  shadeFloors(ctx, town, T);
}

function drawFloor(ctx, town, kind, x, y, T) {
  const px = x * T;
  const py = y * T;
  const roll = dice(hashOf(x, y, 21) * 4294967296);
  if (kind === 'tile') {
    for (let k = 0; k < 4; k++) {
      ctx.fillStyle = ((k & 1) + (k >> 1)) % 2 ? '#dde6e4' : '#f1f4ee';
      ctx.fillRect(px + (k & 1) * T / 2, py + (k >> 1) * T / 2, T / 2 + 0.5, T / 2 + 0.5);
    }
    ctx.strokeStyle = 'rgba(120,140,140,.18)';
    ctx.strokeRect(px, py, T, T);
  } else if (kind === 'stone') {
    ctx.fillStyle = shade('#cfc4b3', (roll() - 0.5) * 0.12);
    ctx.fillRect(px, py, T + 0.5, T + 0.5);
    ctx.strokeStyle = 'rgba(120,104,88,.25)';
    ctx.lineWidth = 1;
    ctx.strokeRect(px + 0.5, py + 0.5, T - 1, T - 1);
    ctx.fillStyle = 'rgba(255,250,240,.22)';
    ctx.fillRect(px + 2, py + 2, T - 5, 2);
  } else if (kind === 'carpet') {
    const base = tintOf(town, x, y, RUGS, 'rug');
    ctx.fillStyle = shade(base, 0.42);
    ctx.fillRect(px, py, T + 0.5, T + 0.5);
    ctx.fillStyle = shade(base, 0.28);
    for (const [i, j] of [[0.25, 0.25], [0.75, 0.75]]) blob(ctx, px + T * i, py + T * j, T * 0.07);
  } else {
    planks(ctx, px, py, T, tintOf(town, x, y, PLANKS, 'floor'), x, y, roll);
  }
}

function planks(ctx, px, py, T, color, x, y, roll) {
  const rows = 4;
  for (let k = 0; k < rows; k++) {
    ctx.fillStyle = shade(color, (roll() - 0.5) * 0.2);
    ctx.fillRect(px, py + (k * T) / rows, T + 0.5, T / rows + 0.5);
    ctx.fillStyle = 'rgba(96,62,38,.28)';
    ctx.fillRect(px, py + (k * T) / rows, T, 1);
    if ((x + k * 2 + y) % 3 === 0) ctx.fillRect(px + T * ((k * 0.37 + 0.2) % 1), py + (k * T) / rows, 1, T / rows);
  }
}

/* Darker where a floor meets a wall. */
function shadeFloors(ctx, town, T) {
  for (let y = 0; y < town.height; y++) {
    for (let x = 0; x < town.width; x++) {
      if (!indoors(town, x, y) || town.kind(x, y) === 'wall') continue;
      for (const [dx, dy, reach, dark] of [[0, -1, 0.75, 0.3], [-1, 0, 0.45, 0.2], [1, 0, 0.22, 0.12]]) {
        if (town.kind(x + dx, y + dy) !== 'wall') continue;
        const px = x * T;
        const py = y * T;
        const fade = dy ? ctx.createLinearGradient(0, py, 0, py + T * reach)
          : ctx.createLinearGradient(dx < 0 ? px : px + T, 0, dx < 0 ? px + T * reach : px + T * (1 - reach), 0);
        fade.addColorStop(0, `rgba(52,34,48,${dark})`);
        fade.addColorStop(1, 'rgba(52,34,48,0)');
        ctx.fillStyle = fade;
        ctx.fillRect(px, py, T, T);
      }
    }
  }
}

/* Walls: a cap where another wall lies to the south, else a front with plaster; gives the
   windows of the outer fronts. */
function drawWalls(ctx, town, T) {
  const windows = [];
  for (let y = 0; y < town.height; y++) {
    for (let x = 0; x < town.width; x++) {
      if (town.kind(x, y) !== 'wall') continue;
      const trim = tintOf(town, x, y, TRIMS, 'trim');
      const front = town.kind(x, y + 1) !== 'wall';
      if (front) {
        const outer = !indoors(town, x, y + 1);
        drawFront(ctx, town, x, y, T, trim, outer);
        if (outer && paneHere(town, x, y)) windows.push(pane(ctx, town, x, y, T));
      } else {
        drawCap(ctx, town, x, y, T, trim, T);
      }
    }
  }
  return windows;
}

function paneHere(town, x, y) {
  const wall = (dx) => town.kind(x + dx, y) === 'wall' && town.kind(x + dx, y + 1) !== 'wall';
  return wall(-1) && wall(1) && x % 3 === 1 && !town.blocked(x, y + 2);
}

function drawFront(ctx, town, x, y, T, trim, outer) {
  const px = x * T;
  const py = y * T;
  const capped = town.kind(x, y - 1) !== 'wall';
  const plaster = tintOf(town, x, y, PLASTER, outer ? 'out' : 'in');
  const fade = ctx.createLinearGradient(0, py, 0, py + T);
  fade.addColorStop(0, shade(plaster, -0.12));
  fade.addColorStop(0.5, plaster);
  fade.addColorStop(1, shade(plaster, -0.06));
  ctx.fillStyle = fade;
  ctx.fillRect(px, py, T + 0.5, T);
  if (!outer) {
    ctx.fillStyle = shade(plaster, -0.05);
    ctx.fillRect(px + T * 0.2, py, T * 0.18, T);
    ctx.fillRect(px + T * 0.7, py, T * 0.18, T);
  }
  ctx.fillStyle = outer ? shade(trim, -0.2) : shade('#a98a6c', 0.05);
  ctx.fillRect(px, py + T * 0.88, T + 0.5, T * 0.12);
  if (capped) drawCap(ctx, town, x, y, T, trim, T * 0.42);
  else {
    ctx.fillStyle = 'rgba(52,34,48,.2)';
    ctx.fillRect(px, py, T + 0.5, T * 0.12);
  }
}

function drawCap(ctx, town, x, y, T, trim, depth) {
  const px = x * T;
  const py = y * T;
  ctx.fillStyle = trim;
  ctx.fillRect(px, py, T + 0.5, depth + 0.5);
  ctx.fillStyle = shade(trim, -0.14);
  const rows = Math.max(1, Math.round(depth / (T * 0.34)));
  for (let k = 0; k < rows; k++) {
    for (let i = 0; i < 3; i++) {
      const shift = (k + y) % 2 ? T / 6 : 0;
      ctx.beginPath();
      ctx.arc(px + (i * T) / 3 + shift + T / 12, py + (k * depth) / rows, T / 6.4, 0.25, Math.PI - 0.25);
      ctx.lineWidth = T * 0.03;
      ctx.strokeStyle = shade(trim, -0.2);
      ctx.stroke();
    }
  }
  ctx.fillStyle = shade(trim, 0.3);
  if (town.kind(x, y - 1) !== 'wall') ctx.fillRect(px, py, T + 0.5, T * 0.08);
  if (town.kind(x - 1, y) !== 'wall') ctx.fillRect(px, py, T * 0.08, depth);
  ctx.fillStyle = shade(trim, -0.34);
  if (town.kind(x + 1, y) !== 'wall') ctx.fillRect(px + T * 0.92, py, T * 0.08, depth);
  if (depth < T || town.kind(x, y + 1) !== 'wall') ctx.fillRect(px, py + depth - T * 0.06, T + 0.5, T * 0.07);
}

function pane(ctx, town, x, y, T) {
  const frame = { x: x * T + T * 0.2, y: y * T + T * 0.36, w: T * 0.6, h: T * 0.4 };
  if (town.kind(x, y - 1) !== 'wall') Object.assign(frame, { y: y * T + T * 0.48, h: T * 0.34 });
  ctx.fillStyle = '#fbf4e4';
  box(ctx, frame.x - T * 0.06, frame.y - T * 0.06, frame.w + T * 0.12, frame.h + T * 0.12, T * 0.05);
  ctx.fill();
  const glass = ctx.createLinearGradient(frame.x, frame.y, frame.x + frame.w, frame.y + frame.h);
  glass.addColorStop(0, '#a9cfdb');
  glass.addColorStop(0.5, '#d6ecef');
  glass.addColorStop(1, '#8fb9cb');
  ctx.fillStyle = glass;
  ctx.fillRect(frame.x, frame.y, frame.w, frame.h);
  ctx.fillStyle = '#fbf4e4';
  ctx.fillRect(frame.x + frame.w / 2 - T * 0.02, frame.y, T * 0.04, frame.h);
  ctx.fillStyle = '#8a5f45';
  box(ctx, frame.x - T * 0.08, frame.y + frame.h + T * 0.03, frame.w + T * 0.16, T * 0.09, T * 0.03);
  ctx.fill();
  for (let k = 0; k < 4; k++) {
    ctx.fillStyle = PETALS[Math.floor(hashOf(x, y, k) * PETALS.length)];
    blob(ctx, frame.x + frame.w * (0.12 + k * 0.25), frame.y + frame.h + T * 0.02, T * 0.055);
  }
  return { ...frame, tx: x, ty: y, sector: town.houseAt(x, y) };
}
