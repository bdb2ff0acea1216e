// The passwords among what a client was made with, so that they can be struck out of messages.

/** Passwords wherever the libraries take them. */
export function secretsOf(options: object | undefined): string[] {
  const { password, sentinelPassword, url } = (options ?? {}) as {
    readonly password?: unknown;
    readonly sentinelPassword?: unknown;
    readonly url?: unknown;
  };
  const inUrl = typeof url === 'string' && URL.canParse(url) ? new URL(url).password : '';
  return [password, sentinelPassword, inUrl].flatMap(inEveryForm);
}

/** A password as it is and as a URL has it. */
export function inEveryForm(password: unknown): string[] {
  if (typeof password !== 'string' || password === '') return [];
  return [...new Set([password, encodeURIComponent(password)])];
}
