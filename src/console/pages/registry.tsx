import type { Instant } from "#kernel/clock";
import {
  deniedClient,
  denialInWords,
  denialsShownMax,
  type DenialInForce,
  denialNamed,
  isOfToken,
  type LastingDenial,
} from "#console/denials";
import {
  agreementsOf,
  areCut,
  grantsOf,
  isDenied,
  type RegistryView,
  type ShownClient,
  type Standing,
  standingOf,
} from "#console/registry-view";
import { texts } from "#console/texts";
import type { ClientTraffic } from "#console/traffic/report";
import { plotsOfClient } from "#console/traffic/plots";
import { agoText, endText, momentText } from "#console/words";
import { Badge, Table } from "./shell.tsx";
import { Plots, RangePicker } from "./plots.tsx";
import { Done, FactList, JsonText, LinkLine, StepForm } from "./parts.tsx";

const { registry } = texts;

export const clientAddress = (id: string): string => `/console/registry/clients/${encodeURIComponent(id)}`;

/** The facts of a page of the registry besides the registry itself. */
interface RegistryProps {
  readonly view: RegistryView;
  /** Undefined: they could not be read. */
  readonly denials: readonly DenialInForce[] | undefined;
  readonly at: Instant;
  readonly formToken: string;
  readonly once: () => string;
  readonly mayRevoke: boolean;
}

/** The clients, the denials in force and, folded, the further entries. */
export function RegistryPage(page: RegistryProps) {
  const { view, denials } = page;
  return (
    <>
      <h1>{registry.title}</h1>
      <p class="links">
        <a href="/console/registry/review">{registry.review}</a>
        <a href="/console/registry/change">{registry.change}</a>
      </p>
      <h2>{registry.clients}</h2>
      <Clients {...page} />
      <h2>{registry.denials}</h2>
      <UnsureDenials denials={denials} />
      <Denials {...page} />
      <FurtherEntries view={view} />
      <p class="note">
        {registry.digest} <code>{view.digest}</code>
      </p>
    </>
  );
}

function Clients({ view, denials, at }: RegistryProps) {
  return (
    <Table
      caption={registry.clients}
      heads={[
        registry.client,
        registry.organization,
        registry.kind,
        registry.status,
        registry.proof,
        registry.purposes,
      ]}
      rows={(view.registry.clients ?? []).map((client) => [
        <a href={clientAddress(client.id)}>{client.id}</a>,
        client.entity?.name ?? <span class="soft">{registry.noName}</span>,
        client.kind,
        <Status standing={standingOf(view, client, denials, at)} />,
        registry.proofs[client.auth] ?? client.auth,
        grantsOf(view, client.id)
          .map(({ purpose, origin }) => registry.grantOf(purpose, origin))
          .join(", "),
      ])}
    />
  );
}

/** The policies, the origins and the issuers. */
function FurtherEntries({ view }: Pick<RegistryProps, "view">) {
  const { policies = [], origins = [], issuers = [] } = view.registry;
  return (
    <>
      <h2>{registry.policies}</h2>
      <Table
        caption={registry.policies}
        heads={[registry.policy, registry.body]}
        rows={policies.map(({ name, body }) => [
          name,
          <details>
            <summary>{registry.showBody(name)}</summary>
            <JsonText value={body} />
          </details>,
        ])}
      />
      <h2>{registry.origins}</h2>
      <Table
        caption={registry.origins}
        heads={[registry.origin, registry.credentials]}
        rows={origins.map(({ name, credentials }) => [name, credentials.kind])}
      />
      <h2>{registry.issuers}</h2>
      <Table
        caption={registry.issuers}
        heads={[registry.issuer, registry.audience]}
        rows={issuers.map(({ iss, audience }) => [iss, audience ?? texts.none])}
      />
    </>
  );
}

/** The name is the entity's own word, so the id that decides stands beside it. */
export const clientTitle = ({ id, entity }: ShownClient): string =>
  entity === undefined ? id : `${entity.name} (${id})`;

function Status({ standing }: { readonly standing: Standing }) {
  const tone = standing === "active" ? "good" : standing === "unagreed" ? "warn" : "bad";
  return <Badge tone={tone}>{registry.statuses[standing]}</Badge>;
}

/** Says that a thing may be denied though the page shows no denial of it. */
function UnsureDenials({ denials }: Pick<RegistryProps, "denials">) {
  if (denials === undefined) return <p class="alert warn">{registry.denialsUnread}</p>;
  return areCut(denials) ? <p class="alert warn">{registry.denialsCut(denialsShownMax)}</p> : undefined;
}

