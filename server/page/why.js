/* Why: what came to mind with its scores, which tools were used, what was quoted. */

import { h } from '/page/town.js';

const PARTS = ['recency', 'importance', 'relevance'];

export function whyCards(app, why) {
  if (!why) return [h('p', { class: 'quiet' }, `Choose “Why” under something ${app.agent.name} said.`)];
  const cards = [];
  cards.push(recallCard(app, why));
  if (why.calls.length) cards.push(h('article', { class: 'ask call' }, h('h3', {}, h('i', { class: 'dot' }), 'Tools used'), why.calls.map(callRow)));
  if (why.sources.length) cards.push(h('article', { class: 'ask' }, h('h3', {}, h('i', { class: 'dot' }), 'Sources'), h('ul', { class: 'broad' }, why.sources.map((one) => h('li', {}, one)))));
  if (why.text) cards.push(h('details', {}, h('summary', {}, 'How the reply was chosen'), h('p', { class: 'quiet' }, why.text)));
  return cards;
}

const sumOf = (hit) => PARTS.reduce((sum, part) => sum + Math.max(0, hit[part]), 0);

function recallCard(app, why) {
  const parts = why.recalled.some((hit) => sumOf(hit) > 0);
  const total = Math.max(1e-6, ...why.recalled.map((hit) => (parts ? sumOf(hit) : hit.score)));
  const row = (hit) => {
    const words = PARTS.map((name) => `${name} ${hit[name].toFixed(2)}`).join(', ');
    return h('li', {},
      h('button', { type: 'button', class: 'link', title: 'Look at it in the memory', onclick: () => app.side.showMemory(hit.id) }, hit.text),
      parts ? h('span', { class: 'stack', role: 'img', 'aria-label': `score ${hit.score.toFixed(2)}: ${words}`, title: words },
        PARTS.map((name) => h('i', { class: name, style: { width: `${(Math.max(0, hit[name]) / total) * 100}%` } })))
        : h('span', { class: 'stack', 'aria-hidden': 'true' }, h('i', { class: 'relevance', style: { width: `${(Math.max(0, hit.score) / total) * 100}%` } })),
      h('b', {}, hit.score.toFixed(2)));
  };
  return h('article', { class: 'ask recall' }, h('h3', {}, h('i', { class: 'dot' }), 'What came to mind'),
    why.recalled.length ? [
      parts && h('p', { class: 'legend' }, PARTS.map((name) => h('span', {}, h('i', { class: name }), name))),
      h('ol', { class: 'hits' }, why.recalled.map(row)),
    ] : null,
    why.withheld ? h('p', { class: 'quiet' }, `${why.recalled.length ? 'And' : 'It recalled'} ${why.withheld} of ${app.agent.name}’s own.`) : null,
    why.recalled.length || why.withheld ? null : h('p', { class: 'quiet' }, 'Nothing was recalled for this reply.'));
}

function callRow(one) {
  return h('div', { class: 'called' },
    h('p', { class: 'about' }, `${one.tool}(${JSON.stringify(one.arguments ?? {})})`),
    h('pre', { tabindex: 0 }, one.ok ? show(one.result) : one.error));
}

export function show(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
