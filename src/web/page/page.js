// The operators' page: the album of all brands, the list of one state, the day book, and what one can do about it.
// The server is asked for lists once; afterwards every change arrives by itself on /api/v1/events.

import { details, explain, language, noticed, speak, t } from './words.js';
import { clock, count, el, moment, name, recall, refresh, remember, size, sync, visible } from './dom.js';

const $ = (id) => document.getElementById(id);
const PAGE = 50; // entries asked for at once
const RELOAD = 500; // so many of those on the page are fetched again after a break of the connection
const GROUPS = {
  all: null, // the album; the others are lists of files
  waiting: ['queued', 'uploading', 'retrying'],
  uploaded: ['uploaded'],
  failed: ['failed'],
  rejected: ['rejected'],
  gone: ['gone'],
  refused: ['failed', 'rejected'], // of one brand, reached from the album
};
const TALLIES = Object.entries(GROUPS).filter(([group]) => group !== 'refused');
const WIDE = ['path', 'object_url', 'request_id', 'etag', 'sha256']; // fields that need a line of their own
const MARKS = { queued: '⋯', uploading: '↑', retrying: '↻', uploaded: '✓', failed: '✕', rejected: '!', gone: '–' };

const view = { group: 'all', q: '', brand: null, items: new Map(), next: null, loaded: false };
const shown = new Set(); // brands whose refused files are all shown, not only the first few
let summary = null;
let feed = []; // latest first, one entry a file
let heard = null; // when the server was last heard of
let open = null; // the id of the file in the detail dialog

const brandKey = (row) => `${row.brand_type}/${row.brand_id}`;
const labelOf = (row) => row.label ?? row.brand_label;
const brandName = (row) => [brandKey(row), labelOf(row)].filter(Boolean).join(' ');
const keyOf = (item) => (view.group === 'all' ? brandKey(item) : item.id);
const stateMark = (state) => el(`span.mark.${state}`, { 'aria-hidden': 'true' }, MARKS[state] ?? '?');
const stateWord = (state) => el(`span.state.${state}`, {}, stateMark(state), ' ', t(state));
/** What the other side, or we, said of it in detail. */
const said = (row, spec = 'p.said', code = null) => {
  const { text, lang } = details(row);
  return text && el(spec, { lang }, [code, text].filter(Boolean).map(visible).join(': '));
};
const hasSlot = (row) => row.slot != null && ['uploaded', 'failed'].includes(row.state);

// ── the server ──────────────────────────────────────────────────────────────────────────────────────────────

async function ask(path, post) {
  const headers = post ? { 'content-type': 'application/json', 'x-brandpost': '1' } : { accept: 'application/json' };
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, { headers, method: post ? 'POST' : 'GET', body: post && JSON.stringify(post) });
  } catch {
    throw new Error(t('unreachable'));
  }
  if (answer.status === 401 && path !== 'login') showLogin();
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim() || `HTTP ${answer.status}`), { status: answer.status });
  return post ? null : answer.json();
}

const nearEnd = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && load({ more: true }), { rootMargin: '600px' });

let turn = 0; // an answer to an older question is dropped
let reading = false;
let meanwhile = []; // changes that arrive while a list is on its way, and may be missing from it

async function load({ more = false, reload = false } = {}) {
  if (more && (reading || !view.next)) return;
  const mine = (turn += 1);
  const wanted = reload ? Math.min(view.items.size, RELOAD) : 0;
  const items = new Map(more ? view.items : []);
  let next = more ? view.next : null;
  reading = true;
  meanwhile = [];
  try {
    do {
      const query = new URLSearchParams({ limit: PAGE });
      if (view.brand) query.set('brand', view.brand);
      else if (view.q) query.set('q', view.q);
      if (next) query.set('after', next);
      const states = GROUPS[view.group];
      if (states) query.set('state', states.join());
      const page = await ask(`${states ? 'uploads' : 'brands'}?${query}`);
      if (mine !== turn) return;
      for (const item of page.items) items.set(keyOf(item), item);
      next = page.next;
    } while (next && items.size < wanted);
    Object.assign(view, { items, next, loaded: true });
    meanwhile.forEach((row) => merge(row, true));
    drawList();
    nearEnd.unobserve($('more')); // it reports only changes: observed again, it reports how it is now
    nearEnd.observe($('more'));
  } catch (error) {
    if (mine === turn) complain(error);
  } finally {
    if (mine === turn) reading = false;
  }
}

