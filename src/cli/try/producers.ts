// Other programs, which know nothing of this library: they fill Redis Streams with XADD, at times of the past.
import { once } from 'node:events';
import { connect } from 'node:net';
import { past } from './people.ts';

const DAY_MS = 86_400_000;
const PAST_MS = 21 * DAY_MS;

/** How many happenings go out before it is waited for them: so their order in the log is about that of their times, whichever stream they are in. */
const AT_ONCE = 10;

/** Three weeks of what people did, in three Redis Streams; `imported` waits until so many of them are events. */
export async function producePast(url: string, imported: (count: number) => Promise<void>, now: number = Date.now()): Promise<void> {
  const happenings = past();
  const stepMs = PAST_MS / happenings.length;
  const commands = happenings.map(({ category, id, type, data }, index) => {
    const at = Math.floor(now - PAST_MS + stepMs * (index + 0.7 * Math.abs(Math.sin(index))));
    return ['XADD', `try:${category}`, `${at}-0`, 'user_id', id, 'type', type, 'data', JSON.stringify(data)];
  });
  for (let sent = 0; sent < commands.length; sent += AT_ONCE) {
    await send(url, commands.slice(sent, sent + AT_ONCE));
    await imported(Math.min(sent + AT_ONCE, commands.length));
  }
}

/** A pipeline over a bare socket, as any client would send it; each has to be answered with an id. */
async function send(url: string, commands: readonly (readonly string[])[]): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let replies = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    replies += text;
  });
  for (const command of commands) socket.write(encoded(command));
  while (linesOf(replies) < commands.length * 2 && !replies.startsWith('-')) await once(socket, 'data');
  socket.destroy();
  if (/^-/m.test(replies)) throw new Error(`The engine refused what the producers sent: ${replies.split('\r\n')[0] ?? ''}`);
}

function encoded(command: readonly string[]): string {
  return `*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`;
}

function linesOf(text: string): number {
  return text.split('\r\n').length - 1;
}
