const pattern = /^(-?)(\d+)(?:\.(\d+))?$/;

type Decimal = { readonly units: bigint; readonly scale: number };

const parse = (text: string): Decimal | null => {
  const match = pattern.exec(text);
  if (match === null) return null;
  const fraction = match[3] ?? '';
  const units = BigInt(match[2]! + fraction);
  return { units: match[1] === '-' ? -units : units, scale: fraction.length };
};

/**
 * `value + to - from` on numeric text, exactly, with the largest scale of the three. Null where one of them is no plain
 * number (NaN, infinities, the exponents of floating point types): then there is no increment to speak of.
 */
export const addIncrement = (value: string, from: string, to: string): string | null => {
  const numbers = [parse(value), parse(from), parse(to)];
  const scale = Math.max(...numbers.map((number) => number?.scale ?? 0));
  const [sum, minus, plus] = numbers.map((number) =>
    number === null ? null : number.units * 10n ** BigInt(scale - number.scale),
  );
  if (sum == null || minus == null || plus == null) return null;
  const units = sum + plus - minus;
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  return `${units < 0n ? '-' : ''}${whole}${scale > 0 ? `.${digits.slice(-scale)}` : ''}`;
};
