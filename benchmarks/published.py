"""Published YOLOX-nano on COCO images: our way against the original's post-processing and pycocotools.

    python benchmarks/published.py [--weights yolox_nano_coco.pth] [--data coco-val-100] [--json results.json]

Weights and images default to those beside the shared data sets (`VISION_RECIPES_DATA`). These must agree:

- ours: `pretrained(file)`, its predictions, and `evaluate` of this library;
- same pixels: the images as we resize them, the network's raw outputs, the original's decoding and NMS,
  written anew here, its boxes cut at the edges of the image as ours are, and pycocotools;
- original: with its own resizing by OpenCV, and boxes that are not cut. Left out where OpenCV is not there.

Beside them stands the average precision under wrong contracts: other colours, or other normalisation. At last
the raw outputs of the exported file are compared with those of PyTorch.
"""

import argparse, contextlib, io, json, tempfile
from dataclasses import replace
from pathlib import Path
from typing import Iterator
import numpy as np
import torch
from vision_recipes.core.images import open_image
from vision_recipes.core.testing import real_data, real_weights
from vision_recipes.data.readers import read_annotations
from vision_recipes.deploy.export import export_onnx
from vision_recipes.metrics.average_precision import EVAL_SCORE_THRESHOLD
from vision_recipes.runtime.predictor import Predictor
from vision_recipes.tasks.run import pretrained

SCORE, OVERLAP, MOST = 0.01, 0.65, 100  # test_conf and nmsthre of the original; COCO looks at 100 objects
SAME_PIXELS, OWN_RESIZING = 0.0005, 0.003  # How far the figures may differ


def original_boxes(raw: np.ndarray, size: int) -> np.ndarray:  # (A, 85) to (A, 4) XYXY
    "`demo_postprocess` of the original: offsets from the cells, sizes as powers of e"
    grids, strides = [], []
    for stride in (8, 16, 32):
        n = size // stride
        x, y = np.meshgrid(np.arange(n), np.arange(n))
        grids.append(np.stack([x, y], 2).reshape(-1, 2))
        strides.append(np.full((n * n, 1), stride))
    grid, stride = np.concatenate(grids), np.concatenate(strides)
    middle, half = (raw[:, :2] + grid) * stride, np.exp(raw[:, 2:4]) * stride / 2
    return np.concatenate([middle - half, middle + half], 1)


