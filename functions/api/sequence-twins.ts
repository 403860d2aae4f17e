import type { SequenceState } from '../../shared/postgres/sequences.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import { type Direction, opposite, type Side, sourceOf, type TaskConfig } from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import type { TwinName } from '../../shared/verify/twin.ts';

/** What the tasks' configurations say of names; a task that was not started has none. */
export type Configs = Readonly<Partial<Record<Direction, TaskConfig>>>;

/** What a source's schema is called on the destination. */
export type SchemaThere = (schema: string, known: readonly string[]) => string;

/**
 * By the mapping of the task that goes that way; without one by that of the opposite task, backwards: of the
 * destination's schemas (`known`) the one that it leads here from.
 */
export function schemaThere(configs: Configs, direction: Direction): SchemaThere {
  const [own, back] = [configs[direction], configs[opposite(direction)]];
  if (own) return mappingOf(own.objects.mapping).schema;
  if (!back) return (schema) => schema;
  const there = mappingOf(back.objects.mapping).schema;
  return (schema, known) => known.find((name) => there(name) === schema) ?? schema;
}

/**
 * The destination's sequence for one of the source: the one that fills the same column, whatever its name; else the one
 * with its name in the schema as it is called there, as sequences are made.
 */
export function sequenceTwins(
  twins: readonly TwinName[],
  direction: Direction,
  there: readonly SequenceState[],
  configs: Configs,
): (from: SequenceState) => SequenceState | undefined {
  const source = sourceOf(direction);
  const destination: Side = source === 'a' ? 'b' : 'a';
  const named = schemaThere(configs, direction);
  const schemas = [...new Set(there.map(({ schema }) => schema))];
  const bySource = new Map(twins.map((twin) => [keyOfTable(twin.names[source]), twin]));
  const byName = new Map(there.map((each) => [keyOfTable(each), each]));
  const filling = new Map<string, Map<string, SequenceState>>();
  for (const each of there)
    for (const filled of each.columns) {
      const columns = filling.get(keyOfTable(filled)) ?? new Map<string, SequenceState>();
      filling.set(keyOfTable(filled), columns.set(filled.column, each));
    }
  return (from) => {
    for (const filled of from.columns) {
      const twin = bySource.get(keyOfTable(filled));
      const columns = twin && filling.get(keyOfTable(twin.names[destination]));
      if (!columns) continue;
      const [here, others] = [[filled.column], [...columns.keys()]];
      const pairs = source === 'a' ? twin.pairUp(here, others) : twin.pairUp(others, here);
      for (const [ofA, ofB] of pairs) {
        const found = columns.get(source === 'a' ? ofB : ofA);
        if (found) return found;
      }
    }
    return byName.get(keyOfTable({ schema: named(from.schema, schemas), name: from.name }));
  };
}
