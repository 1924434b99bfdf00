// Writes docs/pictures/*.svg from the JSON file beside each: a drawing for light and one for dark pages.
// npm run generate. A change of a picture is a change of a few words in its source.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";

const folder = join(import.meta.dirname, "..", "docs", "pictures");

const place = {
  column: z.number(),
  row: z.number(),
  columns: z.number().default(1),
  rows: z.number().default(1),
};
const side = z.string().regex(/^[a-z-]+\.(left|right|top|bottom)$/);

/** Boxes stand in the cells of a grid; frames stand behind boxes; arrows run between the sides of boxes. */
const pictureSchema = z.strictObject({
  title: z.string(),
  /** What the picture shows, for readers who do not see it. */
  text: z.string(),
  columns: z.number(),
  rows: z.number(),
  frames: z.array(z.strictObject({ title: z.string(), ...place })).default([]),
  boxes: z.array(
    z.strictObject({
      id: z.string(),
      title: z.string(),
      lines: z.array(z.string()).default([]),
      kind: z.enum(["person", "part", "store", "proof", "stop"]).default("part"),
      ...place,
    }),
  ),
  arrows: z.array(z.strictObject({ from: side, to: side, label: z.string().default("") })).default([]),
});
type Picture = z.infer<typeof pictureSchema>;
type Box = Picture["boxes"][number];
interface Place {
  readonly column: number;
  readonly row: number;
  readonly columns: number;
  readonly rows: number;
}

interface Palette {
  readonly page: string;
  readonly ink: string;
  readonly quiet: string;
  readonly line: string;
  readonly frame: string;
  readonly fills: Readonly<Record<Box["kind"], string>>;
}

const palettes: Readonly<Record<"light" | "dark", Palette>> = {
  light: {
    page: "#ffffff",
    ink: "#1f2328",
    quiet: "#57606a",
    line: "#57606a",
    frame: "#f6f8fa",
    fills: { person: "#ddf4ff", part: "#ffffff", store: "#fff8c5", proof: "#dafbe1", stop: "#ffebe9" },
  },
  dark: {
    page: "#0d1117",
    ink: "#e6edf3",
    quiet: "#9da7b3",
    line: "#9da7b3",
    frame: "#161b22",
    fills: { person: "#0c2d4a", part: "#21262d", store: "#3b2f00", proof: "#0f3a1d", stop: "#4a1514" },
  },
};

const [cellWidth, cellHeight, gapX, gapY, margin] = [190, 84, 84, 62, 24];
const titleHeight = 56;

interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const rectangleOf = ({ column, row, columns, rows }: Place): Rectangle => ({
  x: margin + column * (cellWidth + gapX),
  y: margin + titleHeight + row * (cellHeight + gapY),
  width: columns * cellWidth + (columns - 1) * gapX,
  height: rows * cellHeight + (rows - 1) * gapY,
});

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

function textAt(x: number, y: number, text: string, style: string): string {
  return `<text x="${x}" y="${y}" ${style}>${escaped(text)}</text>`;
}

function drawnFrame(frame: Picture["frames"][number], palette: Palette): string {
  const { x, y, width, height } = rectangleOf(frame);
  const at = { x: x - 16, y: y - 28, width: width + 32, height: height + 40 };
  return [
    `<rect x="${at.x}" y="${at.y}" width="${at.width}" height="${at.height}" rx="10" fill="${palette.frame}" stroke="${palette.line}" stroke-dasharray="4 4"/>`,
    textAt(at.x + 12, at.y + 18, frame.title, `fill="${palette.quiet}" font-size="12"`),
  ].join("\n");
}

