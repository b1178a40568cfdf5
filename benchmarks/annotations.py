"""Reading annotations of HaGRID's size and looking a row up, against the tutorial's way through pandas.

    python benchmarks/annotations.py [--json results.json] [--records 30000] [--runs 7] [--processes 3]

The set is made here: a JSON file for each of 18 classes in HaGRID's layout, and empty files as images, for
readers look at names only. Theirs: `pd.read_json(file).transpose()` of each file, joined, and of that the
rows of the images found. Ours: `read_annotations`, which recognises the format too, and counts what is
missing. Contestants take turns, and each figure is the median of its runs; memory is the growth of a fresh
process's resident set that holds the table and nothing else. Ratios count; seconds are this machine's.
"""

import argparse, importlib, json, os, statistics, subprocess, sys, tempfile, time, uuid
from pathlib import Path
import numpy as np
from report import verdict, write_report

GESTURES = (
    'call',
    'dislike',
    'fist',
    'four',
    'like',
    'mute',
    'ok',
    'one',
    'palm',
    'peace',
    'peace_inverted',
    'rock',
    'stop',
    'stop_inverted',
    'three',
    'three2',
    'two_up',
    'two_up_inverted',
)
TARGETS = {'read': 40.0, 'read, processor time': 40.0}


# ---- the data


def write_set(root, n):
    "`n` records over 18 classes: one hand or two, 8 digits, a person for about five images"
    rng = np.random.default_rng(0)
    for k, name in enumerate(GESTURES):
        records = {}
        (root / f'train_val_{name}').mkdir(parents=True)
        for i in range(k, n, len(GESTURES)):
            m = 1 + int(rng.random() < 0.25)
            stem = str(uuid.UUID(int=int(rng.integers(1 << 62)) << 64 | i, version=4))
            records[stem] = {
                'bboxes': np.round(rng.uniform(0.05, 0.45, (m, 4)), 8).tolist(),
                'labels': [name, 'no_gesture'][:m],
                'leading_hand': 'right',
                'leading_conf': 1.0,
                'user_id': f'{rng.integers(n // 5):064x}',
            }
            (root / f'train_val_{name}' / f'{stem}.jpg').touch()
        path = root / 'ann_train_val' / f'{name}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(records))
    size = sum(f.stat().st_size for f in (root / 'ann_train_val').iterdir())
    print(f'{n:,} records in {len(GESTURES)} files, {size / 1e6:.1f} MB of JSON')


# ---- the contestants


def theirs(root):
    "The paths of the images by stem, and one frame of all files with the rows of those that are there"
    import pandas as pd

    paths = {p.stem: p for folder in sorted(root.glob('train_val_*')) for p in folder.glob('*.jpg')}
    frame = pd.concat(
        [pd.read_json(f).transpose() for f in sorted((root / 'ann_train_val').glob('*.json'))],
        ignore_index=False,
    )
    return paths, frame.loc[list(paths)], list(paths)


def ours(root):
    from vision_recipes.data.readers import read_annotations

    return read_annotations(root)


def their_row(table, i):
    paths, frame, stems = table
    row = frame.loc[stems[i]]
    return paths[stems[i]], row['labels'], row['bboxes']


def our_row(anns, i):
    a, b = anns.class_ids.offsets[i], anns.class_ids.offsets[i + 1]
    return anns.path(i), anns.class_ids.values[a:b], anns.boxes_rel[a:b]


