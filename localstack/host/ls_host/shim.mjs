// The node side of the host executor: loads the handler, then handles one invocation after the other.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const env = process.env;
const timeoutSeconds = Number(env.AWS_LAMBDA_FUNCTION_TIMEOUT);
const base = env.LOCALSTACK_RUNTIME_ENDPOINT;
const status = `/status/${env.LOCALSTACK_RUNTIME_ID}`;

const post = (where, body) =>
  fetch(`${base}${where}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
const namedError = (name, message) => Object.assign(new Error(message), { name });
const errorBody = (error) =>
  JSON.stringify({
    errorType: error?.name ?? 'Error',
    errorMessage: String(error?.message ?? error),
    trace: String(error?.stack ?? '').split('\n'),
  });

/** What the function wrote since its invocation began: for CloudWatch Logs. */
let lines = [];
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (chunk, ...rest) => {
    lines.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
    return write(chunk, ...rest);
  };
}

// The executor holds the other end and never writes: the end of it means that LocalStack is gone.
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0));
process.stdin.resume();
process.on('SIGTERM', () => process.exit(0));

async function loadHandler() {
  const [file, name] = env._HANDLER.split(/\.(?=[^.]+$)/);
  const candidates = ['.mjs', '.cjs', '.js'].map((extension) =>
    path.join(env.LAMBDA_TASK_ROOT, file + extension),
  );
  const found = candidates.find((candidate) => fs.existsSync(candidate));
  if (!found) throw namedError('Runtime.ImportModuleError', `Cannot find module '${file}'`);
  const module = await import(pathToFileURL(found).href);
  const handler = module[name] ?? module.default?.[name];
  if (typeof handler !== 'function') {
    throw namedError('Runtime.HandlerNotFound', `${env._HANDLER} is undefined or not exported`);
  }
  return handler;
}

/** The invocation in progress, for errors that come outside of the handler's promise. */
let current;

async function answer(invocation, kind, body) {
  if (current !== invocation) return; // answered already
  current = undefined;
  const { id, startedAt } = invocation;
  const durationMs = performance.now() - startedAt;
  const usedMb = Math.ceil(process.memoryUsage.rss() / 1024 / 1024);
  lines.push(
    `END RequestId: ${id}\n`,
    `REPORT RequestId: ${id}\tDuration: ${durationMs.toFixed(2)} ms\tBilled Duration: ${Math.ceil(durationMs)} ms` +
      `\tMemory Size: ${env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE} MB\tMax Memory Used: ${usedMb} MB\n`,
  );
  const logs = lines.join('');
  lines = [];
  await post(`/invocations/${id}/logs`, JSON.stringify({ logs }));
  await post(`/invocations/${id}/${kind}`, body);
}

async function run(handler, request) {
  const id = request['invoke-id'];
  const deadline = Date.now() + timeoutSeconds * 1000;
  const invocation = { id, startedAt: performance.now() };
  current = invocation;
  env._X_AMZN_TRACE_ID = request['trace-id'] ?? '';
  const context = {
    awsRequestId: id,
    invokedFunctionArn: request['invoked-function-arn'],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  lines.push(`START RequestId: ${id} Version: ${context.functionVersion}\n`);
  let timer;
  const timeout = new Promise((_, refuse) => {
    const message = `${id} Task timed out after ${timeoutSeconds.toFixed(2)} seconds`;
    timer = setTimeout(() => refuse(namedError('Sandbox.Timedout', message)), timeoutSeconds * 1000);
  });
  try {
    const result = await Promise.race([handler(JSON.parse(request.payload), context), timeout]);
    await answer(invocation, 'response', JSON.stringify(result ?? null));
  } catch (error) {
    lines.push(`${util.inspect(error)}\n`);
    await answer(invocation, 'error', errorBody(error));
  } finally {
    clearTimeout(timer);
  }
}

for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, async (error) => {
    lines.push(`${util.inspect(error)}\n`);
    if (current) await answer(current, 'error', errorBody(error));
    process.exit(129);
  });
}

let handler;
try {
  handler = await loadHandler();
} catch (error) {
  console.error(error);
  await post(`${status}/error`, errorBody(error));
  process.exit(1);
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    response.writeHead(200).end();
    void run(handler, JSON.parse(Buffer.concat(chunks).toString()));
  });
});
server.listen(0, '127.0.0.1', () => {
  fs.writeSync(Number(env.PGTWIN_PORT_FD), `${server.address().port}\n`);
  void post(`${status}/ready`, '');
});