def suppressed(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    "Greedy non-maximum suppression of one class: positions that stay, the highest score first"
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    order, kept = scores.argsort()[::-1], []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.maximum(high - low, 0).prod(1)
        order = order[shared / (areas[best] + areas[order] - shared) <= OVERLAP]
    return kept


def original_objects(raw: np.ndarray, size: int):  # (n, 4), (n,), (n,)
    "`postprocess` of the original: the best class of each cell, a score threshold, NMS within each class"
    boxes, classes = original_boxes(raw, size), raw[:, 5:].argmax(1)
    scores = raw[:, 4] * raw[:, 5:].max(1)
    rows = np.flatnonzero(scores >= SCORE)
    kept = []
    for c in np.unique(classes[rows]):
        of_class = rows[classes[rows] == c]
        kept.extend(of_class[suppressed(boxes[of_class], scores[of_class])])
    kept = np.array(sorted(kept, key=lambda i: -scores[i])[:MOST], int)
    return boxes[kept], scores[kept], classes[kept]


def our_pixels(path: Path, preprocess) -> tuple[np.ndarray, np.ndarray]:  # (S, S, 3) RGB; scales of x and y
    image, size_wh = preprocess.open(path)
    return preprocess(image), np.array(preprocess.placement(image.size, size_wh).scale_xy)


def original_pixels(path: Path, preprocess) -> tuple[np.ndarray, np.ndarray]:
    "`preproc` of the original"
    import cv2

    image, size = np.asarray(open_image(path)), preprocess.size
    scale = min(size / image.shape[0], size / image.shape[1])
    shape_wh = int(image.shape[1] * scale), int(image.shape[0] * scale)
    out = np.full((size, size, 3), 114, np.uint8)
    out[: shape_wh[1], : shape_wh[0]] = cv2.resize(image, shape_wh, interpolation=cv2.INTER_LINEAR)
    return out, np.array([scale, scale])


@torch.inference_mode()
def raw_outputs(model, pixels: np.ndarray) -> np.ndarray:  # (A, 85)
    "Offsets, objectness and classes; the last two as probabilities"
    x = model.task.inputs(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
    raw = model.model(x)
    parts = [raw.boxes, raw.objectness[..., None].sigmoid(), raw.classes.sigmoid()]
    return torch.cat(parts, -1)[0].numpy()


def coco_ap(file: Path, rows: list[dict]) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        evaluation = COCOeval(truth, truth.loadRes(rows), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def original_ap(model, data: Path, pixels_of, cut: bool) -> float:
    file = data / 'annotations' / 'instances_val2017.json'
    about = json.loads(file.read_text(encoding='utf-8'))
    ids = [category['id'] for category in about['categories']]
    rows = []
    for image in about['images']:
        pixels, scale_xy = pixels_of(data / 'val2017' / image['file_name'], model.card.preprocess)
        boxes, scores, classes = original_objects(raw_outputs(model, pixels), len(pixels))
        boxes = boxes / np.tile(scale_xy, 2)
        if cut:
            boxes = boxes.clip(0, np.tile([image['width'], image['height']], 2))
        for (x1, y1, x2, y2), score, c in zip(boxes.tolist(), scores.tolist(), classes.tolist()):
            box = [x1, y1, x2 - x1, y2 - y1]
            rows.append({'image_id': image['id'], 'category_id': ids[c], 'bbox': box, 'score': score})
    return coco_ap(file, rows)


def our_ap(model, anns) -> float:
    paths = [anns.path(i) for i in range(len(anns))]
    predictions = list(model.stream(paths, score_threshold=EVAL_SCORE_THRESHOLD))
    return float(model.task.evaluate(predictions, anns).metrics['map'])


def with_contract(weights: Path, contract: str, **changes):
    "The model with another preparation of its images"
    model = pretrained(weights, 'cpu', preprocessing=contract)
    preprocess = replace(model.card.preprocess, **changes)
    model.task.preprocess = lambda: preprocess
    model.card = replace(model.card, preprocess=preprocess)
    return model


def export_difference(model, paths: list[Path]) -> float:
    "The largest difference of any raw output between PyTorch and the exported file"
    with tempfile.TemporaryDirectory() as folder:
        exported = Predictor(export_onnx(model, Path(folder) / 'raw.onnx', kind='raw', images=paths[:2]))
        worst = 0.0
        for path in paths:
            pixels, _ = our_pixels(path, model.card.preprocess)
            got = exported.run(pixels[None], 0.0)[0][0]
            worst = max(worst, float(np.abs(got - raw_outputs(model, pixels)).max()))
    return worst


def figures(weights: Path, data: Path) -> Iterator[tuple[str, float]]:
    "Each figure as soon as it is known"
    anns = read_annotations(data / 'annotations' / 'instances_val2017.json').measure()
    model = pretrained(weights, 'cpu')
    yield 'images', len(anns)
    yield 'ours', our_ap(model, anns)
    yield 'same pixels', original_ap(model, data, our_pixels, cut=True)
    yield 'same pixels, boxes not cut', original_ap(model, data, our_pixels, cut=False)
    try:
        yield 'original', original_ap(model, data, original_pixels, cut=False)
    except ImportError:
        print('OpenCV is not installed: the original resizing is left out')
    yield 'RGB instead of BGR', our_ap(with_contract(weights, 'megvii', channels='RGB'), anns)
    yield "ImageNet's normalisation", our_ap(with_contract(weights, 'megvii_legacy'), anns)
    yield 'image in the middle', our_ap(with_contract(weights, 'megvii', letterbox='center'), anns)
    paths = [anns.path(i) for i in range(0, len(anns), 10)]
    yield 'raw outputs, exported and PyTorch', export_difference(model, paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--weights', type=Path)
    parser.add_argument('--data', type=Path)
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    weights, data = args.weights or real_weights(), args.data or real_data('coco-val-100')
    if not weights or not data:
        return
    torch.set_num_threads(1)
    out = {}
    for name, value in figures(weights, data):
        out[name] = value
        print(f'{name}: {value:.4g}', flush=True)
    if args.json:
        args.json.write_text(json.dumps(out, indent=2), encoding='utf-8')
    for name, most in (('same pixels', SAME_PIXELS), ('original', OWN_RESIZING)):
        difference = abs(out['ours'] - out.get(name, out['ours']))
        assert difference <= most, f'{name}: differs by {difference:.4f}, at most {most} is wanted'


if __name__ == '__main__':
    main()
