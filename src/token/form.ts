import { err, ok, type Result } from "#kernel/result";

/** Each parameter has one value; an empty one counts as left out (RFC 6749 §3.2). */
export type Form = ReadonlyMap<string, string>;

export type FormRefusal = {
  readonly reason: "form_type_wrong" | "form_too_large" | "form_malformed" | "form_parameter_repeated" | "form_in_url";
};

const bytesMax = 16_384;
const parametersMax = 32;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads an `application/x-www-form-urlencoded` body strictly: one reading or none. */
export async function readForm(request: Request): Promise<Result<Form, FormRefusal>> {
  if (new URL(request.url).search !== "") return err({ reason: "form_in_url" }); // RFC 6749 §2.3.1: never in the URI
  if (!/^application\/x-www-form-urlencoded\s*(?:;\s*charset="?utf-8"?\s*)?$/iu.test(request.headers.get("content-type") ?? "")) {
    return err({ reason: "form_type_wrong" });
  }
  const bytes = await readAtMost(request.body);
  if (bytes === undefined) return err({ reason: "form_too_large" });
  const text = decoded(bytes);
  if (text === undefined) return err({ reason: "form_malformed" });
  return parseForm(text);
}

function parseForm(text: string): Result<Form, FormRefusal> {
  const form = new Map<string, string>();
  const pairs = text.split("&").filter((pair) => pair !== "");
  if (pairs.length > parametersMax) return err({ reason: "form_malformed" });
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const [name, value] = [unescaped(at === -1 ? pair : pair.slice(0, at)), unescaped(at === -1 ? "" : pair.slice(at + 1))];
    if (name === undefined || value === undefined) return err({ reason: "form_malformed" });
    if (form.has(name)) return err({ reason: "form_parameter_repeated" });
    form.set(name, value);
  }
  return ok(new Map([...form].filter(([, value]) => value !== "")));
}

/** The bytes themselves are counted: Content-Length may lie or be missing. */
async function readAtMost(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array | undefined> {
  const whole = new Uint8Array(bytesMax);
  let length = 0;
  for await (const chunk of body ?? []) {
    if (length + chunk.length > bytesMax) return undefined; // leaving the loop cancels the stream
    whole.set(chunk, length);
    length += chunk.length;
  }
  return whole.subarray(0, length);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined; // bad UTF-8: told by the answer
  }
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined; // a bad escape, or bad UTF-8 behind a good one: told by the answer
  }
}
