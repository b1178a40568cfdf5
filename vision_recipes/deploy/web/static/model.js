// Models of vision_recipes in the browser: read the card, prepare images, run the graph, decode its outputs.
//
// This file is the source. Edit it here: no notebook exports it, and every page gets a copy of it as it is.
// nbs/deploy/web/02_decode.ipynb and nbs/deploy/web/03_model.ipynb hold its reasons and its tests.

// What differs by task: its usual decoder, and for graphs that find their objects themselves
// the names of the outputs, in their order, and how they are decoded. An output is a tensor {data, dims}.
const TASKS = {
  classification: {decoder: 'classifier'},
  detection: {decoder: 'yolox', outputs: ['boxes', 'scores', 'classes'], decode: decodeBoxes},
  segmentation: {decoder: 'objects', outputs: ['boxes', 'scores', 'classes', 'masks'], decode: decodeMasks},
  keypoints: {decoder: 'objects', outputs: ['boxes', 'scores', 'classes', 'heatmaps'], decode: decodePoints},
};
// A decoder takes the outputs of the graph, the placement of the image (see `placement`), the card and
// {scoreThreshold, maskThreshold}. It gives {scores, labels}, and boxes, masks or keypoints of what has them.
const DECODERS = {
  classifier: decodeClasses,
  yolox: decodeYolox,
  objects: (outputs, placement, card, thresholds) =>
    TASKS[card.task].decode(outputs, placement, card, thresholds),
};

// Rounding to float32 as NumPy does: without it a score or a box could fall on the other side of a threshold.
const f32 = Math.fround;

// ## The card in the file

const CARD_KEY = 'vision_recipes';
const CARD_FORMAT = 1;
const METADATA_FIELD = 14; // of an ONNX file: entries of a key (field 1) and a value (field 2)
const VARINT = 0; // wire types of protocol buffers
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

// The error to throw where the bytes are no protocol buffer.
function damagedFile() {
  return new Error('This is not an ONNX file, or it was cut off on its way.');
}

// A variable-length integer, seven bits a byte, the lowest first: {value, next: the position behind it}.
function readVarint(bytes, start) {
  let value = 0;
  let at = start;
  for (let unit = 1; unit < 2 ** 70 && at < bytes.length; unit *= 128) { // at most ten bytes
    const byte = bytes[at++];
    value += (byte & 127) * unit;
    if (byte < 128) return {value, next: at};
  }
  throw damagedFile();
}

// The positions at which the value of a field begins and behind its end; `at` is the one behind its tag.
function fieldSpan(bytes, at, wireType) {
  if (wireType === VARINT) return [at, readVarint(bytes, at).next];
  if (wireType === FIXED_64) return [at, at + 8];
  if (wireType === FIXED_32) return [at, at + 4];
  if (wireType !== BYTES) throw damagedFile();
  const {value: length, next} = readVarint(bytes, at);
  return [next, next + length];
}

// The fields of a protocol buffer that hold bytes: pairs of number and bytes. Fields of numbers are skipped.
function* byteFields(bytes) {
  let at = 0;
  while (at < bytes.length) {
    const {value: tag, next} = readVarint(bytes, at);
    const wireType = tag % 8;
    const [start, end] = fieldSpan(bytes, next, wireType);
    if (end > bytes.length) throw damagedFile();
    if (wireType === BYTES) yield [Math.floor(tag / 8), bytes.subarray(start, end)];
    at = end;
  }
}

// The text of field `number` of an entry (bytes); empty where it has no such field.
function entryText(entry, number) {
  const field = [...byteFields(entry)].find(([n]) => n === number);
  return new TextDecoder().decode(field?.[1]);
}

// The card in the metadata of an ONNX file, as a text of JSON; null where there is none.
function findCard(bytes) {
  let json = null;
  for (const [number, entry] of byteFields(bytes)) {
    if (number === METADATA_FIELD && entryText(entry, 1) === CARD_KEY) json = entryText(entry, 2);
  }
  return json;
}

// JSON as Python writes it: NaN and Infinity, which JavaScript does not read, become null.
function parseCard(json) {
  const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;
  try {
    return JSON.parse(json.replace(stringOrNumber, match => (match.startsWith('"') ? match : 'null')));
  } catch (error) {
    throw new Error(`The card in this file is damaged: ${error.message}`);
  }
}

// The card in the metadata of an ONNX file (Uint8Array). Decoding, decoder, input, tiles and calibration are
// filled in, and `thresholds` become those of moved scores (see `moved`); all else is as in its JSON.
// Throws an Error that says what is wrong.
export function readCard(bytes) {
  const json = findCard(bytes);
  if (json === null) {
    throw new Error(
      'This ONNX file carries no card of vision_recipes, ' +
        'so its classes and how it wants its images are unknown.',
    );
  }
  const card = parseCard(json);
  if (card?.format !== CARD_FORMAT) {
    throw new Error(
      `The card in this file is written in format ${card?.format}, but this page reads ${CARD_FORMAT}.`,
    );
  }
  const missing = ['task', 'labels', 'preprocess'].filter(key => !card[key]);
  if (missing.length) throw new Error(`The card in this file lacks ${missing.join(', ')}.`);
  const input = {dtype: 'float32', layout: 'NCHW', ...card.input};
  const decoder = card.decoder || TASKS[card.task]?.decoder;
  const calibration = scoreMap(card.calibration);
  const thresholds = movedThresholds(calibration, card.thresholds ?? {}); // of the scores that are shown
  const tiles = tileRule(card.tiles, card.task);
  checkKnownImages(card.known_images);
  return {decoding: {}, ...card, decoder, input, tiles, calibration, thresholds};
}

// ## Loading a model and running it

// Load a model: `ort` is the module of onnxruntime-web, `bytes` (Uint8Array) the ONNX file. It runs on the
// first of `providers` that can. `threads` are those of wasm; undefined: onnxruntime-web chooses.
// Gives {card, provider, refused: [{provider, why}], predict(image, options), occlude(image, label)}, see
// `predictOne` and `occludeOne`; an image is {data: RGBA, width, height}.
// Throws an Error that people can read where the card does not fit this page, or no provider runs the model.
export async function loadModel(ort, bytes, {providers = ['webgpu', 'wasm'], threads} = {}) {
  const card = readCard(bytes);
  if (!Object.hasOwn(TASKS, card.task)) {
    throw new Error(`This page cannot read the outputs of a model for ${card.task}.`);
  }
  if (!Object.hasOwn(DECODERS, card.decoder)) {
    throw new Error(`This page has no decoder ${card.decoder}, which the card of this model wants.`);
  }
  if (threads !== undefined) ort.env.wasm.numThreads = threads;
  const refused = [];
  for (const provider of providers) {
    try {
      return await openModel(ort, bytes, card, provider, refused);
    } catch (error) {
      refused.push({provider, why: error?.message ?? String(error)});
    }
  }
  const reasons = refused.map(({provider, why}) => `${provider}: ${why}`);
  throw new Error(`The model cannot be run here: ${reasons.join('; ')}`);
}

// Open a model on one provider: what `loadModel` gives. Throws where the provider cannot run it.
async function openModel(ort, bytes, card, provider, refused) {
  const options = {executionProviders: [provider], logSeverityLevel: 3}; // errors only
  const session = await ort.InferenceSession.create(bytes, options);
  const model = makeModel(ort, session, card, provider, refused);
  if (provider !== 'wasm') { // a graphics card may fail at the first run
    await model.predict({data: new Uint8ClampedArray(4).fill(255), width: 1, height: 1});
  }
  return model;
}

// The model of an open session: what `loadModel` gives. Throws where the graph does not fit its card.
function makeModel(ort, session, card, provider, refused) {
  const names = card.decoder === 'objects' ? TASKS[card.task].outputs : session.outputNames;
  const missing = names.find(name => !session.outputNames.includes(name));
  if (missing) {
    throw new Error(
      `The graph has no output ${missing}, which its card (${card.task}) promises, ` +
        `but ${session.outputNames.join(', ')}.`,
    );
  }
  // from a tensor to the outputs, in the order of `names`
  const run = async ({type, data, dims}) => {
    const results = await session.run({[session.inputNames[0]]: new ort.Tensor(type, data, dims)});
    return names.map(name => results[name]);
  };
  let last = Promise.resolve(); // a session runs one image at a time, so each waits for the one before
  const predict = (image, options = {}) => {
    const result = last.then(() => predictOne(run, card, image, options));
    last = result.catch(() => {});
    return result;
  };
  const occlude = (image, label) => {
    const result = last.then(() => occludeOne(run, card, image, label));
    last = result.catch(() => {});
    return result;
  };
  return {card, provider, refused, predict, occlude};
}

// Prepare, run and decode one image: {prediction, ms: {prepare, run, decode} in milliseconds, runs: how often
// the network ran}. `options` may hold scoreThreshold (of the scores that are shown, for objects),
// maskThreshold and tiles (a rule in place of the card's; false: whole images).
// The prediction is {width, height, scores, labels, boxes, masks, keypoints, unlikeness}; null stands for
// what there is none of. With several labels an image it also has `found`, see `decodeClasses`.
async function predictOne(run, card, image, options) {
  const thresholds = {
    scoreThreshold: options.scoreThreshold ?? card.thresholds.overall ?? DEFAULT_THRESHOLD,
    maskThreshold: options.maskThreshold ?? undefined,
  };
  checkImage(image);
  checkThresholds(thresholds);
  const raw = {...thresholds, scoreThreshold: rawThreshold(card.calibration, thresholds.scoreThreshold)};
  const {prediction, ...rest} = await predictRaw(run, card, image, raw, options);
  return {prediction: moved(prediction, card, thresholds.scoreThreshold), ...rest};
}

