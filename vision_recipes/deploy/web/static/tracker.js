// Ids for the objects of a video, and lines that count them: ByteTrack in the browser, as in Python.
//
// This file is the source. Edit it here: no notebook exports it, and every page gets a copy of it as it is.
// nbs/deploy/web/07_tracker.ipynb holds its tests; nbs/tracking/*.ipynb explain the steps.
// The operations are those of Python in the same order, in double precision, so that the results are equal.

// ## Assignment: core/assignment.py and tracking/assignment.py of vision_recipes

// The shortest path from the row `start`, which has no column, to a free column (Dijkstra). Changes the
// prices of rows and columns, so that no cost less its two prices is below 0. `rowOf`: the row of each
// column, -1: free. {column, previousRow}: where it ends, and the row before each column.
function shortestPath(costs, start, rowPrices, columnPrices, rowOf) {
  const n = rowOf.length;
  const distance = new Array(n).fill(Infinity);
  const previousRow = new Array(n).fill(-1);
  const visited = new Array(n).fill(false);
  let row = start;
  let length = 0; // of the path to `row`
  let column = -1;
  while (row >= 0) {
    let nearest = -1;
    for (let c = 0; c < n; c++) {
      if (visited[c]) continue;
      const throughRow = length + costs[row][c] - rowPrices[row] - columnPrices[c];
      if (throughRow < distance[c]) {
        distance[c] = throughRow;
        previousRow[c] = row;
      }
      if (nearest < 0 || distance[c] < distance[nearest]) nearest = c;
    }
    column = nearest;
    visited[column] = true;
    length = distance[column];
    row = rowOf[column];
  }
  rowPrices[start] += length;
  for (let c = 0; c < n; c++) {
    if (!visited[c] || rowOf[c] < 0) continue;
    rowPrices[rowOf[c]] += length - distance[c];
    columnPrices[c] -= length - distance[c];
  }
  return {column, previousRow};
}

// Pairs [row, column] with the least sum of the costs, an array of rows of finite numbers. Each row gets one,
// or each column where there are fewer of them. By ascending rows.
export function linearAssignment(costs) {
  const nRows = costs.length;
  const nColumns = nRows ? costs[0].length : 0;
  if (nRows > nColumns) {
    const turned = Array.from({length: nColumns}, (_, c) => costs.map(row => row[c]));
    return linearAssignment(turned).map(([c, r]) => [r, c]).sort((a, b) => a[0] - b[0]);
  }
  const rowPrices = new Array(nRows).fill(0);
  const columnPrices = new Array(nColumns).fill(0);
  const columnOf = new Array(nRows).fill(-1);
  const rowOf = new Array(nColumns).fill(-1);
  for (let row = 0; row < nRows; row++) {
    let {column, previousRow} = shortestPath(costs, row, rowPrices, columnPrices, rowOf);
    while (column >= 0) { // backwards along the path: each row takes the column that was found from it
      const taker = previousRow[column];
      rowOf[column] = taker;
      [column, columnOf[taker]] = [columnOf[taker], column];
    }
  }
  return columnOf.map((column, row) => [row, column]);
}

// Pairs [row, column] at the least sum of costs (rows of numbers or Infinity), where a row without a pair
// costs `limit`, and no pair costs more. Those that can be paired with each other alone need no search and
// come first.
export function matchCosts(costs, limit) {
  const perColumn = costs.length ? costs[0].map((_, c) => costs.filter(row => row[c] <= limit).length) : [];
  const pairs = [];
  const restRows = [];
  const isRest = perColumn.map(n => n > 0);
  costs.forEach((row, r) => {
    const possible = row.flatMap((cost, c) => (cost <= limit ? [c] : []));
    if (possible.length === 1 && perColumn[possible[0]] === 1) {
      pairs.push([r, possible[0]]);
      isRest[possible[0]] = false;
    } else if (possible.length) {
      restRows.push(r);
    }
  });
  const restColumns = isRest.flatMap((rest, c) => (rest ? [c] : []));
  const block = restRows.map(r => restColumns.map(c => Math.min(costs[r][c], limit)));
  for (const [i, j] of linearAssignment(block)) {
    if (costs[restRows[i]][restColumns[j]] <= limit) pairs.push([restRows[i], restColumns[j]]);
  }
  return pairs;
}

