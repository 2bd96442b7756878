/* The ground, painted pixel by pixel: kinds flow into each other along wavering edges. */

const INDOORS = new Set(['wood', 'tile', 'stone', 'carpet', 'wall']);
const PAINT = {
  green: [hex('#9cc07a'), hex('#86b06a'), hex('#b4cf8b')],
  path: [hex('#e3cea3'), hex('#d8bf90'), hex('#efe0bd')],
  road: [hex('#b9b2a6'), hex('#aaa296'), hex('#c9c3b6')],
  plaza: [hex('#d6cab8'), hex('#c8bba8'), hex('#e4dac9')],
  water: [hex('#6fb3c6'), hex('#5a9fba'), hex('#8fcad4')],
  sand: [hex('#eddcb0'), hex('#e2cd9a'), hex('#f6ebcb')],
  garden: [hex('#a98560'), hex('#97744f'), hex('#b99771')],
  field: [hex('#d9c277'), hex('#c9ae60'), hex('#e6d493')],
  bridge: [hex('#b88d5f'), hex('#a67c50'), hex('#c9a173')],
};
const SURFACES = Object.keys(PAINT);
const LUSH = { forest: 1, tree: 0.55, hedge: 0.35, bush: 0.35, meadow: 0.25 };
const DEEP = hex('#6f9a5c');

/* The surface of a kind; an unknown kind is read by the words in its name. */
function surfaceOf(kind) {
  if (!kind || INDOORS.has(kind)) return '';
  if (PAINT[kind]) return kind;
  const words = [
    ['water', /water|river|pond|lake|sea|stream|canal/], ['path', /path|dirt|trail|lane|gravel/],
    ['road', /road|street|asphalt/], ['plaza', /plaza|square|cobble|pav|stone/],
    ['sand', /sand|beach|shore/], ['garden', /soil|bed|plot|allotment/],
    ['field', /field|wheat|crop/], ['bridge', /bridge|dock|pier|jetty|plank/],
  ];
  const found = words.find(([, pattern]) => pattern.test(kind));
  return found ? found[0] : 'green';
}

function paintGround(town, size) {
  const { width, height } = town;
  const surface = new Int8Array(width * height);
  const lush = new Float32Array(width * height);
  for (let i = 0; i < surface.length; i++) {
    surface[i] = SURFACES.indexOf(surfaceOf(town.ground[i]));
    lush[i] = LUSH[town.ground[i]] || 0;
  }
  const canvas = canvasOf(width * size, height * size);
  const ctx = canvas.getContext('2d');
  for (let row = 0; row < height; row += 4) {
    const rows = Math.min(4, height - row);
    const image = ctx.createImageData(width * size, rows * size);
    paintStrip(image.data, { width, height, surface, lush }, row, rows, size);
    ctx.putImageData(image, 0, row * size);
  }
  return canvas;
}

function paintStrip(out, land, row, rows, size) {
  const { width, height, surface, lush } = land;
  const weights = new Float32Array(SURFACES.length);
  let at = 0;
  for (let py = 0; py < rows * size; py++) {
    const v = row + (py + 0.5) / size;
    for (let px = 0; px < width * size; px++, at += 4) {
      const u = (px + 0.5) / size;
      const wave = noise(u * 1.7, v * 1.7) - 0.5;
      const wave2 = noise(u * 1.7 + 71, v * 1.7 + 13) - 0.5;
      const sx = u + wave * 0.85 - 0.5;
      const sy = v + wave2 * 0.85 - 0.5;
      const x0 = Math.floor(sx);
      const y0 = Math.floor(sy);
      const fx = sx - x0;
      const fy = sy - y0;
      weights.fill(0);
      let green = 0;
      for (let k = 0; k < 4; k++) {
        const tx = Math.min(width - 1, Math.max(0, x0 + (k & 1)));
        const ty = Math.min(height - 1, Math.max(0, y0 + (k >> 1)));
        const part = (k & 1 ? fx : 1 - fx) * (k >> 1 ? fy : 1 - fy);
        const s = surface[ty * width + tx];
        if (s < 0) continue;
        weights[s] += part;
        green += lush[ty * width + tx] * part;
      }
      colour(out, at, weights, green, u, v, wave);
    }
  }
}

function colour(out, at, weights, green, u, v, wave) {
  let best = 0;
  let most = -1;
  let second = 0;
  for (let s = 0; s < weights.length; s++) {
    if (weights[s] > most) { second = most; most = weights[s]; best = s; } else if (weights[s] > second) {
      second = weights[s];
    }
  }
  const name = SURFACES[best];
  const [base, low, light] = PAINT[name];
  const wide = noise(u * 0.16 + 9, v * 0.16) * 0.65 + noise(u * 0.55, v * 0.55 + 31) * 0.35;
  const grain = noise(u * 9, v * 9) - 0.5;
  let c = wide < 0.5 ? mix(base, low, (0.5 - wide) * 1.7) : mix(base, light, (wide - 0.5) * 1.9);
  if (name === 'green' && green > 0) c = mix(c, DEEP, Math.min(1, green) * 0.75);
  const edge = most - Math.max(0, second);
  if (second > 0 && edge < 0.34) {
    const close = 1 - edge / 0.34;
    if (name === 'green') c = mix(c, low, close * 0.55);
    else if (name === 'water') c = mix(c, [226, 242, 236], close * close * 0.75);
    else c = mix(c, low, close * 0.75);
  }
  if (name === 'plaza') c = cobble(c, u, v);
  if (name === 'garden' || name === 'field') c = mix(c, low, (Math.sin(v * 12.5) + 1) * 0.22);
  if (name === 'bridge') c = mix(c, low, (u * 4) % 1 < 0.1 ? 0.9 : 0);
  const bright = grain * (name === 'water' ? 5 : 13) + wave * 5;
  out[at] = c[0] + bright;
  out[at + 1] = c[1] + bright;
  out[at + 2] = c[2] + bright * 0.8;
  out[at + 3] = 255;
}

