"""How long an export takes, and where its time goes.

    python benchmarks/export_time.py [--models yolox_nano ...] [--repeats 3] [--profile] [--json FILE]

Small networks with random weights, a process of its own for each export. Figures are seconds of processor
time, medians of `--repeats`: of `export_onnx` without its comparison (`export`), of the comparison with
PyTorch (`compare`), and of the whole process with its imports (`process`). `--profile` prints for one export
which share its three stages take: tracing by torch.export, decomposition into the exporter's operators, and
the rest.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from onnx_speed import ANY, untrained
from report import write_report

MODELS = {
    'test_resnet': 'classification',
    'resnet18d': 'classification',
    'yolox_nano': 'detection',
    'yolox_tiny': 'detection',
    'maskrcnn_small': 'segmentation',
    'keypointrcnn_small': 'keypoints',
}
STAGES = {
    'trace': ('torch/export/__init__.py', 'export'),
    'decompose': ('_fx_passes.py', 'decompose_with_registry'),
}


def seconds_of(name: str) -> dict:
    "Export one network in this process"
    from vision_recipes.deploy import export

    compare, spent = export._write_compared, []

    def timed(*args):
        started = time.process_time()
        result = compare(*args)
        spent.append(time.process_time() - started)
        return result

    export._write_compared = timed
    with tempfile.TemporaryDirectory() as tmp:
        run = untrained(MODELS[name], Path(tmp), 'quick', model=name)
        started = time.process_time()
        export.export_onnx(run, tolerance=ANY)
        whole = time.process_time() - started
    return {'export': whole - spent[0], 'compare': spent[0], 'process': time.process_time()}


def shares_of(name: str) -> dict:
    "The shares of an export's stages, by a profile"
    from vision_recipes.deploy.export import _graph, export_onnx  # noqa: F401

    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as tmp:
        run = untrained(MODELS[name], Path(tmp), 'quick', model=name)
        profile.runcall(export_onnx, run, tolerance=ANY)
    stats = {(file, function): row[3] for (file, _, function), row in pstats.Stats(profile).stats.items()}
    of = lambda part, function: max(s for (f, n), s in stats.items() if f.endswith(part) and n == function)
    whole = of('deploy/export.py', 'to_onnx')
    shares = {stage: of(*where) / whole for stage, where in STAGES.items()}
    return {**shares, 'rest': 1 - sum(shares.values())}


def in_own_process(name: str, is_profile: bool) -> dict:
    "What this script says of one network, in a new process"
    command = [sys.executable, __file__, '--one', name, *['--profile'] * is_profile]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--models', nargs='+', default=list(MODELS), choices=list(MODELS))
    p.add_argument('--repeats', type=int, default=3)
    p.add_argument('--profile', action='store_true')
    p.add_argument('--one', choices=list(MODELS), help=argparse.SUPPRESS)
    p.add_argument('--json', type=Path)
    args = p.parse_args()
    if args.one:
        print(json.dumps(shares_of(args.one) if args.profile else seconds_of(args.one)))
        return
    rows = []
    for name in args.models:
        runs = [in_own_process(name, args.profile) for _ in range(1 if args.profile else args.repeats)]
        rows.append({'model': name, **{key: statistics.median(run[key] for run in runs) for key in runs[0]}})
        print('  '.join(f'{k} {v:.2f}' if isinstance(v, float) else f'{v:20s}' for k, v in rows[-1].items()))
    write_report(args.json, rows=rows)


if __name__ == '__main__':
    main()
