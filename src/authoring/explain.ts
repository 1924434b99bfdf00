import type { Operation } from "#fhir/operations";
import type { AccountingRequest } from "#fhir/accounting-request";
import type { Interaction, Reading, Writing } from "#fhir/interaction";
import type { Listing } from "#fhir/listing";
import type { FhirQuestion } from "#fhir/ports";
import { reachesOf, type ScopePermission } from "#identity/scopes";
import type { Result } from "#kernel/result";
import type { CompiledPolicy } from "#policy/compile";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { allowed, evaluateListing } from "#policy/evaluate-listing";
import { evaluate } from "#policy/evaluate";
import { evaluateWrite } from "#policy/evaluate-write";
import { explainForm } from "./explain-form.ts";
import { explainSearch, isFoundByReference } from "./explain-search.ts";
import { asDecided, rulesNamed, type Explained, type ExplainStep } from "./explain-step.ts";
import type { PolicyRefusal, SearchGrant } from "#policy/grant";
import { canCoverSome, rowAccessOf } from "#policy/row-access";
import type { RuleInteraction } from "#policy/schema";

/**
 * The reasons why a request would be permitted or refused. The verdict is the engine's; the steps show how
 * the engine reaches it.
 */
export interface Explanation {
  readonly refused: PolicyRefusal["reason"] | undefined;
  readonly steps: readonly ExplainStep[];
  /**
   * The questions for the origin, in order. Square brackets stand for a part that an earlier answer supplies.
   */
  readonly asks: readonly string[];
}

/** Explains a request by a policy and scopes, rule by rule. It contacts no server. */
export function explain(about: Explained, interaction: Interaction): Explanation {
  const explained = inFormOfPolicy(explainKind(asDecided(about), interaction), about, interaction);
  const { refused, steps } = explained;
  // The refusal concerns the listing as a whole, and no step above covers it.
  return refused === undefined || steps.some(({ ok }) => !ok)
    ? explained
    : {
        ...explained,
        steps: [...steps, { ok: false, of: "policy", says: listingRefusals[refused] ?? refused }],
      };
}

/** A form decides about each request of its policy, before the view does. */
function inFormOfPolicy(
  explained: Explanation,
  { document, access: { scopes } }: Explained,
  interaction: Interaction,
): Explanation {
  if (document.form === undefined) return explained;
  const step = explainForm(document.form, scopes, interaction);
  const steps = [...explained.steps, step];
  return step.ok ? { ...explained, steps } : { refused: "form_excludes", steps, asks: [] };
}

const listingRefusals: Readonly<Partial<Record<PolicyRefusal["reason"], string>>> = {
  history_needs_unrestricted_access: "the history of a type needs access to every row of the type",
  parameter_hidden: "a request by time reveals the time, which a rule hides",
  sort_hidden: "time decides which rows are the latest, and a rule hides it",
  outside_patient_compartment:
    "no patient owns rows of this type: they are readable only as they are now, and by reference",
};

function explainKind(about: Explained, interaction: Interaction): Explanation {
  switch (interaction.kind) {
    case "read":
    case "vread":
    case "search":
      return ofReading(about, interaction);
    case "history":
    case "everything":
    case "lastn":
      return ofListing(about, interaction);
    case "create":
    case "update":
    case "patch":
    case "delete":
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete":
      return ofWriting(about, interaction);
    case "disclosures":
      return ofAccounting(about, interaction);
    case "validate":
    case "fileConsent":
    case "revokeConsent": {
      const refusal = allowed(about.policy, interaction.kind);
      return { refused: reasonOf(refusal), steps: [operation(about.policy, interaction.kind)], asks: [] };
    }
    case "capabilities":
      return permitted("metadata states the client's permissions and no patient data");
    case "batch":
      return permitted("each entry of a bundle is a separate request: explain them one by one");
  }
}

const permitted = (says: string): Explanation => ({
  refused: undefined,
  steps: [{ ok: true, of: "request", says }],
  asks: [],
});

const reasonOf = (decided: Result<unknown, PolicyRefusal> | undefined): Explanation["refused"] =>
  decided === undefined || decided.ok ? undefined : decided.error.reason;

