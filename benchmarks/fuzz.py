"""Broken and hostile files for every reader: what comes out is a result or an error of this library.

    python benchmarks/fuzz.py [--inputs 100000] [--seed 0] [--formats coco voc ...] [--json results.json] \\
        [--keep FOLDER]

Nothing may be written outside the folders that are named, and nothing may hang. hypothesis makes the files:
valid documents in which some values are of the wrong type, not finite, huge, deeply nested, missing or in the
wrong place; data sets in which names are spelled otherwise, lie in folders of tools or have other suffixes;
and valid files in which bytes are changed, cut off, doubled or encoded otherwise. What is read
is used as people use it: `check`, `measure`, `fix_boxes`, `to_frame`, `split`, an item of `ImageDataset`, the
writers, a prediction. Every format runs in a process of its own, whose memory is limited, so that a crash is
a result too. Anything but a valid result or a `VisionRecipesError` is foreign: it is counted once for each
place in the code, with the smallest input that led there, and `--keep` writes those inputs to a folder. An
audit hook sees every file that Python opens for writing. The exit code is 1 where anything foreign came out.
"""

import argparse
import base64
import copy
import io
import json
import logging
import math
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import unicodedata
import warnings
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st
from PIL import Image

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
from vision_recipes.data.annotations import Annotations, with_groups
from vision_recipes.data.readers import read_annotations
from vision_recipes.core.errors import VisionRecipesError
from vision_recipes.core.masks import pack_runs

SLOW = 10  # Seconds after which an input counts as a hang
MEMORY = 4 << 30  # Bytes that a process may take beyond what it has when it begins
ROUND = 500  # Inputs of a round: hypothesis remembers what it has tried, and forgets it with the round


# ---- wrong values, and documents with some

BIG, DEEP, LONG = '@big@', '@deep@', '@long@'  # stand-ins for what `json.dumps` cannot write
RAW = {
    f'"{BIG}"': '9' * 5000,
    f'"{DEEP}"': '[' * 100_000 + ']' * 100_000,
    f'"{LONG}"': '"' + 'long ' * 20_000 + '"',
}


def nested(n, value=1):
    for i in range(n):
        value = [value] if i % 2 else {'a': value}
    return value


ODD = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    255,
    2**15,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    -(10**400),
    BIG,
    0.5,
    -0.5,
    1.5,
    -0.0,
    1e-320,
    1e20,
    1e38,
    4e38,
    -1e39,
    1e300,
    1e308,
    -1e308,
    math.nan,
    math.inf,
    -math.inf,
    '',
    ' ',
    'x',
    'a.jpg',
    '1',
    '-1',
    '0.5',
    'nan',
    'inf',
    '1e999',
    '\0',
    'a\0b',
    '\ud800',
    '\udcff',
    'a\ud800.jpg',
    'ä',
    '手',
    '\u202e',
    '\ufeff',
    'a\nb',
    'x' * 300,
    LONG,
    '.',
    '..',
    '/',
    '//',
    '../..',
    '../../../escape.png',
    '/dev/zero',
    '/dev/stdin',
    '/proc/self/mem',
    '/tmp/escape.png',
    '~',
    'C:\\x.png',
    '..\\..\\x.png',
    'CON',
    'aux.png',
    'a ',
    'a.',
    '%s',
    '{0}',
    '{x!r}',
    '<script>',
    '__class__',
    'null',
    'true',
    [],
    {},
    [[]],
    [{}],
    [None],
    [0],
    ['x'],
    [1, 2],
    [1, 2, 3],
    [1, 2, 3, 4],
    [-1, -1, -1, -1],
    [0, 0, 0, 0],
    [4, 4, 1, 1],
    [1e38] * 4,
    [1e308] * 4,
    [math.nan] * 4,
    [2**70] * 4,
    [True] * 4,
    ['1'] * 4,
    [[1, 2], [3, 4]],
    [[1, 2, 3, 4, 5, 6]],
    [[1e308] * 6],
    [[math.nan] * 8],
    list(range(1000)),
    [1, 2] * 500,
    {'a': 1},
    {'x': 1, 'y': 2},
    {'': None},
    {'size': [8, 8], 'counts': [64]},
    {'size': [2**20, 2**20], 'counts': [2**40]},
    {'size': [2**31, 2**31], 'counts': [2**62]},
    {'size': [8, 8], 'counts': 'P2'},
    {'size': [-8, -8], 'counts': [64]},
    nested(50),
    nested(900),
    DEEP,
]
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
numbers = st.floats() | st.integers() | st.floats(-20, 40) | st.integers(-3, 20)
hostile = st.sampled_from(ODD) | st.sampled_from(ODD) | numbers | plain


def places(doc, path=()):
    "Every place in a document: the containers and keys or positions that lead there"
    items = doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    for k, v in items:
        yield (doc, k)
        yield from places(v, path + (k,))


@st.composite
def documents(draw, valid: list):
    "A valid document with up to four wrong values"
    doc = copy.deepcopy(valid[draw(st.integers(0, len(valid) - 1))])
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 3, 0]))):
        if not (all_places := list(places(doc))):
            return draw(hostile)
        holder, key = all_places[draw(st.integers(0, len(all_places) - 1))]
        how = draw(st.integers(0, 11))
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif how == 1:
            holder[str(draw(hostile))[:50] if draw(st.booleans()) else str(key).upper()] = holder.pop(key)
        elif how == 2 and isinstance(holder[key], list) and len(holder[key]) < 50:
            holder[key] = holder[key] * 3
        elif how == 3:
            holder[key] = [holder[key]]
        elif how == 4:
            holder[key] = str(holder[key])[:500]
        elif how == 5 and isinstance(holder[key], (int, float)):
            holder[key] = draw(numbers)
        else:
            holder[key] = copy.deepcopy(draw(hostile))
    return doc if draw(st.integers(0, 60)) else draw(hostile)


def as_json(doc) -> bytes:
    text = json.dumps(doc)
    for stand_in, raw in RAW.items():
        text = text.replace(stand_in, raw)
    return text.encode('utf-8', 'surrogatepass')


@st.composite
def wounded(draw, data: bytes, few: int = 1):
    "Bytes of a file, a share of them changed: one in `few` stays whole"
    if few > 1 and draw(st.integers(0, few - 1)):
        return data
    for _ in range(draw(st.integers(1, 4))):
        how, n = draw(st.integers(0, 8)), len(data)
        at = draw(st.integers(0, max(0, n - 1)))
        if how == 0:
            data = data[:at]
        elif how <= 3:
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        elif how == 4:
            data = data[:at] + draw(st.binary(max_size=6)) + data[at:]
        elif how == 5:
            data = data[:at] + data[at + draw(st.integers(1, 16)) :]
        elif how == 6:
            data = (
                data[:at]
                + draw(
                    st.sampled_from(
                        [
                            b'\xff\xff\xff\xff',
                            b'\0\0\0\0',
                            b'\x7f\xff\xff\xff',
                            b'\xff\xff\xff\x7f',
                            b'\0\0',
                            b'\xff\xff',
                            b'\x80' * 4,
                        ]
                    )
                )
                + data[at + draw(st.sampled_from([2, 4])) :]
            )
        elif how == 7:
            data = data[:at] + data[: draw(st.integers(0, n))]
        else:
            data = draw(st.binary(max_size=24)) if draw(st.integers(0, 9)) == 0 else data + data[-at:]
    return data


@st.composite
def texts(draw, text):
    "A text file: as it is, in another encoding, or with wounds"
    data = draw(text)
    how = draw(st.integers(0, 39))
    if how == 0:
        return data.decode('utf-8', 'surrogatepass').encode(
            draw(st.sampled_from(['utf-16', 'utf-32', 'utf-8-sig', 'utf-7'])), 'replace'
        )
    if how == 1:
        return data.decode('utf-8', 'surrogatepass').encode('latin-1', 'replace').replace(b'?', b'\xe9')
    return draw(wounded(data)) if how < 6 else data


# ---- images


def image(size_wh=(12, 8), mode='RGB', format='PNG', **more):
    f, (w, h) = io.BytesIO(), size_wh
    a = (np.arange(w * h * 3) * 7 % 256).astype(np.uint8).reshape(h, w, 3)
    Image.fromarray(a).convert(mode).save(f, format, **more)
    return f.getvalue()


def _exif(turn):
    e = Image.Exif()
    e[0x0112] = turn
    return e.tobytes()


