"""Images a second of `predict_on_ray` against one process.

    python benchmarks/ray_speed.py MODEL.onnx IMAGES [--n 2000] [--workers 2] [--rounds 3]

Both predict the same N files, copies of the images. Each process computes with one thread; they take turns.
The time of Ray counts from the first worker's start until the last Parquet file is written; the start of Ray
itself is shown beside it, because a job of hours pays it once.
"""

import argparse, shutil, statistics, tempfile, time
from pathlib import Path
from vision_recipes.core.image_paths import list_images
from vision_recipes.deploy.predict_on_ray import predict_on_ray
from vision_recipes.runtime.predictor import Predictor


def copies(images, n, folder):
    "N files, of which no two have the same name"
    for i in range(n):
        source = images[i % len(images)]
        shutil.copy(source, folder / f'{i:06d}{source.suffix}')
    return sorted(folder.iterdir())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', type=Path)
    p.add_argument('images', type=Path)
    p.add_argument('--n', type=int, default=2000)
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--rounds', type=int, default=3)
    args = p.parse_args()
    import ray

    started = time.perf_counter()
    ray.init()
    print(f'start of Ray: {time.perf_counter() - started:.1f} s')
    ratios = []
    with tempfile.TemporaryDirectory() as tmp:
        (tmp := Path(tmp)).joinpath('images').mkdir()
        files = copies(list_images([args.images]), args.n, tmp / 'images')
        for k in range(args.rounds):
            started = time.perf_counter()
            for _ in Predictor(args.model, threads=1).stream(files):
                pass
            alone = args.n / (time.perf_counter() - started)
            started = time.perf_counter()
            predict_on_ray(
                args.model, tmp / f'out {k}', [tmp / 'images'], workers=args.workers, part_size=200
            )
            many = args.n / (time.perf_counter() - started)
            ratios.append(many / alone)
            print(f'one process {alone:.1f}, {args.workers} workers {many:.1f} images/s: {ratios[-1]:.2f}')
    print(f'ratio {statistics.median(ratios):.2f}')


if __name__ == '__main__':
    main()
