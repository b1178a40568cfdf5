"""Do house.py, changed.py and run_notebooks.py do what they should? `python .ci/test_house.py`, a second

Most tests write a small package with one mistake in it.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
import changed
import house
import run_notebooks
import shorten


def write_package(root: Path, files: dict[str, str]) -> dict[str, Path]:
    "Write modules, by their path below the package; they and their rooms as `house.modules` finds them"
    for name, text in files.items():
        path = root / house.PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    return house.modules(root)


def write_notebook(root: Path, name: str, *cells: str) -> Path:
    "Write a notebook of code cells, by its path below nbs"
    path = root / 'nbs' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{'cell_type': 'code', 'source': text.splitlines(keepends=True)} for text in cells]
    path.write_text(json.dumps({'cells': cells}), encoding='utf-8')
    return path


def floors(root: Path, files: dict[str, str]) -> list[str]:
    "What `check_floors` says of a package"
    return list(house.check_floors(house.graph(write_package(root, files))))


def circles(root: Path, files: dict[str, str]) -> list[str]:
    "What `check_circles` says of a package"
    return list(house.check_circles(house.graph(write_package(root, files))))


def test_import_down(root):
    assert floors(root, {'data/readers.py': 'from ..core.errors import E', 'core/errors.py': 'E = 1'}) == []


def test_import_up(root):
    found = floors(root, {'core/errors.py': 'from ..data import readers', 'data/readers.py': ''})
    assert found == ['core.errors (floor 1) imports data.readers (floor 2): imports go down only']


def test_import_up_inside_a_function(root):
    text = 'def f():\n    from vision_recipes.cli.main import main\n    return main'
    found = floors(root, {'core/errors.py': text, 'cli/main.py': 'def main(): pass'})
    assert found == ['core.errors (floor 1) imports cli.main (floor 7): imports go down only']


def test_import_of_a_sibling_room(root):
    files = {
        'data/readers.py': 'import vision_recipes.runtime.predictor',
        'runtime/predictor.py': '',
    }
    found = floors(root, files)
    assert found == ['data.readers (floor 2) imports runtime.predictor (floor 2): imports go down only']


def test_import_inside_a_room(root):
    files = {'data/readers.py': 'from .formats import voc', 'data/formats/voc.py': ''}
    assert floors(root, files) == []


def test_a_room_without_a_floor(root):
    found = floors(root, {'cellar/wine.py': 'from ..core import errors', 'core/errors.py': ''})
    assert found == ['vision_recipes/cellar: is no room of the plan. Add it to FLOORS in .ci/house.py']


def test_a_circle_inside_functions(root):
    files = {
        'data/checks.py': 'def check():\n    from .annotations import A\n    return A',
        'data/annotations.py': 'class A:\n    def check(self):\n        from . import checks',
    }
    found = circles(root, files)
    assert found == ['a circle: data.annotations -> data.checks -> data.annotations']


def test_a_circle_of_three(root):
    files = {'core/a.py': 'from . import b', 'core/b.py': 'from . import c', 'core/c.py': 'from . import a'}
    assert circles(root, files) == ['a circle: core.a -> core.b -> core.c -> core.a']


def test_two_ways_are_no_circle(root):
    files = {'core/a.py': 'from . import b, c', 'core/b.py': 'from . import c', 'core/c.py': ''}
    assert circles(root, files) == []


def test_a_name_of_two_modules(root):
    files = {
        'drawing/instances.py': "__all__ = ['draw_masks']",
        'dataloading/geometry.py': "__all__ = ['draw_masks']",
    }
    found = list(house.check_names(write_package(root, files)))
    where = 'dataloading.geometry and drawing.instances'
    assert found == [f'draw_masks is exported by {where}: a name has one meaning']


def test_a_face_may_repeat_a_name(root):
    files = {'core/__init__.py': "__all__ = ['E']", 'core/errors.py': "__all__ = ['E']"}
    assert list(house.check_names(write_package(root, files))) == []


def test_a_name_that_a_room_hands_on_and_nobody_has(root):
    face = "f, d = lazy_names('vision_recipes.tasks', {'run': ['Run', 'Gone'], 'no': ['X']})"
    files = {
        'tasks/__init__.py': face,
        'tasks/run.py': "__all__ = ['Run']",
    }
    assert list(house.check_faces(write_package(root, files))) == [
        'tasks/__init__.py hands on Gone, which tasks.run does not export',
        'tasks/__init__.py hands on X, which tasks.no does not export',
    ]


def test_a_name_that_a_room_hands_on_and_a_module_has(root):
    face = "f, d = lazy_names('vision_recipes.deploy', {'export': ['bundle', 'export_onnx']})"
    files = {
        'deploy/__init__.py': face,
        'deploy/bundle.py': "__all__ = ['make_bundle']",
        'deploy/export.py': "__all__ = ['bundle', 'export_onnx']",
        'core/__init__.py': "__all__ = ['errors', 'E']",
        'core/errors.py': "__all__ = ['E']",
    }
    assert list(house.check_module_names(write_package(root, files))) == [
        'core/__init__.py hands on errors, and core.errors is a module: rename one',
        'deploy/__init__.py hands on bundle, and deploy.bundle is a module: rename one',
    ]


def test_a_function_with_the_name_of_its_module(root):
    files = {
        'cli/main.py': "__all__ = ['main']",
        'deploy/bundle.py': "__all__ = ['bundle']",
        'deploy/export.py': "__all__ = ['export_onnx']",
    }
    assert list(house.check_module_names(write_package(root, files))) == [
        'deploy.bundle exports bundle, but `from deploy import bundle` gives the module: rename one'
    ]


def test_a_long_function(root):
    body = '    x = 1\n' * house.LONGEST
    files = {'core/long.py': f'def f():\n{body}    x = 2\n', 'core/short.py': f'def f():\n{body}'}
    found = list(house.check_lengths(write_package(root, files), root))
    place = Path('vision_recipes/core/long.py')
    assert found == [f'{place}:1: the body of f has 41 lines, at most 40 are wanted']


def test_a_long_export_cell(root):
    lines = '\n'.join(['x = 1'] * 40)
    write_notebook(root, 'core/01_a.ipynb', f'#| export\n{lines}', lines, f'{lines}\n{lines}')
    place = Path('nbs/core/01_a.ipynb')
    assert list(house.check_cells(root)) == [
        f'{place}, cell 1: an export cell of 41 lines, at most 40 are wanted'
    ]


def test_a_copied_cell(root):
    short = 'a = 1\nb = 2'
    imports = 'import a\nimport b\nimport c\nimport d'
    copy = 'a = 1\nb = 2\nc = 3\nd = 4'
    for name in ('core/01_a.ipynb', 'core/02_b.ipynb'):
        write_notebook(root, name, short, imports, copy)
    first, second = Path('nbs/core/01_a.ipynb'), Path('nbs/core/02_b.ipynb')
    assert list(house.check_copied_cells(root)) == [
        f"{first}, cell 3 and {second}, cell 3: the same cell, 'a = 1'"
    ]


def test_a_copied_function(root):
    body = '(n):\n    a = n + 1\n    b = a * 2\n    return a + b\n'
    write_notebook(root, 'core/01_a.ipynb', f'def helper{body}', f'#| export\ndef exported{body}')
    write_notebook(root, 'core/02_b.ipynb', f'x = 1\ndef assistant{body}')
    first, second = Path('nbs/core/01_a.ipynb'), Path('nbs/core/02_b.ipynb')
    where = f'{first}, cell 1 (helper) and {second}, cell 1 (assistant)'
    assert list(house.check_copied_functions(root)) == [
        f'{where}: the same function. Move it to core/testing'
    ]


def write_project(root: Path) -> changed.Needs:
    "Rooms, a recipe that imports from a room's face, and a page that loads a script"
    write_package(
        root,
        {
            'core/errors.py': "__all__ = ['E']\nE = 1",
            'data/__init__.py': "lazy = {'readers': ['read']}",
            'data/readers.py': "from ..core.errors import E\n__all__ = ['read']\ndef read(): return E",
            'tasks/registry.py': "TASKS = {'detection': 'vision_recipes.models.yolox'}",
            'models/yolox.py': '',
            'deploy/page.py': '',
            'deploy/static/page.js': '',
        },
    )
    write_notebook(root, 'core/01_errors.ipynb', '#| default_exp core.errors', '#| export\nE = 1')
    write_notebook(root, 'data/01_readers.ipynb', '#| default_exp data.readers')
    write_notebook(root, 'deploy/01_page.ipynb', '#| default_exp deploy.page')
    write_notebook(root, 'models/01_yolox.ipynb', '#| default_exp models.yolox')
    write_notebook(root, 'project/01_page.ipynb', 'print(1)', "%pip install x\npath = 'benchmarks/fuzz.py'")
    write_notebook(root, 'recipes/01_r.ipynb', '%matplotlib inline\nfrom vision_recipes.data import read')
    write_notebook(root, 'tasks/01_registry.ipynb', '#| default_exp tasks.registry')
    script = root / 'benchmarks' / 'fuzz.py'
    script.parent.mkdir()
    script.write_text('from vision_recipes.deploy.page import page', encoding='utf-8')
    return changed.Needs(root)


def affected(needs: changed.Needs, *files: str) -> list[str]:
    "The folders of the notebooks that a change of files can break"
    found = changed.affected_notebooks({Path(f) for f in files}, needs)
    return [notebook.parent.name for notebook in found]


def test_what_a_change_can_break(root):
    needs = write_project(root)
    assert affected(needs, 'nbs/core/01_errors.ipynb') == ['core', 'data', 'recipes']
    assert affected(needs, 'nbs/data/01_readers.ipynb') == ['data', 'recipes']
    assert affected(needs, 'nbs/models/01_yolox.ipynb') == [
        'models',
        'tasks',
    ]  # the registry names it in a text
    assert affected(needs, 'nbs/recipes/01_r.ipynb') == ['recipes']
    assert affected(needs, 'nbs/gone.ipynb', 'vision_recipes/core/errors.py') == ['core', 'data', 'recipes']
    assert affected(needs, 'README.md', 'vision_recipes/_modidx.py') == []


def test_what_a_change_of_a_script_or_a_data_file_can_break(root):
    needs = write_project(root)
    assert affected(needs, 'benchmarks/fuzz.py') == ['project']
    assert affected(needs, 'nbs/deploy/01_page.ipynb') == ['deploy', 'project']  # the script imports it
    assert affected(needs, 'vision_recipes/deploy/static/page.js') == ['deploy', 'project']


def test_a_notebook_leaves_the_process_as_it_was(root):
    logger = logging.getLogger('vision_recipes')
    logger.setLevel('INFO')
    before = dict(os.environ), list(sys.path)
    with run_notebooks.state_kept():
        logger.setLevel('WARNING')
        os.environ['RANK'] = '1'
        sys.path.insert(0, str(root))
    assert (dict(os.environ), sys.path) == before
    assert logger.level == logging.INFO


def test_every_recipe_can_be_shortened(root):
    recipes = [path for path in house.notebooks() if run_notebooks.is_recipe(path)]
    assert len(recipes) == 7
    for path in recipes:
        cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        shorten.shorten(cells, path.name)  # raises where it finds nothing
        assert 'epochs=2' in ''.join(''.join(cell['source']) for cell in cells), path.name


def main():
    tests = [value for name, value in globals().items() if name.startswith('test_')]
    for test in tests:
        with tempfile.TemporaryDirectory() as tmp:
            test(Path(tmp))
    print(f'{len(tests)} tests of house.py, changed.py and run_notebooks.py')


if __name__ == '__main__':
    sys.exit(main())
