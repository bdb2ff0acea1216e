// The files of the page: a fixed list, read once; no path of an address ever reaches the disk.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { HEADERS, refused } from './replies.ts';

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'licences.txt': 'text/plain; charset=utf-8',
};

interface PageFile {
  readonly body: string;
  readonly etag: string;
}

export class Files {
  readonly #basePath: string;
  readonly #files = new Map<string, Promise<PageFile>>();

  constructor(basePath: string) {
    this.#basePath = basePath;
  }

  /** '' is the page itself. */
  async serve(name: string, request: Request): Promise<Response> {
    const file = name === '' ? 'index.html' : name;
    const type = Object.hasOwn(TYPES, file) ? TYPES[file] : undefined;
    if (type === undefined) return refused(404, 'not-found', 'Expected a file of the page, found no such one.');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refused(405, 'method', 'Expected GET.');
    const { body, etag } = await this.#read(file);
    const headers = { ...HEADERS, 'content-type': type, etag, 'cache-control': 'no-cache' };
    if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers });
    return new Response(request.method === 'HEAD' ? null : body, { headers });
  }

  #read(file: string): Promise<PageFile> {
    const known = this.#files.get(file) ?? this.#load(file);
    this.#files.set(file, known);
    known.catch(() => this.#files.delete(file));
    return known;
  }

  async #load(file: string): Promise<PageFile> {
    const text = await readFile(new URL(`page/${file}`, import.meta.url), 'utf8');
    const body = file === 'index.html' ? text.replaceAll('{{base}}', this.#basePath) : text;
    return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 20)}"` };
  }
}
