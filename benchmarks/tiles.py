"""Whole images against tiles: average precision with intervals, and time, on large canvases of COCO images

    python benchmarks/tiles.py [--canvas 2560 1920] [--tiles 640] [--overlap 0.2]

COCO images and YOLOX-nano's weights are found by `VISION_RECIPES_DATA`, as the tests find them. Each canvas
is a grid of cells of 640 x 480 pixels with an image each, at its own size. As a whole, it is shrunk to 416
pixels.

    python benchmarks/tiles.py --draw DIR [--images 60] [--canvas 2560 1920]

writes drawn images instead, with small parts on a workbench and their outlines, as COCO JSON. They are for
training: `vision-recipes train detection DIR --tile-crop 640 --out RUN`.
"""

import argparse, json, tempfile, time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from vision_recipes.core.images import open_image
from vision_recipes.core.testing import real_data, real_weights, smooth_image
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


PARTS = ('washer', 'nut', 'screw')
N_PARTS = 40  # Of an image, those that nobody looks for not counted
N_OTHERS = 20
PART_SIDES = (18, 40)  # Pixels


def part_outline(name, side, angle):
    "The outline (n, 2) of a part around its middle; `chip` is one that nobody looks for"
    if name == 'screw':
        x, y = side * 0.7, side * 0.12
        outline = [[-x, -y], [x * 0.6, -y], [x * 0.6, -3 * y], [x, -3 * y]]
        outline += [[px, -py] for px, py in reversed(outline)]
    else:
        n = {'washer': 24, 'nut': 6, 'chip': 3}[name]
        turn = 2 * np.pi * np.arange(n) / n
        outline = np.stack([np.cos(turn), np.sin(turn)], 1) * side / 2
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(outline) @ np.array([[cos, sin], [-sin, cos]])


def draw_part(pen, name, outline, rng):
    "Draw a part of a random grey, with the hole that washers and nuts have"
    grey = int(rng.integers(95, 190))
    pen.polygon([tuple(p) for p in outline.tolist()], (grey, grey, grey + 10), (50, 50, 55))
    if name in ('washer', 'nut'):
        middle = outline.mean(0)
        hole = middle + (outline - middle) * 0.45
        pen.polygon([tuple(p) for p in hole.tolist()], (70, 65, 60))


def free_places(rng, n, size_wh, gap):
    "The middles of `n` parts (n, 2), none nearer to another than `gap`, all away from the edge"
    places = np.zeros((0, 2))
    while len(places) < n:
        place = rng.uniform(gap, np.array(size_wh) - gap)
        if not len(places) or np.hypot(*(places - place).T).min() >= gap:
            places = np.concatenate([places, place[None]])
    return places


def draw_workbench(rng, size_wh):
    "An image with small parts, and their class ids and outlines"
    texture = rng.normal(0, 10, (size_wh[1], size_wh[0], 1))
    ground = np.asarray(smooth_image(size_wh, int(rng.integers(1 << 30)), (12, 16), 90, 200))
    image = Image.fromarray((ground + texture).clip(0, 255).astype(np.uint8))
    pen, objects = ImageDraw.Draw(image), []
    for k, place in enumerate(free_places(rng, N_PARTS + N_OTHERS, size_wh, 1.6 * PART_SIDES[1])):
        label = int(rng.integers(len(PARTS)))
        name = PARTS[label] if k < N_PARTS else 'chip'
        outline = part_outline(name, rng.uniform(*PART_SIDES), rng.uniform(0, 2 * np.pi)) + place
        draw_part(pen, name, outline, rng)
        if k < N_PARTS:
            objects.append((label, outline))
    return image, objects


def write_workbenches(folder, n, size_wh, seed=0):
    "Draw `n` images, and write them with their boxes and outlines as COCO JSON"
    images, objects = [], []
    (folder / 'images').mkdir(parents=True)
    for k in range(n):
        image, parts = draw_workbench(np.random.default_rng([seed, k]), size_wh)
        name = f'images/bench_{k:03}.jpg'
        image.save(folder / name, quality=92)
        images.append({'id': k, 'file_name': name, 'width': size_wh[0], 'height': size_wh[1]})
        for label, outline in parts:
            low, high = outline.min(0), outline.max(0)
            bbox = [*low.tolist(), *(high - low).tolist()]
            about = {'image_id': k, 'category_id': label, 'bbox': bbox, 'area': bbox[2] * bbox[3]}
            outlines = [outline.ravel().tolist()]
            objects.append({'id': len(objects) + 1, 'iscrowd': 0, **about, 'segmentation': outlines})
    categories = [{'id': c, 'name': name} for c, name in enumerate(PARTS)]
    content = {'images': images, 'annotations': objects, 'categories': categories}
    (folder / 'instances.json').write_text(json.dumps(content), encoding='utf-8')
    print(f'{n} images of {size_wh[0]} x {size_wh[1]} with {len(objects)} parts in {folder}')


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
    parser.add_argument('--draw', type=Path, metavar='DIR')
    parser.add_argument('--images', type=int, default=60)
    args = parser.parse_args()
    if args.draw:
        write_workbenches(args.draw, args.images, tuple(args.canvas))
        return
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
