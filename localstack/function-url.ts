import http from 'node:http';
import type net from 'node:net';

export type OpenUrl = {
  /** `http://127.0.0.1:<port>`: reaches the function from any client, browsers included. */
  readonly url: string;
  readonly close: () => Promise<void>;
};

/**
 * Opens a function URL of LocalStack at an address of this machine. LocalStack tells functions apart by the host name
 * of the request, which resolves only where there is a wildcard DNS: so this proxy sets it. It leaves out `Origin` and
 * `Referer`, by which a browser names this proxy: LocalStack refuses those it does not know, where AWS asks nobody.
 */
export async function openFunctionUrl(endpoint: string, functionUrl: string): Promise<OpenUrl> {
  // Not by `new URL`, which would refuse a host name that ends in an address.
  const host = functionUrl.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const gateway = new URL(endpoint);
  const proxy = http.createServer((request, response) => {
    const { origin: _origin, referer: _referer, ...headers } = request.headers;
    const forwarded = http.request(
      {
        host: gateway.hostname,
        port: gateway.port,
        method: request.method,
        path: request.url,
        headers: { ...headers, host },
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', (error) => {
      if (response.headersSent) response.destroy(error);
      else response.writeHead(502).end(`LocalStack does not answer: ${error.message}`);
    });
    request.pipe(forwarded);
  });
  await new Promise<void>((resolve, reject) => {
    proxy.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const close = () =>
    new Promise<void>((resolve) => {
      proxy.close(() => resolve());
      proxy.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`, close };
}
