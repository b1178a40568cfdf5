"""Images a second of `predict_on_ray` against one process.

    python benchmarks/ray_speed.py MODEL.onnx IMAGES [--n 2000] [--workers 2] [--part 50] [--rounds 3]

Both predict the same N files, copies of the images. Each process computes with one thread; they take turns.
Ray and its workers take a while to start, which a job of hours pays once. So two ratios are shown: of the
whole job, and of the time between the first Parquet file and the last. Ray's workers have a niceness of 15.
Where other programs run, set RAY_worker_niceness=0, to compare like with like.
"""

import argparse, shutil, statistics, tempfile, time
from pathlib import Path
from vision_recipes.core.image_paths import list_images
from vision_recipes.deploy.on_ray import predict_on_ray
from vision_recipes.runtime.predictor import Predictor


def copies(images, n, folder):
    "N files, of which no two have the same name"
    folder.mkdir()
    for i in range(n):
        source = images[i % len(images)]
        shutil.copy(source, folder / f'{i:06d}{source.suffix}')
    return sorted(folder.iterdir())


def alone(args, files):
    "Images a second of one process"
    started = time.perf_counter()
    for _ in Predictor(args.model, threads=1).stream(files):
        pass
    return args.n / (time.perf_counter() - started)


def on_ray(args, images, out):
    "Images a second of the whole job, and between the first file of the output and the last"
    started = time.perf_counter()
    predict_on_ray(args.model, out, [images], workers=args.workers, batch_size=args.part, part_size=args.part)
    whole = args.n / (time.perf_counter() - started)
    times = sorted(part.stat().st_mtime for part in out.glob('*.parquet'))
    return whole, args.part * (len(times) - 1) / (times[-1] - times[0])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', type=Path)
    p.add_argument('images', type=Path)
    p.add_argument('--n', type=int, default=2000)
    p.add_argument('--part', type=int, default=50, help='images in a Parquet file')
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--rounds', type=int, default=3)
    args = p.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as tmp:
        images = Path(tmp) / 'images'
        files = copies(list_images([args.images]), args.n, images)
        for k in range(args.rounds):
            one = alone(args, files)
            whole, steady = on_ray(args, images, Path(tmp) / f'out {k}')
            ratios.append((whole / one, steady / one))
            print(f'one process {one:.1f} images/s; {args.workers} workers {whole:.1f}, steady {steady:.1f}')
    whole, steady = map(statistics.median, zip(*ratios))
    print(f'ratio {whole:.2f} of the whole job, {steady:.2f} between the first file and the last')


if __name__ == '__main__':
    main()
