import type { AccountingFacts } from "#audit/accounting-facts";
import type { AccountingCaller, Disclosures } from "#audit/disclosures";
import type { AccountingAsked } from "#fhir/accounting-asked";
import { joinBytes, utf8 } from "#fhir/bytes";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import type { Residences } from "#phi/residences";
import type { AccountingGrant } from "#policy/evaluate-accounting";
import { accountingCsv } from "./accounting-csv.ts";
import { accountingBundle } from "./accounting-fhir.ts";
import { accountingPage, pagePolicy } from "./accounting-html.ts";
import { tellAccounting, type Accounting } from "./accounting-told.ts";
import type { Ask } from "./all-rows.ts";
import { unitedPatients, type UniteRefusal } from "./united-patients.ts";

export type AccountRefusal =
  | UniteRefusal
  /** More disclosures than one answer holds. */
  | { readonly reason: "too_many_disclosures" };

export interface AccountPorts {
  readonly disclosures: Disclosures;
  readonly accounting: AccountingFacts;
}

interface Scene {
  readonly asked: AccountingAsked;
  readonly grant: AccountingGrant;
  readonly ask: Ask;
  readonly origin: string;
  readonly base: string;
  readonly at: Instant;
  readonly caller: AccountingCaller;
  readonly residences: Residences;
}

// 45 CFR 164.528(a)(1): in the six years before the date of the request.
const yearsBack = 6;

/** A patient's accounting of disclosures, in the form that was asked for. The ledger has the look-up on record before it answers. */
export async function account(scene: Scene, ports: AccountPorts): Promise<Result<Disclosure, AccountRefusal>> {
  const { asked, grant, origin, base, at, residences } = scene;
  const united = await unitedPatients(asked.id, grant, scene.ask, { public: base, name: origin, residences });
  if (!united.ok) return united;
  const { ids, isWhole } = united.value;
  const [from, to] = daysOf(asked, at);
  const found = await ports.disclosures.linesOf({
    patients: ids.map((id) => `${origin}/Patient/${id}`),
    from: instant(Date.parse(`${from}T00:00:00.000Z`)),
    to: instant(Date.parse(`${to}T23:59:59.999Z`)),
    toldTo: asked.forIndividual ? "individual" : grant.toldTo,
    caller: scene.caller,
  });
  if (found === "too_many") return err({ reason: "too_many_disclosures" });
  const accounting = tellAccounting(found, ports.accounting, { patient: `Patient/${asked.id}`, isWhole, from, to, all: asked.all });
  const { text, headers } = written(accounting, scene);
  // One bundle, however many lines are in it: a count would be a line of the next accounting, and tell an individual how many an officer saw.
  const counts = { Bundle: 1 };
  const patients = ids.map((id) => ({ patient: `${origin}/Patient/${id}`, counts }));
  return ok({
    windows: [{ body: joinBytes([utf8(text)]), patients, unnamed: [], counts, withheldResources: 0 }],
    withheldPaths: [],
    headers,
  });
}

/** Never further back than the law goes: what is older is another half-year's ledger, which may be gone. */
function daysOf({ start, end }: AccountingAsked, at: Instant): readonly [string, string] {
  const today = new Date(at);
  const first = new Date(Date.UTC(today.getUTCFullYear() - yearsBack, today.getUTCMonth(), today.getUTCDate()));
  const [oldest, newest] = [first.toISOString().slice(0, 10), today.toISOString().slice(0, 10)];
  return [start === undefined || start < oldest ? oldest : start, end === undefined || end > newest ? newest : end];
}

function written(
  accounting: Accounting,
  { asked, base, caller, origin }: Scene,
): { readonly text: string; readonly headers: Record<string, string> } {
  switch (asked.format) {
    case "json": {
      const self = `${base}/Patient/${asked.id}/$disclosures?start=${accounting.from}&end=${accounting.to}&all=${asked.all}${asked.forIndividual ? "&for=individual" : ""}`;
      return { text: JSON.stringify(accountingBundle(accounting, { self, site: origin, requestId: caller.id })), headers: {} };
    }
    case "csv":
      return {
        text: accountingCsv(accounting),
        headers: { "content-type": "text/csv; charset=utf-8", "content-disposition": 'attachment; filename="disclosures.csv"' },
      };
    case "html":
      return {
        text: accountingPage(accounting),
        headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": pagePolicy, "referrer-policy": "no-referrer" },
      };
  }
}
