"""How long the package takes to start: this version against another checkout of it, such as an older commit.

    git worktree add ../before 44311ef
    python benchmarks/startup.py ../before [--turns 41]

Each turn starts a new Python process for each version, from bytecode, in changing order. Counted is processor
time, which other programs disturb less than time on the clock. Ratios count: the median over the turns, and
the fastest of each. 44311ef is the last version before the package was sorted into rooms.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
STARTS = {
    'import vision_recipes.runtime': ['-c', 'import vision_recipes.runtime'],
    'import Predictor': ['-c', 'from vision_recipes.runtime import Predictor'],
    'vision-recipes --help': ['-m', 'vision_recipes', '--help'],
}


def processor_ms(tree: Path, arguments: list[str]) -> float:
    "Processor time of one Python process that imports the package of `tree`, milliseconds"
    environment = {**os.environ, 'PYTHONPATH': str(tree), 'OMP_NUM_THREADS': '1'}
    environment.pop('PYTHONDONTWRITEBYTECODE', None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], env=environment, cwd='/', stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('other', type=Path, help='a checkout of another version')
    parser.add_argument('--turns', type=int, default=41)
    args = parser.parse_args()
    trees = [args.other.resolve(), HERE]
    for name, arguments in STARTS.items():
        times = {tree: [] for tree in trees}
        for turn in range(args.turns + 1):
            for tree in trees[:: 1 if turn % 2 else -1]:
                times[tree].append(processor_ms(tree, arguments))
        other, ours = (times[tree][1:] for tree in trees)  # the first turn may have written the bytecode
        ratio = statistics.median(a / b for a, b in zip(other, ours))
        print(
            f'{name}: {ratio:.2f} x (median of {args.turns} turns), fastest {min(other) / min(ours):.2f} x '
            f'({min(other):.0f} ms there, {min(ours):.0f} here)',
            flush=True,
        )


if __name__ == '__main__':
    main()
