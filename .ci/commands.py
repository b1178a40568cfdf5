#!/usr/bin/env python3
"""Make nbs/project/07_commands.ipynb, the page of every command: `python .ci/commands.py`"""

import argparse
import json
import sys
from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from vision_recipes.cli.main import VERBS, make_parser  # noqa: E402

PAGE = ROOT / 'nbs' / 'project' / '07_commands.ipynb'
TITLE = """# Every command
> The verbs of `vision-recipes` with all their options, and the same in Python"""
HEAD = """This page is made from the command line's own parsers.
`vision-recipes VERB --help` prints the same.

Every verb knows `--traceback`, which shows where an error came from, and `--help`.
The exit code is 0, 2 after a mistake, and 130 after Ctrl-C. `train` and `predict` must be given `--out`."""
# Of each verb: an example for the command line, and the same in Python
EXAMPLES = {
    'demo': ('vision-recipes demo detection --out demo', ''),
    'samples': (
        'vision-recipes samples detection hands --n 200\n'
        'vision-recipes samples clip hands-clip --kind hands-hard',
        "from vision_recipes.data import make_samples\n\nmake_samples('detection', 'hands', n=200)",
    ),
    'check': (
        'vision-recipes check "my images"',
        'from vision_recipes.data import check, read_annotations\n\n'
        "print(check(read_annotations('my images')))",
    ),
    'train': (
        'vision-recipes train detection "my images" --out runs/mine --model yolox_s --epochs 20\n'
        'vision-recipes train detection "my images" --out runs/all --folds 5  # cross-validation',
        'from vision_recipes.data import read_annotations, split\n'
        'from vision_recipes.tasks import make_task\n'
        'from vision_recipes.training import fit, make_settings\n\n'
        "anns = read_annotations('my images')\n"
        "settings, fit_settings = make_settings('detection', 'auto', len(anns), model='yolox_s', epochs=20)\n"
        'train, valid = split(anns, fit_settings.valid, fit_settings.seed)\n'
        "run = fit(make_task('detection', settings, anns.labels), train, valid, 'runs/mine', fit_settings)",
    ),
    'replay': (
        'vision-recipes replay runs/mine',
        "from vision_recipes.training import replay\n\nreplay('runs/mine')",
    ),
    'evaluate': (
        'vision-recipes evaluate runs/mine "my images" --out report',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.tasks import Run\n\n'
        '# score images that it was not trained on: the command leaves the others out by itself\n'
        "run, anns = Run('runs/mine'), read_annotations('my test images').measure()\n"
        'predictions = run.predict([anns.path(i) for i in range(len(anns))], score_threshold=0.001)\n'
        'print(run.task.evaluate(predictions, anns).summary(run.task.metric))',
    ),
    'export': (
        'vision-recipes export runs/mine',
        'from vision_recipes.deploy import export_onnx\nfrom vision_recipes.tasks import Run\n\n'
        "export_onnx(Run('runs/mine'), 'runs/mine/model.onnx')",
    ),
    'convert': (
        'vision-recipes convert "my images" yolo_set --format yolo',
        "from vision_recipes.data import convert_dataset\n\nconvert_dataset('my images', 'yolo_set', 'yolo')",
    ),
    'merge': (
        'vision-recipes merge summer winter --out both',
        'from vision_recipes.data import merge_annotations, read_annotations, write_annotations\n\n'
        "merged = merge_annotations([read_annotations('summer'), read_annotations('winter')])\n"
        "write_annotations(merged.anns, 'both', 'labelme', names=merged.names)",
    ),
    'remap': (
        'vision-recipes remap both --classes cat=animal dog=animal --out animals',
        'from vision_recipes.data import read_annotations, remap_classes, write_annotations\n\n'
        "anns = remap_classes(read_annotations('both'), {'cat': 'animal', 'dog': 'animal'})\n"
        "write_annotations(anns, 'animals', 'labelme')",
    ),
    'report': (
        'vision-recipes report "my images" --out report.html',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.drawing import write_report\n\n'
        "write_report([read_annotations('my images')], 'report.html')",
    ),
    'inspect': (
        'vision-recipes inspect model.onnx',
        "from vision_recipes.deploy import inspect_model\n\nprint(inspect_model('model.onnx'))",
    ),
    'predict': (
        'vision-recipes predict model.onnx new/*.jpg --out seen',
        "from vision_recipes.runtime import Predictor\n\nfound = Predictor('model.onnx').predict('new')",
    ),
    'bench': (
        'vision-recipes bench model.onnx --batches 1 8',
        "from vision_recipes.deploy import measure_latency\n\nmeasure_latency('model.onnx', batches=(1, 8))",
    ),
    'quantize': (
        'vision-recipes quantize model.onnx "my images" --to int8',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.deploy import quantize_onnx\n\n'
        "quantize_onnx('model.onnx', read_annotations('my images'), kind='int8')",
    ),
    'bundle': (
        'vision-recipes bundle runs/mine my-bundle --samples "my images"',
        'from vision_recipes.deploy import make_bundle\n\n'
        "make_bundle('runs/mine', 'my-bundle', samples='my images')",
    ),
    'explain': (
        'vision-recipes explain runs/mine photo.jpg --out maps\n'
        'vision-recipes explain model.onnx photo.jpg --out maps --occlusion  # of a classifier',
        'from vision_recipes.drawing import draw_explanations\n'
        'from vision_recipes.tasks import explain, Run\n\n'
        "explanations = explain(Run('runs/mine'), 'photo.jpg')\n"
        "draw_explanations('photo.jpg', explanations).save('maps.jpg')",
    ),
    'passport': (
        'vision-recipes passport runs/mine --license apache-2.0 --data-license cc-by-4.0',
        'from vision_recipes.deploy import write_passport\n\n'
        "write_passport('runs/mine', licence='apache-2.0', data_licence='cc-by-4.0')",
    ),
    'push': (
        'vision-recipes push runs/mine me/hands --license apache-2.0\n'
        'vision-recipes predict hub:me/hands photo.jpg --out results',
        'from vision_recipes.deploy import push_run\n\n'
        "push_run('runs/mine', 'me/hands', licence='apache-2.0')",
    ),
    'correct': (
        'vision-recipes correct "my images" --suspects suspects',
        'from vision_recipes.data.correction.correction_server import CorrectionServer\n'
        'from vision_recipes.data.correction.label_review import open_store, read_suspects\n\n'
        "store = open_store('my images')\n"
        "server = CorrectionServer(store, read_suspects('suspects', store))\n"
        'print(server.url)  # open it in a browser\n'
        'server.serve_forever()',
    ),
    'next': (
        'vision-recipes next runs/mine pool --n 50 --copy to-label',
        'from pathlib import Path\n'
        'from vision_recipes.metrics import choose_next, image_uncertainty\n'
        'from vision_recipes.tasks import predict_and_embed, Run\n\n'
        "run, paths = Run('runs/mine'), sorted(Path('pool').rglob('*.jpg'))\n"
        'predictions, embeddings = predict_and_embed(run, paths, score_threshold=0.01)\n'
        'uncertainties = [image_uncertainty(p, run.min_scores) for p in predictions]\n'
        'print([paths[k] for k in choose_next(uncertainties, embeddings, n=50)])',
    ),
    'suspects': (
        'vision-recipes suspects "my images" --out suspects --epochs 15',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.metrics import find_suspects\n'
        'from vision_recipes.tasks import make_task\n'
        'from vision_recipes.training import make_settings, out_of_fold\n\n'
        "anns = read_annotations('my images').measure()\n"
        "settings, fit_settings = make_settings('detection', 'quick', epochs=15)\n"
        "task = make_task('detection', settings, anns.labels)\n"
        "predictions = out_of_fold(task, anns, 'suspects/folds', fit_settings, k=3)\n"
        'print(find_suspects(predictions, anns)[0].reason)',
    ),
    'curve': (
        'vision-recipes curve "my images" --out curve --epochs 20',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.drawing import learning_curve_chart, show\n'
        'from vision_recipes.tasks import make_task\n'
        'from vision_recipes.training import learning_curve, make_settings\n\n'
        "anns = read_annotations('my images').measure()\n"
        "settings, fit_settings = make_settings('detection', 'quick', epochs=20)\n"
        "task = make_task('detection', settings, anns.labels)\n"
        "curve = learning_curve(task, anns, 'curve', fit_settings)\n"
        'print(curve.text())\n'
        'show(learning_curve_chart(curve))',
    ),
    'compare': (
        'vision-recipes compare model.onnx model.int8.onnx "my test images" --out differences',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.metrics import compare_models\n'
        'from vision_recipes.runtime import Predictor\n\n'
        '# images that neither was trained on: the command refuses others\n'
        "anns = read_annotations('my test images').measure()\n"
        'images = [anns.path(i) for i in range(len(anns))]\n'
        "first, second = Predictor('model.onnx'), Predictor('model.int8.onnx')\n"
        'found = [model.predict(images, score_threshold=0.01) for model in (first, second)]\n'
        'print(compare_models(*found, anns, first.card.task).text())',
    ),
    'calibrate': (
        'vision-recipes calibrate runs/mine\n'
        'vision-recipes calibrate model.onnx "other images" --groups folder --chart calibration.png',
        'from vision_recipes.data import read_annotations\n'
        'from vision_recipes.deploy import calibrate_model, store_calibration\n'
        'from vision_recipes.runtime import Predictor\n\n'
        '# images that it was not trained on: the command leaves the others out by itself\n'
        "fit = calibrate_model(Predictor('model.onnx'), read_annotations('other images'))\n"
        'print(fit)\n'
        "store_calibration('model.onnx', fit.score_map)",
    ),
    'doctor': ('vision-recipes doctor', ''),
}