// ## Boxes that move: vision_recipes/tracking/box_filter.py

const POSITION_STD = 1 / 20; // of the height
const VELOCITY_STD = 1 / 160; // of the height, for each frame

// Centre x, centre y, width / height, height of a box [x1, y1, x2, y2].
function measured([x1, y1, x2, y2]) {
  const w = x2 - x1;
  const h = y2 - y1;
  return [x1 + w / 2, y1 + h / 2, w / h, h];
}

// The variances of the four numbers of `measured`, from standard deviations: of centre and height a `share`
// of the height, of the ratio `ratioStd`
function variances(height, share, ratioStd) {
  const std = share * height;
  return [std * std, std * std, ratioStd * ratioStd, std * std];
}

// A Kalman filter with constant velocity for one box [x1, y1, x2, y2], in pixels, by the four numbers
// of `measured`. 1e-2, 1e-5 and 1e-1 are DeepSORT's, for the ratio; so are 2 and 10, by which position and
// velocity of a new box are less sure.
export class BoxFilter {
  constructor(box) {
    this.position = measured(box);
    this.velocity = [0, 0, 0, 0]; // for each frame
    // each number has its own variance of position and velocity, and covariance of both
    this.variance = variances(this.position[3], 2 * POSITION_STD, 1e-2);
    this.covariance = [0, 0, 0, 0];
    this.velocityVariance = variances(this.position[3], 10 * VELOCITY_STD, 1e-5);
  }

  // The box [x1, y1, x2, y2] at the position
  corners() {
    const [x, y, ratio, height] = this.position;
    const halfW = ratio / 2 * height;
    const halfH = height / 2;
    return [x - halfW, y - halfH, x + halfW, y + halfH];
  }

  // Move on by `n` frames, which may be a fraction. While the height stays, many at once give what steps of
  // single ones do.
  predict(n) {
    const height = this.position[3];
    const noise = variances(height, POSITION_STD, 1e-2);
    const velocityNoise = variances(height, VELOCITY_STD, 1e-5);
    for (let k = 0; k < 4; k++) {
      const covariance = this.covariance[k];
      const velocityVariance = this.velocityVariance[k];
      this.position[k] += n * this.velocity[k];
      const grown = 2 * n * covariance + n * n * velocityVariance + n * noise[k];
      this.variance[k] += grown + n * (n - 1) * (2 * n - 1) / 6 * velocityNoise[k];
      this.covariance[k] += n * velocityVariance + n * (n - 1) / 2 * velocityNoise[k];
      this.velocityVariance[k] += n * velocityNoise[k];
    }
  }

  // Correct position and velocity by a box [x1, y1, x2, y2] that was found
  update(box) {
    const found = measured(box);
    const noise = variances(this.position[3], POSITION_STD, 1e-1);
    for (let k = 0; k < 4; k++) {
      const variance = this.variance[k];
      const covariance = this.covariance[k];
      const total = variance + noise[k];
      const gain = variance / total;
      const velocityGain = covariance / total;
      const difference = found[k] - this.position[k];
      this.position[k] += gain * difference;
      this.velocity[k] += velocityGain * difference;
      this.variance[k] = variance - gain * variance;
      this.covariance[k] = covariance - gain * covariance;
      this.velocityVariance[k] -= velocityGain * covariance;
    }
  }
}

// ## The tracker: vision_recipes/tracking/byte_track.py

// The defaults of `TrackSettings`, by its names. Costs are those of `pair`.
export const TRACK_SETTINGS = {
  high_score: 0.5, // boxes above it are matched first
  low_score: 0.1, // boxes up to it are ignored
  new_score: 0.6, // the least of a box that begins a track
  match_cost: 0.8, // the most of a confirmed track and a box of high score
  low_match_cost: 0.5, // the most of such a track and a box of low score
  new_match_cost: 0.7, // the most of a track that is not confirmed yet
  lost_s: 1, // seconds for which an object that is not seen keeps its id
  duplicate_iou: 0.85, // above it, a seen and a lost track are the same
  class_aware: true, // whether a track has boxes of one class only
};

