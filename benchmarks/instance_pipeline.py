"""Images a second of the data pipelines with masks and with keypoints, ours against the tutorials'.

    python benchmarks/instance_pipeline.py [--json results.json] [--images 96] [--runs 7] [--data FOLDER]

The tutorials' pipelines are rebuilt from public packages. The tutorials' pipelines are rebuilt from public
packages. Theirs: a pandas row looked up, Pillow, and the transforms of the Mask R-CNN and Keypoint R-CNN
tutorials (cjm-torchvision-tfms 0.0.26 on torchvision v2) at 512 pixels. Masks: each polygon is drawn by
Pillow as an image of the source's size, and goes through crop, flip, resize, pad and resize as an image, with
colour jitter, grey, equalise and posterise on the full image. Keypoints: boxes of 4 pixels around each point;
colour jitter, grey, equalise, copied pixels, perspective, rotation up to 90 degrees, crop, resize, pad,
resize. Both end in floats; batches of four are stacked in the main process. Ours: `DetectionTransform` with
the same steps from the same distributions (crops beside rotation included) and a `DataLoader` of uint8
images, masks as bits. Images: the student cards of `real_data('student-id')` (640 x 480 to 1024 x 768) where
they are found, or FOLDER with LabelMe polygons, or else made here; for keypoints three corners of each card
are its points, so that both tasks see the same images, and the tiny faces of `real_data('face-keypoints')`
come besides. Those of 12 megapixels are enlarged from the cards, smooth and with noise as a camera has it.
Contestants take turns, and each figure is the median of its runs: processor time of one thread for `per
worker`, wall clock for `two workers`. Ratios count; milliseconds are this machine's. `ready here` adds what
belongs to the device, normalising images and unpacking masks, on the CPU of the main process.

Needs: pip install cjm-torchvision-tfms cjm-pil-utils
"""

import argparse, sys, tempfile, time
from functools import partial
from pathlib import Path
import numpy as np
import torch
from PIL import Image, ImageDraw
from data_pipeline import contest, photo_like
from detection_pipeline import NOISE, RIVALS, Stacked, enlarged, zipped
from report import rows_of, show, write_report
from vision_recipes.data.annotations import Annotations
from vision_recipes.data.readers import read_annotations
from vision_recipes.dataloading.transforms.detection import DetectionTransform
from vision_recipes.dataloading.transforms.color import ColorJitter, RandomEqualize, RandomGrayscale
from vision_recipes.core.ragged import Ragged, Strings
from vision_recipes.core.testing import real_data
from vision_recipes.dataloading.dataset import ImageDataset
from vision_recipes.dataloading.collate import collate_instances, normalise, unpack_masks
from vision_recipes.dataloading.loader import make_loader
from vision_recipes.core.images import open_image
from vision_recipes.core.labels import LabelMap
from vision_recipes.core.masks import Masks, masks_boxes
from vision_recipes.core.skeleton import Skeleton, points_boxes
from vision_recipes.dataloading.transforms.geometry import RandomIoUCrop
from vision_recipes.dataloading.transforms.perspective import (
    RandomPerspective,
    RandomPixelCopy,
    RandomRotation,
)

SIZE, BATCH, FILL, MEAN, STD, MARGIN = (
    512,
    4,
    (123, 117, 104),
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
    0.5,
)
TARGETS = {
    'masks, small': {'per worker': 4.5, 'two workers': 4.0},
    **{f'masks, 12 megapixels, {kind}': {'per worker': 20.0} for kind in NOISE},
    'keypoints, small': {'per worker': 4.0, 'two workers': 3.5},
    **{f'keypoints, 12 megapixels, {kind}': {'per worker': 30.0} for kind in NOISE},
}


# ---- the images


def make_cards(root, n):
    "`n` made images of one or two quadrangles"
    rng, rows, sizes = np.random.default_rng(0), [], []
    for i in range(n):
        size = [(640, 480), (480, 640), (1024, 768), (768, 1024)][i % 4]
        photo_like(size, rng).save(root / f'{i:04d}.jpg', quality=90)
        middles = rng.uniform(0.3, 0.7, (1 + i % 2, 1, 2))
        rows.append(
            [
                [
                    (
                        (
                            m
                            + np.array([[-1, -0.6], [1, -0.6], [1, 0.6], [-1, 0.6]]) * rng.uniform(0.12, 0.22)
                            + rng.normal(0, 0.02, (4, 2))
                        )
                        * size
                    ).astype(np.float32)
                ]
                for m in middles
            ]
        )
        sizes.append(size)
    masks = Masks.from_rows([row for image in rows for row in image])
    return Annotations(
        root,
        Strings.from_list(f'{i:04d}.jpg' for i in range(n)),
        LabelMap(('card',)),
        Ragged.from_rows([[0] * len(r) for r in rows], np.int64),
        np.array(sizes, np.int32),
        boxes=masks_boxes(masks),
        masks=masks,
    )


