"""Whether chosen images teach more than random ones: learning curves of `choose_next` and of random choice

    PYTHONPATH=. python benchmarks/next_images.py hands signs cells drawn-boxes [--seeds 3] [--epochs N] \\
        [--start 40] [--add 40] [--rounds 3] [--out FOLDER]

Of a set a part is held out for the test and a part for validation; the rest is the pool. A model is trained
on `--start` random images. It chooses `--add` images of the pool, whose labels are then looked up; a new
model is trained on all labelled images, and so on. Random choice has the same first images. `uncertain` is
the most uncertain images without spread. Groups, where a set has them, are kept apart. `signs` and `cells`
are real sets below `$VISION_RECIPES_DATA`; `cells` starts from published weights where they lie there.
"""

import argparse, os, tempfile, time
from pathlib import Path
from typing import Callable
import numpy as np

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
from vision_recipes.core.console import log
from vision_recipes.core.testing import real_data, real_weights
from vision_recipes.data.annotations import with_groups
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.splits import split
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.metrics.average_precision import EVAL_SCORE_THRESHOLD
from vision_recipes.metrics.next_images import choose_next, image_uncertainty
from vision_recipes.tasks.embeddings import predict_and_embed
from vision_recipes.tasks.run import make_task
from vision_recipes.training.loop import fit
from vision_recipes.training.settings import make_settings

NANO = dict(model='yolox_nano', size=192, batch_size=8)
SETS = {
    'hands': ('classification', dict(model='test_resnet', size=64, weights='random', batch_size=16), 30),
    'signs': ('classification', dict(model='test_resnet', size=64, weights='random', batch_size=16), 30),
    'cells': ('detection', NANO, 6),
    'drawn-boxes': ('detection', NANO, 10),
}
WAYS = 'random', 'next', 'uncertain'


def read(name, folder):
    "The annotations of a set, with its groups where it has them"
    if name in ('signs', 'cells'):
        root = real_data({'signs': 'sign-digits', 'cells': 'bccd'}[name])
        if root is None:
            raise SystemExit(f'{name}: not on this disk; set VISION_RECIPES_DATA')
        anns = read_annotations(root).measure()
        return with_groups(anns, hands_of_signs(anns)) if name == 'signs' else anns
    if not (folder / 'data').exists():
        task, n = ('classification', 900) if name == 'hands' else ('detection', 400)
        make_samples(task, folder / 'data', n=n, seed=5)
    groups = r'(user\d+)' if name == 'hands' else None
    return read_annotations(folder / 'data', groups=groups).measure()


def hands_of_signs(anns):
    "Whose hand each image shows: the files by number are runs of one hand, and a 0 begins the next run"
    number = [int(Path(path).stem.split('_')[1]) for path in anns.paths]
    run, names = 0, [''] * len(anns)
    for i in np.argsort(number, kind='stable'):
        run += anns.paths[i].split('/')[0] == '0'
        names[i] = f'hand{run:03}'
    return names


def choose(way, run, pool, labelled, n, seed):
    "Rows of the pool to label next"
    rows = np.flatnonzero(~labelled)
    rng = np.random.default_rng(seed)
    if way == 'random':
        return rng.choice(rows, min(n, len(rows)), replace=False)
    paths = [pool.path(i) for i in range(len(pool))]
    predictions, vectors = predict_and_embed(run, paths, score_threshold=EVAL_SCORE_THRESHOLD)
    u = np.array([image_uncertainty(p, run.score_threshold) for p in predictions])
    if way == 'uncertain':
        return rows[np.argsort(-u[rows], kind='stable')[:n]]
    groups = pool.group_ids if pool.has_groups else None
    return choose_next(u, vectors, n, groups, labelled, seed)


