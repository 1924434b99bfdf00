import { checkLine, readLineProof } from "#audit/accounting/proof";
import { type LinePlace, placeText } from "#audit/accounting/line-place";
import { ProvenLines } from "#audit/accounting/proven-lines";
import type { AuditEvent } from "#audit/event";
import { personText } from "#auditing/person-words";
import type { EventOnRecord } from "#auditing/ledger-events";
import { texts } from "#console/texts";
import { disclosedInWords, momentText, numberText } from "#console/words";
import { siblingOf } from "#ledger/root-log";
import { type AccountingEvent, type EventFacts, factsOf, isAsProven } from "./accounting-event.ts";
import { ledgerPlaceOf } from "./ledger-place.ts";
import type { LedgerPlace } from "./ledger-reader.ts";
import { beginLookUp, type DeskPlace, type PatientAccess, takeAccess } from "./own-token.ts";
import { announce, badge, make, moment, part, row, saveFile, table } from "./page-parts.ts";
import { openRecords } from "./open-records.ts";
import { namesToTry } from "./search-words.ts";
import { type KeyedLedger, offerKey } from "./show-records.ts";
import { settled } from "./web-crypto.ts";

const { patients } = texts;
const pagesMax = 40;

interface FoundPatient {
  readonly resourceType: string;
  readonly id: string;
  readonly name?: readonly {
    readonly family?: string;
    readonly given?: readonly string[];
    readonly text?: string;
  }[];
  readonly birthDate?: string;
}
interface FoundBundle<T> {
  readonly entry?: readonly { readonly resource?: T }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
  readonly issue?: readonly { readonly details?: { readonly text?: string } }[];
}

/** The look-up of a patient, and the accounting with each line's proof checked in this browser. */
export function offerPatients(section: PageElement): void {
  const { fhir, issuer, client: clientId } = section.dataset;
  const ledger = ledgerPlaceOf(section);
  const banner = part("[data-banner]", section);
  if (fhir === undefined || issuer === undefined || clientId === undefined || ledger === undefined)
    return announce(banner, "bad", texts.ledger.noKeys);
  const place: DeskPlace = { fhir, issuer, clientId };
  const open = part("[data-open]", section);
  open.hidden = false;
  part("button", open).addEventListener("click", () => void beginLookUp(place).catch(failed(banner)));
  const begin = async () => {
    const access = await takeAccess(place);
    if (access === undefined) return;
    open.hidden = true;
    const form = part("[data-find]", section);
    form.hidden = false;
    announce(banner, "still", patients.ready);
    part("#patient-name", form).focus();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void find(access, { section, banner, ledger, fhir, shown }).catch(failed(banner));
    });
  };
  const shown: LookUp["shown"] = { lines: [], caption: "" };
  offerKey(section, (keyed) => openPersons(shown, section, keyed));
  void begin().catch(failed(banner));
}

const failed = (banner: PageElement) => (fault: unknown) =>
  announce(banner, "bad", patients.failed(fault instanceof Error ? fault.message : ""));

interface LookUp {
  readonly section: PageElement;
  readonly banner: PageElement;
  readonly ledger: LedgerPlace;
  readonly fhir: string;
  /** The accounting that the page shows. */
  readonly shown: { lines: readonly CheckedLine[]; caption: string };
}

/** A line of the shown accounting: the facts of its row, and the verdict on its proof. */
interface CheckedLine {
  readonly facts: EventFacts;
  readonly verdict: Verdict;
}

/** Days in UTC, both included: `2026-11-01`. Empty: the legal period's own bound. */
interface Period {
  readonly start: string;
  readonly end: string;
}

/** The question of an accounting: a record, and the time that the accounting covers. */
interface AskedAccounting {
  readonly person: FoundPatient;
  readonly period: Period;
}

/** The address of an accounting. The period and the parameters say nothing about the individual. */
function accountingAddress(
  fhir: string,
  { person, period }: AskedAccounting,
  parameters: Readonly<Record<string, string>>,
): string {
  const given = Object.entries({ ...period, ...parameters }).filter(([, value]) => value !== "");
  return `${fhir}/Patient/${person.id}/$disclosures?${new URLSearchParams(given).toString()}`;
}

