import * as fc from "fast-check";
import { test } from "vitest";
import { spells } from "#phi/address-spellings";
import { originPatterns } from "#phi/origin-patterns";
import { originUrls, type Bases, type OriginUrls } from "#phi/origin-urls";
import { mentionsOf } from "../support/hidden-origin.ts";

const gateway = "https://api.example/v1/fhir/main";
const {
  inText: map,
  address,
  name,
} = originUrls({ origin: "https://origin.internal/fhir", public: gateway });

test("a URL below the origin's base becomes the gateway's, in whatever form it is written", ({ expect }) => {
  for (const url of [
    "https://origin.internal/fhir",
    "http://origin.internal/fhir",
    "HTTPS://Origin.Internal/fhir",
    "https://origin.internal:443/fhir",
    "//origin.internal/fhir",
  ]) {
    expect(map(`${url}/Patient/1?x=1#y`), url).toBe(`${gateway}/Patient/1?x=1#y`);
  }
  expect(map('<a href="https://origin.internal/fhir/Patient/1">x</a> https://origin.internal/fhir')).toBe(
    `<a href="${gateway}/Patient/1">x</a> ${gateway}`,
  );
});

test("no other URL of the origin's host leaves", ({ expect }) => {
  for (const url of [
    "https://origin.internal/files/x.pdf?token=1",
    "https://origin.internal",
    "https://origin.internal:8443/fhir/Patient/1",
    "ftp://origin.internal/x",
    "https://u:p@origin.internal/x",
    "https://origin.internal./x",
    "//origin.internal/x",
    "https://origin.internal/fhir2/Patient/1",
  ]) {
    expect(map(`see ${url} there`), url).toBe(`see ${gateway} there`);
  }
});

test("a URL that is not the origin's stays as it is", ({ expect }) => {
  for (const text of [
    "Patient/1",
    "https://origin.internal.evil.example/fhir/Patient/1",
    "https://notorigin.internal/x",
    "origin.internal",
    "https://elsewhere.example/?u=origin.internal",
    "urn:uuid:1",
    gateway,
    `${gateway}/Patient/1`,
  ]) {
    expect(map(text), text).toBe(text);
  }
});

test("gateway and origin on one host, as in development, do not take each other for the other", ({
  expect,
}) => {
  const { inText: local } = originUrls({
    origin: "http://localhost:9000/fhir",
    public: "https://localhost:8443/v1/fhir/main",
  });
  expect(local("http://localhost:9000/fhir/Patient/1")).toBe("https://localhost:8443/v1/fhir/main/Patient/1");
  expect(local("http://localhost:9000/admin")).toBe("https://localhost:8443/v1/fhir/main");
});

test("a long text costs no more than its length, and the end of a sentence hides nothing", ({ expect }) => {
  expect(map(`${"a".repeat(300_000)} https://origin.internal.`)).not.toContain("origin");
  expect(map("https://origin.internal...")).not.toContain("origin");
  expect(map(`${"//".repeat(100_000)}origin.internal`)).not.toContain("origin");
  const local = originUrls({ origin: "http://127.0.0.1:37213/fhir", public: gateway });
  for (const long of ["0", "%25", "&#38;", "[0:", "127.", String.raw`\u005c`])
    expect(local.inText(`${long.repeat(50_000)} 127.0.0.1:37213 é`) ?? "").not.toContain("37213");
});

test("special signs in either base are no patterns", ({ expect }) => {
  const { inText: odd } = originUrls({
    origin: "https://o.example/a+b(c)",
    public: "https://g.example/$&$1",
  });
  expect(odd("https://o.example/a+b(c)/Patient/1")).toBe("https://g.example/$&$1/Patient/1");
  expect(odd("https://oxexample/a+b(c)/Patient/1")).toBe("https://oxexample/a+b(c)/Patient/1");
});

test("two names on the origin's host stay two names; below its FHIR base they become the gateway's", ({
  expect,
}) => {
  for (const uri of [
    "https://origin.internal/mrn",
    "https://origin.internal/visit",
    "https://origin.internal/fhir2",
    "urn:oid:1.2",
    "",
  ])
    expect(name(uri)).toBe(uri);
  expect(name("https://origin.internal/fhir/sid/mrn")).toBe(`${gateway}/sid/mrn`);
  expect(name("HTTP://ORIGIN.internal:443/fhir")).toBe(gateway);
  expect(name(`${gateway}/sid`)).toBe(`${gateway}/sid`);
});

