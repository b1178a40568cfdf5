// What the page to correct labels in does: opens images, listens to keys and the mouse, saves.
//
// This file is the source. Edit it here: no notebook exports it.
// nbs/data/correction/07_correction_page.ipynb holds its reasons and its tests.

import * as edit from './edit.js';
import {colorOf, drawLabels, drawVersion, element, textOf, VirtualList} from './view.js';

const SAVE_AFTER_MS = 300; // without another edit
const IMAGES_KEPT = 5; // decoded images, the shown one and those beside it
const DRAG_FROM_PX = 3; // a shorter way of the pointer is a click
const CLOSE_WITHIN_PX = 9; // of the first vertex, a click ends a polygon
const $ = id => document.getElementById(id);

const state = {
  set: null, // what the server says of all images, see `_set_contents` in correction_server.py
  order: [], // the images of the list, by number
  index: -1, // of the shown image
  // by image: {index, history: a `History`, tag: of the labels in its file, saved: those as JSON,
  // conflict: the answer of the server that the file has other labels, or null}
  items: new Map(),
  done: new Set(), // images that were accepted since the page was opened
  selected: -1, // position of an object in `objectsNow`; -1: none
  handle: null, // {shape, n}: the chosen corner, vertex or point of it
  drawing: null, // what is about to be drawn: box, polygon or points; null: nothing
  sketch: [], // the vertices of the polygon that is being drawn
  pointer: null, // the place of the pointer, while a polygon is drawn
  skipped: new Set(), // names of points that are left out while points are drawn
  lastLabel: '', // the name that was given last, for the next new box or polygon; empty: none yet
  zoom: 1, // times as large as where the whole image is seen, 1 to 20
  preview: null, // labels while the pointer drags
  waited: 0, // milliseconds from a key to the next image
};

// -- The server

// Asks the server. The answer is a success, or 409 for a conflict; anything else is thrown as an error.
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error('The server does not answer. It may have been stopped in its terminal.');
  }
  if (!answer.ok && answer.status !== 409) throw new Error(await answer.text());
  return answer;
}

const images = new Map(); // number: promise of {address, image} or {error}; the last used stands last

// The promise of an image, kept for a while; those that were not used for the longest time are dropped.
function imageOf(i) {
  if (!images.has(i)) images.set(i, fetchImage(i));
  const promise = images.get(i);
  images.delete(i); // and set again, so that it stands last
  images.set(i, promise);
  for (const old of [...images.keys()].slice(0, -IMAGES_KEPT)) {
    images.get(old).then(({address}) => address && URL.revokeObjectURL(address));
    images.delete(old);
  }
  return promise;
}

// {address, image}: an image that is decoded, and its address as a blob; or {error: a text}, which is never
// thrown.
async function fetchImage(i) {
  try {
    const answer = await ask(`image/${i}`);
    const address = URL.createObjectURL(await answer.blob());
    const image = new Image();
    image.src = address;
    await image.decode();
    return {address, image};
  } catch (error) {
    const text = error instanceof DOMException ? 'This browser cannot show the image.' : error.message;
    return {error: text};
  }
}

// -- The shown image

// `labelsNow` is the document with what the pointer does to it; `objectsNow` has its objects
const current = () => state.items.get(state.index);
const labelsNow = () => state.preview ?? current().history.document;
const objectsNow = () => edit.objectsOf(labelsNow());
const suspectsNow = () => state.set.suspects[state.index] ?? [];

// Asks for the labels of an image: an item of `state.items`. Earlier versions stay, unless the file was
// changed elsewhere.
async function fetchItem(i) {
  const {document: labels, tag} = await (await ask(`labels/${i}`)).json();
  const known = state.items.get(i);
  if (known?.tag === tag) return known;
  const saved = JSON.stringify(labels);
  return {index: i, history: new edit.History(labels), tag, saved, conflict: null};
}

let opening = 0; // the number of the last request to show an image

// Shows an image. The one before is saved first; where that fails, it stays.
async function show(i) {
  const started = performance.now();
  const request = ++opening;
  try {
    if (current() && !(await save())) return;
    const [item, image] = await Promise.all([fetchItem(i), imageOf(i)]);
    // meanwhile the image before may have been edited, and another one asked for
    if (current() && isDirty(current()) && !(await save())) return;
    if (request !== opening) return;
    state.items.set(i, item);
    endDrag();
    Object.assign(state, {index: i, selected: -1, handle: null, zoom: 1});
    setDrawing(null);
    showImage(image, item);
    selectSuspect();
    render();
    $('frame').scrollTo(0, 0);
    say('');
    state.waited = performance.now() - started;
    const next = state.order[positionNow() + 1];
    if (next !== undefined) imageOf(next); // loaded one ahead
    keepPlace();
  } catch (error) {
    problem(error.message);
  }
}

// Tells the server which image is shown, for the next start. Where that fails, nothing is lost but a place.
function keepPlace() {
  const body = JSON.stringify({image: state.set.images[state.index].name, show: $('filter').value});
  ask('place', {method: 'PUT', body}).catch(() => {});
}

// Puts an image of `imageOf` on the page, or says why there is none. Sets the size of labels that have none.
function showImage({image, error}, item) {
  const labels = item.history.document;
  if (!(labels.size[0] > 0)) { // nobody knows the size but the image
    const clean = !isDirty(item);
    // without an image any size will do, so that its labels can be drawn
    labels.size = [image?.naturalWidth ?? 640, image?.naturalHeight ?? 480];
    if (clean) item.saved = JSON.stringify(labels);
  }
  $('image').hidden = !image;
  if (image) { // it is decoded already
    image.id = 'image';
    image.alt = state.set.images[item.index].name;
    image.hidden = false;
    $('image').replaceWith(image);
  }
  $('unread').hidden = !error;
  $('unread').textContent = error ? `${error} Its labels are shown without it.` : '';
  fit();
}