async function find(access: PatientAccess, lookUp: LookUp): Promise<void> {
  const { section, banner } = lookUp;
  const typed = (id: string): string => part(id, section).value.trim();
  const period: Period = { start: typed("#patient-from"), end: typed("#patient-to") };
  if (period.start !== "" && period.end !== "" && period.end < period.start)
    return announce(banner, "warn", patients.wrongPeriod);
  const names = namesToTry(typed("#patient-name"));
  const further = (
    [
      ["birthdate", typed("#patient-birth")],
      ["identifier", typed("#patient-number")],
      ["_id", typed("#patient-id")],
    ] as const
  ).filter(([, value]) => value !== "");
  if (further.length + (names[0]?.length ?? 0) === 0) return announce(banner, "warn", patients.nothingTyped);
  announce(banner, "still", patients.looking);
  let people: readonly FoundPatient[] = [];
  for (const words of names) {
    const criteria = [...words.map((word) => ["name", word] as const), ...further];
    const found = await bundleOf<FoundPatient>(await access.search(criteria));
    people = resourcesIn(found).filter(({ resourceType }) => resourceType === "Patient");
    if (people.length > 0) break;
  }
  announce(banner, people.length === 0 ? "warn" : "good", patients.found(people.length));
  const heads = [patients.name, patients.birth, patients.id, patients.show];
  const rows = people.map((person) => {
    const button = make("button", { "aria-label": `${patients.show}: ${nameOf(person)}` }, patients.show);
    button.addEventListener(
      "click",
      () => void showAccounting(access, { person, period }, lookUp).catch(failed(banner)),
    );
    return row(heads, [nameOf(person), person.birthDate ?? texts.unknown, person.id, button]);
  });
  part("[data-people]", section).replaceChildren(
    ...(rows.length === 0 ? [] : [table(patients.people, heads, rows)]),
  );
  part("[data-key-form]", section).hidden = true;
  part("[data-results]", section).replaceChildren();
}

async function showAccounting(
  access: PatientAccess,
  request: AskedAccounting,
  lookUp: LookUp,
): Promise<void> {
  const { section, banner, ledger, fhir, shown } = lookUp;
  const { person, period } = request;
  announce(banner, "still", patients.reading);
  const first = accountingAddress(fhir, request, { all: "true" });
  const events: AccountingEvent[] = [];
  let next: string | undefined = first;
  for (let pages = 0; next !== undefined && pages < pagesMax; pages++) {
    const page: FoundBundle<AccountingEvent> = await bundleOf(await access.read(next));
    events.push(...resourcesIn(page).filter(({ resourceType }) => resourceType === "AuditEvent"));
    next = page.link?.find(({ relation }) => relation === "next")?.url;
  }
  const lines = events.toSorted((left, right) => (left.recorded < right.recorded ? -1 : 1));
  let [proven, wrong, later] = [0, 0, 0];
  const checkedLines: CheckedLine[] = [];
  const linesBefore = new ProvenLines();
  for (const line of lines) {
    const facts = factsOf(line);
    const verdict = await verdictOn(facts, ledger, linesBefore);
    if (verdict.kind === "proven") proven += 1;
    else if (verdict.kind === "wrong") wrong += 1;
    else later += 1;
    checkedLines.push({ facts, verdict });
  }
  shown.lines = checkedLines;
  const caption = patients.accountingOf(nameOf(person), person.birthDate ?? texts.unknown);
  shown.caption = caption;
  part("[data-key-form]", section).hidden = proven === 0;
  part("[data-people]", section).replaceChildren();
  part("[data-results]", section).replaceChildren(
    make("h2", {}, caption),
    make(
      "p",
      { class: "note" },
      `${patients.period(period.start, period.end)} ${patients.madeAt(momentText(Date.now()))}`,
    ),
    papers(access, request, lookUp),
    make(
      "div",
      { "data-lines": "" },
      lines.length === 0 ? make("p", {}, patients.noLines) : lineTable(shown, undefined),
    ),
    make("p", { class: "note" }, patients.proofNote),
  );
  const tone = wrong > 0 ? "bad" : next === undefined && later === 0 ? "good" : "warn";
  announce(banner, tone, patients.checked(proven, wrong, later, next !== undefined));
}

