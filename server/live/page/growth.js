/* A run that grows: rows that are new, people who come, conversations that go on. */

Object.assign(Run.prototype, {
  grow(delta) {
    this.steps = delta.steps;
    this.last = Math.max(0, delta.steps - 1);
    this.busy = Array.isArray(this.busy) ? this.busy : Array.from(this.busy);
    if (delta.texts) this.texts.push(...delta.texts);
    const fresh = (delta.people || []).filter((person) => !this.byName.has(person.id));
    for (const person of fresh) this.join(person);
    for (const [name, rows] of Object.entries(delta.rows || {})) this.extend(this.byName.get(name), rows);
    for (const talk of delta.talks || []) this.hear(talk);
    for (const name of ['headlines', 'figures', 'costs']) if (delta[name]) this[name] = delta[name];
    return fresh;
  },

  join(person) {
    person.index = this.people.length;
    person.first = person.id.split(' ')[0] || person.id;
    person.record = new Map(person.memories.map((memory) => [memory[0], memory]));
    person.talks = [];
    this.people.push(person);
    this.byName.set(person.id, person);
    this.stir(this.last);
  },

  extend(person, rows) {
    if (!person) return;
    for (const name of ['track', 'acts', 'plans', 'memories', 'asks']) if (rows[name]) person[name].push(...rows[name]);
    for (const memory of rows.memories || []) person.record.set(memory[0], memory);
    if (rows.presence) person.presence = rows.presence;
    if (rows.look) person.look = rows.look;
    for (const row of [...(rows.track || []), ...(rows.acts || [])]) this.stir(Math.floor(row[0]));
  },

  hear(talk) {
    const at = this.talks.findIndex((known) => known.id === talk.id);
    if (at >= 0) Object.assign(this.talks[at], talk); else this.talks.push(talk);
    const mine = at >= 0 ? this.talks[at] : talk;
    for (const name of talk.members) {
      const person = this.byName.get(name);
      if (person && !person.talks.includes(mine)) person.talks.push(mine);
    }
    this.talks.sort((a, b) => a.start - b.start);
    for (const line of talk.lines) this.stir(line[0]);
  },

  /* Something can be seen at this step. */
  stir(step) {
    if (!this.busy.length || this.busy[this.busy.length - 1] < step) this.busy.push(step);
  },
});
