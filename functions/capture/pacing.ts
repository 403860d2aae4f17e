/** Messages a millisecond that make a flood: a walsender behind in its work sends 60 to 600, 2,000 commits a second 12. */
const FLOOD = 25;
const WINDOW_MS = 4;

/**
 * Tells a flood from a trickle. The walsender sends each message by itself, and each wakes a reader that waits: on
 * loopback that costs both more than the message. A reader that lets a flood gather for a moment takes hundreds at
 * once: 100,000 one-row transactions came in 0.5 instead of 0.8 s with pauses of 3 ms, one transaction of 500,000 rows
 * in 1.6 instead of 2.0 s with pauses of 1 ms. Pauses of 10 ms are too long: the socket's buffer is full before;
 * that of a unix socket is full at once (it counts each message as 768 bytes), so there nothing is gained.
 */
export class Pacing {
  #since = 0;
  #messages = 0;
  #flood = false;

  /** Takes what one read of the socket brought; true if the next one shall wait for `PACE_MS`. */
  take(messages: number, nowMs: number): boolean {
    this.#messages += messages;
    const elapsedMs = nowMs - this.#since;
    if (elapsedMs >= WINDOW_MS) {
      this.#flood = this.#messages >= FLOOD * elapsedMs;
      this.#since = nowMs;
      this.#messages = 0;
    }
    return this.#flood;
  }
}

export const PACE_MS = 1;
