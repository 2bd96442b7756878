/* Ways between two tiles that lie further apart than a step of the feet. */

const ways = new Map();

function along(town, a, b, part) {
  const dx = b[1] - a[1];
  const dy = b[2] - a[2];
  const length = Math.hypot(dx, dy);
  if (length < 1.6 || town.links.length) {
    return { x: a[1] + dx * part, y: a[2] + dy * part, moving: length > 0, dx, dy };
  }
  const way = wayBetween(town, a[1], a[2], b[1], b[2]);
  const at = part * (way.length - 1);
  const leg = Math.min(way.length - 2, Math.floor(at));
  const [x0, y0] = way[leg];
  const [x1, y1] = way[leg + 1];
  const rest = at - leg;
  return {
    x: x0 + (x1 - x0) * rest, y: y0 + (y1 - y0) * rest, moving: true, dx: x1 - x0, dy: y1 - y0,
  };
}

function wayBetween(town, ax, ay, bx, by) {
  const key = `${ax},${ay},${bx},${by}`;
  let way = ways.get(key);
  if (!way) {
    way = search(town, Math.round(ax), Math.round(ay), Math.round(bx), Math.round(by)) ||
      [[ax, ay], [bx, by]];
    if (ways.size > 4000) ways.clear();
    ways.set(key, way);
  }
  return way;
}

/* Breadth first over free tiles; null when there is no way. */
function search(town, ax, ay, bx, by) {
  const { width, height } = town;
  const start = ay * width + ax;
  const goal = by * width + bx;
  const before = new Int32Array(width * height).fill(-1);
  const queue = new Int32Array(width * height);
  let head = 0;
  let tail = 0;
  queue[tail++] = start;
  before[start] = start;
  while (head < tail) {
    const here = queue[head++];
    if (here === goal) break;
    const x = here % width;
    const y = (here - x) / width;
    for (const [nx, ny] of [[x + 1, y], [x - 1, y], [x, y + 1], [x, y - 1]]) {
      if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
      const next = ny * width + nx;
      if (before[next] >= 0 || (town.blocked(nx, ny) && next !== goal)) continue;
      before[next] = here;
      queue[tail++] = next;
    }
  }
  if (before[goal] < 0) return null;
  const way = [];
  for (let here = goal; ; here = before[here]) {
    way.push([here % width, Math.floor(here / width)]);
    if (here === start) break;
  }
  return way.length > 1 ? way.reverse() : null;
}
