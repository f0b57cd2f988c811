// Small tools: nodes, names from outside, times and sizes.

import { HIDDEN } from './hidden.js';
import { language } from './words.js';

/**
 * A new element: `el('button.place', { onclick }, 'text', node)`. Texts become text nodes, so nothing that a
 * file name says is ever read as HTML.
 */
export function el(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split('.');
  const node = document.createElement(tag || 'div');
  if (classes.length) node.className = classes.join(' ');
  for (const [key, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key in node && !key.includes('-')) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/**
 * Makes the children of `parent` those of `items`, in order. An item that says the same as before keeps its node,
 * and with it its picture, its focus and its place under the pointer; `build(item, old)` makes or mends the others.
 */
export function sync(parent, items, key, build) {
  const old = parent.keyed ?? new Map();
  const now = new Map();
  for (const item of items) {
    const name = String(key(item));
    const text = language() + JSON.stringify(item);
    let node = old.get(name);
    if (node?.said !== text) node = refresh(node, (before) => build(item, before));
    node.said = text;
    now.set(name, node);
  }
  for (const [name, node] of old) if (now.get(name) !== node) node.remove();
  const focused = document.activeElement; // a node that is moved loses it
  let here = parent.firstChild;
  for (const node of now.values()) {
    if (node === here) here = here.nextSibling;
    else parent.insertBefore(node, here);
  }
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
  parent.keyed = now;
}

/** Replaces a node by what `build` makes of it; the keyboard's focus stays where it was. */
export function refresh(old, build) {
  const focused = old?.contains(document.activeElement) ? document.activeElement : null;
  const index = focused ? [old, ...old.querySelectorAll('button')].indexOf(focused) : -1;
  const node = build(old);
  if (old && node !== old && old.isConnected) {
    old.replaceWith(node);
    if (index >= 0) ([node, ...node.querySelectorAll('button')][index] ?? node).focus({ preventScroll: true });
  }
  return node;
}

/** A text as it may be shown: hidden characters, of which the server has the list, are written as `\u{202e}`. */
export const visible = (text) => String(text ?? '').replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

/** A name from outside, kept apart from the direction of the text around it. */
export const name = (text, props = {}) => el('bdi.name', { dir: 'auto', ...props }, visible(text));

const locale = () => (language() === 'zh' ? 'zh-CN' : 'en-GB');

export const count = (n) => new Intl.NumberFormat(locale()).format(n ?? 0);

/** Local time: the hour for today, the date too for other days. */
export function clock(time, full = false) {
  const date = new Date(time);
  if (!time || Number.isNaN(date.getTime())) return visible(time);
  const today = date.toDateString() === new Date().toDateString();
  const hour = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const day = { month: 'short', day: 'numeric' };
  const style = full
    ? { year: 'numeric', ...day, ...hour, second: '2-digit' }
    : today ? { ...hour, second: '2-digit' } : { ...day, ...hour };
  return new Intl.DateTimeFormat(locale(), style).format(date);
}

export const moment = (time, full) => el('time', { dateTime: time, title: clock(time, true) }, clock(time, full));

export function size(bytes) {
  if (bytes == null) return null;
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit += 1) bytes /= 1024;
  return `${bytes.toFixed(unit && bytes < 10 ? 1 : 0)} ${units[unit]}`;
}
