"""Whole images against tiles: average precision with intervals, and time, on large canvases of COCO images

    python benchmarks/tiles.py [--canvas 2560 1920] [--tiles 640] [--overlap 0.2]

COCO images and YOLOX-nano's weights are found by `VISION_RECIPES_DATA`, as the tests find them. Each canvas
is a grid of cells of 640 x 480 pixels with an image each, at its own size. As a whole, it is shrunk to 416
pixels.
"""

import argparse, json, tempfile, time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vision_recipes.core.images import open_image
from vision_recipes.core.testing import real_data, real_weights
from vision_recipes.data import read_annotations
from vision_recipes.data.annotations import classes_of_model
from vision_recipes.metrics.average_precision import EVAL_SCORE_THRESHOLD
from vision_recipes.metrics.detection import evaluate_detection
from vision_recipes.runtime.tiles import TileRule
from vision_recipes.tasks.run import pretrained

CELL = (640, 480)


def draw_canvases(anns, size_wh, folder):
    "Paste images onto canvases, and write these with their boxes as COCO JSON"
    columns, rows = size_wh[0] // CELL[0], size_wh[1] // CELL[1]
    per_canvas = columns * rows
    images, objects = [], []
    for k in range(len(anns) // per_canvas):
        canvas = Image.new('RGB', size_wh, (114, 114, 114))
        for cell in range(per_canvas):
            i = k * per_canvas + cell
            x, y = cell % columns * CELL[0], cell // columns * CELL[1]
            image = open_image(anns.path(i)).crop((0, 0, *CELL))
            canvas.paste(image, (x, y))
            objects += [{'image_id': k, **o} for o in cell_objects(anns, i, (x, y))]
        canvas.save(folder / f'{k}.png')
        images.append({'id': k, 'file_name': f'{k}.png', 'width': size_wh[0], 'height': size_wh[1]})
    for n, o in enumerate(objects):
        o['id'] = n + 1
    categories = [{'id': c, 'name': name} for c, name in enumerate(anns.class_names)]
    content = {'images': images, 'annotations': objects, 'categories': categories}
    (folder / 'instances.json').write_text(json.dumps(content), encoding='utf-8')
    return read_annotations(folder, 'coco')


def cell_objects(anns, i, corner):
    "The objects of an image, in pixels of the canvas, but those of which the cell shows less than half"
    out = []
    for row in range(*anns.class_ids.offsets[i : i + 2].tolist()):
        box = anns.boxes[row].astype(float)
        x1, y1, x2, y2 = np.clip(box, 0, [*CELL, *CELL])
        shown = max(0, x2 - x1) * max(0, y2 - y1)
        if shown < 0.5 * (box[2] - box[0]) * (box[3] - box[1]):
            continue
        bbox = [float(x1 + corner[0]), float(y1 + corner[1]), float(x2 - x1), float(y2 - y1)]
        crowd = int(anns.crowd[row]) if anns.crowd is not None else 0
        label = int(anns.class_ids.values[row])
        out.append({'category_id': label, 'bbox': bbox, 'area': bbox[2] * bbox[3], 'iscrowd': crowd})
    return out


def scored(model, anns, name, tiles):
    "Predict and score, and say how long it took"
    paths = [anns.path(i) for i in range(len(anns))]
    started = time.perf_counter()
    predictions = list(model.stream(paths, score_threshold=EVAL_SCORE_THRESHOLD, tiles=tiles))
    seconds = time.perf_counter() - started
    anns, classes = classes_of_model(anns, model.card)
    if classes is not None:
        predictions = [p.of_classes(classes) for p in predictions]
    m = evaluate_detection(predictions, anns, sizes=True)
    sizes = ', '.join(
        f'{k[4:]} {v:.3f}' for k, v in m.metrics.items() if k in ('map_small', 'map_medium', 'map_large')
    )
    print(f'{name}: {m.summary("map")}, {m.summary("map_50")}; {sizes}; {seconds:.1f} s', flush=True)
    return predictions


def tile_time(model, anns, rule):
    "Time of a tile, by that of a plain prediction of an image as large as a tile, in one run"
    image = open_image(anns.path(0))
    windows = rule.windows(image.size)
    crops = [image.crop(w) for w in windows[:-1]] + [image]
    model.predict(crops)
    ratios = []
    for _ in range(5):
        started = time.perf_counter()
        model.predict(crops)
        plain = time.perf_counter() - started
        started = time.perf_counter()
        model.predict(image, tiles=rule)
        ratios.append((time.perf_counter() - started) / plain)
    spread = f'{min(ratios):.2f} to {max(ratios):.2f}'
    print(f'time of {len(windows)} tiles by that of as many images: {np.median(ratios):.2f} ({spread})')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--canvas', type=int, nargs=2, default=(2560, 1920))
    parser.add_argument('--tiles', type=int, default=640)
    parser.add_argument('--overlap', type=float, default=0.2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    coco, weights = real_data('coco-val-100'), real_weights()
    if not coco or not weights:
        return
    model = pretrained(weights, 'cpu')
    with tempfile.TemporaryDirectory() as folder:
        annotated = read_annotations(coco / 'annotations' / 'instances_val2017.json')
        anns = draw_canvases(annotated, tuple(args.canvas), Path(folder))
        print(f'{len(anns)} canvases of {args.canvas[0]} x {args.canvas[1]}, {len(anns.boxes)} objects')
        rule = TileRule(args.tiles, args.overlap)
        scored(model, anns, 'whole', False)
        scored(model, anns, str(rule), rule)
        only = TileRule(args.tiles, args.overlap, whole=False)
        scored(model, anns, str(only), only)
        tile_time(model, anns, rule)


if __name__ == '__main__':
    main()
