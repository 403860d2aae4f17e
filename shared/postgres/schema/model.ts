/** What a database has, read from its catalogue with search_path '', so that every name in a text is qualified. */

export type ObjectName = { readonly schema: string; readonly name: string };

export type ExtensionModel = ObjectName & {
  readonly kind: 'extension';
  readonly version: string;
  readonly comment: string | null;
};
export type NamespaceModel = ObjectName & { readonly kind: 'schema'; readonly comment: string | null };

export type CollationModel = ObjectName & {
  readonly kind: 'collation';
  readonly provider: 'libc' | 'icu' | 'builtin' | 'default';
  readonly locale: string | null;
  readonly ctype: string | null;
  readonly deterministic: boolean;
  readonly rules: string | null;
  readonly comment: string | null;
};

/** A constraint of a domain or table; `definition` is pg_get_constraintdef's. */
export type ConstraintModel = {
  readonly name: string;
  readonly type: 'primary' | 'unique' | 'check' | 'exclude' | 'foreign' | 'not-null';
  readonly definition: string;
  readonly columns: readonly string[];
  readonly validated: boolean;
  readonly deferrable: boolean;
  /** False: it exists only because a parent has it. */
  readonly local: boolean;
  readonly references: ObjectName | null;
  /** Storage options of the index behind it, which `definition` leaves out. */
  readonly options: readonly string[];
  /** The parent's index that the index behind it is attached to. */
  readonly attachedTo: string | null;
  /** It needs a function that needs a table: made when all tables are there. */
  readonly late: boolean;
  readonly comment: string | null;
};

export type CompositeAttribute = {
  readonly name: string;
  readonly type: string;
  readonly collation: ObjectName | null;
  readonly comment: string | null;
};

export type TypeModel = ObjectName & { readonly kind: 'type'; readonly comment: string | null } & (
    | { readonly form: 'enum'; readonly labels: readonly string[] }
    | {
        readonly form: 'domain';
        readonly base: string;
        readonly collation: ObjectName | null;
        readonly notNull: boolean;
        readonly default: string | null;
        readonly constraints: readonly {
          readonly name: string;
          readonly definition: string;
          readonly comment: string | null;
        }[];
      }
    | { readonly form: 'composite'; readonly attributes: readonly CompositeAttribute[] }
    | {
        readonly form: 'range';
        readonly subtype: string;
        readonly operatorClass: ObjectName | null;
        readonly collation: ObjectName | null;
        readonly subtypeDiff: ObjectName | null;
        readonly multirange: ObjectName;
      }
  );

export type SequenceModel = ObjectName & {
  readonly kind: 'sequence';
  readonly type: string;
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
  readonly cache: string;
  readonly cycle: boolean;
  readonly unlogged: boolean;
  readonly ownedBy: (ObjectName & { readonly column: string }) | null;
  readonly comment: string | null;
};

export type FunctionModel = ObjectName & {
  readonly kind: 'function';
  readonly procedure: boolean;
  /** Types of the arguments, as `comment on function` wants them. */
  readonly arguments: string;
  readonly definition: string;
  /** The body is text that PostgreSQL does not look into: names in it can not be followed. */
  readonly opaque: boolean;
  readonly comment: string | null;
};

export type ColumnModel = {
  readonly name: string;
  readonly type: string;
  readonly collation: ObjectName | null;
  readonly notNull: boolean;
  /** PostgreSQL 18: the constraint's name and state, null where it has the name that the server gives. */
  readonly notNullConstraint: {
    readonly name: string | null;
    readonly noInherit: boolean;
    readonly validated: boolean;
    readonly local: boolean;
  } | null;
  readonly default: string | null;
  readonly defaultLate: boolean;
  readonly generated: 'stored' | 'virtual' | null;
  readonly identity: 'always' | 'by default' | null;
  /** Null on partitions since 17: they use their parent's. */
  readonly identitySequence: SequenceModel | null;
  readonly storage: string | null;
  readonly compression: string | null;
  readonly statistics: number | null;
  readonly options: readonly string[];
  readonly local: boolean;
  readonly comment: string | null;
};

export type IndexModel = {
  readonly name: string;
  readonly unique: boolean;
  readonly valid: boolean;
  /** The definition from the access method on: `btree (a, lower(b)) WHERE …`. */
  readonly definition: string;
  readonly attachedTo: string | null;
  readonly comment: string | null;
};

export type TriggerModel = {
  readonly name: string;
  readonly definition: string;
  readonly enabled: 'origin' | 'replica' | 'always' | 'disabled';
  readonly comment: string | null;
};

export type PolicyModel = {
  readonly name: string;
  readonly permissive: boolean;
  readonly command: 'all' | 'select' | 'insert' | 'update' | 'delete';
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
  readonly comment: string | null;
};

export type StatisticsModel = ObjectName & {
  readonly definition: string;
  readonly target: number | null;
  readonly comment: string | null;
};

export type TableModel = ObjectName & {
  readonly kind: 'table';
  readonly form: 'ordinary' | 'partitioned' | 'foreign';
  readonly unlogged: boolean;
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  readonly inherits: readonly ObjectName[];
  readonly partitionOf: (ObjectName & { readonly bound: string }) | null;
  readonly partitionBy: string | null;
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | { readonly index: string };
  readonly clusteredOn: string | null;
  readonly columns: readonly ColumnModel[];
  readonly constraints: readonly ConstraintModel[];
  readonly indexes: readonly IndexModel[];
  readonly triggers: readonly TriggerModel[];
  readonly policies: readonly PolicyModel[];
  readonly statistics: readonly StatisticsModel[];
  readonly comment: string | null;
};

export type ViewModel = ObjectName & {
  readonly kind: 'view';
  readonly materialized: boolean;
  readonly populated: boolean;
  readonly options: readonly string[];
  readonly definition: string;
  readonly columnComments: readonly { readonly name: string; readonly comment: string }[];
  readonly indexes: readonly IndexModel[];
  readonly triggers: readonly TriggerModel[];
  readonly comment: string | null;
};

export type SchemaObject =
  | ExtensionModel
  | NamespaceModel
  | CollationModel
  | TypeModel
  | SequenceModel
  | FunctionModel
  | TableModel
  | ViewModel;

export type ObjectKind = SchemaObject['kind'];

/** `error`: schema synchronization can not make it; `note`: it is left out, or made in part, and rows are not touched. */
export type Finding = {
  readonly severity: 'error' | 'note';
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  readonly reason: string;
};

export type SchemaModel = {
  /** As `server_version_num`: 180004. */
  readonly serverVersion: number;
  /** In an order in which they can be made. */
  readonly objects: readonly SchemaObject[];
  /** Names that were asked for and are not there. */
  readonly missing: readonly ObjectName[];
  readonly findings: readonly Finding[];
};

/** The objects of one kind, in order. */
export const objectsOf = <K extends ObjectKind>(
  model: SchemaModel,
  kind: K,
): Extract<SchemaObject, { kind: K }>[] =>
  model.objects.filter((each): each is Extract<SchemaObject, { kind: K }> => each.kind === kind);

/** A key for maps: no name can hold the separator. */
export const keyOf = (name: ObjectName): string => `${name.schema}\0${name.name}`;
