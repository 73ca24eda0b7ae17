// The page's style: a line with stations, lying where there is room and standing where there is not.

export const STYLE = `:root {
  color-scheme: light dark;
  --paper: #f6f4ee; --sheet: #fffdf9; --ink: #1d2024; --soft: #5a5f66; --line: #d8d4c8;
  --accent: #0b6a70; --on-accent: #ffffff; --bad: #a3290f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #101418; --sheet: #181d22; --ink: #edeff1; --soft: #a5adb5; --line: #303840;
    --accent: #5fd0c5; --on-accent: #05211f; --bad: #ff9f87;
  }
}
*, ::before, ::after { box-sizing: border-box; margin: 0; }
body {
  max-width: 70rem; margin: 0 auto; padding: clamp(1.5rem, 5vw, 4rem) clamp(1rem, 4vw, 2.5rem);
  background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif;
}
h1 { font-size: clamp(1.75rem, 5vw, 2.75rem); line-height: 1.15; letter-spacing: -0.02em; text-wrap: balance; }
h2 { font-size: 1.25rem; line-height: 1.3; letter-spacing: -0.01em; }
.tile h2 { font-size: 0.95rem; letter-spacing: 0; color: var(--soft); }
.tile h2 + * { margin-top: 0.5rem; }
p { text-wrap: pretty; }
header p { max-width: 44rem; margin-top: 0.75rem; color: var(--soft); }
code, dd { font-family: ui-monospace, monospace; font-size: 0.92em; overflow-wrap: anywhere; }
main > * { margin-top: clamp(1.75rem, 4vw, 3rem); }

.tiles { display: grid; gap: 1rem; grid-template-columns: 2fr 1fr; }
.tile { padding: 1.5rem; background: var(--sheet); border: 1px solid var(--line); border-radius: 1rem; }
output { display: block; font-size: clamp(5rem, 18vw, 8.5rem); }
output, .count { font-weight: 700; line-height: 1.1; letter-spacing: -0.04em; font-variant-numeric: tabular-nums; color: var(--accent); }
output.long { font-size: clamp(2rem, 11vw, 5.5rem); }
form { display: flex; flex-wrap: wrap; align-items: center; gap: 0.75rem; margin-top: 1rem; }
input, button { font: inherit; padding: 0.45rem 0.75rem; border: 1px solid var(--soft); border-radius: 0.6rem; }
label { display: flex; align-items: center; gap: 0.5rem; }
input { width: 9rem; background: var(--paper); color: var(--ink); }
button { padding-inline: 1.4rem; border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
#told:empty { display: none; }
#told { margin-top: 0.75rem; }
.bad { color: var(--bad); }
.count { font-size: clamp(2.5rem, 8vw, 4rem); }

.count + p, details { margin-top: 0.5rem; color: var(--soft); font-size: 0.9rem; }
summary { cursor: pointer; }

.way { list-style: none; padding: 0; margin-top: 1.25rem; font-size: 0.9rem; line-height: 1.4; }
.way li, .ends div { position: relative; padding: 0 0 1.5rem 2rem; }
.way b { font-size: 1rem; }
.way i { font-style: normal; color: var(--soft); margin-left: 0.25rem; }
.way span { display: block; margin-top: 0.2rem; text-wrap: pretty; }
.way li:not(.ends)::before, .ends div::before {
  content: ""; position: absolute; left: 0; top: 0.2rem; width: 0.95rem; height: 0.95rem;
  border: 3px solid var(--accent); border-radius: 50%; background: var(--paper);
}
.way li:not(.ends)::after, .ends div:not(:last-child)::after {
  content: ""; position: absolute; left: 0.2875rem; top: 1.35rem; bottom: 0; width: 0.375rem; opacity: 0.5;
  border: 2px solid var(--accent); border-block: 0;
}
.way .ends, .ends div:last-child { padding-bottom: 0; }
.way .ends { padding-left: 0; }
.way + p { margin-top: 1.5rem; color: var(--soft); }

@media (min-width: 62rem) {
  .way { display: grid; grid-template-columns: repeat(6, 1fr) 1.4fr; }
  .way li:not(.ends) { padding: 1.8rem 1rem 0 0; }
  .way li:not(.ends)::after { left: 1.15rem; right: 0.2rem; top: 0.4875rem; bottom: auto; width: auto; height: 0.375rem; border-block: 2px solid var(--accent); border-inline: 0; }
  .way i { display: block; margin-left: 0; }
}

@media (prefers-reduced-motion: no-preference) {
  .travelled li:not(.ends)::before, .travelled .ends div::before {
    animation: pass 0.5s calc(var(--stop) * 90ms), pass 0.5s calc((12 - var(--stop)) * 90ms);
  }
  @keyframes pass { 35% { background: var(--accent); box-shadow: 0 0 0 0.4rem color-mix(in srgb, var(--accent) 25%, transparent); } }
}
.way li:nth-child(1) { --stop: 0; }
.way li:nth-child(2) { --stop: 1; }
.way li:nth-child(3) { --stop: 2; }
.way li:nth-child(4) { --stop: 3; }
.way li:nth-child(5) { --stop: 4; }
.way li:nth-child(6) { --stop: 5; }
.way li:nth-child(7) { --stop: 6; }

dl { margin-top: 0.75rem; border-bottom: 1px solid var(--line); }
dl div { display: grid; grid-template-columns: 8rem 1fr; gap: 0.25rem 1rem; padding: 0.55rem 0; border-top: 1px solid var(--line); }
dt { color: var(--soft); }
footer { margin-top: clamp(2rem, 5vw, 3.5rem); color: var(--soft); font-size: 0.9rem; }
footer a { color: var(--accent); margin-right: 0.75rem; }

@media (max-width: 40rem) {
  .tiles { grid-template-columns: 1fr; }
  label { width: 100%; display: grid; grid-template-columns: 2.5rem 1fr; }
  input { width: auto; }
  dl div { grid-template-columns: 1fr; }
}
`;
