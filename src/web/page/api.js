// The server: /api/v1.

import { language, t } from './words.js';

let unauthorized = () => {};

/** What is done when the server does not know us any more. */
export const onUnauthorized = (handler) => { unauthorized = handler; };

/** Asks the server, or has it do something (`post`). A refusal is an error with its status. */
export async function ask(path, post) {
  const headers = post ? { 'content-type': 'application/json', 'x-brandpost': '1' } : { accept: 'application/json' };
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, { headers, method: post ? 'POST' : 'GET', body: post && JSON.stringify(post) });
  } catch {
    throw new Error(t('unreachable'));
  }
  if (answer.status === 401 && path !== 'login') unauthorized();
  if (!answer.ok) throw Object.assign(new Error(await refusal(answer)), { status: answer.status });
  return post ? null : answer.json();
}

/** What the server says of it, in the reader's language where it is a text of brandpost. */
async function refusal(answer) {
  const chinese = language() === 'zh' && answer.headers.get('x-brandpost-message-zh');
  return chinese ? decodeURIComponent(chinese) : (await answer.text()).trim() || `HTTP ${answer.status}`;
}
