"""Videos end to end: how near a run comes to the slower of decoding and detection, and memory.

    PYTHONPATH=. python benchmarks/video.py [--model model.onnx] [--frames 200] [--repeats 5] [--json FILE]
    PYTHONPATH=. python benchmarks/video.py --frames 0 --memory 100000     memory alone, over so many frames

The clip is drawn here: 640 x 480, 20 squares that move over noise. Without `--model` a stand-in takes the
time of a network: a product of matrices in NumPy, which leaves Python's lock as onnxruntime does.
`decode`, `detect` and the runs are measured in turn, and each figure is the median of `--repeats` turns.
`share` is the rate of a run divided by the rate of the slower of decoding and detection: 0.95 is wanted
of `json`, which tracks and writes lines. `video` also draws and encodes, which takes processor time of
its own. `bound` is the share that is possible at all on the cores of this machine: the time of the slower
part by the processor time of the run, spread over all cores. A network's threads that wait in a loop count
as busy, so it says most with `--threads 1`. `track` and `draw` are milliseconds a frame at 20 objects; at
most 2 and 6 are wanted on one core.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image
from report import write_report
from vision_recipes.core.labels import LabelMap
from vision_recipes.runtime.prediction import Prediction
from vision_recipes.runtime.predictor import Predictor
from vision_recipes.tracking.byte_track import ByteTracker
from vision_recipes.tracking.counting import LineCounter
from vision_recipes.tracking.zones import ZoneCounter
from vision_recipes.video.frame_drawing import FrameDrawer
from vision_recipes.video.prediction import predict_video, VideoOptions
from vision_recipes.video.reading import open_video
from vision_recipes.video.writing import VideoWriter

SIZE_WH, N_OBJECTS, SIDE = (640, 480), 20, 40
CORES = os.cpu_count() or 1


def boxes_at(frame: int) -> np.ndarray:  # (20, 4) float32 XYXY
    "Where the squares are in a frame: each on a lane of its own, there and back"
    i = np.arange(N_OBJECTS)
    x = np.abs((frame * (1 + i % 4) + 31 * i) % (2 * (SIZE_WH[0] - SIDE)) - (SIZE_WH[0] - SIDE))
    y = i * (SIZE_WH[1] - SIDE) / N_OBJECTS
    return np.stack([x, y, x + SIDE, y + SIDE], 1).astype(np.float32)


def drawn_frame(frame: int, noise: np.ndarray) -> np.ndarray:  # (480, 640, 3) uint8
    "The squares on noise"
    image = noise.copy()
    for i, (x1, y1, x2, y2) in enumerate(boxes_at(frame).astype(int)):
        image[y1:y2, x1:x2] = (40 + 10 * i, 200, 60)
    return image


class StandIn:
    "A predictor that takes the time of a network, and knows where the squares are"

    score_threshold = 0.3
    card = SimpleNamespace(
        task='detection', architecture='stand-in', labels=LabelMap(('square',)), colors=None
    )

    def __init__(self, n: int = 700):
        self.weights = np.random.default_rng(0).random((n, n), np.float32)
        self.frame = 0

    def stream(self, images, batch_size, **thresholds):
        for _ in images:
            self.weights @ self.weights  # noqa: B018
            self.frame += 1
            yield prediction_at(self.frame)


def prediction_at(frame: int) -> Prediction:
    scores = np.full(N_OBJECTS, 0.9, np.float32)
    return Prediction(scores, np.zeros(N_OBJECTS, np.int64), SIZE_WH, boxes_at(frame))


def seconds(function: Callable) -> tuple[float, float]:  # On the clock, and of processors
    started, used = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - started, time.process_time() - used


def read_whole(clip: Path):
    for _ in open_video(clip):
        pass


def speed_rows(clip: Path, folder: Path, predictor, n: int, repeats: int) -> list[dict]:
    "Frames a second of each part alone and of whole runs, and their shares"
    images = [frame.image for frame in open_video(clip)]
    threshold = predictor.score_threshold

    def run(name: str, **options):
        predict_video(predictor, clip, folder / name, True, options=VideoOptions(**options))

    parts = {
        'decode': lambda: read_whole(clip),
        'detect': lambda: [*predictor.stream(iter(images), 4, score_threshold=threshold)],
        'json': lambda: run('json', write_video=False),
        'video': lambda: run('video'),
    }
    times = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            times[name].append(seconds(part))
    rows, slower = [], [max(pair)[0] for pair in zip(times['decode'], times['detect'])]
    for name, of_part in times.items():
        clock, used = zip(*of_part)
        row = {'part': name, 'frames/s': n / statistics.median(clock)}
        row['processor ms a frame'] = 1000 * statistics.median(used) / n
        if name in ('json', 'video'):
            row['share'] = statistics.median(alone / own for alone, own in zip(slower, clock))
            possible = (alone * CORES / own for alone, own in zip(slower, used))
            row['bound'] = min(1.0, statistics.median(possible))
        rows.append(row)
    return rows


def cost_rows(n: int) -> list[dict]:
    "Milliseconds a frame that tracking and drawing take"
    tracker, draw = ByteTracker(frame_rate=25), FrameDrawer(StandIn.card, 0.3)
    image, costs = Image.new('RGB', SIZE_WH), {'track': [], 'draw': []}
    for frame in range(n):
        prediction = prediction_at(frame)
        started = time.perf_counter()
        tracked = tracker.update(prediction, frame / 25)
        middle = time.perf_counter()
        draw(image, tracked)
        costs['track'].append(middle - started)
        costs['draw'].append(time.perf_counter() - middle)
    return [
        {'part': name, 'ms a frame': 1000 * statistics.median(of_part)} for name, of_part in costs.items()
    ]


def memory_rows(folder: Path, n: int, size_wh: tuple[int, int] = (160, 120)) -> list[dict]:
    """The memory of this process, MB, at some frames of a run over n: read, tracked, counted, drawn, written

    Frames are small and the detector takes no time, so that a long run is a matter of minutes.
    """
    clip, rows = folder / 'long.mp4', []
    image = np.zeros((*size_wh[::-1], 3), np.uint8)
    with VideoWriter(clip, 25, size_wh) as writer:
        for frame in range(n):
            image[:, :8] = frame % 256
            writer.write(image)
    wanted = {m - 1 for m in (1000, 10_000, 50_000, n) if m <= n}

    class Watched(StandIn):
        def stream(self, images, batch_size, **thresholds):
            for i, _ in enumerate(images):
                if i in wanted:
                    rows.append({'part': 'memory', 'frame': i + 1, 'MB': megabytes()})
                yield coming_and_going(i, size_wh)

    counters = [
        LineCounter('middle', (size_wh[0] / 2, size_wh[1]), (size_wh[0] / 2, 0)),
        ZoneCounter('left', [(0, 0), (60, 0), (60, size_wh[1]), (0, size_wh[1])]),
    ]
    summary = predict_video(Watched(1), clip, folder / 'long', True, counters)
    rows.append({'part': 'memory', 'tracks': summary['tracks'], 'counts': summary['counts'][0]['in']})
    return rows


def megabytes() -> float:
    "The memory that this process holds now; on other systems than Linux the most that it ever held"
    statm = Path('/proc/self/statm')
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def coming_and_going(frame: int, size_wh: tuple[int, int]) -> Prediction:
    "Five objects that pass from left to right in 4 s, and are then away for 2 s: each time with a new id"
    i = np.arange(5)
    step = (frame + 30 * i) % 150
    x, y = step * size_wh[0] / 100, i * size_wh[1] / 5
    boxes = np.stack([x, y, x + 16, y + 20], 1).astype(np.float32)[step < 100]
    n = len(boxes)
    return Prediction(np.full(n, 0.9, np.float32), np.zeros(n, np.int64), size_wh, boxes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--model', type=Path, help='an ONNX file of a detector; else a stand-in')
    parser.add_argument('--threads', type=int, default=1, help='of the model; 0: as many as it takes')
    parser.add_argument('--frames', type=int, default=200)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--memory', type=int, default=2000, metavar='N', help='frames; 0: not measured')
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    noise = np.random.default_rng(0).integers(0, 60, (*SIZE_WH[::-1], 3), np.uint8)
    predictor = Predictor(args.model, threads=args.threads) if args.model else StandIn()
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        rows = []
        if args.frames:
            with VideoWriter(folder / 'clip.mp4', 25, SIZE_WH) as writer:
                for frame in range(args.frames):
                    writer.write(drawn_frame(frame, noise))
            rows += speed_rows(folder / 'clip.mp4', folder, predictor, args.frames, args.repeats)
            rows += cost_rows(args.frames)
        if args.memory:
            rows += memory_rows(folder, args.memory)
    for row in rows:
        print('  '.join(f'{k} {v:.2f}' if isinstance(v, float) else f'{k} {v}' for k, v in row.items()))
    write_report(args.json, rows=rows)


if __name__ == '__main__':
    main()
