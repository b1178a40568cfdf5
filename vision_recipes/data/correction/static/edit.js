// What the page to correct labels in does to labels: every edit takes a document and gives a new one.
//
// This file is the source. Edit it here: no notebook exports it.
// nbs/data/correction/06_label_editing.ipynb holds its reasons and its tests.
//
// A document has `flags` {name: boolean} and `shapes` as LabelMe's files have them, `size` [width, height] in
// pixels (zeros: unknown), and `stamped`: whether its file has the stamp of a draft. `k` is the position of a
// shape in `shapes`. A point is [x, y] in pixels, a box [x1, y1, x2, y2]; `object`: see `objectsOf`.
// An edit that cannot be done gives the same document.

// -- Objects

// The objects of a document: {label, shapes (their positions), draft (whether one of them is a draft), score
// (of its first shape that has one, 0 to 1; null: none has)}. First come those with outlines. Where an object
// is several points alone, its label is null.
// Outlines of one label and group are one object; points belong to the object with their group. Where
// several objects have that group, nobody knows whose a point is, so it is an object alone.
export function objectsOf(document) {
  const objects = [];
  const byKey = new Map(); // label and group as a text, or the position of an outline without a group
  const byGroup = new Map(); // a group: the objects that have it
  document.shapes.forEach((shape, k) => {
    if (isPoint(shape)) return;
    const key = hasGroup(shape) ? JSON.stringify([shape.label, shape.group_id]) : k;
    if (!byKey.has(key)) {
      const object = {label: shape.label, shapes: [], draft: false, score: null};
      byKey.set(key, object);
      objects.push(object);
      if (hasGroup(shape)) byGroup.set(shape.group_id, [...(byGroup.get(shape.group_id) ?? []), object]);
    }
    byKey.get(key).shapes.push(k);
  });
  document.shapes.forEach((shape, k) => {
    if (!isPoint(shape)) return;
    const owners = hasGroup(shape) ? byGroup.get(shape.group_id) ?? [] : [];
    if (owners.length === 1) {
      owners[0].shapes.push(k);
      return;
    }
    const object = {label: shape.label, shapes: [k], draft: false, score: null};
    objects.push(object);
    // points of a group without an outline are one object
    if (hasGroup(shape) && !owners.length) byGroup.set(shape.group_id, [object]);
  });
  for (const object of objects) {
    const shapes = object.shapes.map(k => document.shapes[k]);
    if (shapes.length > 1 && shapes.every(isPoint)) object.label = null;
    object.draft = shapes.some(shape => shape.flags?.draft === true);
    object.score = shapes.find(shape => typeof shape.score === 'number')?.score ?? null;
  }
  return objects;
}

export function isPoint(shape) {
  return shape.shape_type === 'point';
}

// Whether a shape says to which group it belongs; LabelMe's field is empty for none.
function hasGroup(shape) {
  return shape.group_id !== null && shape.group_id !== undefined && shape.group_id !== '';
}

// Whether a document has labels that nobody has accepted yet.
export function isDraft(document) {
  const flagged = [document, ...document.shapes];
  if (flagged.some(({flags}) => flags?.draft === true)) return true;
  // classes of a whole image are flags, which have no flag `draft` of their own: the stamp says it
  return document.stamped && !document.shapes.length && Object.values(document.flags).includes(true);
}

