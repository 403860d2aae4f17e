import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';

const projectFolder = resolve(import.meta.dirname, '..');
const app = join(projectFolder, 'functions/api/console/app');

/** Builds the web console into a folder of its own: one page, and files whose names hold a hash of what they hold. */
export async function buildConsole(output: string): Promise<void> {
  await rm(output, { recursive: true, force: true });
  await mkdir(output, { recursive: true });
  const { metafile } = await build({
    entryPoints: [join(app, 'main.tsx'), join(app, 'icon.svg')],
    outdir: output,
    absWorkingDir: projectFolder,
    entryNames: '[name]-[hash]',
    bundle: true,
    platform: 'browser',
    target: ['chrome110', 'firefox115', 'safari16.4'],
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.svg': 'copy' },
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const names = Object.keys(metafile.outputs).map((path) => basename(path));
  const named = (start: string, end: string): string => {
    const found = names.find((name) => name.startsWith(start) && name.endsWith(end));
    if (!found) throw new PgtwinError('internal', { detail: `The console was built without a ${end} file.` });
    return found;
  };
  const page = pageOf({
    script: named('main-', '.js'),
    style: named('main-', '.css'),
    icon: named('icon-', '.svg'),
  });
  await writeFile(join(output, 'index.html'), page);
}

const pageOf = ({ script, style, icon }: { script: string; style: string; icon: string }): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>pgtwin</title>
<link rel="icon" href="${icon}" type="image/svg+xml">
<link rel="stylesheet" href="${style}">
<script type="module" src="${script}"></script>
</head>
<body>
<div id="app"></div>
<noscript>The pgtwin console needs JavaScript.</noscript>
</body>
</html>
`;
