// The arguments of a run.
import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TOPOLOGIES, type TopologyName } from './topology/topology.ts';
import { type Plant, PLANTS } from './workload/settings.ts';

export const USAGE = `npm run faults -- [--seconds n] [--seed n] [--topology name] [--engine-folder path] [--library name] [--rate n] [--keep path] [--plant name]
  --seconds        how long faults are made (default 60); setting up, draining and checking come on top
  --seed           of the schedule and of the workload (default: a random one, which is printed)
  --topology       ${TOPOLOGIES.join(', ')} (default single)
  --engine-folder  what tools/get-engine unpacked; default: MILLRACE_ENGINE_FOLDER, else a server program on the PATH
  --library        node-redis or ioredis (default node-redis)
  --rate           operations a second, of all producers (default 150)
  --keep           a folder that the histories are left in (default: removed where nothing is wrong)
  --plant          a mistake in the workload that the checkers have to find: ${PLANTS.join(', ')}`;

export interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly topology: TopologyName;
  readonly library: 'node-redis' | 'ioredis';
  readonly rate: number;
  readonly keep: string | undefined;
  readonly plant: Plant | undefined;
}

/** Throws an error that says what is wrong with the arguments. Sets MILLRACE_ENGINE_FOLDER, which what starts servers reads. */
export function optionsOf(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: text,
      seed: text,
      topology: text,
      'engine-folder': text,
      library: text,
      rate: text,
      keep: text,
      plant: text,
      help: { type: 'boolean' },
    },
  });
  if (values.help) throw new Error('These are the options.');
  if (values['engine-folder'] !== undefined) process.env['MILLRACE_ENGINE_FOLDER'] = resolve(values['engine-folder']);
  return {
    seconds: numberOf('seconds', values.seconds, 60),
    seed: numberOf('seed', values.seed, randomInt(1, 2 ** 31)),
    topology: oneOf('topology', values.topology ?? 'single', TOPOLOGIES),
    library: oneOf('library', values.library ?? 'node-redis', ['node-redis', 'ioredis'] as const),
    rate: numberOf('rate', values.rate, 150),
    keep: values.keep === undefined ? undefined : resolve(values.keep),
    plant: values.plant === undefined ? undefined : oneOf('plant', values.plant, PLANTS),
  };
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name}: expected a whole number from 1, found ${text}.`);
  return number;
}

function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text);
  if (found === undefined) throw new Error(`--${name}: expected ${known.join(', ')}, found ${text}.`);
  return found;
}
