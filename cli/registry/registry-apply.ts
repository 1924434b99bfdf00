import { readFileSync } from "node:fs";
import { originProblems } from "#platform/origins/origin-state";
import { closeConnections, send } from "../connection/mutual-tls.ts";
import { openDeployment } from "../connection/deployment.ts";
import { postAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { probeRegistered } from "../origin/probe-registered.ts";
import { complain, giveResult, say } from "../output.ts";
import { requirePublic } from "./public-file.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Sends a registry file, or a change that `registry plan --out` wrote, to the operators' API with an operator's
 * certificate. Each origin of the file whose entry was not probed yet is probed, and the findings go on record.
 * Returns 0 when the whole file was applied, 2 when it is refused.
 */
export async function registryApply(args: readonly string[]): Promise<number> {
  const { values, name: file } = readNamedCall(args, {
    ...posterOptions,
    "probe-writes": { type: "boolean", default: false },
    "no-probe": { type: "boolean", default: false },
    "secret-from": { type: "string", multiple: true, default: [] },
  });
  const document = readBytes(file);
  if (document === undefined) {
    complain(`${file}: cannot be read: check its name and permissions`);
    return 2;
  }
  const from = posterOf(values);
  const value = valueOf(document);
  requirePublic(file, value);
  const path = isPlannedChange(value) ? "api/registry/changes" : "api/registry";
  const answer = await postAsOperator(from, path, document);
  if (answer.status === 200) {
    const { added, changed, removed } = answer.body;
    const counts = [`${String(added)} added`, `${String(changed)} changed`];
    if (typeof removed === "number") counts.push(`${removed} removed`);
    say(`${file}: ${counts.join(", ")}`);
    const origins = originsOf(document);
    const readiness = origins.length === 0 ? undefined : await readinessAt(from.state);
    const known =
      origins.length > 0 && readiness === undefined
        ? ["the gateway did not answer /readyz: ask it again for the state of these origins"]
        : originProblems(
            readiness,
            origins.map(({ name }) => name),
          );
    const probing = values["no-probe"] ? [] : neverProbed(origins, readiness);
    const problems = [...known];
    for (const entry of probing)
      problems.push(...(await probeRegistered(from, entry, values["probe-writes"], values["secret-from"])));
    for (const problem of problems) complain(problem);
    giveResult({ file, ...answer.body, problems });
    return 0;
  }
  complain(`${file}: ${refusalLine(answer)}`);
  return answer.status < 500 ? 2 : 1;
}

/** The origins of an applied document, which is JSON of one of these forms. */
function originsOf(document: Buffer): readonly NamedOrigin[] {
  const { set, origins = set?.origins ?? [] }: NamesOrigins & { readonly set?: NamesOrigins } = JSON.parse(
    document.toString("utf8"),
  );
  return origins;
}

/** The gateway's `/readyz`; undefined if there is no answer. */
async function readinessAt(state: string): Promise<unknown> {
  try {
    const { deployment: dev } = openDeployment(state);
    const { text } = await send(dev, undefined, `${new URL(dev.fhir).origin}/readyz`);
    return JSON.parse(text);
  } catch {
    return undefined;
  } finally {
    closeConnections();
  }
}

// A probe of a server that the gateway does not reach, or may not ask, would find nothing about the registered server.
const reached = ["ready", "less_than_registered"];

/** The origins that the gateway reaches, and that were not probed since their entry changed. */
function neverProbed(origins: readonly NamedOrigin[], readiness: unknown): readonly NamedOrigin[] {
  const wordOf = (member: string, name: string): unknown => {
    const words: unknown =
      typeof readiness === "object" && readiness !== null ? Reflect.get(readiness, member) : undefined;
    return typeof words === "object" && words !== null ? Reflect.get(words, name) : undefined;
  };
  return origins.filter(
    ({ name }) => wordOf("probes", name) === "never" && reached.includes(String(wordOf("origins", name))),
  );
}

interface NamedOrigin {
  readonly name: string;
}

interface NamesOrigins {
  readonly origins?: readonly NamedOrigin[];
}

/** The value of a document; the text of a file that is not JSON, which the API refuses. */
function valueOf(document: Buffer): unknown {
  const text = document.toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A registry file has neither of these members. */
const isPlannedChange = (value: unknown): boolean =>
  typeof value === "object" && value !== null && ("expects" in value || "remove" in value);

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
