import { codeOf, sqlstate } from '../../shared/postgres/sqlstate.ts';

/**
 * Statements whose answers nobody waits for one by one: they are on their way while the next ones are sent. The server
 * takes them in order, and after a failure it refuses the rest of the transaction.
 */
export class Sent {
  #answers: Promise<unknown>[] = [];

  add<T>(answer: Promise<T>): Promise<T> {
    // Its failure is told by `all`, or by the one that waits for it.
    answer.catch(() => {});
    this.#answers.push(answer);
    return answer;
  }

  /** Waits for all; throws the first failure. */
  async all(): Promise<void> {
    for (const answer of this.#answers) await answer;
    this.#answers = [];
  }

  /** What a failure came of: the first one, where the server refused a statement because one before had failed. */
  async causeOf(error: unknown): Promise<unknown> {
    const answers = this.#answers;
    this.#answers = [];
    if (codeOf(error) !== sqlstate.inFailedTransaction) return error;
    for (const answer of answers) {
      const failure = await answer.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (failure !== undefined && codeOf(failure) !== sqlstate.inFailedTransaction) return failure;
    }
    return error;
  }
}
