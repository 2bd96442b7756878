/* The bar below: play, clock, the day as a strip to scrub, speed. */

const SPEEDS = [0.5, 1, 2, 4, 8, 16, 32, 64];

class Timeline {
  constructor(app, root) {
    this.app = app;
    const { run } = app;
    this.playButton = button('Play', 'play', () => app.play(!app.state.playing), { class: 'play' });
    this.clock = h('output', { class: 'clock', 'aria-live': 'off' });
    this.strip = h('canvas', { 'aria-hidden': 'true' });
    this.range = h('input', { type: 'range', min: 0, max: run.last, step: 1, value: 0, 'aria-label': 'Step',
      oninput: (event) => app.seek(Number(event.target.value)) });
    this.tip = h('span', { class: 'tip', hidden: true });
    this.track = h('div', { class: 'track', onpointermove: (event) => this.hover(event), onpointerleave: () => { this.tip.hidden = true; } }, this.strip, this.range, this.tip);
    this.speed = h('select', { 'aria-label': 'Speed', onchange: (event) => app.speed(Number(event.target.value)) },
      SPEEDS.map((speed) => h('option', { value: speed }, `${speed}×`)));
    this.skip = button('Skip quiet stretches, linger on talk', 'skip', () => app.skip(!app.state.skip), { class: 'toggle' });
    const hop = (by, label, name) => button(label, name, () => app.seek(Math.round(app.state.t) + by), { class: 'hop' });
    fill(root, h('div', { class: 'deck' }, hop(-1, 'One step back', 'back'), this.playButton, hop(1, 'One step on', 'next'), this.clock), this.track,
      h('div', { class: 'deck' }, this.skip, this.speed));
  }

  hover(event) {
    const { run } = this.app;
    const bounds = this.track.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - bounds.left) / bounds.width));
    const step = Math.round(part * run.last);
    const near = run.talks.find((talk) => Math.abs(talk.start - step) < run.last / 120);
    this.tip.textContent = near ? `${run.clock(near.start)} ${near.members.map((name) => name.split(' ')[0]).join(' & ')} talk` : run.clock(step);
    this.tip.style.left = `${part * 100}%`;
    this.tip.hidden = event.pointerType === 'touch';
  }

  paint() {
    const { app, strip } = this;
    const { run } = app;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const w = strip.clientWidth;
    const height = strip.clientHeight;
    if (!w || !height) return;
    strip.width = w * ratio;
    strip.height = height * ratio;
    const ctx = strip.getContext('2d');
    ctx.scale(ratio, ratio);
    const at = (step) => (step / Math.max(1, run.last)) * w;
    const top = 13;
    const deep = height - top - 4;
    ctx.save();
    box(ctx, 0, top, w, deep, deep / 2);
    ctx.clip();
    for (let x = 0; x < w; x += 2) {
      const { tint, dark } = skyAt(run.minute((x / w) * run.last));
      ctx.fillStyle = css(mix(mix([168, 212, 232], tint, Math.min(1, 0.25 + dark)), [52, 58, 112], dark * 0.62));
      ctx.fillRect(x, top, 2, deep);
    }
    ctx.restore();
    ctx.font = `600 10px ${FONT}`;
    ctx.textAlign = 'center';
    ctx.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--soft');
    const hours = (run.last * run.step_seconds) / 3600;
    const every = [1, 2, 3, 6, 12, 24, 48].find((n) => (hours / n) * 46 < w) || 96;
    const first = run.minute(0) / 60;
    for (let hour = Math.ceil(first / every) * every; hour <= first + hours; hour += every) {
      const x = at(((hour - first) * 3600) / run.step_seconds);
      if (x > 14 && x < w - 14) ctx.fillText(`${hour % 24}:00`, x, 9);
    }
    for (const person of app.state.who ? [app.state.who] : run.people) {
      ctx.fillStyle = '#8f6bd6';
      for (const memory of person.memories) {
        if (memory[2] !== 'thought' || !memory[7].length || memory[1] < 0) continue;
        const x = at(memory[1]);
        ctx.beginPath();
        ctx.moveTo(x, top + deep - 7); ctx.lineTo(x + 3.2, top + deep - 3.6); ctx.lineTo(x, top + deep - 0.2); ctx.lineTo(x - 3.2, top + deep - 3.6);
        ctx.fill();
      }
    }
    for (const talk of run.talks) {
      if (app.state.who && !talk.members.includes(app.state.who.id)) continue;
      ctx.fillStyle = '#e8654a';
      ctx.strokeStyle = '#fffaf0';
      box(ctx, at(talk.start) - 2, top + 2.5, Math.max(6, at(talk.end) - at(talk.start) + 2), 7, 3.5);
      ctx.fill();
      ctx.stroke();
    }
  }

  refresh() {
    const { app } = this;
    const { run, state } = app;
    const step = Math.floor(state.t);
    if (this.range.valueAsNumber !== step) this.range.value = step;
    const text = run.clock(state.t);
    if (this.clock.textContent !== text) {
      this.clock.textContent = text;
      this.range.setAttribute('aria-valuetext', `${text}, step ${step}`);
    }
    if (this.playing !== state.playing) {
      this.playing = state.playing;
      fill(this.playButton, icon(state.playing ? 'pause' : 'play'));
      this.playButton.setAttribute('aria-label', state.playing ? 'Pause' : 'Play');
      this.playButton.title = state.playing ? 'Pause (space)' : 'Play (space)';
    }
    if (Number(this.speed.value) !== state.speed) this.speed.value = String(state.speed);
    this.skip.setAttribute('aria-pressed', String(state.skip));
  }
}
