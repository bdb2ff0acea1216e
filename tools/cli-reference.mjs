// Writes docs/reference-cli.md from the command line's own help; with --check it only says whether that is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Cli } from '../dist/cli/cli.js';
import { buildProgram } from '../dist/cli/program.js';

const path = fileURLToPath(new URL('../docs/reference-cli.md', import.meta.url));
const { stdout, stderr, stdin } = process;
const program = buildProgram(new Cli({ stdout, stderr, stdin, env: {}, signal: new AbortController().signal }));

const text = `# Reference of the command line

Made from the help of \`millrace\` itself; \`millrace <command> --help\` shows the same. [How to use it](how-to/use-the-command-line.md).

## Options of all commands

${tableOf(program)}
Exit codes: 0 fine, 1 failed or found something wrong, 2 wrong usage or input, 3 no server or no store, 130 interrupted. A command that watches or serves (\`--watch\`, \`--follow\`, \`ui\`, \`try\`) ends
with 0 by Ctrl-C. With \`--json\` failures are JSON too, on stderr: \`{"error":{"name","code","message"}}\`.

## Commands

${program.commands
  .filter((command) => command.name() !== 'help')
  .map((command) => sectionOf(command, ''))
  .join('\n')}`;

if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== text) {
    console.error('docs/reference-cli.md is not what the command line says of itself: npm run docs');
    process.exitCode = 1;
  }
} else writeFileSync(path, text);

function sectionOf(command, before) {
  const name = `${before}${command.name()}`;
  const inner = command.commands.filter((each) => each.name() !== 'help');
  const own = `### millrace ${name}\n\n${capital(command.description())}.\n\n`;
  if (inner.length > 0) return `${own}${inner.map((each) => sectionOf(each, `${name} `).replace('### ', '#### ')).join('\n')}`;
  const args = command.registeredArguments.map(
    (each) => `| \`${each.required ? `<${each.name()}>` : `[${each.name()}]`}${each.variadic ? ' …' : ''}\` | ${cell(each.description)} |`,
  );
  const table = args.length === 0 ? '' : `| argument | |\n|---|---|\n${args.join('\n')}\n\n`;
  return `${own}${table}${tableOf(command)}`;
}

function tableOf(command) {
  const rows = command.options.map(
    ({ flags, description, defaultValue }) =>
      `| \`${flags.replaceAll('|', '\\|')}\` | ${cell(description)}${defaultValue === undefined ? '' : ` (default: ${defaultValue})`} |`,
  );
  return rows.length === 0 ? '' : `| option | |\n|---|---|\n${rows.join('\n')}\n`;
}

function cell(text) {
  return text.replaceAll('|', '\\|');
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
