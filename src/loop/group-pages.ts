// The pages that a partition's loop reads for each group of projections or reactors that stand at one place, and those that it reads ahead.
import { checkMark, type Marked } from '../log/mark.ts';
import { FIRST_PAGE_COUNT, nextPageCount, type Page, readForward } from '../log/page.ts';
import type { Connection } from '../redis/connection.ts';
import { categoriesOf, type Group } from './group.ts';
import type { Batch } from './task.ts';
import type { Throttle } from './throttle.ts';

/** A page that was asked for before it was needed. */
interface Ahead {
  readonly place: number;
  readonly categories: string;
  readonly page: Promise<Page>;
}

export class GroupPages {
  readonly #connection: Connection;
  readonly #partition: number;
  readonly #throttle: Throttle | undefined;
  #ahead: Ahead[] = [];
  #count = FIRST_PAGE_COUNT;

  constructor(connection: Connection, partition: number, throttle: Throttle | undefined) {
    this.#connection = connection;
    this.#partition = partition;
    this.#throttle = throttle;
  }

  /** Where a page that was read ahead ends, there may be more by now, before the place where others stand: it is no end any more. */
  async read({ place, mark, tasks }: Group): Promise<Page> {
    const categories = categoriesOf(tasks);
    const ahead = this.#ahead.find((each) => each.place === place && each.categories === categories.join(','));
    this.#ahead = this.#ahead.filter((each) => each !== ahead);
    const early = await ahead?.page;
    const page = early && early.events.length > 0 ? { ...early, isEnd: false } : await this.#readChecked(categories, { place, mark });
    this.#count = nextPageCount(this.#count, page);
    return page;
  }

  /** The next page is on its way while this one is folded, and not behind its commit. */
  readAhead({ tasks }: Group, { through, mark }: Batch): void {
    const categories = categoriesOf(tasks);
    const page = this.#readChecked(categories, { place: through, mark });
    page.catch(() => undefined); // heard of when it is needed
    this.#ahead.push({ place: through, categories: categories.join(','), page });
  }

  /** Those behind other places are not needed any more. */
  keepOnly(isNeeded: (place: number) => boolean): void {
    this.#ahead = this.#ahead.filter(({ place }) => isNeeded(place));
  }

  forget(): void {
    this.#ahead = [];
  }

  async #readChecked(categories: readonly string[], { place, mark }: Marked): Promise<Page> {
    const count = Math.min(this.#count, this.#throttle?.pageMax ?? this.#count);
    const page = readForward(this.#connection, this.#partition, categories, { after: place, count });
    const [read] = await Promise.all([page, checkMark(this.#connection, this.#partition, { place, mark })]);
    return read;
  }
}
