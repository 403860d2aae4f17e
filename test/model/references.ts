import { type MissingParentRule, type Orphaned, remedyOf } from '../../shared/conflict/foreign-keys.ts';
import type { Row } from '../../shared/conflict/rows.ts';
import type { Change } from '../../shared/conflict/steps.ts';
import { columns, type State } from './database.ts';

type Noted = { -readonly [Field in keyof Orphaned]: Orphaned[Field] };

/** What a transaction did to parents and children, looked at before it ends: what apply does in SQL. */
export class References {
  private readonly parents = new Map<string, Noted>();
  private readonly children = new Set<string>();

  wrote(row: Row): void {
    const parent = row[columns.p];
    if (typeof parent === 'string') this.children.add(parent);
  }

  /** `former`: what may be written again. */
  removed(key: string, former: Row | null): void {
    this.parents.set(key, { ...this.of(key), former });
  }

  answered(key: string): void {
    this.parents.set(key, { ...this.of(key), answered: true });
  }

  /** What is to be done, by key; nothing once all is well. */
  *remedies(state: State, rule: MissingParentRule, isArbiter: boolean): Generator<Change> {
    for (let again = true; again; ) {
      again = false;
      for (const key of [...this.parents.keys(), ...this.children]) {
        const children = childrenOf(state, key);
        if (state.rows.has(key) || children.length === 0) continue;
        const noted = this.of(key);
        this.parents.set(key, noted);
        const remedy = isArbiter ? remedyOf(rule, noted) : followersRemedy(rule, noted);
        if (remedy === 'wait') continue;
        again = true;
        noted.tried = remedy === 'ask-parent' ? 'asked' : 'kept';
        if (remedy === 'keep-parent') yield { op: 'keep-parent', key: [key], row: noted.former! };
        else if (remedy === 'ask-parent') yield { op: 'ask-parent', key: [key] };
        else for (const child of children) yield { op: 'drop-child', key: [child] };
      }
    }
  }

  private of(key: string): Noted {
    return this.parents.get(key) ?? { former: null, answered: false, tried: 'nothing' };
  }
}

const followersRemedy = (rule: MissingParentRule, { former, tried }: Orphaned): 'keep-parent' | 'wait' =>
  rule === 'restore-parent' && former !== null && tried === 'nothing' ? 'keep-parent' : 'wait';

export const childrenOf = ({ rows }: State, key: string): string[] =>
  [...rows].filter(([, { row }]) => row[columns.p] === key).map(([child]) => child);
