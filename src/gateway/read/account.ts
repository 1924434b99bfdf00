import { accountingYears } from "#audit/accounting/accounting-years";
import type { AccountingFacts } from "#audit/accounting/facts";
import type { AccountingCaller, Disclosures } from "#audit/accounting/disclosures";
import { type LinePlace, readLinePlace, writeLinePlace } from "#audit/accounting/line-place";
import { accountingQuery, type AccountingRequest, type AccountingFormat } from "#fhir/accounting-request";
import { utf8 } from "#kernel/encoded";
import { joinBytes } from "#fhir/json/bytes";
import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { toBase64 } from "#ledger/bytes/base64";
import { sha256 } from "#ledger/bytes/hash";
import type { Disclosure } from "#phi/disclosure";
import type { AccountingGrant } from "#policy/evaluate-accounting";
import type { AccountingForm, AccountingWriter, WrittenAccounting } from "#audit/accounting/written";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NextLinks, NextLinkRefusal } from "#gateway/admission/page-links";
import type { RowsRefusal } from "#gateway/origin/asking";
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
  readonly disclosures: Disclosures & AccountingWriter;
  readonly accounting: AccountingFacts;
  /** The entities behind clients, as the registry names them now. Throws if the registry does not answer. */
  readonly recipients: (clients: ReadonlySet<string>) => Promise<AccountingFacts["recipients"]>;
}

/** A permitted question for an accounting. */
export interface AccountingQuestion {
  readonly asked: AccountingRequest;
  readonly grant: AccountingGrant;
  readonly origin: OriginSession;
  readonly at: Instant;
  readonly links: NextLinks;
  readonly caller: AccountingCaller;
}

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
  question: AccountingQuestion,
  ports: AccountPorts,
): Promise<Result<Disclosure, AccountRefusal>> {
  const { asked, grant, origin } = question;
  if (!grant.reaches(asked.id)) return err({ reason: "row_outside_access" });
  const united = await unitedPatients(asked.id, grant, origin);
  if (!united.ok) return united;
  const { ids, isWhole } = united.value;
  const place = asked.place === undefined ? undefined : readPagePlace(asked.place);
  if (place !== undefined && place.records !== recordsDigest(ids))
    return err({ reason: "page_link_target_absent" });

  const period = periodOf(asked, question.at);
  const found = await linesOf(question, ids, period, place, ports);
  const links = await linksOf(question, ids, period, found.next);
  if (!links.ok) return links;
  const named = await ports.recipients(found.recipients);
  const form = await formOf(question, ports.accounting, links.value);
  const written = await ports.disclosures.write({
    lines: found.lines,
    facts: { ...ports.accounting, recipients: { ...ports.accounting.recipients, ...named } },
    scope: {
      patient: `Patient/${asked.id}`,
      isWhole,
      from: timeText(period.from, 0),
      to: timeText(period.to, dayMilliseconds - 1),
      all: asked.all,
      summed: asked.summed,
      next: links.value.next,
      isFirst: place === undefined,
    },
    form,
  });
  const showsPerson = form.format === "html" && form.page.person !== undefined;
  return ok(disclosureOf(written, question, ids, links.value, showsPerson));
}

/** The requested form, with the facts that only this form shows. */
async function formOf(
  { asked, grant, origin, at, links, caller }: AccountingQuestion,
  { entity: maker, zone, ledger }: AccountingFacts,
  { self }: AccountingLinks,
): Promise<AccountingForm> {
  switch (asked.format) {
    case "json":
      return { format: "json", self, site: origin.name, requestId: caller.id };
    case "csv":
      return { format: "csv" };
    case "html": {
      // only the page says whose it is: the other forms are for programs, which know the record
      const person = await personShown(grant.patient(asked.id), origin, links);
      return { format: "html", page: { person, maker, ledger, at, zone: asked.zone ?? zone } };
    }
  }
}

interface Period {
  readonly from: Instant;
  readonly to: Instant;
}

