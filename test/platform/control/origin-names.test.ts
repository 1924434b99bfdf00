import { test } from "vitest";
import { instant } from "#kernel/clock";
import { allowedPlaces } from "#platform/config/allowed-places";
import { applyRegistry } from "#platform/registry/apply-registry";
import { originDirectory } from "#platform/registry/origin-directory";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { withValue } from "../../support/registry-file.ts";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

const clock = () => instant(Date.UTC(2026, 10, 24));
const desk = { clock, publicUrl: "https://gateway.example.org" };

test("the further names of an origin are stored, added to an origin without names, read back, and removed by a replacing file", async ({
  expect,
}) => {
  const registry = await emptyRegistry();
  const file = await sampleFile();
  const read = async () =>
    (await originDirectory(new RegistryReader(registry, clock)).find("main"))?.alsoKnownAs;
  await applyRegistry(registry, file, "add", desk);
  expect(await read()).toBeUndefined();
  const named = withValue(file, "/origins/0/alsoKnownAs", ["http://ehr.internal/R4"]);
  expect(await applyRegistry(registry, named, "add", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 1 },
  });
  expect(await read()).toEqual(["http://ehr.internal/R4"]);
  const before = await everything(registry);
  expect(await applyRegistry(registry, named, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 0 },
  });
  expect(await everything(registry)).toEqual(before);
  const other = withValue(file, "/origins/0/alsoKnownAs", ["http://other.internal/R4"]);
  expect(await applyRegistry(registry, other, "add", desk)).toMatchObject({
    error: { reason: "conflict", pointer: "/origins/0/alsoKnownAs" },
  });
  expect(await applyRegistry(registry, file, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 1 },
  });
  expect(await read()).toBeUndefined();
});

test("an origin's capabilities are stored, added to an origin without them, kept by a file without them, and read back", async ({
  expect,
}) => {
  const registry = await emptyRegistry();
  const file = await sampleFile();
  const read = async () =>
    (await originDirectory(new RegistryReader(registry, clock)).find("main"))?.capabilities;
  await applyRegistry(registry, file, "add", desk);
  expect(await read()).toBeUndefined();
  const capabilities = {
    updateAsCreate: true,
    everything: "without-type",
    types: { Patient: { interactions: ["read", "search-type"], search: ["_id", "name"] } },
  };
  const able = withValue(file, "/origins/0/capabilities", capabilities);
  expect(await applyRegistry(registry, able, "add", desk)).toMatchObject({ value: { changed: 1 } });
  expect(await read()).toEqual(capabilities);
  expect(await applyRegistry(registry, file, "add", desk)).toMatchObject({ value: { changed: 0 } });
  expect(await read()).toEqual(capabilities);
  const other = withValue(file, "/origins/0/capabilities", { updateAsCreate: false });
  expect(await applyRegistry(registry, other, "add", desk)).toMatchObject({
    error: { reason: "conflict", pointer: "/origins/0/capabilities" },
  });
  expect(await applyRegistry(registry, other, "replace", desk)).toMatchObject({ value: { changed: 1 } });
  expect(await read()).toEqual({ updateAsCreate: false });
  expect(await applyRegistry(registry, file, "replace", desk)).toMatchObject({ value: { changed: 1 } });
  expect(await read()).toBeUndefined();
});

test("a file is refused where the deployment does not let the gateway call its origin, and nothing of it is written", async ({
  expect,
}) => {
  const registry = await emptyRegistry();
  const before = await everything(registry);
  const places = { ORIGIN_HOSTS: "other.example.org", IDENTITY_HOSTS: "", SECRET_HOSTS: "" };
  const applied = await applyRegistry(registry, await sampleFile(), "add", {
    ...desk,
    allowed: allowedPlaces(places),
  });
  expect(applied).toMatchObject({ error: { reason: "invalid", pointer: "/origins/0/url" } });
  expect(await everything(registry)).toEqual(before);
});
