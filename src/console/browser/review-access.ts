import { instant } from "#kernel/clock";
import { comparePolicies } from "#authoring/diff";
import { diffLines } from "#authoring/diff-lines";
import type { NarrowedPolicy } from "#authoring/narrow-policy";
import { type GrantToReview, namedForGrant, narrowedByUse } from "#authoring/review-grant";
import { type GrantUse, ReviewedUse } from "#authoring/reviewed-use";
import type { UsedAccess } from "#authoring/used-access";
import { texts } from "#console/texts";
import { agoText, momentText, numberText } from "#console/words";
import { parsePolicyDocument } from "#policy/document";
import { openRecords } from "./open-records.ts";
import { announce, badge, make, part } from "./page-parts.ts";
import { offerKey } from "./show-records.ts";

const { review, records } = texts;

/** The review of every grant in one run, by the records that the chosen key opens. */
export function offerReview(section: PageElement): void {
  offerKey(section, async ({ place, key, onRead }) => {
    const cards = [...section.querySelectorAll("[data-grant]")];
    for (const card of cards) part("[data-proposal]", card).replaceChildren();
    const days = Number(part("#review-days", section).value);
    const use = new ReviewedUse(cards.map(grantOf), days, Date.now());
    const { problems } = await openRecords(
      place,
      key,
      ({ event }) => {
        use.add(event);
        return false;
      },
      onRead,
    );
    const isWhole = problems.length === 0;
    const [proposals, unused, settled]: [PageElement[], PageElement[], PageElement[]] = [[], [], []];
    let uncovered = 0;
    for (const card of cards) {
      const found = use.of(grantOf(card));
      if (!found.isCovered) uncovered += 1;
      const isNarrower = showUse(card, found, { days, isWhole, section });
      (isNarrower ? proposals : found.used.count === 0 ? unused : settled).push(card);
    }
    section.append(...proposals, ...unused, ...settled); // the grants to decide on come first
    if (!isWhole) return { tone: "bad", text: review.incomplete(problems.join("; ")) };
    section.querySelector("[data-accept]")?.focus();
    const text = review.result(unused.length, proposals.length, cards.length);
    return uncovered === 0
      ? { tone: "good", text }
      : { tone: "warn", text: `${text} ${review.uncoveredGrants(uncovered, days)}` };
  });
}

interface ReviewRun {
  readonly days: number;
  /** Every record was read. If not, nothing is accepted: an unread record may have a use. */
  readonly isWhole: boolean;
  readonly section: PageElement;
}

/** Shows the use of a grant, and the narrower policy if there is one. Returns whether there is one. */
function showUse(card: PageElement, { used, since, isCovered }: GrantUse, run: ReviewRun): boolean {
  const ago = since === undefined ? texts.none : agoText(since, instant(Date.now()));
  part("[data-uses]", card).replaceChildren(numberText(used.count));
  part("[data-last]", card).replaceChildren(
    used.count > 0
      ? momentText(used.lastUse)
      : badge("warn", isCovered ? review.never(run.days) : review.noneYet(ago)),
  );
  const proposal = part("[data-proposal]", card);
  if (used.count === 0) {
    if (!isCovered) proposal.replaceChildren(make("p", { class: "note" }, review.uncovered(run.days)));
    else if (run.isWhole)
      proposal.replaceChildren(button(card, review.remove, "danger", { act: "remove" }, run.section));
    return false;
  }
  const grant = grantOf(card);
  const body = policyIn(run.section, grant.policy);
  const narrowed = narrowedByUse(used, isCovered ? body : undefined, Date.now());
  const isNarrower = narrowed !== undefined && narrowed.dropped.length > 0;
  proposal.replaceChildren(
    make("h3", {}, review.used),
    make("ul", {}, ...usedLines(used).map((line) => make("li", {}, line))),
    ...(isNarrower
      ? proposalOf(narrowed, body)
      : [make("p", { class: "note" }, isCovered ? reasonNot(narrowed) : review.uncovered(run.days))]),
    ...(isNarrower && run.isWhole
      ? [
          button(
            card,
            review.accept,
            "",
            { act: "narrow", policy: JSON.stringify(namedForGrant(grant, narrowed)) },
            run.section,
          ),
        ]
      : []),
  );
  return isNarrower;
}

