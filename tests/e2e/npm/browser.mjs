// Acts as a user with a browser: opens the URL in headless Chromium, clicks "Allow", and waits for the last page.
//
//     node browser.mjs --chromium PROGRAM [--screenshot FILE.png] URL
//
// Prints the title and the text of the last page to stdout, and with --screenshot saves a picture of it. Exits with 1 if the last page
// does not load within 30 s. The DevTools protocol runs over two pipes, so this needs only the browser and opens no port. The browser
// has a new profile, which is removed at the end.

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
    '--no-sandbox', // Chromium requires this for root. It opens only pages of these tests.
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
  // Chromium reads commands from 3 and writes responses to 4. Each one ends with a zero byte.
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
);
const ended = once(chromium, 'exit');
const [commands, answers] = chromium.stdio.slice(3);
commands.on('error', () => {}); // The browser has ended, which is reported below.

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

  // Repeats `expression` until it is truthy. A page that is being unloaded does not respond.
  const until = async (expression) => {
    for (;;) {
      const value = await ask(expression).catch(() => undefined);
      if (value) return value;
      await sleep(20);
    }
  };

  await page('Page.navigate', { url });
  // Click at the position of the button, as a user does.
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
    ended.then(([code]) => Promise.reject(new Error(`the browser exited with ${code}`))),
    sleep(LIMIT_MS, undefined, { signal: limit.signal }).then(() => Promise.reject(new Error('the last page did not load within 30 s'))),
  ]);
  console.log(shown);
} catch (error) {
  console.error(`browser.mjs: ${error.message}`);
  process.exitCode = 1;
} finally {
  limit.abort();
  // A browser that closes itself leaves no processes or files behind.
  send('Browser.close').catch(() => {});
  await Promise.race([ended, sleep(2000, undefined, { ref: false })]).catch(() => {});
  chromium.kill('SIGKILL');
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