// Intersection over union of two boxes; 0 where it is no number
function iou([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) {
  const w = Math.max(Math.min(ax2, bx2) - Math.max(ax1, bx1), 0);
  const h = Math.max(Math.min(ay2, by2) - Math.max(ay1, by1), 0);
  const common = w * h;
  const ratio = common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common);
  return Number.isFinite(ratio) ? ratio : 0;
}

// A track: {id (0: not confirmed yet), label, row (its object in this frame, -1: none), lost (whether it has
// none), first, last (when it was seen, in frames), box (a BoxFilter), corners (of `box`, made when needed)}.
export class ByteTracker {
  // `settings` that differ from TRACK_SETTINGS; `frameRate`: frames a second. Throws an Error for bad ones.
  constructor(settings = {}, frameRate = 30) {
    if (!(frameRate > 0 && frameRate < Infinity)) {
      throw new Error(`frameRate must be a number of frames a second, above 0, but is ${frameRate}.`);
    }
    for (const name of Object.keys(settings)) {
      if (!(name in TRACK_SETTINGS)) throw new Error(`There is no setting ${name}.`);
    }
    this.settings = {...TRACK_SETTINGS, ...settings};
    this.lostFrames = this.settings.lost_s * frameRate + 1e-6; // 1e-6: seconds are rounded
    this.frameRate = frameRate;
    this.reset();
  }

  // Forget everything, for another video: ids begin at 1 again.
  reset() {
    this.nextId = 1;
    this.timeS = null;
    this.forgetTracks();
  }

  // Without tracks, as before the first frame; ids go on.
  forgetTracks() {
    this.tracks = [];
    this.now = 0; // in frames
    this.begins = true;
    this.size = null;
  }

  // The next frame: `boxes` flat, XYXY in pixels; `size` [width, height], where another one ends all tracks.
  // `timeS`: when it was taken, in seconds; null: one frame after the last.
  // {rows, ids}: the objects that belong to confirmed tracks, by ascending ids; rows are their positions.
  update({boxes, scores, labels, size = null}, timeS = null) {
    const found = foundObjects(boxes, scores, labels, this.settings.low_score);
    const frames = this.framesPassed(timeS);
    if (this.size && size && (size[0] !== this.size[0] || size[1] !== this.size[1])) this.forgetTracks();
    this.size = size;
    this.advance(frames);
    const left = this.associate(found);
    this.dropTracks();
    this.start(left);
    this.removeDuplicates();
    this.begins = false;
    const shown = this.tracks.filter(t => t.id > 0 && !t.lost).sort((a, b) => a.id - b.id);
    return {rows: shown.map(t => t.row), ids: shown.map(t => t.id)};
  }

  // How many frames have passed since the last; one where a time is not known or jumps back. Keeps `timeS`.
  framesPassed(timeS) {
    const before = this.timeS;
    if (timeS !== null && !Number.isFinite(timeS)) throw new Error(`${timeS} is no time in seconds.`);
    this.timeS = timeS;
    if (timeS === null || before === null) return 1;
    // to hundredths, so that rounded times of an even video give whole numbers
    const frames = Math.floor((timeS - before) * this.frameRate * 100 + 0.5) / 100;
    return frames < 0 ? 1 : frames;
  }

  // Let `frames` pass: tracks lost for too long are dropped, the other confirmed ones move on; those that are
  // not confirmed have no velocity yet
  advance(frames) {
    this.now += frames;
    this.tracks = this.tracks.filter(t => t.id === 0 || this.now - t.last - 1 <= this.lostFrames);
    for (const track of this.tracks) {
      if (track.lost) track.box.velocity[3] = 0; // what is not seen does not grow
      if (track.id > 0) track.box.predict(frames);
    }
  }

  // Pairs tracks with boxes (of `foundObjects`) in three stages. A track with its second box gets an id, one
  // without a box is lost. Gives the boxes of high score that are left.
  associate(found) {
    const {high_score, match_cost, low_match_cost, new_match_cost} = this.settings;
    for (const track of this.tracks) {
      track.corners = track.box.corners();
      track.row = -1;
    }
    const high = found.filter(f => f.score > high_score);
    const low = found.filter(f => f.score <= high_score);
    const confirmed = this.tracks.filter(t => t.id > 0);
    const left = this.pair(confirmed, high, match_cost, true);
    // lost tracks get no boxes of low score, as in ByteTrack
    this.pair(confirmed.filter(t => !t.lost && t.row < 0), low, low_match_cost, false);
    const rest = this.pair(this.tracks.filter(t => t.id === 0), left, new_match_cost, true);
    for (const track of this.tracks) {
      if (track.id === 0 && track.row >= 0) track.id = this.nextId++;
      track.lost = track.row < 0;
    }
    return rest;
  }