function cobble(c, u, v) {
  const row = Math.floor(v * 3);
  const a = (u * 2.4 + (row & 1) * 0.5) % 1;
  const b = (v * 3) % 1;
  const gap = a < 0.09 || b < 0.11;
  const tone = hashOf(Math.floor(u * 2.4 + (row & 1) * 0.5), row) - 0.5;
  return gap ? mix(c, [140, 126, 112], 0.35) : mix(c, tone > 0 ? [255, 248, 234] : [176, 160, 142],
    Math.abs(tone) * 0.35);
}

/* Blades, flowers, pebbles and ripples, drawn sharp over the painted ground. */
function scatter(ctx, town, T) {
  ctx.lineCap = 'round';
  for (let y = 0; y < town.height; y++) {
    for (let x = 0; x < town.width; x++) {
      const kind = town.kind(x, y);
      const surface = surfaceOf(kind);
      const roll = dice(hashOf(x, y, 5) * 4294967296);
      if (surface === 'green') growth(ctx, kind, x * T, y * T, T, roll);
      else if (surface === 'path' || surface === 'sand' || surface === 'road') {
        pebbles(ctx, x * T, y * T, T, roll);
      } else if (surface === 'garden') crops(ctx, x * T, y * T, T, roll);
    }
  }
}

const PETALS = ['#f6f1e4', '#f3c9d4', '#f4d777', '#c9b6e4', '#ee9d86', '#a9c8ef'];

function growth(ctx, kind, x, y, T, roll) {
  const tufts = kind === 'meadow' ? 3 : roll() < 0.45 ? 1 : 0;
  for (let i = 0; i < tufts; i++) {
    const px = x + roll() * T;
    const py = y + roll() * T;
    ctx.strokeStyle = roll() < 0.5 ? 'rgba(84,125,66,.55)' : 'rgba(190,215,140,.6)';
    ctx.lineWidth = T * 0.045;
    for (let k = -1; k <= 1; k++) {
      ctx.beginPath();
      ctx.moveTo(px + k * T * 0.05, py);
      ctx.quadraticCurveTo(px + k * T * 0.09, py - T * 0.12, px + k * T * 0.15, py - T * 0.2);
      ctx.stroke();
    }
  }
  if (kind === 'meadow' ? roll() < 0.42 : roll() < 0.035) {
    const color = PETALS[Math.floor(roll() * PETALS.length)];
    for (let i = 0, n = 2 + roll() * 3; i < n; i++) {
      flower(ctx, x + roll() * T, y + roll() * T, T * (0.05 + roll() * 0.025), color);
    }
  }
}

function flower(ctx, x, y, r, color) {
  ctx.fillStyle = 'rgba(60,90,50,.3)';
  blob(ctx, x + r * 0.6, y + r * 1.3, r * 1.6, r);
  ctx.fillStyle = color;
  for (let k = 0; k < 5; k++) blob(ctx, x + Math.cos(k * 1.257) * r, y + Math.sin(k * 1.257) * r, r * 0.75);
  ctx.fillStyle = '#f2c14e';
  blob(ctx, x, y, r * 0.6);
}

function pebbles(ctx, x, y, T, roll) {
  for (let i = 0, n = roll() * 2.6; i < n; i++) {
    ctx.fillStyle = roll() < 0.5 ? 'rgba(255,250,232,.5)' : 'rgba(150,122,84,.28)';
    blob(ctx, x + roll() * T, y + roll() * T, T * (0.02 + roll() * 0.05), T * (0.015 + roll() * 0.03));
  }
}

function crops(ctx, x, y, T, roll) {
  for (let k = 0; k < 3; k++) {
    const px = x + T * (0.2 + k * 0.3);
    const py = y + T * (0.5 + (roll() - 0.5) * 0.2);
    ctx.fillStyle = 'rgba(60,40,30,.22)';
    blob(ctx, px + T * 0.04, py + T * 0.08, T * 0.13, T * 0.07);
    ctx.fillStyle = roll() < 0.5 ? '#6f9c51' : '#87b061';
    blob(ctx, px, py, T * 0.12, T * 0.14);
    ctx.fillStyle = roll() < 0.4 ? PETALS[Math.floor(roll() * PETALS.length)] : '#a7c877';
    blob(ctx, px - T * 0.03, py - T * 0.05, T * 0.06);
  }
}
