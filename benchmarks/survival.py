"""Faults provoked on purpose, and what is left of the training.

    python benchmarks/survival.py [kills] [faults] [processes] [memory] [--quick] \\
        [--tasks classification ...] [--seed 0] [--json results.json]

The faults: `kill -9` at any step, full disks, vanished images, numbers that are
not finite, processes that die, memory over many epochs. Without names all parts run; `--quick` takes a few
faults of each kind. What must hold is asserted: after a kill every file of the run directory can be read, and
the resumed run ends with the bits of a run that nobody disturbed. `kills` and `faults` need `fork` (Linux,
macOS): a process that has PyTorch loaded starts each victim. Nothing is timed here.
"""

import argparse, json, os, random, resource, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path

os.environ.setdefault('VISION_RECIPES_PROGRESS', '0')
os.environ.setdefault('OMP_NUM_THREADS', '1')  # a forked process has no other threads
import numpy as np
import torch
from vision_recipes.data.readers import read_annotations
from vision_recipes.core.errors import VisionRecipesError
from vision_recipes.core.console import World, log
from vision_recipes.core.files import write_json
from vision_recipes.core.images import open_image
from vision_recipes.data.synthetic.make import make_samples
from vision_recipes.runtime.task_kinds import TASK_KINDS
from vision_recipes.tasks.registry import TASKS
from vision_recipes.training.settings import make_settings
from vision_recipes.tasks.run_directory import read_run
from vision_recipes.data.splits import split
from vision_recipes.tasks.run import make_task
from vision_recipes.tasks.weights import read_weights
from vision_recipes.training.loop import fit
from vision_recipes.training.run_writer import read_history
from vision_recipes.cli.training_commands import SAMPLE_GROUPS

SMALL = {
    'classification': dict(model='test_resnet', size=64),
    'detection': dict(model='yolox_nano', size=96),
    'segmentation': dict(size=96),
    'keypoints': dict(size=96),
}
FILES = ('model.safetensors', 'run.json', 'last.pt', 'history.csv')


# ---- a training, and the processes it runs in


class Case:
    "A small training of a task, on drawn images"

    def __init__(self, task, root, **values):
        self.name, self.root = task, root
        if not (root / 'data').exists():
            make_samples(task, root / 'data', n=30, seed=1)
        self.values = (
            dict(
                weights='random',
                epochs=2,
                batch_size=4,
                accumulate=2,
                ema=0.9,
                workers=0,
                cache_mb=0,
                save_minutes=0.0,
                device='cpu',
                **SMALL[task],
            )
            | values
        )

    def train(self, out, resume=False, **values):
        torch.set_num_threads(1)
        task_settings, fit_settings = make_settings(self.name, 'quick', **self.values | values)
        anns = read_annotations(self.root / 'data', groups=SAMPLE_GROUPS.get(self.name))
        train, valid = split(anns, 0.3, 0)
        return fit(
            make_task(self.name, task_settings, anns.labels), train, valid, out, fit_settings, resume=resume
        )


def forked(do, *args, **kwargs):
    "Run something in a forked process: its exit code (minus a signal), and what it said"
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        for handler in log.handlers:
            handler.emit = lambda record: os.write(write, (record.getMessage() + '\n').encode())
        try:
            do(*args, **kwargs)
            code = 0
        except VisionRecipesError as e:
            os.write(write, f'error: {e}\n'.encode())
            code = 2
        except KeyboardInterrupt as e:
            os.write(write, f'interrupted: {e}\n'.encode())
            code = 130
        except BaseException:
            import traceback

            os.write(write, traceback.format_exc().encode())
            code = 1
        os._exit(code)
    os.close(write)
    with os.fdopen(read, 'rb') as f:
        said = f.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def after(n, do, then):
    "`do`, until its `n`-th call, which is not made: `then` is called instead"
    left = [n]

    def called(*args, **kwargs):
        left[0] -= 1
        return then(*args, **kwargs) if left[0] == 0 else do(*args, **kwargs)

    return called


# ---- where a kill can strike


def in_call(method, n):
    "A plan: die when the task is asked for the `n`-th time for its losses, or its validation"

    def plan(case):
        cls = type(
            make_task(
                case.name,
                make_settings(case.name, 'quick', **case.values)[0],
                read_annotations(case.root / 'data').labels,
            )
        )
        setattr(cls, method, after(n, getattr(cls, method), lambda *a, **k: kill()))

    return plan


