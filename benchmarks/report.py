"""What the benchmarks share: rows of ratios, printed with their targets and written as JSON"""

import json
import os
import platform
import sys
from pathlib import Path


def row_of(images, contestant, ms, tutorial_ms, target):
    "The row of a contestant: its time and the tutorial's in ms an image, their ratio, and the ratio wanted"
    return {
        'images': images,
        'contestant': contestant,
        'ratio': tutorial_ms / ms,
        'ms': ms,
        'tutorial_ms': tutorial_ms,
        'target': target,
    }


def rows_of(images, ms, rivals, targets):
    "A row a contestant in `ms`; `rivals` says against which of the tutorial's times each kind is measured"
    return [
        row_of(images, contestant, t, ms[rivals[contestant.split(',')[0]]], targets.get(contestant))
        for contestant, t in ms.items()
        if not contestant.startswith('tutorial')
    ]


def verdict(row, digits=1):
    "`  target 2.0: met`; nothing where the row has no target"
    if not row['target']:
        return ''
    return f'  target {row["target"]:.{digits}f}: {"met" if row["ratio"] >= row["target"] else "MISSED"}'


def show(rows, width=30):
    for r in rows:
        print(
            f'  {r["ratio"]:6.2f} x  {r["contestant"]:{width}} {r["ms"]:7.2f} ms an image against '
            f'{r["tutorial_ms"]:7.2f}{verdict(r)}',
            flush=True,
        )


def write_report(path: Path | None, **figures):
    "Write `figures` with the command and the machine; nothing where `path` is None"
    if path is None:
        return
    report = {
        'command': ' '.join(sys.argv),
        'machine': platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        **figures,
    }
    path.write_text(json.dumps(report, indent=2) + '\n')
