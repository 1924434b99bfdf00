import type { Child } from "hono/jsx";
import { type Drawing, drawingOf, type Line, type Plot, type PlotName } from "#console/traffic/plots";
import { texts } from "#console/texts";
import { type Range, rangeNames, type Timeline } from "#console/traffic/timeline";
import type { TrafficReport } from "#console/traffic/report";
import type { Instant } from "#kernel/clock";
import { dayTimeText, momentText, numberText, percentText, waitText } from "#console/words";
import { Table } from "./shell.tsx";
import { Missing } from "./parts.tsx";

const { traffic } = texts;

interface PlotsProps {
  readonly report: TrafficReport;
  readonly plots: readonly (readonly [PlotName, Plot])[];
}

/** The numbers of requests over time. */
export function Plots({ report: { at, timeline, ages, quotas }, plots }: PlotsProps) {
  // two parts keep them: the ages show while the ledger does not answer
  const timelineOf = ({ draws }: Plot) => (draws === "ages" ? ages : timeline);
  const titleOf = ({ draws }: Plot) => (draws === "ages" ? traffic.ages : traffic.title);
  const missing = new Set(
    plots.flatMap(([, plot]) => (timelineOf(plot) === undefined ? [titleOf(plot)] : [])),
  );
  const binSeconds = (timeline ?? ages)?.binSeconds;
  return (
    <section id="traffic" aria-labelledby="traffic-title">
      <h2 id="traffic-title">{traffic.title}</h2>
      {Array.from(missing, (part) => (
        <Missing part={part} />
      ))}
      {binSeconds === undefined ? undefined : (
        <>
          <p class="note">{traffic.note(momentText(at), binSeconds)}</p>
          <div class="plots">
            {plots.map(([name, plot]) => {
              const own = timelineOf(plot);
              return own === undefined ? undefined : (
                <PlotFigure name={name} plot={plot} timeline={own} drawing={drawingOf(plot, own, quotas)} />
              );
            })}
          </div>
        </>
      )}
    </section>
  );
}

interface RangePickerProps {
  /** The address of the page. */
  readonly page: string;
  readonly range: Range;
}

