export type Point = { readonly x: number; readonly y: number };
export type Line = { readonly name: string; readonly points: readonly Point[] };

const WIDTH = 640;
const HEIGHT = 400;
const LEFT = 80;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 60;
const colours = ['#1f6f8b', '#c8553d', '#588157', '#6a4c93'];

/** A line plot as SVG: x logarithmic, y from zero. */
export function plot(o: {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
}): string {
  const all = o.lines.flatMap(({ points }) => points);
  const xs = [...new Set(all.map(({ x }) => x))].sort((a, b) => a - b);
  const [low, high] = [Math.log(xs[0]!), Math.log(xs.at(-1)!)];
  const top = niceTop(Math.max(...all.map(({ y }) => y)));
  const atX = (x: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (Math.log(x) - low)) / (high - low || 1);
  const atY = (y: number) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * y) / top;
  const text = (x: number, y: number, anchor: string, content: string) =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
  const grid = [0, 1, 2, 3, 4, 5].map((n) => {
    const y = (top * n) / 5;
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${atY(y)}" y2="${atY(y)}" stroke="#ddd"/>${text(LEFT - 8, atY(y) + 4, 'end', y.toLocaleString('en'))}`;
  });
  const ticks = xs.map((x) => text(atX(x), HEIGHT - BOTTOM + 18, 'middle', x.toLocaleString('en')));
  const lines = o.lines.map(({ name, points }, n) => {
    const colour = colours[n % colours.length]!;
    const path = points.map(({ x, y }) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`);
    const dots = path.map((at) => {
      const [cx, cy] = at.split(',');
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`;
    });
    return `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}${text(WIDTH - RIGHT, TOP - 8 - 14 * n, 'end', name)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    text(LEFT, 20, 'start', o.title),
    ...grid,
    ...ticks,
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, 'middle', o.x),
    `<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escapeXml(o.y)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n');
}

/** The next of 1, 2, 5 times a power of ten. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return power * ([1, 2, 5, 10].find((n) => n * power >= value) ?? 10);
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
