"""Two detectors compared on 5,000 images of 80 classes; and how often equal models are called different.

    PYTHONPATH=. python benchmarks/compare.py [--images 5000] [--resamples 1000]
    PYTHONPATH=. python benchmarks/compare.py --equal [--sets 1000]

Detections are simulated. The first prints processor and wall time and the most memory of the process. The
second compares two models that are equally good, on many simulated sets, and prints how often one of them is
called better; and with models that are not equal, how often the better one is found, how often the worse one
is named, and how often the interval holds the true difference.
"""

import argparse
import resource
import time

import numpy as np

from vision_recipes.core.ragged import Ragged, Strings
from vision_recipes.core.labels import LabelMap
from vision_recipes.data.annotations import Annotations
from vision_recipes.metrics.comparison import compare_models
from vision_recipes.runtime.prediction import Prediction


def annotations(rng, n: int, n_classes: int, groups=None, mean_objects: float = 7.0) -> Annotations:
    "Images of 640 x 480 with objects in a grid, so that none overlaps another"
    counts = 1 + np.minimum(rng.poisson(mean_objects - 1, n), 29)
    place = np.concatenate([rng.permutation(30)[:count] for count in counts])
    corner = np.stack([place % 6 * 100, place // 6 * 90], 1).astype(np.float32)
    return Annotations(
        root='x',
        paths=Strings.from_list(f'{i}.jpg' for i in range(n)),
        labels=LabelMap([f'c{i}' for i in range(n_classes)]),
        class_ids=Ragged(rng.integers(0, n_classes, len(place)), np.r_[0, np.cumsum(counts)]),
        sizes_wh=np.full((n, 2), (640, 480), np.int32),
        boxes=np.concatenate([corner, corner + rng.uniform(30, 80, corner.shape).astype(np.float32)], 1),
        group_ids=groups,
        group_names=None if groups is None else Strings.from_list(map(str, range(groups.max() + 1))),
    )


def detector(rng, anns: Annotations, ease: np.ndarray, skill: float, n_false: float) -> list[Prediction]:
    "Detections: more are found, and more exactly, where `ease` (n,) and `skill` are larger"
    out, n_classes = [], len(anns.labels)
    for i in range(len(anns)):
        boxes, labels = anns.boxes[slice(*anns.class_ids.offsets[i : i + 2])], anns.class_ids[i]
        quality = skill + ease[i] + 0.5 * rng.normal(0, 1, len(boxes))
        found = rng.random(len(boxes)) < 1 / (1 + np.exp(-1.5 - quality))
        shift = rng.normal(0, 6, (len(boxes), 4)) * np.exp(-0.3 * quality)[:, None]
        n = rng.poisson(n_false)
        corner = rng.uniform(0, 400, (n, 2))
        all_boxes = np.concatenate([(boxes + shift)[found], np.c_[corner, corner + 50]]).astype(np.float32)
        all_boxes[:, 2:] = np.maximum(all_boxes[:, 2:], all_boxes[:, :2])  # none ends before it begins
        logits = np.concatenate([1 + quality[found], np.full(n, -2.0)]) + rng.normal(0, 1, len(all_boxes))
        all_labels = np.concatenate([labels[found], rng.integers(0, n_classes, n)]).astype(np.int64)
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        out.append(Prediction(scores, all_labels, (640, 480), boxes=all_boxes))
    return out


def speed(n: int, n_classes: int, resamples: int):
    rng = np.random.default_rng(0)
    anns = annotations(rng, n, n_classes)
    ease = 0.8 * rng.normal(0, 1, n)
    pair = [detector(rng, anns, ease, skill, n_false=30) for skill in (0.0, 0.1)]
    print(f'{n} images, {len(anns.boxes)} objects, {sum(len(p.scores) for p in pair[0])} detections of each')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, processor = time.perf_counter(), time.process_time()
    comparison = compare_models(*pair, anns, 'detection', resamples)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(comparison.text())
    print(f'{processor:.1f} s of processor time, {wall:.1f} s; {most:.2f} GB, of which data {before:.2f}')


# -- Equal models, and others. Each makes a set of n images in k groups: annotations, two models, the task


def two_classifiers(rng, n: int, k: int, gap: float, common: float):
    "Answers; a share `common` of the images gets the same from both. The second is right more often by `gap`"
    groups = np.arange(n) * k // n
    chance = rng.beta(7, 3, k)[groups]
    labels = rng.integers(0, 3, n)
    luck = rng.random((2, n))
    luck[1] = np.where(rng.random(n) < common, luck[0], luck[1])
    pair = []
    for own_luck, more in zip(luck, (0, gap)):
        top = np.where(own_luck < chance + more, labels, (labels + 1) % 3)
        pair.append([Prediction(np.eye(3, dtype=np.float32)[t], np.arange(3), (9, 9)) for t in top])
    anns = Annotations(
        root='x',
        paths=Strings.from_list(map(str, range(n))),
        labels=LabelMap(['a', 'b', 'c']),
        class_ids=Ragged(labels, np.arange(n + 1)),
        sizes_wh=np.zeros((n, 2), np.int32),
        group_ids=groups,
        group_names=Strings.from_list(map(str, range(k))),
    )
    return anns, *pair, 'classification'


def two_detectors(rng, n: int, k: int, gap: float, common: float):
    "Detections; a share `common` of the images has the same from both"
    groups = np.arange(n) * k // n
    anns = annotations(rng, n, 3, groups, mean_objects=3)
    ease = 0.8 * rng.normal(0, 1, k)[groups]
    first, second = (detector(rng, anns, ease, skill, 2) for skill in (0.0, gap))
    same = rng.random(n) < common
    return anns, first, [a if keep else b for a, b, keep in zip(first, second, same)], 'detection'


CASES = [  # what is simulated, images, groups, share of the images on which both are the same
    *(
        (two_classifiers, n, k, common)
        for n, k in ((20, 20), (50, 10), (200, 200), (200, 10))
        for common in (0, 0.8)
    ),
    *(
        (two_detectors, n, k, common)
        for n, k in ((20, 10), (50, 50), (50, 10), (100, 6))
        for common in (0, 0.8)
    ),
]


def told(make, n, k, gap, common, sets) -> np.ndarray:
    "(4, sets): the winner of the headline score, the ends of its interval, and the difference"
    out = []
    for seed in range(sets):
        anns, first, second, task = make(np.random.default_rng([seed, n, k]), n, k, gap, common)
        comparison = compare_models(first, second, anns, task, resamples=400)
        d = comparison.headline
        out.append((d.winner, d.low, d.high, d.by))
    return np.array(out).T


def equal_models(sets: int):
    print('| models | images | groups | the same on | called better, of equal ones | holds 0 |')
    print('|---|---|---|---|---|---|')
    for make, n, k, common in CASES:
        winner, low, high, _ = told(make, n, k, 0.0, common, sets)
        held = ((low <= 0) & (high >= 0)).mean()
        print(
            f'| {make.__name__} | {n} | {k} | {common:.0%} | {(winner >= 0).mean():.3f} | {held:.3f} |',
            flush=True,
        )
    print('\n| models | images | groups | the same on | better is found | worse is named | holds the truth |')
    print('|---|---|---|---|---|---|---|')
    for make, gap in ((two_classifiers, 0.1), (two_detectors, 0.4)):
        for n, k, common in ((50, 50, 0), (50, 10, 0), (200, 200, 0)):
            winner, low, high, by = told(make, n, k, gap, common, sets // 2)
            truth = by.mean()  # of many sets
            row = (winner == 1).mean(), (winner == 0).mean(), ((low <= truth) & (truth <= high)).mean()
            cells = ' | '.join(f'{value:.3f}' for value in row)
            print(f'| {make.__name__} | {n} | {k} | {common:.0%} | {cells} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--classes', type=int, default=80)
    parser.add_argument('--resamples', type=int, default=1000)
    parser.add_argument('--equal', action='store_true', help='how often equal models are called different')
    parser.add_argument('--sets', type=int, default=1000, help='simulated sets of each kind, with --equal')
    args = parser.parse_args()
    if args.equal:
        equal_models(args.sets)
    else:
        speed(args.images, args.classes, args.resamples)


if __name__ == '__main__':
    main()
