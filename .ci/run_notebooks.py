"""Run notebooks as tests, as `nbdev_test` does, but tell results by path: names repeat from room to room

`python .ci/run_notebooks.py RESULTS.json [--slow] NOTEBOOK ...` writes for each notebook whether it passed
and its seconds.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2  # one thread each: more would only get in each other's way on two cores


def run(notebooks: list[Path], slow: bool) -> dict[str, list]:
    "Run notebooks, two at a time; by path: passed, seconds"
    from fastcore.parallel import parallel
    from nbdev.config import get_config
    from nbdev.test import test_nb

    config = get_config()
    os.chdir(config.nbs_path)
    results = parallel(
        test_nb,
        notebooks,
        skip_flags=config.tst_flags.split(),
        force_flags=['slow'] if slow else [],
        basepath=config.config_path,
        n_workers=WORKERS if len(notebooks) > 1 else 0,
        pause=0.01,
    )
    paths = [notebook.relative_to(ROOT).as_posix() for notebook in notebooks]
    return dict(zip(paths, map(list, results)))


def main():
    out, *words = sys.argv[1:]
    notebooks = [Path(word).resolve() for word in words if word != '--slow']
    results = run(notebooks, '--slow' in words)
    Path(out).write_text(json.dumps(results), encoding='utf-8')


if __name__ == '__main__':
    # This folder has names like `test` and `wheel`, which no notebook should import
    sys.path = [p for p in sys.path if Path(p or '.').resolve() != Path(__file__).resolve().parent]
    main()
