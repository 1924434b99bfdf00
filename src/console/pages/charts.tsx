import { texts } from "#console/texts";
import { numberText } from "#console/words";

const { now } = texts;

const pad = 2;

/** The points of a line through the values, from the left edge to the right edge. */
function pointsOf(values: readonly number[], width: number, height: number, top: number): string {
  const step = values.length > 1 ? (width - 2 * pad) / (values.length - 1) : 0;
  return values
    .map(
      (value, i) =>
        `${(pad + i * step).toFixed(1)},${(height - pad - (value / top) * (height - 2 * pad)).toFixed(1)}`,
    )
    .join(" ");
}

/** A small line without axes, next to its number. It is hidden from screen readers: the number says it. */
export function Sparkline({ values }: { readonly values: readonly number[] }) {
  const last = values.slice(-40);
  const top = Math.max(1, ...last);
  return (
    <svg class="spark" viewBox="0 0 80 20" width="80" height="20" aria-hidden="true" focusable="false">
      <polyline points={pointsOf(last, 80, 20, top)} />
    </svg>
  );
}

/** A line chart with its last and its highest value in words. `name` describes it for screen readers. */
export function LineChart({ name, values }: { readonly name: string; readonly values: readonly number[] }) {
  const [width, height] = [600, 120];
  const top = Math.max(1, ...values);
  const area = `${pad},${height - pad} ${pointsOf(values, width, height, top)} ${width - pad},${height - pad}`;
  const highest = Math.round(Math.max(0, ...values));
  const last = Math.round(values.at(-1) ?? 0);
  return (
    <div class="chart">
      <span class="top" aria-hidden="true">
        {now.chartNumbers(numberText(last), numberText(highest))}
      </span>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${name}: ${now.chartNumbers(numberText(last), numberText(highest))}`}
      >
        <line x1={pad} y1={height - pad} x2={width - pad} y2={height - pad} />
        <line class="faint" x1={pad} y1={height / 2} x2={width - pad} y2={height / 2} />
        <polygon points={area} />
        <polyline points={pointsOf(values, width, height, top)} />
      </svg>
    </div>
  );
}
