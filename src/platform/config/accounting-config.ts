import * as z from "zod/mini";
import type { AccountingFacts } from "#audit/accounting/facts";
import { exclusions, type ExclusionClause } from "#audit/accounting/exclusions";
import { calendarDay } from "#kernel/clock";
import { isZone } from "#kernel/wall-time";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { ConfigError } from "./config-error.ts";

const key = "ACCOUNTING";
const text = z.string().check(z.minLength(1), z.maxLength(2_000));
const day = z.string().check(z.regex(calendarDay));
const clause = z.custom<ExclusionClause>(
  (code) => typeof code === "string" && Object.hasOwn(exclusions, code),
);
const facts = z.strictObject({
  recipients: z._default(z.record(z.string(), z.strictObject({ name: text, address: z.optional(text) })), {}),
  agreements: z._default(z.record(z.string(), clause), {}),
  entity: z.optional(z.strictObject({ name: text, contact: z.optional(text) })),
  ledger: z.optional(
    z.strictObject({
      url: z
        .url({ protocol: /^https?$/u, hostname: /^[a-z0-9.-]+$/u })
        .check(z.refine((url) => URL.parse(url)?.origin === url)),
      key: z.string().check(z.refine((key) => parseVerifierKey(key).ok)),
    }),
  ),
  zone: z._default(z.string().check(z.refine(isZone)), "UTC"),
  protocols: z._default(
    z
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
          individuals: z.int().check(z.minimum(50)),
        }),
      )
      .check(z.maxLength(100)),
    [],
  ),
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
