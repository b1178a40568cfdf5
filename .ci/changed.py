"""Which notebooks a change can break: those that changed, and those that import what comes from them

A notebook counts by the imports of all its code cells, tests included, and by what those modules import in
turn. Used by `.ci/test.py --changed`. Run alone, it prints the notebooks: `python .ci/changed.py [REV]`.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
import house

ROOT = house.ROOT


# -- What changed


def git(*words: str) -> str | None:
    "What a git command prints; None where it fails"
    done = subprocess.run(['git', *words], cwd=ROOT, capture_output=True, text=True, encoding='utf-8')
    return done.stdout.strip() if done.returncode == 0 else None


def base_revision(requested: str = '') -> str:
    """The commit to compare with: where this branch left `requested` or `origin/main`, else the one before

    Exits with a message where git does not know `requested`, or knows no commit at all.
    """
    if requested and git('rev-parse', '--verify', '--quiet', f'{requested}^{{commit}}') is None:
        sys.exit(f'--changed {requested}: git knows no such revision. Try `git log --oneline`.')
    for revision in [requested] if requested else ['origin/main', 'HEAD~1', 'HEAD']:
        base = git('merge-base', revision, 'HEAD')
        if base:
            return base
    sys.exit('--changed: this is no clone with commits to compare with. Run all tests: python .ci/test.py')


def changed_files(base: str) -> set[Path]:
    "The files that differ from a commit, new and deleted ones included; relative to the root"
    tracked = git('diff', '--name-only', '-z', '--no-renames', base) or ''
    new = git('ls-files', '--others', '--exclude-standard', '-z') or ''
    return {Path(name) for name in f'{tracked}\0{new}'.split('\0') if name}


# -- What a notebook needs


@cache
def code_of(notebook: Path) -> tuple[str, ...]:
    "The text of a notebook's code cells, without commands of the notebook"
    texts = [text for _, text in house.code_cells(notebook)]
    return tuple(re.sub(r'^( *)[%!].*$', r'\1pass', text, flags=re.M) for text in texts)


def own_module(notebook: Path) -> str:
    "The module that a notebook writes, inside of the package; empty for a recipe or a page"
    for text in code_of(notebook):
        found = re.search(r'^#\| *default_exp +([\w.]+)', text, re.M)
        if found:
            return found[1].removesuffix('.__init__')
    return ''


def homes_of_names(known: dict[str, Path]) -> dict[tuple[str, str], str]:
    "For a room and a name that it may hand on, the module that defines the name"
    homes = {}
    for module, path in known.items():
        room = module.rpartition('.')[0]
        if path.name != '__init__.py':
            homes |= {(room, name): module for name in house.exported_names(path)}
    return homes


class Needs:
    "What modules and notebooks import, directly and through others"

    def __init__(self, root: Path = ROOT):
        self.root = root
        self.known = house.modules(root)
        self.scripts = sorted((root / 'benchmarks').glob('*.py'))
        self.homes = homes_of_names(self.known)
        self.arrows = {name: self.named_by_module(name) for name in self.known}

    def asked_for(self, tree: ast.AST, package: list[str]) -> set[str]:
        "The modules that a syntax tree imports, or names in a text as the registry does"
        found = set()
        for base, name in house.import_statements(tree, package):
            inner = f'{base}.{name}'.strip('.')
            # a room may hand the name on: then the module that defines it counts too
            found |= {inner} if inner in self.known else {base, self.homes.get((base, name), base)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.removeprefix(f'{house.PACKAGE}.') if '.' in node.value else '')
        return found & self.known.keys()

    def named_by_module(self, name: str) -> set[str]:
        "The modules that a module imports or names"
        path = self.known[name]
        package = name.split('.') if path.name == '__init__.py' else name.split('.')[:-1]
        return self.asked_for(house.syntax(path), package) - {name}

    def named_by_notebook(self, notebook: Path) -> set[str]:
        "The modules that a notebook's cells and the scripts it loads import or name, and the one it writes"
        found = {own_module(notebook)} & self.known.keys()
        scripts = [p for p in self.scripts if mentions(notebook, [p])]
        for text in (*code_of(notebook), *(p.read_text(encoding='utf-8') for p in scripts)):
            try:
                found |= self.asked_for(ast.parse(text), [])
            except SyntaxError:
                continue  # `%%javascript` and the like import nothing of ours
        return found

    def through_others(self, modules: Iterable[str]) -> set[str]:
        "These modules and all that they import, and so on"
        found, todo = set(), list(modules)
        while todo:
            module = todo.pop()
            if module not in found:
                found.add(module)
                todo += self.arrows[module]
        return found


# -- Which notebooks that makes


def changed_modules(files: set[Path], needs: Needs) -> set[str]:
    "The modules whose notebook, text or data files are among the changed files"
    found = set()
    for file in files:
        if file.suffix == '.ipynb' and (needs.root / file).is_file():
            found.add(own_module(needs.root / file))
        elif file.parts[0] == house.PACKAGE and file.name != '_modidx.py':
            found |= modules_of_file(file, needs)
    return found & needs.known.keys()


def modules_of_file(file: Path, needs: Needs) -> set[str]:
    "The module that a file of the package is; for a data file the modules of the folder it lies under"
    if file.suffix == '.py':
        parts = file.relative_to(house.PACKAGE).with_suffix('').parts
        return {'.'.join(parts).removesuffix('.__init__')}
    for folder in file.parents:
        inside = {name for name, path in needs.known.items() if path.parent == needs.root / folder}
        if inside:
            return inside
    return set()


def mentions(notebook: Path, files: Iterable[Path]) -> bool:
    "Does a notebook's code name one of these files, such as a script of `benchmarks`?"
    code = '\n'.join(code_of(notebook))
    return any(re.search(rf'(?<!\w){re.escape(file.name)}\b', code) for file in files)


def affected_notebooks(files: set[Path], needs: Needs) -> list[Path]:
    "The notebooks that changed or need a module that did, in the order in which all tests run"
    modules = changed_modules(files, needs)
    others = [f for f in files if f.suffix != '.ipynb' and f.parts[0] != house.PACKAGE]
    found = []
    for notebook in house.notebooks(needs.root):
        if (
            notebook.relative_to(needs.root) in files
            or modules & needs.through_others(needs.named_by_notebook(notebook))
            or mentions(notebook, others)
        ):
            found.append(notebook)
    return found


if __name__ == '__main__':
    since = base_revision(*sys.argv[1:2])
    print(*(p.relative_to(ROOT) for p in affected_notebooks(changed_files(since), Needs())), sep='\n')
