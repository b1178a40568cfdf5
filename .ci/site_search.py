#!/usr/bin/env python3
"""Make the search of the site find what a reader means

`python .ci/site_search.py PAGES SITE` changes SITE/search.json, which Quarto wrote, by the pages that
`site.py --keep PAGES` left. Code that only tests is taken out: its messages are those of errors, and would be
found first. Sections of guides are divided at their ### headings, so that each message of the
errors page, and not the page, is found. At the end each query of QUERIES must find its page.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# this folder has names like `test`
if sys.path and Path(sys.path[0] or '.').resolve() == Path(__file__).resolve().parent:
    sys.path.append(sys.path.pop(0))
from site_pages import FOLD, tests, without_options  # noqa: E402

# What is typed, and the page that must be the first one found; None: any
QUERIES = {
    'no such folder': 'project/errors.html',
    'resume': None,
    'freeze': None,
    'imbalance': None,
    'webcam': 'project/faq.html',
    'video': None,
}


def pages_of(folder: Path) -> Iterator[tuple[str, list]]:
    "Address and cells of each page"
    for path in sorted(folder.rglob('*.ipynb')):
        name = re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.stem) + '.html'
        cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        yield path.relative_to(folder).with_name(name).as_posix(), cells


def test_code(cells: list) -> list[str]:
    "The code that tests: whole cells that are folded, and the statements that test in others"
    found = []
    for text in (''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code'):
        code = without_options(text)
        found += [code] if text.startswith(FOLD) else test_statements(code)
    return found


def test_statements(code: str) -> list[str]:
    "The statements of a cell that only test"
    try:
        body = ast.parse(code).body
    except SyntaxError:  # a magic command
        return []
    return [ast.get_source_segment(code, node) for node in body if tests(node)]


def headings(cells: list) -> list[str]:
    "The ### headings of a page, as plain text"
    text = '\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown')
    text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    found = re.findall(r'^### +(.*?)(?: +\{#[^}]*\})?$', text, re.M)
    return [re.sub(r'[`*]|!?\[([^\]]*)\]\([^)]*\)', r'\1', heading).strip() for heading in found]


def slug(heading: str) -> str:
    "The id Pandoc gives a heading"
    words = re.sub(r'\s+', '-', re.sub(r'[^\w\s.-]', '', heading.lower()))
    return re.sub(r'^[^a-z]+', '', words)


def anywhere(code: str) -> re.Pattern:
    "Finds code whatever the white space between its words is"
    return re.compile(r'\s+'.join(map(re.escape, code.split())))


def without_tests(entry: dict, codes: list[str]) -> dict:
    "An entry of the index without the code of tests"
    text = entry['text']
    for code in codes:
        text = anywhere(code).sub(' ', text, count=1)
    return {**entry, 'text': re.sub(r'(?:^|\n)\s*Tests\s*(?=\n|$)', '\n', text)}


def divided(entry: dict, titles: list[str]) -> Iterator[dict]:
    "An entry of the index, and one more for each heading in it, each with its own text"
    at = [
        (m.start(), m.end(), t)
        for t in titles
        if (m := re.search(rf'^\s*{re.escape(t)}\s*$', entry['text'], re.M))
    ]
    at.sort()
    ends = [begin for begin, _, _ in at] + [len(entry['text'])]
    yield {**entry, 'text': entry['text'][: ends[0]].strip()}
    page = entry['href'].partition('#')[0]
    for (_, begin, title), end in zip(at, ends[1:]):
        href = f'{page}#{slug(title)}'
        text = entry['text'][begin:end].strip()
        yield {**entry, 'objectID': href, 'href': href, 'section': title, 'text': text}


def pruned(entries: list[dict], pages: dict[str, list]) -> list[dict]:
    "The index as it shall be"
    made = []
    for entry in entries:
        cells = pages.get(entry['href'].partition('#')[0], [])
        entry = without_tests(entry, test_code(cells))
        guide = entry['href'].startswith('project/')
        made += divided(entry, headings(cells)) if guide else [entry]
    return made


def found(query: str, entries: list[dict]) -> list[str]:
    "The pages that hold a query, best first: in the name of a section, in the title, in a short text"

    def place(entry):
        section, title = (query in entry.get(key, '').lower() for key in ('section', 'title'))
        return not section, not title, len(entry['text'])

    holding = [
        e for e in entries if any(query in e.get(key, '').lower() for key in ('section', 'title', 'text'))
    ]
    return list(dict.fromkeys(e['href'].partition('#')[0] for e in sorted(holding, key=place)))


def check_queries(entries: list[dict]) -> Iterator[str]:
    "Queries that find nothing, or another page first"
    for query, wanted in QUERIES.items():
        pages = found(query, entries)
        if not pages:
            yield f'a search for {query!r} finds nothing'
        elif wanted and pages[0] != wanted:
            yield f'a search for {query!r} finds {pages[0]} first, not {wanted}'


def main() -> int:
    folder, site = map(Path, sys.argv[1:])
    index = site / 'search.json'
    before = json.loads(index.read_text(encoding='utf-8'))
    after = pruned(before, dict(pages_of(folder)))
    index.write_text(json.dumps(after, indent=2, ensure_ascii=False), encoding='utf-8')
    sizes = [sum(len(entry['text']) for entry in entries) for entries in (before, after)]
    print(f'search: {len(before)} entries of {sizes[0]:,} characters, now {len(after)} of {sizes[1]:,}')
    problems = list(check_queries(after))
    for problem in problems:
        print(problem)
    return bool(problems)


if __name__ == '__main__':
    sys.exit(main())
