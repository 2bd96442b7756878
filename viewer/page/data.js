/* The run: unpacking it, and what holds at a step. All files share one scope. */

const DAY = 24 * 60;

async function unpack() {
  const text = document.getElementById('data').textContent.trim();
  if (typeof DecompressionStream === 'undefined') {
    throw new Error('This browser cannot unpack the run. Open the page with Firefox 113, ' +
      'Chrome 80, Safari 16.4 or newer.');
  }
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
}

function bytes(base64) {
  return Uint8Array.from(atob(base64 || ''), (c) => c.charCodeAt(0));
}

/* Index of the last row that begins at or before `at`; -1 when none does. */
function lastAt(rows, at) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][0] <= at) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function currentRow(rows, at) {
  const found = lastAt(rows, at);
  return found < 0 ? null : rows[found];
}

/* Rows of exactly this step. */
function rowsOf(rows, step) {
  let first = lastAt(rows, step - 0.5) + 1;
  const found = [];
  while (first < rows.length && rows[first][0] <= step) found.push(rows[first++]);
  return found;
}

class Town {
  constructor(map) {
    this.width = map.width;
    this.height = map.height;
    const ground = bytes(map.ground);
    this.kinds = map.kinds;
    this.ground = Array.from(ground, (index) => map.kinds[index] || 'grass');
    this.bits = bytes(map.blocked);
    this.sectors = map.sectors;
    this.arenas = map.arenas;
    this.objects = map.objects;
    this.links = map.links || [];
    this.owner = bytes(map.sector_of);
    this.room = bytes(map.arena_of);
    this.builder = this.spread();
  }

  /* Whose house a wall is: the nearest sector, spread through what is indoors. */
  spread() {
    const owner = Uint8Array.from(this.ground, (kind, at) => (INDOORS.has(kind) ? this.owner[at] || 0 : 0));
    let edge = [];
    owner.forEach((number, at) => { if (number) edge.push(at); });
    while (edge.length) {
      const next = [];
      for (const at of edge) {
        for (const by of [-this.width, this.width, -1, 1, -this.width - 1, -this.width + 1, this.width - 1, this.width + 1]) {
          const there = at + by;
          if (owner[there] || !INDOORS.has(this.ground[there])) continue;
          owner[there] = owner[at];
          next.push(there);
        }
      }
      edge = next;
    }
    return owner;
  }

  kind(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return '';
    return this.ground[y * this.width + x];
  }

  blocked(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return true;
    const at = y * this.width + x;
    return ((this.bits[at >> 3] || 0) & (0x80 >> (at & 7))) !== 0;
  }

  /* The sector or the room of a tile; null outside of all. */
  areaAt(areas, x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const at = y * this.width + x;
    const owner = areas === this.arenas ? this.room : this.owner;
    return areas[(owner[at] || 0) - 1] || null;
  }

  houseAt(x, y) {
    return this.sectors[(this.builder[y * this.width + x] || 0) - 1] || null;
  }
}

class Run {
  constructor(json) {
    Object.assign(this, json);
    this.town = new Town(json.map);
    this.begin = Date.parse(json.start + 'Z');
    this.last = Math.max(0, json.steps - 1);
    this.people.forEach((person, index) => {
      person.index = index;
      person.first = person.id.split(' ')[0] || person.id;
      person.record = new Map(person.memories.map((memory) => [memory[0], memory]));
      person.talks = this.talks.filter((talk) => talk.members.includes(person.id));
    });
    this.byName = new Map(this.people.map((person) => [person.id, person]));
    this.talks.sort((a, b) => a.start - b.start);
    this.busy = this.eventful();
  }

  /* Steps at which something can be seen, sorted: moves, actions, lines. */
  eventful() {
    const steps = new Set();
    for (const person of this.people) {
      for (const row of person.track) steps.add(Math.floor(row[0]));
      for (const row of person.acts) steps.add(row[0]);
    }
    for (const talk of this.talks) for (const line of talk.lines) steps.add(line[0]);
    return Float64Array.from(steps).sort();
  }

  nextBusy(at) {
    let low = 0;
    let high = this.busy.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.busy[middle] <= at) low = middle + 1; else high = middle;
    }
    return low < this.busy.length ? this.busy[low] : this.last;
  }

  date(step) {
    return new Date(this.begin + step * this.step_seconds * 1000);
  }

  minute(step) {
    const date = this.date(step);
    return date.getUTCHours() * 60 + date.getUTCMinutes() + date.getUTCSeconds() / 60;
  }

  clock(step) {
    const date = this.date(step);
    const two = (n) => String(n).padStart(2, '0');
    return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  }

  day(step) {
    return this.date(step).toLocaleDateString('en-GB',
      { weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' });
  }

  /* Where somebody is at `t`, a step with a fraction. */
  position(person, t) {
    const track = person.track;
    const at = Math.max(0, lastAt(track, t));
    const a = track[at];
    if (!a) return { x: 0, y: 0, moving: false, dx: 0, dy: 0 };
    const b = track[at + 1];
    const from = b ? Math.max(a[0], b[0] - 1) : 0;
    if (!b || t <= from) return { x: a[1], y: a[2], moving: false, dx: 0, dy: 0 };
    const part = Math.min(1, (t - from) / Math.max(1e-6, b[0] - from));
    return along(this.town, a, b, part);
  }

  /* Whether somebody is in the town at `t`: people from outside come and go. */
  present(person, t) {
    const visits = person.presence;
    return !visits || visits.some(([from, to]) => t >= from && (to < 0 || t < to + 1));
  }

  act(person, t) {
    return currentRow(person.acts, t);
  }

  plan(person, t) {
    return currentRow(person.plans, t);
  }

  /* The conversation somebody is in at `t`. */
  talkOf(person, t) {
    return person.talks.find((talk) => t >= talk.start && t <= talk.end) || null;
  }

  /* Steps between two lines of the quickest conversation going on at `t`; 0 when all are silent. */
  lineEvery(t) {
    let least = 0;
    for (const talk of this.talks) {
      if (talk.start > t) break;
      const first = talk.lines.length ? talk.lines[0][0] : talk.end;
      if (t < first - 1 || t > talk.end) continue;
      const every = Math.max(1, (talk.end - first + 1) / Math.max(1, talk.lines.length));
      least = least ? Math.min(least, every) : every;
    }
    return least;
  }

  /* The latest step at or before `t` at which somebody asked anything. */
  asked(person, t) {
    const row = currentRow(person.asks, t);
    return row ? { step: row[0], rows: rowsOf(person.asks, row[0]) } : null;
  }

  prompt(indexes) {
    return (indexes || []).map((index) => this.texts[index] || '').join('\n\n');
  }
}
