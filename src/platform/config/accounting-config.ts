import * as z from "zod";
import type { AccountingFacts } from "#audit/accounting/facts";
import { exclusions, type ExclusionClause } from "#audit/accounting/exclusions";
import { isZone } from "#kernel/wall-time";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { ConfigError } from "./config-error.ts";

const key = "ACCOUNTING";
const text = z.string().min(1).max(2_000);
const day = z.iso.date();
const clause = z.string().refine((code): code is ExclusionClause => Object.hasOwn(exclusions, code));
const facts = z.strictObject({
  recipients: z.record(z.string(), z.strictObject({ name: text, address: text.optional() })).default({}),
  agreements: z.record(z.string(), clause).default({}),
  entity: z.strictObject({ name: text, contact: text.optional() }).optional(),
  ledger: z
    .strictObject({
      url: z
        .url({ protocol: /^https?$/u, hostname: /^[a-z0-9.-]+$/u })
        .refine((url) => URL.parse(url)?.origin === url),
      key: z.string().refine((key) => parseVerifierKey(key).ok),
    })
    .optional(),
  zone: z.string().refine(isZone).default("UTC"),
  protocols: z
    .array(
      z.strictObject({
        name: text,
        description: text,
        information: text,
        from: day,
        to: day,
        sponsor: text,
        researcher: text,
        // 164.528(b)(4)(i): with fewer than 50, each disclosure is listed line by line
        individuals: z.number().int().min(50),
      }),
    )
    .max(100)
    .default([]),
});

/**
 * Reads the gateway's variable ACCOUNTING: JSON, or an empty text for no facts. Throws an error that names
 * the key, never its value.
 */
export function accountingConfig(value: string): AccountingFacts {
  try {
    const { entity, ledger, ...known } = facts.parse(value === "" ? {} : JSON.parse(value));
    return { ...known, entity, ledger };
  } catch {
    throw new ConfigError(key, "JSON as docs/accounting.md describes it");
  }
}
