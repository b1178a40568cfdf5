#!/usr/bin/env python3
"""Would the notebooks run on Windows, on macOS and in Colab? `python .ci/portable.py`

Looks for what runs here and not there: commands of a shell or the notebook, in all cells; in exported ones
and in the recipes also text files opened without an encoding, and what only some systems have. Cells that ask
for the system first (`os.name`, `sys.platform`, `hasattr`, `exists`) may use it.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONLY_POSIX = {
    'fork',
    'forkpty',
    'geteuid',
    'getuid',
    'mkfifo',
    'killpg',
    'sysconf',
    'sched_getaffinity',
    'SIGKILL',
    'SIGALRM',
    'alarm',
    'symlink_to',
}
ONLY_POSIX_MODULES = {'fcntl', 'resource', 'pwd', 'grp', 'termios'}
ASKS = ('os.name', 'sys.platform', 'hasattr', 'exists', 'isdir', 'is_dir')


def words(node: ast.Call, name: str):
    "The value of a keyword of a call; None where it has none or is no plain value"
    return next(
        (k.value.value for k in node.keywords if k.arg == name and isinstance(k.value, ast.Constant)), None
    )


def without_encoding(node: ast.Call) -> bool:
    "Is this a text file opened in whatever encoding the system likes?"
    f = node.func
    name = f.attr if isinstance(f, ast.Attribute) else getattr(f, 'id', '')
    if any(k.arg == 'encoding' or k.arg is None for k in node.keywords):
        return False
    if name == 'write_text' and isinstance(f, ast.Attribute):
        return len(node.args) < 2 and not (
            node.args and isinstance(node.args[0], ast.Constant) and str(node.args[0].value).isascii()
        )
    if name == 'read_text' and isinstance(f, ast.Attribute):
        return not node.args
    if name == 'open' and isinstance(f, ast.Name):
        mode = (
            node.args[1].value
            if len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
            else words(node, 'mode')
        )
        return (
            'b' not in (mode or 'r')
            if len(node.args) < 2 or isinstance(node.args[1], ast.Constant)
            else False
        )
    return False


def only_on_some_systems(node: ast.AST) -> Iterator[str]:
    "What of a syntax tree's node other systems lack"
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called in ('os.system', 'os.popen') or words(node, 'shell'):
            yield f'{called}: a shell, which differs from system to system'
    elif isinstance(node, ast.Attribute) and node.attr in ONLY_POSIX:
        yield f'{ast.unparse(node)} does not exist on Windows'
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name in ONLY_POSIX_MODULES:
                yield f'{alias.name} does not exist on Windows'


def is_foreign_path(node: ast.AST) -> bool:
    "Is this a text that names a folder which only some systems have?"
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text and node.value.startswith(('/tmp/', '/content/', '/dev/'))


def not_python(source: str) -> str:
    "A command of a shell or the notebook in a cell, in words; empty where all is Python"
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip() and not line.startswith('#'):
            if line.startswith('%%'):
                return f'line {number}: {line.split()[0]} is a command of the notebook, not Python'
            break
    try:
        ast.parse(source)
    except SyntaxError as e:
        command = (e.text or '').strip()[:60]
        return f'line {e.lineno}: {command} is a command of a shell or the notebook, not Python'
    return ''


def troubles(source: str, strict: bool) -> list[str]:
    "What in a cell would not run elsewhere; `strict` for cells that users run"
    command = not_python(source)
    if command:
        return [command]
    found = []
    asks_for_system = any(a in source for a in ASKS)
    for node in ast.walk(ast.parse(source)):
        where = f'line {getattr(node, "lineno", 0)}: '
        if strict and isinstance(node, ast.Call) and without_encoding(node):
            found.append(f"{where}{ast.unparse(node)[:80]}: say encoding='utf-8'; Windows has another")
        if asks_for_system:
            continue
        found += [where + trouble for trouble in only_on_some_systems(node)]
        if strict and is_foreign_path(node):
            found.append(f'{where}{node.value!r} exists on some systems only')
    return found


def homes(source: str) -> Iterator[str]:
    "Folders of somebody's home, invented ones too: who reads them cannot tell the difference"
    for home in re.findall(r'/(?:home|Users)/\w+', source):
        yield f'{home}: a home folder; write /mnt/name for the path of another machine'


def look(path: Path) -> list[str]:
    "What in a notebook would not run elsewhere, with its place"
    recipe, found = 'recipes' in path.parts, []
    for i, cell in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells']):
        source = ''.join(cell['source'])
        if cell['cell_type'] != 'code':
            continue
        found += [
            f'{path.relative_to(ROOT).as_posix()}, cell {i}, {t}'
            for t in (*troubles(source, recipe or '#| export' in source), *homes(source))
        ]
    return found


def main() -> int:
    notebooks = [
        p
        for p in sorted((ROOT / 'nbs').rglob('*.ipynb'))
        # what recipes wrote while they ran lies deeper than they; `nbs/data` is a room
        if '.ipynb_checkpoints' not in p.parts and 'recipes' not in p.parts[:-2]
    ]
    found = [t for p in notebooks for t in look(p)]
    print(*found, sep='\n') if found else print(
        f'{len(notebooks)} notebooks: nothing that only one system has'
    )
    return bool(found)


if __name__ == '__main__':
    sys.exit(main())
