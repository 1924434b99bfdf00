import type { AccountingFacts } from "#audit/accounting/facts";
import type { AccountingCaller, Disclosures } from "#audit/accounting/disclosures";
import { type LinePlace, readLinePlace, writeLinePlace } from "#audit/accounting/line-place";
import { accountingQuery, type AccountingRequest, type AccountingFormat } from "#fhir/accounting-request";
import { utf8 } from "#kernel/encoded";
import { joinBytes } from "#fhir/json/bytes";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { toBase64 } from "#ledger/bytes/base64";
import { sha256 } from "#ledger/bytes/hash";
import type { Disclosure } from "#phi/disclosure";
import type { AccountingGrant } from "#policy/evaluate-accounting";
import { accountingCsv } from "#audit/accounting/csv";
import { accountingBundle } from "#audit/accounting/fhir";
import { english } from "#audit/accounting/page/english";
import { accountingPage, pagePolicy, type PageFacts } from "#audit/accounting/page/html";
import { composeAccounting, recipientsOf, type Accounting } from "#audit/accounting/compose";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NextLinks, NextLinkRefusal } from "#gateway/admission/page-links";
import type { RowsRefusal } from "#gateway/origin/all-rows";
import { unitedPatients, type UniteRefusal } from "#gateway/origin/united-patients";
import { personShown } from "./person-shown.ts";

export type AccountRefusal =
  | UniteRefusal
  | RowsRefusal
  | { readonly reason: "consents_unavailable" }
  /**
   * The token names a different patient: the refusal is the same as for an absent patient, and the origin is
   * not asked.
   */
  | { readonly reason: "row_outside_access" }
  /** The individual's records are no longer the records of the previous page. */
  | { readonly reason: "page_link_target_absent" }
  | NextLinkRefusal;

export interface AccountPorts {
  readonly disclosures: Disclosures;
  readonly accounting: AccountingFacts;
  /** The entities behind clients, as the registry names them now. Throws if the registry does not answer. */
  readonly recipients: (clients: ReadonlySet<string>) => Promise<AccountingFacts["recipients"]>;
}

interface Scene {
  readonly asked: AccountingRequest;
  readonly grant: AccountingGrant;
  readonly origin: OriginSession;
  readonly at: Instant;
  readonly links: NextLinks;
  readonly caller: AccountingCaller;
}

// 45 CFR 164.528(a)(1): the six years before the date of the request.
const yearsBack = 6;
// Difference between the clocks of two isolates: a disclosure that the caller has seen is in the next
// accounting.
const CLOCKS_MS = 5_000;
const countUsual = 500;

/**
 * A page of a patient's accounting of disclosures, in the requested form. The ledger records the look-up
 * before it answers. The first page fixes the end of the listed period; each further page begins at the end
 * of the previous page.
 */
