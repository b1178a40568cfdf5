#!/usr/bin/env python3
"""The models of two recipes as pages that run in the reader's browser: `python .ci/live_demos.py FOLDER`

Trains the demos of classification and detection, makes the detector smaller where the gate allows it, and
writes FOLDER/classification and FOLDER/detection: bundles with a page and eight images of people that the
model never saw. The docs workflow puts them on the site. `--epochs 1 --n 40` tries the script itself.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from vision_recipes.core.errors import VisionRecipesError
from vision_recipes.core.files import read_json
from vision_recipes.data.readers import read_annotations
from vision_recipes.deploy import make_bundle, quantize_onnx

SMALLER = ('detection',)  # The classifier is 1.5 MB as it is


def train_demo(task: str, out: Path, more: list[str]) -> Path:  # Its exported model
    "Draw images and train on them, as `vision-recipes demo` does"
    command = [sys.executable, '-m', 'vision_recipes', 'demo', task, '--out', out, *more]
    subprocess.run([str(word) for word in command], check=True)
    return out / 'model.onnx'


def smaller(model: Path, data: Path) -> Path:
    "The model in 8 bits; the model itself where too much of it would be lost"
    try:
        return quantize_onnx(model, read_annotations(data))
    except VisionRecipesError as e:
        print(f'{model}: stays as it is. {e}', flush=True)
        return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--epochs', help='passes over the images (default: as the demo)')
    parser.add_argument('--n', help='images to draw (default: as the demo)')
    args = parser.parse_args()
    more = [f'--{name}={value}' for name, value in (('epochs', args.epochs), ('n', args.n)) if value]
    for task in ('classification', 'detection'):
        with tempfile.TemporaryDirectory() as tmp:
            demo = Path(tmp) / 'demo'
            model = train_demo(task, demo, more)
            if task in SMALLER:
                model = smaller(model, demo / 'data')
            held_out = read_json(demo / 'run' / 'run.json')['data']['valid_examples']
            # onnxruntime-web comes from a content network: the site would carry 40 MB of it otherwise
            make_bundle(model, args.folder / task, samples=held_out[:8], web='cdn')


if __name__ == '__main__':
    main()
