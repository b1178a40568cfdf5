"""Run notebooks as tests, as `nbdev_test` does, but tell results by path: names repeat from room to room

`python .ci/run_notebooks.py RESULTS.json [--slow] NOTEBOOK ...` writes for each notebook whether it passed
and its seconds. Recipes run shortened, in an empty folder; with `--slow` as they are, where they lie.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from shorten import shorten

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2  # one thread each: more would only get in each other's way on two cores


@contextlib.contextmanager
def state_kept():
    "Put back what a notebook changes of its process: the next notebook runs in the same one"
    environ, path, logger = dict(os.environ), list(sys.path), logging.getLogger('vision_recipes')
    level = logger.level
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        sys.path[:] = path
        # the package sets a level when it is imported; before that there is none to put back
        logger.setLevel(level or logging.INFO)


def is_recipe(notebook: Path) -> bool:
    "Whether a notebook trains at length: `recipes` holds nothing else but its index"
    return notebook.parent.name == 'recipes' and notebook.stem != 'index'


def run_one(notebook: Path, slow: bool, **options) -> tuple[bool, float]:
    "Run a notebook: passed, seconds"
    from nbdev.test import test_nb

    with state_kept(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if is_recipe(notebook) and not slow:
            content = json.loads(notebook.read_text(encoding='utf-8'))
            shorten(content['cells'], notebook.name)
            notebook = Path(folder) / notebook.name
            notebook.write_text(json.dumps(content), encoding='utf-8')
        return test_nb(notebook, **options)


def run(notebooks: list[Path], slow: bool) -> dict[str, list]:
    "Run notebooks, two at a time; by path: passed, seconds"
    from fastcore.parallel import parallel
    from nbdev.config import get_config

    config = get_config()
    os.chdir(config.nbs_path)
    results = parallel(
        run_one,
        notebooks,
        slow=slow,
        skip_flags=config.tst_flags.split(),
        force_flags=['slow'] if slow else [],
        basepath=config.config_path,
        n_workers=WORKERS if len(notebooks) > 1 else 0,
        pause=0.01,
    )
    paths = [notebook.relative_to(ROOT).as_posix() for notebook in notebooks]
    return dict(zip(paths, map(list, results)))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('out', type=Path, help='a JSON file for the results')
    p.add_argument('notebooks', type=Path, nargs='+')
    p.add_argument('--slow', action='store_true', help='recipes as they are, where they lie')
    args = p.parse_args()
    if args.out.suffix != '.json':
        p.error(f'{args.out}: the first argument is the JSON file for the results')
    out = args.out.resolve()
    out.write_text(json.dumps(run([path.resolve() for path in args.notebooks], args.slow)), encoding='utf-8')


if __name__ == '__main__':
    # Last: this folder has names like `test` and `wheel`, which no notebook should import
    here = Path(__file__).resolve().parent
    sys.path = [*(p for p in sys.path if Path(p or '.').resolve() != here), str(here)]
    # By name: a notebook takes the place of `__main__` in its process, where `run_one` is then looked for
    from run_notebooks import main

    main()
