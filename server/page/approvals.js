/* Tool calls that wait until somebody says yes or no. */

import { fill, h } from '/page/town.js';
import { ApiError, path, post } from '/page/api.js';

export function approvalCards(app, requests, done) {
  if (!requests.length) return [h('p', { class: 'quiet' }, 'Nothing waits for an approval.')];
  return requests.map((request) => card(app, request, done));
}

function card(app, request, done) {
  const note = h('input', { type: 'text', maxlength: 2000, placeholder: 'A note (optional)', 'aria-label': `A note to ${request.agent}` });
  const fault = h('p', { class: 'wrong', role: 'alert' });
  const box = h('article', { class: 'ask call approval' });
  const answer = (yes) => async () => {
    for (const one of box.querySelectorAll('button, input')) one.disabled = true;
    try {
      const reply = await post(path`/approvals/${request.key}`, { yes, note: note.value.trim() });
      app.announce(yes ? 'Approved.' : 'Refused.');
      done(request, reply);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fault.textContent = error.message;
      for (const one of box.querySelectorAll('button, input')) one.disabled = false;
    }
  };
  fill(box,
    h('h3', {}, h('i', { class: 'dot' }), `${request.agent} wants to use ${request.tool}`),
    request.person ? h('p', { class: 'quiet' }, `For ${request.person}`) : null,
    h('dl', { class: 'arguments' }, Object.entries(request.arguments || {}).map(([name, value]) => [
      h('dt', {}, name), h('dd', {}, typeof value === 'string' ? value : JSON.stringify(value))])),
    request.why ? h('p', { class: 'because' }, request.why) : null,
    request.because ? h('p', { class: 'quiet' }, `Asked since ${request.because}`) : null,
    request.sources.length ? h('p', { class: 'quiet' }, `It rests on the words of ${request.sources.join(', ')}`) : null,
    request.doubt ? h('p', { class: 'wrong' }, 'It had begun before, and nobody knows whether it was done. Yes does it.') : null,
    note, fault,
    h('div', { class: 'row' }, h('button', { type: 'button', class: 'small', onclick: answer(false) }, 'Refuse'),
      h('button', { type: 'button', class: 'primary', onclick: answer(true) }, 'Approve')));
  return box;
}
