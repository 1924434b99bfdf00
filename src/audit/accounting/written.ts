import { accountingCsv } from "./csv.ts";
import { accountingBundle } from "./fhir.ts";
import { english } from "./page/english.ts";
import { accountingPage, pagePolicy, type PageFacts } from "./page/html.ts";
import { type AccountingScope, composeAccounting } from "./compose.ts";
import type { AccountingFacts } from "./facts.ts";
import type { FoundLine } from "./disclosures.ts";

/** An accounting to write: the lines that the ledger found, and the facts that the gateway adds. */
export interface AccountingToWrite {
  readonly lines: readonly FoundLine[];
  readonly facts: AccountingFacts;
  readonly scope: AccountingScope;
  readonly form: AccountingForm;
}

export type AccountingForm =
  | { readonly format: "json"; readonly self: string; readonly site: string; readonly requestId: string }
  | { readonly format: "csv" }
  | { readonly format: "html"; readonly page: PageFacts };

export interface WrittenAccounting {
  readonly text: string;
  /** The Content-Security-Policy of a page. */
  readonly policy: string | undefined;
}

/**
 * Writes accountings. The Worker of the ledger does it: an accounting is rare, so the gateway's isolates do not
 * load its code and its texts.
 */
export interface AccountingWriter {
  write(accounting: AccountingToWrite): Promise<WrittenAccounting>;
}

export function writeAccounting({ lines, facts, scope, form }: AccountingToWrite): WrittenAccounting {
  const accounting = composeAccounting(lines, facts, scope);
  switch (form.format) {
    case "json":
      return { text: JSON.stringify(accountingBundle(accounting, form)), policy: undefined };
    case "csv":
      return { text: accountingCsv(accounting), policy: undefined };
    case "html":
      return { text: accountingPage(accounting, form.page, english), policy: pagePolicy(form.page) };
  }
}
