import type { EventOnRecord } from "#auditing/ledger-events";
import { decidedByText } from "#audit/decided-by-words";
import type { AuditEvent } from "#audit/event";
import { texts } from "#console/texts";
import { adviceOn } from "#entrypoint/advice";
import { ledgerPlaceOf } from "./ledger-place.ts";
import type { LedgerPlace } from "./ledger-reader.ts";
import { type AuditorJwk, auditorKeyIn, openRecords } from "./open-records.ts";
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
export function offerRecords(section: PageElement, { isWanted, show }: Asked): void {
  offerKey(section, async ({ place, key, onRead }) => {
    const { events, problems } = await openRecords(place, key, isWanted, onRead);
    const said = show(events, section);
    if (problems.length > 0) return { tone: "bad", text: records.partly(events.length, problems.join("; ")) };
    return { tone: events.length === 0 ? "warn" : "good", text: said };
  });
}

/** The records of a request, with the reason of a refusal and the advice that its caller got. */
export function offerWhy(section: PageElement): void {
  const id = part("#request-id", section);
  offerRecords(section, {
    isWanted: ({ event }) => event.id === id.value.trim(),
    show(found) {
      const results = part("[data-results]", section);
      const reasons = new Set(found.flatMap(({ event }) => event.outcome?.reason ?? []));
      const decided = new Set(
        found.flatMap(({ event }) => (event.decision === undefined ? [] : [decidedByText(event.decision)])),
      );
      results.replaceChildren(
        ...[...decided].map((text) => make("p", {}, `${why.decided}: ${text}`)),
        ...[...reasons].map((reason) =>
          make(
            "div",
            {},
            make("h2", {}, `${why.reason}: ${reason}`),
            make("p", {}, `${why.advice}: ${adviceOn(reason).join(" · ") || texts.none}`),
          ),
        ),
        ...(found.length === 0 ? [] : [recordTable(found)]),
      );
      return found.length === 0 ? why.none : records.found(found.length);
    },
  });
}

const notable: ReadonlySet<string> = new Set(["administration", "configuration", "revocation"]);

/** Operators' acts, configurations and revocations, the newest first. */
export function offerEvents(section: PageElement): void {
  offerRecords(section, {
    isWanted: ({ event }) => notable.has(event.kind),
    show(found) {
      const newest = lastOfEach(found).toSorted((left, right) => right.event.at - left.event.at);
      const acts = newest.filter(({ event }) => !looks.has(event.what?.interaction ?? ""));
      const results = part("[data-results]", section);
      const box = make("input", { type: "checkbox" });
      const list = make("div");
      const fill = () => {
        const chosen = box.checked ? newest : acts;
        list.replaceChildren(
          ...(chosen.length > shownMax ? [make("p", { class: "note" }, events.cut(shownMax))] : []),
          recordTable(chosen.slice(0, shownMax)),
        );
      };
      box.addEventListener("change", fill);
      results.replaceChildren(make("label", { class: "choice" }, box, " ", events.looks), list);
      fill();
      return events.found(acts.length, found.length);
    },
  });
}

const shownMax = 500;

/** Acts that change nothing. */
const looks: ReadonlySet<string> = new Set([
  "show-registry",
  "list-clients",
  "plan-registry",
  "list-proposals",
  "show-proposal",
  "list-reviews",
  "list-consents",
]);

/** An act has a record before it and a record of its outcome: the later one of each request. */
function lastOfEach(found: readonly EventOnRecord[]): readonly EventOnRecord[] {
  const byRequest = new Map<string, EventOnRecord>();
  for (const each of found) {
    const before = byRequest.get(each.event.id);
    if (before === undefined || (before.event.step ?? 0) <= (each.event.step ?? 0))
      byRequest.set(each.event.id, each);
  }
  return [...byRequest.values()];
}

function recordTable(found: readonly EventOnRecord[]): PageElement {
  const heads = [records.when, records.who, records.what, records.outcome, records.place];
  return table(
    records.place,
    heads,
    found.map(({ event, log, leaves }) =>
      row(heads, [
        moment(event.at),
        event.who?.operator ?? event.who?.client ?? records.service,
        whatOf(event),
        outcomeOf(event),
        `${log.name}/${leaves.map(({ index }) => index).join(",")}`,
      ]),
    ),
  );
}

function whatOf({ kind, what, configuration }: AuditEvent): string {
  if (kind === "configuration") return records.configurationOf(configuration?.worker ?? "");
  const act = what?.interaction === undefined ? undefined : records.acts[what.interaction];
  if (kind === "administration" && act !== undefined) return act;
  const asked = [what?.interaction, what?.type ?? what?.path].filter((text) => text !== undefined).join(" ");
  const does = records.kinds[kind] ?? kind;
  return asked === "" ? does : `${does}: ${asked}`;
}

function outcomeOf({ kind, outcome }: AuditEvent): PageElement | string {
  if (outcome === undefined) return kind === "administration" ? records.noOutcome : "–";
  const { status, reason } = outcome;
  if (reason === undefined && (status === undefined || status < 400)) return records.done;
  return badge("bad", records.refused(status ?? 0, reason ?? ""));
}
