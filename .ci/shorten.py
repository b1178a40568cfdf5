"""Recipes that draw fewer images and train two epochs: does every cell run, whatever the scores?

`test.py` runs recipes so unless it is given `--slow`, and `colab.py` where it is given `--short`. Trained
at full length on two cores without bfloat16, the recipes alone take three quarters of an hour.
"""

import re

# What is put in place of what
SHORTER = [
    (r"(make_settings\((?:task|'\w+'), (?:preset|'quick'))", r'\1, epochs=2'),
    (r'(\.replace\(epochs)=\d+', r'\1=2'),
    (r'(make_samples\([^()\n]*?), n=\d+', r'\1, n=120'),
    (r'(make_samples\((?![^()\n]*n=)[^()\n]*?), seed', r'\1, n=120, seed'),
    (r'(dataset_folder\([^()\n]*?), n=\d+', r'\1, n=120'),
    (r'steps=\d+', 'steps=10'),
]


def shortened(source: str) -> str:
    "A cell that does less of the same"
    for pattern, replacement in SHORTER:
        source = re.sub(pattern, replacement, source)
    return source


def shorten(cells: list, name: str):
    "Let the cells of a notebook do less of the same. Raises `ValueError` where none does"
    found = False
    for cell in cells:
        if cell['cell_type'] == 'code':
            less = shortened(''.join(cell['source']))
            found |= less != ''.join(cell['source'])
            cell['source'] = less
    if not found:
        raise ValueError(f'{name}: nothing to shorten was found: SHORTER in .ci/shorten.py no longer fits')
