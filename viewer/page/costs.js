/* What thinking cost: over the day, by kind and purpose of ask, by person. */

const COST_KINDS = { generate: 'Writing', choose: 'Choosing', rate: 'Rating', embed: 'Embedding' };
const MEASURES = {
  seconds: { label: 'Time', of: (row) => row.seconds, say: duration },
  tokens: { label: 'Tokens', of: (row) => row.read + row.written, say: short },
  calls: { label: 'Calls', of: (row) => row.calls, say: short },
};

function short(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} M`;
  return value >= 1e4 ? `${Math.round(value / 1e3)} k` : number(value);
}

function duration(seconds) {
  if (seconds >= 3600) return `${(seconds / 3600).toFixed(1)} h`;
  if (seconds >= 100) return `${Math.round(seconds / 60)} min`;
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/* Sums of rows [.., calls, read, written, reused, seconds], the dearest first. */
function costSums(rows, name, measure) {
  const sums = new Map();
  for (const row of rows) {
    const key = name(row);
    const sum = sums.get(key) || { key, kind: row[1], calls: 0, read: 0, written: 0, reused: 0, seconds: 0 };
    ['calls', 'read', 'written', 'reused', 'seconds'].forEach((part, at) => { sum[part] += row[3 + at]; });
    sums.set(key, sum);
  }
  return [...sums.values()].sort((a, b) => measure.of(b) - measure.of(a));
}

/* The first step of the chart's column in which `t` lies. */
function costColumn(run, t) {
  const at = run.costs ? lastAt(run.costs.times, t) : -1;
  return at < 0 ? -1 : run.costs.times[at][0];
}

/* The section of a person, or of the whole run; nothing where no model was asked. */
function costs(app, person = null) {
  const { run, panel } = app;
  if (!run.costs) return null;
  const mine = (rows, at) => (person ? rows.filter((row) => row[at] === person.id) : rows);
  const rows = mine(run.costs.sums, 0);
  if (!rows.length) return null;
  const all = costSums(rows, () => '', MEASURES.calls)[0];
  const offered = Object.keys(MEASURES).filter((name) => MEASURES[name].of(all) > 0);
  const chosen = offered.includes(panel.measure) ? panel.measure : offered[0];
  const measure = MEASURES[chosen];
  const choose = (name) => { panel.measure = name; panel.refresh(true); };
  return h('section', { class: 'costs' },
    h('h3', {}, person ? `What ${person.first} cost` : 'What it cost'),
    h('p', { class: 'quiet' }, costLine(all)),
    offered.length > 1 ? h('div', { class: 'chips', role: 'group', 'aria-label': 'Measure' }, offered.map((name) =>
      h('button', { type: 'button', 'aria-pressed': String(name === chosen), onclick: () => choose(name) }, MEASURES[name].label))) : null,
    costChart(app, mine(run.costs.times, 1), measure),
    costList('By kind of ask', costSums(rows, (row) => row[1], measure), measure, (row) => COST_KINDS[row.key] || row.key),
    costList('By purpose', costSums(rows, (row) => row[2] || row[1], measure), measure, (row) => roleName(row.key, row.kind)),
    person ? null : costList('By person', costSums(rows, (row) => row[0], measure), measure, (row) => row.key, app));
}

function costLine(all) {
  const reused = all.reused ? `, ${percent(all.reused / all.read)} of them reused` : '';
  return [`${number(all.calls)} calls`, all.read ? `${number(all.read)} tokens read${reused}` : '', all.written ? `${number(all.written)} written` : '',
    all.seconds ? `${duration(all.seconds)} of the engine's time` : ''].filter(Boolean).join(' · ');
}

/* A column for every stretch of simulated time, stacked by kind; a click goes there. */
function costChart(app, rows, measure) {
  const { run, state } = app;
  const wide = Math.max(1, (run.costs.minutes * 60) / run.step_seconds);
  const first = Math.ceil((Math.ceil(run.minute(0) / run.costs.minutes) * run.costs.minutes - run.minute(0)) * 60 / run.step_seconds);
  const starts = [0];
  for (let step = first || wide; step <= run.last; step += wide) starts.push(Math.round(step));
  const edges = starts.map((step) => [step]);
  const columns = new Map(starts.map((step) => [step, new Map()]));
  for (const [step, , kind, ...counts] of rows) {
    const column = columns.get(starts[Math.max(0, lastAt(edges, step))]);
    column.set(kind, (column.get(kind) || 0) + measure.of({ calls: counts[0], read: counts[1], written: counts[2], seconds: counts[4] }));
  }
  const totals = starts.map((step) => [...columns.get(step).values()].reduce((a, b) => a + b, 0));
  const most = Math.max(...totals, 1e-9);
  const here = lastAt(edges, state.t);
  const kinds = Object.keys(COST_KINDS).filter((kind) => rows.some((row) => row[2] === kind));
  return h('div', { class: 'cost-chart' },
    h('div', { class: 'columns' }, starts.map((step, at) => {
      const label = `${run.clock(step)}: ${measure.say(totals[at])}`;
      return h('button', { type: 'button', class: at === here ? 'here' : '', title: label, 'aria-label': label, onclick: () => app.jump(step) },
        kinds.map((kind) => h('i', { class: `cost-${kind}`, style: { height: `${((columns.get(step).get(kind) || 0) / most) * 100}%` } })));
    })),
    h('div', { class: 'axis' }, h('span', {}, run.clock(0)), h('span', {}, `${measure.label.toLowerCase()} per ${span(run.costs.minutes)}, at most ${measure.say(most)}`),
      h('span', {}, run.clock(run.last))),
    h('div', { class: 'legend' }, kinds.map((kind) => h('span', {}, h('i', { class: `cost-${kind}` }), COST_KINDS[kind]))));
}

function span(minutes) {
  if (minutes < 60) return minutes === 1 ? 'minute' : `${minutes} minutes`;
  if (minutes < 1440) return minutes === 60 ? 'hour' : `${minutes / 60} hours`;
  return 'day';
}

/* Bars, the dearest first; what was read anew, read again from the cache, and written. */
function costList(title, rows, measure, name, app = null) {
  const most = Math.max(...rows.map(measure.of), 1e-9);
  const part = (value, kind) => (value ? h('i', { class: kind, style: { width: `${(value / most) * 100}%` } }) : null);
  const bar = (row) => (measure === MEASURES.tokens
    ? [part(row.read - row.reused, 'fresh'), part(row.reused, 'reused'), part(row.written, 'cost-generate')]
    : [part(measure.of(row), COST_KINDS[row.key] ? `cost-${row.key}` : 'plain')]);
  return h('div', { class: 'cost-list' }, h('h4', {}, title),
    measure === MEASURES.tokens ? h('div', { class: 'legend' }, [['fresh', 'read'], ['reused', 'reused'], ['cost-generate', 'written']].map(([kind, label]) =>
      h('span', {}, h('i', { class: kind }), label))) : null,
    h('ul', {}, rows.map((row) => {
      const person = app && app.run.byName.get(row.key);
      const label = person ? h('button', { type: 'button', class: 'link', onclick: () => app.select(person) }, name(row)) : h('span', {}, name(row));
      return h('li', { title: costLine(row), style: person ? { '--tint': app.stage.looks[person.index].color } : {} },
        label, h('span', { class: 'stack' }, bar(row)), h('b', {}, measure.say(measure.of(row))));
    })));
}
