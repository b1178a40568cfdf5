// The page's worker: fetches and runs the model. Images come in as ImageBitmaps, predictions go out.
//
// This file is the source. Edit it here: no notebook exports it, and every page gets a copy of it as it is.
// nbs/deploy/web/05_page_scripts.ipynb holds its reasons and its tests.
import {loadModel} from './model.js';

const MAX_THREADS = 8; // of wasm, however many the processor has
const MAX_REASON = 160; // letters of what a graphics card says when it cannot run a model

// ## Fetching

const downloads = new Map(); // by address: {loaded, total} in bytes; a total of 0 is unknown

// Tell the page how many bytes have arrived of all downloads; where one total is unknown, that of all is 0
function tellProgress(url, loaded, total) {
  downloads.set(url, {loaded, total});
  const all = [...downloads.values()];
  const allLoaded = all.reduce((sum, file) => sum + file.loaded, 0);
  const allTotal = all.every(file => file.total) ? all.reduce((sum, file) => sum + file.total, 0) : 0;
  postMessage({progress: {loaded: allLoaded, total: allTotal}});
}

// Whether an address is on another server than the page
function isForeign(url) {
  return new URL(url).origin !== location.origin;
}

// The answer of a server. `integrity` is the checksum of a file from another server, as `fetch` takes it.
// Throws an Error that people can read where there is no answer, a refusal, or a file with another checksum.
async function request(url, integrity) {
  const foreign = isForeign(url);
  // a model that was exported again must not come from the cache
  const options = foreign ? {integrity, credentials: 'omit'} : {cache: 'no-cache'};
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    const orChanged = foreign ? ', or is not the file this page was made for' : '';
    throw new Error(`${url} cannot be fetched${orChanged}. Is the connection there?`);
  }
  const {ok, status, statusText} = response;
  if (!ok) throw new Error(`${url} cannot be fetched: the server answers ${status} ${statusText}.`);
  return response;
}

// How many bytes an answer will have; 0: unknown
function contentLength({headers}) {
  if (headers.get('content-encoding')) return 0; // the length of what is sent, not of what comes out of it
  return Number(headers.get('content-length')) || 0;
}

// The bytes of a file (Uint8Array); the page is told as they arrive. `integrity`: as for `request`
async function fetchBytes(url, {integrity} = {}) {
  const response = await request(url, integrity);
  const total = contentLength(response);
  const parts = [];
  const reader = response.body.getReader();
  let loaded = 0;
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    parts.push(step.value);
    loaded += step.value.length;
    tellProgress(url, loaded, total);
  }
  tellProgress(url, loaded, loaded);
  return joined(parts, loaded);
}

// Some arrays of bytes as one, of `length` bytes
function joined(parts, length) {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

// ## The engine

// The module of onnxruntime-web from its two files, each {url, integrity}: the script and the WebAssembly
async function loadEngine({module, binary}) {
  const binaryBytes = fetchBytes(binary.url, binary);
  binaryBytes.catch(() => {}); // thrown where it is awaited
  const url = isForeign(module.url) ? await fetchedScript(module) : module.url;
  let ort;
  try {
    ort = await import(url);
  } catch (error) {
    throw new Error(`${module.url} cannot be loaded (${error.message}).`);
  }
  ort.env.wasm.wasmBinary = await binaryBytes;
  ort.env.logLevel = 'error';
  return ort;
}

// An address of this page for a script from another server, whose checksum was checked
async function fetchedScript(module) {
  const bytes = await fetchBytes(module.url, module);
  return URL.createObjectURL(new Blob([bytes], {type: 'text/javascript'}));
}

// Whether there is a graphics card, and not only a software imitation of one
async function hasGraphicsCard() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter) return false;
  return !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

// Start the model on a provider: {model, provider, threads}. `bytes` is a promise of the ONNX file, `builds`
// has the files for `loadEngine` of each provider
async function start(provider, bytes, builds) {
  // several threads share memory, which browsers give only to isolated pages
  const threads = self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1) : 1;
  const ort = await loadEngine(builds[provider]);
  const model = await loadModel(ort, await bytes, {providers: [provider], threads});
  await tryModel(model);
  return {model, provider, threads};
}

// Run the model once: the first run is slow, and may fail
async function tryModel(model) {
  const gray = {data: new Uint8ClampedArray(32 * 32 * 4).fill(128), width: 32, height: 32};
  await model.predict(gray, {scoreThreshold: 0.99}); // so that little is decoded
}

// ## What the page asks for

let running = null; // {model, provider, threads}
let canvas = null;
let context = null;

// The pixels of a bitmap over white: {data: RGBA, width, height}. Closes the bitmap
function pixelsOf(bitmap) {
  canvas ??= new OffscreenCanvas(1, 1);
  context ??= canvas.getContext('2d', {willReadFrequently: true, alpha: true});
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// Start on a provider, or on the processor where the graphics card fails: {started, note}.
// `note` says why it failed; empty: it did not
async function startSomewhere(provider, bytes, builds) {
  try {
    return {started: await start(provider, bytes, builds), note: ''};
  } catch (error) {
    if (provider === 'wasm') throw error;
    await bytes; // a model that cannot be fetched is no fault of the card
    const reason = String(error?.message ?? error).split('\n')[0].slice(0, MAX_REASON);
    const note = `The graphics card could not run this model (${reason}), so the processor does.`;
    return {started: await start('wasm', bytes, builds), note};
  }
}

// By name: from the data of a request to its result
const steps = {
  // `model` is the address of the ONNX file, `provider` webgpu or wasm; empty: what suits best
  async load({model, builds, provider}) {
    const bytes = fetchBytes(model);
    bytes.catch(() => {}); // thrown where it is awaited
    const first = provider || ((await hasGraphicsCard()) ? 'webgpu' : 'wasm');
    const {started, note} = await startSomewhere(first, bytes, builds);
    running = started;
    const {card} = running.model;
    return {card, provider: running.provider, threads: running.threads, note, bytes: (await bytes).length};
  },
  async predict({bitmap, options}) {
    return await running.model.predict(pixelsOf(bitmap), options);
  },
  async occlude({bitmap, label}) {
    return await running.model.occlude(pixelsOf(bitmap), label);
  },
};

let queue = Promise.resolve(); // one thing at a time
// A request: `step` is a key of `steps`, which takes the rest. Answered by {id, result} or {id, error: a
// text}
onmessage = ({data: {id, step, ...request}}) => {
  queue = queue.then(() => steps[step](request)).then(
    result => postMessage({id, result}),
    error => postMessage({id, error: String(error?.message ?? error)}),
  );
};
