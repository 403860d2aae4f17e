import type { JSX } from 'preact';
import { announcement } from './announce.ts';
import { ConflictPage } from './pages/conflict.tsx';
import { NewPairPage } from './pages/new-pair.tsx';
import { PairPage } from './pages/pair.tsx';
import { PairsPage } from './pages/pairs.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { TaskPage } from './pages/task.tsx';
import { Empty } from './parts/notice.tsx';
import { Page } from './parts/page.tsx';
import { href, route } from './route.ts';
import { may, signOut, token, who } from './session.ts';
import { SetupPage } from './setup/setup.tsx';
import { setTheme, type Theme, theme, themes } from './theme.ts';
import { CutoverPage } from './verify/cutover-page.tsx';
import { VerificationPage } from './verify/run-page.tsx';
import { VerificationsPage } from './verify/runs-page.tsx';

const themeWords: Readonly<Record<Theme, string>> = { system: 'System', light: 'Light', dark: 'Dark' };

/** What stands around every page. */
export function Shell(): JSX.Element {
  const signedIn = token.value !== undefined;
  const [first] = route.value;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to content
      </button>
      <header class="top">
        <a class="brand" href={href()}>
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <rect width="32" height="32" rx="7" class="brand-box" />
            <path d="M7 12h14l-4-4M25 20H11l4 4" class="brand-arrows" />
          </svg>
          pgtwin
        </a>
        {signedIn && (
          <nav aria-label="Main">
            <a href={href()} aria-current={first === undefined || first === 'pairs' ? 'page' : undefined}>
              Pairs
            </a>
            {may('admin') && (
              <a href={href('new')} aria-current={first === 'new' ? 'page' : undefined}>
                New pair
              </a>
            )}
          </nav>
        )}
        <div class="top-end">
          <label class="theme">
            <span>Theme</span>
            <select value={theme.value} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
              {themes.map((name) => (
                <option key={name} value={name} selected={name === theme.value}>
                  {themeWords[name]}
                </option>
              ))}
            </select>
          </label>
          {who.value && (
            <span class="who">
              Signed in as <strong>{who.value.name}</strong>, {who.value.role}
            </span>
          )}
          {signedIn && (
            <button type="button" class="button quiet" onClick={signOut}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {signedIn ? <Routed /> : <SignIn />}
      </main>
      <div class="unseen" aria-live="polite" role="status">
        {announcement.value}
      </div>
    </>
  );
}

function Routed(): JSX.Element {
  const parts = route.value;
  const [area, pair, third, fourth, fifth] = parts;
  const key = parts.join('/');
  if (area === undefined || (area === 'pairs' && pair === undefined)) return <PairsPage key={key} />;
  if (area === 'new') return <NewPairPage key={key} />;
  if (area === 'pairs' && pair !== undefined) {
    if (third === undefined) return <PairPage key={key} id={pair} />;
    if (third === 'verification' && fourth !== undefined)
      return <VerificationPage key={key} id={pair} run={fourth} />;
    if (third === 'verification') return <VerificationsPage key={key} id={pair} />;
    if (third === 'cutover') return <CutoverPage key={key} id={pair} />;
    if (third === 'setup') return <SetupPage key={pair} id={pair} step={fourth} />;
    if (third === 'forward' || third === 'reverse') {
      if (fourth === 'conflicts' && fifth !== undefined)
        return <ConflictPage key={key} id={pair} direction={third} conflict={fifth} />;
      return <TaskPage key={key} id={pair} direction={third} tab={fourth} />;
    }
  }
  return (
    <Page key={key} title="Nothing here">
      <Empty title="There is no such page.">
        <p>
          <a href={href()}>See all pairs</a>
        </p>
      </Empty>
    </Page>
  );
}
