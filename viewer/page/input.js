/* Mouse, touch and keys. */

function listen(app, canvas) {
  const { stage } = app;
  const fingers = new Map();
  let moved = 0;
  let pinch = 0;
  const at = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) moved = 0;
    pinch = 0;
  });
  canvas.addEventListener('pointermove', (event) => {
    const [x, y] = at(event);
    const before = fingers.get(event.pointerId);
    if (!before) {
      canvas.style.cursor = stage.hit(x, y) ? 'pointer' : 'grab';
      return;
    }
    fingers.set(event.pointerId, [x, y]);
    if (fingers.size === 1) {
      moved += Math.hypot(x - before[0], y - before[1]);
      if (moved < 5) return;
      app.follow(false);
      stage.goal = null;
      stage.camera.x -= (x - before[0]) / stage.camera.zoom;
      stage.camera.y -= (y - before[1]) / stage.camera.zoom;
      stage.clamp();
      canvas.style.cursor = 'grabbing';
    } else if (fingers.size === 2) {
      moved = 99;
      const [[ax, ay], [bx, by]] = [...fingers.values()];
      const far = Math.hypot(ax - bx, ay - by);
      if (pinch) stage.zoomBy(far / pinch, (ax + bx) / 2, (ay + by) / 2);
      pinch = far;
    }
    app.wake();
  });
  const up = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    pinch = 0;
    if (moved >= 5 || event.type === 'pointercancel') return;
    const who = stage.hit(...at(event));
    if (who) app.select(who); else if (app.state.who) app.select(null);
  };
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointercancel', up);
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    stage.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), ...at(event));
    app.wake();
  }, { passive: false });
  canvas.addEventListener('dblclick', (event) => { stage.zoomBy(1.8, ...at(event)); app.wake(); });
  document.addEventListener('keydown', (event) => keys(app, event));
}

const KEYS = [
  ['Space', 'play or pause'], ['← →', 'one step (with Shift: ten minutes)'], ['↑ ↓', 'faster, slower'], ['+ −', 'zoom'],
  ['0', 'whole town'], ['1 to 9', 'choose a person'], ['F', 'follow'], ['S', 'skip quiet stretches, linger on talk'], ['N', 'next event'],
  ['T', 'light or dark'], ['Esc', 'back to the overview'], ['?', 'this help'],
];

function keys(app, event) {
  const { state, stage, run } = app;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== 'range';
  const helping = document.getElementById('help').open;
  if (typing || (helping && event.key !== '?') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === ' ' && event.target.tagName === 'BUTTON') return;
  const minutes = Math.max(1, Math.round(600 / run.step_seconds));
  const hop = (by) => app.seek(Math.floor(state.t) + by * (event.shiftKey ? minutes : 1));
  const actions = {
    ' ': () => app.play(!state.playing), ArrowLeft: () => hop(-1), ArrowRight: () => hop(1),
    ArrowUp: () => app.faster(1), ArrowDown: () => app.faster(-1),
    '+': () => stage.zoomBy(1.25), '=': () => stage.zoomBy(1.25), '-': () => stage.zoomBy(0.8), 0: () => { app.follow(false); stage.goal = null; stage.fit(); },
    f: () => state.who && app.follow(!state.follow), s: () => app.skip(!state.skip), n: () => app.seek(run.nextBusy(Math.floor(state.t))),
    t: () => app.theme(), Escape: () => app.select(null), '?': () => app.help(),
  };
  const inList = event.target.closest && event.target.closest('.body') && /^Arrow/.test(event.key) && event.key !== 'ArrowLeft' && event.key !== 'ArrowRight';
  if (inList) return;
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) action();
  else if (/^[1-9]$/.test(event.key) && run.people[Number(event.key) - 1]) app.select(run.people[Number(event.key) - 1]);
  else return;
  event.preventDefault();
  app.wake();
}
