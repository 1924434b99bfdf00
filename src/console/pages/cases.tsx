import type { Child, PropsWithChildren } from "hono/jsx";
import { texts } from "#console/texts";
import { momentText, untilText } from "#console/words";
import { dayMilliseconds, type Instant } from "#kernel/clock";
import { casesPageMax, denialGrounds, type CaseNotice, type ListedCase } from "#registry/case-document";
import { caseState, caseSteps, noticeWords, requestOfCase } from "#registry/cases/case-words";
import { Choice, Field, FactList, Hidden, LinkLine, NoScript } from "./parts.tsx";
import { Badge, Table } from "./shell.tsx";

const { cases: words } = texts;

export type CaseStepName = keyof typeof words.steps;

interface CasesPageProps {
  readonly cases: readonly ListedCase[];
  readonly state: string;
  readonly now: Instant;
  readonly formToken: string;
}

/** The requests for amendments, the nearest last day first. */
export function CasesPage({ cases, state, now, formToken }: CasesPageProps) {
  const last = cases.at(-1);
  return (
    <>
      <h1>{words.title}</h1>
      <p>{words.intro}</p>
      <nav class="links" aria-label={words.show}>
        {Object.entries(words.shown).map(([name, text]) => (
          <>
            <a href={`/console/cases?state=${name}`} aria-current={name === state ? "page" : undefined}>
              {text}
            </a>{" "}
          </>
        ))}
      </nav>
      <Table
        caption={words.title}
        heads={[words.id, words.received, words.due, words.patient, words.request, words.state]}
        rows={cases
          .toSorted((one, other) => one.due.localeCompare(other.due))
          .map((each) => [
            <a href={`/console/cases/${each.id}`}>
              <code>{each.id}</code>
            </a>,
            <time>{momentText(each.receivedAt)}</time>,
            <Due found={each} now={now} />,
            `${each.origin}/${each.patient}`,
            requestOfCase(each),
            caseState(each, now),
          ])}
        none={words.none}
      />
      {last === undefined || cases.length < casesPageMax ? undefined : (
        <LinkLine href={`/console/cases?state=${state}&after=${last.id}`}>{words.later}</LinkLine>
      )}
      <StepCard formToken={formToken} step="open">
        <Field id="origin" name="origin" label={words.origin} required size={20} />
        <Field
          id="patient"
          name="patient"
          label={words.patient}
          required
          size={40}
          placeholder={words.addressOfPatient}
        />
        <Field
          id="notice"
          name="notice"
          label={words.noticeAt}
          required
          size={40}
          placeholder={words.address}
        />
        <Field id="from" name="from" label={words.from} required maxlength={200} size={40} />
        <label for="rows">{words.amended}</label>
        <textarea id="rows" name="rows" rows={3} spellcheck={false}></textarea>
      </StepCard>
    </>
  );
}

/** The last day, which counts whole, with the days until it while the case is open. */
function Due({ found: { due, decision }, now }: { readonly found: ListedCase; readonly now: Instant }) {
  const end = Date.parse(due) + dayMilliseconds - 1;
  const tone = end <= now ? "bad" : end - now < 14 * dayMilliseconds ? "warn" : "still";
  return (
    <span>
      <time>{due}</time> {decision === null ? <Badge tone={tone}>{untilText(end, now)}</Badge> : undefined}
    </span>
  );
}

interface CasePageProps {
  readonly found: ListedCase;
  readonly now: Instant;
  readonly formToken: string;
  /** What a step has done, or why it was refused. */
  readonly outcome: Child;
}

