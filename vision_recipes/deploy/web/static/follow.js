// Follows the objects of a video for the page: ids, trails, and a line that counts. tracker.js has the steps.
//
// This file is the source. Edit it here: no notebook exports it, and every page gets a copy of it as it is.
// nbs/deploy/web/05_page_scripts.ipynb holds its reasons and its tests.
import {ByteTracker, LineCounter, TRACK_SETTINGS} from './tracker.js';

const TRAIL_LENGTH = 30; // frames, as `Trails` in drawing/tracks
export const LOWEST_SCORE = TRACK_SETTINGS.low_score; // objects down to this score help to follow others

// A prediction with some of its objects only: those at the positions `rows`, in that order. `ids` are not
// changed
export function takeObjects(prediction, rows) {
  const taken = {...prediction};
  for (const key of ['scores', 'labels', 'boxes', 'masks', 'keypoints']) {
    if (prediction[key]) taken[key] = rows.map(i => prediction[key][i]);
  }
  return taken;
}

export class Follower {
  // `frameRate`: of the video, frames a second. `line` as for `setLine`.
  constructor(frameRate, line = null) {
    this.tracker = new ByteTracker({}, frameRate);
    this.trails = new Map(); // by id: its places [{frame, x, y}], the newest last
    this.frame = 0;
    this.size = null; // of the images, [width, height]
    this.setLine(line);
  }

  // Count anew, over a line {start, end}, each [x, y] in shares of the image; null: over none
  setLine(line) {
    this.line = line;
    this.counter = null; // made when the size of the image is known
  }

  // Follow the objects of the next frame: {prediction, crossings}. The prediction has what is followed, with
  // `ids`; the crossings of this frame are as from `LineCounter`. `timeS`: as for `update` of `ByteTracker`.
  update(prediction, timeS) {
    const {boxes, scores, labels, width, height} = prediction;
    const size = [width, height];
    const flat = boxes.flatMap(box => [...box]);
    const {rows, ids} = this.tracker.update({boxes: flat, scores, labels, size}, timeS);
    const followed = {...takeObjects(prediction, rows), ids};
    this.addTrails(followed);
    return {prediction: followed, crossings: this.count(followed, size, timeS)};
  }

  // Note the centre of each box by its id, and forget places that are not of the last TRAIL_LENGTH frames
  addTrails({ids, boxes}) {
    this.frame += 1;
    ids.forEach((id, i) => {
      const [x1, y1, x2, y2] = boxes[i];
      const places = this.trails.get(id) ?? [];
      this.trails.set(id, [...places, {frame: this.frame, x: (x1 + x2) / 2, y: (y1 + y2) / 2}]);
    });
    const first = this.frame - TRAIL_LENGTH;
    for (const [id, places] of this.trails) {
      const kept = places.filter(place => place.frame > first);
      if (kept.length) this.trails.set(id, kept);
      else this.trails.delete(id);
    }
  }

  // The new crossings of followed objects; none without a line. `size` as for `makeCounter`
  count({ids, boxes, labels}, size, timeS) {
    if (!this.line) return [];
    if (!this.counter || size.join() !== this.size?.join()) this.makeCounter(size);
    return this.counter.update({boxes: boxes.flatMap(box => [...box]), ids, labels}, timeS);
  }

  // Make the counter, with the line in pixels of an image of `size` [width, height]. Where that has changed,
  // what was counted stays, but not on which side each object was.
  makeCounter(size) {
    const pixels = share => share.map((v, axis) => v * size[axis]);
    const crossings = this.counter?.crossings ?? [];
    this.counter = new LineCounter('line', pixels(this.line.start), pixels(this.line.end));
    this.counter.crossings = crossings;
    this.size = size;
  }

  // How often the line was passed, {in, out}: by class `label`, or null: by all
  counts(label = null) {
    return this.counter?.counts(label) ?? {in: 0, out: 0};
  }

  // The classes (numbers) that passed the line, ascending
  countedLabels() {
    return [...new Set(this.counter?.crossings.map(crossing => crossing.label))].sort((a, b) => a - b);
  }

  // How many ids were given so far
  nIds() {
    return this.tracker.nextId - 1;
  }

  // Followed, but not seen in the last frame: [{id, label, box, missingS}]
  lost() {
    return this.tracker.lost();
  }
}
