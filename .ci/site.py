#!/usr/bin/env python3
"""Build the pages of the site as nbdev does before Quarto, in a copy of the repository, and look at every one

`python .ci/site.py` finds links that lead nowhere, names in backticks that nothing has, images without a
description, fields without what the code says of them, paths of somebody's machine, progress bars and
warnings in outputs, files that are too large, notebooks that the index page of their folder lacks, headings
that leave out a level, colours of too little contrast, and, where there is a browser, pages too wide for a
phone and outputs that are cut off.
`--write` writes nbs/llms.txt and nbs/reference.ipynb first. `--keep FOLDER` leaves the pages in FOLDER,
where `quarto render` makes the site of them.
"""

import argparse
import ast
import base64
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

# this folder has names like `test`
if sys.path and Path(sys.path[0] or '.').resolve() == Path(__file__).resolve().parent:
    sys.path.pop(0)
ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / '.ci'))
from site_contrast import check_contrast  # noqa: E402
from site_nav import REFERENCE, footer, reference, write_changelog  # noqa: E402
from site_pages import dressed, in_cell, type_text  # noqa: E402
from site_widths import check_widths, draw  # noqa: E402

IMAGE = 150_000  # Bytes of an image, at most
RECIPE = 1_500_000  # Bytes of a notebook, at most
FILES = (
    'json jsonl txt csv yaml yml toml ini md py js mjs css html ipynb jpg jpeg png gif svg webp heic zip '
    'tar gz pt pth onnx safetensors npy npz xml cfg lock whl wasm'
).split()
# Variables that are not ours
OTHERS = {
    'HTTPS_PROXY',
    'HTTP_PROXY',
    'CUDA_VISIBLE_DEVICES',
    'HF_HOME',
    'TORCH_HOME',
    'OMP_NUM_THREADS',
    'PYTORCH_CUDA_ALLOC_CONF',
}
CODE = re.compile(r'(`+)(.+?)\1', re.S)
LINK = re.compile(
    r'(!?)\[((?:!\[[^\]]*\]\([^)]*\)|[^\[\]]|\[[^\[\]]*\])*)\]\(\s*<?([^)\s>]*)>?(?:\s+"[^"]*")?\s*\)'
)
MACHINE = re.compile(
    r'(?<![\w.])(/(?:home|root|Users|work|tmp|private|var/folders|content/drive)/[\w.-]+|[A-Z]:\\\\?Users\\\\?\w+)'
)
NOISE = {
    'an escape code': r'\x1b\[',
    'a progress bar': r'\d+%\|| ?\d+(\.\d+)?(it/s|s/it)\b|[█▏▎▍▌▋▊▉]',
    'a warning': r'\b\w*Warning: ',
}


@cache
def config() -> dict:
    "The settings that nbdev reads, with the address of the site and of the repository"
    ini = ConfigParser(delimiters=['='])
    ini.read(ROOT / 'settings.ini', encoding='utf-8')
    cfg = dict(ini['DEFAULT'])
    return {
        **cfg,
        'site': cfg['doc_host'] + cfg['doc_baseurl'] + '/',
        'notebook': f'{cfg["user"]}/{cfg["repo"]}/blob/{cfg["branch"]}/nbs/',
    }


def notebooks() -> list[Path]:
    "The notebooks that become pages, relative to nbs"
    nbs = ROOT / 'nbs'
    found = [p.relative_to(nbs) for p in sorted(nbs.rglob('*.ipynb'))]
    return [
        p
        for p in found
        if not any(part[0] in '._' for part in p.parts)
        and p.parts[:2] not in {('recipes', 'data'), ('recipes', 'runs')}
    ]


def source(cell: dict) -> str:
    "What stands in a cell"
    return ''.join(cell['source'])


@cache
def parsed(code: str) -> ast.Module | None:
    "A cell's code; None where a magic command stands in it"
    try:
        return ast.parse(code)
    except SyntaxError:
        return None


@cache
def package_code() -> list[tuple[Path, str, ast.Module]]:
    "Path, text and tree of each module of the package: parsing them takes two seconds, and much asks for it"
    texts = [(p, p.read_text(encoding='utf-8')) for p in sorted((ROOT / config()['lib_path']).rglob('*.py'))]
    return [(p, text, ast.parse(text)) for p, text in texts]


def page_name(path: Path) -> Path:
    "The name nbdev gives a page: without the number it sorts by"
    return path.with_name(re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.stem) + '.html')


# -- Building


def build_page(from_path: Path, to_path: Path) -> str:
    "Process a notebook as nbdev_proc_nbs would; what went wrong, empty if nothing"
    from nbdev.processors import FilterDefaults
    from nbdev.serve_drv import exec_nb

    try:
        exec_nb(from_path, to_path, FilterDefaults)
    except Exception as error:
        why = error.__cause__ or error
        return f'{str(error).splitlines()[0]} {type(why).__name__}: {why}'.strip()
    page = dressed(
        json.loads(to_path.read_text(encoding='utf-8')), named_tuples(), class_names(), properties()
    )
    to_path.write_text(json.dumps(page), encoding='utf-8')
    return ''


@cache
def class_names() -> set[str]:
    "The names of all classes of the package"
    return {
        node.name for _, _, tree in package_code() for node in tree.body if isinstance(node, ast.ClassDef)
    }


def patched_class(function: ast.FunctionDef) -> str:
    "The class that a method behind its class, with `@patch`, belongs to; empty for another function"
    names = [getattr(getattr(d, 'func', d), 'id', '') for d in function.decorator_list]
    first = function.args.args[0].annotation if function.args.args else None
    return first.id if 'patch' in names and isinstance(first, ast.Name) else ''


