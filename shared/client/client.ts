import type { z } from 'zod';
import type { Direction, Side } from '../task/schema.ts';
import { type CallOptions, type ClientOptions, callApi, callTagged, type Guard, headersOf } from './call.ts';
import type {
  Action,
  actionPreview,
  actionPreviewBody,
  auditList,
  auditQuery,
  bothTasks,
  CatalogQuery,
  ConflictDetail,
  CopyQuery,
  catalogList,
  configureBody,
  configureBothBody,
  conflictList,
  conflictQuery,
  connectivityReport,
  copyList,
  createPairBody,
  eventList,
  HistoryView,
  limitsBody,
  limitsView,
  PairView,
  pairList,
  precheckBody,
  previewObjectsBody,
  previewObjectsView,
  previewView,
  resolveBody,
  restartBody,
  TaskDetail,
  whoami,
} from './contract.ts';
import type { PrecheckReport } from './precheck-report.ts';
import { type VerifyClient, verifyClient } from './verify-client.ts';

export type CreatePair = z.input<typeof createPairBody>;
export type Configure = z.input<typeof configureBody>;
export type ConfigureBoth = z.input<typeof configureBothBody>;
export type BothTasks = z.infer<typeof bothTasks>;
export type PrecheckOrder = z.input<typeof precheckBody>;
/** One report per task that is configured. */
export type PrecheckReports = { readonly [D in Direction]?: PrecheckReport };
export type Preview = z.infer<typeof previewView>;
export type PreviewObjects = z.input<typeof previewObjectsBody>;
export type ObjectsPreview = z.infer<typeof previewObjectsView>;
export type PairPage = z.infer<typeof pairList>;
export type EventPage = z.infer<typeof eventList>;
export type ConflictPage = z.infer<typeof conflictList>;
export type CatalogPage = z.infer<typeof catalogList>;
export type CopyPage = z.infer<typeof copyList>;
export type ConnectivityReport = z.infer<typeof connectivityReport>;
export type Restart = z.input<typeof restartBody>;
/** Actions that can be asked for without a body. */
export type PlainAction = Exclude<Action, 'configure' | 'precheck'>;
export type AuditPage = z.infer<typeof auditList>;
export type AuditFilter = Partial<Pick<z.infer<typeof auditQuery>, 'pair' | 'actor'>>;
export type LoadLimits = z.infer<typeof limitsView>;
export type ChangeLimits = z.input<typeof limitsBody>;
export type ActionPreview = z.infer<typeof actionPreview>;
export type Page = { readonly limit?: number; readonly cursor?: string | undefined };
export type ConflictFilter = Partial<Omit<z.infer<typeof conflictQuery>, 'limit' | 'cursor'>>;

/** The HTTP API, typed by its own contract. Every method throws the problem that the API answers as a PgtwinError. */
export type ApiClient = VerifyClient & {
  readonly url: string;
  readonly token: string;
  /** Any request, for routes without a method here. */
  call<Result = unknown>(method: string, path: string, body?: unknown): Promise<Result>;
  /** The same key makes one pair, however often it is sent. */
  createPair(pair: CreatePair, idempotencyKey?: string): Promise<PairView>;
  listPairs(page?: Page): Promise<PairPage>;
  getPair(id: string): Promise<PairView>;
  /** The pair while it is released; undefined when it is gone. */
  deletePair(id: string, guard?: Guard): Promise<PairView | undefined>;
  configureBoth(id: string, config: ConfigureBoth, guard?: Guard): Promise<BothTasks>;
  configureTask(id: string, direction: Direction, config: Configure, guard?: Guard): Promise<TaskDetail>;
  preview(id: string, config: ConfigureBoth): Promise<Preview>;
  previewObjects(id: string, objects: PreviewObjects): Promise<ObjectsPreview>;
  precheckBoth(id: string, order?: PrecheckOrder): Promise<PrecheckReports>;
  precheckTask(id: string, direction: Direction, order?: PrecheckOrder): Promise<PrecheckReport>;
  getPrecheck(id: string, direction: Direction): Promise<PrecheckReport>;
  ignoreItem(id: string, direction: Direction, item: string): Promise<PrecheckReport>;
  testConnectivity(id: string, direction: Direction): Promise<ConnectivityReport>;
  getTask(id: string, direction: Direction): Promise<TaskDetail>;
  act(id: string, direction: Direction, action: PlainAction, guard?: Guard): Promise<TaskDetail>;
  restart(id: string, direction: Direction, order: Restart, guard?: Guard): Promise<TaskDetail>;
  /** Tables of a database as it is now. */
  listTables(id: string, side: Side, query?: Partial<CatalogQuery>): Promise<CatalogPage>;
  /** Progress of the full copy, table by table. */
  listCopy(id: string, direction: Direction, query?: Partial<CopyQuery>): Promise<CopyPage>;
  listEvents(id: string, direction: Direction, page?: Page): Promise<EventPage>;
  listConflicts(id: string, direction: Direction, query?: Page & ConflictFilter): Promise<ConflictPage>;
  getConflict(id: string, direction: Direction, conflict: string): Promise<ConflictDetail>;
  /** The choice is carried out when the task is tried again. */
  resolveConflict(
    id: string,
    direction: Direction,
    conflict: string,
    take: Take,
    guard?: Guard,
  ): Promise<ConflictDetail>;
  getLimits(id: string, direction: Direction): Promise<LoadLimits>;
  changeLimits(id: string, direction: Direction, change: ChangeLimits, guard?: Guard): Promise<LoadLimits>;
  /** The exact request that an action is, unsent. */
  previewAction(asked: z.input<typeof actionPreviewBody>): Promise<ActionPreview>;
  listAudit(query?: Page & AuditFilter): Promise<AuditPage>;
  /** Figures of a day by the minute. */
  getHistory(id: string, direction: Direction, hours?: number): Promise<HistoryView>;
  /** Whose token this is. */
  whoAmI(): Promise<z.infer<typeof whoami>>;
  openApi(): Promise<unknown>;
};
export type Take = z.infer<typeof resolveBody>['take'];

