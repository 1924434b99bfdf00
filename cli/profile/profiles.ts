import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Misuse } from "../misuse.ts";
import type { DevClient } from "../connection/dev-file.ts";
import {
  profileNames,
  readProfile,
  readToken,
  removeProfile,
  removeToken,
  selectedProfile,
} from "../connection/profile.ts";
import { writeProfile } from "../connection/profile.ts";
import { giveResult, say, sayRows } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/** Prints each profile with its operators' door and whether its operator is signed in. */
export function profileList(args: readonly string[]): number {
  parseArgs({ args: [...args], options: {} });
  const profiles = profileNames().map((name) => {
    const { ops, operator, signIn, clients = [] } = readProfile(name);
    const state =
      signIn === undefined ? "machine" : readToken(name) === undefined ? "signed out" : "signed in";
    return { name, ops, operator: operator.id, state, clients: clients.map(({ id }) => id) };
  });
  giveResult(profiles);
  if (profiles.length === 0)
    say("no profiles: `phylax login NAME --ops URL --cert FILE --key FILE` makes one");
  sayRows(
    ["profile", "operators' door", "operator", ""],
    profiles.map(({ name, ops, operator, state }) => {
      const cells = [name, ops, operator, state];
      return { cells, line: cells.join("  ") };
    }),
  );
  return 0;
}

/** Deletes the stored token of a profile; with --forget the whole profile. */
export function logout(args: readonly string[]): number {
  const { values, name } = readNamedCall(args, { forget: { type: "boolean", default: false } });
  readProfile(name);
  if (values.forget) removeProfile(name);
  else removeToken(name);
  giveResult({ profile: name, forgotten: values.forget });
  say(values.forget ? `${name}: forgotten` : `${name}: signed out`);
  return 0;
}

/** Adds a client's credentials to the profile of `--profile`, so that `token` and `get` can act as the client. */
export function profileClient(args: readonly string[]): number {
  const text = { type: "string" } as const;
  const { values, name: id } = readNamedCall(args, {
    cert: text,
    key: text,
    jwk: text,
    scope: text,
    purpose: text,
  });
  const name = selectedProfile();
  const { cert, key, jwk, scope = "system/*.rs", purpose = "TREAT" } = values;
  if (name === undefined) throw new Misuse("name the profile with --profile");
  const hasCertificate = cert !== undefined && key !== undefined;
  if (!hasCertificate && jwk === undefined)
    throw new Misuse("a client has a certificate (--cert and --key), a key (--jwk), or both");
  const profile = readProfile(name);
  const client: DevClient = {
    id,
    kind: "",
    auth: jwk === undefined ? "tls_client_auth" : "private_key_jwt",
    issuer: profile.issuer ?? "",
    audience: profile.fhir ?? "",
    cert: cert === undefined ? "" : resolve(cert),
    key: key === undefined ? "" : resolve(key),
    jwk: jwk === undefined ? null : resolve(jwk),
    scope,
    purpose,
    purposes: [purpose],
    dpop: !hasCertificate, // without a certificate the token is bound to the key
    sub: null,
    patient: null,
    describe: "",
  };
  const others = (profile.clients ?? []).filter((each) => each.id !== id);
  writeProfile(name, { ...profile, clients: [...others, client] });
  giveResult({ profile: name, client: id });
  say(`profile ${name} can act as ${id}: phylax get ${id} Patient/1 --profile ${name}`);
  return 0;
}
