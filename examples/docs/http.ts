// The documents' code about HTTP: a token goes out with a write and comes back with a read.
import { type EventStore, NotCaughtUpError, type SnapshotStore, type Token } from 'millrace';
import { profiles, user } from './users.ts';

// #region write
export async function rename(store: EventStore, id: string, request: Request): Promise<Response> {
  const { name } = (await request.json()) as { name: string };
  const key = request.headers.get('Idempotency-Key');
  const { token } = await store.execute(user, id, { type: 'Rename', name }, key === null ? {} : { idempotencyKey: key });
  return new Response(null, { status: 204, headers: { 'Consistency-Token': token } });
}
// #endregion

// #region read
export async function profile(snapshots: SnapshotStore, id: string, request: Request): Promise<Response> {
  const token = request.headers.get('Consistency-Token') as Token | null;
  try {
    const found = await snapshots.get(profiles, id, token === null ? {} : { atLeast: token, timeoutMs: 1_000 });
    return found === undefined ? new Response(null, { status: 404 }) : Response.json(found);
  } catch (error) {
    if (error instanceof NotCaughtUpError) return new Response(null, { status: 503, headers: { 'Retry-After': '1' } });
    throw error;
  }
}
// #endregion
