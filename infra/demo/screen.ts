import { stripVTControlCharacters, styleText } from 'node:util';

/** Where no terminal rewrites a line, one is printed now and then instead. */
const QUIET_MS = 2_000;
const { stdout } = process;

/** What the demo prints: plain sentences, aligned columns, and one line that is rewritten while something goes on. */
export class Screen {
  #live = '';
  #printedAt = performance.now();

  heading(text: string): void {
    this.say();
    this.say(styleText(['bold', 'cyan'], text));
  }

  say(text = ''): void {
    this.endLive();
    stdout.write(`${text}\n`);
  }

  item(label: string, value: string): void {
    this.say(`  ${label.padEnd(11)} ${value}`);
  }

  /** Columns as wide as their widest cell; numbers stand at the right. */
  table(rows: readonly (readonly string[])[]): void {
    const width = (column: number) => Math.max(...rows.map((row) => lengthOf(row[column] ?? '')));
    for (const row of rows)
      this.say(
        `  ${row
          .map((cell, column) => pad(cell, width(column)))
          .join('  ')
          .trimEnd()}`,
      );
  }

  /** The line of what goes on now. */
  live(text: string): void {
    if (stdout.isTTY) {
      this.#live = text;
      // A line that wraps could not be rewritten.
      const fits = lengthOf(text) < (stdout.columns || 80);
      const short = fits ? text : stripVTControlCharacters(text).slice(0, (stdout.columns || 80) - 1);
      stdout.write(`\r\u001b[2K${short}`);
      return;
    }
    const now = performance.now();
    if (now - this.#printedAt < QUIET_MS) return;
    this.#printedAt = now;
    stdout.write(`${text}\n`);
  }

  /** Takes the live line away. */
  clearLive(): void {
    if (stdout.isTTY && this.#live) stdout.write('\r\u001b[2K');
    this.#live = '';
  }

  /** Keeps the live line as it is last; what follows stands below. */
  endLive(last?: string): void {
    if (stdout.isTTY && this.#live) stdout.write(last ? `\r\u001b[2K${last}\n` : '\n');
    else if (last) stdout.write(`${last}\n`);
    this.#live = '';
    this.#printedAt = performance.now();
  }
}

const lengthOf = (text: string): number => stripVTControlCharacters(text).length;
const pad = (cell: string, width: number): string => {
  const gap = ' '.repeat(Math.max(0, width - lengthOf(cell)));
  return /^[\d.,]+( ms)?$/.test(cell) ? gap + cell : cell + gap;
};

export function bar(part: number, width = 30): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * width);
  return `${styleText('green', '#'.repeat(full))}${'.'.repeat(width - full)}`;
}

export const number = (value: number): string => Math.round(value).toLocaleString('en-US');
export const milliseconds = (value: number | undefined): string =>
  value === undefined ? '-' : `${value < 10 ? value.toFixed(1) : number(value)} ms`;
