// How labels, the list of images and the two versions of a conflict are drawn.
//
// This file is the source. Edit it here: no notebook exports it.
// nbs/data/correction/07_correction_page.ipynb holds its tests.
//
// Names of classes and files come from outside. They become text or attributes, never markup.

import {boundsOf, handlesOf, isPoint, objectsOf} from './edit.js';

const COLORS = [ // that differ in lightness too, on a photograph
  '#ff6b4a', '#3fb8ff', '#ffd23f', '#4be08a', '#c58bff',
  '#ff8fc7', '#35d6d0', '#f2a65a', '#9fd356', '#8fa8ff',
];
const SVG = 'http://www.w3.org/2000/svg';

// The colour of a class: by its position among `classes`, else by its letters, so that it is always the
// same. `label` is null for an object of several points.
export function colorOf(label, classes) {
  if (label === null) return COLORS[1];
  const position = classes.indexOf(label);
  if (position >= 0) return COLORS[position % COLORS.length];
  let sum = 0;
  for (const character of label) sum += character.codePointAt(0);
  return COLORS[sum % COLORS.length];
}

// An element of HTML with attributes; children are elements or texts.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// An element of SVG with attributes.
function drawn(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// -- Shapes

// The elements of a shape, a list; a pointer finds the one with `data-shape`, its position `k` in the
// document. `scale`: pixels of the screen for a pixel of the image. Sizes divided by it look the same at any
// zoom.
function shapeElements(shape, k, scale) {
  const path = pathOf(shape, scale);
  if (shape.shape_type === 'mask') return maskElements(shape, k);
  if (isPoint(shape)) {
    const hidden = shape.flags?.hidden ? ' hidden' : '';
    return [drawn(path[0], {...path[1], class: `shape dot${hidden}`, 'data-shape': k})];
  }
  const line = ['line', 'linestrip'].includes(shape.shape_type) ? ' line' : ''; // not filled
  return [
    drawn(path[0], {...path[1], class: 'halo'}),
    drawn(path[0], {...path[1], class: `shape${line}`, 'data-shape': k}),
  ];
}

// The name of a shape's element in SVG, and its attributes. A point is a small circle.
function pathOf(shape, scale) {
  const [[x, y]] = shape.points;
  if (isPoint(shape)) return ['circle', {cx: x, cy: y, r: 5 / scale}];
  if (shape.shape_type === 'circle' && shape.points.length > 1) {
    const [, edge] = shape.points;
    return ['circle', {cx: x, cy: y, r: Math.hypot(edge[0] - x, edge[1] - y)}];
  }
  const points = (shape.shape_type === 'rectangle' ? handlesOf(shape) : shape.points).join(' ');
  return [['line', 'linestrip'].includes(shape.shape_type) ? 'polyline' : 'polygon', {points}];
}

// Pixels: a small image whose bright parts let the colour through. Its points are the first and the last
// pixel, so it is one pixel larger than the way between them.
function maskElements(shape, k) {
  const [x1, y1, x2, y2] = boundsOf([shape]);
  const place = {x: x1, y: y1, width: x2 - x1 + 1, height: y2 - y1 + 1};
  const mask = drawn('mask', {id: `mask-${k}`});
  mask.append(drawn('image', {
    ...place, href: `data:image/png;base64,${shape.mask}`, preserveAspectRatio: 'none',
    'image-rendering': 'pixelated',
  }));
  const pixels = drawn('rect', {...place, class: 'shape pixels', mask: `url(#mask-${k})`, 'data-shape': k});
  return [mask, pixels];
}

// What stands beside an object of `objectsOf`: its class, and the score of a draft that has one.
export function textOf(object) {
  const score = object.draft && object.score !== null ? ` ${object.score.toFixed(2)}` : '';
  return `${object.label ?? 'Points'}${score}`;
}

// The shapes of object `n` with its name above them; `view` as for `drawLabels`.
function objectGroup(labels, object, n, view) {
  const kind = `object${object.draft ? ' draft' : ''}${n === view.selected ? ' selected' : ''}`;
  const group = drawn('g', {class: kind, 'data-object': n});
  group.style.setProperty('--color', colorOf(object.label, view.classes));
  const shapes = object.shapes.map(k => labels.shapes[k]);
  object.shapes.forEach(k => group.append(...shapeElements(labels.shapes[k], k, view.scale)));
  const [x, y] = boundsOf(shapes);
  const size = 13 / view.scale;
  const text = drawn('text', {
    x: Math.max(x, 0) + 3 / view.scale, y: Math.max(y - 4 / view.scale, size), 'font-size': size,
    'stroke-width': 3 / view.scale,
  });
  text.textContent = textOf(object);
  group.append(text);
  if (n === view.selected) group.append(...pointNames(labels, object, view.scale));
  return group;
}

// The names of the points of the selected object.
function pointNames(labels, object, scale) {
  const points = object.shapes.map(k => labels.shapes[k]).filter(isPoint);
  return points.map(({label, points: [[x, y]]}) => {
    const text = drawn('text', {
      x: x + 9 / scale, y: y + 4 / scale, 'font-size': 11 / scale, 'stroke-width': 3 / scale,
    });
    text.textContent = label;
    return text;
  });
}

// The handles of the selected object; `data-handle` is the number of one in `handlesOf`.
function handleElements(labels, object, view) {
  const handles = [];
  for (const k of object.shapes) {
    handlesOf(labels.shapes[k]).forEach(([x, y], n) => {
      const chosen = view.handle?.shape === k && view.handle.n === n ? ' chosen' : '';
      const r = (isPoint(labels.shapes[k]) ? 7 : 5) / view.scale;
      handles.push(drawn('circle', {
        cx: x, cy: y, r, class: `handle${chosen}`, 'data-shape': k, 'data-handle': n,
      }));
    });
  }
  return handles;
}

// A polygon that is being drawn: its vertices so far, and the place of the pointer.
function sketchElements({sketch, pointer, scale}) {
  const path = [...sketch, ...(pointer ? [pointer] : [])];
  const line = drawn('polyline', {points: path.join(' '), class: 'sketch'});
  const dots = sketch.map(([cx, cy], n) => drawn('circle', {
    cx, cy, r: (n ? 4 : 6) / scale, class: `sketch-dot${n ? '' : ' first'}`,
  }));
  return [line, ...dots];
}

// Draws all objects of a document. `view`: {selected: position of an object, -1 for none; handle:
// {shape, n} or null; classes: names; scale: as for `shapeElements`; suspects: those of the image, or none,
// of which `suggested_box` is drawn; sketch and pointer: the vertices of a polygon that is being drawn, and
// the place of the pointer or null}.
export function drawLabels(svg, labels, view) {
  const [width, height] = labels.size;
  svg.setAttribute('viewBox', `0 0 ${width || 1} ${height || 1}`); // 1: a size of 0 would show nothing
  const objects = objectsOf(labels);
  const areaOf = object => {
    const [x1, y1, x2, y2] = boundsOf(object.shapes.map(k => labels.shapes[k]));
    return (x2 - x1) * (y2 - y1);
  };
  // the large ones first, so that a pointer finds the small ones; the selected one over all
  const order = objects.map((_, n) => n).sort((a, b) => areaOf(objects[b]) - areaOf(objects[a]));
  const last = order.filter(n => n !== view.selected);
  if (objects[view.selected]) last.push(view.selected);
  const parts = last.map(n => objectGroup(labels, objects[n], n, view));
  for (const {suggested_box: box} of view.suspects ?? []) {
    if (!box) continue;
    const [x, y] = box;
    parts.push(drawn('rect', {x, y, width: box[2] - x, height: box[3] - y, class: 'suggested'}));
  }
  if (objects[view.selected]) parts.push(...handleElements(labels, objects[view.selected], view));
  if (view.sketch?.length) parts.push(...sketchElements(view));
  svg.replaceChildren(...parts);
}

// One of the two versions of a conflict, over the image at `address` (empty: without it). Names and lines are
// sized for 260 pixels on the screen, about the width of a version in the dialog.
export function drawVersion(svg, labels, classes, address) {
  const scale = 260 / (labels.size[0] || 260);
  drawLabels(svg, labels, {selected: -1, handle: null, classes, scale});
  if (!address) return;
  const [width, height] = labels.size;
  svg.prepend(drawn('image', {href: address, x: 0, y: 0, width, height}));
}

// -- A list of which only the rows in sight exist

// `container` scrolls, `list` is the element in it that holds the rows, each `rowHeight` pixels high;
// `makeRow` takes a position from 0 and gives the element of that row.
export class VirtualList {
  constructor(container, list, rowHeight, makeRow) {
    Object.assign(this, {container, list, rowHeight, makeRow, length: 0});
    container.addEventListener('scroll', () => this.draw(), {passive: true});
    new ResizeObserver(() => this.draw()).observe(container);
  }

  // Says how many rows there are, and draws them.
  setLength(length) {
    this.length = length;
    this.list.style.height = `${length * this.rowHeight}px`;
    this.draw();
  }

  // Makes the rows in sight anew, and three more on each side; a row that had the focus has it again, if it
  // is one of them.
  draw() {
    const {scrollTop, clientHeight} = this.container;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - 3);
    const stop = Math.min(this.length, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + 3);
    const holder = document.activeElement;
    const focused = this.list.contains(holder) ? holder.dataset.position : null;
    const rows = [];
    for (let n = first; n < stop; n++) {
      const row = this.makeRow(n);
      row.style.top = `${n * this.rowHeight}px`;
      rows.push(row);
    }
    this.list.replaceChildren(...rows);
    if (focused !== null) this.list.querySelector(`[data-position="${focused}"]`)?.focus();
  }

  // Scrolls row `n` to the middle, unless it is in sight.
  show(n) {
    const top = n * this.rowHeight;
    const {scrollTop, clientHeight} = this.container;
    if (top < scrollTop || top + this.rowHeight > scrollTop + clientHeight) {
      this.container.scrollTop = top - clientHeight / 2;
    }
    this.draw();
  }
}
