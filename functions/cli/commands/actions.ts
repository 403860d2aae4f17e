import type { PlainAction, Restart } from '../../../shared/client/client.ts';
import type { PairView } from '../../../shared/client/contract.ts';
import { type Direction, directions, type TaskState } from '../../../shared/task/schema.ts';
import { type Winner, winners, wordsOfWinner } from '../../../shared/verify/winner.ts';
import { type Command, defineCommand, integerOf } from '../command.ts';
import { leftoverLines } from '../leftovers.ts';
import { confirm, directionsOf, pickPair, taskOption, yesOption } from '../pick.ts';
import { waitFor, waitOptions } from '../watch.ts';

type Plan = {
  readonly summary: string;
  /** Where it leads to. */
  readonly goal: readonly TaskState[];
  /** What it does that can not be undone. */
  readonly warning?: string;
  /** Asked for again in its goal, it has nothing to do. */
  readonly settled?: true;
  readonly about?: string;
};

const running: readonly TaskState[] = ['Running', 'Finished'];
const every = 'Without --task it is for every task that allows it now.';
const plans: Readonly<Record<PlainAction, Plan>> = {
  start: {
    summary: 'Start a task whose precheck has passed',
    goal: running,
    about:
      'Without --task the forward one, then the reverse. A reverse task that starts by itself needs no call.',
  },
  pause: { summary: 'Pause; the slot keeps what was not read', goal: ['Paused'], settled: true },
  resume: { summary: 'Resume what was paused', goal: running },
  retry: { summary: 'Try a failed task again from where it stopped', goal: running },
  restart: {
    summary: 'Restart a task from the beginning',
    goal: running,
    warning: 'All rows are copied again.',
  },
  release: {
    summary: 'Release a task: drop all that it made, on both sides',
    goal: ['Released'],
    settled: true,
    warning: 'A released task can not be started again.',
  },
};

const repairOptions = {
  repair: {
    type: 'string',
    value: 'SIDE',
    choices: winners,
    help: 'then repair what differs: this side wins, or the one that each conflict policy speaks for',
  },
} as const;
const orderOf = (winner: Winner): Restart => ({
  verify: 'repair',
  ...(winner === 'policy' ? {} : { winner }),
});

/** The tasks that a call without --task is for; if none allows it, the API says why. */
function tasksFor(action: PlainAction, { tasks }: PairView): readonly Direction[] {
  const allowed = directions.filter((direction) => tasks[direction].allowedActions.includes(action));
  if (action === 'start') return [allowed[0] ?? 'forward'];
  return allowed.length > 0 ? allowed : ['forward'];
}

const isSettled = ({ goal, settled }: Plan, { tasks }: PairView, wanted: readonly Direction[]): boolean =>
  settled === true && wanted.every((direction) => goal.includes(tasks[direction].state));

const define = (action: PlainAction, plan: Plan): Command =>
  defineCommand({
    name: action,
    summary: plan.summary,
    about: [plan.about ?? every],
    // What can not be undone is not done to whatever pair there is.
    ...(plan.warning ? { arguments: 'PAIR', least: 1 } : { arguments: '[PAIR]', most: 1 }),
    options: {
      ...(action === 'restart' ? repairOptions : {}),
      ...{ task: taskOption, ...waitOptions, yes: yesOption },
    },
    async run(context, values, [given]) {
      const { api, say, print } = context;
      const repair = winners.find((each) => each === values.repair);
      const timeoutSeconds = integerOf(values.timeout, '--timeout', 3600);
      const pair = await pickPair(api, given);
      if (isSettled(plan, pair, directionsOf(values.task))) {
        print(pair.tasks);
        for (const direction of directionsOf(values.task))
          say(`${direction.padEnd(8)} ${plan.goal[0]} already`);
        return 0;
      }
      const wanted = values.task ? [values.task] : tasksFor(action, pair);
      if (plan.warning) {
        const what = `${action} the ${wanted.join(' and ')} task of ${pair.id} (${pair.name})`;
        const then = repair ? ` Then what differs is repaired: ${wordsOfWinner(repair)}.` : '';
        await confirm(context, values.yes, `${plan.warning}${then} Really ${what}?`);
      }
      const moved: { [D in Direction]?: unknown } = {};
      for (const direction of wanted) {
        const task = await (action === 'restart' && repair
          ? api.restart(pair.id, direction, orderOf(repair))
          : api.act(pair.id, direction, action));
        moved[direction] = task;
        if (!values.wait) say(`${direction.padEnd(8)} ${task.state}`);
      }
      if (!values.wait) {
        print(moved);
        return 0;
      }
      const follows = action === 'start' && wanted[0] === 'forward' && pair.tasks.reverse.autoStart;
      const awaited = follows ? directions : wanted;
      const done = await waitFor(context, {
        pair: pair.id,
        directions: awaited,
        states: plan.goal,
        timeoutSeconds,
      });
      print(Object.fromEntries(awaited.map((direction) => [direction, done.tasks[direction]])));
      const left = leftoverLines(done, awaited);
      for (const line of left) say(line);
      return left.length > 0 ? 1 : 0;
    },
  });

export const actionCommands: readonly Command[] = (Object.keys(plans) as PlainAction[]).map((action) =>
  define(action, plans[action]),
);