function ofReading(about: Explained, interaction: Reading): Explanation {
  const granted = evaluate(about.policy, about.access, interaction);
  if (interaction.kind === "search") {
    const steps = [...access(about, interaction.type, "search"), ...explainSearch(about, interaction)];
    const found =
      granted.ok && granted.value.expects.kind === "search"
        ? { ...granted.value, expects: granted.value.expects }
        : undefined;
    return { refused: reasonOf(granted), steps, asks: found === undefined ? [] : asksOf(found) };
  }
  const steps = access(about, interaction.type, "read");
  if (!granted.ok || granted.value.expects.kind === "search")
    return { refused: reasonOf(granted), steps, asks: [] };
  const { ask, expects } = granted.value;
  const questions = [
    ...(expects.kind === "vread" ? [expects.current] : []),
    ask,
    ...expects.referrers.map(({ search }) => search.ask),
  ];
  return { refused: undefined, steps, asks: questions.map(written) };
}

/** Explains the purpose of the policy that goes furthest. */
function ofAccounting(about: Explained, accounting: AccountingRequest): Explanation {
  const decided = about.document.purposes.map((purpose) =>
    evaluateAccounting(about.policy, about.access, { purpose, asked: accounting }),
  );
  const granted = decided.find(({ ok }) => ok) ?? decided[0];
  const permission: ExplainStep = {
    ok: granted?.ok === true,
    of: "operation",
    says: "to the individual under PATRQT by patient/ scopes, to an officer under HOPERAT by system/ scopes, of both Patient and AuditEvent",
  };
  const asks = granted?.ok === true ? [written(granted.value.patient(accounting.id).ask)] : [];
  return {
    refused: reasonOf(granted),
    steps: [operation(about.policy, "disclosures"), ...access(about, "Patient", "read"), permission],
    asks,
  };
}

function ofListing(about: Explained, listing: Listing): Explanation {
  const granted = evaluateListing(about.policy, about.access, listing);
  const asks = !granted.ok
    ? []
    : granted.value.kind === "lastn"
      ? asksOf(granted.value.search)
      : [written(granted.value.ask)];
  const refused = reasonOf(granted);
  switch (listing.kind) {
    case "history":
      return { refused, steps: access(about, listing.type, "read"), asks };
    case "everything": {
      const rows = granted.ok && granted.value.kind === "everything" ? [...granted.value.rows.keys()] : [];
      const searched: ExplainStep = {
        ok: rows.length > 0,
        of: "operation",
        says: `types that may be searched and read: ${rows.join(", ") || "none"}`,
      };
      return {
        refused,
        steps: [
          ...(listing.within === "operation"
            ? [operation(about.policy, "everything"), ...access(about, "Patient", "read")]
            : []),
          searched,
        ],
        asks,
      };
    }
    case "lastn":
      return {
        refused,
        steps: [
          operation(about.policy, "lastn"),
          ...access(about, "Observation", "search"),
          ...explainSearch(about, listing),
        ],
        asks,
      };
  }
}

const operation = (policy: CompiledPolicy, name: Operation): ExplainStep => {
  const isAllowed = policy.operations.has(name);
  return {
    ok: isAllowed,
    of: "operation",
    says: isAllowed ? `the policy allows $${name}` : `the policy's operations do not list $${name}`,
  };
};

function ofWriting(about: Explained, writing: Writing): Explanation {
  const { type } = writing;
  if (writing.kind === "create") return ofPlain(about, { kind: "create", type }, []);
  if ("id" in writing) return ofPlain(about, writing, []);
  const kind =
    writing.kind === "conditional-update"
      ? "update"
      : writing.kind === "conditional-patch"
        ? "patch"
        : "delete";
  const found = ofReading(about, { kind: "search", posted: true, ...writing.criteria });
  if (found.refused !== undefined) return found;
  const plain = ofPlain(about, { kind, type, id: "[found]" }, found.steps);
  return { ...plain, asks: plain.refused === undefined ? [...found.asks, ...plain.asks] : [] };
}

const writes = {
  create: { interaction: "create", permission: "c", method: "POST" },
  update: { interaction: "update", permission: "u", method: "PUT" },
  // the gateway applies the patch and sends the result
  patch: { interaction: "update", permission: "u", method: "PUT" },
  delete: { interaction: "delete", permission: "d", method: "DELETE" },
} as const;

