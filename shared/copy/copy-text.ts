import { Transform } from 'node:stream';
import { PgtwinError } from '../errors/pgtwin-error.ts';

type Row = (string | null | undefined)[];
const LINE_FEED = 0x0a;

/**
 * Rows of COPY's text format (manual, COPY, "Text Format"), each put through a function, in the same format. Those for
 * which it gives undefined are left out. Memory does not grow with the number of rows.
 */
export function rewriteCopyText(rewrite: (row: Row) => Row | undefined): Transform {
  let rest: Buffer = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
        const end = bytes.lastIndexOf(LINE_FEED) + 1;
        rest = Buffer.from(bytes.subarray(end));
        if (end > 0) {
          const lines = bytes.toString('utf8', 0, end - 1).split('\n');
          const out = lines.flatMap((line) => {
            const row = rewrite(readLine(line));
            return row ? [writeLine(row)] : [];
          });
          if (out.length > 0) this.push(out.join(''));
        }
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      done(rest.length === 0 ? null : new PgtwinError('copy-failed', { detail: 'COPY ended within a row.' }));
    },
  });
}

/** A line feed within a value is written as `\n`, so that lines are rows. */
const readLine = (line: string): Row => line.split('\t').map(readField);

const escapes: Readonly<Record<string, string>> = {
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
};

function readField(text: string): string | null {
  if (text === '\\N') return null;
  if (!text.includes('\\')) return text;
  return text.replaceAll(/\\(.)/gs, (_, escaped: string) => escapes[escaped] ?? escaped);
}

const writeLine = (row: Row): string => `${row.map(writeField).join('\t')}\n`;

const names: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };
const writeField = (value: string | null | undefined): string =>
  value == null ? '\\N' : value.replaceAll(/[\n\r\t\\]/g, (letter) => names[letter]!);
