"""Images a second of the detection data pipeline, ours against the reference tutorial's.

    python benchmarks/detection_pipeline.py [--json results.json] [--images 96] [--runs 7] [--data FOLDER]
    python benchmarks/detection_pipeline.py --own      what a user's own transforms add; needs no peer

The tutorial's pipeline is rebuilt from public packages. Theirs: a pandas row looked up, Pillow, and the
YOLOX tutorial's transforms (cjm-torchvision-tfms 0.0.26 on torchvision v2: crop, colour jitter, grey,
equalise, posterise, flip, resize, pad, resize, floats, normalise, sanitise) and a DataLoader whose floats
are stacked in the main process. Ours: `DetectionTransform` with its defaults, which draw from the same
distributions, and a DataLoader of uint8. Images are the blood cells of `real_data('bccd')` (640 x 480)
where they are found, or FOLDER with annotations/instances.json and images/, or else made here; those of 12
megapixels are enlarged from them, smooth (files of about 0.6 MB) and with noise as a camera has it (about
1.7 MB): the larger the file, the more of our time is the decoder's, which has to read all of it even for an
eighth of the size. Contestants take turns, and each figure is the median of its runs: processor time of one
thread for `per worker`, wall clock for `two workers`. Ratios count; milliseconds are this machine's.
`normalised here` adds our normalisation, which belongs to the device, on the CPU of the main process.

Needs: pip install cjm-torchvision-tfms cjm-pil-utils
"""

import argparse, json, sys, tempfile, time
from functools import partial
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from data_pipeline import contest, photo_like, through
from report import rows_of, show, write_report
from vision_recipes.data.annotations import Annotations
from vision_recipes.core.ragged import Ragged, Strings
from vision_recipes.dataloading.transforms.custom import with_custom
from vision_recipes.dataloading.transforms.detection import DetectionTransform, LetterboxTarget
from vision_recipes.dataloading.transforms.color import COLOR_STEPS, ColorJitter
from vision_recipes.core.testing import real_data
from vision_recipes.dataloading.dataset import ImageDataset
from vision_recipes.dataloading.collate import collate_detection, normalise
from vision_recipes.dataloading.loader import make_loader
from vision_recipes.core.labels import LabelMap

SIZE, BATCH, MEAN, STD = 384, 16, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TARGETS = {
    '640 x 480': {'per worker': 6.0, 'per worker, cache': 9.0, 'two workers': 5.0},
    '12 megapixels, smooth': {'per worker': 40.0},
    '12 megapixels, noise': {'per worker': 40.0},
}
# Each kind of contestant, and which of the tutorial's times it is measured against
RIVALS = {
    'per worker': 'tutorial',
    'two workers': 'tutorial, two workers',
    'validation': 'tutorial, validation',
}
NOISE = {'smooth': 0, 'noise': 3}  # levels of deviation


# ---- the images


def read_coco(root, n):
    "The first `n` images with objects of a COCO folder: files, sizes, boxes, class ids"
    d = json.loads((root / 'annotations' / 'instances.json').read_text())
    boxes = {i['id']: [] for i in d['images']}
    for a in d['annotations']:
        boxes[a['image_id']].append((a['bbox'], a['category_id']))
    ids = {c['id']: k for k, c in enumerate(d['categories'])}
    for i in [i for i in d['images'] if boxes[i['id']]][:n]:
        xywh = np.array([b for b, _ in boxes[i['id']]], np.float32)
        yield (
            root / 'images' / i['file_name'],
            np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1),
            [ids[c] for _, c in boxes[i['id']]],
        )


def make_images(root, n):
    "`n` made images of 640 x 480 with a dozen boxes each"
    rng = np.random.default_rng(0)
    for i in range(n):
        photo_like((640, 480), rng).save(root / f'{i:04d}.jpg', quality=90)
        low = rng.uniform(0, (500, 360), (12, 2))
        yield (
            root / f'{i:04d}.jpg',
            np.concatenate([low, low + rng.uniform(30, 120, (12, 2))], 1),
            rng.integers(0, 3, 12).tolist(),
        )


def enlarged(image, size_wh, noise, rng):
    "An image at another size, with grey noise of `noise` levels"
    big = np.asarray(image.resize(size_wh, Image.Resampling.BICUBIC)).astype(np.int16)
    if noise:
        big += rng.normal(0, noise, (*big.shape[:2], 1)).astype(np.int16)
    return Image.fromarray(big.clip(0, 255).astype(np.uint8))


def enlarge(rows, root, n, noise):
    "The first `n` images, at 12 megapixels"
    rng, (w, h) = np.random.default_rng(1), (4000, 3000)
    for path, boxes, ids in rows[:n]:
        im = Image.open(path).convert('RGB')
        enlarged(im, (w, h), noise, rng).save(root / path.name, quality=90)
        yield root / path.name, boxes * np.array([w / im.width, h / im.height] * 2), ids


