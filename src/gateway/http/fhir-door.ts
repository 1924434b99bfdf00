import { addressOf } from "#entrypoint/edge";
import { ok } from "#kernel/result";
import { pass, type Door } from "#gateway/pipeline";
import type { GatewayPorts } from "#gateway/ports";
import { isKnown } from "#gateway/read/etag";
import { admit, isContentWanted, type Arrival, type Call } from "./admit.ts";
import { httpContent } from "./http-content.ts";
import { interpret } from "./interpret.ts";
import { rangeIn } from "./range.ts";
import { proveSigned, type ProveSignedPorts } from "./prove-signed.ts";
import { respond, type RespondPorts } from "./respond.ts";

export interface FhirDoorPorts extends GatewayPorts, ProveSignedPorts, RespondPorts {}

/** Answers a request in the form of FHIR's REST API, on record. A fault without a record is thrown. */
export async function serve(arrival: Arrival, ports: FhirDoorPorts): Promise<Response> {
  const { id, turn, at, method, continent, headers, trace } = arrival;
  const request = { id, turn, at, method, continent, address: addressOf(headers), trace };
  const call = admit(arrival);
  const answer = await pass(request, call.ok ? ok(fhirDoor(call.value, arrival, ports)) : call, ports);
  return respond(answer, arrival, call.ok ? call.value : undefined, ports);
}

function fhirDoor(call: Call, arrival: Arrival, ports: FhirDoorPorts): Door {
  let message: Pick<Arrival, "headers" | "body"> = arrival;
  return {
    call,
    async proveSigned(who) {
      const proven = await proveSigned(call, arrival, who, ports);
      if (!proven.ok) return proven;
      ({ message } = proven.value);
      return ok(proven.value.signedBy);
    },
    trust: () => arrival.body?.trust?.(),
    async interpret(who) {
      const read = await interpret(call, who, message, ports);
      if (!read.ok) return read;
      const { headers, method } = arrival;
      return ok({
        ...read.value,
        content: httpContent(call, message),
        isBodiless: method === "HEAD",
        isKnown: (validators) => isKnown(headers, validators),
        wantsContent: call.query === "" && isContentWanted(headers.get("accept")),
        rangeIn: (etag, bytes) => rangeIn(headers, etag, bytes),
      });
    },
  };
}
