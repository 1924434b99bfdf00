import type { AccountingFacts } from "#audit/accounting/facts";
import { exclusions, type ExclusionClause } from "#audit/accounting/exclusions";
import { calendarDay } from "#kernel/clock";
import {
  arrayOf,
  integerIn,
  literalOf,
  mustFit,
  optional,
  passing,
  recordOf,
  strictObjectOf,
  textLike,
  textOf,
  withDefault,
} from "#kernel/value-shape";
import { isZone } from "#kernel/wall-time";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { ConfigError } from "./config-error.ts";

const key = "ACCOUNTING";
const text = textOf(1, 2_000);
const day = textLike(calendarDay);
const clause = literalOf(Object.keys(exclusions) as ExclusionClause[]); // the table's keys
const facts = strictObjectOf({
  recipients: withDefault(recordOf(strictObjectOf({ name: text, address: optional(text) })), {}),
  agreements: withDefault(recordOf(clause), {}),
  entity: optional(strictObjectOf({ name: text, contact: optional(text) })),
  ledger: optional(
    strictObjectOf({
      url: passing(textLike(/^https?:\/\/[a-z0-9.:-]+$/u), (url) => URL.parse(url)?.origin === url),
      key: passing(textOf(), (verifier) => parseVerifierKey(verifier).ok),
    }),
  ),
  zone: withDefault(passing(textOf(), isZone), "UTC"),
  protocols: withDefault(
    arrayOf(
      strictObjectOf({
        name: text,
        description: text,
        information: text,
        from: day,
        to: day,
        sponsor: text,
        researcher: text,
        // 164.528(b)(4)(i): with fewer than 50, each disclosure is listed line by line
        individuals: integerIn(50, Infinity),
      }),
      0,
      100,
    ),
    [],
  ),
});

/**
 * Reads the gateway's variable ACCOUNTING: JSON, or an empty text for no facts. Throws an error that names
 * the key, never its value.
 */
export function accountingConfig(value: string): AccountingFacts {
  try {
    const { entity, ledger, ...known } = mustFit(facts(value === "" ? {} : JSON.parse(value)));
    return { ...known, entity, ledger };
  } catch {
    throw new ConfigError(key, "JSON as docs/accounting.md describes it");
  }
}