// The image as large as the frame allows, times the zoom. Sets `state.scale`: pixels of the screen
// for a pixel of the image.
function fit() {
  const [width, height] = labelsNow().size;
  const room = $('frame').getBoundingClientRect();
  // 4 pixels stay free, so that rounding shows no scroll bars; 1e-3: a frame without room still gives a scale
  const scale = Math.min((room.width - 4) / width, (room.height - 4) / height) * state.zoom;
  state.scale = Math.max(scale, 1e-3);
  $('canvas').style.width = `${width * state.scale}px`;
  $('canvas').style.height = `${height * state.scale}px`;
}

// Zooms by `factor`, within 1 (the whole image) and 20; the selected object is scrolled to the middle.
function zoom(factor) {
  state.zoom = Math.min(20, Math.max(1, state.zoom * factor));
  fit();
  render();
  document.querySelector('#drawing .selected .shape')?.scrollIntoView({block: 'center', inline: 'center'});
}

// The object of the first suspect is selected, where it has a box, so that keys act on it.
function selectSuspect() {
  const suspect = suspectsNow()[0];
  if (suspect?.box) state.selected = edit.objectAt(labelsNow(), suspect.box);
}

// -- Showing

// Draws the labels; and, unless the pointer drags, all else that depends on the state.
function render() {
  const labels = labelsNow();
  const objects = objectsNow();
  if (!objects[state.selected]) [state.selected, state.handle] = [-1, null];
  const view = {
    selected: state.selected, handle: state.handle, classes: state.set.classes, scale: state.scale,
    suspects: suspectsNow(), sketch: state.sketch, pointer: state.pointer,
  };
  drawLabels($('drawing'), labels, view);
  if (state.preview) return;
  const image = state.set.images[state.index];
  $('name').textContent = image.name;
  const position = positionNow();
  const draft = edit.isDraft(labels) ? ' · draft' : '';
  $('place').textContent = `${position + 1} of ${state.order.length}${draft}`;
  renderObjects(objects, labels);
  renderSuspects();
  renderClasses();
  renderButtons(objects, labels);
  list.draw();
}

// The list of objects, and the class of the image; a focus in the list goes to the selected one.
function renderObjects(objects, labels) {
  const items = objects.map((object, n) => {
    const swatch = element('span', {class: `swatch${object.draft ? ' draft' : ''}`});
    swatch.style.setProperty('--color', colorOf(object.label, state.set.classes));
    const name = element('span', {class: 'name'}, textOf(object));
    const note = element('span', {class: 'note'}, noteOf(object, labels));
    const pressed = n === state.selected;
    const attributes = {class: 'item', type: 'button', 'data-object': n, 'aria-pressed': pressed};
    return element('li', {}, element('button', attributes, swatch, name, note));
  });
  const chosen = edit.imageLabels(labels);
  if (chosen.length) {
    const what = state.set.several_labels ? 'Labels' : 'Class';
    items.push(element('li', {class: 'image-class'}, `${what} of the image: ${chosen.join(', ')}`));
  }
  const nothing = state.set.image_classes ? 'No class is set. A digit sets one.' : 'None. b draws a box.';
  if (!items.length) items.push(element('li', {class: 'quiet'}, nothing));
  const focused = $('objects').contains(document.activeElement);
  $('objects').replaceChildren(...items);
  if (focused) $('objects').querySelector('[aria-pressed="true"]')?.focus();
}

// What stands behind an object's name: whether it is a draft, its kind of outline, how many points.
function noteOf(object, labels) {
  const shapes = object.shapes.map(k => labels.shapes[k]);
  const n = shapes.filter(edit.isPoint).length;
  const outline = shapes.find(shape => !edit.isPoint(shape))?.shape_type;
  const parts = [object.draft ? 'draft' : '', outline ?? '', n ? `${n} points` : ''];
  return parts.filter(Boolean).join(', ');
}

// The suspects of the image; a button stands only where one proposes a change that can be done.
function renderSuspects() {
  const suspects = suspectsNow();
  $('suspect-part').hidden = !suspects.length;
  $('suspects').replaceChildren(...suspects.map((suspect, n) => {
    const reason = element('p', {}, `${suspect.rank}. ${suspect.kind}: ${suspect.reason}`);
    const changed = afterSuspect(suspect) !== labelsNow();
    const key = n ? [] : [' ', element('kbd', {}, 's')];
    const button = element('button', {type: 'button', 'data-suspect': n}, 'Do what it says', ...key);
    return element('li', {}, reason, ...(changed ? [button] : []));
  }));
}

// The buttons of the first 40 classes, more would bury the page; the list to type from has all names.
function renderClasses() {
  const classes = state.set.classes;
  const label = objectsNow()[state.selected]?.label;
  const pressed = label === undefined ? edit.imageLabels(labelsNow()) : [label];
  $('classes').replaceChildren(...classes.slice(0, 40).map((name, n) => {
    const swatch = element('span', {class: 'swatch'});
    swatch.style.setProperty('--color', colorOf(name, classes));
    const key = n < 9 ? [element('kbd', {}, String(n + 1))] : [];
    const attributes = {type: 'button', 'data-class': n, 'aria-pressed': pressed.includes(name)};
    return element('li', {}, element('button', attributes, swatch, name, ...key));
  }));
  const names = [...new Set([...classes, ...state.set.points])];
  if ($('class-list').childElementCount !== names.length) {
    $('class-list').replaceChildren(...names.map(name => element('option', {value: name})));
  }
}

