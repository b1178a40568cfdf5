#!/usr/bin/env python3
"""Test that the checks and changes of the site find and do what they should: `python .ci/test_site.py`"""

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Callable, Literal, Optional

# this folder has names like `test`
if sys.path and Path(sys.path[0] or '.').resolve() == Path(__file__).resolve().parent:
    sys.path.append(sys.path.pop(0))
import site_contrast  # noqa: E402
import site_pages  # noqa: E402
import site_search  # noqa: E402
import site_widths  # noqa: E402


def load_site():
    "site.py, whose name is also that of a module of Python"
    spec = importlib.util.spec_from_file_location('pages_of_site', Path(__file__).with_name('site.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


site = load_site()
NBS = Path(__file__).resolve().parent.parent / 'nbs'
STYLES = 'site.scss', 'site-dark.scss', 'styles.css'


def contrast_problems(file: str = '', old: str = '', new: str = '') -> list[str]:
    "What is found where one text of the styles is replaced"
    with tempfile.TemporaryDirectory() as tmp:
        for name in STYLES:
            text = (NBS / name).read_text(encoding='utf-8')
            if name == file:
                assert old in text, (file, old)
                text = text.replace(old, new)
            (Path(tmp) / name).write_text(text, encoding='utf-8')
        return list(site_contrast.check_contrast(Path(tmp)))


def test_contrast():
    assert round(site_contrast.contrast('#000', '#fff'), 3) == 21
    assert round(site_contrast.contrast('#777777', '#ffffff'), 2) == 4.48  # the usual example of WCAG
    assert contrast_problems() == []
    # The fault that was there: outputs black on near-black, in the dark theme only
    found = contrast_problems('site-dark.scss', '$pre-color: #dde3ea', '$pre-color: #000000')
    assert len(found) == 3 and all('dark theme' in problem for problem in found), found
    assert '1.19' in found[0], found
    # A variable that is not set would be a default that nobody sees
    unset = contrast_problems('site.scss', '$text-muted:', '$text-mutd:')
    assert 'light theme' in unset[0] and '$text-muted' in unset[0], unset
    # A light theme that wins over the dark one, a ground that does not suit code, a rule of styles.css
    assert '!default' in contrast_problems('site.scss', '#ffffff !default;', '#ffffff;')[0]
    assert contrast_problems('site.scss', '$code-block-bg: #fefefe', '$code-block-bg: #e0e0e0')
    css = '\nmain .note { color: #999; }\n'
    assert any('main .note' in p for p in contrast_problems('styles.css', '\n/* Long', f'{css}\n/* Long'))


def code_cell(text: str, **more) -> dict:
    return {'cell_type': 'code', 'source': [text], 'outputs': [], **more}


def test_folded_cells():
    for text in (
        'assert f(1) == 2',
        'test_eq(f(1), 2)\ntest_fail(lambda: f(0), contains="zero")',
        'import numpy as np\ntest_close(f(1), np.float32(2))',
        'x = f(1)\ntest_eq(x, 2)',
        'for k in range(3):\n    assert f(k) > k',
    ):
        assert site_pages.only_tests(code_cell(text)), text
    for text in (
        'f(1)',
        'x = f(1)\nx',
        'x = f(1)\nshow(x)\nassert x',
        'a = 1\nb = f(a)\ntest_eq(b, 2)',  # an example, with what comes out
        '%matplotlib inline\nassert True',
        '#| echo: false\nassert True',
        'x = f(1)',
    ):
        assert not site_pages.only_tests(code_cell(text)), text
    assert not site_pages.only_tests(code_cell('assert 1', outputs=[{'output_type': 'stream'}]))


SIGNATURE = """```python
def Thing(
    a:int, b:str | None=None, # Of `b` only
    *rest, # All others
    n:dict=<factory>, # New each time
)->list: # What comes back, in
two lines
```"""


def test_signatures():
    text = site_pages.documented(SIGNATURE, {}, {'Thing'}, set())
    assert text.startswith('```python\nclass Thing(a, b=None, *rest, n=...)\n```'), text
    rows = text.split('\n\n')[1].splitlines()[2:]
    assert rows == [
        '| `a` | `int` |  |  |',
        '| `b` | `str or None` | `None` | Of `b` only |',
        '| `*rest` |  |  | All others |',
        '| `n` | `dict` | `...` | New each time |',
        '| **returns** | `list` |  | What comes back, in two lines |',
    ], rows
    many = SIGNATURE.replace('<factory>', f'Settings({", ".join(f"x{i}={i}" for i in range(20))})')
    assert site_pages.documented(many, {}, set(), set()).count('Settings(...)') == 2
    plain = '```python\ndef f(\n    a:int, b:int=1\n):\n```'
    assert site_pages.documented(plain, {}, set(), set()) == plain


def test_properties():
    text = '### A.names\n\n```python\ndef names()->tuple[str, ...]: # In order\n```'
    shown = site_pages.documented(text, {}, set(), {'A.names'})
    assert shown == '### A.names\n\n```python\nnames: tuple[str, ...] # In order\n```', shown
    assert (
        site_pages.documented('### A.f\n\n```python\ndef f():\n```', {}, set(), {'A.names'}).count('()') == 1
    )
    assert {'Predictor.session', 'BasePredictor.class_names'} <= site.properties()
    assert 'Predictor.run' not in site.properties()


def test_types():
    for kind, text in {
        list[Path]: 'list[Path]',
        Optional[Callable[[int], None]]: 'Callable[[int], None] | None',
        int | str: 'int | str',
        tuple[dict[str, float], ...]: 'tuple[dict[str, float], ...]',
        Literal['a', 2]: "Literal['a', 2]",
        Path: 'Path',
    }.items():
        assert site_pages.type_text(kind) == text, (text, site_pages.type_text(kind))


def test_bars():
    table = '| `--preset full\\|quick` | `<a>\\|b` and `plain` |\n\n`a\\|b`'
    shown = site_pages.with_plain_bars(table)
    assert shown.splitlines()[0] == (
        '| <code>&#45;&#45;preset full&#124;quick</code> | <code>&#60;a&#62;&#124;b</code> and `plain` |'
    ), shown
    assert shown.endswith('`a\\|b`')  # not in a table


def test_page():
    page = {
        'cells': [
            {
                'cell_type': 'markdown',
                'source': ['[![Open](https://x/badge.svg)](https://y)\n', '\n', 'Text'],
            },
            code_cell('show_doc(f)', outputs=[{'data': {'text/markdown': ['### f\n']}}]),
            {'cell_type': 'markdown', 'source': ['## Section']},
            code_cell('show_doc(g)', outputs=[{'data': {'text/markdown': ['### g\n']}}]),
            code_cell('assert g'),
        ]
    }
    badge, first, _, second, tests = site_pages.dressed(page, {}, set(), set())['cells']
    assert ''.join(badge['source']) == '[![Open](https://x/badge.svg)](https://y)&nbsp;\n\nText'
    assert first['outputs'][0]['data']['text/markdown'] == ['## f\n']
    assert second['outputs'][0]['data']['text/markdown'] == ['### g\n']
    assert ''.join(tests['source']) == site_pages.FOLD + 'assert g'


def test_options():
    text = 'Type `x --help` or `--out DIR`, not `x` --y `z`.\n\n```bash\necho `x --help`\n```\n\n# `--out`\n'
    marked = text.replace('`x --help` or', '`x --help`{.option} or').replace('DIR`,', 'DIR`{.option},')
    assert site_pages.with_whole_options(text) == marked, site_pages.with_whole_options(text)
    long = '`vision-recipes train detection DIR --out RUN`'  # has to break on a phone
    assert site_pages.with_whole_options(long) == long
    assert site_pages.with_whole_options('`a--b` and `--`') == '`a--b` and `--`'


def test_first_class():
    words = {'cell_type': 'markdown', 'source': ['It opens a file:']}
    section = {'cell_type': 'markdown', 'source': ['## One way\n', '\n', 'Words']}
    base, late = code_cell('#| echo: false\nshow_doc(BasePredictor)'), code_cell('show_doc(Predictor)')
    cells = [words, section, base, words, late, section]
    assert site_pages.with_first_class(cells) == [words, words, late, section, base, section]
    assert site_pages.with_first_class(cells[:3]) == cells[:3]
    other = [section, code_cell('show_doc(Other)'), section]
    assert site_pages.with_first_class(other) == other


def page_of(*cells: dict):
    "A page of these cells"
    with tempfile.TemporaryDirectory() as tmp:
        built = Path(tmp) / 'page.ipynb'
        built.write_text(json.dumps({'cells': cells}), encoding='utf-8')
        page = site.Page(Path('index.ipynb'), built)
    page.raw, page.title = list(cells), 'Title'
    return page


def markdown_cell(text: str) -> dict:
    return {'cell_type': 'markdown', 'source': [text]}


def test_headings():
    jump = page_of(markdown_cell('## A'), markdown_cell('#### B\n\n##### C'))
    (found,) = site.check_headings(jump)
    assert "'#### B' follows 'A'" in found and found.endswith('Write it with ###'), found
    assert not list(site.check_headings(page_of(markdown_cell('## A\n\n### B\n\n#### C\n\n## D'))))
    fenced = page_of(markdown_cell('## A\n\n```\n#### no heading\n```'))
    assert not list(site.check_headings(fenced))
    shown = code_cell('show_doc(f)', outputs=[{'data': {'text/markdown': ['### f']}}])
    assert len(list(site.check_headings(page_of(shown)))) == 1


def test_summaries():
    title = '<details><summary>What does {} do?</summary>\n\nIt reads.\n\n</details>'
    assert len(list(site.check_summaries(page_of(markdown_cell(title.format('`check`')))))) == 1
    assert not list(site.check_summaries(page_of(markdown_cell(title.format('<code>check</code>')))))


def test_examples():
    def found(code):
        return list(site.check_examples(page_of(markdown_cell(f'```python\n{code}\n```'))))

    start = 'from vision_recipes.data import split\n'
    assert found(start + 'split(anns, valid=0.2)') == []
    assert 'gives split validation' in found(start + 'split(anns, validation=0.2)')[0]
    assert 'imports splits_of' in found('from vision_recipes.data import splits_of')[0]


def test_outputs():
    image = [{'output_type': 'execute_result', 'data': {'image/png': ['']}}]
    text = [{'output_type': 'stream', 'name': 'stdout', 'text': ['1']}]
    assert site.impossible(code_cell('x = 1', outputs=image))
    assert site.impossible(code_cell('def f():\n    print(1)', outputs=text))
    assert not site.impossible(code_cell('x = 1\nx', outputs=image))
    assert not site.impossible(code_cell('f()', outputs=text))
    (found,) = site.check_outputs(page_of(code_cell('x', outputs=image)))
    assert 'has no description' in found
    (found,) = site.check_outputs(page_of(code_cell('#| fig-alt: "A cat"\nx')))
    assert 'is not there' in found


def test_search():
    markdown = {'cell_type': 'markdown', 'source': ['## Reading\n\n### No such folder\n\nCause: `x`']}
    pages = {
        'project/errors.html': [markdown],
        'data/files.html': [code_cell(site_pages.FOLD + "test_fail(f,\n    contains='no such folder')")],
    }
    entries = [
        {'href': 'data/files.html', 'title': 'files', 'section': '', 'text': 'Open.\nTests\ntest_fail(f, '
         "contains='no such folder')\nMore."},
        {'href': 'project/errors.html#reading', 'title': 'Errors', 'section': 'Reading',
         'text': 'Words\nNo such folder\n<folder>: no such folder.\nCause'},
    ]  # fmt: skip
    made = site_search.pruned(entries, pages)
    assert made[0]['text'].split() == ['Open.', 'More.'], made[0]
    mixed = 'a = 1\nb = f(a)\nprint(b)\ntest_eq(b, 2)\nassert a'
    assert site_search.test_code([code_cell(mixed)]) == ['test_eq(b, 2)', 'assert a']
    last = made[-1]
    assert (last['href'], last['section']) == ('project/errors.html#no-such-folder', 'No such folder'), last
    assert site_search.found('no such folder', made) == ['project/errors.html']
    assert any("'webcam' finds nothing" in p for p in site_search.check_queries(made))


def test_widths():
    long = 'x' * 300
    text = code_cell('f()', outputs=[{'output_type': 'stream', 'text': [f'{long}\n']}])
    page = {'cells': [markdown_cell(f'`{long}` and words\n\n- `{long}`'), text]}
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        (folder / 'page.ipynb').write_text(json.dumps(page), encoding='utf-8')
        css = (NBS / 'styles.css').read_text(encoding='utf-8')
        (folder / 'styles.css').write_text(css, encoding='utf-8')
        found, skipped = site_widths.check_widths(folder, folder / 'drawn')
        if skipped:
            print(f'skipped, the widths of pages: {skipped}')
            return
        assert found == []
        (folder / 'styles.css').write_text(css.replace('pre-wrap', 'pre'), encoding='utf-8')
        found, _ = site_widths.check_widths(folder, folder / 'drawn')
    wide = [problem for problem in found if 'pixels wide on a screen of' in problem]
    assert len(wide) == 2 and len(found) == 4, found  # at both widths; the output is cut off there, too


if __name__ == '__main__':
    names = [name for name in dict(globals()) if name.startswith('test_')]
    for name in names:
        globals()[name]()
    print(f'{len(names)} passed')
