import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const MOST_BYTES = 10 * 1024 * 1024;

export type LogFile = {
  readonly path: string;
  write(line: string): void;
  /** The newest lines of level warn and error, oldest first. */
  complaints(): readonly string[];
  close(): void;
};

/** What the parts of a platform print, in a file; when it is full, the one before is kept as `<path>.1`. */
export function openLogFile(path: string): LogFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const complaints: string[] = [];
  const open = (): number => openSync(path, 'a', 0o600);
  let file = open();
  let bytes = statSync(path).size;
  let closed = false;
  return {
    path,
    write(line) {
      if (closed) return;
      if (/"level":"(warn|error)"/.test(line)) {
        complaints.push(line);
        if (complaints.length > 10) complaints.shift();
      }
      if (bytes > MOST_BYTES) {
        closeSync(file);
        renameSync(path, `${path}.1`);
        file = open();
        bytes = 0;
      }
      bytes += writeSync(file, `${line}\n`);
    },
    complaints: () => complaints,
    close() {
      if (!closed) closeSync(file);
      closed = true;
    },
  };
}