/** A case with its history, and the steps that its state permits: the verb of each step decides. */
export function CasePage({ found, now, formToken, outcome }: CasePageProps) {
  const { origin, patient, disputed, statement, notices = [] } = found;
  const about = { found, formToken };
  return (
    <>
      <LinkLine href="/console/cases">{words.title}</LinkLine>
      <h1>{words.case(found.id)}</h1>
      {outcome}
      <FactList
        rows={[
          [words.state, caseState(found, now)],
          [words.due, <Due found={found} now={now} />],
          [words.patient, `${origin}/${patient}`],
          [words.request, requestOfCase(found)],
          [words.disputed, (disputed ?? []).join(", ") || texts.none],
          ...(statement === null
            ? []
            : ([
                [
                  words.follows,
                  statement.messages.map(({ role, reference }) => `${role}: ${reference}`).join(", "),
                ],
                [words.members, statement.elements?.join(", ") ?? texts.none],
                [words.summary, statement.summary ?? texts.none],
              ] as const)),
        ]}
      />
      <h2>{words.history}</h2>
      <Table
        caption={words.history}
        heads={[texts.records.when, words.what]}
        rows={caseSteps(found).map(({ at, says }) => [
          at === undefined ? words.noTime : <time>{momentText(at)}</time>,
          says,
        ])}
      />
      {isAmended(found) ? (
        <>
          <h2>{words.notices}</h2>
          <Table
            caption={words.notices}
            heads={[words.recipient, words.what]}
            rows={notices.map((notice) => [recipientText(notice), noticeWords(notice)])}
            none={words.noNotices}
          />
        </>
      ) : undefined}
      <div class="columns">
        {found.decision === null ? <OpenSteps {...about} /> : undefined}
        {isAmended(found) ? <NoticeSteps {...about} /> : undefined}
        {found.denialLetter === null ? undefined : <StatementStep {...about} />}
      </div>
    </>
  );
}

interface About {
  readonly found: ListedCase;
  readonly formToken: string;
}

function OpenSteps({ found, formToken }: About) {
  const about = { found, formToken };
  const isNotice = found.informedBy !== null;
  return (
    <>
      {found.resource === null ? (
        <>
          <StepCard {...about} step="confirm">
            <Field
              id="request"
              name="request"
              label={words.requestAt}
              required
              size={40}
              placeholder={words.address}
            />
          </StepCard>
        </>
      ) : undefined}
      {found.resource === null || (isNotice && found.amendedAt === null) ? (
        <StepCard {...about} step="void">
          <Field id="why" name="why" label={words.why} required maxlength={1_000} size={60} />
        </StepCard>
      ) : undefined}
      <StepCard {...about} step="accept" />
      {isNotice ? undefined : <AnswerSteps {...about} />}
    </>
  );
}

/** The steps by which a request of the individual is denied, or its time extended. */
function AnswerSteps({ found, formToken }: About) {
  const about = { found, formToken };
  return (
    <>
      <LetterCard {...about} step="deny" kind="denial">
        <fieldset>
          <legend>{words.groundsTitle}</legend>
          {denialGrounds.map((ground) => (
            <Choice name="ground" value={ground}>
              {words.grounds[ground]}
            </Choice>
          ))}
        </fieldset>
        <Choice name="partly" value="true">
          {words.partly}
        </Choice>
        <Words id="explanation" label={words.explanation} />
      </LetterCard>
      {found.extendedAt === null ? (
        <LetterCard {...about} step="extend" kind="extension">
          <Words id="reason" label={words.reason} />
        </LetterCard>
      ) : undefined}
    </>
  );
}

const isAmended = ({ decision }: ListedCase): boolean =>
  decision === "accepted" || decision === "partly-denied";
const recipientText = ({ kind, recipient }: CaseNotice): string =>
  `${recipient} (${words.recipientKinds[kind]})`;

