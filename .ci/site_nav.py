"""What leads a reader through the site: the page of all modules, the changelog as a page, the version"""

import hashlib
import json
import re
from pathlib import Path

REFERENCE = 'reference.ipynb'
INTRO = (
    'The library has rooms, and each module is a page that explains it, shows it and tests it. '
    'A room imports from rooms before it in this list only. The rooms up to video need no PyTorch. '
    '`from vision_recipes.data import check` takes what users need most from a room; '
    'the page of a room lists these names.'
)


def room_text(folder: str, index, pages: list) -> str:
    "The section of a room: its title, what it is for, and a row for each page in it"
    level = '#' * (folder.count('/') + 2)
    rows = [
        f'| [{p.title}]({p.path.as_posix()}) | {p.subtitle} |'
        for p in pages
        if p.path.parent.as_posix() == folder and p is not index
    ]
    head = f'{level} {index.title}\n\n{index.subtitle}: [the page of this room]({index.path.as_posix()}).'
    table = '\n'.join(['| module | what is in it |', '| --- | --- |', *rows])
    return f'{head}\n\n{table}' if rows else head


def markdown_cell(text: str, name: str) -> dict:
    "A Markdown cell whose id follows from its name"
    return {
        'cell_type': 'markdown',
        'id': hashlib.sha1(name.encode()).hexdigest()[:8],
        'metadata': {},
        'source': text.splitlines(keepends=True),
    }


def reference(folders: list[str], pages: list) -> str:
    "The notebook that lists every room and module, made of their titles and subtitles"
    index = {p.path.parent.as_posix(): p for p in pages if p.path.name == 'index.ipynb'}
    title = '# Reference\n> Every room of the library and its modules, a line each'
    cells = [markdown_cell(title, 'title'), markdown_cell(INTRO, 'intro')]
    cells += [markdown_cell(room_text(f, index[f], pages), f) for f in folders if f in index]
    kernel = {'display_name': 'python3', 'language': 'python', 'name': 'python3'}
    notebook = {'cells': cells, 'metadata': {'kernelspec': kernel}, 'nbformat': 4, 'nbformat_minor': 5}
    return json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + '\n'


def write_changelog(repository: Path, site: Path):
    "CHANGELOG.md as a page of the site"
    text = (repository / 'CHANGELOG.md').read_text(encoding='utf-8')
    head = '---\ntitle: Changelog\ndescription: What changed from version to version\n---\n\n'
    body = re.sub(r'^# .*\n', '', text)
    (site / 'project' / 'changelog.qmd').write_text(head + body, encoding='utf-8')


def footer(version: str) -> dict:
    "The part of the page's foot that is made: the version, and the way to what changed"
    return {'center': [{'text': f'Version {version}', 'href': 'project/changelog.qmd'}]}
