// The article's three Redis Streams, which anybody may fill with XADD, decoded into events.
import { type Source, type SourceEntry, source } from 'millrace';
import { z } from 'zod';
import { reactions, type UserActivity, type UserFriend, type UserUpdate, userActivity, userFriends, userUpdates } from './domain.ts';
import * as values from './values.ts';

/** The keys of the three Redis Streams. */
export interface SourceKeys {
  readonly updates: string;
  readonly activity: string;
  readonly friends: string;
}

export const articleKeys: SourceKeys = { updates: 'user_updates', activity: 'user_activity', friends: 'user_friends' };

/** Told of each entry that cannot be decoded, and why. */
export type OnSkip = (key: string, entryId: string, error: Error) => void;

/** An entry that cannot be decoded is passed over and counted: a typing error of one must not hold up all. */
export function articleSources(keys: SourceKeys, onSkip: OnSkip): readonly Source[] {
  const events = <E>(key: string, read: (entry: SourceEntry) => E) => ({ key, onError: 'skip' as const, decode: decoder(key, read, onSkip) });
  return [
    source({ into: userUpdates, ...events(keys.updates, updateOf) }),
    source({ into: userActivity, ...events(keys.activity, activityOf) }),
    source({ into: userFriends, ...events(keys.friends, friendOf) }),
  ];
}

function decoder<E>(key: string, read: (entry: SourceEntry) => E, onSkip: OnSkip): (entry: SourceEntry) => { id: string; event: E } {
  return (entry) => {
    try {
      return { id: userId(entry), event: read(entry) };
    } catch (error) {
      onSkip(key, entry.id, error as Error);
      throw error;
    }
  };
}

function updateOf(entry: SourceEntry): UserUpdate {
  switch (verb(entry)) {
    case 'register':
      return { type: 'Registered', data: { name: value(entry, values.line, 'name'), surname: surname(entry) } };
    case 'rename':
    case 'change_name': {
      const name = value(entry, values.line, 'name');
      return { type: 'Renamed', data: hasSurname(entry) ? { name, surname: surname(entry) } : { name } };
    }
    case 'set_birth_date':
    case 'set_birthdate':
    case 'change_birth_date':
    case 'change_birthdate':
      return { type: 'BirthDateSet', data: { birthDate: value(entry, values.birthDate, 'birth_date', 'birthdate', 'date') } };
    default:
      throw unknownVerb(entry);
  }
}

function activityOf(entry: SourceEntry): UserActivity {
  const given = verb(entry);
  switch (given) {
    case 'comment':
      return { type: 'Commented', data: { object: value(entry, values.line, 'object'), text: value(entry, values.text, 'text', 'comment') } };
    case 'react':
      return { type: 'Reacted', data: { object: value(entry, values.line, 'object'), reaction: value(entry, z.enum(reactions), 'reaction') } };
    case 'like':
    case 'unlike':
      return { type: given === 'like' ? 'PageLiked' : 'PageUnliked', data: { page: value(entry, values.line, 'page', 'object') } };
    default:
      // In the article the reaction is the verb: `command kick object Bugs`.
      if (!(reactions as readonly string[]).includes(given)) throw unknownVerb(entry);
      return { type: 'Reacted', data: { object: value(entry, values.line, 'object'), reaction: given } };
  }
}

function friendOf(entry: SourceEntry): UserFriend {
  const friendId = value(entry, values.line, 'friend_id');
  switch (verb(entry)) {
    case 'add':
    case 'befriend':
      return { type: 'FriendAdded', data: { friendId } };
    case 'remove':
    case 'unfriend':
      return { type: 'FriendRemoved', data: { friendId } };
    default:
      throw unknownVerb(entry);
  }
}

const userId = (entry: SourceEntry): string => value(entry, values.line, 'user_id');

/** The article's commands say `command` where its replies say `action`. */
const verb = (entry: SourceEntry): string => value(entry, values.line, 'command', 'action');

/** The article spells it `surename`. */
const SURNAMES = ['surename', 'surname'] as const;
const surname = (entry: SourceEntry): string => value(entry, values.line, ...SURNAMES);
const hasSurname = ({ fields }: SourceEntry): boolean => SURNAMES.some((name) => fields[name] !== undefined);

/** The value of the first of these fields that is there. */
function value<T>({ fields }: SourceEntry, schema: z.ZodType<T>, ...names: readonly string[]): T {
  const name = names.find((each) => fields[each] !== undefined);
  if (name === undefined) throw new Error(`the field ${names.join(' or ')} is missing`);
  const parsed = schema.safeParse(fields[name]);
  if (!parsed.success) throw new Error(`the field ${name} cannot be read: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function unknownVerb({ fields }: SourceEntry): Error {
  return new Error(`nothing is known of the command ${JSON.stringify(fields['command'] ?? fields['action'])}`);
}