async function refreshAll() {
  const [now, latest] = await Promise.all([ask('summary'), ask('uploads?limit=40')]);
  feed = latest.items;
  hear(now);
  drawFeed();
  await load({ reload: true });
  if (open) showDetail(open);
}

/** While thousands of files come in, the lists are read every few seconds and not for each hundred. */
function refreshSoon() {
  refreshSoon.timer ??= setTimeout(() => {
    refreshSoon.timer = null;
    refreshAll().catch(() => {});
  }, 3000);
}

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

function hear(now) {
  heard = new Date().toISOString();
  summary = now;
  drawSummary();
}

// ── changes as they come ────────────────────────────────────────────────────────────────────────────────────

function changed(row) {
  heard = new Date().toISOString();
  if (reading) meanwhile.push(row);
  feed = [row, ...feed.filter((other) => other.id !== row.id)].slice(0, 40);
  const key = merge(row);
  if (key !== null) dirty.add(key);
  else if (view.group === 'all' && view.loaded && !view.next && matches(row)) later();
  if (open === row.id) dirty.add(open);
  frame ??= requestAnimationFrame(drawChanges);
}

const dirty = new Set(); // what has to be drawn again: a thousand changes at once are drawn once
let frame = null;

function drawChanges() {
  frame = null;
  drawFeed();
  if (dirty.has(open)) showDetail(open);
  const keys = [...dirty].filter((key) => view.items.has(key));
  dirty.clear();
  if (keys.every((key) => $('list').keyed?.has(String(key)))) keys.forEach(drawItem);
  else drawList();
}

const matches = (row) => (view.brand ? brandKey(row) === view.brand : holds(row));
const holds = (row) => [brandName(row), row.file_name].some((text) => text.toLowerCase().includes(view.q.toLowerCase()));

/** Reads the list again, once for many changes; such as when a brand is new to us. */
function later() {
  later.timer ??= setTimeout(() => {
    later.timer = null;
    load({ reload: true });
  }, 1000);
}

/**
 * Brings one row into what the page shows; the key of the entry that it changed, or null. A row that came while a
 * list was read may be older than the list says; others never are, whatever the server's clock was set to.
 */
function merge(row, mayBeOld = false) {
  return view.group === 'all' ? mergeBrand(row, mayBeOld) : mergeFile(row, mayBeOld);
}

function mergeBrand(row, mayBeOld) {
  const key = brandKey(row);
  const brand = view.items.get(key);
  if (!brand) return null;
  const known = [...brand.slots, ...brand.refused].find((other) => other.id === row.id);
  if (mayBeOld && known?.updated_at > row.updated_at) return null;
  brand.label = row.brand_label;
  brand.slots = brand.slots.filter((place) => place.id !== row.id && place.slot !== row.slot);
  if (row.slot != null) brand.slots.push(row);
  const refused = brand.refused.filter((other) => other.id !== row.id);
  if (row.state === 'failed' || row.state === 'rejected') refused.unshift(row);
  brand.hidden = hiddenRefused(brand); // those that the server has and did not send stay as many
  brand.refused = refused;
  if (row.state === 'uploaded' && !(row.uploaded_at < brand.last_uploaded_at)) brand.last_uploaded_at = row.uploaded_at;
  return key;
}

const hiddenRefused = (brand) => brand.hidden ?? Math.max(0, brand.failed + brand.rejected - brand.refused.length);

function mergeFile(row, mayBeOld) {
  const known = view.items.get(row.id);
  if (known) {
    if (mayBeOld && known.updated_at > row.updated_at) return null;
    view.items.set(row.id, row); // stays where it is, in its new state, until the list is read again
  } else if (view.loaded && GROUPS[view.group].includes(row.state) && matches(row)) {
    view.items = new Map([[row.id, row], ...view.items]);
    if (view.items.size > 4 * RELOAD) later(); // a page that stays open for weeks
  } else return null;
  return row.id;
}

// ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────

function drawLink(state) {
  if (state) $('link').dataset.link = state;
  const current = $('link').dataset.link;
  $('link').textContent = t(current, heard && clock(heard));
}

function drawSummary() {
  if (!summary) return;
  const { counts } = summary;
  const sum = (states) => states.reduce((total, state) => total + (counts[state] ?? 0), 0);
  const detail = [
    ...GROUPS.waiting.filter((state) => counts[state]).map((state) => `${t(`short.${state}`)} ${count(counts[state])}`),
    ...(summary.held ? [t('held', count(summary.held))] : []),
  ].join(' · ');
  const tallies = TALLIES.map(([group, states]) => ({
    group,
    number: sum(states ?? Object.keys(counts)),
    detail: group === 'waiting' ? detail : '',
    pressed: view.group === group,
  }));
  sync($('tallies'), tallies, (tally) => tally.group, ({ group, number, detail: below, pressed }) =>
    el(`button.tally.${group}`, { 'aria-pressed': String(pressed), onclick: () => choose(group) },
      el('b', {}, count(number)), el('span', {}, t(group)), below && el('small', {}, below)));

  const { notices } = summary;
  sync($('notices'), notices, (notice) => notice.name, drawNotice);
  document.title = notices.length ? '(!) brandpost' : 'brandpost';
  $('version').textContent = visible(summary.version);
  $('pause').hidden = summary.paused_by_operator;
}

function drawNotice(notice) {
  const [title, todo] = noticed(notice.name);
  const ours = notice.name === 'suspended';
  return el(`div.notice.${ours ? 'operator' : 'stuck'}`, {},
    el('div', {},
      el('p.what', {}, title, notice.since && el('small', {}, t('since', clock(notice.since)))),
      todo && el('p', {}, todo),
      said(notice)),
    ours && el('button.primary', { onclick: act('resume', {}, () => t('resumedNow')) }, t('resume')));
}

function drawList() {
  const items = [...view.items.values()];
  $('list').className = view.group === 'all' ? 'album' : 'files';
  if ($('list').kind !== view.group) sync($('list'), [], keyOf, drawBrand);
  $('list').kind = view.group;
  sync($('list'), items, keyOf, view.group === 'all' ? drawBrand : drawFile);
  $('empty').hidden = items.length > 0;
  $('empty').textContent = t(!view.loaded ? 'loading' : view.q ? 'emptySearch' : view.group === 'all' ? 'emptyBrands' : 'emptyState');
  $('more').hidden = !view.next;
}

/** One entry only: a list of thousands is not gone through for every change. */
function drawItem(key) {
  const list = $('list');
  const item = view.items.get(key);
  const node = refresh(list.keyed.get(String(key)), (before) => (view.group === 'all' ? drawBrand : drawFile)(item, before));
  node.said = language() + JSON.stringify(item);
  list.keyed.set(String(key), node);
}

