"""How many labels that were broken on purpose are among the first suspects

    PYTHONPATH=. python benchmarks/suspects.py classification detection keypoints bccd signs \\
        [--share 0.1] [--folds 3] [--epochs N] [--first 50] [--out FOLDER]

A tenth of the labels is broken, in kinds that the task has: the class, a label left out, one too many, a box
moved, two points swapped, a point moved. Models learn the broken labels, k folds of whole groups each, and
`find_suspects` ranks them all. Beside it, where it is installed, is cleanlab on the same predictions: for
objects it ranks whole images, so images are counted there. `bccd` and `signs` are real sets below
`$VISION_RECIPES_DATA`. Nothing is timed.
"""

import argparse, os, tempfile
from pathlib import Path
import numpy as np
from vision_recipes.core.console import log
from vision_recipes.core.ragged import Ragged
from vision_recipes.core.testing import real_data, real_weights
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.metrics.suspects import find_suspects
from vision_recipes.runtime.postprocess_boxes import iou_matrix
from vision_recipes.tasks.run import make_task
from vision_recipes.training.held_out import out_of_fold
from vision_recipes.training.settings import make_settings

GROUPS = {'classification': r'(user\d+)', 'keypoints': r'(person\d+)'}
N_IMAGES = {'classification': 600, 'detection': 300, 'keypoints': 150}
EPOCHS = {'classification': 15, 'detection': 15, 'keypoints': 12, 'bccd': 6, 'signs': 20}
KINDS = {
    'classification': ('wrong class',),
    'detection': ('wrong class', 'missing', 'spurious', 'badly placed'),
    'keypoints': ('swapped sides', 'badly placed'),
}


def read(name, folder):
    "The annotations of a set and its task"
    if name in N_IMAGES:
        if not (folder / 'data').exists():
            make_samples(name, folder / 'data', n=N_IMAGES[name], seed=3)
        return read_annotations(folder / 'data', groups=GROUPS.get(name)).measure(), name
    place = {'bccd': 'bccd', 'signs': 'sign-digits'}[name]
    root = real_data(place)
    if root is None:
        raise SystemExit(f'{name}: not on this disk; set VISION_RECIPES_DATA')
    return read_annotations(root).measure(), 'detection' if name == 'bccd' else 'classification'


class Broken:
    "Annotations, some of whose labels are wrong, and which"

    def __init__(self, anns, task, share, rng):
        self.rng, self.kinds = rng, {}  # (image, object or None): kind
        self.removed = []  # (image, box) of labels that were left out
        self.anns = anns.replace(masks=None, areas=None) if task == 'detection' else anns
        getattr(self, task)(share)

    def classification(self, share):
        labels = self.anns.image_labels.copy()
        n_classes = len(self.anns.labels)
        for i in self.rng.choice(len(labels), round(share * len(labels)), replace=False):
            labels[i] = (labels[i] + self.rng.integers(1, n_classes)) % n_classes
            self.kinds[int(i), None] = 'wrong class'
        self.anns = self.anns.replace(class_ids=Ragged(labels, self.anns.class_ids.offsets))

    def detection(self, share):
        anns, rng = self.anns, self.rng
        n_objects, n_classes = len(anns.boxes), len(anns.labels)
        rows = []  # of each image: (class, box, kind)
        chosen = rng.choice(n_objects, round(share * n_objects), replace=False)
        kind_of = dict(zip(chosen.tolist(), np.resize(KINDS['detection'], len(chosen)).tolist()))
        for i in range(len(anns)):
            objects = []
            for g in range(*anns.class_ids.offsets[i : i + 2].tolist()):
                objects += self.broken_object(i, g, kind_of.get(g), n_classes)
            rows.append(objects)
        boxes = np.array([box for objects in rows for _, box, _ in objects], np.float32).reshape(-1, 4)
        ids = Ragged.from_rows([[c for c, _, _ in objects] for objects in rows], np.int64)
        for i, objects in enumerate(rows):
            for k, (_, _, kind) in enumerate(objects):
                if kind:
                    self.kinds[i, int(ids.offsets[i]) + k] = kind
        self.anns = anns.replace(boxes=boxes, class_ids=ids, crowd=None, keypoints=None)

    def broken_object(self, i, g, kind, n_classes):
        "The labels of an object: one, none, or two"
        box, label, rng = self.anns.boxes[g], int(self.anns.class_ids.values[g]), self.rng
        w, h = self.anns.sizes_wh[i]
        sides = box[2:] - box[:2]
        if kind == 'wrong class':
            return [(int((label + rng.integers(1, n_classes)) % n_classes), box, kind)]
        if kind == 'missing':
            self.removed.append((i, box))
            return []
        if kind == 'badly placed':  # by 0.3 to 0.6 of its sides, towards the middle of the image
            way = np.sign([w / 2, h / 2] - (box[:2] + box[2:]) / 2)
            return [(label, box + np.tile(way * sides * rng.uniform(0.3, 0.6, 2), 2), kind)]
        if kind == 'spurious':
            corner = rng.uniform(0, np.maximum([w, h] - sides, 1))
            extra = np.clip(np.concatenate([corner, corner + sides]), 0, [w, h, w, h])
            return [(label, box, None), (label, extra, kind)]
        return [(label, box, None)]

    def keypoints(self, share):
        points = self.anns.keypoints.copy()
        pairs = self.anns.labels.skeleton.pairs
        for g in self.rng.choice(len(points), round(share * len(points)), replace=False).tolist():
            image = int(self.anns.image_of[g])
            if len(self.kinds) % 2 and pairs:
                a, b = pairs[self.rng.integers(len(pairs))]
                points[g, [a, b]] = points[g, [b, a]]
                self.kinds[image, g] = 'swapped sides'
                continue
            k = self.rng.choice(np.flatnonzero(points[g, :, 2] > 0))
            size = (self.anns.boxes[g, 2:] - self.anns.boxes[g, :2]).max()
            angle = self.rng.uniform(0, 2 * np.pi)
            points[g, k, :2] += 0.3 * size * np.array([np.cos(angle), np.sin(angle)])
            self.kinds[image, g] = 'badly placed'
        self.anns = self.anns.replace(keypoints=points)

    def __len__(self):
        return len(self.kinds) + len(self.removed)

    @property
    def images(self):
        return {image for image, _ in self.kinds} | {image for image, _ in self.removed}

    def hit(self, suspect):
        "Which broken label a suspect points at, or None"
        if suspect.kind != 'missing':
            key = suspect.image, suspect.object
            return key if key in self.kinds else None
        for n, (image, box) in enumerate(self.removed):
            if (
                image == suspect.image
                and iou_matrix(box[None], np.array([suspect.suggested_box]))[0, 0] >= 0.5
            ):
                return n
        return None


