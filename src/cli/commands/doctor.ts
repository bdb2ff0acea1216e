// `millrace doctor`: whether the server and the store are well, why it matters, and what mends it.
import type { Command } from 'commander';
import { type DoctorFinding, examine, type Severity } from '../../doctor/index.ts';
import { type Cli, plain } from '../cli.ts';
import { exitCodes } from '../failure.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly strict?: boolean;
  readonly quiet?: boolean;
}

export function registerDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .description('examine the server and the store: each finding with why it matters and what mends it')
    .option('--strict', 'end with 1 also for warnings')
    .option('-q, --quiet', 'only what needs something done')
    .action(async (options: Options, command: Command) => {
      await withStore(cli, command, async ({ store }) => show(cli, await examine(store, { signal: cli.signal }), options));
    });
}

const SIGNS: Readonly<Record<Severity, string>> = { problem: '✗', warning: '!', unknown: '?', note: 'i', fine: '✓' };

function show(cli: Cli, findings: readonly DoctorFinding[], { strict = false, quiet = false }: Options): void {
  const isBad = ({ severity }: DoctorFinding): boolean => severity === 'problem' || (strict && severity === 'warning');
  if (findings.some(isBad)) cli.exitCode = exitCodes.failed;
  if (cli.json) return cli.printJson(findings);
  const { red, yellow, green, cyan, bold, dim } = cli.colours;
  const paint = { problem: red, warning: yellow, unknown: yellow, note: cyan, fine: green };
  for (const { severity, title, found, why, mend } of findings) {
    if (quiet && (severity === 'fine' || severity === 'note')) continue;
    cli.print(`${paint[severity](SIGNS[severity])} ${bold(plain(title))}  ${plain(found)}`);
    if (why !== '') cli.print(`    ${dim(why)}`);
    if (mend !== undefined) cli.print(`    → ${plain(mend)}`);
  }
  const count = (severity: Severity): number => findings.filter((each) => each.severity === severity).length;
  cli.print(`\n${count('problem')} problems, ${count('warning')} warnings, ${count('note')} notes, ${count('fine')} fine.`);
}