def images() -> list[bytes]:
    "A small image of every kind"
    found = [
        image(format='JPEG'),
        image(format='JPEG', progressive=True),
        image(mode='L', format='JPEG'),
        image(mode='CMYK', format='JPEG'),
        image(format='JPEG', exif=_exif(6)),
        image((40, 30), format='JPEG', exif=_exif(3)),
        image(),
        image(mode='RGBA'),
        image(mode='P'),
        image(mode='P', transparency=3),
        image(mode='L', transparency=7),
        image(mode='I;16'),
        image(mode='1'),
        image(exif=_exif(5)),
        image(pnginfo=_chunks()),
        image(format='WEBP'),
        image(format='WEBP', lossless=True),
        image(mode='RGBA', format='WEBP', exif=_exif(8)),
        image(format='BMP'),
        image(mode='P', format='BMP'),
        image(mode='1', format='BMP'),
        image(format='GIF'),
        image(format='ICO'),
        image(format='PPM'),
        image(format='TGA'),
        image(format='PCX'),
        image(format='SGI'),
        image(format='JPEG2000'),
        image((16, 16), format='DDS'),
        image((16, 16), format='ICNS'),
    ]
    found += [
        image(format='TIFF', compression=c, **more)
        for c in (None, 'tiff_lzw', 'tiff_adobe_deflate', 'jpeg', 'packbits')
        for more in ({}, {'exif': _exif(6)})
    ] + [image(mode=m, format='TIFF') for m in ('I;16', 'F', 'RGBA', '1', 'CMYK', 'LAB')]
    return found


def _chunks():
    from PIL.PngImagePlugin import PngInfo

    p = PngInfo()
    p.add_text('comment', 'x' * 50)
    p.add_itxt('XML:com.adobe.xmp', '<x tiff:Orientation="6"/>', zip=True)
    return p


@st.composite
def boasting_png(draw):
    "A PNG whose header says another size, with the right checksum"
    data = image()
    w, h = (draw(st.sampled_from([0, 1, 7, 20000, 2**15, 2**24, 2**31 - 1, 2**32 - 1])) for _ in 'wh')
    ihdr = (
        b'IHDR'
        + struct.pack('>II', w, h)
        + bytes(
            [
                draw(st.sampled_from([1, 2, 4, 8, 16, 3])),
                draw(st.sampled_from([0, 2, 3, 4, 6, 5])),
                0,
                0,
                draw(st.integers(0, 2)),
            ]
        )
    )
    return data[:12] + ihdr + struct.pack('>I', __import__('zlib').crc32(ihdr)) + data[33:]


SPOILT = [
    b'',
    b'x',
    b'version https://git-lfs.github.com/spec/v1\n',
    b'PK\x03\x04',
    b'<html>',
    b'GIF89a',
    b'\xff\xd8\xff',
    b'BM',
    b'II*\0',
    b'\x89PNG\r\n\x1a\n',
    image()[:40],
]


# ---- what is done with what was read


def steps(work: Path) -> dict[str, Callable]:
    "What people do with annotations; each may refuse, in this library's words"
    import torchvision.tv_tensors  # noqa: F401  takes seconds: here, not in the time of the first input
    from vision_recipes.dataloading.transforms.detection import LetterboxTarget
    from vision_recipes.data.formats.coco import write_coco
    from vision_recipes.dataloading.dataset import ImageDataset
    from vision_recipes.data.frame import to_frame
    from vision_recipes.data.formats.labelme import write_labelme
    from vision_recipes.data.splits import split
    from vision_recipes.dataloading.transforms.pixels import Letterbox
    from vision_recipes.data.formats.yolo import write_yolo

    def item(anns, transform):
        data = ImageDataset(anns, transform)
        return [data[i] for i in range(min(3, len(data)))]

    def new(name):
        return work / 'out' / f'{name}{time.perf_counter_ns()}'

    return {
        'repr': repr,
        'check': lambda a: str(a.check().summary()) + a.check(files=False)._repr_html_(),
        'measure': lambda a: a.measure(),
        'clip': lambda a: item(a.fix_boxes('clip'), LetterboxTarget(32) if a.has_boxes else Letterbox(32)),
        'drop': lambda a: a.fix_boxes('drop').fingerprint(),
        'raise': lambda a: a.fix_boxes(),
        'item': lambda a: item(a, None),
        'frame': to_frame,
        'split': lambda a: split(a, 0.5),
        'groups': lambda a: with_groups(a, 'folder'),
        'coco': lambda a: read_annotations(write_coco(a, new('coco').with_suffix('.json')), 'coco'),
        'labelme': lambda a: write_labelme(a, new('labelme')),
        'yolo': lambda a: write_yolo(a, new('yolo')),
    }


# ---- the formats


@dataclass
class Format:
    "How a kind of file is made and read"

    inputs: st.SearchStrategy  # Of {path below the folder: bytes}
    read: Callable  # From the folder to a result
    still: dict = field(default_factory=dict)  # Files that stay as they are
    weight: float = 1.0  # Share of the inputs
    fresh: bool = False  # Whether every input gets an empty folder


PICS = {f'{n}.png': image() for n in 'abc'} | {'d.jpg': image((9, 16), format='JPEG', exif=_exif(6))}


IMAGE_NAMES = [
    'a.png',
    'b.jpg',
    'c.jpeg',
    'D.PNG',
    '.hidden.png',
    'e.txt',
    'f',
    'ä.png',
    'x\udcff.png',
    'g.tif',
    'a b.webp',
    'q\'"<>&.png',
    'n\nl.png',
    'x' * 200 + '.png',
    'a.jfif',
    'A.PNG',
    'b.heic',
    'c.cr2',
    'Thumbs.db',
    '@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg',
    'a\u0308.png',
]
FOLDER_NAMES = [
    'palm',
    'fist',
    'Palm',
    'train',
    'val',
    'ä',
    '.git',
    '__MACOSX',
    'x\udcff',
    'palm/deep/er',
    'a b',
    '',
    '<i>',
    'n\nl',
    '-1',
]
CSV_CELLS = [  # of a file that says which group an image belongs to
    'palm/a.png',
    'fist/b.jpg',
    'palm\\a.png',
    '"',
    '"a',
    'x' * 200_000,
    '\0',
    '',
    'p1',
    'p2',
    '\n',
    ',',
    '\ud800',
]


def read_with_groups(folder):
    "Read a folder of classes, and the groups of its images where there is a file of them"
    anns = read_annotations(folder / 'set', 'image_folder')
    if (folder / 'groups.csv').exists():
        try:
            return with_groups(anns, folder / 'groups.csv')
        except VisionRecipesError:
            pass
    return anns


def image_folder():
    path = st.tuples(st.sampled_from(FOLDER_NAMES), st.sampled_from(IMAGE_NAMES))
    contents = (
        st.sampled_from([*PICS.values(), *SPOILT, *images()[:20]])
        | wounded(image())
        | wounded(image(format='JPEG'))
        | boasting_png()
    )
    files = st.dictionaries(
        path.map(lambda parts: '/'.join(filter(None, parts))), contents, min_size=1, max_size=6
    )
    rows = st.lists(st.lists(st.sampled_from(CSV_CELLS), max_size=3), max_size=5)
    table = texts(rows.map(lambda rows: '\n'.join(map(','.join, rows)).encode('utf-8', 'surrogatepass')))

    def placed(drawn):
        files, csv = drawn
        return {**{f'set/{k}': v for k, v in files.items()}, **({} if csv is None else {'groups.csv': csv})}

    return Format(st.tuples(files, st.none() | table).map(placed), read_with_groups, fresh=True)


def groups_csv():
    "A table with a row an image, in which some things are wrong"
    row = st.tuples(
        st.sampled_from(['palm/a.png', 'palm/b.png', 'fist/c.png', 'palm\\a.png', './palm/a.png', '']),
        st.sampled_from(
            ['p1', 'p2', '', 'x' * 140_000, '\0', '\ud800', '"', '"q"', 'a,b', '\r', '\x1c', '手']
        ),
    )
    whole = [('palm/a.png', 'p1'), ('palm/b.png', 'p1'), ('fist/c.png', 'p2')]
    table = st.lists(row, max_size=3).map(
        lambda more: '\n'.join(','.join(r) for r in [*whole, *more]).encode('utf-8', 'surrogatepass')
    )
    return Format(
        texts(table).map(lambda t: {'groups.csv': t}),
        lambda folder: with_groups(read_annotations(folder / 'set', 'image_folder'), folder / 'groups.csv'),
        {f'set/{k}': image() for k in ('palm/a.png', 'palm/b.png', 'fist/c.png')},
        0.5,
    )


def hagrid():
    record = {
        'bboxes': [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.2, 0.2]],
        'labels': ['palm', 'no_gesture'],
        'leading_hand': 'right',
        'user_id': 'u1',
    }
    docs = [
        {'a': record, 'b': {**record, 'user_id': 'u2'}, 'c': {'bboxes': [], 'labels': []}},
        {'a': {'bboxes': [[0, 0, 1, 1]], 'labels': ['palm']}},
    ]
    return Format(
        texts(documents(docs).map(as_json)).map(lambda d: {'ann_train_val/palm.json': d}),
        lambda f: read_annotations(f, 'hagrid'),
        {f'train_val_palm/{k}': v for k, v in PICS.items()},
    )


