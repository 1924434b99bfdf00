import { beyondForm, isCoded, namesSeveral } from "#deid/asked-of-form";
import type { AskedCode } from "#deid/asked-values";
import { formBytesMax, nameInForm, type DataSet } from "#deid/codes";
import type { Interaction } from "#fhir/interaction";
import type { Disclosure } from "#phi/disclosure";
import type { PolicyForm } from "#policy/schema";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { meantBy } from "#gateway/facts/coded-question";
import { refused, type GatewayRefusal, type Outcome } from "#gateway/outcome";
import { areScopesOfGrant, mayAnswerAt } from "./form-request.ts";
import type { DataSetPorts } from "./ports.ts";

/** A caller whose rows leave in a form. */
export interface FormCaller {
  readonly form: PolicyForm;
  readonly who: Principal;
  /** Name of the origin. */
  readonly origin: string;
  /** The FHIR base that the client calls. */
  readonly base: string;
  readonly at: Instant;
}

/**
 * The only way of a policy with a form (45 CFR 164.514): what the form has no answer to is refused, the codes in the
 * question become ids, and no byte of a row leaves but through the table of fates, whatever route it came by.
 *
 * @param answer the answer as the view shows it.
 */
export async function inForm(
  interaction: Interaction,
  caller: FormCaller,
  ports: DataSetPorts,
  answer: (meant: Interaction) => Promise<Outcome>,
): Promise<Outcome> {
  const { form, who, origin, at } = caller;
  if (!mayAnswerAt(form, who, at)) return refused({ reason: "form_not_in_force" });
  if (!isCoded(interaction)) return refused({ reason: "form_excludes", what: interaction.kind });
  if (!areScopesOfGrant(who)) return refused({ reason: "form_excludes", what: "scope" });
  const codes: AskedCode[] = [];
  const what =
    beyondForm(interaction, codes) ?? (codes.length === 0 ? undefined : await ports.unknownAmong(codes));
  if (what !== undefined) return refused({ reason: "form_excludes", what });
  const kind = form.kind === "expert" ? (`expert-${form.table}` as const) : form.kind;
  const name = nameInForm(kind, form.dataSet);
  const dataSet = { client: who.client.id, agreement: who.agreement, origin, name };
  const meant = await meantBy(interaction, ports.codesOf(dataSet), ports.newId);
  if (!meant.ok) return refused({ reason: "form_not_in_force" });
  const outcome = await answer(meant.value);
  switch (outcome.kind) {
    case "refused":
    case "local":
      return outcome;
    case "disclosed":
      return shownInForm(outcome, caller, dataSet, ports, interaction);
    case "written":
    case "bundle":
      throw new Error("a form has no such answer");
  }
}

/** Answers whether a question names several rows: their order at the origin must not show. */
function isChosen(interaction: Interaction): boolean {
  if (interaction.kind === "search") return namesSeveral(interaction);
  if (interaction.kind !== "everything") return false;
  const ofTypes = [...(interaction.criteria?.of.values() ?? [])];
  return ofTypes.some((parameters) => namesSeveral({ parameters, joins: [] }));
}

async function shownInForm(
  outcome: Extract<Outcome, { kind: "disclosed" }>,
  { form, base, at }: FormCaller,
  dataSet: DataSet,
  ports: DataSetPorts,
  interaction: Interaction,
): Promise<Outcome> {
  const { disclosure, origin } = outcome;
  const refusedByRows = (refusal: GatewayRefusal): Outcome => {
    origin.names.concerned.refuse(disclosure); // as an answer of these rows: on record, and paid for
    return refused(refusal);
  };
  if (disclosure.content !== undefined || disclosure.headers !== undefined) {
    await disclosure.content?.stop();
    return refusedByRows({ reason: "form_excludes", what: "Binary" });
  }
  const bytes = disclosure.windows.reduce((sum, { body }) => sum + body.length, 0);
  if (bytes > formBytesMax) return refusedByRows({ reason: "answer_too_large" });
  const formed = await ports.inForm(dataSet, {
    body: Buffer.concat(disclosure.windows.map(({ body }) => body)),
    form: form.kind === "expert" ? form.table : form.kind,
    year: new Date(at).getUTCFullYear(),
    base,
    sort: interaction.kind === "search" ? interaction.sort : [],
    isChosen: isChosen(interaction),
  });
  if (formed.ok) return { ...outcome, disclosure: withBody(disclosure, formed.value) };
  switch (formed.error.reason) {
    case "withheld_by_form":
      return refusedByRows({ reason: "resource_withheld", because: "form" });
    case "part_of_named_rows":
      return refusedByRows({ reason: "form_excludes", what: "_count" });
    case "data_set_ended":
      return refused({ reason: "form_not_in_force" });
    case "answer_too_large":
      return refusedByRows({ reason: formed.error.reason });
  }
}

/**
 * The disclosure with its body in the form. All of the patients are on record before a byte of them leaves: the last
 * window has the body, and each window before it one byte of the beginning, which every list has.
 */
function withBody(disclosure: Disclosure, body: Uint8Array<ArrayBuffer>): Disclosure {
  const { windows, representation, ...others } = disclosure;
  const last = windows.length - 1;
  return {
    ...others,
    get released() {
      return disclosure.released;
    },
    windows: windows.map((window, at) =>
      Object.assign({}, window, { body: at === last ? body.subarray(last) : body.subarray(at, at + 1) }),
    ),
    // The time of a row's last change would leave in a header.
    ...(representation !== undefined && { representation: { lastUpdated: undefined } }),
  };
}
