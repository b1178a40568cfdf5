"""What labels cost in clicks, by hand and as corrected drafts, and what score they bring

    PYTHONPATH=. python benchmarks/label_less.py signs cells hands drawn-boxes [--seeds 2] [--epochs N] \\
        [--start 40] [--add 40] [--rounds 3] [--ways random next] [--out FOLDER]

As `next_images.py`: a model is trained on `--start` random images, then images are added, at random or by
`choose_next`. Here the model of each round drafts the labels of the images that are added. The truth stands
in for the person who corrects them, and `correction_acts` counts the clicks. Beside it are the clicks for
drawing the same labels by hand. The first images are always drawn by hand. `signs` and `cells` are real sets
below `$VISION_RECIPES_DATA`.
"""

import os, tempfile, time
from pathlib import Path
import numpy as np

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
from next_images import choose, first_models, read, run_sets, score, trained
from vision_recipes.metrics.clicks import ClickCosts, correction_acts, drawing_acts

WAYS = 'random', 'next'


def costs_of(anns):
    "What an act costs: the class of an image is one key"
    return ClickCosts() if anns.has_boxes else ClickCosts.of_images()


def drafted(run, anns):
    "The clicks to correct the drafts of some images, and what is done to them"
    predictions = list(run.stream([anns.path(i) for i in range(len(anns))]))
    acts = correction_acts(predictions, anns, run.min_scores)
    return acts.clicks(costs_of(anns)).sum(), acts.totals


def try_way(way, first, parts, seed, name, args, folder):
    "Print a line for each round"
    pool, valid, test = parts
    labelled, run = first[0].copy(), first[1]
    costs = costs_of(pool)
    by_hand = corrected = drawing_acts(pool.subset(labelled)).clicks(costs).sum()
    line = f'   {name}, seed {seed}, {way}: {labelled.sum()} images {first[2]:.3f} ({by_hand:.0f} clicks)'
    print(line, flush=True)
    for round in range(args.rounds):
        chosen = choose(way, run, pool, labelled, args.add, 100 * seed + round)
        added = pool.subset(np.sort(chosen))
        clicks, totals = drafted(run, added)
        by_hand += drawing_acts(added).clicks(costs).sum()
        corrected += clicks
        labelled[chosen] = True
        run = trained(name, pool, labelled, valid, folder / f'{way}-{round}', seed, args.epochs)
        acts = ', '.join(f'{act} {n}' for act, n in totals.items() if n)
        print(
            f'      {labelled.sum()} images {score(run, test):.3f}; clicks by hand {by_hand:.0f}, '
            f'drafts corrected {corrected:.0f} (this round {clicks:.0f}: {acts})',
            flush=True,
        )


def try_set(name, args):
    "All ways and seeds of a set"
    begun, folder = time.time(), Path(tempfile.mkdtemp(dir=args.out))
    anns = read(name, args.out / name)
    print(f'{name}: {anns}')
    for seed, parts, first in first_models(name, anns, args, folder):
        for way in args.ways:
            try_way(way, first, parts, seed, name, args, folder / f'{seed}')
    pool, _, test = parts
    metric = first[1].task.metric
    print(f'   pool {len(pool)}, test {len(test)}; {metric}; {time.time() - begun:.0f} s', flush=True)


if __name__ == '__main__':
    run_sets(try_set, __doc__, 'label_less', WAYS, seeds=2)
