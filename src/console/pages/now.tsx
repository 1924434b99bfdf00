import type { Instant } from "#kernel/clock";
import type { LogHealth } from "#ledger/health";
import type { Waiting } from "#registry/waiting-work";
import { deniedClient, denialInWords, denialNamed, denialsShownMax, isOfToken } from "#console/denials";
import { areCut } from "#console/registry-view";
import type { NowReport } from "#console/now";
import type { Range } from "#console/traffic/timeline";
import { plotsFor } from "#console/traffic/plots";
import type { TrafficReport } from "#console/traffic/report";
import { texts } from "#console/texts";
import { agoText, momentText, numberText, untilText } from "#console/words";
import { Missing } from "./parts.tsx";
import { Plots, RangePicker } from "./plots.tsx";
import { clientAddress } from "./registry.tsx";
import { Badge, Table } from "./shell.tsx";

const { now } = texts;

/** The root log shows a checkpoint without a missing cosignature after this time. */
const cosignedLateSeconds = 300;

const tones = {
  good: "good",
  idle: "still",
  sealed: "still",
  degraded: "warn",
  refusing: "bad",
  silent: "bad",
} as const satisfies Readonly<Record<LogHealth["state"], "good" | "warn" | "bad" | "still">>;

/** The pages that the operator may open from here. */
export type NowLinks = Readonly<Record<"registry" | "approvals" | "alerts" | "events", boolean>>;

interface NowProps {
  readonly report: NowReport;
  readonly links: NowLinks;
}

/** The content of the page besides the plots, which the live stream sends again and again. */
export const NowContent = (props: NowProps) => (
  <>
    <NowState {...props} />
    <NowParts {...props} />
  </>
);

/** Whether all parts work, and the work that waits for a person. */
function NowState({ report, links }: NowProps) {
  const troubles = troublesOf(report);
  return (
    <div id="state">
      <p class={troubles === 0 ? "alert good" : "alert bad"} role="status">
        <strong>{troubles === 0 ? now.allWell : now.trouble(troubles)}</strong>{" "}
        <span class="note">
          {now.still} {momentText(report.at)}
        </span>
      </p>
      <FiringNotice report={report} links={links} />
      <WaitingNotice report={report} links={links} />
    </div>
  );
}

/** The parts and what ends or is denied. */
function NowParts({ report, links }: NowProps) {
  const { at, health, origins, ends, denials } = report;
  return (
    <div id="now">
      <section>
        <h2>{now.logs}</h2>
        {health === undefined ? (
          <Missing part={now.logs} />
        ) : (
          <>
            <LogTable report={report} logs={[...health.logs, health.root]} />
            <p class="note">{now.logsNote}</p>
          </>
        )}
      </section>
      <div class="columns">
        <section>
          <h2>{now.witnesses}</h2>
          {health === undefined ? <Missing part={now.witnesses} /> : <Witnesses report={report} />}
        </section>
        <section>
          <h2>{now.origins}</h2>
          {origins === undefined ? (
            <Missing part={now.origins} />
          ) : (
            <Table
              caption={now.origins}
              heads={[now.origin, now.state]}
              rows={Object.entries(origins).map(([name, state]) => [
                name,
                <Badge tone={isWorking(state) ? "good" : "bad"}>{state}</Badge>,
              ])}
              none={now.noOrigin}
            />
          )}
        </section>
        <section>
          <h2>{now.ends}</h2>
          {ends === undefined ? (
            <Missing part={now.ends} />
          ) : (
            <Table
              caption={now.ends}
              heads={[now.client, now.what, now.end]}
              rows={ends.map(({ client, kind, ends: end }) => [
                <ClientLink client={client} links={links} />,
                now.kinds[kind],
                <Badge tone={end <= at ? "bad" : "warn"}>{untilText(end, at)}</Badge>,
              ])}
              none={now.noEnds}
            />
          )}
          <p class="note">{now.endsNote}</p>
        </section>
        <section>
          <h2>{now.denials}</h2>
          {denials === undefined ? <Missing part={now.denials} /> : <Denials report={report} links={links} />}
        </section>
      </div>
    </div>
  );
}

interface NowPageProps extends NowProps {
  readonly traffic: TrafficReport;
  readonly range: Range;
}

/** The page: its content with the plots, and the address of the live stream for the script. */
export function NowPage({ report, traffic, range, links }: NowPageProps) {
  return (
    <>
      <h1>{now.title}</h1>
      <div data-live={`/console/now/live?range=${range}`}>
        <NowState report={report} links={links} />
        <RangePicker page="/console" range={range} />
        <Plots report={traffic} plots={plotsFor(links.registry)} />
        <NowParts report={report} links={links} />
      </div>
    </>
  );
}

