"""Rare classes: what repeat-factor sampling and copy-paste give, on drawn sets with one class cut down.

    python benchmarks/imbalance.py [--quick] [--task detection] [--seeds 3] [--weights yolox_nano.pth]

Detection: drawn hands, of which all but a few training images with the class `rock` are left out. YOLOX-nano,
with and without `repeat_factor`, from random weights or from a file. Segmentation: drawn triangles, squares
and stars, where a few training images have stars. The small Mask R-CNN from random weights, plain, with
`repeat_factor`, with `copy_paste`, and with both; `--only` names fewer. The validation images are not cut.

Printed are the average precision of the rare class and of all classes, of the best epoch, as means over
seeds; and the mean difference to the plain training of the same seed, with its 95 % interval (Student's t; a
seed is one sample). Repeats make epochs a little longer: the training prints its batches. `--minutes` ends
the seeds early, and what ran until then is reported.
"""

import argparse, math, tempfile, time
from pathlib import Path
import numpy as np
import torch
from PIL import Image, ImageDraw
from report import write_report
from vision_recipes.core.labels import LabelMap
from vision_recipes.core.masks import Masks, masks_boxes
from vision_recipes.core.ragged import Ragged, Strings
from vision_recipes.data.annotations import Annotations
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.splits import split
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.tasks.run import make_task
from vision_recipes.training.loop import fit
from vision_recipes.training.run_writer import read_history
from vision_recipes.training.settings import make_settings

T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}  # 97.5 % quantile for so many seeds
SHAPES = ('triangle', 'square', 'star')
RARE = {'detection': 'rock', 'segmentation': 'star'}
CONTESTANTS = {
    'detection': {'plain': {}, 'repeat_factor': {'repeat_factor': 0.3}},
    'segmentation': {
        'plain': {},
        'repeat_factor': {'repeat_factor': 0.5},
        'copy_paste': {'copy_paste': 0.5},
        'both': {'repeat_factor': 0.5, 'copy_paste': 0.5},
    },
}
COMMON = dict(preset='quick', cache_mb=500, workers=0, amp='off')


# ---- the images


def outline(shape: str, rng: np.random.Generator) -> np.ndarray:
    "The corners of a shape around (0, 0), with a radius of 1"
    n = {'triangle': 3, 'square': 4, 'star': 10}[shape]
    angle = np.arange(n) * 2 * math.pi / n + rng.uniform(0, 2 * math.pi)
    radius = np.where(np.arange(n) % 2, 0.45, 1.0) if shape == 'star' else np.ones(n)
    return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]