function ofPlain(
  about: Explained,
  write: Parameters<typeof evaluateWrite>[2],
  before: readonly ExplainStep[],
): Explanation {
  const granted = evaluateWrite(about.policy, about.access, write);
  const { interaction, method } = writes[write.kind];
  const read = write.kind === "create" ? [] : access(about, write.type, "read");
  const at = write.kind === "create" ? write.type : `${write.type}/${write.id}`;
  const asks = !granted.ok
    ? []
    : [...(granted.value.seen === undefined ? [] : [written(granted.value.seen.ask)]), `${method} ${at}`];
  return {
    refused: reasonOf(granted),
    steps: [...before, ...read, ...access(about, write.type, interaction)],
    asks,
  };
}

const permissions: Readonly<Record<RuleInteraction, ScopePermission>> = {
  read: "r",
  search: "s",
  create: "c",
  update: "u",
  delete: "d",
};

/**
 * Policy and scope steps of one type: the rules that grant the interaction, and the row access of the scopes.
 */
function access(about: Explained, type: string, interaction: RuleInteraction): readonly ExplainStep[] {
  const rules = rulesNamed(about, type);
  const granting = rules.filter(({ rule }) => rule.interactions.has(interaction));
  const permission = permissions[interaction];
  const rowAccess = rowAccessOf(about.access, type, permission);
  const byRule: ExplainStep = {
    ok: granting.length > 0,
    of: "policy",
    says:
      granting.length === 0
        ? `no rule grants ${interaction} of ${type}`
        : `rules that grant ${interaction} of ${type}`,
    details: rules.map(
      ({ name, rule, why }) => `${name} grants ${[...rule.interactions].join(", ")}: ${why}`,
    ),
  };
  const permitting = reachesOf(about.access.scopes, type, permission);
  const byScope: ExplainStep = {
    ok: rowAccess !== undefined,
    of: "scope",
    says:
      rowAccess === undefined
        ? `no scope permits "${permission}" of ${type} for a known patient`
        : `scopes that permit "${permission}" of ${type}`,
    details: permitting.map(({ context, filters }) => {
      const limits = filters
        .map(({ parameter, values }) => `, of ${parameter} ${values.join(" or ")}`)
        .join("");
      return `${context}/: ${rowsOf(about, context)}${limits}`;
    }),
  };
  if (rowAccess === undefined || canCoverSome(rowAccess, type)) return [byRule, byScope];
  const by = granting.flatMap(({ name, rule }) =>
    rule.referredBy.size === 0 ? [] : [`${name}: ${[...rule.referredBy].join(", ")}`],
  );
  const isOpened =
    by.length > 0 &&
    (interaction === "read" || (interaction === "search" && isFoundByReference(about, type)));
  const says = `no patient owns rows of ${type}: they are ${isOpened ? "visible if a visible row refers to them" : "outside patient and user scopes"}`;
  return [byRule, byScope, { ok: isOpened, of: "compartment", says, details: by }];
}

function rowsOf({ access, users }: Explained, context: "patient" | "user" | "system"): string {
  switch (context) {
    case "system":
      return "the rows of every patient";
    case "patient":
      return access.patient === undefined
        ? "no rows: the token names no patient"
        : `the rows of Patient/${access.patient}`;
    case "user": {
      const patients = [...(access.usersPatients ?? [])].map((id) => `Patient/${id}`);
      const by = users === undefined ? "" : ` (${users})`;
      return patients.length === 0 ? `no rows${by}` : `the rows of ${patients.join(", ")}${by}`;
    }
  }
}

/** The joins of a search, and the references that open its resources, come first: each is a separate question. */
function asksOf({ ask, expects }: SearchGrant): readonly string[] {
  const opened = expects.opening?.references ?? [];
  const hops = [...expects.joins.flatMap((join) => join.hops), ...opened.map(({ search }) => search)].flatMap(
    asksOf,
  );
  const joinResults = [
    ...expects.joins.map(({ kind, by }) => (kind === "chain" ? `${by.code}=[found]` : "_id=[referred to]")),
    ...(opened.length === 0 ? [] : ["_id=[referred to]"]),
  ];
  const questions = [ask, ...expects.further.map((part) => part.ask)];
  return [...hops, ...questions.map((question) => [written(question), ...joinResults].join("&"))];
}

const written = ({ path, query, posted }: FhirQuestion): string =>
  `${posted === true ? "POST" : "GET"} ${path}${posted === true ? "/_search" : ""}${query === "" ? "" : `?${decodeURIComponent(query)}`}`;
