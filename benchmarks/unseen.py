"""How often images are called unlike those that a model has learnt from: ordinary, foreign and changed ones

    PYTHONPATH=. python benchmarks/unseen.py [--sets bccd signs ...] [--most 200] [--model FILE.onnx]

Each set is divided into groups to learn from (70 %) and others. `fit_known_images` looks at the first, as a
training does. Counted are the images above its limit: of the other groups (false alarms, with their 95 %
interval), of every other set, and of the other groups with changed pixels. Nothing is trained, because the
description does not depend on weights. Real sets lie below `$VISION_RECIPES_DATA`; drawn ones are made here.

With `--model` the cost is measured: processor time of a prediction with and without the look, in turns.
"""

import argparse, tempfile, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from PIL import Image, ImageFilter
from vision_recipes.core.console import log_info
from vision_recipes.core.images import open_image
from vision_recipes.core.testing import real_data
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.splits import split
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.metrics.known_images_fit import fit_known_images
from vision_recipes.runtime.known_images import describe
from vision_recipes.runtime.predictor import Predictor
from vision_recipes.runtime.preprocess import Preprocess

REAL = {
    'bccd': 'bccd',
    'signs': 'sign-digits',
    'coco': 'coco-val-100',
    'faces': 'face-keypoints',
    'cards': 'student-id',
}
DRAWN = {'drawn hands': 'detection', 'drawn cards': 'segmentation', 'drawn faces': 'keypoints'}
GROUPS = {'signs': r'IMG_(\d+)\d\.', 'drawn faces': r'(person\d+)'}
CHANGES = {
    'noise': lambda a, rng: rng.integers(0, 256, a.shape),
    'dark': lambda a, rng: a * 0.15,
    'bright': lambda a, rng: 255 - (255 - a) * 0.2,
    'inverted': lambda a, rng: 255 - a,
    'grey': lambda a, rng: np.repeat(a.mean(2, keepdims=True), 3, 2),
    'grain': lambda a, rng: a + rng.normal(0, 40, a.shape),
    'blurred': lambda a, rng: np.asarray(Image.fromarray(a.astype(np.uint8)).filter(blur(a))),
    'upside down': lambda a, rng: a[::-1],
}


def blur(a):
    return ImageFilter.GaussianBlur(max(a.shape) / 60)


def read(name, folder, most):
    "At most so many images of a set, whole groups"
    if name in DRAWN:
        root = folder / name
        if not root.exists():
            make_samples(DRAWN[name], root, n=most, seed=5)
    elif (root := real_data(REAL[name])) is None:
        raise SystemExit(f'{name}: not on this disk; set VISION_RECIPES_DATA')
    elif name == 'coco':
        root = root / 'annotations' / 'instances_val2017.json'
    anns = read_annotations(root, groups=GROUPS.get(name))
    return anns if len(anns) <= most else split(anns, most / len(anns), 3)[1]


def described(image, preprocess):
    return describe(preprocess(image), preprocess.placement(image.size, image.size))


def images_of(anns):
    return [open_image(anns.path(i)) for i in range(len(anns))]


def measure_set(name, sets, preprocess, rng):
    "A row of the table: what is called unlike by a model that has learnt from a set"
    train, valid = split(sets[name], 0.3, 1)
    known = fit_known_images(train, valid, preprocess)
    c = known.checked
    log_info(
        f'{name}: learnt from {len(train)} images; false alarms {c["alarms"]} of {c["images"]}'
        f' ({c["alarms"] / c["images"]:.3f} [{c["low"]:.3f}, {c["high"]:.3f}])'
    )
    share = lambda images: np.mean(
        [known.distances(described(i, preprocess)[None])[0] > known.limit for i in images]
    )
    others = {other: share(images_of(anns)) for other, anns in sets.items() if other != name}
    log_info('  other sets: ' + ', '.join(f'{other} {value:.2f}' for other, value in others.items()))
    some = images_of(valid)[:40]
    changed = {}
    for change, function in CHANGES.items():
        arrays = [function(np.asarray(image, float), rng).clip(0, 255).astype(np.uint8) for image in some]
        changed[change] = share([Image.fromarray(a) for a in arrays])
    log_info('  changed: ' + ', '.join(f'{change} {value:.2f}' for change, value in changed.items()))
    return known


def measure_cost(model, known, anns, turns=15):
    "Processor time of a prediction with and without the look, in turns"
    paths = [anns.path(i) for i in range(min(len(anns), 20))]
    predictors = [Predictor(model, threads=1) for _ in range(2)]
    predictors[0].card = replace(predictors[0].card, known_images=None)
    predictors[1].card = replace(predictors[1].card, known_images=known)
    seconds = [[], []]
    for turn in range(turns):
        for k in (0, 1) if turn % 2 else (1, 0):
            started = time.process_time()
            predictors[k].predict(paths)
            seconds[k].append((time.process_time() - started) / len(paths))
    images = [open_image(path) for path in paths]
    preprocess = predictors[0].card.preprocess
    squares = [(preprocess(i), preprocess.placement(i.size, i.size)) for i in images]
    started = time.process_time()
    for _ in range(10):
        for square, place in squares:
            known.unlikeness(square, place)
    alone = (time.process_time() - started) / 10 / len(squares)
    ratio = np.median(np.divide(seconds[1], seconds[0]))
    log_info(
        f'{model}: {1000 * np.median(seconds[0]):.1f} ms an image without the look, '
        f'{1000 * alone:.2f} ms for the look alone; with it, where without it is 1: {ratio:.3f}'
    )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sets', nargs='+', default=[*REAL, *DRAWN], choices=[*REAL, *DRAWN])
    p.add_argument('--most', type=int, default=200, help='images of a set (default %(default)s)')
    p.add_argument('--size', type=int, default=224, help="side of the network's square (default %(default)s)")
    p.add_argument('--model', type=Path, help='an ONNX file to measure the cost with')
    args = p.parse_args()
    preprocess = Preprocess(args.size, (0, 0, 0), (1, 1, 1))
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        sets = {name: read(name, Path(folder), args.most) for name in args.sets}
        for name in sets:
            known = measure_set(name, sets, preprocess, rng)
        if args.model:
            measure_cost(args.model, known, sets[name])


if __name__ == '__main__':
    main()