def parsers_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    "The parsers of a parser's verbs or tasks; empty where it has none"
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def option_name(action: argparse.Action) -> str:
    "How an option or a positional argument is written, such as `--epochs N`"
    value = action.metavar or ('' if action.nargs == 0 else '|'.join(map(str, action.choices or ())))
    if isinstance(action, argparse.BooleanOptionalAction):
        value = ''
    return ' '.join(filter(None, [', '.join(action.option_strings), str(value)]))


def rows_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    "What the help says of each argument, by the way it is written"
    formatter = parser._get_formatter()
    return {
        option_name(action): formatter._expand_help(action) if action.help else ''
        for action in parser._actions
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))
        and '--traceback' not in action.option_strings
    }


def table(rows: dict[str, str]) -> str:
    "A Markdown table of arguments; a pipe within a cell is escaped"
    lines = ['| argument | what it is |', '| --- | --- |']
    for name, text in rows.items():
        cells = [cell.replace('|', r'\|') for cell in (f'`{name}`', text)]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def import_all(python: str):
    "Run the imports of an example: the names that it shows must be there"
    exec('\n'.join(line for line in python.splitlines() if line.startswith('from ')), {})


def section(name: str, parser: argparse.ArgumentParser) -> str:
    "A verb: what it does, an example, the same in Python, its arguments"
    shell, python = EXAMPLES[name]
    about = VERBS[name].help
    parts = [f'## {name}', f'{about[0].upper()}{about[1:]}.', f'```bash\n{shell}\n```']
    if python:
        import_all(python)
        parts += ['In Python:', f'```python\n{python}\n```']
    tasks = parsers_of(parser)
    if not tasks:
        return '\n\n'.join([*parts, table(rows_of(parser))] if rows_of(parser) else parts)
    rows = {task: rows_of(p) for task, p in tasks.items()}
    shared = {k: v for k, v in next(iter(rows.values())).items() if all(r.get(k) == v for r in rows.values())}
    parts += [f'All tasks ({", ".join(f"`{t}`" for t in tasks)}) have these in common:', table(shared)]
    for task, own in rows.items():
        parts += [f'### {name} {task}', table({k: v for k, v in own.items() if k not in shared})]
    return '\n\n'.join(parts)


def markdown_cell(text: str) -> dict:
    "A cell of a notebook; its id follows from its text"
    cell_id = blake2b(text.splitlines()[0].encode(), digest_size=4).hexdigest()
    return {
        'cell_type': 'markdown',
        'id': cell_id,
        'metadata': {},
        'source': text.splitlines(keepends=True),
    }


def main():
    verbs = parsers_of(make_parser())
    cells = [
        markdown_cell(TITLE),
        markdown_cell(HEAD),
        *(markdown_cell(section(name, p)) for name, p in verbs.items()),
    ]
    kernel = {'display_name': 'python3', 'language': 'python', 'name': 'python3'}
    notebook = {'cells': cells, 'metadata': {'kernelspec': kernel}, 'nbformat': 4, 'nbformat_minor': 5}
    PAGE.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + '\n', encoding='utf-8', newline='\n')


if __name__ == '__main__':
    main()
