import type { JSX } from 'preact';
import type { VerificationView } from '../../../../../shared/client/verify-contract.ts';
import { Badge } from '../parts/state.tsx';
import { type Tone, wordsOfName } from '../words.ts';

const tones: Readonly<Record<VerificationView['status'], Tone>> = {
  verifying: 'busy',
  repairing: 'busy',
  finished: 'good',
  failed: 'bad',
  cancelled: 'neutral',
};

export const RunState = ({ run }: { run: VerificationView }): JSX.Element => (
  <Badge tone={run.equal === false ? 'warn' : tones[run.status]}>{wordsOfName(run.status)}</Badge>
);
