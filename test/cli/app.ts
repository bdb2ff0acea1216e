// The code of an app, as `--app` takes it: two versions of a projection, and reactors that fail at what they are told to.
import { category, type Event, processManager, projection, reactor } from 'millrace';

export type UserUpdate = Event<'Registered' | 'Renamed', { readonly name: string }> | Event<'Left', { readonly why: string }>;

export const users = category<UserUpdate>('users');

export const profiles = projection({
  name: 'profiles',
  categories: [users],
  initialState: () => ({ name: '', changes: 0 }),
  evolve: (profile, event) => (event.type === 'Left' ? null : { ...profile, name: event.data.name, changes: profile.changes + 1 }),
});

/** Counts under another name. */
export const profiles2 = projection({
  name: 'profiles',
  version: 2,
  categories: [users],
  initialState: () => ({ name: '', renames: 0 }),
  evolve: (profile, event) =>
    event.type === 'Left' ? null : { name: event.data.name, renames: event.type === 'Renamed' ? profile.renames + 1 : profile.renames },
});

/** What `mails` fails at, and `sums` does not. */
export const failsAt: Set<string> = new Set(['Fails']);

export const reactors = [
  reactor({
    name: 'mails',
    categories: [users],
    types: ['Registered', 'Renamed'],
    retry: { attempts: 1 },
    handle: ({ data }) => {
      if (failsAt.has(data.name)) throw new Error(`no mail for ${data.name}`);
    },
  }),
];

export const leavers = processManager({
  name: 'leavers',
  categories: [users],
  initialState: () => 0,
  evolve: (count) => count + 1,
  react: () => [],
});
