export const findMutation = (rule: string): string => rule;
export const runMutated = async (
  _m: string,
  _r: number,
  _s: number,
  _l: boolean,
): Promise<{ failed: number }> => ({ failed: 0 });
