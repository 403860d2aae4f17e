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

/** A TCP proxy for faults between pgtwin and a database. The target is a host and port, or a Unix socket's path. */
export async function openProxy(target: NetConnectOpts): Promise<TcpProxy> {
  const open = new Set<Connection>();
  let refusing = false;
  let paused = false;
  let budget: { direction: ProxyDirection; bytes: number } | undefined;

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    if (refusing) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...target, allowHalfOpen: true });
    const connection: Connection = { client, upstream, timers: new Set() };
    open.add(connection);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => destroy(connection));
      socket.on('close', () => destroy(connection));
    }
    forward(connection, 'to-server');
    forward(connection, 'to-client');
  });

  const forward = (connection: Connection, direction: ProxyDirection): void => {
    const [from, to] =
      direction === 'to-server'
        ? [connection.client, connection.upstream]
        : [connection.upstream, connection.client];
    const later = (work: () => void): void => {
      if (proxy.delayMs === 0 && connection.timers.size === 0) return work();
      const timer = setTimeout(() => {
        connection.timers.delete(timer);
        work();
      }, proxy.delayMs);
      connection.timers.add(timer);
    };
    from.on('data', (data) => later(() => write(to, data, direction, from)));
    from.on('end', () => later(() => to.end()));
    to.on('drain', () => paused || from.resume());
    if (!paused) from.resume();
  };

  const write = (to: Socket, data: Buffer, direction: ProxyDirection, from: Socket): void => {
    if (to.destroyed) return;
    if (budget?.direction === direction) {
      if (data.length >= budget.bytes) {
        const last = data.subarray(0, budget.bytes);
        budget = undefined;
        // A reset would throw away what is still in the socket's buffer: end first, cut when it is out.
        to.write(last, () => cut());
        return;
      }
      budget.bytes -= data.length;
    }
    if (!to.write(data)) from.pause();
  };

  const destroy = (connection: Connection): void => {
    open.delete(connection);
    for (const timer of connection.timers) clearTimeout(timer);
    connection.client.destroy();
    connection.upstream.destroy();
  };

  const cut = (): void => {
    for (const connection of open) {
      connection.client.resetAndDestroy();
      destroy(connection);
    }
  };

  const each = (act: (socket: Socket) => void): void => {
    for (const { client, upstream } of open) [client, upstream].forEach(act);
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const close = async (): Promise<void> => {
    cut();
    await new Promise((done) => server.close(done));
  };

  const proxy: TcpProxy = {
    port,
    get connections() {
      return open.size;
    },
    delayMs: 0,
    cut,
    refuse(on) {
      refusing = on;
    },
    pause() {
      paused = true;
      each((socket) => socket.pause());
    },
    resume() {
      paused = false;
      each((socket) => socket.resume());
    },
    cutAfterBytes(bytes, direction = 'to-client') {
      budget = { bytes, direction };
    },
    through(url) {
      const through = new URL(url);
      through.host = `127.0.0.1:${port}`;
      return through.href;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}

type Connection = {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly timers: Set<NodeJS.Timeout>;
};