def coco_object(i, **more):
    "An object of a COCO file"
    box = {'bbox': [1, 1, 5, 4.5], 'area': 22.5, 'iscrowd': 0}
    return {'id': i, 'image_id': 1 + i % 2, 'category_id': 1, **box, **more}


def coco_boxes():
    "A COCO file of boxes"
    return {
        'info': {},
        'images': [
            {'id': 1, 'file_name': 'a.png', 'width': 12, 'height': 8},
            {'id': 2, 'file_name': 'b.png', 'width': 12, 'height': 8},
            {'id': 'x', 'file_name': 'd.jpg'},
        ],
        'categories': [{'id': 1, 'name': 'cat', 'supercategory': 'animal'}, {'id': 7, 'name': 'dog'}],
        'annotations': [
            coco_object(1),
            coco_object(2, category_id=7, image_id='x'),
            coco_object(3, iscrowd=1),
        ],
    }


def coco_polygons():
    "The objects of a COCO file with outlines; one without a box"
    boxless = coco_object(3, segmentation=[[1, 1, 6, 1, 6, 5]])
    del boxless['bbox']
    return [
        coco_object(1, segmentation=[[1, 1, 6, 1, 6, 5, 1, 5]]),
        coco_object(2, segmentation=[[1, 1, 6, 1, 6, 5], [7, 1, 9, 1, 9, 4]]),
        boxless,
    ]


def coco_run_lengths():
    "The objects of a COCO file with masks as run lengths, plain and compressed"
    return [
        coco_object(1, segmentation={'size': [8, 12], 'counts': [10, 6, 80]}, iscrowd=1),
        coco_object(2, segmentation={'size': [8, 12], 'counts': pack_runs(np.uint32([10, 6, 80]))}),
        coco_object(3, segmentation={'size': [8, 12], 'counts': [0, 96]}),
    ]


def coco_points():
    "A COCO file of points with names"
    face = {
        'id': 1,
        'name': 'face',
        'keypoints': ['left_eye', 'right_eye', 'nose'],
        'skeleton': [[1, 2], [2, 3]],
    }
    return {
        **coco_boxes(),
        'info': {'point_margin': 0.5},
        'categories': [face],
        'annotations': [
            coco_object(1, keypoints=[2, 2, 2, 5, 2, 1, 4, 4, 2], num_keypoints=3),
            coco_object(2, keypoints=[2, 2, 2, 0, 0, 0, 4, 4, 2], segmentation=[[1, 1, 6, 1, 6, 5]]),
            {**coco_object(3, keypoints=[1, 1, 2, 2, 2, 2, 3, 3, 2]), 'bbox': []},
        ],
    }


def coco_documents():
    "COCO files in which nothing is wrong; the last one says more of its points, as `write_coco` does"
    boxes, points = coco_boxes(), coco_points()
    (face,) = points['categories']
    skeleton = {
        'points': face['keypoints'],
        'pairs': [[0, 1]],
        'edges': [[0, 2]],
        'sigmas': [0.1, 0.1, 0.05],
    }
    return [
        boxes,
        {**boxes, 'annotations': coco_polygons()},
        {**boxes, 'annotations': coco_run_lengths()},
        points,
        {**points, 'categories': [{**face, 'vision_recipes': skeleton}]},
    ]


def coco():
    return Format(
        texts(documents(coco_documents()).map(as_json)).map(lambda d: {'annotations/instances.json': d}),
        lambda f: read_annotations(f, 'coco'),
        {f'images/{k}': v for k, v in PICS.items()},
        2,
    )


def labelme_shape(kind, points, **more):
    "A shape of a LabelMe file"
    return {
        'label': 'cat',
        'points': points,
        'group_id': None,
        'description': '',
        'shape_type': kind,
        'flags': {},
        **more,
    }


def labelme_documents():
    "LabelMe files in which nothing is wrong; `@mask@` and `@data@` stand for images in base64"
    shape, mask = labelme_shape, {'mask': '@mask@'}
    shapes = [
        shape('polygon', [[1, 1], [5, 1], [5, 5]]),
        shape('rectangle', [[1, 1], [5, 5]]),
        shape('circle', [[4, 4], [6, 4]]),
        shape('line', [[1, 1], [5, 5]]),
        shape('linestrip', [[1, 1], [5, 5], [6, 2]]),
        shape('point', [[3, 3]]),
        shape('mask', [[2, 2], [4, 3]], **mask),
        shape('oriented_rectangle', [[1, 1], [5, 1], [5, 4], [1, 4]]),
    ]
    face = [
        shape('rectangle', [[1, 1], [7, 7]], label='face', group_id=1),
        shape('point', [[2, 3]], label='left eye', group_id=1),
        shape('point', [[3, 3]], label='nose', group_id=1),
    ]
    pieces = [shape('mask', [[2, 2], [4, 3]], group_id=3, **mask) for _ in range(2)]
    crowd = shape('rectangle', [[1, 1], [5, 5]], flags={'crowd': True})
    whole = {'version': '5.5.0', 'flags': {}, 'shapes': shapes, 'imagePath': 'a.png', 'imageData': None}
    whole |= {'imageHeight': 8, 'imageWidth': 12}
    return [
        whole,
        {**whole, 'shapes': face},
        {**whole, 'shapes': [], 'flags': {'cat': True, 'dog': False}},
        {**whole, 'imagePath': 'gone.png', 'imageData': '@data@', 'shapes': shapes[:2]},
        {**whole, 'shapes': [crowd, *pieces]},
    ]


def labelme():
    label = st.sampled_from(['cat', 'face', 'nose', '__ignore__', '', '\0', '\ud800', 'cat'])
    names = texts(st.lists(label, max_size=5).map(lambda n: '\n'.join(n).encode('utf-8', 'surrogatepass')))

    def with_images(drawn):
        text, small, large = drawn
        return text.replace(b'@mask@', base64.b64encode(small)).replace(b'@data@', base64.b64encode(large))

    filled = st.tuples(
        documents(labelme_documents()).map(as_json),
        wounded(image((3, 2), '1'), 4),
        wounded(image(), 4) | boasting_png() | st.sampled_from(SPOILT),
    ).map(with_images)
    files = st.tuples(texts(filled), st.none() | st.none() | names).map(
        lambda d: {'a.json': d[0], **({} if d[1] is None else {'labels.txt': d[1]})}
    )
    return Format(files, lambda f: read_annotations(f, 'labelme'), PICS, 2)


VOC = (
    '<annotation><folder>x</folder><filename>a.png</filename><source><database>%s</database></source>'
    '<size><width>12</width><height>8</height><depth>3</depth></size>\n'
    '<object><name>cat</name><difficult>0</difficult>'
    '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>6</xmax><ymax>5</ymax></bndbox></object>'
    '<object><name>dog</name><difficult>1</difficult>'
    '<bndbox><xmin>2.5</xmin><ymin>1</ymin><xmax>9</xmax><ymax>7</ymax></bndbox></object></annotation>'
)
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + ''.join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip('abcdefghi', 'bcdefghij'))
    + ']><annotation><object><name>&j;</name></object></annotation>'
)
XXE = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM '
    '"file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>'
)


XML_TAGS = 'object name bndbox xmin ymax size width filename annotation difficult'.split()
XML_ENCODINGS = ['utf-16', 'ascii', 'x' * 40, 'cp1252', 'utf-7', 'idna', 'hex', 'rot13', 'punycode']
XML_ENDS = [
    '<object/>',
    '<object><name> </name></object>',
    '<object><name>x</name></object>',
    '<!-- -->',
    '<?x y?>',
    '</annotation><annotation>',
    '<size/>',
    '\0',
]


def odd_value(draw, text):
    "An XML text with something else between two tags"
    tags = list(re.finditer(r'>([^<>]*)<', text))
    if not tags:
        return odd_end(draw, text)
    m = tags[draw(st.integers(0, len(tags) - 1))]
    value = str(draw(st.sampled_from(ODD) | numbers))[:300].replace('<', '&lt;').replace('&', '&amp;')
    return text[: m.start(1)] + value + text[m.end(1) :]


def odd_tag(draw, text):
    "An XML text in which an element has another name"
    tag = draw(st.sampled_from(XML_TAGS))
    return text.replace(f'<{tag}>', f'<{tag}x>', 1).replace(f'</{tag}>', f'</{tag}x>', 1)


