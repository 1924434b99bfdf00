import type { AlertReport } from "#audit/alerts/report";
import type { Instant } from "#kernel/clock";
import type { LedgerHealthReport } from "#ledger/health";
import { endsSoon, type RegistryEnd } from "#registry/ends-soon";
import type { WaitingWork } from "#registry/waiting-work";
import type { DenialInForce } from "./denials.ts";
import type { ConsolePorts } from "./ports.ts";

/** The parts of the page Now; undefined: the part does not answer. */
export interface NowReport {
  readonly at: Instant;
  readonly health: LedgerHealthReport | undefined;
  readonly origins: Readonly<Record<string, string>> | undefined;
  readonly ends: readonly RegistryEnd[] | undefined;
  readonly denials: readonly DenialInForce[] | undefined;
  readonly waiting: WaitingWork | undefined;
  readonly alerts: AlertReport["alerts"] | undefined;
  /** The client of a registered certificate with a known end. */
  readonly ownerOf: (x5t: string) => string | undefined;
}

/** Asks every part at once. A part that fails is left out: this page is for the moments when parts fail. */
export async function lookNow(ports: ConsolePorts): Promise<NowReport> {
  const [health, origins, ends, denials, waiting, alerts] = await Promise.all([
    answerOrNone(ports.health),
    answerOrNone(ports.origins),
    answerOrNone(ports.ends),
    answerOrNone(ports.denials),
    answerOrNone(ports.waiting),
    answerOrNone(() => ports.admin.alerts.report()),
  ]);
  const at = ports.admin.clock();
  const soon = ends?.filter(({ ends: end }) => endsSoon(end, at));
  const ownerOf = (x5t: string) => ends?.find(({ name }) => name === x5t)?.client;
  return { at, health, origins, ends: soon, denials, waiting, alerts: alerts?.alerts, ownerOf };
}

/** Undefined: the part does not answer. The page names it. */
export async function answerOrNone<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch {
    return undefined;
  }
}
