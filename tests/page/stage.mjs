// A stage for a test: the sandbox cloud, the daemon, and a browser before its page.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const TREE = join(dirname(fileURLToPath(import.meta.url)), '../..');
const BIN = process.env.BRANDPOST_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(TREE, 'target'), 'debug');

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

/** Waits until `ask` says something true. */
export async function until(what, ask, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const said = await ask();
    if (said) return said;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

/** Sandbox and daemon in a folder of their own; `more` is added to the configuration. */
export async function stage(more = '') {
  const folder = await mkdtemp(join(tmpdir(), 'brandpost-page-'));
  const [cloud, http] = [await freePort(), await freePort()];
  await mkdir(join(folder, 'inbox'));
  await writeFile(join(folder, 'token'), '3f9a1c0be2d84756a1b0c9d8e7f60512\n', { mode: 0o600 });
  await writeFile(join(folder, 'secret'), 'sandbox-app-secret\n', { mode: 0o600 });
  await writeFile(join(folder, 'config.toml'), `
[gateway]
url = "http://127.0.0.1:${cloud}"
app_id = "a1B2c3D4"
app_key = "30001234"
app_secret_file = "secret"
[oss]
https = "allow"
[network]
resolve = { "iotx-industry.oss-cn-hangzhou.aliyuncs.com" = "127.0.0.1:${cloud}" }
[limits]
uploads_per_second = 0
gateway_per_second = 0
[retry]
first_delay = "200ms"
max_delay = "1s"
[http]
listen = "127.0.0.1:${http}"
${more}`);
  const env = { PATH: process.env.PATH, LC_ALL: 'C' };
  const start = (program, ...args) => {
    const child = spawn(join(BIN, program), args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
    child.said = '';
    child.stderr.on('data', (text) => { child.said += text; });
    return child;
  };
  const sandbox = start('brandpost-sandbox', 'serve', '--listen', `127.0.0.1:${cloud}`, '--dir', join(folder, 'objects'));
  const answers = (url) => fetch(url).then((answer) => answer.ok, () => false);
  await until('the sandbox answers', () => answers(`http://127.0.0.1:${cloud}/_sandbox/health`));
  const daemon = start('brandpost', 'run');
  const url = `http://127.0.0.1:${http}`;
  try {
    await until('the daemon answers', () => answers(`${url}/healthz`));
  } catch (error) {
    throw new Error(`${error.message}\n${daemon.said}`);
  }
  const made = more.includes('token_file') ? 'token' : 'brandpost.db.token';
  const token = (await readFile(join(folder, made), 'utf8')).trim();
  return {
    url,
    folder,
    token,
    /** What `brandpost page` prints. */
    page: `${url}/#token=${token}`,
    /** The faults of the cloud from now on. */
    fault: (...faults) => fetch(`http://127.0.0.1:${cloud}/_sandbox/faults`, { method: 'POST', body: JSON.stringify(faults) }),
    well: () => fetch(`http://127.0.0.1:${cloud}/_sandbox/faults`, { method: 'DELETE' }),
    /** Drops a file, as a program does that knows how: written beside and renamed. */
    async drop(path, bytes) {
      const file = join(folder, 'inbox', path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(join(folder, 'file.part'), bytes);
      await rename(join(folder, 'file.part'), file);
    },
    /** A row once it has come so far. */
    row: (file, state) => until(`${file} is ${state}`, async () => {
      const headers = { authorization: `Bearer ${token}` };
      const page = await (await fetch(`${url}/api/v1/uploads?q=${encodeURIComponent(file)}`, { headers })).json();
      return page.items.find((row) => row.file_name === file && row.state === state);
    }),
    async close() {
      for (const child of [daemon, sandbox]) child.kill('SIGTERM');
      await until('both end', () => [daemon, sandbox].every((child) => child.exitCode !== null || child.signalCode !== null));
      await rm(folder, { recursive: true });
    },
  };
}

/** A page that tells what goes wrong in it, and whom it asks. */
export async function visit(url, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const trouble = [];
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') trouble.push(message.text()); });
  page.on('request', (request) => { if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith('data:')) trouble.push(`asks ${request.url()}`); });
  await page.goto(url);
  return Object.assign(page, { trouble });
}

/** A certificate as no other: `number` decides what it looks like. */
const canvas = await browser.newPage();
export async function picture(number, type = 'image/jpeg', [width, height] = [480, 576]) {
  const url = await canvas.evaluate(({ number, type, width, height }) => {
    const sheet = Object.assign(document.createElement('canvas'), { width, height });
    const pen = sheet.getContext('2d');
    const hue = (number * 47) % 360;
    pen.fillStyle = `hsl(${hue} 40% 93%)`;
    pen.fillRect(0, 0, width, height);
    pen.strokeStyle = `hsl(${hue} 55% 40%)`;
    pen.lineWidth = 10;
    pen.strokeRect(24, 24, width - 48, height - 48);
    pen.lineWidth = 2;
    pen.strokeRect(40, 40, width - 80, height - 80);
    pen.fillStyle = `hsl(${hue} 60% 26%)`;
    pen.textAlign = 'center';
    pen.font = '600 44px serif';
    pen.fillText(['商标注册证', '授权书', '检验报告', '营业执照', '质量认证'][number % 5], width / 2, 130);
    for (let line = 0; line < 7; line += 1) {
      pen.fillStyle = `hsl(${hue} 18% 62%)`;
      pen.fillRect(80, 190 + line * 32, (width - 160) * (0.6 + ((number * 7 + line * 13) % 40) / 100), 8);
    }
    pen.beginPath();
    pen.arc(width - 140, height - 130, 56, 0, 7);
    pen.fillStyle = 'hsl(4 70% 48% / .8)';
    pen.fill();
    pen.fillStyle = 'white';
    pen.font = '600 40px serif';
    pen.fillText(String(number), width - 140, height - 116);
    return sheet.toDataURL(type, 0.85);
  }, { number, type, width, height });
  return Buffer.from(url.split(',')[1], 'base64');
}
