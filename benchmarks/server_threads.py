"""Requests a second that a server answers: one `Predictor` for all its threads, or one for each.

    python benchmarks/server_threads.py MODEL.onnx IMAGE [--clients 2] [--seconds 5] [--rounds 5]

CLIENTS threads ask as fast as they are answered, each for one image in memory. The ways take turns.
"""

import argparse, statistics, threading, time
from pathlib import Path
import numpy as np
from vision_recipes.core.images import open_image
from vision_recipes.runtime.predictor import Predictor


def answered(predictors, image, seconds):
    "Requests a second, when each of these predictors is asked by a thread of its own"
    counts, until = [0] * len(predictors), time.perf_counter() + seconds

    def ask(k):
        while time.perf_counter() < until:
            predictors[k].predict(image)
            counts[k] += 1

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(len(predictors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', type=Path)
    p.add_argument('image', type=Path)
    p.add_argument('--clients', type=int, default=2)
    p.add_argument('--seconds', type=float, default=5)
    p.add_argument('--rounds', type=int, default=5)
    args = p.parse_args()
    n, image = args.clients, np.asarray(open_image(args.image))
    one = {threads: Predictor(args.model, threads=threads) for threads in (1, n)}
    ways = {
        f'one predictor with {n} threads, one client': [one[n]],
        f'one predictor with {n} threads, {n} clients': [one[n]] * n,
        f'one predictor with 1 thread, {n} clients': [one[1]] * n,
        f'{n} predictors with 1 thread, a client each': [Predictor(args.model, threads=1) for _ in range(n)],
    }
    found = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, predictors in ways.items():
            found[way].append(answered(predictors, image, args.seconds))
    base = found[next(iter(ways))]
    for way, rates in found.items():
        ratio = statistics.median(r / b for r, b in zip(rates, base))
        print(f'{way:<50} {statistics.median(rates):7.1f} requests/s  {ratio:.2f}')


if __name__ == '__main__':
    main()