// Disables buttons that would do nothing now, and hides those for points and sides where the set has none.
function renderButtons(objects, labels) {
  const object = objects[state.selected];
  const shape = labels.shapes[state.handle?.shape];
  $('accept-object').disabled = !object?.draft;
  $('reject').disabled = !object;
  $('hide-point').disabled = !shape || !edit.isPoint(shape);
  $('add-vertex').disabled = shape?.shape_type !== 'polygon';
  $('swap-sides').disabled = !object || edit.swapSides(labels, object, state.set.pairs) === labels;
  $('swap-sides').hidden = !state.set.pairs.length;
  $('new-points').hidden = !state.set.points.length;
  const history = current().history;
  $('undo').disabled = history.position === 0;
  $('redo').disabled = history.position === history.versions.length - 1;
  $('reject-drafts').disabled = !objects.some(one => one.draft);
  $('previous').disabled = positionNow() <= 0;
  $('next').disabled = positionNow() >= state.order.length - 1;
}

// A message below the image; an empty text clears it.
function say(text) {
  $('message').textContent = text;
}

// An error above the page; an empty text hides it. The link of `offerFile` is hidden.
function problem(text) {
  $('problem').hidden = !text;
  $('problem-text').textContent = text;
  $('rescue').hidden = true;
}

// -- Edits and saving

// Makes a document the current version, to be saved; one that is equal is no new version.
function change(labels) {
  endDrag();
  if (current().history.push(labels)) saveLater();
  render();
}

let timer = 0;

// Saves when `SAVE_AFTER_MS` have passed without another edit.
function saveLater() {
  clearTimeout(timer);
  timer = setTimeout(save, SAVE_AFTER_MS); // `show` saves before it leaves an image
  $('saved').textContent = 'Not saved yet';
}

// Whether an item has edits that its file has not
const isDirty = item => JSON.stringify(item.history.document) !== item.saved;
let saving = Promise.resolve(true); // what was asked to be saved last; the next one waits for it

// Saves the shown image after what is being saved: a promise, of false where its labels could not be saved.
function save() {
  clearTimeout(timer);
  const item = current();
  saving = saving.then(() => saveItem(item));
  return saving;
}

// Saves an item, again where it was edited meanwhile. False, with a message, where that fails.
async function saveItem(item) {
  while (isDirty(item)) {
    if (item.conflict) return showConflict(item);
    try {
      if (!(await send(item, item.tag))) return showConflict(item);
    } catch (error) {
      problem(`Not saved: ${error.message} Your edits are in this page as long as it is open.`);
      offerFile(item);
      $('saved').textContent = 'Not saved';
      return false;
    }
  }
  problem('');
  $('saved').textContent = 'Saved';
  return true;
}

// Sends the labels of an item; false where its file has changed since `tag`, which is noted as its conflict.
// `keepOther`: the server keeps the labels that are replaced in a file of their own.
async function send(item, tag, keepOther = false) {
  const text = JSON.stringify(item.history.document);
  const headers = {'If-Match': `"${tag}"`, 'Content-Type': 'application/json'};
  if (keepOther) headers['X-Keep-Other'] = '1';
  const answer = await ask(`labels/${item.index}`, {method: 'PUT', headers, body: text});
  const contents = await answer.json();
  if (answer.status === 409) {
    item.conflict = contents;
    return false;
  }
  Object.assign(item, {tag: contents.tag, saved: text, conflict: null});
  Object.assign(state.set.images[item.index], {objects: contents.objects, draft: contents.draft});
  list.draw();
  return true;
}

// A link to the labels that could not be saved, as a file.
function offerFile(item) {
  const {flags, shapes, size: [imageWidth, imageHeight]} = item.history.document;
  const imagePath = state.set.images[item.index].name.split('/').pop();
  // 5.5.0: as `_new_contents` in labelme_store.py
  const contents = {version: '5.5.0', flags, shapes, imagePath, imageData: null, imageHeight, imageWidth};
  const blob = new Blob([JSON.stringify(contents, null, 2)], {type: 'application/json'});
  $('rescue').href = URL.createObjectURL(blob);
  $('rescue').download = `${imagePath.replace(/\.[^.]*$/, '')}.json`;
  $('rescue').hidden = false;
}

// -- Conflicts

// Shows both versions of an image whose labels were changed elsewhere. False, for `saveItem`: not saved.
function showConflict(item) {
  const named = labels => [...edit.objectsOf(labels).map(textOf), ...edit.imageLabels(labels)];
  const what = labels => (labels.shapes.length ? 'objects' : 'labels');
  const count = labels => `${named(labels).length} ${what(labels)}: ${named(labels).slice(0, 12).join(', ')}`;
  const {document: theirs, kept} = item.conflict;
  const mine = item.history.document;
  if (!(theirs.size[0] > 0)) theirs.size = mine.size;
  $('conflict-text').textContent = `Nothing was written over. Yours are kept in ${kept}.`;
  $('mine-text').textContent = count(mine);
  $('theirs-text').textContent = count(theirs);
  const address = $('image').hidden ? '' : $('image').src;
  drawVersion($('mine'), mine, state.set.classes, address);
  drawVersion($('theirs'), theirs, state.set.classes, address);
  $('saved').textContent = 'Not saved: changed elsewhere';
  if (!$('conflict').open) $('conflict').showModal();
  return false;
}

// Saves this page's labels over those of the file, which are kept beside it.
async function takeMine() {
  const item = current();
  $('conflict').close();
  try {
    if (!(await send(item, item.conflict.tag, true))) return showConflict(item);
    $('saved').textContent = 'Saved';
    say('Your labels were saved; those of the file are kept beside it.');
  } catch (error) {
    problem(`Not saved: ${error.message}`);
    offerFile(item);
  }
}