def half_written(name, n=1):
    "A plan: die when half of a file's bytes are on the disk"

    def plan(case):
        write, count = Path.write_bytes, [0]

        def dying(path, data):
            if path.name.startswith(f'.{name}.'):
                count[0] += 1
            if not path.name.startswith(f'.{name}.') or count[0] < n:
                return write(path, data)
            write(path, data[: len(data) // 2])
            kill()

        Path.write_bytes = dying

    return plan


def just_renamed(name, n=1):
    "A plan: die as soon as a file has its name"

    def plan(case):
        replace, count = os.replace, [0]

        def dying(a, b):
            replace(a, b)
            if Path(b).name == name:
                count[0] += 1
            if Path(b).name == name and count[0] == n:
                kill()

        os.replace = dying

    return plan


def plans(quick, rng):
    "Chains of deaths: each is what befalls one run, one after the other, before it may end"
    if quick:
        return [
            [
                ('training', in_call('losses', 3)),
                ('half of last.pt', half_written('last.pt', 2)),
                ('validating', in_call('validate', 1)),
                ('best model saved, nothing else', just_renamed('model.safetensors')),
                ('validating again', in_call('validate', 3)),
            ]
        ]
    single = [[('training', in_call('losses', n))] for n in (1, 2, 4, 7)] + [
        [('validating', in_call('validate', n))] for n in (1, 2, 3)
    ]
    single += [[(f'half of {f}', half_written(f, n))] for f in FILES for n in (1, 2)] + [
        [(f'{f} just saved', just_renamed(f, n))] for f in FILES for n in (1, 2)
    ]
    anywhere = lambda: (lambda n: (f'training, call {n}', in_call('losses', n)))(rng.randint(1, 5))
    return single + [[anywhere() for _ in range(4)] for _ in range(3)]


def check_files(out):
    "After a kill all that is there can be read, and only files on their way may be left over"
    for f in out.iterdir() if out.exists() else ():
        if f.name == 'run.json':
            read_run(out)
        elif f.name == 'model.safetensors':
            assert all(torch.isfinite(v.float()).all() for v in read_weights(f).values())
        elif f.name == 'last.pt':
            torch.load(f, weights_only=True)
        elif f.name == 'history.csv':
            read_history(out)
        elif f.suffix == '.png':
            open_image(f)
        else:
            assert f.name.startswith('.') and f.name.endswith('.tmp'), f


def unmeasured(row):
    "A row of a history without time and energy, which are never the same"
    return {k: v for k, v in row.items() if k not in ('seconds', 'cpu_joules', 'gpu_joules')}


def differences(a, b):
    "What is not the same, to the bit, in two finished runs; time and energy aside"
    one, two = (torch.load(d / 'last.pt', weights_only=True) for d in (a, b))
    for state in (one, two):
        state['progress']['history'] = [unmeasured(row) for row in state['progress']['history']]
    found = [] if equal(one, two) else [k for k in one if not equal(one[k], two[k])]
    if (a / 'model.safetensors').read_bytes() != (b / 'model.safetensors').read_bytes():
        found.append('model.safetensors')
    rows = [[unmeasured(row) for row in read_history(d)] for d in (a, b)]
    if rows[0] != rows[1]:
        found.append('history.csv')
    return found + [f.name for f in b.iterdir() if f.name.endswith('.tmp')]


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def kills(case, quick, rng):
    "Deaths, and what a run that suffered them ends with"
    straight, rows = case.root / 'straight', []
    code, said = forked(case.train, straight)
    assert code == 0, said
    for k, chain in enumerate(plans(quick, rng)):
        out, deaths = case.root / f'killed {k}', 0
        for name, plan in chain:

            def dying():
                plan(case)
                case.train(out, resume=(out / 'run.json').exists())

            code, said = forked(dying)
            assert code in (-signal.SIGKILL, 0), said
            deaths += code != 0
            check_files(out)
        code, said = forked(case.train, out, resume=(out / 'run.json').exists())
        assert code == 0, said
        rows.append(
            {
                'task': case.name,
                'killed': ', then '.join(n for n, _ in chain),
                'kills': deaths,
                'differs': differences(straight, out),
            }
        )
        shutil.rmtree(out)
    for _ in range(0 if quick else 5):  # at any moment, by somebody outside
        out, deaths = case.root / 'killed from outside', 0
        while True:
            pid = os.fork()
            if pid == 0:
                log.setLevel('ERROR')
                case.train(out, resume=(out / 'run.json').exists())
                os._exit(0)
            time.sleep(rng.uniform(0.1, 2.5))
            os.kill(pid, signal.SIGKILL)
            if os.waitpid(pid, 0)[1] == 0:
                break
            deaths += 1
            check_files(out)
            if deaths > 4:
                forked(case.train, out, resume=(out / 'run.json').exists())
                break
        rows.append(
            {
                'task': case.name,
                'killed': 'at moments of chance',
                'kills': deaths,
                'differs': differences(straight, out),
            }
        )
        shutil.rmtree(out)
    return rows


# ---- other faults


def limited(case, out, megabytes, **values):
    "A disk that takes no file larger than so much"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(megabytes * 1e6),) * 2)
    case.train(out, **values)


