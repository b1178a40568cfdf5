"""From YOLOX's raw output to boxes, NumPy alone: ours against the way of the reference tutorial's ONNX page.

    python benchmarks/yolox_postprocess.py [--json results.json] [--runs 31]

One 640 x 640 image, 8400 cells, 19 classes. So many of them lie above the threshold as the row says, about
ten around each object, as a trained network has it. The tutorial's way, rebuilt here from what it does: grids
of whole numbers for each image, boxes and probabilities of all cells (in double precision, as whole and real
numbers meet), then the cut, the overlaps of all pairs, and a loop over the proposals. Both must find the same
boxes. Contestants take turns; each figure is the median of the processor time of one thread.
"""

import argparse, json, statistics, time
import numpy as np
from vision_recipes.runtime.postprocess_boxes import STRIDES, yolox_detections, yolox_grid

SIZE, CLASSES, SCORE, OVERLAP = 640, 19, 0.3, 0.45
CASES = {10: 1.0, 100: 1.0, 1000: 12.0}  # proposals, and by how much we should be faster at least


def raw_output(proposals, seed=0):
    """(8400, 5 + 19): sure cells in clusters, each of one class and apart from the others, the rest near
    nothing"""
    rng = np.random.default_rng(seed)
    grid, stride = yolox_grid((SIZE, SIZE))
    out = np.empty((len(grid), 5 + CLASSES), np.float32)
    out[:, :4], out[:, 4], out[:, 5:] = (
        rng.normal(0, 0.3, (len(grid), 4)),
        rng.uniform(0, 0.2, len(grid)),
        rng.uniform(0, 0.3, (len(grid), CLASSES)),
    )
    middles = (grid + 0.5) * stride
    cluster = (middles // (SIZE / max(1, int(np.sqrt(max(1, proposals // 10)))))).astype(int)
    n = cluster.max() + 1
    key = cluster[:, 0] * n + cluster[:, 1]
    sure = np.concatenate(
        [rng.permutation(np.flatnonzero(key == k))[: -(-proposals // n**2)] for k in np.unique(key)]
    )
    sure = rng.permutation(sure)[:proposals]
    out[sure, 4] = rng.uniform(0.7, 1, len(sure))
    out[sure, 5 + key[sure] % CLASSES] = rng.uniform(0.8, 1, len(sure))
    cell = SIZE / n
    centre = (cluster[sure] + 0.5) * cell + rng.normal(0, cell / 40, (len(sure), 2))
    out[sure, :2] = centre / stride[sure] - grid[sure]
    out[sure, 2:4] = np.log(cell * rng.uniform(0.5, 0.7, (len(sure), 2)) / stride[sure])
    return out


def grids():
    "Of all cells: column, row, stride"
    parts = []
    for s in STRIDES:
        y, x = np.meshgrid(np.arange(SIZE // s), np.arange(SIZE // s), indexing='ij')
        parts.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, s)], -1))
    return np.concatenate(parts)


def tutorial(output):
    "The tutorial's way: decode everything, then cut, then compare all with all"
    output, cells = output[None], grids()
    middle, size = (output[..., :2] + cells[:, :2]) * cells[:, 2:], np.exp(output[..., 2:4]) * cells[:, 2:]
    probabilities = output[..., 4:5] * output[..., 5:]
    rows = np.concatenate(
        [middle - size / 2, size, probabilities.argmax(-1)[..., None], probabilities.max(-1)[..., None]], -1
    )[0]
    rows = rows[rows[:, 5] > SCORE]
    rows = rows[rows[:, 5].argsort()][::-1]
    x, y, w, h = rows[:, :4].T
    width = np.maximum(0, np.minimum(x + w, (x + w)[:, None]) - np.maximum(x, x[:, None]))
    common = width * np.maximum(0, np.minimum(y + h, (y + h)[:, None]) - np.maximum(y, y[:, None]))
    iou = common / ((w * h)[:, None] + w * h - common)
    kept = np.ones(len(rows), bool)
    for i in range(len(rows)):
        if kept[i]:
            kept[(iou[i] > OVERLAP) & (np.arange(len(rows)) > i)] = False
    x, y, w, h, label, score = rows[kept].T
    return np.stack([x, y, x + w, y + h], -1), score, label


def ours(output):
    return yolox_detections(output, (SIZE, SIZE), SCORE, OVERLAP, max_detections=10_000)


def cost(run, *args):
    "Seconds of one thread"
    start = time.process_time()
    run(*args)
    return time.process_time() - start


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--json')
    p.add_argument('--runs', type=int, default=31)
    args = p.parse_args()
    rows = []
    for n, target in CASES.items():
        output, contestants = raw_output(n), {'tutorial': tutorial, 'ours': ours}
        found = {c: run(output) for c, run in contestants.items()}
        for a, b in zip(found['tutorial'], found['ours']):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)
        times = {c: [] for c in contestants}
        for _ in range(args.runs):
            for c, run in contestants.items():
                times[c].append(cost(run, output))
        medians = {c: 1e3 * statistics.median(t) for c, t in times.items()}
        rows.append(
            {
                'proposals': n,
                'boxes': len(found['ours'][0]),
                **medians,
                'ratio': medians['tutorial'] / medians['ours'],
                'target': target,
            }
        )
        print(
            f'{n:5d} proposals, {len(found["ours"][0]):3d} boxes   tutorial {medians["tutorial"]:7.2f} ms  '
            f' ours {medians["ours"]:6.2f} ms   {rows[-1]["ratio"]:5.1f} x (target {target:.0f})'
        )
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(rows, f, indent=1)


if __name__ == '__main__':
    main()
