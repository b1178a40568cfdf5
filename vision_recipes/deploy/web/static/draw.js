// Draws predictions over an image. Knows nothing of the page: a canvas, a bitmap, a prediction, a card.
//
// This file is the source. Edit it here: no notebook exports it, and every page gets a copy of it as it is.
// nbs/deploy/web/05_page_scripts.ipynb holds its reasons and its tests.
import {maskPixels} from './model.js';

const MIN_CONFIDENCE = 0.5; // from which a keypoint is drawn as a disc, below it as a ring
const DEFAULT_COLOR = [31, 111, 92]; // where the card gives none
const FADED = 0.2; // opacity of all objects but the active one
const MASK_OPACITY = 0.28; // as `MASK_OPACITY` in drawing/canvas
// of ids, and of objects with masks, the highest score first: as `INSTANCE_COLORS` in drawing/canvas
const INSTANCE_COLORS = [
  [0, 130, 200],
  [245, 130, 48],
  [60, 180, 75],
  [240, 50, 230],
  [255, 225, 25],
  [145, 30, 180],
  [70, 240, 240],
  [230, 25, 75],
  [170, 255, 195],
  [170, 110, 40],
  [200, 160, 255],
  [0, 90, 90],
];
const HIDDEN_SHARE = 0.2; // of an object's box, that its own name may hide at most
const OUTLINE_STEPS = 12; // directions into which a mask is shifted for its outline
const TRAIL_PIECES = 4; // of a trail, from the oldest to the newest: as in drawing/tracks
const MARK = [255, 215, 0]; // the line to count over: no color of an id
const DARK = 'rgb(0 0 0 / .75)'; // around that line

// ## Colors and numbers

// A share (0 to 1) in percent; from 0.0 to 9.9 %, and from 99.5 to 99.9 %, with a digit behind the point
export function percent(share) {
  const needsDigit = share < 0.0995 || (share >= 0.995 && share < 0.9995);
  return `${(100 * share).toFixed(needsDigit ? 1 : 0)} %`;
}

