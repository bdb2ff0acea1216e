// `millrace verify`: whether the store is as it has to be, of all or of a sample.
import type { Command } from 'commander';
import { type Verification, verify } from '../../verify/index.ts';
import { positiveNumber } from '../arguments.ts';
import { type Cli, plain } from '../cli.ts';
import { countText } from '../events.ts';
import { exitCodes } from '../failure.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly all?: boolean;
  readonly sample?: number;
}

export function registerVerify(program: Command, cli: Cli): void {
  program
    .command('verify')
    .description('check that versions are contiguous, index and log agree, checkpoints fit, and documents equal their fold (those with --app)')
    .option('--all', 'all of it; by default a sample')
    .option('--sample <n>', 'how many streams, and documents of each projection (default: 1000)', positiveNumber)
    .action(async ({ all = false, sample }: Options, command: Command) => {
      await withStore(cli, command, async ({ store, app, facts }) => {
        const { events } = await facts.store();
        const bar = cli.progress('verify', all ? events * 2 : events);
        try {
          const found = await verify(store, {
            all,
            projections: app.projections,
            signal: cli.signal,
            onProgress: (done) => bar.update(done),
            ...(sample === undefined ? {} : { sample }),
          });
          bar.stop();
          show(cli, found, app.projections.length > 0);
        } finally {
          bar.stop();
        }
      });
    });
}

function show(cli: Cli, found: Verification, hasCode: boolean): void {
  const { events, streams, documents, isSample, findings, hasMore } = found;
  if (findings.length > 0) cli.exitCode = exitCodes.failed;
  if (cli.json) return cli.printJson(found);
  for (const { kind, where, expected, found: there, advice } of findings) {
    cli.print(`${cli.colours.red(kind)} ${plain(where)}`);
    cli.print(`  expected ${plain(expected)}\n  found    ${plain(there)}\n  next     ${plain(advice)}`);
  }
  const looked = `${isSample ? 'A sample was' : 'All was'} looked at: ${isSample ? '' : `${countText(events)} events, `}${countText(streams)} streams, ${countText(documents)} documents.`;
  cli.print(`${looked} ${findings.length === 0 ? 'All is as it has to be.' : `${findings.length}${hasMore ? ' and more' : ''} found wrong.`}`);
  if (!hasCode) cli.note('Documents were not compared with the fold of their events: that needs the code of their projections, by --app.');
}
