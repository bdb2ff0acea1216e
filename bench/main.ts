// The benchmark: measures every figure (or some), and prints a table or JSON on standard output; the rest goes to standard error.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { appendFigures } from './append.ts';
import { bullmqFigures } from './bullmq.ts';
import { durableFigures } from './durable.ts';
import { openBench } from './engines.ts';
import { type Figure, type Measured, measure } from './figure.ts';
import { manyStreamsFigures } from './many-streams.ts';
import { memoryFigures } from './memory.ts';
import { projectFigures } from './project.ts';
import { reactFigures } from './react.ts';
import { readFigures } from './read.ts';
import { rebuildFigures } from './rebuild.ts';
import { asJson, asLine, asTable } from './report.ts';
import { scaleFigures } from './scale.ts';
import { scheduleFigures } from './schedule.ts';
import { tracedFigures } from './traced.ts';

const USAGE = `npm run bench -- [--json] [--only name,name] [--rounds n]
  --json    only { "figures": [...] } on standard output
  --only    only these figures; some are measured only when they are named
  --rounds  how often both sides of a figure are measured (default 7, of figures that take long fewer; 3 on the embedded engine)`;

const all: readonly Figure[] = [
  ...appendFigures,
  ...readFigures,
  ...projectFigures,
  ...reactFigures,
  ...bullmqFigures,
  ...rebuildFigures,
  ...scheduleFigures,
  ...durableFigures,
  ...tracedFigures,
  ...scaleFigures,
  ...memoryFigures,
  ...manyStreamsFigures,
];

interface Options {
  readonly json: boolean;
  readonly figures: readonly Figure[];
  readonly rounds: number | undefined;
}

function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) throw new Error('These are the options.');
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds >= 1))
    throw new Error(`--rounds: expected a whole number from 1, got ${values.rounds}.`);
  const names = values.only?.split(',');
  const unknown = names?.filter((name) => !all.some((figure) => figure.name === name)) ?? [];
  if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}. There are: ${all.map(({ name }) => name).join(', ')}.`);
  return { json: values.json, rounds, figures: all.filter(({ name, isOnDemand }) => names?.includes(name) ?? !isOnDemand) };
}

async function run({ json, figures, rounds }: Options): Promise<void> {
  const bench = await openBench(rounds);
  await using _engine = bench.engine;
  const start = performance.now();
  console.error(
    `${bench.engine.description}\nNode ${process.version}, ${cpus().length} cores (${cpus()[0]?.model}), median of ${bench.rounds} rounds\n`,
  );
  const results: Measured[] = [];
  for (const figure of figures) {
    console.error(`${figure.name}: ${figure.what}; beside it: ${figure.beside}`);
    const result = await measure(figure, bench);
    results.push(result);
    console.error(`  ${asLine(result)}`);
    if (result.note !== undefined) console.error(`  ${result.note}`);
  }
  console.error(`\n${Math.round((performance.now() - start) / 1_000)} s\n`);
  console.log(json ? asJson(results) : asTable(results));
}

try {
  await run(optionsOf(process.argv.slice(2)));
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`);
  process.exitCode = 2;
}
// What a figure that failed has left open is to keep nobody waiting.
process.exit();
