import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAst } from 'vitest/node';

/** One import, re-export, `import()` or `import('…').Type` of a source file. */
export type Import = {
  readonly from: string;
  /** A path from the root for a file of ours (`shared/log/log.ts`), else the name as written (`node:fs`, `pg`). */
  readonly to: string;
  readonly ours: boolean;
  /** Gone at run time. */
  readonly typeOnly: boolean;
};

export type SourceFile = {
  readonly file: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly readsEnvironment: boolean;
};

/** Reads every TypeScript file of these folders with the parser that vitest itself uses. */
export function readSources(root: string, folders: readonly string[]): SourceFile[] {
  const inside = { cwd: root, exclude: ['**/node_modules', '**/dist', '**/cdk.out'] };
  const files = globSync(
    folders.map((folder) => `${folder}/**/*.{ts,tsx}`),
    inside,
  );
  return files.sort().map((file) => {
    const text = readFileSync(path.join(root, file), 'utf8');
    return { file, lines: text.split('\n').length, ...factsOf(file, text) };
  });
}

type Node = { readonly type: string; readonly [key: string]: unknown };
const isNode = (value: unknown): value is Node => typeof (value as Node | null)?.type === 'string';

/** What one file's text imports. */
export function factsOf(file: string, text: string): Pick<SourceFile, 'imports' | 'readsEnvironment'> {
  const imports: Import[] = [];
  let readsEnvironment = false;
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isNode(value)) return;
    const name = isNode(value['source']) ? value['source']['value'] : undefined;
    if (typeof name === 'string') imports.push(importOf(file, name, isTypeOnly(value)));
    readsEnvironment ||= namesEnvironment(value, name);
    Object.values(value).forEach(visit);
  };
  visit(parseAst(text, { lang: file.endsWith('x') ? 'tsx' : 'ts' }, file));
  return { imports, readsEnvironment };
}

function importOf(from: string, name: string, typeOnly: boolean): Import {
  const ours = name.startsWith('.');
  return { from, to: ours ? path.posix.join(path.posix.dirname(from), name) : name, ours, typeOnly };
}

/** `import { type A }` is none: it still loads the module. */
const isTypeOnly = (node: Node): boolean =>
  node.type === 'TSImportType' || node['importKind'] === 'type' || node['exportKind'] === 'type';

/** `process.env` or `import { env } from 'node:process'`. */
function namesEnvironment(node: Node, source: unknown): boolean {
  const names = (key: string, of: Node = node): unknown => {
    const part = of[key] as Node | undefined;
    return part?.['name'] ?? part?.['value'];
  };
  if (node.type === 'MemberExpression') return names('object') === 'process' && names('property') === 'env';
  if (source !== 'node:process' && source !== 'process') return false;
  return ((node['specifiers'] ?? []) as Node[]).some((specifier) => names('imported', specifier) === 'env');
}

/** Groups of files that import each other in a circle, each as the path of one circle. */
export function circles(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to, ours } of imports) if (ours) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const found: string[][] = [];
  const walk = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start >= 0) found.push([...trail.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const to of next.get(file) ?? []) walk(to, [...trail, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return found;
}

/** Everything outside our own files that a file loads, itself or through others, with the way there. */
export function loads(file: string, imports: readonly Import[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const seen = new Set<string>();
  const walk = (at: string, trail: string[]): void => {
    if (seen.has(at)) return;
    seen.add(at);
    for (const each of imports) {
      if (each.from !== at || each.typeOnly) continue;
      if (each.ours) walk(each.to, [...trail, each.to]);
      else if (!found.has(each.to)) found.set(each.to, [...trail, each.to]);
    }
  };
  walk(file, [file]);
  return found;
}
