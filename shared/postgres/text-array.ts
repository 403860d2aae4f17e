/** A one-dimensional text[] as array_in takes it. */
export const textArray = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;

/** A one-dimensional text[] as array_out prints it (manual, 8.15.6). */
export function parseTextArray(text: string): (string | null)[] {
  const out: (string | null)[] = [];
  let i = 1;
  while (i < text.length - 1) {
    if (text[i] === ',') i += 1;
    if (text[i] === '"') {
      let value = '';
      for (i += 1; text[i] !== '"'; i += 1) {
        if (text[i] === '\\') i += 1;
        value += text[i];
      }
      i += 1;
      out.push(value);
    } else {
      const end = text.indexOf(',', i);
      const stop = end < 0 ? text.length - 1 : end;
      const value = text.slice(i, stop);
      out.push(value === 'NULL' ? null : value);
      i = stop;
    }
  }
  return out;
}
