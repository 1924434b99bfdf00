import type { Bundle } from "@medplum/fhirtypes";
import type { Answer, OriginCall } from "../call.ts";
import { serverRefusalOf } from "../refusal.ts";
import { answered, entriesOf, readBundleEntry } from "./entry.ts";

/** Runs one request; throws a refusal. */
export type Carry = (call: Omit<OriginCall, "params">) => Answer;

/** Runs each entry by itself, in order; a failure does not stop the next entry (R4 http.html#brules). */
export function batch(bundle: unknown, call: OriginCall, base: string, carry: Carry): Answer {
  const entry = entriesOf(bundle).map((one) => {
    try {
      return answered(carry(readBundleEntry(one, call).call), base);
    } catch (fault) {
      const { status, outcome } = serverRefusalOf(fault);
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
