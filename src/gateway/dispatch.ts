import type { AccountingCaller } from "#audit/accounting/disclosures";
import type { ConsentOperationRequest, Interaction, Writing } from "#fhir/interaction";
import { canonicalText } from "#fhir/json/same";
import { isResourceType } from "#fhir/r4/elements";
import { isAttachmentLink, isContentType } from "#fhir/route";
import type { Principal } from "#identity/principal";
import { ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import type { PolicyRefusal } from "#policy/grant";
import {
  authorizeAccounting,
  authorizeListing,
  authorizeOperation,
  authorizeReading,
  type Permission,
} from "#gateway/admission/authorize";
import { nextLinks, type NextLinks } from "#gateway/admission/page-links";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import { once } from "#gateway/change/attempt";
import { hasWrite, readBatchBody, type AskedBundle } from "#gateway/change/batch-entry";
import { answerBundle } from "#gateway/change/bundle";
import type { ChangeRecord } from "#gateway/change/change-set";
import { consentTransaction } from "#gateway/change/consent-operation";
import { keyedRequest, requestKey } from "#gateway/change/request-key";
import { write } from "#gateway/change/write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { account } from "#gateway/read/account";
import { capabilities, validate } from "#gateway/read/answer-locally";
import { ownContent } from "#gateway/read/content";
import { gather } from "#gateway/read/gather";
import { list } from "#gateway/read/list";
import { contentOf, readWrite } from "#gateway/change/plan/write-body";
import { refused, type GatewayRefusal, type Outcome } from "./outcome.ts";
import type { GatewayPorts } from "./ports.ts";
import type { ArrivedRequest, Question } from "./question.ts";

/** The part of the recorder that stages get: it puts on record what must be there before the outcome. */
interface StageRecord extends ChangeRecord {
  readonly caller: AccountingCaller;
  readonly request: ArrivedRequest;
  learn(facts: { readonly interaction: Interaction }): void;
}

/** A permitted request. Each answerer takes the parts that it needs. */
export interface PermittedRequest {
  readonly question: Question;
  readonly who: Principal;
  readonly permission: Permission;
  readonly origin: OriginSession;
  readonly gate: ReleaseGate;
  readonly record: StageRecord;
}

type Kind = Interaction["kind"];
/** The interactions of a kind. Some members of the union have several kinds. */
type Of<K extends Kind, I = Interaction> = I extends { readonly kind: infer Kinds }
  ? K extends Kinds
    ? I
    : never
  : never;

/** The answer to a question that is authorized. */
type Granted = (request: PermittedRequest, ports: GatewayPorts) => Promise<Outcome>;
type Authorize<I> = (permission: Permission, interaction: I) => Result<Granted, PolicyRefusal>;

const row =
  <I, G>(
    authorize: (permission: Permission, interaction: I) => Result<G, PolicyRefusal>,
    answer: (grant: G, interaction: I, ...more: Parameters<Granted>) => Promise<Outcome>,
  ): Authorize<I> =>
  (permission, interaction) => {
    const grant = authorize(permission, interaction);
    return grant.ok ? ok((request, ports) => answer(grant.value, interaction, request, ports)) : grant;
  };

/** Its entries, or the rows that it changes, are authorized one by one. */
const authorizedBelow = () => ok(undefined);

const reading = row(authorizeReading, async (grant, _interaction, request, ports) => {
  const { question, origin } = request;
  const links = linksOf(request, ports);
  const seen = await gather(grant, question.place, origin, links, question);
  const { expects } = grant;
  if (!seen.ok || expects.kind !== "read" || !isContentType(expects.type)) return disclosed(seen, request);
  // The record names the row that was read, and not the link.
  const [type = "", id = ""] = (seen.value.through ?? [...seen.value.released][0] ?? "").split("/");
  if (isAttachmentLink(expects.id) && isResourceType(type))
    request.record.learn({ interaction: { kind: "read", type, id } });
  if (question.wantsContent !== true) return disclosed(seen, request);
  const isRead = seen.value.content !== undefined;
  const content = isRead ? seen.value : await ownContent(seen.value, question, grant.policyDigest);
  // The signature of an answer covers its whole body, and goes before it.
  const isWhole = content.content === undefined || content.windows[0]?.mark?.complete === true;
  if (isWhole || !request.who.grant.signedResponses) return disclosed(ok(content), request);
  await content.content.stop();
  return refused({ reason: "answer_too_large" });
});

const listing = row(authorizeListing, async (grant, _interaction, request, ports) => {
  const { question, origin } = request;
  const links = linksOf(request, ports);
  return disclosed(await list(grant, question.place, origin, links), request);
});

const accounting = row(authorizeAccounting, async (grant, asked, request, ports) => {
  const { origin, record } = request;
  const { caller } = record;
  const question = { asked, grant, origin, at: caller.at, links: linksOf(request, ports), caller };
  return disclosed(await account(question, ports), request);
});

const writing = row(authorizedBelow, async (_grant, interaction: Writing, request, ports) => {
  const { who, permission, origin, gate, record } = request;
  const { content } = request.question;
  const key = requestKey(content, who);
  if (!key.ok) return refused(key.error);
  const message = await readWrite(interaction, content);
  if (!message.ok) return refused(message.error);
  const { value: asked } = message;
  const keyed = keyedRequest(key.value, who, content, () => contentOf(asked.body));
  const written = await once(keyed, ports.requestKeys, origin, "write", (attempt) =>
    write(asked, permission, origin, gate, record, attempt),
  );
  return written.ok ? { kind: "written", write: written.value, gate, origin } : refused(written.error);
});

const consentDoneText = {
  fileConsent: "The Consent is filed, and in force at this gateway if it is active.",
  revokeConsent: "The Consent is inactive, and in force no longer.",
} as const;

const consentOperation = row(
  authorizeOperation,
  async (_grant, { kind }: ConsentOperationRequest, request, ports) => {
    const { content } = request.question;
    const key = requestKey(content, request.who);
    if (!key.ok) return refused(key.error);
    const transaction = await consentTransaction(kind, content, request.permission, request.origin);
    if (!transaction.ok) return refused(transaction.error);
    return inBundle(transaction.value, key.value, request, ports, consentDoneText[kind]);
  },
);

/** @param doneText the text of the answer to an operation that is done as a transaction. */
async function inBundle(
  asked: AskedBundle,
  key: string | undefined,
  request: PermittedRequest,
  ports: GatewayPorts,
  doneText?: string,
): Promise<Outcome> {
  const { who, permission, origin, gate, record } = request;
  const links = linksOf(request, ports);
  const keyed = keyedRequest(key, who, request.question.content, () => canonicalText(asked.body));
  const answered = await once(keyed, ports.requestKeys, origin, "bundle", (attempt) =>
    answerBundle(asked, permission, origin, links, gate, record, attempt),
  );
  if (!answered.ok) return refused(answered.error);
  const bundle = doneText === undefined ? answered.value : { ...answered.value, doneText };
  return { kind: "bundle", bundle, gate, origin };
}

/** The row of each kind of interaction: the decision, and the answer. A new kind does not compile without a row. */
const rows: { readonly [K in Kind]: Authorize<Of<K>> } = {
  read: reading,
  vread: reading,
  search: reading,
  history: listing,
  everything: listing,
  lastn: listing,
  disclosures: accounting,
  capabilities: row(
    authorizedBelow,
    async (_grant, { asExport }: Of<"capabilities">, { permission, origin }, ports) => {
      // The start of an export alone needs the client's permissions. Its later steps ask neither them nor the origin.
      const isLater = asExport !== undefined && asExport.interaction !== "$export";
      return { kind: "local", resource: isLater ? {} : await capabilities(permission, origin, ports) };
    },
  ),
  validate: row(authorizeOperation, async (_grant, interaction: Of<"validate">, { question, record }) => {
    const judged = await validate(interaction, question.content, record.request.id);
    return judged.ok ? { kind: "local", resource: judged.value } : refused(judged.error);
  }),
  create: writing,
  update: writing,
  patch: writing,
  delete: writing,
  "conditional-update": writing,
  "conditional-patch": writing,
  "conditional-delete": writing,
  batch: row(authorizedBelow, async (_grant, _interaction, request, ports) => {
    const { content } = request.question;
    const bundle = await readBatchBody(content, request.origin);
    if (!bundle.ok) return refused(bundle.error);
    const key = hasWrite(bundle.value) ? requestKey(content, request.who) : ok(undefined);
    if (!key.ok) return refused(key.error);
    return inBundle(bundle.value, key.value, request, ports);
  }),
  fileConsent: consentOperation,
  revokeConsent: consentOperation,
};

/** Asks the policy about a question; returns the way to its answer under the grant. */
export function authorize(permission: Permission, interaction: Interaction): Result<Granted, PolicyRefusal> {
  // the row of a kind takes the interactions of that kind
  return (rows[interaction.kind] as Authorize<Interaction>)(permission, interaction);
}

const linksOf = ({ who, origin, record }: PermittedRequest, { pages }: GatewayPorts): NextLinks =>
  nextLinks(pages, who, origin.base, record.request.at);

const disclosed = (
  result: Result<Disclosure, GatewayRefusal>,
  { question, gate, origin }: PermittedRequest,
): Outcome =>
  result.ok ? { kind: "disclosed", disclosure: result.value, question, gate, origin } : refused(result.error);
