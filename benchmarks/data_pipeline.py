"""Images a second of the classification data pipeline, ours against the reference tutorial's.

    python benchmarks/data_pipeline.py [--json results.json] [--images 96] [--runs 7] [--data FOLDER]

The tutorial's pipeline is rebuilt from public packages. The tutorial's pipeline is rebuilt from public
packages. Theirs: torchvision transforms v1 on PIL images (resize, pad with the edge, resize;
TrivialAugmentWide; ToTensor; Normalize) and a DataLoader that collates floats. Ours: `vision_recipes`. Images
are JPEGs made here, or photographs from FOLDER; nothing is downloaded. Contestants take turns, and each
figure is the median of its runs: of the processor time of one thread for `per worker`, of the wall clock for
`two workers`. Ratios count; milliseconds are this machine's. `exact resize` is what validation uses;
`normalised here` adds our normalisation, which belongs to the device, on the CPU of the main process.
"""

import argparse, statistics, tempfile, time
from pathlib import Path
import numpy as np
import torch
from PIL import Image, ImageDraw
from report import row_of, verdict, write_report
from vision_recipes.data.annotations import Annotations
from vision_recipes.core.ragged import Ragged, Strings
from vision_recipes.dataloading.dataset import ImageDataset
from vision_recipes.dataloading.collate import collate_images, normalise
from vision_recipes.dataloading.loader import make_loader
from vision_recipes.core.images import find_images, open_image
from vision_recipes.core.labels import LabelMap
from vision_recipes.dataloading.transforms.pixels import Compose, Letterbox
from vision_recipes.dataloading.transforms.trivial_augment import TrivialAugment

SIZE, BATCH, MEAN, STD = 288, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILL = tuple(round(255 * m) for m in MEAN)
TARGETS = {
    '512 px': {'per worker': 1.7, 'per worker, cache': 5.0, 'two workers': 1.7, 'two workers, cache': 4.0},
    '2048 px': {'per worker': 4.0, 'two workers': 4.0},
}


# ---- the images