def odd_whole(draw, text):
    "An attack on XML parsers, or an XML text that begins or nests in an odd way"
    encoding = draw(st.sampled_from(XML_ENCODINGS))
    whole = [
        LAUGHS,
        XXE,
        '<a>' * 5000 + '</a>' * 5000,
        '<annotation>' + '<object>' * 5000,
        '<annotation/>',
        '',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x">' + text,
        f'<?xml version="1.0" encoding="{encoding}"?>' + text,
        text.replace('<object>', '<object><![CDATA['),
    ]
    return draw(st.sampled_from(whole))


def odd_end(draw, text):
    "An XML text with something more before its end"
    return text.replace('</annotation>', draw(st.sampled_from(XML_ENDS)) + '</annotation>')


@st.composite
def xmls(draw):
    text = draw(st.sampled_from([VOC % 'own', VOC % 'The VOC2007 Database']))
    changes = [odd_value, odd_value, odd_value, odd_tag, odd_whole, odd_end]
    for _ in range(draw(st.integers(0, 3))):
        text = changes[draw(st.integers(0, 5))](draw, text)
    return text.encode('utf-8', 'surrogatepass')


def voc():
    return Format(
        st.tuples(
            texts(xmls()), st.just((VOC % 'own').replace('a.png', 'b.png').encode()) | texts(xmls())
        ).map(lambda d: {'Annotations/a.xml': d[0], 'Annotations/b.xml': d[1]}),
        lambda f: read_annotations(f, 'voc'),
        {f'JPEGImages/{k}': v for k, v in PICS.items()},
    )


# ---- names in other spellings, folders of tools, odd suffixes, files that are something else

LFS = b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'
OTHER_CONTENTS = [
    LFS,
    b'/annex/objects/SHA256E-s1--x.png\n',
    b'<!DOCTYPE html>\n<html><p>404</p></html>',
    b'<?xml version="1.0"?><svg/>',
    b'PK\x03\x04\x14\0',
    b'\x1f\x8b\x08',
    b'%PDF-1.4',
    b'{"message": "Not Found"}',
    b'\0' * 64,
    b'\0\0\0\x18ftypheic' + bytes(40),
    b'\0\0\0\x18ftypmp42' + bytes(40),
    b'\xff\x0a',
    image(),
    b'',
]
TOOL_PLACES = [
    '@eaDir/{}/SYNOPHOTO_THUMB_M.jpg',
    '.ipynb_checkpoints/{}',
    '__MACOSX/._{}',
    '$RECYCLE.BIN/{}',
    'lost+found/{}',
    '._{}',
    'Thumbs.db',
    '_background/{}',
]
SUFFIXES = '.JPG .jfif .jpe .gif .ppm .avif .jp2 .heic .HEIC .cr2 .svg .pdf .mov .psd .tmp .PNG~'.split() + [
    '',
    '.',
]
DISTORTIONS = [
    str.upper,
    str.swapcase,
    lambda name: unicodedata.normalize('NFD', name),
    lambda name: unicodedata.normalize('NFC', name),
    lambda name: name.replace('a', '%61').replace('/', '%2F'),
    lambda name: name.replace('.', '%2e'),
    lambda name: name.replace('/', '\\'),
    lambda name: name.replace('/', '\\\\'),
    lambda name: f'./{name}',
    lambda name: f'../{name}',
    lambda name: f' {name}\t',
    lambda name: f'\ufeff{name}',
    lambda name: f'C:\\data\\{name}',
    lambda name: f'/mnt/eva/{name}',
    lambda name: f'file:///srv/{name}',
    lambda name: name + '%',
    lambda name: '%25' * 300 + name,
    lambda name: '/' * 3 + name,
]
STEMS = ('a', 'caf\u00e9', 'x y')


def small_sets() -> dict[str, dict[str, bytes]]:
    "A small data set in each format: its files by name"
    coco_images = [{'id': i, 'file_name': f'{n}.png', 'width': 12, 'height': 8} for i, n in enumerate(STEMS)]
    objects = [{'id': i, 'image_id': i, 'category_id': 1, 'bbox': [1, 1, 5, 4]} for i in range(2)]
    whole = {'images': coco_images, 'categories': [{'id': 1, 'name': 'cat'}], 'annotations': objects}
    shape = labelme_shape('rectangle', [[1, 1], [5, 5]])
    sheet = {'version': '5.5.0', 'flags': {}, 'shapes': [shape], 'imageHeight': 8, 'imageWidth': 12}
    record = {'bboxes': [[0.1, 0.2, 0.3, 0.4]], 'labels': ['palm'], 'user_id': 'u1'}

    def files(pattern, content):
        return {pattern.format(n): content(n) for n in STEMS}

    def images_in(folder):
        return files(folder + '/{}.png', lambda _: image())

    names = {'classes.txt': b'cat\ndog\n'}
    return {
        'coco': {'annotations/instances.json': as_json(whole), **images_in('images')},
        'labelme': {
            **files('{}.json', lambda n: as_json({**sheet, 'imagePath': f'{n}.png'})),
            **images_in('.'),
        },
        'voc': {
            **files('Annotations/{}.xml', lambda n: (VOC % 'own').replace('a.png', f'{n}.png').encode()),
            **images_in('JPEGImages'),
        },
        'yolo': {**files('labels/{}.txt', lambda _: b'0 .5 .5 .2 .2\n'), **names, **images_in('images')},
        'hagrid': {
            'ann_train_val/palm.json': as_json(dict.fromkeys(STEMS, record)),
            **images_in('train_val_palm'),
        },
        'image_folder': {**images_in('palm'), **images_in('fist')},
    }


def distorted(draw, name: str) -> str:
    "A name in another spelling, under another suffix or in a folder of a tool"
    how = draw(st.integers(0, 5))
    folder, _, last = name.rpartition('/')
    if how == 0:
        last = last.rpartition('.')[0] + draw(st.sampled_from(SUFFIXES))
    elif how == 1:
        last = draw(st.sampled_from(TOOL_PLACES)).format(last)
    else:
        last = draw(st.sampled_from(DISTORTIONS[:6] + DISTORTIONS[10:12]))(last)
    return f'{folder}/{last}'.replace('\\', '_').lstrip('/')


@st.composite
def distorted_sets(draw):
    "A valid data set in which names, folders, suffixes and contents of some files are others"
    name, files = draw(st.sampled_from(list(small_sets().items())))
    out = {}
    for path, content in files.items():
        how = draw(st.integers(0, 9))
        new = distorted(draw, path) if how < 4 else path
        if how == 4:
            content = draw(st.sampled_from(OTHER_CONTENTS))
        elif how == 5:  # a name inside of the file
            stem = draw(st.sampled_from(STEMS)).encode()
            other = draw(st.sampled_from(DISTORTIONS))(stem.decode()).encode()
            content = content.replace(json.dumps(stem.decode())[1:-1].encode(), as_json(other.decode())[1:-1])
        out[new] = content
        if how == 6:  # both
            out[distorted(draw, path)] = content
    return {'format.txt': name.encode(), **{f'set/{path}': content for path, content in out.items()}}


def read_distorted(folder: Path):
    "Read a set as the format it was made in, or as what it is recognised for"
    name = (folder / 'format.txt').read_text()
    forced = len(list((folder / 'set').rglob('*'))) % 3
    return read_annotations(folder / 'set', name if forced else None)


def spellings():
    return Format(distorted_sets(), read_distorted, {}, 2, fresh=True)


YAML_BOMB = (
    'a: &a [x, x, x, x, x, x, x, x, x]\n'
    + ''.join(f'{b}: &{b} [{", ".join([f"*{a}"] * 9)}]\n' for a, b in zip('abcdefghi', 'bcdefghij'))
    + 'names: %s\nnc: 2\n'
)
YAMLS = [
    YAML_BOMB % s
    for s in (
        '*j',
        '[*j, *i]',
        '{0: *j, 1: x}',
        '[a, b]\ntrain: *j',
        '[a, b]\npath: *j\ntrain: x',
        '[a, b]\nkpt_shape: *j',
    )
] + [
    'names: !!python/object/apply:os.system ["true"]',
    'names: &a [*a]',
    'names: {? [1, 2] : x}',
    'names: {? {a: 1} : x}',
    'names: [2001-01-01, 1:30]\n',
    'names: {2001-01-01: a}',
    'names: [!!binary aGk=, b]',
    'names: !!set {a, b}',
    'names: !!omap [a: b]',
    'names: {1.5: a}',
    'names: {.nan: a}',
    'names: {true: a, false: b}',
    'names: ' + '[' * 5000,
    '<<: *x\nnames: [a]',
    'names: [a, b]\n---\nnames: [a]',
    'names: {99999999999999999999999: a, -1: b}',
    'names: [2001-99-99]',
    'names: [0o9, 0x, 1_000, 12:99:99]',
    'names: [.inf, -.inf]',
    '%YAML 9.9\n---\nnames: [a]',
    'names: [a\ttab, "\\ud800"]',
    'names: "\\U00110000"',
    'names: {a: [b, c]}',
    'names: [[a], [b]]',
    'names: [{a: b}, c]',
    'names: [=, b]',
    'names: {=: b}',
    'names: [2001-12-14t21:59:43.10-99:99]',
    'names: [!!int "x", !!float "y"]',
    'names: !!timestamp x',
    'names: !!bool x',
    'names: [!!null x]',
]


