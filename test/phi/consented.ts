import { RowBarrier } from "#fhir/row-barrier";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { parseScopes } from "#identity/scopes";
import { readInteraction } from "#fhir/interaction";
import { isObject, readJson, textAt, type JsonObject } from "#fhir/json/json";
import { Discloser } from "#phi/disclose";
import { Page } from "#phi/page";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { readConsent } from "#policy/consent/read-consent";
import { evaluate } from "#policy/evaluate";
import type { Grant } from "#policy/grant";
import type { PolicyDocument } from "#policy/schema";
import { Residences } from "#residence/row-residences";

const origin = "https://origin.example/fhir";
export const bases = {
  public: "https://gateway.example/v1/fhir/main",
  origin,
  name: "main",
  residences: new Residences(instant(0)),
  barrier: new RowBarrier(),
};

/** A scene: a policy, and the Consents of the patients, by default of patient `a`. */
export interface Consented {
  readonly policy: PolicyDocument;
  readonly consents: readonly JsonObject[];
  readonly purpose?: string;
  readonly patients?: readonly string[];
  readonly hasConsents?: boolean;
}

/** The grant of a request under a policy and the Consents of the patients. */
export function grantUnder(scene: Consented, request: string): Grant {
  const { grant, learn } = grantOf(scene, request);
  learn();
  return grant;
}

/** As {@link grantUnder}. `learn`: from then on the Consents of all patients, or of some, are known. */
export function grantOf(
  { policy, consents, purpose = "TREAT", patients = ["a"], hasConsents = false }: Consented,
  request: string,
): { readonly grant: Grant; readonly learn: (some?: readonly string[]) => void } {
  const scopes = parseScopes("system/*.rs");
  const [path = "", query = ""] = request.split("?");
  const interaction = readInteraction("GET", path.split("/"), query);
  if (!scopes.ok || !interaction.ok) throw new Error(request);
  const { value } = interaction;
  if (value.kind !== "read" && value.kind !== "search" && value.kind !== "vread") throw new Error(request);
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const asking = { recipient: nobody, holder: nobody, purpose, action: "read", at: instant(0) } as const;
  const book = new ConsentBook({
    request: asking,
    individual: undefined,
    publicBase: bases.public,
    hasConsents,
  });
  const filed = consents.map((resource, index) => ({
    consent: `consent-${index}`,
    digest: `digest-${index}`,
    rules: readConsent(resource, origin),
    filedAt: instant(0),
    mayPermit: true,
  }));
  const access = { scopes: scopes.value, patient: undefined, purpose, consents: book };
  const grant = evaluate(compilePolicy(policy, "sha256:test"), access, value);
  if (!grant.ok) throw new Error(grant.error.reason);
  const learn = (some = patients) => book.learn(some, new Map(some.map((patient) => [patient, filed])));
  return { grant: grant.value, learn };
}

/** The resource as a read answers it; undefined: it is withheld. */
export function readUnder(scene: Consented, resource: JsonObject): JsonObject | undefined {
  const [type, id] = [textAt(resource, "resourceType") ?? "", textAt(resource, "id") ?? ""];
  const grant = grantUnder(scene, `${type}/${id}`);
  const disclosed = new Discloser(grant, bases).read(utf8(JSON.stringify(resource)), type, id);
  const body = disclosed.ok ? readJson(disclosed.value.windows[0]?.body ?? new Uint8Array()) : undefined;
  return body?.ok === true && isObject(body.value) ? body.value : undefined;
}

/** The searchset that answers a search for which the origin found these rows. */
export function searchUnder(scene: Consented, request: string, rows: readonly JsonObject[]): string {
  const grant = grantUnder(scene, request);
  if (grant.expects.kind !== "search") throw new Error(request);
  const page = new Page(grant, grant.expects, bases);
  for (const resource of rows) {
    const offered = page.offer(utf8(JSON.stringify({ resource, search: { mode: "match" } })));
    if (!offered.ok) throw new Error(offered.error.reason);
  }
  const finished = page.finish(undefined, true);
  if (!finished.ok) throw new Error(finished.error.reason);
  return finished.value.windows.map(({ body }) => new TextDecoder().decode(body)).join("");
}