/** A brand keeps its node for good; only the places and lines that changed are rebuilt. */
function drawBrand(brand, node = el('article.brand', {}, el('header'), el('div.strip', { role: 'group' }), el('ul.refused'))) {
  const [head, strip, list] = node.children;
  const of = brandKey(brand);
  const label = labelOf(brand);
  const used = brand.slots.length;
  head.replaceChildren(
    el('p.kind', { title: of }, t(brand.brand_type)),
    el('h3', {}, el('span.unseen', {}, `${brand.brand_type}/`), String(brand.brand_id)),
    label ? el('p.label', {}, name(label)) : '',
    el('p', {}, t('used', used, brand.slots_total)),
    brand.last_uploaded_at ? el('p.last', {}, t('lastUpload'), ' ', moment(brand.last_uploaded_at)) : '');
  strip.setAttribute('aria-label', t('slotsOf', visible(brandName(brand))));
  strip.onkeydown = walk;
  sync(strip, placesOf(brand), (place) => place.slot, (place, old) => drawPlace(place, of, old));
  if (!strip.querySelector('[tabindex="0"]')) strip.querySelector('button')?.setAttribute('tabindex', '0');

  const few = brand.refused.length > 4 && !shown.has(of) ? 3 : brand.refused.length;
  const lines = brand.refused.slice(0, few).map((row) => ({ ...row }));
  const hidden = hiddenRefused(brand);
  if (few < brand.refused.length) lines.push({ id: 'all', number: brand.refused.length });
  else if (hidden) lines.push({ id: 'more', number: hidden });
  sync(list, lines, (line) => line.id, (line) => {
    if (line.id === 'all') return el('li.rest', {}, el('button.quiet', { onclick: () => { shown.add(of); drawItem(of); } }, t('showAll', line.number)));
    if (line.id === 'more') return el('li.rest', {}, el('button.quiet', { onclick: () => choose('refused', of, of) }, t('moreRefused', line.number)));
    return el('li', {}, ...refusedLine(line));
  });
  return node;
}

function placesOf(brand) {
  const taken = new Map(brand.slots.map((place) => [place.slot, place]));
  const last = Math.max(0, ...taken.keys());
  const most = brand.slots_total <= 20 ? brand.slots_total : Math.min(brand.slots_total, Math.ceil((last + 1) / 10) * 10);
  const places = [];
  for (let slot = 1; slot <= Math.max(most, last); slot += 1) {
    const { id, state, file_name, revision, error_kind, reserved } = taken.get(slot) ?? {};
    places.push({ slot, id, state, file_name, revision, error_kind, reserved });
  }
  if (brand.slots_total > places.length) places.push({ slot: 'rest', number: brand.slots_total - places.length });
  return places;
}

function drawPlace(place, brand, old) {
  const number = el('span.no', {}, String(place.slot));
  if (place.slot === 'rest') return el('p.rest', {}, t('moreFree', count(place.number)));
  if (place.id == null) {
    const word = place.reserved ? t('reserved') : t('free');
    return el(`div.place.${place.reserved ? 'reserved' : 'free'}`, { title: `${t('slotOf', place.slot)}: ${place.reserved ? t('reservedHint') : word}` },
      el('span.stamp', {}, el('span', {}, word)), number);
  }
  if (place.revision > 1) number.append(el('small', { title: t('version', place.revision) }, `v${place.revision}`));
  const words = [`${t('slotOf', place.slot)}: ${visible(place.file_name)}`, t(place.state), place.error_kind && explain(place.error_kind).means];
  const fresh = place.state === 'uploaded' && old?.dataset.id === String(place.id) && old.dataset.state !== 'uploaded';
  const node = el(`button.place.${place.state}`, {
    title: words.filter(Boolean).join(' · '),
    'aria-label': words.filter(Boolean).join(', '),
    tabIndex: old?.tabIndex === 0 ? 0 : -1,
    onclick: () => showDetail(place.id),
  }, el('span.stamp', {}, picture(place, old)), place.state !== 'uploaded' && stateMark(place.state), fresh && el('span.postmark', {}, '✓'), number);
  Object.assign(node.dataset, { id: place.id, state: place.state, brand });
  return node;
}

/** The thumbnail; `old` may hold the same one already. What never passed the checks, or is deleted, has none. */
function picture(row, old) {
  const has = row.state !== 'gone' && row.sha256 !== null;
  const source = has ? `/api/v1/uploads/${row.id}/thumbnail?r=${row.revision ?? 1}` : 'none';
  const same = old?.querySelector('[data-source]');
  if (same?.dataset.source === source) return same;
  const stand = el('span.blank', { 'data-source': source }, visible(row.file_name?.match(/\.([a-z]{2,4})$/i)?.[1] ?? '?').toUpperCase());
  if (!has) return stand;
  const image = el('img', { loading: 'lazy', decoding: 'async', alt: '', 'data-source': source });
  image.onerror = () => image.replaceWith(stand);
  image.src = source;
  return image;
}

