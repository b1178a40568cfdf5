#!/usr/bin/env python3
"""All tests, in a virtual environment of their own: `python3 .ci/test.py`

Installs the project with its development tools, checks that the package, the notebooks and the README are what the
notebooks make them, lints, builds the site's pages and looks at them, and runs every notebook. `--slow` also runs the
cells marked slow. `--here` uses the Python that runs this script instead of making an environment.
"""

import argparse, os, subprocess, sys, venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ['nbs', 'benchmarks', '.ci', 'setup.py']  # what is formatted and linted


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


def changed(command: list, paths: list[str]) -> str:
    "What a command changes in some files; they are put back. Empty when nothing"
    files = [
        f
        for p in paths
        for f in (sorted((ROOT / p).rglob('*')) if (ROOT / p).is_dir() else [ROOT / p])
        if f.is_file() and '__pycache__' not in f.parts
    ]
    before = {f: f.read_bytes() for f in files}
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    differ = [f for f in files if f.read_bytes() != before[f]]
    for f in differ:
        f.write_bytes(before[f])
    return ', '.join(str(f.relative_to(ROOT)) for f in differ)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--slow', action='store_true', help='also run the cells marked slow')
    parser.add_argument('--here', action='store_true', help='use this Python as it is')
    args = parser.parse_args()
    if sys.version_info < (3, 10):
        sys.exit('Python 3.10 or newer is needed, but this is ' + sys.version.split()[0])
    python = Path(sys.executable) if args.here else environment(ROOT / '.venv')
    tool = lambda name: str(python.parent / name)
    passed, failed = [], []

    def note(name: str, trouble: str):
        (failed if trouble else passed).append(name)
        print(f'{"FAILED" if trouble else "ok"}: {name}{": " + trouble if trouble else ""}', flush=True)

    note('the package is what the notebooks export', changed([tool('nbdev_export')], ['vision_recipes']))
    note('the notebooks are clean', changed([tool('nbdev_clean')], ['nbs']))
    note('the README is what its notebook says', changed([python, ROOT / '.ci' / 'readme.py'], ['README.md']))
    form = subprocess.run(
        [tool('ruff'), 'format', '--check', '--quiet', '--config', ROOT / '.ci' / 'ruff.toml', *CODE],
        cwd=ROOT,
    )
    note(
        'the code is formatted',
        f'ruff format --config .ci/ruff.toml {" ".join(CODE)}' if form.returncode else '',
    )
    lint = subprocess.run(
        [tool('ruff'), 'check', '--quiet', '--config', ROOT / '.ci' / 'ruff.toml', *CODE], cwd=ROOT
    )
    note('ruff', 'see above' if lint.returncode else '')
    house = subprocess.run([python, ROOT / '.ci' / 'house.py'], cwd=ROOT)
    note('the rooms and their imports', 'see above' if house.returncode else '')
    portable = subprocess.run([python, ROOT / '.ci' / 'portable.py'], cwd=ROOT)
    note('the notebooks run on every system', 'see above' if portable.returncode else '')
    # a minute: every page is built, in a copy
    site = subprocess.run([python, ROOT / '.ci' / 'site.py'], cwd=ROOT)
    note('the pages of the site', 'see above' if site.returncode else '')
    # Two notebooks at a time, one thread each: more would only get in each other's way on two cores
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'VISION_RECIPES_PROGRESS': '0', 'PYTHONUTF8': '1'}
    command = [tool('nbdev_test'), '--n_workers', '2', '--timing'] + (
        ['--force_flags', 'slow'] if args.slow else []
    )
    tests = subprocess.run(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(tests.stdout, flush=True)
    notebooks = [
        p
        for p in sorted((ROOT / 'nbs').rglob('*.ipynb'))
        if not p.name.startswith(('_', '.')) and '.ipynb_checkpoints' not in p.parts
    ]
    bad = tests.stdout.partition('Tests Failed On The Following Notebooks')[2]
    if tests.returncode and not any(p.name in bad for p in notebooks):
        note('the test runner', f'exit code {tests.returncode}')
    for p in notebooks:
        note(str(p.relative_to(ROOT)), 'see above' if p.name in bad else '')
    print(f'{len(passed)} passed, {len(failed)} failed')
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
