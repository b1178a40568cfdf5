#!/usr/bin/env python3
"""Whether pages fit a phone (390 pixels) and a small screen (1024), and no output is cut off, in Chromium

`site.py` calls it with pages that are drawn here by mistune, with nbs/styles.css and a few rules in place of
Quarto's. `python .ci/site_widths.py SITE` measures the pages that Quarto made, in the folder SITE.
"""

import functools
import http.server
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path

WIDTHS = (390, 1024)
LIMIT = 90  # seconds for the pages that are drawn here; 20 on two idle cores
SITE_LIMIT = 900  # seconds for all pages of a site
BROWSERS = 'chromium chromium-browser google-chrome google-chrome-stable chrome'.split()
FLAGS = (
    '--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking '
    '--disable-component-update --disable-sync --disable-extensions'
).split()
# What matters of Quarto's styles for the width of a page
BASE = """
html { font-size: 17px } body { margin: 0; line-height: 1.5; font-family: sans-serif }
main { padding: 0 12px; max-width: 800px; margin: auto } code { white-space: pre } table { border-spacing: 0 }
td, th { padding: 8px } pre { overflow: auto; white-space: pre }
pre, code { font-family: monospace; font-size: .875em }
"""
FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title>
<style>%s</style><link rel="stylesheet" href="/styles.css">
<main class="content" id="quarto-document-content">%s</main></html>"""
DRIVER = """<!doctype html><meta charset="utf-8"><iframe id="frame" style="border:0;height:800px"></iframe>
<script>
const frame = document.getElementById('frame'), told = [];
const shown = e => (e.innerText || e.tagName).trim().slice(0, 60);
function look(page, width) {
  const inside = frame.contentDocument, all = [...inside.querySelectorAll('body *')];
  const wide = inside.scrollingElement.scrollWidth;
  if (wide > width) {
    const scrolls = e => e && (getComputedStyle(e).overflowX != 'visible' || scrolls(e.parentElement));
    const out = all.filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement));
    told.push([page, width, 'wide', wide, out.length ? shown(out[out.length - 1]) : '']);
  }
  for (const e of inside.querySelectorAll('main pre'))
    if (e.scrollWidth > e.clientWidth + 1) told.push([page, width, 'cut', e.scrollWidth, shown(e)]);
}
async function run() {
  for (const page of PAGES) {
    await new Promise(done => { frame.onload = done; frame.style.width = '390px'; frame.src = '/' + page; });
    for (const width of WIDTHS) { frame.style.width = width + 'px'; look(page, width); }
  }
}
run().catch(e => told.push(['driver', 0, 'error', 0, String(e)]))
     .then(() => fetch('/told', {method: 'POST', body: JSON.stringify(told)}));
</script>"""


class Told(http.server.SimpleHTTPRequestHandler):
    "The pages, and an ear for what the driver tells"

    def do_POST(self):
        self.server.told = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, *args):
        pass


def browser() -> str | None:
    "A browser of Chromium's family: by $CHROME, or by name"
    names = [os.environ.get('CHROME', ''), *BROWSERS]
    return next(filter(None, map(shutil.which, filter(None, names))), None)


def measured(folder: Path, pages: list[str], program: str, limit: int) -> list | None:
    "What the driver tells of the pages in a folder; None where the browser did not come to an end"
    driver = DRIVER.replace('PAGES', json.dumps(pages)).replace('WIDTHS', json.dumps(WIDTHS))
    (folder / 'driver.html').write_text(driver, encoding='utf-8')
    handler = functools.partial(Told, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        server.done, server.told = threading.Event(), None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            address = f'http://127.0.0.1:{server.server_port}/driver.html'
            window = subprocess.Popen(
                [program, *FLAGS, f'--user-data-dir={profile}', '--window-size=1100,900', address],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            server.done.wait(limit)
            window.terminate()
            window.wait(30)
        server.shutdown()
        (folder / 'driver.html').unlink()
        return server.told


def in_words(told: list) -> Iterator[str]:
    "What was measured, as problems"
    for page, width, what, found, where in told:
        if what == 'error':
            yield f'the widths could not be measured: {where}'
        elif what == 'wide':
            yield f'{page}: is {found} pixels wide on a screen of {width}: {where!r}'
        else:
            yield f'{page}: cut off at the right on a screen of {width} pixels: {where!r}'


def output_html(output: dict, markdown) -> str:
    "An output as a page shows it; images do not matter here, styles.css keeps them inside the page"
    data = output.get('data', {})
    if 'text/markdown' in data:
        return markdown(''.join(data['text/markdown']))
    if 'text/html' in data:
        return f'<div class="cell-output">{"".join(data["text/html"])}</div>'
    if any(kind.startswith('image/') for kind in data):
        return ''
    text = ''.join(output.get('text') or data.get('text/plain', ''))
    return f'<div class="cell-output"><pre><code>{escape(text)}</code></pre></div>' if text.strip() else ''


def page_html(cells: list, markdown) -> str:
    "A page, nearly as Quarto makes it: what is folded is open"
    parts = []
    for cell in cells:
        text = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            # mistune knows no classes of code in a line
            parts.append(markdown(text.replace('`{.option}', '`')))
        if cell['cell_type'] == 'code' and not re.search('^#\\| *echo: *false', text, re.M):
            code = escape(re.sub(r'^#\|.*\n?', '', text, flags=re.M))
            parts.append(f'<pre class="sourceCode"><code class="sourceCode">{code}</code></pre>')
        parts += [output_html(output, markdown) for output in cell.get('outputs', [])]
    return FRAME % (BASE, '\n'.join(parts))


@functools.cache
def renderer():
    "What draws Markdown as HTML; None where mistune, which does it, is not installed"
    if not importlib.util.find_spec('mistune'):
        return None
    return importlib.import_module('mistune').create_markdown(escape=False, plugins=['table'])


def draw(built: Path, page: Path, folder: Path):
    "Draw a page that nbdev built into another folder, if mistune is there and it is not drawn yet"
    to = folder / page.with_suffix('.html')
    if renderer() and not to.exists():
        to.parent.mkdir(parents=True, exist_ok=True)
        cells = json.loads((built / page).read_text(encoding='utf-8'))['cells']
        to.write_text(page_html(cells, renderer()), encoding='utf-8')


def check_widths(built: Path, drawn: Path) -> tuple[list[str], str]:
    """Problems of the pages that nbdev built, and why nothing was measured, empty if it was.

    Pages that are not in the folder `drawn` yet are drawn there first.
    """
    program = browser()
    if not program:
        return [], 'there is no browser of the family of Chromium'
    if not renderer():
        return [], 'mistune, which draws the pages, is not installed'
    pages = [path.relative_to(built) for path in sorted(built.rglob('*.ipynb'))]
    for page in pages:
        draw(built, page, drawn)
    shutil.copyfile(built / 'styles.css', drawn / 'styles.css')
    told = measured(drawn, [page.with_suffix('.html').as_posix() for page in pages], program, LIMIT)
    if told is None:
        return [], f'{program} did not measure all pages within {LIMIT} s'
    return list(in_words(told)), ''


def main() -> int:
    site = Path(sys.argv[1])
    program = browser()
    if not program:
        sys.exit('there is no browser of the family of Chromium')
    pages = [p.relative_to(site).as_posix() for p in sorted(site.rglob('*.html'))]
    told = measured(site, pages, program, SITE_LIMIT)
    problems = [f'no result within {SITE_LIMIT} s'] if told is None else list(in_words(told))
    print('\n'.join(problems) or 'all pages fit')
    return bool(problems)


if __name__ == '__main__':
    sys.exit(main())
