// A port that is closed leaves nothing behind: also a connection that was being made at that moment ends.
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { testUrl } from '../support/clients.ts';
import { startProxy } from '../support/proxy.ts';
import { ways } from './clients.ts';

describe.each(ways)('the port $name', (way) => {
  it('ends a connection of its own that is being made when it is closed', async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    const own = proxy.connections;
    const children = Array.from({ length: 5 }, () => open.port.dedicated().catch(() => undefined));
    await wait(0); // the sockets exist, and are not yet connected
    await open.port.close();
    await Promise.all(children);
    await wait(100); // what would stay has come by now
    expect(proxy.connections).toBe(open.client ? own : 0);
  });
});
