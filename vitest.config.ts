// How the tests run: on the sources, against one engine found by the global setup, with a last line that counts.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import './test/support/node-20.ts';
import { CountingReporter } from './test/support/reporter.ts';
import { isEmbedded } from './test/support/size.ts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // The sources under their public names: no build is needed, and stack traces point into src/.
    alias: [
      { find: /^millrace$/, replacement: at('./src/index.ts') },
      { find: /^millrace\/dashboard$/, replacement: at('./src/dashboard/index.ts') },
      { find: /^millrace\/transfer$/, replacement: at('./src/transfer/index.ts') },
      { find: /^millrace\/verify$/, replacement: at('./src/verify/index.ts') },
      { find: /^millrace\/doctor$/, replacement: at('./src/doctor/index.ts') },
      { find: /^millrace\/acl$/, replacement: at('./src/acl/index.ts') },
      { find: /^millrace\/telemetry$/, replacement: at('./src/open-telemetry/index.ts') },
      { find: /^millrace\/embedded$/, replacement: at('./src/embedded/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Most tests wait for an engine most of the time, the more so for the embedded one.
    maxWorkers: isEmbedded ? 6 : 3,
    globalSetup: ['./test/support/global-setup.ts'],
    setupFiles: ['./test/support/clean-up.ts'],
    // Some take half of it on a cluster, or on a machine that does other things too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', new CountingReporter()],
  },
});