// A color of bytes, with an opacity, as CSS
export function css([r, g, b], alpha = 1) {
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

// The color (RGB, bytes) of a class by the card; the colors repeat where there are more classes
export function classColor({colors}, label) {
  return colors?.length ? colors[label % colors.length] : DEFAULT_COLOR;
}

// The color (RGB, bytes) of an id, the same in every frame and in Python
export function idColor(id) {
  return INSTANCE_COLORS[id % INSTANCE_COLORS.length];
}

// The color (RGB, bytes) of object `i` of a prediction: that of its id where it is followed, else that of its
// class, or with masks one of its own, so that objects of one class that overlap can be told apart
export function objectColor(card, {masks, labels, ids}, i) {
  if (ids) return idColor(ids[i]);
  return masks ? INSTANCE_COLORS[i % INSTANCE_COLORS.length] : classColor(card, labels[i]);
}

// The color (CSS) of keypoint `k`, evenly spread over the color wheel
export function pointColor(k, nPoints) {
  return `hsl(${Math.round((360 * k) / nPoints)} 85% 55%)`;
}

// A channel of sRGB (0 to 1) as an amount of light
function linearLight(v) {
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
}

// Black or white, whichever has the higher contrast with a color
export function inkOn(rgb) {
  const [r, g, b] = rgb.map(v => linearLight(v / 255));
  // the luminance of sRGB; at 0.179, black and white have the same contrast (WCAG)
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000' : '#fff';
}

// ## The image and its layers

// Draw an image and its prediction.
// `order` holds the positions of the objects to draw, the highest score first.
// `active` is the position of the one that stands out, while all others are faded; null: none.
// `marks` are what tracking adds: {trails, line, words}, see `drawMarks`; null: nothing.
export function drawPrediction(canvas, bitmap, prediction, card, order, active, marks = null) {
  const ratio = devicePixelRatio || 1; // pixels of the screen for a pixel of CSS
  // 500 pixels of CSS is the width up to which lines keep their own
  const zoom = Math.max(1, Math.min(1.5, canvas.clientWidth / 500)); // thicker lines on a large image
  fitCanvas(canvas, bitmap, ratio);
  const pen = canvas.getContext('2d');
  drawBitmap(pen, bitmap);
  if (!prediction.boxes) return;
  const view = {
    pen,
    card,
    scale: canvas.width / prediction.width, // pixels of the canvas for a pixel of the image
    unit: ratio * zoom, // pixels of the canvas for one pixel of line width
    labelPlaces: [], // where names are already: {x, y, width, height}
  };
  const draw = (drawLayer, i) => {
    pen.globalAlpha = active === null || active === i ? 1 : FADED;
    drawLayer(view, prediction, i);
  };
  const lowestFirst = [...order].reverse();
  const drawLayers = (...layers) => {
    for (const drawLayer of layers) for (const i of lowestFirst) draw(drawLayer, i);
  };
  drawLayers(drawMask);
  pen.globalAlpha = 1;
  if (marks) drawMarks(view, marks);
  drawLayers(drawBox, drawPoints);
  // the active object has the first choice of a place for its name, then the highest score
  if (order.includes(active)) draw(drawName, active);
  for (const i of order) if (i !== active) draw(drawName, i);
  pen.globalAlpha = 1;
}

// Points of the colors from cold to hot, as in Python's `heat_colors`
const HEAT = [[13, 8, 135], [126, 3, 168], [204, 71, 120], [248, 149, 64], [240, 230, 60]];
const MOST_OPAQUE = 0.75; // of the color where a map is 1

// The color of a number from 0 to 1: [red, green, blue]
export function heatColor(value) {
  const position = Math.max(0, Math.min(value, 1)) * (HEAT.length - 1);
  const low = Math.min(Math.floor(position), HEAT.length - 2);
  return HEAT[low].map((v, c) => Math.round(v + (HEAT[low + 1][c] - v) * (position - low)));
}

// Lay a map of n x n numbers from 0 to 1, row by row, over the image that a canvas shows. Opacity grows with
// the root of a number, so that small ones are seen too.
export function drawHeat(canvas, heat) {
  const n = Math.sqrt(heat.length);
  const pixels = new ImageData(n, n);
  heat.forEach((value, i) => {
    pixels.data.set([...heatColor(value), 255 * MOST_OPAQUE * Math.sqrt(value)], 4 * i);
  });
  const small = new OffscreenCanvas(n, n);
  small.getContext('2d').putImageData(pixels, 0, 0);
  const pen = canvas.getContext('2d');
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(small, 0, 0, canvas.width, canvas.height);
}

// Give the canvas as many pixels as it has on the screen, `ratio` for one of CSS, in the shape of the image
function fitCanvas(canvas, bitmap, ratio) {
  canvas.style.setProperty('--shape', bitmap.width / bitmap.height);
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round((canvas.width * bitmap.height) / bitmap.width));
}

// The image on white, which shows where it is transparent
function drawBitmap(pen, bitmap) {
  const {width, height} = pen.canvas;
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(bitmap, 0, 0, width, height);
}

// The box of object `i`: a line in its color on a wider dark one
function drawBox({pen, card, scale, unit}, prediction, i) {
  const {boxes, masks} = prediction;
  if (masks) return; // the outline of the mask shows it better
  const [x1, y1, x2, y2] = boxes[i].map(v => v * scale);
  const strokes = [
    ['rgb(0 0 0 / .45)', 5],
    [css(objectColor(card, prediction, i)), 3],
  ];
  for (const [style, width] of strokes) {
    pen.strokeStyle = style;
    pen.lineWidth = width * unit;
    pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }
}

// The class and score of object `i`, or its class and id, on a field in its color
function drawName(view, prediction, i) {
  const {boxes, labels, scores, ids} = prediction;
  const {pen, card, scale, unit} = view;
  const {names} = card.labels;
  const color = objectColor(card, prediction, i);
  const name = names.length > 1 ? `${names[labels[i]]} ` : ''; // the name of the only class says nothing
  const text = `${name}${ids ? ids[i] : percent(scores[i])}`;
  // letters of 13 pixels (CSS, on a small image) in a field of 20, with 5 beside the text
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  pen.textBaseline = 'middle';
  const size = {width: pen.measureText(text).width + 10 * unit, height: 20 * unit};
  const corner = placeName(view, boxes[i].map(v => v * scale), size);
  if (!corner) return; // the list beside the image names it
  const {x, y} = corner;
  pen.fillStyle = css(color);
  pen.fillRect(x, y, size.width, size.height);
  pen.fillStyle = inkOn(color);
  pen.fillText(text, x + 5 * unit, y + size.height / 2 + unit); // a little lower, where it looks centered
}

