// Turns what the port says of a failed read into the error that a caller can act on.
import { ConnectionFailedError, ServerRefusedError } from '../errors.ts';
import { PortError } from './port.ts';

/**
 * Refusals that end by themselves: a server that starts, a failover (while nodes of a cluster still disagree on who serves a slot, each sends
 * to another one), a script of somebody else.
 */
const PASSING: ReadonlySet<string> = new Set([
  'LOADING',
  'MASTERDOWN',
  'BUSY',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'MOVED',
  'ASK',
  'READONLY',
  'MISCONF',
  'OOM',
  'UNBLOCKED',
]);

/** Whether it is worth trying again later: the connection broke, or the server cannot answer for now. */
export function isPassing(error: unknown): boolean {
  return error instanceof PortError && (error.kind !== 'refused' || isPassingReply(error.reply));
}

/** Whether a refusal that begins with this word ends by itself. */
export function isPassingReply(reply: string): boolean {
  return PASSING.has(reply);
}

/** `doing` completes "Could not …". Errors that are public already come back as they are. */
export function publicError(doing: string, error: unknown): unknown {
  if (!(error instanceof PortError)) return error;
  // A script's error ends with a full stop of its own.
  const happened = error.message.replace(/\.+$/, '');
  if (error.kind === 'refused')
    return new ServerRefusedError(error.reply, `Could not ${doing}: ${happened}. ${adviceFor(error.reply)}`, { cause: error });
  return new ConnectionFailedError(`Could not ${doing}: ${happened}. Check that the server runs and can be reached, and try again.`, {
    cause: error,
  });
}

/** What to do about a refusal that begins with this word. */
export function adviceFor(reply: string): string {
  switch (reply) {
    case 'OOM':
      return 'Give the server more memory (maxmemory), or remove what is no longer needed; then try again.';
    case 'READONLY':
      return 'It is a replica: connect to the primary.';
    case 'NOPERM':
      return 'Let the ACL user run this command, and scripts, on the keys and channels of this namespace.';
    case 'NOAUTH':
    case 'WRONGPASS':
      return 'Give the user name and password that the server asks for.';
    case 'WRONGTYPE':
      return 'A key of this store holds something that the store did not write; look at it with TYPE.';
    case 'MISCONF':
      return 'It cannot save to its disk: look at its log, free space, then try again.';
    default:
      return 'Try again when the server has recovered.';
  }
}

/** Awaits a read, its failure as a public error. */
export async function reading<T>(doing: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw publicError(doing, error);
  }
}