def unwritable(out):
    "A folder that may not be written any more, by somebody who is not root"
    out.chmod(0o555)
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def spoiling(case, out, spoil, **values):
    "Something that breaks while the training runs: in the second batch"
    cls = type(
        make_task(
            case.name,
            make_settings(case.name, 'quick', **case.values)[0],
            read_annotations(case.root / 'data').labels,
        )
    )
    losses = cls.losses

    def spoiled(*args):
        spoil()
        return losses(*args)

    cls.losses = after(2, losses, spoiled)
    case.train(out, **values)


def jumping(case, out):
    "A clock that jumps ten years ahead and back at every look"
    real, jumps = time.time, [0]

    def now():
        jumps[0] += 1
        return real() + (3e8 if jumps[0] % 2 else -3e8)

    time.time = now
    case.train(out)


def terminated(case, out):
    "What a scheduler sends before it takes the machine away"
    cls = type(
        make_task(
            case.name,
            make_settings(case.name, 'quick', **case.values)[0],
            read_annotations(case.root / 'data').labels,
        )
    )
    losses = cls.losses
    cls.losses = after(4, losses, lambda *a: (os.kill(os.getpid(), signal.SIGTERM), losses(*a))[1])
    case.train(out)


def faults(case, rng):
    "Each fault once: what was said, and that a run that goes on afterwards ends as if nothing had been"
    rows, straight = [], case.root / 'straight'
    if not straight.exists():
        assert forked(case.train, straight)[0] == 0

    def note(fault, code, said, wanted, out=None, words=()):
        heard = said.strip().splitlines()[-1] if said.strip() else ''
        assert code == wanted and all(w in said for w in words), (fault, code, said)
        if out is not None:
            check_files(out)
        rows.append(
            {
                'task': case.name,
                'fault': fault,
                'outcome': 'went on' if wanted == 0 else 'stopped',
                'said': heard[:240],
            }
        )

    def goes_on(out):
        code, said = forked(case.train, out, resume=(out / 'run.json').exists())
        assert code == 0 and not differences(straight, out), (said, differences(straight, out))

    size = (straight / 'last.pt').stat().st_size / 1e6
    out = case.root / 'full disk'
    note(
        'disk full while the state is saved',
        *forked(limited, case, out, size * 0.7),
        2,
        out,
        ['last.pt: cannot be written'],
    )
    goes_on(out)
    out = case.root / 'read-only'
    note('stopped by SIGTERM', *forked(terminated, case, out), 130, out, ['interrupted: stopped in epoch'])
    case.root.parent.chmod(0o755)  # the way there stays open
    note(
        'folder became read-only',
        *forked(spoiling, case, out, lambda: unwritable(out), resume=True),
        2,
        out,
        ['no permission to write there'],
    )
    out.chmod(0o755)
    goes_on(out)
    note('clock jumps', *forked(jumping, case, case.root / 'jumps'), 0, case.root / 'jumps')
    assert not differences(straight, case.root / 'jumps')

    files = sorted(p for p in (case.root / 'data').rglob('*.jpg'))
    for how, spoil in (
        ('deleted', lambda p: p.unlink()),
        ('cut off', lambda p: p.write_bytes(p.read_bytes()[:200])),
        ('emptied', lambda p: p.write_bytes(b'')),
    ):
        lost = rng.sample(files, 9)
        copies = {p: p.read_bytes() for p in lost}

        def all_lost():
            [spoil(p) for p in lost]

        def back():
            [p.write_bytes(b) for p, b in copies.items()]

        out = case.root / f'{how} stop'
        note(
            f'images {how}: stop',
            *forked(spoiling, case, out, all_lost, epochs=3),
            2,
            out,
            [str(next(iter(copies)).parent.parent.parent)],
        )
        back()
        assert forked(case.train, out, resume=True, epochs=3)[0] == 0
        out = case.root / f'{how} skip'
        note(
            f'images {how}: skip',
            *forked(spoiling, case, out, all_lost, epochs=3, unreadable='skip'),
            0,
            out,
            ['could not be opened and w'],
        )
        back()
    note(
        'all images gone: skip',
        *forked(spoiling, case, case.root / 'gone', lambda: [p.unlink() for p in files], unreadable='skip'),
        2,
        None,
        ['Is the disk with the images still there?'],
    )
    return rows