// The area that two rectangles {x, y, width, height} have in common
function commonArea(a, b) {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, width) * Math.max(0, height);
}

// The left top corner for a name above, below, beside or inside a box, where no other name is: {x, y}.
// It hides at most `HIDDEN_SHARE` of the box, and is noted in `labelPlaces`. Undefined where there is no such
// place: in a crowd, some objects have no name until they are active. All are in pixels of the canvas.
export function placeName({pen, labelPlaces}, [x1, y1, x2, y2], {width, height}) {
  const within = (v, limit) => Math.max(0, Math.min(v, limit));
  const corners = [
    [x1, y1 - height],
    [x1, y2],
    [x2, y1],
    [x1 - width, y1],
    [x1, y1],
  ];
  const places = corners.map(([x, y]) => ({
    x: within(x, pen.canvas.width - width),
    y: within(y, pen.canvas.height - height),
    width,
    height,
  }));
  const box = {x: x1, y: y1, width: x2 - x1, height: y2 - y1};
  const isFree = place =>
    commonArea(place, box) <= HIDDEN_SHARE * box.width * box.height &&
    labelPlaces.every(other => commonArea(place, other) === 0);
  // of those that are free the one that hides least of the box; of equals the first
  const [place] = places.filter(isFree).sort((a, b) => commonArea(a, box) - commonArea(b, box));
  if (place) labelPlaces.push(place);
  return place;
}

// ## Trails and the line

// The trails (a Map by id: places [{x, y}] in pixels of the image, the newest last), and the line {start,
// end}, each end [x, y] in shares of the image, with `words` at its upper end; null: no line
function drawMarks(view, {trails, line, words}) {
  if (line) drawLine(view, line, words);
  for (const [id, places] of trails) drawTrail(view, places, idColor(id));
}

// A trail in pieces, fainter and thinner to its old end
function drawTrail({pen, scale, unit}, places, color) {
  const last = places.length - 1;
  for (let piece = 0; piece < TRAIL_PIECES; piece++) {
    const [start, stop] = [piece, piece + 1].map(k => Math.floor((k * last) / TRAIL_PIECES));
    if (start === stop) continue;
    const share = (piece + 1) / TRAIL_PIECES;
    pen.strokeStyle = css(color, share);
    pen.lineWidth = 3.5 * unit * share;
    pen.beginPath(); // the first `lineTo` of a path only puts the pen there
    for (const {x, y} of places.slice(start, stop + 1)) pen.lineTo(x * scale, y * scale);
    pen.stroke();
  }
}

// A line on a wider dark one, and an arrow in its middle that points to its right side, where `in` is
function drawLine(view, line, words) {
  const {pen, unit} = view;
  const {width, height} = pen.canvas;
  const [[x1, y1], [x2, y2]] = [line.start, line.end].map(([x, y]) => [x * width, y * height]);
  const length = Math.max(Math.hypot(x2 - x1, y2 - y1), 1e-9);
  const [alongX, alongY] = [(x2 - x1) / length, (y2 - y1) / length];
  // from the middle: so far to the right of the line, and so far along it
  const place = (right, along) => [
    (x1 + x2) / 2 + (along * alongX - right * alongY) * unit,
    (y1 + y2) / 2 + (along * alongY + right * alongX) * unit,
  ];
  strokePath(view, [[x1, y1], [x2, y2]]);
  strokePath(view, [place(0, 0), place(12, 0)]);
  strokePath(view, [place(12, 7), place(24, 0), place(12, -7)], true);
  drawWords(view, words, y1 <= y2 ? [x1, y1] : [x2, y2]);
}

// Points joined by a line in the color of marks, on a wider dark one; closed and filled where `isFilled`
function strokePath({pen, unit}, points, isFilled = false) {
  const strokes = [
    [DARK, 6],
    [css(MARK), 3],
  ];
  for (const [style, lineWidth] of strokes) {
    Object.assign(pen, {strokeStyle: style, fillStyle: style, lineWidth: lineWidth * unit});
    pen.beginPath();
    for (const point of points) pen.lineTo(...point);
    if (isFilled) pen.closePath();
    pen.stroke();
    if (isFilled) pen.fill();
  }
}