const pairPath = (id: string): string => `/v1/pairs/${encodeURIComponent(id)}`;
const taskPath = (id: string, direction: Direction): string => `${pairPath(id)}/tasks/${direction}`;
const conflictPath = (id: string, direction: Direction, conflict: string): string =>
  `${taskPath(id, direction)}/conflicts/${encodeURIComponent(conflict)}`;

/** Nothing is sent before a method is called. */
export function openApiClient(options: ClientOptions): ApiClient {
  const send = <Result>(method: string, path: string, more?: CallOptions): Promise<Result> =>
    callApi<Result>(options, method, path, more);
  return {
    url: options.url,
    token: options.token,
    call: (method, path, body) => send(method, path, { body }),
    createPair: (pair, key) =>
      send('POST', '/v1/pairs', { body: pair, headers: key === undefined ? {} : { 'idempotency-key': key } }),
    listPairs: (page) => send('GET', '/v1/pairs', { query: { ...page } }),
    getPair: (id) => send('GET', pairPath(id)),
    deletePair: (id, guard) => send('DELETE', pairPath(id), { headers: headersOf(guard) }),
    configureBoth: (id, config, guard) =>
      send('POST', `${pairPath(id)}/configure`, { body: config, headers: headersOf(guard) }),
    configureTask: (id, direction, config, guard) =>
      send('PUT', taskPath(id, direction), { body: config, headers: headersOf(guard) }),
    preview: (id, config) => send('POST', `${pairPath(id)}/preview`, { body: config }),
    previewObjects: (id, objects) => send('POST', `${pairPath(id)}/preview-objects`, { body: objects }),
    precheckBoth: (id, order = {}) => send('POST', `${pairPath(id)}/precheck`, { body: order }),
    precheckTask: (id, direction, order = {}) =>
      send('POST', `${taskPath(id, direction)}/precheck`, { body: order }),
    getPrecheck: (id, direction) => send('GET', `${taskPath(id, direction)}/precheck`),
    ignoreItem: (id, direction, item) =>
      send('POST', `${taskPath(id, direction)}/precheck/ignore`, { body: { item } }),
    testConnectivity: (id, direction) => send('POST', `${taskPath(id, direction)}/test-connectivity`),
    getTask: (id, direction) => send('GET', taskPath(id, direction)),
    act: (id, direction, action, guard) =>
      send('POST', `${taskPath(id, direction)}/${action}`, { headers: headersOf(guard) }),
    restart: (id, direction, order, guard) =>
      send('POST', `${taskPath(id, direction)}/restart`, { body: order, headers: headersOf(guard) }),
    listTables: (id, side, query) =>
      send('GET', `${pairPath(id)}/sides/${side}/tables`, { query: { ...query } }),
    listCopy: (id, direction, query) =>
      send('GET', `${taskPath(id, direction)}/copy`, { query: { ...query } }),
    listEvents: (id, direction, page) =>
      send('GET', `${taskPath(id, direction)}/events`, { query: { ...page } }),
    listConflicts: (id, direction, query) =>
      send('GET', `${taskPath(id, direction)}/conflicts`, { query: { ...query } }),
    getConflict: (id, direction, conflict) => send('GET', conflictPath(id, direction, conflict)),
    resolveConflict: (id, direction, conflict, take, guard) =>
      send('POST', `${conflictPath(id, direction, conflict)}/resolve`, {
        body: { take },
        headers: headersOf(guard),
      }),
    getLimits: (id, direction) => send('GET', `${taskPath(id, direction)}/limits`),
    changeLimits: (id, direction, change, guard) =>
      send('PATCH', `${taskPath(id, direction)}/limits`, { body: change, headers: headersOf(guard) }),
    getHistory: (id, direction, hours) =>
      send('GET', `${taskPath(id, direction)}/history`, { query: hours === undefined ? {} : { hours } }),
    whoAmI: () => send('GET', '/v1/whoami'),
    previewAction: (asked) => send('POST', '/v1/preview', { body: asked }),
    listAudit: (query) => send('GET', '/v1/audit', { query: { ...query } }),
    ...verifyClient(
      (method, path, more) => send(method, path, more),
      (path) => callTagged(options, 'GET', path),
    ),
    openApi: () => send('GET', '/openapi.json'),
  };
}

/** All pairs, page by page. */
export async function allPairs(api: ApiClient): Promise<PairView[]> {
  const pairs: PairView[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.listPairs({ limit: 500, cursor });
    pairs.push(...page.pairs);
    cursor = page.next;
  } while (cursor !== undefined);
  return pairs;
}