def cleanlab_images(anns, predictions, first):
    "The images that cleanlab ranks first; None where it is not installed"
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.object_detection.rank import get_label_quality_scores
    except ImportError:
        return None
    if not anns.has_boxes:
        probs = np.stack([p.scores for p in predictions]).astype(float)
        options = dict(filter_by='confident_learning', return_indices_ranked_by='normalized_margin', n_jobs=1)
        return find_label_issues(anns.image_labels, probs, **options)[:first].tolist()
    labels, found = [], []
    for i, p in enumerate(predictions):
        rows = anns.objects_of(i)
        labels.append({'bboxes': anns.boxes[rows].astype(float), 'labels': anns.class_ids.values[rows]})
        boxes = np.column_stack([p.boxes, p.scores]).astype(float)
        found.append(np.array([boxes[p.labels == c] for c in range(len(anns.labels))], dtype=object))
    return np.argsort(get_label_quality_scores(labels, found, verbose=False), kind='stable')[:first].tolist()


def try_set(name, args):
    "Break, learn, rank, and print what was found"
    folder = args.out / name
    anns, task_name = read(name, folder)
    broken = Broken(anns, task_name, args.share, np.random.default_rng(args.seed))
    values = dict(epochs=args.epochs or EPOCHS[name])
    if name == 'bccd' and real_weights():
        values |= dict(model='yolox_nano', weights=str(real_weights()), size=256, batch_size=8)
    settings, fit_settings = make_settings(task_name, 'quick', seed=args.seed, **values)
    task = make_task(task_name, settings, broken.anns.labels)
    predictions = out_of_fold(task, broken.anns, folder / 'folds', fit_settings, args.folds)
    scores = task.evaluate(predictions, broken.anns).metrics
    suspects = find_suspects(predictions, broken.anns)
    hits = [broken.hit(suspect) for suspect in suspects[: args.first]]
    found = {hit for hit in hits if hit is not None}
    n = min(args.first, len(suspects))
    print(
        f'{name}: {len(broken)} of {len(broken.anns.class_ids.values)} labels broken, out of fold '
        f'{task.metric} {scores[task.metric]:.3f}; of the first {n} suspects {len(found)} are broken labels: '
        f'precision {len(found) / max(n, 1):.2f}, recall {len(found) / len(broken):.2f} '
        f'(at most {min(1, args.first / len(broken)):.2f})'
    )
    for kind in KINDS[task_name]:
        true = sum(k == kind for k in broken.kinds.values()) or len(broken.removed)
        got = [hit for hit, s in zip(hits, suspects) if hit is not None]
        got = sum(
            isinstance(hit, int) if kind == 'missing' else broken.kinds.get(hit) == kind for hit in set(got)
        )
        print(f'   {kind}: {got} of {true} among the first {n}')
    ours = list(dict.fromkeys(suspect.image for suspect in suspects))[: args.first]
    theirs = cleanlab_images(broken.anns, predictions, args.first)
    for who, images in (('ours', ours), ('cleanlab', theirs)):
        if images is not None:
            right = len(broken.images & set(images))
            print(f'   images, {who}: {right} of the first {len(images)} have a broken label')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('sets', nargs='+', choices=list(EPOCHS))
    p.add_argument('--share', type=float, default=0.1)
    p.add_argument('--folds', type=int, default=3)
    p.add_argument('--epochs', type=int)
    p.add_argument('--first', type=int, default=50)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=Path(tempfile.gettempdir()) / 'suspects')
    args = p.parse_args()
    os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
    log.setLevel('WARNING')  # k trainings have much to say
    for name in args.sets:
        args.out.mkdir(parents=True, exist_ok=True)
        try_set(name, args)


if __name__ == '__main__':
    main()