type Verdict =
  | { readonly kind: "proven"; readonly place: LinePlace }
  | { readonly kind: "wrong"; readonly why: string }
  | { readonly kind: "later" };

/**
 * Checks that a line's proof holds under the log's key, that it states what the row shows, and that the line
 * fits to the lines before it.
 */
async function verdictOn(
  facts: EventFacts,
  { root }: LedgerPlace,
  linesBefore: ProvenLines,
): Promise<Verdict> {
  if (facts.proof === undefined) return { kind: "later" };
  const proof = readLineProof(Buffer.from(facts.proof, "base64").toString("utf8"));
  if (!proof.ok) return { kind: "wrong", why: proof.error };
  const checked = await settled(() => checkLine(proof.value, siblingOf(root, proof.value.log)));
  if (!checked.ok) return { kind: "wrong", why: checked.error };
  const { says } = checked.value;
  if (!isAsProven(facts, says)) return { kind: "wrong", why: patients.otherThanProven };
  const misplaced = linesBefore.add(proof.value, says, facts.record);
  return misplaced === undefined
    ? { kind: "proven", place: proof.value }
    : { kind: "wrong", why: patients.misplaced[misplaced] };
}

function proofCell(verdict: Verdict): PageElement {
  switch (verdict.kind) {
    case "proven":
      return make(
        "span",
        {},
        badge("good", patients.proven),
        " ",
        make("code", { class: "place" }, placeText(verdict.place)),
      );
    case "wrong":
      return badge("bad", `${texts.ledger.wrong}: ${verdict.why.replaceAll("_", " ")}`);
    case "later":
      return badge("still", patients.later);
  }
}

/** The accounting as a table. `events` are the records of its lines, by log and leaf, after a key opened them. */
function lineTable(
  { lines, caption }: LookUp["shown"],
  events: ReadonlyMap<string, AuditEvent> | undefined,
): PageElement {
  const { when, who, why, what, proof, person, consent } = patients;
  const heads = [when, who, ...(events === undefined ? [] : [person, consent]), why, what, proof];
  const rows = lines.map(({ facts, verdict }) => {
    const [time = "", recipient = "", ...further] = cellsOf(facts);
    const event = verdict.kind === "proven" ? events?.get(leafName(verdict.place)) : undefined;
    const opened = events === undefined ? [] : [personCell(event), consentText(event)];
    return row(heads, [time, recipient, ...opened, ...further, proofCell(verdict)]);
  });
  return table(caption, heads, rows);
}

const leafName = ({ log, index }: Pick<LinePlace, "log" | "index">): string => `${log}/${index}`;

/** The signed-in person of the request, and a declared emergency in the caller's words. */
function personCell(event: AuditEvent | undefined): PageElement | string {
  if (event === undefined) return texts.unknown;
  const words = event.emergency?.justification;
  const person = personText(event) ?? patients.noPerson;
  return words === undefined
    ? person
    : make("span", {}, person, " ", badge("warn", patients.emergency(words)));
}

function consentText(event: AuditEvent | undefined): string {
  if (event === undefined) return texts.unknown;
  return event.consents === undefined
    ? patients.noConsents
    : patients.consentsAsked(event.consents.slice(0, 12));
}

/** Opens the records that the proven lines name, with the auditor's key, and shows person and consent. */
async function openPersons(
  shown: LookUp["shown"],
  section: PageElement,
  { place, key, onRead }: KeyedLedger,
): Promise<{ readonly tone: "good" | "warn" | "bad"; readonly text: string }> {
  const places = shown.lines.flatMap(({ verdict }) => (verdict.kind === "proven" ? [verdict.place] : []));
  const names = new Set(places.map(leafName));
  const namesOf = ({ log, leaves }: EventOnRecord) =>
    leaves.map(({ index }) => leafName({ log: log.name, index }));
  const logs = [...new Set(places.map(({ log }) => log))];
  const { events, problems } = await openRecords(
    place,
    key,
    (found) => namesOf(found).some((name) => names.has(name)),
    onRead,
    logs,
  );
  const byLeaf = new Map(
    events.flatMap((found) => namesOf(found).map((name) => [name, found.event] as const)),
  );
  part("[data-lines]", section).replaceChildren(lineTable(shown, byLeaf));
  const opened = places.filter((each) => byLeaf.has(leafName(each))).length;
  if (problems.length > 0) return { tone: "bad", text: texts.records.partly(opened, problems.join("; ")) };
  return { tone: opened === places.length ? "good" : "warn", text: patients.opened(opened, places.length) };
}

