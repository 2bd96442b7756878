/* What to see when nobody is chosen: the run in a few words, its people, what happened. */

const FIGURES = { model_calls: 'model calls', prompt_tokens: 'tokens read', generated_tokens: 'tokens written', moves: 'moves', failed: 'asks failed', failed_recalls: 'embeddings and recalls failed', refused: 'actions refused', memories: 'memories' };

function overview(app) {
  const { run, state } = app;
  const latest = lastAt(run.headlines, state.t);
  const people = run.people.map((person) => {
    const here = run.present(person, state.t);
    const act = here && run.act(person, state.t);
    const doing = act ? `${act[5] ? '💤' : act[2]} ${act[1]}` : here ? '' : 'not in town';
    return h('li', {}, h('button', { type: 'button', class: 'person', onclick: () => app.select(person) },
      portrait(app.stage.looks[person.index], 42),
      h('span', {}, h('b', {}, person.id), h('small', {}, doing.trim()))));
  });
  const days = Math.round((run.steps * run.step_seconds) / 3600);
  const figures = [['people', run.people.length], [`steps of ${run.step_seconds} s`, run.steps], ['hours', days],
    ['conversations', run.talks.length], ...Object.entries(run.figures).map(([name, value]) => [FIGURES[name] || name.replaceAll('_', ' '), value])];
  return h('div', { class: 'body overview', tabindex: '0' },
    h('header', {}, h('h2', {}, run.title), run.subtitle ? h('p', { class: 'quiet' }, run.subtitle) : null),
    h('h3', {}, 'People'), h('ul', { class: 'people' }, people),
    h('h3', {}, 'What happened'),
    run.headlines.length ? h('ol', { class: 'news' }, run.headlines.map(([step, text], k) =>
      h('li', { class: k === latest ? 'here' : k > latest ? 'later' : '' },
        h('button', { type: 'button', onclick: () => app.jump(step, run.talks.find((talk) => talk.start === step)) }, h('time', {}, run.clock(step)), h('span', {}, text)))))
      : h('p', { class: 'quiet' }, 'A quiet time: nobody met, nobody thought aloud.'),
    costs(app),
    h('h3', {}, 'In figures'),
    h('dl', { class: 'figures' }, figures.map(([name, value]) => h('div', {}, h('dd', {}, number(value)), h('dt', {}, name)))));
}