def numbers(root):
    """Weights so large that a loss, or a gradient, is no number any more: at the command line, with the batch
    computed again"""
    from safetensors.torch import save_file

    rows, case = [], Case('classification', root)
    base = [sys.executable, '-m', 'vision_recipes']
    settings = [
        '--preset',
        'quick',
        '--model',
        'test_resnet',
        '--size',
        '64',
        '--epochs',
        '1',
        '--batch-size',
        '4',
        '--device',
        'cpu',
        '--groups',
        SAMPLE_GROUPS['classification'],
    ]
    model = make_task(
        'classification',
        make_settings('classification', 'quick', **case.values)[0],
        read_annotations(root / 'data').labels,
    ).build_model()
    for name, factor, amp, words in (
        ('a loss that is no number', 1e40, 'off', 'The loss is not finite (cross_entropy = '),
        ('a gradient that explodes', 1e25, 'off', 'The gradient is not finite (its norm = inf)'),
        ('float16 overflows', 1e8, 'fp16', 'is not finite'),
    ):
        weights = {k: v * factor if k == 'fc.weight' else v for k, v in model.state_dict().items()}
        save_file(weights, root / 'large.safetensors')
        out = root / name
        done = subprocess.run(
            [
                *base,
                'train',
                'classification',
                str(root / 'data'),
                '--out',
                str(out),
                *settings,
                '--weights',
                str(root / 'large.safetensors'),
                '--amp',
                amp,
            ],
            capture_output=True,
            text=True,
        )
        assert (
            done.returncode == 2
            and words in done.stderr
            and 'Its images: ' in done.stderr
            and 'vision-recipes replay' in done.stderr
        ), (done.stdout, done.stderr)
        again = subprocess.run([*base, 'replay', str(out)], capture_output=True, text=True)
        assert again.returncode == 0 and 'the same happens' in again.stdout, (again.stdout, again.stderr)
        rows.append(
            {
                'task': 'classification',
                'fault': name,
                'outcome': 'stopped, replayed: the same happens',
                'said': done.stderr.strip()[:240],
                'replay': again.stdout.strip().splitlines()[1][:240],
            }
        )
    return rows


# ---- several processes


def command_line(args):
    """`vision-recipes` without what makes two equal trainings drift apart

    The network computes in float64: in float32 the order of the images in a batch alone changes a fresh
    YOLOX's losses by 5e-5. An R-CNN chooses its proposals without chance: every process would draw its own.
    """
    from vision_recipes.cli.main import main
    from vision_recipes.models.rcnn.network import RCNN, Sampler
    from vision_recipes.training.state import Trainer, set_seed

    Sampler.even = property(lambda self: True, lambda self, value: None)
    begin = Trainer.__init__

    def exact(self, task, settings, batches, model=None, world=World()):
        set_seed(settings.seed)
        network = task.build_model() if model is None else model
        parts = learnt_parts(network) if isinstance(network, RCNN) else [network]
        for part in parts:
            part.double().register_forward_pre_hook(lambda module, args: doubled(args))
        begin(self, task, settings, batches, network, world)

    Trainer.__init__ = exact
    return main(args)


def learnt_parts(network):
    "The parts of an R-CNN that have weights; what stands between them computes with boxes in float32"
    heads = [part for part in network.roi_heads.children() if list(part.parameters())]
    return [network.backbone, network.rpn.head, *heads]


def doubled(x):
    "A tensor's numbers in float64, also inside of lists and tuples"
    if isinstance(x, torch.Tensor):
        return x.double() if x.is_floating_point() else x
    return type(x)(map(doubled, x)) if isinstance(x, (list, tuple)) else x


