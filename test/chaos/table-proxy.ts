import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

/** `half`: every second request is throttled. */
export type TableMood = 'well' | 'all' | 'writes' | 'half';

export type TableProxy = AsyncDisposable & { readonly url: string; mood: TableMood };

/** In front of the table's server: answers as DynamoDB does when it throttles or fails, or resets connections. */
export async function openTableProxy(target: URL): Promise<TableProxy> {
  const agent = new Agent({ keepAlive: true });
  let mood: TableMood = 'well';
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    const operation =
      String(incoming.headers['x-amz-target'] ?? '')
        .split('.')
        .at(-1) ?? '';
    if (mood === 'all') return incoming.socket.resetAndDestroy();
    if (mood === 'half' && count++ % 2 === 0)
      return refuse(incoming, outgoing, 400, 'ProvisionedThroughputExceededException');
    if (mood === 'writes' && /^(Put|Update|Delete|Batch)/.test(operation))
      return refuse(incoming, outgoing, 500, 'InternalServerError');
    const { method, url: path, headers } = incoming;
    const upstream = request(
      { host: target.hostname, port: target.port, method, path, headers, agent },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    upstream.on('error', () => outgoing.destroy());
    incoming.pipe(upstream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    get mood() {
      return mood;
    },
    set mood(value) {
      mood = value;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

function refuse(incoming: IncomingMessage, outgoing: ServerResponse, status: number, name: string): void {
  incoming.resume();
  outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
  outgoing.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: 'chaos' }));
}
