"""Which settings win, by data set, weights to start from and epochs: the study behind the presets.

    python benchmarks/defaults.py [--sets bccd digits ...] [--starts random published] [--epochs 5 15 40]
        [--candidates quick "full lr=2e-3" ...] [--seeds 0] [--out results.jsonl] [--table]

Each line of the result is one training: the best score on the held-out images with its 95 % interval, and
the score after each epoch. A training that the file holds already is not done again, so a study can be
stopped and continued. `--table` only prints the file. The real sets are looked for below
`VISION_RECIPES_DATA`, else in `shared/data` beside a folder above this one; a missing set is skipped.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
import torch
from vision_recipes.core.console import log_info
from vision_recipes.core.testing import real_data
from vision_recipes.data.annotations import Annotations
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.splits import split
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.tasks.run import make_task
from vision_recipes.training.loop import fit
from vision_recipes.training.run_writer import read_history
from vision_recipes.training.settings import make_settings


@dataclass(frozen=True)
class StudySet:
    "A data set of the study, and the network that is trained on it"

    task: str
    settings: dict  # Of model and training, on top of the preset
    folder: str = ''  # Below the real data sets; empty: drawn
    drawn: int = 0  # Images to draw
    groups: str | None = None
    weights: str = ''  # Published weights below the folder of the real data sets; empty: there are none
    weights_settings: dict = field(default_factory=dict)


NANO = dict(weights='../weights/yolox_nano_coco.pth', weights_settings=dict(preprocessing='megvii'))
SETS = {
    'bccd': StudySet('detection', dict(model='yolox_nano', size=256), 'bccd', **NANO),
    'hands': StudySet('detection', dict(model='yolox_nano', size=192), drawn=300, **NANO),
    'digits': StudySet('classification', dict(model='test_resnet', size=96), 'sign-digits'),
    'signs': StudySet('classification', dict(model='test_resnet', size=96), drawn=600, groups=r'(user\d+)'),
    'cards': StudySet('segmentation', dict(model='maskrcnn_small', size=192), 'student-id'),
    'drawn-cards': StudySet(
        'segmentation', dict(model='maskrcnn_small', size=192), drawn=200, groups=r'(place\d+)'
    ),
    'faces': StudySet('keypoints', dict(model='keypointrcnn_small', size=192), 'face-keypoints'),
    'drawn-faces': StudySet(
        'keypoints', dict(model='keypointrcnn_small', size=192), drawn=300, groups=r'(person\d+)'
    ),
}


def read_set(known: StudySet, folder: Path) -> Annotations | None:
    "The annotated images of a set; drawn ones are drawn into `folder`. None where real ones are missing"
    if known.drawn:
        place = folder / f'{known.task}-{known.drawn}'
        if not place.exists():
            make_samples(known.task, place, n=known.drawn)
        return read_annotations(place, groups=known.groups)
    place = real_data(known.folder)
    return None if place is None else read_annotations(place, groups=known.groups)


def start_settings(known: StudySet, start: str) -> dict | None:
    "The settings that say what a training starts from; None where there are no such weights"
    if start == 'random':
        return {'weights': 'random'}
    place = real_data('bccd') if known.weights else None  # the weights lie beside the folder of the sets
    file = None if place is None else place.parent / known.weights
    if file is None or not file.is_file():
        return None
    return {'weights': str(file), **known.weights_settings}


def candidate_settings(text: str) -> tuple[str, dict]:
    "The preset and the changes that `full lr=2e-3 flip=0` or `lr=2e-3` (of `quick`) means"
    preset, values = 'quick', {}
    for word in text.split():
        name, _, value = word.partition('=')
        if value:
            is_json = value[0].isdigit() or value in ('true', 'false')
            values[name] = json.loads(value) if is_json else value
        else:
            preset = name
    return preset, values


def train(known: StudySet, anns: Annotations, job: dict, folder: Path) -> dict:
    "Train as a job says. Gives its scores"
    preset, values = candidate_settings(job['candidate'])
    values = {**known.settings, **start_settings(known, job['start']), 'workers': 0, **values}
    settings, fit_settings = make_settings(
        known.task, preset, epochs=job['epochs'], seed=job['seed'], **{'cache_mb': 1000, **values}
    )
    train_part, valid_part = split(anns, 0.2, 0)
    started = time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        task = make_task(known.task, settings, anns.labels)
        run = fit(task, train_part, valid_part, Path(out) / 'run', fit_settings)
        history = read_history(Path(out) / 'run')
    metrics, name = run.card.metrics, task.metric
    return {
        'metric': name,
        'score': metrics[name],
        'low': metrics[f'{name}_low'],
        'high': metrics[f'{name}_high'],
        'by_epoch': [round(row[name], 4) for row in history],
        'images': len(train_part),
        'seconds': round(time.process_time() - started),
    }


def read_results(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


KEYS = ('set', 'start', 'epochs', 'candidate', 'seed')


def print_table(results: list[dict]):
    "The scores as a Markdown table, the best candidate of a set, start and number of epochs first"
    print('| set | start | epochs | settings | score | seconds |\n| --- | --- | --- | --- | --- | --- |')
    for r in sorted(results, key=lambda r: (r['set'], r['start'], r['epochs'], -r['score'])):
        score = f'{r["score"]:.3f} [{r["low"]:.3f}, {r["high"]:.3f}]'
        print(f'| {r["set"]} | {r["start"]} | {r["epochs"]} | {r["candidate"]} | {score} | {r["seconds"]} |')


def run_study(args):
    "Do the trainings that the file of results does not hold"
    done = {tuple(r[k] for k in KEYS) for r in read_results(args.out)}
    jobs = [
        dict(zip(KEYS, (name, start, epochs, candidate, seed)))
        for epochs in args.epochs
        for name in args.sets
        for start in args.starts
        for candidate in args.candidates
        for seed in args.seeds
    ]
    args.folder.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        known = SETS[job['set']]
        if tuple(job.values()) in done or start_settings(known, job['start']) is None:
            continue
        anns = read_set(known, args.folder)
        if anns is None:
            log_info(f'{job["set"]}: is not here, skipped')
            continue
        result = {**job, **train(known, anns, job, args.folder)}
        with args.out.open('a') as file:
            file.write(json.dumps(result) + '\n')
        print_table([result])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--sets', nargs='+', default=list(SETS), choices=list(SETS))
    p.add_argument('--starts', nargs='+', default=['random', 'published'], choices=['random', 'published'])
    p.add_argument('--epochs', nargs='+', type=int, default=[5, 15, 40])
    p.add_argument('--candidates', nargs='+', default=['quick', 'full'])
    p.add_argument('--seeds', nargs='+', type=int, default=[0])
    p.add_argument('--out', type=Path, default=Path('defaults.jsonl'))
    p.add_argument('--folder', type=Path, default=Path(tempfile.gettempdir()) / 'defaults-study')
    p.add_argument('--threads', type=int, default=0, help='of PyTorch; 0 leaves them as they are')
    p.add_argument('--table', action='store_true', help='only print the results')
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if not args.table:
        run_study(args)
    print_table(read_results(args.out))


if __name__ == '__main__':
    main()