// The same with the scores of the network, before `moved`; `thresholds.scoreThreshold` is of these, too.
async function predictRaw(run, card, image, thresholds, options) {
  const {width, height} = image;
  const rule = options.tiles === undefined ? card.tiles : tileRule(options.tiles || null, card.task);
  const windows = rule ? tileWindows(width, height, rule) : [];
  if (windows.length < 2) return {...(await predictWindow(run, card, image, thresholds)), runs: 1};
  const found = [];
  for (const window of windows) { // one after the other: a session runs one image at a time
    found.push(await predictWindow(run, card, cutOut(image, window), thresholds));
  }
  const started = performance.now();
  const merged = mergeTiles(found.map(one => one.prediction), windows, rule.size, width, height);
  // the last window is the whole image, where the rule has it; a tile does not say what the image is like
  const unlikeness = rule.whole ? found.at(-1).prediction.unlikeness : null;
  const prediction = {...merged, unlikeness};
  const ms = {prepare: 0, run: 0, decode: performance.now() - started};
  for (const one of found) {
    for (const step of Object.keys(ms)) ms[step] += one.ms[step];
  }
  return {prediction, ms, runs: windows.length};
}

// The same, without `runs`, for an image, or a tile, that is predicted as a whole.
async function predictWindow(run, card, image, thresholds) {
  const {width, height} = image;
  const started = performance.now();
  const square = letterbox(image, card.preprocess);
  const input = toInput(square, card);
  const prepared = performance.now();
  const outputs = await run(input);
  const ran = performance.now();
  const place = placement(width, height, card.preprocess);
  const found = DECODERS[card.decoder](outputs, place, card, thresholds);
  const unlikeness = unlikenessOf(card.known_images, square, place, card.preprocess.size);
  const ms = {prepare: prepared - started, run: ran - prepared, decode: performance.now() - ran};
  const prediction = {width, height, boxes: null, masks: null, keypoints: null, unlikeness, ...found};
  return {prediction, ms};
}

// ## Scores that say how often the model is right, as runtime/13_score_map.ipynb moves them

const SCORE_MAPS = ['temperature', 'logistic']; // of classifiers with one class an image; of all others
const LEAST_SCORE = 1e-9; // scores nearer to 0 or 1 count as this near: the logarithm of 0 is infinite
const DEFAULT_THRESHOLD = 0.3; // as in Python: of the network's scores, where the card has none

// The calibration of a card with all its parts; null: scores are shown as the network gives them. `classes`
// has [slope, offset] or null for each class, or is empty; classes without a pair get `slope` and `offset`.
// Throws an Error that people can read for a kind that this page does not know.
export function scoreMap(calibration) {
  if (calibration === null || calibration === undefined) return null;
  const {kind, slope = 1, offset = 0, classes} = calibration;
  if (!SCORE_MAPS.includes(kind)) {
    throw new Error(`This page does not know the calibration ${JSON.stringify(kind)} of this model.`);
  }
  return {...calibration, slope, offset, classes: classes ?? []};
}

// The logit of a score, which is kept a little away from 0 and 1.
function logit(score) {
  const p = Math.min(Math.max(score, LEAST_SCORE), 1 - LEAST_SCORE);
  return Math.log(p / (1 - p));
}

// A score, moved by the map of class `label`; where it has none, or without a label, by that of all classes.
export function movedScore(map, score, label) {
  const [slope, offset] = map.classes[label] ?? [map.slope, map.offset];
  return f32(1 / (1 + Math.exp(-(slope * logit(score) + offset))));
}

// Probabilities of classes, of which an image has one, moved by the temperature 1 / `slope`; their sum is 1.
function movedProbabilities(probabilities, slope) {
  const logs = probabilities.map(p => slope * Math.log(Math.max(p, LEAST_SCORE)));
  return softmax(logs).map(f32);
}

// The thresholds of a card, moved as the scores are; as they were without a map, and with a temperature: one
// class an image has no thresholds.
function movedThresholds(map, thresholds) {
  if (map?.kind !== 'logistic') return thresholds;
  const {overall = DEFAULT_THRESHOLD, classes} = thresholds;
  const moved = {...thresholds, overall: movedScore(map, overall)};
  if (classes) moved.classes = classes.map((t, c) => (t === null ? null : movedScore(map, t, c)));
  return moved;
}

// The network's score below which no moved score reaches `minScore`, whatever the class; 0 where any may.
// Without a logistic map it is `minScore`.
export function rawThreshold(map, minScore) {
  if (map?.kind !== 'logistic') return minScore;
  if (minScore <= LEAST_SCORE) return 0;
  const pairs = [[map.slope, map.offset], ...map.classes.filter(Boolean)];
  const raw = pairs.map(([slope, offset]) => 1 / (1 + Math.exp(-(logit(minScore) - offset) / slope)));
  const lowest = Math.min(...raw) * (1 - 1e-6); // a little lower, so that rounding leaves none out
  return lowest <= LEAST_SCORE ? 0 : lowest; // scores below LEAST_SCORE are moved as it is
}

// A prediction with moved scores; without a calibration it stays as it is. Objects come the highest first,
// without those below `minScore`. Classes of a whole image all stay, in their order; `found` is made anew, by
// the card's `thresholds`, which are moved already.
export function moved(prediction, {calibration, thresholds}, minScore) {
  if (!calibration) return prediction;
  const {scores, labels} = prediction;
  if (calibration.kind === 'temperature') {
    return {...prediction, scores: movedProbabilities(scores, calibration.slope)};
  }
  const shown = scores.map((score, i) => movedScore(calibration, score, labels[i]));
  if (prediction.found) return {...prediction, scores: shown, found: foundLabels(shown, thresholds)};
  const order = byScore(shown).filter(i => shown[i] >= f32(minScore));
  const columns = {...prediction, scores: shown};
  const rows = name => columns[name] && order.map(i => columns[name][i]);
  const names = ['scores', 'labels', 'boxes', 'masks', 'keypoints'];
  return {...prediction, ...Object.fromEntries(names.map(name => [name, rows(name)]))};
}

// ## Images unlike those that the model has learnt from, as runtime/14_known_images.ipynb measures them

const DESCRIPTOR = 1; // the version of `describe`, to which what a card says of its images belongs
const GRID = 64; // pixels that are read along each side
const WHITE = 256 * 255; // the grey of white: the weights of the colors add up to 256
const LITTLE = 0.002; // added to a share before its logarithm, so that of no edge at all is finite

// How often ordinary images are called unlike, to go in brackets, in Python's words; `known` is of the card.
export function alarmWords(known) {
  const {alarms, images} = known.checked ?? {};
  // not counted: the limit was chosen for this share
  if (images === undefined) return 'about 1 of 20 ordinary images is called so';
  const ordinary = `ordinary image${images === 1 ? '' : 's'}`;
  const verb = alarms < 2 ? 'was' : 'were';
  return `${alarms || 'none'} of ${images.toLocaleString('en-US')} ${ordinary} ${verb} called so`;
}

// Refuse what another version of `describe` has measured; `known` is of the card, or nothing.
function checkKnownImages(known) {
  if (!known || (known.descriptor ?? DESCRIPTOR) === DESCRIPTOR) return;
  throw new Error(`This page does not know the description ${known.descriptor} of images of this model.`);
}

// GRID positions in a row of `n` pixels, evenly spread, in a short row several times the same. Behind each
// lies another pixel, except in a row of one.
function gridPositions(n) {
  const at = i => Math.floor(((2 * i + 1) * Math.max(n - 1, 1)) / (2 * GRID));
  return Array.from({length: GRID}, (_, i) => at(i));
}

// The means of n x n blocks of GRID x GRID numbers, row by row; `n` divides GRID.
function blockMeans(values, n) {
  const side = GRID / n;
  const means = new Float64Array(n * n);
  for (let i = 0; i < values.length; i++) {
    const row = Math.floor(Math.floor(i / GRID) / side);
    means[row * n + Math.floor((i % GRID) / side)] += values[i];
  }
  return means.map(sum => sum / side ** 2);
}

function sumOf(values) {
  return values.reduce((a, b) => a + b, 0);
}

// The standard deviation of whole numbers, whose sums are exact.
function spread(values) {
  const mean = sumOf(values) / values.length;
  return Math.sqrt(Math.max(0, sumOf(values.map(v => v * v)) / values.length - mean * mean));
}

// The mean step to the right, and down, of n x n numbers; not signed.
function meanSteps(values, n) {
  const steps = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (i % n < n - 1) steps[0] += Math.abs(values[i + 1] - values[i]);
    if (i < values.length - n) steps[1] += Math.abs(values[i + n] - values[i]);
  }
  return steps.map(sum => sum / (n * (n - 1)));
}

// Upper half minus lower half, left minus right, and middle minus border, of 4 x 4 blocks, in units of
// `unit`.
function layoutOf(values, unit) {
  const blocks = blockMeans(values, 4);
  const sumWhere = test => sumOf(blocks.filter((_, i) => test(Math.floor(i / 4), i % 4)));
  const half = test => (2 * sumWhere(test) - sumOf(blocks)) / 8;
  const middle = sumWhere((row, column) => row % 3 > 0 && column % 3 > 0);
  const inside = middle / 4 - (sumOf(blocks) - middle) / 12;
  return [half(row => row < 2), half((_, column) => column < 2), inside].map(v => v / unit);
}