// The box [x1, y1, x2, y2] around some shapes, of which there is at least one.
export function boundsOf(shapes) {
  const pointsOf = shape => (shape.shape_type === 'circle' ? circlePoints(shape) : shape.points);
  const points = shapes.flatMap(pointsOf);
  const xs = points.map(point => point[0]);
  const ys = points.map(point => point[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

// Two opposite corners around a circle, which LabelMe stores as its middle and a point of its edge. One that
// has only a middle is as large as that.
function circlePoints({points: [[x, y], edge = [x, y]]}) {
  const radius = Math.hypot(edge[0] - x, edge[1] - y);
  return [[x - radius, y - radius], [x + radius, y + radius]];
}

// Intersection over union of two boxes, 0 to 1.
export function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const common = Math.max(0, width) * Math.max(0, height);
  const all = area(a) + area(b) - common;
  return all > 0 ? common / all : 0;
}

function area(box) {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

// The position of the object whose box overlaps a box most, in `objectsOf`; -1 where none overlaps it by
// an IoU of `least` or more; of equals the last. Its outlines count, as in a suspect's box, unless it has
// points alone.
export function objectAt(document, box, least = 0.5) {
  let best = -1;
  let most = least;
  objectsOf(document).forEach((object, n) => {
    const shapes = object.shapes.map(k => document.shapes[k]);
    const outlines = shapes.filter(shape => !isPoint(shape));
    const share = overlap(boundsOf(outlines.length ? outlines : shapes), box);
    if (share >= most) [best, most] = [n, share];
  });
  return best;
}

// -- Handles: the points of a shape that can be moved, one by one

// The handles of a shape, [x, y] each: its points. A rectangle has four corners, clockwise from the top left,
// also where it is stored as two points. A mask of pixels has none.
export function handlesOf(shape) {
  if (shape.shape_type === 'mask') return [];
  if (shape.shape_type !== 'rectangle') return shape.points;
  const [x1, y1, x2, y2] = boundsOf([shape]);
  return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
}

// A shape with the handle number `k`, as `handlesOf` counts, at another place.
function withHandle(shape, k, [x, y]) {
  if (shape.shape_type !== 'rectangle') {
    return {...shape, points: shape.points.map((point, n) => (n === k ? [x, y] : point))};
  }
  const [ox, oy] = handlesOf(shape)[(k + 2) % 4]; // of four corners, the opposite one stays
  return {...shape, points: rectanglePoints([x, y, ox, oy], shape.points.length)};
}

// The points of a rectangle between two opposite corners, as its file stores it: `n` is 2 or 4.
function rectanglePoints([xa, ya, xb, yb], n = 2) {
  const [x1, x2] = [Math.min(xa, xb), Math.max(xa, xb)];
  const [y1, y2] = [Math.min(ya, yb), Math.max(ya, yb)];
  return n === 4 ? [[x1, y1], [x2, y1], [x2, y2], [x1, y2]] : [[x1, y1], [x2, y2]];
}

// -- Edits

// What a person has touched is no draft any more.
function touched(shape) {
  if (!shape.flags?.draft) return shape;
  const {draft, ...flags} = shape.flags;
  return {...shape, flags};
}

// The document with the shapes at some positions changed by `change`, which takes and gives a shape. They are
// no drafts any more.
function withShapes(document, positions, change) {
  const chosen = new Set(positions);
  const shapes = document.shapes.map((shape, k) => (chosen.has(k) ? touched(change(shape)) : shape));
  return {...document, shapes};
}

// The document with the shapes of one object changed; all of the object count as touched.
function withObject(document, object, change) {
  return withShapes(document, object.shapes, change);
}

// To a thousandth of a pixel, so that files stay short.
function round(value) {
  return Math.round(value * 1000) / 1000;
}

// A coordinate inside the image; `most` is its width or height, 0 where nobody knows it.
function within(value, most) {
  return round(most > 0 ? Math.min(Math.max(value, 0), most) : value);
}

// Moves all shapes of an object by pixels, never out of the image. One with a mask of pixels stays.
export function moveObject(document, object, dx, dy) {
  const shapes = object.shapes.map(k => document.shapes[k]);
  if (shapes.some(shape => shape.shape_type === 'mask')) return document;
  const [x1, y1, x2, y2] = boundsOf(shapes);
  const [width, height] = document.size;
  // what lies outside already may stay there, or come back, but not go further
  const stepX = width > 0 ? Math.max(Math.min(0, -x1), Math.min(dx, Math.max(0, width - x2))) : dx;
  const stepY = height > 0 ? Math.max(Math.min(0, -y1), Math.min(dy, Math.max(0, height - y2))) : dy;
  const moved = point => [round(point[0] + stepX), round(point[1] + stepY)];
  return withObject(document, object, shape => ({...shape, points: shape.points.map(moved)}));
}

// Moves one handle (its number in `handlesOf`) of shape `k` to a place, never out of the image.
export function moveHandle(document, object, k, handle, x, y) {
  const [width, height] = document.size;
  const place = [within(x, width), within(y, height)];
  const change = shape => (shape === document.shapes[k] ? withHandle(shape, handle, place) : shape);
  return withObject(document, object, change);
}

export function removeObject(document, object) {
  const gone = new Set(object.shapes);
  return {...document, shapes: document.shapes.filter((_, k) => !gone.has(k))};
}

// Removes a vertex of a polygon, of which three must be left, or a point. Other handles cannot be removed.
export function removeHandle(document, object, k, handle) {
  const shape = document.shapes[k];
  if (isPoint(shape)) {
    const rest = withObject(document, object, same => same); // what is left of it counts as touched
    return {...rest, shapes: rest.shapes.filter((_, n) => n !== k)};
  }
  if (shape.shape_type !== 'polygon' || shape.points.length <= 3) return document;
  const points = shape.points.filter((_, n) => n !== handle);
  return withObject(document, object, same => (same === shape ? {...same, points} : same));
}

// Adds a vertex to a polygon, in the middle between a handle and the next one, for the last one the first.
export function addVertex(document, object, k, handle) {
  const shape = document.shapes[k];
  if (shape.shape_type !== 'polygon') return document;
  const [a, b] = [shape.points[handle], shape.points[(handle + 1) % shape.points.length]];
  const middle = [round((a[0] + b[0]) / 2), round((a[1] + b[1]) / 2)];
  const points = [...shape.points.slice(0, handle + 1), middle, ...shape.points.slice(handle + 1)];
  return withObject(document, object, same => (same === shape ? {...same, points} : same));
}

// Gives an object another class: its outlines, since points have names of their own. Where `k` is a point,
// that point gets the name. An object of several points alone has no class, so it stays as it is.
export function setLabel(document, object, label, k = -1) {
  const outlines = object.shapes.filter(n => !isPoint(document.shapes[n]));
  const alone = object.shapes.length === 1 ? object.shapes : [];
  const point = k >= 0 && isPoint(document.shapes[k]) ? [k] : null;
  const positions = point ?? (outlines.length ? outlines : alone);
  if (!positions.length) return document;
  const renamed = new Set(positions.map(n => document.shapes[n]));
  return withObject(document, object, shape => (renamed.has(shape) ? {...shape, label} : shape));
}

// Makes a visible point hidden, or a hidden one visible.
export function toggleHidden(document, object, k) {
  const change = shape => {
    if (shape !== document.shapes[k]) return shape;
    const {hidden, ...flags} = shape.flags ?? {};
    return {...shape, flags: hidden ? flags : {...flags, hidden: true}};
  };
  return isPoint(document.shapes[k]) ? withObject(document, object, change) : document;
}

// The labels of one object are right: they are no draft any more.
export function acceptObject(document, object) {
  return withObject(document, object, shape => shape);
}

// All labels of the image are right: no flag and no stamp of a draft is left.
export function acceptAll(document) {
  const {draft, ...flags} = document.flags;
  return {...document, flags, shapes: document.shapes.map(touched), stamped: false};
}

// Removes the shapes that are drafts.
export function rejectDrafts(document) {
  return {...document, shapes: document.shapes.filter(shape => shape.flags?.draft !== true)};
}

// Adds an object: a rectangle between two opposite corners, in any order.
export function addBox(document, label, box) {
  const [width, height] = document.size;
  const [x1, x2] = [box[0], box[2]].map(x => within(x, width));
  const [y1, y2] = [box[1], box[3]].map(y => within(y, height));
  const shape = {
    label, points: rectanglePoints([x1, y1, x2, y2]), group_id: null, description: '',
    shape_type: 'rectangle', flags: {},
  };
  return {...document, shapes: [...document.shapes, shape]};
}

// Adds an object: a polygon with these corners, three or more points.
export function addPolygon(document, label, corners) {
  const [width, height] = document.size;
  const points = corners.map(([x, y]) => [within(x, width), within(y, height)]);
  const shape = {label, points, group_id: null, description: '', shape_type: 'polygon', flags: {}};
  return {...document, shapes: [...document.shapes, shape]};
}

// -- Points of an object

// The names, of those in `names`, that an object has no point of; all of them where there is no object.
export function missingPoints(document, object, names) {
  const shapes = (object?.shapes ?? []).map(k => document.shapes[k]);
  const there = new Set(shapes.filter(isPoint).map(shape => shape.label));
  return names.filter(name => !there.has(name));
}

// Adds a point to an object; without an object it is the first of a new one. The point is the last shape, and
// all shapes of the object get its group.
export function addPoint(document, object, name, [x, y], hidden = false) {
  const [width, height] = document.size;
  const group = groupOf(document, object);
  const point = {
    label: name, points: [[within(x, width), within(y, height)]], group_id: group, description: '',
    shape_type: 'point', flags: hidden ? {hidden: true} : {},
  };
  const grouped = object ? withObject(document, object, shape => ({...shape, group_id: group})) : document;
  return {...grouped, shapes: [...grouped.shapes, point]};
}

// The group that is an object's alone: its own, else a new number. Points belong to the outline of their
// group. A document of COCO says the largest number that is taken: its groups are the ids of annotations.
function groupOf(document, object) {
  const own = new Set(object?.shapes);
  const first = document.shapes[object?.shapes[0]];
  const isOthers = ({group_id: id}, k) => !own.has(k) && id === first.group_id;
  if (first && hasGroup(first) && !document.shapes.some(isOthers)) return first.group_id;
  const numbers = document.shapes.map(shape => shape.group_id).filter(Number.isInteger);
  return 1 + Math.max(0, document.largest_group ?? 0, ...numbers);
}

// Exchanges the names of points that change places in a mirror; `pairs` are names, two each.
export function swapSides(document, object, pairs) {
  const other = new Map(pairs.flatMap(([a, b]) => [[a, b], [b, a]]));
  const swaps = shape => isPoint(shape) && other.has(shape.label);
  if (!object.shapes.some(k => swaps(document.shapes[k]))) return document;
  const change = shape => (swaps(shape) ? {...shape, label: other.get(shape.label)} : shape);
  return withObject(document, object, change);
}

// -- Classes of whole images, as flags

// The classes of the whole image: names of its flags that are true, without `draft`.
export function imageLabels(document) {
  return Object.keys(document.flags).filter(name => name !== 'draft' && document.flags[name] === true);
}

// The class of the whole image: its only flag but `draft` that is true; null where none is, or several.
export function imageClass(document) {
  const names = imageLabels(document);
  return names.length === 1 ? names[0] : null;
}

// Gives an image a class beside the others (`isSet`), or takes it away; without `isSet`, what it is not now.
// Each of `classes` is listed as a flag, as LabelMe does, and the image is no draft.
export function toggleImageLabel(document, name, classes, isSet = document.flags[name] !== true) {
  const {draft, ...flags} = document.flags;
  const all = Object.fromEntries(classes.map(other => [other, false]));
  return {...document, flags: {...all, ...flags, [name]: isSet}, stamped: false};
}

// Sets one class and clears the others. A person has chosen it, so it is no draft.
export function setImageClass(document, name, classes) {
  const flags = {...document.flags};
  for (const other of classes) flags[other] = false; // each class is listed, as LabelMe does
  for (const other of Object.keys(flags)) flags[other] = false; // also what is no class of the set
  flags[name] = true;
  delete flags.draft;
  return {...document, flags, stamped: false};
}

// -- Suspects

// What a suspect (see `read_suspects` in label_review.py) proposes, carried out; the same document where it
// proposes nothing that can be done. `classes`: the names of the set; `pairs`: as for `swapSides`. Without
// boxes, it is about the whole image.
export function applySuspect(document, suspect, classes, pairs = []) {
  if (!suspect.box && !suspect.suggested_box) {
    if (['missing', 'spurious'].includes(suspect.kind)) return applyLabelSuspect(document, suspect, classes);
    return suspect.suggested ? setImageClass(document, suspect.suggested, classes) : document;
  }
  if (suspect.kind === 'missing' && suspect.suggested_box) {
    const taken = objectAt(document, suspect.suggested_box, 0.95) >= 0; // it was added before
    const label = suspect.suggested || suspect.annotated || classes[0];
    return taken || !label ? document : addBox(document, label, suspect.suggested_box);
  }
  const found = objectsOf(document)[suspect.box ? objectAt(document, suspect.box) : -1];
  if (!found) return document;
  if (suspect.kind === 'spurious') return removeObject(document, found);
  if (suspect.kind === 'swapped sides') {
    const swapped = pairs.filter(([a, b]) => suspect.reason === `${a} and ${b} look swapped`);
    return swapSides(document, found, swapped);
  }
  if (suspect.kind === 'wrong class') {
    return suspect.suggested ? setLabel(document, found, suspect.suggested) : document;
  }
  const shape = document.shapes[found.shapes[0]];
  if (suspect.kind !== 'badly placed' || !suspect.suggested_box || shape.shape_type !== 'rectangle') {
    return document;
  }
  const points = rectanglePoints(suspect.suggested_box, shape.points.length);
  return withObject(document, found, same => (same === shape ? {...same, points} : same));
}

// One label of an image that may have several: it is missing, or should not be there.
function applyLabelSuspect(document, {kind, annotated, suggested}, classes) {
  const name = kind === 'missing' ? suggested : annotated;
  const isSet = kind === 'missing';
  if (!name || (document.flags[name] === true) === isSet) return document;
  return toggleImageLabel(document, name, classes, isSet);
}

// -- Undo

// The versions of one document, with undo and redo. They share what is the same, so keeping them costs
// little.
export class History {
  constructor(document) {
    this.versions = [document];
    this.position = 0;
  }

  get document() {
    return this.versions[this.position];
  }

  // Adds a version behind the current one, and drops what was undone; false where nothing changed.
  push(document) {
    if (JSON.stringify(document) === JSON.stringify(this.document)) return false;
    this.versions = [...this.versions.slice(0, this.position + 1), document];
    this.position += 1;
    return true;
  }

  undo() {
    return this.go(-1);
  }

  redo() {
    return this.go(1);
  }

  // By `step` versions; false, and nothing changes, where there is none.
  go(step) {
    const position = this.position + step;
    if (position < 0 || position >= this.versions.length) return false;
    this.position = position;
    return true;
  }
}
