// Keeps the partitions spread evenly over the processes that run a processor: one that has fewer asks one that has more.

/** How long a request is waited for before another one is made, in milliseconds. */
const REQUEST_MS = 5_000;

/** What a processor knows of who holds which partition. */
export class Share {
  readonly #owner: string;
  readonly #holders = new Map<number, string>();
  #request: { readonly partition: number; readonly until: number } | undefined;

  constructor(owner: string) {
    this.#owner = owner;
  }

  /** Notes who holds a partition; undefined where nobody does. */
  note(partition: number, holder: string | undefined): void {
    if (holder === undefined) this.#holders.delete(partition);
    else this.#holders.set(partition, holder);
    if (this.#request?.partition === partition && holder === this.#owner) this.#request = undefined;
  }

  /** Whether to ask for a partition: its holder has two more than this process, or still more. One is asked for at a time. */
  asksFor(partition: number): boolean {
    const holder = this.#holders.get(partition);
    const now = performance.now();
    if (holder === undefined || holder === this.#owner || (this.#request && now < this.#request.until)) return false;
    if (this.#countOf(holder) < this.#countOf(this.#owner) + 2) return false;
    this.#request = { partition, until: now + REQUEST_MS };
    return true;
  }

  #countOf(owner: string): number {
    return [...this.#holders.values()].filter((holder) => holder === owner).length;
  }
}
