"""Memory for a 24-megapixel image with 50 instances: learnt from, predicted, scored and drawn.

    python benchmarks/instance_memory.py [--model maskrcnn_resnet50_fpn_v2] [--batch-size 4] [--steps 3]

The image is drawn, with 50 outlines in LabelMe's JSON. Training takes it from the file through the data set,
the network's losses and their gradients to an optimiser's step, at 512 pixels; prediction goes through the
network, then through 50 given boxes and masks, as a trained network would find them, so that all masks are
really pasted. Figures are the highest resident memory of the process after each part.
"""

import argparse, json, resource, sys, tempfile
from pathlib import Path
import numpy as np, torch
from PIL import Image, ImageDraw
from vision_recipes.data.readers import read_annotations
from vision_recipes.dataloading.dataset import ImageDataset
from vision_recipes.dataloading.loader import make_loader
from vision_recipes.core.images import open_image
from vision_recipes.drawing.instances import draw_instances
from vision_recipes.metrics.masks import evaluate_masks
from vision_recipes.runtime.decoders import DECODERS
from vision_recipes.training.settings import make_settings
from vision_recipes.tasks.run import make_task

SIZE_WH, INSTANCES = (6000, 4000), 50


def peak() -> float:
    "Gigabytes"
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024) / 1e9
    )


def make_image(folder: Path, rng: np.random.Generator):
    "A photograph-like image with stars on it, and their outlines"
    w, h = SIZE_WH
    image = Image.fromarray(rng.integers(0, 255, (h // 20, w // 20, 3), dtype=np.uint8)).resize(
        SIZE_WH, Image.Resampling.BICUBIC
    )
    draw, shapes = ImageDraw.Draw(image), []
    for k in range(INSTANCES):
        x, y = (k % 10 + 0.5) * w / 10, (k // 10 + 0.5) * h / 5
        angle = np.sort(rng.random(30)) * 2 * np.pi
        ring = np.stack([x + 280 * np.cos(angle), y + 380 * np.sin(angle)], 1).round(2).tolist()
        draw.polygon([tuple(p) for p in ring], fill=(200, 60, 40))
        shapes.append(
            {'label': 'star', 'points': ring, 'group_id': None, 'shape_type': 'polygon', 'flags': {}}
        )
    image.save(folder / 'large.jpg', quality=92)
    (folder / 'large.json').write_text(
        json.dumps(
            {
                'version': '5.5.0',
                'flags': {},
                'shapes': shapes,
                'imagePath': 'large.jpg',
                'imageData': None,
                'imageHeight': h,
                'imageWidth': w,
            }
        )
    )


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--model', default='maskrcnn_resnet50_fpn_v2')
    p.add_argument('--batch-size', type=int, default=4)
    p.add_argument('--steps', type=int, default=3)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        make_image(Path(tmp), np.random.default_rng(0))
        print(f'libraries and the image made    {peak():.2f} GB', flush=True)
        anns = read_annotations(tmp)
        anns = anns.subset(np.zeros(args.batch_size, int))
        task = make_task(
            'segmentation',
            make_settings('segmentation', 'full', model=args.model, weights='random')[0],
            anns.labels,
        )
        model = task.build_model().train()
        optimizer, loader = (
            torch.optim.AdamW(model.parameters(), 1e-4),
            make_loader(
                ImageDataset(anns, task.transform(train=True)),
                args.batch_size,
                workers=0,
                collate=task.collate(),
            ),
        )
        for _ in range(args.steps):
            for batch in loader:
                optimizer.zero_grad()
                sum(task.losses(model, batch).values()).backward()
                optimizer.step()
        print(f'{args.steps} steps of {args.batch_size} images        {peak():.2f} GB', flush=True)
        image, size_wh = task.preprocess().open(anns.path(0))
        with torch.inference_mode():
            found = task.infer(
                model.eval(), torch.from_numpy(task.preprocess()(image).transpose(2, 0, 1)[None].copy())
            )
        print(f'network asked, {len(found[0])} found         {peak():.2f} GB', flush=True)
        place = task.preprocess().placement(image.size, size_wh)
        boxes = (anns.boxes[:INSTANCES] * np.tile(place.scale_xy, 2) + np.tile(place.offset_xy, 2)).astype(
            np.float32
        )
        outputs = [
            boxes,
            np.full(INSTANCES, 0.9, np.float32),
            np.zeros(INSTANCES, np.int64),
            np.ones((INSTANCES, 28, 28), np.float32),
            np.zeros(INSTANCES, np.int64),
        ]
        (prediction,) = DECODERS['objects'](outputs, [place], task.card(), 0.5)
        print(
            f'{len(prediction.masks)} masks of {prediction.masks.shape[2]} x {prediction.masks.shape[1]}   '
            f'    {peak():.2f} GB',
            flush=True,
        )
        score = evaluate_masks([prediction], anns.subset([0])).metrics['segm_map_50']
        prediction.table(task.labels)
        json.dumps(prediction.to_dict(task.labels))
        print(f'scored ({score:.2f}), as table and JSON  {peak():.2f} GB', flush=True)
        draw_instances(open_image(anns.path(0)), prediction, task.labels)
        print(f'drawn                             {peak():.2f} GB', flush=True)


if __name__ == '__main__':
    main()