test("an address elsewhere on the origin's host is removed, not turned into another place", ({ expect }) => {
  expect(address("https://origin.internal/fhir/Binary/1")).toBe(`${gateway}/Binary/1`);
  for (const url of [
    "https://origin.internal/files/1.jpg",
    " //origin.internal/x",
    "ftp://u:p@origin.internal:21/x",
    "https://origin.internal",
  ])
    expect(address(url), url).toBeUndefined();
  for (const url of [
    "Binary/1",
    "https://elsewhere.example/x",
    `${gateway}/Binary/1`,
    "https://origin.internal.example/x",
  ])
    expect(address(url), url).toBe(url);
  expect(address("https://viewer.example/?iss=https%3A%2F%2Forigin.internal%2Ffhir")).toBe(
    `https://viewer.example/?iss=${encodeURIComponent(gateway)}`,
  );
});

test("percent-encoded and without its scheme, the origin's address leaves no more", ({ expect }) => {
  const local = originUrls({
    origin: "http://127.0.0.1:37213/fhir",
    public: "https://localhost:8443/v1/fhir/main",
  });
  const base = "https://localhost:8443/v1/fhir/main";
  expect(local.inText("u=http%3A%2F%2F127.0.0.1%3A37213%2Ffhir%2FPatient%2F1&v")).toBe(
    `u=${encodeURIComponent(`${base}/Patient/1`)}&v`,
  );
  expect(local.inText("u=http%3a%2f%2f127.0.0.1%3a37213%2fadmin&v")).toBe(`u=${encodeURIComponent(base)}&v`);
  expect(local.inText("host 127.0.0.1:37213, or 127.0.0.1:37213/fhir/Patient/1, or a@127.0.0.1:37213.")).toBe(
    `host ${base}, or ${base}/Patient/1, or a@${base}.`,
  );
  for (const text of [
    "127.0.0.1",
    "127.0.0.1:3721",
    "127.0.0.1:372130",
    "7127.0.0.1:37213",
    `${base}/Patient/1`,
  ])
    expect(local.inText(text), text).toBe(text);
  expect(map("origin.internal:443 but origin.internal:8443")).toBe(`${gateway} but origin.internal:8443`);
  expect(
    originUrls({ origin: "http://[::1]:9000/fhir", public: base }).inText(
      "http%3A%2F%2F%5B%3A%3A1%5D%3A9000%2Ffhir [::1]:9000",
    ),
  ).toBe(`${encodeURIComponent(base)} ${base}`);
});

test("an IP address or localhost names nothing: what looks like a name there is an address, and goes", ({
  expect,
}) => {
  for (const host of ["127.0.0.1:37213", "localhost:37213", "[::1]:37213"]) {
    const local = originUrls({ origin: `http://${host}/fhir`, public: gateway });
    expect(local.name(`http://${host}/mrn`)).toBeUndefined();
    expect(local.name(`http://${host}/fhir/sid`)).toBe(`${gateway}/sid`);
    expect(local.name("http://loinc.org")).toBe("http://loinc.org");
  }
});

test("a gateway below the origin's own address is still the gateway", ({ expect }) => {
  const nested = originUrls({ origin: "https://h.example", public: "https://h.example/v1/fhir/main" });
  const url = "https://h.example/v1/fhir/main/Patient/1";
  expect([nested.inText(url), nested.address(url), nested.name(url)]).toEqual([url, url, url]);
  expect(nested.inText("https://h.example/Patient/1")).toBe(url);
});

test("by another name of the loopback address with the origin's port, it is the origin", ({ expect }) => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    const local = originUrls({ origin: `http://${host}:37213/fhir`, public: gateway });
    const v4 = [
      "127.0.0.1",
      "127.1",
      "0177.0.0.1",
      "0x7f.0.0.1",
      "0x7f000001",
      "2130706433",
      "0.0.0.0",
      "localhost",
      "LOCALHOST.",
    ];
    const v6 = [
      "[::1]",
      "[0:0:0:0:0:0:0:1]",
      "[0000:0000:0000:0000:0000:0000:0000:0001]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[::]",
    ];
    for (const name of [...v4, ...v6]) {
      expect(local.inText(`see http://${name}:37213/fhir/Patient/1 there`), name).toBe(
        `see ${gateway}/Patient/1 there`,
      );
      expect(local.inText(`${name}:037213`), name).toBe(gateway);
      expect(local.address(`http://u:p@${name}:37213/files`), name).toBeUndefined();
      expect(local.name(`http://${name}:37213/mrn`), name).toBeUndefined();
    }
    for (const text of [
      "https://localhost.example:37213/x",
      "ratio 3:37213",
      "10.0.0.1:37213",
      "[2001:db8::1]:37213",
      `${gateway}/Patient/1`,
    ])
      expect(local.inText(text), text).toBe(text);
  }
});

