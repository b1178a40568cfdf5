"""How long an image takes on the demo page, in Chromium without a window.

    python benchmarks/browser.py RUN-or-MODEL ... [--json results.json] [--runs 15] [--web vendored] \\
        [--query 'provider=wasm']

A bundle is made of each model, served on this computer with the headers that give WebAssembly its threads,
and opened in a browser of Chromium's family (by `$CHROME` or by name). Each sample image is predicted in
turn, `--runs` rounds after two that do not count; figures are medians of an image, as the page itself
measures them: prepare, network, decode. `--query` goes to the page: `provider=webgpu` asks for the graphics
processor.
"""

import argparse, json, os, shutil, statistics, subprocess, tempfile, threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from vision_recipes.deploy import make_bundle
from vision_recipes.deploy.predict_script import _Page

FLAGS = (
    '--headless=new --no-sandbox --disable-quic --no-first-run --disable-background-networking '
    '--disable-component-update --disable-sync --disable-extensions'
).split()
NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
TIMER = """<!doctype html><meta charset="utf-8">
<iframe id="page" src="index.html?QUERY" style="width:800px;height:600px"></iframe>
<script type="module">
const frame = document.getElementById('page'), samples = SAMPLES;
const wait = ms => new Promise(done => setTimeout(done, ms));
const tell = result => fetch('/told', {method: 'POST', body: JSON.stringify(result)});
try {
  while (!frame.contentWindow.visionRecipes) await wait(50);
  const page = frame.contentWindow.visionRecipes, started = await page.ready, rows = [];
  for (let round = 0; round < RUNS + 2; round++) for (const name of samples) {
    const {ms} = await page.predict(new URL(name, location.href).href);
    if (round >= 2) rows.push(ms);
  }
  await tell({rows, threads: crossOriginIsolated ? navigator.hardwareConcurrency : 1});
} catch (e) { await tell({error: String(e)}); }
</script>"""


class Told(_Page):
    "The page's files, and an ear for what the timer tells"

    def do_POST(self):
        self.server.told = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()


def measure(model, args, browser):
    "What the timer tells of one model"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        out = make_bundle(model, Path(folder) / 'bundle', args.samples, args.web)
        samples = [f'samples/{p.name}' for p in sorted((out / 'samples').iterdir())]
        (out / 'time.html').write_text(
            TIMER.replace('QUERY', args.query)
            .replace('SAMPLES', json.dumps(samples))
            .replace('RUNS', str(args.runs)),
            encoding='utf-8',
        )
        with ThreadingHTTPServer(('127.0.0.1', 0), partial(Told, directory=str(out))) as server:
            server.done = threading.Event()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            window = subprocess.Popen(
                [
                    browser,
                    *FLAGS,
                    *args.flag,
                    f'--user-data-dir={folder}/profile',
                    f'http://127.0.0.1:{server.server_port}/time.html',
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            came = server.done.wait(600)
            window.terminate()
            window.wait(30)
            server.shutdown()
    if not came or 'error' in server.told:
        raise SystemExit(f'{model}: {server.told["error"] if came else "the page never answered"}')
    return server.told


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', nargs='+', type=Path)
    p.add_argument('--json')
    p.add_argument('--runs', type=int, default=15)
    p.add_argument('--web', default='vendored')
    p.add_argument('--query', default='')
    p.add_argument('--flag', action='append', default=[], help='for the browser')
    p.add_argument('--samples', help='a folder of images')
    args = p.parse_args()
    browser = next(filter(None, map(shutil.which, filter(None, (os.environ.get('CHROME'), *NAMES)))), None)
    if browser is None:
        raise SystemExit("There is no browser of Chromium's family here; CHROME names another.")
    results = []
    for model in args.model:
        told = measure(model, args, browser)
        ms = {k: statistics.median(r[k] for r in told['rows']) for k in told['rows'][0]}
        results.append(
            {
                'model': str(model),
                'images': len(told['rows']),
                'threads': told['threads'],
                **ms,
                'all': statistics.median(sum(r.values()) for r in told['rows']),
            }
        )
        print(
            f'{model}: {results[-1]["all"]:.1f} ms an image ('
            + ', '.join(f'{k} {v:.1f}' for k, v in ms.items())
            + f'), up to {told["threads"]} threads'
        )
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(results, f, indent=1)


if __name__ == '__main__':
    main()