def with_points(anns):
    "Three corners of each card instead of its mask: the leftmost, the highest and the rightmost point"
    points = np.zeros((len(anns.masks), 3, 3), np.float32)
    for m in range(len(points)):
        ring = np.concatenate(anns.masks.rings_of(m))
        points[m] = [(*ring[k], 2) for k in (ring[:, 0].argmin(), ring[:, 1].argmin(), ring[:, 0].argmax())]
    return anns.replace(
        masks=None,
        keypoints=points,
        boxes=points_boxes(points, MARGIN, anns.sizes_wh[anns.image_of]),
        point_margin=MARGIN,
        labels=LabelMap(anns.labels.names, skeleton=Skeleton.of(('left', 'top', 'right'))),
    )


def enlarge(anns, root, n, noise):
    "The first `n` images, at 12 megapixels"
    rng, anns = np.random.default_rng(1), anns.subset(np.arange(min(n, len(anns))))
    sizes = []
    for i in range(len(anns)):
        im = open_image(anns.path(i))
        w, h = (
            (4000, round(4000 * im.height / im.width))
            if im.width >= im.height
            else (round(4000 * im.width / im.height), 4000)
        )
        path = root / anns.paths[i]
        path.parent.mkdir(parents=True, exist_ok=True)
        enlarged(im, (w, h), noise, rng).save(path, format='JPEG', quality=90)
        sizes.append((w, h))
    scale = (np.array(sizes) / anns.sizes_wh)[anns.image_of].astype(np.float32)
    of_points = np.repeat(np.arange(len(anns.masks)), np.diff(anns.masks.rings[anns.masks.objects]))
    return anns.replace(
        root=root,
        sizes_wh=np.array(sizes, np.int32),
        boxes=anns.boxes * np.tile(scale, 2),
        masks=anns.masks.moved(anns.masks.points * scale[of_points]),
    )


# ---- theirs


def crop_and_fit():
    "Their crop, and their way to a square and to floats"
    import torchvision.transforms.v2 as T
    from cjm_torchvision_tfms.core import CustomRandomIoUCrop, PadSquare, ResizeMax

    crop = CustomRandomIoUCrop(
        min_scale=0.3,
        max_scale=1.0,
        min_aspect_ratio=0.5,
        max_aspect_ratio=2.0,
        sampler_options=[0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0],
        trials=400,
        jitter_factor=0.25,
    )
    return crop, [
        ResizeMax(max_sz=SIZE),
        PadSquare(shift=True, fill=0),
        T.Resize([SIZE] * 2, antialias=True),
        T.ToImage(),
        T.ToDtype(torch.float32, scale=True),
        T.SanitizeBoundingBoxes(),
    ]


def mask_transforms():
    import torchvision.transforms.v2 as T

    crop, fit = crop_and_fit()
    jitter = T.ColorJitter(
        brightness=(0.875, 1.125), contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue=(-0.05, 0.05)
    )
    return T.Compose(
        [
            crop,
            jitter,
            T.RandomGrayscale(),
            T.RandomEqualize(),
            T.RandomPosterize(bits=3, p=0.5),
            T.RandomHorizontalFlip(p=0.5),
            *fit,
        ]
    )


def point_transforms():
    import torchvision.transforms.v2 as T
    from cjm_torchvision_tfms.core import RandomPixelCopy as TheirPixelCopy

    crop, fit = crop_and_fit()
    jitter = T.ColorJitter(
        brightness=(0.8, 1.125), contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue=(-0.05, 0.05)
    )
    return T.Compose(
        [
            jitter,
            T.RandomGrayscale(),
            T.RandomEqualize(),
            TheirPixelCopy(max_pct=0.025),
            T.RandomPerspective(distortion_scale=0.15, p=0.5, fill=FILL),
            T.RandomRotation(degrees=90, fill=FILL),
            crop,
            *fit,
        ]
    )