function drawnBox(box: Box, palette: Palette): string {
  const { x, y, width, height } = rectangleOf(box);
  const lineHeight = 17;
  const top = y + height / 2 - (box.lines.length * lineHeight) / 2 + 5;
  const middle = `text-anchor="middle"`;
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" fill="${palette.fills[box.kind]}" stroke="${palette.line}"/>`,
    textAt(x + width / 2, top, box.title, `${middle} fill="${palette.ink}" font-size="15" font-weight="600"`),
    ...box.lines.map((line, n) =>
      textAt(
        x + width / 2,
        top + (n + 1) * lineHeight,
        line,
        `${middle} fill="${palette.quiet}" font-size="12"`,
      ),
    ),
  ].join("\n");
}

function boxOf(end: string, boxes: readonly Box[]): Rectangle {
  const box = boxes.find(({ id }) => end.startsWith(`${id}.`));
  if (box === undefined) throw new Error(`an arrow names the box ${end}, which is not in the picture`);
  return rectangleOf(box);
}

/** The point of a box at which an arrow ends: beside a larger box the arrow stays straight. */
function pointOf(end: string, other: string, boxes: readonly Box[]): readonly [x: number, y: number] {
  const { x, y, width, height } = boxOf(end, boxes);
  const beside = boxOf(other, boxes);
  const middle = beside.y + beside.height / 2;
  const isBeside = height > beside.height && middle > y && middle < y + height;
  if (end.endsWith(".left")) return [x, isBeside ? middle : y + height / 2];
  if (end.endsWith(".right")) return [x + width, isBeside ? middle : y + height / 2];
  return end.endsWith(".top") ? [x + width / 2, y] : [x + width / 2, y + height];
}

function drawnArrow(
  { from, to, label }: Picture["arrows"][number],
  { boxes }: Picture,
  palette: Palette,
): string {
  const [[x1, y1], [x2, y2]] = [pointOf(from, to, boxes), pointOf(to, from, boxes)];
  const isFlat = /\.(left|right)$/.test(from);
  const [middleX, middleY] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const elbow = isFlat ? `H ${middleX} V ${y2} H ${x2}` : `V ${middleY} H ${x2} V ${y2}`;
  const way = isFlat && /\.(top|bottom)$/.test(to) ? `H ${x2} V ${y2}` : elbow;
  const words = label.split("|");
  const labels = words.map((word, n) =>
    textAt(
      isFlat ? middleX : middleX + 8,
      (isFlat ? middleY - 8 : middleY - 2) - (words.length - 1 - n) * 13,
      word,
      `text-anchor="${isFlat ? "middle" : "start"}" fill="${palette.quiet}" font-size="11"`,
    ),
  );
  return [
    `<path d="M ${x1} ${y1} ${way}" fill="none" stroke="${palette.line}" stroke-width="1.5" marker-end="url(#head)"/>`,
    ...labels,
  ].join("\n");
}

function drawn(picture: Picture, palette: Palette): string {
  const whole = rectangleOf({ column: 0, row: 0, columns: picture.columns, rows: picture.rows });
  const [width, height] = [whole.width + 2 * margin, whole.height + 2 * margin + titleHeight];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">`,
    `<title>${escaped(picture.title)}</title>`,
    `<desc>${escaped(picture.text)}</desc>`,
    `<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M 0 0 L 10 5 L 0 10 z" fill="${palette.line}"/></marker></defs>`,
    `<rect width="${width}" height="${height}" fill="${palette.page}"/>`,
    textAt(margin, margin + 8, picture.title, `fill="${palette.ink}" font-size="17" font-weight="600"`),
    ...picture.frames.map((frame) => drawnFrame(frame, palette)),
    ...picture.arrows.map((arrow) => drawnArrow(arrow, picture, palette)),
    ...picture.boxes.map((box) => drawnBox(box, palette)),
    "</svg>",
    "",
  ].join("\n");
}

for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  const picture = pictureSchema.parse(JSON.parse(readFileSync(join(folder, file), "utf8")));
  for (const [theme, palette] of Object.entries(palettes))
    writeFileSync(join(folder, `${file.slice(0, -".json".length)}.${theme}.svg`), drawn(picture, palette));
}