function cellsOf(facts: EventFacts): readonly (PageElement | string)[] {
  const { recorded, name, recipient, purposes, disclosed } = facts;
  const id = recipient ?? texts.unknown;
  const who = name === undefined || name === id ? id : make("span", {}, name, " ", make("code", {}, id));
  const what = disclosed === undefined ? texts.unknown : disclosedInWords(disclosed);
  return [moment(Date.parse(recorded)), who, purposes.map(texts.purpose).join(", "), what];
}

/** The papers and files of an accounting: this list, its table, and the page for the individual. */
function papers(access: PatientAccess, request: AskedAccounting, { fhir, banner }: LookUp): PageElement {
  const button = (text: string, act: () => void): PageElement => {
    const made = make("button", { class: "quiet" }, text);
    made.addEventListener("click", act);
    return made;
  };
  const save = (type: "text/csv" | "text/html", parameters: Readonly<Record<string, string>>): void =>
    void savePages(access, accountingAddress(fhir, request, { ...parameters, _format: type }), type)
      .then((files) => announce(banner, "good", patients.saved(files)))
      .catch(failed(banner));
  const all = make("input", { type: "checkbox" });
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const forIndividual = () => ({ for: "individual", zone: timeZone, ...(all.checked && { all: "true" }) });
  return make(
    "div",
    { class: "no-print" },
    make(
      "p",
      { class: "links" },
      button(patients.print, () => window.print()),
      " ",
      button(patients.csv, () => save("text/csv", { all: "true" })),
    ),
    make(
      "details",
      {},
      make("summary", {}, patients.handOut),
      make("p", {}, patients.handOutNote),
      make("label", { class: "choice" }, all, " ", patients.handOutAll),
      make(
        "p",
        {},
        button(patients.handOutSave, () => save("text/html", forIndividual())),
      ),
    ),
  );
}

/** Saves each page of an accounting as a file, and returns the number of files: a first page alone is no accounting. */
async function savePages(
  access: PatientAccess,
  first: string,
  type: "text/csv" | "text/html",
): Promise<number> {
  const found: Blob[] = [];
  for (let next: string | undefined = first; next !== undefined;) {
    if (found.length === pagesMax) throw new Error(patients.tooLong(pagesMax));
    const answer = await access.read(next, type);
    if (!answer.ok) throw new Error(numberText(answer.status));
    found.push(await answer.blob());
    next = /^<([^>]+)>; rel="next"$/u.exec(answer.headers.get("link") ?? "")?.[1]; // as the gateway writes it
  }
  const ending = type === "text/csv" ? "csv" : "html";
  for (const [i, blob] of found.entries())
    saveFile(`accounting${found.length === 1 ? "" : `-${i + 1}`}.${ending}`, type, [blob]);
  return found.length;
}

const resourcesIn = <T>({ entry = [] }: FoundBundle<T>): readonly T[] =>
  entry.flatMap(({ resource }) => (resource === undefined ? [] : [resource]));

async function bundleOf<T>(answer: Response): Promise<FoundBundle<T>> {
  const bundle = await answer.json<FoundBundle<T>>(); // the gateway made it, and texts stay texts
  if (!answer.ok) throw new Error(bundle.issue?.[0]?.details?.text ?? numberText(answer.status));
  return bundle;
}

const nameOf = ({ name: [first] = [], id }: FoundPatient): string =>
  first === undefined ? id : (first.text ?? [...(first.given ?? []), first.family ?? ""].join(" ").trim());