def annotations(rows):
    root = rows[0][0].parent
    sizes = [Image.open(p).size for p, _, _ in rows]
    return Annotations(
        root,
        Strings.from_list(p.name for p, _, _ in rows),
        LabelMap(('a', 'b', 'c')),
        Ragged.from_rows([i for _, _, i in rows], np.int64),
        np.array(sizes, np.int32),
        boxes=np.concatenate([b for _, b, _ in rows]).astype(np.float32),
    )


# ---- theirs


def tutorial_transforms():
    "Augmentation, fit, and what makes floats"
    import torchvision.transforms.v2 as T
    from cjm_torchvision_tfms.core import CustomRandomIoUCrop, PadSquare, ResizeMax

    augment = [
        CustomRandomIoUCrop(
            min_scale=0.3,
            max_scale=1.0,
            min_aspect_ratio=0.5,
            max_aspect_ratio=2.0,
            sampler_options=[0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0],
            trials=400,
            jitter_factor=0.25,
        ),
        T.ColorJitter(
            brightness=(0.875, 1.125), contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue=(-0.05, 0.05)
        ),
        T.RandomGrayscale(),
        T.RandomEqualize(),
        T.RandomPosterize(bits=3, p=0.5),
        T.RandomHorizontalFlip(p=0.5),
    ]
    fit = [ResizeMax(max_sz=SIZE), PadSquare(shift=True, fill=0)]
    final = [
        T.Resize([SIZE] * 2, antialias=True),
        T.ToImage(),
        T.ToDtype(torch.float32, scale=True),
        T.Normalize(MEAN, STD),
        T.SanitizeBoundingBoxes(),
    ]
    return T.Compose(augment + fit + final), T.Compose(fit + final)


class TutorialDataset(torch.utils.data.Dataset):
    "A frame with lists in its cells, one row an image, as the tutorial has it"

    def __init__(self, rows, transform):
        import pandas as pd

        self.paths, self.transform = {p.stem: p for p, _, _ in rows}, transform
        self.keys = list(self.paths)
        self.frame = pd.DataFrame(
            {
                p.stem: {'bboxes': np.column_stack([b[:, :2], b[:, 2:] - b[:, :2]]).tolist(), 'labels': ids}
                for p, b, ids in rows
            }
        ).transpose()

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, i):
        from torchvision.ops import box_convert
        from torchvision.tv_tensors import BoundingBoxes

        row, image = self.frame.loc[self.keys[i]], Image.open(self.paths[self.keys[i]]).convert('RGB')
        boxes = BoundingBoxes(
            box_convert(torch.tensor(row['bboxes']), 'xywh', 'xyxy'),
            format='XYXY',
            canvas_size=image.size[::-1],
        )
        return self.transform(image, {'boxes': boxes, 'labels': torch.tensor(row['labels'])})


def zipped(batch):
    return tuple(zip(*batch))


class Stacked:
    "Their loader, and the stack that their training loop begins with"

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return ((torch.stack(images), targets) for images, targets in self.loader)


# ---- the contest


def per_worker(dataset, collate, indices):
    """Processor milliseconds an image for loading, changing and joining batches, in this process with one
    thread"""
    start = time.process_time()
    for b in range(0, len(indices), BATCH):
        collate([dataset[i] for i in indices[b : b + BATCH]])
    return (time.process_time() - start) / len(indices) * 1e3


def loader_rivals(rows, train, theirs, epochs):
    "Both through two workers"
    anns = annotations(rows)
    plain, kept = (ImageDataset(anns, train, cache_bytes=c) for c in (0, 10**9))
    here = partial(normalise, mean=MEAN, std=STD)
    their_loader = Stacked(
        torch.utils.data.DataLoader(
            TutorialDataset(rows, theirs),
            BATCH,
            shuffle=True,
            num_workers=2,
            persistent_workers=True,
            collate_fn=zipped,
        )
    )
    our_loader, kept_loader = (
        make_loader(data, BATCH, shuffle=True, workers=2, collate=collate_detection) for data in (plain, kept)
    )
    return {
        'tutorial, two workers': lambda: through(their_loader, epochs),
        'two workers': lambda: through(our_loader, epochs),
        'two workers, normalised here': lambda: through(our_loader, epochs, here),
        'two workers, cache': lambda: through(kept_loader, epochs),
    }


