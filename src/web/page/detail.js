// One file: all that is known of it, in a dialog.

import { complain } from './actions.js';
import { ask } from './api.js';
import { el, moment, name, refresh, size, visible } from './dom.js';
import { buttonsFor, picture, said, stateWord } from './rows.js';
import { brandName, on } from './store.js';
import { explain, t } from './words.js';

const $ = (id) => document.getElementById(id);
const WIDE = ['path', 'object_url', 'request_id', 'etag', 'sha256']; // fields that need a line of their own
const shown = { id: null };

/** Shows one file, with all its attempts. */
export async function showDetail(id) {
  const dialog = $('detail');
  const body = $('detail-body');
  shown.id = id;
  try {
    const { upload, attempts } = await ask(`uploads/${id}`);
    if (shown.id !== id) return;
    const top = dialog.scrollTop;
    const same = body.dataset.id === String(id);
    refresh(body, () => el('div', { id: 'detail-body', 'data-id': id }, ...detail(upload, attempts, same ? body : null)));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = same ? top : 0;
  } catch (error) {
    if (!dialog.open) shown.id = null;
    complain(error);
  }
}

function detail(row, attempts, old) {
  const { means, todo } = row.error_kind ? explain(row.error_kind) : {};
  const time = (key) => row[key] && moment(row[key], true);
  const fields = {
    brand: brandName(row), inbox: row.inbox, id: row.id, suffix: row.suffix?.toUpperCase(), size: size(row.size_bytes),
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

$('detail').onclose = () => { shown.id = null; };
on('row', (row) => { if (row.id === shown.id) showDetail(row.id); });
on('loaded', () => { if (shown.id) showDetail(shown.id); });
