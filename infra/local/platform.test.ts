import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Platform } from './platform.ts';

test('the platform knows its address, however little is logged', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'pgtwin-platform-'));
  try {
    const lines: string[] = [];
    const platform = await Platform.start({
      stateDir,
      persistent: false,
      apiTokens: 'test:viewer:0123456789abcdef',
      log: 'error',
      onLine: (line) => lines.push(line),
    });
    try {
      expect((await fetch(`${platform.apiUrl}/openapi.json`)).status).toBe(200);
      expect(lines).toEqual([]);
    } finally {
      await platform.stop();
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