ODD_NUMBERS = [
    '-1',
    '2',
    'nan',
    'inf',
    '1e400',
    '1e39',
    '1e308',
    '99999999999999999999',
    'x',
    '',
    '0x1',
    '1_0',
    '٣',
    '\0',
    '½',
    '--1',
    '1e-400',
    '0,5',
    '9' * 5000,
    'True',
]
LISTED_IMAGES = [
    'images/a.png',
    './images/b.png',
    '/dev/zero',
    '/tmp/escape.png',
    '..',
    '',
    '\0',
    'x' * 5000,
    'images/gone.png',
    '~',
    'data/images/a.png',
    '\udcff',
]


def yolo_yamls():
    "data.yaml of YOLO"
    data = {'path': '.', 'train': 'images', 'val': 'images', 'nc': 2, 'names': ['cat', 'dog']}
    docs = [
        data,
        {**data, 'names': {'0': 'cat', '1': 'dog'}},
        {**data, 'kpt_shape': [3, 3]},
        {'names': ['cat', 'dog'], 'train': 'images'},
    ]
    return texts(
        documents(docs).map(as_json).map(lambda b: re.sub(rb'"(\d+)":', rb'\1:', b))
        | st.sampled_from(YAMLS).map(lambda s: s.encode('utf-8', 'surrogatepass'))
        | st.just(b'names: [cat, dog]\nnc: 2\ntrain: images\n')
    )


def yolo_labels():
    "Label files of YOLO: boxes, outlines, and lines that are neither"
    number = st.sampled_from(['0', '1', '0.5', '.25', '0.1', '1.0']) | st.sampled_from(ODD_NUMBERS)
    line = (
        st.lists(number, min_size=4, max_size=4).map(lambda n: ' '.join(['0', *n]))
        | st.lists(number, min_size=5, max_size=5).map(' '.join)
        | st.lists(number, max_size=12).map(' '.join)
        | st.just('1 .5 .5 .2 .2')
        | st.just('0 .1 .1 .5 .1 .5 .5')
    )
    return texts(st.lists(line, max_size=4).map(lambda lines: '\n'.join(lines).encode()))


def yolo_files(drawn):
    "The files of a data set by their names; `how` says which of the optional ones there are"
    yaml, text, other, listed, classes, how = drawn
    return {
        'labels/a.txt': text,
        'labels/b.txt': other,
        **({'data.yaml': yaml} if how < 6 else {'classes.txt': classes}),
        **({'train.txt': listed} if how in (0, 9) else {}),
    }


def yolo():
    lists = texts(
        st.lists(st.sampled_from(LISTED_IMAGES), max_size=4).map(
            lambda lines: '\n'.join(lines).encode('utf-8', 'surrogatepass')
        )
    )
    name = st.sampled_from(['cat', 'dog', '', 'cat', '\0', 'x' * 100_000, 'ä'])
    names = texts(st.lists(name, max_size=4).map(lambda lines: '\n'.join(lines).encode()))
    parts = st.tuples(
        yolo_yamls(), yolo_labels(), st.just(b'0 .5 .5 .2 .2\n'), lists, names, st.integers(0, 9)
    )

    def read(folder):
        return read_annotations(folder / 'train.txt' if (folder / 'train.txt').exists() else folder, 'yolo')

    return Format(parts.map(yolo_files), read, {f'images/{k}': v for k, v in PICS.items()}, 2)


def yolo_shape_lines(kind, k):
    "A line of one kind, with `k` points where it has points"
    number = st.floats(0.1, 0.9).map('{:.4f}'.format)
    box = ['.5', '.5', '.9', '.9']
    coordinates = st.lists(number, min_size=2 * k, max_size=2 * k)
    if kind == 'pose 2':
        return coordinates.map(lambda xy: ' '.join(['0', *box, *xy]))
    if kind == 'pose 3':
        points = st.lists(st.tuples(number, number, st.sampled_from('0122')), min_size=k, max_size=k)
        return points.map(lambda xyv: ' '.join(['0', *box, *[n for point in xyv for n in point]]))
    if kind == 'oriented':
        return st.just('0 .5 .2 .7 .4 .5 .6 .3 .4') | st.just('1 .1 .1 .2 .1 .2 .3 .1 .3')
    if kind == 'predicted':
        return number.map(lambda confidence: ' '.join(['0', *box, confidence]))
    return coordinates.map(lambda xy: ' '.join(['1', *xy]))


def mostly(own):
    "One value in 20 is hostile"
    return st.integers(0, 19).flatmap(lambda n: hostile if n == 0 else own)


def yolo_shape_yaml(shape, mirror, names, task):
    "data.yaml that says what the lines are, or something else"
    data = {'names': ['cat', 'dog'], 'kpt_shape': shape, 'flip_idx': mirror, 'kpt_names': names, 'task': task}
    return as_json({key: value for key, value in data.items() if value is not None})


@st.composite
def yolo_shape_files(draw):
    "Sets of outlines, keypoints, oriented boxes and predictions, some lines of which are something else"
    kinds = ['pose 2', 'pose 3', 'oriented', 'predicted', 'outlines']
    kind, k = draw(st.sampled_from(kinds)), draw(st.integers(1, 5))
    other = yolo_shape_lines(draw(st.sampled_from(kinds)), draw(st.integers(1, 5)))
    odd = st.just('0 .5 .5 .2 .2') | other | st.lists(st.sampled_from(ODD_NUMBERS), max_size=9).map(' '.join)
    own = yolo_shape_lines(kind, k)
    line = st.integers(0, 29).flatmap(lambda n: odd if n == 0 else own)
    text = texts(st.lists(line, max_size=6).map(lambda lines: '\n'.join(lines).encode()))
    shape = mostly(st.just([k, 2 if kind == 'pose 2' else 3]) if kind[:4] == 'pose' else st.none())
    mirror = mostly(st.none() | st.just([*range(k)][::-1]) | st.permutations(range(k)).map(list))
    names = mostly(st.none() | st.just({0: [f'p{i}' for i in range(k)]}))
    task = mostly(st.sampled_from(['segment', 'pose', 'obb', 'detect', None]))
    yaml = st.builds(yolo_shape_yaml, shape, mirror, names, task)
    return {'labels/a.txt': draw(text), 'labels/d.txt': draw(text), 'data.yaml': draw(texts(yaml))}


def yolo_shapes():
    return Format(
        yolo_shape_files(),
        lambda folder: read_annotations(folder, 'yolo'),
        {f'images/{k}': v for k, v in PICS.items()},
        2,
    )


CVAT_XML = (
    '<annotations><version>1.1</version><image name="a.png"><box label="cat" xtl="1"/></image></annotations>'
)
CREATEML = [
    {'image': 'a.png', 'annotations': [{'label': 'cat', 'coordinates': {'x': 1, 'y': 2, 'width': 3}}]}
]
HARMLESS = {'name': 'cats', 'categories': ['cat'], 'images': []}


def mixed_files() -> dict[str, st.SearchStrategy]:
    "Annotations of several programs, each by its name in one folder"
    line = st.sampled_from([b'0 .5 .5 .2 .2\n', b'a cat on a mat', b'', b'0 1 2\n'])
    labelme_doc = labelme_documents()[1]
    return {
        'instances.json': documents(coco_documents()).map(as_json),
        'notes.json': documents([HARMLESS, {'categories': coco_boxes()['categories']}]).map(as_json),
        'a.json': documents([labelme_doc]).map(as_json),
        'createml.json': documents([CREATEML]).map(as_json),
        'labels/a.txt': line,
        'cat/a.txt': line,
        'classes.txt': st.just(b'cat\ndog\n'),
        'data.yaml': st.just(b'names: [cat, dog]\nnc: 2\ntrain: images\n'),
        'a.xml': xmls() | st.just(CVAT_XML.encode()),
        'cat/a.xml': xmls(),
        'boxes.csv': st.sampled_from(
            [b'filename,class,xmin,ymin,xmax,ymax\n', b'image,group\n', b'a.png,1,2,3,4,cat']
        ),
        'cats.tfrecord': st.just(b'\0'),
    }


