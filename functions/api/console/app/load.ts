import { useEffect, useState } from 'preact/hooks';
import type { ApiClient } from '../../../../shared/client/client.ts';
import { api } from './session.ts';

/** Something of the API: on its way, there, or refused. What was there stays while it is read again. */
export type Loaded<T> = {
  readonly value: T | undefined;
  readonly error: unknown;
  readonly loading: boolean;
};

/** Reads once, again when `key` changes, and again by `reload`. */
export function useLoad<T>(
  key: string,
  read: (api: ApiClient) => Promise<T>,
): Loaded<T> & { reload(): void; replace(value: T): void } {
  const [state, setState] = useState<Loaded<T> & { key: string }>({
    ...{ key, value: undefined, error: undefined, loading: true },
  });
  const [turn, setTurn] = useState(0);
  // `key` says what `read` reads
  useEffect(() => {
    let current = true;
    setState((old) => ({
      ...{ key, error: undefined, loading: true },
      value: old.key === key ? old.value : undefined,
    }));
    read(api()).then(
      (value) => current && setState({ key, value, error: undefined, loading: false }),
      (error: unknown) => current && setState((old) => ({ key, value: old.value, error, loading: false })),
    );
    return () => {
      current = false;
    };
  }, [key, turn]);
  return {
    ...(state.key === key ? state : { value: undefined, error: undefined, loading: true }),
    reload: () => setTurn((n) => n + 1),
    replace: (value) => setState({ key, value, error: undefined, loading: false }),
  };
}

/** Reads again and again while the page is seen; what was there stays when a read fails. */
export function usePoll<T>(
  key: string,
  everyMs: number,
  read: (api: ApiClient) => Promise<T>,
): Loaded<T> & { again(): void } {
  const [state, setState] = useState<Loaded<T> & { key: string }>({
    ...{ key, value: undefined, error: undefined, loading: true },
  });
  const [turn, setTurn] = useState(0);
  // `key` says what `read` reads
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      try {
        const value = await read(api());
        if (current) setState({ key, value, error: undefined, loading: false });
      } catch (error) {
        if (current)
          setState((old) => ({ key, value: old.key === key ? old.value : undefined, error, loading: false }));
      }
      if (current && !document.hidden) timer = setTimeout(look, everyMs);
    };
    const seen = (): void => {
      if (!document.hidden) void look();
    };
    document.addEventListener('visibilitychange', seen);
    void look();
    return () => {
      current = false;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [key, everyMs, turn]);
  return {
    ...(state.key === key ? state : { value: undefined, error: undefined, loading: true }),
    again: () => setTurn((n) => n + 1),
  };
}
