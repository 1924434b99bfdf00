import {
  isInnerList,
  parseDictionary,
  serializeItem,
  type Dictionary,
  type InnerList,
} from "structured-headers";
import { requestTag, type RequestSignatureRefusal } from "#identity/request-signature";
import { err, ok, type Result } from "#kernel/result";

/** A request's signature, from its two header fields. */
export interface ChosenSignature {
  readonly label: string;
  readonly input: InnerList;
  readonly parts: readonly string[];
  readonly signature: Uint8Array<ArrayBuffer>;
  /** The signature as its member of `Signature` is written by RFC 9651. */
  readonly member: string;
}

/** The only signature with the tag. Signatures by intermediaries are ignored. */
export function chooseSignature(
  headers: Pick<Headers, "get">,
): Result<ChosenSignature, RequestSignatureRefusal> {
  const [inputs, signatures] = [
    dictionaryOf(headers.get("signature-input")),
    dictionaryOf(headers.get("signature")),
  ];
  if (inputs === undefined || signatures === undefined) return err({ reason: "request_signature_malformed" });
  const [chosen, second] = [...inputs].filter(([, [, parameters]]) => parameters.get("tag") === requestTag);
  if (chosen === undefined) return err({ reason: "request_signature_missing" });
  const [label, input] = chosen;
  const [signature, parametersOf] = signatures.get(label) ?? [];
  if (second !== undefined || !isInnerList(input) || !(signature instanceof ArrayBuffer))
    return err({ reason: "request_signature_malformed" });
  const parts: string[] = [];
  for (const [part, parameters] of input[0]) {
    if (typeof part !== "string") return err({ reason: "request_signature_malformed" });
    // `sf`, `key`, `bs`, `req`, `tr`, `name`: they give a name a different value (RFC 9421 §2.1, §2.2.8).
    if (parameters.size > 0)
      return err({ reason: "request_signature_component_unknown", part: part.slice(0, 64) });
    parts.push(part);
  }
  return ok({
    label,
    input,
    parts,
    signature: new Uint8Array(signature),
    member: serializeItem(signature, parametersOf),
  });
}

function dictionaryOf(field: string | null): Dictionary | undefined {
  try {
    return parseDictionary(field ?? "");
  } catch {
    return undefined; // not a dictionary: an answer
  }
}
