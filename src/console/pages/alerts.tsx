import type { AlertNow, AlertReport, DeadLetter, ShownSilence } from "#audit/alerts/report";
import type { Instant } from "#kernel/clock";
import { texts } from "#console/texts";
import type { VerbRefused } from "#console/visit";
import { agoText, momentText, numberText } from "#console/words";
import { RefusalAlert } from "./messages.tsx";
import { Choice, Done, Field, Hidden } from "./parts.tsx";
import { Badge, Table } from "./shell.tsx";

const { alerts: words } = texts;

/** A silence without a typed end lasts for two hours. */
const usualMilliseconds = 2 * 3_600_000;

/** A form that was refused, so that a person corrects it. */
export interface RefusedForm {
  readonly refusal: VerbRefused;
  readonly form: URLSearchParams;
}

interface AlertsProps {
  readonly report: AlertReport;
  readonly at: Instant;
  readonly formToken: string;
  readonly once: () => string;
  readonly maySilence: boolean;
  /** What was just done. */
  readonly note?: string | undefined;
  readonly refused?: RefusedForm | undefined;
}

/** The alerts, the silences with the forms that make and end one, and the messages that no receiver took. */
export function AlertsPage(page: AlertsProps) {
  const { report, at, note, refused } = page;
  const firing = report.alerts.filter(({ state }) => state === "firing");
  const waiting = report.alerts.filter(({ state }) => state === "waiting");
  const quiet = report.alerts.filter(({ state }) => state === "quiet");
  return (
    <>
      <h1>{words.title}</h1>
      {note === undefined ? undefined : <Done>{note}</Done>}
      {refused === undefined ? undefined : <RefusalAlert refusal={refused.refusal} />}
      <p class={firing.length === 0 ? "alert good" : "alert bad"}>
        <strong>{firing.length === 0 ? words.noneFires : words.fire(firing.length)}</strong>{" "}
        <span class="note">
          {texts.now.still} {momentText(at)}
        </span>
      </p>
      <h2>{words.raised}</h2>
      <AlertTable caption={words.raised} alerts={[...firing, ...waiting]} at={at} none={words.noneRaised} />
      <details>
        <summary>{words.quiet(quiet.length)}</summary>
        <AlertTable caption={words.title} alerts={quiet} at={at} none={words.noneRaised} />
      </details>
      <h2>{words.silences}</h2>
      <Silences {...page} />
      {page.maySilence ? <SilenceForm {...page} /> : undefined}
      <h2>{words.letters}</h2>
      {report.waiting === 0 ? undefined : <p class="alert warn">{words.messagesWait(report.waiting)}</p>}
      <Letters letters={report.deadLetters} />
      <p class="note">{words.lettersNote}</p>
    </>
  );
}

interface AlertTableProps {
  readonly caption: string;
  readonly alerts: readonly AlertNow[];
  readonly at: Instant;
  readonly none: string;
}

function AlertTable({ caption, alerts, at, none }: AlertTableProps) {
  return (
    <Table
      caption={caption}
      heads={[
        words.alert,
        words.state,
        words.severity,
        words.since,
        words.measured,
        words.threshold,
        words.runbook,
      ]}
      rows={alerts.map(
        ({ alert, says, state, silenced, severity, since, value, threshold, unit, runbook }) => [
          <>
            {says} <code>{alert}</code>
          </>,
          <Badge tone={toneOf(state, severity)}>
            {silenced ? words.silenced(words.states[state]) : words.states[state]}
          </Badge>,
          words.severities[severity],
          since === null
            ? "–"
            : words.sinceThen(momentText(Date.parse(since)), agoText(Date.parse(since), at)),
          value === null ? texts.unknown : measured(value, unit),
          measured(threshold, unit),
          <code>{words.runbookAt(runbook)}</code>,
        ],
      )}
      none={none}
    />
  );
}

const toneOf = (state: AlertNow["state"], severity: AlertNow["severity"]) =>
  state === "quiet" ? "good" : state === "firing" && severity === "page" ? "bad" : "warn";

