/* Chance that is the same every time, smooth noise, and small colour helpers. */

function hashOf(a, b = 0, c = 0) {
  let h = Math.imul(a | 0, 374761393) ^ Math.imul(b | 0, 668265263) ^ Math.imul(c | 0, 974634721);
  h = Math.imul(h ^ (h >>> 13), 1274126177);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
}

function hashText(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}

function dice(seed) {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const NOISE = (() => {
  const table = new Float32Array(256 * 256);
  const roll = dice(20230213);
  for (let i = 0; i < table.length; i++) table[i] = roll();
  return table;
})();

/* Smooth value noise in [0, 1), repeating every 256. */
function noise(x, y) {
  const fx = Math.floor(x);
  const fy = Math.floor(y);
  let u = x - fx;
  let v = y - fy;
  u = u * u * (3 - 2 * u);
  v = v * v * (3 - 2 * v);
  const x0 = fx & 255;
  const x1 = (fx + 1) & 255;
  const y0 = (fy & 255) << 8;
  const y1 = ((fy + 1) & 255) << 8;
  const a = NOISE[y0 | x0];
  const b = NOISE[y0 | x1];
  const c = NOISE[y1 | x0];
  const d = NOISE[y1 | x1];
  return a + (b - a) * u + (c - a + (a - b - c + d) * u) * v;
}

function hex(color) {
  const n = parseInt(color.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

function mix(a, b, t) {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

function css(rgb, alpha = 1) {
  return `rgba(${rgb[0] | 0},${rgb[1] | 0},${rgb[2] | 0},${alpha})`;
}

function shade(color, by) {
  const rgb = typeof color === 'string' ? hex(color) : color;
  return css(mix(rgb, by < 0 ? [40, 26, 46] : [255, 250, 235], Math.abs(by)));
}

function canvasOf(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  return canvas;
}

function box(ctx, x, y, w, h, r) {
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, r);
}

function blob(ctx, x, y, r, ry = r) {
  ctx.beginPath();
  ctx.ellipse(x, y, r, ry, 0, 0, 7);
  ctx.fill();
}
