import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { openProxy, type TcpProxy } from './tcp-proxy.ts';
import { until } from './wait.ts';

/** A server that sends back what it gets, with a proxy before it. */
async function openEcho(): Promise<TcpProxy> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await openProxy({ host: '127.0.0.1', port: (server.address() as { port: number }).port });
  onTestFinished(async () => {
    await proxy.close();
    await new Promise((done) => server.close(done));
  });
  return proxy;
}

const open = async ({ port }: TcpProxy): Promise<Socket> => {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
};
const answer = async (socket: Socket): Promise<string> => String((await once(socket, 'data'))[0]);

test('forwards everything in order, delayed or not, and passes the end on', async () => {
  const proxy = await openEcho();
  const socket = await open(proxy);
  const back = buffer(socket);
  let sent = '';
  for (let i = 0; i < 200; i++) {
    proxy.delayMs = i % 3 === 0 ? 5 : 0;
    const piece = `${i},`.repeat(500);
    sent += piece;
    if (!socket.write(piece)) await once(socket, 'drain');
  }
  socket.end();
  expect((await back).toString()).toBe(sent);
});

test('delay holds data back', async () => {
  const proxy = await openEcho();
  const socket = await open(proxy);
  proxy.delayMs = 40;
  const start = performance.now();
  socket.write('x');
  await answer(socket);
  expect(performance.now() - start).toBeGreaterThan(75);
});

test('cut resets what is open, refuse resets what is new, both end', async () => {
  const proxy = await openEcho();
  const first = await open(proxy);
  first.write('x');
  await answer(first);
  const lost = once(first, 'error');
  proxy.cut();
  expect((await lost)[0]).toMatchObject({ code: 'ECONNRESET' });
  expect(proxy.connections).toBe(0);

  proxy.refuse(true);
  const second = connect({ port: proxy.port, host: '127.0.0.1' });
  expect((await once(second, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
  proxy.refuse(false);
  const third = await open(proxy);
  third.write('y');
  expect(await answer(third)).toBe('y');
});

test('while paused nothing gets through and the sender feels it; afterwards nothing is missing', async () => {
  const proxy = await openEcho();
  const socket = await open(proxy);
  proxy.pause();
  let received = 0;
  socket.on('data', (data) => {
    received += data.length;
  });
  const size = 32_000_000;
  socket.write(Buffer.alloc(size));
  await until('the sender to be held up', async () => socket.writableNeedDrain);
  expect(received).toBe(0);
  proxy.resume();
  await until('all bytes', async (saw) => {
    saw(received);
    return received === size;
  });
});

test.for(['to-client', 'to-server'] as const)(
  'exactly so many bytes pass before a cut, %s',
  async (direction) => {
    const proxy = await openEcho();
    const socket = await open(proxy);
    const bystander = await open(proxy);
    proxy.cutAfterBytes(1234, direction);
    let received = 0;
    socket.on('data', (data) => {
      received += data.length;
    });
    socket.on('error', () => undefined);
    for (let i = 0; i < 20; i++) socket.write(Buffer.alloc(100));
    await until('both to be closed', async () => socket.closed && bystander.closed);
    if (direction === 'to-client') expect(received).toBe(1234);
    else expect(received).toBeLessThanOrEqual(1234);
    const next = await open(proxy);
    next.write('z');
    expect(await answer(next)).toBe('z');
  },
);