// Takes the labels of the file as a new version, so that undo brings back those of this page.
function takeTheirs() {
  const item = current();
  $('conflict').close();
  const {document: labels, tag} = item.conflict;
  endDrag();
  item.history.push(labels);
  Object.assign(item, {tag, saved: JSON.stringify(item.history.document), conflict: null});
  $('saved').textContent = 'Saved';
  problem('');
  render();
}

// Looks whether the file of the shown image was changed elsewhere, when somebody comes back to this page.
async function refresh() {
  const item = current();
  if (!item || isDirty(item) || item.conflict) return;
  try {
    const fresh = await fetchItem(item.index);
    // the same labels; or another image, or an edit, while the server was asked
    if (fresh === item || current() !== item || isDirty(item)) return;
    endDrag();
    state.items.set(item.index, fresh);
    showImage(await imageOf(item.index), fresh);
    render();
    say('The labels were changed elsewhere. The new ones are shown.');
  } catch (error) {
    problem(error.message);
  }
}

// -- The list of images

// 36: the height of a row in page.css, pixels. A row has the name, and what is to know of the image.
const list = new VirtualList($('list'), $('rows'), 36, position => {
  const i = state.order[position];
  const {name, objects, draft, error} = state.set.images[i];
  const n = state.set.suspects[i]?.length ?? 0;
  const notes = [state.done.has(i) ? '✓' : '', draft ? 'draft' : '', n ? `${n} suspect` : ''];
  const note = error ? 'broken file' : notes.filter(Boolean).join(' ') || String(objects);
  const attributes = {class: 'item', type: 'button', 'data-position': position, title: name};
  if (i === state.index) attributes['aria-current'] = 'true';
  const label = element('span', {class: 'name'}, name);
  const button = element('button', attributes, label, element('span', {class: 'note'}, note));
  return element('li', {'aria-setsize': state.order.length, 'aria-posinset': position + 1}, button);
});

// The position of the shown image in the list; -1 where it is not in it.
const positionNow = () => state.order.indexOf(state.index);

// The numbers of the images that `all`, `drafts` or `suspects` shows, the most suspect first.
function filtered(kind) {
  const all = state.set.images.map((_, i) => i);
  if (kind === 'drafts') return all.filter(i => state.set.images[i].draft);
  if (kind !== 'suspects') return all;
  const rank = i => state.set.suspects[i][0].rank;
  return all.filter(i => state.set.suspects[i]).sort((a, b) => rank(a) - rank(b));
}

// How many images each choice of the filter shows; one without any cannot be chosen.
function fillFilter() {
  const names = {all: 'All images', drafts: 'Drafts', suspects: 'Suspects'};
  for (const option of $('filter').options) {
    option.textContent = `${names[option.value]} (${filtered(option.value).length})`;
    option.disabled = !filtered(option.value).length;
  }
}

// Fills the list with the images of a filter (see `filtered`). Where the shown image is not among them, shows
// image `first`, or the first of the list. The list stays as it is while images are corrected, so that
// `previous` finds them again.
async function choose(kind, first) {
  state.order = filtered(kind);
  list.setLength(state.order.length);
  if (!state.order.includes(state.index)) await show(first ?? state.order[0]);
  list.show(Math.max(0, positionNow()));
  render();
}

// Shows the image `step` places further in the list; at its end, saves and says so.
async function go(step) {
  const next = state.order[positionNow() + step];
  if (next === undefined) {
    await save();
    say(step > 0 ? 'This is the last image of the list.' : 'This is the first image of the list.');
    return;
  }
  await show(next);
  list.show(positionNow());
}

// -- What keys and buttons do

// Calls `action` with the selected object, or the only one; says so where there is none.
function withObject(action) {
  const objects = objectsNow();
  if (state.selected < 0 && objects.length === 1) state.selected = 0;
  const object = objects[state.selected];
  if (object) action(object);
  else say('Select an object first: j, or a click.');
}

async function acceptAndNext() {
  state.done.add(state.index);
  change(edit.acceptAll(labelsNow()));
  await go(1);
}

// Accepts the selected object; all of the image where none is selected.
function acceptObject() {
  if (state.selected < 0) change(edit.acceptAll(labelsNow()));
  else withObject(object => change(edit.acceptObject(labelsNow(), object)));
}

// Removes the chosen point, or vertex of a polygon; else the selected object.
function reject() {
  withObject(object => {
    const {handle} = state;
    const shape = labelsNow().shapes[handle?.shape];
    const removesHandle = shape && (edit.isPoint(shape) || shape.shape_type === 'polygon');
    state.handle = null;
    if (!removesHandle) return change(edit.removeObject(labelsNow(), object));
    const rest = edit.removeHandle(labelsNow(), object, handle.shape, handle.n);
    if (rest === labelsNow()) say('A polygon has at least three vertices. Esc, then r rejects it whole.');
    return change(rest);
  });
}

// Gives the selected object a class, or the chosen point a name. An image without shapes gets the class
// itself, where the set's classes are of images or it has one already; with several labels, one that it has
// is taken away. A new name joins the classes, or the names of points.
function setClass(name) {
  const label = name.trim();
  if (!label) return say('A class needs a name.');
  const labels = labelsNow();
  const ofPoint = isNameOfPoint();
  if (!ofPoint) {
    addName(state.set.classes, label);
    state.lastLabel = label;
  }
  const asImage = state.set.image_classes || edit.imageLabels(labels).length;
  if (!labels.shapes.length && asImage) {
    const set = state.set.several_labels ? edit.toggleImageLabel : edit.setImageClass;
    return change(set(labels, label, state.set.classes));
  }
  return withObject(object => {
    const renamed = edit.setLabel(labels, object, label, state.handle?.shape);
    if (renamed === labels) say('Points have names of their own. Choose one first: . or a click.');
    else if (ofPoint) addName(state.set.points, label);
    change(renamed);
  });
}

