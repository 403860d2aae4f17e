export type BeatState = {
  /** Changes were met in the stream since the last beat. */
  readonly activity: boolean;
  /** Changes wait to be applied; a heartbeat that waits is no reason for another one. */
  readonly outstanding: boolean;
  /** Beats sent since the last activity. */
  readonly quietBeats: number;
  readonly sinceLastMs: number;
};

export const beatMs = { busy: 100, waiting: 1_000, idle: 10_000 } as const;
/** After the last change a few more beats go out quickly, so that the floor passes what was written last. */
const QUIET_BEATS = 3;

/** Whether a beat is due (pure). It comes from time only: what arrives never causes a message back. */
export function beatIsDue(s: BeatState): boolean {
  if (s.activity || s.quietBeats < QUIET_BEATS) return s.sinceLastMs >= beatMs.busy;
  return s.sinceLastMs >= (s.outstanding ? beatMs.waiting : beatMs.idle);
}