class TutorialDataset(torch.utils.data.Dataset):
    "A frame with LabelMe's shapes in its cells, one row an image"

    def __init__(self, anns, transform):
        import pandas as pd

        self.paths, self.transform, self.names = (
            {Path(p).stem: anns.path(i) for i, p in enumerate(anns.paths)},
            transform,
            anns.labels.names,
        )
        self.keys = list(self.paths)
        self.frame = pd.DataFrame(
            {key: {'shapes': self.shapes(anns, i)} for i, key in enumerate(self.keys)}
        ).transpose()

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, i):
        row, image = self.frame.loc[self.keys[i]], Image.open(self.paths[self.keys[i]]).convert('RGB')
        return self.transform(image, self.target(row['shapes'], image.size))


class TutorialMasks(TutorialDataset):
    def shapes(self, anns, i):
        return [
            {'label': self.names[anns.class_ids.values[m]], 'points': ring.tolist()}
            for m in range(*anns.class_ids.offsets[i : i + 2])
            for ring in anns.masks.rings_of(m)
        ]

    def target(self, shapes, size_wh):
        import torchvision.transforms.v2 as T
        from torchvision.ops import masks_to_boxes
        from torchvision.tv_tensors import BoundingBoxes, Mask

        drawn = []
        for shape in shapes:
            image = Image.new('L', size_wh, 0)
            ImageDraw.Draw(image).polygon([tuple(p) for p in shape['points']], fill=255)
            drawn.append(Mask(T.PILToTensor()(image), dtype=torch.bool))
        masks = Mask(torch.concat(drawn))
        return {
            'masks': masks,
            'boxes': BoundingBoxes(masks_to_boxes(masks), format='xyxy', canvas_size=size_wh[::-1]),
            'labels': torch.tensor([1 + self.names.index(s['label']) for s in shapes]),
        }


class TutorialPoints(TutorialDataset):
    "A point has a box of 4 pixels and is a class; those that are gone are filled up with -1"

    def shapes(self, anns, i):
        return [
            {'label': anns.labels.skeleton.points[k], 'points': [[x, y]]}
            for m in range(*anns.class_ids.offsets[i : i + 2])
            for k, (x, y, v) in enumerate(anns.keypoints[m].tolist())
            if v
        ]

    def target(self, shapes, size_wh):
        from torchvision.ops import box_convert
        from torchvision.tv_tensors import BoundingBoxes

        points = torch.tensor([s['points'][0] for s in shapes])
        boxes = box_convert(torch.cat([points, torch.full_like(points, 4)], 1), 'cxcywh', 'xyxy')
        return {
            'boxes': BoundingBoxes(boxes, format='xyxy', canvas_size=size_wh[::-1]),
            'labels': torch.arange(len(points)).float(),
        }

    def __getitem__(self, i):
        image, target = super().__getitem__(i)
        filled = torch.full((len(self.frame.loc[self.keys[i]]['shapes']), 4), -1)
        for k in range(len(filled)):
            at = (target['labels'] == k).nonzero(as_tuple=True)[0]
            if len(at):
                filled[k] = target['boxes'][at]
        return image, {'boxes': filled, 'labels': torch.arange(len(filled)).float()}


# ---- ours


def our_masks():
    return DetectionTransform(SIZE)


def our_points():
    colors = (
        ColorJitter(brightness=(0.8, 1.125)),
        RandomGrayscale(),
        RandomEqualize(),
        RandomPixelCopy(0.075),
    )
    return DetectionTransform(
        SIZE, FILL, (RandomPerspective(0.15, 0.5), RandomRotation(90), RandomIoUCrop()), colors
    )


def ready(batch):
    "What the device does, here"
    normalise(batch['images'], MEAN, STD)
    if 'mask_bits' in batch:
        unpack_masks(batch['mask_bits'], tuple(batch['images'].shape[-2:]))


# ---- the contest


def per_worker(dataset, collate, indices):
    """Processor milliseconds an image for loading, changing and joining batches, in this process with one
    thread"""
    start = time.process_time()
    for b in range(0, len(indices), BATCH):
        collate([dataset[i] for i in indices[b : b + BATCH]])
    return (time.process_time() - start) / len(indices) * 1e3


