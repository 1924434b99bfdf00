import { test } from "vitest";
import { leadsBelow, originName } from "#fhir/origin";
import { readRegistry } from "#registry/read";

test("the registry accepts exactly the names of origins that an address of the API can have", ({
  expect,
}) => {
  const isName = new RegExp(`^${originName}$`, "u");
  const names = [
    "a",
    "main",
    "a-1",
    "a".repeat(32),
    "a".repeat(33),
    "a".repeat(63),
    "",
    "A",
    "1a",
    "a_b",
    "a.b",
    "-a",
  ];
  for (const name of names) {
    const origin = { name, url: "https://fhir.example/r4", credentials: { kind: "none" } };
    const read = readRegistry({ origins: [origin] }, "https://gateway.example");
    expect(read.ok, name).toBe(isName.test(name));
  }
  expect(names.filter((name) => isName.test(name))).toEqual(["a", "main", "a-1", "a".repeat(32)]);
});

test("a URL below a storage base is known with path parameters, and a short host name is no ordinary word", ({
  expect,
}) => {
  const bases = ["https://files.example/binary/", "http://s3/binary/"];
  const below = [
    "https://files.example/binary;x=1/a.pdf",
    "https://files.example/binary%3Bx=1/a.pdf",
    "https://files.example/;y/binary/a.pdf",
    "https://files.example/other/..;/binary/a.pdf",
    "https://files.example/other/..%253bz/binary/a.pdf",
    "http://s3/binary;x/a.pdf",
    "s3/binary/a.pdf",
    "urn:x:http:%2F%2Fs3%2Fbinary%2Fa.pdf",
    "urn:x:files.example",
  ];
  for (const url of below) expect(leadsBelow(url, bases), url).toBe(true);
  const elsewhere = [
    "https://files.example/other;binary/a.pdf",
    "https://files.example/binary2/a.pdf",
    "urn:x:class3",
    "urn:oid:1.2.3#s3",
    "Binary/s3",
    "Binary/s3/_history/1",
    "Binary/labs3-7",
  ];
  for (const url of elsewhere) expect(leadsBelow(url, bases), url).toBe(false);
});
