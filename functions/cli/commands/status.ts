import { setTimeout as pause } from 'node:timers/promises';
import type { PairView } from '../../../shared/client/contract.ts';
import { type Direction, taskStates } from '../../../shared/task/schema.ts';
import { defineCommand, integerOf } from '../command.ts';
import { directionsOf, pickPair, taskOption } from '../pick.ts';
import { pairLines } from '../status-text.ts';
import { patient, statusDrawer, waitFor } from '../watch.ts';

export const taskStatus = defineCommand({
  name: 'task status',
  summary: 'Show states, progress, latency and errors of the tasks',
  arguments: '[PAIR]',
  most: 1,
  about: [
    'With --watch it is drawn again and again, until Ctrl-C; with --json as one line each time. --until waits for a\n' +
      'state and ends with 1 if a task fails before.',
  ],
  options: {
    task: taskOption,
    watch: { type: 'boolean', short: 'w', help: 'keep looking' },
    interval: { type: 'string', value: 'SECONDS', help: 'with --watch: between two looks (1)' },
    until: {
      type: 'string',
      value: 'STATE',
      choices: taskStates,
      help: 'wait until the tasks are in this state',
    },
    timeout: { type: 'string', value: 'SECONDS', help: 'with --until: give up after this long (3600)' },
  },
  examples: ['pgtwin task status --watch', 'pgtwin task status shop --until Running --timeout 600'],
  async run(context, values, [given]) {
    const { api, io, json, paint, say, print } = context;
    const everyMs = integerOf(values.interval, '--interval', 1) * 1000;
    const timeoutSeconds = integerOf(values.timeout, '--timeout', 3600);
    const pair = await pickPair(api, given);
    const directions = directionsOf(values.task);
    const draw = statusDrawer(context, directions);
    const look = (seen: PairView): void => {
      if (json) io.out.write(`${JSON.stringify(statusOf(seen, directions))}\n`);
      draw(seen);
    };
    if (values.until) {
      await waitFor(context, {
        ...{ pair: pair.id, directions, states: [values.until], timeoutSeconds, onLook: look },
        ...(values.watch ? { everyMs } : {}),
      });
      return 0;
    }
    if (!values.watch) {
      print(statusOf(pair, directions));
      for (const line of pairLines(pair, { directions, paint, now: new Date() })) say(line);
      return 0;
    }
    for (const watching = patient(api, io.signal); ; ) {
      look(await watching.getPair(pair.id));
      await pause(everyMs, undefined, { signal: io.signal });
    }
  },
});

const statusOf = ({ id, name, tasks }: PairView, directions: readonly Direction[]) => ({
  id,
  name,
  tasks: Object.fromEntries(directions.map((direction) => [direction, tasks[direction]])),
});
