import { formBytesMax } from "#fhir/query";
import { readInteraction, type Interaction, type InteractionRefusal } from "#fhir/interaction";
import type { PageLinkRefusal, PageLinks, PagePlace } from "#fhir/ports";
import { isOfPresentation } from "#fhir/search";
import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import type { Arrival, Call } from "./admit.ts";
import { besidePage, pageBinding, sealedIn } from "./page-links.ts";

export type InterpretRefusal =
  | InteractionRefusal
  | PageLinkRefusal
  | { readonly reason: "form_not_expected" }
  /** The question is in the link: what stands beside it would be a second one. */
  | { readonly reason: "page_link_with_parameters" };

/** What is being asked, and from which place on when it is a further page of a search. */
export interface Question {
  readonly interaction: Interaction;
  readonly place: PagePlace | undefined;
}

export interface InterpretPorts {
  readonly fhirBase: (origin: string) => string;
  readonly pages: PageLinks;
}

/** Reads the question: from the URL, from a posted form, or out of a page's link, whose question is read as if it came now. */
export async function interpret(
  call: Call,
  arrival: Pick<Arrival, "headers" | "body">,
  who: Principal,
  ports: InterpretPorts,
): Promise<Result<Question, InterpretRefusal>> {
  const base = ports.fhirBase(call.origin);
  const sealed = sealedIn(call.query);
  const [type = ""] = call.segments;
  if (call.method === "GET" && sealed !== undefined && call.segments.length === 1) {
    const beside = besidePage(call.query).split("&");
    if (!beside.every((part) => part === "" || isOfPresentation(part.replace(/=.*$/u, ""))))
      return err({ reason: "page_link_with_parameters" });
    const place = await ports.pages.open(sealed, pageBinding(who, type), call.at);
    if (!place.ok) return place;
    const { question, posted } = place.value;
    const asked = readInteraction("GET", call.segments, [question, ...beside].filter((part) => part !== "").join("&"), base);
    if (!asked.ok || asked.value.kind !== "search") return asked.ok ? err({ reason: "page_link_malformed" }) : asked;
    return ok({ interaction: { ...asked.value, posted }, place: place.value });
  }
  const form = await readForm(call, arrival);
  if (!form.ok) return form;
  const interaction = readInteraction(call.method, call.segments, call.query, base, form.value);
  return interaction.ok ? ok({ interaction: interaction.value, place: undefined }) : interaction;
}

/** Only `_search` takes a body, and only a form. Any other is left unread: it is refused by its method. */
async function readForm(call: Call, { headers, body }: Pick<Arrival, "headers" | "body">): Promise<Result<string, InterpretRefusal>> {
  if (call.method !== "POST" || call.segments.at(-1) !== "_search" || body === null || body === undefined) return ok("");
  const mediaType = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (mediaType !== "application/x-www-form-urlencoded") return err({ reason: "form_not_expected" });
  let text = "";
  for await (const chunk of body) {
    // A form is ASCII (WHATWG URL §5): any other byte becomes a sign that the query's grammar has no room for.
    text += latin1.decode(chunk);
    if (text.length > formBytesMax) return err({ reason: "form_too_large" }); // leaving the loop ends the reading
  }
  return ok(text);
}

const latin1 = new TextDecoder("latin1");
