"""The tracker beside those of others: time a frame, and the same ids. `PYTHONPATH=. python benchmarks/tracking.py`

Our `ByteTracker`, supervision's `ByteTrack` (in its versions up to 0.26) and `ByteTrackTracker` of trackers get
the same detections, 20 objects in a frame of 640 x 480. Runs take turns, and the ratios are those of medians of
the same rounds. Packages that are not installed are passed over. `--compare 400` compares ids and boxes with
supervision on 400 scenes instead, `--record` prints what the notebook of the tracker holds as its results.
"""

import argparse
import string
import time
import warnings

import numpy as np

from vision_recipes.core.testing import random_scene
from vision_recipes.runtime.prediction import Prediction
from vision_recipes.tracking import ByteTracker, TrackSettings

SIZE_WH = (640, 480)


def parallel_scene(n_frames: int, n_objects: int = 20, seed: int = 0) -> list:
    "Detections of objects that stay in the image, some with a low score: `n_objects` in each frame"
    rng = np.random.default_rng(seed)
    start, size = rng.uniform(50, 400, (n_objects, 2)), rng.uniform(20, 80, (n_objects, 2))
    phase, speed = rng.uniform(0, 6, (n_objects, 2)), rng.uniform(0.02, 0.06, (n_objects, 2))
    frames = []
    for k in range(n_frames):
        corner = start + 60 * np.sin(phase + speed * k) + rng.normal(0, 1, (n_objects, 2))
        scores = rng.uniform(0.3, 1, n_objects).astype(np.float32)
        boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
        frames.append((boxes, scores, np.zeros(n_objects, np.int64)))
    return frames


# -- One tracker a function: it makes a function that takes boxes, scores and labels


def ours():
    tracker = ByteTracker(TrackSettings(), 30)
    return lambda boxes, scores, labels: tracker.update(Prediction(scores, labels, SIZE_WH, boxes))


def by_supervision():
    import supervision

    tracker = supervision.ByteTrack(track_activation_threshold=0.5)

    def update(boxes, scores, labels):
        tracker.update_with_detections(supervision.Detections(boxes, None, scores, labels))

    return update


def by_trackers():
    import supervision
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker()
    return lambda boxes, scores, labels: tracker.update(supervision.Detections(boxes, None, scores, labels))


def available() -> dict:
    "The trackers that are installed, by name"
    found = {}
    for name, make in (('ours', ours), ('supervision', by_supervision), ('trackers', by_trackers)):
        try:
            make()
            found[name] = make
        except (ImportError, AttributeError):
            print(f'{name}: not installed, or without ByteTrack')
    return found


def frame_times(make, frames) -> list[float]:
    "Seconds that each frame took, the first ones left out"
    update, times = make(), []
    for frame in frames:
        start = time.perf_counter()
        update(*frame)
        times.append(time.perf_counter() - start)
    return times[20:]


def measure(rounds: int, n_frames: int):
    "Print milliseconds a frame of each tracker, and how many times ours they are"
    frames, trackers = parallel_scene(n_frames), available()
    medians = {name: [] for name in trackers}
    for _ in range(rounds):
        for name, make in trackers.items():
            medians[name].append(np.median(frame_times(make, frames)) * 1000)
    for name, values in medians.items():
        ratio = np.median(np.array(values) / np.array(medians['ours']))
        print(f'{name}: {np.median(values):.3f} ms a frame, {ratio:.2f} times ours')


# -- The same ids


def shown_boxes(tracker: ByteTracker) -> dict[int, np.ndarray]:
    "Our filtered boxes by id"
    rows = np.flatnonzero((tracker.tracks.ids > 0) & ~tracker.tracks.lost)
    return dict(zip(tracker.tracks.ids[rows].tolist(), tracker.tracks.boxes.corners()[rows]))


def same_tracks(scene, buffer: int) -> tuple[bool, int]:
    "Whether supervision's boxes and ids are ours up to renaming in every frame, and the number of objects"
    import supervision

    tracker = ByteTracker(TrackSettings(lost_s=(buffer + 1) / 30, class_aware=False))
    other = supervision.ByteTrack(track_activation_threshold=0.5, lost_track_buffer=buffer)
    name_of, n = {}, 0
    for boxes, scores, labels in scene:
        tracker.update(Prediction(scores, labels, SIZE_WH, boxes))
        here = shown_boxes(tracker)
        there = {t.external_track_id: t.tlbr for t in other.update_with_tensors(np.c_[boxes, scores])}
        n += len(here)
        if len(here) != len(there):
            return False, n
        for i, box in here.items():
            nearest = min(there, key=lambda j: abs(there[j] - box).max())
            if abs(there[nearest] - box).max() > 2e-3 or name_of.setdefault(i, nearest) != nearest:
                return False, n
    return len(set(name_of.values())) == len(name_of), n


def compare(n_scenes: int):
    "Print on how many random scenes the ids are equal"
    n_objects, different = 0, []
    for seed in range(n_scenes):
        rng = np.random.default_rng([seed, 1])
        options = {'n_objects': int(rng.integers(1, 40)), 'miss': rng.choice([0, 0.1, 0.3, 0.6])}
        scene = random_scene(seed, n_frames=120, clutter=rng.choice([0, 1, 5]), **options)
        equal, n = same_tracks(scene, int(rng.choice([1, 3, 10, 30])))
        n_objects += n
        different += [] if equal else [seed]
    print(f'{n_scenes} scenes, {n_objects} objects; scenes with another result: {different or "none"}')


def record(n_frames: int = 45):
    "Print which track of supervision each box of a scene belongs to: a letter a box, a text a frame"
    import supervision
    from supervision.tracker.byte_tracker.single_object_track import STrack

    def keep_box(method):
        def keeping(track, new, *rest):
            track.found = new._tlwh
            return method(track, new, *rest)

        return keeping

    STrack.update, STrack.re_activate = keep_box(STrack.update), keep_box(STrack.re_activate)
    tracker = supervision.ByteTrack(track_activation_threshold=0.5)
    for boxes, scores, _ in random_scene(7, n_frames):
        letters = ['.'] * len(boxes)
        for track in tracker.update_with_tensors(np.c_[boxes, scores]):
            found = getattr(track, 'found', track._tlwh)
            row = abs(boxes[:, :2] - found[:2]).sum(1).argmin()
            letters[row] = string.ascii_letters[track.external_track_id - 1]
        print(''.join(letters) or '-')


if __name__ == '__main__':
    warnings.filterwarnings('ignore')
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--frames', type=int, default=300)
    parser.add_argument('--compare', type=int, metavar='SCENES')
    parser.add_argument('--record', action='store_true')
    args = parser.parse_args()
    if args.record:
        record()
    elif args.compare:
        compare(args.compare)
    else:
        measure(args.rounds, args.frames)