const reasonNot = (narrowed: NarrowedPolicy | undefined): string =>
  narrowed === undefined ? review.noNarrower : review.allUsed;

const grantOf = ({ dataset }: PageElement): GrantToReview => ({
  client: dataset["client"] ?? "",
  origin: dataset["origin"] ?? "",
  purpose: dataset["purpose"] ?? "",
  policy: dataset["name"] ?? "",
});

function policyIn(section: PageElement, name: string): unknown {
  for (const code of section.querySelectorAll("[data-policy]"))
    if (code.dataset["policy"] === name) return JSON.parse(code.textContent ?? "");
  return undefined;
}

function usedLines(used: UsedAccess): readonly string[] {
  const types = [...used.types].map(([type, interactions]) =>
    review.usedType(type, [...interactions].join(", "), [...(used.parameters.get(type) ?? [])].join(", ")),
  );
  const operations = [...used.operations].map((name) => review.usedOperation(name));
  const measured = used.measured(Date.now());
  const elements =
    measured === undefined
      ? []
      : [review.usedElements(measured.elements.size, measured.counted, measured.answers)];
  return [...types, ...operations, ...elements, review.usedPurposes([...used.purposes])];
}

/** The dropped permissions, and folded the difference of all decisions. */
function proposalOf(narrowed: NarrowedPolicy, body: unknown): readonly PageElement[] {
  return [
    make("h3", {}, review.narrower),
    make("ul", { class: "dropped" }, ...narrowed.dropped.map((each) => make("li", {}, each))),
    make(
      "details",
      {},
      make("summary", {}, review.diff),
      make("pre", { tabindex: "0" }, differenceLines(narrowed, body).join("\n")),
    ),
  ];
}

function differenceLines(narrowed: NarrowedPolicy, body: unknown): readonly string[] {
  const before = parsePolicyDocument(body);
  const compared = before.ok ? comparePolicies(before.value, narrowed.policy) : before;
  return compared.ok ? diffLines(compared.value) : [review.notCompared];
}

/** A button that sends the decision and stays on the page; then the next proposal has the focus. */
function button(
  card: PageElement,
  text: string,
  kind: string,
  decision: Readonly<Record<string, string>>,
  section: PageElement,
): PageElement {
  const grant = grantOf(card);
  const digest = card.dataset["digest"] ?? "";
  const name = `${text}: ${grant.client} ${grant.purpose} ${grant.origin}`;
  const made = make("button", { class: kind, "aria-label": name }, text);
  if (decision["act"] === "narrow") made.setAttribute("data-accept", "");
  const answer = part("[data-answer]", card);
  const retry = () => {
    made.disabled = false;
    made.focus();
  };
  const send = async () => {
    made.disabled = true;
    announce(answer, "still", review.sending);
    try {
      const { isDone, says } = await decide(grant, { ...decision, digest }, section);
      announce(answer, isDone ? "good" : "bad", says);
      if (!isDone) return retry();
      made.remove();
      section.querySelector("[data-accept]")?.focus();
    } catch (fault) {
      announce(answer, "bad", records.failed(fault instanceof Error ? fault.message : ""));
      retry();
    }
  };
  made.addEventListener("click", () => void send());
  return made;
}

async function decide(
  { client, origin, purpose, policy: name }: GrantToReview,
  decision: Readonly<Record<string, string>>,
  section: PageElement,
): Promise<{ readonly isDone: boolean; readonly says: string }> {
  const answer = await fetch("/console/registry/review/decide", {
    method: "POST",
    body: new URLSearchParams({
      client,
      origin,
      purpose,
      name,
      ...decision,
      form: section.dataset["form"] ?? "",
    }),
  });
  // A session that ended leads to the page of the sign-in.
  if (answer.headers.get("content-type") !== "application/json")
    return { isDone: false, says: review.signedOut };
  const { says } = await answer.json<{ readonly says: string }>();
  return { isDone: answer.ok, says };
}