/** The links to the ranges. They work without script. */
export function RangePicker({ page, range }: RangePickerProps) {
  return (
    <nav class="ranges" aria-label={traffic.range}>
      <ul>
        {rangeNames.map((name) => (
          <li>
            <a href={`${page}?range=${name}`} aria-current={name === range ? "true" : undefined}>
              {traffic.ranges[name]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

interface FigureProps {
  readonly name: PlotName;
  readonly plot: Plot;
  readonly timeline: Timeline;
  readonly drawing: Drawing;
}

/** How a kind of plot draws and writes its values. */
interface Scale {
  readonly text: (value: number) => string;
  /** The values of the lines of the grid; the last is the top. */
  readonly grid: (highest: number) => readonly number[];
  /** The place of a value between the bottom, 0, and the top, 1. */
  readonly height: (value: number, top: number) => number;
}

const linear = (value: number, top: number): number => value / top;
const roundGrid = (highest: number): readonly number[] => {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(1, highest)));
  const top = [1, 1.5, 2, 3, 5, 10].map((n) => n * magnitude).find((n) => n >= highest) ?? 1;
  return Number.isInteger(top / 2) ? [0, top / 2, top] : [0, top];
};

const scales: Readonly<Record<Plot["draws"], Scale>> = {
  stack: { text: numberText, grid: roundGrid, height: linear },
  quotas: { text: percentText, grid: (highest) => roundGrid(Math.max(10, highest)), height: linear },
  ages: {
    text: (seconds) => traffic.seconds(numberText(seconds)),
    grid: (highest) => roundGrid(Math.max(60, highest)),
    height: linear,
  },
  // A wait may be a thousand times another: each line of the grid is ten times the line below.
  waits: {
    text: waitText,
    grid: () => [1, 10, 100, 1_000, 10_000],
    height: (value) => Math.min(Math.log10(Math.max(1, value)) / 4, 1),
  },
};

function PlotFigure({ name, plot, timeline, drawing }: FigureProps) {
  const { title, unit, note } = traffic.plots[name];
  const scale = scales[plot.draws];
  const { lines } = drawing;
  return (
    <figure class="plot">
      <figcaption>
        <h3>{title}</h3>
        <p>
          <strong>{wholeText(plot, drawing, scale)}</strong> <span class="soft">{unit}</span>
        </p>
      </figcaption>
      {lines.length === 0 ? (
        <p class="note">{traffic.empty}</p>
      ) : (
        <>
          <Picture {...{ name, plot, timeline, drawing }} />
          <ul class="legend">
            {lines.map((line, i) => (
              <li>
                <svg class={`key c${i}`} viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
                  <rect width="10" height="10" />
                </svg>
                {traffic.lineName(line.name)} <strong>{scale.text(line.whole)}</strong>
              </li>
            ))}
          </ul>
          <details>
            <summary>{traffic.table(title)}</summary>
            <ValueTable {...{ name, plot, timeline, drawing }} />
          </details>
        </>
      )}
      {note === "" ? undefined : <p class="note">{note}</p>}
    </figure>
  );
}

const wholeText = ({ draws }: Plot, { lines, whole }: Drawing, { text }: Scale): string =>
  draws === "waits" ? lines.map((line) => `${line.name} ${text(line.whole)}`).join(" · ") : text(whole);

/** The drawing. A screen reader reads the table below it, which also has its links for the keyboard. */
function Picture({ plot, timeline, drawing: { lines } }: FigureProps) {
  const { text, grid, height } = scales[plot.draws];
  const { bins, binSeconds, range } = timeline;
  const isStack = plot.draws === "stack";
  const sums = bins.map((_, i) => lines.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
  const highest = isStack ? Math.max(...sums) : Math.max(...lines.map(({ whole }) => whole));
  const rules = grid(highest);
  const top = rules.at(-1) ?? 1;
  const y = (value: number) => 100 - 100 * height(value, top);
  return (
    <div class="axes" aria-hidden="true">
      <svg class="scale">
        {rules.map((rule) => (
          <text x="100%" y={topPixels + (y(rule) * plotPixels) / 100 + 4}>
            {text(rule)}
          </text>
        ))}
      </svg>
      <svg class="area">
        {bins.map(({ from, isTick }, i) =>
          isTick ? (
            <>
              <line
                class="faint"
                x1={`${(100 * i) / bins.length}%`}
                x2={`${(100 * i) / bins.length}%`}
                y1={topPixels}
                y2={topPixels + plotPixels + 5}
              />
              <text
                class={i > (bins.length * 19) / 20 ? "last" : undefined}
                x={`${(100 * i) / bins.length}%`}
                y={topPixels + plotPixels + 18}
              >
                {tickText(from, range)}
              </text>
            </>
          ) : undefined,
        )}
        <svg
          y={topPixels}
          width="100%"
          height={plotPixels}
          viewBox={`0 0 ${bins.length} 100`}
          preserveAspectRatio="none"
        >
          {rules.map((rule) => (
            <line
              class={rule === rules[0] ? "" : "faint"}
              x1={0}
              x2={bins.length}
              y1={y(rule)}
              y2={y(rule)}
            />
          ))}
          {isStack ? undefined : lines.map((line, i) => <path class={`c${i}`} d={stepsOf(line, y)} />)}
          {bins.map(({ from }, i) =>
            isStack && sums[i] === 0 ? undefined : (
              <BarLink href={barAddress(plot, from, binSeconds)}>
                <title>{barText(lines, i, from, binSeconds, text)}</title>
                <rect class="hit" x={i} y={0} width={1} height={100} />
                {isStack ? <Bar lines={lines} i={i} top={top} /> : undefined}
              </BarLink>
            ),
          )}
        </svg>
      </svg>
    </div>
  );
}

const [topPixels, plotPixels] = [10, 140];

/** The parts of a bar, from the bottom. */
function Bar({
  lines,
  i,
  top,
}: {
  readonly lines: readonly Line[];
  readonly i: number;
  readonly top: number;
}) {
  let bottom = 100;
  return (
    <>
      {lines.map(({ values }, part) => {
        const tall = (100 * (values[i] ?? 0)) / top;
        bottom -= tall;
        return tall === 0 ? undefined : (
          <rect class={`c${part}`} x={i + 0.08} width={0.84} y={round(bottom)} height={round(tall)} />
        );
      })}
    </>
  );
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** A line of steps, one a bin. It breaks where a bin has no value. */
function stepsOf({ values }: Line, y: (value: number) => number): string {
  return values
    .map((value, i) => {
      if (value === undefined) return "";
      const place = round(y(value));
      return `${values[i - 1] === undefined ? `M${i} ${place}` : `V${place}`}H${i + 1}`;
    })
    .join("");
}

/** The keyboard goes to the same place from the table. */
const BarLink = ({ href, children }: { readonly href: string | undefined; readonly children?: Child }) =>
  href === undefined ? (
    <g>{children}</g>
  ) : (
    <a href={href} tabindex={-1}>
      {children}
    </a>
  );

/** The page that opens the refusals of a time with an auditor's key. */
function barAddress(plot: Plot, from: Instant, binSeconds: number): string | undefined {
  if (plot.draws !== "stack" || plot.leadsToRefusals !== true) return undefined;
  const compact = (moment: number) => new Date(moment).toISOString().slice(0, 16).replaceAll(/[-:]/gu, "");
  return `/console/why#${compact(from)}Z-${compact(from + binSeconds * 1000)}Z`;
}

const barText = (
  lines: readonly Line[],
  i: number,
  from: Instant,
  binSeconds: number,
  text: (value: number) => string,
): string =>
  [
    traffic.span(momentText(from), dayTimeText(from + binSeconds * 1000)),
    ...lines.flatMap(({ name, values }) => {
      const value = values[i];
      return value === undefined || value === 0 ? [] : [`${traffic.lineName(name)} ${text(value)}`];
    }),
  ].join("\n");

const tickText = (from: Instant, range: Range): string =>
  range === "hour" || range === "day" ? dayTimeText(from) : new Date(from).toISOString().slice(5, 10);

/** The values in words, the newest first; a bin without a value has no row. */
function ValueTable({ name, plot, timeline: { bins, binSeconds }, drawing: { lines } }: FigureProps) {
  const { text } = scales[plot.draws];
  const rows = bins.flatMap(({ from }, i) => {
    const values = lines.map((line) => line.values[i]);
    if (values.every((value) => value === undefined || value === 0)) return [];
    const href = barAddress(plot, from, binSeconds);
    const when = momentText(from);
    return [
      [
        href === undefined ? <time>{when}</time> : <a href={href}>{when}</a>,
        ...values.map((value) => (value === undefined ? "–" : text(value))),
      ],
    ];
  });
  return (
    <Table
      caption={traffic.plots[name].title}
      heads={[traffic.from, ...lines.map((line) => traffic.lineName(line.name))]}
      rows={rows.reverse()}
    />
  );
}