def torchrun(n, *args, kill_one=None, timeout=600):
    """`torchrun -m vision_recipes …` with `n` processes here.

    `kill_one`: a file whose coming is the end of the last process.
    """
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        f'--nproc_per_node={n}',
        '--rdzv_backend=c10d',
        '--rdzv_endpoint=127.0.0.1:0',
        *map(str, args),
    ]
    with tempfile.TemporaryFile('w+') as heard:
        p = subprocess.Popen(command, stdout=heard, stderr=subprocess.STDOUT, text=True)
        if kill_one:
            until = time.monotonic() + timeout
            while not kill_one.exists() and p.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            ranks = [int(d.name) for d in Path('/proc').iterdir() if d.name.isdigit() and parent(d) == p.pid]
            os.kill(max(ranks), signal.SIGKILL)
        p.wait(timeout)
        heard.seek(0)
        return p.returncode, heard.read()


def parent(d):
    try:
        return int((d / 'stat').read_text().rsplit(')', 1)[1].split()[1])
    except (OSError, IndexError):
        return None


def processes(task, root, quick):
    "Two processes against one with the same batches: losses, scores; killed and resumed"
    case, rows = Case(task, root), []
    options = [
        o
        for k, v in (
            dict(
                weights='random',
                epochs=3,
                batch_size=4,
                ema=0.9,
                lr=1e-4,
                workers=0,
                save_minutes=0.0,
                device='cpu',
                amp='off',
            )
            | SMALL[task]
        ).items()
        for o in (f'--{k.replace("_", "-")}', v)
    ]
    groups = ['--groups', SAMPLE_GROUPS[task]] if task in SAMPLE_GROUPS else []
    run = lambda out, *more, program=('-m', 'vision_recipes'): [
        *program,
        'train',
        task,
        case.root / 'data',
        '--out',
        out,
        '--preset',
        'quick',
        *options,
        *groups,
        *more,
    ]
    one, two, killed = (root / n for n in ('one', 'two', 'killed'))
    exact = (__file__, 'command-line')
    done = subprocess.run(
        [sys.executable, *map(str, run(one, program=exact))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    code, said = torchrun(2, *run(two, program=exact))
    assert code == 0, said
    a, b = read_history(one), read_history(two)
    metric = TASK_KINDS[task].metric
    off = max(
        abs(x[loss] - y[loss]) / abs(x[loss]) for x, y in zip(a, b) for loss in ('train_loss', 'valid_loss')
    )
    assert off < 1e-5 and all(x[metric] == y[metric] for x, y in zip(a, b)), (off, a, b)
    rows.append(
        {
            'task': task,
            'fault': 'two processes against one',
            'train_loss': [[r['train_loss'] for r in h] for h in (a, b)],
            'largest relative difference': off,
            metric: [[r[metric] for r in h] for h in (a, b)],
        }
    )
    if quick:
        return rows
    straight = root / 'straight'
    code, said = torchrun(2, *run(straight))
    assert code == 0, said
    code, said = torchrun(2, *run(killed), kill_one=killed / 'history.csv')
    assert code != 0, said
    check_files(killed)
    code, said = torchrun(2, *run(killed, '--resume'))
    assert code == 0, said
    rows.append(
        {
            'task': task,
            'fault': 'one of two processes killed, both started again',
            'differs': differences(straight, killed),
        }
    )
    return rows


# ---- memory


def resident(pid='self', kinds=('Anonymous',)):
    "Bytes of a process that are no file's"
    fields = dict(line.split(':') for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:])
    return sum(int(fields[k].split()[0]) * 1024 for k in kinds)


def memory(root, quick):
    """Growth of the main process and of two workers over 20 epochs of 500,000 annotations, and over 1,000
    training steps"""
    from PIL import Image
    from vision_recipes.data.annotations import Annotations
    from vision_recipes.core.ragged import Ragged, Strings
    from vision_recipes.dataloading.transforms.detection import DetectionTransform
    from vision_recipes.dataloading.dataset import ImageDataset
    from vision_recipes.dataloading.collate import collate_detection
    from vision_recipes.dataloading.loader import make_loader
    from vision_recipes.core.labels import LabelMap

    images, each, epochs = (500, 1000, 6) if quick else (5000, 100, 20)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
        root / 'one.jpg'
    )
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 40, (images * each, 2)).astype(np.float32)
    anns = Annotations(
        root,
        Strings.from_list(['one.jpg'] * images),
        LabelMap(('a', 'b')),
        Ragged(rng.integers(0, 2, images * each), np.arange(images + 1) * each),
        np.full((images, 2), 64, np.int32),
        boxes=np.concatenate([low, low + rng.uniform(4, 20, low.shape).astype(np.float32)], 1),
    )
    loader = make_loader(
        ImageDataset(anns, DetectionTransform(64)), 50, shuffle=True, workers=2, collate=collate_detection
    )
    sizes = []
    for epoch in range(epochs):
        loader.batch_sampler.set_epoch(epoch)
        for batch in loader:
            pass
        # a worker's own: what it shares with its parent until one of them writes to it is the parent's
        sizes.append(
            [
                resident(),
                *(resident(w.pid, ('Private_Clean', 'Private_Dirty')) for w in loader._iterator._workers),
            ]
        )
    del loader
    rows = [
        {
            'what': (
                f'{epochs} epochs of {images * each:,} annotations, growth from the second to the last epoch'
            ),
            'main process, bytes': sizes[-1][0] - sizes[1][0],
            'workers, bytes': [b - a for a, b in zip(sizes[1][1:], sizes[-1][1:])],
            'sizes, MB': [[round(s / 1e6, 1) for s in row] for row in (sizes[1], sizes[-1])],
        }
    ]
    return rows + [
        {'what': 'training steps', **steps(case, 100 if quick else 1000)}
        for case in (Case('classification', root / 'c'), Case('detection', root / 'y'))
    ]