def same(table, anns):
    "Both read the same images and boxes"
    row, stems = {Path(p).stem: i for i, p in enumerate(anns.paths)}, table[2]
    for i in range(0, len(stems), max(1, len(stems) // 200)):
        path, labels, boxes = their_row(table, i)
        mine, ids, rel = our_row(anns, row[stems[i]])
        xywh = np.concatenate([rel[:, :2], rel[:, 2:] - rel[:, :2]], 1)
        if (path, labels) != (mine, [anns.class_names[c] for c in ids]) or np.abs(
            xywh - np.array(boxes)
        ).max() > 1e-6:
            sys.exit(f'{path}: the two do not agree')
    if len(stems) != len(anns):
        sys.exit(f'they read {len(stems)} images, we {len(anns)}')


# ---- the contest


def contest(rivals, runs):
    "Let them take turns; medians of wall clock and processor seconds, after a round that does not count"
    wall, cpu = {name: [] for name in rivals}, {name: [] for name in rivals}
    for k in range(runs + 1):
        for name, run in rivals.items():
            start, busy = time.perf_counter(), time.process_time()
            run()
            if k:
                wall[name].append(time.perf_counter() - start)
                cpu[name].append(time.process_time() - busy)
    return {name: (statistics.median(wall[name]), statistics.median(cpu[name])) for name in rivals}


def looks(row, table, order):
    for i in order:
        row(table, i)


def resident():
    "Bytes of this process in memory"
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def hold(root, who):
    "In a fresh process: how much it grows by reading and keeping the table"
    import gc

    # their own size does not count
    for module in ('pandas', 'vision_recipes.data.formats.hagrid'):
        importlib.import_module(module)
    before = resident()
    table = globals()[who](root)
    gc.collect()
    print(resident() - before, len(table))


def memory(root, who, n):
    "Median growth over `n` processes"
    command = [sys.executable, __file__, '--hold', who, '--root', str(root)]
    return statistics.median(
        int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
        for _ in range(n)
    )


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--json', type=Path, help='write the figures here')
    p.add_argument('--records', type=int, default=30_000, help='annotated images (default 30000)')
    p.add_argument('--runs', type=int, default=7, help='runs that count, each (default 7)')
    p.add_argument(
        '--processes',
        type=int,
        default=3,
        help='processes for the memory figure, Linux only; 0: leave it out (default 3)',
    )
    p.add_argument('--hold', choices=['theirs', 'ours'], help=argparse.SUPPRESS)
    p.add_argument('--root', type=Path, help=argparse.SUPPRESS)
    return p.parse_args(argv)


def measure(root, args):
    "All figures: name, theirs, ours, unit"
    read = contest({'theirs': lambda: theirs(root), 'ours': lambda: ours(root)}, args.runs)
    table, anns = theirs(root), ours(root)
    same(table, anns)
    order = np.random.default_rng(1).integers(0, len(anns), 1000).tolist()
    look = contest(
        {'theirs': lambda: looks(their_row, table, order), 'ours': lambda: looks(our_row, anns, order)},
        args.runs,
    )
    rows = [
        ('read', read['theirs'][0], read['ours'][0], 's'),
        ('read, processor time', read['theirs'][1], read['ours'][1], 's'),
        ('look up a row', look['theirs'][1] * 1e3, look['ours'][1] * 1e3, 'us'),
    ]
    if args.processes and Path('/proc/self/statm').exists():
        rows.append(
            ('memory', *(memory(root, who, args.processes) / 1e6 for who in ('theirs', 'ours')), 'MB')
        )
    return [
        {
            'what': what,
            'ratio': a / max(b, 1e-9),
            'theirs': a,
            'ours': b,
            'unit': unit,
            'target': TARGETS.get(what),
        }
        for what, a, b, unit in rows
    ]


def main():
    args = parse()
    if args.hold:
        return hold(args.root, args.hold)
    with tempfile.TemporaryDirectory() as tmp:
        write_set(Path(tmp), args.records)
        rows = measure(Path(tmp), args)
    for r in rows:
        print(
            f'  {r["ratio"]:6.1f} x  {r["what"]:22} {r["ours"]:8.3f} {r["unit"]} against '
            f'{r["theirs"]:8.3f}{verdict(r, digits=0)}'
        )
    write_report(args.json, records=args.records, rows=rows)


if __name__ == '__main__':
    main()
