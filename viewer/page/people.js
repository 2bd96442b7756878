/* Little people, drawn in code: a colour, a skin, a head of hair for everybody. */

const SKINS = ['#f6d3b8', '#eebf98', '#d9a074', '#b87a50', '#8d5a3b', '#6e4530'];
const HAIRS = ['#2f2430', '#4a2f27', '#7a4a2c', '#a8713c', '#d3a55c', '#b4523a', '#8a8790', '#e4dccf'];

function lookOf(person, total) {
  const roll = dice(hashText(person.id) + 7);
  const hue = (person.index * 137.508 + 18) % 360;
  const wish = (person.look && person.look.color) || person.color;
  const color = /^#[0-9a-f]{6}$/i.test(wish) ? wish : hsl(hue, total > 12 ? 52 : 58, 56);
  const age = Number(person.persona.age) || 30;
  const chosen = chosenLook(person.look || {});
  return {
    color,
    dark: shade(color, -0.28),
    light: shade(color, 0.3),
    skin: SKINS[Math.floor(roll() * SKINS.length)],
    hair: age >= 62 ? HAIRS[6 + Math.floor(roll() * 2)] : HAIRS[Math.floor(roll() * 6)],
    style: Math.floor(roll() * 5),
    legs: ['#4b5268', '#6b5a4e', '#3f4a4a', '#70607a'][Math.floor(roll() * 4)],
    skirt: roll() < 0.35,
    ...chosen,
  };
}

/* The parts of a look that a visitor chose. */
function chosenLook(look) {
  const chosen = {};
  if (Number.isInteger(look.skin) && SKINS[look.skin]) chosen.skin = SKINS[look.skin];
  if (Number.isInteger(look.hair) && HAIRS[look.hair]) chosen.hair = HAIRS[look.hair];
  if (Number.isInteger(look.style)) chosen.style = look.style;
  if (typeof look.skirt === 'boolean') chosen.skirt = look.skirt;
  return chosen;
}