  // One stage: the tracks get their boxes; gives those left. `limit`: the most that a pair may cost;
  // `byScore`: whether a doubtful box costs more.
  pair(tracks, found, limit, byScore) {
    const cost = (track, f) => {
      if (this.settings.class_aware && track.label !== f.label) return Infinity;
      return 1 - iou(track.corners, f.box) * (byScore ? f.score : 1);
    };
    const costs = tracks.map(track => found.map(f => cost(track, f)));
    const taken = new Set();
    for (const [i, j] of matchCosts(costs, limit)) {
      const {box, label, row} = found[j];
      tracks[i].box.update(box);
      Object.assign(tracks[i], {label, row, last: this.now});
      taken.add(j);
    }
    return found.filter((_, j) => !taken.has(j));
  }

  // Removes unconfirmed tracks without a box, and tracks that were lost for too long.
  dropTracks() {
    this.tracks = this.tracks.filter(
      t => t.row >= 0 || (t.id > 0 && this.now - t.last <= this.lostFrames));
  }

  // Begin tracks from boxes of a score from `new_score` on: in the first frame confirmed ones, later such as
  // need a second box
  start(left) {
    for (const {box, score, label, row} of left) {
      if (score < this.settings.new_score) continue;
      const id = this.begins ? this.nextId++ : 0;
      const times = {first: this.now, last: this.now};
      this.tracks.push({id, label, row, lost: false, ...times, box: new BoxFilter(box)});
    }
  }

  // Of a seen and a lost track that lie on each other, the one that was followed for longer stays; of equals
  // the lost one.
  removeDuplicates() {
    const lost = this.tracks.filter(t => t.lost);
    if (!lost.length) return;
    for (const track of this.tracks) track.corners = track.box.corners();
    const gone = new Set();
    for (const track of this.tracks.filter(t => !t.lost)) {
      for (const other of lost) {
        if (iou(track.corners, other.corners) <= this.settings.duplicate_iou) continue;
        if (this.settings.class_aware && track.label !== other.label) continue;
        gone.add(track.last - track.first > other.last - other.first ? other : track);
      }
    }
    this.tracks = this.tracks.filter(t => !gone.has(t));
  }

  // What is followed, but not seen now: [{id, label, box (where it is expected), missingS (seconds)}], by
  // ascending ids.
  lost() {
    const lost = this.tracks.filter(t => t.lost).sort((a, b) => a.id - b.id);
    const missing = t => (this.now - t.last) / this.frameRate;
    return lost.map(t => ({id: t.id, label: t.label, box: t.box.corners(), missingS: missing(t)}));
  }
}

// The objects with an area and a score above `lowScore`: {box, score, label, row}, `row` the position. Throws
// an Error where a box or score is not finite.
function foundObjects(boxes, scores, labels, lowScore) {
  const found = [];
  for (let row = 0; row < scores.length; row++) {
    const box = Array.from(boxes.slice(4 * row, 4 * row + 4));
    if (!box.every(Number.isFinite) || !Number.isFinite(scores[row])) {
      throw new Error(`Object ${row} has a box or score that is not finite.`);
    }
    if (box[2] > box[0] && box[3] > box[1] && scores[row] > lowScore) {
      found.push({box, score: scores[row], label: Number(labels[row]), row});
    }
  }
  return found;
}

// ## Lines that count: vision_recipes/tracking/counting.py

const FORGET_FRAMES = 3000; // an id that was not seen in so many is forgotten; looked for once in as many
const ANCHORS = {bottom: 1, centre: 0.5}; // of the point that says where an object is: how far down its box

