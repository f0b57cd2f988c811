// What the visitor chose last time, kept by the browser.

/** What the visitor chose; a browser that keeps nothing just forgets it. */
export function recall(key) {
  try { return localStorage.getItem(`brandpost.${key}`); } catch { return null; }
}

export function remember(key, value) {
  try { localStorage.setItem(`brandpost.${key}`, value); } catch { /* private window */ }
}