// Whether a name that is given now is one of a point: the chosen one, or of an object that is points alone.
function isNameOfPoint() {
  const {shapes} = labelsNow();
  const chosen = shapes[state.handle?.shape];
  if (chosen) return edit.isPoint(chosen);
  const objects = objectsNow();
  const object = objects[state.selected] ?? (objects.length === 1 ? objects[0] : null); // as `withObject`
  return object !== null && object.shapes.every(k => edit.isPoint(shapes[k]));
}

// Adds a name to a list of names, unless it is there.
function addName(names, name) {
  if (!names.includes(name)) names.push(name);
}

// Selects object `n`, counted round: behind the last one comes the first.
function select(n) {
  const count = objectsNow().length;
  if (!count) return say('There is no object in this image.');
  Object.assign(state, {selected: (n + count) % count, handle: null});
  render();
  const object = objectsNow()[state.selected];
  say(`${state.selected + 1} of ${count}: ${textOf(object)}${object.draft ? ', draft' : ''}`);
}

// Chooses the next (1) or previous (-1) corner, vertex or point of the selected object; behind the last one,
// and before the first, the whole object.
function selectHandle(step) {
  withObject(object => {
    const labels = labelsNow();
    const all = object.shapes.flatMap(k => edit.handlesOf(labels.shapes[k]).map((_, n) => ({shape: k, n})));
    const at = all.findIndex(({shape, n}) => shape === state.handle?.shape && n === state.handle.n);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
    state.handle = all[next] ?? null;
    render();
    const shape = labels.shapes[state.handle?.shape];
    if (!shape) say('The whole object');
    else say(edit.isPoint(shape) ? `Point ${shape.label}` : `Corner ${state.handle.n + 1}`);
  });
}

// Moves the chosen handle, else the selected object, by pixels of the image.
function moveBy(dx, dy) {
  withObject(object => {
    const {handle} = state;
    const labels = labelsNow();
    if (!handle) {
      if (object.shapes.some(k => labels.shapes[k].shape_type === 'mask')) {
        return say('A mask of pixels cannot be moved here.');
      }
      return change(edit.moveObject(labels, object, dx, dy));
    }
    const [x, y] = edit.handlesOf(labels.shapes[handle.shape])[handle.n];
    return change(edit.moveHandle(labels, object, handle.shape, handle.n, x + dx, y + dy));
  });
}

// Changes the chosen handle by an edit that takes a document, an object, a shape's and a handle's number.
function onHandle(change_) {
  withObject(object => {
    if (state.handle) change(change_(labelsNow(), object, state.handle.shape, state.handle.n));
    else say('Choose a vertex or a point first: . or a click.');
  });
}

// -- Drawing: what is new

// by what is drawn: the id of its button
const TOOLS = {box: 'new-box', polygon: 'new-polygon', points: 'new-points'};

// `kind` is a key of TOOLS; null: nothing is drawn
function setDrawing(kind) {
  Object.assign(state, {drawing: kind, sketch: [], pointer: null, skipped: new Set()});
  for (const [tool, id] of Object.entries(TOOLS)) $(id).setAttribute('aria-pressed', tool === kind);
  $('drawing').classList.toggle('crossed', kind !== null);
}

// Takes a tool, a key of TOOLS, or puts it away where it is in use.
function startDrawing(kind) {
  if (state.drawing === kind) return drop();
  if (kind === 'points' && !canDrawPoints()) return null;
  setDrawing(kind);
  $('frame').focus({preventScroll: true}); // not a button, whose key ⏎ is
  render();
  if (kind === 'box') return say('Draw the box from corner to corner, or ⏎ for one in the middle.');
  if (kind === 'points') return sayPoint();
  return say('Click each vertex, the first one again or ⏎ to end. ⏎ at once: one in the middle.');
}

// The class of what is drawn: the name that was given last, else the first of the set, else `object`. A new
// one joins the classes.
function labelOfNew() {
  const label = state.lastLabel || state.set.classes[0] || 'object';
  addName(state.set.classes, label);
  return label;
}

// Selects the object that the last shape of a document is part of, and changes the labels to that document.
function changeAndSelectLast(labels) {
  const last = labels.shapes.length - 1;
  state.selected = edit.objectsOf(labels).findIndex(({shapes}) => shapes.includes(last));
  state.handle = null;
  change(labels);
}

// Adds a box [x1, y1, x2, y2] of the class of `labelOfNew`, and selects it.
function newBox(box) {
  setDrawing(null);
  const label = labelOfNew();
  changeAndSelectLast(edit.addBox(labelsNow(), label, box));
  say(`New box: ${label}. A digit or c gives another class.`);
}

// A new box without a pointer: a quarter of the image's width and height.
function boxInTheMiddle() {
  const [width, height] = labelsNow().size;
  newBox([width * 0.375, height * 0.375, width * 0.625, height * 0.625]);
}

// -- A polygon, vertex by vertex

// Adds a vertex at a place of the image; near the first one, the polygon ends.
function addToSketch(place) {
  const way = ([x, y]) => Math.hypot(place[0] - x, place[1] - y) * state.scale;
  const {sketch} = state;
  if (sketch.length > 2 && way(sketch[0]) <= CLOSE_WITHIN_PX) return endPolygon();
  if (sketch.length && way(sketch.at(-1)) < DRAG_FROM_PX) return null; // the second half of a double click
  const [width, height] = labelsNow().size;
  const inside = [Math.min(Math.max(place[0], 0), width), Math.min(Math.max(place[1], 0), height)];
  state.sketch = [...sketch, inside];
  return render();
}

