import { operatorRefusals } from "./operator-refusals.ts";
import type { RefusalRow } from "./public-face.ts";
import { clientRefusals } from "./client-refusals.ts";

type Reason = keyof typeof clientRefusals | keyof typeof operatorRefusals;

const clients: Readonly<Record<string, RefusalRow>> = clientRefusals;
const operators: Readonly<Record<string, RefusalRow>> = operatorRefusals;
const reasons = Object.keys({ ...clients, ...operators });

/** Every reason for which a door refuses a request, with its public face at each door. */
export const allRefusals = Object.fromEntries(
  reasons.map((reason) => [reason, { ...clients[reason], ...operators[reason] }]),
) as Readonly<Record<Reason, RefusalRow>>; // the keys of both tables
