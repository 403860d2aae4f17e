/** What is stored: one JSON body per item, with a version that every write raises. Single-item writes only. */
export type Item = {
  readonly pk: string;
  readonly sk: string;
  readonly version: number;
  readonly body: unknown;
  /** Seconds since 1970 after which the item may vanish: DynamoDB's time to live, and the monitor's broom elsewhere. */
  readonly expires?: number;
};
export type Page = { readonly items: Item[]; readonly next?: string };

/**
 * The table of configuration, state, leases, checkpoints, chunks and events. DynamoDB in production
 * (shared/aws/table.ts). `put` is conditional: `expected` is the version that must be stored now, or 'absent'.
 */
export interface Table {
  get(pk: string, sk: string): Promise<Item | undefined>;
  /** False, and nothing written, if the stored item is not the expected one. */
  put(item: Item, expected: number | 'absent' | 'any'): Promise<boolean>;
  /** Items of one partition in order of `sk`. `next` is handed back as `after` for the following page. */
  query(
    pk: string,
    options?: { prefix?: string; limit?: number; after?: string; descending?: boolean },
  ): Promise<Page>;
  remove(pk: string, sk: string): Promise<void>;
}
