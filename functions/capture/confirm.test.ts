import fc from 'fast-check';
import { expect, test } from 'vitest';
import { endOfTransaction, type Position } from '../../shared/stream/position.ts';
import { ConfirmLedger } from './confirm.ts';
import { beatIsDue } from './heartbeat.ts';

const at = (n: number): Position => endOfTransaction(BigInt(n));
const message = (n: number) => ({ last: at(n), endLsn: BigInt(n * 10), seen: `s${n}`, newest: '0' });
const reading = (n: number, insert: number, flush: number) => ({
  position: at(n),
  insertLsn: BigInt(insert),
  flushLsn: BigInt(flush),
});

test('what is applied is confirmed once it is flushed, not before', () => {
  const ledger = new ConfirmLedger(at(0));
  ledger.outstanding(message(1));
  ledger.outstanding(message(2));
  expect(ledger.applied(reading(1, 100, 50))).toBeUndefined();
  expect(ledger.applied(reading(2, 200, 100))).toMatchObject({ lsn: 10n, seen: 's1' });
  expect(ledger.isIdle).toBe(false);
  expect(ledger.applied(reading(2, 230, 200))).toMatchObject({ lsn: 20n, position: at(2) });
  expect(ledger.isIdle).toBe(true);
});

test('a stream that begins behind an unflushed watermark is not idle until that is flushed', () => {
  const ledger = new ConfirmLedger(at(7));
  expect(ledger.isIdle).toBe(false);
  ledger.applied(reading(7, 100, 99));
  expect(ledger.isIdle).toBe(false);
  ledger.applied(reading(7, 120, 100));
  expect(ledger.isIdle).toBe(true);
  expect(new ConfirmLedger(undefined).isIdle).toBe(true);
});

test('whatever crashes when, a slot has never forgotten what the destination has not flushed', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('send' as const) }),
    fc.record({ kind: fc.constant('apply' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant('flush' as const), back: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ kind: fc.constant('read' as const) }),
    fc.record({ kind: fc.constant('crash' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let [sent, applied, durable, confirmed, wal, flushed] = [0, 0, 0, 0, 0, 0];
      const walOf: number[] = [0];
      let ledger = new ConfirmLedger(at(0));
      for (const s of steps) {
        if (s.kind === 'send') ledger.outstanding(message(++sent));
        else if (s.kind === 'apply')
          for (let i = 0; i < s.count && applied < sent; i++) walOf[++applied] = ++wal;
        else if (s.kind === 'flush') flushed = Math.max(flushed, wal - s.back);
        else if (s.kind === 'crash') {
          // The destination loses what is not flushed; the stream begins again behind its watermark.
          while (applied > 0 && walOf[applied]! > flushed) applied -= 1;
          wal = flushed;
          sent = applied;
          ledger = new ConfirmLedger(at(applied));
        } else {
          const now = ledger.applied(reading(applied, wal, flushed));
          if (now) confirmed = Number(now.lsn) / 10;
          if (ledger.isIdle) confirmed = Math.max(confirmed, sent);
        }
        durable = 0;
        while (durable < applied && walOf[durable + 1]! <= flushed) durable += 1;
        expect(confirmed).toBeLessThanOrEqual(durable);
      }
    }),
  );
});

test('heartbeats: quick while there are changes and three times behind them, then slow', () => {
  const idle = { activity: false, outstanding: false, quietBeats: 3 };
  expect(beatIsDue({ ...idle, activity: true, sinceLastMs: 100 })).toBe(true);
  expect(beatIsDue({ ...idle, quietBeats: 2, sinceLastMs: 100 })).toBe(true);
  expect(beatIsDue({ ...idle, sinceLastMs: 9_999 })).toBe(false);
  expect(beatIsDue({ ...idle, sinceLastMs: 10_000 })).toBe(true);
  expect(beatIsDue({ ...idle, outstanding: true, sinceLastMs: 1_000 })).toBe(true);
});
