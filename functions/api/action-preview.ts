import type { z } from 'zod';
import type { Action, actionPreview, actionPreviewBody } from '../../shared/client/contract.ts';
import { etagOfPair, etagOfTask } from '../../shared/client/etag.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { allowedInputs } from '../../shared/task/machine.ts';
import { directions, type Task, taskIdOf } from '../../shared/task/schema.ts';
import { type Role, roles } from './auth.ts';
import type { ApiDeps } from './deps.ts';
import type { Operation, Operations } from './operations.ts';
import { problemOfIssues } from './problem.ts';
import { allowedActions } from './views.ts';

export type ActionPreview = z.infer<typeof actionPreview>;
type Asked = z.infer<typeof actionPreviewBody>;

/** The exact request that an action is, checked as if it was sent, and whether it would be taken now. */
export async function previewAction(
  deps: ApiDeps,
  operations: Operations,
  asked: Asked,
  caller: { readonly role: Role },
): Promise<ActionPreview> {
  const operation = operations.get(asked.operation);
  if (!operation || operation.method === 'GET')
    throw new PgtwinError('invalid-request', {
      field: 'operation',
      detail: `operation: ${asked.operation} is no action; openapi.json has them.`,
    });
  const path = pathOf(operation, asked);
  const body = bodyOf(operation, asked.body);
  const tasks = asked.id === undefined ? [] : await tasksOf(deps, asked.id, asked.direction);
  const tag = tasks.length === 1 ? etagOfTask(tasks[0]!) : etagOfPair(tasks);
  const headers = {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(operation.takesIfMatch && tasks.length > 0 ? { 'if-match': tag } : {}),
  };
  const { method, role } = operation;
  const request = { method, path, headers, ...(body === undefined ? {} : { body: masked(body) }) };
  const refusal = refusalOf(operation, tasks, caller.role);
  return {
    ...request,
    curl: curlOf(request),
    role,
    allowed: refusal === undefined,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

function pathOf({ path, operationId }: Operation, asked: Asked): string {
  return path.replace(/\{(\w+)\}/g, (_whole, name: 'id' | 'direction' | 'conflictId') => {
    const value = asked[name];
    if (value === undefined)
      throw new PgtwinError('invalid-request', {
        field: name,
        detail: `${name}: is missing, ${operationId} is ${path}.`,
      });
    return encodeURIComponent(value);
  });
}

function bodyOf({ body, bodyRequired, operationId }: Operation, given: unknown): unknown {
  if (!body) {
    if (given === undefined) return undefined;
    throw new PgtwinError('invalid-request', { field: 'body', detail: `body: ${operationId} has none.` });
  }
  if (given === undefined && !bodyRequired) return undefined;
  const parsed = body.safeParse(given);
  if (parsed.success) return parsed.data;
  const { field = '', detail } = problemOfIssues(parsed.error, 'json');
  throw new PgtwinError('invalid-request', { field: field ? `body.${field}` : 'body', detail });
}

async function tasksOf({ repository }: ApiDeps, id: string, direction: Asked['direction']): Promise<Task[]> {
  await repository.getPair(id);
  const asked = direction === undefined ? directions : [direction];
  return Promise.all(asked.map((each) => repository.getTask(taskIdOf(id, each))));
}

/** What actions on a task are for the state machine; the others are allowed in every state. */
const inputs: Readonly<Record<string, Action>> = {
  configureTask: 'configure',
  configurePair: 'configure',
  runPrecheck: 'precheck',
  startTask: 'start',
  pauseTask: 'pause',
  resumeTask: 'resume',
  retryTask: 'retry',
  restartTask: 'restart',
  releaseTask: 'release',
};

function refusalOf({ operationId, role }: Operation, tasks: readonly Task[], own: Role): string | undefined {
  if (roles.indexOf(own) < roles.indexOf(role)) return `It needs the role ${role}; yours is ${own}.`;
  const input = inputs[operationId];
  const stuck = tasks.find((task) => input !== undefined && !allowedActions(task).includes(input));
  if (!stuck) return undefined;
  const allowed = allowedInputs(stuck.state).join(', ') || 'none';
  return `Task ${stuck.id} is ${stuck.state}; allowed are: ${allowed}.`;
}

/** Nobody is shown a password, not even the one that has just given it. */
const masked = (body: unknown): unknown =>
  JSON.parse(
    JSON.stringify(body, (key, value) =>
      key === 'password'
        ? '<password>'
        : key === 'url' && typeof value === 'string'
          ? value.replace(/^(postgres(?:ql)?:\/\/[^:@/]*:).*@/, '$1<password>@')
          : value,
    ),
  );

function curlOf({
  method,
  path,
  headers,
  body,
}: Pick<ActionPreview, 'method' | 'path' | 'headers' | 'body'>): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return [
    `curl -X ${method} "$PGTWIN_API${path}" -H "authorization: Bearer $PGTWIN_TOKEN"`,
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-d ${quoted(JSON.stringify(body))}`]),
  ].join(' ');
}