function LogTable({
  report: { at },
  logs,
}: {
  readonly report: NowReport;
  readonly logs: readonly LogHealth[];
}) {
  return (
    <Table
      caption={now.logs}
      heads={[now.log, now.state, now.records, now.behindCopy, now.behindRoot, now.last]}
      rows={logs.map(({ log, state, size, copied, rooted, seconds, why }) => [
        <code>{log}</code>,
        <Badge tone={tones[state]}>{`${now.states[state]}${why === null ? "" : `: ${why}`}`}</Badge>,
        numberText(size),
        numberText(Math.max(0, size - copied)),
        numberText(Math.max(0, size - rooted)),
        seconds === 0 ? "–" : agoText(seconds * 1000, at),
      ])}
    />
  );
}

function Witnesses({ report: { at, health } }: { readonly report: NowReport }) {
  const witnesses = health?.witnesses ?? [];
  if (witnesses.length === 0) return <p class="alert warn">{now.noWitness}</p>;
  return (
    <Table
      caption={now.witnesses}
      heads={[now.witness, now.cosigned]}
      rows={witnesses.map(({ name, cosignedAt, isCurrent }) => [
        name,
        <Badge tone={isCurrent ? "good" : isLate(cosignedAt, at) ? "bad" : "warn"}>
          {cosignedAt === undefined ? texts.never : agoText(cosignedAt * 1000, at)}
        </Badge>,
      ])}
    />
  );
}

/** The number of alerts that fire, with the way to them. */
function FiringNotice({ report: { alerts }, links }: NowProps) {
  if (alerts === undefined) return <Missing part={texts.alerts.title} />;
  const firing = alerts.filter(({ state }) => state === "firing").length;
  if (firing === 0) return <></>;
  const text = texts.alerts.fire(firing);
  return (
    <p class="alert bad links">{links.alerts ? <a href="/console/alerts">{text}</a> : <span>{text}</span>}</p>
  );
}

/** Work that waits for a person, with the way to it. */
function WaitingNotice({ report: { at, waiting }, links }: NowProps) {
  if (waiting === undefined) return <Missing part={now.waitingPart} />;
  const { reviews, proposals } = waiting;
  if (reviews === undefined && proposals === undefined) return <p class="note">{now.nothingWaits}</p>;
  const item = (path: string, isOpen: boolean, text: string) =>
    isOpen ? <a href={path}>{text}</a> : <span>{text}</span>;
  const since = ({ since: first }: Waiting) => agoText(first, at);
  return (
    <p class="alert warn links">
      <strong>{now.waiting}</strong>{" "}
      {reviews === undefined
        ? undefined
        : item("/console/events", links.events, now.waitingReviews(reviews.count, since(reviews)))}{" "}
      {proposals === undefined
        ? undefined
        : item(
            "/console/approvals",
            links.approvals,
            now.waitingProposals(proposals.count, since(proposals)),
          )}
    </p>
  );
}

function ClientLink({ client, links }: { readonly client: string; readonly links: NowLinks }) {
  return links.registry ? <a href={clientAddress(client)}>{client}</a> : <span>{client}</span>;
}

/** Denials of tokens end by themselves, and each sign-out makes one: they are counted, not listed. */
function Denials({ report: { denials = [], ownerOf }, links }: NowProps) {
  const lasting = denials.filter(({ name }) => !isOfToken(name));
  const tokens = denials.length - lasting.length;
  return (
    <>
      <Table
        caption={now.denials}
        heads={[now.name, now.client, now.until]}
        rows={lasting.map(({ name, until }) => {
          const denial = denialNamed(name);
          const client = denial === undefined ? undefined : deniedClient(denial, ownerOf);
          return [
            denial === undefined ? <code>{name}</code> : denialInWords(denial, client),
            client === undefined ? "–" : <ClientLink client={client} links={links} />,
            until === null ? now.untilLifted : <time>{momentText(until)}</time>,
          ];
        })}
        none={now.noDenials}
      />
      {areCut(denials) ? <p class="alert warn">{texts.registry.denialsCut(denialsShownMax)}</p> : undefined}
      {tokens === 0 ? undefined : <p class="note">{now.deniedTokens(tokens)}</p>}
    </>
  );
}

/** How many parts need attention. */
function troublesOf({ at, health, origins, ends, denials, waiting, alerts }: NowReport): number {
  const missing = [health, origins, ends, denials, waiting, alerts].filter(
    (part) => part === undefined,
  ).length;
  const logs = [...(health?.logs ?? []), ...(health === undefined ? [] : [health.root])];
  const badLogs = logs.filter(({ state }) => tones[state] === "bad" || tones[state] === "warn").length;
  // Before the first record there is no checkpoint to cosign.
  const hasRoot = (health?.root.size ?? 0) > 0;
  const badWitnesses = (health?.witnesses ?? []).filter(
    ({ cosignedAt, isCurrent }) => hasRoot && !isCurrent && isLate(cosignedAt, at),
  ).length;
  const badOrigins = Object.values(origins ?? {}).filter((state) => !isWorking(state)).length;
  return missing + badLogs + badWitnesses + badOrigins;
}

/** A quiet ledger has no newer checkpoint to cosign: then an old cosignature is current and not late. */
const isLate = (seconds: number | undefined, at: Instant): boolean =>
  seconds === undefined || at / 1000 - seconds > cosignedLateSeconds;

const isWorking = (state: string): boolean => state === "ready" || state === "unchecked";
