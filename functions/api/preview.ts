import type { z } from 'zod';
import type { configureBothBody, previewView } from '../../shared/client/contract.ts';
import { listTables } from '../../shared/postgres/catalog.ts';
import { targetOf } from '../../shared/task/ports.ts';
import { type Pair, type Side, sourceOf, type TableName } from '../../shared/task/schema.ts';
import { type ObjectSelection, selectTables, withRoots } from '../../shared/task/selection.ts';
import { open } from './connectivity.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';

/** The exact request that a configuration is, with all defaults filled in, and the tables that it selects today. */
export async function previewPair(
  deps: ApiDeps,
  pair: Pair,
  body: z.infer<typeof configureBothBody>,
): Promise<z.infer<typeof previewView>> {
  const [forward, reverse] = await Promise.all([
    selected(deps, pair, sourceOf('forward'), body.forward.objects),
    body.reverse && selected(deps, pair, sourceOf('reverse'), body.reverse.objects),
  ]);
  return {
    request: { method: 'POST', path: `/v1/pairs/${pair.id}/configure`, body },
    forward,
    ...(reverse ? { reverse } : {}),
  };
}

async function selected(deps: ApiDeps, pair: Pair, side: Side, selection: ObjectSelection) {
  const target = await targetOf(pair.sides[side], deps.secrets);
  const client = await open(target, { field: `sides.${side}`, timeoutMs: connectTimeoutOf(deps) });
  try {
    const listed = (await listTables(client)).filter((table) => !table.extension);
    const tables: TableName[] = selectTables(selection, withRoots(listed)).map(({ schema, name }) => ({
      schema,
      name,
    }));
    return { tables, count: tables.length };
  } finally {
    await client.end().catch(() => {});
  }
}
