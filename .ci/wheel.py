#!/usr/bin/env python3
"""What people install, tried out: `python3 .ci/wheel.py`

Builds sdist and wheel from a copy of the repository, looks into both, installs the wheel with the extra
`train` into an environment of its own and works with the command line from there, outside the repository.
Then it installs the wheel alone into another one, where the exported model must run without PyTorch.
`--fast` takes torch and torchvision with all they need from the Python that runs this script, which saves
some gigabytes; everything else is installed all the same. `--out DIR` keeps both files: these are the ones
to upload.
"""

import argparse
import importlib.metadata as metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'vision_recipes'
LARGEST = 1_200_000  # bytes of one file in the wheel. The largest is _modidx.py, about 300 for each function
# Folders that are made, and belong to nobody else
LEFT_OUT = '.git .venv __pycache__ *.egg-info build dist runs data _proc _docs'.split()
IN_SDIST = 'README.md LICENSE CHANGELOG.md settings.ini setup.py pyproject.toml PKG-INFO'.split()
IN_METADATA = (
    'Summary Author-email License-Expression License-File Requires-Python Project-URL Keywords Classifier'
).split()
# A path of somebody's machine has no place in what is shipped. Words such as /home/runner in a sentence do
# not occur
MACHINE = re.compile(rb'(?:/home|/Users|/root|C:\\\\?Users|file:///(?!\{))[\\/][A-Za-z0-9_.-]+')


class Failed(Exception):
    "One of the checks failed; the text says what and where"


def run(command: list, **kwargs) -> str:
    "What a command prints; raises `Failed` with all it said"
    done = subprocess.run(
        [str(c) for c in command],
        text=True,
        encoding='utf-8',
        errors='replace',
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **kwargs,
    )
    if done.returncode:
        raise Failed(f'{" ".join(str(c) for c in command)}: exit code {done.returncode}\n{done.stdout}')
    return done.stdout


def copy_tree(to: Path):
    "The files that git tracks or would track: no old `build` folder, whose files would get into the wheel"
    names = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    ).stdout.decode()
    if not names:  # not a clone, or no git
        return shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in filter(None, names.split('\0')):
        if not (ROOT / name).is_file():
            continue  # deleted, not yet committed
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to / name)