/** Each denial that a person lifts. Denials of tokens end by themselves. */
function Denials({ view, denials, formToken, once, mayRevoke }: RegistryProps) {
  if (denials === undefined) return undefined;
  const lasting = denials.filter(({ name }) => !isOfToken(name));
  if (lasting.length === 0) return <p>{registry.noDenials}</p>;
  const owners = new Map(
    (view.registry.clients ?? []).flatMap(({ id, certificates = [] }) =>
      certificates.flatMap((each) => (typeof each === "string" ? [[each, id] as const] : [])),
    ),
  );
  return (
    <Table
      caption={registry.denials}
      heads={[registry.denialOf, registry.client, registry.act]}
      rows={lasting.map(({ name }) => {
        const denial = denialNamed(name);
        if (denial === undefined) return [<code>{name}</code>, "–", ""];
        const client = deniedClient(denial, (x5t) => owners.get(x5t));
        return [
          denialInWords(denial, client),
          client === undefined ? "–" : <a href={clientAddress(client)}>{client}</a>,
          mayRevoke ? (
            <LiftButton
              denial={denial}
              says={denialInWords(denial, client)}
              formToken={formToken}
              once={once()}
              back={client ?? ""}
            />
          ) : (
            ""
          ),
        ];
      })}
    />
  );
}

/** The words by which records of operators' acts name a client: a denied certificate is named without its client. */
const namesOf = ({ id, certificates = [] }: ShownClient): readonly string[] => [
  id,
  ...certificates.flatMap((each) => (typeof each === "string" ? [each] : [])),
];

interface ClientPageProps extends RegistryProps {
  readonly client: ShownClient;
  readonly ends: ReadonlyMap<string, Instant>;
  readonly mayReadEvents: boolean;
  readonly traffic: ClientTraffic;
}

/** A client: its certificates and keys, agreements and grants, and the buttons that deny them. */
export function ClientPage(page: ClientPageProps) {
  const { view, client, denials, at, mayRevoke } = page;
  return (
    <>
      <LinkLine href="/console/registry">{registry.title}</LinkLine>
      <h1>{clientTitle(client)}</h1>
      <ClientFacts client={client} standing={standingOf(view, client, denials, at)} />
      <ClientSteps {...page} />
      {mayRevoke ? <p class="note">{registry.denyNote}</p> : undefined}
      <UnsureDenials denials={denials} />
      <ClientPlots {...page} />
      <ClientCertificates {...page} />
      <ClientKeys {...page} />
      <ClientAgreements {...page} />
      <ClientGrants {...page} />
    </>
  );
}

/** The requests of the client over time, its last use, and the way to its refusals. */
function ClientPlots({ view, client: { id }, at, traffic: { range, timeline, lastUse } }: ClientPageProps) {
  const { traffic } = texts;
  const quotas = grantsOf(view, id).map(({ client, purpose, quotas: { default: quota } }) => ({
    client,
    purpose,
    requests: quota.requests,
    windowSeconds: quota.windowSeconds,
  }));
  return (
    <>
      <RangePicker page={clientAddress(id)} range={range} />
      <Plots report={{ at, timeline, ages: undefined, quotas }} plots={plotsOfClient} />
      <FactList
        rows={[
          [
            traffic.lastUse,
            lastUse === undefined
              ? texts.unknown
              : lastUse === null
                ? traffic.unused
                : `${momentText(lastUse)} (${agoText(lastUse, at)})`,
          ],
        ]}
      />
      <LinkLine href={`/console/why#${encodeURIComponent(id)}`}>{traffic.refusalsOf(id)}</LinkLine>
    </>
  );
}

function ClientFacts({ client, standing }: { readonly client: ShownClient; readonly standing: Standing }) {
  const { id, entity, kind, auth } = client;
  return (
    <FactList
      rows={[
        [registry.clientId, <code>{id}</code>],
        ...(entity === undefined ? [] : [[registry.address, entity.address ?? texts.unknown] as const]),
        [registry.kind, kind],
        [registry.status, <Status standing={standing} />],
        [registry.proof, registry.proofs[auth] ?? auth],
      ]}
    />
  );
}

/** The ways on from the page: to change the client, to deny it, and to read its records. */
function ClientSteps(page: ClientPageProps) {
  const { client, mayReadEvents } = page;
  const { id } = client;
  return (
    <div class="steps">
      <a class="button quiet" href={`${clientAddress(id)}/change`}>
        {texts.clientChange.link}
      </a>{" "}
      <DenyOrLift page={page} label={registry.denyClient} denial={{ kind: "client", client: id }} />
      {mayReadEvents ? (
        <a href={`/console/events#${encodeURIComponent(namesOf(client).join(", "))}`}>
          {texts.events.history}
        </a>
      ) : undefined}
    </div>
  );
}

function ClientCertificates(page: ClientPageProps) {
  const { client, ends, at } = page;
  const { certificates = [] } = client;
  return (
    <>
      <h2>{registry.certificates}</h2>
      <Table
        caption={registry.certificates}
        heads={[registry.certificate, registry.end, registry.act]}
        rows={certificates.map((certificate) => {
          if (typeof certificate !== "string")
            return [<code>{JSON.stringify(certificate)}</code>, texts.unknown, ""];
          const end = ends.get(certificate);
          const denial = { kind: "certificate", x5t: certificate } as const;
          return [
            <code>{certificate}</code>,
            end === undefined ? texts.unknown : endText(end, at),
            <DenyOrLift page={page} label={registry.deny} denial={denial} />,
          ];
        })}
        none={texts.none}
      />
    </>
  );
}

