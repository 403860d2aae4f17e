import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { announce } from '../announce.ts';
import { Button } from './button.tsx';

/** Text to be used elsewhere, such as SQL, with a button that copies it. */
export function CopyText({ text, what }: { text: string; what: string }): JSX.Element {
  const [copied, setCopied] = useState<'yes' | 'no'>();
  const copy = async (): Promise<void> => {
    // There is no clipboard on pages without TLS.
    const done = await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    );
    setCopied(done ? 'yes' : 'no');
    announce(done ? `${what} copied.` : `${what} could not be copied: mark it and copy it by hand.`);
    setTimeout(() => setCopied(undefined), 3_000);
  };
  const says = copied === 'yes' ? 'Copied' : copied === 'no' ? 'Mark it to copy' : 'Copy';
  return (
    <div class="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section class="code-text" tabIndex={0} aria-label={what}>
        <pre>{text}</pre>
      </section>
      <Button kind="quiet" onClick={() => void copy()} label={`${says}: ${what}`}>
        {says}
      </Button>
    </div>
  );
}
