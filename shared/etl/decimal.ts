/** An exact decimal number, as PostgreSQL's numeric: an integer and how many of its digits stand behind the point. */
export class Decimal {
  readonly digits: bigint;
  readonly scale: number;

  constructor(digits: bigint, scale: number) {
    this.digits = digits;
    this.scale = scale;
  }

  /** Of PostgreSQL's text. Throws for NaN and the infinities, which no expression can reckon with. */
  static of(text: string): Decimal {
    const found = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text.trim());
    const [, sign = '', whole = '', part = '', exponent = '0'] = found ?? [];
    if (!found || whole + part === '') throw new RangeError('is not a finite decimal number');
    const scale = part.length - Number(exponent);
    const digits = BigInt(`${whole}${part}`) * (sign === '-' ? -1n : 1n);
    return scale < 0 ? new Decimal(digits * 10n ** BigInt(-scale), 0) : new Decimal(digits, scale);
  }

  static ofInteger(value: bigint): Decimal {
    return new Decimal(value, 0);
  }

  plus(other: Decimal): Decimal {
    const scale = Math.max(this.scale, other.scale);
    return new Decimal(this.#at(scale) + other.#at(scale), scale);
  }

  minus(other: Decimal): Decimal {
    return this.plus(new Decimal(-other.digits, other.scale));
  }

  times(other: Decimal): Decimal {
    return new Decimal(this.digits * other.digits, this.scale + other.scale);
  }

  /** The quotient to `scale` digits, halves away from zero. */
  over(other: Decimal, scale: number): Decimal {
    if (other.digits === 0n) throw new RangeError('division by zero');
    const up = 10n ** BigInt(scale + 1 + other.scale);
    return new Decimal((this.digits * up) / (other.digits * 10n ** BigInt(this.scale)), scale + 1).rounded(
      scale,
    );
  }

  /** Halves away from zero, as PostgreSQL rounds numeric. */
  rounded(scale: number): Decimal {
    if (scale >= this.scale) return new Decimal(this.#at(scale), scale);
    const unit = 10n ** BigInt(this.scale - scale);
    const half = this.digits < 0n ? -unit / 2n : unit / 2n;
    return new Decimal((this.digits + half) / unit, scale);
  }

  compare(other: Decimal): number {
    const scale = Math.max(this.scale, other.scale);
    const [one, two] = [this.#at(scale), other.#at(scale)];
    return one < two ? -1 : one > two ? 1 : 0;
  }

  /** The whole part. */
  toInteger(): bigint {
    return this.digits / 10n ** BigInt(this.scale);
  }

  toString(): string {
    const negative = this.digits < 0n;
    const text = (negative ? -this.digits : this.digits).toString().padStart(this.scale + 1, '0');
    const whole = text.slice(0, text.length - this.scale);
    return `${negative ? '-' : ''}${whole}${this.scale > 0 ? `.${text.slice(-this.scale)}` : ''}`;
  }

  #at(scale: number): bigint {
    return this.digits * 10n ** BigInt(scale - this.scale);
  }
}