/** In a strip one Tab stop is enough: the arrow keys walk between its pictures. */
function walk(event) {
  const buttons = [...event.currentTarget.querySelectorAll('button')];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || !buttons[to]) return;
  event.preventDefault();
  buttons.forEach((button, i) => { button.tabIndex = i === to ? 0 : -1; });
  buttons[to].focus();
}

function refusedLine(row) {
  const { means, todo } = explain(row.error_kind);
  return [
    stateMark(row.state),
    el('div.tell', {},
      el('p', {}, el('button.link', { onclick: () => showDetail(row.id) }, name(row.file_name)), el('strong', {}, means), todo),
      said(row, 'p.said', row.error_code)),
    row.error_kind !== 'duplicate' && el('button.small', { onclick: retry(row), 'aria-label': `${t('retry')}: ${visible(row.file_name)}` }, t('retry')),
  ];
}

function drawFile(row, old) {
  const { means, todo } = row.error_kind ? explain(row.error_kind) : {};
  return el('article.file', {},
    el('span.stamp', { 'aria-hidden': 'true' }, picture(row, old)),
    el('div.tell', {},
      el('h3', {}, el('button.link', { onclick: () => showDetail(row.id) }, name(row.file_name))),
      el('p.where', {}, stateWord(row.state), el('span', {}, visible(brandName(row))),
        row.slot != null ? el('span', {}, t('slotOf', row.slot)) : row.state === 'uploaded' && el('span', {}, t('released')), moment(row.updated_at)),
      means && el('p', {}, el('strong', {}, means), todo),
      said(row, 'p.said', row.error_code)),
    el('div.row', {}, ...buttonsFor(row)));
}

function buttonsFor(row) {
  return [
    ['failed', 'rejected'].includes(row.state) && el('button.small', { onclick: retry(row) }, t('retry')),
    hasSlot(row) && el('button.small', { onclick: release(row) }, t('release')),
  ];
}

/** The day book. It holds still while someone points at it. */
function drawFeed() {
  const book = $('daybook');
  if (feed.length && book.matches(':hover') && $('feed').childElementCount && matchMedia('(hover: hover)').matches) {
    book.dataset.late = 'yes';
    return;
  }
  delete book.dataset.late;
  $('quiet').hidden = feed.length > 0;
  sync($('feed'), feed, (row) => row.id, (row) => el('li', {},
    el('button.entry', { onclick: () => showDetail(row.id) }, ...entry(row))));
  $('newest').replaceChildren(...(feed[0] ? entry(feed[0]) : []));
}

const entry = (row) => [
  moment(row.updated_at), stateWord(row.state), name(row.file_name),
  el('span.where', {}, `${visible(brandName(row))}${row.slot != null ? ` · ${t('slotOf', row.slot)}` : ''}`),
];

// ── one file ────────────────────────────────────────────────────────────────────────────────────────────────

async function showDetail(id) {
  const dialog = $('detail');
  const body = $('detail-body');
  open = id;
  try {
    const { upload, attempts } = await ask(`uploads/${id}`);
    if (open !== id) return;
    const top = dialog.scrollTop;
    const same = body.dataset.id === String(id);
    refresh(body, () => el('div', { id: 'detail-body', 'data-id': id }, ...detail(upload, attempts, same ? body : null)));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = same ? top : 0;
  } catch (error) {
    if (!dialog.open) open = null;
    complain(error);
  }
}

