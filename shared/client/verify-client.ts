import type { z } from 'zod';
import { type CallOptions, type Guard, headersOf, type Tagged } from './call.ts';
import type {
  CutoverReport,
  cutoverBody,
  differenceList,
  repairBody,
  startVerificationBody,
  tableReports,
  VerificationView,
  verificationList,
} from './verify-contract.ts';

export type StartVerification = z.input<typeof startVerificationBody>;
export type RepairVerification = z.input<typeof repairBody>;
export type VerificationPage = z.infer<typeof verificationList>;
export type TableReportPage = z.infer<typeof tableReports>;
export type DifferencePage = z.infer<typeof differenceList>;
export type Cutover = z.input<typeof cutoverBody>;
type Page = { readonly limit?: number; readonly cursor?: string | undefined };

/** Verification, repair and cut-over. */
export type VerifyClient = {
  startVerification(id: string, options?: StartVerification, guard?: Guard): Promise<VerificationView>;
  /** The newest first. */
  listVerifications(id: string, page?: Page): Promise<VerificationPage>;
  getVerification(id: string, run: string): Promise<VerificationView>;
  /** The same with its tag, which moves all the time while it is under work. */
  readVerification(id: string, run: string): Promise<Tagged<VerificationView>>;
  listTableReports(id: string, run: string, page?: Page): Promise<TableReportPage>;
  listDifferences(
    id: string,
    run: string,
    query?: Page & { readonly table?: number | undefined },
  ): Promise<DifferencePage>;
  cancelVerification(id: string, run: string): Promise<VerificationView>;
  /** Asks for it; the run tells when it is done. */
  repairVerification(
    id: string,
    run: string,
    order: RepairVerification,
    guard?: Guard,
  ): Promise<VerificationView>;
  cutOver(id: string, order?: Cutover, guard?: Guard): Promise<CutoverReport>;
};

type Send = <Result>(method: string, path: string, more?: CallOptions) => Promise<Result>;
type Read = <Result>(path: string) => Promise<Tagged<Result>>;

export function verifyClient(send: Send, read: Read): VerifyClient {
  const pairPath = (id: string): string => `/v1/pairs/${encodeURIComponent(id)}`;
  const runPath = (id: string, run: string): string =>
    `${pairPath(id)}/verifications/${encodeURIComponent(run)}`;
  return {
    startVerification: (id, options = {}, guard) =>
      send('POST', `${pairPath(id)}/verifications`, { body: options, headers: headersOf(guard) }),
    listVerifications: (id, page) => send('GET', `${pairPath(id)}/verifications`, { query: { ...page } }),
    getVerification: (id, run) => send('GET', runPath(id, run)),
    readVerification: (id, run) => read(runPath(id, run)),
    listTableReports: (id, run, page) => send('GET', `${runPath(id, run)}/tables`, { query: { ...page } }),
    listDifferences: (id, run, query) =>
      send('GET', `${runPath(id, run)}/differences`, { query: { ...query } }),
    cancelVerification: (id, run) => send('POST', `${runPath(id, run)}/cancel`),
    repairVerification: (id, run, order, guard) =>
      send('POST', `${runPath(id, run)}/repair`, { body: order, headers: headersOf(guard) }),
    cutOver: (id, order = {}, guard) =>
      send('POST', `${pairPath(id)}/cutover`, { body: order, headers: headersOf(guard) }),
  };
}