export async function account(
  scene: Scene,
  ports: AccountPorts,
): Promise<Result<Disclosure, AccountRefusal>> {
  const { asked, grant, at, links } = scene;
  const { name: origin, base } = scene.origin;
  if (!grant.reaches(asked.id)) return err({ reason: "row_outside_access" });
  const united = await scene.origin.decided(() => unitedPatients(asked.id, grant, scene.origin));
  if (!united.ok) return united;
  const { ids, isWhole } = united.value;
  const place = asked.place === undefined ? undefined : readPagePlace(asked.place);
  const records = recordsDigest(ids);
  if (place !== undefined && place.records !== records) return err({ reason: "page_link_target_absent" });
  const { from, to } = timesOf(asked, at);
  const found = await ports.disclosures.linesOf({
    patients: ids.map((id) => `${origin}/Patient/${id}`),
    from,
    to,
    excluded: asked.all ? undefined : ports.accounting.agreements,
    recipient: asked.recipient,
    purpose: asked.purpose,
    toldTo: asked.forIndividual ? "individual" : grant.toldTo,
    caller: scene.caller,
    after: place?.after,
    count: asked.count ?? countUsual,
    summed: asked.summed,
  });
  const question = accountingQuery(asked, {
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  });
  const path = `Patient/${asked.id}/$disclosures`;
  const after = found.next && writePagePlace({ after: found.next, records });
  const further =
    after === undefined ? undefined : { question, posted: false, link: undefined, after, seen: 0 };
  const linked = await links.to(path, further, parameterOf[asked.format]);
  if (!linked.ok) return linked;
  const next = linked.value;
  const { all, summed } = asked;
  const facts = {
    patient: `Patient/${asked.id}`,
    isWhole,
    from: timeText(from, 0),
    to: timeText(to, DAY_MS - 1),
    all,
    summed,
  };
  const named = await ports.recipients(recipientsOf(found.lines));
  const known = { ...ports.accounting, recipients: { ...ports.accounting.recipients, ...named } };
  const accounting = composeAccounting(found.lines, known, { ...facts, next, isFirst: place === undefined });
  // only the page says whose it is: the other forms are for programs, which know the record
  const person =
    asked.format === "html" ? await personShown(grant.patient(asked.id), scene.origin, links) : undefined;
  const { entity: maker, zone, ledger } = ports.accounting;
  const page = { person, maker, ledger, at, zone: asked.zone ?? zone };
  const { text, headers } = written(accounting, page, { ...scene, self: `${base}/${path}?${question}` });
  // A single bundle, whatever the number of lines: a count would be in the next accounting, and tell an
  // individual how many lines an officer saw.
  const counts = { Bundle: 1 };
  const shown = { ...counts, ...(person && { Patient: 1 }) };
  const patients = ids.map((id) => ({
    patient: `${origin}/Patient/${id}`,
    counts: id === asked.id ? shown : counts,
  }));
  return ok({
    windows: [
      {
        body: joinBytes([utf8(text)]),
        patients,
        unnamed: [],
        counts: shown,
        records: person === undefined ? 1 : 2,
        withheldResources: 0,
        unseen: [],
        room: { names: 0, unnamed: [], counts: {} },
      },
    ],
    released: new Set(),
    withheldPaths: [],
    headers: next === undefined ? headers : { ...headers, link: `<${next}>; rel="next"` }, // RFC 8288
  });
}

const DAY_MS = 86_400_000;

/** The period never begins before the legal period: older ledgers may be deleted. */
function timesOf(
  { start, end }: AccountingRequest,
  at: Instant,
): { readonly from: Instant; readonly to: Instant } {
  const today = new Date(at);
  const oldest = Date.UTC(today.getUTCFullYear() - yearsBack, today.getUTCMonth(), today.getUTCDate());
  return {
    from: instant(Math.max(start?.at ?? oldest, oldest)),
    to: instant(Math.min(end?.at ?? Infinity, at + CLOCKS_MS)),
  };
}

/** A date, if the time is the beginning or the end of a day; otherwise a date and time. */
function timeText(at: Instant, ofDay: number): string {
  const text = new Date(at).toISOString();
  return at % DAY_MS === ofDay ? text.slice(0, 10) : text;
}

/** The end of a page, and the records that it lists: sealed in the link to the next page. */
interface EndOfPage {
  readonly after: LinePlace;
  readonly records: string;
}

const writePagePlace = ({ after, records }: EndOfPage): string => `${writeLinePlace(after)} ${records}`;

function readPagePlace(text: string): EndOfPage {
  const at = text.lastIndexOf(" ");
  const after = readLinePlace(text.slice(0, at));
  // sealed by this deployment
  if (after === undefined) throw new Error("accounting: a link that opened and says nothing");
  return { after, records: text.slice(at + 1) };
}

const recordsDigest = (ids: readonly string[]): string =>
  toBase64(sha256(utf8(JSON.stringify(ids.toSorted()))));

/** The format, as a parameter of the link to the next page. */
const parameterOf: Readonly<Record<AccountingFormat, string>> = {
  json: "",
  csv: "&_format=text/csv",
  html: "&_format=text/html",
};

function written(
  accounting: Accounting,
  page: PageFacts,
  { asked, self, caller, origin: { name } }: Scene & { readonly self: string },
): { readonly text: string; readonly headers: Record<string, string> } {
  switch (asked.format) {
    case "json":
      return {
        text: JSON.stringify(accountingBundle(accounting, { self, site: name, requestId: caller.id })),
        headers: {},
      };
    case "csv":
      return {
        text: accountingCsv(accounting),
        headers: {
          "content-type": "text/csv; charset=utf-8",
          "content-disposition": 'attachment; filename="disclosures.csv"',
        },
      };
    case "html":
      return {
        text: accountingPage(accounting, page, english),
        headers: {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": pagePolicy(page),
          "referrer-policy": "no-referrer",
        },
      };
  }
}