// Words on a field beside a point [x, y] of the canvas, where a place is free; else at it. Empty: nothing
function drawWords(view, text, [x, y]) {
  const {pen, unit} = view;
  if (!text) return;
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  pen.textBaseline = 'middle';
  const size = {width: pen.measureText(text).width + 10 * unit, height: 20 * unit};
  const corner = placeName(view, [x, y, x, y], size) ?? {x, y};
  pen.fillStyle = css(MARK);
  pen.fillRect(corner.x, corner.y, size.width, size.height);
  pen.fillStyle = inkOn(MARK);
  pen.fillText(text, corner.x + 5 * unit, corner.y + size.height / 2 + unit);
}

// ## Masks

// A canvas that is not on the page
function newCanvas(width, height) {
  return Object.assign(document.createElement('canvas'), {width, height});
}

// A mask's window as an image of its own, in one color
function maskImage(mask, rgb) {
  const {width, height} = mask;
  const image = new ImageData(width, height);
  maskPixels(mask).forEach((isObject, k) => {
    if (isObject) image.data.set([...rgb, 255], 4 * k);
  });
  const canvas = newCanvas(width, height);
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}

// The outline of a mask: its shape (a canvas) at width x height, shifted by `rim` pixels to all sides, and
// cut out where it lies itself. The canvas has a margin of `rim` pixels.
function maskOutline(shape, width, height, rim) {
  const outline = newCanvas(Math.ceil(width) + 2 * rim, Math.ceil(height) + 2 * rim);
  const pen = outline.getContext('2d');
  const stamp = (dx, dy) => pen.drawImage(shape, rim + dx, rim + dy, width, height);
  for (let k = 0; k < OUTLINE_STEPS; k++) {
    const angle = (2 * k * Math.PI) / OUTLINE_STEPS;
    stamp(rim * Math.cos(angle), rim * Math.sin(angle));
  }
  pen.globalCompositeOperation = 'destination-out';
  stamp(0, 0);
  return outline;
}

// The mask of object `i`: a tint with an outline
function drawMask({pen, card, scale, unit}, prediction, i) {
  const {masks} = prediction;
  if (!masks || !masks[i].width || !masks[i].height) return;
  const [x, y, width, height] = [masks[i].x, masks[i].y, masks[i].width, masks[i].height].map(v => v * scale);
  const rim = Math.ceil(2 * unit);
  const shape = maskImage(masks[i], objectColor(card, prediction, i));
  pen.drawImage(maskOutline(shape, width, height, rim), x - rim, y - rim);
  const opacity = pen.globalAlpha;
  pen.globalAlpha = MASK_OPACITY * opacity;
  pen.drawImage(shape, x, y, width, height);
  pen.globalAlpha = opacity;
}

// ## Keypoints

// The keypoints of object `i`, and the lines of the skeleton between them
function drawPoints(view, prediction, i) {
  const {keypoints} = prediction;
  if (!keypoints) return;
  const {pen, card, scale, unit} = view;
  const centers = keypoints[i].map(([x, y]) => [x * scale, y * scale]);
  pen.strokeStyle = css(objectColor(card, prediction, i));
  pen.lineWidth = 2.5 * unit;
  for (const [from, to] of card.labels.skeleton?.edges ?? []) {
    pen.beginPath();
    pen.moveTo(...centers[from]);
    pen.lineTo(...centers[to]);
    pen.stroke();
  }
  centers.forEach((center, k) => {
    const isFilled = keypoints[i][k][2] >= MIN_CONFIDENCE;
    drawPoint(view, center, pointColor(k, centers.length), isFilled);
  });
}

// A ring in a color on a wider white one; where it is `isFilled`, a disc with a white rim
function drawPoint({pen, unit}, [x, y], color, isFilled) {
  const circle = () => {
    pen.beginPath();
    pen.arc(x, y, 5 * unit, 0, 2 * Math.PI);
  };
  circle();
  pen.strokeStyle = '#fff';
  pen.lineWidth = 4 * unit;
  pen.stroke();
  circle();
  if (isFilled) {
    pen.fillStyle = color;
    pen.fill();
  } else {
    pen.strokeStyle = color;
    pen.lineWidth = 2 * unit;
    pen.stroke();
  }
}
