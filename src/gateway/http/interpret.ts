import { takesPostedQuery } from "#fhir/operations";
import { readAtMost } from "#entrypoint/bounded-body";
import { searchFormBytesMax } from "#fhir/search/query";
import { readInteraction } from "#fhir/interaction";
import { isLenient } from "#fhir/preconditions";
import type { PageLinks } from "#fhir/ports";
import { isOfPresentation } from "#fhir/search/search";
import { pageCount } from "#fhir/search/page-count";
import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import { formOfParameters } from "#fhir/operation-parameters";
import { pageBinding, sealedPageIn } from "#gateway/admission/page-links";
import type { InterpretRefusal } from "#gateway/outcome";
import type { Question } from "#gateway/question";
import type { Arrival, Call } from "./admit.ts";
import { isOfForm } from "./http-content.ts";

/** The interaction, and the place where a further page begins. */
type Interpreted = Pick<Question, "interaction" | "place">;

export interface InterpretPorts {
  /** Under the configured name to which the request came. */
  readonly fhirBase: (origin: string) => string;
  readonly pages: PageLinks;
}

/**
 * Reads the question from the URL, from a posted form, or from the link of a page, which is judged again
 * like a new question.
 */
export async function interpret(
  call: Call,
  who: Principal,
  message: Pick<Arrival, "headers" | "body">,
  ports: InterpretPorts,
): Promise<Result<Interpreted, InterpretRefusal>> {
  const base = ports.fhirBase(call.origin);
  const page = call.method === "GET" || call.method === "HEAD" ? sealedPageIn(call.query) : undefined;
  if (page !== undefined) return openPage(call, page, who, ports);
  const form = await readForm(call, message);
  if (!form.ok) return form;
  const may = isLenient(message.headers.get("prefer"));
  const interaction = readInteraction(call.method, call.segments, call.query, base, form.value, may);
  return interaction.ok ? ok({ interaction: interaction.value, place: undefined }) : interaction;
}

async function openPage(
  call: Call,
  { sealed, others }: { readonly sealed: string; readonly others: readonly string[] },
  who: Principal,
  ports: InterpretPorts,
): Promise<Result<Interpreted, InterpretRefusal>> {
  const count = others.find((part) => /^_count=\d{1,9}$/u.test(part));
  const presentation = others.filter((part) => part !== count);
  if (!presentation.every((part) => isOfPresentation(part.replace(/=.*$/u, ""))))
    return err({ reason: "page_link_with_parameters" });
  const place = await ports.pages.open(sealed, pageBinding(who, call.segments.join("/")), call.at);
  if (!place.ok) return place;
  const { question, posted } = place.value;
  // Read as a form: a posted question may be longer than a query.
  const read = readInteraction(
    "GET",
    call.segments,
    presentation.join("&"),
    ports.fhirBase(call.origin),
    question,
  );
  if (!read.ok) return read;
  const interaction = read.value;
  // A stock client adds the most rows that it takes; the page has as many as the question says, never more.
  if (
    count !== undefined &&
    (interaction.kind !== "search" || Number(count.slice("_count=".length)) < pageCount(interaction.count))
  )
    return err({ reason: "page_link_with_parameters" });
  if (interaction.kind === "search")
    return ok({ interaction: { ...interaction, posted }, place: place.value });
  if (interaction.kind === "disclosures")
    return ok({ interaction: { ...interaction, place: place.value.after }, place: place.value });
  if (interaction.kind !== "history" && interaction.kind !== "everything")
    return err({ reason: "page_link_malformed" });
  return ok({ interaction, place: place.value });
}

/**
 * Only `_search` takes a form, and an operation that may be asked by GET as well takes Parameters. A further
 * body is not read here: its method or its stage refuses it.
 */
async function readForm(
  call: Call,
  { headers, body }: Pick<Arrival, "headers" | "body">,
): Promise<Result<string, InterpretRefusal>> {
  const last = call.segments.at(-1);
  const isOperation = last !== undefined && takesPostedQuery(last);
  if (call.method !== "POST" || (last !== "_search" && !isOperation) || body === null || body === undefined)
    return ok("");
  const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  const isForm = type === "application/x-www-form-urlencoded";
  if (!isForm && !isOperation && type !== undefined) return err({ reason: "form_type_not_supported" });
  const bytes = await readAtMost(body, searchFormBytesMax);
  if (bytes === undefined) return err({ reason: "form_too_large" });
  if (!isForm) {
    if (bytes.length === 0) return ok(""); // a client need not say what an empty body is
    if (!isOperation) return err({ reason: "form_type_not_supported" });
    if (!isOfForm(headers, "resource")) return err({ reason: "body_type_not_supported" });
    const form = formOfParameters(bytes);
    return form === undefined ? err({ reason: "parameter_malformed" }) : ok(form);
  }
  // A form is ASCII (WHATWG URL §5): a byte outside ASCII becomes a character that the query's grammar
  // refuses.
  return ok(latin1.decode(bytes));
}

const latin1 = new TextDecoder("latin1");