// Counts who passes from one side of a line to the other.
export class LineCounter {
  // Ends [x, y] in pixels; `anchor`: a key of ANCHORS. An object is on a side where its anchor is farther
  // from the endless line than `margin` of its height.
  constructor(name, startXY, endXY, {anchor = 'bottom', margin = 0.1} = {}) {
    if (!(anchor in ANCHORS)) throw new Error(`anchor: ${anchor} is not one of bottom, centre.`);
    Object.assign(this, {name, startXY, endXY, anchor, margin});
    const dx = endXY[0] - startXY[0];
    const dy = endXY[1] - startXY[1];
    this.length = Math.sqrt(dx * dx + dy * dy);
    if (!(this.length > 0)) throw new Error(`Line ${name} has no length.`);
    this.crossings = [];
    this.members = new Map(); // by id, see `member`
    this.nUpdates = 0;
  }

  // The objects of a frame: `boxes` flat, XYXY in pixels, with `ids` and `labels`. Gives the new
  // crossings: [{line (its name), timeS (as given), direction ('in': to its right, or 'out'), id, label}].
  update({boxes, ids, labels}, timeS) {
    this.nUpdates += 1;
    if (this.nUpdates % FORGET_FRAMES === 0) this.forget();
    const crossings = [];
    for (let i = 0; i < ids.length; i++) {
      const [x1, y1, x2, y2] = boxes.slice(4 * i, 4 * i + 4);
      const member = this.member(ids[i], Number(labels[i]));
      const xy = [(x1 + x2) / 2, y1 + ANCHORS[this.anchor] * (y2 - y1)];
      const distance = this.distance(xy);
      this.follow(member, xy, distance);
      if (Math.abs(distance) <= this.margin * (y2 - y1)) continue;
      const side = distance > 0 ? 1 : -1;
      if (side === -member.side && member.place >= 0 && member.place <= 1) { // not beside the line
        const direction = side > 0 ? 'in' : 'out';
        crossings.push({line: this.name, timeS, direction, id: ids[i], label: majority(member.labels)});
      }
      member.side = side;
    }
    this.crossings.push(...crossings);
    return crossings;
  }

  // What is known of an id, with one more box of class `label`: {labels: how many of each class, seen: in
  // which update, side: where it was clearly seen last (1: right, -1: left, 0: not yet), before and place:
  // see `follow`}.
  member(id, label) {
    if (!this.members.has(id)) this.members.set(id, {labels: new Map(), side: 0, before: null, place: NaN});
    const member = this.members.get(id);
    member.labels.set(label, (member.labels.get(label) ?? 0) + 1);
    member.seen = this.nUpdates;
    return member;
  }

  // Forget ids that were not seen for a long time
  forget() {
    for (const [id, {seen}] of this.members) {
      if (seen <= this.nUpdates - FORGET_FRAMES) this.members.delete(id);
    }
  }

  // How many pixels a point is from the endless line: positive on its right, seen from start to end.
  distance([x, y]) {
    const [dx, dy] = [this.endXY[0] - this.startXY[0], this.endXY[1] - this.startXY[1]];
    return (dx * (y - this.startXY[1]) - dy * (x - this.startXY[0])) / this.length;
  }

  // Remember in `place` where the anchor crosses the endless line (0 is the start of the line, 1 its end),
  // and in `before` where it was.
  follow(member, xy, distance) {
    const before = member.before;
    member.before = {xy, distance};
    if (!before || (before.distance > 0) === (distance > 0)) return;
    const share = before.distance / (before.distance - distance); // of the way, until the line
    const x = before.xy[0] + share * (xy[0] - before.xy[0]) - this.startXY[0];
    const y = before.xy[1] + share * (xy[1] - before.xy[1]) - this.startXY[1];
    const [dx, dy] = [this.endXY[0] - this.startXY[0], this.endXY[1] - this.startXY[1]];
    member.place = (x * dx + y * dy) / (dx * dx + dy * dy);
  }

  // How often it was passed, {in, out}; by one class, or null: by all
  counts(label = null) {
    const of = this.crossings.filter(c => label === null || c.label === label);
    const n = direction => of.filter(c => c.direction === direction).length;
    return {in: n('in'), out: n('out')};
  }
}

// The class that most boxes had, from a Map of how many each had; of several the smallest number.
function majority(labels) {
  const sorted = [...labels].sort(([a, n], [b, m]) => m - n || a - b);
  return sorted[0][0];
}
