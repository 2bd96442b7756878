/* Elements. Texts of the run enter the page here only, as text nodes, never as markup. */

function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else element.setAttribute(name, value === true ? '' : value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

function fill(element, ...children) {
  element.textContent = '';
  add(element, children);
}

const ICONS = {
  play: 'M8 5.2v13.6L19 12z', pause: 'M7 5h3.6v14H7zM13.4 5H17v14h-3.6z',
  back: 'M15.5 5 8.5 12l7 7', next: 'm8.5 5 7 7-7 7', close: 'M6 6l12 12M18 6 6 18',
  plus: 'M12 5v14M5 12h14', minus: 'M5 12h14', home: 'M4 12 12 5l8 7M6.5 10.5V19h11v-8.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4',
  help: 'M9.2 9.2a2.9 2.9 0 1 1 4.3 2.6c-1 .5-1.5 1.1-1.5 2.2M12 17.4v.2', eye: 'M2.8 12S6.2 6 12 6s9.2 6 9.2 6-3.4 6-9.2 6-9.2-6-9.2-6M12 9.4a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2',
  skip: 'M5 6l6 6-6 6zM12 6l6 6-6 6zM19.5 6v12', sheet: 'M5 15l7-7 7 7',
};
const SOLID = new Set(['play', 'pause', 'skip']);

function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', SOLID.has(name) ? 'icon solid' : 'icon');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.appendChild(path);
  return svg;
}

function button(label, name, action, props = {}) {
  return h('button', { type: 'button', 'aria-label': label, title: label, onclick: action, ...props },
    name ? icon(name) : null);
}

function last(address) {
  const parts = String(address || '').split(':').map((part) => part.trim()).filter(Boolean);
  return parts.length > 2 ? `${parts.slice(2).reverse().join(', ')} · ${parts[1]}` : parts[parts.length - 1] || '';
}

function number(value) {
  return typeof value === 'number' ? value.toLocaleString('en-GB', { maximumFractionDigits: 1 }) : String(value);
}

function percent(p) {
  return p > 0 && p < 0.005 ? '<1 %' : `${Math.round(p * 100)} %`;
}
