import { noteSentChange } from "../interruption.ts";
import { isObject, property, readJson, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import type { Secret } from "#kernel/secret";

export interface FhirRequest {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  /** Below the FHIR base, without a leading slash; with its query. */
  readonly path: string;
  readonly resource?: object;
  /** A form for `_search`. */
  readonly form?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FhirReply {
  /** 0: no answer. */
  readonly status: number;
  /** `undefined` if the body is no JSON object. */
  readonly body: JsonObject | undefined;
  readonly location: string | undefined;
}

const timeoutMilliseconds = 20_000;

/** Asks a FHIR server directly, as its operator. */
export class FhirClient {
  readonly base: string;
  readonly #bearer: () => Promise<Secret | undefined>;

  readonly #until: AbortSignal | undefined;
  readonly #further: () => Promise<readonly (readonly [name: string, value: string])[]>;

  /**
   * @param until when it aborts, each further request has the status 0.
   * @param further headers of each request.
   */
  constructor(
    base: string,
    bearer: () => Promise<Secret | undefined>,
    until?: AbortSignal,
    further: () => Promise<readonly (readonly [name: string, value: string])[]> = async () => [],
  ) {
    this.base = base;
    this.#bearer = bearer;
    this.#until = until;
    this.#further = further;
  }

  /** Never rejects because of the server: a server that does not answer has the status 0. */
  async ask({ method = "GET", path, resource, form, headers = {} }: FhirRequest): Promise<FhirReply> {
    if (method !== "GET") noteSentChange();
    const bearer = await this.#bearer();
    const sent = new Headers({ accept: "application/fhir+json", ...headers });
    for (const [name, value] of await this.#further()) sent.set(name, value);
    if (bearer !== undefined) sent.set("authorization", `Bearer ${bearer.reveal()}`);
    if (resource !== undefined) sent.set("content-type", "application/fhir+json");
    if (form !== undefined) sent.set("content-type", "application/x-www-form-urlencoded");
    const body = form ?? (resource && JSON.stringify(resource));
    try {
      const response = await fetch(`${this.base}/${path}`, {
        method: form === undefined ? method : "POST",
        headers: sent,
        ...(body !== undefined && { body }),
        redirect: "manual",
        signal: AbortSignal.any([
          AbortSignal.timeout(timeoutMilliseconds),
          ...(this.#until ? [this.#until] : []),
        ]),
      });
      const read = readJson(new Uint8Array(await response.arrayBuffer()));
      return {
        status: response.status,
        body: read.ok && isObject(read.value) ? read.value : undefined,
        location: response.headers.get("location") ?? undefined,
      };
    } catch {
      return { status: 0, body: undefined, location: undefined };
    }
  }
}

/** The matches of a searchset; `undefined` if the answer is no searchset. */
export function matchesIn({ status, body }: FhirReply): readonly JsonObject[] | undefined {
  if (status !== 200 || body === undefined || textAt(body, "type") !== "searchset") return undefined;
  return valuesAt(body, ["entry"])
    .filter(isObject)
    .filter((entry) => !["include", "outcome"].includes(modeOf(entry)))
    .map((entry) => property(entry, "resource"))
    .filter((resource): resource is JsonObject => resource !== undefined && isObject(resource));
}

function modeOf(entry: JsonObject): string {
  const search: Json | undefined = property(entry, "search");
  return (isObject(search) ? textAt(search, "mode") : undefined) ?? "match";
}
