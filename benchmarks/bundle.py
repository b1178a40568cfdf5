"""From a bundle's zip to its first prediction, in a fresh virtual environment without PyTorch.

    python benchmarks/bundle.py RUN-or-MODEL ... [--json results.json] [--runs 7] \\
        [--web none] --samples FOLDER

Each model is bundled as a zip; an environment gets what the bundle's requirements.txt says and nothing else
(this wants a package index). What is timed, by the wall: unpacking into a new folder, starting Python,
opening the model, predicting one sample image and printing what is seen. Figures are medians.
"""

import argparse, json, os, statistics, subprocess, tempfile, time, venv, zipfile
from pathlib import Path
from vision_recipes.deploy import make_bundle


def fresh_python(folder, requirements):
    "The Python of a new environment with these requirements"
    venv.create(folder, with_pip=True)
    python = folder / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    subprocess.run([python, '-m', 'pip', 'install', '-q', '-r', requirements], check=True)
    return python


def first_prediction(python, zipped):
    "Seconds from the zip to what is seen in a sample"
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with zipfile.ZipFile(zipped) as z:
            z.extractall(folder)
        root = next(Path(folder).rglob('predict.py')).parent
        subprocess.run(
            [python, 'predict.py', next((root / 'samples').iterdir()).relative_to(root)],
            cwd=root,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', nargs='+', type=Path)
    p.add_argument('--json')
    p.add_argument('--runs', type=int, default=7)
    p.add_argument('--web', default='none')
    p.add_argument('--samples', help='a folder of images; needed where a run does not know its own')
    args = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for i, model in enumerate(args.model):
            zipped = make_bundle(model, Path(folder) / f'bundle{i}.zip', args.samples, args.web)
            if i == 0:
                with zipfile.ZipFile(zipped) as z:
                    requirements = z.extract(
                        next(n for n in z.namelist() if n.endswith('requirements.txt')), folder
                    )
                python = fresh_python(Path(folder) / 'environment', requirements)
            seconds = [first_prediction(python, zipped) for _ in range(args.runs + 1)][1:]
            rows.append(
                {
                    'model': str(model),
                    'seconds': statistics.median(seconds),
                    'slowest': max(seconds),
                    'target': 2,
                }
            )
            print(
                f'{model}: {rows[-1]["seconds"]:.2f} s from the zip to the first prediction, the slowest '
                f'of {args.runs} {max(seconds):.2f} (target 2)'
            )
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(rows, f, indent=1)


if __name__ == '__main__':
    main()