/** A value with its unit, with one decimal at most. */
const measured = (value: number, unit: AlertNow["unit"]): string =>
  words.units[unit](
    Number.isInteger(value) || value > 100 ? numberText(Math.round(value)) : value.toFixed(1),
  );

function Silences({ report: { silences }, at, formToken, once, maySilence }: AlertsProps) {
  const ending = ({ id, alerts }: ShownSilence) => (
    <form class="inline" method="post" action="/console/alerts/unsilence">
      <Hidden formToken={formToken} fields={{ silence: id, once: once() }} />
      <Field label={words.endWhy} id={`why-${id}`} name="reason" required maxlength={300} />
      <button class="quiet" aria-label={`${words.end}: ${alertsText(alerts)}`}>
        {words.end}
      </button>
    </form>
  );
  return (
    <Table
      caption={words.silences}
      heads={[
        words.alert,
        words.state,
        words.from,
        words.until,
        words.reason,
        words.operator,
        ...(maySilence ? [texts.registry.act] : []),
      ]}
      rows={silences.map((silence) => [
        alertsText(silence.alerts),
        <Badge tone="still">{Date.parse(silence.from) <= at ? words.inForce : words.planned}</Badge>,
        <time>{momentText(Date.parse(silence.from))}</time>,
        <time>{momentText(Date.parse(silence.until))}</time>,
        silence.reason,
        silence.operator,
        ...(maySilence ? [ending(silence)] : []),
      ])}
      none={words.noSilence}
    />
  );
}

const alertsText = (alerts: readonly string[]): string =>
  alerts.map((alert) => (alert === "all" ? words.all : alert)).join(", ");

/** The form of a silence, with what was typed into a form that was refused. */
function SilenceForm({ report: { alerts }, at, formToken, once, refused }: AlertsProps) {
  const typed = refused?.form;
  const chosen = new Set(typed?.getAll("alerts"));
  const until = typed?.get("until") ?? new Date(at + usualMilliseconds).toISOString().slice(0, 16);
  const time = { type: "datetime-local" };
  return (
    <form class="card" method="post" action="/console/alerts/silence" aria-labelledby="silence">
      <h3 id="silence">{words.make}</h3>
      <p class="note">{words.makeNote}</p>
      <Hidden formToken={formToken} fields={{ once: once() }} />
      <fieldset>
        <legend>{words.which}</legend>
        <Choice name="alerts" value="all" checked={chosen.has("all")}>
          {words.all}
        </Choice>
        {alerts.map(({ alert, says }) => (
          <Choice name="alerts" value={alert} checked={chosen.has(alert)}>
            <code>{alert}</code> {says}
          </Choice>
        ))}
      </fieldset>
      <div class="fields">
        <Field
          {...time}
          label={words.formFrom}
          id="from"
          name="from"
          value={typed?.get("from") ?? undefined}
        />
        <Field {...time} label={words.formUntil} id="until" name="until" required value={until} />
      </div>
      <Field
        label={words.why}
        id="reason"
        name="reason"
        required
        maxlength={300}
        size={60}
        value={typed?.get("reason") ?? undefined}
      />
      <p>
        <button>{words.silence}</button>
      </p>
    </form>
  );
}

function Letters({ letters }: { readonly letters: readonly DeadLetter[] }) {
  return (
    <Table
      caption={words.letters}
      heads={[words.alert, words.message, words.messageMade, words.givenUp, words.failed]}
      rows={letters.map(({ alert, state, at, givenUpAt, failed }) => [
        <code>{alert}</code>,
        words.messages[state],
        <time>{momentText(Date.parse(at))}</time>,
        <time>{momentText(Date.parse(givenUpAt))}</time>,
        failed === null
          ? texts.unknown
          : typeof failed === "number"
            ? words.status(failed)
            : words.failures[failed],
      ])}
      none={words.noLetter}
    />
  );
}
