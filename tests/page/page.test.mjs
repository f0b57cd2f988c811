// What an operator sees and does on the page.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import axe from 'axe-core';
import { browser, picture, stage, until, visit } from './stage.mjs';

after(() => browser.close());

const refused = { service: 'oss', times: 1, action: { do: 'oss_error', status: 403, code: 'AccessDenied', message: 'no right to put' } };
const brand = (page, id) => page.locator('article.brand', { has: page.locator('h3', { hasText: String(id) }) });

/** Nothing hangs over the edge of the screen. */
const overhang = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

test('an upload appears without a reload, with its picture', async () => {
  const scene = await stage();
  const page = await visit(scene.page);
  await page.getByText('No brands yet').waitFor();
  await page.evaluate(() => { window.loadedOnce = true; });
  await scene.drop('OWNBRAND/1001/front.jpg', await picture(1));
  const place = brand(page, 1001).locator('button.place.uploaded');
  await place.waitFor();
  const drawn = await until('its thumbnail is drawn', () => place.locator('img').evaluate((img) => img.naturalWidth));
  assert.ok(drawn > 0 && drawn < 480, `a small one: ${drawn}`);
  await scene.drop('OWNBRAND/1001/back.png', await picture(2, 'image/png'));
  await brand(page, 1001).locator('button.place.uploaded').nth(1).waitFor();
  await until('both are counted', async () => (await page.locator('.tally.uploaded b').textContent()) === '2');
  assert.match(await page.locator('#feed').innerText(), /front\.jpg/);
  assert.equal(await page.evaluate(() => window.loadedOnce), true);
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('a failed one says why and is tried again by a click', async () => {
  const scene = await stage();
  await scene.fault(refused);
  await scene.drop('OWNBRAND/1001/front.jpg', await picture(1));
  await scene.row('front.jpg', 'failed');
  const page = await visit(scene.page);
  const line = brand(page, 1001).locator('.refused li').first();
  await until('it says why', async () => /OSS refused it/.test(await line.innerText()));
  await page.locator('.tally.failed').click();
  assert.match(await page.locator('article.file').innerText(), /AccessDenied/);
  await page.locator('article.file').getByRole('button', { name: 'Try again' }).click();
  await page.getByText('Queued again').waitFor();
  await scene.row('front.jpg', 'uploaded');
  await page.locator('article.file .state.uploaded').waitFor();
  await page.locator('article.file h3 button').click();
  const attempts = await page.locator('#detail .attempts li').allInnerTexts();
  assert.equal(attempts.length, 2, attempts.join('\n'));
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('the eleventh waits until a slot is released on the page', async () => {
  const scene = await stage();
  for (let number = 1; number <= 11; number += 1) await scene.drop(`OWNBRAND/1001/${number}.jpg`, await picture(number, 'image/jpeg', [120, 144]));
  const page = await visit(scene.page);
  await until('ten are there', async () => (await page.locator('button.place.uploaded').count()) === 10);
  await page.getByText('All slots are taken').first().waitFor();
  await page.locator('button.place').first().click();
  await page.locator('#detail').getByRole('button', { name: 'Release slot' }).click();
  await page.locator('#ask').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await page.locator('button.place.uploaded').count(), 10, 'nothing happens without a yes');
  await page.locator('#detail').getByRole('button', { name: 'Release slot' }).click();
  await page.locator('#ask').getByRole('button', { name: 'Release slot' }).click();
  await page.getByText('Slot 1 is released').waitFor();
  const waited = await until('no one waits', async () => (await page.locator('.refused li').count()) === 0);
  assert.ok(waited);
  await until('the eleventh is in slot 1', async () => /Slot 1: 11\.jpg/.test(await page.locator('button.place').first().getAttribute('title')));
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('uploads are paused and go on', async () => {
  const scene = await stage();
  const page = await visit(scene.page);
  await page.getByRole('button', { name: 'Pause uploads' }).click();
  const notices = page.locator('.notice');
  await notices.first().waitFor();
  await scene.drop('OWNBRAND/1001/front.jpg', await picture(1));
  await brand(page, 1001).locator('button.place.queued').waitFor();
  assert.equal(await notices.count(), 1, await page.locator('#notices').innerText());
  assert.match(await notices.innerText(), /paused by an operator/);
  await page.getByRole('button', { name: 'Resume uploads' }).click();
  await brand(page, 1001).locator('button.place.uploaded').waitFor();
  await until('the notice is gone', async () => (await notices.count()) === 0);
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('a cloud that is down is said at the top', async () => {
  const scene = await stage();
  await scene.fault({ service: 'gateway', action: { do: 'ca_error', status: 400, error_code: 'A403IS', message: 'Invalid Signature' } });
  await scene.drop('OWNBRAND/1001/front.jpg', await picture(1));
  const page = await visit(scene.page, { locale: 'zh-CN' });
  await page.locator('.notice', { hasText: '上传已自动暂停' }).waitFor();
  assert.equal(await page.title(), '(!) brandpost');
  await scene.well();
  await brand(page, 1001).locator('button.place.uploaded').waitFor();
  await until('the notice is gone', async () => (await page.locator('.notice').count()) === 0);
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('the language follows the browser, can be chosen, and is remembered', async () => {
  const scene = await stage();
  await scene.drop('OWNBRAND/1001/scan.jpg', Buffer.from('%PDF-1.7 and so on, and so on'));
  await scene.row('scan.jpg', 'rejected');
  const page = await visit(scene.page, { locale: 'zh-CN' });
  await page.getByText('格式不支持').first().waitFor();
  await page.getByText('这是 PDF 文档，不是 JPG、PNG 或 GIF').first().waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  assert.equal(await page.evaluate(() => /undefined|\[object/.test(document.body.innerText)), false);
  await page.getByLabel('English').check();
  await page.getByText('Not a JPG, PNG or GIF').first().waitFor();
  await page.getByText('this is a PDF document').first().waitFor();
  assert.doesNotMatch(await page.locator('#desk').innerText(), /[\u4e00-\u9fff]/);
  await page.reload();
  await page.getByText('Not a JPG, PNG or GIF').first().waitFor();
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('names from outside are text, whatever they hold', async () => {
  const scene = await stage();
  const names = ['<img src=x onerror=alert(1)>.jpg', 'a\u202egpj.exe.jpg', 'two\nlines.jpg', `${'长'.repeat(80)}.jpg`, 'tag\u{e0041}\u{200d}\u{9b}.jpg'];
  for (const [number, name] of names.entries()) await scene.drop(`OWNBRAND/1001/${name}`, await picture(number + 1, 'image/jpeg', [120, 144]));
  const page = await visit(scene.page, { viewport: { width: 375, height: 740 } });
  await until('all are there', async () => (await page.locator('button.place.uploaded').count()) === names.length);
  await page.locator('.tally.uploaded').click();
  await until('all are listed', async () => (await page.locator('article.file').count()) === names.length);
  const text = await page.locator('#list').innerText();
  assert.match(text, /<img src=x onerror=alert\(1\)>\.jpg/);
  assert.match(text, /a\\u\{202e\}gpj\.exe\.jpg/);
  assert.match(text, /tag\\u\{e0041\}\\u\{200d\}\\u\{9b\}\.jpg/);
  assert.ok((await overhang(page)) <= 0, 'a long name is wrapped');
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

/** Of what goes wrong, that the browser itself says that it was refused is right here. */
const unexpected = (page) => page.trouble.filter((text) => !text.includes('401'));

test('without the token nothing is shown; it may be typed, or pasted with its address', async () => {
  for (const more of ['', 'token_file = "token"']) {
    const scene = await stage(more);
    for (const proof of [scene.token, ` ${scene.page} `]) {
      const page = await visit(scene.url);
      await page.getByText('sudo brandpost page').waitFor();
      await page.getByLabel('Token').fill('a guess of somebody');
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.getByText('That is not the token').waitFor();
      assert.equal(await page.locator('#desk').isVisible(), false);
      await page.getByLabel('Token').fill(proof);
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.getByText('No brands yet').waitFor();
      assert.equal(await page.locator('#login').isVisible(), false);
      await page.reload();
      await page.getByText('No brands yet').waitFor();
      assert.deepEqual(unexpected(page), []);
      await page.context().close();
    }
    await scene.close();
  }
});

test('the address with the token opens the page and does not keep it', async () => {
  const scene = await stage();
  const page = await visit(scene.page);
  await page.getByText('No brands yet').waitFor();
  assert.equal(page.url(), `${scene.url}/`);
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict' && !cookie.value.includes(scene.token), JSON.stringify(cookie));
  const days = (cookie.expires - Date.now() / 1000) / 86400;
  assert.ok(days > 29 && days < 31, `${days} days`);
  assert.equal(await page.evaluate(() => document.cookie), '');
  assert.deepEqual(page.trouble, []);
  // an address whose token is over: what counts is the cookie, if there is one
  const old = `${scene.url}/#token=${'0'.repeat(64)}`;
  await page.goto(old);
  await until('it is gone from the address', () => page.url() === `${scene.url}/`);
  await page.getByText('No brands yet').waitFor();
  await page.context().clearCookies();
  await page.goto(old);
  await page.reload();
  await page.getByText('sudo brandpost page').waitFor();
  assert.equal(await page.locator('#desk').isVisible(), false);
  await page.goto(scene.page);
  await page.getByText('No brands yet').waitFor();
  assert.deepEqual(unexpected(page), []);
  await scene.close();
});

test('the way in is plain in both languages, on a phone too', async () => {
  const scene = await stage();
  for (const [width, height] of [[375, 812], [1280, 900]]) {
    for (const locale of ['zh-CN', 'en-GB']) {
      for (const colorScheme of ['light', 'dark']) {
        const page = await visit(scene.url, { viewport: { width, height }, locale, colorScheme });
        await page.locator('#login-form').waitFor();
        await page.locator('#token').fill('wrong');
        await page.locator('#login-form button').click();
        await page.locator('#wrong', { hasText: /./ }).waitFor();
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate(() => window.axe.run());
        assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
        assert.ok((await overhang(page)) <= 0);
        if (process.env.SHOTS) {
          await mkdir(process.env.SHOTS, { recursive: true });
          await page.screenshot({ path: join(process.env.SHOTS, `${width}-${locale.slice(0, 2)}-${colorScheme}-login.png`) });
        }
        await page.context().close();
      }
    }
  }
  await scene.close();
});

test('brands and files are found', async () => {
  const scene = await stage();
  await scene.drop('OWNBRAND/1001/front.jpg', await picture(1));
  await scene.drop('OTHERBRAND/2002-海尔 <b>/contract.jpg', await picture(2));
  await scene.row('front.jpg', 'uploaded');
  await scene.row('contract.jpg', 'uploaded');
  const page = await visit(scene.page);
  await until('both are shown', async () => (await page.locator('article.brand').count()) === 2);
  await page.keyboard.press('/');
  await page.keyboard.type('contract');
  await until('one is left', async () => (await page.locator('article.brand').count()) === 1);
  assert.equal(await page.locator('article.brand h3').textContent(), 'OTHERBRAND/2002');
  assert.equal(await page.locator('article.brand .label').textContent(), '海尔 <b>');
  await page.getByRole('searchbox').fill('海尔');
  await until('the label is found', async () => (await page.locator('article.brand h3').allTextContents()).join() === 'OTHERBRAND/2002');
  await page.getByRole('searchbox').fill('no such thing');
  await page.getByText('Nothing found').waitFor();
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('more refusals than fit are listed, of this brand alone', async () => {
  const scene = await stage();
  await scene.drop('OWNBRAND/10/other.jpg', Buffer.from('%PDF-1.7 and so on, and so on'));
  for (let number = 1; number <= 25; number += 1) await scene.drop(`OWNBRAND/1/${number}.jpg`, Buffer.from(`%PDF-1.7 number ${number}, and so on`));
  await scene.row('25.jpg', 'rejected');
  const page = await visit(scene.page);
  await brand(page, 1).first().getByRole('button', { name: /Show all/ }).click();
  await brand(page, 1).first().getByRole('button', { name: /more, show them/ }).click();
  await until('all of them are listed', async () => (await page.locator('article.file').count()) === 25);
  assert.doesNotMatch(await page.locator('#list').innerText(), /other\.jpg/);
  await page.locator('.tally').first().click();
  await page.getByRole('searchbox').fill('BRAND/10');
  await until('a brand is found by its number', async () => (await page.locator('article.brand').count()) === 1);
  assert.deepEqual(page.trouble, []);
  await scene.close();
});

test('it works on a phone, in both languages and themes, for everybody', async () => {
  const scene = await stage();
  await scene.fault({ ...refused, matches: '2002/2' }, { service: 'oss', matches: '2002/3', action: { do: 'oss_error', status: 503, code: 'ServiceUnavailable', message: 'busy' } });
  for (let number = 1; number <= 11; number += 1) await scene.drop(`OWNBRAND/1001/证书-${number}.jpg`, await picture(number));
  for (const [number, name] of ['商标.jpg', '授权.jpg', 'contract.png'].entries()) await scene.drop(`OTHERBRAND/2002/${name}`, await picture(number + 20));
  await scene.drop('OWNBRAND/1001/scan.jpg', Buffer.from('%PDF-1.7 and so on, and so on'));
  await scene.drop('OWNBRAND/88/half.jpg', (await picture(3)).subarray(0, 4000));
  await scene.drop('OWNBRAND/88/营业执照.png', await picture(33, 'image/png'));
  for (const name of ['证书-10.jpg', 'contract.png', '营业执照.png']) await scene.row(name, 'uploaded');
  for (const [width, height] of [[375, 812], [1280, 900]]) {
    for (const locale of ['zh-CN', 'en-GB']) {
      for (const colorScheme of ['light', 'dark']) {
        const page = await visit(scene.page, { viewport: { width, height }, locale, colorScheme });
        await until('it is drawn', async () => (await page.locator('article.brand').count()) === 3);
        await page.waitForFunction(() => [...document.images].every((img) => img.complete));
        const wrong = [];
        const look = async (what) => {
          if ((await overhang(page)) > 0) wrong.push(`${what} hangs over the edge`);
          await page.evaluate(axe.source);
          const rules = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] };
          // the page lives on meanwhile, and axe stumbles over nodes that are replaced under it
          const found = await until('axe has run', () => page.evaluate((rules) => window.axe.run(rules), rules).catch(() => null));
          wrong.push(...found.violations.map(({ id, nodes }) => `${what}: ${id}: ${nodes[0].html}`));
          if (!process.env.SHOTS) return;
          await mkdir(process.env.SHOTS, { recursive: true });
          await page.screenshot({ path: join(process.env.SHOTS, `${width}-${locale.slice(0, 2)}-${colorScheme}-${what}.png`), fullPage: what !== 'detail' });
        };
        await page.mouse.move(0, 0);
        await look('album');
        await page.locator('.tally.rejected').click();
        await page.locator('article.file').first().waitFor();
        await look('list');
        await page.locator('article.file h3 button').first().click();
        await page.locator('#detail h2').waitFor();
        await look('detail');
        // axe is put into the page by its own means, which the page's policy does not have to allow
        assert.deepEqual([...wrong, ...page.trouble], [], `${width} ${locale} ${colorScheme}`);
        await page.context().close();
      }
    }
  }
  await scene.close();
});