// Makes the polygon of its vertices; without any, one in the middle of the image.
function endPolygon() {
  const {sketch} = state;
  if (sketch.length && sketch.length < 3) return say('A polygon has at least three vertices.');
  const [width, height] = labelsNow().size;
  const [x1, y1, x2, y2] = [width * 0.375, height * 0.375, width * 0.625, height * 0.625];
  const corners = sketch.length ? sketch : [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
  setDrawing(null);
  const label = labelOfNew();
  changeAndSelectLast(edit.addPolygon(labelsNow(), label, corners));
  return say(`New polygon: ${label}. A digit or c gives another class; . chooses a vertex.`);
}

function dropVertex() {
  state.sketch = state.sketch.slice(0, -1);
  render();
}

// -- Points, one name after the other

// The names that the points of an object, or of a new one (undefined), may have
function pointNamesOf(object) {
  return state.set.points_of_class[object?.label] ?? state.set.points;
}

// The names of points that the selected object (without one, a new one) still lacks, without those left out
function pointsToDraw() {
  const object = objectsNow()[state.selected];
  const names = edit.missingPoints(labelsNow(), object, pointNamesOf(object));
  return names.filter(name => !state.skipped.has(name));
}

// Whether points can be drawn now; says why not. A single object that lacks points is selected. Without an
// object, points are a new one, unless points depend on the class.
function canDrawPoints() {
  const objects = objectsNow();
  const lacks = object => edit.missingPoints(labelsNow(), object, pointNamesOf(object)).length;
  if (state.selected < 0 && objects.length === 1 && lacks(objects[0])) state.selected = 0;
  const object = objects[state.selected];
  if (!object && Object.keys(state.set.points_of_class).length) {
    say('Select the object first whose points are drawn: j, or a click. Or draw its box: b.');
  } else if (!pointNamesOf(object).length) {
    say(object ? `The class ${object.label} has no points here.` : 'No names of points are known here.');
  } else if (object && !lacks(object)) say('This object has all its points. Esc, then t draws others.');
  else return true;
  return false;
}

// Says which point comes next; where none is left, drawing ends.
function sayPoint() {
  const [name] = pointsToDraw();
  if (name === undefined) {
    setDrawing(null);
    return say('No point of this object is left to draw.');
  }
  return say(`Click ${name}; with Shift it is hidden. r leaves it out, ⏎ puts it in the middle, Esc ends.`);
}

// Adds the next point of the selected object, or the first one of a new object.
function placePoint(place, hidden = false) {
  const [name] = pointsToDraw();
  if (name === undefined) return sayPoint();
  const object = objectsNow()[state.selected];
  changeAndSelectLast(edit.addPoint(labelsNow(), object, name, place, hidden));
  if (pointsToDraw().length) return sayPoint();
  setDrawing(null);
  render();
  return say('All points are there. . and , choose one of them.');
}

// Puts the next point in the middle of its object, else of the image.
function pointInTheMiddle() {
  const object = objectsNow()[state.selected];
  const shapes = object?.shapes.map(k => labelsNow().shapes[k]) ?? [];
  const [x1, y1, x2, y2] = shapes.length ? edit.boundsOf(shapes) : [0, 0, ...labelsNow().size];
  placePoint([(x1 + x2) / 2, (y1 + y2) / 2]);
}

function skipPoint() {
  state.skipped.add(pointsToDraw()[0]);
  sayPoint();
}

function swapSides() {
  withObject(object => {
    const swapped = edit.swapSides(labelsNow(), object, state.set.pairs);
    if (swapped === labelsNow()) return say('This object has no points that change places in a mirror.');
    change(swapped);
    return say('Left and right are swapped.');
  });
}

// Undoes (-1) or does again (1), and saves that.
function travel(step) {
  const history = current().history;
  if (!(step < 0 ? history.undo() : history.redo())) return say('Nothing more to undo or redo.');
  endDrag();
  saveLater();
  render();
  return say(step < 0 ? 'Undone.' : 'Done again.');
}

// The labels after what a suspect proposes; the same ones where nothing of it can be done.
function afterSuspect(suspect) {
  return edit.applySuspect(labelsNow(), suspect, state.set.classes, state.set.pairs);
}

// Does what suspect `n` of the image proposes.
function followSuspect(n) {
  const suspect = suspectsNow()[n];
  if (!suspect) return say('No suspect is listed for this image.');
  const labels = afterSuspect(suspect);
  if (labels === labelsNow()) return say('The list proposes nothing that can be done by itself.');
  if (edit.imageLabels(labels).length > 1) state.set.several_labels = true;
  return change(labels);
}

// -- Keys: what is pressed, what it does, and what the help says

// by key: how far along x and y
const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

// The key, its text in the help (empty: not shown), what it does in words, and the function (null: `actionOf`
// handles it)
const KEYS = [
  ['Enter', '⏎', 'Accept all labels of the image, go to the next', acceptAndNext],
  ['n', 'n, or → without a selection', 'Next image', () => go(1)],
  ['p', 'p, or ← without a selection', 'Previous image', () => go(-1)],
  ['a', 'a', 'Accept the selected object; all, where none is selected', acceptObject],
  ['r', 'r or Delete', 'Reject the selected object, vertex or point', reject],
  ['X', 'Shift + x', 'Reject all drafts of the image', () => change(edit.rejectDrafts(labelsNow()))],
  ['s', 's', 'Do what the first suspect says', () => followSuspect(0)],
  ['j', 'j', 'Select the next object', () => select(state.selected + 1)],
  ['k', 'k', 'Select the previous object', () => select(state.selected < 0 ? -1 : state.selected - 1)],
  ['.', '. and ,', 'Choose the next or previous corner, vertex or point', () => selectHandle(1)],
  [',', '', '', () => selectHandle(-1)],
  ['', '← → ↑ ↓', 'Move it by a pixel; with Shift by 10', null],
  ['', '1 to 9', 'Give the selected object, or the image, this class', null],
  ['c', 'c', 'Type a class, also a new one', () => $('class-name').select()],
  ['b', 'b', 'New box', () => startDrawing('box')],
  ['g', 'g', 'New polygon', () => startDrawing('polygon')],
  ['t', 't', 'New points of the selected object, one after the other', () => startDrawing('points')],
  ['f', 'f', 'Swap left and right points of the selected object', swapSides],
  ['v', 'v', 'Point hidden or visible', () => onHandle(edit.toggleHidden)],
  ['e', 'e', 'Add a vertex behind the chosen one', () => onHandle(edit.addVertex)],
  ['u', 'u or Ctrl + z', 'Undo', () => travel(-1)],
  ['y', 'y or Ctrl + Shift + z', 'Do again', () => travel(1)],
  ['+', '+ and -', 'Zoom', () => zoom(1.5)],
  ['-', '', '', () => zoom(1 / 1.5)],
  ['Escape', 'Esc', 'Drop what the mouse drags; else the chosen corner, then the selection', () => drop()],
  ['?', '?', 'Show these keys', () => $('help').showModal()],
];
// by key: the function
const actions = Object.fromEntries(KEYS.filter(([key]) => key).map(([key, , , action]) => [key, action]));
Object.assign(actions, {Delete: reject, Backspace: reject, '=': actions['+']});
// What keys do while the pointer drags: they leave the labels alone, which are those that the drag began with
const dragActions = Object.fromEntries(['n', 'p', '+', '=', '-', 'Escape'].map(key => [key, actions[key]]));

// Esc: first ends a drag, which then has not happened; else drawing; else drops the handle, else the
// selection.
function drop() {
  if (drag) endDrag();
  else if (state.drawing) {
    setDrawing(null);
    say('');
  } else if (state.handle) state.handle = null;
  else state.selected = -1;
  render();
}

// What keys do while something is drawn, in place of `actions`: by key, a function
function drawingActions() {
  if (state.drawing === 'box') return {Enter: boxInTheMiddle};
  if (state.drawing === 'points') {
    return {Enter: pointInTheMiddle, r: skipPoint, Delete: skipPoint};
  }
  const hasVertices = state.drawing === 'polygon' && state.sketch.length;
  if (hasVertices) return {Enter: endPolygon, u: dropVertex, Backspace: dropVertex, Delete: dropVertex};
  return state.drawing === 'polygon' ? {Enter: endPolygon} : {};
}

// What a key does: a function without arguments; null or undefined for a key of the browser's.
function actionOf(event) {
  const {key} = event;
  if (drag) return event.ctrlKey || event.metaKey || event.altKey ? null : dragActions[key];
  if (event.ctrlKey || event.metaKey) {
    if (key.toLowerCase() === 'z') return () => travel(event.shiftKey ? 1 : -1);
    return key.toLowerCase() === 'y' ? () => travel(1) : null;
  }
  if (event.altKey) return null;
  if (key in steps) {
    if (state.selected < 0) return {ArrowLeft: () => go(-1), ArrowRight: () => go(1)}[key];
    const far = event.shiftKey ? 10 : 1;
    return () => moveBy(steps[key][0] * far, steps[key][1] * far);
  }
  if (/^[1-9]$/.test(key)) {
    const name = state.set.classes[key - 1];
    return name === undefined ? null : () => setClass(name);
  }
  const drawingAction = drawingActions()[key];
  if (drawingAction) return event.repeat ? () => {} : drawingAction;
  if (key === 'Enter' && event.repeat) return () => {}; // a key that is held accepts one image
  // with caps lock on, letters do the same; X has an action of its own
  return actions[key] ?? (/^[A-Z]$/.test(key) ? actions[key.toLowerCase()] : null);
}

// A key for the page: not one that is typed into a field, or pressed in a dialog or on a button.
function onKey(event) {
  if (!current() || document.querySelector('dialog[open]')) return;
  const {target} = event;
  if (target.closest('input, select, textarea')) {
    if (event.key === 'Escape') target.blur();
    return;
  }
  if (target.closest('button, a, summary') && ['Enter', ' '].includes(event.key)) return; // its own key
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  action();
}

// -- The mouse, a pen or a finger

// what the pointer does to the labels, or null. {origin: where it was pressed, pixels of the image; at: that,
// pixels of the window; moved: whether it has left that place; move: a function that takes a place in the
// image and gives the document, or null where nothing was hit}
let drag = null;

// Ends a drag: it has not happened. Whatever else puts labels in the place of those that it began with calls
// this, or the drag would bring those back.
function endDrag() {
  drag = null;
  state.preview = null;
}

// Where the pointer is, in pixels of the image.
function placeOf(event) {
  const box = $('drawing').getBoundingClientRect();
  return [(event.clientX - box.left) / state.scale, (event.clientY - box.top) / state.scale];
}

// Begins a new box, adds a vertex or point where such are drawn, or grips a handle of the selected object, or
// an object; else drops the selection.
function onPress(event) {
  if (event.button !== 0 || !current()) return;
  const origin = placeOf(event);
  const labels = labelsNow();
  const handle = event.target.closest('[data-handle]');
  const group = event.target.closest('[data-object]');
  drag = {origin, at: [event.clientX, event.clientY], moved: false, move: null};
  if (state.drawing === 'polygon') {
    drag = null;
    addToSketch(origin);
  } else if (state.drawing === 'points') {
    drag = null;
    placePoint(origin, event.shiftKey);
  } else if (state.drawing) {
    drag.move = ([x, y]) => edit.addBox(labels, state.lastLabel || state.set.classes[0] || 'object', [
      ...origin, x, y,
    ]);
  } else if (handle) {
    const {shape, handle: n} = handle.dataset;
    state.handle = {shape: Number(shape), n: Number(n)};
    const object = objectsNow()[state.selected];
    drag.move = ([x, y]) => edit.moveHandle(labels, object, Number(shape), Number(n), x, y);
  } else if (group) {
    [state.selected, state.handle] = [Number(group.dataset.object), null];
    const object = objectsNow()[state.selected];
    drag.move = ([x, y]) => edit.moveObject(labels, object, x - origin[0], y - origin[1]);
  } else {
    [state.selected, state.handle] = [-1, null];
  }
  event.preventDefault(); // no text is selected, and no image dragged
  $('frame').focus({preventScroll: true});
  if (drag) $('drawing').setPointerCapture(event.pointerId);
  render();
}

// Shows the labels as they would be if the pointer were released here, or the next side of a polygon.
function onMove(event) {
  if (state.drawing === 'polygon' && state.sketch.length) {
    state.pointer = placeOf(event);
    render();
  }
  if (!drag?.move) return;
  const way = Math.hypot(event.clientX - drag.at[0], event.clientY - drag.at[1]);
  if (!drag.moved && way < DRAG_FROM_PX) return;
  drag.moved = true;
  state.preview = drag.move(placeOf(event));
  render();
}

// Makes what the drag has shown a version of its own; after a click, no labels change.
function onRelease(event) {
  const ended = drag;
  drag = null;
  if (!ended?.moved) return;
  const labels = state.preview;
  state.preview = null;
  if (state.drawing) newBox([...ended.origin, ...placeOf(event)]);
  else change(labels);
}

// The browser took the pointer, as for a gesture of its own: the drag has not happened.
function onCancel() {
  endDrag();
  if (current()) render();
}

// -- Starting

// What a click on each button does; `onItem` is for the buttons of a list, whose number is in `data-<key>`.
function listenToButtons() {
  const buttons = {
    previous: () => go(-1), next: () => go(1), accept: acceptAndNext, undo: () => travel(-1),
    redo: () => travel(1), 'zoom-in': () => zoom(1.5), 'new-box': actions.b, 'new-polygon': actions.g,
    'new-points': actions.t, 'swap-sides': actions.f,
    'zoom-out': () => zoom(1 / 1.5), 'accept-object': acceptObject, reject, 'take-mine': takeMine,
    'hide-point': actions.v, 'add-vertex': actions.e, 'take-theirs': takeTheirs,
    'reject-drafts': actions.X, 'help-button': actions['?'],
  };
  for (const [id, action] of Object.entries(buttons)) $(id).addEventListener('click', () => action());
  const onItem = (id, key, action) => $(id).addEventListener('click', event => {
    const button = event.target.closest(`[data-${key}]`);
    if (button) action(Number(button.dataset[key]));
  });
  onItem('rows', 'position', n => show(state.order[n]));
  onItem('objects', 'object', select);
  onItem('suspects', 'suspect', followSuspect);
  onItem('classes', 'class', n => setClass(state.set.classes[n]));
}

function listen() {
  listenToButtons();
  $('class-form').addEventListener('submit', event => {
    event.preventDefault();
    setClass($('class-name').value);
    $('class-name').value = '';
    $('frame').focus({preventScroll: true});
  });
  $('filter').addEventListener('change', () => choose($('filter').value));
  $('drawing').addEventListener('pointerdown', onPress);
  $('drawing').addEventListener('pointermove', onMove);
  $('drawing').addEventListener('pointerup', onRelease);
  $('drawing').addEventListener('pointercancel', onCancel);
  $('drawing').addEventListener('dblclick', () => state.sketch.length > 2 && endPolygon());
  addEventListener('keydown', onKey);
  addEventListener('focus', refresh);
  addEventListener('resize', () => current() && (fit(), render()));
  addEventListener('beforeunload', event => {
    if (current() && isDirty(current())) event.preventDefault();
  });
}

// The list to begin with: suspects that were asked for, else the one that was shown last, else drafts, else
// all images
function firstList() {
  const kinds = ['suspects', 'drafts', 'all'].filter(kind => filtered(kind).length);
  if (kinds[0] !== 'suspects' && kinds.includes(state.set.place.show)) return state.set.place.show;
  return kinds[0];
}

// The image that was shown last, or the next draft where it is a draft no longer; undefined: the first of the
// list
function firstImage() {
  const last = state.set.images.findIndex(({name}) => name === state.set.place.image);
  const order = filtered($('filter').value);
  if (last < 0 || order.includes(last)) return last < 0 ? undefined : last;
  return $('filter').value === 'drafts' ? order.find(i => i > last) : undefined;
}

// Asks for the set, and shows the image to begin with.
async function start() {
  $('keys').replaceChildren(...KEYS.filter(([, text]) => text).map(([, text, help]) =>
    element('tr', {}, element('th', {scope: 'row'}, text), element('td', {}, help))));
  try {
    state.set = await (await ask('set')).json();
    $('folder').textContent = state.set.folder;
    $('saving').textContent = `${state.set.saved_to}. This happens by itself after each edit.`;
    listen();
    fillFilter();
    $('filter').value = firstList();
    await choose($('filter').value, firstImage());
  } catch (error) {
    problem(error.message);
    throw error;
  }
}

// For tests in a browser
window.corrections = {state, ready: start(), isDirty: () => isDirty(current())};
