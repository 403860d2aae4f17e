import type { SQSBatchItemFailure, SQSRecord } from 'aws-lambda';

/** Records of one invocation by message group, in order of their arrival (pure). */
export function groupRecords(records: readonly SQSRecord[]): Map<string, SQSRecord[]> {
  const groups = new Map<string, SQSRecord[]>();
  for (const record of records) {
    const group = record.attributes.MessageGroupId ?? '';
    const list = groups.get(group);
    if (list) list.push(record);
    else groups.set(group, [record]);
  }
  return groups;
}

/**
 * The answer to SQS (pure). On a FIFO queue a failed record means that all later ones of its group have failed too:
 * otherwise they overtake it. Groups do not concern each other.
 */
export const failuresOf = (
  groups: ReadonlyMap<string, readonly SQSRecord[]>,
  /** Index, in its group, of the first record that failed. */
  failed: ReadonlyMap<string, number>,
): SQSBatchItemFailure[] =>
  [...failed].flatMap(([group, from]) =>
    (groups.get(group) ?? []).slice(from).map((record) => ({ itemIdentifier: record.messageId })),
  );