def trained(name, pool, labelled, valid, out, seed, epochs):
    "A run of the labelled images"
    task_name, values, usual = SETS[name]
    values = {**values, 'epochs': epochs or usual, 'workers': 0}
    if name == 'cells' and real_weights():
        values['weights'] = str(real_weights())
    settings, fit_settings = make_settings(task_name, 'quick', seed=seed, **values)
    task = make_task(task_name, settings, pool.labels)
    return fit(task, pool.subset(labelled), valid, out, fit_settings)


def score(run, test):
    "The headline score on the test images"
    paths = [test.path(i) for i in range(len(test))]
    predictions = list(run.stream(paths, score_threshold=EVAL_SCORE_THRESHOLD))
    return run.task.evaluate(predictions, test).metrics[run.task.metric]


def curve(name, way, first, parts, seed, args, folder):
    "The score after each round"
    pool, valid, test = parts
    labelled, run = first[0].copy(), first[1]
    scores = [first[2]]
    for round in range(args.rounds):
        chosen = choose(way, run, pool, labelled, args.add, 100 * seed + round)
        labelled[chosen] = True
        run = trained(name, pool, labelled, valid, folder / f'{way}-{round}', seed, args.epochs)
        scores.append(score(run, test))
    return scores


def first_models(name, anns, args, folder):
    "For each seed: it, (pool, valid, test), and (labelled, run, score) of a model of `args.start` images"
    for seed in range(args.seeds):
        rest, test = split(anns, valid=0.3, seed=seed)
        pool, valid = split(rest, valid=0.1, seed=seed)
        labelled = np.zeros(len(pool), bool)
        labelled[np.random.default_rng(seed).choice(len(pool), args.start, replace=False)] = True
        run = trained(name, pool, labelled, valid, folder / f'{seed}-first', seed, args.epochs)
        yield seed, (pool, valid, test), (labelled, run, score(run, test))


def try_set(name, args):
    "Print the learning curves of a set"
    begun, folder = time.time(), Path(tempfile.mkdtemp(dir=args.out))
    anns = read(name, args.out / name)
    curves = {way: [] for way in args.ways}
    for seed, parts, first in first_models(name, anns, args, folder):
        for way in args.ways:
            scores = curve(name, way, first, parts, seed, args, folder / f'{seed}')
            curves[way].append(scores)
            print(f'   {name}, seed {seed}, {way}: {" ".join(f"{s:.3f}" for s in scores)}', flush=True)
    sizes = ', '.join(str(args.start + args.add * k) for k in range(args.rounds + 1))
    print(f'{name}: {first[1].task.metric} after {sizes} images, pool {len(parts[0])}, test {len(parts[2])}')
    base = np.array(curves['random']) if 'random' in curves else None
    for way, rows in curves.items():
        rows = np.array(rows)
        text = ', '.join(f'{m:.3f}' for m in rows.mean(0))
        if base is not None and way != 'random':
            gain = (rows - base)[:, 1:].mean(1)  # of each seed, over all rounds
            text += f'; against random {gain.mean():+.3f} (seeds {" ".join(f"{g:+.3f}" for g in gain)})'
        print(f'   {way}: {text}')
    print(f'   {time.time() - begun:.0f} s', flush=True)


def run_sets(try_set: Callable, description: str, folder: str, ways: tuple[str, ...], seeds: int):
    "Read the options of a study, and call `try_set(name, args)` for each set; `folder` takes its trainings"
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('sets', nargs='+', choices=list(SETS))
    p.add_argument('--ways', nargs='+', choices=ways, default=list(ways))
    p.add_argument('--seeds', type=int, default=seeds)
    p.add_argument('--epochs', type=int)
    p.add_argument('--start', type=int, default=40)
    p.add_argument('--add', type=int, default=40)
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--out', type=Path, default=Path(tempfile.gettempdir()) / folder)
    args = p.parse_args()
    log.setLevel('WARNING')  # many trainings have much to say
    for name in args.sets:
        args.out.mkdir(parents=True, exist_ok=True)
        try_set(name, args)


if __name__ == '__main__':
    run_sets(try_set, __doc__, 'next_images', WAYS, seeds=3)
