#!/usr/bin/env python3
"""Does the package keep to its plan? `python .ci/house.py`

A module imports from lower floors only: never from a higher one, never from another room on its own floor. No
modules import each other in a circle, imports inside functions included. A name that is exported has one
meaning, and what a room hands on is there. No function has the name of a module beside it, since an import
from the room would give the module. No function and no export cell is longer than 40 lines. Code that
stands twice in the notebooks is printed as a warning (`DUPLICATES_FAIL` makes it fail). The rooms and their
floors are below; CONTRIBUTING.md says what belongs where.
"""

import ast
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
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
    'tracking': 3,
    'video': 4,
    'tasks': 4,
    'models': 5,
    'training': 6,
    'deploy': 6,
    'cli': 7,
    '__main__': 8,
}
LONGEST = 40  # lines of a function or an export cell
# Functions with the name of their module. No room hands them on, so no import finds the module in their place
LIKE_THEIR_MODULE = {
    'cli.main',
    'data.download',
    'dataloading.transforms.perspective',
    'metrics.average_precision',
}
NAMESAKES = {'main', 'INFO'}  # one a program (the command line, predict.py); one an architecture
SHORTEST_COPY = 4  # lines from which on a cell or a function may not stand twice
DUPLICATES_FAIL = False  # True: code that stands twice is an error, not a warning
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


# -- Reading the package


def modules(root: Path = ROOT) -> dict[str, Path]:
    "The modules of the package by their dotted names inside of it; a room's `__init__` by the room's name"
    found = {}
    for path in sorted((root / PACKAGE).rglob('*.py')):
        parts = path.relative_to(root / PACKAGE).with_suffix('').parts
        if parts[-1] == '__init__':
            parts = parts[:-1]
        if parts and parts[-1] != '_modidx':
            found['.'.join(parts)] = path
    return found


def syntax(path: Path) -> ast.Module:
    "The syntax tree of a module"
    return ast.parse(path.read_text(encoding='utf-8'))


def imported_base(node: ast.ImportFrom, package: list[str]) -> str | None:
    "What a `from … import` names before its `import`, inside of the package; None for another package"
    module = node.module or ''
    if node.level:
        above = package[: len(package) - node.level + 1]
        return '.'.join([*above, module] if module else above)
    if module.split('.')[0] == PACKAGE:
        return module.removeprefix(PACKAGE).lstrip('.')
    return None


def import_statements(
    tree: ast.AST,
    package: list[str],  # the package that relative imports start from, inside of ours
) -> Iterator[tuple[str, str]]:  # a module and a name asked of it, which may be a module too; '' for none
    "What is imported of our package, wherever in the text"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f'{PACKAGE}.'):
                    yield alias.name.removeprefix(f'{PACKAGE}.'), ''
        elif isinstance(node, ast.ImportFrom):
            base = imported_base(node, package)
            if base is not None:
                for alias in node.names:
                    yield base, alias.name


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    "The modules that a module imports, wherever in its text"
    package = name.split('.') if path.name == '__init__.py' else name.split('.')[:-1]
    found = set()
    for base, asked in import_statements(syntax(path), package):
        inner = f'{base}.{asked}'.strip('.')
        found.add(inner if inner in known else base)
    return (found & known.keys()) - {name}


def exported_names(path: Path) -> list[str]:
    "What `__all__` of a module lists"
    for node in syntax(path).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '__all__':
            return ast.literal_eval(node.value)
    return []


# -- Reading the notebooks


def notebooks(root: Path = ROOT) -> list[Path]:
    "The notebooks that are tests and pages; none that a recipe leaves in its `data` or `runs`"
    found = []
    for path in sorted((root / 'nbs').rglob('*.ipynb')):
        parts = path.relative_to(root / 'nbs').parts
        hidden = any(part.startswith(('_', '.')) for part in parts)
        if not hidden and parts[:2] not in {('recipes', 'data'), ('recipes', 'runs')}:
            found.append(path)
    return found


def code_cells(path: Path) -> Iterator[tuple[int, str]]:
    "The code cells of a notebook: position, counted from 1, and text"
    for number, cell in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells'], 1):
        if cell['cell_type'] == 'code':
            yield number, ''.join(cell['source'])


def is_exported(text: str) -> bool:
    "Does this cell go into the package?"
    return bool(re.search(r'^#\| *export', text, re.M))


# -- Checks of the package


def check_floors(arrows: dict[str, set[str]]) -> Iterator[str]:
    "No import runs up or sideways"
    for name, targets in arrows.items():
        room = name.split('.')[0]
        for target in sorted(targets):
            other = target.split('.')[0]
            unplanned = [r for r in (room, other) if r not in FLOORS]
            if unplanned:
                yield f'{PACKAGE}/{unplanned[0]}: is no room of the plan. Add it to FLOORS in .ci/house.py'
                return
            if other != room and FLOORS[other] >= FLOORS[room]:
                yield (
                    f'{name} (floor {FLOORS[room]}) imports {target} (floor {FLOORS[other]}): '
                    'imports go down only'
                )


def check_circles(arrows: dict[str, set[str]]) -> Iterator[str]:
    "No module can be reached from itself"
    done: set[str] = set()
    trail: list[str] = []  # the modules being visited, each imported by the one before it

    def visit(name):
        trail.append(name)
        for target in sorted(arrows[name]):
            if target in trail:
                yield 'a circle: ' + ' -> '.join([*trail[trail.index(target) :], target])
            elif target not in done:
                yield from visit(target)
        trail.pop()
        done.add(name)

    for name in arrows:
        if name not in done:
            yield from visit(name)


