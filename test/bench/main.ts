import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { bounds } from './bounds.ts';
import { copy } from './copy.ts';
import { openDatabases } from './databases.ts';
import { detection } from './detection.ts';
import { drain } from './drain.ts';
import { growth } from './growth.ts';
import { homes, openHome } from './homes.ts';
import { large } from './large.ts';
import { latency } from './latency.ts';
import { makeTables } from './load.ts';
import { machineFacts } from './machine.ts';
import { Native } from './native.ts';
import { pieces } from './pieces.ts';
import { writePlots } from './plots.ts';
import { Profiler } from './profiler.ts';
import type { Bench } from './rounds.ts';
import { Twin } from './twin.ts';

const usage = `Usage: npm run bench -- [options]

Compares pgtwin with PostgreSQL's own logical replication (origin = none both ways) on the same
two servers, in turns. A ratio above 1 means that pgtwin is faster.

  --work W1,W2  W1 backlog, W1b backlogs on both sides, W2 a large transaction, W3 latency at 200 transactions a
                second, W3b at 2,000, W4 copy, detection (what looking for conflicts costs), pieces (capture,
                codec and apply alone); default: all of these. When asked for: load (latency from 20 to 4,000
                transactions a second), growth (throughput by amount, shards, tables, sizes), bounds (2,000 tables, 1,000
                columns, a row of 100 MB, slow destination)
  --quick       small amounts, for a look; figures for comparison need the full ones
  --rounds N    of each (default 3, quick 2)
  --only SYSTEM native or pgtwin alone, for a profile
  --scale N     100,000 accounts each (default 50, quick 5)
  --on PLATFORM embedded (default) or localstack
  --unix        servers are reached by their unix sockets, by both systems and the load; default: TCP on loopback
  --shards N    shards of the pair (default 1); growth has its own
  --config JSON fields over the configuration of pgtwin's tasks
  --profile DIR processor profiles of pgtwin's processes while they drain (W1, W1b, W2), for Chrome's tools
  --json FILE   the figures as JSON
  --plots DIR   plots of growth and latency as SVG, of what was run
  --log LEVELS  what pgtwin's parts log, such as info,apply=debug; all of it is shown`;

const works: Record<string, (bench: Bench) => Promise<object>> = {
  W1: (bench) => drain(bench, ['a'], bench.quick ? 20_000 : 100_000),
  W1b: (bench) => drain(bench, ['a', 'b'], bench.quick ? 20_000 : 100_000),
  W2: (bench) => large(bench, bench.quick ? 200_000 : 1_000_000),
  W3: (bench) => latency(bench, 200, bench.quick ? 5 : 20),
  W3b: (bench) => latency(bench, 2000, bench.quick ? 5 : 20),
  W4: (bench) => copy(bench),
  detection: (bench) => detection(bench, bench.quick ? 40_000 : 100_000),
  pieces: (bench) => pieces(bench, bench.quick ? 20_000 : 100_000),
  load: async (bench) => {
    const rates = [20, 200, 1000, 2000, 4000];
    const at: Record<string, object> = {};
    for (const rate of rates) at[rate] = await latency(bench, rate, bench.quick ? 3 : 10);
    return at;
  },
  growth,
  bounds,
};
const onRequest = ['load', 'growth', 'bounds'];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      work: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      scale: { type: 'string' },
      on: { type: 'string', default: 'embedded' },
      unix: { type: 'boolean', default: false },
      config: { type: 'string' },
      shards: { type: 'string' },
      json: { type: 'string' },
      plots: { type: 'string' },
      profile: { type: 'string' },
      log: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const { quick } = values;
  const chosen = values.work?.split(',') ?? Object.keys(works).filter((name) => !onRequest.includes(name));
  const unknown = chosen.find((name) => !(name in works));
  if (unknown) throw new Error(`There is no work "${unknown}": ${Object.keys(works).join(', ')}.`);
  const scale = Number(values.scale ?? (quick ? 5 : 50));

  const home = homes.find((name) => name === values.on);
  if (!home) throw new Error(`There is no platform "${values.on}": ${homes.join(', ')}.`);
  const connection = values.unix ? 'unix' : 'tcp';

  await using databases = await openDatabases(connection);
  const machine = machineFacts(databases.a.server.version, home, connection);
  console.log(JSON.stringify(machine));
  await makeTables(databases, scale);
  const profiler = values.profile === undefined ? undefined : new Profiler(values.profile);
  const opened = await openHome(home, {
    variables: {
      ...(profiler ? Profiler.variables : {}),
      ...(values.log ? { PGTWIN_LOG: values.log } : {}),
    },
    onLine: (line) => {
      profiler?.line(line);
      // Metrics are lines without a level.
      if (values.log || !/"level":"(debug|info)"|^\{"_aws":/.test(line)) console.log(`    ${line}`);
    },
  });
  const config = values.config ? { config: JSON.parse(values.config) as object } : {};
  const shards = values.shards ? { shards: Number(values.shards) } : {};
  const twin = new Twin(opened, { databases, ...config, ...shards });
  const figures: Record<string, object> = {};
  try {
    const bench: Bench = {
      databases,
      native: new Native(databases),
      twin,
      rounds: Number(values.rounds ?? (quick ? 2 : 3)),
      quick,
      scale,
      only: values.only as Bench['only'],
      say: console.log,
      profile: profiler && ((on) => profiler.start(on.processes())),
    };
    for (const name of chosen) {
      console.log(`${name} (load ${loadavg()[0]!.toFixed(1)})`);
      figures[name] = await works[name]!(bench);
      console.log(`  ${JSON.stringify(figures[name])}`);
    }
  } finally {
    await opened.stop();
  }
  if (values.plots) await writePlots(values.plots, figures);
  if (values.json) await writeFile(values.json, `${JSON.stringify({ machine, work: figures }, null, 2)}\n`);
}

await main();
// Servers that were stopped at once leave sockets behind that nobody waits for.
process.exit();