function hsl(h, s, l) {
  const a = (s / 100) * Math.min(l / 100, 1 - l / 100);
  const part = (n) => {
    const k = (n + h / 30) % 12;
    return Math.round(255 * (l / 100 - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return '#' + [part(0), part(8), part(4)].map((v) => v.toString(16).padStart(2, '0')).join('');
}

/* Somebody of height about `s` with the feet at (x, y). `beat` swings the legs, `face` is
   'left', 'right', 'up' or 'down'. */
function drawPerson(ctx, look, x, y, s, { beat = 0, moving = false, face = 'down', blink = false } = {}) {
  const swing = moving ? Math.sin(beat) : 0;
  const bob = moving ? Math.abs(Math.cos(beat)) * s * 0.05 : Math.sin(beat * 0.25) * s * 0.008;
  ctx.fillStyle = 'rgba(34,30,52,.3)';
  blob(ctx, x, y, s * 0.25, s * 0.085);
  const side = face === 'left' ? -1 : face === 'right' ? 1 : 0;
  ctx.strokeStyle = look.legs;
  ctx.lineCap = 'round';
  ctx.lineWidth = s * 0.11;
  for (const leg of [-1, 1]) {
    ctx.beginPath();
    ctx.moveTo(x + leg * s * 0.07, y - s * 0.24 - bob);
    ctx.lineTo(x + leg * s * 0.075 + (side ? leg * swing * s * 0.1 : 0), y - s * 0.03 - Math.max(0, leg * swing) * s * 0.07);
    ctx.stroke();
  }
  const hip = y - s * 0.2 - bob;
  const top = y - s * 0.56 - bob;
  arm(ctx, look, x, top, s, -1, swing, side);
  ctx.fillStyle = look.color;
  ctx.beginPath();
  const wide = look.skirt ? 0.23 : 0.18;
  ctx.moveTo(x - s * 0.13, top + s * 0.03);
  ctx.quadraticCurveTo(x, top - s * 0.04, x + s * 0.13, top + s * 0.03);
  ctx.quadraticCurveTo(x + s * 0.18, hip - s * 0.1, x + s * wide, hip + s * 0.06);
  ctx.quadraticCurveTo(x, hip + s * 0.12, x - s * wide, hip + s * 0.06);
  ctx.quadraticCurveTo(x - s * 0.18, hip - s * 0.1, x - s * 0.13, top + s * 0.03);
  ctx.fill();
  ctx.fillStyle = look.light;
  ctx.globalAlpha *= 0.5;
  blob(ctx, x - s * 0.06, top + s * 0.12, s * 0.045, s * 0.1);
  ctx.globalAlpha *= 2;
  arm(ctx, look, x, top, s, 1, swing, side);
  drawHead(ctx, look, x + side * s * 0.02, top - s * 0.13, s, face, blink);
}

function arm(ctx, look, x, top, s, which, swing, side) {
  ctx.strokeStyle = look.dark;
  ctx.lineWidth = s * 0.085;
  const hand = [x + which * s * 0.19 + (side ? -which * swing * s * 0.09 : 0), top + s * 0.27 - Math.max(0, -which * swing) * s * 0.05];
  ctx.beginPath();
  ctx.moveTo(x + which * s * 0.13, top + s * 0.07);
  ctx.lineTo(hand[0], hand[1]);
  ctx.stroke();
  ctx.fillStyle = look.skin;
  blob(ctx, hand[0], hand[1] + s * 0.02, s * 0.042);
}

function drawHead(ctx, look, x, y, s, face, blink) {
  const r = s * 0.205;
  const back = face === 'up';
  ctx.fillStyle = look.hair;
  if (look.style === 1) blob(ctx, x, y + r * 0.35, r * 1.12, r * 1.25);
  if (look.style === 3) blob(ctx, x, y - r * 1.05, r * 0.45);
  if (look.style === 4) { blob(ctx, x - r * 1.02, y + r * 0.1, r * 0.4); blob(ctx, x + r * 1.02, y + r * 0.1, r * 0.4); }
  ctx.fillStyle = look.skin;
  blob(ctx, x, y, r);
  ctx.fillStyle = look.hair;
  ctx.beginPath();
  if (back) ctx.arc(x, y, r * 1.05, 0, 7);
  else {
    const turn = face === 'left' ? -0.3 : face === 'right' ? 0.3 : 0;
    ctx.arc(x, y - r * 0.06, r * 1.07, Math.PI * (0.98 + turn * 0.3), Math.PI * (2.02 + turn * 0.3));
    ctx.quadraticCurveTo(x + r * (0.4 + turn), y - r * 0.75, x + turn * r, y - r * (look.style === 2 ? 0.15 : 0.42));
    ctx.quadraticCurveTo(x - r * (0.5 - turn), y - r * 0.55, x - r * 1.05, y - r * 0.02);
  }
  ctx.fill();
  if (back) return;
  const turn = face === 'left' ? -r * 0.3 : face === 'right' ? r * 0.3 : 0;
  ctx.fillStyle = '#33283a';
  for (const eye of [-1, 1]) {
    if (blink) ctx.fillRect(x + turn + eye * r * 0.36 - r * 0.12, y + r * 0.14, r * 0.24, r * 0.06);
    else blob(ctx, x + turn + eye * r * 0.36, y + r * 0.14, r * 0.1, r * 0.14);
  }
  ctx.fillStyle = 'rgba(226,110,96,.35)';
  blob(ctx, x + turn - r * 0.58, y + r * 0.42, r * 0.2, r * 0.13);
  blob(ctx, x + turn + r * 0.58, y + r * 0.42, r * 0.2, r * 0.13);
}

/* Somebody who sleeps: the head on the pillow, the rest under a cover. */
function drawSleeper(ctx, look, x, y, s, t) {
  ctx.fillStyle = 'rgba(34,30,52,.2)';
  box(ctx, x - s * 0.24, y - s * 0.42, s * 0.5, s * 0.52, s * 0.14);
  ctx.fill();
  const breath = Math.sin(t * 1.6) * s * 0.012;
  drawHead(ctx, look, x, y - s * 0.5, s * 0.95, 'down', true);
  ctx.fillStyle = look.color;
  box(ctx, x - s * 0.26 - breath, y - s * 0.38, s * 0.52 + breath * 2, s * 0.48, s * 0.15);
  ctx.fill();
  ctx.fillStyle = look.light;
  box(ctx, x - s * 0.26 - breath, y - s * 0.38, s * 0.52 + breath * 2, s * 0.12, s * 0.06);
  ctx.fill();
}

/* A portrait for lists and the panel; painted once for each size. */
function portrait(look, size) {
  look.portraits = look.portraits || {};
  return (look.portraits[size] = look.portraits[size] || paintPortrait(look, size));
}

function paintPortrait(look, size) {
  const scale = Math.min(3, window.devicePixelRatio || 1);
  const canvas = canvasOf(size * scale, size * scale);
  const ctx = canvas.getContext('2d');
  ctx.scale(scale, scale);
  canvas.style.width = canvas.style.height = `${size}px`;
  canvas.className = 'portrait';
  canvas.setAttribute('aria-hidden', 'true');
  ctx.beginPath();
  ctx.arc(size / 2, size / 2, size / 2, 0, 7);
  ctx.clip();
  const sky = ctx.createLinearGradient(0, 0, 0, size);
  sky.addColorStop(0, shade(look.color, 0.72));
  sky.addColorStop(1, shade(look.color, 0.45));
  ctx.fillStyle = sky;
  ctx.fillRect(0, 0, size, size);
  drawPerson(ctx, look, size / 2, size * 1.42, size * 1.32, { beat: 0 });
  return canvas;
}