// The pixels of the grid, GRID * GRID numbers each: {grey, beside (grey of those to the right), below,
// redGreen, yellowBlue}. The second argument is from `placement`.
function readGrid(square, {fit, offset}, size) {
  const greyAt = at => 77 * square[at] + 150 * square[at + 1] + 29 * square[at + 2];
  // to the neighbours, in bytes; an image one pixel wide (high) has none
  const [right, down] = [fit[0] > 1 ? 3 : 0, fit[1] > 1 ? 3 * size : 0];
  const names = ['grey', 'beside', 'below', 'redGreen', 'yellowBlue'];
  const grid = Object.fromEntries(names.map(name => [name, new Float64Array(GRID * GRID)]));
  const columns = gridPositions(fit[0]);
  let i = 0;
  for (const y of gridPositions(fit[1])) {
    for (const x of columns) {
      const at = 3 * ((offset[1] + y) * size + offset[0] + x);
      grid.grey[i] = greyAt(at);
      grid.beside[i] = greyAt(at + right);
      grid.below[i] = greyAt(at + down);
      grid.redGreen[i] = square[at] - square[at + 1];
      grid.yellowBlue[i] = 2 * square[at + 2] - square[at] - square[at + 1];
      i += 1;
    }
  }
  return grid;
}

// What an image looks like, in 25 numbers: light, contrast, colors, edges at four scales, and layout.
// `square` is the input of a network as RGB bytes, `size` its side, `place` that of the image in it.
export function describe(square, place, size) {
  const {grey, beside, below, redGreen, yellowBlue} = readGrid(square, place, size);
  const n = GRID * GRID;
  const edges = [beside, below].map(other => sumOf(other.map((v, i) => Math.abs(v - grey[i]))) / n);
  for (const side of [32, 16, 4]) edges.push(...meanSteps(blockMeans(grey, side), side));
  // 0.01: a plain image is finite; 510: twice blue minus red and green is at most that
  const tones = [
    sumOf(grey) / n / WHITE,
    Math.log(spread(grey) / WHITE + 0.01),
    sumOf(redGreen) / n / 255,
    sumOf(yellowBlue) / n / 510,
    Math.log(spread(redGreen) / 255 + 0.01),
    Math.log(spread(yellowBlue) / 510 + 0.01),
    Math.sqrt(grey.filter(v => v < 16 * 256).length / n), // black
    Math.sqrt(grey.filter(v => v > 239 * 256).length / n), // white
  ];
  const layout = [layoutOf(grey, WHITE), layoutOf(redGreen, 255), layoutOf(yellowBlue, 510)].flat();
  return [...tones, ...edges.map(e => Math.log(e / WHITE + LITTLE)), ...layout];
}

// How far an image is from the training images, above 1 farther than is usual; null: the card does not say.
// `known.rows` is the upper triangle of a matrix: row `i` begins in column `i`.
export function unlikenessOf(known, square, place, size) {
  if (!known) return null;
  const difference = describe(square, place, size).map((v, i) => v - known.mean[i]);
  const turned = known.rows.map((row, i) => sumOf(row.map((w, k) => w * difference[i + k])));
  return Math.sqrt(sumOf(turned.map(v => v * v))) / known.limit;
}

// ## Which parts a classifier needs, as runtime/15_occlusion.ipynb does it

export const N_PARTS = 7; // along each side of the image

// What is covered for each part, row by row: [x1, y1, x2, y2] in pixels of the square of side `size`. A
// window is twice as wide and high as its part, within the square. The first argument is from `placement`.
export function coveredWindows({fit, offset}, size) {
  const span = (axis, k) => {
    const step = fit[axis] / N_PARTS;
    const [low, high] = [k - 0.5, k + 1.5].map(n => Math.floor(offset[axis] + step * n + 0.5));
    return [Math.max(0, low), Math.min(size, high)];
  };
  const all = [...Array(N_PARTS).keys()];
  return all.flatMap(row => all.map(column => {
    const [x1, x2] = span(0, column);
    const [y1, y2] = span(1, row);
    return [x1, y1, x2, y2];
  }));
}

// A copy of the square (RGB) in which a window has the color of the padding, by the card's `preprocess`.
function withCovered(square, [x1, y1, x2, y2], {size, pad_value: [red, green, blue] = [0, 0, 0]}) {
  const covered = square.slice();
  for (let y = y1; y < y2; y++) {
    for (let at = (y * size + x1) * 3; at < (y * size + x2) * 3; at += 3) {
      covered[at] = red;
      covered[at + 1] = green;
      covered[at + 2] = blue;
    }
  }
  return covered;
}

// By how much the score of a class falls where each part is covered: {label, before, drops, ms}. `before` is
// the score where nothing is, `drops` are row by row, below 0 where it rises, `ms` is the whole time.
// `label` is a position in the classes; undefined: the class with the highest score.
async function occludeOne(run, card, image, label) {
  checkImage(image);
  if (card.task !== 'classification') throw new Error(`This is for classifiers, not for ${card.task}.`);
  const started = performance.now();
  const place = placement(image.width, image.height, card.preprocess);
  const square = letterbox(image, card.preprocess);
  const scoresOf = async rgb => { // as `predict` gives them
    return moved(decodeClasses(await run(toInput(rgb, card)), place, card), card, 0).scores;
  };
  const whole = await scoresOf(square);
  const watched = label ?? byScore(whole)[0];
  const drops = [];
  for (const window of coveredWindows(place, card.preprocess.size)) { // a session runs one image at a time
    const scores = await scoresOf(withCovered(square, window, card.preprocess));
    drops.push(whole[watched] - scores[watched]);
  }
  return {label: watched, before: whole[watched], drops, ms: performance.now() - started};
}

// ## Large images in tiles, as runtime/12_tiles.ipynb does it

const SMALLEST_TILE = 32; // side in pixels
const LARGEST_OVERLAP = 0.9;
const MOST_TILES = 10000; // of one image
const NEAR_BORDER = 0.02; // share of a tile's side: a box that ends nearer to the border may be cut
const SAME = 0.5; // boxes of one object: an IoU above it, or this share of a cut one in common
const BELIEVED = 0.5; // share of a score below which another object counts for nothing beside it

// A rule of a card or an option with all its parts: {size: side of a tile in pixels of the image, overlap:
// its share that neighbours have in common at least, whole: whether the image is also read whole}; null: no
// tiles.
// Throws an Error that people can read for classifiers, and for keys and values that it may not have.
export function tileRule(rule, task) {
  if (rule === null || rule === undefined) return null;
  if (typeof rule !== 'object' || Array.isArray(rule)) {
    throw new Error(`The tiles of this model must be an object in braces, but are ${JSON.stringify(rule)}.`);
  }
  if (task === 'classification') throw new Error('A model for classification has no tiles.');
  const {size, overlap = 0.2, whole = true, ...unknown} = rule;
  const isShare = Number.isFinite(overlap) && overlap >= 0 && overlap <= LARGEST_OVERLAP;
  const wrong = [
    [Object.keys(unknown).length, `may hold size, overlap and whole, but hold ${Object.keys(rule)}`],
    [
      !Number.isInteger(size) || size < SMALLEST_TILE,
      `must have a size from ${SMALLEST_TILE} pixels on, but have ${JSON.stringify(size)}`,
    ],
    [!isShare, `must overlap by 0 to ${LARGEST_OVERLAP}, but do by ${JSON.stringify(overlap)}`],
    [typeof whole !== 'boolean', `must say true or false of whole, but say ${JSON.stringify(whole)}`],
  ].find(([isWrong]) => isWrong);
  if (wrong) throw new Error(`The tiles of this model ${wrong[1]}.`);
  return {size, overlap, whole};
}

// Where the tiles of an axis of `side` pixels begin, evenly spread.
function tileStarts(side, {size, overlap = 0.2}) {
  const rest = Math.max(0, side - size);
  // the step from tile to tile, rounded half up, of at least a pixel
  const n = Math.ceil(rest / Math.max(1, Math.trunc(size * (1 - overlap) + 0.5)));
  return Array.from({length: n + 1}, (_, i) => (n ? Math.floor((i * rest) / n) : 0));
}

// The tiles of an image, row by row, each [x1, y1, x2, y2]; then the whole image, where there are several
// tiles and the rule says so.
export function tileWindows(width, height, rule) {
  const columns = tileStarts(width, rule);
  const rows = tileStarts(height, rule);
  const n = columns.length * rows.length;
  if (n > MOST_TILES) {
    throw new Error(`An image of ${width} x ${height} pixels gives ${n} tiles; ${MOST_TILES} are the most.`);
  }
  const edge = (start, side) => Math.min(start + rule.size, side);
  const row = y => columns.map(x => [x, y, edge(x, width), edge(y, height)]);
  const tiles = rows.flatMap(row);
  const withWhole = tiles.length > 1 && (rule.whole ?? true);
  return withWhole ? [...tiles, [0, 0, width, height]] : tiles;
}

// The pixels of a window of an image: {data: RGBA, width, height}; the image itself where that is all of it.
function cutOut(image, [x1, y1, x2, y2]) {
  const width = x2 - x1;
  const height = y2 - y1;
  if (width === image.width && height === image.height) return image;
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    const start = 4 * ((y1 + y) * image.width + x1);
    data.set(image.data.subarray(start, start + 4 * width), 4 * y * width);
  }
  return {data, width, height};
}

// The objects of a prediction of a tile, each in the pixels of the image: {tile (its number), window, score,
// label, box, mask (or null), points (its keypoints, or null)}.
function piecesOf(prediction, tile, window) {
  const [x, y] = window;
  const {scores, labels, boxes, masks, keypoints} = prediction;
  const moved = (value, i) => f32(value + (i % 2 ? y : x));
  return scores.map((score, i) => ({
    tile,
    window,
    score,
    label: labels[i],
    box: boxes[i].map(moved),
    mask: masks && {...masks[i], x: masks[i].x + x, y: masks[i].y + y},
    points: keypoints && keypoints[i].map(([px, py, sure]) => [f32(px + x), f32(py + y), sure]),
  }));
}

