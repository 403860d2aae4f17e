import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { asPgtwinError } from '../shared/errors/pgtwin-error.ts';
import { buildConsole } from './console.ts';
import { type Bundle, bundles } from './functions.ts';

export const projectFolder = resolve(import.meta.dirname, '..');
export type Built = { readonly name: string; readonly file: string; readonly bytes: number };
export type BuildOptions = {
  /** Only these bundles, by name. */
  readonly only?: readonly string[];
  /** Where to, instead of `dist`. */
  readonly output?: string;
  readonly report?: (line: string) => void;
};

/** What CommonJS packages inside of an ES module expect to find: esbuild keeps out of the way of this name. */
const commonJs = [
  "import { createRequire as pgtwinCreateRequire } from 'node:module';",
  'const require = pgtwinCreateRequire(import.meta.url);',
].join('\n');

/** Bundles every function with all that it needs, the AWS SDK included, so that what runs is what was tested. */
export async function buildFunctions(options: BuildOptions = {}): Promise<Built[]> {
  const { only, output = join(projectFolder, 'dist'), report = () => {} } = options;
  const built: Built[] = [];
  for (const bundle of bundles.filter((b) => !only || only.includes(b.name))) {
    if (!existsSync(join(projectFolder, bundle.entry))) {
      report(`${bundle.name}: skipped, ${bundle.entry} does not exist`);
      continue;
    }
    const file = join(output, bundle.output);
    await rm(dirname(file), { recursive: true, force: true });
    await bundleOne(bundle, file);
    if (bundle.console) await buildConsole(join(dirname(file), 'console'));
    const { size } = await stat(file);
    report(`${bundle.name}: ${(size / 1024).toFixed(0)} KB`);
    built.push({ name: bundle.name, file, bytes: size });
  }
  return built;
}

async function bundleOne(bundle: Bundle, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const { metafile } = await build({
    entryPoints: [join(projectFolder, bundle.entry)],
    outfile: file,
    absWorkingDir: projectFolder,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    minifyWhitespace: true,
    minifySyntax: true,
    // Names stay: stack traces are read in logs, not everywhere with the source map at hand.
    minifyIdentifiers: false,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    // pg's optional binding to libpq, which is never asked for.
    external: ['pg-native'],
    define: { __filename: 'import.meta.filename', __dirname: 'import.meta.dirname' },
    banner: { js: bundle.runs === 'command' ? `#!/usr/bin/env node\n${commonJs}` : commonJs },
    metafile: true,
    logLevel: 'warning',
  });
  await copyWebAssembly(metafile, dirname(file));
  if (bundle.runs === 'command') await chmod(file, 0o755);
}

/** A package that loads WebAssembly looks for it beside its own code, which is the bundle now. */
async function copyWebAssembly(metafile: Metafile, folder: string): Promise<void> {
  for (const input of Object.keys(metafile.inputs)) {
    const beside = join(projectFolder, input.replace(/[.][cm]?js$/, '.wasm'));
    if (beside.endsWith('.wasm') && existsSync(beside))
      await copyFile(beside, join(folder, basename(beside)));
  }
}

if (import.meta.main) {
  console.log('bundling the functions into dist/');
  await buildFunctions({ report: (line) => console.log(line) }).catch((error: unknown) => {
    console.error(asPgtwinError(error).message);
    process.exitCode = 1;
  });
}
