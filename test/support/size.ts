// How much the longer tests do: less by default, so that all take a few minutes, and what the environment asks for in the full check.
import { whyNoEngine } from './engine.ts';

/** How often the tests of crashes kill a process; some do a part of it. */
export const KILLS: number = Number(process.env['MILLRACE_KILLS'] ?? 6);

/** Whether all tests share the embedded engine, which answers some ten times slower than a real one. */
export const isEmbedded: boolean = process.env['MILLRACE_TEST_ENGINE'] === 'embedded' || (!process.env['REDIS_URL'] && whyNoEngine() !== undefined);