// On which sides (left, top, right, bottom) the border of its tile cuts an object: four true or false. A box
// that ends within `slack` pixels of a border is cut by it; a border of the image cuts nothing.
function cutSides({box, window}, width, height, slack) {
  const inner = [window[0] > 0, window[1] > 0, window[2] < width, window[3] < height];
  return inner.map((isInner, i) => {
    return isInner && (i < 2 ? box[i] <= window[i] + slack : box[i] >= window[i] - slack);
  });
}

// Of two boxes: {common, areaA, areaB}.
function areasOf(a, b) {
  const side = i => Math.max(0, Math.min(a[i + 2], b[i + 2]) - Math.max(a[i], b[i]));
  const area = box => (box[2] - box[0]) * (box[3] - box[1]);
  return {common: side(0) * side(1), areaA: area(a), areaB: area(b)};
}

// The same, counted in pixels of masks; `areas`, those of the boxes, where one has no mask, their boxes have
// nothing in common, or a mask is empty or ends before a region that is a strip. Pixels of `a` count in the
// region [x1, y1, x2, y2] `inA`, those of `b` in `inB`, which is as large; without regions, anywhere.
function areasInMasks(a, b, areas, [inA, inB] = []) {
  if (!a.mask || !b.mask || areas.common <= 0) return areas;
  // around both masks
  const around = [0, 1, 2, 3].map(i => (i < 2 ? Math.min : Math.max)(edgeOf(a.mask, i), edgeOf(b.mask, i)));
  const [placeA, placeB] = [inA ?? around, inB ?? around];
  if (!hasPixels(a, placeA) || !hasPixels(b, placeB)) return areas;
  const counted = {common: 0, areaA: 0, areaB: 0};
  for (let y = 0; y < placeA[3] - placeA[1]; y++) {
    for (let x = 0; x < placeA[2] - placeA[0]; x++) {
      const ofA = pixelOf(a, placeA[0] + x, placeA[1] + y);
      const ofB = pixelOf(b, placeB[0] + x, placeB[1] + y);
      counted.common += ofA & ofB;
      counted.areaA += ofA;
      counted.areaB += ofB;
    }
  }
  return counted;
}

// Edge `i` of a mask's window, in the pixels of the image: left, top, right, bottom
function edgeOf(mask, i) {
  return [mask.x, mask.y, mask.x + mask.width, mask.y + mask.height][i];
}

// The pixel of a piece's mask at a place of the image: 0 or 1
function pixelOf({mask: {x, y, width, height}, pixels}, atX, atY) {
  const [column, row] = [atX - x, atY - y];
  return column >= 0 && row >= 0 && column < width && row < height ? pixels[row * width + column] : 0;
}

// Whether a piece's mask has a pixel in the column (row) that a region one pixel wide (high) is; of any other
// region, whether it has a pixel anywhere.
function hasPixels({mask, pixels}, [x1, y1, x2, y2]) {
  const isColumn = x2 - x1 === 1;
  const isRow = !isColumn && y2 - y1 === 1;
  return pixels.some((one, i) => {
    const x = mask.x + (i % mask.width);
    const y = mask.y + Math.floor(i / mask.width);
    return one && (!isColumn || x === x1) && (!isRow || y === y1);
  });
}

// Of two objects: {common, areaA, areaB}, of their masks or boxes, as `areasInMasks` decides.
function commonAreas(a, b) {
  return areasInMasks(a, b, areasOf(a.box, b.box));
}

// What the tiles of two pieces show both: [x1, y1, x2, y2]; of tiles that only touch, the row or column of
// the first along their border.
function regionOfBoth(piece, other) {
  const region = [0, 0, 0, 0];
  for (const i of [0, 1]) {
    const low = Math.max(piece.window[i], other.window[i]);
    const high = Math.min(piece.window[i + 2], other.window[i + 2]);
    const isLine = low === high;
    region[i] = isLine && piece.window[i] < low ? low - 1 : low;
    region[i + 2] = isLine ? region[i] + 1 : high;
  }
  return region;
}

// Whether some tiles that lie beside each other have no pixels in common, along [x, y], of `tileWindows`.
function onlyTouch(windows) {
  return [0, 1].map(axis => {
    const starts = [...new Set(windows.map(window => window[axis]))].sort((a, b) => a - b);
    const side = windows[0][axis + 2] - windows[0][axis]; // the first is a tile
    return starts.some((start, k) => k > 0 && start - starts[k - 1] >= side);
  });
}

// The part [x1, y1, x2, y2] of a piece that the tile of another piece shows as well. Where neighbours only
// touch (`touching`, as from `onlyTouch`), it is a strip of one pixel along their border, if that cuts the
// piece. Other tiles that touch have one between them, which shows what lies there: the part has no area.
function shownByBoth(piece, other, touching) {
  const part = [0, 0, 0, 0];
  for (const i of [0, 1]) {
    const low = Math.max(piece.window[i], other.window[i]);
    const high = Math.min(piece.window[i + 2], other.window[i + 2]);
    part[i] = Math.min(Math.max(piece.box[i], low), high);
    part[i + 2] = Math.min(Math.max(piece.box[i + 2], low), high);
    // the border they share: on the right (bottom) of the piece where its tile begins first, else left (top)
    const isCut = piece.sides[piece.window[i] < low ? i + 2 : i];
    // of tiles that touch, a strip of one pixel stands for the piece, if it reaches their border
    if (low === high) part[i + 2] = part[i] + (isCut && touching[i] ? 1 : 0);
  }
  return part;
}

// Whether two pieces, both cut, show the same where their tiles overlap. `touching`: as from `onlyTouch`.
function agree(a, b, touching) {
  const areas = areasOf(shownByBoth(a, b, touching), shownByBoth(b, a, touching));
  const {common, areaA, areaB} = areasInMasks(a, b, areas, [regionOfBoth(a, b), regionOfBoth(b, a)]);
  return common > 0 && common >= SAME * Math.min(areaA, areaB);
}

// Pairs [a, b] of objects of one class from two tiles, a from the earlier one.
function tilePairs(pieces) {
  const pairs = [];
  for (const [i, a] of pieces.entries()) {
    for (const b of pieces.slice(i + 1)) {
      if (a.label === b.label && a.tile !== b.tile) pairs.push([a, b]);
    }
  }
  return pairs;
}

// Mark as `gone` what another tile shows better. Gives the pairs of pieces that are to be joined.
// `pieces` are as `mergeTiles` makes them.
// `touching`: as from `onlyTouch`.
function dropCopies(pieces, touching) {
  const isCopy = (a, b) => {
    const {common, areaA, areaB} = commonAreas(a, b);
    return common > SAME * (areaA + areaB - common);
  };
  const pairs = tilePairs(pieces);
  // of copies of an object that no border cuts, the one with the highest score stays
  const whole = pairs.filter(([a, b]) => !a.isCut && !b.isCut && isCopy(a, b));
  const ranked = whole.map(([a, b]) => (a.score >= b.score ? [a, b] : [b, a]));
  ranked.sort(([a], [b]) => b.score - a.score || a.at - b.at);
  for (const [strong, weak] of ranked) weak.gone ||= !strong.gone;
  const mixed = pairs.filter(([a, b]) => a.isCut !== b.isCut).map(([a, b]) => (a.isCut ? [a, b] : [b, a]));
  dropPieces(mixed.filter(([, c]) => !c.gone), isCopy);
  const alike = pairs.filter(([a, b]) => a.isCut && b.isCut && !a.gone && !b.gone && agree(a, b, touching));
  for (const [a, b] of alike) {
    if (b.score < BELIEVED * a.score) b.gone = true;
    if (a.score < BELIEVED * b.score) a.gone = true;
  }
  return alike.filter(([a, b]) => !a.gone && !b.gone);
}

// Of pairs of a piece and a whole object: drop the piece that is covered,
// or the copy that is hardly believed in.
function dropPieces(mixed, isCopy) {
  for (const [piece, whole] of mixed) {
    const {common, areaA} = commonAreas(piece, whole);
    const isBelieved = whole.score >= BELIEVED * piece.score;
    if (isBelieved && common > 0 && common >= SAME * areaA) piece.gone = true;
    if (!isBelieved && isCopy(piece, whole)) whole.gone = true;
  }
}

// Lists of the pieces of each object, in the order of their first piece. `joined`: as from `dropCopies`.
function objectGroups(pieces, joined) {
  const group = new Map(pieces.filter(piece => !piece.gone).map(piece => [piece, [piece]]));
  for (const [a, b] of joined) {
    const [to, from] = [group.get(a), group.get(b)];
    if (to === from) continue;
    to.push(...from);
    for (const piece of from) group.set(piece, to);
  }
  const groups = [...new Set(group.values())];
  for (const one of groups) one.sort((a, b) => a.at - b.at);
  return groups.sort((a, b) => a[0].at - b[0].at);
}

// The union of masks, each as `packWindow` gives it.
function joinMasks(masks) {
  const used = masks.filter(mask => mask.width && mask.height);
  if (used.length < 2) return used[0] ?? masks[0];
  const x1 = Math.min(...used.map(mask => mask.x));
  const y1 = Math.min(...used.map(mask => mask.y));
  const width = Math.max(...used.map(mask => mask.x + mask.width)) - x1;
  const height = Math.max(...used.map(mask => mask.y + mask.height)) - y1;
  const pixels = new Uint8Array(width * height);
  for (const mask of used) {
    const ones = maskPixels(mask);
    for (let i = 0; i < ones.length; i++) {
      const x = mask.x - x1 + (i % mask.width);
      const y = mask.y - y1 + Math.floor(i / mask.width);
      if (ones[i]) pixels[y * width + x] = 1;
    }
  }
  return packWindow(pixels, x1, y1, width, height);
}

