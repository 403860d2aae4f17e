import { describe, expect, test } from 'vitest';
import { Pace } from './pace.ts';

/** A clock that goes on when it is slept on, and only then. */
function openClock() {
  let at = 1_000_000;
  return {
    now: () => at,
    async sleep(ms: number) {
      at += ms;
    },
    pass(ms: number) {
      at += ms;
    },
  };
}

describe('a pace', () => {
  test.each([1, 7, 250, 5000])('pieces of %i rows go at the rate, to the millisecond', async (rows) => {
    const clock = openClock();
    const pace = new Pace({ rows: 1000, bytes: null }, clock);
    const start = clock.now();
    let sent = 0;
    while (sent < 20_000) {
      await pace.settle();
      pace.spend({ rows, bytes: 1e9 });
      sent += rows;
    }
    await pace.settle();
    expect((sent / (clock.now() - start)) * 1000).toBeCloseTo(1000, 0);
  });

  test('of several units the strictest counts', async () => {
    const clock = openClock();
    const pace = new Pace({ rows: 1000, bytes: 5000 }, clock);
    const start = clock.now();
    for (let n = 0; n < 100; n++) {
      await pace.settle();
      pace.spend({ rows: 10, bytes: 100 });
    }
    await pace.settle();
    // 10,000 bytes at 5,000 a second; the 1,000 rows would have taken one.
    expect(clock.now() - start).toBe(2000);
  });

  test('what was unused before it began is made up for, so workers that take turns keep the rate', async () => {
    const clock = openClock();
    const workers = [new Pace({ rows: 1000 }, clock, 1000), new Pace({ rows: 1000 }, clock, 1000)];
    const start = clock.now();
    let unused = 0;
    for (let n = 0; n < 50; n++) {
      const pace = workers[n % 2]!;
      pace.begin(unused);
      pace.spend({ rows: 500 });
      await pace.settle();
      // The hand-over to the other worker.
      const paid = clock.now() - pace.unusedMs!;
      clock.pass(80);
      unused = clock.now() - paid;
    }
    const rate = (50 * 500 * 1000) / (clock.now() - start);
    expect(rate).toBeGreaterThan(990);
    expect(rate).toBeLessThanOrEqual(1000);
  });

  test('a pause is not saved up for a flood', async () => {
    const clock = openClock();
    const pace = new Pace({ rows: 100 }, clock);
    pace.spend({ rows: 1 });
    clock.pass(3_600_000);
    let atOnce = 0;
    while (pace.waitMs() === 0) {
      pace.spend({ rows: 1 });
      atOnce += 1;
    }
    expect(atOnce).toBeLessThanOrEqual(27);
  });

  test('a change counts at once: what is owed is paid at the faster rate, or forgiven without a limit', async () => {
    const clock = openClock();
    const pace = new Pace({ rows: 10 }, clock);
    pace.spend({ rows: 100 });
    expect(pace.waitMs()).toBe(10_000);
    pace.set({ rows: 1000 });
    expect(pace.waitMs()).toBe(100);
    pace.set({ rows: 1 });
    expect(pace.waitMs()).toBe(100);
    pace.set({ rows: null });
    expect(pace.waitMs()).toBe(0);
    expect(pace.isLimited).toBe(false);
    pace.spend({ rows: 1e9 });
    expect(pace.waitMs()).toBe(0);
  });

  test('one who waits sees the change', async () => {
    const clock = openClock();
    const pace = new Pace({ rows: 1 }, clock);
    pace.spend({ rows: 1000 });
    const start = clock.now();
    const { sleep } = clock;
    clock.sleep = async (ms) => {
      await sleep(ms);
      if (clock.now() - start === 2000) pace.set({ rows: null });
    };
    await pace.settle();
    expect(clock.now() - start).toBe(2000);
  });

  test('sizes of pieces for an even flow', () => {
    const pace = new Pace({ rows: 1000, bytes: null }, openClock());
    expect(pace.isMoreThan(250, { rows: 249, bytes: 1e9 })).toBe(false);
    expect(pace.isMoreThan(250, { rows: 250, bytes: 0 })).toBe(true);
    expect([pace.worthMs({ rows: 500 }), pace.worthMs({ bytes: 1e9 })]).toEqual([500, 0]);
  });
});