@cache
def properties() -> set[str]:
    "Each property of the package, such as `Predictor.session`"
    found = set()
    for node in (node for _, _, tree in package_code() for node in tree.body):
        if isinstance(node, ast.ClassDef):
            for inner in (n for n in node.body if isinstance(n, ast.FunctionDef)):
                if {getattr(d, 'id', '') for d in inner.decorator_list} & {'property', 'cached_property'}:
                    found.add(f'{node.name}.{inner.name}')
        elif isinstance(node, ast.FunctionDef) and any(
            'as_prop' in ast.unparse(d) for d in node.decorator_list
        ):
            found.add(f'{patched_class(node)}.{node.name}')
    return found


@cache
def named_tuples() -> dict[str, str]:
    "The fields of each named tuple of the package, as nbdev writes parameters"
    found = {}
    for _, text, tree in package_code():
        for cls in (
            n
            for n in tree.body
            if isinstance(n, ast.ClassDef) and 'NamedTuple' in [getattr(b, 'id', '') for b in n.bases]
        ):
            of = [
                (
                    f'{n.target.id}:{ast.unparse(n.annotation)}'
                    + (f'={ast.unparse(n.value)}' if n.value else ''),
                    words(n, text.splitlines()),
                )
                for n in cls.body
                if isinstance(n, ast.AnnAssign)
            ]
            found[cls.name] = ''.join(f'    {field},{" # " + said if said else ""}\n' for field, said in of)
    return found


@cache
def described() -> dict[str, str]:
    """For each class of the package a source of its fields alone, also inherited ones, with the comment or
    the words of the setting behind each"""
    fields, bases = {}, {}
    for _, text, tree in package_code():
        lines = text.splitlines()
        for cls in (n for n in tree.body if isinstance(n, ast.ClassDef)):
            bases[cls.name] = [b.id for b in cls.bases if isinstance(b, ast.Name)]
            fields[cls.name] = {
                n.target.id: words(n, lines)
                for n in cls.body
                if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
            }

    def of(name):
        return {**{k: v for b in bases.get(name, ()) for k, v in of(b).items()}, **fields.get(name, {})}

    return {
        name: f'class {name}:\n'
        + ''.join(f'    {k}:None{" # " + v if v else ""}\n' for k, v in of(name).items())
        for name in fields
        if of(name)
    }


def words(field: ast.AnnAssign, lines: list[str]) -> str:
    "What is said of a field: behind it, in the lines above it, or in its setting"
    call = field.value
    if (
        isinstance(call, ast.Call)
        and getattr(call.func, 'id', '') == 'setting'
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    ):
        return call.args[1].value
    behind = re.match(r'\s*# *(.*)', lines[field.end_lineno - 1].encode()[field.end_col_offset :].decode())
    if behind:
        return behind[1]
    above, i = [], field.lineno - 2
    while re.match(r'\s*# ', lines[i]):
        above.insert(0, lines[i].strip('# '))
        i -= 1
    return ' '.join(above)


def describe_fields():
    """Let nbdev find what is said of the fields of dataclasses: it asks a class's module, and while a page is
    built that is __main__, which has no source. And let it show types whole"""
    from fastcore import docments

    sources = described()
    docments.get_dataclass_source = lambda cls: sources.get(cls.__name__, '')
    docments._maybe_nm = lambda kind: '' if kind is docments.empty else type_text(kind)


def copy_repository(to: Path):
    "Copy what belongs to the repository, and what is new in it, without what git ignores"
    listed = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        names = [
            p.relative_to(ROOT)
            for folder in ('nbs', 'vision_recipes', 'benchmarks')
            for p in (ROOT / folder).rglob('*')
        ] + [p.name for p in ROOT.iterdir()]
    else:
        names = listed.stdout.split('\0')
    for name in filter(None, names):
        if not (ROOT / name).is_file():
            continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to / name)


def build(copy: Path, problems: list):
    """Build all pages of the copy into its folder _proc.

    The copy has its own egg-info: nbdev links the names it finds through it.
    """
    lib = config()['lib_path']
    info = copy / f'{lib}.egg-info'
    info.mkdir(exist_ok=True)
    (info / 'PKG-INFO').write_text(f'Metadata-Version: 2.1\nName: {lib}\nVersion: 0\n', encoding='utf-8')
    (info / 'entry_points.txt').write_text(f'[nbdev]\n{lib} = {lib}._modidx:d\n', encoding='utf-8')
    for p in (copy / 'nbs').rglob('*'):
        to = copy / '_proc' / p.relative_to(copy / 'nbs')
        to.parent.mkdir(parents=True, exist_ok=True)
        if p.is_file() and p.suffix != '.ipynb':
            shutil.copyfile(p, to)
    (copy / '_claims').mkdir()
    for part in [start_part(copy, 'torch'), start_part(copy, 'plain')]:
        output, errors = part.communicate()
        if part.returncode:
            sys.exit(f'the pages could not be built:\n{errors[-3000:]}')
        for path, why in json.loads(output.splitlines()[-1]):
            if why:
                problems.append(f'nbs/{path}: the page cannot be built: {why}')


