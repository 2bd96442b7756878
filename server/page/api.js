/* The server's API: requests with the key and the person's name, and replies as they come. */

const KEY = 'denizens.key';
const PERSON = 'denizens.person';

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/* The key lives as long as the tab; the name is kept. */
export const identity = {
  get key() { return sessionStorage.getItem(KEY) || ''; },
  set key(value) { if (value) sessionStorage.setItem(KEY, value); else sessionStorage.removeItem(KEY); },
  get person() { return localStorage.getItem(PERSON) || ''; },
  set person(value) { if (value) localStorage.setItem(PERSON, value); else localStorage.removeItem(PERSON); },
};

function headers(body) {
  const all = {};
  if (body !== undefined) all['Content-Type'] = 'application/json';
  if (identity.key) all.Authorization = `Bearer ${identity.key}`;
  if (identity.person) all['X-Denizens-Person'] = encodeURIComponent(identity.person);
  return all;
}

/* One part of a path; what stands in it never becomes another part. */
export function path(strings, ...values) {
  return strings.reduce((all, part, k) => all + encodeURIComponent(values[k - 1]) + part);
}

async function send(method, url, body, signal) {
  let response;
  try {
    response = await fetch(`/api${url}`, {
      method, signal, headers: headers(body), body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store', credentials: 'omit', redirect: 'error',
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The server does not answer. Is it still running?');
  }
  if (!response.ok) throw new ApiError(response.status, await reason(response));
  return response;
}

async function reason(response) {
  const fallback = `The server answered ${response.status}.`;
  try {
    const body = await response.json();
    const detail = body.detail ?? body.error?.message;
    if (typeof detail === 'string') return detail;
    if (Array.isArray(detail) && detail.length) return detail.map((one) => one.msg || String(one)).join('; ');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return fallback;
}

export async function call(method, url, body) {
  const response = await send(method, url, body);
  return response.status === 204 ? null : response.json();
}

export const get = (url) => call('GET', url);
export const post = (url, body = {}) => call('POST', url, body);

export async function download(url) {
  return (await send('GET', url)).blob();
}

/* Calls `on(name, data)` for each event of a reply. */
export async function stream(method, url, body, on, signal) {
  const response = await send(method, url, { ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event) on(event.name, event.data);
    }
  }
}

function parse(block) {
  let name = 'message';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data += line.slice(5).trim();
  }
  return data ? { name, data: JSON.parse(data) } : null;
}
