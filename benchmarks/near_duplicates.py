"""Pairs of image hashes that differ in few bits: by tables, and by comparing every pair.

    PYTHONPATH=. python benchmarks/near_duplicates.py [--rounds 3] [--sizes 10000 50000]

Hashes are random, and a tenth of them are near copies of others, with 0 to 4 bits changed. Both ways run in
turn; ratios are medians of those of the rounds, in processor time. The pairs must be the same.
"""

import argparse
import time

import numpy as np

from vision_recipes.data.hash_pairs import _all_pairs, pairs_within

DISTANCE = 4  # bits, as `NEAR_DUPLICATE_BITS`


def some_hashes(n: int, seed: int = 0) -> np.ndarray:
    "Random hashes; the last tenth are near copies of others"
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
    copies = rng.choice(n - n // 10, n // 10)
    hashes[-len(copies) :] = hashes[copies]
    for _ in range(DISTANCE):
        flips = np.uint64(1) << rng.integers(0, 64, len(copies), dtype=np.uint64)
        hashes[-len(copies) :] ^= flips * rng.integers(0, 2, len(copies), dtype=np.uint64)
    return hashes


def timed(find, hashes: np.ndarray) -> tuple[float, np.ndarray]:  # processor seconds; pairs
    start = time.process_time()
    pairs = find(hashes, hashes, DISTANCE)
    return time.process_time() - start, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--sizes', type=int, nargs='+', default=[10_000, 50_000])
    args = parser.parse_args()
    for n in args.sizes:
        hashes, rows = some_hashes(n), []
        for _ in range(args.rounds):
            seconds, pairs = timed(pairs_within, hashes)
            all_seconds, all_pairs = timed(_all_pairs, hashes)
            assert pairs.tolist() == sorted(all_pairs.tolist())
            rows.append((seconds, all_seconds, all_seconds / seconds))
        tables, every, ratio = np.median(rows, 0)
        print(f'{n:,} hashes: tables {tables:.2f} s, every pair {every:.2f} s, {ratio:.0f} times')


if __name__ == '__main__':
    main()
