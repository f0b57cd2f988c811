// Pieces of what shows one file, in a list and by itself.

import { release, retry } from './actions.js';
import { el, visible } from './dom.js';
import { details, t } from './words.js';

const MARKS = { queued: '⋯', uploading: '↑', retrying: '↻', uploaded: '✓', failed: '✕', rejected: '!', gone: '–' };
const hasSlot = (row) => row.slot != null && ['uploaded', 'failed'].includes(row.state);

export const stateMark = (state) => el(`span.mark.${state}`, { 'aria-hidden': 'true' }, MARKS[state] ?? '?');
export const stateWord = (state) => el(`span.state.${state}`, {}, stateMark(state), ' ', t(state));

/** What the other side, or we, said of it in detail. */
export const said = (row, spec = 'p.said', code = null) => {
  const { text, lang } = details(row);
  return text && el(spec, { lang }, [code, text].filter(Boolean).map(visible).join(': '));
};

export function buttonsFor(row) {
  return [
    ['failed', 'rejected'].includes(row.state) && el('button.small', { onclick: retry(row) }, t('retry')),
    hasSlot(row) && el('button.small', { onclick: release(row) }, t('release')),
  ];
}

/** The thumbnail; `old` may hold the same one already. What never passed the checks, or is deleted, has none. */
export function picture(row, old) {
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
