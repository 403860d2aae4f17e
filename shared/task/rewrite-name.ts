import { createContext, Script } from 'node:vm';

/** Names are short: only what tries the same characters again and again takes so long, on a busy machine too. */
const TIMEOUT_MS = 2_000;
/** Names on which careless expressions run away. */
const PROBES = [
  'a'.repeat(62),
  `${'a'.repeat(61)}!`,
  `${'_'.repeat(61)}!`,
  `${'1'.repeat(61)}!`,
  'a_'.repeat(31),
];

export type NameRewriter = {
  /** What is wrong with the expression, for a person. */
  readonly wrong: string | undefined;
  /** The name with the first match replaced; undefined if that took too long. */
  readonly rewrite: (name: string) => string | undefined;
};

/** A user's regular expression over names: in a context of its own, with a time limit that ends backtracking. */
export function nameRewriter(match: string, replace: string): NameRewriter {
  const id = `${match}\0${replace}`;
  let rewriter = known.get(id);
  if (!rewriter) {
    if (known.size >= MOST_KNOWN) known.clear();
    rewriter = makeRewriter(match, replace);
    known.set(id, rewriter);
  }
  return rewriter;
}

/** Configurations are read again every few seconds. */
const known = new Map<string, NameRewriter>();
const MOST_KNOWN = 500;

function makeRewriter(match: string, replace: string): NameRewriter {
  const context = createContext(Object.create(null), { codeGeneration: { strings: false, wasm: false } });
  Object.assign(context, { match, replace });
  const rewrite = (name: string): string | undefined => {
    context['name'] = name;
    try {
      return String(script.runInContext(context, { timeout: TIMEOUT_MS }));
    } catch {
      return undefined;
    }
  };
  try {
    new RegExp(match, 'u');
  } catch (error) {
    return { wrong: `is not a regular expression: ${(error as Error).message}`, rewrite: () => undefined };
  }
  const slow = PROBES.some((probe) => rewrite(probe) === undefined);
  return {
    wrong: slow ? 'backtracks without end on some names: write it without nested repetition' : undefined,
    rewrite,
  };
}

const script = new Script('name.replace(new RegExp(match, "u"), replace)', { filename: 'rewrite-name.js' });