// How many pixels point `k` of a piece lies inside the nearest border of its tile that is not the image's;
// Infinity where there is none.
function pointDepth({points, window}, k, width, height) {
  const [x, y] = points[k];
  const [x1, y1, x2, y2] = window;
  const distances = [
    x1 > 0 ? x - x1 : Infinity,
    y1 > 0 ? y - y1 : Infinity,
    x2 < width ? x2 - x : Infinity,
    y2 < height ? y2 - y : Infinity,
  ];
  return Math.min(...distances);
}

// One object of its pieces: the highest score, a box and mask around all, each point from the tile that has
// it farthest inside.
function joinPieces(group, width, height) {
  const best = group[argmax(group.map(piece => piece.score))];
  const box = [0, 1, 2, 3].map(i => (i < 2 ? Math.min : Math.max)(...group.map(piece => piece.box[i])));
  const deepest = k => group[argmax(group.map(piece => pointDepth(piece, k, width, height)))].points[k];
  return {
    score: best.score,
    label: best.label,
    box,
    mask: best.mask && joinMasks(group.map(piece => piece.mask)),
    points: best.points && best.points.map((_, k) => deepest(k)),
  };
}

// Merge the predictions of the windows of an image into one in the image's pixels, which says no unlikeness.
// `windows`: as from `tileWindows`; `size`: of its rule; `width` and `height`: of the image.
export function mergeTiles(predictions, windows, size, width, height) {
  const pieces = predictions.flatMap((prediction, i) => piecesOf(prediction, i, windows[i]));
  for (const [at, piece] of pieces.entries()) {
    piece.at = at; // the order in which the pieces came
    piece.gone = false; // whether another piece stands for it
    piece.sides = cutSides(piece, width, height, NEAR_BORDER * size);
    piece.isCut = piece.sides.includes(true);
    piece.pixels = piece.mask && maskPixels(piece.mask);
  }
  const groups = objectGroups(pieces, dropCopies(pieces, onlyTouch(windows)));
  const objects = groups.map(group => joinPieces(group, width, height));
  const sorted = byScore(objects.map(object => object.score)).map(i => objects[i]);
  return {
    width,
    height,
    scores: sorted.map(object => object.score),
    labels: sorted.map(object => object.label),
    boxes: sorted.map(object => object.box),
    masks: predictions[0].masks && sorted.map(object => object.mask),
    keypoints: predictions[0].keypoints && sorted.map(object => object.points),
  };
}

// ## Checks

// Throw an Error where an image is not {data: RGBA, width, height}.
function checkImage({data, width, height}) {
  if (width > 0 && height > 0 && data?.length === 4 * width * height) return;
  throw new Error(
    'An image must be {data, width, height} with four bytes (RGBA) a pixel, ' +
      `but got ${data?.length} bytes for ${width} x ${height}.`,
  );
}

// Throw an Error where a threshold, by its name, is not from 0 to 1; undefined: not given.
function checkThresholds(thresholds) {
  for (const [name, value] of Object.entries(thresholds)) {
    if (value === undefined || (value >= 0 && value <= 1)) continue;
    throw new Error(`${name} must be from 0 to 1, but is ${value}.`);
  }
}

// ## Resizing, as Pillow does it

// By name: how far a filter reaches, and the weight of a pixel at a distance, both in pixels.
const FILTERS = {
  bilinear: {support: 1, weight: x => Math.max(0, 1 - Math.abs(x))},
  bicubic: {support: 2, weight: cubicWeight},
};
const WEIGHT_BITS = 22; // a weight is a whole number of 2 ** -22, as in Pillow
const HALF = 1 << (WEIGHT_BITS - 1); // one half, with which sums begin, so that they are rounded

// Pillow's bicubic kernel, with the parameter -0.5.
function cubicWeight(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

// Which of `nBefore` pixels of a row make each of its `nAfter` new pixels, and with which weights.
// `first` is the first such pixel. Its weights begin at `start`, and end where those of the next pixel begin.
function resizeTaps(nBefore, nAfter, {support, weight}) {
  const scale = nBefore / nAfter;
  const widen = Math.max(1, scale); // the filter of a smaller image averages over more pixels
  const reach = support * widen;
  const first = new Int32Array(nAfter);
  const start = new Int32Array(nAfter + 1);
  const weights = [];
  for (let i = 0; i < nAfter; i++) {
    const center = (i + 0.5) * scale;
    first[i] = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(nBefore, Math.trunc(center + reach + 0.5));
    const raw = [];
    for (let j = first[i]; j < end; j++) raw.push(weight((j - center + 0.5) * (1 / widen)));
    const sum = raw.reduce((a, b) => a + b, 0);
    for (const w of raw) weights.push(Math.trunc((w / sum) * 2 ** WEIGHT_BITS + (w < 0 ? -0.5 : 0.5)));
    start[i + 1] = weights.length;
  }
  return {first, start, weights: Int32Array.from(weights)};
}

// Whether no pixel is transparent.
function isOpaque(rgba) {
  for (let i = 3; i < rgba.length; i += 4) {
    if (rgba[i] !== 255) return false;
  }
  return true;
}

// The pixels (RGBA) over white, rounded as Pillow's alpha_composite does.
// Where all are opaque, they are given back as they are; else the fourth bytes mean nothing.
function overWhite(rgba) {
  if (isOpaque(rgba)) return rgba;
  const out = new Uint8Array(rgba.length);
  for (let i = 0; i < rgba.length; i++) {
    const alpha = rgba[i | 3]; // the last byte of the same pixel
    // a weighted mean, divided by 255 in whole numbers
    const value = (rgba[i] * alpha + 255 * (255 - alpha)) * 128 + 0x4000;
    out[i] = ((value >> 8) + value) >> 15;
  }
  return out;
}

// Pixels (RGBA, width x height) at another size: bytes of RGB. `filter` is a key of FILTERS.
export function resize(rgba, width, height, toWidth, toHeight, filter = 'bilinear') {
  const across = resizeTaps(width, toWidth, FILTERS[filter]);
  const down = resizeTaps(height, toHeight, FILTERS[filter]);
  // as Pillow 13 does with tall images
  const columnsFirst = height > toHeight && height - toHeight > 2 * (width - toWidth);
  if (columnsFirst) {
    return resizeRows(resizeColumns(rgba, 4 * width, toHeight, down), width, toHeight, toWidth, across);
  }
  return resizeColumns(resizeRows(rgba, width, height, toWidth, across), 3 * toWidth, toHeight, down);
}

// Resize along the rows: RGBA in, RGB out. The taps are those of `resizeTaps`.
// `Math.imul` and `| 0` calculate in 32-bit integers, as Pillow does.
function resizeRows(rgba, width, height, toWidth, {first, start, weights}) {
  const out = new Uint8ClampedArray(height * toWidth * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < toWidth; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = (y * width + first[x]) * 4;
      for (let k = start[x], end = start[x + 1]; k < end; k++, from += 4) {
        const w = weights[k];
        red = (red + Math.imul(w, rgba[from])) | 0;
        green = (green + Math.imul(w, rgba[from + 1])) | 0;
        blue = (blue + Math.imul(w, rgba[from + 2])) | 0;
      }
      out[at++] = red >> WEIGHT_BITS;
      out[at++] = green >> WEIGHT_BITS;
      out[at++] = blue >> WEIGHT_BITS;
    }
  }
  return out;
}

// Resize along the columns; `rowBytes` is the number of bytes in a row, whatever its channels.
function resizeColumns(pixels, rowBytes, toHeight, {first, start, weights}) {
  const out = new Uint8ClampedArray(toHeight * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let y = 0; y < toHeight; y++) {
    sums.fill(HALF);
    for (let k = start[y], from = first[y] * rowBytes; k < start[y + 1]; k++, from += rowBytes) {
      const w = weights[k];
      for (let i = 0; i < rowBytes; i++) sums[i] += Math.imul(w, pixels[from + i]);
    }
    for (let i = 0, at = y * rowBytes; i < rowBytes; i++) out[at + i] = sums[i] >> WEIGHT_BITS;
  }
  return out;
}

// ## From an image to the network's input

// The placement of an image: where it lies in the network's square of `size` pixels, by the card's
// `preprocess`: at the left top where its `letterbox` is 'top_left', else in the middle.
// Gives {width, height} of the image; and each as [x, y]: `fit`, its size in the square; `scale`, pixels of
// the square for a pixel of the image; `offset`, the left top corner in the square.
export function placement(width, height, {size, letterbox}) {
  const scale = size / Math.max(width, height);
  const fit = [width, height].map(n => Math.max(1, Math.floor(n * scale + 0.5)));
  const offset = fit.map(n => (letterbox === 'top_left' ? 0 : Math.floor((size - n) / 2)));
  return {width, height, fit, scale: [fit[0] / width, fit[1] / height], offset};
}

// The image ({data: RGBA, width, height}) fitted into the square: RGB, size * size * 3 bytes.
export function letterbox({data, width, height}, preprocess) {
  const {size, interpolation = 'bilinear', pad_value: padding = [0, 0, 0]} = preprocess;
  const {fit, offset} = placement(width, height, preprocess);
  const inner = resize(overWhite(data), width, height, ...fit, interpolation);
  if (fit[0] === size && fit[1] === size) return inner;
  const square = filledSquare(size, padding);
  const rowBytes = fit[0] * 3;
  for (let y = 0; y < fit[1]; y++) {
    const row = inner.subarray(y * rowBytes, (y + 1) * rowBytes);
    square.set(row, ((y + offset[1]) * size + offset[0]) * 3);
  }
  return square;
}

