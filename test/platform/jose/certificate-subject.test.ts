import { test } from "vitest";
import { hasRegisteredName, type RegisteredSubject } from "#identity/certificate/subject";

// Made once with OpenSSL 3 (`req -x509`); the keys were deleted. The test runs in workerd, because
// production uses workerd's parser. The names: DNS:API.lab.example, URI:spiffe://lab.example/api,
// IP:192.0.2.7, IP:2001:db8::7, email:api@lab.example, and a directory name whose O is "a,
// DNS:victim.example".
const named =
  "MIICGTCCAb6gAwIBAgIUCW8MCkvZyR1Sf0mBNGZCrC8PSn8wCgYIKoZIzj0EAwIwJzEXMBUGA1UECgwOU3QuIE1hcnksIEluYy4xDDAKBgNVBAMMA2FwaTAgFw0yNjExMjQyMDQwMzdaGA8yMTI2MTAzMTIwNDAzN1owJzEXMBUGA1UECgwOU3QuIE1hcnksIEluYy4xDDAKBgNVBAMMA2FwaTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMQaXYY5lKy8zXXTF05+1MHY8PL2gIh6knjWnBUhO7e3KleZjOORE2ydvsMhkON2Sq5+6xn9Lj56G37KkM4Uh+ijgcUwgcIwgaAGA1UdEQSBmDCBlYIPQVBJLmxhYi5leGFtcGxlhhhzcGlmZmU6Ly9sYWIuZXhhbXBsZS9hcGmHBMAAAgeHECABDbgAAAAAAAAAAAAAAAeBD2FwaUBsYWIuZXhhbXBsZaQ/MD0xGzAZBgNVBAMMEkROUzp2aWN0aW0uZXhhbXBsZTEeMBwGA1UECgwVYSwgRE5TOnZpY3RpbS5leGFtcGxlMB0GA1UdDgQWBBR3ys8JLw3oayeUBJGeOgntLUQVUjAKBggqhkjOPQQDAgNJADBGAiEAunjJvht9n+NvK5ywYj6UK95JpJRaLGbibyI1/g6gAUACIQDpgaHgoXK91fuHh4KgdGr2vN8Igcrs86lo84s27VMDmA==";
// A single URI: "https://evil.example/%22, DNS:victim.example".
const hostile =
  "MIIBfDCCASKgAwIBAgIUbzpkHVP31JqKJ7nKigmUgOFitBEwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEZXZpbDAgFw0yNjExMjQyMDQwMzdaGA8yMTI2MTAzMTIwNDAzN1owDzENMAsGA1UEAwwEZXZpbDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBj4Oh7UCQH2a1J4EnFZQudlVIc2CM/gm1Oa6lUnRn5RTBORTaVucxVxMiQQQD+68ZoZYn9GbytG2HgJdqXIk0ijWjBYMDcGA1UdEQQwMC6GLGh0dHBzOi8vZXZpbC5leGFtcGxlLyUyMiwgRE5TOnZpY3RpbS5leGFtcGxlMB0GA1UdDgQWBBRM8ou9pK4kBdCErAHvxdHLsgRoEzAKBggqhkjOPQQDAgNIADBFAiAtyMuadkSL/q4cCpn9UjyeQ9rjry81skaZRY+XnZJJQgIhAMxeH1Qyzel11l0jiSAgPZWp0E50fe8XYAbdGu3NBimM";

const voucher = (der: string) => ({
  kind: "authority" as const,
  subjectDn: "CN=api,O=St. Mary\\, Inc.",
  issuerDn: "CN=Partner CA,O=Partner",
  der: new Uint8Array(Buffer.from(der, "base64")),
});
const subject = (
  field: RegisteredSubject["field"],
  value: string,
  issuerDn = "CN=Partner CA,O=Partner",
): RegisteredSubject => ({
  issuerDn,
  field,
  value,
});

test.for([
  ["subjectDn", "CN=api,O=St. Mary\\, Inc."],
  ["sanDns", "api.lab.example"],
  ["sanUri", "spiffe://lab.example/api"],
  ["sanIp", "192.0.2.7"],
  ["sanIp", "2001:db8::7"],
  ["sanEmail", "api@lab.example"],
] as const)(
  "T21: a certificate is its client's by %s %s, under the registered authority and no other",
  ([field, value], { expect }) => {
    expect(hasRegisteredName(voucher(named), subject(field, value))).toBe(true);
    expect(hasRegisteredName(voucher(named), subject(field, value, "CN=Other CA"))).toBe(false);
    expect(hasRegisteredName({ ...voucher(named), issuerDn: "" }, subject(field, value, ""))).toBe(false);
  },
);

test.for([
  ["another name", "subjectDn", "CN=api"],
  ["the same parts in another order", "subjectDn", "O=St. Mary\\, Inc.,CN=api"],
  ["a host below", "sanDns", "x.api.lab.example"],
  ["a wildcard is no host", "sanDns", "*.lab.example"],
  ["a name of another kind", "sanDns", "api@lab.example"],
  ["a name inside a directory name", "sanDns", "victim.example"],
  ["another spelling of a URI", "sanUri", "SPIFFE://lab.example/api"],
  ["another address", "sanIp", "192.0.2.70"],
  ["another mailbox", "sanEmail", "API@lab.example"],
] as const)("T21: not by %s", ([, field, value], { expect }) => {
  expect(hasRegisteredName(voucher(named), subject(field, value))).toBe(false);
});

test("T21: letters beyond ASCII are the same name in either spelling of RFC 2253, and different letters are not", ({
  expect,
}) => {
  const raw = { ...voucher(named), subjectDn: "CN=M\u00fcller\\, A", issuerDn: "CN=\u00c4rzte" };
  const bytes = { ...raw, subjectDn: "CN=M\\C3\\BCller\\, A", issuerDn: "CN=\\c3\\84rzte" };
  for (const certificate of [raw, bytes]) {
    expect(hasRegisteredName(certificate, subject("subjectDn", raw.subjectDn, raw.issuerDn))).toBe(true);
    expect(hasRegisteredName(certificate, subject("subjectDn", bytes.subjectDn, bytes.issuerDn))).toBe(true);
    for (const other of [
      "CN=M\\\\C3\\BCller\\, A",
      "CN=Mu\u0308ller\\, A",
      "CN=M\\FCller\\, A",
      "CN=M\\C3\\BCller, A",
      "CN=M\\C3ller\\, A",
    ])
      expect(hasRegisteredName(certificate, subject("subjectDn", other, raw.issuerDn)), other).toBe(false);
  }
  const comma = { ...raw, subjectDn: "CN=a\\2C O=b" };
  expect(
    hasRegisteredName(comma, subject("subjectDn", "CN=a, O=b", raw.issuerDn)),
    "an escape that keeps two parts one",
  ).toBe(false);
});

test("T21: a single name that is written to look like two counts as a single name", ({ expect }) => {
  expect(hasRegisteredName(voucher(hostile), subject("sanDns", "victim.example"))).toBe(false);
  expect(
    hasRegisteredName(voucher(hostile), subject("sanUri", "https://evil.example/%22, DNS:victim.example")),
  ).toBe(true);
  expect(hasRegisteredName(voucher(hostile), subject("sanUri", "https://evil.example/%22"))).toBe(false);
});

test("T21: an invalid certificate has no names", ({ expect }) => {
  for (const der of ["", "AAAA", named.slice(0, 200)])
    expect(hasRegisteredName(voucher(der), subject("sanDns", "api.lab.example"))).toBe(false);
});
