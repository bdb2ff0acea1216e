// What people do in the demonstration: first a past of some weeks, then something each moment.
export interface Happening {
  readonly category: 'user_updates' | 'user_activity' | 'user_friends';
  readonly id: string;
  readonly type: string;
  readonly data: object;
}

const PEOPLE = [
  ['daffy', 'Daffy', 'Duck'],
  ['donald', 'Donald', 'Duck'],
  ['daisy', 'Daisy', 'Duck'],
  ['scrooge', 'Scrooge', 'McDuck'],
  ['launchpad', 'Launchpad', 'McQuack'],
  ['magica', 'Magica', 'De Spell'],
  ['gladstone', 'Gladstone', 'Gander'],
  ['goofy', 'Goofy', 'Goof'],
  ['minnie', 'Minnie', 'Mouse'],
  ['gyro', 'Gyro', 'Gearloose'],
] as const;

const PAGES = ['event-sourcing', 'redis-streams', 'ponds', 'money-bins', 'inventions', 'gold-rush'];
const REMARKS = ['I saw that coming.', 'Quack!', 'Who moved my dime?', 'Replay that, please.', 'Append only, they said.', 'Once more with feeling.'];

const IDS: readonly string[] = PEOPLE.map(([id]) => id);

/** The same each time, so that two who try it see the same. */
export function past(): readonly Happening[] {
  const registered = PEOPLE.map(
    ([id, name, surname], index): Happening => ({
      category: 'user_updates',
      id,
      type: 'Registered',
      data: { name: index === 0 ? 'Duffy' : name, surname },
    }),
  );
  const then = Array.from({ length: 290 }, (_, turn) => happening(turn));
  const renamed: Happening = { category: 'user_updates', id: 'daffy', type: 'Renamed', data: { name: 'Daffy' } };
  // Waits behind the letter of his registration.
  const married: Happening = { category: 'user_updates', id: 'gyro', type: 'Renamed', data: { name: 'Gyro G.' } };
  return [...registered, ...then.slice(0, 90), renamed, ...then.slice(90, 150), married, ...then.slice(150)];
}

/** What happens at a turn. */
export function happening(turn: number): Happening {
  const id = pick(IDS, turn, 1);
  const other = pick(IDS, turn, 2);
  const page = pick(PAGES, turn, 3);
  switch (mixed(turn, 4) % 10) {
    case 0:
    case 1:
    case 2:
      return { category: 'user_activity', id, type: 'PageLiked', data: { page } };
    case 3:
      return { category: 'user_activity', id, type: 'PageUnliked', data: { page } };
    case 4:
    case 5:
      return other === id ? comment(id, turn) : { category: 'user_friends', id, type: 'FriendAdded', data: { friendId: other } };
    case 6:
      return other === id ? comment(id, turn) : { category: 'user_friends', id, type: 'FriendRemoved', data: { friendId: other } };
    case 7:
      return turn % 3 === 0
        ? { category: 'user_updates', id, type: 'BirthDateSet', data: { birthDate: `19${30 + (mixed(turn, 5) % 60)}-06-09` } }
        : comment(id, turn);
    default:
      return comment(id, turn);
  }
}

function comment(id: string, turn: number): Happening {
  return { category: 'user_activity', id, type: 'Commented', data: { object: pick(PAGES, turn, 6), text: pick(REMARKS, turn, 7) } };
}

function pick(list: readonly string[], turn: number, salt: number): string {
  return list[mixed(turn, salt) % list.length] ?? '';
}

/** A number that follows from the turn, and looks as if it did not. */
function mixed(turn: number, salt: number): number {
  const one = Math.imul(turn * 8 + salt, 0x9e3779b1);
  const two = Math.imul(one ^ (one >>> 15), 0x2c1b3c6d);
  return (two ^ (two >>> 12)) >>> 0;
}
