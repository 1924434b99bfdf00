/** A trace that has ended. The gateway's type of its attributes takes no text (P7). */
export interface EndedTrace {
  readonly id: string;
  readonly callerSpan: string | undefined;
  readonly spans: readonly EndedSpan[];
}

interface EndedSpan {
  readonly id: string;
  readonly parent: string | undefined;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly begin: number;
  readonly end: number | undefined;
  readonly attributes: { readonly outcome?: string };
}

// SpanKind of OTLP: server, client; a span without an entry is internal.
const kinds: Readonly<Record<string, number>> = { request: 2, origin: 3, append: 3 };
const internal = 1;
const failed = { code: 2 };

/** A trace as ExportTraceServiceRequest in the JSON form of OTLP 1.x. Ids are in hex, and 64-bit numbers are texts. */
export function otlpOf(trace: EndedTrace): string {
  const spans = trace.spans.map(({ id, parent, name, begin, end, attributes }) => ({
    traceId: trace.id,
    spanId: id,
    parentSpanId: parent ?? trace.callerSpan,
    name,
    kind: kinds[name] ?? internal,
    startTimeUnixNano: nanoseconds(begin),
    endTimeUnixNano: nanoseconds(end ?? begin),
    attributes: Object.entries(attributes).flatMap(([key, value]: [string, string | undefined]) =>
      value === undefined ? [] : [attribute(`phylax.${key}`, value)],
    ),
    status: attributes.outcome === "fault" ? failed : {},
  }));
  const resource = { attributes: [attribute("service.name", "phylax-gateway")] };
  return JSON.stringify({
    resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "phylax" }, spans }] }],
  });
}

const attribute = (key: string, text: string) => ({ key, value: { stringValue: text } });

const nanoseconds = (milliseconds: number): string => `${milliseconds}000000`;
