import { mkdir, writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';

const SAMPLE_MICROSECONDS = 500;

/** One process under profile. */
type Profiled = { post(method: string, parameters?: object): Promise<unknown>; close(): void };

/** Takes processor profiles of running Node processes, this one included, through their inspectors. */
export class Profiler {
  /** What the profiled processes need in their environment: an inspector port of their own each. */
  static readonly variables = { NODE_OPTIONS: '--inspect-port=0' };
  readonly #folder: string;
  #onAddress: ((url: string) => void) | undefined;
  readonly #known = new Map<number, string>();
  #round = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** To be given what the processes print: it holds the addresses of their inspectors. */
  line(line: string): void {
    const url = /Debugger listening on (ws:\S+)/.exec(line)?.[1];
    if (url) this.#onAddress?.(url);
  }

  /** Starts; the result ends it and writes a `.cpuprofile` for each process. */
  async start(processes: Readonly<Record<string, number>>): Promise<() => Promise<void>> {
    const profiled = new Map<string, Profiled>();
    for (const [name, pid] of Object.entries(processes))
      profiled.set(name, pid === process.pid ? here() : await remote(await this.#addressOf(pid)));
    for (const each of profiled.values()) {
      await each.post('Profiler.enable');
      await each.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
      await each.post('Profiler.start');
    }
    this.#round += 1;
    return async () => {
      await mkdir(this.#folder, { recursive: true });
      for (const [name, each] of profiled) {
        const { profile } = (await each.post('Profiler.stop')) as { profile: object };
        const file = `${this.#round}-${name.replaceAll(' ', '-')}.cpuprofile`;
        await writeFile(join(this.#folder, file), JSON.stringify(profile));
        each.close();
      }
    };
  }

  /** SIGUSR1 opens a Node process's inspector, which then says where it listens. One at a time. */
  async #addressOf(pid: number): Promise<string> {
    const known = this.#known.get(pid);
    if (known) return known;
    const address = new Promise<string>((resolve) => {
      this.#onAddress = resolve;
    });
    process.kill(pid, 'SIGUSR1');
    const url = await address;
    this.#known.set(pid, url);
    return url;
  }
}

function here(): Profiled {
  const session = new Session();
  session.connect();
  return {
    post: (method, parameters) => session.post(method as 'Profiler.start', parameters as undefined),
    close: () => session.disconnect(),
  };
}

async function remote(url: string): Promise<Profiled> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  let number = 0;
  const waiting = new Map<number, (result: unknown) => void>();
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
    waiting.get(id)?.(result);
    waiting.delete(id);
  };
  return {
    post(method, params = {}) {
      number += 1;
      const id = number;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        socket.send(JSON.stringify({ id, method, params }));
      });
    },
    close: () => socket.close(),
  };
}
