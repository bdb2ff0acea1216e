// Waits for all of several, and fails as the first of them did.

/** Throws what the first one came to, but only when all are done: none goes on in the background with what is void by then. */
export async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
