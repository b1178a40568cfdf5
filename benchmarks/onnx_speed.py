"""The same network by onnxruntime and by PyTorch, on the same threads.

    python benchmarks/onnx_speed.py [RUN ...] [--json results.json] [--runs 15] [--threads 1 2] [--full]

RUN are run directories; their `model.onnx` is made where it is missing. Without them, networks of the `quick`
presets (`--full`: the recipes' own) with random weights are exported into a temporary folder first. One
prepared image (a photograph's place is taken by smooth noise where a run brings no validation images); both
give the same raw outputs. They take turns; each figure is the median of the wall time, for both use their
threads at once.
"""

import argparse, json, statistics, tempfile, time
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from vision_recipes.core.files import write_json
from vision_recipes.deploy.export import export_onnx
from vision_recipes.core.labels import LabelMap
from vision_recipes.runtime.predictor import Predictor
from vision_recipes.tasks.run_directory import RUN_FORMAT
from vision_recipes.runtime.task_kinds import TASK_KINDS
from vision_recipes.tasks.registry import TASKS
from vision_recipes.training.settings import make_settings
from vision_recipes.core.skeleton import Skeleton
from vision_recipes.tasks.run import Run, make_task
from vision_recipes.tasks.weights import save_weights

LEAST = 0.05  # score from which on an R-CNN's objects get masks or points
# random weights find many objects that are equally good
ANY = {'alone': 100, 'score': 1, 'box_px': 1e4, 'mask_iou': 0, 'point_px': 1e4, 'raw': 1}


def untrained(name, folder, preset, **changes):
    "A run directory of a network with random weights"
    labels = LabelMap(
        ('a', 'b'),
        skeleton=Skeleton.of(('left-eye', 'nose', 'right-eye')) if TASK_KINDS[name].points else None,
    )
    settings, fit_settings = make_settings(name, preset, weights='random', **changes)
    task, path = make_task(name, settings, labels), folder / name
    write_json(
        path / 'run.json',
        {
            'format': RUN_FORMAT,
            'task': name,
            'settings': settings.to_dict(),
            'fit': fit_settings.to_dict(),
            'card': task.card().to_dict(),
        },
    )
    save_weights(task.build_model().state_dict(), path / 'model.safetensors')
    return path


def image(run):
    "A validation image of the run, or smooth noise"
    there = [p for p in run.info.get('data', {}).get('valid_examples', ()) if Path(p).exists()]
    if there:
        return there[0]
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC)


def cost(run, batch):
    "Seconds, once the other's threads have stopped looking for work"
    time.sleep(0.05)
    start = time.perf_counter()
    run.run(batch, LEAST)
    return time.perf_counter() - start


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('run', nargs='*', type=Path)
    p.add_argument('--json')
    p.add_argument('--runs', type=int, default=15)
    p.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    p.add_argument('--full', action='store_true')
    args = p.parse_args()
    folder, rows = Path(tempfile.mkdtemp()), []
    for path in args.run or [untrained(name, folder, 'full' if args.full else 'quick') for name in TASKS]:
        run = Run(path, 'cpu')
        file = (
            path / 'model.onnx'
            if (path / 'model.onnx').exists()
            else export_onnx(run, tolerance=None if args.run else ANY)
        )
        batch = run.card.preprocess(run.card.preprocess.open(image(run))[0])[None]
        for n in args.threads:
            torch.set_num_threads(n)
            both, times = {'PyTorch': run, 'onnxruntime': Predictor(file, threads=n)}, {}
            for _ in range(3):
                [cost(r, batch) for r in both.values()]
            for _ in range(args.runs):
                for who, r in both.items():
                    times.setdefault(who, []).append(cost(r, batch))
            ms = {who: 1e3 * statistics.median(t) for who, t in times.items()}
            rows.append(
                {
                    'task': run.card.task,
                    'architecture': run.card.architecture,
                    'size': run.card.preprocess.size,
                    'threads': n,
                    **ms,
                    'ratio': ms['PyTorch'] / ms['onnxruntime'],
                }
            )
            print(
                f'{run.card.architecture:26s} {run.card.preprocess.size:4d} px  {n} threads   PyTorch '
                f'{ms["PyTorch"]:8.1f} ms   onnxruntime {ms["onnxruntime"]:8.1f} ms   '
                f'{rows[-1]["ratio"]:5.2f} x (target 1)'
            )
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(rows, f, indent=1)


if __name__ == '__main__':
    main()
