#!/usr/bin/env python3
"""Make README.md of nbs/index.ipynb. nbdev_readme does the same, but needs Quarto"""

import json, re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shown(cell: dict) -> str:
    "A cell as Markdown; hidden cells and images in outputs are left out"
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown':
        return source
    if source.startswith('#| hide'):
        return ''
    texts = [''.join(o.get('text') or o.get('data', {}).get('text/plain', '')) for o in cell['outputs']]
    code = re.sub(r'^#\|.*\n', '', source, flags=re.M)
    return f'```python\n{code}\n```' + ''.join(
        f'\n\n    {t.rstrip()}'.replace('\n', '\n    ').replace('    \n    ', '\n', 1)
        for t in texts
        if t.strip()
    )


cells = json.loads((ROOT / 'nbs' / 'index.ipynb').read_text(encoding='utf-8'))['cells']
text = '\n\n'.join(filter(None, map(shown, cells)))
# Pages link to each other relative to nbs/; the README stands one floor above
text = re.sub(r'\]\((?!https?:|#)([^)]+)\)', r'](nbs/\1)', text)
(ROOT / 'README.md').write_text(
    '<!-- Made from nbs/index.ipynb by .ci/readme.py: edit that -->\n\n' + text + '\n',
    encoding='utf-8',
    newline='\n',
)
