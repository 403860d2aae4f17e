import { describe, expect, test } from 'vitest';
import { openTestApi, storePair } from '../../test/support/api.ts';
import { openCommandLine } from '../../test/support/command-line.ts';
import { commands } from './commands.ts';

const secret = 'postgres://me:hunter2-hunter2@a.example.com/shop';

describe('help', () => {
  test('every command has one, which needs no API and names all its options', async () => {
    const pgtwin = openCommandLine(openTestApi());
    const all = await pgtwin('--help');
    for (const command of commands) {
      expect(all.out).toContain(`  ${command.name}`);
      const own = await pgtwin(`${command.name} --help`, { variables: { PGTWIN_API: 'nonsense' } });
      expect(own).toMatchObject({ code: 0, err: '' });
      expect(own.out).toContain(`Usage: pgtwin ${command.name}`);
      for (const name of Object.keys(command.options ?? {})) expect(own.out).toContain(`--${name}`);
      for (const word of ['--json', '--api', '--token', 'Exit codes']) expect(own.out).toContain(word);
      expect((await pgtwin(`help ${command.name}`)).out).toBe(own.out);
    }
  });

  test('without a command it is shown, and the exit code says that something was missing', async () => {
    const pgtwin = openCommandLine(openTestApi());
    expect(await pgtwin([])).toMatchObject({ code: 2, out: (await pgtwin('--help')).out });
    expect((await pgtwin('--version')).out).toMatch(/^\d+[.]\d+[.]\d+\n$/);
  });
});

describe('a command line that is wrong', () => {
  const wrong: readonly [line: string, words: RegExp][] = [
    ['precheck --ignor sequences', /pgtwin precheck: unknown option --ignor\n/],
    [`pair create --b=x --pasword=${secret}`, /unknown option --pasword\n/],
    ['pair create -x', /unknown option -x\n/],
    ['nothing', /unknown command nothing; there are pair create, pair list/],
    ['pair', /which one: pair create, pair list/],
    ['--task forward pause', /the command comes first, then options such as --task/],
    [`pair show x ${secret}`, /takes at most 1 argument/],
    [`pair list ${secret}`, /takes no arguments/],
    ['release', /needs PAIR/],
    ['pause --task sideways', /--task must be forward or reverse/],
    ['events --limit many', /--limit must be a whole number/],
    ['events --cursor x', /--cursor needs --task/],
    ['pair create --a', /'--a <value>' argument missing/],
    ['pair create --a x --shards many', /--shards must be a whole number/],
    ['conflicts resolve 17', /--take source or --take destination/],
    ['configure --policy ignore', /say which tables/],
    ['precheck --last --ignore-alerts', /--last runs nothing/],
  ];
  test.each(wrong)('%s', async (line, words) => {
    const ran = await openCommandLine(openTestApi())(line);
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toMatch(words);
    expect(ran.err).toMatch(/--help/);
    expect(ran.err).not.toContain('hunter2');
  });

  test('with --json the error is JSON', async () => {
    const ran = await openCommandLine(openTestApi())('precheck --json --frob');
    expect(ran.code).toBe(2);
    expect(JSON.parse(ran.err)).toEqual({
      error: { code: 'invalid-request', detail: 'unknown option --frob' },
    });
  });
});

describe('where the API is', () => {
  const pgtwin = openCommandLine(openTestApi());

  test('options go before the environment', async () => {
    const bad = { PGTWIN_API: 'http://other.example.com', PGTWIN_TOKEN: 'wrong-wrong-wrong-wrong' };
    expect((await pgtwin('pair list', { variables: { PGTWIN_TOKEN: bad.PGTWIN_TOKEN } })).code).toBe(1);
    const line = 'pair list --api http://api.example.com/ --token admin-token-0123456789';
    expect((await pgtwin(line, { variables: bad })).code).toBe(0);
  });

  test('an address that is none, and an address without a token', async () => {
    expect((await pgtwin('pair list --api api.example.com')).err).toMatch(/--api .* must be an address/);
    const nobody = { variables: { PGTWIN_TOKEN: undefined, PGTWIN_HOME: '/nowhere/at/all' } };
    expect(await pgtwin('pair list', nobody)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/a token is needed/),
    });
    expect((await pgtwin('open-api', nobody)).code).toBe(0);
    const nothing = { variables: { ...nobody.variables, PGTWIN_API: undefined } };
    const ran = await pgtwin('pair list', nothing);
    expect(ran).toMatchObject({ code: 3, err: expect.stringMatching(/\/nowhere\/at\/all.*\n.*PGTWIN_API/) });
  });

  test('what the API refuses is told in its words, with the way out', async () => {
    const ran = await pgtwin('pair show nosuchpair');
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toBe(
      'pgtwin pair show: There is no pair with the id or name nosuchpair.\nSee "pgtwin pair list".\n',
    );
    const viewer = { variables: { PGTWIN_TOKEN: 'viewer-token-0123456789' } };
    const api = openTestApi();
    const id = await storePair(api);
    const refused = await openCommandLine(api)(`pause ${id} --json`, viewer);
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.err).error).toMatchObject({ code: 'forbidden', advice: expect.any(String) });
  });
});

test('what a terminal would obey does not reach it', async () => {
  const api = openTestApi();
  const pair = await api.repository.getPair(await storePair(api));
  await api.repository.createPair({ ...pair, id: 'pair0002', name: 'red\u001b[31m\u009bm' });
  const pgtwin = openCommandLine(api);
  const ran = await pgtwin('pair list');
  expect(ran.out).toContain('red\ufffd[31m\ufffdm');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  expect(ran.out).not.toMatch(/[\u001b\u009b]/);
  expect(JSON.parse((await pgtwin('pair list --json')).out).pairs[1].name).toBe('red\u001b[31m\u009bm');
});
