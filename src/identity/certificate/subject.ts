import { X509Certificate } from "node:crypto";
import type { Voucher } from "./certificate.ts";
import { equalInConstantTime } from "#kernel/constant-time";

/**
 * A kind of name that a certificate may carry (RFC 8705 §2.1.2), as in the client metadata
 * `tls_client_auth_…`.
 */
export type SubjectField = "subjectDn" | "sanDns" | "sanUri" | "sanIp" | "sanEmail";

/**
 * Any certificate with this name by this authority: a certificate that is renewed there needs no new entry.
 */
export interface RegisteredSubject {
  /**
   * The authority, as RFC 2253 writes its name. A second authority that the zone trusts vouches for its own
   * names only.
   */
  readonly issuerDn: string;
  readonly field: SubjectField;
  readonly value: string;
}

/**
 * True if an authority's certificate carries the registered name and is issued by the registered
 * authority.
 */
export function hasRegisteredName(
  voucher: Extract<Voucher, { kind: "authority" }>,
  { issuerDn, field, value }: RegisteredSubject,
): boolean {
  if (issuerDn === "" || !sameName(issuerDn, voucher.issuerDn)) return false;
  if (field === "subjectDn") return sameName(value, voucher.subjectDn);
  return alternativeNames(voucher.der).some(
    (name) =>
      name.field === field && equalInConstantTime(canonical(field, value), canonical(field, name.value)),
  );
}

const sameName = (left: string, right: string): boolean =>
  equalInConstantTime(unescaped(left), unescaped(right));

/**
 * RFC 2253 §2.4 gives a writer the choice: letters beyond ASCII as they are, or each of their bytes as
 * `\C3`. All further escapes stay untouched.
 */
function unescaped(name: string): string {
  return name.replaceAll(/(?:\\[89A-Fa-f][0-9A-Fa-f])+|\\./gu, (escaped) => {
    if (escaped.length < 3) return escaped;
    const bytes = Buffer.from(escaped.replaceAll("\\", ""), "hex");
    // not UTF-8: the name equals only itself
    return bytes.toString().includes("\ufffd") ? escaped : bytes.toString();
  });
}

interface AlternativeName {
  readonly field: SubjectField | undefined;
  readonly value: string;
}

const fields: Readonly<Record<string, SubjectField>> = {
  DNS: "sanDns",
  URI: "sanUri",
  "IP Address": "sanIp",
  email: "sanEmail",
};

function alternativeNames(der: Uint8Array): readonly AlternativeName[] {
  try {
    return readNames(new X509Certificate(der).subjectAltName ?? "");
  } catch {
    return []; // the edge accepted it and this parser does not: the certificate has no name here
  }
}

/**
 * Reads OpenSSL's `DNS:a.example, URI:"https://b.example/x\u002c"`. OpenSSL writes an ambiguous value as a
 * JSON string (CVE-2021-44532). If any part has a different form, no part is believed.
 */
function readNames(text: string): readonly AlternativeName[] {
  const namePattern =
    /(?<kind>[A-Za-z][A-Za-z ]*):(?:(?<quoted>"(?:[^"\\]|\\.)*")|(?<plain>[^",]*))(?:, |$)/uy;
  const names: AlternativeName[] = [];
  while (namePattern.lastIndex < text.length) {
    const found = namePattern.exec(text)?.groups;
    if (found === undefined) return [];
    const { kind = "", quoted, plain = "" } = found;
    names.push({
      field: Object.hasOwn(fields, kind) ? fields[kind] : undefined,
      value: quoted === undefined ? plain : String(JSON.parse(quoted)),
    });
  }
  return names;
}

/** Host names in any letter case, addresses in any spelling; a URI and a mailbox unchanged. */
function canonical(field: SubjectField, value: string): string {
  if (field === "sanDns") return value.toLowerCase();
  if (field !== "sanIp") return value;
  return URL.parse(`http://${value.includes(":") ? `[${value}]` : value}/`)?.hostname ?? value;
}