// A square of one color (RGB), three bytes a pixel.
function filledSquare(size, color) {
  const square = new Uint8ClampedArray(size * size * 3);
  for (let i = 0; i < square.length; i += 3) {
    square[i] = color[0];
    square[i + 1] = color[1];
    square[i + 2] = color[2];
  }
  return square;
}

// The number that the graph wants for each of the 256 values of a byte, in channel `c` of the network: a
// byte, a share (0 to 1), or, with `input.normalize`, one with the mean and deviation of training taken out.
function byteTable(c, {preprocess: {mean, std}, input}) {
  const toNumber = v => {
    if (input.dtype === 'uint8') return v;
    if (!input.normalize) return v / 255;
    // (v / 255 - mean) / std, rounded as in Python's `to_input`
    return f32(v * f32(1 / (255 * std[c]))) - f32(mean[c] / std[c]);
  };
  return Float32Array.from({length: 256}, (_, v) => toNumber(v));
}

// The square as the graph wants it: {type, data, dims} of a tensor.
export function toInput(rgb, card) {
  const {preprocess, input} = card;
  const {size, channels = 'RGB'} = preprocess;
  const nPixels = size * size;
  const isPlanar = input.layout === 'NCHW';
  const data = new (input.dtype === 'uint8' ? Uint8Array : Float32Array)(3 * nPixels);
  for (let c = 0; c < 3; c++) {
    const table = byteTable(c, card);
    // a graph that normalises the image itself takes RGB, and swaps the channels itself
    const source = input.normalize && channels === 'BGR' ? 2 - c : c;
    const step = isPlanar ? 1 : 3;
    for (let i = 0, to = isPlanar ? c * nPixels : c, at = source; i < nPixels; i++, to += step, at += 3) {
      data[to] = table[rgb[at]];
    }
  }
  return {type: input.dtype, data, dims: isPlanar ? [1, 3, size, size] : [1, size, size, 3]};
}

// ## Decoding: classes

// Each class with its probability, in the order of the card: {scores, labels}. Where an image may have
// several labels, each probability stands for itself, and `found` has the positions of those at or above
// their thresholds, the highest first.
function decodeClasses([{data, dims}], placement, card) {
  const nClasses = card.labels.names.length;
  if (dims.at(-1) !== nClasses) {
    throw new Error(`The graph gives ${dims.at(-1)} probabilities, but its card names ${nClasses} classes.`);
  }
  const several = card.labels.multi_label;
  const toProbabilities = several ? sigmoid : softmax;
  const probabilities = card.decoding.kind === 'logits' ? toProbabilities(data) : Array.from(data);
  const prediction = {scores: probabilities, labels: probabilities.map((_, i) => i)};
  return several ? {...prediction, found: foundLabels(probabilities, card.thresholds)} : prediction;
}

// Positions of the classes at or above their thresholds, as the card has them, the highest score first.
function foundLabels(scores, thresholds) {
  return byScore(scores).filter(i => scores[i] >= f32(labelThreshold(thresholds, i)));
}

// The score from which on class `i` counts as found; `thresholds` are those of a card. 0.3 is
// DEFAULT_THRESHOLD, as in Python.
export function labelThreshold({overall = 0.3, classes = []}, i) {
  return classes[i] ?? overall;
}

// The probability of each logit for itself.
function sigmoid(logits) {
  return Array.from(logits, v => f32(1 / (1 + Math.exp(-v))));
}

// The probabilities of some logits.
function softmax(logits) {
  const highest = logits.reduce((a, b) => Math.max(a, b));
  const powers = Array.from(logits, v => Math.exp(v - highest)); // at most 1, so that none is infinite
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(v => v / sum);
}

// ## Decoding: boxes

// Positions, the highest score first; of equal scores the earlier first.
function byScore(scores) {
  return Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
}

// `value` within 0 and `limit`; NaN gives 0.
function clamp(value, limit) {
  return value > 0 ? Math.min(value, limit) : 0;
}

// The four numbers of box `i`, as a view.
function boxAt(boxes, i) {
  return boxes.subarray(4 * i, 4 * i + 4);
}

// Whether a box has an area; one with NaN has none.
function hasArea([x1, y1, x2, y2]) {
  return x2 > x1 && y2 > y1;
}

// A box of the network's input in the pixels of the image; it may reach beyond the image.
function toImage(box, {scale, offset}) {
  return Array.from(box, (v, i) => f32(f32(v - f32(offset[i % 2])) / f32(scale[i % 2])));
}

// The part of a box that lies in the image.
function clipBox(box, {width, height}) {
  return box.map((v, i) => clamp(v, i % 2 ? height : width));
}

// Intersection over union of the boxes at positions `a` and `b`, in float32; `areas` has those of all boxes.
function overlap(boxes, areas, a, b) {
  const right = Math.min(boxes[4 * a + 2], boxes[4 * b + 2]);
  const left = Math.max(boxes[4 * a], boxes[4 * b]);
  const bottom = Math.min(boxes[4 * a + 3], boxes[4 * b + 3]);
  const top = Math.max(boxes[4 * a + 1], boxes[4 * b + 1]);
  const both = f32(Math.max(f32(right - left), 0) * Math.max(f32(bottom - top), 0));
  return f32(both / f32(f32(areas[a] + areas[b]) - both));
}

// Positions of what class-aware suppression keeps, at most `maxCount`: boxes that overlap no better one
// that is kept, of their class, by an IoU above `threshold`.
// `boxes` (4 numbers each) and `labels` are sorted, the highest score first.
export function suppress(boxes, labels, threshold, maxCount) {
  const areas = Float32Array.from(labels, (_, i) => {
    const [x1, y1, x2, y2] = boxAt(boxes, i);
    return f32(f32(x2 - x1) * f32(y2 - y1));
  });
  const kept = [];
  for (let i = 0; i < labels.length && kept.length < maxCount; i++) {
    const isCovered = kept.some(k => labels[k] === labels[i] && overlap(boxes, areas, k, i) > threshold);
    if (!isCovered) kept.push(i);
  }
  return kept;
}

// ## Decoding: YOLOX

const STRIDES = [8, 16, 32]; // pixels a cell of each grid is wide

// Cells whose score is at least `minScore`, the highest first, at most `maxCount`: {rows, scores, labels}.
// `data` holds `columns` numbers a cell: box, objectness, classes; a score is objectness x the best class.
function candidates(data, columns, minScore, maxCount) {
  const found = {rows: [], scores: [], labels: []};
  const nCells = data.length / columns;
  for (let row = 0, at = 0; row < nCells; row++, at += columns) {
    if (!(data[at + 4] >= minScore)) continue;
    let best = 5; // the column of the most probable class
    for (let c = 6; c < columns; c++) {
      if (data[at + c] > data[at + best]) best = c;
    }
    const score = f32(data[at + 4] * data[at + best]);
    if (!(score >= minScore)) continue; // NaN is left out
    found.rows.push(row);
    found.scores.push(score);
    found.labels.push(best - 5);
  }
  return pick(found, byScore(found.scores).slice(0, maxCount));
}

// An object of arrays, each with the elements at `positions` only.
function pick(arrays, positions) {
  const picked = Object.entries(arrays).map(([name, values]) => [name, positions.map(i => values[i])]);
  return Object.fromEntries(picked);
}

