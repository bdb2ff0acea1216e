// The errors that a batch of appends fails with: what was written, and what to do next.
import { ConnectionFailedError, OutcomeUnknownError, ServerRefusedError } from '../errors.ts';
import { PortError } from './port.ts';
import { adviceFor } from './public-error.ts';

/** A batch that was sent, or not, and got no reply. */
export function lostConnection(error: PortError, mayHaveRun: boolean): Error {
  if (mayHaveRun)
    return new OutcomeUnknownError('the connection was lost before the reply came, and no other could be had in time.', { cause: error });
  return new ConnectionFailedError(
    `Could not append: ${error.message}. Nothing was written. Check that the server runs and can be reached, and try again.`,
    { cause: error },
  );
}

/** The writer's record was gone each time that the batch came. */
export function neverInTime(): ServerRefusedError {
  return new ServerRefusedError(
    'UNKNOWN',
    'The server forgot this writer before its appends came, again and again. Nothing was written. Give the store a writerTtlMs of many round trips.',
  );
}

/** The record was to be made first, so nothing of the batch was sent. */
export function notRegistered(error: unknown): unknown {
  if (!(error instanceof PortError)) return error;
  return error.kind === 'refused' ? refusedError(error) : lostConnection(error, false);
}

/** The server did not run it, and said why. */
export function refusedError(refusal: PortError): ServerRefusedError {
  return new ServerRefusedError(
    refusal.reply,
    `The server refused to append: ${refusal.message.replace(/\.+$/, '')}. Nothing was written. ${adviceFor(refusal.reply)}`,
    { cause: refusal },
  );
}
