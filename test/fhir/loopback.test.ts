import { test } from "vitest";
import { isLoopback, isPrivateUrl } from "#fhir/loopback";

test("only this machine is loopback, in every notation of its addresses", ({ expect }) => {
  for (const host of [
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "127.255.255.254",
    "[::1]",
  ])
    expect(isLoopback(new URL(`http://${host}/`).hostname), host).toBe(true);
  for (const host of [
    "127.0.0.1.example",
    "127.example",
    "localhost.example",
    "128.0.0.1",
    "[::2]",
    "0.0.0.0",
  ])
    expect(isLoopback(new URL(`http://${host}/`).hostname), host).toBe(false);
});

test("plain http is private to this machine alone, and no scheme but http and https is", ({ expect }) => {
  for (const url of ["https://fhir.example/", "http://localhost:8080/", "http://[::1]/"])
    expect(isPrivateUrl(new URL(url)), url).toBe(true);
  for (const url of ["http://fhir.example/", "http://127.example/", "ftp://localhost/", "file:///etc/hosts"])
    expect(isPrivateUrl(new URL(url)), url).toBe(false);
});
