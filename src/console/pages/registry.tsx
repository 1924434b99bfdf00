import type { Instant } from "#kernel/clock";
import { formTokenField } from "#console/form";
import { agreementsOf, grantsOf, type RegistryView, type ShownClient } from "#console/registry-view";
import { texts } from "#console/texts";
import { untilText } from "#console/words";
import { Badge, Table } from "./shell.tsx";

const { registry } = texts;

export const clientAddress = (id: string): string => `/console/registry/clients/${encodeURIComponent(id)}`;

/** The clients and, folded, the further entries. */
export function RegistryPage({ view }: { readonly view: RegistryView }) {
  const { clients = [], policies = [], origins = [], issuers = [] } = view.registry;
  return (
    <>
      <h1>{registry.title}</h1>
      <p class="links">
        <a href="/console/registry/review">{registry.review}</a>
        <a href="/console/registry/change">{registry.change}</a>
      </p>
      <h2>{registry.clients}</h2>
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
        rows={clients.map((client) => [
          <a href={clientAddress(client.id)}>{client.id}</a>,
          client.entity?.name ?? <span class="soft">{registry.noName}</span>,
          client.kind,
          <Status of={client} />,
          registry.proofs[client.auth] ?? client.auth,
          grantsOf(view, client.id)
            .map(({ purpose, origin }) => registry.grantOf(purpose, origin))
            .join(", "),
        ])}
      />
      <h2>{registry.policies}</h2>
      <Table
        caption={registry.policies}
        heads={[registry.policy, registry.body]}
        rows={policies.map(({ name, body }) => [
          name,
          <details>
            <summary>{registry.showBody(name)}</summary>
            <pre tabindex={0}>{JSON.stringify(body, undefined, 2)}</pre>
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
      <p class="note">
        {registry.digest} <code>{view.digest}</code>
      </p>
    </>
  );
}

/** The name is the entity's own word, so the id that decides stands beside it. */
export const clientTitle = ({ id, entity }: ShownClient): string =>
  entity === undefined ? id : `${entity.name} (${id})`;

function Status({ of: { status = "active" } }: { readonly of: ShownClient }) {
  return <Badge tone={status === "active" ? "good" : "bad"}>{registry.statuses[status]}</Badge>;
}

export interface ClientPageProps {
  readonly view: RegistryView;
  readonly client: ShownClient;
  readonly ends: ReadonlyMap<string, Instant>;
  readonly at: Instant;
  readonly formToken: string;
  readonly once: () => string;
  readonly mayRevoke: boolean;
}

/** A client: its certificates and keys, agreements and grants, and the buttons that deny them. */
export function ClientPage({ view, client, ends, at, formToken, once, mayRevoke }: ClientPageProps) {
  const { id } = client;
  const deny = (label: string, denial: Readonly<Record<string, string>>) =>
    mayRevoke ? (
      <DenyButton label={label} denial={denial} formToken={formToken} once={once()} back={id} />
    ) : (
      ""
    );
  const keys = (client.jwks?.keys ?? []).flatMap(({ kid }) => (typeof kid === "string" ? [kid] : []));
  return (
    <>
      <p>
        <a href="/console/registry">{registry.title}</a>
      </p>
      <h1>{clientTitle(client)}</h1>
      <dl>
        <dt>{registry.clientId}</dt>
        <dd>
          <code>{id}</code>
        </dd>
        {client.entity === undefined ? undefined : (
          <>
            <dt>{registry.address}</dt>
            <dd>{client.entity.address ?? texts.unknown}</dd>
          </>
        )}
        <dt>{registry.kind}</dt>
        <dd>{client.kind}</dd>
        <dt>{registry.status}</dt>
        <dd>
          <Status of={client} />
        </dd>
        <dt>{registry.proof}</dt>
        <dd>{registry.proofs[client.auth] ?? client.auth}</dd>
      </dl>
      <div class="steps">
        <a class="button quiet" href={`${clientAddress(id)}/change`}>
          {texts.clientChange.link}
        </a>{" "}
        {deny(registry.endClient, { kind: "client", client: id })}
      </div>
      <h2>{registry.certificates}</h2>
      {(client.certificates ?? []).length === 0 ? (
        <p>{texts.none}</p>
      ) : (
        <Table
          caption={registry.certificates}
          heads={[registry.certificate, registry.end, registry.act]}
          rows={(client.certificates ?? []).map((certificate) => {
            if (typeof certificate !== "string")
              return [<code>{JSON.stringify(certificate)}</code>, texts.unknown, ""];
            const end = ends.get(certificate);
            return [
              <code>{certificate}</code>,
              end === undefined ? texts.unknown : untilText(end, at),
              deny(registry.revoke, { kind: "certificate", x5t: certificate }),
            ];
          })}
        />
      )}
      <h2>{registry.keys}</h2>
      {keys.length === 0 ? (
        <p>{texts.none}</p>
      ) : (
        <Table
          caption={registry.keys}
          heads={[registry.key, registry.act]}
          rows={keys.map((kid) => [
            <code>{kid}</code>,
            deny(registry.revoke, { kind: "key", issuer: id, keyId: kid }),
          ])}
        />
      )}
      <h2>{registry.agreements}</h2>
      <Table
        caption={registry.agreements}
        heads={[registry.agreement, registry.purposes, registry.end, registry.act]}
        rows={agreementsOf(view, id).map((agreement) => [
          agreement.id,
          agreement.purposes.map(texts.purposeWithCode).join(", "),
          `${agreement.to.slice(0, 10)} (${untilText(Date.parse(agreement.to), at)})`,
          deny(registry.deny, { kind: "agreement", client: id, agreement: agreement.id }),
        ])}
      />
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
          deny(registry.deny, { kind: "grant", client: id, origin, purpose }),
        ])}
      />
    </>
  );
}