def check_names(known: dict[str, Path]) -> Iterator[str]:
    "An exported name is defined in one place"
    homes = defaultdict(list)
    for name, path in known.items():
        if path.name == '__init__.py':
            continue
        for exported in exported_names(path):
            homes[exported].append(name)
    for exported, where in sorted(homes.items()):
        if len(where) > 1 and exported not in NAMESAKES:
            yield f'{exported} is exported by {" and ".join(where)}: a name has one meaning'


def handed_on_lazily(path: Path) -> Iterator[tuple[str, str]]:
    "The modules, relative to a room, and the names that the room's `lazy_names` loads from them"
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'lazy_names':
            for module, names in ast.literal_eval(node.args[1]).items():
                for name in names:
                    yield module, name


def check_faces(known: dict[str, Path]) -> Iterator[str]:
    "What a room hands on when asked is there: no import fails where it is not"
    for room, path in known.items():
        if path.name != '__init__.py':
            continue
        for module, name in handed_on_lazily(path):
            home = f'{room}.{module}'
            if home not in known or name not in exported_names(known[home]):
                yield f'{room}/__init__.py hands on {name}, which {home} does not export'


def face_names(path: Path) -> list[str]:
    "What a room hands on: what its `__all__` lists, and what its `lazy_names` loads"
    return sorted({*exported_names(path), *(name for _, name in handed_on_lazily(path))})


def check_module_names(known: dict[str, Path]) -> Iterator[str]:
    """No function or class has the name of a module beside it.

    `from room import name` would give the module as soon as anyone has imported it.
    """
    for place, path in known.items():
        if path.name == '__init__.py':
            for name in face_names(path):
                if f'{place}.{name}' in known:
                    yield f'{place}/__init__.py hands on {name}, and {place}.{name} is a module: rename one'
        elif place.split('.')[-1] in exported_names(path) and place not in LIKE_THEIR_MODULE:
            room, _, name = place.rpartition('.')
            yield f'{place} exports {name}, but `from {room} import {name}` gives the module: rename one'


def check_lengths(known: dict[str, Path], root: Path = ROOT) -> Iterator[str]:
    "Functions can be seen at a glance"
    for path in known.values():
        for node in ast.walk(syntax(path)):
            if not isinstance(node, FUNCTIONS):
                continue
            n_lines = node.end_lineno - node.body[0].lineno + 1
            if n_lines > LONGEST:
                yield (
                    f'{path.relative_to(root)}:{node.lineno}: the body of {node.name} has {n_lines} lines, '
                    f'at most {LONGEST} are wanted'
                )


# -- Checks of the notebooks


def check_cells(root: Path = ROOT) -> Iterator[str]:
    "Export cells hold one thought"
    for path in notebooks(root):
        for number, text in code_cells(path):
            n_lines = text.count('\n') + 1
            if is_exported(text) and n_lines > LONGEST:
                yield (
                    f'{path.relative_to(root)}, cell {number}: an export cell of {n_lines} lines, '
                    f'at most {LONGEST} are wanted'
                )


def may_stand_twice(text: str) -> bool:
    "Is this the export call, a recipe's install cell, or a cell of imports alone?"
    if 'nbdev_export()' in text or 'google.colab' in text:
        return True
    try:
        statements = ast.parse(text).body
    except SyntaxError:  # a command of the notebook
        return False
    return all(isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in statements)


def check_copied_cells(root: Path = ROOT) -> Iterator[str]:
    "No two code cells have the same text"
    places = defaultdict(list)
    for path in notebooks(root):
        for number, text in code_cells(path):
            n_lines = text.strip().count('\n') + 1
            if n_lines >= SHORTEST_COPY and not may_stand_twice(text):
                places[text.strip()].append(f'{path.relative_to(root)}, cell {number}')
    for text, where in places.items():
        if len(where) > 1:
            yield f'{" and ".join(where)}: the same cell, {text.splitlines()[0][:60]!r}'


def test_functions(path: Path) -> Iterator[tuple[int, ast.FunctionDef]]:
    "The functions that the cells of a notebook define outside of the package, with the cell's position"
    for number, text in code_cells(path):
        if is_exported(text):
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue  # a command of the notebook; .ci/portable.py judges these
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS):
                yield number, node


def check_copied_functions(root: Path = ROOT) -> Iterator[str]:
    "No function is defined with the same body in the test cells of two notebooks"
    places = defaultdict(dict)  # body: notebook: place, the first of a notebook
    for path in notebooks(root):
        for number, node in test_functions(path):
            if node.end_lineno - node.lineno + 1 < SHORTEST_COPY:
                continue
            body = '\n'.join(ast.unparse(statement) for statement in node.body)
            place = f'{path.relative_to(root)}, cell {number} ({node.name})'
            places[body].setdefault(path, place)
    for where in places.values():
        if len(where) > 1:
            yield f'{" and ".join(where.values())}: the same function. Move it to core/testing'


# -- The program


def graph(known: dict[str, Path]) -> dict[str, set[str]]:
    "For each module the modules that it imports"
    return {name: imports(name, path, known) for name, path in known.items()}


def report(problems: Iterable[str], kind: str) -> bool:
    "Print problems and their number; were there any?"
    problems = list(problems)
    for problem in problems:
        print(problem)
    if problems:
        print(f'{len(problems)} {kind}')
    return bool(problems)


def main() -> int:
    known = modules()
    arrows = graph(known)
    problems = [*check_floors(arrows), *check_circles(arrows), *check_names(known), *check_faces(known)]
    problems += [*check_module_names(known), *check_lengths(known), *check_cells()]
    copies = [*check_copied_cells(), *check_copied_functions()]
    if DUPLICATES_FAIL:
        problems += copies
    else:
        report((f'warning: {copy}' for copy in copies), 'warnings')
    return report(problems, 'problems')


if __name__ == '__main__':
    sys.exit(main())
