import { breachCsv, breachLetter } from "#audit/breach-papers";
import type { BreachClocks } from "#audit/breach-clocks";
import { type BreachFindings, findBreach, reportOf, type UnreadPart } from "#auditing/breach-findings";
import { type CallerNames, isOfCaller } from "#auditing/event-names";
import { texts } from "#console/texts";
import { momentText, numberText, untilText } from "#console/words";
import { dayMilliseconds, instant } from "#kernel/clock";
import { auditorSourceIn, problemOf } from "./open-records.ts";
import { badge, make, moment, part, row, saveFile, table } from "./page-parts.ts";
import { type KeyedLedger, offerKey } from "./show-records.ts";

const { breach } = texts;
const rowsMax = 500;

interface Question {
  readonly name: keyof typeof breach.names;
  readonly value: string;
  readonly from: number;
  /** The last moment of the day. */
  readonly to: number;
  readonly discovered: number;
  /** Empty: each purpose. */
  readonly purpose: string;
}

/** Computes the scope of a breach from records that the chosen key opens, with its clocks and letters. */
export function offerBreach(section: PageElement): void {
  offerKey(section, async (ledger) => {
    clear(section);
    const question = questionIn(section);
    if (!(question.from <= question.to)) return { tone: "bad", text: breach.wrongPeriod };
    const problems = new Set<string>();
    const findings = await find(question, ledger, (unread) => void problems.add(problemIn(unread)));
    show(question, findings, section);
    if (!findings.complete) return { tone: "bad", text: breach.incomplete([...problems].join("; ")) };
    const { length } = findings.scope.affected;
    return { tone: length === 0 ? "warn" : "good", text: breach.found(length, findings.records.length) };
  });
}

function clear(section: PageElement): void {
  part("[data-results]", section).replaceChildren();
  part("[data-letters]", section).replaceChildren();
}

function questionIn(section: PageElement): Question {
  const typed = (id: string): string => part(`#breach-${id}`, section).value.trim();
  const day = (id: string): number => Date.parse(typed(id));
  return {
    name: typed("name") as Question["name"], // the options of the list
    value: typed("value"),
    from: day("from"),
    to: day("to") + dayMilliseconds - 1,
    discovered: day("discovered"),
    purpose: typed("purpose"),
  };
}

function find(
  { name, value, from, to, discovered, purpose }: Question,
  { place, key, onRead }: KeyedLedger,
  onUnread: (unread: UnreadPart) => void,
): Promise<BreachFindings> {
  const names: CallerNames = { [name]: value };
  const source = auditorSourceIn(place, key, onRead, () => undefined); // six years exceed every deadline
  return findBreach(
    source,
    (event) =>
      event.at >= from &&
      event.at <= to &&
      isOfCaller(event, names) &&
      (purpose === "" || event.why?.purposes?.includes(purpose) === true),
    discovered,
    onUnread,
  );
}

const problemIn = (unread: UnreadPart): string =>
  "missingParts" in unread ? breach.missingParts(unread.log, unread.missingParts) : problemOf(unread);

function show(question: Question, findings: BreachFindings, section: PageElement): void {
  const { scope, clocks } = findings;
  const { affected } = scope;
  const heading = breach.heading(
    breach.names[question.name],
    question.value,
    dayOf(question.from),
    dayOf(question.to),
  );
  part("[data-results]", section).replaceChildren(
    make("h2", {}, heading),
    make("p", { class: "note" }, breach.madeAt(momentText(Date.now()))),
    buttons(question, findings, section),
    ...(clocks === undefined
      ? []
      : [make("h3", {}, breach.clocksSince(clocks.discovered)), clockTable(clocks)]),
    ...(affected.length === 0 ? [] : [make("h3", {}, breach.states), stateTable(findings)]),
    ...gaps(findings),
    make("h3", {}, breach.individuals(affected.length)),
    ...(affected.length === 0 ? [make("p", {}, breach.nobody)] : [individualTable(findings)]),
    ...(affected.length > rowsMax ? [make("p", { class: "note" }, breach.cut(rowsMax))] : []),
  );
}

function buttons(question: Question, findings: BreachFindings, section: PageElement): PageElement {
  const button = (text: string, act: () => void): PageElement => {
    const made = make("button", { class: "quiet" }, text);
    made.addEventListener("click", act);
    return made;
  };
  const name = `breach-${dayOf(question.from)}-${dayOf(question.to)}`;
  return make(
    "p",
    { class: "steps no-print" },
    ...(findings.scope.affected.length === 0
      ? []
      : [button(breach.letters, () => showLetters(findings, section))]),
    button(breach.csv, () =>
      saveFile(
        `${name}.csv`,
        "text/csv",
        breachCsv(findings.scope.affected).map((line) => `${line}\r\n`),
      ),
    ),
    button(breach.json, () =>
      saveFile(`${name}.json`, "application/json", [
        JSON.stringify({
          [question.name]: question.value,
          from: new Date(question.from).toISOString(),
          to: new Date(question.to).toISOString(),
          ...reportOf(findings),
        }),
      ]),
    ),
    button(breach.print, () => print(section, "scope")),
  );
}

