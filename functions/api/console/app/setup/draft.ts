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
export const scopeOf = ({ tasks }: PairView): Scope =>
  tasks.forward.allowedActions.includes('configure') ? 'both' : 'reverse';

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

/** The reverse task's configuration that the draft stands for. */
export function reverseOf({ forward, reverse, reverseObjects, sameSettings }: Draft): Config {
  const settings = sameSettings ? forward : reverse;
  return { ...settings, objects: reverseObjects === 'own' ? reverse.objects : forward.objects };
}

/** The request that a draft is. */
export function requestOf(draft: Draft): ConfigureBoth {
  // The API checks what it is.
  const forward = draft.forward as Configure;
  if (draft.reverseObjects === 'later' || draft.reverseObjects === undefined) return { forward };
  return { forward, reverse: { ...(reverseOf(draft) as Configure), autoStart: true } };
}

/** Stores a draft as the configuration of its tasks. Throws with fields as `forward.…` and `reverse.…`. */
export async function saveDraft(api: ApiClient, pair: string, scope: Scope, draft: Draft): Promise<void> {
  if (scope === 'both') {
    await api.configureBoth(pair, requestOf(draft));
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
  const alone = { operation: 'configureTask', id, direction: 'reverse' as const, body: draft.reverse };
  const both = { operation: 'configurePair', id, body: requestOf(draft) };
  const [tables, request] = await Promise.all([
    api.preview(
      id,
      scope === 'both'
        ? requestOf(draft)
        : { forward: draft.forward as Configure, reverse: draft.reverse as Configure },
    ),
    api.previewAction(scope === 'both' ? both : alone),
  ]);
  return { tables, request };
}

/** Directions that a setup deals with. */
export const directionsOf = (scope: Scope, { reverseObjects }: Draft): readonly Direction[] =>
  scope === 'reverse' ? ['reverse'] : reverseObjects === 'later' ? ['forward'] : ['forward', 'reverse'];

export const isNotFound = (thrown: unknown): boolean => asPgtwinError(thrown).code === 'not-found';