def start_part(copy: Path, part: str) -> subprocess.Popen:
    """Start a process that builds pages.

    Plain processes that take turns, not a pool: the shell that nbdev runs cells in replaces __main__, which
    pools need.
    """
    env = {
        **os.environ,
        'PYTHONPATH': str(copy),
        'OMP_NUM_THREADS': '1',
        'PYTHONUTF8': '1',
        'PYTHONWARNINGS': 'ignore',
        'VISION_RECIPES_PROGRESS': '0',
        'IN_TEST': '1',
    }
    command = [sys.executable, str(Path(__file__).resolve()), '--build', str(copy), part]
    return subprocess.Popen(
        command, cwd=copy, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def write_nbdev_yml(copy: Path):
    "What nbdev tells Quarto of settings.ini"
    from nbdev.quarto import refresh_quarto_yml

    refresh_quarto_yml()
    shutil.copyfile(copy / 'nbs' / 'nbdev.yml', copy / '_proc' / 'nbdev.yml')


def needs_torch(page: Path, text: str) -> bool:
    "Does nbdev import PyTorch, which takes ten seconds, to build this page?"
    above = page.parts[0] in ROOMS[ROOMS.index('dataloading') :]
    return above or bool(re.search(r'"(import|from) torch', text))


def pages_for(part: str, folder: Path) -> list[Path]:
    """The pages that a process may build, in its order, relative to nbs.

    One process begins with the pages that need PyTorch and takes others when these are done, from the end;
    the other process never imports PyTorch.
    """
    heavy, plain = [], []
    for path in sorted(folder.rglob('*.ipynb')):
        page = path.relative_to(folder)
        (heavy if needs_torch(page, path.read_text(encoding='utf-8')) else plain).append(page)
    return heavy + plain[::-1] if part == 'torch' else plain


def claimed(copy: Path, page: Path) -> bool:
    "Take a page for this process; False if the other one has it"
    try:
        (copy / '_claims' / '-'.join(page.parts)).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def share_shell():
    """Let nbdev run the cells of all pages in one shell: a new one for each page takes 60 ms.

    Each page gets new names. Those of the page before are not cleared: what it patched into classes of the
    package uses them.
    """
    from execnb.shell import CaptureShell
    from nbdev import processors

    shell = CaptureShell()

    class exec_show_docs(processors.exec_show_docs):
        def begin(self):
            shell.init_create_namespaces()
            shell.init_sys_modules()
            shell.init_user_ns()
            shell.result, shell.exc = None, None
            self.k = shell
            self.k.run_cell('from nbdev.showdoc import show_doc')

    processors.exec_show_docs = exec_show_docs


def build_part(copy: Path, part: str) -> int:
    "Build pages and draw them for the browser; runs in a process of its own, that imports the copy's package"
    if part == 'plain':
        write_nbdev_yml(copy)
    describe_fields()
    share_shell()
    built = []
    for page in pages_for(part, copy / 'nbs'):
        if claimed(copy, page):
            why = build_page(copy / 'nbs' / page, copy / '_proc' / page)
            built.append((page.as_posix(), why))
            if not why:
                draw(copy / '_proc', page, copy / '_drawn')
    print('\n' + json.dumps(built))
    return 0


# -- Reading a page


def without_code(text: str) -> str:
    "Markdown with code blocks blanked, so that line numbers stay"
    lines, fenced = text.split('\n'), False
    for i, line in enumerate(lines):
        fence = line.lstrip().startswith(('```', '~~~'))
        if fence or fenced or (line.startswith('    ') and not line.lstrip().startswith(('-', '*'))):
            lines[i] = ''
        fenced ^= fence
    return '\n'.join(lines)


def links_of(text: str):
    "Each link of a Markdown text without code: line, whether it is an image, its words, where it leads"
    blank = CODE.sub(lambda m: re.sub(r'[^\n]', 'x', m[0]), text)
    for m in LINK.finditer(blank):
        yield text.count('\n', 0, m.start()) + 1, m[1] == '!', m[2], m[3]
        for _, image, words, to in links_of(m[2]):
            yield text.count('\n', 0, m.start()) + 1, image, words, to
    for m in re.finditer(r'<(a|img)\b[^>]*?\b(?:href|src)="([^"]*)"[^>]*>', blank):
        alt = re.search(r'\balt="([^"]+)"', m[0])
        yield text.count('\n', 0, m.start()) + 1, m[1] == 'img', alt[1] if alt else '', m[2]


def slug(heading: str) -> str:
    "The id Pandoc gives a heading"
    words = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', heading).strip().lower()
    return re.sub(r'^[^a-z]+', '', re.sub(r'\s+', '-', re.sub(r'[^\w\s.-]', '', words))) or 'section'


class Page:
    "A built page: its texts with the place where they stand, its anchors, its outputs"

    def __init__(self, path: Path, built: Path):
        self.path, self.html = path, page_name(path)
        self.raw = json.loads((ROOT / 'nbs' / path).read_text(encoding='utf-8'))['cells']
        self.cells = json.loads(built.read_text(encoding='utf-8'))['cells'] if built.exists() else self.raw
        number = {c['id']: i for i, c in enumerate(self.raw, 1) if 'id' in c}
        # (place, Markdown without code blocks): of cells, of signatures, of both
        self.texts, self.documented, self.in_order = [], [], []
        for c in self.cells:
            place = f'nbs/{path}, cell {number[c["id"]]}' if c.get('id') in number else f'nbs/{path}'
            if c['cell_type'] == 'markdown':
                self.texts.append((place, without_code(source(c))))
                self.in_order.append(self.texts[-1])
            for o in c.get('outputs', []):
                if 'text/markdown' in o.get('data', {}):
                    self.documented.append((place, without_code(''.join(o['data']['text/markdown']))))
                    self.in_order.append(self.documented[-1])
        self.anchors = {
            slug(m[1])
            for _, t in self.texts + self.documented
            for m in re.finditer(r'^#{1,6} +(.*?)(?: +\{#[^}]*\})?$', t, re.M)
        }
        self.anchors |= {
            m for _, t in self.texts for m in re.findall(r'\{#([\w.-]+)|\bid="([\w.-]+)"', t) for m in m if m
        }
        self.title, self.subtitle = self._head()

    def _head(self) -> tuple[str, str]:
        first = source(self.raw[0]) if self.raw else ''
        title, subtitle = re.search(r'^# +(.+)$', first, re.M), re.search(r'^> +(.+)$', first, re.M)
        return title[1].strip() if title else '', subtitle[1].strip() if subtitle else ''


# -- Checks of one page


def check_head(page: Page, cfg: dict):
    "Title and subtitle stand alone in the first cell, and a recipe can be opened in Colab"
    where = f'nbs/{page.path}, cell 1'
    if not page.title or not page.subtitle:
        yield f'{where}: begin the notebook with "# title" and a line "> subtitle"'
    rest = re.sub(r'^(# |> ).*$', '', source(page.raw[0]), flags=re.M).strip()
    if rest:
        yield (
            f'{where}: {rest[:50]!r} would be lost: nbdev makes the cell with the title the head of the '
            'page. Put all but title and subtitle into the next cell'
        )
    badge = f'(https://colab.research.google.com/github/{cfg["notebook"]}{page.path.as_posix()})'
    if page.path.parts[0] == 'recipes' and not any(badge in source(c) for c in page.raw[:3]):
        yield f'{where}: no Colab badge that leads to {badge[1:-1]}'
    for i, c in enumerate(page.raw, 1):
        if c['cell_type'] == 'markdown' and re.search(r'^\s*:::', source(c), re.M):
            yield f'nbs/{page.path}, cell {i}: ":::" is read by Quarto only; use plain Markdown'


def check_headings(page: Page):
    "Headings go down one level at a time, else the contents of the page leave some out"
    last, above = 1, page.title
    for place, text in page.in_order:
        for m in re.finditer(r'^(#{1,6}) +(.*)$', text, re.M):
            if len(m[1]) > last + 1:
                yield (
                    f'{place}: {m[0]!r} follows {above!r}, of level {last}. Write it with {"#" * (last + 1)}'
                )
            last, above = len(m[1]), m[2]


def check_summaries(page: Page):
    "The title of a folded answer is HTML: Markdown in it is shown as it is written"
    for i, cell in enumerate(page.raw, 1):
        titles = (
            re.findall(r'<summary>(.*?)</summary>', source(cell)) if cell['cell_type'] == 'markdown' else ()
        )
        for title in titles:
            if '`' in title or '](' in title:
                yield f'nbs/{page.path}, cell {i}: Markdown in a <summary>, {title!r}: write <code>x</code>'


def examples(page: Page) -> Iterator[tuple[str, ast.Module]]:
    "The Python blocks in the text of a page: where, and what is read of them"
    for i, cell in enumerate(page.raw, 1):
        if cell['cell_type'] == 'markdown':
            for code in re.findall(r'^```python\n(.*?)^```', source(cell) + '\n', re.M | re.S):
                yield f'nbs/{page.path}, cell {i}', ast.parse(code)


@cache
def parameters_of() -> dict[str, set[str]]:
    "The parameters of each function of the package that takes no **more"
    found = {}
    for _, _, tree in package_code():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.args.kwarg and not node.decorator_list:
                args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                found.setdefault(node.name, set()).update(arg.arg for arg in args)
    return found


def check_examples(page: Page):
    "Examples in the text import what is there, and call it by names that it takes"
    for where, tree in examples(page):
        ours: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith('vision_recipes'):
                room = importlib.import_module(node.module)
                ours |= {name.name for name in node.names}
                for name in node.names:
                    if name.name not in dir(room):
                        yield f'{where}: the example imports {name.name}, which {node.module} has not'
            if isinstance(node, ast.Call) and getattr(node.func, 'id', '') in ours & set(parameters_of()):
                takes = parameters_of()[node.func.id]
                for word in node.keywords:
                    if word.arg and word.arg not in takes:
                        yield f'{where}: the example gives {node.func.id} {word.arg}, which it does not take'


def check_mixed(page: Page):
    "Cells that nbdev runs to build the page, because they import, hold nothing else"
    if not any(re.search(r'^#\| *exports?\b', source(c), re.M) for c in page.raw):
        return
    for i, c in enumerate(page.raw, 1):
        text = source(c)
        if (
            c['cell_type'] != 'code'
            or re.search(r'^#\| *(exporti?|exports|eval: *false)\b', text, re.M)
            or 'nbdev_export()' in text
            or text.startswith('%%')
        ):
            continue
        tree = parsed(text)
        nodes = list(ast.walk(tree)) if tree else []  # nbdev leaves a cell with a magic command alone
        if any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in nodes) and any(
            isinstance(n, (ast.Expr, ast.Assign)) for n in nodes
        ):
            yield (
                f'nbs/{page.path}, cell {i}: imports stand beside other code, and nbdev runs such a cell '
                'to build the page. Give the imports a cell of their own'
            )


