import { signal } from '@preact/signals';

/** Where in the console we are: the parts of the address behind `#/`. */
export const route = signal<readonly string[]>(read());

function read(): string[] {
  return location.hash
    .replace(/^#\/?/, '')
    .split('/')
    .filter((part) => part !== '')
    .map((part) => decoded(part));
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** An address within the console. */
export const href = (...parts: readonly (string | undefined)[]): string =>
  `#/${parts
    .filter((part) => part !== undefined)
    .map((part) => encodeURIComponent(part))
    .join('/')}`;

export const go = (...parts: readonly (string | undefined)[]): void => {
  location.hash = href(...parts);
};

addEventListener('hashchange', () => {
  route.value = read();
  scrollTo(0, 0);
});
