import { instant, type Instant } from "#kernel/clock";

/**
 * An isolate's memory of an origin's recent failures. It is settled plain data, so requests can share it.
 */
export interface OriginHealth {
  readonly failuresInARow: number;
  readonly restingUntil: Instant;
}

export const healthy: OriginHealth = { failuresInARow: 0, restingUntil: instant(0) };

const failuresMax = 5;
const restMilliseconds = 5_000; // one probe by each isolate every five seconds while it is down

/**
 * After five failures in a row the breaker is open for five seconds. After that, a single failure opens it
 * again at once.
 */
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