def check_links(page: Page, pages: dict, cfg: dict, files: set):
    "Every link leads to a page, an anchor, a file of the site or of the repository; images are described"
    for place, text in page.texts + page.documented:
        for line, image, words, to in links_of(text):
            where = f'{place}, line {line}'
            if image and not words.strip():
                yield (
                    f'{where}: the image {to} has no description. Write one between the brackets: '
                    f'![what is to be seen]({to})'
                )
            trouble = dead(to, page, pages, cfg, files)
            if trouble:
                yield f'{where}: the link {to!r} {trouble}'


def repository_file(to: str, cfg: dict) -> str | None:
    "The file of the repository that a link to GitHub or Colab names; empty for another page of it; else None"
    colab = f'https://colab.research.google.com/github/{cfg["user"]}'
    if not to.startswith((cfg['git_url'] + '/', colab)):
        return None
    found = re.search(rf'/{cfg["repo"]}/(?:blob|tree|raw)/{cfg["branch"]}/(.+)', unquote(to))
    return found[1] if found else ''


def is_there(name: str, files: set) -> bool:
    "Is this a file or a folder of the repository?"
    return name in files or any(f.startswith(name.rstrip('/') + '/') for f in files)


def beside(page: Page, target: str) -> PurePosixPath:
    "Where a relative link leads, from nbs; a link without a target stays on the page"
    if not target:
        return PurePosixPath(page.path.as_posix())
    joined = os.path.normpath(PurePosixPath(page.path.parent.as_posix()) / unquote(target))
    return PurePosixPath(joined.replace(os.sep, '/'))


