// Drawing: the figures, the notices, the album of all brands, the lists of files, the day book.

import { act, retry } from './actions.js';
import { clock, count, el, moment, name, refresh, sync, visible } from './dom.js';
import { showDetail } from './detail.js';
import { buttonsFor, picture, said, stateMark, stateWord } from './rows.js';
import { brandKey, brandName, choose, GROUPS, hiddenRefused, keyOf, labelOf, load, on, store, view } from './store.js';
import { explain, language, noticed, t } from './words.js';

const $ = (id) => document.getElementById(id);
const TALLIES = Object.entries(GROUPS).filter(([group]) => group !== 'refused');
const shown = new Set(); // brands whose refused files are all shown, not only the first few

// ── the figures and the notices ─────────────────────────────────────────────────────────────────────────────

export function drawLink(state) {
  if (state) $('link').dataset.link = state;
  const current = $('link').dataset.link;
  $('link').textContent = t(current, store.heard && clock(store.heard));
}

export function drawSummary() {
  const { summary } = store;
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

export function drawList() {
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

/** The day book. It holds still while someone points at it. */
export function drawFeed() {
  const book = $('daybook');
  if (store.feed.length && book.matches(':hover') && $('feed').childElementCount && matchMedia('(hover: hover)').matches) {
    book.dataset.late = 'yes';
    return;
  }
  delete book.dataset.late;
  $('quiet').hidden = store.feed.length > 0;
  sync($('feed'), store.feed, (row) => row.id, (row) => el('li', {},
    el('button.entry', { onclick: () => showDetail(row.id) }, ...entry(row))));
  $('newest').replaceChildren(...(store.feed[0] ? entry(store.feed[0]) : []));
}

const entry = (row) => [
  moment(row.updated_at), stateWord(row.state), name(row.file_name),
  el('span.where', {}, `${visible(brandName(row))}${row.slot != null ? ` · ${t('slotOf', row.slot)}` : ''}`),
];

// ── changes as they come ────────────────────────────────────────────────────────────────────────────────────

const dirty = new Set(); // what has to be drawn again: a thousand changes at once are drawn once
let frame = null;

function drawChanges() {
  frame = null;
  drawFeed();
  const keys = [...dirty].filter((key) => view.items.has(key));
  dirty.clear();
  if (keys.every((key) => $('list').keyed?.has(String(key)))) keys.forEach(drawItem);
  else drawList();
}

const nearEnd = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && load({ more: true }), { rootMargin: '600px' });

on('summary', drawSummary);
on('list', drawList);
on('feed', drawFeed);
on('row', (row, key) => {
  if (key !== null) dirty.add(key);
  frame ??= requestAnimationFrame(drawChanges);
});
on('loaded', () => {
  nearEnd.unobserve($('more')); // it reports only changes: observed again, it reports how it is now
  nearEnd.observe($('more'));
});
