/* Why: what a mind asked in a step, what it could choose, what came to its mind. */

const ROLES = {
  decide: 'A decision', speech: 'Words', rate: 'How much it matters', plan: 'A plan', reflect: 'A reflection',
  act: 'What to do', place: 'Where to go', react: 'Whether to react', talk: 'Whether to talk', insight: 'An insight',
};

function roleName(role, kind) {
  const fallback = { choose: 'A choice', generate: 'Words', rate: 'A rating', recall: 'What came to mind', call: 'A tool', failed: 'Not answered' };
  if (kind === 'recall') return fallback.recall;
  return ROLES[role] || (role ? role[0].toUpperCase() + role.slice(1).replaceAll('_', ' ') : fallback[kind]);
}

function whyCards(app, person) {
  const { run, state } = app;
  const asked = run.asked(person, Math.floor(state.t));
  if (!person.asks.length) {
    return [h('p', { class: 'quiet' }, 'This run keeps no prompts and no options, so the page cannot show how this was decided.')];
  }
  if (!asked) return [h('p', { class: 'quiet' }, `${person.first} has not asked anything yet.`), steps(app, person, null)];
  const ago = Math.floor(state.t) - asked.step;
  const when = ago ? `Thought at ${run.clock(asked.step)}` : 'Thought at this very step';
  return [
    h('div', { class: 'whyhead' }, h('h3', {}, 'Why'), h('span', { class: 'quiet' }, `${when} · ${asked.rows.length} asks`), steps(app, person, asked)),
    ...asked.rows.map((row) => askCard(app, person, row)),
  ];
}

/* Buttons to the thinking steps before and after. */
function steps(app, person, asked) {
  const { run, state } = app;
  const here = asked ? asked.step : -1;
  const before = asked ? currentRow(person.asks, here - 0.5) : null;
  const after = person.asks[lastAt(person.asks, Math.max(here, Math.floor(state.t))) + 1];
  const go = (row) => () => app.jump(row[0]);
  return h('span', { class: 'pair' },
    button(before ? `Earlier thought, ${run.clock(before[0])}` : 'No earlier thought', 'back', before && go(before), { disabled: !before }),
    button(after ? `Next thought, ${run.clock(after[0])}` : 'No later thought', 'next', after && go(after), { disabled: !after }));
}

function askCard(app, person, [, kind, role, body]) {
  const draw = { choose: chooseBody, generate: generateBody, rate: rateBody, recall: recallBody, call: callBody, failed: failedBody }[kind];
  return h('article', { class: `ask ${kind}` },
    h('h4', {}, h('i', { class: 'dot' }), roleName(role, kind)),
    draw ? draw(app, person, body) : h('p', { class: 'quiet' }, kind),
    body.prompt && body.prompt.length ? promptBox(app, body.prompt) : null);
}

function promptBox(app, indexes) {
  const text = h('pre', {});
  return h('details', { ontoggle: (event) => { if (event.target.open && !text.textContent) text.textContent = app.run.prompt(indexes); } },
    h('summary', {}, 'The prompt'), text);
}

function chooseBody(app, person, body) {
  const rows = body.options.map(([name, p], index) => ({ name, p, chosen: index === body.chosen || name === body.chosen }))
    .sort((a, b) => b.p - a.p);
  const shown = rows.slice(0, 6);
  const rest = rows.slice(6);
  if (rest.some((row) => row.chosen)) shown.push(rest.splice(rest.findIndex((row) => row.chosen), 1)[0]);
  const bar = (row) => h('li', { class: row.chosen ? 'chosen' : '' },
    h('span', { class: 'what' }, row.chosen ? '✓ ' : '', last(row.name) || row.name),
    h('span', { class: 'meter' }, h('i', { style: { width: `${Math.max(0.8, row.p * 100)}%` } })),
    h('b', {}, percent(row.p)));
  return h('div', {},
    body.about ? h('p', { class: 'about' }, body.about) : null,
    h('ol', { class: 'options' }, shown.map(bar)),
    rest.length ? h('details', {}, h('summary', {}, `${rest.length} more`), h('ol', { class: 'options' }, rest.map(bar))) : null);
}

function generateBody(app, person, body) {
  return h('blockquote', {}, body.text || '(nothing)');
}

function rateBody(app, person, body) {
  const low = body.low ?? 1;
  const high = body.high ?? 10;
  const part = (body.value - low) / Math.max(1, high - low);
  return h('div', {}, h('p', { class: 'about' }, body.about),
    h('ol', { class: 'options' }, h('li', { class: 'chosen' }, h('span', { class: 'what' }, `${low} to ${high}`),
      h('span', { class: 'meter' }, h('i', { style: { width: `${Math.max(1, part * 100)}%` } })), h('b', {}, number(body.value)))));
}

const PARTS = ['recency', 'importance', 'relevance'];

function recallBody(app, person, body) {
  const total = Math.max(1e-6, ...body.hits.map((hit) => hit[2] + hit[3] + hit[4]));
  const row = ([id, score, ...parts]) => {
    const memory = person.record.get(id);
    return h('li', {},
      h('button', { type: 'button', class: 'link', onclick: () => app.showMemory(person, id) }, memory ? memory[3] : `memory ${id}`),
      h('span', { class: 'stack', role: 'img', 'aria-label': `score ${score.toFixed(2)}: ${PARTS.map((name, k) => `${name} ${parts[k].toFixed(2)}`).join(', ')}`,
        title: PARTS.map((name, k) => `${name} ${parts[k].toFixed(2)}`).join(' + ') },
      PARTS.map((name, k) => h('i', { class: name, style: { width: `${(Math.max(0, parts[k]) / total) * 100}%` } }))),
      h('b', {}, score.toFixed(2)));
  };
  return h('div', {},
    h('p', { class: 'about' }, `“${body.cue}”`),
    h('p', { class: 'legend' }, PARTS.map((name) => h('span', {}, h('i', { class: name }), name))),
    body.hits.length ? h('ol', { class: 'hits' }, body.hits.slice(0, 8).map(row)) : h('p', { class: 'quiet' }, 'Nothing came to mind.'),
    body.hits.length > 8 ? h('details', {}, h('summary', {}, `${body.hits.length - 8} more`), h('ol', { class: 'hits' }, body.hits.slice(8).map(row))) : null);
}

function callBody(app, person, body) {
  return h('div', {}, h('p', { class: 'about' }, `${body.tool}(${body.arguments})`), h('blockquote', {}, body.value));
}

function failedBody(app, person, body) {
  return h('p', { class: 'about' }, `${body.reason}: ${body.detail}`);
}
