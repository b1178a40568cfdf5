// The demo page. What is found is drawn over the image and listed beside it; worker.js runs the model.
//
// This file is the source. Edit it here: no notebook exports it, and every page gets a copy of it as it is.
// nbs/deploy/web/05_page_scripts.ipynb holds its reasons and its tests.
import {classColor, css, drawHeat, drawPrediction, objectColor, percent, pointColor} from './draw.js';
import {Follower, LOWEST_SCORE} from './follow.js';
import {alarmWords, labelThreshold} from './model.js';

// ## What differs by task

// What a model of each task does, in the words of the page.
const DOES = {
  classification: 'Says what an image shows',
  detection: 'Finds objects',
  segmentation: 'Finds objects and their outlines',
  keypoints: 'Finds objects and their points',
};
// of classification with several labels
const DOES_LABELS = 'Says which classes are in an image, none or several';
const SLOW = ['objects']; // decoders of networks for still images, too slow for a camera
const WITHOUT_OBJECTS = ['classification']; // a prediction holds all classes, not a list of objects

// The metrics a card may hold, the first of these that it has is shown.
const METRICS = {
  accuracy: 'accuracy',
  segm_map: 'mean average precision of masks',
  oks_map: 'mean average precision of points',
  map: 'mean average precision of boxes',
};

// ## Settings

const CAMERA = 'the camera';
const MAX_PIXELS = 16e6; // some devices refuse a larger canvas
const MAX_OBJECT_ROWS = 40; // in the list
const MAX_CLASS_ROWS = 10;
const SPOKEN_OBJECTS = 5; // named to a screen reader
const SPOKEN_CLASSES = 3;
const LOWEST_THRESHOLD = 0.05; // of the slider
const DEFAULT_THRESHOLD = 0.3; // where the card has none
const BUSY_AFTER = 150; // milliseconds until the page says that it is at work
const DEFAULT_FRAME_RATE = 30; // of a video, frames a second, where it is not known
const SHORTEST_LINE = 0.03; // share of the image; a shorter move of the pointer is a tap
const SLIDER_REST = 500; // milliseconds without a move of the slider until its result is spoken

// ## State

let card = null; // the model's
// the image on the page: {bitmap, prediction, ms, runs (as from `predict`), name, live (whether it is of a
// camera or video that runs)}; of a video also `rate` (images a second) and `marks` (its Follower, or null);
// with the map of `showLooks` also `heat`; null: none yet
let shown = null;
let active = null; // the object that stands out: its position in the prediction
let pressed = null; // the object whose button is pressed, likewise
let threshold = 0.5; // of the slider: objects with a lower score are not shown
let isBusy = false; // whether a still image is being predicted
let nextImage = null; // the still image that waits: {source, name, resolve}
let live = null; // the camera or video that runs: {video, name, frameRate, close}; null: none
let isTracking = false; // the objects of a camera or video get ids
let follower = null; // what gives them; null while nothing is followed
let line = null; // to count over: {start, end}, each [x, y] in shares of the image; null: none
let drawing = null; // the line that is being drawn, {start} or {start, end}; null: none is
let isStarting = false; // the browser asks whether the page may use the camera
let speechTimer = 0; // of the sentence that waits to be spoken
const shrunken = new WeakSet(); // bitmaps that were made smaller, because they had more than MAX_PIXELS

// ## Elements

function byId(id) {
  return document.getElementById(id);
}

// A new element with some properties and children.
function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// A small field in a color (CSS).
function makeSwatch(color) {
  const swatch = make('span', {className: 'swatch'});
  swatch.style.background = color;
  return swatch;
}

// Whether the model finds objects; else it gives each class a probability.
function detects() {
  return !WITHOUT_OBJECTS.includes(card.task);
}

// ## Talking to the worker

// A worker that is born from a blob inherits the page's policy.
function startWorker() {
  const script = new URL('worker.js', import.meta.url).href;
  const blob = new Blob([`import ${JSON.stringify(script)};`], {type: 'text/javascript'});
  return new Worker(URL.createObjectURL(blob), {type: 'module'});
}

const worker = startWorker();
const waiting = new Map(); // by number of the request: {resolve, reject}
let nRequests = 0;

// Have the worker do a step (a key of its `steps`) with some data: the promise of its result.
// The objects in `transfer` move to the worker.
function ask(step, data, transfer = []) {
  return new Promise((resolve, reject) => {
    nRequests += 1;
    waiting.set(nRequests, {resolve, reject});
    worker.postMessage({id: nRequests, step, ...data}, transfer);
  });
}

// An answer {id, result} or {id, error: a text}, or how much was fetched: {progress}
worker.onmessage = ({data}) => {
  if (data.progress) {
    showProgress(data.progress);
    return;
  }
  const {resolve, reject} = waiting.get(data.id);
  waiting.delete(data.id);
  if ('error' in data) reject(new Error(data.error));
  else resolve(data.result);
};

// A worker that cannot start answers no request
worker.onerror = event => {
  const reason = event.message || 'a file of the page is missing, or the browser is too old';
  const error = new Error(`The page's worker does not run (${reason}).`);
  for (const {reject} of waiting.values()) reject(error);
  waiting.clear();
};

// ## Opening images

