/** Numbers as a person reads them. */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

export const decimal = (value: number): string => (value < 10 ? value.toFixed(1) : count(value));

export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let n = 0;
  let size = value;
  for (; size >= 1000 && n < units.length - 1; n++) size /= 1000;
  return `${n === 0 ? count(size) : decimal(size)} ${units[n]}`;
}

export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
