// Bundles the page of the dashboard into dist/dashboard/page: one script, one style sheet, and the licences of what is in them.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

await build({
  entryPoints: [at('src/dashboard/page/main.tsx')],
  outfile: at('dist/dashboard/page/page.js'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
});
await build({
  entryPoints: [at('src/dashboard/page/page.css')],
  outfile: at('dist/dashboard/page/page.css'),
  bundle: true,
  minify: true,
  logLevel: 'warning',
});
cpSync(at('src/dashboard/page/index.html'), at('dist/dashboard/page/index.html'));

const licences = ['preact'].map((name) => `${name}\n\n${readFileSync(at(`node_modules/${name}/LICENSE`), 'utf8').trim()}\n`);
writeFileSync(at('dist/dashboard/page/licences.txt'), licences.join('\n\n'));
