// `millrace acl`: the smallest ACL rules for writers, processors, readers and operators, on this server's version.
import type { Command } from 'commander';
import { aclRules, type Role, ROLES } from '../../acl/index.ts';
import type { Cli } from '../cli.ts';
import { UsageError } from '../failure.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly user?: string;
  readonly file?: boolean;
}

const PASSWORD = '<password>';

export function registerAcl(program: Command, cli: Cli): void {
  program
    .command('acl')
    .description('print the smallest ACL rules for a role: reader, writer, processor or operator; without one for all four')
    .argument('[role]', ROLES.join(', '))
    .option('--user <name>', 'what the user is called (default: millrace- and the role)')
    .option('--file', 'lines for an aclfile, in place of ACL SETUSER')
    .action(async (role: string | undefined, options: Options, command: Command) => {
      const roles = role === undefined ? ROLES : [roleOf(role)];
      await withStore(cli, command, async ({ store, facts }) => {
        const sources = (await facts.processors()).filter(({ kind }) => kind === 'source').map(({ name }) => name);
        const all = await Promise.all(roles.map(async (each) => ({ role: each, rules: await aclRules(store, each, { sources }) })));
        if (cli.json) return cli.printJson(all);
        for (const each of all) cli.print(lineOf(each.role, each.rules, options));
        cli.note(`Put a password in the place of ${PASSWORD}, and make the rules last: ACL SAVE with an aclfile, else CONFIG REWRITE.`);
      });
    });
}

function roleOf(text: string): Role {
  const role = ROLES.find((each) => each === text);
  if (!role) throw new UsageError(`Expected one of ${ROLES.join(', ')}, found ${JSON.stringify(text)}.`);
  return role;
}

function lineOf(role: Role, rules: readonly string[], { user = `millrace-${role}`, file = false }: Options): string {
  return [file ? 'user' : 'ACL SETUSER', user, 'on', `>${PASSWORD}`, ...rules].join(' ');
}
