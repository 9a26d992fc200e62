package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A report is what a simulation has to show.
type report struct {
	title   string
	caption string // what to see
	table   table
	figure  figure
}

// A table has a name in the first column of each row and figures in the others.
type table struct {
	head [][]string // one or more lines
	rows [][]string
}

func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", r.title, r.table)
	for _, line := range wrap(r.caption, 90) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

func (t table) String() string {
	lines := append(append([][]string{}, t.head...), t.rows...)
	widths := make([]int, len(t.rows[0]))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		line := ""
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line += "  " + cell + pad
			} else {
				line += "   " + pad + cell
			}
		}
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	return b.String()
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), word
			continue
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// A figure is drawn as panels in columns.
type figure struct {
	columns int
	height  float64 // of one panel's plot, in pixels
	panels  []panel
}

// A panel is a plot of lines over the same x.
type panel struct {
	title string
	x, y  axis
	lines []line
	down  window // a time in which the server was down, shaded
}

// An axis begins at 0.
type axis struct {
	label string // what, and the unit
	end   float64
	tick  float64
}

type line struct {
	name   string // for the legend; empty for none
	points []point
}

type point struct{ x, y float64 }

const (
	figureWidth   = 860.0
	figureMargin  = 20.0
	lineHeight    = 19.0
	panelLeft     = 56.0 // room for the labels of y
	panelTop      = 32.0 // room for the title
	panelBottom   = 26.0 // room for the labels of x
	axisLabel     = 18.0 // room for what is on x
	captionLength = 120  // characters
)

// svg draws the report: title, legend, panels, caption.
func (r report) svg() string {
	f := r.figure
	d := new(drawing)
	y := figureMargin + 12
	d.text(figureMargin, y, "title", "start", r.title)
	y += 12
	if f.panels[0].lines[0].name != "" {
		y += 14
		d.legend(y, f.panels[0].lines)
		y += 8
	}
	width := (figureWidth - 2*figureMargin) / float64(f.columns)
	for i, p := range f.panels {
		left := figureMargin + float64(i%f.columns)*width
		last := i >= len(f.panels)-f.columns // in its column
		d.panel(p, left+panelLeft, y+panelTop, width-panelLeft-16, f.height, last)
		if i%f.columns == f.columns-1 {
			y += panelTop + f.height + panelBottom
		}
	}
	y += axisLabel + 24
	for _, line := range wrap(r.caption, captionLength) {
		d.text(figureMargin, y, "", "start", line)
		y += lineHeight
	}
	height := y - lineHeight + figureMargin

	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s">
<style>%s</style>
<rect class="back" width="100%%" height="100%%" rx="6"/>
%s</svg>
`, number(figureWidth), number(height), escape(r.title+". "+r.caption), style, &d.elements)
}

func (d *drawing) legend(y float64, lines []line) {
	x := figureMargin
	for i, l := range lines {
		d.stroke(fmt.Sprintf("line line%d", i), x, y-4, x+34, y-4)
		d.text(x+42, y, "", "start", l.name)
		x += (figureWidth - 2*figureMargin) / float64(len(lines))
	}
}

// panel draws p into a rectangle; what labels it is outside.
func (d *drawing) panel(p panel, left, top, width, height float64, last bool) {
	// The conversions keep processors that can from fusing product and sum, which
	// would round differently.
	atX := func(v float64) float64 { return left + float64(v/p.x.end*width) }
	atY := func(v float64) float64 { return top + height - float64(v/p.y.end*height) }

	if p.down.to > 0 {
		from, to := atX(p.down.from.Seconds()), atX(p.down.to.Seconds())
		d.add(`<rect class="down" x="%s" y="%s" width="%s" height="%s"/>`, number(from), number(top), number(to-from), number(height))
	}
	for v := 0.0; v <= p.y.end; v += p.y.tick {
		d.stroke("grid", left, atY(v), left+width, atY(v))
		d.text(left-8, atY(v)+4, "small", "end", number(v))
	}
	for v := 0.0; v <= p.x.end; v += p.x.tick {
		d.stroke("axis", atX(v), top+height, atX(v), top+height+4)
		d.text(atX(v), top+height+18, "small", "middle", number(v))
	}
	d.stroke("axis", left, top+height, left+width, top+height)
	d.text(left-panelLeft, top-10, "name", "start", p.title)
	d.text(left+width, top-10, "small", "end", p.y.label)
	if last {
		d.text(left+width, top+height+18+axisLabel, "small", "end", p.x.label)
	}

	// The first on top: the last is the widest.
	for i, l := range slices.Backward(p.lines) {
		path := make([]string, len(l.points))
		for i, at := range l.points {
			path[i] = number(atX(at.x)) + " " + number(atY(at.y))
		}
		d.add(`<path class="line line%d" d="M%s"/>`, i, strings.Join(path, "L"))
	}
}

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
