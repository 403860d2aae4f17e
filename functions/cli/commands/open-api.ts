import { defineCommand } from '../command.ts';

export const openApi = defineCommand({
  name: 'open-api',
  summary: 'Print the OpenAPI description of the API',
  options: { output: { type: 'string', value: 'FILE', help: 'write it there instead' } },
  tokenless: true,
  async run({ api, io }, { output }) {
    const text = `${JSON.stringify(await api.openApi(), null, 2)}\n`;
    if (output === undefined) io.out.write(text);
    else await io.writeFile(output, text);
    return 0;
  },
});