function ClientKeys(page: ClientPageProps) {
  const { id, jwks } = page.client;
  const keys = (jwks?.keys ?? []).flatMap(({ kid }) => (typeof kid === "string" ? [kid] : []));
  return (
    <>
      <h2>{registry.keys}</h2>
      <Table
        caption={registry.keys}
        heads={[registry.key, registry.act]}
        rows={keys.map((kid) => [
          <code>{kid}</code>,
          <DenyOrLift page={page} label={registry.deny} denial={{ kind: "key", issuer: id, keyId: kid }} />,
        ])}
        none={texts.none}
      />
    </>
  );
}

function ClientAgreements(page: ClientPageProps) {
  const { view, client, at, mayRevoke } = page;
  return (
    <>
      <h2>{registry.agreements}</h2>
      {mayRevoke ? <p class="note">{registry.endNote}</p> : undefined}
      <Table
        caption={registry.agreements}
        heads={[registry.agreement, registry.purposes, registry.end, registry.act]}
        rows={agreementsOf(view, client.id).map(({ id, purposes, to }) => [
          id,
          purposes.map(texts.purposeWithCode).join(", "),
          endText(Date.parse(to), at),
          <DenyOrLift
            page={page}
            label={registry.deny}
            denial={{ kind: "agreement", client: client.id, agreement: id }}
          />,
        ])}
      />
    </>
  );
}

function ClientGrants(page: ClientPageProps) {
  const { view, client } = page;
  const { id } = client;
  return (
    <>
      <h2>{registry.grants}</h2>
      <Table
        caption={registry.grants}
        heads={[registry.purpose, registry.origin, registry.policy, registry.scopes, registry.act]}
        rows={grantsOf(view, id).map(({ purpose, origin, policy, scopes }) => [
          texts.purposeWithCode(purpose),
          origin,
          <a
            href={`${clientAddress(id)}/sees?purpose=${encodeURIComponent(purpose)}&origin=${encodeURIComponent(origin)}`}
          >
            {registry.sees(policy)}
          </a>,
          <code>{scopes}</code>,
          <DenyOrLift
            page={page}
            label={registry.deny}
            denial={{ kind: "grant", client: id, origin, purpose }}
          />,
        ])}
      />
    </>
  );
}

interface DenyOrLiftProps {
  readonly page: ClientPageProps;
  readonly label: string;
  readonly denial: LastingDenial;
}

/** The step at an entry of a client: to deny it, or to lift the denial that is in force. */
function DenyOrLift({ page, label, denial }: DenyOrLiftProps) {
  const { client, denials, formToken, once, mayRevoke } = page;
  const isInForce = isDenied(denials, denial) === true;
  const button = {
    denial,
    says: denialInWords(denial, client.id),
    formToken,
    once: once(),
    back: client.id,
  };
  return (
    <>
      {isInForce ? <Badge tone="bad">{registry.inForce}</Badge> : undefined}
      {!mayRevoke ? undefined : isInForce ? (
        <LiftButton {...button} />
      ) : (
        <DenyButton label={label} {...button} />
      )}
    </>
  );
}

interface DenialStep {
  readonly denial: object;
  /** The denied thing in words. */
  readonly says: string;
  readonly formToken: string;
  readonly once: string;
  /** The client whose page the person came from; empty: the registry. */
  readonly back: string;
}

/** A form that denies one thing. A denial can be lifted, so one click suffices. */
const hiddenIn = ({ formToken, once, denial, back }: DenialStep) => ({
  formToken,
  fields: { once, denial: JSON.stringify(denial), back },
});

function DenyButton({ label, ...step }: DenialStep & { readonly label: string }) {
  return (
    <StepForm action="/console/deny" {...hiddenIn(step)}>
      <button class="danger" aria-label={`${label}: ${step.says}`}>
        {label}
      </button>
    </StepForm>
  );
}

function LiftButton(step: DenialStep) {
  return (
    <StepForm action="/console/lift" {...hiddenIn(step)}>
      <button class="quiet" aria-label={`${registry.lift}: ${step.says}`}>
        {registry.lift}
      </button>
    </StepForm>
  );
}

const BackLink = ({ back }: { readonly back: string }) => (
  <LinkLine href={back === "" ? "/console/registry" : clientAddress(back)}>{registry.backTo(back)}</LinkLine>
);

/** The result of a denial, with the way to lift it. */
export function DeniedPage(step: DenialStep) {
  return (
    <>
      <h1>{registry.deniedTitle}</h1>
      <Done>{registry.denied}</Done>
      <p>{step.says}</p>
      <LiftButton {...step} />
      <BackLink back={step.back} />
    </>
  );
}

export function LiftedPage({ back }: { readonly back: string }) {
  return (
    <>
      <h1>{registry.liftedTitle}</h1>
      <Done>{registry.lifted}</Done>
      <BackLink back={back} />
    </>
  );
}
