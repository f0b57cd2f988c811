// What one can do, and how the page says how it went.

import { ask } from './api.js';
import { el, name, visible } from './dom.js';
import { brandKey, brandName } from './store.js';
import { t } from './words.js';

const $ = (id) => document.getElementById(id);

/** A click handler that posts, and says how it went. */
export function act(path, body, done) {
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

export const retry = (row) => act(`uploads/${row.id}/retry`, {}, () => t('retried'));

export const release = (row) => () => {
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

export function say(text, bad = false) {
  const note = el(bad ? 'p.toast.bad' : 'p.toast', { role: bad && 'alert' }, visible(text));
  perch();
  $('toasts').append(note);
  while ($('toasts').childElementCount > 3) $('toasts').firstChild.remove();
  setTimeout(() => note.remove(), bad ? 9000 : 4000);
}

/** An open dialog covers everything outside of it: what we say goes where it is seen. */
export const perch = () => ([...document.querySelectorAll('dialog[open]')].pop() ?? document.body).append($('toasts'));

export const complain = (error, words = String) => error.status !== 401 && say(words(error.message), true);
