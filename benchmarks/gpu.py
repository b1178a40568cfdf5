"""All four tasks on a GPU: images a second, share of the time that the GPU is busy, memory, score.

    PYTHONPATH=. python benchmarks/gpu.py [--minutes 8] [--workers 8] [--tasks detection ...] [--json FILE]
    PYTHONPATH=. python benchmarks/gpu.py --device cpu --quick      tries the script; its figures say nothing

The networks are those of the preset `full`, with random weights: resnet18d at 288 px, YOLOX-tiny at 384 px,
Mask R-CNN v2 and Keypoint R-CNN at 512 px. Images are drawn by the library, so nothing is fetched. Each task
is trained in mixed precision and in float32, with and without `torch.compile`. `simple loop` is what people
write by hand: the same network, data set and losses, a DataLoader, AdamW and autocast, and nothing else.

`images/s` is the wall clock of a window of steps with all workers, after a warm-up that includes the
compilation. `busy` is the union of all kernels and copies over the wall clock of a further window, under
`torch.profiler` without its record of the CPU. `GB` is the peak of what PyTorch took. `score` is that of the
held-out images after a training of some seconds, the same number of `steps` for all of a task. What is not
compiled comes first. What does not fit into a task's share of `--minutes` is left out, and said.
R-CNNs are compiled in their backbone, whose shapes do not change. Of the aims, the rates are what simple
loops reached on an H200, and 90 % busy is asked of 8 workers.

Needs torch, torchvision, timm, numpy, pillow, opencv-python-headless, safetensors, torchmetrics. It is meant
for torch 2.11 with torchvision 0.26 and later, and was tried on a CPU only, with torch 2.14: whether
`torch.compile` pays on a GPU nobody has measured, so the library has no option for it.
"""

import argparse
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
import cv2
import numpy as np
import torch
from report import write_report
from torch.utils.data import DataLoader
from vision_recipes.data.annotations import Annotations, measure
from vision_recipes.data.readers import read_annotations
from vision_recipes.data.splits import split
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.dataloading.dataset import ImageDataset
from vision_recipes.tasks.device import pick_amp, pick_device, set_seed, to_device
from vision_recipes.tasks.run import make_task
from vision_recipes.tasks.task import library_versions, Task
from vision_recipes.training.callbacks import Callback, Callbacks
from vision_recipes.training.loop import fit, make_loaders, train_epoch
from vision_recipes.training.settings import FitSettings, make_settings
from vision_recipes.training.state import preferred_memory_format, Trainer

AIMS = {'classification': 696, 'detection': 352, 'segmentation': 36, 'keypoints': 34}  # images/s
AIM_BUSY = 0.9
COMPILING = 40.0  # seconds that are set aside for it
SMALL = {  # For `--quick`
    'classification': dict(model='test_resnet', size=64),
    'detection': dict(model='yolox_nano', size=96),
    'segmentation': dict(model='maskrcnn_small', size=96),
    'keypoints': dict(model='keypointrcnn_small', size=96),
}


@dataclass(frozen=True)
class Variant:
    "A way to train"

    name: str
    amp: str  # As `FitSettings.amp`
    compiled: bool = False
    simple: bool = False  # By the simple loop


VARIANTS = (
    Variant('mixed precision', 'auto'),
    Variant('simple loop', 'auto', simple=True),
    Variant('float32', 'off'),
    Variant('mixed precision, compiled', 'auto', compiled=True),
    Variant('float32, compiled', 'off', compiled=True),
)


@dataclass(frozen=True)
class Plan:
    "How much is done"

    warmup: int  # Batches that are not counted
    timed: int  # Batches of the window for `images/s`
    profiled: int  # Batches of the window for `busy`
    images: int  # Drawn for each task
    score_seconds: float  # Of each training for `score`

    @property
    def batches(self) -> int:
        return self.warmup + self.timed + self.profiled


FULL, QUICK = Plan(24, 60, 16, 160, 12.0), Plan(1, 2, 1, 24, 0.1)
SCORE_EPOCHS = 3


# ---- what is measured


