import type { EventOnRecord } from "#auditing/ledger-events";
import { decidedByText } from "#audit/decided-by-words";
import type { AuditEvent } from "#audit/event";
import { personText } from "#auditing/person-words";
import { texts } from "#console/texts";
import { momentText } from "#console/words";
import { adviceOn } from "#entrypoint/advice";
import { ledgerPlaceOf } from "./ledger-place.ts";
import type { LedgerPlace } from "./ledger-reader.ts";
import { fragmentText, isNamedIn } from "./search-words.ts";
import { type AuditorJwk, auditorKeyIn, openRecords } from "./open-records.ts";
import { actsIn, type OperatorAct } from "./operator-acts.ts";
import { announce, badge, make, moment, part, row, table } from "./page-parts.ts";

const { events, records, why } = texts;

/** A page's use of opened records. */
interface Asked {
  readonly isWanted: (found: EventOnRecord) => boolean;
  /** Shows the events, and returns the sentence for the banner. */
  readonly show: (events: readonly EventOnRecord[], section: PageElement) => string;
}

/** The ledger of the page, with the auditor's key that a person chose. */
export interface KeyedLedger {
  readonly place: LedgerPlace;
  readonly key: AuditorJwk;
  /** Counts a fetched object in the banner. */
  readonly onRead: () => void;
}

/** Runs `work` with the chosen key when the form is sent, and shows its sentence in the banner. */
export function offerKey(
  section: PageElement,
  work: (ledger: KeyedLedger) => Promise<{ readonly tone: "good" | "warn" | "bad"; readonly text: string }>,
): void {
  const place = ledgerPlaceOf(section);
  const banner = part("[data-banner]", section);
  const form = part("[data-key-form]", section);
  const button = part("button", form);
  if (place === undefined) return announce(banner, "bad", texts.ledger.noKeys);
  button.disabled = false;
  const run = async () => {
    const key = await auditorKeyIn(part("#auditor-key", form));
    if (key === undefined) return announce(banner, "bad", records.noKey);
    button.disabled = true;
    let objects = 0;
    announce(banner, "still", records.reading(0));
    try {
      const { tone, text } = await work({
        place,
        key,
        onRead() {
          objects += 1;
          if (objects % 25 === 0) announce(banner, "still", records.reading(objects));
        },
      });
      announce(banner, tone, text);
    } catch (fault) {
      announce(banner, "bad", records.failed(fault instanceof Error ? fault.message : ""));
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void run();
  });
}

/** Lets a section of the page open records with the key that a person chooses. */
function offerRecords(section: PageElement, { isWanted, show }: Asked): void {
  offerKey(section, async ({ place, key, onRead }) => {
    const { events, problems } = await openRecords(place, key, isWanted, onRead);
    const shown = show(events, section);
    if (problems.length > 0) return { tone: "bad", text: records.partly(events.length, problems.join("; ")) };
    return { tone: events.length === 0 ? "warn" : "good", text: shown };
  });
}

/** The text after `#` in the address of the page: a link to it names a request, or what to look for. */
const wordsOfAddress = (): string => fragmentText(new URL(location.href).hash);

