import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { Guard } from '../../../../../shared/client/call.ts';
import { api, newKey } from '../session.ts';
import { isChangedMeanwhile, type Shown } from '../shown.ts';
import { Button } from './button.tsx';
import { Changes } from './changes.tsx';
import { Failure } from './notice.tsx';

type Props = {
  readonly title: string;
  readonly children: ComponentChildren;
  /** Text of the button that does it. */
  readonly confirm: string;
  readonly danger?: boolean;
  /** What is asked about, where that can be told: of the moment when the question was asked. */
  readonly shown?: Shown;
  /** Its request is for what was shown only, and is carried out once, however often it is sent. */
  readonly onConfirm: (guard: Guard) => Promise<void>;
  /** It was closed after what was shown had changed. */
  readonly onChanged?: () => void;
  readonly onClose: () => void;
};

/**
 * Asks before something is done, and says what happens. Stays open, with the reason, if it is refused; if it is not
 * any more what was shown, with what has changed, and asks again.
 */
export function Confirm({
  title,
  children,
  confirm,
  danger,
  shown,
  onConfirm,
  onChanged,
  onClose,
}: Props): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  // That of the first time: the page behind goes on.
  const [about, setAbout] = useState(shown);
  const [changes, setChanges] = useState<readonly string[]>();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  // Not before: what is asked may not be offered any more, and with it would go what has changed.
  const close = (): void => {
    if (changes) onChanged?.();
    onClose();
  };
  const carryOut = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    setChanges(undefined);
    try {
      await onConfirm({ ...(about ? { ifMatch: about.tag } : {}), idempotencyKey: newKey() });
      close();
    } catch (thrown) {
      await explain(thrown).catch(setError);
      setBusy(false);
    }
  };
  const explain = async (thrown: unknown): Promise<void> => {
    if (!about || !isChangedMeanwhile(thrown)) throw thrown;
    const looked = await about.look(api());
    setAbout(looked.now);
    setChanges(looked.changes);
  };
  return (
    <dialog class="dialog" ref={dialog} aria-labelledby={id} onClose={close} onCancel={close}>
      <h2 id={id}>{title}</h2>
      <div class="dialog-body">{children}</div>
      {error !== undefined && <Failure error={error} />}
      {changes && <Changes changes={changes} then="Confirm again if it is still what you want." />}
      <div class="row end">
        <Button onClick={close}>Cancel</Button>
        <Button kind={danger ? 'danger' : 'primary'} busy={busy} onClick={() => void carryOut()}>
          {confirm}
        </Button>
      </div>
    </dialog>
  );
}
