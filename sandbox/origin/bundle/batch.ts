import type { Bundle } from "@medplum/fhirtypes";
import type { Answer, Call } from "../call.ts";
import { refusalOf } from "../refusal.ts";
import { answered, entriesOf, readEntry } from "./entry.ts";

/** Runs one request; throws a refusal. */
export type Carry = (call: Omit<Call, "params">) => Answer;

/** Runs each entry by itself, in order; a failure does not stop the next entry (R4 http.html#brules). */
export function batch(bundle: unknown, call: Call, base: string, carry: Carry): Answer {
  const entry = entriesOf(bundle).map((one) => {
    try {
      return answered(carry(readEntry(one, call).call), base);
    } catch (fault) {
      const { status, outcome } = refusalOf(fault);
      return answered({ status, body: outcome }, base);
    }
  });
  return { status: 200, body: responseOf("batch-response", entry) };
}

export function responseOf(
  type: "batch-response" | "transaction-response",
  entry: NonNullable<Bundle["entry"]>,
): Bundle {
  return { resourceType: "Bundle", id: crypto.randomUUID(), type, ...(entry.length > 0 && { entry }) };
}