test("a text that only a decoder reads as the origin's address does not leave", ({ expect }) => {
  const origin = "http://127.0.0.1:37213/fhir";
  const url = `${origin}/Patient/1`;
  const local = originUrls({ origin, public: gateway });
  for (const text of [
    encodeURIComponent(encodeURIComponent(url)),
    url.replaceAll(":", "%3a").replaceAll(".", "%2e"),
    url.replaceAll(":", "&#58;").replaceAll("/", "&#x2f;"),
    url.replaceAll(":", "&colon;").replaceAll(".", "&period;"),
    url.replaceAll(":", String.raw`\u003a`),
    url.replaceAll(":", String.raw`\\u003a`),
    url.replaceAll("1", "１").replaceAll(".", "。"),
    url.replaceAll(":", ":\u200b"),
  ])
    for (const used of [local.inText, local.address, local.name])
      expect(mentionsOf(origin, used(text) ?? ""), text).toEqual([]);
  for (const text of [
    "100 % & more",
    "50%25",
    "&#58;",
    "&#x110000;",
    String.raw`C:\u003a\temp`,
    "Zoë 127.0.0.1",
    encodeURIComponent(encodeURIComponent(gateway)),
  ])
    expect(local.inText(text), text).toBe(text);
  expect(map("https:&sol;&sol;origin.internal.&sol;x")).toBeUndefined();
  expect(map("https://elsewhere.example/?u=origin.internal%26x")).toBe(
    "https://elsewhere.example/?u=origin.internal%26x",
  );
});

test("the gateway's base, however encoded, is not taken for the origin on the same host", ({ expect }) => {
  const { inText } = originUrls({
    origin: "http://localhost:9000/fhir",
    public: "https://localhost:8443/v1/fhir/main",
  });
  const encoded = encodeURIComponent("https://localhost:8443/v1/fhir/main/Patient/1");
  for (const text of [encoded, encodeURIComponent(encoded)]) expect(inText(text)).toBe(text);
});

test("with the origin's port number it is an address and no name, however it is spelled", ({ expect }) => {
  const { name } = originUrls({ origin: "http://fhir.internal:8080/fhir", public: gateway });
  for (const uri of [
    "http://fhir.internal:8080/mrn",
    "HTTPS://FHIR.internal.:08080",
    "http://fhir%2einternal%3a8080/mrn",
  ])
    expect(name(uri), uri).toBeUndefined();
  expect(name("http://fhir.internal:8080/fhir/sid/mrn")).toBe(`${gateway}/sid/mrn`);
  for (const uri of [
    "http://fhir.internal/mrn",
    "http://fhir.internal:80801/mrn",
    "http://elsewhere.example:8080/mrn",
    `${gateway}/sid`,
  ])
    expect(name(uri), uri).toBe(uri);
});

test("each name of the origin is hidden as its only one would be, whichever way it is written", ({
  expect,
}) => {
  const names = [
    "https://proxy.internal/fhir",
    "http://10.0.0.7:8080/fhir/r4",
    "http://10.0.0.7:8080/fhir",
    "https://ehr.example.org/R4",
  ] as const;
  const several = originUrls({ origin: names, public: gateway });
  for (const name of names) {
    expect(several.inText(`see ${name}/Patient/1 there`), name).toBe(`see ${gateway}/Patient/1 there`);
    expect(several.address(`${name}/Binary/1`), name).toBe(`${gateway}/Binary/1`);
    expect(several.inText(`x=${encodeURIComponent(`${name}/Patient/1`)}`), name).toContain(
      encodeURIComponent(gateway),
    );
    expect(several.address(`${new URL(name).origin}/files/x`), name).toBeUndefined();
    for (const use of [several.inText, several.address])
      for (const spelled of [
        name.replaceAll(":", "&#58;"),
        encodeURIComponent(encodeURIComponent(name)),
        name.toUpperCase(),
      ])
        expect((use(spelled) ?? "").toLowerCase(), spelled).not.toContain(new URL(name).host);
  }
  // A public host is also a name; a network address is not.
  expect(several.name("https://ehr.example.org/ids/mrn%20x")).toBe("https://ehr.example.org/ids/mrn%20x");
  expect(several.name("https://ehr.example.org/R4/sid/mrn")).toBe(`${gateway}/sid/mrn`);
  expect(several.name("http://10.0.0.7/mrn")).toBeUndefined();
});