/** A form that denies one thing. A denial can be lifted, so one click suffices. */
function DenyButton({
  label,
  denial,
  formToken,
  once,
  back,
}: {
  readonly label: string;
  readonly denial: Readonly<Record<string, string>>;
  readonly formToken: string;
  readonly once: string;
  readonly back: string;
}) {
  return (
    <form class="inline" method="post" action="/console/deny">
      <input type="hidden" name={formTokenField} value={formToken} />
      <input type="hidden" name="once" value={once} />
      <input type="hidden" name="denial" value={JSON.stringify(denial)} />
      <input type="hidden" name="back" value={back} />
      <button class="danger" aria-label={`${label}: ${Object.values(denial).slice(1).join(" ")}`}>
        {label}
      </button>
    </form>
  );
}

/** The result of a denial, with the way to lift it. */
export function DeniedPage({
  denial,
  formToken,
  once,
  back,
}: {
  readonly denial: object;
  readonly formToken: string;
  readonly once: string;
  readonly back: string;
}) {
  return (
    <>
      <h1>{registry.deniedTitle}</h1>
      <p class="alert good" role="status">
        {registry.denied}
      </p>
      <p>
        <code>{Object.values(denial).join(" ")}</code>
      </p>
      <form class="inline" method="post" action="/console/lift">
        <input type="hidden" name={formTokenField} value={formToken} />
        <input type="hidden" name="once" value={once} />
        <input type="hidden" name="denial" value={JSON.stringify(denial)} />
        <button class="quiet">{registry.lift}</button>
      </form>
      <p>
        <a href={back === "" ? "/console/registry" : clientAddress(back)}>{registry.backTo(back)}</a>
      </p>
    </>
  );
}

export function LiftedPage() {
  return (
    <>
      <h1>{registry.liftedTitle}</h1>
      <p class="alert good" role="status">
        {registry.lifted}
      </p>
      <p>
        <a href="/console">{texts.nav.now}</a>
      </p>
    </>
  );
}