// The box (x1, y1, x2, y2) of the raw numbers of a cell, in the pixels of the input.
// The numbers are the box's center, as an offset from the cell, and the logarithms of its sides; their unit
// is the stride. They begin at `data[at]`. `row` counts the cells of all grids, one grid after the other;
// a grid is {stride, side: cells along each side}.
function rawBox(data, at, row, grids) {
  let grid = 0;
  let cell = row; // within `grid`
  while (cell >= grids[grid].side ** 2) cell -= grids[grid++].side ** 2;
  const {stride, side} = grids[grid];
  const cellXy = [cell % side, Math.floor(cell / side)];
  const [x, y] = cellXy.map((position, i) => f32(f32(data[at + i] + position) * stride));
  const [halfWidth, halfHeight] = [2, 3].map(i => f32((f32(Math.exp(data[at + i])) * stride) / 2));
  return [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
}

// The boxes of some cells (`rows`) from their raw numbers: 4 numbers each.
// The input is a square of `size` pixels.
function rawBoxes(data, columns, rows, size) {
  const grids = STRIDES.map(stride => ({stride, side: size / stride}));
  const nCells = grids.reduce((n, {side}) => n + side * side, 0);
  if (nCells !== data.length / columns) {
    throw new Error(
      `An image of ${size} pixels has ${nCells} cells, but the graph gives ${data.length / columns}.`,
    );
  }
  return Float32Array.from(rows.flatMap(row => rawBox(data, row * columns, row, grids)));
}

// The boxes of some cells (`rows`), where the graph has decoded them: 4 numbers each.
function decodedBoxes(data, columns, rows) {
  return Float32Array.from(rows.flatMap(row => Array.from(data.subarray(row * columns, row * columns + 4))));
}

// The boxes at `positions` only: 4 numbers each.
function boxesAt(boxes, positions) {
  return Float32Array.from(positions.flatMap(i => Array.from(boxAt(boxes, i))));
}

// The objects of YOLOX: {boxes, scores, labels}, in the pixels of the input, the highest score first.
// `data` and `columns`: as for `candidates`. `decoding` is the card's; what it lacks is as in Python.
export function yoloxDetections(data, columns, size, decoding, scoreThreshold) {
  const {kind = 'decoded', nms = 0.65, max_detections = 100, max_candidates = 3000} = decoding;
  const {rows, scores, labels} = candidates(data, columns, f32(scoreThreshold), max_candidates);
  const boxes = kind === 'raw' ? rawBoxes(data, columns, rows, size) : decodedBoxes(data, columns, rows);
  const kept = suppress(boxes, labels, nms, max_detections);
  return {boxes: boxesAt(boxes, kept), ...pick({scores, labels}, kept)};
}

// The same from the outputs of a graph that holds the suppression.
function suppressedDetections([boxes, scores, labels], {max_detections = 100}, scoreThreshold) {
  const isHigh = i => scores.data[i] >= f32(scoreThreshold);
  const order = byScore(scores.data).filter(isHigh).slice(0, max_detections);
  return {
    boxes: boxesAt(boxes.data, order),
    scores: order.map(i => scores.data[i]),
    labels: order.map(i => Number(labels.data[i])),
  };
}

// The objects of YOLOX from the outputs of its graph, of any kind: as `yoloxDetections` gives them.
function yoloxObjects(outputs, card, scoreThreshold) {
  if (card.decoding.kind === 'nms') return suppressedDetections(outputs, card.decoding, scoreThreshold);
  const columns = outputs[0].dims.at(-1);
  const nClasses = card.labels.names.length;
  if (columns !== 5 + nClasses) {
    throw new Error(
      `The graph gives ${columns} numbers a cell, ${columns - 5} of them for classes, ` +
        `but its card names ${nClasses} classes.`,
    );
  }
  return yoloxDetections(outputs[0].data, columns, card.preprocess.size, card.decoding, scoreThreshold);
}

// The objects of YOLOX in the image.
function decodeYolox(outputs, placement, card, {scoreThreshold}) {
  const {boxes: inputBoxes, scores, labels} = yoloxObjects(outputs, card, scoreThreshold);
  const boxes = scores.map((_, i) => clipBox(toImage(boxAt(inputBoxes, i), placement), placement));
  const inImage = [...boxes.keys()].filter(i => hasArea(boxes[i])); // a box in the padding has no area left
  return pick({scores, labels, boxes}, inImage);
}

// ## Decoding: objects of an R-CNN

// The objects, the highest score first: {rows: positions in the outputs, scores, labels, boxes, wholeBoxes}.
// `boxes` are clipped at the image's edge, `wholeBoxes` are not.
function foundObjects([boxes, scores, classes], placement, nClasses, scoreThreshold) {
  const unknown = Array.from(classes.data, Number).find(c => c >= nClasses);
  if (unknown !== undefined) {
    throw new Error(
      `The network found an object of class ${unknown}, but its card names ${nClasses} classes.`,
    );
  }
  const minScore = f32(scoreThreshold);
  const wholeBox = i => toImage(boxAt(boxes.data, i), placement);
  const isObject = i =>
    scores.data[i] >= minScore &&
    boxAt(boxes.data, i).every(Number.isFinite) &&
    hasArea(clipBox(wholeBox(i), placement)); // a box in the padding has none
  const rows = byScore(scores.data).filter(isObject);
  const wholeBoxes = rows.map(wholeBox);
  return {
    rows,
    scores: rows.map(i => scores.data[i]),
    labels: rows.map(i => Number(classes.data[i])),
    boxes: wholeBoxes.map(box => clipBox(box, placement)),
    wholeBoxes,
  };
}

// The numbers of one row in an output of any shape, as a view; the first axis counts the rows.
function rowOf({data, dims}, row) {
  const length = dims.slice(1).reduce((a, b) => a * b, 1);
  return data.subarray(row * length, (row + 1) * length);
}

// The objects of a graph that finds boxes only.
function decodeBoxes(outputs, placement, card, {scoreThreshold}) {
  const {scores, labels, boxes} = foundObjects(outputs, placement, card.labels.names.length, scoreThreshold);
  return {scores, labels, boxes};
}

// ## Decoding: masks

// For the pixels `first` to `last - 1` of a row of `nBefore` numbers that is stretched to `nAfter`:
// `left`, the position of the left one of two neighbours, and `share`, the weight of the right one (0 to 1).
function linearTaps(nBefore, nAfter, first, last) {
  const left = new Int32Array(last - first);
  const share = new Float32Array(last - first);
  for (let i = 0; i < left.length; i++) {
    const at = Math.max(0, f32(f32(f32(first + i + 0.5) * f32(nBefore / nAfter)) - 0.5));
    left[i] = Math.min(Math.trunc(at), nBefore - 1);
    share[i] = at - left[i];
  }
  return {left, share};
}

// The extent of a box along one axis, from `low` to `high`, in whole pixels: [first, last], both in it. It is
// enlarged by a border of one cell around its mask of `cells` cells. In float32, as torchvision does it.
function wholePixels(low, high, cells) {
  const half = f32(f32(f32(high - low) * 0.5) * f32((cells + 2) / cells));
  const middle = f32(f32(high + low) * 0.5);
  return [Math.trunc(f32(middle - half)), Math.trunc(f32(middle + half))];
}

// A mask (cells * cells probabilities within `box`, which may reach beyond the image) at the size of the
// image: the pixels above `threshold`, as `packWindow` gives them.
export function pasteMask(mask, cells, box, width, height, threshold) {
  const [x1, x2] = wholePixels(box[0], box[2], cells); // x2 and y2 belong to the box
  const [y1, y2] = wholePixels(box[1], box[3], cells);
  const left = Math.max(x1, 0);
  const top = Math.max(y1, 0);
  const right = Math.min(x2 + 1, width);
  const bottom = Math.min(y2 + 1, height);
  // beside the image
  if (right <= left || bottom <= top) return packWindow(new Uint8Array(0), 0, 0, 0, 0);
  const side = cells + 2;
  const columns = linearTaps(side, Math.max(1, x2 - x1 + 1), left - x1, right - x1);
  const rows = linearTaps(side, Math.max(1, y2 - y1 + 1), top - y1, bottom - y1);
  const across = stretchRows(addBorder(mask, cells), side, columns);
  const pixels = stretchAndThreshold(across, side, right - left, rows, f32(threshold));
  return packWindow(pixels, left, top, right - left, bottom - top);
}

// A mask with a border of one cell of zeros.
function addBorder(mask, cells) {
  const side = cells + 2;
  const out = new Float32Array(side * side);
  for (let y = 0; y < cells; y++) out.set(mask.subarray(y * cells, (y + 1) * cells), (y + 1) * side + 1);
  return out;
}

// Stretch each of the `side` rows of a square map by the taps of `linearTaps`.
function stretchRows(map, side, {left, share}) {
  const width = left.length;
  const out = new Float32Array(side * width);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * side + left[x];
      const next = y * side + Math.min(left[x] + 1, side - 1);
      out[y * width + x] = (1 - share[x]) * map[at] + share[x] * map[next];
    }
  }
  return out;
}

// Stretch `side` rows of `width` numbers downwards: 1 where the result is above `threshold`, else 0.
function stretchAndThreshold(map, side, width, rows, threshold) {
  const out = new Uint8Array(width * rows.left.length);
  for (let y = 0, at = 0; y < rows.left.length; y++) {
    const above = rows.left[y] * width;
    const below = Math.min(rows.left[y] + 1, side - 1) * width;
    const share = rows.share[y];
    const rest = f32(1 - share);
    for (let x = 0; x < width; x++) {
      out[at++] = f32(rest * map[above + x] + share * map[below + x]) > threshold ? 1 : 0;
    }
  }
  return out;
}

// The smallest window that holds all ones of `pixels`: [x1, y1, x2, y2]; without ones, x2 is not above x1.
function windowOfOnes(pixels, width, height) {
  let x1 = width;
  let y1 = height;
  let x2 = 0;
  let y2 = 0;
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first < 0) continue;
    x1 = Math.min(x1, first);
    x2 = Math.max(x2, row.lastIndexOf(1) + 1);
    y1 = Math.min(y1, y);
    y2 = y + 1;
  }
  return [x1, y1, x2, y2];
}

// Pixels (0 or 1) without empty rows and columns around them, packed: {x, y, width, height, bits}, without
// ones all 0 and empty. `x` and `y` say where they begin in the image, also those that are given.
// `bits` holds row by row, eight pixels a byte, the first in the highest bit.
function packWindow(pixels, x, y, width, height) {
  const [x1, y1, x2, y2] = windowOfOnes(pixels, width, height);
  if (x2 <= x1) return {x: 0, y: 0, width: 0, height: 0, bits: new Uint8Array(0)};
  const windowWidth = x2 - x1;
  const windowHeight = y2 - y1;
  const bits = new Uint8Array(Math.ceil((windowWidth * windowHeight) / 8));
  for (let row = 0, at = 0; row < windowHeight; row++) {
    const start = (y1 + row) * width + x1;
    for (let column = 0; column < windowWidth; column++, at++) {
      if (pixels[start + column]) bits[at >> 3] |= 128 >> (at & 7);
    }
  }
  return {x: x + x1, y: y + y1, width: windowWidth, height: windowHeight, bits};
}

// The pixels of a mask's window: a Uint8Array of width * height, 0 or 1.
export function maskPixels({width, height, bits}) {
  const out = new Uint8Array(width * height);
  for (let i = 0; i < out.length; i++) out[i] = (bits[i >> 3] >> (7 - (i & 7))) & 1;
  return out;
}

// The objects of a Mask R-CNN, with a mask as from `packWindow` for each.
function decodeMasks(outputs, placement, card, {scoreThreshold, maskThreshold}) {
  const found = foundObjects(outputs, placement, card.labels.names.length, scoreThreshold);
  const threshold = maskThreshold ?? card.decoding.mask_threshold ?? 0.5;
  const cells = outputs[3].dims.at(-1);
  const {width, height} = placement;
  const masks = found.rows.map((row, i) =>
    pasteMask(rowOf(outputs[3], row), cells, found.wholeBoxes[i], width, height, threshold),
  );
  return {scores: found.scores, labels: found.labels, boxes: found.boxes, masks};
}

