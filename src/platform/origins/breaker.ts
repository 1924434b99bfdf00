import { instant, type Instant } from "#kernel/clock";

/** One isolate's memory of how an origin did lately. Settled plain data: safe to share between requests. */
export interface OriginHealth {
  readonly failuresInARow: number;
  readonly restingUntil: Instant;
}

export const healthy: OriginHealth = { failuresInARow: 0, restingUntil: instant(0) };

const failuresMax = 5;
const restMilliseconds = 5_000; // one probe per isolate each five seconds while it is down

/** After five failures in a row an origin is left alone for five seconds; then each failure counts again at once. */
export function afterFailure(health: OriginHealth, at: Instant): OriginHealth {
  const failuresInARow = health.failuresInARow + 1;
  return {
    failuresInARow,
    restingUntil: failuresInARow >= failuresMax ? instant(at + restMilliseconds) : health.restingUntil,
  };
}

export function openForSeconds(health: OriginHealth, at: Instant): number {
  return Math.max(0, Math.ceil((health.restingUntil - at) / 1000));
}