def steps(case, n):
    "Growth over `n` training steps after the first hundred"
    from vision_recipes.training.state import Trainer
    from vision_recipes.training.loop import make_loaders, train_batch

    task_settings, fit_settings = make_settings(case.name, 'quick', **case.values)
    anns = read_annotations(case.root / 'data').measure()
    task = make_task(case.name, task_settings, anns.labels)
    loader = make_loaders(task, anns, anns, fit_settings)[0]
    t = Trainer(task, fit_settings.replace(epochs=n + 101), 1)
    batches, at = list(loader), []
    for k in range(n + 100):
        train_batch(t, batches[k % len(batches)], anns, True)
        if k in (99, n + 99):
            at.append(resident())
    return {'task': case.name, 'steps': n, 'bytes': at[1] - at[0]}


# ---- all of it


def main():
    if sys.argv[1:2] == ['command-line']:
        return command_line(sys.argv[2:])
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('parts', nargs='*', metavar='PART', help='kills, faults, processes, memory (default: all)')
    p.add_argument('--quick', action='store_true', help='a few faults of each kind')
    p.add_argument('--tasks', nargs='+', default=list(TASKS), choices=list(TASKS))
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--json', type=Path)
    args = p.parse_args()
    strange = set(args.parts) - {'kills', 'faults', 'processes', 'memory'}
    if strange:
        p.error(f'there is no part {strange.pop()!r}')
    torch.set_num_threads(1)
    rng, found = random.Random(args.seed), {}
    wanted = lambda part: not args.parts or part in args.parts
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        if wanted('kills'):
            found['kills'] = [
                row for t in args.tasks for row in kills(Case(t, root / f'kills {t}'), args.quick, rng)
            ]
        if wanted('faults'):
            found['faults'] = [
                row
                for t in args.tasks[: 1 if args.quick else None]
                for row in faults(Case(t, root / f'faults {t}'), rng)
            ] + numbers(root / 'numbers')
        if wanted('processes'):
            found['processes'] = [
                row
                for t in args.tasks[: 2 if args.quick else None]
                for row in processes(t, root / f'processes {t}', args.quick)
            ]
        if wanted('memory'):
            (root / 'memory').mkdir()
            found['memory'] = memory(root / 'memory', args.quick)
    for part, rows in found.items():
        print(part)
        for row in rows:
            print('  ', json.dumps(row, ensure_ascii=False))
    if 'kills' in found:
        print(
            f'{sum(r["kills"] for r in found["kills"])} kills survived in {len(found["kills"])} runs; '
            f'{sum(bool(r["differs"]) for r in found["kills"])} runs differ from the undisturbed one'
        )
    if args.json:
        write_json(args.json, {'command': ' '.join(sys.argv), 'torch': torch.__version__, **found})


if __name__ == '__main__':
    sys.exit(main())