def draw_image(path: Path, side: int, rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    "One to three shapes of random colours on a blurred ground; classes and outlines"
    ground = rng.integers(40, 220, (6, 6, 3), dtype=np.uint8)
    image, cell = Image.fromarray(ground).resize((side, side), Image.Resampling.BICUBIC), side // 2
    draw, objects = ImageDraw.Draw(image), []
    for place in rng.permutation(4)[: rng.integers(1, 4)].tolist():
        radius = rng.uniform(0.45, 0.95) * cell / 2
        middle = np.array([place % 2, place // 2]) * cell + cell / 2
        class_id = int(rng.integers(3))
        ring = (middle + radius * outline(SHAPES[class_id], rng)).astype(np.float32)
        draw.polygon([tuple(p) for p in ring.tolist()], fill=tuple(rng.integers(0, 255, 3).tolist()))
        objects.append((class_id, ring))
    image.save(path)
    return objects


def drawn_shapes(root: Path, n: int, side: int, seed: int) -> Annotations:
    root.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = [draw_image(root / f'{i:04d}.png', side, rng) for i in range(n)]
    masks = Masks.from_rows([[ring] for row in rows for _, ring in row])
    return Annotations(
        root,
        Strings.from_list(f'{i:04d}.png' for i in range(n)),
        LabelMap(SHAPES),
        Ragged.from_rows([[c for c, _ in row] for row in rows], np.int64),
        np.full((n, 2), side, np.int32),
        boxes=masks_boxes(masks),
        masks=masks,
    )


def cut(train: Annotations, rare: str, n_left: int) -> Annotations:
    "Leave out all but the first `n_left` images that show the rare class"
    c = train.class_names.index(rare)
    shows = np.array([c in train.class_ids[i] for i in range(len(train))])
    keep = ~shows
    keep[np.flatnonzero(shows)[:n_left]] = True
    return train.subset(np.flatnonzero(keep))


def parts(task: str, root: Path, n: int, n_left: int, seed: int) -> tuple[Annotations, Annotations]:
    if task == 'detection':
        make_samples(task, root, n=n, seed=seed)
        anns = read_annotations(root)
    else:
        anns = drawn_shapes(root, n, 128, seed)
    train, valid = split(anns, 0.3, seed)
    return cut(train, RARE[task], n_left), valid


# ---- the contest


def train_one(task: str, options: dict, train, valid, out: Path, seed: int, args) -> dict:
    model = {'detection': 'yolox_nano', 'segmentation': 'maskrcnn_small'}[task]
    more = (
        {'weights': args.weights, 'preprocessing': 'megvii', 'lr': 2e-3}
        if args.weights and task == 'detection'
        else {}
    )
    settings, fit_settings = make_settings(
        task, **COMMON, **options, **more, model=model, size=args.size, epochs=args.epochs, seed=seed
    )
    start = time.monotonic()
    run = fit(make_task(task, settings, train.labels), train, valid, out, fit_settings)
    best = read_history(out)[run.info['best_epoch'] - 1]
    return {
        'rare': best[f'ap {RARE[task]}'],
        'all': best[run.task.metric],
        'minutes': (time.monotonic() - start) / 60,
    }


def summary(rows: list[dict], name: str, key: str) -> str:
    "The mean, and the mean difference to `plain` of the same seed with its interval"
    values = np.array([row[name][key] for row in rows])
    text = f'{values.mean():.3f}'
    if name == 'plain' or len(rows) < 2:
        return text
    gain = values - np.array([row['plain'][key] for row in rows])
    half = T[len(gain)] * gain.std(ddof=1) / math.sqrt(len(gain))
    return f'{text} ({gain.mean():+.3f} [{gain.mean() - half:+.3f}, {gain.mean() + half:+.3f}])'


def contest(task: str, args, root: Path, deadline: float) -> list[dict]:
    rows = []
    contestants = {
        k: v for k, v in CONTESTANTS[task].items() if k in ('plain', *(args.only or CONTESTANTS[task]))
    }
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        started = time.monotonic()
        train, valid = parts(task, root / f'{task}-{seed}', args.images, args.rare, seed)
        train, valid = train.measure(), valid.measure()
        counts = dict(zip(train.class_names, train.counts().tolist()))
        print(f'{task}, seed {seed}: {len(train)} images to learn from, objects {counts}', flush=True)
        rows.append(
            {
                name: train_one(task, options, train, valid, root / f'{task}-{seed}-{name}', seed, args)
                for name, options in contestants.items()
            }
        )
        if time.monotonic() + (time.monotonic() - started) > deadline:
            break
    for name in contestants:
        rare, all_classes = summary(rows, name, 'rare'), summary(rows, name, 'all')
        print(f'  {name:14} {RARE[task]} {rare:36} all classes {all_classes}  {len(rows)} seeds', flush=True)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='40 images, one epoch: shows that it runs')
    p.add_argument('--task', choices=tuple(RARE), help='one of the two (default both)')
    p.add_argument('--images', type=int, default=240, help='images, before the cut (default 240)')
    p.add_argument('--rare', type=int, default=6, help='training images with the rare class (default 6)')
    p.add_argument('--epochs', type=int, default=12, help='of each training (default 12)')
    p.add_argument('--size', type=int, default=128, help='side of the square, pixels (default 128)')
    p.add_argument(
        '--weights', default='', help='a file of YOLOX-nano to start from (default random weights)'
    )
    p.add_argument('--only', nargs='*', help='contestants besides plain (default all)')
    p.add_argument('--seeds', type=int, default=3, help='seeds, 8 at most (default 3)')
    p.add_argument('--first-seed', type=int, default=0, help='the first of them (default 0)')
    p.add_argument('--minutes', type=float, default=60, help='no seed begins that would end later')
    p.add_argument('--json', type=Path, help='write the figures here')
    args = p.parse_args()
    if args.quick:
        args.images, args.rare, args.epochs = 40, 3, 1
    figures, tasks = {}, [args.task] if args.task else list(RARE)
    with tempfile.TemporaryDirectory() as tmp:
        for k, task in enumerate(tasks):
            deadline = time.monotonic() + 60 * args.minutes / len(tasks)
            figures[task] = contest(task, args, Path(tmp), deadline)
    write_report(args.json, torch=torch.__version__, figures=figures)


if __name__ == '__main__':
    main()
