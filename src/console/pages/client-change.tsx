import type { PropsWithChildren } from "hono/jsx";
import { type ClientChangeKind, grantChoice } from "#console/client-change";
import { parsePolicyDocument } from "#policy/document";
import { agreementsOf, grantsOf, type RegistryView, type ShownClient } from "#console/registry-view";
import { texts } from "#console/texts";
import { clientAddress, clientTitle } from "./registry.tsx";
import { Field, Hidden, LinkLine } from "./parts.tsx";

const { clientChange, registry } = texts;

interface ClientChangeProps {
  readonly view: RegistryView;
  readonly client: ShownClient;
  readonly formToken: string;
  /** Why the last form made no change. */
  readonly problem: string | undefined;
}

/** The common changes of a client as forms. Each leads to the plan of its change; nothing is changed here. */
export function ClientChangePage({ view, client, formToken, problem }: ClientChangeProps) {
  const { id, entity, status = "active" } = client;
  const title = clientTitle(client);
  const [grants, agreements] = [grantsOf(view, id), agreementsOf(view, id)];
  const about = { id, formToken };
  // the values of a grant stand in the fields only if no other grant can be chosen
  const [only] = grants.length === 1 ? grants : [];
  return (
    <>
      <LinkLine href={clientAddress(id)}>{title}</LinkLine>
      <h1>{clientChange.title(title)}</h1>
      <p>{clientChange.intro}</p>
      {problem === undefined ? undefined : (
        <p class="alert bad" role="alert">
          {problem}
        </p>
      )}
      <div class="columns">
        <ChangeForm {...about} kind={status === "active" ? "suspend" : "reinstate"} />
        <ChangeForm {...about} kind="end" />
        {grants.length === 0 ? undefined : (
          <ChangeForm {...about} kind="quota">
            <GrantChoice id="quota-grant" grants={grants} />
            <div class="fields">
              <Field
                label={clientChange.requests}
                id="quota-requests"
                name="requests"
                type="number"
                min={1}
                required
                value={only?.quotas.default.requests}
              />
              <Field
                label={clientChange.windowSeconds}
                id="quota-window"
                name="windowSeconds"
                type="number"
                min={1}
                required
                value={only?.quotas.default.windowSeconds}
              />
            </div>
          </ChangeForm>
        )}
        {grants.length === 0 ? undefined : (
          <ChangeForm {...about} kind="policy">
            <GrantChoice id="policy-grant" grants={grants} />
            <label for="policy-name">{registry.policy}</label>
            <select id="policy-name" name="policy" required>
              {only === undefined ? <option value="">{clientChange.choose}</option> : undefined}
              {policiesFor(view, grants).map(({ name }) => (
                <option value={name} selected={name === only?.policy}>
                  {name}
                </option>
              ))}
            </select>
          </ChangeForm>
        )}
        {agreements.length === 0 ? undefined : (
          <ChangeForm {...about} kind="agreement">
            <label for="agreement-id">{registry.agreement}</label>
            <select id="agreement-id" name="agreement">
              {agreements.map(({ id: name, to }) => (
                <option value={name}>{clientChange.agreementUntil(name, to.slice(0, 10))}</option>
              ))}
            </select>
            <label for="agreement-to">{clientChange.to}</label>
            <input id="agreement-to" name="to" type="date" required />
          </ChangeForm>
        )}
        <ChangeForm {...about} kind="certificate">
          <label for="certificate-pem">{clientChange.pem}</label>
          <textarea id="certificate-pem" name="certificate" rows={5} required spellcheck={false}></textarea>
        </ChangeForm>
        <ChangeForm {...about} kind="entity">
          <label for="entity-name">{clientChange.name}</label>
          <input id="entity-name" name="name" required maxlength={200} size={40} value={entity?.name ?? ""} />
          <label for="entity-address">{clientChange.address}</label>
          <input id="entity-address" name="address" maxlength={500} size={40} value={entity?.address ?? ""} />
        </ChangeForm>
      </div>
      <p class="note">
        {clientChange.rest} <a href="/console/registry/change">{registry.change}</a>
      </p>
    </>
  );
}

/** The policies that may serve a purpose of the grants, so far as they can be read. */
const policiesFor = ({ registry: { policies = [] } }: RegistryView, grants: ReturnType<typeof grantsOf>) =>
  policies.filter(({ body }) => {
    const document = parsePolicyDocument(body);
    return document.ok && grants.some(({ purpose }) => document.value.purposes.includes(purpose));
  });

function GrantChoice({ id, grants }: { readonly id: string; readonly grants: ReturnType<typeof grantsOf> }) {
  return (
    <>
      <label for={id}>{clientChange.grant}</label>
      <select id={id} name="grant">
        {grants.map((grant) => (
          <option value={grantChoice(grant)}>
            {clientChange.grantNow(
              registry.grantOf(grant.purpose, grant.origin),
              grant.policy,
              grant.quotas.default.requests,
              grant.quotas.default.windowSeconds,
            )}
          </option>
        ))}
      </select>
    </>
  );
}

interface ChangeFormProps {
  readonly id: string;
  readonly kind: ClientChangeKind;
  readonly formToken: string;
}

function ChangeForm({ id, kind, formToken, children }: PropsWithChildren<ChangeFormProps>) {
  const { heading, says } = clientChange.kinds[kind];
  return (
    <form
      class="card"
      method="post"
      action={`${clientAddress(id)}/change`}
      aria-labelledby={`change-${kind}`}
    >
      <h2 id={`change-${kind}`}>{heading}</h2>
      <p class="note">{says}</p>
      <Hidden formToken={formToken} fields={{ kind }} />
      {children}
      <p>
        <button class="quiet" aria-label={`${clientChange.plan}: ${heading}`}>
          {clientChange.plan}
        </button>
      </p>
    </form>
  );
}
