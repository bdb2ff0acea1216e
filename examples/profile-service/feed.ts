// What the service starts with: the article's events, and those of some hundred users more.
import { type EventStore, VersionConflictError } from 'millrace';
import { type UserActivity, type UserFriend, type UserUpdate, userActivity, userFriends, userUpdates } from './domain.ts';

export interface FeedOptions {
  /** How many users beside the article's two. Default 1,000, with about 7 events each. */
  readonly users?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly users: number;
  readonly usersTotal: number;
  /** Events that were written now, not those that were there from an earlier start. */
  readonly events: number;
}

/** All that happens to one user, written at once or not at all. */
interface Story {
  readonly id: string;
  readonly updates: readonly UserUpdate[];
  readonly activity: readonly UserActivity[];
  readonly friends: readonly UserFriend[];
  /** How many events are there already, by category. Default: none. */
  readonly after?: readonly [updates: number, activity: number, friends: number];
}

/** So many users are written at the same time, in a few round trips. */
const USERS_AT_ONCE = 50;

/** Feeds the store. On one that has been fed before, also in part, only what is missing is written. */
export async function feed(store: EventStore, { users = 1_000, signal, onProgress }: FeedOptions = {}): Promise<Progress> {
  let progress: Progress = { users: 0, usersTotal: users + article.length, events: 0 };
  const tell = async (stories: readonly Story[]): Promise<void> => {
    signal?.throwIfAborted();
    const counts = await Promise.all(stories.map((story) => write(store, story)));
    const events = counts.reduce((sum, count) => sum + count, progress.events);
    progress = { ...progress, users: progress.users + stories.length, events };
    onProgress?.(progress);
  };
  await tell(article);
  for (let first = 0; first < users; first += USERS_AT_ONCE) {
    await tell(Array.from({ length: Math.min(USERS_AT_ONCE, users - first) }, (_, index) => invented(first + index, users)));
  }
  return { ...progress, events: progress.events + (await write(store, sequel)) };
}

/** How many events were written: all, or none when the user's streams are not at the versions that this story begins at. */
async function write(store: EventStore, { id, updates, activity, friends, after = [0, 0, 0] }: Story): Promise<number> {
  try {
    await store.appendAll([
      { stream: userUpdates.stream(id), events: updates, expectedVersion: after[0] },
      ...(activity.length > 0 ? [{ stream: userActivity.stream(id), events: activity, expectedVersion: after[1] }] : []),
      ...(friends.length > 0 ? [{ stream: userFriends.stream(id), events: friends, expectedVersion: after[2] }] : []),
    ]);
    return updates.length + activity.length + friends.length;
  } catch (error) {
    if (error instanceof VersionConflictError) return 0;
    throw error;
  }
}

/** The article's own five events. Its users have the numbers 1 and 2, which are left to whoever types its lines into `redis-cli`. */
const article: readonly Story[] = [
  { id: 'bugs', updates: [{ type: 'Registered', data: { name: 'Bugs', surname: 'Bunny' } }], activity: [], friends: [] },
  {
    id: 'duffy',
    updates: [{ type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } }],
    activity: [
      { type: 'Reacted', data: { object: 'Bugs', reaction: 'kick' } },
      { type: 'Reacted', data: { object: 'Bugs face', reaction: 'dislike' } },
    ],
    friends: [{ type: 'FriendRemoved', data: { friendId: 'bugs' } }],
  },
];

/** What came after the article, so that a profile as it was then differs from the one as it is. */
const sequel: Story = {
  id: 'duffy',
  updates: [{ type: 'BirthDateSet', data: { birthDate: '1937-04-17' } }],
  activity: [
    { type: 'PageLiked', data: { page: 'Looney Tunes' } },
    { type: 'Commented', data: { object: 'Bugs face', text: 'It has grown on me.' } },
  ],
  friends: [{ type: 'FriendAdded', data: { friendId: 'bugs' } }],
  after: [1, 2, 1],
};

const NAMES = ['Ada', 'Bela', 'Chen', 'Dina', 'Emre', 'Fatou', 'Goran', 'Hana', 'Ines', 'Juri', 'Kofi'] as const;
const SURNAMES = ['Adler', 'Brook', 'Castro', 'Dahl', 'Eze', 'Fuchs', 'Greco'] as const;
const PAGES = ['Looney Tunes', 'Mill races', 'Carrots', 'Ponds & lakes', 'Opera'] as const;

/** A user by number, the same in every run. */
function invented(index: number, users: number): Story {
  const friendIds = [...new Set([1, 7, 31].map((step) => (index + step) % users))].filter((friend) => friend !== index).map(inventedId);
  return {
    id: inventedId(index),
    updates: [
      { type: 'Registered', data: { name: pick(NAMES, index), surname: pick(SURNAMES, index) } },
      { type: 'BirthDateSet', data: { birthDate: `${1940 + (index % 60)}-0${1 + (index % 9)}-1${index % 10}` } },
    ],
    activity: [
      { type: 'PageLiked', data: { page: pick(PAGES, index) } },
      { type: 'Reacted', data: { object: pick(PAGES, index + 1), reaction: 'love' } },
    ],
    friends: friendIds.map((friendId) => ({ type: 'FriendAdded', data: { friendId } })),
  };
}

function inventedId(index: number): string {
  return `feed-${String(index + 1).padStart(4, '0')}`;
}

function pick(list: readonly string[], index: number): string {
  return list[index % list.length] ?? '';
}
