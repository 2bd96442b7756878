/* What is written over the stage: names of places and people, what they do and say. */

Object.assign(Stage.prototype, {
  labels(view, minute) {
    const { ctx, run } = this;
    const near = view.zoom > 24;
    const areas = near ? run.town.arenas : run.town.sectors;
    const night = skyAt(minute).dark > 0.5;
    const taken = [];
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.lineJoin = 'round';
    for (const area of areas) {
      const [x, top] = view(area.x + area.w / 2, area.y);
      const y = top + (near ? view.zoom * 0.1 : -3);
      if (x < -80 || x > this.width + 80 || y < -20 || y > this.height + 20) continue;
      const px = near ? 13 : Math.max(11, Math.min(17, view.zoom * 1.25));
      ctx.font = `${near ? 'italic 500' : '600'} ${px}px ${SERIF}`;
      const lines = this.wrap(area.name, near ? 150 : Math.max(96, area.w * view.zoom * 1.05));
      const w = Math.max(...lines.map((line) => ctx.measureText(line).width));
      const tall = lines.length * (px + 2);
      if (taken.some((t) => Math.abs(t.x - x) < (t.w + w) / 2 + 4 && Math.abs(t.y - y) < (t.tall + tall) / 2)) continue;
      taken.push({ x, y, w, tall });
      ctx.strokeStyle = night ? 'rgba(22,24,48,.85)' : 'rgba(255,250,238,.92)';
      ctx.lineWidth = 3.5;
      ctx.fillStyle = night ? '#f3e8cf' : '#4a3b3a';
      lines.forEach((line, k) => {
        const ly = y + (k - (lines.length - 1) / 2) * (px + 2);
        ctx.strokeText(line, x, ly);
        ctx.fillText(line, x, ly);
      });
    }
  },

  /* Names, what everybody does, and what is said. */
  marks(view, state) {
    const { ctx, run } = this;
    const s = this.size(view);
    const shown = this.figures.filter((f) => !f.absent && f.sx > -40 && f.sx < this.width + 40 && f.sy > -40 && f.sy < this.height + 80);
    const spoken = this.spoken(state);
    const talking = new Set([...spoken.keys()].flatMap((person) => run.talkOf(person, state.t)?.members || []));
    const tags = [];
    for (const figure of [...shown].sort((a, b) => a.sy - b.sy)) {
      const chosen = state.who === figure.person;
      const head = figure.sy - s * (figure.asleep ? 0.82 : 1.02);
      if (!spoken.has(figure.person) && !talking.has(figure.person.id)) this.emoji(figure, figure.sx, head, s);
      if (chosen || view.zoom > 13 || run.people.length < 9) this.name(figure, figure.sx, figure.sy + s * 0.2, chosen, tags);
    }
    for (const figure of shown) {
      const text = spoken.get(figure.person);
      if (!text) continue;
      const near = shown.filter((f) => Math.abs(f.sx - figure.sx) < 70 && f.sy <= figure.sy && figure.sy - f.sy < s * 1.6);
      const top = Math.min(...near.map((f) => f.sy));
      this.bubble(text, figure.sx, figure.sy - s * 0.98, top - s * 0.98, state.who === figure.person);
    }
  },

  emoji(figure, x, y, s) {
    const { ctx } = this;
    const mark = figure.asleep ? '💤' : figure.act && figure.act[2];
    if (!mark) return;
    const px = Math.max(12, Math.min(22, s * 0.36));
    ctx.font = `${px}px ${FONT}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    const first = Array.from(new Intl.Segmenter().segment(mark), (part) => part.segment).slice(0, 2).join('');
    const w = Math.max(px * 1.5, ctx.measureText(first).width + px * 0.5);
    const h = px * 1.5;
    ctx.fillStyle = 'rgba(255,252,244,.94)';
    ctx.strokeStyle = 'rgba(60,44,60,.22)';
    ctx.lineWidth = 1;
    box(ctx, x - w / 2, y - h, w, h, h / 2);
    ctx.fill();
    ctx.stroke();
    ctx.fillStyle = '#33283a';
    ctx.fillText(first, x, y - h / 2 + px * 0.06);
  },

  /* A name below its person, lower where another name is in the way. */
  name(figure, x, top, chosen, tags) {
    const { ctx } = this;
    const look = this.looks[figure.person.index];
    ctx.font = `600 ${chosen ? 13 : 11.5}px ${FONT}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    const w = ctx.measureText(figure.person.first).width + 12;
    let y = top;
    for (let tries = 0; tries < 6 && tags.some((tag) => Math.abs(tag.x - x) < (tag.w + w) / 2 && Math.abs(tag.y - y) < 18); tries++) y += 18;
    tags.push({ x, y, w });
    ctx.fillStyle = chosen ? look.color : 'rgba(38,32,48,.66)';
    box(ctx, x - w / 2, y - 1, w, 17, 8.5);
    ctx.fill();
    ctx.fillStyle = '#fff';
    ctx.fillText(figure.person.first, x, y + 8);
  },

  /* The line that each speaker said last, while it may be read. */
  spoken(state) {
    const spoken = new Map();
    const hold = Math.max(1, state.playing ? state.rate * 0.5 : 1);
    for (const talk of this.run.talks) {
      if (talk.start > state.t) break;
      if (talk.end + hold < state.t) continue;
      const line = currentRow(talk.lines, state.t);
      if (!line || (state.t - line[0] > hold && state.t > talk.end)) continue;
      const person = this.run.byName.get(line[1]);
      if (person) spoken.set(person, line[2]);
    }
    return spoken;
  },

  wrap(text, room) {
    const key = `${room}|${this.ctx.font}|${text}`;
    let lines = this.wrapped.get(key);
    if (lines) return lines;
    lines = [];
    let line = '';
    for (const word of text.split(/\s+/)) {
      const longer = line ? `${line} ${word}` : word;
      if (this.ctx.measureText(longer).width > room && line) { lines.push(line); line = word; } else line = longer;
    }
    lines.push(line);
    if (lines.length > 4) lines = [...lines.slice(0, 3), `${lines[3].slice(0, -1)}…`];
    if (this.wrapped.size > 500) this.wrapped.clear();
    this.wrapped.set(key, lines);
    return lines;
  },

  /* `y` is where the speaker's head ends, `above` where the bubble may begin. */
  bubble(text, x, y, above, chosen) {
    const { ctx } = this;
    ctx.font = `${chosen ? 13.5 : 12.5}px ${FONT}`;
    const lines = this.wrap(text, Math.min(230, this.width * 0.55));
    const w = Math.max(...lines.map((line) => ctx.measureText(line).width)) + 22;
    const h = lines.length * 17 + 14;
    const left = Math.min(Math.max(6, x - w / 2), Math.max(6, this.room.w - w - 62));
    const top = Math.max(6, above - h - 9);
    ctx.save();
    ctx.shadowColor = 'rgba(30,24,50,.32)';
    ctx.shadowBlur = 10;
    ctx.shadowOffsetY = 3;
    ctx.fillStyle = '#fffdf7';
    box(ctx, left, top, w, h, 12);
    ctx.fill();
    ctx.restore();
    ctx.fillStyle = '#fffdf7';
    ctx.beginPath();
    const tail = Math.min(Math.max(left + 16, x), left + w - 16);
    const half = y - top - h > 30 ? 3 : 7;
    ctx.moveTo(tail - half, top + h - 1);
    ctx.lineTo(x, Math.max(top + h + 9, y));
    ctx.lineTo(tail + half, top + h - 1);
    ctx.fill();
    ctx.fillStyle = '#2f2836';
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    lines.forEach((line, k) => ctx.fillText(line, left + 11, top + 16 + k * 17));
  },
});