/** Prints the scope, or the letters alone. */
function print(section: PageElement, what: "scope" | "letters"): void {
  section.setAttribute("data-print", what);
  window.print();
}

/** A draft for each individual (45 CFR 164.404(c)), each on a sheet of its own. */
function showLetters({ scope, clocks }: BreachFindings, section: PageElement): void {
  const letters = scope.affected.map(({ patient, first, last, disclosed }) => {
    const [date = "", address = "", title = "", ...body] = breachLetter({
      patient,
      from: dayOf(first),
      to: dayOf(last),
      types: Object.keys(disclosed),
      discovered: clocks?.discovered,
      by: clocks?.individuals,
    });
    return make(
      "article",
      { class: "letter" },
      make("p", {}, date),
      make("p", {}, address),
      make("h3", {}, title),
      ...body.map((paragraph) => make("p", {}, paragraph)),
    );
  });
  const button = make("button", { class: "no-print" }, breach.printLetters);
  button.addEventListener("click", () => print(section, "letters"));
  const place = part("[data-letters]", section);
  place.replaceChildren(
    make("h2", { class: "no-print" }, breach.lettersTitle(letters.length)),
    make("p", { class: "no-print" }, breach.lettersNote),
    make("p", { class: "no-print" }, button),
    ...letters,
  );
  button.focus();
}

function clockTable({ discovered, individuals, media, secretary }: BreachClocks): PageElement {
  const heads = [breach.notice, breach.deadline, breach.left, breach.clause];
  const states = media.states.length === 0 ? breach.noState : media.states.join(", ");
  const maybe = media.maybe.length === 0 ? "" : ` ${breach.maybe(media.maybe.join(", "))}`;
  const lines: readonly (readonly [string, string, string])[] = [
    [breach.toIndividuals, individuals, "45 CFR 164.404(b)"],
    [`${breach.toMedia}: ${states}${maybe}`, media.by, "45 CFR 164.406"],
    [breach.toSecretary, secretary.by, `45 CFR ${secretary.clause}`],
  ];
  return table(
    breach.clocksSince(discovered),
    heads,
    lines.map(([notice, by, clause]) => row(heads, [notice, make("time", {}, by), daysLeft(by), clause])),
  );
}

/** The last day counts whole. */
function daysLeft(day: string): PageElement {
  const [end, now] = [Date.parse(day) + dayMilliseconds - 1, instant(Date.now())];
  const tone = end <= now ? "bad" : end - now < 14 * dayMilliseconds ? "warn" : "still";
  return badge(tone, untilText(end, now));
}

function stateTable({ scope: { byState } }: BreachFindings): PageElement {
  const heads = [breach.state, breach.people];
  return table(
    breach.states,
    heads,
    Object.entries(byState).map(([state, count]) => row(heads, [state, numberText(count)])),
  );
}

/** The facts that the records leave open: people have to ask. */
function gaps({ scope, undecided }: BreachFindings): readonly PageElement[] {
  const { askedInVain, askedBeyondReach, unnamed, written } = scope;
  const sentences = [
    ...(undecided > 0 ? [breach.undecided(undecided)] : []),
    ...(unnamed.length > 0 ? [breach.unnamed(unnamed.join(", "))] : []),
    ...(written.length > 0 ? [breach.written(written.join(", "))] : []),
    ...(askedInVain.length > 0 ? [breach.inVain(askedInVain.join(", "))] : []),
    ...(askedBeyondReach.length > 0 ? [breach.beyond(askedBeyondReach.join(", "))] : []),
  ];
  if (sentences.length === 0) return [];
  return [
    make("h3", {}, breach.gaps),
    make("ul", { class: "gaps" }, ...sentences.map((each) => make("li", {}, each))),
  ];
}

function individualTable({ scope: { affected } }: BreachFindings): PageElement {
  const heads = [breach.patient, breach.state, breach.first, breach.last, breach.kinds, breach.disclosures];
  return table(
    breach.individuals(affected.length),
    heads,
    affected.slice(0, rowsMax).map(({ patient, state, first, last, disclosed, records }) =>
      row(heads, [
        make("code", {}, patient),
        state,
        moment(first),
        moment(last),
        Object.entries(disclosed)
          .map(([kind, count]) => texts.counted(kind, count))
          .join("; "),
        numberText(records.length),
      ]),
    ),
  );
}

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
