import { signal } from '@preact/signals';
import type {
  ActionPreview,
  ApiClient,
  Configure,
  ConfigureBoth,
  Preview,
} from '../../../../../shared/client/client.ts';
import type { PairView } from '../../../../../shared/client/contract.ts';
import { etagOfPair, etagOfTask } from '../../../../../shared/client/etag.ts';
import { asPgtwinError, PgtwinError } from '../../../../../shared/errors/pgtwin-error.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { mirrorOf } from './mirror.ts';
import { everything, type Selection } from './selection.ts';

/** A task's configuration as it is being written; the API knows what its fields are. */
export type Config = { readonly objects: Selection; readonly [field: string]: unknown };

/** What the reverse task gets: the forward's tables, tables of its own, or nothing yet. */
export type ReverseObjects = 'same' | 'own' | 'later';

export type Draft = {
  readonly forward: Config;
  /** Undefined until it was chosen: nothing is taken over silently. */
  readonly reverseObjects: ReverseObjects | undefined;
  readonly reverse: Config;
  /** The reverse's settings are the forward's. */
  readonly sameSettings: boolean;
  /** What was stored of each task when the draft was begun, or saved last. */
  readonly stored: Stored;
};

type Stored = Readonly<Record<Direction, string>>;
const storedOf = (config: object | undefined): string => JSON.stringify(config ?? null);

/** Which tasks the setup is for: both, or the reverse one beside a forward task that runs. */
export type Scope = 'both' | 'reverse';
export const scopeOf = ({ tasks }: PairView): Scope => (tasks.forward.generation === 0 ? 'both' : 'reverse');

/** True if there is nothing to set up any more: a task that was started keeps its configuration. */
export function isSetUp({ tasks }: PairView): boolean {
  const { forward, reverse } = tasks;
  if (forward.generation === 0) return forward.state === 'Released';
  return reverse.generation > 0 || reverse.state === 'Released';
}

/** What every step gets. */
export type StepProps = {
  readonly pair: PairView;
  readonly draft: Draft;
  readonly scope: Scope;
  /** Looks at the pair again, now. */
  readonly again: () => void;
};

/** By pair, until the page is left for good. */
export const drafts = signal<Readonly<Record<string, Draft>>>({});

export const setDraft = (pair: string, draft: Draft): void => {
  drafts.value = { ...drafts.value, [pair]: draft };
};

/** What the API last said of a draft, for the step that has the field. */
export const refusals = signal<Readonly<Record<string, unknown>>>({});

export const setRefusal = (pair: string, refusal: unknown): void => {
  refusals.value = { ...refusals.value, [pair]: refusal };
};

const asConfig = (config: object | undefined): Config | undefined => config as Config | undefined;

/** The draft of a pair, begun with what is stored. */
export async function openDraft(api: ApiClient, pair: PairView): Promise<Draft> {
  const known = drafts.value[pair.id];
  if (known) return known;
  const [forward, reverse] = await Promise.all([
    api.getTask(pair.id, 'forward'),
    api.getTask(pair.id, 'reverse'),
  ]);
  const stored = { forward: storedOf(forward.config), reverse: storedOf(reverse.config) };
  const draft = { ...draftOf(asConfig(forward.config), asConfig(reverse.config)), stored };
  setDraft(pair.id, draft);
  return draft;
}

function draftOf(forward: Config | undefined, reverse: Config | undefined): Omit<Draft, 'stored'> {
  const begun: Config = forward ?? { objects: everything, conflictPolicy: 'last-write-wins' };
  const sameObjects = reverse && JSON.stringify(reverse.objects) === JSON.stringify(begun.objects);
  const settingsOf = ({ objects: _o, ...settings }: Config) => JSON.stringify(settings);
  return {
    forward: begun,
    reverse: reverse ?? { objects: everything, conflictPolicy: begun['conflictPolicy'] },
    reverseObjects: reverse ? (sameObjects ? 'same' : 'own') : undefined,
    sameSettings: reverse === undefined || settingsOf(reverse) === settingsOf(begun),
  };
}

/** The settings of the reverse task, whatever its tables. */
export const reverseSettings = ({
  forward,
  reverse,
  sameSettings,
}: Pick<Draft, 'forward' | 'reverse' | 'sameSettings'>): Config => (sameSettings ? forward : reverse);

/** The request that a draft is. What leads back from mapped names is asked of the API. */
export async function requestOf(
  api: ApiClient,
  pair: string,
  draft: Omit<Draft, 'stored'>,
): Promise<ConfigureBoth> {
  const { reverseObjects, reverse } = draft;
  // The API checks what it is.
  const forward = draft.forward as Configure;
  if (reverseObjects === 'later' || reverseObjects === undefined) return { forward };
  const objects =
    reverseObjects === 'own' ? reverse.objects : await mirrorOf(api, pair, draft.forward.objects);
  return {
    forward,
    reverse: {
      ...(reverseSettings(draft) as Configure),
      objects: objects as Configure['objects'],
      autoStart: true,
    },
  };
}

/**
 * Stores a draft as the configuration of its tasks, and gives what is stored then. Throws with fields as `forward.…`
 * and `reverse.…`, and `conflict-of-versions` if somebody else has configured a task since the draft was begun: what is
 * stored must be what it was begun with, and of the very version that was read here.
 */
export async function saveDraft(api: ApiClient, pair: string, scope: Scope, draft: Draft): Promise<Stored> {
  const [forward, reverse] = await Promise.all([api.getTask(pair, 'forward'), api.getTask(pair, 'reverse')]);
  const changed =
    storedOf(reverse.config) !== draft.stored.reverse ||
    (scope === 'both' && storedOf(forward.config) !== draft.stored.forward);
  if (changed) throw new PgtwinError('conflict-of-versions', { detail: 'The configuration was changed.' });
  if (scope === 'both') {
    const guard = { ifMatch: etagOfPair([forward, reverse]) };
    const saved = await api.configureBoth(pair, await requestOf(api, pair, draft), guard);
    return { forward: storedOf(saved.forward.config), reverse: storedOf(saved.reverse.config) };
  }
  const guard = { ifMatch: etagOfTask(reverse) };
  const saved = await api.configureTask(pair, 'reverse', draft.reverse as Configure, guard);
  return { ...draft.stored, reverse: storedOf(saved.config) };
}

/** Begins anew with what is stored now. */
export function dropDraft(pair: string): void {
  const { [pair]: _dropped, ...others } = drafts.value;
  drafts.value = others;
  setRefusal(pair, undefined);
}

/** What a draft does, unsent: the tables of each task, and the exact request. */
export async function previewDraft(
  api: ApiClient,
  id: string,
  scope: Scope,
  draft: Draft,
): Promise<{ tables: Preview; request: ActionPreview }> {
  const both: ConfigureBoth =
    scope === 'both'
      ? await requestOf(api, id, draft)
      : { forward: draft.forward as Configure, reverse: draft.reverse as Configure };
  const [tables, request] = await Promise.all([
    api.preview(id, both),
    api.previewAction(
      scope === 'both'
        ? { operation: 'configurePair', id, body: both }
        : { operation: 'configureTask', id, direction: 'reverse', body: draft.reverse },
    ),
  ]);
  return { tables, request };
}

/** Directions that a setup deals with. */
export const directionsOf = (scope: Scope, { reverseObjects }: Draft): readonly Direction[] =>
  scope === 'reverse' ? ['reverse'] : reverseObjects === 'later' ? ['forward'] : ['forward', 'reverse'];

export const isNotFound = (thrown: unknown): boolean => asPgtwinError(thrown).code === 'not-found';
