import { parseArgs } from 'node:util';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

export type DemoOptions = {
  /** Of writes on both sides. */
  readonly seconds: number;
  /** Loaded into side a before the copy, over all tables. */
  readonly rows: number;
  /** Leave everything running at the end. */
  readonly keep: boolean;
  readonly help: boolean;
};

export const usage = `Usage: npm run demo -- [options]

  --seconds N   of writes on both sides (20)
  --rows N      loaded before the copy, over all tables (150000, at least 1000)
  --keep        leave databases and platform running at the end, until Ctrl-C
  --help        show this`;

/** Throws `invalid-request` that names the option. */
export function readDemoOptions(argv: readonly string[]): DemoOptions {
  const refused = (detail: string) => new PgtwinError('invalid-request', { detail });
  let values: { seconds?: string; rows?: string; keep?: boolean; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string' },
        rows: { type: 'string' },
        keep: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw refused(`${(error as Error).message}`);
  }
  const number = (name: 'seconds' | 'rows', otherwise: number, least: number, most: number): number => {
    const value = Number(values[name] ?? otherwise);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw refused(`--${name} must be a whole number from ${least} to ${most}.`);
  };
  return {
    seconds: number('seconds', 20, 1, 3_600),
    rows: number('rows', 150_000, 1_000, 10_000_000),
    keep: values.keep ?? false,
    help: values.help ?? false,
  };
}
