import type { AlertStanding } from "./judge.ts";
import type { AlertMessage, PostFailure } from "./message.ts";
import type { AlertUnit } from "./rules.ts";
import type { Silence } from "./silence.ts";

/** How the alerts stand, for operators. Times are in RFC 3339. It has names, ids and numbers of ours. */
export interface AlertReport {
  readonly alerts: readonly AlertNow[];
  /** In force, or to come. */
  readonly silences: readonly ShownSilence[];
  /** Messages that wait for their receiver. */
  readonly waiting: number;
  /** Messages that were given up in the last week. */
  readonly deadLetters: readonly DeadLetter[];
  /** The public JWK of the messages' signatures. */
  readonly key: object;
}

export interface AlertNow {
  readonly alert: string;
  readonly state: AlertStanding["state"];
  readonly since: string | null;
  readonly severity: "page" | "ticket";
  readonly says: string;
  readonly runbook: string;
  /** Null: no fact says it. */
  readonly value: number | null;
  readonly threshold: number;
  readonly unit: AlertUnit;
  readonly silenced: boolean;
}

export interface ShownSilence extends Omit<Silence, "from" | "until"> {
  readonly from: string;
  readonly until: string;
}

/** A message that was given up, and how its last try failed. The address of the receiver is never in it. */
export interface DeadLetter extends AlertMessage {
  readonly failed: PostFailure | null;
  readonly givenUpAt: string;
}