def mixed():
    "Formats mixed in one folder, which are recognised, read, or refused with the candidates"
    kinds = {name: texts(made) for name, made in mixed_files().items()}
    names = st.lists(st.sampled_from(list(kinds)), max_size=4, unique=True)
    files = names.flatmap(lambda chosen: st.fixed_dictionaries({name: kinds[name] for name in chosen}))
    places = st.sampled_from(['', 'images/', 'cat/'])
    images_there = places.map(lambda place: {f'{place}{name}': data for name, data in PICS.items()})
    return Format(
        st.tuples(files, images_there).map(lambda d: {**d[0], **d[1]}),
        lambda f: read_annotations(f),
        fresh=True,
    )


def skeletons():
    from vision_recipes.cli.training_commands import read_skeleton

    docs = [
        {
            'points': ['left eye', 'right eye', 'nose'],
            'pairs': [['left eye', 'right eye']],
            'edges': [[0, 2]],
            'sigmas': [0.1, 0.1, 0.2],
        },
        {'points': ['a', 'b']},
    ]
    return Format(
        texts(documents(docs).map(as_json)).map(lambda d: {'skeleton.json': d}),
        lambda f: str(read_skeleton(f / 'skeleton.json')),
        {},
        0.5,
    )


def card_dict():
    return {
        'format': 1,
        'task': 'classification',
        'architecture': 'resnet18d',
        'labels': {'names': ['red', 'blue'], 'source_ids': None, 'background': False, 'skeleton': None},
        'preprocess': {
            'size': 32,
            'mean': [0.5, 0.5, 0.5],
            'std': [0.2, 0.2, 0.2],
            'interpolation': 'bilinear',
            'pad_value': [0, 0, 0],
            'letterbox': 'center',
            'channels': 'RGB',
        },
        'colors': [[255, 0, 0], [0, 0, 255]],
        'metrics': {'accuracy': 0.9, 'accuracy_low': 0.8, 'accuracy_high': 0.95, 'n_images': 20},
        'data': {'n_train': 80, 'n_valid': 20, 'train': 'abc', 'valid': 'def'},
        'versions': {'torch': '2.9'},
        'input': {'dtype': 'float32', 'layout': 'NCHW'},
        'decoding': {'kind': 'probabilities', 'multiple': 32},
        'thresholds': {'overall': 0.5, 'classes': [0.4, None]},
        'precision': {
            'kind': 'int8',
            'metric': 'accuracy',
            'before': 0.98,
            'after': 0.97,
            'max_drop': 0.01,
            'n_calibration': 4,
            'n_scored': 5,
            'speed': 1.5,
            'how': 'x',
        },
    }


def cards():
    c = card_dict()
    return [
        c,
        {
            **c,
            'task': 'detection',
            'decoding': {'kind': 'decoded', 'nms': 0.6, 'max_detections': 10, 'max_candidates': 100},
        },
        {**c, 'task': 'segmentation', 'decoding': {'mask_threshold': 0.5, 'single_image': True}},
        {
            **c,
            'task': 'keypoints',
            'labels': {
                **c['labels'],
                'skeleton': {'points': ['a', 'b'], 'pairs': [[0, 1]], 'edges': [], 'sigmas': [0.1, 0.1]},
            },
        },
    ]


def tiny_onnx(props: dict, shape=('b', 3, 'h', 'w'), n=2) -> bytes:
    "A graph that averages the colours: a classifier of `n` classes"
    from onnx import TensorProto as T, helper as H

    nodes = [
        H.make_node('ReduceMean', ['images', 'axes'], ['m'], keepdims=0),
        H.make_node('MatMul', ['m', 'w'], ['x']),
        H.make_node('Softmax', ['x'], ['p']),
    ]
    weights = [
        H.make_tensor('axes', T.INT64, [2], [2, 3]),
        H.make_tensor('w', T.FLOAT, [3, n], [0.1 * i for i in range(3 * n)]),
    ]
    model = H.make_model(
        H.make_graph(
            nodes,
            'tiny',
            [H.make_tensor_value_info('images', T.FLOAT, shape)],
            [H.make_tensor_value_info('p', T.FLOAT, ('b', n))],
            weights,
        ),
        opset_imports=[H.make_opsetid('', 18)],
        ir_version=9,
    )
    for k, v in props.items():
        p = model.metadata_props.add()
        p.key, p.value = k, v
    return model.SerializeToString()


def use_model(path, card=None):
    "What people do with a model's file: look at it, predict, and hand it on"
    from vision_recipes.deploy.inspection import inspect_model
    from vision_recipes.runtime.predictor import Predictor

    seen = inspect_model(path, card)
    words = seen.text() + json.dumps(seen.to_dict())
    if seen.card is None:
        return words
    predictor = Predictor(path, card, providers='cpu', threads=1)
    p = next(iter(predictor.stream([Image.new('RGB', (12, 8))])))
    return words, p.to_dict(predictor.card.labels), p.table(predictor.card.labels), repr(predictor)


def metadata():
    "The card in an ONNX file"

    def placed(text):
        return {'m.onnx': tiny_onnx({'vision_recipes': text.decode('utf-8', 'replace')})}

    return Format(
        texts(documents(cards()).map(as_json)).map(placed), lambda f: use_model(f / 'm.onnx'), {}, 0.5
    )


def card_files():
    c = card_dict()
    short = {
        'task': 'classification',
        'labels': ['red', 'blue'],
        'preprocess': {'size': 32, 'mean': [0, 0, 0], 'std': [1, 1, 1]},
        'decoding': {'kind': 'probabilities'},
    }
    return Format(
        texts(documents([*cards(), short, {'card': c}]).map(as_json)).map(lambda d: {'card.json': d}),
        lambda f: use_model(f / 'm.onnx', f / 'card.json'),
        {'m.onnx': tiny_onnx({})},
        0.5,
    )


def onnx_files():
    data = [tiny_onnx({'vision_recipes': json.dumps(card_dict())}), tiny_onnx({}, (1, 3, 32, 32))]
    return Format(
        st.sampled_from(data).flatmap(wounded).map(lambda d: {'m.onnx': d}),
        lambda f: use_model(f / 'm.onnx'),
        {},
        0.3,
    )


def runs():
    from vision_recipes.runtime.model_card import ModelCard
    from vision_recipes.tasks.registry import model_info, TASKS
    from vision_recipes.training.settings import FitSettings
    from vision_recipes.tasks.run_directory import read_run, run_settings

    docs = [
        {
            'format': 1,
            'task': name,
            'card': card,
            'settings': model_info(name).settings().to_dict(),
            'fit': FitSettings().to_dict(),
            'epoch': 3,
        }
        for card, name in zip(cards(), TASKS)
    ]

    def read(folder):
        info = read_run(folder)
        return (
            run_settings(info),
            FitSettings.of(info['fit']),
            ModelCard.from_dict(info['card'], str(folder)).to_dict(),
        )

    return Format(texts(documents(docs).map(as_json)).map(lambda d: {'run.json': d}), read, {}, 0.5)


def image_files():
    from vision_recipes.core.images import image_size, open_image
    from vision_recipes.dataloading.transforms.pixels import open_array

    kinds = images()

    def read(folder):
        path = folder / 'p.jpg'
        data, sizes = path.read_bytes(), []
        for look in (
            lambda: image_size(path),
            lambda: image_size(data),
            lambda: open_image(path).size,
            lambda: open_image(data).size,
            lambda: open_image(path, at_least=4).size,
            lambda: open_array(path).shape,
            lambda: open_array(path, 4).shape,
        ):
            try:
                sizes.append(look())
            except VisionRecipesError as e:
                last = e
        if not sizes:
            raise last
        return sizes

    return Format(
        (
            st.integers(0, len(kinds) - 1).flatmap(lambda i: wounded(kinds[i]))
            | st.sampled_from(kinds)
            | boasting_png()
        ).map(lambda d: {'p.jpg': d}),
        read,
        {},
        2,
    )


ENTRIES = [
    'a.txt',
    'a/b.txt',
    './a',
    'a//b',
    '../x',
    '/x',
    '/tmp/escape',
    'C:/x',
    'C:x',
    '..\\x',
    '\\\\host\\x',
    'a/../../x',
    '..',
    '.',
    '',
    'a/',
    'CON',
    'nul.txt',
    'x/AUX',
    'com1',
    'a.',
    'a ',
    'a\nb',
    'a\x7fb',
    'a\x00b',
    'A.txt',
    'ä',
    'a\u0308',
    'x' * 300,
    'a/' * 300 + 'b',
    'b:c',
    '~/x',
    '$HOME',
    '.fetched.json',
    '\ud800',
    '\u202e',
    'a/b.txt/c',
    '-rf',
    'a*',
    'a?',
    'a|b',
    'a<b',
]