test("an origin that knows itself by the gateway's address says nothing by it", ({ expect }) => {
  const { inText, address, name } = originUrls({
    origin: ["https://origin.internal/fhir", gateway],
    public: gateway,
  });
  for (const use of [inText, address, name]) {
    expect(use(`${gateway}/Patient/1`)).toBe(`${gateway}/Patient/1`);
    expect(use("https://api.example/oauth/token")).toBe("https://api.example/oauth/token");
  }
  expect(address("https://origin.internal/fhir/Patient/1")).toBe(`${gateway}/Patient/1`);
});

test("a text that one cheap look lets pass is one that every careful look leaves as it is", ({ expect }) => {
  const changed = new Set<string>();
  const several = ["https://origin.internal/fhir", "http://10.0.0.7:8080/r4"] as const;
  const single = [
    "https://origin.internal/fhir",
    "http://127.0.0.1:37213/fhir",
    "http://[::1]:9000/",
    "https://K\u00e4se.example",
  ] as const;
  for (const names of [...single, several]) {
    const bases = { origin: names, public: gateway };
    const [quick, slow] = [originUrls(bases), carefulUrls(bases)];
    const origin = typeof names === "string" ? names : names[1];
    const { host, hostname } = new URL(origin);
    const part = fc.oneof(
      fc.constantFrom(
        origin,
        host,
        hostname,
        hostname.toUpperCase(),
        encodeURIComponent(origin),
        gateway,
        "localhost",
        ":37213",
        "443",
      ),
      fc.constantFrom(
        "//",
        "/fhir",
        "%",
        "%3a",
        "&",
        "&#58;",
        "\\",
        "\u212a",
        "\u017f",
        "\u00e9",
        "\ud800",
        "\n",
        "\u007f",
        " ",
        "x",
        "Patient/1",
      ),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
        const text = parts.join("");
        for (const use of ["inText", "address", "name"] as const) {
          expect(quick[use](text), text).toBe(slow[use](text));
          if (quick[use](text) !== text) changed.add(use);
        }
      }),
      { numRuns: 2_000 },
    );
  }
  expect(changed.size).toBe(3);
});

/** Applies every pattern to every text. */
function carefulUrls({ origin, public: base }: Bases): OriginUrls {
  const { all, start, belowAtStart, address, needles, notNames } = originPatterns(origin, base);
  const mentions = (text: string) => needles.some((needle) => text.toLowerCase().includes(needle));
  const isPlain = (text: string) => !/[%&\\]|[^\u0020-\u007e]/u.test(text);
  const inText = (text: string) => {
    if (!mentions(text) && isPlain(text)) return text;
    const rewritten = mentions(text)
      ? text.replace(all, (found: string, ...rest: readonly unknown[]) => {
          const { ours, encoded } = rest.at(-1) as Record<string, string | undefined>; // the groups
          return ours === undefined ? (encoded === undefined ? base : encodeURIComponent(base)) : found;
        })
      : text;
    return spells(rewritten, address, base.toLowerCase()) ? undefined : rewritten;
  };
  const elsewhere = (url: string) => mentions(url) && start.exec(url)?.groups?.["elsewhere"] !== undefined;
  const followed = (url: string) => (elsewhere(url) ? undefined : inText(url));
  return {
    inText,
    address: followed,
    name: (uri) => {
      const isAddress = notNames.some((one) => spells(uri, one.address, base.toLowerCase()));
      if ((mentions(uri) || !isPlain(uri)) && isAddress) return followed(uri);
      return mentions(uri) ? uri.replace(belowAtStart, () => base) : uri;
    },
  };
}