function detail(row, attempts, old) {
  const { means, todo } = row.error_kind ? explain(row.error_kind) : {};
  const time = (key) => row[key] && moment(row[key], true);
  const fields = {
    brand: brandName(row), id: row.id, suffix: row.suffix?.toUpperCase(), size: size(row.size_bytes),
    pixels: row.width && `${row.width} × ${row.height}`, revision: row.revision, attempts: row.attempts,
    next_attempt_at: time('next_attempt_at'), detected_at: time('detected_at'), uploaded_at: time('uploaded_at'), updated_at: time('updated_at'),
    error_code: row.error_code, path: name(row.path), request_id: row.request_id, object_url: row.object_url, etag: row.etag, sha256: row.sha256,
  };
  return [
    el('header', {},
      el('span.stamp', {}, picture(row, old)),
      el('div', {},
        el('h2', { id: 'detail-title' }, name(row.file_name)),
        el('p.where', {}, stateWord(row.state), row.slot != null ? el('span', {}, t('slotOf', row.slot)) : row.state === 'uploaded' && el('span', {}, t('released'))),
        el('div.row', {}, ...buttonsFor(row))),
      el('button.close', { onclick: () => $('detail').close(), 'aria-label': t('close'), title: t('close') }, '×')),
    means && el('dl.why', {},
      el('dt', {}, t('why')), el('dd', {}, means),
      todo && [el('dt', {}, t('what')), el('dd', {}, todo)],
      row.error_message && [el('dt', {}, t('said')), said(row, 'dd.said')]),
    el('dl.fields', {}, ...Object.entries(fields).filter(([, value]) => value != null && value !== '').map(([key, value]) =>
      el(WIDE.includes(key) ? 'div.wide' : 'div', {}, el('dt', {}, t(`fields.${key}`)), el('dd', {}, value instanceof Node ? value : visible(value))))),
    el('h3', {}, t('attemptsTitle')),
    attempts.length ? el('ol.attempts', {}, ...attempts.map(drawAttempt)) : el('p.empty', {}, t('noAttempts')),
  ];
}

function drawAttempt(attempt) {
  const state = attempt.outcome ?? 'running';
  const seconds = attempt.millis != null && `${(attempt.millis / 1000).toFixed(attempt.millis < 10000 ? 2 : 0)} s`;
  const facts = [seconds, size(attempt.bytes), attempt.error_code, attempt.request_id].filter(Boolean).map(visible).join(' · ');
  return el('li', {},
    el('p.where', {}, el('b', {}, t('attempt', attempt.attempt)), el(`span.state.${state}`, {}, t(state)), moment(attempt.started_at)),
    attempt.error_kind && el('p', {}, explain(attempt.error_kind).means),
    said(attempt),
    facts && el('p.facts', {}, facts));
}

// ── what one can do ─────────────────────────────────────────────────────────────────────────────────────────

/** A click handler that posts, and says how it went. */
function act(path, body, done) {
  return async (event) => {
    const button = event?.currentTarget;
    if (button) button.disabled = true;
    try {
      await ask(path, body);
      say(done());
    } catch (error) {
      complain(error, (why) => t('failedTo', why));
    } finally {
      if (button) button.disabled = false;
    }
  };
}

const retry = (row) => act(`uploads/${row.id}/retry`, {}, () => t('retried'));

const release = (row) => () => {
  const dialog = $('ask');
  $('ask-title').textContent = t('releaseTitle', row.slot, visible(brandName(row)));
  $('ask-text').replaceChildren(...around(t('releaseText', '\0'), name(row.file_name)));
  dialog.returnValue = '';
  dialog.onclose = () => {
    if (dialog.returnValue === 'yes') act(`brands/${brandKey(row)}/slots/${row.slot}/release`, {}, () => t('releasedNow', row.slot))();
  };
  dialog.showModal();
};

const around = (text, node) => { const [before, after] = text.split('\0'); return [before, node, after]; };

function say(text, bad = false) {
  const note = el(bad ? 'p.toast.bad' : 'p.toast', { role: bad && 'alert' }, visible(text));
  perch();
  $('toasts').append(note);
  while ($('toasts').childElementCount > 3) $('toasts').firstChild.remove();
  setTimeout(() => note.remove(), bad ? 9000 : 4000);
}

/** An open dialog covers everything outside of it: what we say goes where it is seen. */
const perch = () => ([...document.querySelectorAll('dialog[open]')].pop() ?? document.body).append($('toasts'));

const complain = (error, words = String) => error.status !== 401 && say(words(error.message), true);

function choose(group, q = view.q, brand = null) {
  Object.assign(view, { group, q, brand, items: new Map(), next: null, loaded: false });
  $('search').value = q;
  drawSummary();
  drawList();
  load();
}

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

$('detail').onclose = () => { open = null; };
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