// ## Decoding: keypoints

const NEAR = 0.1; // share of the box's longer side within which a keypoint counts as right
const SMALL_MAP = 1 << 14; // pixels up to which a map is stretched as a whole
const ROUNDING = 1e-6; // two logits that differ by less than this share are equal
const CUBIC = -0.75; // the parameter of the bicubic kernel, as in PyTorch

// The weight of a cell at a distance of at most 2 cells.
function kernelWeight(distance) {
  const d = distance;
  if (d <= 1) return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1;
  return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC;
}

// For the pixels `first` to `last - 1` of a row of `nBefore` cells that is stretched to `nAfter`:
// four cells each and their bicubic weights. Beyond an end, the cell at the end counts several times.
function cubicTaps(nBefore, nAfter, first, last) {
  const cells = new Int32Array(4 * (last - first));
  const weights = new Float64Array(cells.length);
  for (let i = 0; i < last - first; i++) {
    const at = (first + i + 0.5) * (nBefore / nAfter) - 0.5;
    const left = Math.floor(at);
    // the weights of a cell that counts several times are added in one slot; slots left over have no weight
    for (let k = -1, slot = 4 * i - 1, previous = -1; k < 3; k++) {
      const cell = Math.min(Math.max(left + k, 0), nBefore - 1);
      if (cell !== previous) cells[++slot] = cell;
      previous = cell;
      weights[slot] += kernelWeight(Math.abs(at - left - k));
    }
  }
  return {cells, weights: Float32Array.from(weights), length: last - first};
}

// A map (n * n numbers) stretched along its rows by the taps `columns`, then along its columns by the taps
// `rows`, both from `cubicTaps`: rows.length * columns.length numbers.
function stretch(map, n, columns, rows) {
  const width = columns.length;
  const wide = new Float32Array(n * width); // stretched along its rows only
  const out = new Float32Array(rows.length * width);
  for (let x = 0; x < width; x++) {
    weightedSums(columns, x, n, {data: map, cell: 1, next: n}, {data: wide, at: x, next: width});
  }
  for (let y = 0; y < rows.length; y++) {
    const target = {data: out, at: y * width, next: 1};
    weightedSums(rows, y, width, {data: wide, cell: width, next: 1}, target);
  }
  return out;
}

// `count` sums of four cells each, with the cells and weights of pixel `i` (see `cubicTaps`).
// In `data`, `cell` is the distance of two cells of a sum, and `next` that of the same cell of two sums.
// The sums go into `to.data`, the first at `to.at`, `to.next` apart. Their order is that of NumPy's product.
function weightedSums({cells, weights}, i, count, {data, cell, next}, to) {
  const [a, b, c, d] = cells.subarray(4 * i, 4 * i + 4).map(position => position * cell);
  const [p, q, r, s] = weights.subarray(4 * i, 4 * i + 4);
  for (let k = 0, at = 0, out = to.at; k < count; k++, at += next, out += to.next) {
    const three = f32(f32(f32(p * data[a + at]) + q * data[b + at]) + r * data[c + at]);
    to.data[out] = f32(three + s * data[d + at]);
  }
}

// A map of `rows` rows and `columns` columns with rows and columns exchanged.
function transposed(map, rows, columns) {
  const out = new Float32Array(map.length);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) out[x * rows + y] = map[y * columns + x];
  }
  return out;
}

// The position of the highest number; of equal ones the first.
function argmax(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) {
    if (numbers[i] > numbers[best]) best = i;
  }
  return best;
}

// The pixel at which a map (n * n numbers), stretched to width x height, is highest: [column, row].
// As in Python, a small map is stretched along its columns first (hence the exchange), and parts of a large
// one along their rows first, so that the sums are rounded equally.
function highestPixel(map, n, width, height) {
  if (width * height > SMALL_MAP) return highestOfParts(map, n, width, height);
  const across = cubicTaps(n, width, 0, width);
  const down = cubicTaps(n, height, 0, height);
  const best = argmax(transposed(stretch(transposed(map, n, n), n, down, across), width, height));
  return [best % width, Math.floor(best / width)];
}

// The same by parts, each between the centers of four cells: in the order of how high they can be at most,
// until no other part can be higher.
function highestOfParts(map, n, width, height) {
  const ceilings = ceilingsOf(map, n);
  let best = {at: [0, 0], value: -Number.MAX_VALUE}; // lower than any: of -Infinity, ROUNDING would make NaN
  while (true) {
    const i = argmax(ceilings);
    if (ceilings[i] <= best.value + ROUNDING * Math.abs(best.value)) return best.at;
    ceilings[i] = -Infinity;
    const [left, right] = partOf(i % (n + 1), n, width);
    const [top, bottom] = partOf(Math.floor(i / (n + 1)), n, height);
    if (left === right || top === bottom) continue; // the box is narrower than the map
    const values = stretch(map, n, cubicTaps(n, width, left, right), cubicTaps(n, height, top, bottom));
    const k = argmax(values);
    const span = right - left;
    const at = [left + (k % span), top + Math.floor(k / span)];
    if (values[k] > best.value) best = {at, value: values[k]};
  }
}

// The pixels of part `i` of n + 1, between the centers of two cells, of a row stretched to `size`:
// [start, end], the last of them before `end`.
function partOf(i, n, size) {
  const pixelFrom = cell => Math.min(Math.max(Math.ceil(((cell + 0.5) * size) / n - 0.5), 0), size);
  return [pixelFrom(i - 1), i === n ? size : pixelFrom(i)];
}

// How high the stretched map can be at most between any four centers. There it is a Bezier surface, which is
// nowhere higher than its highest control number.
// Gives (n + 1) * (n + 1) numbers.
function ceilingsOf(map, n) {
  const side = n + 1;
  const ceilings = new Float32Array(side * side).fill(-Infinity);
  const across = controlNumbers(map, n, n, {cell: 1, line: n}, {cell: 1, line: side});
  for (const column of across) {
    for (const control of controlNumbers(column, n, side, {cell: side, line: 1}, {cell: side, line: 1})) {
      for (let i = 0; i < control.length; i++) ceilings[i] = Math.max(ceilings[i], control[i]);
    }
  }
  return ceilings;
}

// The four control numbers of the bicubic curve between neighbours, along each of `lines` lines of `n` cells:
// four arrays of n + 1 numbers a line. How far apart cells and lines lie: `from` for `map`, `to` for those.
function controlNumbers(map, n, lines, from, to) {
  const controls = Array.from({length: 4}, () => new Float32Array((n + 1) * lines));
  for (let i = 0; i <= n; i++) {
    const cells = [i - 2, i - 1, i, i + 1].map(k => Math.min(Math.max(k, 0), n - 1) * from.cell);
    for (let line = 0; line < lines; line++) {
      const [a, b, c, d] = cells.map(cell => map[cell + line * from.line]);
      const at = i * to.cell + line * to.line;
      // the slope at a cell is -CUBIC times the difference of its neighbours; a Bezier curve takes a third
      controls[0][at] = b;
      controls[1][at] = b + (c - a) / 4;
      controls[2][at] = c - (d - b) / 4;
      controls[3][at] = c;
    }
  }
  return controls;
}

// The most probable place of a keypoint by its heat map (n * n logits within `box`): [x, y, confidence], in
// the pixels of `box`. Throws an Error where a logit is not finite.
export function decodePoint(map, n, box) {
  if (!map.every(Number.isFinite)) throw new Error('A heat map has a value that is not a number.');
  const size = [0, 1].map(i => Math.max(f32(box[i + 2] - box[i]), 1)); // at least a pixel
  const whole = size.map(Math.ceil); // the map is stretched to whole pixels
  const pixel = highestPixel(map, n, ...whole);
  const point = pixel.map((at, i) => f32(f32(f32(at + 0.5) * f32(size[i] / whole[i])) + box[i]));
  return [...point, pointConfidence(map, n, box, point)];
}

// The share of the probability in the map that lies near the point (see NEAR), from 0 to 1.
function pointConfidence(map, n, box, point) {
  const size = [0, 1].map(i => Math.max(box[i + 2] - box[i], 1));
  const radius = NEAR * Math.max(...size);
  const highest = map.reduce((a, b) => Math.max(a, b)); // subtracted, so that no exponential is infinite
  // of the center of cell `k` along axis `i` from the point, in radii
  const squaredDistance = (k, i) => {
    const distance = (point[i] - (box[i] + ((k + 0.5) / n) * size[i])) / radius;
    return distance * distance;
  };
  const xSquares = Float64Array.from({length: n}, (_, k) => squaredDistance(k, 0));
  const ySquares = Float64Array.from({length: n}, (_, k) => squaredDistance(k, 1));
  let sum = 0;
  let near = 0;
  for (let i = 0; i < n * n; i++) {
    const p = Math.exp(map[i] - highest);
    const x = i % n;
    sum += p;
    if (xSquares[x] + ySquares[(i - x) / n] <= 1) near += p;
  }
  return near / sum;
}

// The objects of a Keypoint R-CNN, with a list of [x, y, confidence] for each.
function decodePoints(outputs, placement, card, {scoreThreshold}) {
  const found = foundObjects(outputs, placement, card.labels.names.length, scoreThreshold);
  const [, nPoints, n] = outputs[3].dims;
  const maps = {data: outputs[3].data, dims: [0, n, n]}; // one row for each point of each object
  const keypoints = found.rows.map((row, i) => {
    const decode = k => decodePoint(rowOf(maps, row * nPoints + k), n, found.wholeBoxes[i]);
    return Array.from({length: nPoints}, (_, k) => decode(k));
  });
  return {scores: found.scores, labels: found.labels, boxes: found.boxes, keypoints};
}