def dead(to: str, page: Page, pages: dict, cfg: dict, files: set) -> str:
    "Why a link leads nowhere; empty if it does"
    target, _, anchor = to.partition('#')
    if to.startswith(cfg['site']):
        at = PurePosixPath(target[len(cfg['site']) :] or 'index.html')
        if at.parts[0] == 'demos':  # `live_demos.py` makes these in the docs workflow
            return ''
    else:
        name = repository_file(target, cfg)
        if name is not None:
            missing = name and not is_there(name, files)
            return f'names {name}, which is not in the repository' if missing else ''
        if re.match(r'(https|mailto|data):', to):
            return ''
        if re.match(r'\w+:', to):
            return 'is neither https nor relative'
        at = beside(page, target)
    if str(at).startswith('..'):
        return (
            f'leaves the site. For a file of the repository link to {cfg["git_url"]}/blob/{cfg["branch"]}/…'
        )
    known = pages.get(str(at))
    if not known:
        is_file = f'nbs/{at}' in files and not anchor and at.suffix not in ('.html', '.ipynb')
        return '' if is_file else 'leads to no page and no file of nbs'
    if anchor and anchor.lower() not in known.anchors:
        if anchor.startswith('_'):
            return 'leads to a private name, which has no place on a page: write it as `_name(...)`'
        return f'names an anchor that {known.html} has not{near(anchor, known.anchors)}'
    return ''


def near(word: str, words) -> str:
    "Something to add to a message: the nearest of some words"
    from difflib import get_close_matches

    found = get_close_matches(word, list(words), n=1)
    return f'; did you mean {found[0]!r}?' if found else ''


def check_paths(page: Page):
    "No path of somebody's machine on the page"
    for place, text in page.texts:
        for m in list(MACHINE.finditer(CODE.sub('', text))) + list(re.finditer(r'\(file:/[^)]*', text)):
            yield f'{place}: {m[0].strip("(")!r} is a path of some machine'
    for i, c in enumerate(page.raw, 1):
        if c['cell_type'] == 'code':
            for o in c['outputs']:
                said = ''.join(o.get('text') or o.get('data', {}).get('text/plain', '')) + ''.join(
                    o.get('data', {}).get('text/html', '')
                )
                for m in list(MACHINE.finditer(said)) + list(re.finditer(r'file:/+\S+', said)):
                    yield (
                        f'nbs/{page.path}, cell {i}: the output shows a path of the machine it ran on, '
                        f'{m[0]!r}'
                    )


def check_fields(page: Page, sources: dict):
    "What the code says of the fields of a dataclass stands on its page"
    for c in page.cells:
        for o in c.get('outputs', []):
            shown = ''.join(o.get('data', {}).get('text/markdown', ''))
            name = re.search(r'^(?:def|class) (\w+)\(', shown, re.M)
            if not name or name[1] not in sources:
                continue
            said = re.findall(r'^    (\w+):None # (.*)$', sources[name[1]], re.M)
            lost = [k for k, v in said if re.search(rf'^\| `{k}` ', shown, re.M) and in_cell(v) not in shown]
            if lost:
                yield (
                    f'nbs/{page.path}: {name[1]}: what is said of {", ".join(lost)} is not on the page; '
                    'see describe_fields'
                )


def output_troubles(output: dict) -> Iterator[str]:
    "What an output shows that no reader needs"
    text = ''.join(output.get('text', ''))
    if output.get('name') == 'stderr':
        yield f'the output holds what went to stderr: {text.strip()[:80]!r}. Clear it, or see why it is said'
    if output['output_type'] == 'error':
        yield f'the output is an error, {output["ename"]}'
    for what, pattern in NOISE.items():
        if re.search(pattern, text):
            yield f'the output holds {what}'
    if any('widget' in kind for kind in output.get('data', {})):
        yield 'the output is a widget, which is not there on a page'


def image_troubles(cell: dict, data: dict) -> Iterator[str]:
    "Which images of an output are too large, or have no description"
    for kind in ('image/png', 'image/jpeg'):
        if kind not in data:
            continue
        size = len(base64.b64decode(''.join(data[kind])))
        if size > IMAGE:
            yield f'the image has {size / 1000:.0f} kB, at most {IMAGE / 1000:.0f} are wanted'
        if not re.search(r'^#\| *fig-alt: *\S', source(cell), re.M):
            yield 'the image has no description. Begin the cell with: #| fig-alt: "what is to be seen"'
    for tag in re.findall(r'<img\b[^>]*>', ''.join(data.get('text/html', ''))):
        if not re.search(r'\balt="[^"]+"', tag):
            yield 'an image in the output has no alt="…"'


def image_in(output: dict) -> bool:
    "Does an output show an image?"
    return any(kind.startswith('image/') for kind in output.get('data', {})) or '<img' in ''.join(
        output.get('data', {}).get('text/html', '')
    )


