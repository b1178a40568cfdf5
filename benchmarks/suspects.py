"""How many labels that were broken on purpose are among the first suspects

    PYTHONPATH=. python benchmarks/suspects.py classification detection keypoints bccd signs \\
        [--share 0.1] [--folds 3] [--epochs N] [--size N] [--first 50] [--out FOLDER]

A tenth of the labels is broken by `break_labels`, in the kinds that the task has: the class, a label left
out, one too many, a box, a mask or a point moved, two points swapped. Models learn the broken labels, k folds
of whole groups each, and `find_suspects` ranks them all. Beside it, where it is installed, is cleanlab on the
same predictions: for objects it ranks whole images, so images are counted there. `bccd`, `signs`, `cards`
(student cards) and `faces` are real sets below `$VISION_RECIPES_DATA`. Nothing is timed.
"""

import argparse, os, tempfile
from pathlib import Path
import numpy as np
from vision_recipes.core.console import log
from vision_recipes.core.testing import real_data, real_weights
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.metrics.broken_labels import break_labels
from vision_recipes.metrics.suspects import find_suspects
from vision_recipes.tasks.run import make_task
from vision_recipes.training.held_out import out_of_fold
from vision_recipes.training.settings import make_settings

GROUPS = {'classification': r'(user\d+)', 'segmentation': r'(place\d+)', 'keypoints': r'(person\d+)'}
N_IMAGES = {'classification': 600, 'detection': 300, 'segmentation': 150, 'keypoints': 150}
REAL = {  # folder below `$VISION_RECIPES_DATA`, task
    'bccd': ('bccd', 'detection'),
    'signs': ('sign-digits', 'classification'),
    'cards': ('student-id', 'segmentation'),
    'faces': ('face-keypoints', 'keypoints'),
}
EPOCHS = {
    'classification': 15,
    'detection': 15,
    'segmentation': 12,
    'keypoints': 12,
    'bccd': 6,
    'signs': 20,
    'cards': 12,
    'faces': 12,
}


def read(name, folder):
    "The annotations of a set and its task"
    if name in N_IMAGES:
        if not (folder / 'data').exists():
            make_samples(name, folder / 'data', n=N_IMAGES[name], seed=3)
        return read_annotations(folder / 'data', groups=GROUPS.get(name)).measure(), name
    place, task_name = REAL[name]
    root = real_data(place)
    if root is None:
        raise SystemExit(f'{name}: not on this disk; set VISION_RECIPES_DATA')
    return read_annotations(root).measure(), task_name


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
    if task_name == 'detection':  # the drawn hands have outlines, too
        anns = anns.replace(masks=None, areas=None, keypoints=None)
    broken = break_labels(anns, args.share, args.seed)
    values = dict(epochs=args.epochs or EPOCHS[name])
    if args.size:
        values['size'] = args.size
    if name == 'bccd' and real_weights():
        values |= dict(model='yolox_nano', weights=str(real_weights()), size=256, batch_size=8)
    settings, fit_settings = make_settings(task_name, 'quick', seed=args.seed, **values)
    task = make_task(task_name, settings, broken.anns.labels)
    predictions = out_of_fold(task, broken.anns, folder / 'folds', fit_settings, args.folds)
    scores = task.evaluate(predictions, broken.anns).metrics
    suspects = find_suspects(predictions, broken.anns)
    found = broken.found(suspects[: args.first])
    n, right = len(found), sum(kind != '' for kind in found)
    print(
        f'{name}: {len(broken)} of {len(anns.class_ids.values)} labels broken, out of fold '
        f'{task.metric} {scores[task.metric]:.3f}; of the first {n} suspects {right} are broken labels: '
        f'precision {right / max(n, 1):.2f}, recall {right / len(broken):.2f} '
        f'(at most {min(1, args.first / len(broken)):.2f})'
    )
    for kind, true in broken.counts.items():
        print(f'   {kind}: {found.count(kind)} of {true} among the first {n}')
    ours = list(dict.fromkeys(suspect.image for suspect in suspects))[: args.first]
    theirs = cleanlab_images(broken.anns, predictions, args.first)
    for who, images in (('ours', ours), ('cleanlab', theirs)):
        if images is not None:
            right = len(broken.images & set(images))
            print(
                f'   images, {who}: {right} of the first {len(images)} have a broken label, '
                f'as have {len(broken.images)} of all {len(anns)}',
                flush=True,
            )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('sets', nargs='+', choices=list(EPOCHS))
    p.add_argument('--share', type=float, default=0.1)
    p.add_argument('--folds', type=int, default=3)
    p.add_argument('--epochs', type=int)
    p.add_argument('--size', type=int, help='of the images in the network; usual: that of the preset')
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
