// How much the model's tests do.
import { whyNoEngine } from '../support/engine.ts';

const ASKED = process.env['MILLRACE_MODEL_COMMANDS'];
/** The embedded engine answers some ten times slower than a real one. */
const isEmbedded = process.env['MILLRACE_TEST_ENGINE'] === 'embedded' || (!process.env['REDIS_URL'] && whyNoEngine() !== undefined);

/** Commands of a run: 10,000, on the embedded engine 2,000; MILLRACE_MODEL_COMMANDS asks for another number. */
export const COMMANDS: number = ASKED ? Number(ASKED) : isEmbedded ? 2_000 : 10_000;
