import type { FhirBase } from "#fhir/reference";

import type { PageLinks, PagePlace } from "#fhir/ports";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { Discloser, type Withheld } from "#phi/disclose";
import type { Disclosure } from "#phi/disclosure";
import { Page } from "#phi/page";
import type { Residences } from "#phi/residences";
import type { Grant, SearchExpectation } from "#policy/grant";
import type { OriginQuestion, Origins } from "#fhir/ports";
import { fillPage, type PageRefusal } from "./fill-page.ts";
import type { Ask, RowsRefusal } from "./all-rows.ts";
import { forward, readWhole, type Answered, type OriginRefusal } from "./forward.ts";
import { behindContext } from "./security-context.ts";
import { referredTo } from "./witnesses.ts";
import { resolveJoins } from "./resolve-joins.ts";
import { pageBinding, pageUrl, pageUrlBytesMax } from "./page-links.ts";

export type GatherRefusal =
  | PageRefusal
  | Withheld
  | RowsRefusal
  /** The question is too long for the link to its next page. */
  | { readonly reason: "page_link_too_long" };

export interface GatherPorts {
  readonly origins: Pick<Origins, "ask">;
  readonly pages: PageLinks;
  readonly fhirBase: (origin: string) => string;
}

export interface Gathering {
  readonly origin: string;
  readonly at: Instant;
  readonly who: Principal;
  readonly grant: Grant;
  readonly place: PagePlace | undefined;
  /** The verified certificate of the connection, as RFC 9440 writes it. */
  readonly clientCert: string | undefined;
  readonly residences: Residences;
}

/** Asks the origin whatever the grant says, and makes of the answers what may leave. */
export async function gather(asked: Gathering, ports: GatherPorts): Promise<Result<Disclosure, GatherRefusal>> {
  const { grant, origin, residences } = asked;
  const { expects } = grant;
  const names = { public: ports.fhirBase(origin), name: origin, residences };
  const ask = (question: OriginQuestion) => forward(ports.origins, origin, question, asked.clientCert);
  switch (expects.kind) {
    case "read": {
      const [one, known] = await Promise.all([ask(grant.ask).then(wholeOf), referredTo(grant, expects, ask, names)]);
      // First: what is wrong with a resource that nothing leads to must not tell that it is there.
      if (!known.ok) return known;
      if (!one.ok) return one;
      const seen = await behindContext(known.value, expects, one.value, ask, names);
      return new Discloser(seen, { ...names, origin: one.value.base }).read(one.value.body, expects.type, expects.id);
    }
    case "vread": {
      const [old, current, known] = await Promise.all([
        ask(grant.ask).then(wholeOf),
        ask(expects.current).then(wholeOf),
        referredTo(grant, expects, ask, names),
      ]);
      if (!known.ok) return known;
      if (!current.ok) return current;
      const discloser = new Discloser(known.value, { ...names, origin: current.value.base });
      if (old.ok) return discloser.version(old.value.body, current.value.body, expects);
      // How an origin fails at a version must not tell that there is a row which is not to be seen.
      const seen = discloser.read(current.value.body, expects.type, expects.id);
      return seen.ok ? old : seen;
    }
    case "search":
      return searchPage(asked, expects, ask, ports);
  }
}

/** The whole body of an answer that is one resource. */
export async function wholeOf(
  answer: Result<Answered, OriginRefusal>,
): Promise<Result<{ readonly body: Uint8Array; readonly base: FhirBase }, OriginRefusal>> {
  if (!answer.ok) return answer;
  const body = await readWhole(answer.value.body);
  return body.ok ? ok({ body: body.value, base: answer.value.base }) : body;
}

async function searchPage(
  { origin, at, who, grant, place, residences }: Gathering,
  expects: SearchExpectation,
  ask: Ask,
  ports: GatherPorts,
): Promise<Result<Disclosure, GatherRefusal>> {
  const base = ports.fhirBase(origin);
  const names = { public: base, name: origin, residences };
  const resolved = await resolveJoins(expects.joins, ask, names);
  if (!resolved.ok) return resolved;
  if (resolved.value === undefined) return new Page(grant, expects, { ...names, origin: base }).finish(undefined, true);
  const { parameters, joined } = resolved.value;
  const filled = await fillPage({ ...grant, ask: expects.askJoined(parameters) }, expects, place, ask, names, joined);
  if (!filled.ok) return filled;
  const { page, next } = filled.value;
  const link = next && pageUrl(base, expects.type, await ports.pages.seal(next, pageBinding(who, expects.type), at));
  if (link !== undefined && link.length > pageUrlBytesMax) return err({ reason: "page_link_too_long" });
  return page.finish(link, place === undefined);
}