def wait(device: torch.device):
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def busy_share(profiler: torch.profiler.profile, seconds: float) -> float | None:  # None: no GPU was seen
    "The union of what ran on the GPU, over the wall clock"
    events = [e for e in profiler.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    spans = sorted(
        (e.time_range.start, e.time_range.end) for e in events if not getattr(e, 'is_user_annotation', False)
    )
    busy, end = 0.0, -float('inf')
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy / 1e6 / seconds if spans else None


class Meter(Callback):
    "Counts batches: a warm-up, a window for the rate, a window under the profiler"

    def __init__(self, plan: Plan, batch_size: int, device: torch.device):
        self.plan, self.batch_size, self.device = plan, batch_size, device
        self.batches, self.result = 0, {}

    def count(self) -> bool:  # Whether all is measured
        "To be called after each batch"
        self.batches += 1
        plan = self.plan
        if self.batches == plan.warmup:
            self._begin()
        elif self.batches == plan.warmup + plan.timed:
            self.result['images/s'] = plan.timed * self.batch_size / self._seconds()
            self._begin_profile()
        elif self.batches == plan.batches:
            self._end_profile()
        return self.batches >= plan.batches

    def after_batch(self, t):
        if self.count():
            t.stop_reason = 'measured'

    def _begin(self):
        wait(self.device)
        self.started = time.perf_counter()

    def _seconds(self) -> float:
        wait(self.device)
        return time.perf_counter() - self.started

    def _begin_profile(self):
        self.profiler = None
        if self.device.type == 'cuda':
            self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
            self.profiler.start()
        self._begin()

    def _end_profile(self):
        seconds = self._seconds()
        if self.profiler:
            self.profiler.stop()
            self.result['busy'] = busy_share(self.profiler, seconds)


# ---- trainings


@dataclass
class Case:
    "A task with its images, and where its runs go"

    name: str
    task: Task
    settings: FitSettings
    train: Annotations
    valid: Annotations
    folder: Path
    backend: str  # Of `torch.compile`

    def network(self, compiled: bool) -> torch.nn.Module:
        set_seed(self.settings.seed)  # all variants start from the same weights
        model = self.task.build_model()
        if compiled:
            # in place, so that the names of the parameters stay
            part = model.backbone if self.name in ('segmentation', 'keypoints') else model
            part.compile(backend=self.backend, dynamic=False)
        return model

    def long_epoch(self, batches: int) -> Annotations:
        "The training images again and again, for that many batches"
        return self.train.subset(np.arange(batches * self.settings.batch_size) % len(self.train))


def our_rate(case: Case, variant: Variant, meter: Meter):
    "The library's own loop"
    settings = case.settings.replace(amp=variant.amp, epochs=1)
    train = case.long_epoch(meter.plan.batches + 1)
    loader, _ = make_loaders(case.task, train, case.valid, settings)
    t = Trainer(case.task, settings, len(loader.batch_sampler), case.network(variant.compiled))
    t.callbacks = Callbacks([meter])
    train_epoch(t, loader, train, case.folder, threading.Event())
    t.callbacks.raise_error(t)


def start_worker(number: int):
    cv2.setNumThreads(0)  # a forked process would wait for OpenCV's threads for ever


def simple_rate(case: Case, variant: Variant, meter: Meter):
    "What people write by hand"
    device, s = meter.device, case.settings
    images = ImageDataset(case.long_epoch(meter.plan.batches + 1), case.task.transform(train=True))
    loader = DataLoader(
        images,
        s.batch_size,
        shuffle=True,
        num_workers=s.workers,
        collate_fn=case.task.collate(),
        pin_memory=device.type == 'cuda',
        drop_last=True,
        worker_init_fn=start_worker,
    )
    model = case.network(variant.compiled).to(device, memory_format=preferred_memory_format(device)).train()
    optimizer = torch.optim.AdamW(model.parameters(), s.lr)
    amp = pick_amp(variant.amp, device, model)
    case.task.begin_epoch(0, 1)
    for batch in loader:
        with torch.autocast(device.type, dtype=amp or torch.float32, enabled=amp is not None):
            losses = case.task.losses(model, to_device(batch, device))
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        if meter.count():
            break


def rate(case: Case, variant: Variant, plan: Plan, device: torch.device) -> dict:
    "Images a second, share of time that the GPU is busy, peak memory"
    meter = Meter(plan, case.settings.batch_size, device)
    torch.compiler.reset()
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    (simple_rate if variant.simple else our_rate)(case, variant, meter)
    result = {**meter.result, 'seconds': time.perf_counter() - started}
    if device.type == 'cuda':
        result['GB'] = torch.cuda.max_memory_allocated(device) / 1e9
    return result


def score(case: Case, variant: Variant, steps: int) -> dict:
    "The score after about so many steps"
    settings = case.settings.replace(amp=variant.amp, epochs=SCORE_EPOCHS)
    train = case.long_epoch(max(1, steps // SCORE_EPOCHS))
    out = case.folder / variant.name.replace(', ', '-').replace(' ', '-')
    started = time.perf_counter()
    run = fit(case.task, train, case.valid, out, settings, model=case.network(variant.compiled))
    return {
        'metric': case.task.metric,
        'score': run.card.metrics[case.task.metric],
        'steps': SCORE_EPOCHS * len(train) // settings.batch_size,
        'score_seconds': time.perf_counter() - started,
    }


# ---- all of it


def make_case(name: str, folder: Path, plan: Plan, args) -> Case:
    "Draw the images of a task, and make it ready"
    place = make_samples(name, folder / name / 'images', n=plan.images)
    anns = measure(read_annotations(place))
    values = dict(weights='random', workers=args.workers, device=args.device)
    preset = 'full'
    if args.quick:
        preset, values = 'quick', {**values, 'batch_size': 4, **SMALL[name]}
    settings, fit_settings = make_settings(name, preset, **values)
    train, valid = split(anns, 0.2, 0)
    task = make_task(name, settings, anns.labels)
    task.prepare(train)
    return Case(name, task, fit_settings, train, valid, folder / name, args.backend)


def measure_task(case: Case, plan: Plan, device: torch.device, until: float) -> list[dict]:
    "A row for each variant; what comes too late is left out"
    rows = [{'task': case.name, 'model': case.task.settings.model, 'variant': v.name} for v in VARIANTS]
    for compiled in (False, True):
        chosen = [(v, row) for v, row in zip(VARIANTS, rows) if v.compiled == compiled]
        for variant, row in chosen:
            needed = COMPILING * compiled + max(r.get('seconds', 0.0) for r in rows)
            row |= attempt(lambda: rate(case, variant, plan, device), until - needed)
            print(line_of(row), flush=True)
        # as many steps for all, by the rate of the first
        steps = int(plan.score_seconds * rows[0].get('images/s', 0.0) / case.settings.batch_size)
        for variant, row in chosen:
            if not variant.simple and 'images/s' in row:
                needed = 2 * plan.score_seconds + COMPILING * compiled
                row |= attempt(lambda: score(case, variant, steps), until - needed)
    return rows


def attempt(do, latest_start: float) -> dict:  # Its result, or why there is none
    "One measurement; an error, such as one of the compiler, does not end the others"
    if time.perf_counter() > latest_start:
        return {'left out': 'no time'}
    try:
        return do()
    except Exception as e:
        return {'left out': f'{type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ""}'}


def line_of(row: dict) -> str:
    "A row of the table"

    def cell(key, form):
        return format(row[key], form) if row.get(key) is not None else '-'

    return (
        f'| {row["task"]} | {row["variant"]} | {cell("images/s", ".1f")} | {AIMS[row["task"]]} '
        f'| {cell("busy", ".0%")} | {cell("GB", ".2f")} | {cell("score", ".3f")} | {cell("steps", "d")} '
        f'| {cell("seconds", ".0f")} | {row.get("left out", "")} |'
    )


def print_table(rows: list[dict]):
    columns = [
        'task',
        'variant',
        'images/s',
        'aim',
        f'busy (aim {AIM_BUSY:.0%})',
        'GB',
        'score',
        'steps',
        's',
    ]
    print(f'| {" | ".join(columns)} | left out |')
    print('| --- ' * (len(columns) + 1) + '|')
    for row in rows:
        print(line_of(row))


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--device', default='cuda', help='as in the settings of a training')
    p.add_argument('--minutes', type=float, default=8.0, help='in all, shared equally by the tasks')
    p.add_argument('--workers', type=int, default=8)
    p.add_argument('--tasks', nargs='+', choices=AIMS, default=list(AIMS))
    p.add_argument('--backend', default='inductor', help='of torch.compile; aot_eager needs no compiler')
    p.add_argument('--quick', action='store_true', help='tiny networks and a few steps, to try the script')
    p.add_argument('--json', type=Path)
    return p.parse_args()


def main():
    args, started = arguments(), time.perf_counter()
    plan, device = QUICK if args.quick else FULL, pick_device(args.device)
    card = torch.cuda.get_device_name(device) if device.type == 'cuda' else str(device)
    known = dict(device=card, workers=args.workers, versions=library_versions(), quick=args.quick)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(args.tasks):
            case = make_case(name, Path(folder), plan, args)
            until = started + 60 * args.minutes * (i + 1) / len(args.tasks)
            rows += measure_task(case, plan, device, until)
            write_report(args.json, **known, aims=AIMS, aim_busy=AIM_BUSY, rows=rows)
    print_table(rows)


if __name__ == '__main__':
    main()
