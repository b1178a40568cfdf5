#!/usr/bin/env python3
"""The recipes as a Colab user runs them: `python .ci/colab.py [NAME ...]`

Each notebook runs alone in an empty folder, in an environment of its own in which torch, torchvision and some
packages that Colab brings are installed and vision_recipes is not, in a kernel that has imported
`google.colab`; its install cell gets the wheel built from this
repository in place of the repository's address. torch must stay as it was, no
package that the kernel has loaded may change (Colab would ask for a restart), and every cell must run.
`--fast` takes what Colab brings from the Python that runs this script. `--short` draws fewer images and
trains two epochs: does every cell run, whatever the scores? Needs nbclient and, with `--fast`, ipykernel in
the Python that runs this script.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from shorten import shorten
from wheel import ROOT, Failed, build, environment, run

BRINGS = [
    'torch',
    'torchvision',
    'ipykernel',
    'ipywidgets',
    'numpy',
    'pandas',
    'pillow',
    'matplotlib',
    'tqdm',
    'safetensors',
    'timm',
]
# What the install cells take, as long as no package index has the package
REPOSITORY = 'git+https://github.com/vision-recipes/vision_recipes'
# The kernel's first act in Colab, and a note of what it has loaded
START = 'import google.colab\n'
VERSIONS = (
    'import json, importlib.metadata as m; print(json.dumps({d.name.lower(): '
    "[d.version, sorted({f.parts[0].removesuffix('.py') for f in d.files or ()})] for d in "
    'm.distributions()}))'
)
LOADED = "import json, sys; print(json.dumps(sorted(set(n.partition('.')[0] for n in sys.modules))))"
STUMBLES = re.compile(
    r'restart|error|warning|deprecat|traceback|dependency resolver|no such file', re.IGNORECASE
)
# pip about this machine's settings; what %pip says always
STOCK = re.compile(r'is ignored: it is neither|you may need to restart the kernel')


class Kernel(AsyncKernelManager):
    "A kernel of the Python in `python`, with the variables in `extra`"

    python, extra = None, {}

    @property
    def kernel_spec(self):
        return KernelSpec(
            argv=[str(self.python), '-m', 'ipykernel_launcher', '-f', '{connection_file}'],
            display_name='colab',
            language='python',
            env=self.extra,
        )


def colab(folder: Path, fast: bool) -> tuple[Path, dict]:
    "An environment such as Colab's, and the variables its kernel runs with"
    python = environment(folder / 'env', fast, BRINGS)
    site = Path(run([python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']).strip())
    fake = site / 'google' / 'colab' / '__init__.py'
    fake.parent.mkdir(parents=True)
    fake.write_text('"Stands in for the package of Colab"\n', encoding='utf-8')
    start = folder / 'ipython' / 'profile_default' / 'startup' / '00.py'
    start.parent.mkdir(parents=True)
    start.write_text(START, encoding='utf-8')
    gone = dict.fromkeys(('PYTHONPATH', 'VISION_RECIPES_DATA', 'VISION_RECIPES_PROGRESS'), '')
    return python, {
        **gone,
        'IPYTHONDIR': str(folder / 'ipython'),
        'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        'MPLBACKEND': 'module://matplotlib_inline.backend_inline',
        'VIRTUAL_ENV': str(folder / 'env'),
    }


def printed(cell) -> str:
    "What a cell said, without its images"
    return ''.join(
        o.get('text', '') if o.output_type == 'stream' else '\n'.join(o.get('traceback', []))
        for o in cell.outputs
    )


def ask(client: NotebookClient, source: str) -> str:
    "What a cell of our own prints in the notebook's kernel"
    client.nb.cells.append(nbformat.v4.new_code_cell(source))
    return printed(client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1))


def versions(python: Path) -> dict[str, list]:
    "The packages installed for a Python, by name: version, names that can be imported"
    return json.loads(run([python, '-I', '-c', VERSIONS]).splitlines()[-1])


def changed_packages(before: dict, after: dict, loaded: set[str]) -> list[str]:
    "The packages the kernel had loaded and the installation replaced: Colab asks for a restart then"
    return [
        f'{name} {before[name][0]} -> {v}'
        for name, (v, tops) in after.items()
        if name in before and before[name][0] != v and loaded & set(tops)
    ]


class Visit:
    "A notebook run cell by cell, and what its reader would stumble over"

    def __init__(self, name: str, client: NotebookClient, python: Path):
        self.name, self.client, self.python = name, client, python
        self.before = versions(python)
        self.installed = False
        self.notes: list[str] = []
        self.seconds: list[tuple[float, str]] = []  # of each cell, with its place

    def run_cells(self, cells: list):
        "Run the cells in a kernel that is up. Raises `Failed` where one fails or torch changes"
        self.loaded = set(json.loads(ask(self.client, LOADED)))
        for i, cell in enumerate(cells):
            if cell.cell_type == 'code':
                self.run_cell(i, cell)
        if not self.installed:
            raise Failed(f'{self.name}: has no install cell')

    def run_cell(self, i: int, cell):
        "Run a cell, and keep which of its lines look like trouble"
        where = f'cell {i} ({cell.source.splitlines()[-1][:60]!r})'
        started = time.monotonic()
        try:
            self.client.execute_cell(cell, i)
        except CellExecutionError as e:
            raise Failed(f'{self.name}, {where}:\n{e}') from None
        self.seconds.append((time.monotonic() - started, where))
        lines = printed(cell).splitlines()
        stumbles = [line for line in lines if STUMBLES.search(line) and not STOCK.search(line)]
        self.notes += [f'{where}: {line[:300]}' for line in stumbles[:5]]
        if not self.installed and "'install" in cell.source:
            self.installed = True
            self.look_at_installation(where, printed(cell))

    def look_at_installation(self, where: str, output: str):
        "What the install cell changed. Raises `Failed` where it did not install us, or changed torch"
        after = versions(self.python)
        if 'vision_recipes' not in after:
            raise Failed(f'{self.name}, {where}: vision_recipes is not installed:\n{output}')
        moved = []
        for name in ('torch', 'torchvision'):
            if after[name][0] != self.before[name][0]:
                moved.append(f'{name} {self.before[name][0]} -> {after[name][0]}')
        if moved:
            raise Failed(f"{self.name}, {where}: {', '.join(moved)}; Colab's own must stay")
        for change in changed_packages(self.before, after, self.loaded):
            self.notes.append(f'{where}: Colab would ask for a restart: {change}')
        new = sorted(after.keys() - self.before.keys())
        print(f'  {where}: {self.seconds[-1][0]:.0f} s, {len(new)} packages: {", ".join(new)}', flush=True)


def take_wheel(cells: list, wheel: Path):
    "Let the install cell take the wheel, where it takes the repository"
    for cell in cells:
        cell.source = cell.source.replace(REPOSITORY, wheel.resolve().as_uri())


def run_recipe(path: Path, folder: Path, python: Path, env: dict, wheel: Path, short: bool) -> list[str]:
    """Run a notebook in an empty folder; what a user would stumble over.

    Raises `Failed` where a cell fails or torch changes.
    """
    nb = nbformat.read(path, 4)
    take_wheel(nb.cells, wheel)
    if short:
        shorten(nb.cells, path.name)
    here = folder / 'content'
    here.mkdir()
    nbformat.write(nb, here / path.name)
    Kernel.python, Kernel.extra = python, env
    cells = list(nb.cells)
    client = NotebookClient(
        nb, timeout=3600, kernel_manager_class=Kernel, resources={'metadata': {'path': str(here)}}
    )
    visit = Visit(path.name, client, python)
    with client.setup_kernel():
        visit.run_cells(cells)
        ours = ask(client, 'import vision_recipes; print(vision_recipes.__file__)').strip()
    if (folder / 'env') not in Path(ours).parents:
        raise Failed(f'{path.name}: ran with {ours}, not with the wheel')
    slowest = sorted(visit.seconds, reverse=True)[:3]
    print('  slowest: ' + '; '.join(f'{where} {s:.0f} s' for s, where in slowest), flush=True)
    return visit.notes


def try_recipe(path: Path, wheel: Path, fast: bool, short: bool) -> bool:
    "Run a recipe in an environment of its own and print what a user would read; whether it passed"
    started = time.monotonic()
    print(f'{path.name}{", shortened" if short else ""}', flush=True)
    notes, trouble = [], ''
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp:
        folder = Path(tmp)
        try:
            python, env = colab(folder, fast)
            notes = run_recipe(path, folder, python, env, wheel, short)
        except (Failed, ValueError) as e:  # a cell that fails; a recipe that cannot be shortened
            trouble = str(e)
    for note in notes:
        print(f'  a user reads: {note}', flush=True)
    seconds = time.monotonic() - started
    print(f'{"FAILED" if trouble else "ok"}: {trouble or path.name}, {seconds:.0f} s', flush=True)
    return not trouble


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'names', nargs='*', metavar='NAME', help='beginnings of the names of recipes (default: all)'
    )
    parser.add_argument('--fast', action='store_true', help='what Colab brings from this Python')
    parser.add_argument('--short', action='store_true', help='fewer images, two epochs')
    args = parser.parse_args()
    recipes = [
        p
        for p in sorted((ROOT / 'nbs' / 'recipes').glob('*.ipynb'))
        if not args.names or p.name.startswith(tuple(args.names))
    ]
    if not recipes:
        parser.error(f'no recipe begins with {", ".join(args.names)}')
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp:
        dist = Path(tmp) / 'dist'
        dist.mkdir()
        _, wheel = build(dist, check=False)
        passed = [try_recipe(path, wheel, args.fast, args.short) for path in recipes]
    return not all(passed)


if __name__ == '__main__':
    sys.exit(main())
