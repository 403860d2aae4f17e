import { styleText } from 'node:util';
import type { ClientOptions } from '../../shared/client/call.ts';
import type { Paint } from '../../shared/client/precheck-text.ts';
import type { CommandVariables } from '../../shared/config/command.ts';

export type Output = { write(text: string): unknown; readonly columns?: number | undefined };

/** What a command needs of the outside world. */
export type Io = {
  readonly out: Output;
  readonly err: Output;
  /** `out` is a terminal: what was written can be drawn again. */
  readonly terminal: boolean;
  readonly colours: boolean;
  readonly variables: CommandVariables;
  /** Asks a person, without echo if `hidden`; absent where nobody can answer. */
  readonly ask?: ((question: string, how?: { readonly hidden?: boolean }) => Promise<string>) | undefined;
  /** Text of a file; `-` is the standard input. */
  readonly readFile: (path: string) => Promise<string>;
  readonly writeFile: (path: string, text: string) => Promise<void>;
  readonly fetch?: ClientOptions['fetch'];
  /** Ends what waits. */
  readonly signal: AbortSignal;
};

export const painter =
  ({ colours }: Pick<Io, 'colours'>): Paint =>
  (colour, text) =>
    colours ? styleText(colour, text, { validateStream: false }) : text;