/** The disclosures of a page. The ledger records this call before it answers. */
const linesOf = (
  { asked, grant, origin, caller }: AccountingQuestion,
  ids: readonly string[],
  { from, to }: Period,
  place: EndOfPage | undefined,
  { disclosures, accounting }: AccountPorts,
): ReturnType<Disclosures["linesOf"]> =>
  disclosures.linesOf({
    patients: ids.map((id) => `${origin.name}/Patient/${id}`),
    from,
    to,
    excluded: asked.all ? undefined : accounting.agreements,
    recipient: asked.recipient,
    purpose: asked.purpose,
    toldTo: asked.forIndividual ? "individual" : grant.reader,
    caller,
    after: place?.after,
    count: asked.count ?? countUsual,
    summed: asked.summed,
  });

/** The addresses of a page and of its next page. Undefined: there is no next page. */
interface AccountingLinks {
  readonly self: string;
  readonly next: string | undefined;
}

async function linksOf(
  { asked, origin, links }: AccountingQuestion,
  ids: readonly string[],
  { from, to }: Period,
  end: LinePlace | undefined,
): Promise<Result<AccountingLinks, NextLinkRefusal>> {
  const path = `Patient/${asked.id}/$disclosures`;
  const question = accountingQuery(asked, {
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  });
  const after = end && writePagePlace({ after: end, records: recordsDigest(ids) });
  const place =
    after === undefined ? undefined : { question, posted: false, link: undefined, after, seen: 0 };
  const next = await links.to(path, place, parameterOf[asked.format]);
  return next.ok ? ok({ self: `${origin.base}/${path}?${question}`, next: next.value }) : next;
}

/** @param showsPerson the page shows the patient's name and birth date. */
function disclosureOf(
  { text, policy }: WrittenAccounting,
  { asked, origin }: AccountingQuestion,
  ids: readonly string[],
  { next }: AccountingLinks,
  showsPerson: boolean,
): Disclosure {
  // A single bundle, whatever the number of lines: a count would be in the next accounting, and tell an
  // individual how many lines an officer saw.
  const counts = { Bundle: 1 };
  const shown = { ...counts, ...(showsPerson && { Patient: 1 }) };
  const patients = ids.map((id) => ({
    patient: `${origin.name}/Patient/${id}`,
    counts: id === asked.id ? shown : counts,
  }));
  return {
    windows: [
      {
        body: joinBytes([utf8(text)]),
        patients,
        unnamed: [],
        counts: shown,
        records: showsPerson ? 2 : 1,
        withheldResources: 0,
        unseen: [],
        room: { names: 0, unnamed: [], counts: {} },
      },
    ],
    released: new Set(),
    withheldPaths: [],
    headers: {
      ...headersOf[asked.format],
      ...(policy !== undefined && { "content-security-policy": policy }),
      ...(next !== undefined && { link: `<${next}>; rel="next"` }), // RFC 8288
    },
  };
}

/** The period never begins before the legal period: older ledgers may be deleted. */
function periodOf({ start, end }: AccountingRequest, at: Instant): Period {
  const today = new Date(at);
  const oldest = Date.UTC(today.getUTCFullYear() - accountingYears, today.getUTCMonth(), today.getUTCDate());
  return {
    from: instant(Math.max(start?.at ?? oldest, oldest)),
    to: instant(Math.min(end?.at ?? Infinity, at + CLOCKS_MS)),
  };
}

/** A date, if the time is the beginning or the end of a day; otherwise a date and time. */
function timeText(at: Instant, ofDay: number): string {
  const text = new Date(at).toISOString();
  return at % dayMilliseconds === ofDay ? text.slice(0, 10) : text;
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

const headersOf: Readonly<Record<AccountingFormat, Readonly<Record<string, string>>>> = {
  json: {},
  csv: {
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": 'attachment; filename="disclosures.csv"',
  },
  html: { "content-type": "text/html; charset=utf-8", "referrer-policy": "no-referrer" },
};
