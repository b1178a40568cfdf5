#!/usr/bin/env python3
"""All tests, in a virtual environment of their own: `python3 .ci/test.py`

Installs the project with its development tools, checks that the package, the notebooks and the README are
what the notebooks make them, lints, builds the site's pages and looks at them, and runs every notebook.

`--changed` runs the notebooks that a change can break, and all checks but the one of the site. A change is
what is not committed yet and what was committed since `--changed REV`: since the branch left origin/main if
no REV is given, or since the commit before the last where there is no origin/main. `--slow` also runs the
cells marked slow, and trains the recipes at full length. `--here` uses the Python that runs this script
instead of making an environment.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
import changed
import house

ROOT = Path(__file__).resolve().parent.parent
CODE = ['nbs', 'benchmarks', '.ci', 'setup.py']  # what is formatted and linted
RUFF = ['--quiet', '--config', '.ci/ruff.toml']


class Results:
    "What passed and what failed, printed as it comes"

    def __init__(self):
        self.passed, self.failed = [], []

    def note(self, name: str, trouble: str = ''):
        "Print and keep a result; `trouble` is empty for one that passed"
        if trouble:
            self.failed.append(name)
            print(f'FAILED: {name}: {trouble}', flush=True)
        else:
            self.passed.append(name)
            print(f'ok: {name}', flush=True)

    def run(self, name: str, command: list, hint: str = 'see above'):
        "A check that is a command: it prints what is wrong and exits with something but 0"
        done = subprocess.run(command, cwd=ROOT)
        self.note(name, hint if done.returncode else '')

    def leaves(self, name: str, command: list, path: str):
        "A check that a command changes nothing"
        self.note(name, what_changes(command, path))


def environment(folder: Path) -> Path:
    "Make a virtual environment with the project in it, or bring it up to date; its Python"
    python = folder / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run(
        [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-e', f'{ROOT}[dev]'],
        check=True,
    )
    return python


def what_changes(command: list, path: str) -> str:
    "The files below `path` that a command changes; they are put back. Empty when there are none"
    where = ROOT / path
    files = [f for f in sorted(where.rglob('*')) if f.is_file()] if where.is_dir() else [where]
    before = {f: f.read_bytes() for f in files if '__pycache__' not in f.parts}
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    differ = [f for f, content in before.items() if f.read_bytes() != content]
    for f in differ:
        f.write_bytes(before[f])
    return ', '.join(str(f.relative_to(ROOT)) for f in differ)


def check_text(python: Path, results: Results):
    "The checks that read files and run no notebook: half a minute"
    tool = lambda name: str(python.parent / name)
    script = lambda name: [python, ROOT / '.ci' / name]
    results.leaves('the package is what the notebooks export', [tool('nbdev_export')], 'vision_recipes')
    results.leaves('the notebooks are clean', [tool('nbdev_clean')], 'nbs')
    results.leaves('the README is what its notebook says', script('readme.py'), 'README.md')
    commands = 'nbs/project/07_commands.ipynb'
    results.leaves('the page of commands is what the parsers say', script('commands.py'), commands)
    reformat = f'ruff format --config .ci/ruff.toml {" ".join(CODE)}'
    results.run('the code is formatted', [tool('ruff'), 'format', '--check', *RUFF, *CODE], reformat)
    results.run('ruff', [tool('ruff'), 'check', *RUFF, *CODE])
    results.run('the checks of rooms and changes find what they should', script('test_house.py'))
    results.run('the checks of the site find what they should', script('test_site.py'))
    results.run('the rooms and their imports', script('house.py'))
    results.run('the notebooks run on every system', script('portable.py'))


def check_notebooks(python: Path, notebooks: list[Path], slow: bool, results: Results):
    "Run notebooks"
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'VISION_RECIPES_PROGRESS': '0', 'PYTHONUTF8': '1'}
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp) / 'results.json'
        command = [python, ROOT / '.ci' / 'run_notebooks.py', out, *notebooks, *(['--slow'] if slow else [])]
        tests = subprocess.run(command, cwd=ROOT, env=env)
        by_path = json.loads(out.read_text(encoding='utf-8')) if out.exists() else {}
    if not by_path:
        results.note('the test runner', f'exit code {tests.returncode}; no notebook has a result')
    for path, (passed, seconds) in sorted(by_path.items()):
        results.note(f'{path}, {seconds:.0f} s', '' if passed else 'see above')


def arguments() -> argparse.Namespace:
    "What the command line asks for"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--slow',
        action='store_true',
        help='also run the cells marked slow, and train the recipes at full length',
    )
    parser.add_argument('--here', action='store_true', help='use this Python as it is')
    parser.add_argument(
        '--changed',
        nargs='?',
        const='',
        metavar='REV',
        help='only the notebooks that changes since REV can break (default: since origin/main)',
    )
    return parser.parse_args()


def chosen_notebooks(since: str | None) -> list[Path]:
    "All notebooks, or those that changes since a revision can break"
    if since is None:
        return house.notebooks()
    base = changed.base_revision(since)
    files = changed.changed_files(base)
    notebooks = changed.affected_notebooks(files, changed.Needs())
    print(f'{len(files)} files changed since {base[:9]}: {len(notebooks)} notebooks to run', flush=True)
    return notebooks


def main() -> int:
    if sys.version_info < (3, 10):
        sys.exit('Python 3.10 or newer is needed, but this is ' + sys.version.split()[0])
    args = arguments()
    notebooks = chosen_notebooks(args.changed)
    python = Path(sys.executable) if args.here else environment(ROOT / '.venv')
    results = Results()
    check_text(python, results)
    if args.changed is None:  # a minute: every page is built, in a copy
        results.run('the pages of the site', [python, ROOT / '.ci' / 'site.py'])
    if notebooks:
        check_notebooks(python, notebooks, args.slow, results)
    print(f'{len(results.passed)} passed, {len(results.failed)} failed')
    return bool(results.failed)


if __name__ == '__main__':
    sys.exit(main())
