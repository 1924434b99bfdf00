import type { ListedExport } from "#limits/listed-export";
import { texts } from "#console/texts";
import { agoText, momentText, numberText } from "#console/words";
import type { Instant } from "#kernel/clock";
import { Badge, Table } from "./shell.tsx";
import { Done, Labelled, StepForm } from "./parts.tsx";

const { exports } = texts;

interface ExportsPageProps {
  readonly exports: readonly ListedExport[];
  /** The number of older exports. */
  readonly more: number;
  readonly at: Instant;
  /** An export was cancelled just now. */
  readonly isCancelled: boolean;
  readonly formToken: string;
  readonly once: () => string;
  readonly mayCancel: boolean;
}

/** The exports of clients, the newest first. */
export function ExportsPage({
  exports: listed,
  more,
  at,
  isCancelled,
  formToken,
  once,
  mayCancel,
}: ExportsPageProps) {
  const { id, client, level, grant, types, started, state, expires, act } = exports.heads;
  return (
    <>
      <h1>{exports.title}</h1>
      {isCancelled ? <Done>{exports.cancelled}</Done> : undefined}
      <p>{exports.note}</p>
      <Table
        caption={exports.title}
        heads={[id, client, level, grant, types, started, state, expires, ...(mayCancel ? [act] : [])]}
        rows={listed.map((each) => [
          <code title={each.id}>{each.id.slice(0, 8)}</code>,
          <a href={`/console/exports?client=${encodeURIComponent(each.client)}`}>{each.client}</a>,
          each.facts === null ? texts.unknown : exports.levels[each.facts.level],
          each.facts === null ? texts.unknown : texts.registry.grantOf(each.facts.purpose, each.facts.origin),
          each.facts === null ? texts.unknown : <Types types={each.facts.types} />,
          <time>{`${momentText(each.startedAt)} (${agoText(each.startedAt, at)})`}</time>,
          <State facts={each.facts} at={at} />,
          <time>{momentText(each.expires)}</time>,
          ...(mayCancel ? [<CancelForm listed={each} formToken={formToken} once={once()} />] : []),
        ])}
        none={exports.nothing}
      />
      {more === 0 ? undefined : <p class="note">{exports.more(more)}</p>}
    </>
  );
}

/** How many files were read, and each file that is not read to its end. */
function State({ facts, at }: Pick<ListedExport, "facts"> & { readonly at: Instant }) {
  if (facts === null) return <Badge tone="warn">{exports.silent}</Badge>;
  const { read, types, run } = facts;
  if (run !== null) {
    const { state, tries, reason } = run;
    return (
      <div>
        {exports.runs[state](tries)}
        {reason === null ? undefined : `, ${exports.waits[reason] ?? reason}`}
      </div>
    );
  }
  const sent = read.filter(({ state }) => state === "sent");
  const rows = read.reduce((sum, file) => sum + file.rows, 0);
  return (
    <div>
      {read.length === 0 ? exports.ready : exports.sent(sent.length, types.length, numberText(rows))}
      {read.map(({ file, state, reason, at: noted }) =>
        state === "sent" ? undefined : (
          <p class="note">
            <Badge tone={state === "reading" ? "good" : "warn"}>{exports.states[state]}</Badge> {types[file]}
            {reason === null ? undefined : `, ${exports.waits[reason] ?? reason}`}
            {`, ${agoText(noted, at)}`}
          </p>
        ),
      )}
    </div>
  );
}

function Types({ types }: { readonly types: readonly string[] }) {
  if (types.length <= 3) return <>{types.join(", ")}</>;
  return (
    <details>
      <summary>{exports.types(types.length)}</summary>
      {types.join(", ")}
    </details>
  );
}

interface CancelFormProps {
  readonly listed: ListedExport;
  readonly formToken: string;
  readonly once: string;
}

function CancelForm({ listed: { id, client }, formToken, once }: CancelFormProps) {
  return (
    <StepForm action="/console/exports/cancel" formToken={formToken} fields={{ once, client, export: id }}>
      <Labelled label={exports.reason} id={`reason-${id}`} name="reason" maxlength={1_000} required />
      <button class="danger" aria-label={`${exports.cancel}: ${id.slice(0, 8)}, ${client}`}>
        {exports.cancel}
      </button>
    </StepForm>
  );
}
