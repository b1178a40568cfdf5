"""`Predictor` beside the shortest loop over onnxruntime that gives the same.

    python benchmarks/predictor_overhead.py [--models FILE.onnx ...] [--images 40] [--repeats 9] [--json FILE]

Without `--models` a small classifier and small masks with random weights are exported first. The images are
JPEG files of drawn samples. The bare loop opens a file with Pillow, resizes it as the model wants it, runs
the graph, and does what nobody can leave out: the largest score of a classifier, the masks of the objects
pasted into the image by OpenCV. Both use one thread for the graph and take turns; figures are milliseconds an
image, medians. `one by one` calls `predict` for each file; `stream` gets all files, opens them ahead and runs
batches of 16. `ratio` is ours over the bare loop; at most 1.1 is wanted.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from onnx_speed import ANY, untrained
from PIL import Image
from report import write_report
from vision_recipes.core.image_paths import list_images
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.deploy.export import export_onnx
from vision_recipes.runtime.predictor import Predictor


class BareLoop:
    "What a user would write for one model"

    def __init__(self, file: Path, card, threshold: float):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(str(file), options, providers=['CPUExecutionProvider'])
        self.input = self.session.get_inputs()[0].name
        self.card, self.size, self.threshold = card, card.preprocess.size, threshold

    def fit(
        self, image: Image.Image
    ) -> tuple[np.ndarray, float]:  # (1, 3, size, size) float32, and the scale
        "Resize into a grey square, in its middle, as the model wants it"
        scale = self.size / max(image.size)
        width, height = (round(side * scale) for side in image.size)
        square = np.full((self.size, self.size, 3), 114, np.uint8)
        x, y = (self.size - width) // 2, (self.size - height) // 2
        square[y : y + height, x : x + width] = image.resize((width, height), Image.Resampling.BILINEAR)
        return square.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255), scale

    def __call__(self, path: Path):
        image = Image.open(path).convert('RGB')
        batch, scale = self.fit(image)
        outputs = self.session.run(None, {self.input: batch})
        if self.card.task == 'classification':
            return int(outputs[0][0].argmax())
        boxes, scores, _, masks = outputs[:4]
        found = scores >= self.threshold
        shift = [(self.size - side * scale) / 2 for side in image.size] * 2
        return [paste(*pair, image.size) for pair in zip(masks[found], (boxes[found] - shift) / scale)]


def paste(mask: np.ndarray, box: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:  # (H, W) bool
    "A mask of an object, (28, 28), in the image"
    x1, y1, x2, y2 = (max(0, round(float(v))) for v in box)
    x2, y2 = min(size_wh[0], x2), min(size_wh[1], y2)
    whole = np.zeros((size_wh[1], size_wh[0]), bool)
    if x2 > x1 and y2 > y1:
        whole[y1:y2, x1:x2] = cv2.resize(mask.squeeze(), (x2 - x1, y2 - y1)) > 0.5
    return whole


def third_score(predictor: Predictor, files: list[Path]) -> float:
    "The score that about three objects of an image reach: random weights find a hundred"
    thirds = [
        np.sort(p.scores)[-3:].min() for p in predictor.stream(files, score_threshold=0.0) if len(p.scores)
    ]
    return float(np.median(thirds))


def rows_of(file: Path, files: list[Path], repeats: int) -> list[dict]:
    "Ours and the bare loop in turn"
    predictor = Predictor(file, threads=1)
    is_classifier = predictor.card.task == 'classification'
    threshold = 0.0 if is_classifier else third_score(predictor, files)
    bare = BareLoop(file, predictor.card, threshold)
    ways = {
        'bare': lambda: [bare(path) for path in files],
        'one by one': lambda: [predictor.predict(path, score_threshold=threshold) for path in files],
        'stream': lambda: list(predictor.stream(files, score_threshold=threshold)),
    }
    clock, used = ({name: [] for name in ways} for _ in range(2))
    for turn in range(repeats + 1):
        for name, way in ways.items():
            started, spent = time.perf_counter(), time.process_time()
            way()
            if turn:  # the first one warms up
                clock[name].append(1000 * (time.perf_counter() - started) / len(files))
                used[name].append(1000 * (time.process_time() - spent) / len(files))
    rows = []
    for name in ways:
        row = {'model': predictor.card.architecture, 'way': name, 'ms': statistics.median(clock[name])}
        row['processor ms'] = statistics.median(used[name])
        row['ratio'] = statistics.median(a / b for a, b in zip(clock[name], clock['bare']))
        row['processor ratio'] = statistics.median(a / b for a, b in zip(used[name], used['bare']))
        rows.append(row)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument(
        '--models', nargs='+', type=Path, help='classifiers and models of masks; else random weights'
    )
    p.add_argument('--images', type=int, default=40)
    p.add_argument('--repeats', type=int, default=9)
    p.add_argument('--json', type=Path)
    args = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        models = args.models or [
            export_onnx(untrained(task, tmp, 'quick'), tolerance=ANY)
            for task in ('classification', 'segmentation')
        ]
        make_samples('segmentation', tmp / 'images', n=args.images)
        files = list_images([tmp / 'images'])
        for file in models:
            rows += rows_of(file, files, args.repeats)
    for row in rows:
        print('  '.join(f'{k} {v:.2f}' if isinstance(v, float) else f'{v:12s}' for k, v in row.items()))
    write_report(args.json, rows=rows)


if __name__ == '__main__':
    main()
