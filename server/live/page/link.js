/* The link to the server: the run so far, the events as they come, what people do. */

class Link {
  constructor() {
    this.id = '';
    this.listeners = {};
    this.source = null;
    this.lost = false;
  }

  on(kind, listener) { this.listeners[kind] = listener; }

  tell(kind, value) { if (this.listeners[kind]) this.listeners[kind](value); }

  async fetchRun() {
    const response = await fetch('live/run', { cache: 'no-store' });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    const first = await response.json();
    this.id = first.id;
    return first;
  }

  /* EventSource reconnects by itself, with the id of the last event that it got. */
  open() {
    if (this.source) this.source.close();
    this.source = new EventSource(`live/events?after=${encodeURIComponent(this.id)}`);
    for (const kind of ['steps', 'notice', 'pending', 'status']) {
      this.source.addEventListener(kind, (event) => {
        if (event.lastEventId) this.id = event.lastEventId;
        this.tell(kind, JSON.parse(event.data));
      });
    }
    this.source.addEventListener('reset', () => this.repaint());
    this.source.addEventListener('open', () => { this.lost = false; this.tell('link', true); });
    this.source.addEventListener('error', () => {
      this.lost = true;
      this.tell('link', false);
      // A refused request ends an EventSource for good; a lost connection does not.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.open(), 2000);
    });
  }

  /* What was missed is no longer kept by the server: begin anew from the whole run. */
  async repaint() {
    this.source.close();
    try {
      this.tell('repaint', await this.fetchRun());
      this.open();
    } catch (error) {
      this.tell('link', false);
      setTimeout(() => this.repaint(), 2000);
    }
  }

  /* Sends a request; the answer, or an Error with the server's words. */
  async post(path, body, secret = '') {
    const headers = { 'Content-Type': 'application/json' };
    if (secret) headers['X-Visitor'] = secret;
    let response;
    try {
      response = await fetch(`live/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    } catch (error) {
      throw new Error('The server cannot be reached.');
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const problem = new Error(answer.error ? answer.error.message : `The server answered ${response.status}.`);
    problem.status = response.status;
    throw problem;
  }
}
