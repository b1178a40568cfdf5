"""A training step on the CPU: ours, and the same network in the loop that its own package is used with.

    python benchmarks/training_step.py [--cases classification detection ...] [--runs 9] [--threads 1]
    pip install pixeltable-yolox        # the peer for detection; without it that case is left out

Networks, sizes and settings are those of the preset `full`, with random weights: timm's resnet18d at 288 px,
YOLOX-tiny at 384 px, torchvision's Mask R-CNN v2 and Keypoint R-CNN at 512 px. All contestants get the same
drawn images. A step is the images' normalisation, forward, losses, backward and AdamW. Ours also has what the
library adds: it checks losses and gradients, cuts the gradients and averages the weights. The peers run in
each order in memory, and in bfloat16 too where the CPU has units for it. Contestants take turns; times are
medians of the processor time of a step, and `ratio` is the fastest peer's time over ours.
The learning rate is next to nothing, and R-CNNs begin with the same weights, because a step takes the longer
the more objects the network finds.
"""

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Callable

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
import torch
from report import write_report
from torch import nn, Tensor
from vision_recipes.data.annotations import Annotations
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.dataloading.collate import normalise
from vision_recipes.dataloading.dataset import ImageDataset
from vision_recipes.tasks.device import _has_bf16_units
from vision_recipes.tasks.run import make_task
from vision_recipes.tasks.task import Task
from vision_recipes.training.loop import train_batch
from vision_recipes.training.settings import FitSettings, make_settings
from vision_recipes.training.state import Trainer

BATCH = {'classification': 16, 'detection': 8, 'segmentation': 2, 'keypoints': 2}  # Images
FORMATS = {'contiguous': torch.contiguous_format, 'channels-last': torch.channels_last}
LR = 1e-9
Step = Callable[[], Tensor | dict]


def peer_step(losses: Callable, model: nn.Module, prepare: Callable, order: str, is_bf16: bool) -> Step:
    "The loop that people write; `prepare` gives the images, `losses` one loss from the network and them"
    model = model.train().to(memory_format=FORMATS[order])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], LR, fused=True)

    def step():
        images = prepare().contiguous(memory_format=FORMATS[order])
        with torch.autocast('cpu', torch.bfloat16, enabled=is_bf16):
            loss = losses(model, images)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


# ---- the peers: a network, a function that gives the images, and one from both to the loss; `ours` is our
# network


def timm_peer(task: Task, batch: dict, ours: nn.Module):
    import timm

    preprocess, labels = task.preprocess(), batch['labels']
    model = timm.create_model(task.settings.model, num_classes=task.labels.n_model)
    prepare = partial(normalise, batch['images'], preprocess.mean, preprocess.std)
    return model, prepare, lambda model, images: nn.functional.cross_entropy(model(images), labels)


def yolox_peer(task: Task, batch: dict, ours: nn.Module):
    from yolox.models import YoloxHead, YoloxModule, YoloPafpn

    depth, width = 0.33, 0.375
    model = YoloxModule(YoloPafpn(depth, width), YoloxHead(task.labels.n_model, width))
    boxes, labels = batch['boxes'], batch['labels']
    centres = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
    targets = torch.cat([labels[..., None].float(), centres], -1) * (labels >= 0)[..., None]
    prepare = partial(task.inputs, batch['images'])
    return model, prepare, lambda model, images: model(images, targets)['total_loss']


def torchvision_peer(task: Task, batch: dict, ours: nn.Module):
    from torchvision.models import detection

    s, targets = task.settings, task.targets(batch)
    options = dict(min_size=s.size, max_size=s.size, weights=None, weights_backbone=None)
    if 'keypoints' in targets[0]:
        options['num_keypoints'] = targets[0]['keypoints'].shape[1]
    model = getattr(detection, s.model)(num_classes=task.network_labels.n_model, **options)
    model.load_state_dict(ours.state_dict())
    if 'masks' in targets[0]:
        targets = [{**target, 'masks': target['masks'].to(torch.uint8)} for target in targets]
    prepare = partial(torch.div, batch['images'], 255)
    return model, prepare, lambda model, images: sum(model(list(images), targets).values())


PEERS = {
    'classification': timm_peer,
    'detection': yolox_peer,
    'segmentation': torchvision_peer,
    'keypoints': torchvision_peer,
}


# ---- all of it


def make_case(name: str, folder: Path) -> tuple[Task, FitSettings, dict, Annotations]:
    "Task, settings, a batch and its annotations"
    anns = read_annotations(make_samples(name, folder / name, n=40))
    values = dict(weights='random', batch_size=BATCH[name], device='cpu')
    settings, fit_settings = make_settings(name, 'full', **values)
    task = make_task(name, settings, anns.labels)
    task.prepare(anns)
    images = ImageDataset(anns, task.transform(train=False))
    batch = task.collate()([images[i] for i in range(BATCH[name])])
    return task, fit_settings, batch, anns


def contestants(name: str, case) -> dict[str, Step]:
    task, settings, batch, anns = case
    trainer = Trainer(task, settings.replace(lr=LR), batches=1000)
    trainer.set_train_mode()
    steps = {'ours': partial(train_batch, trainer, batch, anns, is_step=True)}
    for order in FORMATS:
        for is_bf16 in (False, True)[: 1 + _has_bf16_units()]:
            model, prepare, losses = PEERS[name](task, batch, trainer.model)
            words = f'peer, {order}{", bfloat16" if is_bf16 else ""}'
            steps[words] = peer_step(losses, model, prepare, order, is_bf16)
    return steps


def seconds(step: Step) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def compare(name: str, steps: dict[str, Step], runs: int) -> dict:
    "Medians of the contestants' times, and the ratio"
    times = {words: [] for words in steps}
    for words, step in list(steps.items()):
        try:
            step()  # the first one also builds what later ones reuse
        except RuntimeError as e:  # torchvision's loss of points takes no channels-last maps
            print(f'{name}: {words} cannot be trained ({str(e).splitlines()[0]}), left out', flush=True)
            del steps[words], times[words]
    for _ in range(runs):
        for words, step in steps.items():
            times[words].append(seconds(step))
    medians = {words: statistics.median(t) for words, t in times.items()}
    ours = medians['ours']
    ratio = min(t for words, t in medians.items() if words != 'ours') / ours
    print(f'{name}: {ratio:.2f} x the fastest peer', flush=True)
    for words, t in medians.items():
        print(f'    {t:8.3f} s  {words}', flush=True)
    return {'case': name, 'ratio': ratio, 'seconds': medians}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--cases', nargs='+', default=list(PEERS), choices=list(PEERS))
    p.add_argument('--runs', type=int, default=9)
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--json', type=Path)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.cases:
            if name == 'detection' and not importlib.util.find_spec('yolox'):
                print('detection: pixeltable-yolox is not installed, left out')
                continue
            rows.append(compare(name, contestants(name, make_case(name, Path(folder))), args.runs))
    write_report(args.json, rows=rows)


if __name__ == '__main__':
    main()
