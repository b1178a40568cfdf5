"""How often the printed 95 % intervals hold the true score, on simulated sets whose true score is known.

    PYTHONPATH=. python benchmarks/intervals.py [--sets 1000] [--scores accuracy map ...] \\
        [--shapes 200/10 ...]

Sets of 20, 50 and 200 images, each image by itself or in 3, 10 or 50 groups of equal size. Groups differ:
each has a difficulty of its own. The truth is the score on 40,000 images of as many groups. A row is a score
and a kind of set: the share of sets whose interval holds the truth, the share of sets whose interval lies
below and above it, and the median width.
"""

import argparse

import numpy as np

from vision_recipes.metrics.average_precision import Boxes, class_scores, find_matches, score_intervals
from vision_recipes.metrics.intervals import ratio_interval
from vision_recipes.metrics.keypoints import mean_intervals

SHAPES = [
    (20, 3),
    (20, 10),
    (20, 20),
    (50, 3),
    (50, 10),
    (50, 50),
    (200, 3),
    (200, 10),
    (200, 50),
    (200, 200),
]
N_TRUTH = 40_000  # images, each a group of its own, that stand for the truth


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def groups_of(n: int, k: int) -> np.ndarray:  # (n,) group ids
    "Groups of sizes as equal as can be"
    return np.arange(n) * k // n


# -- One kind of score each: `draw` makes a set, `interval` gives (low, high) by name, `truth` the true scores


class Accuracy:
    "Right and wrong answers; the share of right ones differs by group"

    def __init__(self, mean: float, alike: float):
        self.ab = mean * (1 / alike - 1), (1 - mean) * (1 / alike - 1)  # of the beta distribution
        self.truth = {f'accuracy {mean}': mean}

    def intervals(self, rng, n, k):
        groups = groups_of(n, k)
        hits = rng.random(n) < rng.beta(*self.ab, k)[groups]
        return {next(iter(self.truth)): ratio_interval(hits, group_ids=groups)[1:]}


class Points:
    "Distances of points; their scale differs by group and by object"

    def __init__(self):
        right, distances, counts, _ = self.draw(np.random.default_rng(0), N_TRUTH, N_TRUTH)
        self.truth = {'pck': right.sum() / counts.sum(), 'nme': distances.sum() / counts.sum()}

    def draw(self, rng, n, k, points=5):
        groups = groups_of(n, k)
        images = np.repeat(np.arange(n), rng.integers(1, 4, n))  # one to three objects in an image
        scale = 0.05 * np.exp(0.5 * rng.normal(0, 1, k)[groups[images]] + 0.5 * rng.normal(0, 1, len(images)))
        errors = scale[:, None] * rng.rayleigh(1, (len(images), points))
        add = lambda values: np.bincount(images, values.sum(1), n)[:, None]
        return add(errors <= 0.1), add(errors), add(np.ones_like(errors)), groups

    def intervals(self, rng, n, k):
        right, distances, counts, groups = self.draw(rng, n, k)
        pck, nme = mean_intervals(right, counts, groups, True), mean_intervals(distances, counts, groups)
        return {'pck': pck[0, 1:], 'nme': nme[0, 1:]}


class Objects:
    "Detections; how many are found, how exactly and how surely differs by group. Masks and OKS use this, too"

    def __init__(self, n_classes: int):
        self.n_classes = n_classes
        m, _ = self.draw(np.random.default_rng(0), N_TRUTH, N_TRUTH)
        ap = class_scores(m)[0][0]
        self.names = {f'{name}, {n_classes} cl.': name for name in ('map', 'map_50')}
        self.truth = dict(zip(self.names, (ap.mean(), ap[:, 0].mean())))

    def draw(self, rng, n, k):
        groups = groups_of(n, k)
        ease = 0.8 * rng.normal(0, 1, k)  # of each group
        images = np.repeat(np.arange(n), 1 + rng.poisson(2, n))
        labels = rng.integers(0, self.n_classes, len(images))
        # objects lie in a row and do not overlap, so that every match is what it should be
        place = np.arange(len(images)) - np.searchsorted(images, images)
        corner = np.stack([200.0 * place, np.zeros(len(images))], 1)
        truth = self.boxes(images, labels, np.concatenate([corner, corner + 100], 1), np.ones(len(images)))
        easy = ease[groups[images]]
        found = np.flatnonzero(rng.random(len(images)) < sigmoid(1.5 + easy))
        shift = rng.normal(0, 10, (len(found), 4)) * np.exp(-0.3 * easy[found])[:, None]
        scores = sigmoid(1 + 0.5 * easy[found] + rng.normal(0, 1, len(found)))
        false_images = np.repeat(np.arange(n), rng.poisson(1, n))
        false_scores = sigmoid(-1 + rng.normal(0, 1, len(false_images)))
        false_boxes = np.tile([0.0, 500.0, 100.0, 600.0], (len(false_images), 1))
        detections = self.boxes(
            np.concatenate([images[found], false_images]),
            np.concatenate([labels[found], rng.integers(0, self.n_classes, len(false_images))]),
            np.concatenate([truth.boxes[found] + shift, false_boxes]),
            np.concatenate([scores, false_scores]),
        )
        order = np.lexsort((-detections.scores, detections.labels, detections.images))
        return find_matches(detections.take(order), truth, n, self.n_classes), groups

    @staticmethod
    def boxes(images, labels, boxes, scores) -> Boxes:
        nothing = np.zeros(len(images), bool)
        return Boxes(images, labels, boxes, scores, nothing, np.arange(len(images)), np.ones(len(images)))

    def intervals(self, rng, n, k):
        m, groups = self.draw(rng, n, k)
        scores = score_intervals(m, class_scores(m)[0][0], groups)
        return {long: (scores[f'{name}_low'], scores[f'{name}_high']) for long, name in self.names.items()}


KINDS = {
    'accuracy': [lambda: Accuracy(0.7, 0.1), lambda: Accuracy(0.95, 0.1), lambda: Accuracy(0.9, 0.3)],
    'points': [Points],
    'map': [lambda: Objects(1), lambda: Objects(5)],
}


def measure(kind, n: int, k: int, sets: int) -> dict[str, tuple]:
    "By score: share of intervals that hold the truth, that lie below and above it, and their median width"
    rows: dict[str, list] = {}
    for seed in range(sets):
        for name, (low, high) in kind.intervals(np.random.default_rng([seed, n, k]), n, k).items():
            rows.setdefault(name, []).append(
                (low <= kind.truth[name] <= high, high < kind.truth[name], high - low)
            )
    out = {}
    for name, values in rows.items():
        held, below, width = np.array(values, float).T
        out[name] = held.mean(), below.mean(), 1 - held.mean() - below.mean(), np.median(width)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sets', type=int, default=1000, help='simulated sets of each kind')
    parser.add_argument('--scores', nargs='+', default=list(KINDS), choices=list(KINDS))
    pair = lambda text: tuple(map(int, text.split('/')))
    parser.add_argument(
        '--shapes', nargs='+', type=pair, default=SHAPES, help='images/groups, such as 200/10'
    )
    args = parser.parse_args()
    print(
        '| score | images | groups | holds the truth | below | above | width |\n|---|---|---|---|---|---|---|'
    )
    for name in args.scores:
        for make in KINDS[name]:
            kind = make()
            for n, k in args.shapes:
                for score, row in measure(kind, n, k, args.sets).items():
                    cells = ' | '.join(f'{value:.3f}' for value in row)
                    print(f'| {score} | {n} | {k} | {cells} |', flush=True)


if __name__ == '__main__':
    main()
