/** One JSON object a line, CloudWatch style. Facts are names, counts, lengths, positions, SQLSTATEs: never row values. */
export type Facts = Readonly<Record<string, unknown>>;
type Level = 'debug' | 'info' | 'warn' | 'error';
type Write = (text: string, facts?: Facts) => void;

export type Log = {
  /** Absent when switched off, so that `log.debug?.(...)` costs not even its arguments. */
  readonly debug?: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  with(facts: Facts): Log;
};

const order: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const silent: Write = () => {};

export type LogOptions = {
  /** Like `info` or `info,capture=debug`: a level, then levels by area. */
  readonly levels?: string;
  readonly area?: string;
  readonly facts?: Facts;
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
};

/** The level that counts for an area in a setting like `info,capture=debug`. */
export function levelOf(levels: string, area: string): Level {
  let level: Level = 'info';
  for (const part of levels.split(',')) {
    const [left = '', right] = part.trim().split('=');
    if (right === undefined && left in order) level = left as Level;
    if (right !== undefined && left === area && right in order) return right as Level;
  }
  return level;
}

const FOLD_MS = 60_000;

/** A log that folds the same warning or error text within a minute into one line with a count. */
export function openLog(options: LogOptions = {}): Log {
  const { levels = 'info', area = '', facts = {} } = options;
  const write = options.write ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const now = options.now ?? (() => new Date());
  const least = order[levelOf(levels, area)];
  const recent = new Map<string, { until: number; folded: number }>();

  const line = (level: Level, text: string, base: Facts, more?: Facts) => {
    const at = now();
    let folded: number | undefined;
    if (order[level] >= order.warn) {
      const key = `${level} ${text} ${String(base['task'] ?? '')} ${String(more?.['code'] ?? '')}`;
      const seen = recent.get(key);
      if (seen && seen.until > at.getTime()) {
        seen.folded += 1;
        return;
      }
      if (seen?.folded) folded = seen.folded;
      recent.set(key, { until: at.getTime() + FOLD_MS, folded: 0 });
      if (recent.size > 1000) recent.clear();
    }
    const entry = { time: at.toISOString(), level, ...(area ? { area } : {}), text, ...base, ...more };
    write(JSON.stringify(folded ? { ...entry, folded } : entry, jsonSafe));
  };

  const make = (base: Facts): Log => {
    const at = (level: Level): Write =>
      order[level] >= least ? (text, more) => line(level, text, base, more) : silent;
    return {
      ...(least <= order.debug ? { debug: at('debug') } : {}),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      with: (more) => make({ ...base, ...more }),
    };
  };
  return make(facts);
}

/** Numbers of 64 bits as text; errors as what an operator needs of them and nothing that carries row values. */
function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) {
    const { code, cause } = value as Error & { code?: unknown };
    return {
      name: value.name,
      code,
      message: value.message,
      ...(cause instanceof Error
        ? { cause: { name: cause.name, message: cause.message, code: (cause as { code?: unknown }).code } }
        : {}),
    };
  }
  return value;
}