def impossible(cell: dict) -> bool:
    "Does a cell hold an output that it cannot have made, as after a cell was divided?"
    tree = parsed(source(cell)) if cell['outputs'] else None
    if not tree:
        return False
    body = tree.body
    definitions = ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom
    result = any(o['output_type'] == 'execute_result' for o in cell['outputs'])
    ends_in_result = bool(body) and isinstance(body[-1], ast.Expr)
    silent = all(isinstance(node, definitions) for node in body)
    return silent or (result and not ends_in_result)


def check_outputs(page: Page):
    "No warnings, no progress bars, no errors in outputs; images described and not too large"
    for i, cell in enumerate(page.raw, 1):
        for output in cell.get('outputs', []):
            troubles = [*output_troubles(output), *image_troubles(cell, output.get('data', {}))]
            yield from (f'nbs/{page.path}, cell {i}: {trouble}' for trouble in troubles)
        if cell['cell_type'] == 'code' and impossible(cell):
            yield f'nbs/{page.path}, cell {i}: the output is of another cell. Move it, or run the cells'
        described = cell['cell_type'] == 'code' and re.search(r'^#\| *fig-alt:', source(cell), re.M)
        if described and not any(image_in(output) for output in cell['outputs']):
            yield f'nbs/{page.path}, cell {i}: the image that fig-alt describes is not there. Run the cell'
    size = (ROOT / 'nbs' / page.path).stat().st_size
    if size > RECIPE:
        yield f'nbs/{page.path}: {size / 1e6:.1f} MB, at most {RECIPE / 1e6:.1f} are wanted'


# -- Names in backticks


