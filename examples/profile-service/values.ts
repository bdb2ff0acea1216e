// What names, texts and dates have to be, whichever way they come in.
import { z } from 'zod';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

const wellFormed = (text: string): boolean => text.isWellFormed();

export const line = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .refine(wellFormed, 'must be well-formed Unicode')
  .refine((text) => !CONTROL_CHARACTER.test(text), 'must be one line without control characters');

export const text = z.string().trim().min(1).max(10_000).refine(wellFormed, 'must be well-formed Unicode');

/** A day that has been, like 1937-04-17. */
export const birthDate = z.iso.date().refine((day) => day <= new Date().toISOString().slice(0, 10), 'must not lie in the future');

/** A time with its zone, like 2026-01-01T00:00:00Z or …+02:00; a day alone is its first moment in UTC. */
export const time = z
  // An unescaped plus sign in a query is read as a space.
  .preprocess(
    (given) => (typeof given === 'string' ? given.replace(/(:\d\d(?:\.\d+)?) (\d\d:\d\d)$/, '$1+$2') : given),
    z.union([z.iso.datetime({ offset: true }), z.iso.date()], 'must be an ISO 8601 time with its zone, like 2026-01-01T00:00:00Z'),
  )
  .transform((given) => new Date(given));
