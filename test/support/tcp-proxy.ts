import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

/** `to-client`: what the server sends. */
export type ProxyDirection = 'to-client' | 'to-server';

export type TcpProxy = AsyncDisposable & {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Every piece of data is held back for so long, in both directions, in order. */
  delayMs: number;
  /** Resets all connections now; new ones are taken. */
  cut(): void;
  /** While on, every new connection is reset at once. Open ones stay. */
  refuse(on: boolean): void;
  /** Nothing is forwarded any more, connections stay open: as when a network goes silent. */
  pause(): void;
  resume(): void;
  /** Forwards exactly `bytes` more in that direction, over all connections, then cuts; once. */
  cutAfterBytes(bytes: number, direction?: ProxyDirection): void;
  /** A database URL that leads through the proxy. */
  through(url: string): string;
  close(): Promise<void>;
};

/** Rules that all connections share and that the test changes while they are open. */
type Rules = {
  delayMs: number;
  refusing: boolean;
  paused: boolean;
  budget: { readonly direction: ProxyDirection; bytes: number } | undefined;
};
type Connection = { pump(): void; cut(): void };
/** Changes what the server of one connection sends: is given each piece as it comes, and answers what goes on. */
export type Rewrite = (data: Buffer) => Buffer;

/**
 * A TCP proxy for faults between pgtwin and a database. The target is a host and port, or a Unix socket's path.
 * `rewriting` is asked for each connection.
 */
export async function openProxy(target: NetConnectOpts, rewriting?: () => Rewrite): Promise<TcpProxy> {
  const rules: Rules = { delayMs: 0, refusing: false, paused: false, budget: undefined };
  const open = new Set<Connection>();
  const cut = (): void => {
    for (const connection of open) connection.cut();
  };
  const pump = (): void => {
    for (const connection of open) connection.pump();
  };

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    if (rules.refusing) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...target, allowHalfOpen: true });
    const toServer = new Pipe(client, upstream, 'to-server', rules, cut);
    const toClient = new Pipe(upstream, client, 'to-client', rules, cut, rewriting?.());
    const destroy = (): void => {
      open.delete(connection);
      client.destroy();
      upstream.destroy();
    };
    const connection: Connection = {
      pump() {
        toServer.pump();
        toClient.pump();
      },
      cut() {
        // A socket that was given its last bytes still has to send them.
        if (!client.writableEnded) client.resetAndDestroy();
        destroy();
      },
    };
    open.add(connection);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', destroy);
      socket.on('close', destroy);
    }
  });

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const close = async (): Promise<void> => {
    const closed = new Promise((done) => server.close(done));
    cut();
    await closed;
  };

  return {
    port,
    get connections() {
      return open.size;
    },
    get delayMs() {
      return rules.delayMs;
    },
    set delayMs(value) {
      rules.delayMs = value;
    },
    cut,
    refuse(on) {
      rules.refusing = on;
    },
    pause() {
      rules.paused = true;
    },
    resume() {
      rules.paused = false;
      pump();
    },
    cutAfterBytes(bytes, direction = 'to-client') {
      rules.budget = { bytes, direction };
    },
    through(url) {
      const through = new URL(url);
      through.host = `127.0.0.1:${port}`;
      return through.href;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** One direction of one connection: a queue of what was read, each piece with the time when it may go on. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: ProxyDirection;
  readonly #rules: Rules;
  readonly #cut: () => void;
  readonly #rewrite: Rewrite | undefined;
  readonly #queue: { readonly data: Buffer | undefined; readonly dueMs: number }[] = [];

  constructor(
    from: Socket,
    to: Socket,
    direction: ProxyDirection,
    rules: Rules,
    cut: () => void,
    rewrite?: Rewrite,
  ) {
    this.#rewrite = rewrite;
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#rules = rules;
    this.#cut = cut;
    from.on('data', (data) => this.#take(this.#rewrite ? this.#rewrite(data) : data));
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => this.pump());
    from.resume();
  }

  #take(data: Buffer | undefined): void {
    const { delayMs } = this.#rules;
    this.#queue.push({ data, dueMs: performance.now() + delayMs });
    if (delayMs > 0) setTimeout(() => this.pump(), delayMs + 1);
    this.pump();
  }

  /** Sends what is due, in order; stops reading while it can't, so that the sender feels it. */
  pump(): void {
    while (!this.#to.destroyed && !this.#rules.paused && !this.#to.writableNeedDrain) {
      const next = this.#queue[0];
      if (!next) {
        this.#from.resume();
        return;
      }
      if (next.dueMs > performance.now()) return;
      this.#queue.shift();
      this.#send(next.data);
    }
    this.#from.pause();
  }

  #send(data: Buffer | undefined): void {
    const { budget } = this.#rules;
    if (data && budget?.direction === this.#direction) {
      if (data.length >= budget.bytes) {
        this.#rules.budget = undefined;
        this.#rules.paused = true;
        this.#to.end(data.subarray(0, budget.bytes), () => {
          this.#rules.paused = false;
          this.#cut();
        });
        return;
      }
      budget.bytes -= data.length;
    }
    if (data) this.#to.write(data);
    else this.#to.end();
  }
}
