"""YOLOX's label assignment and loss with their gradient: ours, the tutorial's package, the original.

    python benchmarks/yolox_loss.py [--json results.json] [--runs 15]
    pip install pixeltable-yolox cjm-yolox-pytorch        # the contestants; one that is missing is left out

Guesses of a yolox_tiny head for images of 384 pixels and 19 classes, the same for all. Contestants take
turns; each figure is the median of the processor time of one thread. Ours is timed under both rules of
candidates: `release` is what pixeltable-yolox has (1.5 strides), `paper` what cjm_yolox_pytorch has (the box,
2.5 strides), and each ratio compares like with like. `operations` are tensor operations of forward and
backward without views, `waits` those among them that make a host wait for a GPU.
"""

import argparse, importlib.util, json, statistics, time
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from vision_recipes.models.yolox.losses import RULES, GroundTruth, yolox_loss
from vision_recipes.runtime.postprocess_boxes import STRIDES
from vision_recipes.models.yolox.network import RawPredictions, join

SIZE, CLASSES = 384, 19
CASES = [(8, 5), (16, 5), (8, 30), (16, 30)]  # images, objects in each
TARGETS = {('cjm', 5): 6.0, ('pixeltable', 5): 4.0, ('cjm', 30): 10.0, ('pixeltable', 30): 5.0}
# `.item()`, a comparison used as a condition, a boolean mask
WAITS = ('aten.nonzero.default', 'aten._local_scalar_dense.default')


class Count(TorchDispatchMode):
    "Counts what is run"

    def __init__(self):
        super().__init__()
        self.operations = self.waits = 0

    def __enter__(self):
        self.tolist = read = torch.Tensor.tolist  # waits too, but is no operation on a CPU

        def tolist(tensor):
            self.waits += 1
            return read(tensor)

        torch.Tensor.tolist = tolist
        return super().__enter__()

    def __exit__(self, *a):
        torch.Tensor.tolist = self.tolist
        return super().__exit__(*a)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += not func.is_view
        self.waits += str(func) in WAITS
        return func(*args, **(kwargs or {}))


def guesses(n, seed):
    "Head outputs of each grid: box, objectness, classes"
    g = torch.Generator().manual_seed(seed)
    return [
        [
            (torch.randn(n, c, SIZE // s, SIZE // s, generator=g) * 0.5).requires_grad_()
            for c in (4, 1, CLASSES)
        ]
        for s in STRIDES
    ]


def boxes_like_hagrid(n, k, seed):
    "Boxes of a twelfth to a third of the image, XYXY"
    g = torch.Generator().manual_seed(seed)
    wh = 0.08 + 0.25 * torch.rand(n, k, 2, generator=g)
    low = torch.rand(n, k, 2, generator=g) * (1 - wh)
    return torch.cat([low, low + wh], -1) * SIZE, torch.randint(0, CLASSES, (n, k), generator=g)


def ours(rule):
    def run(maps, boxes, labels):
        box, objectness, classes = map(join, zip(*maps))
        return sum(
            yolox_loss(
                RawPredictions(box, objectness[..., 0], classes),
                GroundTruth.of(boxes, labels),
                (SIZE, SIZE),
                RULES[rule],
            ).values()
        )

    return run


class Ready(nn.Module):
    "Gives a ready-made output, whatever its input"

    def forward(self, x):
        return self.output


def pixeltable():
    from yolox.models import YoloxHead

    head = YoloxHead(CLASSES, width=0.375).train()
    head.stems = head.cls_convs = head.reg_convs = nn.ModuleList([nn.Identity() for _ in STRIDES])
    parts = [nn.ModuleList([Ready() for _ in STRIDES]) for _ in range(3)]
    head.reg_preds, head.obj_preds, head.cls_preds = parts

    def run(maps, boxes, labels):
        for i, part in enumerate(parts):
            for ready, level in zip(part, maps):
                ready.output = level[i]
        cxcywh = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
        return head(
            [m[1] for m in maps],
            torch.cat([labels[..., None].float(), cxcywh], -1),
            torch.zeros(len(boxes), 3, 8, 8),
        )[0]

    return run


def cjm():
    from cjm_yolox_pytorch.loss import YOLOXLoss

    loss = YOLOXLoss(CLASSES)

    def run(maps, boxes, labels):
        box, objectness, classes = zip(*maps)
        return sum(loss(list(classes), list(box), list(objectness), list(boxes), list(labels)).values())

    return run


def cost(run, maps, boxes, labels):
    "Seconds of one thread"
    for m in maps:
        for o in m:
            o.grad = None
    start = time.process_time()
    run(maps, boxes, labels).backward()
    return time.process_time() - start


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--json')
    p.add_argument('--runs', type=int, default=15)
    args = p.parse_args()
    torch.set_num_threads(1)
    contestants = {'ours, paper': ours('paper'), 'ours, release': ours('release')}
    for name, make, package in (('pixeltable', pixeltable, 'yolox'), ('cjm', cjm, 'cjm_yolox_pytorch')):
        if importlib.util.find_spec(package):
            contestants[name] = make()
        else:
            print(f'{name}: not installed, left out')
    against, rows = {'pixeltable': 'ours, release', 'cjm': 'ours, paper'}, []
    for n, k in CASES:
        maps, (boxes, labels), times = guesses(n, k), boxes_like_hagrid(n, k, n), {c: [] for c in contestants}
        for run in contestants.values():
            cost(run, maps, boxes, labels)
        for _ in range(args.runs):
            for c, run in contestants.items():
                times[c].append(cost(run, maps, boxes, labels))
        medians = {c: statistics.median(t) for c, t in times.items()}
        for c, run in contestants.items():
            with Count() as count:
                run(maps, boxes, labels).backward()
            row = {
                'images': n,
                'objects': k,
                'who': c,
                'ms': 1e3 * medians[c],
                'operations': count.operations,
                'waits': count.waits,
            }
            if c in against:
                row |= {'ours is faster by': medians[c] / medians[against[c]], 'target': TARGETS[c, k]}
            rows.append(row)
            ratio = (
                f'   {row["ours is faster by"]:5.1f} x of {against[c]} (target {row["target"]:.0f})'
                if c in against
                else ''
            )
            print(
                f'{n:3d} images x {k:2d} objects   {c:14s} {row["ms"]:8.1f} ms  {count.operations:5d} '
                f'operations  {count.waits:4d} waits{ratio}'
            )
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(rows, f, indent=1)


if __name__ == '__main__':
    main()