def needed(names: list[str]) -> dict[str, metadata.Distribution]:
    "The installed distributions of these names and all that they require, by name"
    from packaging.requirements import Requirement

    found, todo = {}, [Requirement(n) for n in names]
    seen = set()
    while todo:
        req = todo.pop()
        key = (re.sub(r'[-_.]+', '-', req.name).lower(), frozenset(req.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = dist = metadata.distribution(req.name)
        except metadata.PackageNotFoundError:
            raise Failed(
                f'--fast: {sys.executable} lacks {req.name}. Install it there, or leave out --fast.'
            ) from None
        rows = [Requirement(r) for r in dist.requires or ()]
        todo += [
            r
            for r in rows
            if r.marker is None or any(r.marker.evaluate({'extra': e}) for e in ('', *req.extras))
        ]
    return found


def environment(folder: Path, fast: bool, names: list[str]) -> Path:
    """A virtual environment in which `names` are installed, with `fast` by links to this Python's files.

    Its Python.
    """
    venv.create(folder, with_pip=True)
    python = folder / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    if not fast:
        run([*pip, *names])
        return python
    site = Path(run([python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']).strip())
    links = folder / 'reused'
    links.mkdir()
    for dist in needed(names).values():
        link_files(dist, links)
    (site / 'reused.pth').write_text(f'{links}\n', encoding='utf-8')
    return python


def link_files(dist: metadata.Distribution, links: Path):
    "Link the folders and modules of an installed distribution into a folder"
    tops = set()
    for file in dist.files or ():
        if file.parts[0] not in ('..', '__pycache__') and file.suffix != '.pth':
            tops.add(file.parts[0])
    for top in sorted(tops):
        if (links / top).exists():
            continue
        try:
            (links / top).symlink_to(Path(dist.locate_file(top)).resolve())
        except OSError as e:
            raise Failed(f'--fast needs links, which this system refuses ({e}). Leave it out.') from None


def build(out: Path, check: bool = True) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, as an index user's pip would.

    `check` both by twine and by looking into them.
    """
    with tempfile.TemporaryDirectory() as tmp:
        tree = Path(tmp) / 'tree'
        copy_tree(tree)
        python = environment(Path(tmp) / 'tools', False, ['build', 'twine'] if check else ['build'])
        run([python, '-m', 'build', '--outdir', out, tree])
        files = [*out.glob('*.tar.gz'), *out.glob('*.whl')]
        if len(files) != 2:
            raise Failed(
                f'{out}: one sdist and one wheel are expected, but there are {[f.name for f in files]}'
            )
        if check:
            run([python, '-m', 'twine', 'check', '--strict', *files])
            look_into(*files, tree)
    return files[0], files[1]


def contents(file: Path) -> dict[str, bytes]:
    "The files in a wheel or sdist, by name; an sdist's without the folder that holds all"
    if file.suffix == '.whl':
        with zipfile.ZipFile(file) as z:
            return {n: z.read(n) for n in z.namelist() if not n.endswith('/')}
    with tarfile.open(file) as t:
        return {m.name.partition('/')[2]: t.extractfile(m).read() for m in t.getmembers() if m.isfile()}


def package_troubles(file: Path, there: dict[str, bytes], ours: dict[str, bytes]) -> Iterator[str]:
    "Where the package in a wheel or sdist differs from the repository's, `ours`"
    known = {name for name in there if name.startswith(f'{PACKAGE}/')}
    for name, content in ours.items():
        if name not in known:
            yield f'{file.name}: {name} is missing'
        elif there[name] != content:
            yield f'{file.name}: {name} is another one than in the repository'
    for name in known - ours.keys():
        yield f'{file.name}: {name} is not in the repository'


def file_troubles(file: Path, there: dict[str, bytes], extras: list[str]) -> Iterator[str]:
    "What lacks or should not be in a wheel or sdist, which holds `extras` beside the package"
    for name in extras:
        if name not in there:
            yield f'{file.name}: {name} is missing'
    expected = {*extras, 'MANIFEST.in', 'setup.cfg'}
    for name, content in there.items():
        ours = name.startswith((f'{PACKAGE}/', f'{PACKAGE}.egg-info/')) or '.dist-info/' in name
        if not ours and name not in expected:
            yield f'{file.name}: {name} should not be there'
        if len(content) > LARGEST:
            yield f'{file.name}: {name} has {len(content):,} bytes'
        path = MACHINE.search(content)
        if path:
            yield f'{file.name}: {name} names a path of some machine: {path[0].decode(errors="replace")}'


def metadata_troubles(wheel: Path, there: dict[str, bytes]) -> Iterator[str]:
    "What a package index would miss in a wheel"
    info = next(n.partition('/')[0] for n in there if n.endswith('.dist-info/METADATA'))
    meta = Parser().parsestr(there[f'{info}/METADATA'].decode())
    if f'{info}/licenses/LICENSE' not in there:
        yield f'{wheel.name}: the licence is missing'
    for key in IN_METADATA:
        if not meta.get(key):
            yield f'{wheel.name}: METADATA lacks {key}'
    for link in re.findall(r'\]\((?!https?:|mailto:|#)([^)]*)\)', meta.get_payload()):
        yield f'{wheel.name}: the description links to {link}, which leads nowhere on a package index'


def look_into(sdist: Path, wheel: Path, tree: Path):
    "Raises `Failed` where something that is in `tree` lacks, or something is there that should not be"
    ours = {
        p.relative_to(tree).as_posix(): p.read_bytes()
        for p in (tree / PACKAGE).rglob('*')
        if p.is_file() and '__pycache__' not in p.parts
    }
    troubles = []
    for file, extras in ((sdist, IN_SDIST), (wheel, [])):
        there = contents(file)
        troubles += [*package_troubles(file, there, ours), *file_troubles(file, there, extras)]
    troubles += metadata_troubles(wheel, contents(wheel))
    if troubles:
        raise Failed('\n'.join(troubles))
    sizes = ', '.join(f'{file.name} ({file.stat().st_size / 1e3:.0f} kB)' for file in (sdist, wheel))
    print(f'ok: {sizes}: {len(ours)} files of the package, licence, README, metadata', flush=True)


# Every system but Linux starts workers by spawn; here they are on every system
SPAWNED = """
import multiprocessing, sys
from vision_recipes.cli.main import main
if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    sys.exit(main(sys.argv[1:]))
"""
# What a machine has that only runs exported models: the wheel without the extra `train`
WITHOUT_TORCH = """
from pathlib import Path
from vision_recipes.runtime.predictor import Predictor
model = Predictor('run/model.onnx')
print(model.class_names[model.predict(sorted(Path('hands').rglob('*.jpg'))[0]).top])
"""

# A misspelled command: its exit code and its message
MISTAKE = """
import subprocess, sys
done = subprocess.run([sys.argv[1], 'chek'], stderr=subprocess.PIPE, text=True)
print(done.returncode, done.stderr)
"""


def command_of(python: Path) -> Path:
    "The installed `vision-recipes` of an environment"
    return python.with_name('vision-recipes.exe' if os.name == 'nt' else 'vision-recipes')


def steps(python: Path, folder: Path, version: str) -> dict[str, tuple[list, str]]:
    "What is done with the installed package, by name: the command, and a text that it prints"
    command, spawned = command_of(python), folder / 'spawned.py'
    spawned.write_text(SPAWNED, encoding='utf-8')
    quick = ['--preset', 'quick', '--epochs', '1', '--groups', r'(user\d+)', '--workers', '2']
    train = lambda out: ['train', 'classification', 'hands', '--out', out, *quick]
    model = Path('run') / 'model.onnx'
    return {
        'the version': ([command, '--version'], version),
        'the help': ([command, '--help'], 'export'),
        'the module': ([python, '-m', PACKAGE, '--version'], version),
        'doctor': ([command, 'doctor'], 'Everything works'),
        'samples': ([command, 'samples', 'classification', 'hands', '--n', '96'], ''),
        'check': ([command, 'check', 'hands'], ''),
        'train, two workers': ([command, *train('run')], ''),
        'train, workers spawned': ([python, spawned, *train('run2')], ''),
        'export': ([command, 'export', 'run'], ''),
        'predict': ([command, 'predict', model, 'hands', '--out', 'seen'], ''),
        'a mistake': ([python, '-c', MISTAKE, command], 'check'),
    }


def ground_steps(python: Path) -> dict[str, tuple[list, str]]:
    "What is done after `steps`, in the same folder, where the wheel is installed without the extra `train`"
    command, model = command_of(python), Path('run') / 'model.onnx'
    needs_torch = 'import subprocess, sys; sys.exit(2 - subprocess.run([sys.argv[1], "demo"]).returncode)'
    return {
        'doctor without train': ([command, 'doctor'], 'Everything works'),
        'check without train': ([command, 'check', 'hands'], ''),
        'predict without train': ([command, 'predict', model, 'hands', '--out', 'seen2'], ''),
        'bench without train': ([command, 'bench', model, '--batches', '1', '--repeats', '2'], ''),
        'predict in Python without train': ([python, '-c', WITHOUT_TORCH], ''),
        'demo names train': ([python, '-c', needs_torch, command], 'pip install "vision_recipes[train]"'),
    }


def drive(steps: dict[str, tuple[list, str]], folder: Path):
    "Work with an installed command line in a folder"
    env = {k: v for k, v in os.environ.items() if not k.startswith(('PYTHON', 'VISION_RECIPES'))}
    env['PYTHONWARNINGS'] = 'default::DeprecationWarning:vision_recipes'
    for name, (command, wanted) in steps.items():
        output = run(command, cwd=folder, env=env)
        if wanted not in output or 'Traceback' in output:
            words = ' '.join(map(str, command))
            raise Failed(f'{name}: {wanted!r} was expected of {words}, which printed:\n{output}')
        print(f'ok: {name}', flush=True)


def try_out(out: Path, folder: Path, fast: bool, build_only: bool):
    "Build both files into `out`, look into them, install the wheel and work with it. Raises `Failed`"
    empty = folder / 'an empty folder'
    out.mkdir(parents=True, exist_ok=True)
    empty.mkdir()
    if any(out.iterdir()):
        raise Failed(f'{out}: is not empty')
    _, wheel = build(out)
    if build_only:
        return
    python = environment(folder / 'env', fast, ['torch', 'torchvision'])
    install(python, f'{wheel}[train]')
    drive(steps(python, empty, wheel.name.split('-')[1]), empty)
    for made in ('run/run.json', 'run2/run.json', 'run/model.onnx', 'seen'):
        if not (empty / made).exists():
            raise Failed(f'{made} was not made')
    ground = environment(folder / 'ground', False, ['pip'])
    install(ground, wheel)
    drive(ground_steps(ground), empty)


def install(python: Path, what: Path | str):
    "Install with pip. Raises `Failed` where pip finds a conflict"
    run([python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', what])
    run([python, '-m', 'pip', 'check'])
    print(f'ok: {Path(what).name} is installed, and pip finds no conflict', flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--fast', action='store_true', help='torch and torchvision from this Python')
    parser.add_argument(
        '--out', type=Path, help='where to keep sdist and wheel; new or empty (default: nowhere)'
    )
    parser.add_argument('--build-only', action='store_true', help='build and look, install nothing')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp:
        out = args.out or Path(tmp) / 'dist'
        try:
            try_out(out.resolve(), Path(tmp), args.fast, args.build_only)
        except Failed as e:
            print(f'FAILED: {e}', flush=True)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
