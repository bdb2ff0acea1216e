// The commands that HTTP takes: what the body of each has to be, and which decider decides.
import { createHash, randomUUID } from 'node:crypto';
import { type AnyEvent, type EventStore, type Guard, VersionConflictError } from 'millrace';
import { z } from 'zod';
import {
  activity,
  type ActivityCommand,
  type FriendCommand,
  friends,
  reactions,
  UnknownFriendError,
  UnknownUserError,
  user,
  userUpdates,
} from './domain.ts';
import { assertKnown } from './history.ts';
import * as values from './values.ts';

/** What a command came to. */
export interface Written {
  readonly events: readonly AnyEvent[];
  readonly streamVersion: number;
  readonly token: string;
}

/** The key of a request that may come again. */
export interface Repeatable {
  readonly idempotencyKey?: string;
}

/** A command as a route takes it. `run` throws ZodError for a body that does not fit. */
export interface HttpCommand {
  run(store: EventStore, id: string, body: unknown, options: Repeatable): Promise<Written>;
}

type Run<Body> = (store: EventStore, id: string, body: Body, options: Repeatable) => Promise<Written>;

function command<Schema extends z.ZodType>(schema: Schema, run: Run<z.output<Schema>>): HttpCommand {
  return { run: async (store, id, body, options) => await run(store, id, schema.parse(body), options) };
}

const comment = z.strictObject({ object: values.line, text: values.text });
const reaction = z.strictObject({ object: values.line, reaction: z.enum(reactions) });
const page = z.strictObject({ page: values.line });
const friend = z.strictObject({ friendId: values.line });
const name = z.strictObject({ name: values.line, surname: values.line.optional() });

/** By the last part of their path: `POST /users/:id/rename`. */
export const commands: Readonly<Record<string, HttpCommand>> = {
  rename: command(name, (store, id, body, options) => store.execute(user, id, { type: 'Rename', id, ...body }, options)),
  'set-birth-date': command(z.strictObject({ birthDate: values.birthDate }), (store, id, body, options) =>
    store.execute(user, id, { type: 'SetBirthDate', id, ...body }, options),
  ),
  comment: command(comment, (store, id, body, options) => act(store, id, { type: 'Comment', ...body }, options)),
  react: command(reaction, (store, id, body, options) => act(store, id, { type: 'React', ...body }, options)),
  like: command(page, (store, id, body, options) => act(store, id, { type: 'Like', ...body }, options)),
  unlike: command(page, (store, id, body, options) => act(store, id, { type: 'Unlike', ...body }, options)),
  befriend: command(friend, (store, id, body, options) => makeFriends(store, { type: 'Befriend', id, ...body }, options)),
  unfriend: command(friend, (store, id, body, options) => makeFriends(store, { type: 'Unfriend', id, ...body }, options)),
};

/** `POST /users`. The new user's id follows from the request's key, so that a request that comes again is about the same user. */
export const registration: HttpCommand = command(z.strictObject({ name: values.line, surname: values.line }), (store, id, body, options) =>
  store.execute(user, id, { type: 'Register', ...body }, options),
);

export function newUserId(idempotencyKey: string | undefined): string {
  return idempotencyKey === undefined ? randomUUID() : createHash('sha256').update(`user of ${idempotencyKey}`).digest('hex').slice(0, 32);
}

/** Only a user who exists can act. The guard is checked by the append itself, so nobody can come in between. */
async function act(store: EventStore, id: string, command: ActivityCommand, options: Repeatable): Promise<Written> {
  return await known(store, id, store.execute(activity, id, command, { ...options, guards: [exists(id)] }));
}

/** A friend whom others made up can be unfriended, but not befriended. */
async function makeFriends(store: EventStore, command: FriendCommand, options: Repeatable): Promise<Written> {
  const { type, id, friendId } = command;
  const guards = type === 'Befriend' ? [exists(id), exists(friendId)] : [exists(id)];
  return await known(store, id, store.execute(friends, id, command, { ...options, guards }), friendId);
}

function exists(id: string): Guard {
  return { stream: userUpdates.stream(id), expectedVersion: 'stream-exists' };
}

/** Says in the domain's words which guard was not met. */
async function known(store: EventStore, id: string, execution: Promise<Written>, friendId?: string): Promise<Written> {
  const written = await execution.catch((error: unknown) => {
    const guarded = error instanceof VersionConflictError && error.isGuard ? error.streamName : undefined;
    if (guarded === userUpdates.stream(id)) throw new UnknownUserError(id);
    if (guarded !== undefined && friendId !== undefined) throw new UnknownFriendError(friendId);
    throw error;
  });
  // Where nothing was to be done, nothing was appended, and no guard was asked.
  if (written.events.length === 0) await assertKnown(store, id);
  return written;
}
