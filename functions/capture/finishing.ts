/** What is left to do once the stream has passed the end of the copy: beside the stream, and once. */
export class Finishing {
  readonly #copyEnd: bigint;
  readonly #work: () => Promise<void>;
  #state: 'waiting' | 'working' | 'done' | 'over' = 'waiting';
  #failure: unknown;

  constructor(copyEnd: bigint, work: () => Promise<void>) {
    this.#copyEnd = copyEnd;
    this.#work = work;
  }

  /** True when the work is done, until `over`; starts it when its time has come; throws when it has failed. */
  isReached(endLsn: bigint): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state === 'waiting' && endLsn >= this.#copyEnd) {
      this.#state = 'working';
      this.#work().then(
        () => {
          this.#state = 'done';
        },
        (error: unknown) => {
          this.#failure = error;
        },
      );
    }
    return this.#state === 'done';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  over(): void {
    this.#state = 'over';
  }
}
