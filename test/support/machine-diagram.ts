import { moves } from '../../shared/task/machine.ts';

/** The state machine as a Mermaid diagram, for the README. `return` is the state that was interrupted. */
export function machineDiagram(): string {
  const lines = ['stateDiagram-v2', '  [*] --> NotConfigured'];
  for (const [from, inputs] of Object.entries(moves)) {
    const byTarget = new Map<string, string[]>();
    for (const [input, to] of Object.entries(inputs)) byTarget.set(to, [...(byTarget.get(to) ?? []), input]);
    for (const [to, names] of byTarget)
      lines.push(`  ${from} --> ${to === 'return' ? 'Interrupted' : to}: ${names.join(', ')}`);
  }
  lines.push('  Interrupted: the state that was interrupted (Initializing or Running)', '  Released --> [*]');
  return lines.join('\n');
}
