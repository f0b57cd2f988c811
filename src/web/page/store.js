// What the page knows: the list that is shown, the figures, the latest changes. Lists are read once; afterwards every
// change arrives by itself. Who draws it listens: nothing here touches the page.

import { ask } from './api.js';

const PAGE = 50; // entries asked for at once
const RELOAD = 500; // so many of those on the page are fetched again after a break of the connection
export const GROUPS = {
  all: null, // the album; the others are lists of files
  waiting: ['queued', 'uploading', 'retrying'],
  uploaded: ['uploaded'],
  failed: ['failed'],
  rejected: ['rejected'],
  gone: ['gone'],
  refused: ['failed', 'rejected'], // of one brand, reached from the album
};

export const view = { group: 'all', q: '', brand: null, items: new Map(), next: null, loaded: false };
export const store = {
  summary: null,
  feed: [], // latest first, one entry a file
  heard: null, // when the server was last heard of
};

const listeners = new Map();

/** Calls `handler` at: `summary`, `chosen`, `list`, `loaded`, `feed`, `row` (with the row and the key of its entry), `error`. */
export const on = (event, handler) => listeners.set(event, [...(listeners.get(event) ?? []), handler]);

const emit = (event, ...values) => (listeners.get(event) ?? []).forEach((handler) => handler(...values));

export const brandKey = (row) => `${row.brand_type}/${row.brand_id}`;
export const labelOf = (row) => row.label ?? row.brand_label;
export const brandName = (row) => [brandKey(row), labelOf(row)].filter(Boolean).join(' ');
export const keyOf = (item) => (view.group === 'all' ? brandKey(item) : item.id);

let turn = 0; // an answer to an older question is dropped
let reading = false;
let meanwhile = []; // changes that arrive while a list is on its way, and may be missing from it

/** Reads the list that is shown: anew, its next page (`more`), or as much of it as there was (`reload`). */
export async function load({ more = false, reload = false } = {}) {
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
    emit('list');
    emit('loaded');
  } catch (error) {
    if (mine === turn) emit('error', error);
  } finally {
    if (mine === turn) reading = false;
  }
}

/** Reads all that is shown again. */
export async function refreshAll() {
  const [now, latest] = await Promise.all([ask('summary'), ask('uploads?limit=40')]);
  store.feed = latest.items;
  hear(now);
  emit('feed');
  await load({ reload: true });
}

/** While thousands of files come in, the lists are read every few seconds and not for each hundred. */
export function refreshSoon() {
  refreshSoon.timer ??= setTimeout(() => {
    refreshSoon.timer = null;
    refreshAll().catch(() => {});
  }, 3000);
}

/** How it all stands by now. */
export function hear(now) {
  store.heard = new Date().toISOString();
  store.summary = now;
  emit('summary');
}

/** Shows another list. */
export function choose(group, q = view.q, brand = null) {
  Object.assign(view, { group, q, brand, items: new Map(), next: null, loaded: false });
  emit('chosen');
  emit('summary');
  emit('list');
  load();
}

/** A row has changed. */
export function changed(row) {
  store.heard = new Date().toISOString();
  if (reading) meanwhile.push(row);
  store.feed = [row, ...store.feed.filter((other) => other.id !== row.id)].slice(0, 40);
  const key = merge(row);
  if (key === null && view.group === 'all' && view.loaded && !view.next && matches(row)) later();
  emit('row', row, key);
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

export const hiddenRefused = (brand) => brand.hidden ?? Math.max(0, brand.failed + brand.rejected - brand.refused.length);

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
