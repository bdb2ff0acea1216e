// A reactor and a process manager that leave much behind to be rewound or dropped: dead letters, what waits behind them, states.
import { type Category, category, type Event, type ProcessManager, processManager, type Reactor, reactor } from 'millrace';
import { counted, NO_TALLY, type Tally, tallied } from './tally.ts';

export type Echoed = Event<'Echoed', { readonly n: number }>;

export const echoes: Category<Echoed> = category<Echoed>('echoes');

/** `isMended`: it can handle what it cannot before. */
export function stubborn(isMended: boolean, onHandled?: (n: number) => void): Reactor {
  return reactor({
    name: 'stubborn',
    categories: [counted],
    retry: { attempts: 1 },
    handle: async ({ data: { n } }, context) => {
      await context.append(echoes.stream(`echo-${n % 50}`), { type: 'Echoed', data: { n } });
      if (n % 5 === 0 && !isMended) throw new Error('a fifth');
      onHandled?.(n);
    },
  });
}

export function stubbornManager(isMended: boolean): ProcessManager {
  return processManager({
    name: 'stubborn-manager',
    categories: [counted],
    retry: { attempts: 1 },
    initialState: (): Tally => NO_TALLY,
    evolve: (tally, { streamVersion, data: { n } }) => tallied(tally, streamVersion, n),
    react: ({ data: { n } }) => {
      if (n % 5 === 0 && !isMended) throw new Error('a fifth');
      return [];
    },
  });
}
