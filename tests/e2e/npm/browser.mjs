// A person with a browser: opens the URL in headless Chromium, presses "Allow", and waits for the page that comes at the end.
//
//     node browser.mjs --chromium PROGRAM [--screenshot FILE.png] URL
//
// It writes the title and the text of that page to stdout, and with --screenshot a picture of it. It ends with 1 where
// something does not come within 30 s. The browser speaks its DevTools protocol over two pipes, so nothing has to be installed
// for this but the browser, and no port is opened. It has a new profile, which is removed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const LIMIT_MS = 30_000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { chromium: { type: 'string' }, screenshot: { type: 'string' } },
});
const [url] = positionals;
if (!values.chromium || !url) {
  console.error('usage: node browser.mjs --chromium PROGRAM [--screenshot FILE.png] URL');
  process.exit(2);
}

const profile = await mkdtemp(join(tmpdir(), 'mcp-startup-chromium-'));
const chromium = spawn(
  values.chromium,
  [
    '--headless',
    '--no-sandbox', // it must run as root too, and opens nothing but pages of these tests
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--window-size=900,600',
    `--user-data-dir=${profile}`,
    '--remote-debugging-pipe',
    'about:blank',
  ],
  // It reads commands from 3 and writes to 4, each ended by a zero byte.
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
);
const ended = once(chromium, 'exit');
const [commands, answers] = chromium.stdio.slice(3);
commands.on('error', () => {}); // it has ended, and that is told below

const waiting = new Map();
let unread = '';
answers.setEncoding('utf8').on('data', (chunk) => {
  const messages = (unread + chunk).split('\0');
  unread = messages.pop();
  for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
    if (error) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result);
    waiting.delete(id);
  }
});

let last = 0;
function send(method, params = {}, sessionId = undefined) {
  const id = ++last;
  commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

async function visit() {
  const { targetInfos } = await send('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }) => type === 'page');
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
  const page = (method, params) => send(method, params, sessionId);
  const ask = async (expression) => (await page('Runtime.evaluate', { expression, returnByValue: true })).result.value;

  // Until `expression` is something; a page that is just going away has no answer.
  const until = async (expression) => {
    for (;;) {
      const value = await ask(expression).catch(() => undefined);
      if (value) return value;
      await sleep(20);
    }
  };

  await page('Page.navigate', { url });
  // Pressed as a hand does it: where the button is on the page.
  const { x, y } = await until(`(() => {
    const button = document.readyState === 'complete' && document.querySelector('#allow');
    if (!button) return;
    const { left, top, width, height } = button.getBoundingClientRect();
    return { x: left + width / 2, y: top + height / 2 };
  })()`);
  const press = { x, y, button: 'left', clickCount: 1 };
  await page('Input.dispatchMouseEvent', { type: 'mousePressed', ...press });
  await page('Input.dispatchMouseEvent', { type: 'mouseReleased', ...press });
  const shown = await until(
    `location.pathname === '/callback' && document.readyState === 'complete' && document.title + '\\n' + document.body.innerText`,
  );
  if (values.screenshot) {
    const { data } = await page('Page.captureScreenshot', { format: 'png' });
    await mkdir(dirname(values.screenshot), { recursive: true });
    await writeFile(values.screenshot, Buffer.from(data, 'base64'));
  }
  return shown;
}

const limit = new AbortController();
try {
  const shown = await Promise.race([
    visit(),
    once(chromium, 'error').then(([error]) => Promise.reject(error)),
    ended.then(([code]) => Promise.reject(new Error(`the browser has ended with ${code}`))),
    sleep(LIMIT_MS, undefined, { signal: limit.signal }).then(() => Promise.reject(new Error('nothing came in time'))),
  ]);
  console.log(shown);
} catch (error) {
  console.error(`browser.mjs: ${error.message}`);
  process.exitCode = 1;
} finally {
  limit.abort();
  // Closed by itself it leaves nothing behind.
  send('Browser.close').catch(() => {});
  await Promise.race([ended, sleep(2000, undefined, { ref: false })]).catch(() => {});
  chromium.kill('SIGKILL');
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