@st.composite
def archives(draw):
    import contextlib

    out, entries = (
        io.BytesIO(),
        draw(
            st.lists(
                st.tuples(
                    st.sampled_from(ENTRIES), st.sampled_from([b'', b'x', b'y' * 5000]), st.integers(0, 12)
                ),
                max_size=4,
            )
        ),
    )
    kind = draw(st.sampled_from(['zip', 'zip', 'stored', 'w', 'w:gz', 'w:bz2', 'w:xz']))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if kind in ('zip', 'stored'):
            with zipfile.ZipFile(
                out, 'w', zipfile.ZIP_DEFLATED if kind == 'zip' else zipfile.ZIP_STORED
            ) as z:
                for name, data, how in entries:
                    info = zipfile.ZipInfo('x')
                    info.filename = name.encode('utf-8', 'replace').decode()
                    info.compress_type = z.compression
                    if how == 1:
                        info.external_attr = 0o120777 << 16
                    if how == 2:
                        info.external_attr = 0o020666 << 16
                    z.writestr(info, data)
        else:
            with tarfile.open(
                fileobj=out,
                mode=kind,
                format=draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])),
            ) as t:
                for name, data, how in entries:
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    if how < 8:
                        info.type, info.linkname, info.size = (
                            [
                                tarfile.REGTYPE,
                                tarfile.SYMTYPE,
                                tarfile.LNKTYPE,
                                tarfile.CHRTYPE,
                                tarfile.BLKTYPE,
                                tarfile.FIFOTYPE,
                                tarfile.DIRTYPE,
                                tarfile.GNUTYPE_SPARSE,
                            ][how],
                            '/etc/passwd',
                            len(data) if how == 0 else 0,
                        )
                    with contextlib.suppress(ValueError, UnicodeError):
                        t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive_files():
    from vision_recipes.data.download import extract

    def read(folder):
        target = folder.parent / 'out' / f'x{time.perf_counter_ns()}'
        try:
            extract(folder / 'a.zip', target)
        except VisionRecipesError:
            if target.exists():
                raise AssertionError('a refused archive left something behind') from None
            raise
        if any(p.is_symlink() or not (p.is_file() or p.is_dir()) for p in target.rglob('*')):
            raise AssertionError('something that is neither file nor folder came out')
        return target

    return Format((archives() | archives().flatmap(wounded)).map(lambda d: {'a.zip': d}), read, {})


class _Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def checkpoints():
    import torch
    from safetensors.torch import save
    from vision_recipes.tasks.weights import read_weights

    state, bases = {'a.weight': torch.arange(12.0).reshape(3, 4), 'b': torch.ones(2, dtype=torch.int64)}, []
    for doc, more in (
        ({'model': state}, {}),
        (state, {'_use_new_zipfile_serialization': False}),
        ({'state_dict': state, 'epoch': 3, 'best': np.float64(0.5)}, {}),
        (_Runs('/tmp/escape'), {}),
        ({'a': [1, {'b': torch.float16}]}, {}),
    ):
        f = io.BytesIO()
        torch.save(doc, f, **more)
        bases.append(f.getvalue())
    whole = save(state)
    n = int.from_bytes(whole[:8], 'little')

    def lying(doc):
        text = as_json(doc)
        return len(text).to_bytes(8, 'little') + text + whole[8 + n :]

    headers = documents(
        [
            json.loads(whole[8 : 8 + n]),
            {'a': {'dtype': 'F32', 'shape': [2**40, 2**20], 'data_offsets': [0, 48]}},
            {'a': {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]}},
        ]
    ).map(lying)
    tensors = (headers | wounded(whole)).map(lambda d: {'w.safetensors': d})
    return Format(
        tensors
        | (st.sampled_from(bases).flatmap(wounded) | st.sampled_from(bases)).map(lambda d: {'w.pth': d}),
        lambda f: read_weights(next(p for p in (f / 'w.safetensors', f / 'w.pth') if p.exists())),
        {},
        0.5,
        fresh=True,
    )


FORMATS = dict(
    image_folder=image_folder,
    groups_csv=groups_csv,
    hagrid=hagrid,
    coco=coco,
    labelme=labelme,
    voc=voc,
    yolo=yolo,
    yolo_shapes=yolo_shapes,
    mixed=mixed,
    skeleton=skeletons,
    run_json=runs,
    card_json=card_files,
    onnx_metadata=metadata,
    onnx=onnx_files,
    spellings=spellings,
    images=image_files,
    archives=archive_files,
    checkpoints=checkpoints,
)
WEIGHTS = dict(
    image_folder=0.5,
    groups_csv=0.5,
    coco=2,
    labelme=2,
    yolo=2,
    yolo_shapes=2,
    skeleton=0.5,
    run_json=0.5,
    card_json=0.5,
    onnx_metadata=0.4,
    onnx=0.4,
    spellings=2,
    images=2,
    checkpoints=0.6,
    archives=0.8,
)


# ---- the run


class Hang(BaseException):
    "An input that takes too long"


@contextmanager
def limited(seconds: int):
    "A deadline, where the system has alarms"
    if not hasattr(signal, 'SIGALRM'):
        yield
        return

    def ring(*_):
        raise Hang(f'more than {seconds} s')

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


WRITES = 'open os.mkdir os.rename os.link os.symlink os.remove os.truncate os.chmod os.rmdir'.split()
REACHES_OUT = 'subprocess.Popen os.system os.exec socket.connect'.split()
OPENED_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def written_paths(event: str, args: tuple) -> tuple:
    "The paths that an audit event makes, changes or removes"
    if event == 'open':
        is_path = isinstance(args[0], (str, bytes))
        return args[:1] if is_path and (args[2] or 0) & OPENED_FOR_WRITING else ()
    # in a folder that is open already, as rmtree does
    if event in ('os.remove', 'os.rmdir', 'os.mkdir') and args[-1] != -1:
        return ()
    if event in ('os.rename', 'os.link'):
        return args[:2]
    return args[1:2] if event == 'os.symlink' else args[:1]


class Watch:
    "Remembers files that Python opens for writing, and folders it makes, outside of one folder"

    def __init__(self, inside: Path):
        self.inside, self.seen, self.on = os.path.realpath(inside), [], False
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if not self.on:
            return
        if event in REACHES_OUT:
            self.seen.append(f'{event} {args!r:.200}')
        elif event in WRITES:
            for path in written_paths(event, args):
                if isinstance(path, (str, bytes, os.PathLike)) and self.is_outside(path):
                    self.seen.append(f'{event} {os.path.realpath(os.fsdecode(path))}')

    def is_outside(self, path) -> bool:
        "Does a path lie outside of the folder, and is it none that Python and torch write by themselves?"
        path = os.path.realpath(os.fsdecode(path))
        by_themselves = '__pycache__' in path or 'torchinductor' in path
        return not path.startswith((self.inside + os.sep, '/dev/null')) and not by_themselves


@dataclass
class Tally:
    "What came of a format"

    inputs: int = 0
    valid: int = 0
    refused: int = 0
    used: Counter = field(default_factory=Counter)  # Steps that gave a result
    declined: Counter = field(default_factory=Counter)  # Steps that refused in this library's words
    foreign: dict = field(default_factory=dict)  # By place: times, error, smallest input
    slowest: float = 0.0
    seconds: float = 0.0

    def blame(self, step: str, e: BaseException, files: dict):
        frames = (
            [f for f in traceback.extract_tb(e.__traceback__) if 'vision_recipes' in f.filename]
            or traceback.extract_tb(e.__traceback__)
            or [None]
        )
        where = frames[-1]
        place = f'{Path(where.filename).name}:{where.name}:{where.lineno}' if where else '?:?:0'
        key = f'{step}: {type(e).__name__} in {place}'
        size = sum(map(len, files.values()))
        now = self.foreign.setdefault(key, {'times': 0, 'error': '', 'size': size + 1, 'files': {}})
        now['times'] += 1
        if size < now['size']:
            now |= {
                'error': f'{type(e).__name__}: {str(e)[:300]}',
                'size': size,
                'files': {k: base64.b64encode(v).decode() for k, v in files.items()},
            }


def put(folder: Path, files: dict[str, bytes]):
    "Write files; names that this file system does not take are left out"
    for name, data in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except (OSError, ValueError, UnicodeError):
            continue


