/* The bar of a live town: now or earlier, play for all, one step, the pace of its clock. */

const PACES = [[30, '1 min = 30 s'], [10, '1 min = 10 s'], [5, '1 min = 5 s'], [3, '1 min = 3 s'], [1, '1 min = 1 s'], [0.5, '2 min = 1 s'], [0.1, '10 min = 1 s'], [0, 'no waiting']];

class LiveTimeline extends Timeline {
  constructor(app, root) {
    super(app, root);
    this.now = h('button', { type: 'button', class: 'now', 'aria-pressed': 'true', onclick: () => app.toNow() }, h('i', {}), h('span', {}, 'Live'));
    this.pace = h('select', { 'aria-label': 'Pace of the town', onchange: (event) => app.control('pace', Number(event.target.value)) },
      PACES.map(([value, label]) => h('option', { value }, label)));
    const [first, second] = root.querySelectorAll('.deck');
    first.insertBefore(this.now, this.clock);
    second.appendChild(this.pace);
    const next = first.querySelectorAll('.hop')[1];
    next.addEventListener('click', (event) => {
      if (!app.state.live) return;
      event.stopImmediatePropagation();
      app.control('step', 1);
    }, true);
  }

  /* The strip is painted anew when the run has grown, but not at every step. */
  grown() {
    this.range.max = this.app.run.last;
    const now = performance.now();
    if (now - (this.paintedAt || 0) < 900) return;
    this.paintedAt = now;
    this.paint();
  }

  refresh() {
    super.refresh();
    const { state, town } = this.app;
    const live = state.live && town.live;
    this.now.setAttribute('aria-pressed', String(state.live));
    const label = !town.live ? 'Latest' : state.live ? 'Live' : 'To now';
    if (this.now.lastChild.textContent !== label) this.now.lastChild.textContent = label;
    this.now.classList.toggle('still', !town.playing);
    this.pace.hidden = !live;
    this.speed.hidden = live;
    this.skip.hidden = live;
    this.showPace(town.pace);
    const play = live ? (town.playing ? 'Pause the town' : 'Let the town go on') : '';
    if (play && this.playButton.title !== play) { this.playButton.title = play; this.playButton.setAttribute('aria-label', play); }
  }

  showPace(pace) {
    if (pace === undefined || document.activeElement === this.pace || Number(this.pace.value) === pace) return;
    if (!PACES.some(([value]) => value === pace)) {
      PACES.push([pace, `1 min = ${pace} s`]);
      this.pace.appendChild(h('option', { value: pace }, `1 min = ${pace} s`));
    }
    this.pace.value = String(pace);
  }
}
