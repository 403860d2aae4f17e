import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  type EventSourceMappingConfiguration,
  GetEventSourceMappingCommand,
  GetFunctionConfigurationCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
} from '@aws-sdk/client-lambda';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { awsErrorName, awsFailure, type ClientSettings, clientOptions } from './client.ts';

/** A FIFO queue gives at most ten messages to one invocation. */
const BATCH_SIZE = 10;
const LIMIT_MS = 180_000;
const STEP_MS = 1_000;

/** From a task's queue to the apply function. Idempotent. */
export type Mapping = {
  /** The function's own limit: its queues must hide a message for longer, or Lambda refuses the mapping. */
  timeoutSeconds(): Promise<number>;
  ensure(queueArn: string): Promise<void>;
  /** By the queue's name, as the queue itself may be gone already. Waits until the mapping is gone. */
  remove(queueName: string): Promise<void>;
};

export type MappingSettings = {
  readonly functionName: string;
  readonly aws: ClientSettings;
  readonly sleep: (ms: number) => Promise<unknown>;
};

/** Lambda's event source mappings. Throws `function-failed`. */
export function openMapping({ functionName, aws, sleep }: MappingSettings): Mapping {
  const lambda = new LambdaClient(clientOptions(aws));

  const until = async (what: string, done: () => Promise<boolean>): Promise<void> => {
    try {
      for (let waitedMs = 0; waitedMs <= LIMIT_MS; waitedMs += STEP_MS) {
        if (await done()) return;
        await sleep(STEP_MS);
      }
    } catch (error) {
      throw awsFailure('function-failed', what, error);
    }
    throw new PgtwinError('function-failed', { detail: `${what} took longer than ${LIMIT_MS / 1000} s.` });
  };

  return {
    async timeoutSeconds() {
      try {
        const asked = new GetFunctionConfigurationCommand({ FunctionName: functionName });
        return (await lambda.send(asked)).Timeout ?? 0;
      } catch (error) {
        throw awsFailure('function-failed', `Reading the configuration of function ${functionName}`, error);
      }
    },
    ensure: (queueArn) =>
      until('Creating the event source mapping', async () => {
        const found = await findMappings(lambda, functionName, { EventSourceArn: queueArn });
        if (found.some((m) => m.State !== 'Deleting')) return true;
        // One that is being deleted blocks the place of a new one.
        if (found.length > 0) return false;
        return create(lambda, functionName, queueArn);
      }),
    async remove(queueName) {
      const isOurs = (m: EventSourceMappingConfiguration) => m.EventSourceArn?.endsWith(`:${queueName}`);
      const all = await findMappings(lambda, functionName, {}).catch((error: unknown) => {
        throw awsFailure('function-failed', 'Listing the event source mappings', error);
      });
      for (const UUID of all.filter(isOurs).flatMap((m) => m.UUID ?? []))
        await until('Removing the event source mapping', async () => {
          const state = await stateOf(lambda, UUID);
          if (state === undefined) return true;
          if (state !== 'Deleting')
            await lambda.send(new DeleteEventSourceMappingCommand({ UUID })).catch(later);
          return false;
        });
    },
  };
}

/** False where it must be tried again: the queue is too new to be seen, or another capture was faster. */
async function create(lambda: LambdaClient, functionName: string, queueArn: string): Promise<boolean> {
  try {
    await lambda.send(
      new CreateEventSourceMappingCommand({
        FunctionName: functionName,
        EventSourceArn: queueArn,
        BatchSize: BATCH_SIZE,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
      }),
    );
    return true;
  } catch (error) {
    if (awsErrorName(error) === 'ResourceConflictException') return false;
    const tooNew = error instanceof Error && /does ?n[o']t exist|NonExistentQueue/i.test(error.message);
    if (awsErrorName(error) === 'InvalidParameterValueException' && tooNew) return false;
    throw error;
  }
}

async function findMappings(
  lambda: LambdaClient,
  functionName: string,
  filter: { EventSourceArn?: string },
): Promise<EventSourceMappingConfiguration[]> {
  const found: EventSourceMappingConfiguration[] = [];
  let marker: string | undefined;
  do {
    const page = await lambda.send(
      new ListEventSourceMappingsCommand({
        FunctionName: functionName,
        ...filter,
        ...(marker ? { Marker: marker } : {}),
      }),
    );
    found.push(...(page.EventSourceMappings ?? []));
    marker = page.NextMarker || undefined;
  } while (marker);
  return found;
}

async function stateOf(lambda: LambdaClient, uuid: string): Promise<string | undefined> {
  try {
    return (await lambda.send(new GetEventSourceMappingCommand({ UUID: uuid }))).State ?? 'Enabled';
  } catch (error) {
    if (awsErrorName(error) === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}

/** A mapping that is being changed can not be deleted yet; one that is gone needs no deletion. */
function later(error: unknown): void {
  if (!/ResourceInUseException|ResourceConflictException|ResourceNotFoundException/.test(awsErrorName(error)))
    throw error;
}
