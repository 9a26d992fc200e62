package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The figure brings its own background: whichever of the two colour schemes is
// asked for, what is drawn stands out from it. The lines of a panel differ in dash
// as well as in colour.
const style = `
  .back { fill: #ffffff }
  .title { font-weight: 600; font-size: 16px }
  .name { font-weight: 600 }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .small { fill: #59636e; font-size: 12px }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .axis { stroke: #818b98; stroke-width: 1 }
  .down { fill: #ffd8d3 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
  .line0 { stroke: #0969da }
  .line1 { stroke: #cf222e; stroke-dasharray: 7 5 }
  .line2 { stroke: #1f2328; stroke-dasharray: 1 6 }
  .line3 { stroke: #1a7f37; stroke-width: 4 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 }
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .grid { stroke: #2a313a }
    .axis { stroke: #656c76 }
    .down { fill: #4c1b1d }
    .line0 { stroke: #4493f8 }
    .line1 { stroke: #ff7b72 }
    .line2 { stroke: #f0f6fc }
    .line3 { stroke: #3fb950 }
  }
`

// A drawing collects elements of SVG.
type drawing struct{ elements strings.Builder }

func (d *drawing) add(format string, args ...any) {
	fmt.Fprintf(&d.elements, format+"\n", args...)
}

func (d *drawing) text(x, y float64, class, anchor, text string) {
	d.add(`<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`, class, number(x), number(y), anchor, escape(text))
}

func (d *drawing) stroke(class string, x1, y1, x2, y2 float64) {
	d.add(`<path class="%s" d="M%s %sL%s %s"/>`, class, number(x1), number(y1), number(x2), number(y2))
}

// number writes v with one digit behind the point at most.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
