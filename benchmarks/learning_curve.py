"""Whether the forecast from up to half of the images agrees with what all of them brought

    PYTHONPATH=. python benchmarks/learning_curve.py hands signs cells drawn-boxes [--seeds 3] [--epochs N] \\
        [--splits 1] [--out FOLDER]
    PYTHONPATH=. python benchmarks/learning_curve.py --simulate [--sets 1000]

A set is trained on an eighth, a quarter, a half and all of its groups by `learning_curve`. Its trainings on
up to half of them forecast the score of all. `--splits` does so with other held-out groups, too. `signs` and
`cells` are real sets below `$VISION_RECIPES_DATA`; `cells` starts from published weights, where they lie
there. What is finished in `--out` is not trained again.

`--simulate` draws curves around known power laws, and counts how often the band of a forecast holds the score
of one more training.
"""

import argparse, os, tempfile, time
from pathlib import Path

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
import numpy as np
from next_images import read, SETS
from vision_recipes.core.console import log
from vision_recipes.core.testing import real_weights
from vision_recipes.metrics.learning_curve import score_curve
from vision_recipes.tasks.run import make_task
from vision_recipes.training.curve_runs import learning_curve
from vision_recipes.training.settings import make_settings

# -- Known laws

LAWS = [(0.95, 1.5, 0.5), (0.9, 3.0, 0.7), (1.0, 0.8, 0.25), (0.8, 1.0, 0.3), (0.95, 20.0, 1.2)]
# standard error of a training, held-out groups, spread of the difficulty of groups
KINDS = [(0.02, 8, 0.1), (0.02, 20, 0.1), (0.01, 50, 0.1), (0.03, 20, 0.05)]
PARTS, IMAGES = (3, 3, 2, 1), 400  # trainings of each part; images of the largest


def drawn_curve(seed, law, kind):
    "A curve around a known law; by multiple of the images the score of one more training"
    rng = np.random.default_rng([seed, *(int(1000 * v) for v in (*law, *kind))])
    (a, b, c), (noise, groups, differ) = law, kind
    sizes = np.repeat(IMAGES * np.array([1 / 8, 1 / 4, 1 / 2, 1]), PARTS)
    of_trainings = a - b * sizes**-c + noise * rng.normal(0, 1, len(sizes))
    by_group = of_trainings + differ * rng.normal(0, 1, (groups, 1))
    by_group = np.clip(by_group + differ / 2 * rng.normal(0, 1, by_group.shape), 0, 1)  # (groups, trainings)
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), 400) / groups
    curve = score_curve('score', sizes, by_group.mean(0), drawn @ by_group, groups)
    return curve, {t: a - b * (t * IMAGES) ** -c + noise * rng.normal() for t in (2, 4)}


def simulate(sets):
    "Print how often the band holds what one more training brings"
    print('| a, b, c | noise | groups | differ by | told | twice | four times | error | width, twice |')
    print('|---|---|---|---|---|---|---|---|---|')
    for law in LAWS:
        for kind in KINDS:
            held, errors, widths = [], [], []
            for seed in range(sets):
                curve, came = drawn_curve(seed, law, kind)
                if curve.reason:
                    continue
                forecasts = {t: curve.forecast(t) for t in came}
                held.append([f.low <= came[t] <= f.high for t, f in forecasts.items()])
                errors.append(forecasts[2].score - (law[0] - law[1] * (2 * IMAGES) ** -law[2]))
                widths.append(forecasts[2].high - forecasts[2].low)
            twice, four = np.mean(held, 0)
            row = *law, *kind, len(held) / sets, twice, four, np.mean(errors), np.median(widths)
            print('| {}, {}, {} | {} | {} | {} | {:.2f} | {:.3f} | {:.3f} | {:+.3f} | {:.3f} |'.format(*row))


# -- Trainings

EPOCHS = {'hands': 6, 'signs': 6, 'cells': 4, 'drawn-boxes': 6}


def try_set(name, args):
    "Print the curve of a set, and its forecast from half of the images"
    begun = time.process_time()
    anns = read(name, args.out / name)
    task_name, values, _ = SETS[name]
    values = {**values, 'epochs': args.epochs or EPOCHS[name], 'workers': 0, 'valid': 0.25, 'cache_mb': 500}
    if name == 'cells' and real_weights():
        values['weights'] = str(real_weights())
    for seed in range(args.splits):
        settings, fit_settings = make_settings(task_name, 'quick', seed=100 * seed, **values)
        out = args.out / name / f'curve-{seed}'
        task = make_task(task_name, settings, anns.labels)
        curve = learning_curve(task, anns, out, fit_settings, seeds=args.seeds)
        print(f'{name}, held-out groups {seed}:')
        for row in curve.tables['parts']:
            print('   ' + ', '.join(f'{key} {value}' for key, value in row.items()))
        print(curve.text(), flush=True)
    print(f'{name}: {time.process_time() - begun:.0f} s of processor time', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('sets', nargs='*', choices=[*SETS, []])
    p.add_argument('--simulate', action='store_true')
    p.add_argument('--sets', dest='n_sets', type=int, default=1000, help='simulated curves of each kind')
    p.add_argument('--seeds', type=int, default=3)
    p.add_argument('--splits', type=int, default=1)
    p.add_argument('--epochs', type=int)
    p.add_argument('--out', type=Path, default=Path(tempfile.gettempdir()) / 'learning_curve')
    args = p.parse_args()
    log.setLevel('WARNING')  # many trainings have much to say
    if args.simulate:
        simulate(args.n_sets)
    for name in args.sets:
        (args.out / name).mkdir(parents=True, exist_ok=True)
        try_set(name, args)


if __name__ == '__main__':
    main()
