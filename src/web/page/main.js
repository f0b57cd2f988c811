// The operators' page: the album of all brands, the list of one state, the day book, and what one can do about it.
// This file starts it: the connection, the login, language and theme. `store` knows, `views` and `detail` draw,
// `actions` do.

import { act, complain, perch } from './actions.js';
import { ask, onUnauthorized } from './api.js';
import { visible } from './dom.js';
import { recall, remember } from './memory.js';
import { changed, choose, hear, load, on, refreshAll, refreshSoon, view } from './store.js';
import { drawFeed, drawLink, drawList, drawSummary } from './views.js';
import { language, speak, t } from './words.js';

const $ = (id) => document.getElementById(id);

// ── the connection ──────────────────────────────────────────────────────────────────────────────────────────

let source = null;

/** Asks once whether we may, then listens. What changed before the line was open is fetched when it opens. */
async function connect() {
  clearTimeout(connect.again);
  source?.close();
  source = null;
  const retry = () => { connect.again = setTimeout(connect, 4000); };
  try {
    hear(await ask('summary'));
  } catch (error) {
    if (error.status === 401) return;
    drawLink('offline');
    retry();
    return;
  }
  $('login').hidden = true;
  $('desk').hidden = false;
  const stuck = setTimeout(() => refreshAll().catch(() => {}), 3000); // a proxy that swallows the stream: at least one look
  source = new EventSource('/api/v1/events');
  source.onopen = () => {
    clearTimeout(stuck);
    drawLink('live');
    refreshAll().catch(() => {});
  };
  source.onerror = () => {
    drawLink('offline');
    if (source?.readyState === EventSource.CLOSED) retry();
  };
  source.addEventListener('summary', (event) => hear(JSON.parse(event.data)));
  source.addEventListener('upload', (event) => changed(JSON.parse(event.data)));
  source.addEventListener('missed', refreshSoon); // too much happened to tell each
}

// ── the login ───────────────────────────────────────────────────────────────────────────────────────────────

/** Shows the token; in a pasted address as `brandpost page` prints it, the token counts. */
async function login(token) {
  $('wrong').textContent = '';
  try {
    await ask('login', { token: token.split('#token=').pop().trim() });
    $('token').value = '';
  } catch (error) {
    $('wrong').textContent = error.status === 401 ? t('wrongToken') : visible(error.message);
    if (!$('login').hidden) return;
  }
  connect(); // after an address with an old token the cookie may be good still
}

/** An address that brings the token along logs in; the token does not stay in the address. */
function arrive() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return false;
  history.replaceState(null, '', location.pathname);
  login(token);
  return true;
}

function showLogin() {
  source?.close();
  source = null;
  clearTimeout(connect.again);
  document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
  $('desk').hidden = true;
  $('login').hidden = false;
  $('link').textContent = '';
  $('token').focus();
}

onUnauthorized(showLogin);
on('error', (error) => complain(error));
on('chosen', () => { $('search').value = view.q; });

// ── language, theme, and the start ──────────────────────────────────────────────────────────────────────────

function translate() {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', t(node.dataset.tLabel));
  for (const node of document.querySelectorAll('[data-t-hint]')) node.placeholder = t(node.dataset.tHint);
  $('pause').textContent = t('pause');
  const now = new Date();
  $('today').textContent = [now.getMonth() + 1, now.getDate()].join(' · ');
  drawLink();
  drawSummary();
  drawList();
  drawFeed();
}

const dark = matchMedia('(prefers-color-scheme: dark)');

function paint() {
  const choice = recall('theme') ?? 'auto';
  document.documentElement.dataset.theme = choice === 'auto' ? (dark.matches ? 'dark' : 'light') : choice;
}

function choices(id, value, set) {
  for (const input of $(id).querySelectorAll('input')) {
    input.checked = input.value === value;
    input.onchange = () => set(input.value);
  }
}

paint();
dark.onchange = paint;
choices('theme', recall('theme') ?? 'auto', (theme) => { remember('theme', theme); paint(); });
choices('language', language(), (next) => { speak(next); translate(); });
translate();

let typing;
$('search').oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => choose(view.group, $('search').value.trim()), 250);
};
document.onkeydown = (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input') || document.querySelector('dialog[open]')) return;
  event.preventDefault();
  $('search').focus();
};
$('pause').onclick = act('pause', {}, () => t('pausedNow'));
$('more').onclick = () => load({ more: true });

const wide = matchMedia('(min-width: 1000px)');
wide.onchange = () => {
  $('daybook').open = wide.matches;
  $('daybook').firstElementChild.tabIndex = wide.matches ? -1 : 0;
};
wide.onchange();
$('daybook').onpointerleave = () => setTimeout(drawFeed);

for (const dialog of document.querySelectorAll('dialog')) {
  dialog.addEventListener('close', perch);
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); }; // the backdrop
}

$('login-form').onsubmit = (event) => {
  event.preventDefault();
  login($('token').value);
};

window.onhashchange = arrive;
if (!arrive()) connect();
