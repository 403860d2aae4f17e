/**
 * Every error pgtwin can report, in one place: its HTTP status, the retry clock that counts for it, and what the
 * operator should do. Codes are stable for ever: they are the tail of a problem document's `type`.
 *
 * `retry` names the clock: `connection` (10 to 1440 minutes), `other` (1 to 1440 minutes) or `never`.
 */
export type RetryClock = 'connection' | 'other' | 'never';
export type ErrorRule = { readonly status: number; readonly retry: RetryClock; readonly advice: string };

export const errors = {
  // what a caller sent
  'invalid-request': {
    status: 422,
    retry: 'never',
    advice: 'Correct the named field and send the request again.',
  },
  'malformed-json': { status: 400, retry: 'never', advice: 'Send a body that is one valid JSON object.' },
  'unsupported-media-type': {
    status: 415,
    retry: 'never',
    advice: 'Send the body as JSON, with the header "Content-Type: application/json".',
  },
  'body-too-large': { status: 413, retry: 'never', advice: 'Send a body below the limit that is named.' },
  'idempotency-key-reused': {
    status: 422,
    retry: 'never',
    advice: 'An Idempotency-Key stands for one request. Use a new key for another request.',
  },
  'request-in-progress': {
    status: 409,
    retry: 'other',
    advice: 'The first request with this Idempotency-Key is still at work. Send it again in a moment.',
  },
  unauthorized: {
    status: 401,
    retry: 'never',
    advice: 'Send the header "Authorization: Bearer <token>" with the token of this service.',
  },
  forbidden: { status: 403, retry: 'never', advice: 'Use a token whose role allows this action.' },
  'not-found': {
    status: 404,
    retry: 'never',
    advice: 'Check the identifier; list the pairs to see those that exist.',
  },
  'method-not-allowed': {
    status: 405,
    retry: 'never',
    advice: 'Use one of the methods that the header "Allow" of the answer names.',
  },
  'conflict-of-versions': {
    status: 412,
    retry: 'never',
    advice: 'Read the resource again and repeat the change with its current ETag.',
  },
  'action-not-allowed': {
    status: 409,
    retry: 'never',
    advice:
      'Wait for, or bring about, a state that allows the action; the answer lists those that are allowed.',
  },
  'pair-is-full': {
    status: 409,
    retry: 'never',
    advice: 'A pair joins exactly two databases. Create another pair for a third one.',
  },
  'same-database': {
    status: 422,
    retry: 'never',
    advice: 'Give two different databases: a database can not be synchronized with itself.',
  },
  'endpoint-fixed': {
    status: 422,
    retry: 'never',
    advice: 'The reverse task uses the endpoints of the forward task, swapped. Leave them out.',
  },
  'mapping-invalid': {
    status: 422,
    retry: 'never',
    advice: 'Change objects.mapping of the task; preview-objects shows the names that it gives.',
  },
  'columns-invalid': {
    status: 422,
    retry: 'never',
    advice: 'Change objects.columns of the task: key columns always take part.',
  },
  'filter-invalid': {
    status: 422,
    retry: 'never',
    advice: 'Change objects.filters of the task: one boolean expression over the columns of the table.',
  },
  'etl-invalid': {
    status: 422,
    retry: 'never',
    advice: 'Change objects.etl of the task: the message names the step and the place in it.',
  },
  // databases
  'database-unreachable': {
    status: 503,
    retry: 'connection',
    advice: 'Check host, port, firewall, TLS mode and that the server is running.',
  },
  'login-failed': {
    status: 422,
    retry: 'connection',
    advice: 'Check user name, password, database name and pg_hba.conf of the server.',
  },
  'tls-failed': {
    status: 422,
    retry: 'connection',
    advice:
      'Choose a TLS mode that the server offers: disable, require, or verify-full with a certificate of a known authority.',
  },
  'privilege-missing': {
    status: 422,
    retry: 'other',
    advice: 'Run the GRANT that the precheck prints, then run the precheck again.',
  },
  'server-version-unsupported': {
    status: 422,
    retry: 'never',
    advice: 'Use PostgreSQL 15, 16, 17 or 18 on both sides.',
  },
  'slot-lost': {
    status: 409,
    retry: 'never',
    advice: 'Restart the task: the server removed the slot, or WAL that the slot needed.',
  },
  'slot-in-use': {
    status: 409,
    retry: 'connection',
    advice: 'Another session reads the slot; it is taken over when its lease has expired.',
  },
  'server-identity-changed': {
    status: 409,
    retry: 'never',
    advice: 'The server has another system id or timeline: positions no longer compare. Restart the task.',
  },
  'shards-not-kept': {
    status: 409,
    retry: 'never',
    advice:
      'Take back what keeps rows of the table together, such as a new index, and retry the task; or restart both tasks, the first one again if it comes back to this: tables are then spread anew.',
  },
  'publication-missing': {
    status: 409,
    retry: 'never',
    advice: 'Restart the task: its publication was dropped on the source.',
  },
  'no-replica-identity': {
    status: 422,
    retry: 'never',
    advice:
      'Give the named tables a primary key, or REPLICA IDENTITY USING INDEX with a unique, not null, not deferrable index.',
  },
  'wal-message-malformed': {
    status: 500,
    retry: 'other',
    advice: 'The replication stream has bytes that are not pgoutput protocol 1. Report this with the log.',
  },
  'database-error': {
    status: 502,
    retry: 'other',
    advice: 'See the SQLSTATE and message that the database gave.',
  },
  // data path
  'message-malformed': {
    status: 500,
    retry: 'never',
    advice: 'A queue message is not one of pgtwin or broken. It is dropped; the stream sends again.',
  },
  'message-version-unknown': {
    status: 500,
    retry: 'other',
    advice: 'Deploy capture and apply in the same version.',
  },
  'claim-check-missing': {
    status: 503,
    retry: 'other',
    advice: 'The stored parts of a large transaction are gone; they are sent again from the slot.',
  },
  'gap-not-healable': {
    status: 409,
    retry: 'never',
    advice: 'Changes are missing and the slot no longer has them. Restart the task.',
  },
  'change-refused': {
    status: 409,
    retry: 'other',
    advice: 'The destination refused a change. Mend the cause that the database names, then retry the task.',
  },
  'conflict-stops-task': {
    status: 409,
    retry: 'never',
    advice:
      'The policy is task-failed: solve the conflict (take source, keep destination), then retry the task.',
  },
  'etl-failed': {
    status: 409,
    retry: 'other',
    advice:
      'A step of objects.etl can not be carried out on a row: mend the row, or restart with other steps.',
  },
  'filter-needs-old-row': {
    status: 409,
    retry: 'other',
    advice:
      'Run ALTER TABLE … REPLICA IDENTITY FULL for the named table on the source, then restart the task.',
  },
  'relation-unknown': {
    status: 409,
    retry: 'other',
    advice: 'The table does not exist on the destination. Create it there, or leave it out of the task.',
  },
  'column-missing': {
    status: 409,
    retry: 'other',
    advice: 'Add the column on the destination, or leave it out of the task.',
  },
  'schema-not-supported': {
    status: 422,
    retry: 'never',
    advice: 'Create the named objects by hand on the destination, or leave them out of the task.',
  },
  'copy-failed': {
    status: 409,
    retry: 'other',
    advice: 'Mend the cause that the database names, then retry the task.',
  },
  'limit-exceeded': {
    status: 422,
    retry: 'never',
    advice: 'Stay below the limit that the message names.',
  },
  // platform
  'lease-lost': { status: 409, retry: 'other', advice: 'Another capture owns the task now; nothing to do.' },
  'queue-unavailable': {
    status: 503,
    retry: 'connection',
    advice: 'Check SQS and the role of the function.',
  },
  'table-unavailable': {
    status: 503,
    retry: 'connection',
    advice: 'Check DynamoDB and the role of the function.',
  },
  'blob-unavailable': { status: 503, retry: 'connection', advice: 'Check S3 and the role of the function.' },
  'topic-unavailable': {
    status: 503,
    retry: 'connection',
    advice: 'Check the ARN of the SNS topic, and that the role of the monitor may publish to it.',
  },
  'secret-unavailable': {
    status: 503,
    retry: 'connection',
    advice: 'Check that the secret exists and that the role may read it.',
  },
  'environment-invalid': {
    status: 500,
    retry: 'never',
    advice: 'Set the named environment variable as the message says.',
  },
  'local-server-failed': {
    status: 503,
    retry: 'other',
    advice: 'A server of the local platform did not start or stop. See the log file that the message names.',
  },
  'function-failed': { status: 502, retry: 'other', advice: "See the function's own log lines around it." },
  'function-timeout': {
    status: 504,
    retry: 'other',
    advice: 'The function ran longer than allowed and was ended; what it had not committed is done again.',
  },
  'api-unreachable': {
    status: 503,
    retry: 'connection',
    advice: 'Check the address of the API and that it runs.',
  },
  'wait-ended': {
    status: 504,
    retry: 'other',
    advice: 'Nothing was undone: look at the status and the events of the task, or wait longer.',
  },
  'prerequisite-missing': { status: 500, retry: 'never', advice: 'Install what the message names.' },
  internal: { status: 500, retry: 'other', advice: 'Report this with the log lines around it.' },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof errors;