def measure(rows, runs, epochs, loaders):
    "All figures for one set of images, milliseconds an image"
    anns, fill = annotations(rows), tuple(round(255 * m) for m in MEAN)
    train, exact = (
        DetectionTransform(SIZE, fill),
        DetectionTransform(SIZE, fill, colors=(ColorJitter(exact_hue=True), *COLOR_STEPS[1:])),
    )
    theirs, fit = tutorial_transforms()
    indices = list(range(len(rows)))
    rivals = {
        'tutorial': (TutorialDataset(rows, theirs), zipped),
        'per worker': (ImageDataset(anns, train), collate_detection),
        'per worker, hue in HSV': (ImageDataset(anns, exact), collate_detection),
        'per worker, cache': (ImageDataset(anns, train, cache_bytes=10**9), collate_detection),
        'tutorial, validation': (TutorialDataset(rows, fit), zipped),
        'validation': (ImageDataset(anns, LetterboxTarget(SIZE, fill)), collate_detection),
    }
    ms = contest(
        {name: partial(per_worker, data, collate, indices) for name, (data, collate) in rivals.items()}, runs
    )
    return {**ms, **(contest(loader_rivals(rows, train, theirs, epochs), runs) if loaders else {})}


# ---- transforms of the user


def nothing(image, target, rng):
    return image, target


def own_transforms():
    "By name: arguments of `with_custom`"
    import torchvision.transforms.v2 as T

    rivals = {
        'none': {},
        'a function before that does nothing': {'before': nothing},
        'a function after that does nothing': {'after': nothing},
        'torchvision colours after': {'after': T.ColorJitter(0.2, 0.2)},
        'torchvision mirror and affine before': {
            'before': T.Compose([T.RandomHorizontalFlip(), T.RandomAffine(10)])
        },
    }
    try:
        import albumentations as A
    except ImportError:
        return rivals
    boxes = A.BboxParams(format='pascal_voc')
    geometry = A.Compose([A.HorizontalFlip(), A.Affine(rotate=(-10, 10), p=1)], bbox_params=boxes)
    rivals['Albumentations colours after'] = {'after': A.RandomBrightnessContrast(p=1)}
    rivals['Albumentations mirror and affine before'] = {'before': geometry}
    return rivals


def measure_own(rows, runs):
    "Processor milliseconds an image with transforms of the user before and after ours"
    anns, fill = annotations(rows), tuple(round(255 * m) for m in MEAN)
    ours, rivals = DetectionTransform(SIZE, fill), own_transforms()
    data = {name: ImageDataset(anns, with_custom(ours, **steps)) for name, steps in rivals.items()}
    indices = list(range(len(rows)))
    return contest(
        {name: partial(per_worker, d, collate_detection, indices) for name, d in data.items()}, runs
    )


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--json', type=Path, help='write the figures here')
    p.add_argument(
        '--images',
        type=int,
        default=96,
        help='images of 640 x 480; an eighth as many of 12 megapixels, smooth and with noise (default 96)',
    )
    p.add_argument('--runs', type=int, default=7, help='runs that count, each (default 7)')
    p.add_argument(
        '--epochs', type=int, default=3, help='passes over the images in a run through a loader (default 3)'
    )
    p.add_argument('--data', type=Path, help='a COCO folder to use instead')
    p.add_argument('--own', action='store_true', help="only what a user's own transforms cost")
    return p.parse_args(argv)


def report_own(args):
    torch.set_num_threads(1)
    data = args.data or real_data('bccd')
    with tempfile.TemporaryDirectory() as tmp:
        rows = list(read_coco(data, args.images) if data else make_images(Path(tmp), args.images))
        figures = measure_own(rows, args.runs)
    for name, ms in figures.items():
        print(f'  {ms:6.2f} ms an image  {ms - figures["none"]:+6.2f}  {name}')
    write_report(args.json, torch=torch.__version__, ms=figures)


def main():
    args = parse()
    if args.own:
        return report_own(args)
    try:
        tutorial_transforms()
    except ImportError as e:
        sys.exit(f'The peer is missing ({e}): pip install cjm-torchvision-tfms cjm-pil-utils')
    torch.set_num_threads(1)
    data, rows, figures = args.data or real_data('bccd'), [], {}
    with tempfile.TemporaryDirectory() as tmp:
        small = list(read_coco(data, args.images) if data else make_images(Path(tmp), args.images))
        sets = {'640 x 480': small}
        for kind, noise in NOISE.items():
            (Path(tmp) / kind).mkdir()
            sets[f'12 megapixels, {kind}'] = list(
                enlarge(small, Path(tmp) / kind, max(4, args.images // 8), noise)
            )
        for name, images in sets.items():
            print(
                f'{name}: {len(images)} images, '
                f'{sum(len(b) for _, b, _ in images) / len(images):.1f} boxes and '
                f'{sum(p.stat().st_size for p, _, _ in images) / len(images) / 1e3:.0f} kB each'
            )
            figures[name] = measure(
                images,
                args.runs if name == '640 x 480' else max(1, args.runs // 2),
                args.epochs,
                name == '640 x 480',
            )
            rows += (mine := rows_of(name, figures[name], RIVALS, TARGETS[name]))
            show(mine)
    write_report(args.json, torch=torch.__version__, rows=rows, ms=figures)


if __name__ == '__main__':
    main()