def photo_like(size_wh, rng):
    "Clouds of colour in several octaves, shapes with edges, a camera's noise"
    w, h = size_wh
    a = np.zeros((h, w, 3), np.float32)
    for octave in range(2, 8):
        n = 2**octave
        coarse = Image.fromarray(rng.integers(0, 256, (max(2, n * h // w), n, 3), dtype=np.uint8))
        a += (
            np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC), dtype=np.float32) - 128
        ) * 0.8**octave
    im = Image.fromarray((a + 128).clip(0, 255).astype(np.uint8))
    d = ImageDraw.Draw(im)
    for _ in range(12):
        x, y, r = rng.integers(0, w), rng.integers(0, h), rng.integers(w // 40, w // 8)
        d.ellipse([x - r, y - r, x + r, y + r], fill=tuple(rng.integers(0, 256, 3).tolist()))
    return Image.fromarray((np.asarray(im) + rng.normal(0, 5, (h, w, 1))).clip(0, 255).astype(np.uint8))


def write_images(root, n, longest, photos):
    "`n` JPEGs of quality 90, landscape and portrait, and their annotations"
    rng = np.random.default_rng(longest)
    for i in range(n):
        shape = [(4, 3), (3, 4), (3, 2), (1, 1)][i % 4]
        size_wh = tuple(longest * s // max(shape) for s in shape)
        if photos:
            im = open_image(photos[i % len(photos)])
            scale = longest / max(im.size)
            im = im.resize(tuple(round(s * scale) for s in im.size), Image.Resampling.LANCZOS)
        else:
            im = photo_like(size_wh, rng)
        im.save(root / f'{i:04d}.jpg', quality=90)
    files = sorted(root.glob('*.jpg'))
    print(
        f'{len(files)} images of {longest} px, '
        f'{sum(f.stat().st_size for f in files) / len(files) / 1e3:.0f} kB each'
    )
    return Annotations(
        root,
        Strings.from_list(f.name for f in files),
        LabelMap(('a', 'b')),
        Ragged(np.arange(n) % 2, np.arange(n + 1)),
        np.zeros((n, 2), np.int32),
    )


# ---- theirs


class ResizePad:
    """The tutorial's way to a square: the longest side to the size, edges repeated, resized again because
    that may be a pixel off"""

    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        import torchvision.transforms.functional as TF

        w, h = image.size
        image = TF.resize(image, int(min(w, h) / (max(w, h) / self.size)), antialias=True)
        w, h = image.size
        offset = (self.size - min(w, h)) // 2
        image = TF.pad(image, [0, offset] if h < w else [offset, 0], padding_mode='edge')
        return TF.resize(image, [self.size] * 2, antialias=True)


def tutorial_transform():
    "torchvision's transforms, version 1"
    from torchvision import transforms

    class CustomTrivialAugmentWide(transforms.TrivialAugmentWide):
        def _augmentation_space(self, num_bins):
            line = lambda high: torch.linspace(0.0, high, num_bins)
            return {
                'Identity': (torch.tensor(0.0), False),
                'ShearX': (line(0.25), True),
                'ShearY': (line(0.25), True),
                'TranslateX': (line(32.0), True),
                'TranslateY': (line(32.0), True),
                'Rotate': (line(45.0), True),
                'Brightness': (line(0.75), True),
                'Color': (line(0.99), True),
                'Contrast': (line(0.99), True),
                'Sharpness': (line(0.99), True),
                'Posterize': (8 - (torch.arange(num_bins) / ((num_bins - 1) / 6)).round().int(), False),
                'Solarize': (torch.linspace(255.0, 0.0, num_bins), False),
                'AutoContrast': (torch.tensor(0.0), False),
                'Equalize': (torch.tensor(0.0), False),
            }

    return transforms.Compose(
        [ResizePad(SIZE), CustomTrivialAugmentWide(), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )


class TutorialDataset(torch.utils.data.Dataset):
    "Paths and labels in lists, as the tutorial has them"

    def __init__(self, anns):
        self.paths, self.labels, self.transform = (
            [anns.path(i) for i in range(len(anns))],
            anns.image_labels.tolist(),
            tutorial_transform(),
        )

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return self.transform(Image.open(self.paths[i]).convert('RGB')), self.labels[i]


# ---- the contest


def ours(anns, cache=False, exact=False):
    "This library's training pipeline"
    transform = Compose([Letterbox(SIZE, FILL, exact=exact), TrivialAugment(fill=FILL)])
    return ImageDataset(anns, transform, cache_bytes=10**9 if cache else 0)


def per_worker(dataset, collate):
    """Processor milliseconds an image for loading, changing and joining a batch, in this process with one
    thread"""
    start = time.process_time()
    for b in range(0, len(dataset), BATCH):
        collate([dataset[i] for i in range(b, min(b + BATCH, len(dataset)))])
    return (time.process_time() - start) / len(dataset) * 1e3


def normalise_ms(batch):
    "Processor milliseconds an image for our normalisation here, one thread; theirs is in its pipeline"
    start = time.process_time()
    normalise(batch, MEAN, STD)
    return (time.process_time() - start) / len(batch) * 1e3


def through(loader, epochs, after=None):
    "Wall-clock milliseconds an image through a loader whose workers are running"
    start, n = time.perf_counter(), 0
    for _ in range(epochs):
        for batch in loader:
            images = batch[0] if isinstance(batch, (list, tuple)) else batch['images']
            if after:
                after(images)
            n += len(images)
    return (time.perf_counter() - start) / n * 1e3


def contest(rivals, runs):
    "Let them take turns; the median of each, after a round that does not count"
    times = {name: [] for name in rivals}
    for k in range(runs + 1):
        for name, run in rivals.items():
            ms = run()
            if k:
                times[name].append(ms)
    return {name: statistics.median(ts) for name, ts in times.items()}


def measure(anns, runs, epochs):
    "All figures for one set of images, milliseconds an image"
    default_collate = torch.utils.data.default_collate
    theirs, plain, exact, kept = (
        TutorialDataset(anns),
        ours(anns),
        ours(anns, exact=True),
        ours(anns, cache=True),
    )
    batch = collate_images([plain[i] for i in range(min(BATCH, len(anns)))])['images']
    worker = contest(
        {
            'tutorial': lambda: per_worker(theirs, default_collate),
            'per worker': lambda: per_worker(plain, collate_images),
            'per worker, exact resize': lambda: per_worker(exact, collate_images),
            'per worker, cache': lambda: per_worker(kept, collate_images),
            'normalise': lambda: normalise_ms(batch),
        },
        runs,
    )

    def here(images):
        normalise(images, MEAN, STD)

    their_loader = torch.utils.data.DataLoader(
        theirs, BATCH, shuffle=True, num_workers=2, persistent_workers=True
    )
    our_loader, kept_loader = (make_loader(data, BATCH, shuffle=True, workers=2) for data in (plain, kept))
    return {
        **worker,
        **contest(
            {
                'tutorial, two workers': lambda: through(their_loader, epochs),
                'two workers': lambda: through(our_loader, epochs),
                'two workers, normalised here': lambda: through(our_loader, epochs, here),
                'two workers, cache': lambda: through(kept_loader, epochs),
                'two workers, cache, normalised here': lambda: through(kept_loader, epochs, here),
            },
            runs,
        ),
    }


def rows_of(name, ms):
    "A row a contestant: ratio, milliseconds, target"
    rows = []
    for key, t in ms.items():
        if key.startswith('tutorial') or key == 'normalise':
            continue
        base = ms['tutorial' if key.startswith('per worker') else 'tutorial, two workers']
        row = row_of(name, key, t, base, TARGETS[name].get(key))
        if key.startswith('per worker'):
            row['ratio_with_normalise'] = base / (t + ms['normalise'])
        rows.append(row)
    return rows


def show(rows, ms):
    for r in rows:
        extra = (
            (
                f'  ({r["ratio_with_normalise"]:.2f} with our normalisation on the CPU, '
                f'{ms["normalise"]:.2f} ms)'
            )
            if 'ratio_with_normalise' in r
            else ''
        )
        print(
            f'  {r["ratio"]:6.2f} x  {r["contestant"]:36} {r["ms"]:6.2f} ms an image against '
            f'{r["tutorial_ms"]:6.2f}{verdict(r)}{extra}',
            flush=True,
        )


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--json', type=Path, help='write the figures here')
    p.add_argument(
        '--images',
        type=int,
        default=96,
        help='images of 512 px; a quarter as many of 2048 px (default 96)',
    )
    p.add_argument('--runs', type=int, default=7, help='runs that count, each (default 7)')
    p.add_argument(
        '--epochs', type=int, default=3, help='passes over the images in a run through a loader (default 3)'
    )
    p.add_argument('--data', type=Path, help='a folder of photographs to use instead of made ones')
    return p.parse_args(argv)


def main():
    args = parse()
    torch.set_num_threads(1)
    photos = find_images(args.data, recursive=True) if args.data else []
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as tmp:
        for name, longest, n in [
            ('512 px', 512, args.images),
            ('2048 px', 2048, max(8, args.images // 4)),
        ]:
            root = Path(tmp) / str(longest)
            root.mkdir()
            anns = write_images(root, n, longest, photos)
            figures[name] = measure(anns, args.runs, args.epochs)
            rows += (mine := rows_of(name, figures[name]))
            show(mine, figures[name])
    write_report(args.json, torch=torch.__version__, rows=rows, ms=figures)


if __name__ == '__main__':
    main()
