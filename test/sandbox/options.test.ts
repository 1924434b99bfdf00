import { test } from "vitest";
import { readOptions } from "../../sandbox/options.ts";

test("without options the gateway listens on 8443, keeps its state in .phylax and brings a FHIR server of its own", ({
  expect,
}) => {
  expect(readOptions([], "/home/ops")).toEqual({
    ok: true,
    value: {
      port: 8443,
      state: "/home/ops/.phylax",
      bundles: undefined,
      origin: undefined,
      bearerFrom: undefined,
      registry: undefined,
      twoPersons: false,
      trace: undefined,
      reset: false,
    },
  });
});

test("an unknown option, a missing value and an invalid port are errors", ({ expect }) => {
  for (const args of [
    ["--prot", "1"],
    ["--port"],
    ["--port", "x"],
    ["--port", "0"],
    ["--port", "65536"],
    ["stray"],
  ]) {
    expect(readOptions(args, "/").ok, args.join(" ")).toBe(false);
  }
});

test("relative files and folders are resolved from the folder in which the command was given", ({
  expect,
}) => {
  expect(readOptions(["--registry", "ops/registry.json", "--bundles", "data"], "/home/ops")).toMatchObject({
    value: { registry: "/home/ops/ops/registry.json", bundles: "/home/ops/data" },
  });
});

test.for([
  ["https://fhir.example.org/r4", "https://fhir.example.org/r4"],
  ["https://fhir.example.org/r4/", "https://fhir.example.org/r4"],
  ["http://127.0.0.1:8080/fhir//", "http://127.0.0.1:8080/fhir"],
  ["http://localhost:8080", "http://localhost:8080"],
  ["http://[::1]:8080/", "http://[::1]:8080"],
  ["HTTPS://FHIR.example.org:443/R4", "https://fhir.example.org/R4"],
] as const)("--origin %s is the FHIR base %s", ([given, base], { expect }) => {
  expect(readOptions(["--origin", given], "/")).toMatchObject({ ok: true, value: { origin: base } });
});

test.for([
  ["fhir.example.org", "https://"],
  ["ftp://fhir.example.org", "https://"],
  ["", "https://"],
  ["https://fhir.example.org/?a=b", "query"],
  ["https://fhir.example.org/r4?", "query"],
  ["https://fhir.example.org/#top", "fragment"],
  ["https://user:secret@fhir.example.org/r4", "password"],
  ["http://fhir.example.org/r4", "https://"],
] as const)(
  "--origin '%s' is refused, naming the option and not the value",
  ([given, reason], { expect }) => {
    const read = readOptions(["--origin", given], "/");
    expect(read).toMatchObject({ ok: false, error: expect.stringMatching(/^--origin: /u) });
    expect(read).toMatchObject({ error: expect.stringContaining(reason) });
    expect(JSON.stringify(read)).not.toContain("secret");
  },
);

test("--origin and --bundles exclude each other", ({ expect }) => {
  expect(readOptions(["--origin", "https://fhir.example.org", "--bundles", "data"], "/")).toMatchObject({
    ok: false,
    error: expect.stringContaining("--bundles"),
  });
});