// The bitmap of an image file, made smaller to MAX_PIXELS where it has more; `name` is for the message.
async function toBitmap(blob, name) {
  const asInFile = {imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none'};
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, asInFile);
  } catch {
    throw new Error(
      `“${name}” is no image this browser can read. JPEG, PNG, WebP and GIF work everywhere.`,
    );
  }
  const scale = Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height));
  return scale < 1 ? shrink(bitmap, scale) : bitmap;
}

// A bitmap with sides `scale` times as long; the one given is closed.
async function shrink(bitmap, scale) {
  const small = await createImageBitmap(bitmap, {
    resizeWidth: Math.floor(bitmap.width * scale),
    resizeHeight: Math.floor(bitmap.height * scale),
    resizeQuality: 'high',
  });
  bitmap.close();
  shrunken.add(small);
  return small;
}

// The bitmap of an image at an address.
async function fromUrl(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched: the server answers ${response.status}.`);
  return toBitmap(await response.blob(), decodeURIComponent(String(url).split('/').pop()));
}

// What the model finds in a bitmap, which stays as it is: {prediction, ms, runs}, see `predictOne` in
// model.js, also for `options`. Without `tiles` among these, the card and the button of the page decide.
async function predict(bitmap, options) {
  const copy = await createImageBitmap(bitmap); // the worker closes its own
  const tiles = readsInTiles() ? {} : {tiles: false};
  return ask('predict', {bitmap: copy, options: {...tiles, ...options}}, [copy]);
}

// ## Saying what was found

// Positions, in the prediction, of the objects or classes that are shown, the highest score first
function shownOrder() {
  const {scores, found} = shown.prediction;
  if (found) return found; // several labels an image, each with a threshold of its own
  const isShown = i => !detects() || scores[i] >= threshold;
  return [...scores.keys()].filter(isShown).sort((a, b) => scores[b] - scores[a]);
}

// Draw the image with what is shown of its prediction
function draw() {
  if (!shown) return;
  byId('image').hidden = false;
  byId('hint').hidden = true;
  const {bitmap, prediction, marks} = shown;
  drawPrediction(byId('image'), bitmap, prediction, card, shownOrder(), active, marks && lineMarks(marks));
  if (shown.heat) drawHeat(byId('image'), shown.heat);
}

// Have a screen reader say a text after `wait` milliseconds, in place of a text that still waits
function speak(text, wait = 0) {
  clearTimeout(speechTimer);
  speechTimer = setTimeout(() => {
    byId('spoken').textContent = text;
  }, wait);
}

// Let object `i` stand out; null: none
function highlight(i) {
  active = i;
  draw();
}

// A row of the list for object or class `i`: color, name and score, with a bar as long as the score.
// `isFirst`: whether it is the first row, which stands out where an image has one class
function makeRow(i, isFirst) {
  const {labels, scores, found} = shown.prediction;
  const color = css(objectColor(card, shown.prediction, i));
  const bar = make('span', {className: 'bar'});
  bar.style.width = `${100 * scores[i]}%`;
  const isButton = detects() && !shown.live;
  const row = make(
    isButton ? 'button' : 'div',
    {className: `item${isFirst && !detects() && !found ? ' first' : ''}`},
    bar,
    ...(found ? [thresholdMark(i)] : []),
    makeSwatch(color),
    make('span', {className: 'name', textContent: nameAndId(labels[i], shown.prediction.ids?.[i])}),
    make('span', {className: 'score', textContent: percent(scores[i])}),
  );
  if (isButton) listenToRow(row, i);
  return row;
}

// A mark below the name of class `i`, at the score from which on it counts as found
function thresholdMark(i) {
  const mark = make('span', {className: 'mark'});
  mark.style.left = `${100 * labelThreshold(card.thresholds, i)}%`;
  return mark;
}

// An object stands out under the pointer or the focus; pressed, it stays so
function listenToRow(row, i) {
  row.type = 'button';
  row.setAttribute('aria-pressed', pressed === i);
  row.onpointerenter = () => highlight(i);
  row.onfocus = row.onpointerenter;
  row.onpointerleave = () => highlight(pressed);
  row.onblur = row.onpointerleave;
  row.onclick = () => {
    pressed = pressed === i ? null : i;
    highlight(pressed);
    for (const other of byId('list').querySelectorAll('button')) {
      other.setAttribute('aria-pressed', other === row && pressed === i);
    }
  };
}

// List what is shown, and say it after `wait` milliseconds; before the camera it is not said
function showList(wait) {
  if (!shown) return;
  const order = shownOrder();
  const rows = listedOrder(order).map(i => make('li', {}, makeRow(i, i === order[0])));
  byId('list').replaceChildren(...rows);
  byId('summary').textContent = summaryWords(order);
  const words = spokenWords(order);
  byId('image').setAttribute('aria-label', words);
  if (!shown.live) speak(words, wait);
}

// The positions of `order` for which the list has rows, the first ones. Before the camera, tracked objects
// and a few classes keep their places: rows that jump could not be read
function listedOrder(order) {
  const keepsPlaces = shown.live && (shown.prediction.ids || (!detects() && order.length <= MAX_CLASS_ROWS));
  const listed = keepsPlaces ? [...order].sort((a, b) => a - b) : order; // tracked objects are sorted by id
  return listed.slice(0, detects() ? MAX_OBJECT_ROWS : MAX_CLASS_ROWS);
}

// What to say where no object is shown; `nHidden` objects have lower scores
function nothingWords(nHidden) {
  if (!nHidden) return 'Nothing found.';
  return `Nothing with a score of at least ${percent(threshold)}; ${nHidden} with a lower score.`;
}

// The sentence above a list of labels, of which an image may have several; `order` as from `shownOrder`
function labelWords(order, source) {
  if (!order.length) return `None of the classes is found in ${source}. ${nearestWords()}`;
  const classes = order.length === 1 ? 'class' : 'classes';
  return `In ${source}: ${order.length} ${classes}. The mark on a bar is the score from which on it counts.`;
}

// Which class comes nearest to its threshold, where none reaches it
function nearestWords() {
  const {scores} = shown.prediction;
  const least = i => labelThreshold(card.thresholds, i);
  const [nearest] = [...scores.keys()].sort((a, b) => scores[b] / least(b) - scores[a] / least(a));
  const score = percent(scores[nearest]);
  const from = percent(least(nearest));
  return `Nearest is ${card.labels.names[nearest]}: ${score}, and it counts from ${from} on.`;
}

// Where the shown image is from, in words
function sourceWords() {
  return shown.name === CAMERA ? CAMERA : `“${shown.name}”`;
}

// The sentence above the list; `order` as from `shownOrder`
function summaryWords(order) {
  const source = sourceWords();
  if (shown.prediction.found) return labelWords(order, source);
  if (!detects()) return `What ${source} shows, by probability.`;
  const nHidden = shown.prediction.scores.length - order.length;
  if (!order.length) return nothingWords(nHidden);
  const objects = order.length === 1 ? 'object' : 'objects';
  const hidden = nHidden ? `, ${nHidden} more with a lower score` : '';
  return `In ${source}: ${order.length} ${objects}${hidden}.`;
}

// What a screen reader says of the image; `order` as from `shownOrder`
function spokenWords(order) {
  const {scores, labels, found} = shown.prediction;
  if (!order.length) return found ? labelWords(order, sourceWords()) : nothingWords(scores.length);
  const nameOf = i => `${card.labels.names[labels[i]]} ${percent(scores[i])}`;
  const count = detects() && order.length > 1 ? ` ${order.length} objects.` : '';
  const most = detects() || found ? SPOKEN_OBJECTS : SPOKEN_CLASSES;
  const named = order.slice(0, most).map(nameOf);
  const more = most === SPOKEN_OBJECTS && order.length > most ? ' and more' : '';
  const unlike = shown.prediction.unlikeness > 1 ? '. It is unlike the images it learnt from' : '';
  return `${shown.name}:${count} ${named.join(', ')}${more}${unlike}`;
}

// A duration in words; `t` is in milliseconds
function milliseconds(t) {
  if (t < 9.95) return `${t.toFixed(1)} ms`;
  if (t < 1000) return `${Math.round(t)} ms`;
  return `${(t / 1000).toFixed(1)} s`;
}

// Show how long the image that is shown took
function showTime() {
  const {prepare, run, decode} = shown.ms;
  byId('time').hidden = false;
  byId('total').textContent = `${milliseconds(prepare + run + decode)} for this image${rateWords()}`;
  const parts = Object.entries({prepare, network: run, decode});
  // no line ends within a part
  const words = parts.map(([name, t]) => `${name} ${milliseconds(t)}`.replaceAll(' ', '\u00a0'));
  byId('parts').textContent = words.join(' · ');
}

// How many images a second a camera or video gets, after a comma; empty for a still image
function rateWords() {
  if (!shown.live) return '';
  return `, ${shown.rate.toFixed(shown.rate < 9.95 ? 1 : 0)} images a second`;
}

// ## Looking at an image

// Predict and show a still image; `source` is a function that gives a bitmap or its promise, `name` null for
// that of the image which is shown. What fails is shown.
// While an image is being predicted, the last one that comes waits, and those before it are left out.
async function predictAndShow(source, name) {
  if (isBusy) return predictLater(source, name);
  isBusy = true;
  hideError();
  const timer = setTimeout(() => {
    byId('busy').hidden = false;
  }, BUSY_AFTER);
  try {
    const bitmap = await source();
    const found = await predict(bitmap, {scoreThreshold: LOWEST_THRESHOLD});
    show({...found, bitmap, name: name ?? shown.name, live: false});
  } catch (error) {
    showError(error.message);
  }
  clearTimeout(timer);
  byId('busy').hidden = true;
  isBusy = false;
  await predictWaiting();
}

// Let an image wait, in place of one that waits already; the promise ends when it is shown or left out
function predictLater(source, name) {
  nextImage?.resolve();
  return new Promise(resolve => {
    nextImage = {source, name, resolve};
  });
}

// Predict the image that waits, if there is one
async function predictWaiting() {
  if (!nextImage) return;
  const {source, name, resolve} = nextImage;
  nextImage = null;
  resolve(await predictAndShow(source, name));
}

// Show an image with its prediction, in place of the one before; `result` has the form of `shown`. A bitmap
// that is not shown any more is closed
function show(result) {
  if (!result.live) clearHighlight();
  if (shown && shown.bitmap !== result.bitmap) shown.bitmap.close();
  shown = result;
  byId('looks').setAttribute('aria-pressed', false);
  byId('looks').hidden = detects() || shown.live;
  byId('look-words').textContent = '';
  draw();
  showList();
  showTime();
  showTiles();
  showUnlike();
}

// What covering the parts of a bitmap does to the score of a class: as `occlude` of a model gives it
async function occlude(bitmap, label) {
  const copy = await createImageBitmap(bitmap); // the worker closes its own
  return ask('occlude', {bitmap: copy, label}, [copy]);
}

// Show which parts of the image speak for the class with the highest score, or stop showing them
async function switchLooks() {
  const image = shown;
  if (!image || image.live || isBusy) return;
  if (image.heat) return show({...image, heat: null});
  byId('busy').hidden = false;
  try {
    const found = await occlude(image.bitmap);
    if (shown === image) showLooks(found);
  } catch (error) {
    showError(error.message);
  }
  byId('busy').hidden = true;
}

// Lay the map over the image; parts without which the score is higher stay as they are. From what `occlude`
// gives
function showLooks({label, before, drops, ms}) {
  const most = Math.max(...drops);
  shown.heat = drops.map(drop => (most > 0 ? Math.max(0, drop) / most : 0));
  byId('looks').setAttribute('aria-pressed', true);
  const name = card.labels.names[label];
  const words =
    `Covered ${drops.length} parts of the image, one after the other, in ${milliseconds(ms)}. Without the ` +
    `hottest part, ${name} has ${percent(before - most)} instead of ${percent(before)}.`;
  byId('look-words').textContent = words;
  speak(words);
  draw();
}

// Whether large images are cut into tiles: the model says so, and nobody switched it off
function readsInTiles() {
  return Boolean(card.tiles) && byId('in-tiles').getAttribute('aria-pressed') === 'true';
}

// Switch tiles on or off, and look at a still image again
function switchTiles() {
  byId('in-tiles').setAttribute('aria-pressed', !readsInTiles());
  if (shown && !live) return predictAndShow(() => shown.bitmap, null);
}

// Say that the image is unlike those that the model has learnt from, where it is
function showUnlike() {
  const isUnlike = shown.prediction.unlikeness > 1 && !shown.live; // of a camera it would flicker
  byId('unlike').hidden = !isUnlike;
  byId('unlike').textContent = isUnlike ? unlikeWords() : '';
}

// What `showUnlike` says, and how often it is said of ordinary images
function unlikeWords() {
  const what = 'This image is unlike those that the model has learnt from';
  return `${what}: the result may be worth less (${alarmWords(card.known_images)}).`;
}

// Say how the image that is shown was read
function showTiles() {
  byId('tile-words').textContent = card.tiles && tileWords(shown);
}

// How a result (see `shown`) was read, as a sentence
function tileWords({runs, bitmap}) {
  const {size, whole} = card.tiles;
  const megapixels = MAX_PIXELS / 1e6;
  const less = shrunken.has(bitmap) ? ` It was made smaller first, to ${megapixels} million pixels.` : '';
  if (!readsInTiles()) return `The image was read as a whole.${less}`;
  if (!(runs > 1)) return `The image fits into one tile of ${size} pixels.${less}`;
  const n = whole ? runs - 1 : runs;
  return `Read in ${n} tiles of ${size} pixels${whole ? ', and as a whole' : ''}.${less}`;
}

// Let no object stand out; draws nothing
function clearHighlight() {
  active = null;
  pressed = null;
}

// Mark a sample image as the chosen one; null: none
function markThumbnail(button) {
  for (const other of byId('thumbnails').querySelectorAll('button')) {
    other.setAttribute('aria-pressed', other === button);
  }
}

// Show a message, where it is seen
function showError(text) {
  byId('error').textContent = text;
  byId('error').hidden = false;
  byId('error').scrollIntoView({block: 'nearest'});
}

function hideError() {
  byId('error').hidden = true;
}

// ## The camera

// What to say, by the name of the browser's error
const CAMERA_ERRORS = {
  NotAllowedError:
    'The camera was not allowed. ' +
    'The browser asks again after its permission for this page is reset (beside the address).',
  NotFoundError: 'No camera was found.',
  NotReadableError: 'The camera is in use by another program.',
  OverconstrainedError: 'The camera does not fit.',
};

// Ask for the camera, and run it until it is stopped; what fails is shown
async function startCamera() {
  if (isStarting) return; // not a disabled button, which would lose the focus
  hideError();
  if (!navigator.mediaDevices?.getUserMedia) {
    showError('Browsers give the camera only to pages from https:// or from localhost.');
    return;
  }
  const stream = await openCamera();
  if (!stream) return;
  const [track] = stream.getVideoTracks();
  track.onended = stopVideo;
  const video = make('video', {muted: true, playsInline: true, srcObject: stream});
  const {frameRate = DEFAULT_FRAME_RATE} = track.getSettings();
  await runVideo({video, name: CAMERA, frameRate, close: () => track.stop()});
}

// The stream of the camera; null where there is none, after a message
async function openCamera() {
  isStarting = true;
  try {
    const video = {facingMode: 'environment', width: {ideal: 640}}; // on a phone, the camera of its back
    return await navigator.mediaDevices.getUserMedia({video, audio: false});
  } catch (error) {
    showError(CAMERA_ERRORS[error.name] ?? `The camera does not start: ${error.message}`);
    return null;
  } finally {
    isStarting = false;
  }
}

// Play a video file, and predict as many of its frames as the model has time for
async function openVideo(file) {
  hideError();
  const video = make('video', {muted: true, playsInline: true, src: URL.createObjectURL(file)});
  const close = () => {
    video.pause();
    URL.revokeObjectURL(video.src);
  };
  await runVideo({video, name: file.name, frameRate: DEFAULT_FRAME_RATE, close});
}

// Predict and show the frames of a camera or video (see `live`) until it ends or is stopped
async function runVideo(opened) {
  live = opened;
  showVideoOn();
  try {
    await opened.video.play();
    await watch(opened);
  } catch (error) {
    if (live === opened) showError(videoError(opened, error));
  }
  if (live === opened) stopVideo(); // it may have been stopped, and another one started, meanwhile
}

// What to say where a camera or video (see `live`) failed with an error
function videoError({video, name}, error) {
  if (name === CAMERA) return `The camera stopped: ${error.message}`;
  return video.error || error.name === 'NotSupportedError'
    ? `“${name}” is no video this browser can play. MP4 with H.264 works in most.`
    : `“${name}” stopped: ${error.message}`;
}

// Show, and say, that the camera or video runs
function showVideoOn() {
  byId('camera').hidden = false;
  byId('camera').textContent = live.name === CAMERA ? 'Stop the camera' : 'Stop the video';
  byId('camera').setAttribute('aria-pressed', true);
  markThumbnail(null);
  clearHighlight();
  setTracking(isTracking);
  speak(live.name === CAMERA ? 'The camera is on.' : 'The video runs.');
}

// Predict and show frame after frame of `opened`, until the camera or video is stopped or ends
async function watch(opened) {
  const {video} = opened;
  let rate = 0; // images a second
  let before = performance.now();
  let lastS = -1; // the time of the last frame: one that has not changed is not predicted again
  while (live === opened && !video.ended) {
    await new Promise(requestAnimationFrame);
    const timeS = video.currentTime;
    if (!video.videoWidth || timeS === lastS) continue;
    lastS = timeS;
    const bitmap = await createImageBitmap(video);
    const found = await predict(bitmap, {scoreThreshold: lowestScore()});
    const now = performance.now();
    const current = 1000 / (now - before);
    rate = rate ? 0.8 * rate + 0.2 * current : current; // a moving mean, which can be read
    before = now;
    if (live === opened) showFrame({...found, bitmap, name: opened.name, rate}, timeS);
    else bitmap.close();
  }
}

// The score from which on objects are asked for: with tracking, doubtful ones help to follow others
function lowestScore() {
  return follower ? Math.min(threshold, LOWEST_SCORE) : threshold;
}

// Show a frame with what was found in it, and follow that where tracking is on. `result` has the form of
// `shown`, without `live` and `marks`; `timeS` are the seconds of the frame.
function showFrame(result, timeS) {
  const followed = follower?.update(result.prediction, timeS);
  const prediction = followed?.prediction ?? result.prediction;
  show({...result, prediction, live: true, marks: follower});
  if (followed) showCounts(followed.crossings);
}

// Stop the camera or video, if one runs; its last frame stays
function stopVideo() {
  if (!live) return;
  live.close();
  live = null;
  follower = null;
  endDrawing();
  byId('tracking').hidden = true;
  byId('camera').hidden = isSlow();
  byId('camera').textContent = 'Use the camera';
  byId('camera').setAttribute('aria-pressed', false);
  if (!shown?.live) return;
  shown.live = false; // the last frame stays, as a still image
  showList();
  showTime();
}

// ## Tracking and counting

// Switch tracking on or off; every time it begins anew
function setTracking(on) {
  isTracking = on;
  follower = on && live && detects() ? new Follower(live.frameRate, line) : null;
  endDrawing();
  byId('tracking').hidden = !live || !detects();
  byId('track').setAttribute('aria-pressed', on);
  for (const name of ['draw-line', 'middle-line']) byId(name).hidden = !on;
  byId('remove-line').hidden = !on || !line;
  byId('counted').hidden = !follower;
  if (follower) showCounts([]);
}

// A class with the id of an object; without an id the class alone
function nameAndId(label, id) {
  return id === undefined ? card.labels.names[label] : `${card.labels.names[label]} ${id}`;
}

// What `drawPrediction` draws of a Follower: its trails, and the line, or the one that is being drawn
function lineMarks(marks) {
  const drawn = drawing?.end ? drawing : marks.line;
  return {trails: marks.trails, line: drawn, words: drawing?.end ? '' : countWords(marks.counts())};
}

function countWords(counts) {
  return `in ${counts.in}  out ${counts.out}`;
}

// Show how many ids there are, who is lost and who passed the line; a screen reader says the new `crossings`
function showCounts(crossings) {
  byId('followed').textContent = followedWords();
  byId('counts').hidden = !line;
  if (!line) return;
  const rowOf = label => countRow(card.labels.names[label], follower.counts(label));
  const rows = follower.countedLabels().map(rowOf);
  byId('count-rows').replaceChildren(...rows, countRow('all', follower.counts()));
  if (!crossings.length) return;
  const passed = crossings.map(({id, label, direction}) => `${nameAndId(label, id)} ${direction}`);
  speak(`${passed.join(', ')}. All: ${countWords(follower.counts())}.`);
}

// How many objects were followed, and which of them are not seen now
function followedWords() {
  const n = follower.nIds();
  const lost = follower.lost().map(({id, label}) => nameAndId(label, id));
  const missing = lost.length ? ` Lost just now: ${lost.slice(0, SPOKEN_OBJECTS).join(', ')}.` : '';
  return `${n} ${n === 1 ? 'object' : 'objects'} followed so far.${missing}`;
}

// A row of the table of counts {in, out}
function countRow(name, counts) {
  const cells = [counts.in, counts.out].map(n => make('td', {textContent: n}));
  return make('tr', {}, make('th', {scope: 'row', textContent: name}), ...cells);
}

// ## The line

// Count over a line from now on; null: over none
function setLine(next) {
  line = next;
  follower?.setLine(line);
  endDrawing();
  byId('remove-line').hidden = !line;
  if (follower) showCounts([]);
  sayOfLine(line ? 'The line counts. Its arrow points to “in”.' : 'The line is removed.');
  draw();
}

// A line down the middle; pressed again, one across the middle
function setMiddleLine() {
  const isDown = line?.start.join() === '0.5,0' && line.end.join() === '0.5,1';
  setLine(isDown ? {start: [0, 0.5], end: [1, 0.5]} : {start: [0.5, 0], end: [0.5, 1]});
}

// Let the user draw a line on the image, by dragging or by two taps
function startDrawing() {
  drawing = {};
  byId('draw-line').setAttribute('aria-pressed', true);
  byId('image').classList.add('crossed');
  sayOfLine('Drag over the image, or tap its two ends. “Line in the middle” needs no pointer.');
}

// Leave drawing; a line that was begun is dropped
function endDrawing() {
  drawing = null;
  byId('draw-line').setAttribute('aria-pressed', false);
  byId('image').classList.remove('crossed');
  byId('line-hint').hidden = true;
}

// Show a sentence about the line, and have a screen reader say it
function sayOfLine(text) {
  byId('line-hint').hidden = false;
  byId('line-hint').textContent = text;
  speak(text);
}

// Where a pointer is, in shares of the image
function shareAt({clientX, clientY}) {
  const {left, top, width, height} = byId('image').getBoundingClientRect();
  const within = v => Math.max(0, Math.min(v, 1));
  return [within((clientX - left) / width), within((clientY - top) / height)];
}

// Whether two points, in shares of the image, are far enough apart for a line
function isLong([x1, y1], [x2, y2]) {
  return Math.hypot(x2 - x1, y2 - y1) >= SHORTEST_LINE;
}

// A press begins the line, or moves its end where it has begun
function pressImage(event) {
  if (!drawing) return;
  event.preventDefault();
  byId('image').setPointerCapture(event.pointerId);
  if (drawing.start) moveEnd(event);
  else drawing = {start: shareAt(event)};
}

// Move the end of the line that is being drawn to the pointer
function moveEnd(event) {
  if (!drawing?.start) return;
  drawing.end = shareAt(event);
  draw();
}

// The end of a drag or of the second tap ends the line; after the first tap the other end is awaited
function releaseImage(event) {
  if (!drawing?.start) return;
  const {start} = drawing;
  const end = shareAt(event);
  if (isLong(start, end)) setLine({start, end});
  else sayOfLine('Now the other end.');
}

// ## Where images come from

// Look at a File, an image or a video, in place of what is shown
function openFile(file) {
  stopVideo();
  markThumbnail(null);
  byId('counted').hidden = true;
  if (file.type.startsWith('video/') && !isSlow()) return openVideo(file);
  return predictAndShow(() => toBitmap(file, file.name), file.name || 'pasted image');
}

// Show a button for each sample image; `paths` are those of config.json
function listSamples(paths) {
  byId('samples').hidden = !paths.length;
  byId('thumbnails').replaceChildren(...paths.map(makeThumbnail));
}

// An element of the list with the button of sample image number `k`, from 0
function makeThumbnail(path, k) {
  const url = new URL(path, document.baseURI).href;
  const name = decodeURIComponent(path.split('/').pop());
  const image = make('img', {src: url, alt: `Sample ${k + 1}: ${name}`, loading: 'lazy'});
  const button = make('button', {type: 'button', disabled: true, title: name}, image);
  button.setAttribute('aria-pressed', false);
  button.onclick = () => {
    stopVideo();
    markThumbnail(button);
    byId('counted').hidden = true;
    byId('image').scrollIntoView({block: 'nearest'});
    return predictAndShow(() => fromUrl(url), name);
  };
  return make('li', {}, button);
}

// Connect the controls and the page's events to their functions
function listen() {
  byId('file').onchange = openChosenFile;
  byId('camera').onclick = () => (live ? stopVideo() : startCamera());
  byId('track').onclick = () => setTracking(!isTracking);
  byId('draw-line').onclick = () => (drawing ? endDrawing() : startDrawing());
  byId('middle-line').onclick = setMiddleLine;
  byId('remove-line').onclick = () => setLine(null);
  byId('image').onpointerdown = pressImage;
  byId('image').onpointermove = moveEnd;
  byId('image').onpointerup = releaseImage;
  addEventListener('keydown', event => {
    if (event.key === 'Escape') endDrawing();
  });
  byId('threshold').oninput = moveThreshold;
  byId('in-tiles').onclick = switchTiles;
  byId('looks').onclick = switchLooks;
  byId('engine').onchange = reloadWithEngine;
  addEventListener('dragover', event => {
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  addEventListener('dragleave', event => {
    // null where the pointer leaves the page
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  });
  addEventListener('drop', openDroppedFile);
  addEventListener('paste', openPastedFile);
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(byId('frame'));
}

function openChosenFile() {
  const [file] = byId('file').files;
  if (file) openFile(file);
  byId('file').value = ''; // so that the same file can be chosen again
}

// Look at a file that was dropped on the page
function openDroppedFile(event) {
  event.preventDefault();
  document.body.classList.remove('dropping');
  const file = event.dataTransfer?.files[0];
  if (!card) showError('The model is not ready yet.');
  else if (file) openFile(file);
  else showError('What was dropped is no file. Save the image first, and drop the file.');
}

// Look at a file that was pasted; text is left alone
function openPastedFile(event) {
  const file = event.clipboardData?.files[0];
  if (file && card) openFile(file);
}

// The slider was moved: show other objects at once, and say them when it rests
function moveThreshold() {
  setThreshold(Number(byId('threshold').value));
  draw();
  showList(SLIDER_REST);
}

// Set the slider and what stands beside it
function setThreshold(value) {
  threshold = value;
  byId('threshold').value = value;
  byId('threshold').setAttribute('aria-valuetext', percent(value));
  byId('threshold-value').textContent = percent(value);
}

// Load the page again with the chosen engine in its address
function reloadWithEngine() {
  const url = new URL(location);
  url.searchParams.delete('provider');
  const provider = byId('engine').value;
  if (provider) url.searchParams.set('provider', provider);
  location.assign(url);
}

// ## About the model

// Show what the model is. `note` says why it does not run on the graphics card, or is empty; `bytes` is the
// size of its file.
function showCard({provider, threads, note, bytes}) {
  const {names} = card.labels;
  const points = card.labels.skeleton?.points ?? [];
  byId('about').textContent = aboutWords(provider, threads, note);
  // masks have a color each, not one of their class
  const swatches = i => (card.task === 'segmentation' ? [] : [makeSwatch(css(classColor(card, i)))]);
  const classItems = names.map((name, i) => make('li', {}, ...swatches(i), name));
  byId('classes').replaceChildren(...classItems);
  byId('points').hidden = !points.length;
  const pointItems = points.map((name, k) => make('li', {}, makeSwatch(pointColor(k, points.length)), name));
  byId('points').replaceChildren(...pointItems);
  const facts = Object.entries(factsOf(provider, threads, bytes)).filter(([, text]) => text);
  byId('facts').replaceChildren(...facts.flatMap(makeFact));
}

// A term and its text, as elements of a list of terms
function makeFact([term, text]) {
  return [make('dt', {textContent: term}), make('dd', {textContent: text})];
}

// The sentences below the title
function aboutWords(provider, threads, note) {
  const {names} = card.labels;
  const does = card.labels.multi_label ? DOES_LABELS : (DOES[card.task] ?? card.task);
  const classes = names.length === 1 ? `one class, ${names[0]}` : `${names.length} classes`;
  const reason = note ? ` ${note}` : '';
  return `${does}: ${classes}. Runs in this browser, on ${engineWords(provider, threads)}.${reason}`;
}

// What the model runs on
function engineWords(provider, threads) {
  if (provider === 'webgpu') return 'the graphics card (WebGPU)';
  return `the processor (WebAssembly, ${threads === 1 ? 'one thread' : `${threads} threads`})`;
}

// By term: what the page tells about the model; empty texts are left out
function factsOf(provider, threads, bytes) {
  const {size, channels = 'RGB'} = card.preprocess;
  const versions = Object.entries(card.versions ?? {});
  const couldUseMore = threads === 1 && provider === 'wasm' && navigator.hardwareConcurrency > 1;
  return {
    Network: `${card.architecture}, ${megabytes(bytes)} MB`,
    Quality: metricWords(card),
    Scores: scoreWords(card),
    'Counts as found': labelThresholdWords(card),
    'Looks at': `${size} × ${size} pixels, ${channels}; ${partWords()}, scaled and padded to a square`,
    Precision: precisionWords(card),
    'Made with': versions.map(pair => pair.join(' ')).join(', '),
    Threads: couldUseMore
      ? 'one; a server that sends the headers of cross-origin isolation would allow more'
      : '',
  };
}

// From which score on each class counts, where an image may have several; empty for any other model
function labelThresholdWords({labels: {multi_label: several, names}, thresholds}) {
  if (!several) return '';
  const words = names.map((name, i) => `${name} from ${percent(labelThreshold(thresholds, i))} on`);
  return words.slice(0, 2 * MAX_CLASS_ROWS).join(', ') + (words.length > 2 * MAX_CLASS_ROWS ? ' …' : '');
}

// What of an image the network sees at once
function partWords() {
  if (!card.tiles) return 'the whole image';
  return `of images larger than ${card.tiles.size} pixels, overlapping tiles of that side`;
}

// How good the model is, by the first metric in METRICS that its card has, with the 95 % interval from `_low`
// to `_high` where there is one
function metricWords({metrics = {}, labels}) {
  const key = Object.keys(METRICS).find(name => Number.isFinite(metrics[name]));
  if (!key) return 'not stated';
  const words = value => (key === 'accuracy' ? percent(value) : value.toFixed(2));
  const low = metrics[`${key}_low`];
  const high = metrics[`${key}_high`];
  const interval = Number.isFinite(low) ? ` (${words(low)} to ${words(high)} at 95 % confidence)` : '';
  const count = metrics.n_images ? ` on ${metrics.n_images} images it had not learnt from` : '';
  const name = labels.multi_label ? 'mean average precision of the classes' : METRICS[key];
  return `${name} ${words(metrics[key])}${interval}${count}`;
}

// How well scores say how often the model is right; empty where no calibration was measured. `before` and
// `after` are an error and the ends of its interval
function scoreWords({calibration}) {
  const {ece_before: before, ece_after: after} = calibration?.measured ?? {};
  if (!before || !after) return '';
  const errors = `${after[0].toFixed(3)}, and ${before[0].toFixed(3)} before they were moved`;
  return `say how often it is right, with a mean error of ${errors}`;
}

// The precision of a file that was made smaller; empty for any other
function precisionWords({precision: {kind, metric, before, after} = {}}) {
  if (!kind) return '';
  if (!metric) return kind;
  return `${kind}; ${metric} ${after?.toFixed(3)}, and ${before?.toFixed(3)} before it was made smaller`;
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

// Show how much of the model and the engine has arrived, in bytes; a total of 0 is unknown
function showProgress({loaded, total}) {
  if (total) byId('progress').value = loaded / total;
  else byId('progress').removeAttribute('value'); // activity without a percentage
  byId('fetching').textContent = progressWords(loaded, total);
}

// What is being waited for; `total` 0: not known
function progressWords(loaded, total) {
  if (total && loaded >= total) return 'Getting the model ready';
  return `Fetching the model: ${megabytes(loaded)}${total ? ` of ${megabytes(total)}` : ''} MB`;
}

// ## Starting

// What differs from page to page: {model (an address), samples (a list of them), builds (by provider:
// {module, binary}, each {url, integrity})}
async function fetchConfig() {
  const response = await fetch(new URL('config.json', import.meta.url));
  if (!response.ok) {
    throw new Error(`web/config.json cannot be fetched: the server answers ${response.status}.`);
  }
  return response.json();
}

// The `builds` of config.json with whole addresses: the worker has none that they could be relative to
function absoluteBuilds(builds) {
  const absolute = file => ({...file, url: new URL(file.url, import.meta.url).href});
  const entries = Object.entries(builds).map(([name, {module, binary}]) => [
    name,
    {module: absolute(module), binary: absolute(binary)},
  ]);
  return Object.fromEntries(entries);
}

// Connect the controls, list the samples and load the model: what the worker's step `load` gives
async function begin() {
  byId('unstarted').remove();
  byId('loading').hidden = false;
  byId('hint').textContent = 'The model is on its way.';
  listen();
  const config = await fetchConfig();
  const provider = new URLSearchParams(location.search).get('provider');
  if (Object.hasOwn(config.builds, provider ?? '')) byId('engine').value = provider;
  listSamples(config.samples);
  const loaded = await ask('load', {
    model: new URL(config.model, document.baseURI).href,
    builds: absoluteBuilds(config.builds),
    provider: byId('engine').value,
  });
  card = loaded.card;
  return loaded;
}

// Make the page ready for images, and open the first sample
function showReady(loaded) {
  showCard(loaded);
  byId('loading').hidden = true;
  byId('slider').hidden = !detects();
  byId('tiling').hidden = !card.tiles;
  setThreshold(card.thresholds?.overall ?? DEFAULT_THRESHOLD);
  offerCamera();
  for (const control of document.querySelectorAll('main :disabled')) control.disabled = false;
  byId('hint').textContent = 'Choose an image to begin.';
  byId('summary').textContent = 'The model is ready.';
  speak('The model is ready.');
  byId('thumbnails').querySelector('button')?.click();
}

// Whether the model is for still images: by its decoder, or because its graph takes one image a call
function isSlow() {
  return Boolean(SLOW.includes(card.decoder) || card.decoding?.single_image);
}

// Show the camera's button; of a slow model, say instead why there is none
function offerCamera() {
  byId('camera').hidden = isSlow();
  if (!isSlow()) {
    byId('file').accept = 'image/*,video/*';
    byId('choose').textContent = 'Choose an image or video';
    return;
  }
  byId('still').textContent =
    'This kind of model is for still images, not for a camera; how long it takes stands with the result.';
}

async function beginAndShow() {
  const loaded = await begin();
  showReady(loaded);
  return loaded;
}

const ready = beginAndShow();
ready.catch(error => {
  byId('loading').hidden = true;
  byId('hint').textContent = 'There is no model to look at images.';
  showError(`The model cannot be loaded. ${error.message}`);
});

// For tests, and for the browser's console. `setTracking` takes the place of a camera where none runs
window.visionRecipes = {
  ready,
  showFrame,
  setTracking: on => {
    live ??= {name: CAMERA, frameRate: DEFAULT_FRAME_RATE, close() {}};
    setTracking(on);
  },
  setLine,
  shown: () => shown,
  predict: async (url, options = {}) => {
    await ready;
    return predict(await fromUrl(url), options);
  },
  occlude: async (url, label) => {
    await ready;
    return occlude(await fromUrl(url), label);
  },
};
