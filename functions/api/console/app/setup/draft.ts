import { signal } from '@preact/signals';
import type {
  ActionPreview,
  ApiClient,
  Configure,
  ConfigureBoth,
  Preview,
} from '../../../../../shared/client/client.ts';
import type { PairView } from '../../../../../shared/client/contract.ts';
import { asPgtwinError } from '../../../../../shared/errors/pgtwin-error.ts';
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
};

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
  const draft = draftOf(asConfig(forward.config), asConfig(reverse.config));
  setDraft(pair.id, draft);
  return draft;
}

function draftOf(forward: Config | undefined, reverse: Config | undefined): Draft {
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
export const reverseSettings = ({ forward, reverse, sameSettings }: Draft): Config =>
  sameSettings ? forward : reverse;

/** The request that a draft is. What leads back from mapped names is asked of the API. */
export async function requestOf(api: ApiClient, pair: string, draft: Draft): Promise<ConfigureBoth> {
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

/** Stores a draft as the configuration of its tasks. Throws with fields as `forward.…` and `reverse.…`. */
export async function saveDraft(api: ApiClient, pair: string, scope: Scope, draft: Draft): Promise<void> {
  if (scope === 'both') {
    await api.configureBoth(pair, await requestOf(api, pair, draft));
    return;
  }
  await api.configureTask(pair, 'reverse', draft.reverse as Configure);
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