class Names:
    """The names of the package: modules, what stands in each, what stands in each class, and every word of
    its code"""

    def __init__(self, package: Path, pages: list):
        self.modules, self.classes, self.words = {}, {}, set()
        for p, text, tree in package_code():
            self.words |= set(re.findall(r'\w+', text))
            if p.name not in ('__init__.py', '_modidx.py'):
                self._read('.'.join(p.relative_to(package).with_suffix('').parts), tree)
        for page in pages:
            self.words |= {
                w for c in page.raw if c['cell_type'] == 'code' for w in re.findall(r'\w+', source(c))
            }
        for p in sorted((ROOT / 'benchmarks').glob('*.py')):
            self.words |= set(re.findall(r'\w+', p.read_text(encoding='utf-8'))) | {p.stem}

    def _read(self, module: str, tree: ast.Module):
        names = set()
        for n in ast.walk(tree):
            if isinstance(n, (ast.FunctionDef, ast.ClassDef)):
                names.add(n.name)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
                names.add(n.id)
            if isinstance(n, ast.alias):
                names.add((n.asname or n.name).split('.')[0])
            if isinstance(n, ast.ClassDef):
                self.classes.setdefault(n.name, (set(), []))[0].update(self._members(n))
                self.classes[n.name][1].extend(b.id for b in n.bases if isinstance(b, ast.Name))
        for node in tree.body:
            for cls, name in self._added(node):
                self.classes.setdefault(cls, (set(), []))[0].add(name)
        self.modules[module] = names

    def _added(self, node: ast.stmt):
        "Class and name of a method that stands behind its class: `@patch`, or `Class.name = function`"
        if isinstance(node, ast.FunctionDef) and patched_class(node):
            yield patched_class(node), node.name
        if isinstance(node, ast.Assign):
            for target in (o for t in node.targets for o in getattr(t, 'elts', [t])):
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    yield target.value.id, target.attr

    def _members(self, node: ast.ClassDef) -> set:
        inner = [n for n in ast.walk(node)]
        return (
            {n.name for n in inner if isinstance(n, ast.FunctionDef)}
            | {n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            | {n.attr for n in inner if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
        )

    def member(self, cls: str, name: str) -> bool:
        "Whether a class has an attribute; what it inherits from others' classes is believed"
        members, bases = self.classes[cls]
        return (
            name in members
            or name.startswith('__')
            or any(b not in self.classes or self.member(b, name) for b in bases)
        )

    def missing(self, name: str) -> bool:
        "Whether a name in backticks claims to be ours and is not"
        parts = name.split('.')
        if parts[0] == 'vision_recipes':
            parts = parts[1:]
        for n in (3, 2, 1):
            module = '.'.join(parts[:n])
            if module in self.modules and len(parts) > n:
                if parts[n] not in self.modules[module]:
                    return True
                parts = parts[n:]
                break
        if len(parts) > 1 and parts[0] in self.classes:
            return not self.member(parts[0], parts[1])
        if len(parts) > 1:
            return False  # an attribute of something else
        ours = '_' in name.strip('_') or re.match(r'[A-Z]\w*[a-z]\w*[A-Z]', name)
        return bool(ours) and parts[-1] not in self.words | OTHERS if parts else False


def check_names(page: Page, names: Names, linked: dict):
    "Names in backticks exist; those nbdev can link are links"
    for place, text in page.texts:
        for m in CODE.finditer(text):
            name = re.sub(r'\(\)$', '', m[2].strip())
            if not re.fullmatch(r'[A-Za-z_]\w*(\.\w+)*', name) or name.split('.')[-1].lower() in FILES:
                continue
            where = f'{place}, line {text.count(chr(10), 0, m.start()) + 1}'
            if names.missing(name):
                yield f'{where}: `{name}` is not in the package{near(name.split(".")[-1], names.words)}'
            inside = text[m.end() : m.end() + 2] == '](' or text.rfind('[', 0, m.start()) > text.rfind(
                ']', 0, m.start()
            )
            if name in linked and m[1] == '`' and not inside and re.fullmatch(r'`[^`\s]+`', m[0]):
                yield f'{where}: `{name}` did not become a link to {linked[name]}'


def linkable() -> dict:
    "The names that nbdev can link, without their module, and where they lead"
    space: dict = {}
    exec((ROOT / 'vision_recipes' / '_modidx.py').read_text(encoding='utf-8'), space)
    return {
        k.removeprefix(module.removeprefix('vision_recipes.') + '.').removeprefix(f'{module}.'): v[0]
        for module, syms in space['d']['syms'].items()
        for k, v in syms.items()
    }


# -- Checks of the whole

# Where _quarto.yml names pages
QUARTO_KEYS = 'href file contents menu left right sidebar website navbar page-footer'.split()
# from the ground floor up
ROOMS = (
    'core data runtime drawing metrics tracking video dataloading tasks models training deploy cli'.split()
)


def folders_in_order(pages: list) -> list[str]:
    """The folders of nbs that hold notebooks: recipes and project first, then the rooms from the ground floor
    up, each followed by what is inside"""
    names = ['recipes', 'project', *ROOMS]
    found = {p.path.parent.as_posix() for p in pages} - {'.'}

    def place(folder):
        top = folder.split('/')[0]
        return names.index(top) if top in names else len(names), folder

    return sorted(found, key=place)


def rooms_in_order(pages: list) -> list[str]:
    "The folders of the library"
    return [f for f in folders_in_order(pages) if f.split('/')[0] in ROOMS]


def navigation(pages: list) -> dict:
    """What Quarto is told of the pages: the sidebar, made from the folders, a section each, named by its
    index page; and the version in the foot"""
    title = {'project': 'Guides and results'}
    title |= {p.path.parent.as_posix(): p.title for p in pages if p.path.name == 'index.ipynb'}

    def section(folder):
        inside = sorted(p.path.as_posix() for p in pages if p.path.parent.as_posix() == folder)
        inside.sort(key=lambda name: not name.endswith('index.ipynb'))
        inside += ['project/changelog.qmd'] if folder == 'project' else []
        below = [
            section(f)
            for f in folders
            if f.startswith(f'{folder}/') and f.count('/') == folder.count('/') + 1
        ]
        return {'section': title.get(folder, folder.capitalize()), 'contents': inside + below}

    folders = folders_in_order(pages)
    contents = ['index.ipynb', *(section(f) for f in folders if '/' not in f)]
    contents.insert(3, REFERENCE)  # behind recipes and project
    bar = {'style': 'docked', 'collapse-level': 1, 'contents': contents}
    return {'website': {'sidebar': bar, 'page-footer': footer(config()['version'])}}


def hrefs(node) -> Iterator[str]:
    "The pages that a part of _quarto.yml names"
    if isinstance(node, str) and node.endswith(('.ipynb', '.qmd')):
        yield node
    elif isinstance(node, list):
        for inner in node:
            yield from hrefs(inner)
    elif isinstance(node, dict):
        for key, inner in node.items():
            if key in QUARTO_KEYS:
                yield from hrefs(inner)


def quarto_files(quarto: dict) -> list[str]:
    "The files that _quarto.yml names: pages, icon, styles, resources"
    html = quarto['format']['html']
    named = [*hrefs(quarto), quarto['website'].get('favicon', ''), html.get('css', '')]
    named += [r for r in quarto['project'].get('resources', []) if '*' not in r]
    for theme in html['theme'].values():
        parts = theme if isinstance(theme, list) else [theme]
        named += [part for part in parts if part.endswith(('.scss', '.css'))]
    return [name for name in named if name]


def check_index(folder: str, pages: list):
    "A room has an index page, and it links each notebook of the room"
    index = next((p for p in pages if p.path.as_posix() == f'{folder}/index.ipynb'), None)
    if index is None:
        yield f'nbs/{folder}: has no index.ipynb, which says what is in this room'
        return
    linked = set()
    for _, text in index.texts:
        linked |= {to for _, _, _, to in links_of(text)}
    for p in pages:
        inside = p.path.parent.as_posix() == folder and p is not index
        if inside and not linked & {p.path.name, page_name(p.path).name}:
            yield f'nbs/{folder}/index.ipynb: does not link {p.path.name}'


def check_sidebar(pages: list, cfg: dict):
    """Every room has an index page that links each of its notebooks, and everything named in _quarto.yml is
    there"""
    import yaml

    for folder in folders_in_order(pages):
        if folder not in ('recipes', 'project'):
            yield from check_index(folder, pages)
    quarto = yaml.safe_load((ROOT / 'nbs' / '_quarto.yml').read_text(encoding='utf-8'))
    for name in quarto_files(quarto):
        if not (ROOT / 'nbs' / name).is_file() and name != 'project/changelog.qmd':
            yield f'nbs/_quarto.yml: {name} is not there'
    if '_modidx:d' not in (ROOT / 'setup.py').read_text(encoding='utf-8'):
        yield (
            "setup.py: entry_points must hold 'nbdev': ['vision_recipes=vision_recipes._modidx:d'], by which "
            'nbdev finds the names to link'
        )


def check_same_name(pages: list):
    "No two pages of one address"
    seen: dict = {}
    for p in pages:
        other = seen.setdefault(p.html, p)
        if other is not p:
            yield f'nbs/{p.path}: its page {p.html} would be the one of nbs/{other.path}. Rename one'


def check_readme(pages: dict, cfg: dict, files: set):
    "The README's links, which are relative to the repository"
    text = without_code((ROOT / 'README.md').read_text(encoding='utf-8'))
    for line, image, words, to in links_of(text):
        if image and not words.strip():
            yield f'README.md, line {line}: the image {to} has no description'
        if not re.match(r'(https|mailto):|#', to) and to.partition('#')[0] not in files:
            yield f'README.md, line {line}: {to} is not in the repository'


def check_images():
    "Image files of the site are small"
    for p in sorted((ROOT / 'nbs' / 'images').iterdir()):
        if p.stat().st_size > IMAGE:
            yield (
                f'nbs/images/{p.name}: {p.stat().st_size / 1000:.0f} kB, at most {IMAGE / 1000:.0f} are '
                'wanted'
            )


def llms(pages: list, cfg: dict) -> str:
    "The contents of llms.txt: each page's title, the address of its plain-Markdown copy, and its subtitle"

    def entry(p):
        return f'- [{p.title}]({cfg["site"]}{p.html.as_posix()}.md): {p.subtitle}'

    def section(title, chosen):
        return f'\n## {title}\n\n' + '\n'.join(map(entry, chosen)) + '\n'

    front = next(p for p in pages if p.path.as_posix() == cfg['readme_nb'])
    rooms = [p for p in pages if p.path.as_posix() == REFERENCE]
    of = lambda folder: [p for p in pages if p.path.parent.as_posix() == folder and p is not front]
    intro = (
        f'# {front.title}\n\n> {front.subtitle}\n\nEvery page is a notebook that runs as a test. '
        'The pages below are plain Markdown; without the `.md` at the end of its address each is the page '
        f'for readers. The package is installed by `pip install {cfg["repo"]}`.\n'
    )
    library = [
        p
        for folder in rooms_in_order(pages)
        for p in sorted(of(folder), key=lambda p: p.path.name != 'index.ipynb')
    ]
    return (
        intro
        + section('Start here', [front, *rooms])
        + section('Recipes', of('recipes'))
        + section('Project', of('project'))
        + section('Library', library)
    )


def written(cfg: dict, pages: list | None = None) -> dict[str, str]:
    "The files of nbs that are made of the notebooks' titles and subtitles"
    pages = pages or [Page(p, ROOT / 'none') for p in notebooks()]
    made = reference(rooms_in_order(pages), pages)
    if not (ROOT / 'nbs' / REFERENCE).exists():
        (ROOT / 'nbs' / REFERENCE).write_text(made, encoding='utf-8', newline='\n')
        return written(cfg)
    return {REFERENCE: made, 'llms.txt': llms(pages, cfg)}


def check_written(cfg: dict, pages: list):
    "What is made of titles and subtitles is what the notebooks say"
    for name, text in written(cfg, pages).items():
        if (ROOT / 'nbs' / name).read_text(encoding='utf-8') != text:
            yield f'nbs/{name}: is not what the notebooks say. Run: python .ci/site.py --write'


def check_page(page: Page, names: Names, linked: dict, sources: dict, by_name: dict, files: set):
    "All checks of one page"
    cfg = config()
    yield from check_head(page, cfg)
    yield from check_headings(page)
    yield from check_summaries(page)
    yield from check_examples(page)
    yield from check_mixed(page)
    yield from check_links(page, by_name, cfg, files)
    yield from check_names(page, names, linked)
    yield from check_paths(page)
    yield from check_outputs(page)
    yield from check_fields(page, sources)


def look(copy: Path, problems: list) -> list:
    "All checks; the problems, in the order of the pages"
    import yaml

    cfg = config()
    pages = [Page(p, copy / '_proc' / p) for p in notebooks()]
    sections = yaml.safe_dump(navigation(pages), sort_keys=False, allow_unicode=True)
    (copy / '_proc' / 'sidebar.yml').write_text(sections, encoding='utf-8')
    write_changelog(ROOT, copy / '_proc')
    by_name = {}
    for page in pages:
        by_name |= {page.path.as_posix(): page, page.html.as_posix(): page}
    files = {p.relative_to(copy).as_posix() for p in copy.rglob('*') if p.is_file()}
    names = Names(ROOT / cfg['lib_path'], pages)
    linked, sources = linkable(), described()
    for page in pages:
        problems += check_page(page, names, linked, sources, by_name, files)
    problems += check_sidebar(pages, cfg)
    problems += check_same_name(pages)
    problems += check_readme(by_name, cfg, files)
    problems += check_images()
    problems += check_contrast(ROOT / 'nbs')
    problems += check_written(cfg, pages)
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--write', action='store_true', help='write nbs/llms.txt and nbs/reference.ipynb')
    parser.add_argument(
        '--keep', type=Path, metavar='FOLDER', help='leave the built pages in FOLDER, which must not exist'
    )
    parser.add_argument('--build', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        return build_part(Path(args.build[0]), args.build[1])
    if args.write:
        for name, text in written(config()).items():
            (ROOT / 'nbs' / name).write_text(text, encoding='utf-8', newline='\n')
    problems: list = []
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp) / 'copy'
        copy_repository(copy)
        build(copy, problems)
        with ThreadPoolExecutor(1) as pool:  # the browser measures the pages while they are looked at here
            widths = pool.submit(check_widths, copy / '_proc', copy / '_drawn')
            look(copy, problems)
            wide, skipped = widths.result()
        problems += (f'nbs/{problem}' for problem in wide)
        if skipped:
            print(f'the widths of the pages were not measured: {skipped}')
        if args.keep:
            shutil.copytree(copy / '_proc', args.keep)
    for p in dict.fromkeys(problems):
        print(p)
    if problems:
        print(f'{len(dict.fromkeys(problems))} problems')
    return bool(problems)


if __name__ == '__main__':
    sys.exit(main())