/** The first and the last second of `20261203T0615Z-20261203T0630Z`, to which a bar of a plot leads. */
function spanIn(entered: string): readonly [first: number, last: number] | undefined {
  const [first, end] = Array.from(
    entered.matchAll(/(?:^|-)(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z(?=-|$)/gu),
    ([, year, month, day, hour, minute]) => Date.parse(`${year}-${month}-${day}T${hour}:${minute}Z`) / 1000,
  );
  return first === undefined || end === undefined ? undefined : [first, end - 1];
}

/**
 * The records of a request, or the newest refusals of a client or of a span of time, with the advice that the caller
 * got.
 */
export function offerWhy(section: PageElement): void {
  const input = part("#request-id", section);
  input.value = wordsOfAddress();
  const entered = () => input.value.trim();
  const ofRequest = ({ event }: EventOnRecord) => event.id === entered();
  const ofClient = ({ event }: EventOnRecord) => event.who?.client === entered() && isRefusal(event);
  const ofSpan = ({ event, frame: { seconds } }: EventOnRecord) => {
    const [first, last] = spanIn(entered()) ?? [Infinity, 0];
    return first <= seconds && seconds <= last && (isRefusal(event) || event.kind === "refusals");
  };
  offerRecords(section, {
    isWanted: (found) => ofRequest(found) || ofClient(found) || ofSpan(found),
    show(found) {
      const results = part("[data-results]", section);
      const ofOne = found.filter(ofRequest);
      if (ofOne.length > 0) {
        results.replaceChildren(...reasonsOf(ofOne), recordTable(ofOne.map(recordOf)));
        return records.found(ofOne.length);
      }
      const newest = found.toSorted((left, right) => right.event.at - left.event.at).slice(0, shownMax);
      results.replaceChildren(
        ...(newest.length === found.length ? [] : [make("p", { class: "note" }, events.cut(shownMax))]),
        ...(found.length === 0 ? [] : [recordTable(newest.map(refusalAsAct))]),
      );
      return found.length === 0 ? why.none : why.refusals(found.length, entered());
    },
  });
}

const isRefusal = ({ kind, outcome }: AuditEvent): boolean =>
  kind === "refusal" || (outcome?.status !== undefined && outcome.status >= 400);

/** Each reason of a request's refusal, with the advice to the caller and the part that decided. */
function reasonsOf(found: readonly EventOnRecord[]): readonly PageElement[] {
  const reasons = new Set(found.flatMap(({ event }) => event.outcome?.reason ?? []));
  const decided = new Set(
    found.flatMap(({ event }) => (event.decision === undefined ? [] : [decidedByText(event.decision)])),
  );
  return [
    ...[...reasons].map((reason) =>
      make(
        "div",
        {},
        make("h2", {}, `${why.reason}: ${reason.replaceAll("_", " ")} `, make("code", {}, reason)),
        make("p", {}, `${why.advice}: ${adviceOn(reason).join(" · ") || texts.none}`),
      ),
    ),
    ...[...decided].map((text) => make("p", {}, `${why.decided}: ${text}`)),
  ];
}

const notable: ReadonlySet<string> = new Set(["administration", "configuration", "revocation"]);

/** Operators' acts, configurations and revocations, the newest first, and the uses of break-glass to review. */
export function offerEvents(section: PageElement): void {
  const uses = [...document.querySelectorAll("[data-use]")];
  for (const closing of document.querySelectorAll("[data-close]")) offerFinding(closing);
  const isOfUse = ({ emergency, id }: AuditEvent) =>
    uses.some(({ dataset }) => dataset["request"] === id || dataset["use"] === emergency?.review);
  const filter = part("#events-filter", section);
  filter.value = wordsOfAddress();
  offerRecords(section, {
    isWanted: ({ event }) => notable.has(event.kind) || isOfUse(event),
    show(found) {
      for (const use of uses) showUse(use, found);
      const acts = actsIn(found.filter(({ event }) => notable.has(event.kind)));
      const changes = acts.filter(({ last }) => !looks.has(last.event.what?.interaction ?? ""));
      const results = part("[data-results]", section);
      const box = make("input", { type: "checkbox" });
      const list = make("div", { "data-acts": "" });
      const fill = () => {
        const words = filter.value
          .toLowerCase()
          .split(",")
          .map((each) => each.trim());
        const named = words.filter((each) => each !== "");
        const isNamed = (act: OperatorAct) =>
          named.length === 0 || named.some((each) => isNamedIn(textOf(act), each));
        const shown = (box.checked ? acts : changes).filter(isNamed);
        list.replaceChildren(
          ...(shown.length > shownMax ? [make("p", { class: "note" }, events.cut(shownMax))] : []),
          shown.length === 0
            ? make("p", {}, events.noneNamed(filter.value.trim()))
            : recordTable(shown.slice(0, shownMax)),
        );
      };
      box.addEventListener("change", fill);
      filter.addEventListener("input", fill);
      results.replaceChildren(make("label", { class: "choice" }, box, " ", events.looks), list);
      fill();
      return events.found(changes.length, found.length);
    },
  });
}

/** Sends a finding and stays on the page: the key and what it opened stay too. */
function offerFinding(closing: PageElement): void {
  const answer = part("[data-answer]", closing);
  const buttons = [...closing.querySelectorAll("button")];
  const send = async (finding: string) => {
    const fields = new URLSearchParams({ finding, stays: "" });
    for (const input of closing.querySelectorAll("input")) {
      const name = input.getAttribute("name") ?? "";
      if (name !== "once") fields.set(name, input.value); // a refused finding may be sent again
    }
    for (const button of buttons) button.disabled = true;
    try {
      const reply = await fetch("/console/events/close", { method: "POST", body: fields });
      const isData = reply.headers.get("content-type") === "application/json"; // without a session it is a page
      const says = isData ? (await reply.json<{ readonly says: string }>()).says : texts.review.signedOut;
      announce(answer, isData && reply.ok ? "good" : "bad", says);
    } catch (fault) {
      announce(answer, "bad", records.failed(fault instanceof Error ? fault.message : ""));
    }
    for (const button of buttons) button.disabled = false;
  };
  for (const button of buttons)
    button.addEventListener("click", (event) => {
      event.preventDefault();
      void send(button.value);
    });
}

const shownMax = 500;

/** Acts that change nothing. */
const looks: ReadonlySet<string> = new Set([
  "show-registry",
  "list-clients",
  "plan-registry",
  "list-alerts",
  "list-proposals",
  "show-proposal",
  "list-reviews",
  "list-cases",
  "list-consents",
]);

/** All words of an act that its row and its documents show, in lower case. */
const textOf = ({ last: { event }, says, documents }: OperatorAct): string =>
  [event.who?.operator ?? "", event.who?.client ?? "", whatOf(event), ...says, JSON.stringify(documents)]
    .join(" ")
    .toLowerCase();

/** The facts for the judgement of a use of break-glass: its person, the reason given, and what left. */
function showUse(use: PageElement, found: readonly EventOnRecord[]): void {
  const { use: review, request } = use.dataset;
  const ofUse = found.filter(
    ({ event }) => event.id === request || (review !== undefined && event.emergency?.review === review),
  );
  const reasons = new Set(ofUse.flatMap(({ event }) => event.emergency?.justification ?? []));
  const disclosed = ofUse.filter(({ event }) => event.kind === "disclosure");
  use.replaceChildren(
    ...[...reasons].map((words) => make("strong", {}, `${events.because(words)} `)),
    ...(ofUse.length === 0
      ? [events.noUse]
      : disclosed.map(({ event }) => make("span", {}, `${useText(event)}. `))),
  );
}

function useText(event: AuditEvent): string {
  const person = personText(event) ?? texts.patients.noPerson;
  const left = event.patients.map(
    ({ patient, counts }) =>
      `${patient}: ${Object.entries(counts)
        .map(([kind, count]) => texts.counted(kind, count))
        .join("; ")}`,
  );
  return events.use(momentText(event.at), person, left.join(" · ") || events.noPatients);
}

/** A record that is no operator's act. */
const recordOf = (last: EventOnRecord): OperatorAct => ({ last, says: [], documents: [] });

/** A refusal in the list of a client: the id that leads to its reason, and the advice that the caller got. */
export function refusalAsAct(last: EventOnRecord): OperatorAct {
  const { id, outcome } = last.event;
  const advice = outcome?.reason === undefined ? [] : adviceOn(outcome.reason);
  return { last, says: [why.requestOf(id), ...advice], documents: [] };
}

function recordTable(acts: readonly OperatorAct[]): PageElement {
  const heads = [records.when, records.who, records.what, records.outcome, records.place];
  return table(
    records.place,
    heads,
    acts.map(({ last: { event, log, leaves }, says, documents }) =>
      row(heads, [
        moment(event.at),
        whoOf(event),
        make(
          "div",
          {},
          whatOf(event),
          ...says.map((each) => make("div", { class: "note" }, each)),
          ...folded(documents),
        ),
        outcomeOf(event),
        `${log.name}/${leaves.map(({ index }) => index).join(",")}`,
      ]),
    ),
  );
}

/** The documents of an act, folded. */
const folded = (documents: readonly unknown[]): readonly PageElement[] =>
  documents.length === 0
    ? []
    : [
        make(
          "details",
          {},
          make("summary", {}, records.documents),
          ...documents.map((each) => make("pre", { tabindex: "0" }, JSON.stringify(each, undefined, 2))),
        ),
      ];

/** The caller: a client with its person, if one signed in, or an operator. */
function whoOf({ who }: AuditEvent): string {
  if (who?.operator !== undefined) return who.operator;
  if (who?.client === undefined) return records.service;
  return [who.client, who.user].filter((text) => text !== undefined).join(", ");
}

function whatOf({ kind, what, configuration }: AuditEvent): string {
  if (kind === "configuration") return records.configurationOf(configuration?.worker ?? "");
  const act = what?.interaction === undefined ? undefined : records.acts[what.interaction];
  if (kind === "administration" && act !== undefined) return act;
  const interaction = what?.interaction && (records.interactions[what.interaction] ?? what.interaction);
  const interactionText = [interaction, what?.type ?? what?.path]
    .filter((text) => text !== undefined)
    .join(" ");
  const does = records.kinds[kind] ?? kind;
  return interactionText === "" ? does : `${does}: ${interactionText}`;
}

function outcomeOf({ kind, outcome }: AuditEvent): PageElement | string {
  if (outcome === undefined) return kind === "administration" ? records.noOutcome : "–";
  const { status, reason } = outcome;
  if (reason === undefined && (status === undefined || status < 400)) return records.done;
  return badge("bad", records.refused(status ?? 0, reason ?? ""));
}