function NoticeSteps({ found, formToken }: About) {
  const about = { found, formToken };
  const open = (found.notices ?? []).filter(({ endedAt }) => endedAt === null);
  const select = (id: string) => (
    <>
      <label for={id}>{words.openNotice}</label>
      <select id={id} name="notice" required>
        {open.map((notice) => (
          <option value={`${notice.kind} ${notice.recipient}`}>{recipientText(notice)}</option>
        ))}
      </select>
    </>
  );
  return (
    <>
      <StepCard {...about} step="find">
        <Field
          id="patients"
          name="patients"
          label={words.united}
          size={40}
          placeholder={words.addressOfPatient}
        />
      </StepCard>
      <StepCard {...about} step="name">
        <Field id="recipient" name="recipient" label={words.recipient} required maxlength={200} size={40} />
      </StepCard>
      {open.length === 0 ? undefined : (
        <>
          <StepCard {...about} step="sent">
            {select("sent-to")}
            <Field
              id="letter"
              name="letter"
              label={words.letterDigest}
              required
              pattern="[0-9a-f]{64}"
              size={64}
            />
          </StepCard>
          <StepCard {...about} step="waive">
            {select("not-sent-to")}
            <Field id="waived" name="why" label={words.why} required maxlength={1_000} size={60} />
          </StepCard>
        </>
      )}
    </>
  );
}

function StatementStep({ found, formToken }: About) {
  const about = { found, formToken };
  if (found.statement !== null)
    return (
      <StepCard {...about} step="unstate">
        <Field id="why" name="why" label={words.why} required maxlength={1_000} size={60} />
      </StepCard>
    );
  return (
    <StepCard {...about} step="state">
      {Object.entries(words.messages).map(([name, label]) => (
        <Field id={name} name={name} label={label} size={40} placeholder={words.address} />
      ))}
      <label for="rows">{words.rows}</label>
      <textarea id="rows" name="rows" rows={3} spellcheck={false}>
        {(found.disputed ?? []).join("\n")}
      </textarea>
      <label for="elements">{words.elements}</label>
      <textarea id="elements" name="elements" rows={2} spellcheck={false}></textarea>
      <Field id="summary" name="summary" label={words.summaryField} maxlength={1_000} size={60} />
    </StepCard>
  );
}

type StepProps = PropsWithChildren<About & { readonly step: CaseStepName }>;
type CardProps = Omit<StepProps, "found"> & Partial<Pick<StepProps, "found">>;

/** A step of a case, or without a case the step that opens one. */
function StepCard({ found, formToken, step, children }: CardProps) {
  const { title, says, button } = words.steps[step];
  return (
    <form class="card" method="post" action={`/console/cases/${step}`} aria-labelledby={`step-${step}`}>
      <h2 id={`step-${step}`}>{title}</h2>
      <p class="note">{says}</p>
      <Hidden formToken={formToken} fields={found === undefined ? {} : { case: found.id }} />
      {children}
      <p>
        <button class="quiet">{button}</button>
      </p>
    </form>
  );
}

/** A step with a letter, which the script makes from the fields without a name: these fields are not sent. */
function LetterCard({ kind, children, ...about }: StepProps & { readonly kind: "denial" | "extension" }) {
  const { title, says, button } = words.steps[about.step];
  const { id, receivedAt } = about.found;
  const name = `step-${about.step}`;
  return (
    <form
      class="card"
      method="post"
      action={`/console/cases/${about.step}`}
      aria-labelledby={name}
      data-letter={kind}
      data-case={id}
      data-received={receivedAt}
    >
      <h2 id={name}>{title}</h2>
      <p class="note">{says}</p>
      <Hidden formToken={about.formToken} fields={{ case: id, letter: "" }} />
      {children}
      <Field
        id={`${name}-template`}
        label={words.template}
        type="file"
        accept=".txt,text/plain"
        data-template
      />
      <p class="note">{words.onMachine}</p>
      <NoScript>{words.noScript}</NoScript>
      <p>
        <button type="button" class="quiet" data-make disabled>
          {words.make}
        </button>
      </p>
      <p role="status" data-banner></p>
      <pre tabindex={0} aria-label={words.letter} data-preview hidden></pre>
      <p>
        <button class="danger" data-step disabled>
          {button}
        </button>
      </p>
    </form>
  );
}

const Words = ({ id, label }: { readonly id: string; readonly label: string }) => (
  <>
    <label for={id}>{label}</label>
    <textarea id={id} rows={4} data-words></textarea>
  </>
);