def through(loader, epochs, n, after=None):
    "Milliseconds an image by the clock; workers are running already"
    start = time.perf_counter()
    for _ in range(epochs):
        for batch in loader:
            if after:
                after(batch)
    return (time.perf_counter() - start) / (epochs * n) * 1e3


def loader_rivals(anns, theirs, train, epochs):
    "Both through two workers"
    their_loader = Stacked(
        torch.utils.data.DataLoader(
            theirs, BATCH, shuffle=True, num_workers=2, persistent_workers=True, collate_fn=zipped
        )
    )
    ours, kept = (
        make_loader(
            ImageDataset(anns, train, cache_bytes=c),
            BATCH,
            shuffle=True,
            workers=2,
            collate=collate_instances,
        )
        for c in (0, 10**9)
    )
    n = len(anns)
    return {
        'tutorial, two workers': partial(through, their_loader, epochs, n),
        'two workers': partial(through, ours, epochs, n),
        'two workers, ready here': partial(through, ours, epochs, n, ready),
        'two workers, cache': partial(through, kept, epochs, n),
    }


def measure(anns, runs, epochs, loaders):
    "All figures for one set of images, milliseconds an image"
    masks = anns.get('masks') is not None
    theirs = TutorialMasks(anns, mask_transforms()) if masks else TutorialPoints(anns, point_transforms())
    train, indices = our_masks() if masks else our_points(), list(range(len(anns)))
    rivals = {
        'tutorial': (theirs, zipped),
        'per worker': (ImageDataset(anns, train), collate_instances),
        'per worker, cache': (ImageDataset(anns, train, cache_bytes=10**9), collate_instances),
    }
    ms = contest(
        {name: partial(per_worker, data, collate, indices) for name, (data, collate) in rivals.items()}, runs
    )
    return {**ms, **(contest(loader_rivals(anns, theirs, train, epochs), runs) if loaders else {})}


def images(args, tmp):
    "Name: annotations"
    root = args.data or real_data('student-id')
    small = read_annotations(root, 'labelme') if root else make_cards(tmp, args.images)
    small = small.subset(np.flatnonzero(small.class_ids.counts > 0)[: args.images])
    small = small if (small.sizes_wh > 0).all() else small.measure()
    cards = {
        'small': small,
        **{
            f'12 megapixels, {kind}': enlarge(small, tmp / kind, max(4, args.images // 12), noise)
            for kind, noise in NOISE.items()
        },
    }
    sets = {f'masks, {size}': anns for size, anns in cards.items()} | {
        f'keypoints, {size}': with_points(anns) for size, anns in cards.items()
    }
    if faces := real_data('face-keypoints'):
        anns = read_annotations(faces, 'labelme')
        sets['keypoints, tiny faces'] = anns.subset(np.arange(min(args.images, len(anns))))
    return sets


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--json', type=Path, help='write the figures here')
    p.add_argument(
        '--images',
        type=int,
        default=96,
        help='small images; a twelfth as many of 12 megapixels, smooth and with noise (default 96)',
    )
    p.add_argument('--runs', type=int, default=7, help='runs that count, each (default 7)')
    p.add_argument(
        '--epochs', type=int, default=1, help='passes over the images in a run through a loader (default 1)'
    )
    p.add_argument('--data', type=Path, help='a folder of LabelMe polygons to use instead')
    p.add_argument('--only', default='', help='only sets of images whose name holds this')
    return p.parse_args(argv)


def main():
    args = parse()
    try:
        crop_and_fit()
    except ImportError as e:
        sys.exit(f'The peer is missing ({e}): pip install cjm-torchvision-tfms cjm-pil-utils')
    torch.set_num_threads(1)
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as tmp:
        for name, anns in images(args, Path(tmp)).items():
            if args.only not in name:
                continue
            print(
                f'{name}: {len(anns)} images, {len(anns.class_ids.values) / len(anns):.1f} objects and '
                f'{sum(anns.path(i).stat().st_size for i in range(len(anns))) / len(anns) / 1e3:.0f} kB '
                'each',
                flush=True,
            )
            large = 'megapixels' in name
            figures[name] = measure(
                anns, max(1, args.runs // 2) if large else args.runs, args.epochs, not large
            )
            rows += (mine := rows_of(name, figures[name], RIVALS, TARGETS.get(name, {})))
            show(mine, width=26)
    write_report(args.json, torch=torch.__version__, rows=rows, ms=figures)


if __name__ == '__main__':
    main()
