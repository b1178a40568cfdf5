#!/usr/bin/env python3
"""Does the house still stand as planned? `python .ci/house.py`

A module imports from lower floors only: never from a higher one, never from another room on its own floor. No modules
import each other in a circle, imports inside functions included. No function is longer than 40 lines, no export cell
either. A name that is exported has one meaning. The rooms and their floors are below; CONTRIBUTING.md says what belongs where.
"""

import ast
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'vision_recipes'
FLOORS = {
    'core': 1,
    'data': 2,
    'runtime': 2,
    'dataloading': 3,
    'metrics': 3,
    'drawing': 3,
    'tasks': 4,
    'models': 5,
    'training': 6,
    'deploy': 6,
    'cli': 7,
    '__main__': 8,
}
LONGEST = 40  # lines of a function or an export cell
NAMESAKES = {'main', 'INFO'}  # one a program (the command line, predict.py); one an architecture


def modules() -> dict[str, Path]:
    "The modules of the package by their dotted names inside of it; a room's `__init__` by the room's name"
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix('').parts
        if parts[-1] == '__init__':
            parts = parts[:-1]
        if parts and parts[-1] != '_modidx':
            found['.'.join(parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    "The modules that a module imports, wherever in its text"
    package = name.split('.') if path.name == '__init__.py' else name.split('.')[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            targets = [
                a.name.removeprefix(f'{PACKAGE}.') for a in node.names if a.name.startswith(f'{PACKAGE}.')
            ]
        elif isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or '').split('.')[0] == PACKAGE
        ):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = node.module or ''
            base = (
                '.'.join([*above, module] if module else above)
                if node.level
                else module.removeprefix(PACKAGE).lstrip('.')
            )
            inner = [f'{base}.{a.name}'.lstrip('.') for a in node.names]
            targets = [i if i in known else base for i in inner]
        else:
            continue
        found.update(t for t in targets if t in known)
    return found - {name}


def check_floors(arrows: dict[str, set[str]]):
    "No arrow runs up or sideways"
    for name, targets in arrows.items():
        room = name.split('.')[0]
        for target in sorted(targets):
            other = target.split('.')[0]
            for r in (room, other):
                if r not in FLOORS:
                    yield f'{PACKAGE}/{r}: is no room of the plan. Add it to FLOORS in .ci/house.py'
                    return
            if other != room and FLOORS[other] >= FLOORS[room]:
                yield (
                    f'{name} (floor {FLOORS[room]}) imports {target} (floor {FLOORS[other]}): '
                    'imports go down only'
                )


def check_circles(arrows: dict[str, set[str]]):
    "No module can be reached from itself"
    state: dict[str, int] = {}  # 1: being visited, 2: done
    trail: list[str] = []

    def visit(name):
        state[name] = 1
        trail.append(name)
        for target in sorted(arrows[name]):
            if state.get(target) == 1:
                yield 'a circle: ' + ' -> '.join([*trail[trail.index(target) :], target])
            elif target not in state:
                yield from visit(target)
        trail.pop()
        state[name] = 2

    for name in arrows:
        if name not in state:
            yield from visit(name)


def check_lengths(known: dict[str, Path]):
    "Functions can be seen at a glance"
    for path in known.values():
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                n = node.end_lineno - node.body[0].lineno + 1
                if n > LONGEST:
                    yield (
                        f'{path.relative_to(ROOT)}:{node.lineno}: the body of {node.name} has {n} lines, '
                        f'at most {LONGEST} are wanted'
                    )


def check_cells():
    "Export cells hold one thought"
    for path in sorted((ROOT / 'nbs').rglob('*.ipynb')):
        if '.ipynb_checkpoints' in path.parts:
            continue
        for i, cell in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells'], 1):
            text = ''.join(cell['source'])
            n = text.count('\n') + 1
            if cell['cell_type'] == 'code' and re.search(r'^#\| *export', text, re.M) and n > LONGEST:
                yield (
                    f'{path.relative_to(ROOT)}, cell {i}: an export cell of {n} lines, at most {LONGEST} '
                    'are wanted'
                )


def check_names(known: dict[str, Path]):
    "An exported name is defined in one place"
    homes = defaultdict(list)
    for name, path in known.items():
        if path.name == '__init__.py':
            continue
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '__all__':
                for exported in ast.literal_eval(node.value):
                    homes[exported].append(name)
    for exported, where in sorted(homes.items()):
        if len(where) > 1 and exported not in NAMESAKES:
            yield f'{exported} is exported by {" and ".join(where)}: a name has one meaning'


def main() -> int:
    known = modules()
    arrows = {name: imports(name, path, known) for name, path in known.items()}
    checks = [check_floors(arrows), check_circles(arrows), check_names(known)]
    if '--lengths' in sys.argv:
        checks += [check_lengths(known), check_cells()]
    problems = [problem for check in checks for problem in check]
    for problem in problems:
        print(problem)
    if problems:
        print(f'{len(problems)} problems')
    return bool(problems)


if __name__ == '__main__':
    sys.exit(main())
