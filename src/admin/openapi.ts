import * as z from "zod";
import type { Verb } from "./administer.ts";
import { publicFaces } from "./refusal.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 document of the operators' API, made from its verbs. */
export function openApiDocument(verbs: readonly Verb[], url: string): Schema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const verb of verbs) (paths[`/${verb.path}`] ??= {})[verb.method.toLowerCase()] = operationOf(verb);
  return {
    openapi: "3.1.0",
    info: {
      title: "Phylax operators' API",
      version: "1",
      description:
        "Each call needs a registered client certificate (mutual TLS); an operator who is a person also signs in. Each call is on record with the operator.",
    },
    servers: [{ url }],
    security: [{ certificate: [], signIn: [] }, { certificate: [] }],
    paths,
    components: {
      schemas: { Problem: schemaOf(problem, "output") },
      securitySchemes: {
        certificate: { type: "mutualTLS", description: "The operator's certificate." },
        signIn: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description:
            "An RFC 9068 access token, bound to the certificate, or to a key under the scheme DPoP.",
        },
      },
    },
  };
}

/** RFC 9457. */
const problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  instance: z.string().meta({ description: "The request's id: the record says more under it." }),
  pointer: z.string().optional().meta({ description: "RFC 6901, into the document." }),
  detail: z.string().optional(),
  reason: z
    .string()
    .optional()
    .meta({ description: "The reason code, once the operator is proven (docs/refusals.md)." }),
});

function operationOf(verb: Verb): Schema {
  const { interaction, does, roles, document, parameters, answer, changes, isConditional, hasEtag } = verb;
  const named = Object.entries(parameters?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: verb.path.includes(`{${name}}`) ? "path" : "query",
    required: verb.path.includes(`{${name}}`),
    schema: schemaOf(schema, "input"),
  }));
  const headers = [
    ...(changes !== "nothing"
      ? [header("Idempotency-Key", "A repeat under the same key gets the first result.")]
      : []),
    ...(isConditional === true ? [header("If-Match", "The ETag of the state that the change expects.")] : []),
    ...(hasEtag === true ? [header("If-None-Match", "304 if the state has this ETag.")] : []),
  ];
  return {
    operationId: interaction,
    summary: does,
    description: `Roles: ${roles.join(", ")}.`,
    "x-roles": roles,
    parameters: [...named, ...headers],
    ...(document !== undefined && {
      requestBody: {
        required: true,
        content: { "application/json": { schema: schemaOf(document, "input") } },
      },
    }),
    responses: {
      200: {
        description: "Done, and on record.",
        headers: {
          "X-Request-Id": { schema: { type: "string" } },
          "Phylax-Receipt": { schema: { type: "string" } },
          ...(hasEtag === true && { ETag: { schema: { type: "string" } } }),
        },
        content: { [verb.answerType ?? "application/json"]: { schema: schemaOf(answer, "output") } },
      },
      ...(hasEtag === true && { 304: { description: "The state has the ETag of If-None-Match." } }),
      ...Object.fromEntries(refusalStatuses.map((status) => [status, refusal])),
    },
  };
}

const refusal = {
  description: "Refused, and on record: nothing is done.",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

/** The statuses of all refusals at this door. */
const refusalStatuses = [...new Set(Object.values(publicFaces).map(({ status }) => status))].sort(
  (a, b) => a - b,
);

const header = (name: string, description: string): Schema => ({
  name,
  in: "header",
  required: false,
  description,
  schema: { type: "string" },
});

/** JSON Schema 2020-12, the dialect of OpenAPI 3.1. */
function schemaOf(schema: z.core.$ZodType, io: "input" | "output"): Schema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
