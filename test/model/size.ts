// How much the model's tests do.
import { isEmbedded } from '../support/size.ts';

const ASKED = process.env['MILLRACE_MODEL_COMMANDS'];

/** Commands of a run: 10,000, on the embedded engine 1,000; MILLRACE_MODEL_COMMANDS asks for another number. */
export const COMMANDS: number = ASKED ? Number(ASKED) : isEmbedded ? 1_000 : 10_000;