class Trial:
    "A reader given one input after the other, and what came of it"

    def __init__(
        self,
        name: str,  # A key of `FORMATS`
        work: Path,  # An empty folder
        every: int,  # One valid result in so many is put to use
        watch: Watch | None,
        slow: int,  # Seconds that an input may take
    ):
        self.form, self.tally = FORMATS[name](), Tally()
        self.work, self.folder = work, work / 'in'
        self.every, self.watch, self.slow = every, watch, slow
        self.follow = steps(work) if name in TABLES else {}
        self.old: set[str] = set()  # The files of the input before
        put(self.folder, self.form.still)

    def guarded(self, step: str, act: Callable, files: dict):
        "What an act gives; a `VisionRecipesError` where it refused, or did what it must not"
        watch, tally = self.watch, self.tally
        if watch:
            watch.seen.clear()
            watch.on = True
        begin = time.perf_counter()
        try:
            with limited(self.slow):
                return act()
        except VisionRecipesError as e:
            if not str(e).strip() or len(str(e)) > 100_000:
                empty = AssertionError('an empty or endless message').with_traceback(e.__traceback__)
                tally.blame(step, empty, files)
            return e
        except (Exception, Hang) as e:
            tally.blame(step, e, files)
            return VisionRecipesError('foreign')
        finally:
            tally.slowest = max(tally.slowest, time.perf_counter() - begin)
            if watch:
                watch.on = False
                if watch.seen:
                    tally.blame(step, AssertionError(f'outside: {watch.seen[:3]}'), files)

    def place(self, files: dict):
        "Put an input where that of before was"
        if self.form.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            put(self.folder, self.form.still)
        else:
            for old in self.old - files.keys():
                (self.folder / old).unlink(missing_ok=True)
        self.old = set(files)
        put(self.folder, files)

    def one(self, files: dict):
        "Read an input; put one valid table in `every` to use"
        tally = self.tally
        self.place(files)
        tally.inputs += 1
        result = self.guarded('read', lambda: self.form.read(self.folder), files)
        if isinstance(result, VisionRecipesError):
            tally.refused += 1
            return
        tally.valid += 1
        if not isinstance(result, Annotations) or tally.valid % self.every:
            return
        for step, act in self.follow.items():
            outcome = self.guarded(step, lambda act=act: act(result), files)
            (tally.declined if isinstance(outcome, VisionRecipesError) else tally.used)[step] += 1
        empty_folder(self.work / 'out')

    def round(self, n: int, seed_: int):
        "Make and try `n` inputs"
        test = given(self.form.inputs)(lambda files: self.one(files))
        how = settings(
            max_examples=n,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(seed_)(how(test))()


# The formats that are read to a table of annotations
TABLES = (
    'image_folder',
    'groups_csv',
    'hagrid',
    'coco',
    'labelme',
    'voc',
    'yolo',
    'yolo_shapes',
    'spellings',
    'mixed',
)


def empty_folder(folder: Path):
    "Make a folder, or empty it"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)


def fuzz(
    name: str,  # A key of `FORMATS`
    n: int,  # Inputs
    seed_: int,
    work: Path,  # An empty folder
    every: int = 3,  # One valid result in so many is put to use
    watch: Watch | None = None,
    slow: int = SLOW,
) -> Tally:
    "Try a reader with `n` inputs"
    begin = time.perf_counter()
    (work / 'out').mkdir(exist_ok=True)
    os.environ['VISION_RECIPES_CACHE'] = str(work / 'cache')
    trial = Trial(name, work, every, watch, slow)
    tally = trial.tally
    while tally.inputs < n:
        before = tally.inputs
        trial.round(min(ROUND, n - before), seed_ + before)
        if not trial.follow:
            empty_folder(work / 'out')
        if tally.inputs == before:
            break
    tally.seconds = time.perf_counter() - begin
    return tally


def share(name: str, n: int) -> int:
    "How many of `n` inputs a format gets"
    return math.ceil(n * WEIGHTS.get(name, 1) / sum(WEIGHTS.get(k, 1) for k in FORMATS))


def child(args):
    "One format, in this process"
    logging.getLogger('vision_recipes').setLevel(logging.CRITICAL + 1)
    warnings.simplefilter('ignore')
    work = Path(args.work)
    tally_file = work.parent / f'{work.name}.json'
    try:
        import resource
        import torch  # noqa: F401  its libraries take address space

        now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    except (ImportError, OSError):
        resource = None
    tally = fuzz(args.child, args.inputs, args.seed, work, watch=Watch(work))
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
        if resource
        else 0
    )
    tally_file.write_text(json.dumps({**vars(tally), 'peak_mb': round(peak / 1e6)}))


def run(name: str, args, base: Path) -> dict:
    "One format, in a process of its own"
    work = base / name
    (work / 'tmp').mkdir(parents=True)
    n = math.ceil(args.inputs / len(args.formats)) if args.formats else share(name, args.inputs)
    words = ['--child', name, '--inputs', str(n), '--seed', str(args.seed), '--work', str(work)]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        capture_output=True,
        text=True,
        env={**os.environ, 'TMPDIR': str(work / 'tmp')},
    )
    file = base / f'{name}.json'
    if done.returncode == 0 and file.exists():
        return json.loads(file.read_text())
    return crashed(done, work / 'in')


def crashed(done: subprocess.CompletedProcess, folder: Path) -> dict:
    "The result of a format whose process died, with the input that it read"
    files = {
        p.relative_to(folder).as_posix(): base64.b64encode(p.read_bytes()).decode()
        for p in folder.rglob('*')
        if p.is_file()
    }
    death = {'times': 1, 'error': done.stderr[-1500:], 'size': 0, 'files': files}
    nothing = dict.fromkeys(('inputs', 'valid', 'refused', 'slowest', 'seconds', 'peak_mb'), 0)
    foreign = {f'the process died ({done.returncode})': death}
    return {**nothing, 'used': {}, 'declined': {}, 'foreign': foreign}


def n_steps(result: dict) -> int:
    "How often a valid result was put to use"
    return sum(result['used'].values()) + sum(result['declined'].values())


def n_foreign(result: dict) -> int:
    "How often something came out that is neither a result nor an error of this library"
    return sum(f['times'] for f in result['foreign'].values())


def report(name: str, r: dict):
    "Print the result of a format"
    print(
        f'{name:14} {r["inputs"]:8,} {r["valid"]:8,} {r["refused"]:8,} {n_steps(r):8,} {n_foreign(r):8,} '
        f'{r["slowest"]:10.2f} {r["peak_mb"]:6,} {r["seconds"]:6.0f}',
        flush=True,
    )
    for key, f in r['foreign'].items():
        smallest = '; '.join(f'{k}: {base64.b64decode(v)[:160]!r}' for k, v in f['files'].items())[:600]
        print(f'    {f["times"]:6,} x {key}: {f["error"][:400]}\n             smallest input: {smallest}')


def keep_inputs(folder: Path, result: dict):
    "Write the inputs that led to something foreign, each to a folder"
    for i, (key, f) in enumerate(result['foreign'].items()):
        files = {k: base64.b64decode(v) for k, v in f['files'].items()}
        put(folder / str(i), {**files, 'why.txt': f'{key}\n{f["error"]}'.encode()})


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--inputs', type=int, default=100_000)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--json')
    p.add_argument('--keep', type=Path)
    p.add_argument('--formats', nargs='*', choices=FORMATS)
    p.add_argument('--child', help=argparse.SUPPRESS)
    p.add_argument('--work', help=argparse.SUPPRESS)
    return p.parse_args()


def run_all(args) -> dict[str, dict]:
    "Try all formats that were asked for; their results, printed as they come"
    found = {}
    memory = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    print(
        f'{"format":14} {"inputs":>8} {"valid":>8} {"refused":>8} {"used":>8} {"foreign":>8} '
        f'{"slowest s":>10} {"MB":>6} {"s":>6}'
    )
    with tempfile.TemporaryDirectory(dir=memory) as tmp:
        for name in args.formats or FORMATS:
            found[name] = run(name, args, Path(tmp))
            report(name, found[name])
            if args.keep:
                keep_inputs(args.keep / name, found[name])
    return found


def main():
    args = arguments()
    if args.child:
        return child(args)
    begin = time.perf_counter()
    found = run_all(args)
    total = {k: sum(r[k] for r in found.values()) for k in ('inputs', 'valid', 'refused')}
    total['steps'] = sum(map(n_steps, found.values()))
    total['foreign'] = sum(map(n_foreign, found.values()))
    print(
        f'{total["inputs"]:,} inputs in {time.perf_counter() - begin:.0f} s: '
        f'{total["valid"]:,} read, {total["refused"]:,} refused, {total["steps"]:,} further steps, '
        f'{total["foreign"]:,} foreign'
    )
    if args.json:
        python = platform.python_version()
        results = {'python': python, 'seed': args.seed, 'total': total, 'formats': found}
        Path(args.json).write_text(json.dumps(results, indent=1))
    sys.exit(bool(total['foreign']))


if __name__ == '__main__':
    main()
